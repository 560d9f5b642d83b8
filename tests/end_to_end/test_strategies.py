"""Every strategy as a whole run: it trains, its table is true, and what it leaves is a plain model."""

import pytest
import torch
from safetensors.torch import load_file

import graft
from graft.backbones import simple_cnn
from graft.runs.files import read_csv

WORDS = ["data=image_folder", "data.batch_size=8", "trainer=cpu", "logger=none", "trainer.max_epochs=3"]
SETTINGS = {
    "freeze_unfreeze": ["freeze.at=1"],
    "lp_ft": ["freeze.epochs=1", "scheduler.restart=true"],
    "lora": ["freeze.r=2", "optimizer.lr=0.01"],
    "gradual": ["optimizer.layer_decay=0.5"],
}
FROM_EPOCH = {
    "full": "1111",
    "frozen": "    ",
    "last_k": "   1",
    "freeze_unfreeze": "2222",
    "gradual": "  32",
    "lp_ft": "2222",
    "bias_only": "1111",
    "lora": "1111",
    "custom": "1111",
}


@pytest.mark.parametrize("freeze", FROM_EPOCH)
def test_a_run(photos, tmp_path, freeze, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    path = tmp_path / "run"
    words = [*WORDS, f"data.root={photos}", f"freeze={freeze}", *SETTINGS.get(freeze, [])]
    run = graft.train([*words, f"hydra.run.dir={path}"])
    rows = read_csv(run.freeze)
    assert [row["from_epoch"] or " " for row in rows] == [*FROM_EPOCH[freeze], "1"]
    assert "from epoch" in capsys.readouterr().out
    last = read_csv(run.epochs)[-1]
    trained = sum(int(row["trainable"]) for row in rows)
    assert int(float(last["trainable_parameters"])) == trained == run.metrics["trainable_parameters"]
    state = load_file(run.bundle / "model.safetensors")
    plain = {f"backbone.{key}" for key in simple_cnn().state_dict()}
    assert {key for key in state if key.startswith("backbone.")} == plain
    if freeze == "gradual":
        assert [row["lr"] for row in rows] == ["", "", "0.00025", "0.0005", "0.0005"]
    model = graft.load(run.path)
    assert model.predict(sorted((photos / "red").iterdir())[:2])


def test_a_switch_that_never_comes_is_told(photos, tmp_path, capsys):
    words = [*WORDS, f"data.root={photos}", "freeze=lp_ft", "freeze.epochs=9"]
    run = graft.train([*words, f"hydra.run.dir={tmp_path / 'run'}"])
    assert "warning: the backbone would begin to train after epoch 9, but there are 3" in (
        capsys.readouterr().out
    )
    assert run.metrics["trainable_parameters"] == 84 * 3 + 3


def test_nothing_to_train_leaves_no_folder(photos, tmp_path):
    words = [*WORDS, f"data.root={photos}", "freeze=norm_only", f"hydra.run.dir={tmp_path / 'run'}"]
    with pytest.raises(graft.GraftError, match="has no normalisation layers to train"):
        graft.train(words)
    assert not (tmp_path / "run").exists()


def test_a_pattern_that_matches_nothing_leaves_no_folder(photos, tmp_path):
    words = [*WORDS, f"data.root={photos}", "freeze=custom"]
    rules = 'freeze.rules=[{pattern: "layer9.*", trains: true}, {pattern: "*", trains: false}]'
    with pytest.raises(graft.GraftError, match=r"pattern layer9\.\* matches no parameter"):
        graft.train([*words, rules, f"hydra.run.dir={tmp_path / 'run'}"])
    assert not (tmp_path / "run").exists()


def test_adapters_are_trained_and_merged(photos, tmp_path):
    words = [*WORDS, f"data.root={photos}", "freeze=lora", "freeze.r=2", "optimizer.lr=0.01", "seed=3"]
    run = graft.train([*words, f"hydra.run.dir={tmp_path / 'run'}"])
    state = load_file(run.bundle / "model.safetensors")
    torch.manual_seed(0)
    checkpoint = torch.load(run.checkpoints / "best.ckpt", weights_only=True)["state_dict"]
    key = "backbone.stages.dense2.0"
    original = checkpoint[f"{key}.parametrizations.weight.original"]
    a, b = (checkpoint[f"{key}.parametrizations.weight.0.{name}"] for name in "ab")
    torch.testing.assert_close(state[f"{key}.weight"], original + 16 / 2 * b @ a)
    assert b.abs().sum() > 0
