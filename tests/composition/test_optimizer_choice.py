"""A frozen backbone gets a head that is solved; what asks for epochs trains it, and one line says so."""

import pytest

from graft.composition.composing import compose
from graft.configuration.schema import solves
from graft.errors import GraftError

FROZEN = ["data=digits", "freeze=frozen"]


def config_of(*words):
    return compose("train", [*FROZEN, *words])[0]


def test_the_head_of_a_frozen_backbone_is_solved():
    config = config_of()
    assert solves(config)
    assert config["optimizer"]["weight_decay"] is None
    assert "notes" not in config


@pytest.mark.parametrize("freeze", ["full", "last_k", "lp_ft"])
def test_what_trains_more_is_trained(freeze):
    config = compose("train", ["data=digits", f"freeze={freeze}"])[0]
    assert config["optimizer"]["_target_"] == "torch.optim.AdamW"
    assert "notes" not in config


@pytest.mark.parametrize(
    "word",
    [
        *("optimizer=adamw", "optimizer=sgd", "optimizer.lr=1e-3", "optimizer.weight_decay=0.01"),
        *("trainer.max_epochs=20", "trainer.max_steps=10", "trainer.devices=2", "trainer=ddp"),
        *("augment=light", "augment.horizontal_flip=0.5", "mix=mixup", "head=mlp", "regularizer=delta"),
        *("scheduler=plateau", "scheduler.warmup_epochs=1", "freeze.norm=statistics", "lr_find=true"),
        *("distill.teacher=conf", "cache.features=off", "cache.views=3", "callbacks=early_stopping"),
        *("callbacks=ema", "debug=one_batch", "debug=overfit", "experiment=lenet_cifar10"),
    ],
)
def test_what_asks_for_epochs_is_trained_and_one_line_says_why(word):
    config = config_of(word)
    assert not solves(config)
    if config["freeze"]["_target_"] == "graft.freezing.Frozen":
        (line,) = config["notes"]
        assert line.startswith("the head is trained, not solved, because of ")
        # What an option brings is named by its keys.
        assert word.partition("=")[0] in line or word.startswith(("debug", "experiment", "trainer="))


@pytest.mark.parametrize(
    "word",
    [
        *("seed=3", "loss.label_smoothing=0.1", "loss.class_weights=balanced", "head.normalize=false"),
        *("head.standardize=false", "calibrate=true", "data.batch_size=8", "trainer.precision=bf16-mixed"),
        *("trainer=cpu", "trainer.devices=[0]", "callbacks=none", "logger=none", "cache.precision=fast"),
        *("optimizer=lbfgs", "optimizer=auto", "augment=none", "test=false", "sweep.metric=val/loss"),
    ],
)
def test_what_leaves_the_problem_as_it_is_does_not_matter(word):
    assert solves(config_of(word))


def test_several_processes_train(monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "1")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    config = config_of()
    assert not solves(config)
    assert config["notes"] == ["the head is trained, not solved, because of the 2 processes of torchrun"]


@pytest.mark.parametrize(
    "word",
    ["trainer.max_epochs=3", "augment=light", "callbacks=early_stopping", "cache.views=3", "lr_find=true"],
)
def test_a_head_that_is_to_be_solved_refuses_what_it_has_no_use_for(word):
    with pytest.raises(GraftError, match=r"^optimizer=lbfgs solves the head at once and has no use for "):
        config_of("optimizer=lbfgs", word)


def test_a_penalty_is_a_number_or_chosen():
    assert config_of("optimizer=lbfgs", "optimizer.weight_decay=0.1")["optimizer"]["weight_decay"] == 0.1
    with pytest.raises(GraftError, match=r"optimizer\.weight_decay=0 may leave a head without a solution"):
        config_of("optimizer=lbfgs", "optimizer.weight_decay=0")
    with pytest.raises(GraftError, match=r"optimizer\.weight_decay=null is for optimizer=lbfgs"):
        config_of("optimizer=adamw", "optimizer.weight_decay=null")


def test_what_was_decided_is_recorded_so_that_a_run_is_never_decided_anew():
    assert config_of()["optimizer"] == config_of("optimizer=lbfgs")["optimizer"]
    assert config_of("trainer.max_epochs=20")["optimizer"] == config_of("optimizer=adamw")["optimizer"]
