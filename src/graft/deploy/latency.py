"""How long a run's model takes to answer, by engine: single calls, timed in turns, in processes apart."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from graft.data.samples import SampleError
from graft.deploy import int8
from graft.deploy.engine_process import EngineProcess, engine_process
from graft.deploy.export import export
from graft.deploy.files import NAMES
from graft.deploy.images import opened, spaced, to_compare
from graft.errors import GraftError, reason_of
from graft.evaluation.assessment import INTERVAL
from graft.evaluation.intervals.proportions import proportion_ends
from graft.models import Bundle, load_bundle
from graft.processes.timing import Times
from graft.reporting.latency import Row
from graft.runs.bundles import BundleFolder
from graft.runs.recorded import trusted_config
from graft.runs.records import Run
from graft.sources import find_samples

# Samples that are prepared, and taken in turns.
SAMPLES = 64
# The largest batch that is tried.
MOST = 64
# A measurement is cut into so many parts, between which the other engines have their turn: what else the
# machine does meanwhile then slows all of them alike.
ROUNDS = 10
# Calls before each part but the first, whose caches the others have filled with their own.
AGAIN = 2
PERCENTILES = (50, 95, 99)


@dataclass(frozen=True)
class Asked:
    """What an engine is asked to run.

    Attributes:
        engine: its name.
        job: as its process is told (see `timed_engine`).
        file: what is loaded.
        accuracy: of what it answers, with its interval and the split; empty where none is known.
    """

    engine: str
    job: Mapping[str, object]
    file: Path
    accuracy: Mapping[str, object]


@dataclass(frozen=True)
class How:
    """How calls are timed.

    Attributes:
        warm_up: calls that are not counted.
        calls: calls that are.
        batch_size: measured beside a batch of 1; None: the one with the most images a second.
        threads: of each engine.
        accelerator: where torch computes.
    """

    warm_up: int
    calls: int
    batch_size: int | None
    threads: int
    accelerator: str


def measured(run: Run, label: str, engines: Sequence[str], config: Mapping[str, Any], how: How) -> list[Row]:
    """A row an engine and batch; of what cannot be measured, the reason.

    Args:
        run: whose model.
        label: what it is called.
        engines: `torch`, `compile`, `onnx`, `int8`.
        config: of the command: `source`, `trust`.
        how: calls are timed.
    """
    about = {"run": label, "path": str(run.folder.path)}
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as made, ExitStack() as stack:
        scratch = Path(made)
        try:
            bundle = load_bundle(run.folder.path, config["trust"])
            asked, failed = _asked(run, bundle, engines, config, how, scratch)
        except (GraftError, OSError) as error:
            return [{**about, "engine": engine, "reason": reason_of(error)} for engine in engines]
        processes: dict[str, EngineProcess] = {}
        for one in asked:
            processes[one.engine] = stack.enter_context(engine_process(one.job, scratch, one.engine))
        print(f"{label}: {', '.join(processes)}", flush=True)
        found = _rows(asked, processes, how)
        for engine in engines:
            outcome = failed.get(engine) or found[engine]
            if isinstance(outcome, str):
                print(f"{label}: {engine} is left out: {outcome}", flush=True)
                rows.append({**about, "engine": engine, "reason": outcome})
            else:
                rows += [{**about, **row, "reason": None} for row in outcome]
    return rows


def _asked(
    run: Run,
    bundle: Bundle,
    engines: Sequence[str],
    config: Mapping[str, Any],
    how: How,
    scratch: Path,
) -> tuple[list[Asked], dict[str, str]]:
    """What each engine is to run, and why some cannot.

    Raises:
        GraftError: there are no samples to measure with.
    """
    path = str(run.folder.path)
    of_run = {**config, "run": path, "data": None}
    samples, inputs = _samples(of_run, bundle, scratch)
    torch.save(inputs, scratch / "inputs.pt")
    common = {"threads": how.threads, "samples": samples}
    reached = _accuracy(run)
    asked: list[Asked] = []
    failed: dict[str, str] = {}
    for engine in ("torch", "compile"):
        if engine in engines:
            job = {"run": path, "trust": config["trust"], "accelerator": how.accelerator}
            job |= {"inputs": str(scratch / "inputs.pt"), "compiled": engine == "compile", **common}
            asked.append(Asked(engine, job, BundleFolder(run.folder.bundle).weights, reached))
    for engine in ("onnx", "int8"):
        if engine not in engines:
            continue
        try:
            if not isinstance(inputs, Tensor) or bundle.kind.noun != "image":
                raise GraftError(
                    f"only models of images can be exported yet, and this one takes {bundle.kind.plural}"
                )
            folder, kept = _exported(of_run, bundle, engine == "int8", scratch)
            np.save(scratch / "inputs.npy", inputs.float().numpy())
        except (GraftError, OSError) as error:
            failed[engine] = reason_of(error)
            continue
        name = NAMES["onnx"] if kept is None else int8.NAME
        job = {"folder": str(folder), "model": name, "inputs": str(scratch / "inputs.npy"), **common}
        asked.append(Asked(engine, job, folder / name, reached if kept is None else _of_int8(kept)))
    return asked, failed


def _samples(config: Mapping[str, Any], bundle: Bundle, scratch: Path) -> tuple[list[Any], Any]:
    """Samples from which a prediction begins, none where they are no files, texts or rows; and their inputs.

    Raises:
        GraftError: there are none.
    """
    given: list[Any] = []
    prepared: list[Any] = []
    if bundle.kind.noun == "image":
        for file in to_compare(config, bundle, SAMPLES, scratch):
            if len(given) == SAMPLES:
                break
            with suppress(SampleError):
                prepared.append(bundle.transform.prepare(bundle.kind.sample(file, bundle.levels)))
                given.append(file)
    else:
        if config["source"] is None:
            found = opened(config, bundle)[1].samples
        else:
            recorded = trusted_config(config["run"], config["trust"]).get("data") or {}
            found = find_samples(config["source"], bundle.kind, recorded)[0]
        given = [found[place] for place in spaced(range(len(found)), SAMPLES)[:SAMPLES]]
        prepared = [bundle.transform.prepare(sample) for sample in given]
    if not prepared:
        raise GraftError(f"there are no {bundle.kind.plural} that can be read to measure with")
    try:
        json.dumps(given)
    except (TypeError, ValueError):
        given = []
    return given, bundle.finished(prepared)


def _exported(
    config: Mapping[str, Any], bundle: Bundle, in_8_bits: bool, scratch: Path
) -> tuple[Path, int8.Kept | None]:
    """The folder of an export that was checked as `graft export` checks it, and what 8 bits leave.

    Raises:
        GraftError: it cannot be exported, or does not answer as the run does.
    """
    folder = scratch / ("export8" if in_8_bits else "export")
    folder.mkdir()
    wants = {**config, "format": "onnx", "int8": "static" if in_8_bits else None}
    return folder, export(wants, bundle, folder)[1]


def _accuracy(run: Run) -> dict[str, object]:
    """What the run reached in its test, else in validation, with the interval that it recorded."""
    for split in ("test", "val"):
        key = f"{split}/accuracy"
        if isinstance(value := run.metrics.get(key), int | float):
            low, high = run.metrics.get(f"{key}{INTERVAL}") or (None, None)
            return {"accuracy": value, "accuracy_low": low, "accuracy_high": high, "accuracy_of": split}
    return {}


def _of_int8(kept: int8.Kept) -> dict[str, object]:
    low, high = proportion_ends(round(kept.accuracy * kept.images), kept.images)
    ends = {"accuracy_low": float(low), "accuracy_high": float(high)}
    return {"accuracy": kept.accuracy, **ends, "accuracy_of": "val"}


def _rows(
    asked: Sequence[Asked], processes: Mapping[str, EngineProcess], how: How
) -> dict[str, list[Row] | str]:
    """By engine its rows, first of a batch of 1; or why there are none."""
    found: dict[str, list[Row] | str] = {}
    rows: dict[str, list[Row]] = {one.engine: [] for one in asked}
    for step in ("one", "many"):
        batches: dict[str, int] = {}
        for one in asked:
            if one.engine in found:
                continue
            try:
                batches[one.engine] = 1 if step == "one" else _many(processes[one.engine], how)
            except GraftError as error:
                found[one.engine] = str(error)
        if step == "many":
            # Where one image at a time gives the most, that is measured already.
            batches = {engine: batch for engine, batch in batches.items() if batch > 1}
        times = {what: _in_turns(processes, batches, what, how, found) for what in ("network", "whole")}
        for one in asked:
            if one.engine in batches and one.engine not in found:
                memory = processes[one.engine].ask(ask="memory")
                both = {what: taken.get(one.engine) for what, taken in times.items()}
                rows[one.engine].append(_row(one, batches[one.engine], both, memory, how))
    return {**rows, **found}


def _many(process: EngineProcess, how: How) -> int:
    """The batch that is measured beside a batch of 1."""
    if how.batch_size is not None:
        return how.batch_size
    batch: int = process.ask(ask="batch", most=MOST)
    return batch


def _in_turns(
    processes: Mapping[str, EngineProcess],
    batches: Mapping[str, int],
    what: str,
    how: How,
    failed: dict[str, list[Row] | str],
) -> dict[str, Times]:
    """By engine what its calls took, `ROUNDS` parts of them in turns; what fails goes to `failed`."""
    seconds: dict[str, list[float]] = {}
    ends = [round(how.calls * part / ROUNDS) for part in range(ROUNDS + 1)]
    for begin, end in pairwise(ends):
        for engine, batch in batches.items():
            if engine in failed or begin == end:
                continue
            warm_up = how.warm_up if not seconds.get(engine) else min(AGAIN, how.warm_up)
            try:
                request = {"what": what, "batch": batch, "warm_up": warm_up, "calls": end - begin}
                took = processes[engine].ask(ask="time", **request)
            except GraftError as error:
                failed[engine] = str(error)
                continue
            if took is not None:
                seconds.setdefault(engine, []).extend(took)
    return {engine: Times(tuple(took)) for engine, took in seconds.items()}


def _row(
    one: Asked, batch: int, times: Mapping[str, Times | None], memory: Mapping[str, int | None], how: How
) -> Row:
    milliseconds = {
        f"{what}_p{share}_ms": None if taken is None else 1000 * taken.percentile(share)
        for what, taken in times.items()
        for share in PERCENTILES
    }
    network = times["network"]
    assert network is not None
    return {
        "engine": one.engine,
        "batch": batch,
        **milliseconds,
        "images_per_second": batch / network.median,
        "memory_bytes": memory["peak"],
        "device_bytes": memory["device"],
        "file_bytes": one.file.stat().st_size,
        **one.accuracy,
        "warm_up": how.warm_up,
        "calls": len(network.seconds),
        "threads": how.threads,
        "device": how.accelerator if one.engine in ("torch", "compile") else "cpu",
    }


def labels_of(runs: Sequence[Run]) -> list[str]:
    """The runs' names: of each the end of its path that no other has."""
    paths = [run.folder.path.parts for run in runs]
    for length in range(1, max(map(len, paths)) + 1):
        names = ["/".join(parts[-length:]) for parts in paths]
        if len(set(names)) == len(names):
            return names
    return ["/".join(parts) for parts in paths]
