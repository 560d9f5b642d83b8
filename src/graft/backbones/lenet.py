"""The small LeNet-like network, for pictures of about 32 pixels and for trying things out in seconds."""

from torch import nn

from graft.backbones.backbone import Backbone
from graft.backbones.preprocessing import Preprocessing
from graft.backbones.weight_files import Weights, read_weights
from graft.backbones.weights import load_weights
from graft.errors import GraftError

SMALLEST = 16
POOLINGS: dict[str, type[nn.Module]] = {"max": nn.MaxPool2d, "avg": nn.AvgPool2d}


def simple_cnn(
    weights: str | Weights | None = None,
    image_size: int = 32,
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5),
    std: tuple[float, float, float] = (0.5, 0.5, 0.5),
    pooling: str = "max",
    sha256: str | None = None,
) -> Backbone:
    """Two convolutions with pooling and two dense layers; 84 features.

    Args:
        weights: a file or folder to load (see `load_weights`), or what was read from it; None starts from
            PyTorch's default initialisation.
        image_size: height and width of the input; fixes the size of the first dense layer.
        mean: subtracted from each channel. A bundle in `weights` brings its own preprocessing instead.
        std: divided by.
        pooling: `max`, or `avg` as in LeNet itself. It has no weights of its own, so a bundle in `weights`
            must have been trained with the same.
        sha256: of a file or an address in `weights` (see `read_weights`).

    Raises:
        GraftError: the images are too small for two convolutions and poolings, there is no such pooling, or
            the weights do not fit.
    """
    if image_size < SMALLEST:
        raise GraftError(
            f"backbone.image_size={image_size} is below {SMALLEST}, the smallest simple_cnn takes"
        )
    if pooling not in POOLINGS:
        raise GraftError(f"backbone.pooling={pooling} is none of {', '.join(POOLINGS)}")
    source = read_weights(weights, sha256) if weights else None
    if source is not None:
        _check_pooling(pooling, source)
    pool = POOLINGS[pooling]
    # Each convolution takes 4 pixels off a side, each pooling halves it.
    side = ((image_size - 4) // 2 - 4) // 2
    stages = {
        "conv1": nn.Sequential(nn.Conv2d(3, 6, 5), nn.ReLU(), pool(2)),
        "conv2": nn.Sequential(nn.Conv2d(6, 16, 5), nn.ReLU(), pool(2)),
        "dense1": nn.Sequential(nn.Flatten(), nn.Linear(16 * side * side, 120), nn.ReLU()),
        "dense2": nn.Sequential(nn.Linear(120, 84), nn.ReLU()),
    }
    given = Preprocessing(image_size, image_size, mean=mean, std=std)
    recorded = None if source is None else source.preprocessing()
    backbone = Backbone(stages, 84, recorded or given)
    if source is not None:
        load_weights(backbone, source)
    return backbone


def _check_pooling(pooling: str, weights: Weights) -> None:
    source = (weights.description or {}).get("backbone") or {}
    if source.get("_target_") != "graft.backbones.simple_cnn":
        return
    # Old bundles, from before there was a choice, do not record it.
    if (trained := source.get("pooling", "max")) != pooling:
        raise GraftError(
            f"backbone.pooling={pooling}, but {weights.origin} was trained with {trained}; "
            f"give backbone.pooling={trained}"
        )
