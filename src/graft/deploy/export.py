"""An export, made and checked: the network, its card, its script, the record of the check."""

import platform
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from torch import Tensor

from graft.configuration.version import DISTRIBUTION, __version__
from graft.data import SampleData, Splits
from graft.data.headers import some_of
from graft.data.samples import Indices, SampleError
from graft.deploy import gate, int8
from graft.deploy.closed import run_closed
from graft.deploy.files import card_of, check_onnx, write_card, write_known, write_network
from graft.deploy.gate import TOLERANCE, Passed
from graft.deploy.images import files_of, to_compare, with_splits
from graft.deploy.script import write_script
from graft.errors import GraftError
from graft.models.bundle import Bundle
from graft.runs.files import write_json

CHECK = "check.json"
# Images at a time where activations are measured.
_BATCH = 8


def export(config: Mapping[str, Any], bundle: Bundle, folder: Path) -> tuple[Passed, int8.Kept | None]:
    """Write the files of an export to a folder, each checked; what fails leaves nothing there.

    Args:
        config: of the command.
        bundle: of the run.
        folder: of the export, empty.

    Returns:
        What the check found, and what 8 bits leave of the accuracy.

    Raises:
        GraftError: there are no images to check with, the network cannot be exported, or a check fails.
    """
    form, how = config["format"], config["int8"]
    if form == "onnx":
        check_onnx()
    if how == "dynamic":
        int8.check_dynamic(bundle.model)
    to_quantize = with_splits(config, bundle) if how else None
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=".export-") as made,
        tempfile.TemporaryDirectory() as drawn,
    ):
        target, scratch = Path(made), Path(drawn)
        # Before the work of the export: where there are no images there is none.
        known = gate.reference(bundle, to_compare(config, bundle, gate.IMAGES, scratch))
        card = card_of(bundle, form)
        network = write_network(bundle, form, target, card)
        write_card(target, card)
        write_known(target, bundle)
        write_script(target, form)
        passed = gate.pass_gate(target, form, known)
        kept = None if to_quantize is None else _quantized(how, bundle, *to_quantize, network, scratch)
        write_json(target / CHECK, _record(config, passed, kept, target))
        for file in sorted(target.iterdir()):
            file.replace(folder / file.name)
    return passed, kept


def _quantized(
    how: str, bundle: Bundle, data: SampleData, splits: Splits, network: Path, scratch: Path
) -> int8.Kept:
    """Write the network in 8 bits beside the one in floats, let the card name it, and measure it."""
    for split in ("train", "val"):
        if not len(splits[split]):
            wants = "training images to be calibrated on and validation images to be measured on"
            raise GraftError(f"int8={how} wants {wants}, and there are none to {split} ({splits.rule})")
    quantized = network.with_name(int8.NAME)
    if how == "static":
        int8.quantize_static(network, quantized, _batches(bundle, data, splits["train"]))
    else:
        int8.quantize_dynamic(network, quantized)
    card = {**card_of(bundle, "onnx"), "model": int8.NAME, "int8": how}
    write_card(network.parent, card)
    files = files_of(data, splits["val"], scratch)
    labels = {file: data.class_names[data.samples.labels[index]] for index, file in files.items()}
    known = gate.reference(bundle, list(labels), len(labels))
    said = run_closed(network.parent, "onnx", known.names, bundle.tested.batch_size)
    kept = int8.kept(known, said, labels)
    if bundle.known is not None:
        settings = int8.settings_anew(bundle.known, said, labels, bundle.class_names)
        card["known"] = {**card["known"], int8.NAME: asdict(settings)}
        write_card(network.parent, card)
    int8.write_metadata(quantized, card)
    return kept


def _batches(bundle: Bundle, data: SampleData, indices: Indices) -> Iterator[int8.Floats]:
    """Some images, evenly spaced, as the network takes them; what cannot be read is left out."""
    chosen, prepared = some_of(indices.tolist(), int8.CALIBRATED), []
    for place, index in enumerate(chosen, start=1):
        with suppress(SampleError):
            prepared.append(bundle.transform.prepare(data.samples[index]))
        if prepared and (len(prepared) == _BATCH or place == len(chosen)):
            batch = bundle.finished(prepared)
            assert isinstance(batch, Tensor)
            yield batch.numpy()
            prepared.clear()


def _record(
    config: Mapping[str, Any], passed: Passed, kept: int8.Kept | None, folder: Path
) -> dict[str, object]:
    """What `check.json` says: what was compared, what came out, how large the files are, what ran."""
    packages = ["torch", "numpy", "pillow"]
    if config["format"] == "onnx":
        packages += ["onnx", "onnxscript", "onnxruntime"]
    return {
        "format": config["format"],
        "images": passed.images,
        "largest_difference_of_a_logit": {str(size): apart for size, apart in passed.differences.items()},
        "allowed": TOLERANCE,
        "int8": None
        if kept is None
        else {"how": config["int8"], **kept._asdict(), "allowed_fall": int8.FALL},
        "bytes": {file.name: file.stat().st_size for file in sorted(folder.iterdir())},
        "versions": {
            "python": platform.python_version(),
            DISTRIBUTION: __version__,
            **{name: version(name) for name in packages},
        },
        "machine": platform.machine(),
    }
