"""The bundle: what a run leaves for use. Weights as safetensors, the rest as YAML; nothing is unpickled."""

import math
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from graft.backbones import Preprocessing
from graft.backbones.weight_files import read_safetensors
from graft.configuration.building import build, build_later, check_trusted, one_line, with_todays_names
from graft.data import evaluation_transform, read_image, to_rgb
from graft.data.levels import AllLevels, levels_from
from graft.errors import GraftError
from graft.evaluation.calibration import probabilities_of
from graft.processes.host import plain_torch
from graft.runs.bundles import DESCRIPTION, WEIGHTS, bundle_folder
from graft.runs.files import whole, write_yaml
from graft.runs.seen import Seen, read_seen

SEEN = "seen.csv"


@dataclass(frozen=True)
class Prediction:
    """What the model says of one image.

    Attributes:
        label: the most probable class.
        probability: its probability.
        probabilities: class name to probability, in the order of the model's classes.
    """

    label: str
    probability: float
    probabilities: dict[str, float]


@dataclass(frozen=True)
class HowTested:
    """What the last digits of a test depend on, so that a later test can give the same ones.

    Attributes:
        batch_size: images at a time.
        precision: Lightning's word for it.
        channels_last: whether images were laid out as NHWC.
    """

    batch_size: int = 32
    precision: Any = "32-true"
    channels_last: bool = False


class Bundle:
    """A trained backbone and head, ready for use on images.

    Attributes:
        model: images `(N, 3, H, W)`, preprocessed, to logits `(N, C)`; in evaluation mode. Its submodules
            are `backbone` and `head`.
        class_names: the C classes, in the order of the logits.
        preprocessing: how an image becomes the model's input.
        tested: how the run tested it.
        temperature: what logits are divided by before the softmax; 1 unless it was fitted.
        levels: which values were black and white in its images of more than 8 bits; None: it had none.
        seen: the images that it learnt from, or was chosen by; None where that was not recorded.
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        class_names: Sequence[str],
        preprocessing: Preprocessing,
        tested: HowTested,
        temperature: float = 1.0,
        levels: AllLevels | None = None,
        seen: Seen | None = None,
    ) -> None:
        self.model = nn.Sequential(OrderedDict(backbone=backbone, head=head)).eval()
        self.class_names = list(class_names)
        self.preprocessing = preprocessing
        self.tested = tested
        self.temperature = temperature
        self.levels = levels
        self.seen = seen
        self.transform = evaluation_transform(preprocessing)

    @torch.inference_mode()
    def probabilities(self, images: Tensor) -> Tensor:
        """Preprocessed images `(N, 3, H, W)` to probabilities `(N, C)`, float32."""
        weight = next(self.model.parameters())
        logits = self.model(images.to(weight.device, weight.dtype)).float().cpu()
        return probabilities_of(logits, self.temperature)

    def predict(
        self, images: str | Path | Image.Image | Sequence[str | Path | Image.Image], batch_size: int = 32
    ) -> list[Prediction]:
        """Predict paths or PIL images, one or many; always a list, in the same order.

        Raises:
            GraftError: an image cannot be read; the message names it.
        """
        if isinstance(images, str | Path | Image.Image):
            images = [images]
        found: list[Prediction] = []
        with plain_torch():
            for start in range(0, len(images), batch_size):
                batch = [self._prepare(image) for image in images[start : start + batch_size]]
                found += [self.named(row) for row in self.probabilities(torch.stack(batch))]
        return found

    def named(self, probabilities: Tensor) -> Prediction:
        """Probabilities `(C,)` of one image as a `Prediction`."""
        values = dict(zip(self.class_names, probabilities.tolist(), strict=True))
        best = max(values, key=values.__getitem__)
        return Prediction(best, values[best], values)

    def _prepare(self, image: str | Path | Image.Image) -> Tensor:
        if isinstance(image, Image.Image):
            read = to_rgb(image, self.levels)
        else:
            read = read_image(Path(image), levels=self.levels)
        tensor: Tensor = self.transform(read)
        return tensor


def save_bundle(folder: Path, bundle: Bundle, config: dict[str, Any]) -> None:
    """Write `model.safetensors`, `model.yaml` and, where it is known, `seen.csv` into `folder`.

    Args:
        folder: is made where it is missing.
        bundle: the trained model.
        config: the run's resolved configuration; its `backbone` and `head` nodes rebuild the model.
    """
    state = {key: value.detach().cpu().contiguous() for key, value in bundle.model.state_dict().items()}
    with whole(folder / WEIGHTS) as part:
        save_file(state, part)
    if bundle.seen is not None:
        bundle.seen.write(folder / SEEN)
    # The weights are in the file beside this one, so nothing must be fetched to load it.
    description = {
        "backbone": {**config["backbone"], **({"weights": None} if "weights" in config["backbone"] else {})},
        "head": config["head"],
        "preprocessing": bundle.preprocessing.to_dict(),
        "class_names": bundle.class_names,
        "tested": asdict(bundle.tested),
        "temperature": bundle.temperature,
        "levels": None if bundle.levels is None else {k: list(v) for k, v in bundle.levels.items()},
        "trained_from": config["backbone"].get("weights"),
    }
    write_yaml(folder / DESCRIPTION, description)


def load_bundle(path: str | Path, trust: Iterable[str] = ()) -> Bundle:
    """Load a bundle, or a run folder's, on the CPU; needs nothing else.

    Args:
        path: a bundle or a run folder.
        trust: packages of your own that the model's backbone or head come from.

    Raises:
        GraftError: there is no bundle, its files do not fit, or it names code that is not trusted.
    """
    folder = bundle_folder(path)
    file = folder / DESCRIPTION
    parts = read_description(file)
    check_trusted(parts, trust, str(file))
    try:
        state = read_safetensors(folder / WEIGHTS)
    except SafetensorError as error:
        raise GraftError(f"{folder / WEIGHTS} is damaged: {one_line(error)}") from error
    except OSError as error:
        # Of what this user may not read safetensors says that there is no such file.
        raise GraftError(f"{folder / WEIGHTS} cannot be read ({one_line(error)})") from error
    backbone = build(with_weights_of(folder, parts["backbone"]), "backbone")
    names = [str(name) for name in parts["class_names"]]
    head = build_later(parts["head"], "head")(backbone.width, len(names))
    preprocessing = Preprocessing.from_dict(parts["preprocessing"])
    # Bundles of older versions have none.
    temperature = parts.get("temperature", 1.0)
    tested, levels, seen = HowTested(**parts["tested"]), levels_from(parts), read_seen(folder / SEEN)
    bundle = Bundle(backbone, head, names, preprocessing, tested, temperature, levels, seen)
    # As it was trained, which need not be single precision.
    bundle.model.to(next(value.dtype for value in state.values() if value.is_floating_point()))
    try:
        bundle.model.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split()[:40])
        raise GraftError(f"{folder / WEIGHTS} does not fit {DESCRIPTION} beside it: {reason}") from error
    return bundle


def read_description(file: Path) -> dict[str, Any]:
    """What `save_bundle` wrote to `model.yaml`, its shape checked; nothing in it is trusted yet.

    Raises:
        GraftError: names the file and what is wrong with it.
    """
    try:
        found = with_todays_names(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise GraftError(f"{file} is damaged: {' '.join(str(error).split())}") from error
    right: dict[str, Callable[[Any], bool]] = {
        "backbone": lambda value: isinstance(value, dict) and "_target_" in value,
        "head": lambda value: isinstance(value, dict) and "_target_" in value,
        "preprocessing": lambda value: isinstance(value, dict),
        "class_names": lambda value: isinstance(value, list) and len(value) > 1,
        "tested": lambda value: isinstance(value, dict) and set(value) <= set(asdict(HowTested())),
    }
    for key, test in right.items():
        if not isinstance(found, dict) or not test(found.get(key)):
            raise GraftError(f"{file} is damaged: {key} is missing or not what a bundle has there")
    try:
        levels_from(found)
    except (TypeError, ValueError, AttributeError):
        raise GraftError(f"{file} is damaged: levels={found['levels']} are none") from None
    if not _is_temperature(found.get("temperature", 1.0)):
        raise GraftError(f"{file} is damaged: temperature={found['temperature']} is no number above 0")
    return dict(found)


def _is_temperature(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < math.inf


def with_weights_of(folder: Path, backbone: dict[str, Any]) -> dict[str, Any]:
    """The backbone's node, told to take weights, size and preprocessing from the bundle itself.

    Graft's own backbones know bundles. Size matters: a transformer trained at another resolution than its
    first weights' cannot be built without knowing it.
    """
    if str(backbone["_target_"]).startswith("graft.backbones.") and "weights" in backbone:
        return {**backbone, "weights": str(folder.absolute())}
    return backbone
