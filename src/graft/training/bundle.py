"""The bundle: what a run leaves for use. Weights as safetensors, the rest as YAML; nothing is unpickled."""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from graft.backbones import Preprocessing
from graft.building import build, build_later, check_trusted
from graft.data import evaluation_transform, read_image, to_rgb
from graft.errors import GraftError
from graft.runs import RunFolder
from graft.runs.files import write_yaml

WEIGHTS = "model.safetensors"
DESCRIPTION = "model.yaml"


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
    """

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Module,
        class_names: Sequence[str],
        preprocessing: Preprocessing,
        tested: HowTested,
    ) -> None:
        self.model = nn.Sequential(OrderedDict(backbone=backbone, head=head)).eval()
        self.class_names = list(class_names)
        self.preprocessing = preprocessing
        self.tested = tested
        self.transform = evaluation_transform(preprocessing)

    @torch.inference_mode()
    def probabilities(self, images: Tensor) -> Tensor:
        """Preprocessed images `(N, 3, H, W)` to probabilities `(N, C)`, float32."""
        device = next(self.model.parameters()).device
        return torch.softmax(self.model(images.to(device)).float(), dim=1).cpu()

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
        read = to_rgb(image) if isinstance(image, Image.Image) else read_image(Path(image))
        tensor: Tensor = self.transform(read)
        return tensor


def save_bundle(folder: Path, bundle: Bundle, config: dict[str, Any]) -> None:
    """Write `model.safetensors` and `model.yaml` into `folder`.

    Args:
        folder: is made where it is missing.
        bundle: the trained model.
        config: the run's resolved configuration; its `backbone` and `head` nodes rebuild the model.
    """
    folder.mkdir(parents=True, exist_ok=True)
    state = {key: value.detach().cpu().contiguous() for key, value in bundle.model.state_dict().items()}
    part = folder / f".{WEIGHTS}.part"
    save_file(state, part)
    part.replace(folder / WEIGHTS)
    # The weights are in the file beside this one, so nothing must be fetched to load it.
    description = {
        "backbone": {**config["backbone"], **({"weights": None} if "weights" in config["backbone"] else {})},
        "head": config["head"],
        "preprocessing": bundle.preprocessing.to_dict(),
        "class_names": bundle.class_names,
        "tested": asdict(bundle.tested),
        "trained_from": config["backbone"].get("weights"),
    }
    write_yaml(folder / DESCRIPTION, description)


def bundle_folder(path: str | Path) -> Path:
    """The bundle's folder for a bundle, or for the run folder that holds one.

    Raises:
        GraftError: `path` is neither.
    """
    path = Path(path)
    for folder in (path, RunFolder(path).bundle):
        if (folder / DESCRIPTION).is_file() and (folder / WEIGHTS).is_file():
            return folder
    if not path.exists():
        raise GraftError(f"run={path}: there is no such folder")
    if (path / "status.json").is_file():
        status = RunFolder(path).status()["status"]
        raise GraftError(f"run={path} left no model: its status is {status}")
    raise GraftError(f"run={path} is neither a run folder nor a bundle (no {DESCRIPTION} and {WEIGHTS})")


def load_bundle(path: str | Path, trust: Iterable[str] = ()) -> Bundle:
    """Load a bundle, or a run folder's, on the CPU; needs nothing else.

    Args:
        path: a bundle or a run folder.
        trust: packages of your own that the model's backbone or head come from.

    Raises:
        GraftError: there is no bundle, its files do not fit, or it names code that is not trusted.
    """
    folder = bundle_folder(path)
    try:
        description = yaml.safe_load((folder / DESCRIPTION).read_text(encoding="utf-8"))
        keys = ("backbone", "head", "preprocessing", "class_names", "tested")
        parts = {key: description[key] for key in keys}
    except (yaml.YAMLError, KeyError, TypeError, UnicodeDecodeError) as error:
        raise GraftError(f"{folder / DESCRIPTION} is damaged: {error!r}".splitlines()[0]) from error
    check_trusted(description, trust, str(folder / DESCRIPTION))
    backbone = build(with_weights_of(folder, parts["backbone"]), "backbone")
    names = [str(name) for name in parts["class_names"]]
    head = build_later(parts["head"], "head")(backbone.width, len(names))
    preprocessing, tested = Preprocessing.from_dict(parts["preprocessing"]), HowTested(**parts["tested"])
    bundle = Bundle(backbone, head, names, preprocessing, tested)
    try:
        bundle.model.load_state_dict(load_file(folder / WEIGHTS))
    except (SafetensorError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise GraftError(f"{folder / WEIGHTS} does not fit {DESCRIPTION} beside it: {reason}") from error
    return bundle


def with_weights_of(folder: Path, backbone: dict[str, Any]) -> dict[str, Any]:
    """The backbone's node, told to take weights, size and preprocessing from the bundle itself.

    Graft's own backbones know bundles. Size matters: a transformer trained at another resolution than its
    first weights' cannot be built without knowing it.
    """
    if str(backbone["_target_"]).startswith("graft.backbones.") and "weights" in backbone:
        return {**backbone, "weights": str(folder.absolute())}
    return backbone
