"""`graft soup`: one network of several fine-tuned ones, chosen on validation; tested once."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytorch_lightning as pl

from graft.configuration.schema import Config
from graft.data import SampleDataModule
from graft.data.model_classes import in_order_of
from graft.errors import GraftError
from graft.evaluation.assessment import Metrics
from graft.models import Bundle, load_bundle, save_bundle
from graft.models.soup import Tried, check_alike, greedy, mean_state
from graft.models.wise_ft import unfit
from graft.runs import RunFolder
from graft.runs.files import read_csv, write_csv, write_json, write_yaml
from graft.runs.folder import refuse_taken
from graft.runs.recorded import trusted_config
from graft.runs.records import find_runs
from graft.sources.opening import open_for_model
from graft.sources.recognition import in_place
from graft.training.averaging import gained, told_gain
from graft.training.checks import check_device
from graft.training.knowing import settle
from graft.training.mixed_statistics import take_anew
from graft.training.testing import (
    ModelOutputs,
    loading_for,
    make_tester,
    run_test,
    show_test,
    tested_module,
    write_test,
)

ACCURACY = "test/accuracy"


def run(config: Config, path: Path, overrides: list[str]) -> RunFolder:
    """Average the weights of `config["runs"]` as far as that helps; the folder `path` is a run's afterwards.

    Raises:
        GraftError: there are fewer than two finished runs, they are no ingredients of one soup, or their data
            cannot be had.
    """
    check_device(config["accelerator"], key="accelerator")
    refuse_taken(path)
    folders = ingredients(config["runs"])
    names = [folder.path.name for folder in folders]
    bundles = [load_bundle(folder.path, config["trust"]) for folder in folders]
    check_alike(dict(zip(map(str, (folder.path for folder in folders)), bundles, strict=True)))
    check_same_split(folders)
    first, recorded = folders[0], trusted_config(folders[0].path, config["trust"])
    bundle = bundles[0]
    _, opened = open_for_model(str(first.path), None, recorded, bundle.levels)
    data = in_order_of(opened, bundle.class_names)
    known = in_place(first, data, bundle.seen, "val")
    loading = loading_for(bundle, data, known.splits, config["batch_size"], config["num_workers"])
    if not len(known.splits["val"]):
        raise GraftError(f"runs={first.path}: nothing validates there, and ingredients are chosen by it")
    tester = make_tester(bundle, config["accelerator"], path)
    states = [{key: value.clone() for key, value in b.model.state_dict().items()} for b in bundles]

    def put(numbers: Sequence[int]) -> None:
        """Put the mean of some into the bundle."""
        chosen = [states[number] for number in numbers]
        bundle.model.load_state_dict(mean_state(chosen))
        if layers := unfit(bundle.model, chosen):
            take_anew(bundle, layers, loading, config["accelerator"])

    def validated(numbers: Sequence[int]) -> float:
        put(numbers)
        return tested(bundle, tester, loading, "val").metrics[ACCURACY]

    scores = [validated([number]) for number in range(len(bundles))]
    tried = greedy(scores, validated)
    for line in told(tried, names, scores):
        print(line)
    taken = [each.ingredient for each in tried if each.taken]
    metrics: Metrics = {"val/accuracy": max(each.score for each in tried if each.taken)}
    plain = None
    if config["test"] and len(known.splits["test"]):
        bundle.temperature = bundles[tried[0].ingredient].temperature
        put([tried[0].ingredient])
        plain = tested(bundle, tester, loading, "test")
    calibrated = any(b.temperature != 1 for b in bundles)
    put(taken)
    bundle.temperature = 1.0
    score = recorded.get("known")
    settle(bundle, loading, loading.ordered_loader, tester, calibrates=calibrated, score=score)
    folder = RunFolder.claim(path)
    if plain is not None:
        result = tested(bundle, tester, loading, "test")
        temperature = bundle.temperature if calibrated else None
        metrics |= write_test(folder, result, data, temperature, bundle.known)
        metrics |= gained(plain, result, "soup")
    for other in bundles[1:]:
        bundle.seen = None if bundle.seen is None or other.seen is None else bundle.seen.with_(other.seen)
    # The folder is that of a run like the first: the same data, the same split, another model.
    of = [str(folders[number].path) for number in taken]
    write_yaml(folder.config, {**recorded, "name": "soup", "soup": of})
    write_yaml(folder.overrides, overrides)
    shutil.copyfile(first.split, folder.split)
    save_bundle(folder.bundle, bundle, recorded)
    rows = [
        {
            "run": str(folders[each.ingredient].path),
            "val_accuracy": scores[each.ingredient],
            "val_accuracy_with": each.score,
            "taken": each.taken,
        }
        for each in tried
    ]
    write_csv(path / "soup.csv", rows)
    write_json(folder.metrics_file, metrics)
    folder.set_status("finished")
    show_test(metrics, "test")
    if plain is not None:
        print(told_gain(metrics, "soup", f"{names[tried[0].ingredient]}, the best on validation"))
    print(path)
    return folder


def ingredients(wanted: str | Sequence[str]) -> list[RunFolder]:
    """The finished runs that are meant, at least two.

    Raises:
        GraftError: there are fewer.
    """
    if wanted is None:
        raise GraftError("runs=null: give a path or pattern, or several as [a,b]")
    runs, _ = find_runs(wanted)
    folders = [each.folder for each in runs if each.status == "finished"]
    if len(folders) < 2:
        raise GraftError(
            f"runs={wanted}: a soup takes two finished runs or more, and there are {len(folders)}"
        )
    return folders


def check_same_split(folders: Sequence[RunFolder]) -> None:
    """Refuse runs of which one has learnt from what another is validated or tested on.

    Raises:
        GraftError: names two of them.
    """
    splits = [{(row["name"], row["split"]) for row in read_csv(folder.split)} for folder in folders]
    for folder, split in zip(folders[1:], splits[1:], strict=True):
        if split != splits[0]:
            raise GraftError(
                f"runs: {folders[0].path} and {folder.path} divide their data differently, so one has learnt "
                "what would choose; give runs of one data.split_seed"
            )


def tested(bundle: Bundle, tester: pl.Trainer, loading: SampleDataModule, split: str) -> ModelOutputs:
    """What the bundle, as it is now, says of a split."""
    return run_test(tester, tested_module(bundle), loading.ordered_loader(split))


def told(tried: Sequence[Tried], names: Sequence[str], scores: Sequence[float]) -> list[str]:
    """A line an ingredient."""
    return [
        f"{names[each.ingredient]}: {scores[each.ingredient]:.4f} alone, {each.score:.4f} in the soup; "
        f"{'taken' if each.taken else 'left out'}"
        for each in tried
    ]
