"""Write the list of networks that Graft ships, from the libraries that are installed.

python write_list.py [networks.csv]   # half an hour on one core: timm's costs are counted

Nothing is downloaded and no weights are made: costs are counted on tensors without memory.
"""

import csv
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import timm
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

from graft.backbones import simple_cnn, supported_names
from graft.configuration.network_names import LISTED, Network
from graft.ranking.costs import macs

LIST = Path(__file__).parents[2] / "src/graft/configuration/networks.csv"
# Of torchvision's other models, what they are for, by the package that defines them.
TASKS = ("detection", "segmentation", "video", "optical_flow", "quantization")
# TensorFlow's own, https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
PUBLISHED = {"tf_efficientnet_lite0": 75.1, "tf_efficientnet_lite1": 76.7, "tf_efficientnet_lite2": 77.6}


def main(path: Path = LIST) -> None:
    """Write the list, and say how far it is."""
    if (here := {library: version(library) for library in LISTED}) != LISTED:
        raise SystemExit(f"graft.configuration.network_names lists {LISTED}; here are {here}")
    rows = []
    for network in (own_network(), *torchvision_networks(), *timm_networks()):
        rows.append(network)
        if len(rows) % 100 == 0:
            print(len(rows), network.name, flush=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Network._fields)
        for row in rows:
            values = row._asdict() | {"weights": " ".join(row.weights), "files": " ".join(row.files)}
            writer.writerow(values.values())


def own_network() -> Network:
    """The one that Graft defines itself, which has no published weights."""
    backbone = simple_cnn()
    parameters = sum(parameter.numel() for parameter in backbone.parameters())
    gmacs, size = round(macs(backbone) / 1e9, 5), backbone.preprocessing.crop
    megabytes = round(parameters * 4e-6, 2)
    return Network("graft", "simple_cnn", "classification", (), (), parameters, gmacs, size, megabytes, None)


def torchvision_networks() -> Iterator[Network]:
    """What torchvision itself says of its models; of those that are no classifiers, what they are for."""
    ours = set(supported_names())
    for name in models.list_models():
        module = models.get_model_builder(name).__module__
        task = next((task.replace("_", " ") for task in TASKS if f".{task}." in module), "classification")
        if task == "classification" and name in ours:
            listed = models.get_model_weights(name)
            weights = tuple(key for key, entry in listed.__members__.items() if entry.name == key)
            entry = listed[weights[0]]
            meta, size = entry.meta, entry.transforms().crop_size[0]
            accuracy = meta["_metrics"]["ImageNet-1K"]["acc@1"]
            costs = meta["num_params"], meta["_ops"], size, meta["_file_size"]
            files = tuple(listed[key].url.rpartition("/")[2] for key in weights)
            yield Network("torchvision", name, task, weights, files, *costs, accuracy)
        elif task != "classification":
            yield Network("torchvision", name, task, (), (), None, None, None, None, None)


def timm_networks() -> Iterator[Network]:
    """What timm says of its models, and what they cost; it publishes accuracies elsewhere."""
    for name in timm.list_models():
        settings = timm.get_pretrained_cfg(name, allow_unregistered=False)
        assert settings is not None
        tags = [full.partition(".")[2] for full in timm.list_pretrained(f"{name}.*")]
        # The usual one first.
        tags.sort(key=lambda tag: tag != settings.tag)
        parameters, gmacs = costs(name, settings.input_size)
        rest = parameters, gmacs, settings.input_size[-1], round(parameters * 4e-6, 1), PUBLISHED.get(name)
        yield Network("timm", name, "classification", tuple(tags), (), *rest)


def costs(name: str, input_size: tuple[int, ...]) -> tuple[int, float | None]:
    """Parameters, and 10⁹ multiply-adds an image; None where they cannot be counted without memory."""
    with torch.device("meta"):
        model: nn.Module = timm.create_model(name).eval().requires_grad_(False)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    counter = FlopCounterMode(display=False)
    try:
        with torch.no_grad(), counter:
            model(torch.zeros(1, *input_size, device="meta"))
    except (RuntimeError, NotImplementedError, AssertionError):
        return parameters, None
    return parameters, round(counter.get_total_flops() / 2e9, 3)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
