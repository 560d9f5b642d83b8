"""The small LeNet-like network, for pictures of about 32 pixels and for trying things out in seconds."""

from torch import nn

from graft.backbones.backbone import Backbone
from graft.backbones.preprocessing import Preprocessing
from graft.backbones.weight_files import recorded_preprocessing
from graft.backbones.weights import load_weights
from graft.errors import GraftError

SMALLEST = 16


def simple_cnn(
    weights: str | None = None,
    image_size: int = 32,
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5),
    std: tuple[float, float, float] = (0.5, 0.5, 0.5),
) -> Backbone:
    """Two convolutions with pooling and two dense layers; 84 features.

    Args:
        weights: a file or folder to load (see `load_weights`); None starts from PyTorch's default
            initialisation.
        image_size: height and width of the input; fixes the size of the first dense layer.
        mean: subtracted from each channel. A bundle in `weights` brings its own preprocessing instead.
        std: divided by.

    Raises:
        GraftError: the images are too small for two convolutions and poolings, or the weights do not fit.
    """
    if image_size < SMALLEST:
        raise GraftError(
            f"backbone.image_size={image_size} is below {SMALLEST}, the smallest simple_cnn takes"
        )
    # Each convolution takes 4 pixels off a side, each pooling halves it.
    side = ((image_size - 4) // 2 - 4) // 2
    stages = {
        "conv1": nn.Sequential(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
        "conv2": nn.Sequential(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
        "dense1": nn.Sequential(nn.Flatten(), nn.Linear(16 * side * side, 120), nn.ReLU()),
        "dense2": nn.Sequential(nn.Linear(120, 84), nn.ReLU()),
    }
    given = Preprocessing(image_size, image_size, mean=mean, std=std)
    recorded = recorded_preprocessing(weights) if weights else None
    backbone = Backbone(stages, 84, recorded or given)
    if weights:
        load_weights(backbone, weights)
    return backbone
