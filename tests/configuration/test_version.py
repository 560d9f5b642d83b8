"""What people are told to install is ours: `graft` on the package index is somebody else's."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from graft.cli.console import run
from graft.configuration.version import DISTRIBUTION, __version__
from graft.errors import GraftError
from graft.sweeps.study import import_optuna

ROOT = Path(__file__).parents[2]
READ = ("src", "conf", "docs", "experiments", "README.md", "CONTRIBUTING.md", "Makefile", "pyproject.toml")
SETTINGS = (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def texts() -> Iterator[tuple[Path, str]]:
    for name in READ:
        below = ROOT / name
        for path in [below] if below.is_file() else sorted(below.rglob("*")):
            if path.suffix in (".py", ".yaml", ".md", ".toml") or path.name == "Makefile":
                yield path, path.read_text(encoding="utf-8")


def extras() -> set[str]:
    table = SETTINGS.partition("[project.optional-dependencies]\n")[2].partition("\n[")[0]
    return set(re.findall(r"^(\w+) = \[", table, re.MULTILINE))


def test_the_distribution_is_called_so() -> None:
    assert f'\nname = "{DISTRIBUTION}"\n' in SETTINGS
    assert DISTRIBUTION == "graft-transfer"


def test_every_extra_is_asked_for_by_our_name() -> None:
    named = {
        (name, extra)
        for _, text in texts()
        for name, extra in re.findall(r"([\w{}-]*(?:graft|DISTRIBUTION)[\w{}-]*)\[(\w+)\]", text)
        if extra in extras()
    }
    assert {name for name, _ in named} == {DISTRIBUTION, "{DISTRIBUTION}"}
    assert {extra for _, extra in named} == extras()


def test_every_install_hint_names_our_package() -> None:
    hints = {
        (path.name, name)
        for path, text in texts()
        for name in re.findall(r"pip install (?:-\S+ )*['\"]?([\w.{}-]+)", text)
        if not name.startswith("-")
    }
    ours = (".", DISTRIBUTION, "{DISTRIBUTION}", "uv")
    # What runs an export, which needs nothing of ours.
    of_exports = ("{packages}", "onnxruntime", "torch")
    assert {name for _, name in hints} <= {*ours, *of_exports}, hints
    assert len(hints) >= 2


def test_a_missing_extra_is_answered_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(GraftError, match=r"pip install 'graft-transfer\[optuna\]'$"):
        import_optuna()


def test_a_checkout_says_which_version_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out == f"graft {__version__}\n"
