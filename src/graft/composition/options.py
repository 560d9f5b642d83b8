"""The config groups and their options, described for people."""

from graft.configuration.keys import conf_dir


def groups() -> list[str]:
    """The config groups that have options, by the names that people type."""
    return sorted(folder.name for folder in conf_dir().iterdir() if any(folder.glob("*.yaml")))


def described_options(group: str) -> dict[str, str]:
    """Each option with the first comment line of its file."""
    described = {}
    for path in sorted((conf_dir() / group).glob("*.yaml")):
        if not path.name.startswith("_"):
            lines = path.read_text(encoding="utf-8").splitlines()
            comments = (line.removeprefix("#").strip() for line in lines if line.startswith("#"))
            described[path.stem] = next(line for line in comments if not line.startswith("@package"))
    return described
