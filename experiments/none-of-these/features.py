"""What backbones make of samples of each task's classes, and of samples of none of them.

Digits drawn in 16 fonts and letters drawn alike, to a small network that was trained on such digits; photos
of ants and bees, CIFAR-10 and blood smears to EfficientNet-Lite0 as it comes.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFont

import graft
from graft.backbones import timm_backbone
from graft.data import evaluation_transform
from graft.models import Bundle
from graft.sources import drawing

SIZE, BATCH = 128, 32
# Of each class of CIFAR-10, in the order of the files' names.
OF_CLASS = 80
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
# Those that pass for a digit where a glyph has 8 by 8 pixels.
LIKE_DIGITS = "BDGIOQSZ"
SIX = ("airplane", "bird", "deer", "dog", "frog", "ship")


class Task(NamedTuple):
    """Samples of some classes, and others.

    Attributes:
        features: `(N, D)`.
        labels: `(N,)`.
        unknown: name to features `(M, D)`.
        learnt: `(N,)` which samples a network learnt from; None: it learnt from others.
        head: features to logits, of that network; None: one is solved in each split.
    """

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    unknown: dict[str, NDArray[np.float32]]
    learnt: NDArray[np.bool_] | None = None
    head: torch.nn.Module | None = None


def tasks(data: Path, kept: Path) -> Iterator[tuple[str, Task]]:
    """Every task; what takes long is kept in the folder `kept`."""
    yield "digits", digits(kept)
    photos = {name: of_files(kept, name, files) for name, files in folders(data).items()}
    bees = np.concatenate([photos["ants"], photos["bees"]])
    of_bees = np.repeat([0, 1], [len(photos["ants"]), len(photos["bees"])])
    cifar = {
        name.removeprefix("cifar "): found for name, found in photos.items() if name.startswith("cifar ")
    }
    smears = photos["blood cells"]
    every = np.concatenate(list(cifar.values()))
    yield "ants and bees", Task(bees, of_bees, {"CIFAR-10": every[::2], "blood cells": smears})
    six = np.concatenate([cifar[name] for name in SIX])
    others = np.concatenate([found for name, found in cifar.items() if name not in SIX])
    of_six = np.repeat(np.arange(6), OF_CLASS)
    yield "six of CIFAR-10", Task(six, of_six, {"the other four": others, "blood cells": smears})
    yield (
        "CIFAR-10",
        Task(every, np.repeat(np.arange(10), OF_CLASS), {"ants and bees": bees, "blood cells": smears}),
    )


def folders(data: Path) -> dict[str, list[Path]]:
    """The files of each set."""
    bees = {name: sorted((data / "hymenoptera").glob(f"*/{name}/*.jpg")) for name in ("ants", "bees")}
    classes = sorted(path.name for path in (data / "cifar10/test").iterdir())
    cifar = {f"cifar {name}": sorted((data / "cifar10/test" / name).iterdir())[:OF_CLASS] for name in classes}
    return {**bees, **cifar, "blood cells": sorted((data / "blood_cells/images").iterdir())[:300]}


def of_files(kept: Path, name: str, files: Sequence[Path]) -> NDArray[np.float32]:
    """Features `(N, 1280)` of image files."""
    file = kept / f"{name}.npy"
    if not file.is_file():
        backbone = timm_backbone("tf_efficientnet_lite0", "package", image_size=SIZE).eval()
        transform: Any = evaluation_transform(backbone.preprocessing)
        images = [Image.open(path).convert("RGB") for path in files]
        np.save(
            file,
            np.concatenate([found for found, _ in passed(backbone, torch.nn.Identity(), transform, images)]),
        )
    found: NDArray[np.float32] = np.load(file)
    return found


@torch.inference_mode()
def passed(
    backbone: Any, head: torch.nn.Module, transform: Any, images: Sequence[Image.Image]
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Features and logits, batch by batch."""
    for start in range(0, len(images), BATCH):
        given = torch.stack([transform(image) for image in images[start : start + BATCH]])
        features = backbone(given)
        yield features.numpy(), head(features).numpy()


def digits(kept: Path) -> Task:
    """Glyphs, of which a small network learnt from some; letters of the same fonts, drawn as they are."""
    path = kept / "digits"
    if not (path / "metrics.json").is_file():
        words = ["data=glyphs", "data.size=4000", "trainer.max_epochs=10", "trainer=cpu", "logger=none"]
        graft.train([*words, "data.val_fraction=0.25", "data.test_fraction=0.25", f"hydra.run.dir={path}"])
    bundle = graft.load(path)
    samples = drawing.glyphs(4000).samples
    images = [samples[index].convert("RGB") for index in range(len(samples))]
    assert bundle.seen is not None
    learnt = np.array([samples.identity(index) in bundle.seen.train for index in range(len(samples))])
    letters = [letter for letter in LETTERS if letter not in LIKE_DIGITS]
    unknown = {
        "all 26 letters": of_glyphs(bundle, drawn_letters(LETTERS, 520)),
        "18 letters": of_glyphs(bundle, drawn_letters("".join(letters), 520)),
    }
    return Task(of_glyphs(bundle, images), samples.labels, unknown, learnt, bundle.head)


def of_glyphs(bundle: Bundle, images: Sequence[Image.Image]) -> NDArray[np.float32]:
    """Features `(N, 84)`."""
    batches = passed(bundle.backbone, torch.nn.Identity(), bundle.transform, images)
    return np.concatenate([found for found, _ in batches])


def drawn_letters(letters: str, count: int) -> list[Image.Image]:
    """Letters, one after the other, drawn and warped as `data=glyphs` draws and warps digits."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    masters = np.stack(
        [
            [
                drawing._master(
                    ImageFont.truetype(
                        str(folder / f"{name}.ttf"), drawing._MASTER, layout_engine=ImageFont.Layout.BASIC
                    ),
                    letter,
                )
                for letter in letters
            ]
            for name in drawing._FONTS
        ]
    )
    pixels = drawing._draw(masters, np.arange(count) % len(letters), 0, 1)
    return [Image.fromarray(one).convert("RGB") for one in pixels]
