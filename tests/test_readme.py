"""What the README shows works: its Python runs, its commands are understood, its own part trains."""

import re
import shlex
import sys
from pathlib import Path

import pytest

from graft.cli.console import run
from graft.commands import COMMANDS
from graft.composition.composing import compose
from graft.runs.files import read_csv

TEXT = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def commands() -> list[list[str]]:
    lines = [line for block in blocks("bash") for line in block.splitlines() if "graft " in line]
    words = [shlex.split(line.removesuffix("&"), comments=True) for line in lines]
    return [line[line.index("graft") + 1 :] for line in words]


def test_there_are_examples() -> None:
    assert len(commands()) >= 6
    assert len(blocks("python")) == 2


@pytest.mark.parametrize(
    "words", [words for words in commands() if "--config-dir" not in words], ids=" ".join
)
def test_a_command_is_understood(words: list[str]) -> None:
    assert words[0] in COMMANDS
    if words[0] in ("cache", "list"):
        assert run(words) == 0
        return
    # A sweep's values one by one, as its first job has them.
    first = [re.sub(r"=(\w+),.*", r"=\1", word) for word in words[1:] if word != "-m"]
    compose(words[0], [re.sub(r"=tag\(.*", "=0.1", word) for word in first])


def test_inline_keys_are_understood() -> None:
    spans = [
        span for span in re.findall(r"`([^`\n]+)`", TEXT) if re.match(r"[a-z_]+(\.[a-z_]+)?=[\w.\[]", span)
    ]
    trained = [span for span in spans if not re.search(r"…|=2$|trust|file|run=", span) or "freeze.k" in span]
    assert len(trained) >= 12
    for span in trained:
        backbone = [] if span.startswith(("backbone.weights=null", "experiment")) else ["backbone=resnet18"]
        compose("train", [*backbone, *span.split()])


def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks("python")[0], "README.md", "exec"), {})
    assert list((tmp_path / "outputs/train").rglob("model.safetensors"))


def test_a_part_of_ones_own_trains(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mypkg.py").write_text(blocks("python")[1])
    option = blocks("yaml")[0]
    path = tmp_path / option.splitlines()[0].removeprefix("# ")
    path.parent.mkdir(parents=True)
    path.write_text(option)
    monkeypatch.syspath_prepend(tmp_path)
    # Another test has a package of that name too: each must find its own, in any order.
    sys.modules.pop("mypkg", None)
    words = next(words for words in commands() if "--config-dir" in words)
    try:
        assert run([*words, "debug=one_batch", "trainer=cpu", "logger=none", "hydra.run.dir=run"]) == 0
    finally:
        sys.modules.pop("mypkg", None)
    rows = read_csv(tmp_path / "run/freeze.csv")
    assert [row["from_epoch"] for row in rows] == ["", "1", "", "1", "1"]
