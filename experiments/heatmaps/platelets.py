"""Does what the network looked at lie where the thing is that it was asked for? Platelets on blood smears.

`python experiments/heatmaps/platelets.py BLOOD_CELLS WORK [words]`, words for `graft train`; the README has
what it said.
"""

import csv
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.stats import binomtest
from torch import Tensor

from graft import train
from graft.models import load_bundle
from graft.serve.heatmaps import Heatmaps

# px of a side that the network sees, and of the picture whose centre that is (the backbone's own ratio).
SIDE, WHOLE = 320, 366
CLASSES = ("none", "platelets")
Box = tuple[float, float, float, float]
# Images and labels to maps.
Maps = Callable[[Tensor, Sequence[int]], Any]


def main() -> None:
    """Train, then compare each map's maximum with the boxes."""
    source, work = Path(sys.argv[1]), Path(sys.argv[2])
    rows = list(csv.DictReader((source / "counts.csv").open(encoding="utf-8")))
    prepare(source, work, rows)
    run = work / "run"
    if not run.exists():
        words = [f"data.file={work / 'labels.csv'}", f"data.root={work}", f"backbone.image_size={SIDE}"]
        words += ["data=csv", "backbone=efficientnet_lite0", "trainer=cpu", f"hydra.run.dir={run}"]
        train([*words, *sys.argv[3:]])
    boxes = boxes_of(source)
    bundle = load_bundle(run)
    tested = [row["path"] for row in rows if row["split"] == "test" and int(row["platelets"])]
    said = bundle.predict([work / path for path in tested])
    right = [path for path, one in zip(tested, said, strict=True) if one.label == CLASSES[1]]
    area = float(np.mean([mask_of(boxes[path]).mean() for path in right]))
    print(
        f"{len(right)} of {len(tested)} test images with platelets are told; boxes cover {area:.2%} of these"
    )
    heatmaps = Heatmaps(bundle.backbone, bundle.head, SIDE)
    inputs = [bundle.finished([bundle.prepare(work / path)]) for path in right]
    label = bundle.class_names.index(CLASSES[1])
    for name, maps in ways(heatmaps, SIDE):
        hits = 0
        for path, images in zip(right, inputs, strict=True):
            (strength,) = maps(images, [label])  # type: ignore[arg-type]
            hits += bool(mask_of(boxes[path])[np.unravel_index(int(strength.argmax()), strength.shape)])
        print(f"{name}: {told(hits, len(right))}, {hits / len(right) / area:.1f} times the boxes' share")


def ways(heatmaps: Heatmaps, side: int) -> Iterator[tuple[str, Maps]]:
    """What makes maps of the layers of up to 40 places a side, each alone; and of those that are taken."""
    for layer in heatmaps.of_use(side):
        if layer.side <= 40:
            yield f"{layer.side:3}² places", partial(heatmaps.maps_at, layer)
    yield f"as graft serve, {' x '.join(f'{layer.side}²' for layer in heatmaps.layers)}", heatmaps.maps


def told(hits: int, count: int) -> str:
    """Hits as a share with Wilson's interval."""
    low, high = binomtest(hits, count).proportion_ci(method="wilson")
    return f"{hits} of {count}, {hits / count:.0%} ({low:.0%} to {high:.0%})"


def prepare(source: Path, work: Path, rows: list[dict[str, str]]) -> None:
    """Write each image so that the network's crop is the whole of it, and the labels beside."""
    if (work / "labels.csv").exists():
        return
    (work / "images").mkdir(parents=True)
    for row in rows:
        with Image.open(source / row["path"]) as image:
            canvas = Image.new("RGB", (WHOLE, WHOLE), "white")
            canvas.paste(image.convert("RGB").resize((SIDE, SIDE)), ((WHOLE - SIDE) // 2,) * 2)
        canvas.save(work / row["path"], quality=95)
    with (work / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label", "split"])
        for row in rows:
            writer.writerow([row["path"], CLASSES[int(row["platelets"]) > 0], row["split"]])


def boxes_of(source: Path) -> dict[str, list[Box]]:
    """Of each image its platelets, in px of what the network sees."""
    found: dict[str, list[Box]] = defaultdict(list)
    for row in csv.DictReader((source / "boxes.csv").open(encoding="utf-8")):
        if row["cell"] == "platelet":
            left, right = (float(row[key]) * SIDE / 640 for key in ("xmin", "xmax"))
            top, bottom = (float(row[key]) * SIDE / 480 for key in ("ymin", "ymax"))
            found[row["path"]].append((left, top, right, bottom))
    return found


def mask_of(boxes: list[Box]) -> "np.ndarray[tuple[int, ...], np.dtype[np.bool_]]":
    """Where the boxes are, `(SIDE, SIDE)`."""
    mask = np.zeros((SIDE, SIDE), bool)
    for left, top, right, bottom in boxes:
        mask[int(top) : int(np.ceil(bottom)), int(left) : int(np.ceil(right))] = True
    return mask


if __name__ == "__main__":
    main()
