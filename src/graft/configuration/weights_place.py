"""`file.pth:state_dict_ema`: a weights file, and which state dict in it is meant. Imports no torch."""

from pathlib import Path

from graft.configuration.paths import expanded


def file_and_place(given: str | Path) -> tuple[Path, str | None]:
    """The file or folder, `~` expanded, and the place in the file; None where none is named.

    A path that is there is a path, whatever its name has in it.
    """
    path = expanded(given)
    file, _, place = str(given).rpartition(":")
    if file and place and not path.exists() and (named := expanded(file)).is_file():
        return named, place
    return path, None


def is_address(given: str | Path) -> bool:
    """Whether weights are to be fetched from an address."""
    return str(given).startswith(("https://", "http://"))


def absolute(given: str) -> str:
    """The same with an absolute path where it is there, so that it holds in any working folder."""
    path, place = file_and_place(given)
    if not path.exists():
        return given
    return str(path.absolute()) + (f":{place}" if place else "")
