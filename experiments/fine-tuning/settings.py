"""What is tried: pairs of a network and a task, and the settings of each stage."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Pair:
    """A network with its source's weights, and a task with a number of labelled images a class."""

    network: str
    manifest: str


@dataclass(frozen=True)
class Stage:
    """Settings, each some words for `graft train`, on pairs; `kind` is the manifests' folder."""

    settings: dict[str, list[str]]
    pairs: list[str]
    kind: str = "search"


# Backbone's words; weights are below the folder of sources, or a package's.
NETWORKS = {
    "glyphs": ("simple_cnn", "glyphs", None),
    "cifar": ("simple_cnn", "cifar10", None),
    "resnet": ("small_resnet", "resnet", None),
    "squeezenet": ("squeezenet1_0", "squeezenet1_0.pth", {"photos": 96, "cifar": 64}),
    "lite0": ("efficientnet_lite0", "package", {"photos": 96, "cifar": 64}),
}
# Large networks are judged on every fourth development image: they are slow.
JUDGED_EVERY = {"squeezenet/cifar-10": 4, "lite0/cifar-10": 4}
SMALL = [
    "glyphs/digits-5", "glyphs/digits-40", "glyphs/usps-10",
    "cifar/mnist-10", "cifar/cifar-10", "cifar/cifar-100",
    "resnet/cifar-10", "resnet/cifar-100", "resnet/usps-10", "resnet/mnist-10",
]  # fmt: skip
LARGE = ["squeezenet/photos-20", "squeezenet/cifar-10", "lite0/photos-20", "lite0/cifar-10"]
PAIRS = {name: Pair(*name.split("/")) for name in [*SMALL, *LARGE, "squeezenet/photos-60", "lite0/photos-60"]}

RATES = {
    f"lr{lr}-head{head}": [f"optimizer.lr={lr}", f"optimizer.head_lr={head}"]
    for lr, head in [
        ("1e-4", "3e-3"), ("3e-4", "3e-3"), ("1e-3", "3e-3"), ("3e-3", "3e-3"),
        ("1e-4", "1e-2"), ("3e-4", "1e-2"), ("1e-3", "1e-2"), ("3e-3", "1e-2"),
        ("1e-4", "1e-3"), ("3e-4", "1e-3"), ("1e-3", "1e-3"),
    ]
}  # fmt: skip

# One thing changed at a time, from the rates that the first stage chose.
CHOSEN = ["optimizer.lr=3e-4", "optimizer.head_lr=1e-2"]
SHIFT = ["augment=crop", "augment.crop_padding=2", "augment.horizontal_flip=0"]
CHANGES = {
    "chosen": [],
    "today": [],
    "5 epochs": ["trainer.max_epochs=5"],
    "20 epochs": ["trainer.max_epochs=20"],
    "40 epochs": ["trainer.max_epochs=40"],
    "layer_decay .75": ["optimizer.layer_decay=0.75"],
    "layer_decay .5": ["optimizer.layer_decay=0.5"],
    "smoothing .1": ["loss.label_smoothing=0.1"],
    "weight_decay .1": ["optimizer.weight_decay=0.1"],
    "no warm-up": ["scheduler.warmup_epochs=0"],
    "warm-up 2": ["scheduler.warmup_epochs=2"],
    "shifted crops": SHIFT,
    "batches of 8": ["data.batch_size=8"],
    "freeze_unfreeze 1": ["freeze=freeze_unfreeze", "freeze.at=1"],
    "freeze_unfreeze 3": ["freeze=freeze_unfreeze", "freeze.at=3"],
}
REST = {name: [*(CHOSEN if name != "today" else []), *words] for name, words in CHANGES.items()}
NORMS = {f"norm {name}": [*CHOSEN, f"freeze.norm={name}"] for name in ("train", "affine", "frozen")}

# Validation is judged once, at the end; nothing is tested.
SEARCHING = ["test=false", "callbacks=none", "trainer.check_val_every_n_epoch=${trainer.max_epochs}"]

STAGES = {
    "rates": Stage(RATES, SMALL),
    "rest": Stage(REST, SMALL),
    "norms": Stage(NORMS, [pair for pair in SMALL if pair.startswith("resnet")]),
    "large_rates": Stage(
        {
            name: RATES[name]
            for name in ("lr1e-4-head3e-3", "lr3e-4-head3e-3", "lr3e-4-head1e-2", "lr1e-3-head1e-2")
        },
        LARGE,
    ),
    "final": Stage({"today": RATES["lr1e-4-head3e-3"], "chosen": CHOSEN}, [*SMALL, *LARGE], "final"),
}


def place_of(weights: str, sources: Path) -> str:
    """Where a network's weights are, as `backbone.weights` says it."""
    return weights if weights == "package" else str(sources / weights)


def words_of(pair: str, stage: Stage, draw: int, tasks: Path, sources: Path) -> list[str]:
    """The words for `graft train` that every setting of a stage shares."""
    backbone, weights, sizes = NETWORKS[PAIRS[pair].network]
    manifest = PAIRS[pair].manifest
    size = [f"backbone.image_size={sizes[manifest.split('-')[0]]}"] if sizes else []
    return [
        "data=csv",
        f"data.root={tasks}",
        f"data.file={tasks / stage.kind / f'{manifest}-{draw}.csv'}",
        f"backbone={backbone}",
        f"backbone.weights={place_of(weights, sources)}",
        *size,
        "freeze=full",
        # Not the source's: a head of as many classes would begin as the source's did, and fit its features.
        f"seed={100 + draw}",
        "trainer=cpu",
        "logger=none",
        *(SEARCHING if stage.kind == "search" else []),
    ]
