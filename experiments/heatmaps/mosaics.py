"""Does the map find the one bee among three ants? Mosaics of two by two photographs, a class asked for.

`python experiments/heatmaps/mosaics.py PHOTOS WORK [words]`, words for `graft train`; `PHOTOS` holds
`{train,val}/<class>/` of two classes. The README has what it said.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from platelets import told, ways
from torch import Tensor
from torch.nn.functional import interpolate

from graft import train
from graft.models import load_bundle
from graft.serve.heatmaps import Heatmaps

# px of a side of a photograph in its mosaic, and mosaics a class.
CELL, MOSAICS = 128, 50


def main() -> None:
    """Train, then count in how many mosaics the map's maximum lies in the photograph that was asked for."""
    photos, work = Path(sys.argv[1]), Path(sys.argv[2])
    run = work / "run"
    if not run.exists():
        words = [f"data.root={photos}", "data=image_folder", "backbone=efficientnet_lite0", "trainer=cpu"]
        train([*words, f"hydra.run.dir={run}", *sys.argv[3:]])
    bundle = load_bundle(run)
    tested = sorted((photos / "val").rglob("*.jpg"))
    said = bundle.predict(tested)
    of: list[list[Path]] = [[], []]
    for path, one in zip(tested, said, strict=True):
        if one.label == path.parent.name and one.probability > 0.9:
            of[bundle.class_names.index(one.label)].append(path)
    print(f"{len(of[0])} and {len(of[1])} of {len(tested)} photographs are told right with 90 % or more")
    stream = np.random.default_rng(0)
    mosaics, places, labels = [], [], []
    for label in (0, 1):
        for _ in range(MOSAICS):
            place = int(stream.integers(4))
            paths = [of[label if cell == place else 1 - label] for cell in range(4)]
            drawn = [bundle.prepare(some[stream.integers(len(some))]) for some in paths]
            photographs = bundle.finished(drawn)
            assert isinstance(photographs, Tensor)
            cells = interpolate(photographs, (CELL, CELL), mode="bilinear", antialias=True)
            mosaics.append(torch.cat([torch.cat([*cells[:2]], 2), torch.cat([*cells[2:]], 2)], 1))
            places.append(place)
            labels.append(label)
    images = torch.stack(mosaics)
    heatmaps = Heatmaps(bundle.backbone, bundle.head, 2 * CELL)
    for name, make in ways(heatmaps, 2 * CELL):
        parts = (slice(start, start + 10) for start in range(0, len(images), 10))
        maps = np.concatenate([make(images[part], labels[part]) for part in parts])
        quarters = maps.reshape(-1, 2, CELL, 2, CELL).transpose(0, 1, 3, 2, 4).reshape(len(maps), 4, -1)
        hits = int((quarters.max(2).argmax(1) == places).sum())
        held = quarters.sum(2)[np.arange(len(maps)), places] / np.maximum(quarters.sum((1, 2)), 1e-9)
        print(f"{name}: {told(hits, len(maps))}; {held.mean():.0%} of the map's strength lies there")


if __name__ == "__main__":
    main()
