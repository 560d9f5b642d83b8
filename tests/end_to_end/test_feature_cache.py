"""Training on stored boundary tensors is training on images, in every phase and after every stop."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import graft
from graft.cli.console import run
from graft.data import Samples
from graft.errors import GraftError
from graft.features import folder, sample_features
from graft.runs import RunFolder
from graft.runs.files import read_csv
from graft.training import TransferModule


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own for each test."""
    monkeypatch.setenv("GRAFT_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


@pytest.fixture
def computed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many images each extraction was about."""
    counts: list[int] = []
    inner = sample_features.extract

    def extract(run: Any, loader: Any, size: int, told: Any) -> Iterator[torch.Tensor]:
        counts.append(len(loader.dataset))
        yield from inner(run, loader, size, told)

    monkeypatch.setattr(sample_features, "extract", extract)
    return counts


@pytest.fixture
def train(tmp_path: Path, photos: Path) -> Callable[..., RunFolder]:
    """Train on 24 or so images; `train("name", words)`."""
    words = ["data=image_folder", f"data.root={photos}", "data.batch_size=8", "data.num_workers=0"]
    words += ["trainer=cpu", "logger=none", "trainer.max_epochs=5"]

    def train(name: str, *more: str) -> RunFolder:
        return graft.train([*words, *more, f"hydra.run.dir={tmp_path / name}"])

    return train


def assert_alike(one: RunFolder, other: RunFolder) -> None:
    """The same predictions and numbers, and weights within 1e-5."""
    ours, theirs = (load_file(found.bundle / "model.safetensors") for found in (one, other))
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        torch.testing.assert_close(value, theirs[key], rtol=0, atol=1e-5, msg=key)
    for column in ("path", "predicted", "label"):
        assert [[row[column] for row in read_csv(found.predictions)] for found in (one, other)] == [
            [row[column] for row in read_csv(one.predictions)]
        ] * 2
    for mine, its in zip(read_csv(one.epochs), read_csv(other.epochs), strict=True):
        assert mine.keys() == its.keys()
        for key, value in mine.items():
            assert float(value) == pytest.approx(float(its[key]), abs=1e-5), key


NET = ["backbone=mobilenet_v3_small", "backbone.weights=null", "backbone.image_size=32"]
STRATEGIES = {
    "frozen": [],
    "last_k": ["freeze.k=2"],
    "lp_ft": ["freeze.epochs=3"],
    "freeze_unfreeze": ["freeze.at=2"],
    "gradual": ["freeze.every=2"],
}
FROZEN_TO_THE_END = ("frozen", "last_k", "gradual")


def corners(names: Iterable[str], slow: str) -> list[Any]:
    """Parameters, those that `slow` lists in the slow tier alone."""
    return [pytest.param(name, marks=pytest.mark.slow if name in slow.split() else ()) for name in names]


@pytest.mark.parametrize("freeze", corners(STRATEGIES, slow="last_k freeze_unfreeze"))
def test_it_trains_as_on_images(
    freeze: str, train: Callable[..., RunFolder], computed: list[int], capsys: Any
) -> None:
    # A head with dropout: what trains must draw the same numbers.
    words = [f"freeze={freeze}", *STRATEGIES[freeze], "head=mlp"]
    off = train("off", *words, "cache.features=off")
    assert computed == []
    assert "cache:" not in capsys.readouterr().out
    on = train("on", *words, "cache.features=on")
    # With what never trains, the test images too.
    once = [28] * (3 if freeze == "gradual" else 1) + ([8] if freeze in FROZEN_TO_THE_END else [])
    assert computed == once
    assert "cache: epochs 1-" in capsys.readouterr().out
    assert_alike(on, off)
    warm = train("warm", *words, "cache.features=on")
    assert computed == once
    assert "all stored already" in capsys.readouterr().out
    assert (warm.bundle / "model.safetensors").read_bytes() == (on.bundle / "model.safetensors").read_bytes()
    assert warm.predictions.read_text() == on.predictions.read_text()
    assert warm.epochs.read_text() == on.epochs.read_text()


def test_images_of_later_phases_are_decoded_once(
    train: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    inner = Samples.read

    def read(self: Samples, index: int, *more: Any) -> Any:
        reads.append(index)
        return inner(self, index, *more)

    monkeypatch.setattr(Samples, "read", read)
    counts = []
    for epochs in (3, 6):
        reads.clear()
        train(
            f"{epochs}",
            "freeze=freeze_unfreeze",
            "freeze.at=2",
            f"trainer.max_epochs={epochs}",
            "seed=" + str(epochs),
        )
        counts.append(len(reads))
    # The first run has computed the features, from the images, too.
    assert counts[1] <= counts[0]


@pytest.mark.parametrize(
    "words",
    [
        ["freeze=frozen", "channels_last=true"],
        ["freeze=last_k", "channels_last=true", "regularizer=stochnorm", "optimizer=sgd"],
        ["freeze=frozen", "trainer.precision=bf16-mixed", "callbacks=ema"],
        ["freeze=last_k", "regularizer=l2_sp", "optimizer.weight_decay=0", "trainer.precision=64-true"],
    ],
    ids=" ".join,
)
def test_a_network_with_norm_layers_and_dropout(words: list[str], train: Callable[..., RunFolder]) -> None:
    words = [*NET, *words, "trainer.max_epochs=2", "data.batch_size=14"]
    off = train("off", *words, "cache.features=off")
    assert_alike(train("on", *words, "cache.features=on"), off)


def test_what_is_frozen_records_no_gradient(
    train: Callable[..., RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, bool]] = []
    inner = TransferModule.training_step

    def training_step(self: TransferModule, batch: Any, index: int) -> Any:
        hooks = [
            module.register_forward_hook(lambda m, i, out, name=name: seen.append((name, out.requires_grad)))
            for name, module in self.backbone.stages.items()
        ]
        loss = inner(self, batch, index)
        loss.backward(retain_graph=True)
        for hook in hooks:
            hook.remove()
        for name in ("conv1", "conv2", "dense1"):
            assert all(p.grad is None for p in self.backbone.stages[name].parameters())
        return loss

    monkeypatch.setattr(TransferModule, "training_step", training_step)
    for features in ("off", "on"):
        seen.clear()
        train(features, "freeze=last_k", "trainer.max_epochs=1", f"cache.features={features}")
        frozen = [] if features == "on" else ["conv1", "conv2", "dense1"]
        assert {name for name, _ in seen} == {*frozen, "dense2"}
        assert {name for name, records in seen if records} == {"dense2"}


def test_a_sweep_computes_once(
    trained: Path, photos: Path, tmp_path: Path, computed: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["data=image_folder", f"data.root={photos}", f"backbone.weights={trained}", "freeze=frozen"]
    swept = ["seed=0,1", "optimizer=adamw,sgd", "hydra.sweep.dir=sweep"]
    words += ["trainer=cpu", "logger=none", "callbacks=none", "trainer.max_epochs=2"]
    assert run(["train", "-m", *words, *swept]) == 0
    assert len(list((tmp_path / "sweep").glob("*/metrics.json"))) == 4
    # The test images when the first of them is tested.
    assert computed == [28, 8]
    # Another split and fewer labels share what there is.
    assert run(["train", "-m", *words, "data.shots=2,4", "head=mlp", "hydra.sweep.dir=shots"]) == 0
    assert run(["train", *words, "data.split_seed=1", "hydra.run.dir=other"]) == 0
    assert computed == [28, 8]


@pytest.mark.parametrize(
    ("words", "step", "pruned"),
    [
        pytest.param(["freeze=frozen", "head=mlp"], 4, False, marks=pytest.mark.slow),
        pytest.param(["freeze=last_k", "freeze.k=2", "head=mlp"], 6, True, marks=pytest.mark.slow),
        (["freeze=lp_ft", "freeze.epochs=3", "freeze.patience=1", "optimizer.head_lr=1e-30"], 4, True),
        (["freeze=gradual", "freeze.every=2"], 8, False),
        (["freeze=frozen", "augment=light", "cache.views=2"], 7, True),
        (["freeze=frozen", "head.standardize=true"], 4, True),
    ],
    ids=["frozen", "last_k", "lp_ft", "gradual", "views", "standardize"],
)
def test_a_stopped_run_goes_on_to_the_same_end(
    words: list[str],
    step: int,
    pruned: bool,
    train: Callable[..., RunFolder],
    cut_at: Callable[[int], AbstractContextManager[None]],
    cache: Path,
    tmp_path: Path,
) -> None:
    words = [*words, "callbacks.last.minutes=0.0", "trainer.max_epochs=4"]
    whole = train("whole", *words)
    shutil.rmtree(cache)
    with cut_at(step):
        train("cut", *words)
    if pruned:
        shutil.rmtree(cache)
    folder = graft.train([f"resume={tmp_path / 'cut'}"])
    for name in ("model/model.safetensors", "predictions.csv", "metrics.csv"):
        assert (folder.path / name).read_bytes() == (whole.path / name).read_bytes(), name
    ends = [torch.load(found.checkpoints / "last.ckpt", weights_only=True) for found in (folder, whole)]
    assert str(ends[0]["optimizer_states"]) == str(ends[1]["optimizer_states"])
    assert str(ends[0]["callbacks"]["Checkpoints"]["random"]) == str(
        ends[1]["callbacks"]["Checkpoints"]["random"]
    )


REASONS = {
    "augment=light": "the augmentation may draw each image anew",
    "mix=mixup": "mix blends the images",
    "regularizer=delta": "the regularizer looks at more than weights",
    "regularizer=bss": "the regularizer looks at more than weights",
    "trainer.overfit_batches=1": "trainer.overfit_batches",
}


@pytest.mark.parametrize("word", REASONS)
def test_where_it_is_not_exact(
    word: str, train: Callable[..., RunFolder], computed: list[int], tmp_path: Path, capsys: Any
) -> None:
    with pytest.raises(GraftError, match=f"^cache.features=on is not possible: {REASONS[word]}"):
        train("refused", "freeze=frozen", word, "cache.features=on")
    assert not (tmp_path / "refused").exists()
    train("auto", "freeze=frozen", word, "trainer.max_epochs=1")
    out = capsys.readouterr().out
    assert f"cache: not used: {REASONS[word]}" in out
    assert out.count("cache:") == 1
    assert computed == []


def test_a_teacher_looks_at_images(
    train: Callable[..., RunFolder], trained: Path, computed: list[int], capsys: Any
) -> None:
    train("auto", "freeze=frozen", f"distill.teacher={trained}", "trainer.max_epochs=1")
    assert "cache: not used: distill.teacher looks at the images" in capsys.readouterr().out
    assert computed == []


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["freeze=full"], "nothing is frozen from the stem on: conv1 trains from the first epoch"),
        (["freeze=bias_only"], "conv1 trains from the first epoch"),
        (
            ["freeze=frozen", "freeze.norm=statistics", *NET],
            "stem has normalisation layers whose statistics move from the first epoch",
        ),
    ],
    ids=["full", "bias_only", "statistics"],
)
def test_where_nothing_is_frozen(
    words: list[str], why: str, train: Callable[..., RunFolder], computed: list[int], capsys: Any
) -> None:
    with pytest.raises(GraftError, match=why):
        train("refused", *words, "cache.features=true")
    train("auto", *words, "trainer.max_epochs=1", "data.batch_size=16")
    assert "cache:" not in capsys.readouterr().out
    assert computed == []


def test_a_callback_of_ones_own_keeps_its_images(
    train: Callable[..., RunFolder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    (tmp_path / "looks.py").write_text(
        "import pytorch_lightning as pl\n\n\nclass Looks(pl.Callback):\n"
        "    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):\n"
        "        assert batch['input'].ndim == 4\n"
    )
    (tmp_path / "conf/callbacks").mkdir(parents=True)
    (tmp_path / "conf/callbacks/looks.yaml").write_text("looks: {_target_: looks.Looks}\n")
    monkeypatch.syspath_prepend(tmp_path)
    words = ["callbacks=looks", f"hydra.searchpath=[file://{tmp_path / 'conf'}]", "trainer.max_epochs=1"]
    train("run", "freeze=frozen", *words)
    assert "cache: not used: the callback Looks may look at the images" in capsys.readouterr().out


def test_a_backbone_that_draws_in_evaluation_mode_too(
    train: Callable[..., RunFolder], computed: list[int], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(torch.nn.ReLU, "forward", lambda self, x: torch.relu(x + 0.1 * torch.randn_like(x)))
    with pytest.raises(GraftError, match="what is frozen draws at random, in evaluation mode too"):
        train("refused", "freeze=frozen", "cache.features=on")
    train("auto", "freeze=frozen", "trainer.max_epochs=1")
    assert "cache: not used: what is frozen draws at random" in capsys.readouterr().out
    assert computed == []


def test_a_few_batches_are_not_worth_computing_all(
    train: Callable[..., RunFolder], computed: list[int], capsys: Any
) -> None:
    train("debug", "freeze=frozen", "trainer.limit_train_batches=1", "trainer.max_epochs=1")
    assert "cache: not used: trainer.limit_train_batches" in capsys.readouterr().out
    assert computed == []


def test_what_does_not_fit(
    train: Callable[..., RunFolder], computed: list[int], tmp_path: Path, capsys: Any
) -> None:
    small = ["freeze=frozen", "cache.max_bytes=1000", "trainer.max_epochs=1"]
    why = "9.4 kB are more than cache.max_bytes=1000"
    with pytest.raises(GraftError, match=f"^cache.features=on is not possible: {why}"):
        train("refused", *small, "cache.features=on")
    assert not (tmp_path / "refused").exists()
    train("auto", *small)
    assert f"cache: not used: {why}" in capsys.readouterr().out
    assert computed == []


def test_a_folder_that_cannot_be_written(train: Callable[..., RunFolder], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    words = ["freeze=frozen", f"cache.dir={tmp_path / 'file'}", "trainer.max_epochs=1"]
    with pytest.raises(GraftError, match=r"^cache\.dir=.* is a file, not a folder"):
        train("auto", *words)


def test_views_are_the_first_epochs_augmentations(
    train: Callable[..., RunFolder], computed: list[int], capsys: Any
) -> None:
    words = ["freeze=frozen", "augment=light", "trainer.max_epochs=3"]
    off = train("off", *words, "cache.features=off")
    assert_alike(train("three", *words, "cache.views=3"), off)
    # What validates once, each epoch's training images, these as they are for what is known, and the test.
    assert computed == [6, 22, 22, 22, 22, 8]
    assert "3 augmented views of each image" in capsys.readouterr().out
    two = read_csv(train("two", *words, "cache.views=2").epochs)
    assert computed == [6, 22, 22, 22, 22, 8]
    rows = read_csv(off.epochs)
    assert float(two[1]["train/loss"]) == pytest.approx(float(rows[1]["train/loss"]), abs=1e-5)
    assert abs(float(two[2]["train/loss"]) - float(rows[2]["train/loss"])) > 1e-4


def test_views_without_an_augmentation_are_refused(train: Callable[..., RunFolder]) -> None:
    with pytest.raises(GraftError, match=r"cache\.views=2 does nothing: this augmentation draws nothing"):
        train("none", "freeze=frozen", "cache.views=2")
    with pytest.raises(
        GraftError, match=r"cache\.views needs stored features; leave cache\.features=off out"
    ):
        train("off", "freeze=frozen", "cache.views=2", "cache.features=off")


@pytest.mark.parametrize("freeze", corners(FROZEN_TO_THE_END, slow="last_k"))
def test_evaluating_gives_the_same_digits(
    freeze: str, train: Callable[..., RunFolder], tmp_path: Path
) -> None:
    # 8 test images are no whole batch.
    path = train("on", f"freeze={freeze}", *NET, "data.batch_size=5", "calibrate=true").path
    assert run(["evaluate", f"run={path}", "accelerator=cpu", f"hydra.run.dir={tmp_path / 'again'}"]) == 0
    assert (tmp_path / "again/predictions.csv").read_text() == (path / "predictions.csv").read_text()


def test_weights_that_changed_after_all_are_tested_as_they_are(
    train: Callable[..., RunFolder], computed: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def merge(backbone: torch.nn.Module) -> None:
        next(backbone.parameters()).data += 0.5

    monkeypatch.setattr("graft.training.ending.merge", merge)
    path = train("on", "freeze=frozen", *NET).path
    assert computed == [28]
    assert run(["evaluate", f"run={path}", "accelerator=cpu", f"hydra.run.dir={tmp_path / 'again'}"]) == 0
    assert (tmp_path / "again/predictions.csv").read_text() == (path / "predictions.csv").read_text()


def test_room_is_made_while_training(train: Callable[..., RunFolder], cache: Path, capsys: Any) -> None:
    train("first", "freeze=frozen", "trainer.max_epochs=1")
    (before,) = folder.entries(cache)
    train("second", "freeze=frozen", "trainer.max_epochs=1", "seed=1", f"cache.max_bytes={before.bytes}")
    (after,) = folder.entries(cache)
    assert after.key != before.key
    assert f"cache: removed {before.key[:12]}" in capsys.readouterr().out
