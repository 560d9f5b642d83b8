"""The replay of recorded trainings: what it reads, what it spends, what its last line says."""

import csv
import importlib
import json
from pathlib import Path
from types import ModuleType

import pytest

from graft.advice.prior import shipped

STUDY = Path(__file__).parents[2] / "experiments" / "advice"
NETWORKS = ("edgenext_small", "mobilevit_xs", "volo_d1_384", "never_seen")


@pytest.fixture
def study(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(STUDY))
    return importlib.import_module("replay")


def write(path: Path, rows: list[dict[str, object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def folder_of(path: Path, names: tuple[str, ...], seconds: float = 100.0) -> Path:
    """Eight trainings a task, of which the third is the best, and the sixth ends early."""
    path.mkdir()
    runs: list[dict[str, object]] = []
    curves: list[dict[str, object]] = []
    for task in names:
        for place in range(8):
            run = f"{task}-{place}"
            rate = 0.0001 if place < 4 else 0.01
            runs.append(
                {
                    "task": task,
                    "run": run,
                    "model": NETWORKS[place % 4],
                    "opt": "adamw",
                    "lr": rate,
                    "batch_size": 16,
                    "pct_to_freeze": 0.4,
                    "layer_decay": -1.0,
                    "opt_betas": "[0.9, 0.999]",
                    "warmup_epochs": 0,
                    "warmup_lr": 0.0,
                }
            )
            limit = 95.0 if place == 2 else 60.0 - 5 * place
            for epoch in range(1, 3 if place == 5 else 6):
                curves.append(
                    {
                        "run": run,
                        "epoch": epoch,
                        "accuracy": round(limit * (1 - 0.3**epoch), 3),
                        "seconds": seconds * (1 + place % 4),
                    }
                )
    write(
        path / "tasks.csv", [{"task": task, "images": 4000, "classes": 20, "pixels": 128} for task in names]
    )
    write(path / "runs.csv", runs)
    write(path / "curves.csv", curves)
    return path


def test_the_last_line_is_json(
    study: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = folder_of(tmp_path / "recorded", ("NEW_1", "NEW_2"))
    monkeypatch.setattr("sys.argv", ["replay.py", str(folder)])
    study.main()
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["budgets"] == [600, 3600, 14400, 57600]
    assert len(told["regret"]) == 4
    assert all(0 <= regret <= 1 for regret in told["regret"])
    # Time for everything: the best is found.
    assert told["regret"][-1] < 0.01


def test_nothing_paid_for_is_the_worst(study: ModuleType, tmp_path: Path) -> None:
    tasks = study.tasks_in(folder_of(tmp_path / "slow", ("NEW",), seconds=1000.0))
    assert study.regrets(tasks, [600]) == [[1.0]]
    assert study.replayed(tasks[0], shipped(), 600) is None


def test_unpaid_epochs_change_nothing(study: ModuleType, tmp_path: Path) -> None:
    (task,) = study.tasks_in(folder_of(tmp_path / "recorded", ("NEW",)))
    asked: list[str] = []
    decide = study.decide

    def told(known: object, prior: object) -> object:
        step = decide(known, prior)
        asked.append(str(step))
        return step

    study.decide = told
    try:
        study.replayed(task, shipped(), 450)
        first = list(asked)
        asked.clear()
        # What those steps did not reach, all recorded seconds too, is something else.
        paid = {line.split("'")[1] for line in first if line != "None"}
        other = tuple(
            run if run.name in paid else run._replace(accuracy=(0.99,) * 9, seconds=(1.0,) * 9)
            for run in task.runs
        )
        study.replayed(task._replace(runs=other), shipped(), 450)
    finally:
        study.decide = decide
    assert len(paid) < len(task.runs)
    assert asked == first


def test_a_task_of_the_prior_is_left_out_of_its_own(study: ModuleType, tmp_path: Path) -> None:
    known = shipped().tasks[:3]
    tasks = study.tasks_in(folder_of(tmp_path / "recorded", (*known, "NEW")))
    for task in tasks:
        prior = study.prior_without(task, tasks)
        assert task.name not in prior.tasks
        assert "NEW" not in prior.tasks
    assert study.prior_without(tasks[-1], tasks) is shipped()
    assert set(study.prior_without(tasks[0], tasks).tasks) == set(known[1:])
