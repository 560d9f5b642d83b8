"""Every value is held to its type and range: what is just inside is taken, what is just outside refused."""

import pytest

from graft.configuration.key_table import RULES
from graft.configuration.rules import clean_name, number, one_of, or_null, whole

NAN, INFINITY = float("nan"), float("inf")
# For a key what is just right, and what is just wrong.
EDGES = {
    "name": (["a", "resnet18-last_k.2", "x" * 80], ["", "x" * 81, "a b", "a/b", "ü", "../a", None, 3]),
    "seed": ([0, 2**32 - 1], [-1, 2**32, 1.5, 1.0, "0", None, True]),
    "data.batch_size": ([1, 4096], [0, -1, 1.5, "8", True, None]),
    "data.num_workers": ([None, 0, 8], [-1, 0.5, False, "all"]),
    "data.cache_images": (["auto", "ram", "disk", "off", False], ["memory", "on", True, None, 0]),
    "data.val_fraction": ([0, 0.0, 0.2, 0.999], [1, 1.0, -0.1, NAN, None, False, "0.2"]),
    "data.test_fraction": ([0.001, 0.5], [0, 1, -0.5, NAN]),
    "data.split_seed": ([0, 7], [-1, 0.5, None]),
    "data.test_seed": ([None, 0, 7], [-1, 0.5, True]),
    "data.keep_copies_together": ([True, False, "exact"], ["near", None, 1, 0]),
    "data.folds": ([None, 2, 10], [1, 0, 2.5, True]),
    "data.fold": ([None, 1, 10], [0, -1, 1.5]),
    "data.shots": ([None, 1, 50], [0, 2.5, True]),
    "data.fraction": ([0.01, 1, 1.0], [0, 1.1, None, NAN]),
    "data.root": (["photos", None], ["", 3]),
    "augment.crop_padding": ([None, 0, 4], [-1, 0.5, True]),
    "augment.horizontal_flip": ([0, 0.5, 1], [-0.1, 1.1, True]),
    "backbone.weights": ([None, "IMAGENET1K_V1", "runs/x"], ["", 1]),
    "backbone.image_size": ([None, 1, 224], [0, 1.5]),
    "backbone.drop_path": ([None, 0, 0.3], [1, -0.1, True]),
    "head.hidden": ([1], [0, None]),
    "head.dropout": ([0, 0.5], [1, -0.1]),
    "near": ([None, 0, 4, 16], [17, -1, 2.5, True]),
    "samples": ([1, 20], [0, 1.5, None]),
    "freeze.k": ([1, 99], [0, 1.5, None]),
    "optimizer.lr": ([1e-12, 1, 0.1], [0, -0.1, NAN, INFINITY, "high", None, True]),
    "freeze.at": ([0, 3], [-1, None]),
    "freeze.norm": ([None, "frozen", "affine", "statistics", "train"], ["eval", True]),
    "freeze.rules": ([[{"pattern": "*"}]], [[], None, ["*"], "x"]),
    "optimizer.head_lr": ([None, 0.1, "10x", "0.5x", "1e1x"], [0, NAN, "x", "0x", "10", "1.2.3x", ".x"]),
    "optimizer.layer_decay": ([0.75, 1], [0, 1.5, None]),
    "optimizer.weight_decay": ([0, 0.1, None], [-0.1, INFINITY, NAN]),
    "optimizer.max_iter": ([1], [0, 1.5]),
    "optimizer.tolerance_grad": ([1e-9], [0, None]),
    "optimizer.momentum": ([0, 0.9], [1, -0.1]),
    "scheduler.warmup_epochs": ([0, 0.5, 3], [-1, NAN]),
    "scheduler.final": ([0, 1], [-0.1, 1.1]),
    "scheduler.step_size": ([1], [0, 0.5]),
    "scheduler.gamma": ([0.1, 1], [0, INFINITY]),
    "scheduler.factor": ([0.1], [0, 1]),
    "scheduler.patience": ([1], [0, -1]),
    "scheduler.min_delta": ([0.0, 1e-4], [-1e-4]),
    "mix.alpha": ([0.2, 1], [0, -1, None, INFINITY]),
    "mix.mixup_alpha": ([0.2], [0]),
    "mix.cutmix_alpha": ([1], [0]),
    "callbacks.ema.decay": ([0, 0.999], [1, -0.1, None]),
    "distill.teacher": ([None, "runs/x"], ["", 1]),
    "distill.temperature": ([1, 4.0], [0, INFINITY]),
    "distill.weight": ([0, 0.5, 1], [-0.1, 1.1, None]),
    "wise_ft.alpha": ([None, 0, 0.5, 1], [-0.1, 1.1, True]),
    "loss.label_smoothing": ([0, 0.1], [1, -0.1, NAN]),
    "loss.class_weights": (
        [None, "balanced", [1, 2.5]],
        ["balancd", [], [0, 1], [1, None], [1, NAN], [True, 1], 3],
    ),
    "trainer.max_epochs": ([1], [0, -1, None, 1.5]),
    "trainer.accelerator": (["auto", "cpu", "gpu", "cuda", "mps"], ["gpus", None, 1]),
    "trainer.devices": ([1, 8, "auto", [3], [0, 1]], [0, -1, "2", True, 1.0, ["x"], [1, 1], [-1], [], None]),
    "trainer.num_nodes": ([1, 4], [0, "2", None]),
    "trainer.strategy": (["auto", "ddp", "fsdp"], ["deepspeed", None, 1]),
    "trainer.precision": (["32-true", "bf16-mixed", "16-mixed", 32, 16], ["33", 8, None]),
    "trainer.accumulate_grad_batches": ([1, 8], [0, 1.5]),
    "trainer.gradient_clip_val": ([None, 0.5], [0, -1]),
    "cache.features": (["auto", "on", "off", True, False], ["yes", None, 1]),
    "cache.dir": ([None, "cache"], ["", 1]),
    "cache.max_bytes": ([0, 10**10], [-1, 1e9, None, "1GB"]),
    "cache.views": ([None, 1, 10], [0, 1.5, True]),
    "cache.precision": (["float32", "fast"], ["bf16", None]),
    "resume": ([None, "last", "outputs/x"], ["", 1]),
    "trust": ([[], ["mypkg"]], ["mypkg", None, [""], [1]]),
    "sweep.resume": ([None, "outputs/sweeps/x"], ["", 1]),
    "sweep.trial": ([None, "sqlite:///study.db#3"], ["", 1]),
    "run": ([None, "outputs/x"], ["", 1]),
    "sort": (["val/accuracy", "val/loss", None], ["test/accuracy", "train/loss", "accuracy", "val/"]),
    "over": ([["seed"], ["seed", "data.split_seed"], []], ["seed", None, [3]]),
    "precision": (["float32", "fast"], ["bf16-mixed", None]),
    "num_workers": ([None, 0], [-1, True]),
    "threads": ([None, 1, 64], [0, -1, 1.5, True, "all"]),
    "batch_size": ([None, 1], [0]),
    "top_k": ([None, 1], [0]),
    "backbones": ([None, ["resnet18"], ["a", "b"]], ["resnet18", [], ["a", "a"], [""], [None], 1]),
    "weights": ([{}, {"resnet18": None}], [None, "x.pth", ["x.pth"]]),
    "runs": ([None, "outputs", ["a", "b/*"]], ["", [], [""], 1]),
    "folds": ([2, 10], [1, 0, None, 2.5, True]),
    "repeats": ([1, 10], [0, None]),
    "split": (["train", "val", "test", "all"], ["tests", None]),
}


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, (good, _) in EDGES.items() for value in good], ids=str
)
def test_a_value_on_the_right_side_of_an_edge(key, value):
    assert RULES[key].test(value)


@pytest.mark.parametrize(
    ("key", "value"), [(key, value) for key, (_, bad) in EDGES.items() for value in bad], ids=str
)
def test_a_value_on_the_wrong_side_of_an_edge(key, value):
    assert not RULES[key].test(value)


def test_every_rule_says_what_it_wants():
    for key, rule in RULES.items():
        assert rule.wants, key
        assert "\n" not in rule.wants


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("resnet18-last_k.2", "resnet18-last_k.2"),
        ("a b/c\\d:e", "a-b-c-d-e"),
        ("größe", "gr--e"),
        ("٣", "-"),
        ("", ""),
    ],
)
def test_a_name_keeps_only_what_any_file_system_takes(text, clean):
    assert clean_name(text) == clean
    assert clean_name(clean) == clean


def test_rules_are_told_in_words():
    assert whole(2).wants == "a whole number >= 2"
    assert one_of("a", 3).wants == "one of a, 3"
    assert or_null(number("> 0", lambda value: value > 0)).wants == "a number > 0, or null"
