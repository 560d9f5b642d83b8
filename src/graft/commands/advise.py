"""`graft advise`: which backbone, how much of it to retrain, how far to trust the number.

It looks, ranks, retrains more as long as that pays, compares the best with the head alone, says what would
help, and tests once. What is known is written however it ends, so that it can be stopped at any time.
"""

import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import torch

from graft.advice.answer import plain
from graft.advice.clock import Clock
from graft.advice.known import Known
from graft.advice.page import page
from graft.advice.report import write_report
from graft.advice.steps import STEPS, Asked, TooShortError
from graft.advice.telling import telling
from graft.configuration.building import check_trusted, own_packages
from graft.configuration.paths import from_here
from graft.configuration.run_config import RunConfig
from graft.configuration.schema import Config
from graft.errors import GraftError, reason_of
from graft.processes.interruption import interruptible
from graft.processes.threads import kept_threads, threads
from graft.runs.advice_folder import AdviceFolder, begun
from graft.runs.files import write_json, write_text
from graft.runs.folder import RunFolder
from graft.runs.launch import launched
from graft.sweeps.crossval import Train
from graft.training.checks import check_device


def run(
    config: Config, path: Path, overrides: list[str], train: Train, began: float | None = None
) -> AdviceFolder:
    """Answer for the images of `config["data"]`; all that it leaves stands in the folder `path`.

    Args:
        config: resolved and checked; with a folder in `resume` it is the one recorded there.
        path: becomes the folder, unless one goes on.
        overrides: the words that led to `config`.
        train: what `graft train` does.
        began: when the command did, of `time.monotonic`; None: now.

    Raises:
        GraftError: the images, the device or every backbone are not to be had.
        KeyboardInterrupt: Ctrl-C came; the answer so far is written.
    """
    if launch := launched():
        raise GraftError(f"graft advise is for one process, but {launch.by} has started {launch.size}")
    check_device(config["trainer"]["accelerator"])
    folder = AdviceFolder(config["resume"] or path)
    trust = config["trust"]
    if config["resume"]:
        check_trusted({key: config[key] for key in config if key != "options"}, trust, str(folder.config))
    else:
        # The words may name any package, so the trainings that they begin may name the same packages.
        trust = [*trust, *own_packages(config)]
    if answered(folder, config["minutes"]):
        print(f"already answered: {from_here(folder.path)}; with more minutes=… it goes on")
        return shown(folder)
    before = folder.read_spent()
    spent, steps = before.get("seconds", 0.0), dict(before.get("steps", {}))
    clock = Clock(60 * config["minutes"], spent, steps, time.monotonic() if began is None else began)
    known = Known({key: config[key] for key in ("goal", "minutes", "cost", "options")} | {"words": overrides})
    with begun(folder, config, overrides), telling(folder.log, clock) as tell, kept_threads():
        # Rankings and solved heads have as many as trainings.
        torch.set_num_threads(threads(config["threads"], 1))
        asked = Asked(config, overrides, folder, clock, _trusting(train, trust), tell)
        try:
            with interruptible():
                for name, step in STEPS.items():
                    with clock.step(name):
                        step(asked, known)
        except BaseException as error:
            stopped = not isinstance(error, Exception)
            known.stopped = "it was interrupted" if stopped else reason_of(error)
            known.goes_on_with = more = to_go_on(error, known, config["minutes"])
            known.choose()
            # What is wrong with the page must not hide what was wrong before.
            with suppress(Exception):
                if knew_more(folder, known):
                    asked.keep_spent(known)
                else:
                    write(asked, known)
            if more is not None:
                tell.end(" ".join(["graft advise", f"resume={from_here(folder.path)}", *more, "goes on"]))
            raise
        known.stopped = ""
        write(asked, known)
    return shown(folder)


def to_go_on(error: BaseException, known: Known, minutes: float) -> list[str] | None:
    """The words beside `resume` with which what an error stopped goes on.

    None where images or backbones are not to be had: what goes on would stop at the same again.
    """
    if isinstance(error, TooShortError):
        return [f"minutes={2 * minutes:g}"]
    return None if isinstance(error, GraftError) and not known.going else []


def _trusting(train: Train, packages: Sequence[str]) -> Train:
    """What `graft train` does, with runs that may name these packages where they go on or are tested."""

    def trusting(config: RunConfig, path: Path, words: list[str]) -> RunFolder:
        return train(replace(config, trust=packages), path, words)

    return trusting


def answered(folder: AdviceFolder, minutes: float) -> bool:
    """Whether an earlier start came to its end with as many minutes, so that nothing is left to do."""
    before = folder.read_answer()
    return bool(before.get("complete")) and 60 * minutes <= before["time"]["asked"]


def shown(folder: AdviceFolder) -> AdviceFolder:
    """The folder, whose answer is printed."""
    for line in folder.read_answer()["sentences"]:
        print(line)
    print(from_here(folder.report))
    return folder


def knew_more(folder: AdviceFolder, known: Known) -> bool:
    """Whether an earlier start left an answer that says more than what this one knows as it stops."""
    before = folder.read_answer()
    return bool(before.get("complete") or (before.get("advice") and known.advised is None))


def write(asked: Asked, known: Known) -> None:
    """Write what is known so far, and the model that is advised."""
    folder = asked.folder
    asked.keep_spent(known)
    if known.advised is not None:
        part = folder.path / ".model.part"
        shutil.rmtree(part, ignore_errors=True)
        shutil.copytree(known.advised.folder.bundle, part)
        shutil.rmtree(folder.model, ignore_errors=True)
        part.rename(folder.model)
    answer = plain(known, asked.clock)
    write_json(folder.answer, answer)
    write_text(folder.page, page(answer, write_report(folder, answer), known.plural))
