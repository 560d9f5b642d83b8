"""What moving BatchNorm's running statistics alone costs, by batches seen, at two sizes of image.

    PYTHONPATH=experiments/fine-tuning python moved.py TASKS

Nothing trains: a copy of EfficientNet-Lite0 sees batches of 27 ants and bees in training mode, then a head is
solved on what it gives in evaluation mode. A row a draw, size and number of batches in `moved.csv`.
"""

import copy
import sys
from pathlib import Path
from typing import Any

import torch
from lite import solved_head
from tuning import judged, read, run

from graft.backbones import timm_backbone
from graft.runs.files import read_csv, write_csv

FILE = Path(__file__).with_name("moved.csv")
SIZES, BATCHES, DRAWS = (96, 224), (0, 10, 30), 3


def main(tasks: Path) -> None:
    """Every draw and size; what is there is not done again."""
    rows: list[dict[str, Any]] = list(read_csv(FILE)) if FILE.exists() else []
    for draw in range(DRAWS):
        for size in SIZES:
            trained = timm_backbone("tf_efficientnet_lite0", "package", image_size=size)
            trained = trained.to(memory_format=torch.channels_last)
            if any((int(row["draw"]), int(row["image_size"])) == (draw, size) for row in rows):
                continue
            data = read(tasks, "photos", draw, trained)
            backbone, seen = copy.deepcopy(trained), 0
            torch.manual_seed(draw)
            found = []
            while seen <= max(BATCHES):
                for places in torch.randperm(len(data.train[1])).tensor_split(3):
                    if seen in BATCHES:
                        head = solved_head(backbone, data)
                        backbone.eval()
                        tested = judged(head(run(backbone, data.test[0])), data.test[1])
                        known = {"image_size": size, "draw": draw, "batches": seen}
                        found.append(known | {f"test/{name}": value for name, value in tested.items()})
                    backbone.train()
                    with torch.no_grad():
                        backbone(data.train[0][places])
                    seen += 1
            rows += found
            write_csv(FILE, rows)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
