"""The files of an export: the network, traced, and the card that says how it is used."""

import copy
import json
from collections.abc import Mapping
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from graft.configuration.version import DISTRIBUTION, __version__
from graft.deploy.program import CARD, KNOWN
from graft.errors import GraftError, first_line
from graft.evaluation.knowing import packed
from graft.models.bundle import Bundle
from graft.runs.files import write_json

# What a network is called in the folder, by format.
NAMES = {"onnx": "model.onnx", "torch_export": "model.pt2"}
# An ONNX file is one protobuf message, which holds no more; what comes beside the weights is little.
MOST_BYTES = 2**31 - 2**25
# Of the images to trace with: a batch of 1 would be taken for no batch.
_EXAMPLE = 2
_SIZES = {"images": {0: torch.export.Dim("batch")}}


class Network(nn.Module):
    """Backbone and head as one network: inputs to logits `(N, C)` and the features `(N, D)` before them."""

    def __init__(self, backbone: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Preprocessed images `(N, 3, H, W)`."""
        features = self.backbone(images)
        return self.head(features), features


def network_of(bundle: Bundle) -> Network:
    """The bundle's network in single precision and evaluation mode; the bundle keeps its own."""
    model = copy.deepcopy(bundle.model)
    return Network(model.get_submodule("backbone"), model.get_submodule("head")).float().cpu().eval()


def traced(bundle: Bundle) -> torch.export.ExportedProgram:
    """The network as a graph, for batches of any size.

    Raises:
        GraftError: torch cannot make one graph of the network for all sizes.
    """
    network = network_of(bundle)
    images = bundle.transform.blank(_EXAMPLE)
    reason = ""
    # The second way follows attention that the first takes for one of a fixed batch (vit_b_16). Torch's ONNX
    # exporter, which tries both by itself, ends with a third that fixes the batch without a word.
    for strict in (False, True):
        try:
            with torch.no_grad():
                return torch.export.export(network, (images,), dynamic_shapes=_SIZES, strict=strict)
        # Tracing runs the network's own code, which may raise anything.
        except Exception as error:
            reason = first_line(error)
    raise GraftError(f"the network cannot be exported: torch makes no graph of it for any batch ({reason})")


def write_network(bundle: Bundle, form: str, folder: Path, card: Mapping[str, Any]) -> Path:
    """Write the network in a format, with the card in its metadata where it has any.

    Raises:
        GraftError: it cannot be exported, an extra is missing, or it is too large for an ONNX file.
    """
    file = folder / NAMES[form]
    if form == "onnx":
        size = sum(value.numel() * 4 for value in bundle.model.state_dict().values())
        if size > MOST_BYTES:
            raise GraftError(
                f"format=onnx: the network has {size / 1e9:.1f} GB, and such a file holds 2; "
                "format=torch_export takes it"
            )
    program = traced(bundle)
    if form == "onnx":
        _write_onnx(program, file, card)
    else:
        torch.export.save(program, file)
    return file


def check_onnx() -> None:
    """Refuse to go on without what writes and runs ONNX files.

    Raises:
        GraftError: a package of the extra `onnx` is missing.
    """
    if missing := [name for name in ("onnx", "onnxscript", "onnxruntime") if find_spec(name) is None]:
        raise GraftError(f"format=onnx needs {' and '.join(missing)}: pip install '{DISTRIBUTION}[onnx]'")


def card_of(bundle: Bundle, form: str) -> dict[str, Any]:
    """What `predict.py` needs to know beside the network, as plain values that JSON holds."""
    side, classes, levels = bundle.preprocessing.side, len(bundle.class_names), None
    if bundle.levels is not None:
        levels = {
            kind: [black, None if white == float("inf") else white]
            for kind, (black, white) in bundle.levels.items()
        }
    return {
        "graft": __version__,
        "model": NAMES[form],
        "inputs": {"images": ["batch", 3, side, side]},
        "outputs": {
            "logits": ["batch", classes],
            "features": ["batch", bundle.backbone.width],
        },
        "class_names": bundle.class_names,
        "temperature": bundle.temperature,
        "preprocessing": bundle.preprocessing.to_dict(),
        "levels": levels,
        # By model file: in 8 bits features and logits are others.
        "known": {} if bundle.known is None else {NAMES[form]: asdict(bundle.known.settings)},
        "batch_size": bundle.tested.batch_size,
        "int8": None,
    }


def write_card(folder: Path, card: Mapping[str, Any]) -> None:
    """Write `model.json`."""
    write_json(folder / CARD, card)


def metadata_of(card: Mapping[str, object]) -> dict[str, str]:
    """The card as an ONNX file holds it: by key the value as JSON."""
    return {key: json.dumps(value) for key, value in card.items()}


def write_known(folder: Path, bundle: Bundle) -> None:
    """Write what says that an image is none of the classes and is no plain value, if there is such."""
    if bundle.known is not None and bundle.known.arrays:
        arrays: Any = packed(bundle.known.arrays)
        np.savez(folder / KNOWN, **arrays)


def _write_onnx(program: torch.export.ExportedProgram, file: Path, card: Mapping[str, Any]) -> None:
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass

    exported = torch.onnx.export(
        program,
        dynamo=True,
        input_names=["images"],
        output_names=["logits", "features"],
        dynamic_shapes=_SIZES,
        external_data=False,
        verbose=False,
    )
    assert exported is not None
    # It notes for each operation where in whose folders the code stands that made it.
    ClearMetadataAndDocStringPass()(exported.model)
    exported.model.metadata_props.update(metadata_of(card))
    exported.save(str(file), external_data=False)
