"""`graft extract`: the features of images by a run's or a named backbone, for use elsewhere."""

from pathlib import Path

import numpy as np

from graft.backbones.making import backbone_name
from graft.configuration.schema import Config
from graft.data import SampleData, Splits, split_from_rows, split_rows
from graft.data.backbone_for import backbone_for
from graft.errors import GraftError
from graft.features.tensor_file import write_tensor
from graft.features.whole_backbone import Extraction
from graft.models import load_bundle
from graft.runs import RunFolder
from graft.runs.files import read_csv, write_csv
from graft.runs.recorded import trusted_config
from graft.runs.seen import Seen
from graft.sources.opening import open_data, open_for_model, split_or_parts
from graft.sources.recognition import anywhere
from graft.training.checks import check_device


def run(config: Config, path: Path, overrides: list[str]) -> Path:
    """Write `features.safetensors` and `features.csv` to `path`.

    Returns:
        The safetensors file, with one tensor `features`, `(N, D)` float32; of a stage `(N, …)`, as it gives.

    Raises:
        GraftError: there is no model or stage, its data cannot be had, or no image is in the split.
    """
    check_device(config["accelerator"], key="accelerator")
    if config["run"] is None:
        node, data = config["data"], open_data(config["data"])
        splits = split_or_parts(node, data)
        backbone = backbone_for(config["backbone"], data, splits["train"])
        label = backbone_name(config["backbone"])
    else:
        bundle = load_bundle(config["run"], config["trust"])
        backbone = bundle.backbone
        saved = trusted_config(config["run"], config["trust"])
        label = backbone_name(saved["backbone"]) if saved else Path(config["run"]).name
        node, data = open_for_model(config["run"], config.get("data"), saved, bundle.levels)
        # A trained backbone has the bundle's preprocessing.
        backbone.preprocessing = data.kind.suited(bundle.preprocessing)
        splits = splits_of(config, data, bundle.seen)
    rows = split_rows(data, splits)
    wanted = [i for i, row in enumerate(rows) if config["split"] in ("all", row["split"])]
    if not wanted:
        raise GraftError(f"split={config['split']}: there are no such {data.kind.plural} ({splits.rule})")
    extraction = Extraction(
        backbone=backbone,
        label=label,
        data=data,
        indices=np.array(wanted),
        accelerator=config["accelerator"],
        cache=config["cache"],
        batch_size=config["batch_size"] or node.get("batch_size", 32),
        num_workers=node.get("num_workers") if config["num_workers"] is None else config["num_workers"],
        fast=config["precision"] == "fast",
    )
    stage, pool = config["stage"], config["pool"]
    target = path / "features.safetensors"
    about = {"backbone": label, "stage": stage or backbone.stage_names[-1], "pool": pool}
    # Batch by batch, so that a set whose features exceed the memory has them all the same.
    shape = write_tensor(target, "features", len(wanted), extraction.stage(stage, pool), about)
    named = [{"path": row["name"], "split": row["split"], "label": row["label"]} for row in rows]
    write_csv(path / "features.csv", [named[index] for index in wanted])
    each = f"{shape[0]:,} features" if len(shape) == 1 else f"{' × '.join(map(str, shape))} values"
    print("\n".join([*data.notes, f"{len(wanted):,} {data.kind.plural}, {each} each"]))
    print(target)
    return target


def splits_of(config: Config, data: SampleData, seen: Seen | None) -> Splits:
    """What each image is for: what it was to the run that knows it, else what the node says."""
    folder = RunFolder(config["run"])
    if config.get("data") is None:
        return split_from_rows(read_csv(folder.split), data, str(folder.split))
    known = anywhere(folder, data, seen, lambda: split_or_parts(config["data"], data))
    for line in known.notes:
        print(line)
    return known.splits
