"""`graft latency`: how long runs' models take to answer, in torch, compiled, and exported."""

import os
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from graft.configuration.schema import Config
from graft.deploy.latency import How, labels_of, measured
from graft.errors import GraftError
from graft.processes.lightning import lone_device
from graft.processes.threads import threads
from graft.reporting import latency
from graft.reporting.console import PlainConsole
from graft.runs.environment import cores, megahertz, processor
from graft.runs.files import write_csv, write_figure, write_text
from graft.runs.records import find_runs
from graft.training.checks import check_device


def run(config: Config, path: Path, overrides: list[str]) -> Path:
    """Time each run's model in each engine; write table, page and figure to `path`.

    Returns:
        `latency.csv`, a row a run, engine and batch.

    Raises:
        GraftError: there is no run or device, or nothing could be measured.
    """
    check_device(config["accelerator"], key="accelerator")
    runs, skipped = find_runs(config["runs"])
    for folder, reason in skipped:
        print(f"skipped {folder}: {reason}", flush=True)
    how = How(
        config["warm_up"],
        config["calls"],
        config["batch_size"],
        threads(config["threads"], 1),
        lone_device(config["accelerator"]).type,
    )
    before = _load()
    rows = []
    for one, label in zip(runs, labels_of(runs), strict=True):
        rows += measured(one, label, config["engine"], config, how)
    if all(row["reason"] for row in rows):
        reasons = "; ".join(f"{row['run']}, {row['engine']}: {row['reason']}" for row in rows)
        raise GraftError(f"nothing could be measured: {reasons}")
    machine = machine_lines(how, before)
    write_csv(path / "latency.csv", latency.csv_rows(rows))
    write_text(path / "latency.md", latency.page(rows, machine))
    write_figure(path / "figure.png", latency.figure(rows))
    latency.show(rows, machine, PlainConsole())
    print(path)
    return path / "latency.csv"


def machine_lines(how: How, before: float | None) -> list[str]:
    """On what was measured, and how; `before` is how busy the machine was when it began."""
    rate = megahertz()
    clock = time.get_clock_info("perf_counter")
    chip = f"{processor() or 'unknown processor'}, {cores()} cores" + (
        f" at {rate:.0f} MHz now" if rate else ""
    )
    device = torch.cuda.get_device_name() if how.accelerator == "cuda" else how.accelerator
    several = f"{how.threads} thread{'s' * (how.threads > 1)}"
    lines = [
        f"machine: {chip}; {several}; torch on {device}, onnx and int8 on the CPU; {_versions()}",
        f"{how.calls} calls, each timed by itself ({clock.implementation}, {1e9 * clock.resolution:.0f} ns), "
        f"after {how.warm_up} that warm up; each engine has its own process, and those of a run take turns",
    ]
    if before is not None:
        after = _load()
        lines.append(
            f"processes that ran or waited for a core: {before:.1f} before, {after:.1f} at the end, these too"
        )
    return lines


def _load() -> float | None:
    """How many processes ran or waited for a core in the last minute; None where the system does not say."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


def _versions() -> str:
    found = []
    for name in ("torch", "onnxruntime"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)
