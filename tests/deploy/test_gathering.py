"""`predict.py` is whole: it imports Python and its packages alone, and every name in it is defined."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from graft.deploy.gathering import gathered
from graft.deploy.script import ENGINES, script

FORMATS = sorted(ENGINES)


@pytest.mark.parametrize("form", FORMATS)
def test_a_script_imports_what_it_says_that_it_needs(form: str) -> None:
    nodes = list(ast.walk(ast.parse(script(form))))
    modules = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    modules |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    others = {module.partition(".")[0] for module in modules} - sys.stdlib_module_names
    assert others == {name.replace("pillow", "PIL") for name in ENGINES[form][1].split()}


@pytest.mark.parametrize("form", FORMATS)
def test_a_script_lacks_no_name(form: str, tmp_path: Path) -> None:
    (tmp_path / "predict.py").write_text(script(form), encoding="utf-8")
    words = ["check", "--isolated", "--no-cache", "--select=F", "predict.py"]
    checked = subprocess.run([sys.executable, "-m", "ruff", *words], cwd=tmp_path, capture_output=True)
    assert checked.returncode == 0, checked.stdout.decode()


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Write a module of some text, and gather its function `root`."""

    def module(name: str, text: str) -> str:
        (tmp_path / f"{name}.py").write_text(text)

        def root() -> None: ...

        root.__module__ = name
        return gathered([root])

    monkeypatch.syspath_prepend(tmp_path)
    return module


def test_what_alters_a_name_follows_what_makes_it_and_comments_go_along(module) -> None:
    text = "import os\nA, B = 1, 2\n# By letter.\nKNOWN = {'a': A}\nKNOWN['b'] = B\nOTHER = os.sep\n"
    made = module("altered", text + "\n\ndef root():\n    return KNOWN\n")
    names: dict[str, object] = {}
    exec(made, names)
    assert names["root"]() == {"a": 1, "b": 2}  # type: ignore[operator]
    assert made.count("A, B = 1, 2") == 1
    assert "# By letter.\nKNOWN" in made
    assert "OTHER" not in made
    assert "import os" not in made


def test_two_definitions_of_one_name_are_refused(module) -> None:
    text = "from graft.data.levels import chosen_levels\n\n\nclass Levels: ...\n\n\n"
    with pytest.raises(ValueError, match=r"^Levels of graft\.data\.levels"):
        module("doubled", text + "def root():\n    return Levels, chosen_levels\n")


def test_another_package_is_refused(module) -> None:
    with pytest.raises(ValueError, match="torch"):
        module("heavy", "import torch\n\n\ndef root():\n    return torch.zeros(1)\n")
