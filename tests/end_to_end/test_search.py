"""A search sees validation alone, goes on where it was, and tests its winner alone."""

from pathlib import Path
from typing import Any

import pytest

from graft.cli.console import run
from graft.runs import RunFolder
from graft.runs.files import read_csv
from graft.runs.sweep_folder import SweepFolder
from graft.sweeps.study import import_optuna
from graft.training import TransferModule

optuna = pytest.importorskip("optuna")

SEARCH = ["hydra/sweeper=optuna", "optimizer.lr=tag(log,interval(1e-6,1e-1))", "hydra.sweeper.pruner=null"]


@pytest.fixture
def words(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.chdir(tmp_path)
    small = ["trainer.max_epochs=2", "trainer=cpu", "logger=none", "data.batch_size=8"]
    return ["train", "-m", "data=image_folder", f"data.root={photos}", *small, *SEARCH]


def study() -> Any:
    return import_optuna().load_study(study_name="graft", storage=f"sqlite:///{SweepFolder('sweep').study}")


def with_test() -> list[str]:
    return [run.path.name for run in SweepFolder("sweep").runs() if run.tested]


def test_the_winner_alone_is_tested_and_more_trials_may_follow(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*words, "sweep.metric=val/loss"]
    assert run([*words, "hydra.sweeper.n_trials=2", "hydra.sweep.dir=sweep"]) == 0
    assert "2 jobs: 2 finished" in capsys.readouterr().out
    best = RunFolder(study().best_trial.user_attrs["run"])
    assert with_test() == [best.path.name]
    assert best.metrics["val/loss"] == pytest.approx(study().best_value)
    # The summary has the same winner first, though it may not be the most accurate.
    losses = [float(row["val/loss"]) for row in read_csv(Path("sweep/summary.csv"))]
    assert losses == sorted(losses)
    assert losses[0] == pytest.approx(study().best_value)
    # As a run that tests at once leaves it.
    assert best.predictions.is_file()
    assert (best.figures / "confusion_matrix.png").is_file()
    assert best.classes.is_file()
    assert "test/accuracy" in (best.bundle / "README.md").read_text()
    others = [found for found in SweepFolder("sweep").runs() if not found.tested]
    assert not any(found.predictions.exists() for found in others)
    assert not any(key.startswith("test/") for found in others for key in found.metrics)

    assert run([*words, "hydra.sweeper.n_trials=3", "sweep.resume=sweep"]) == 0
    trials = study().trials
    assert [trial.state.name for trial in trials] == ["COMPLETE"] * 3
    assert len({trial.params["optimizer.lr"] for trial in trials}) == 3
    assert set(with_test()) >= {Path(study().best_trial.user_attrs["run"]).name}


def test_a_trial_that_was_stopped_goes_on_as_that_trial(
    words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = TransferModule.training_step
    steps: list[int] = []

    def training_step(self: TransferModule, batch: Any, index: int) -> Any:
        steps.append(index)
        # In the second epoch of the second trial.
        if len(steps) == 11:
            raise KeyboardInterrupt
        return inner(self, batch, index)

    with monkeypatch.context() as patch:
        patch.setattr(TransferModule, "training_step", training_step)
        assert run([*words, "hydra.sweeper.n_trials=2", "hydra.sweep.dir=sweep"]) == 130
    assert [trial.state.name for trial in study().trials] == ["COMPLETE", "RUNNING"]
    assert run([*words, "hydra.sweeper.n_trials=2", "sweep.resume=sweep"]) == 0
    assert [trial.state.name for trial in study().trials] == ["COMPLETE", "COMPLETE"]
    assert sorted(path.name for path in Path("sweep").glob("[0-9]*")) == [
        "0-simple_cnn-full",
        "1-simple_cnn-full",
    ]
    assert RunFolder("sweep/1-simple_cnn-full").status()["resumed"] >= 1


def test_a_failed_trial_stops_no_other(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    choices = [word for word in words if not word.startswith("optimizer.lr")]
    # Both are drawn by this seed.
    more = [
        "data.shots=2,500",
        "hydra.sweeper.n_trials=4",
        "hydra.sweeper.sampler.seed=0",
        "hydra.sweep.dir=sweep",
    ]
    assert run([*choices, *more]) == 1
    states = [trial.state.name for trial in study().trials]
    assert set(states) == {"COMPLETE", "FAIL"}
    assert "data.shots=500: data.shots=500: class" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "answer"),
    [
        (["sweep.metric=test/accuracy"], "the test set is for the end, so nothing is chosen on it"),
        (["test=true"], "a search tests its winner alone"),
        (["hydra.sweeper.n_trials=0"], "hydra.sweeper.n_trials=0 is wrong: it must be a whole number >= 1"),
        (["optimizer.lr=0.1"], "a search needs a range"),
        (["optimizer.lr=interval(-1.0,1.0)"], "optimizer.lr=-1.0 is wrong"),
        (["freeze=full,last_k", "head=linear,mpl"], "head=mpl: no such option; did you mean mlp?"),
        (["hydra.sweeper.sampler._target_=os.system"], "os.system is none of optuna.samplers"),
    ],
)
def test_a_wrong_word_of_a_search(
    more: list[str], answer: str, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*words, *more]) == 2
    captured = capsys.readouterr()
    assert answer in captured.err
    assert len(captured.err.splitlines()) == 1
    assert "job 0" not in captured.out
    assert not list(Path().rglob("status.json"))


# By this seed the rates drawn are 5e-3, 2e-6 and 6e-3.
PRUNED = [
    "optimizer.lr=tag(log,interval(1e-10,1e-2))",
    "hydra.sweeper.sampler={_target_:optuna.samplers.RandomSampler,seed:4}",
    "hydra.sweeper.pruner={_target_:optuna.pruners.MedianPruner,n_startup_trials:1,n_warmup_steps:1}",
    "trainer.max_epochs=5",
]


def test_a_poor_trial_is_ended_early_and_the_search_goes_on(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*words, *PRUNED, "hydra.sweeper.n_trials=3", "hydra.sweep.dir=sweep"]) == 0
    trials = study().trials
    assert [trial.state.name for trial in trials] == ["COMPLETE", "PRUNED", "COMPLETE"]
    runs = [RunFolder(trial.user_attrs["run"]) for trial in trials]
    assert [len(read_csv(found.epochs)) for found in runs] == [5, 2, 5]
    # A whole run all the same, of which the study knows how far it came.
    assert [found.status()["status"] for found in runs] == ["finished"] * 3
    assert [found.status().get("pruned") for found in runs] == [None, 2, None]
    assert trials[1].intermediate_values.keys() == {0, 1}
    assert trials[1].value == trials[1].intermediate_values[1]
    assert (runs[1].bundle / "model.safetensors").is_file()
    assert not runs[1].tested
    captured = capsys.readouterr()
    assert "3 jobs: 2 finished, 1 ended early\n" in captured.out
    assert "failed" not in captured.out + captured.err
    poor = f"optimizer.lr={trials[1].params['optimizer.lr']} (after 2)"
    page = Path("sweep/summary.md").read_text()
    assert f"note: a search ended 1 early, with the epochs that they had: {poor}\n" in page
    assert "the next was not tested" in page.splitlines()[0]
    early = {row["optimizer.lr"]: row["ended early"] for row in read_csv(Path("sweep/summary.csv"))}
    assert list(early.values()) == ["0", "0", "1"]

    assert run([*words, *PRUNED, "hydra.sweeper.n_trials=4", "sweep.resume=sweep"]) == 0
    states = [trial.state.name for trial in study().trials]
    assert states[:3] == ["COMPLETE", "PRUNED", "COMPLETE"]
    assert len(states) == 4
    assert [found.status().get("resumed") for found in runs] == [None] * 3
