"""The commands, a module each: they put parts together, call them and say what came out."""

import sys
import time
from collections.abc import Callable
from functools import partial
from importlib import import_module

from graft.commands.importing import lean_imports

COMMANDS = {
    "advise": "say which backbone, how much to retrain, how far to trust the number",
    "inspect": "look at images first: classes, sizes, damage, copies across splits, suspect labels",
    "train": "train a head, and as much of a backbone as you say, on your images",
    "crossval": "train anew on each of several folds: mean, deviation, interval",
    "evaluate": "test a run or bundle again, on its own or other images",
    "predict": "say what a run or bundle sees in images; writes a CSV",
    "serve": "let you try a run or bundle on a page of your own, and by HTTP",
    "compare": "put runs side by side: a table, intervals, paired tests, figures",
    "soup": "average the weights of several fine-tuned runs, as far as validation says that it helps",
    "extract": "write the features that a backbone gives for each image",
    "export": "write a model as files that run without Graft, checked against it",
    "latency": "time how long models take to answer, in torch, compiled and exported",
    "rank": "say which backbone suits some images, before anything is trained",
    "cache": "list or remove what is kept of computed features",
    "list": "name what there is to choose: graft list backbones [pattern], graft list data, …",
}


def command(name: str) -> Callable[..., object]:
    """What a command calls with a configuration, a folder and the words; imported, and torch with it, now."""
    began, module = time.monotonic(), f"graft.commands.{name}"
    if module not in sys.modules:
        with lean_imports():
            import_module(module)
    run: Callable[..., object] = sys.modules[module].run
    if name == "advise":
        # What is imported takes of the time that the answer may take.
        return partial(run, train=command("train"), began=began)
    # Each fold is a run of its own; the commands know nothing of each other.
    return partial(run, train=command("train")) if name == "crossval" else run
