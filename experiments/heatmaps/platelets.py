"""Does what the network looked at lie where the thing is that it was asked for? Platelets on blood smears.

`python experiments/heatmaps/platelets.py BLOOD_CELLS WORK [words]`, words for `graft train`; the README has
what it said.
"""

import csv
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.stats import binomtest

from graft import train
from graft.models import load_bundle
from graft.serve.heatmaps import Heatmaps, Layer

# px of a side that the network sees, and of the picture whose centre that is (the backbone's own ratio).
SIDE, WHOLE = 320, 366
CLASSES = ("none", "platelets")
Box = tuple[float, float, float, float]


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
    assert heatmaps.layer is not None
    chosen = heatmaps.layer
    inputs = [bundle.prepare(work / path) for path in right]
    label = bundle.class_names.index(CLASSES[1])
    print("layer  places  hits  share (95 %)  times the boxes' share")
    for layer in candidates(heatmaps, chosen):
        heatmaps.layer = layer
        hits = 0
        for path, prepared in zip(right, inputs, strict=True):
            nothing = np.zeros(1, np.int64)
            images = bundle.transform.finish([prepared], None, nothing, nothing)
            (strength,) = heatmaps.maps(images, [label])  # type: ignore[arg-type]
            hits += bool(mask_of(boxes[path])[np.unravel_index(int(strength.argmax()), strength.shape)])
        share, (low, high) = hits / len(right), binomtest(hits, len(right)).proportion_ci(method="wilson")
        mark = "*" if layer == chosen else " "
        name = f"{layer.place:5}{mark} {layer.side:4}²"
        print(f"{name}  {hits:4}  {share:.0%} ({low:.0%} to {high:.0%})  {share / area:.1f}")


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


def candidates(heatmaps: Heatmaps, chosen: Layer) -> list[Layer]:
    """The layer that is chosen, and the last of each finer grid before it."""
    layers: dict[int, Layer] = {}
    for layer in heatmaps._layers(SIDE):
        if layer.place <= chosen.place and layer.layout is chosen.layout and chosen.side <= layer.side <= 40:
            layers.setdefault(layer.side, layer)
    return list(layers.values())


if __name__ == "__main__":
    main()
