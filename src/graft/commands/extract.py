"""`graft extract`: the features of images by a run's or a named backbone, for use elsewhere."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor

from graft.backbones import Backbone
from graft.commands.evaluate import saved_config
from graft.data import ImageData, Splits, evaluation_transform, split_from_rows, split_rows
from graft.data.cache_location import cache_folder
from graft.data.image_data import Indices
from graft.data.recognition import anywhere
from graft.data.splits import by_parts
from graft.errors import GraftError
from graft.features import FeatureStore, ImageFeatures
from graft.features.fast import FastPrefix
from graft.models import Bundle, load_bundle
from graft.processes.lightning import lone_device
from graft.runs import RunFolder
from graft.runs.files import read_csv, whole, write_csv
from graft.runs.seen import Seen
from graft.sources.opening import open_data, open_recorded, split_data
from graft.training import assembly
from graft.training.checks import check_device
from graft.training.trainer import quiet_lightning

Config = dict[str, Any]


def run(config: Config, path: Path, overrides: list[str]) -> Path:
    """Write `features.safetensors` and `features.csv` to `path`.

    Returns:
        The safetensors file, with one tensor `features`, `(N, D)` float32.

    Raises:
        GraftError: there is no model, its data cannot be had, or no image is in the split.
    """
    check_device(config["accelerator"], key="accelerator")
    quiet_lightning()
    backbone, label, data_node, bundle = chosen(config)
    levels, seen = (None, None) if bundle is None else (bundle.levels, bundle.seen)
    data = (open_data if config.get("data") else open_recorded)(data_node, levels)
    splits = splits_of(config, data_node, data, seen)
    rows = split_rows(data, splits)
    wanted = [i for i, row in enumerate(rows) if config["split"] in ("all", row["split"])]
    if not wanted:
        raise GraftError(f"split={config['split']}: there are no such images ({splits.rule})")
    features = features_of(config, backbone, label, data, data_node, np.array(wanted))
    target = path / "features.safetensors"
    with whole(target) as part:
        save_file({"features": features.float().contiguous()}, part)
    named = [{"path": row["name"], "split": row["split"], "label": row["label"]} for row in rows]
    write_csv(path / "features.csv", [named[index] for index in wanted])
    print("\n".join([*data.notes, f"{len(features):,} images, {features.shape[1]:,} features each"]))
    print(target)
    return target


def chosen(config: Config) -> tuple[Backbone, str, Config, Bundle | None]:
    """The backbone, a name for it, the node of the images, and the bundle if it comes from one."""
    if config["run"] is None:
        node = config["backbone"]
        return assembly.make_backbone(node), assembly.backbone_name(node), config["data"], None
    bundle = load_bundle(config["run"], config["trust"])
    found: Any = bundle.model.get_submodule("backbone")
    saved = saved_config(config["run"], config["trust"])
    data = config.get("data") or saved.get("data")
    if data is None:
        raise GraftError(f"run={config['run']} is a bundle, which has no data of its own; give data=…")
    # Of a trained backbone the preprocessing is the bundle's.
    found.preprocessing = bundle.preprocessing
    name = assembly.backbone_name(saved["backbone"]) if saved else Path(config["run"]).name
    return found, name, data, bundle


def splits_of(config: Config, node: Config, data: ImageData, seen: Seen | None) -> Splits:
    """What each image is for: what it was to the run that knows it, else what the node says.

    Nothing trains here, so images that could not be split have the source's own parts.
    """

    def otherwise() -> Splits:
        try:
            return split_data(node, data)
        except GraftError as error:
            return by_parts(data, f"none: {error}")

    if config["run"] is None:
        return otherwise()
    folder = RunFolder(config["run"])
    if config.get("data") is None:
        return split_from_rows(read_csv(folder.split), data, str(folder.split))
    known = anywhere(folder, data, seen, otherwise)
    for line in known.notes:
        print(line)
    return known.splits


def features_of(
    config: Config, backbone: Backbone, label: str, data: ImageData, node: Config, indices: Indices
) -> Tensor:
    """`(N, D)`: the features of the images of these indices, from the cache as far as it has them."""
    device = lone_device(config["accelerator"])
    backbone.to(device)
    fast = config["precision"] == "fast"
    prefix = FastPrefix(backbone.stages.values()) if fast else backbone
    store = FeatureStore(cache_folder(config["cache"]["dir"]) / "features", config["cache"]["max_bytes"])
    features = ImageFeatures(
        store,
        backbone,
        data.images,
        evaluation_transform(backbone.preprocessing),
        lambda images, stop: prefix(images.to(device)),
        {"device": device.type, "precision": "fast" if fast else "32-true", "channels_last": fast},
        label=label,
        batch_size=config["batch_size"] or node.get("batch_size", 32),
        num_workers=node.get("num_workers") if config["num_workers"] is None else config["num_workers"],
    )
    stop, image_bytes = len(backbone), backbone.width * (2 if fast else 4)
    if not (lacking := features.lacking(stop, indices)):
        print(f"cache: what {label} gives is all stored already, {len(indices):,} images", flush=True)
    if why := store.room_for(lacking * image_bytes):
        print(f"cache: not used: {why}")
        return torch.cat(list(features.compute(stop, indices)))
    try:
        return features.get(stop, indices, image_bytes=image_bytes).take(np.arange(len(indices)))
    except OSError as error:
        # Another user's, or a full disk.
        print(f"cache: not used: {store.path} cannot be used ({error.strerror or error})", flush=True)
        return torch.cat(list(features.compute(stop, indices)))
