"""Is the brightest place of a transformer's map the square that its answer hangs on? Ours and Grad-CAM.

`python experiments/heatmaps/squares.py`; three minutes on a core. The README has what it said.
"""

import numpy as np
import torch
from pytorch_grad_cam import GradCAM
from torch import Tensor, nn

from graft.backbones import timm_backbone
from graft.serve.heatmaps import Heatmaps, Margin, Watched

SIDE, SQUARE, STEPS, BATCH, TESTED = 160, 20, 160, 32, 200
# px beyond the square that still count, since a patch is 16 px.
NEAR = 4


def drawn(count: int, stream: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Noise with a square, red or green; which it is; and where, its top and left."""
    images = torch.randn(count, 3, SIDE, SIDE, generator=stream) * 0.5
    labels = torch.randint(0, 2, (count,), generator=stream)
    places = torch.randint(0, SIDE - SQUARE, (count, 2), generator=stream)
    for image, label, (top, left) in zip(images, labels.tolist(), places.tolist(), strict=True):
        image[0 if label else 1, top : top + SQUARE, left : left + SQUARE] += 1.5
    return images, labels, places


def main() -> None:
    """Train to tell red from green, then look at what is red."""
    torch.manual_seed(0)
    backbone = timm_backbone("test_vit", weights=None, image_size=SIDE)
    head = nn.Linear(backbone.width, 2)
    model = nn.Sequential(backbone, head).train()
    optimizer, stream = torch.optim.AdamW(model.parameters(), lr=1e-3), torch.Generator().manual_seed(1)
    for _ in range(STEPS):
        images, labels, _ = drawn(BATCH, stream)
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    model.eval()
    images, labels, places = drawn(TESTED, stream)
    with torch.no_grad():
        right = (model(images).argmax(1) == labels) & (labels == 1)
    images, places = images[right], places[right]
    heatmaps = Heatmaps(backbone, head, SIDE)
    (layer,) = heatmaps.layers
    ours = heatmaps.maps(images, [1] * len(images))
    watched = Watched(heatmaps._steps or [], layer.place, head)
    cam = GradCAM(watched, [watched.watched], reshape_transform=layer.layout)
    for name, maps in (("HiResCAM", ours), ("Grad-CAM", cam(images, [Margin(1)] * len(images)))):
        hits = sum(is_near(strength, *place) for strength, place in zip(maps, places.tolist(), strict=True))
        print(f"{name}: {hits} of {len(images)} brightest places on the square")


def is_near(strength: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]", top: int, left: int) -> bool:
    """Whether a map's maximum lies on the square, or a few px beside it."""
    row, column = np.unravel_index(int(strength.argmax()), strength.shape)
    return all(start - NEAR <= place < start + SQUARE + NEAR for place, start in ((row, top), (column, left)))


if __name__ == "__main__":
    main()
