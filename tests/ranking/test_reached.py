"""What runs reached counts for the backbone that they started from, on the same data alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from graft.ranking.reached import fine_tuned, reached_by, starting_point
from graft.runs import RunFolder
from graft.runs.files import write_json, write_yaml
from graft.runs.records import find_runs


def make_run(path: Path, accuracy: float | None, **changes: Any) -> RunFolder:
    run = RunFolder.claim(path)
    config = {
        "backbone": {"_target_": "graft.backbones.simple_cnn", "weights": None, "image_size": 32},
        "freeze": {"_target_": "graft.freezing.Full"},
        "optimizer": {"lr": 0.1},
        "seed": 0,
        **{key: value for key, value in changes.items() if key not in ("status", "fingerprint")},
    }
    write_yaml(run.config, config)
    write_json(run.environment, {"data": {"fingerprint": changes.get("fingerprint", "f")}})
    write_json(run.metrics_file, {} if accuracy is None else {"val/accuracy": accuracy, "test/accuracy": 1.0})
    run.set_status(changes.get("status", "finished"))
    return run


NODE = {"_target_": "graft.backbones.simple_cnn", "weights": None, "image_size": 32}


def test_only_finished_runs_of_this_data_that_trained_the_backbone(tmp_path: Path) -> None:
    make_run(tmp_path / "good", 0.7)
    make_run(tmp_path / "others", 0.8, fingerprint="g")
    make_run(tmp_path / "failed", 0.9, status="failed")
    make_run(tmp_path / "frozen", 0.9, freeze={"_target_": "graft.freezing.Frozen"})
    make_run(tmp_path / "unvalidated", None)
    (make_run(tmp_path / "broken", 0.9).environment).write_text("{")
    (tmp_path / "half").mkdir()
    (tmp_path / "half/status.json").write_text("")
    found = fine_tuned(find_runs(str(tmp_path))[0], "f")
    assert [accuracy for _, accuracy in found] == [0.7]


def test_the_best_way_by_its_mean_over_seeds(tmp_path: Path) -> None:
    for seed, accuracy in enumerate((0.6, 0.8)):
        make_run(tmp_path / f"a{seed}", accuracy, seed=seed, name=f"a{seed}")
    for seed, accuracy in enumerate((0.4, 0.9)):
        make_run(tmp_path / f"b{seed}", accuracy, seed=seed, optimizer={"lr": 0.2})
    found = fine_tuned(find_runs(str(tmp_path))[0], "f")
    assert reached_by(NODE, found) == pytest.approx((0.7, 4))
    assert reached_by({**NODE, "image_size": 64}, found) is None


def test_weights_are_known_by_their_content(tmp_path: Path) -> None:
    for name, content in (("a.pth", b"1"), ("copy.pth", b"1"), ("b.pth", b"2")):
        (tmp_path / name).write_bytes(content)
    one, copy, other = (
        starting_point({**NODE, "weights": str(tmp_path / name)}) for name in ("a.pth", "copy.pth", "b.pth")
    )
    assert one == copy
    assert len({one, other, starting_point(NODE), starting_point({**NODE, "weights": "gone.pth"})}) == 4
    bundle = tmp_path / "run/model/model.safetensors"
    bundle.parent.mkdir(parents=True)
    bundle.write_bytes(b"1")
    for path in (tmp_path / "run", tmp_path / "run/model", bundle):
        assert starting_point({**NODE, "weights": str(path)}) == one


def test_what_is_a_matter_of_training_makes_no_other_backbone() -> None:
    assert starting_point({**NODE, "drop_path": 0.3}) == starting_point(NODE)


def test_metrics_are_validations(tmp_path: Path) -> None:
    """The test set is for the end."""
    run = make_run(tmp_path / "run", 0.25)
    assert json.loads(run.metrics_file.read_text())["test/accuracy"] == 1
    assert reached_by(NODE, fine_tuned(find_runs(str(run.path))[0], "f")) == (0.25, 1)
