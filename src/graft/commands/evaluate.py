"""`graft evaluate`: test a run or bundle again, on the images it was tested on or on others."""

from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from graft.configuration.building import check_trusted
from graft.configuration.names import nfc
from graft.data import ImageData, ImageDataModule, Splits, evaluation_transform, split_from_rows
from graft.data.recognition import Known, anywhere, in_place
from graft.data.splits import to_test
from graft.errors import GraftError, did_you_mean
from graft.evaluation.assessment import INTERVAL, spelled
from graft.models import Bundle, load_bundle
from graft.models.wise_ft import move_towards_source
from graft.processes.lightning import lone_device
from graft.reporting.console import PlainConsole
from graft.reporting.few import few_errors
from graft.runs import RunFolder
from graft.runs.files import read_csv, write_json
from graft.runs.seen import Seen, counted, told
from graft.sources.opening import open_data, open_recorded
from graft.training.checks import check_device
from graft.training.running_statistics import MOST, first, take_statistics
from graft.training.testing import calibrate, calibration_line, make_tester, test, tested_module, write_test
from graft.training.trainer import quiet_lightning

Config = dict[str, Any]


def run(config: Config, path: Path, overrides: list[str]) -> dict[str, Any]:
    """Test the model of `config["run"]` and write metrics, predictions and figures to `path`.

    Returns:
        The metrics, `test/accuracy` and so on.

    Raises:
        GraftError: there is no model, its data cannot be had, or the classes are others.
    """
    check_device(config["accelerator"], key="accelerator")
    quiet_lightning()
    bundle = load_bundle(config["run"], config["trust"])
    unfit: list[str] = []
    if (alpha := config["wise_ft"]["alpha"]) is not None:
        unfit = move_towards_source(bundle, config["run"], alpha)
        if alpha != 1 and bundle.temperature != 1 and not config["calibrate"]:
            print(
                "the temperature was fitted to other weights, so it is left out; calibrate=true fits it anew"
            )
            bundle.temperature = 1.0
    saved = saved_config(config["run"], config["trust"])
    chosen = config.get("data") or saved.get("data")
    if chosen is None:
        raise GraftError(f"run={config['run']} is a bundle, which has no data of its own; give data=…")
    node = open_data if config.get("data") else open_recorded
    data = in_order_of(node(chosen, bundle.levels), bundle.class_names)
    splits, roles, notes = known_images(config, data, bundle.seen)
    splits = Splits({**splits.indices, "all": np.arange(len(data.images))}, splits.rule)
    loading = ImageDataModule(
        data,
        splits,
        bundle.preprocessing,
        evaluation_transform,
        batch_size=config["batch_size"] or bundle.tested.batch_size,
        num_workers=config["num_workers"],
    )
    if not len(splits[config["split"]]):
        raise GraftError(f"split={config['split']}: there are no such images ({splits.rule})")
    tested = splits[config["split"]]
    counts = counted(roles.get(int(index)) for index in tested) if roles or bundle.seen is not None else {}
    testing = f"testing {config['split']}: {len(tested)} images"
    warned = told(counts, f"these {len(tested):,} images")
    print("\n".join([f"{splits.describe()}; {testing}", *data.notes, *notes, *([warned] if warned else [])]))

    if unfit:
        recalibrate(bundle, unfit, config, saved, loading)
    folder = RunFolder(path)
    if config["calibrate"]:
        check_fits(config, splits)
        calibrate(bundle, make_tester(bundle, config["accelerator"], path), loading.ordered_loader("val"))
    tester = make_tester(bundle, config["accelerator"], path)
    result = test(tester, tested_module(bundle), loading.ordered_loader(config["split"]))
    temperature = bundle.temperature if config["calibrate"] or bundle.temperature != 1 else None
    metrics = write_test(folder, result, data, temperature)
    metrics |= counts | ({} if alpha is None else {"wise_ft/alpha": alpha})
    write_json(folder.metrics_file, metrics)
    table = Table("metric", config["split"], "95 % interval", box=None)
    for key in metrics:
        if key.startswith("test/") and not key.endswith((INTERVAL, "/errors")):
            table.add_row(key.removeprefix("test/"), *spelled(metrics, key))
    PlainConsole().print(table)
    if few := few_errors(metrics):
        print(few)
    if temperature is not None:
        print(calibration_line(metrics))
    print(path)
    return metrics


def recalibrate(
    bundle: Bundle, layers: list[str], config: Config, saved: Config, loading: ImageDataModule
) -> None:
    """Take mixed weights' running statistics from the images that the run trained on, if they are there.

    Args:
        bundle: whose model has the layers.
        layers: names of those whose statistics do not fit.
        config: of the command.
        saved: of the run; empty for a bundle without one.
        loading: what will be tested.
    """
    if config.get("data") is not None:
        try:
            data = open_data(saved["data"])
            splits = split_from_rows(read_csv(RunFolder(config["run"]).split), data, config["run"])
        except (GraftError, KeyError, OSError):
            print(
                "wise_ft: the images that the run trained on are gone; norm layers' statistics are mixed too"
            )
            return
        loading = ImageDataModule(
            data,
            splits,
            bundle.preprocessing,
            evaluation_transform,
            batch_size=loading.batch_size,
            num_workers=config["num_workers"],
        )
    device = lone_device(config["accelerator"])
    model, images = bundle.model.to(device), len(loading.splits["train"])
    print(f"wise_ft: norm layers' statistics are taken anew, from {min(images, MOST):,} training images")
    batches = first(loading.train_dataloader(), MOST)
    take_statistics(model, layers, batches, lambda batch: model(batch["image"].to(device)))


def check_fits(config: Config, splits: Splits) -> None:
    """Refuse to calibrate without validation images, or on those that are then tested.

    Raises:
        GraftError: names what is asked for.
    """
    if not len(splits["val"]):
        raise GraftError(f"calibrate=true fits on validation images, and there are none ({splits.rule})")
    if config["split"] in ("val", "all"):
        raise GraftError(
            f"calibrate=true fits on the validation images, so split={config['split']} would test on them"
        )


def saved_config(path: str, trust: list[str]) -> Config:
    """The configuration of the run at `path`; empty for a bundle without its run."""
    if not RunFolder(path).status_file.is_file():
        return {}
    folder = RunFolder.open(path)
    config = folder.read_config()
    check_trusted(config, trust, str(folder.config))
    return config


def in_order_of(data: ImageData, class_names: list[str]) -> ImageData:
    """The same images with the model's classes, in the model's order.

    Raises:
        GraftError: the data has a class that the model does not know.
    """
    known = {nfc(name): index for index, name in enumerate(class_names)}
    for name in data.class_names:
        if nfc(name) not in known:
            hint = did_you_mean(name, class_names) or f"; it knows {', '.join(class_names[:10])}"
            raise GraftError(f"data has the class {name}, which the model does not know{hint}")
    to_model = np.array([known[nfc(name)] for name in data.class_names], dtype=np.int64)
    return data.relabelled(to_model, class_names)


def known_images(config: Config, data: ImageData, seen: Seen | None) -> Known:
    """What each image is for: in the run's own data as it recorded, in any other as far as it is known."""
    folder = RunFolder(config["run"])
    if config.get("data") is None:
        return in_place(folder, data, seen, config["split"])
    return anywhere(folder, data, seen, lambda: to_test(data))
