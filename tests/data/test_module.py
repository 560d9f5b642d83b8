"""The data module in Lightning's hands: loaders, epochs, and resuming where a run stopped."""

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint

from graft.data import SampleDataModule, Samples, split, training_transform
from graft.data import module as module_module

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*use of fork\\(\\) may lead to deadlocks"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*isinstance\\(treespec, LeafSpec\\)"),
    pytest.mark.filterwarnings("ignore:.*(logging interval|litlogger|exists and is not empty)"),
    # Lightning asks the loader whether it can resume; here the data module does.
    pytest.mark.filterwarnings("ignore:.*your dataloader is not resumable"),
    pytest.mark.filterwarnings("ignore:.*callbacks used to create the checkpoint need to be provided"),
]


def augment(preprocessing):
    return training_transform(preprocessing, (0.5, 1.0), 0.5, None)


@pytest.fixture
def make(noise, preprocessing):
    """A data module over 18 training images; `make(shots=3)` and so on go to `split`."""

    def make(workers=0, seed=0, batch_size=4, cache_images="auto", **asked):
        data = noise({"train": [9, 9], "val": [2, 3], "test": [3, 3]})
        splits = split(data, **asked)
        return SampleDataModule(
            data,
            splits,
            preprocessing,
            augment,
            batch_size=batch_size,
            num_workers=workers,
            seed=seed,
            cache_images=cache_images,
        )

    return make


class Recorder(pl.LightningModule):
    """Notes what it is given; `stop_at` (epoch, batch) is where it is cut off."""

    def __init__(self, stop_at=None):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = []
        self.validated = []
        self.stop_at = stop_at

    def training_step(self, batch, batch_index):
        self.seen.append((self.current_epoch, batch["index"].tolist(), float(batch["input"].sum())))
        return self.weight * batch["input"].mean()

    def on_train_batch_end(self, outputs, batch, batch_index):
        if (self.current_epoch, batch_index) == self.stop_at:
            raise KeyboardInterrupt

    def validation_step(self, batch, batch_index):
        self.validated.append(batch["index"].tolist())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def trainer(**settings):
    return pl.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **{"enable_checkpointing": False, **settings},
    )


def test_loaders(make):
    module = make()
    assert module.facts.counts["train"] == {"class0": 9, "class1": 9}
    train = torch.cat([batch["index"] for batch in module.train_dataloader()]).tolist()
    assert sorted(train) == module.splits["train"].tolist()
    assert train != sorted(train)
    for loader, name in (
        (module.val_dataloader(), "val"),
        (module.test_dataloader(), "test"),
        (module.ordered_loader("train"), "train"),
    ):
        found = list(loader)
        assert torch.cat([batch["index"] for batch in found]).tolist() == module.splits[name].tolist()
        first = module.evaluation(module.data.samples[int(module.splits[name][0])])
        assert torch.equal(found[0]["input"][0], first)
        assert found[0]["input"].shape == (4, 3, 16, 16)


def test_nothing_validates(noise, preprocessing):
    data = noise({"all": [9, 9]})
    module = SampleDataModule(data, split(data, val_fraction=0), preprocessing, augment, batch_size=4)
    assert module.val_dataloader() == []


def test_training_batches_are_of_even_sizes(make):
    assert [len(batch["target"]) for batch in make(shots=3, batch_size=5).train_dataloader()] == [3, 3]
    assert [len(batch["target"]) for batch in make(batch_size=4).train_dataloader()] == [4, 4, 4, 3, 3]


def fit(module, model, epochs, ckpt_path=None, **settings):
    trainer(max_epochs=epochs, **settings).fit(
        model, datamodule=module, ckpt_path=ckpt_path, weights_only=True
    )
    return model.seen


def test_every_epoch_is_another_and_workers_change_nothing(make):
    alone, three = Recorder(), Recorder()
    assert fit(make(), alone, 3) == fit(make(workers=2), three, 3)
    assert alone.validated == three.validated
    orders = [[i for at, indices, _ in alone.seen if at == epoch for i in indices] for epoch in range(3)]
    assert all(sorted(order) == list(range(18)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    assert fit(make(seed=1), Recorder(), 1) != alone.seen[:5]


@pytest.fixture
def decoded(monkeypatch):
    """The index of each image decoded, in this process."""
    found = []
    read = Samples.read
    monkeypatch.setattr(
        Samples, "read", lambda self, index, *rest: found.append(index) or read(self, index, *rest)
    )
    return found


def test_what_is_kept_trains_the_same_and_is_decoded_once(make, monkeypatch, tmp_path, decoded):
    monkeypatch.setenv("GRAFT_CACHE_DIR", str(tmp_path))
    module, plain = make(cache_images="off"), Recorder()
    fit(module, plain, 3)
    train, val, test = (module.splits[name].tolist() for name in ("train", "val", "test"))
    # A joined list reads through its parts' own lists, so each image counts twice.
    assert len(decoded) == 2 * 3 * len(train + val)
    # Noise of 8 px is never shrunk, so not even `ram` and `disk` differ here.
    for where, workers in (("auto", 0), ("ram", 0), ("disk", 0), ("auto", 2), ("disk", 2)):
        decoded.clear()
        module, kept = make(workers, cache_images=where), Recorder()
        fit(module, kept, 3)
        assert (kept.seen, kept.validated) == (plain.seen, plain.validated)
        if workers == 0:
            assert len(decoded) == 2 * len(train + val)
            list(module.test_dataloader())
            list(module.test_dataloader())
            once = where == "disk"
            assert len(decoded) == 2 * len(train + val) + (2 if once else 4) * len(test)
    assert len(list((tmp_path / "images").iterdir())) == 3


def test_auto_has_one_bound_for_all_splits(make, monkeypatch):
    # 18 training images of 8 px, and 5 that validate, resized to 20 px.
    size = 18 * 8 * 8 * 3 + 5 * 20 * 20 * 3
    for bound, kept in ((size, [True, True]), (size - 1, [True, False]), (0, [False, False])):
        monkeypatch.setattr(module_module, "AUTO_BYTES", bound)
        module = make()
        loaders = [module.train_dataloader(), module.val_dataloader()]
        assert [loader.dataset.kept is not None for loader in loaders] == kept
        assert sum(len(batch["target"]) for batch in loaders[1]) == 5


def test_only_what_is_asked_for_shrinks(make):
    def training(**words):
        return make(**words).training.shrinks

    assert [training(cache_images=where) for where in ("auto", "off", "ram", "disk")] == [
        *(False, False, True, True)
    ]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("at_epochs_end", [True, False])
def test_a_run_resumed_after_an_epoch_goes_on_as_if_never_stopped(make, tmp_path, workers, at_epochs_end):
    whole = fit(make(), Recorder(), 4)
    checkpoint = ModelCheckpoint(tmp_path, save_last=True, save_on_train_epoch_end=at_epochs_end)
    first = fit(make(workers), Recorder(), 2, callbacks=[checkpoint], enable_checkpointing=True)
    rest = fit(make(workers), Recorder(), 4, ckpt_path=tmp_path / "last.ckpt")
    assert first + rest == whole


@pytest.mark.parametrize("workers", [0, 2])
def test_a_run_resumed_within_an_epoch_sees_every_image_once(make, tmp_path, workers):
    whole = fit(make(), Recorder(), 3)
    checkpoint = ModelCheckpoint(tmp_path, save_top_k=-1, every_n_train_steps=1, filename="{step}")
    with pytest.raises(SystemExit):
        fit(make(workers), Recorder((1, 3)), 3, callbacks=[checkpoint], enable_checkpointing=True)
    for step in (2, 5, 7):
        rest = fit(make(workers), Recorder(), 3, ckpt_path=tmp_path / f"step={step}.ckpt")
        assert rest == whole[step:]


def test_a_finished_module_begins_at_the_beginning(make, tmp_path):
    module = make()
    stopped = trainer(max_epochs=2)
    stopped.fit(Recorder(), datamodule=module)
    stopped.save_checkpoint(tmp_path / "end.ckpt", weights_only=False)
    assert [epoch for epoch, *_ in fit(module, Recorder(), 3, ckpt_path=tmp_path / "end.ckpt")] == [2] * 5
    assert fit(module, Recorder(), 1) == fit(make(), Recorder(), 1)


def test_overfitting_sees_the_same_few_training_images_in_every_epoch(make):
    module, model = make(), Recorder()
    fit(module, model, 3, overfit_batches=2, limit_val_batches=0)
    first = fit(make(), Recorder(), 1)[:2]
    assert [seen[1:] for seen in model.seen] == [seen[1:] for seen in first] * 3


@pytest.mark.parametrize(("batch_size", "size"), [(4, 4), (29, 29), (512, 29)])
def test_a_batch_in_order_is_no_larger_than_all_images(make, batch_size, size):
    module = make(batch_size=batch_size)
    assert len(module.data.samples) == 29
    assert module.test_dataloader().batch_size == module.evaluation_size == size


def test_the_first_images_are_those_of_the_first_batch_and_no_more_are_read(make, decoded):
    module = make(batch_size=8, cache_images="off")
    first = next(iter(module.train_dataloader()))["input"]
    decoded.clear()
    assert torch.equal(module.first_inputs(3), first[:3])
    # A joined list reads through its parts' own lists, so each image counts twice.
    assert len(decoded) == 6
    assert torch.equal(module.first_inputs(32), first)


def test_the_batches_of_an_epoch_can_be_read_beside_training(make):
    class Beside(Recorder):
        def validation_step(self, batch, batch_index):
            if batch_index == 0:
                again = list(self.trainer.datamodule.same_epoch)
                self.validated.append([(b["index"].tolist(), float(b["input"].sum())) for b in again])

    for workers in (0, 1):
        model = Beside()
        fit(make(workers), model, 2, val_check_interval=0.5)
        for half, again in enumerate(model.validated):
            assert again == [seen[1:] for seen in model.seen if seen[0] == half // 2]


def test_what_takes_a_part_of_an_epoch_or_adds_batches_up_resumes_within_it(make, tmp_path):
    settings = {"limit_train_batches": 4, "accumulate_grad_batches": 2}
    whole = fit(make(), Recorder(), 3, **settings)
    assert [(epoch, len(indices)) for epoch, indices, _ in whole[:4]] == [(0, 4), (0, 4), (0, 4), (0, 3)]
    checkpoint = ModelCheckpoint(tmp_path, save_top_k=-1, every_n_train_steps=1, filename="{step}")
    with pytest.raises(SystemExit):
        fit(
            make(),
            Recorder((1, 3)),
            3,
            callbacks=[checkpoint],
            enable_checkpointing=True,
            **settings,
        )
    for step, batches in ((1, 2), (2, 4), (3, 6)):
        rest = fit(make(), Recorder(), 3, ckpt_path=tmp_path / f"step={step}.ckpt", **settings)
        assert rest == whole[batches:]
