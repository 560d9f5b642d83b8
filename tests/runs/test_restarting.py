"""A job that SLURM starts again finds the run that the same words began in it, and no other."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from omegaconf import DictConfig

from graft.composition.composing import compose
from graft.configuration.run_config import RunConfig
from graft.errors import GraftError
from graft.runs import RunFolder
from graft.runs.files import write_yaml
from graft.runs.restarting import going_on

WORDS = ["data=digits", "seed=1"]


@pytest.fixture
def began(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., RunFolder]:
    """Begin a run in job 7, as far as its folder shows it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    for name in ("ARRAY_JOB_ID", "CLUSTER_NAME", "RESTART_COUNT"):
        monkeypatch.delenv(f"SLURM_{name}", raising=False)

    def began(
        path: str,
        status: str = "interrupted",
        words: Sequence[str] = WORDS,
        job: str = "7",
        started: str = "1",
    ) -> RunFolder:
        with monkeypatch.context() as patch:
            patch.setenv("SLURM_JOB_ID", job)
            folder = RunFolder.claim(path)
        folder.set_status(status, started=started)
        write_yaml(folder.config, {"seed": 1})
        write_yaml(folder.overrides, list(words))
        return folder

    return began


def composed(words: Sequence[str]) -> tuple[RunConfig, DictConfig]:
    values, hydra_cfg = compose("train", words)
    return RunConfig.of(values), hydra_cfg.run


def found(words: Sequence[str] = WORDS) -> Path | None:
    """Where the words go on."""
    config, free = going_on(*composed(words), words)
    if config.resume:
        assert free == []
        return Path(config.resume)
    assert free == list(words)
    return None


def test_a_job_goes_on_with_its_run(
    began: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = began("outputs/train/2026-11-23/10-15-02-mine")
    assert found() is None
    monkeypatch.setenv("SLURM_RESTART_COUNT", "0")
    assert found() is None
    assert capsys.readouterr().out == ""
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert found() == mine.path
    assert capsys.readouterr().out == f"SLURM job 7 was started again: its run is {mine.path}\n"


def test_other_jobs_and_other_words_are_not_its(
    began: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    began("outputs/train/a/1", job="8")
    began("outputs/train/a/2", words=["data=digits", "seed=2"])
    began("outputs/train/a/3").config.unlink()
    began("outputs/train/a/4").status_file.write_text("")
    assert found() is None
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 1
    assert "a new one starts" in out


def test_the_newest_unfinished_is_it_and_else_the_finished(
    began: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_RESTART_COUNT", "2")
    began("outputs/train/a/1", started="1")
    newest = began("outputs/train/a/2", status="failed", started="2")
    finished = began("outputs/train/a/3", status="finished", started="3")
    assert found() == newest.path
    for name in "12":
        RunFolder(f"outputs/train/a/{name}").set_status("finished")
    assert found() == finished.path


@pytest.mark.parametrize(
    ("pattern", "folder", "there"),
    [
        ("mine/run", "mine/run", True),
        ("mine/run", "mine/other", False),
        ("mine/${now:%Y-%m-%d}/${now:%H-%M-%S}-${graft.id:}", "mine/1999-12-31/23-59-59-abc", True),
        ("mine/${name}-${graft.id:}", "mine/simple_cnn-full-000000", True),
        ("mine/${now:%Y/%m}/run", "mine/1999/12/run", True),
        ("mine/${now:%Y/%m}/run", "others/1999/12/run", False),
        ("${now:%Y}", "1999", True),
    ],
)
def test_it_is_looked_for_where_the_words_put_it(
    pattern: str,
    folder: str,
    there: bool,
    began: Callable[..., RunFolder],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    words = [*WORDS, f"hydra.run.dir={pattern}"]
    path = began(folder, words=words).path
    assert found(words) == (path if there else None)


def test_a_run_that_was_taken_up_is_still_the_jobs(
    began: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = began("outputs/train/a/1")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    monkeypatch.setenv("SLURM_JOB_ID", "9")
    mine.take_up()
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert found() == mine.path


def test_what_is_asked_for_comes_first(
    began: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    began("outputs/train/a/1")
    asked = began("outputs/train/a/2", words=["seed=5"])
    config, node = composed([f"resume={asked.path}", "trainer=cpu"])
    config, free = going_on(config, node, ["resume=x", "trainer=cpu"])
    assert config.resume == str(asked.path)
    assert free == ["resume=x", "trainer=cpu"]
    with pytest.raises(GraftError, match="no such folder"):
        going_on(replace(config, resume="nowhere"), node, [])


def test_packages_that_the_words_name_are_trusted_again(
    began: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    began("outputs/train/a/1")
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    config, node = composed(WORDS)
    freeze, augment = {"_target_": "mypkg.EveryOther"}, {"policy": [{"_target_": "my.Noise"}]}
    own = replace(config, freeze=freeze, augment=augment)
    assert going_on(own, node, WORDS)[0].trust == ["my", "mypkg"]
    assert going_on(config, node, WORDS)[0].trust == []
