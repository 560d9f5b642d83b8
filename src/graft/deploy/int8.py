"""An ONNX network in whole numbers of 8 bits, and whether it is as good as the one in floats."""

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from graft.deploy.closed import Said
from graft.deploy.files import metadata_of
from graft.deploy.gate import Reference
from graft.errors import GraftError
from graft.evaluation.intervals import paired_ends
from graft.models.known import Known, Settings, fit_settings
from graft.runs.files import whole

NAME = "model.int8.onnx"
# Training images that the ranges of activations are taken from.
CALIBRATED = 256
# Most that accuracy may fall by.
FALL = 0.01
Floats = NDArray[np.float32]


class Kept(NamedTuple):
    """What is left of the accuracy, on N validation images that can be read.

    Attributes:
        images: N.
        float_accuracy: of the run.
        accuracy: of the network in 8 bits.
        fall: how far it falls; negative where it rises.
        interval: of the fall, 95 %, by the images that both were asked of.
    """

    images: int
    float_accuracy: float
    accuracy: float
    fall: float
    interval: tuple[float, float]


def check_dynamic(network: nn.Module) -> None:
    """Refuse to quantize a network dynamically that has convolutions: that way is for matrix products.

    A convolution that cuts an image into patches, its kernel as wide as its stride, is one of these.

    Raises:
        GraftError: there is another convolution.
    """
    for name, module in network.named_modules():
        if isinstance(module, nn.Conv2d) and module.kernel_size != module.stride:
            kind = "depthwise convolutions" if module.groups > 1 else "convolutions"
            raise GraftError(
                f"int8=dynamic is for networks of linear layers, and this one has {kind}, such as {name}; "
                "give int8=static"
            )


def quantize_static(file: Path, to: Path, batches: Iterator[Floats]) -> None:
    """Write a network with weights and activations in 8 bits, per channel, as Quantize and Dequantize pairs.

    Args:
        file: the network in floats, an ONNX file.
        to: the file to write.
        batches: `(B, 3, H, W)` of training images, which the ranges of activations are taken from.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType
    from onnxruntime.quantization import quantize_static as quantize

    class Batches(CalibrationDataReader):
        def get_next(self) -> dict[str, Floats] | None:
            batch = next(batches, None)
            return None if batch is None else {"images": batch}

    with _prepared(file) as prepared, whole(to) as part:
        quantize(
            prepared,
            part,
            Batches(),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
        )


def quantize_dynamic(file: Path, to: Path) -> None:
    """Write a network with the weights of its matrix products in 8 bits; activations follow when it runs."""
    from onnxruntime.quantization import QuantType
    from onnxruntime.quantization import quantize_dynamic as quantize

    with _prepared(file) as prepared, whole(to) as part:
        quantize(prepared, part, ["MatMul", "Gemm"], per_channel=True, weight_type=QuantType.QInt8)


@contextmanager
def _prepared(file: Path) -> Iterator[Path]:
    """A network with its shapes inferred, and BatchNorm folded into the convolutions before it."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    root = logging.getLogger()
    with tempfile.TemporaryDirectory() as scratch:
        target, level = Path(scratch) / "prepared.onnx", root.level
        # It advises on the root logger of what was done just here.
        root.setLevel(logging.ERROR)
        try:
            quant_pre_process(str(file), str(target), skip_symbolic_shape=True)
            yield target
        finally:
            root.setLevel(level)


def kept(known: Reference, said: Said, labels: Mapping[str, str]) -> Kept:
    """What 8 bits leave of the accuracy, where it is enough.

    Args:
        known: what the run says of validation images.
        said: what `predict.py` says of them with the network in 8 bits.
        labels: the true class of each by its path.

    Raises:
        GraftError: accuracy falls by more than `FALL`, or one side alone could read an image.
    """
    if said.names != known.names:
        raise GraftError("int8 is refused: other validation images were read than by the run")
    before = np.array([label == labels[name] for name, label in zip(known.names, known.labels, strict=True)])
    after = np.array([label == labels[name] for name, label in zip(said.names, said.labels, strict=True)])
    fall = float(before.mean() - after.mean())
    result = Kept(len(before), float(before.mean()), float(after.mean()), fall, paired_ends(before, after))
    # A fall of just so much is none too many, whatever the last digit.
    if fall > FALL + 1e-9:
        raise GraftError(f"int8 is refused: {told(result)}; at most {100 * FALL:g} may be")
    return result


def settings_anew(
    known: Known, said: Said, labels: Mapping[str, str], class_names: Sequence[str]
) -> Settings:
    """By what the network in 8 bits tells what it knows: its features and logits are not those of the floats.

    Args:
        known: of the run; its score and what that remembers stay.
        said: what `predict.py` says of validation images with the network in 8 bits.
        labels: the true class of each by its path.
        class_names: of the run.
    """
    old, features, logits = known.settings, torch.from_numpy(said.features), torch.from_numpy(said.logits)
    true = np.array([class_names.index(labels[name]) for name in said.names])
    scores = known.scores(features, logits)
    return fit_settings(old.score, old.neighbours, scores, logits, true, old.temperature)


def write_metadata(file: Path, card: Mapping[str, object]) -> None:
    """Write the card into the metadata of an ONNX file, in the place of the one that it was made from."""
    import onnx

    model = onnx.load(file)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, metadata_of(card))
    with whole(file) as part:
        onnx.save(model, part)


def told(kept: Kept) -> str:
    """The accuracy in 8 bits as a clause."""
    low, high = (100 * end for end in kept.interval)
    on = f"on {kept.images:,} validation images, {kept.float_accuracy:.4f} in floats"
    change = f"{100 * abs(kept.fall):.2f} points {'less' if kept.fall >= 0 else 'more'}"
    return f"accuracy {kept.accuracy:.4f} {on}: {change} (95 % interval of the fall {low:.2f} to {high:.2f})"
