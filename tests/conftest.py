"""Small real runs that several tests look at, made once."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

# Before torch is imported anywhere: tests that share cores run faster on one thread each.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the tests, and the processes that they start, out of the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAFT_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of small images, a folder a class: what is reddish, greenish, bluish; no parts."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for channel, name in enumerate(("red", "green", "blue")):
        (root / name).mkdir()
        for index in range(12):
            pixels = rng.integers(0, 120, (40, 48, 3), dtype=np.uint8)
            pixels[..., channel] += 120
            Image.fromarray(pixels).save(root / name / f"{index:02d}.png")
    return root


@pytest.fixture(scope="session")
def trained(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of two epochs on `photos`."""
    import graft

    path = tmp_path_factory.mktemp("runs") / "run"
    words = ["data=image_folder", f"data.root={photos}", "data.batch_size=8", "trainer.max_epochs=2"]
    return graft.train([*words, "trainer=cpu", f"hydra.run.dir={path}"]).path
