"""Running `predict.py` where nothing can be imported but what it says that it needs."""

import csv
import io
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from packaging.requirements import Requirement

from graft.deploy.script import ENGINES, SCRIPT
from graft.errors import GraftError

# Told by standard input, which takes more words than a command line: what may be imported, and the words.
_RUN = """
import importlib.machinery as machinery, json, runpy, sys

told = json.load(sys.stdin)

class Open(machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        # What Python knows of its own build has a name of each system.
        if name.partition(".")[0] in told["open"] or name.startswith("_sysconfigdata"):
            return super().find_spec(name, path, target)

sys.meta_path[:] = [machinery.BuiltinImporter, machinery.FrozenImporter, Open]
sys.path[:] = told["path"]
sys.argv = told["argv"]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Said(NamedTuple):
    """What `predict.py` said of the N images that it could read.

    Attributes:
        names: their paths, as they were given.
        labels: the classes that its CSV has.
        logits: `(N, C)`.
        features: `(N, D)`.
    """

    names: list[str]
    labels: list[str]
    logits: NDArray[np.float32]
    features: NDArray[np.float32]


def run_closed(folder: Path, form: str, images: Sequence[str], batch_size: int) -> Said:
    """Let the `predict.py` of a folder predict images, in a process of its own.

    That process finds Python's own modules, those of the packages that the script needs, and of what these
    need; as a new environment would that has these packages alone.

    Args:
        folder: of the export.
        form: its format.
        images: their paths.
        batch_size: images at a time.

    Raises:
        GraftError: it failed; the message is its own.
    """
    with tempfile.TemporaryDirectory() as scratch:
        arrays = Path(scratch) / "said.npz"
        argv = [str(folder / SCRIPT), "--batch-size", str(batch_size), "--arrays", str(arrays)]
        told = {
            "open": [*sys.stdlib_module_names, *modules_of(ENGINES[form][1].split())],
            # A folder of the shell's, such as the working folder, is no installed package's.
            "path": [place for place in sys.path if place],
            "argv": [*argv, "--", *images],
        }
        done = subprocess.run(
            [sys.executable, "-I", "-c", _RUN],
            input=json.dumps(told).encode(),
            capture_output=True,
            check=False,
        )
        if done.returncode:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            reason = lines[-1].removeprefix(f"{SCRIPT}: ") if lines else f"status {done.returncode}"
            raise GraftError(f"{SCRIPT} at batch size {batch_size}: {reason}")
        rows = list(csv.DictReader(io.StringIO(done.stdout.decode(errors="surrogateescape"), newline="")))
        with np.load(arrays) as held:
            logits, features = held["logits"], held["features"]
    return Said([row["path"] for row in rows], [row["predicted"] for row in rows], logits, features)


def modules_of(packages: Sequence[str]) -> set[str]:
    """The top modules of installed packages and of all that these need."""
    modules: set[str] = set()
    known: set[str] = set()
    wanted = list(packages)
    while wanted:
        name = wanted.pop()
        if name in known:
            continue
        known.add(name)
        try:
            package = distribution(name)
        except PackageNotFoundError:
            # Of another system, or left out: what misses it says so.
            continue
        modules.update(_modules(package))
        needed = map(Requirement, package.requires or [])
        wanted += [need.name for need in needed if need.marker is None or need.marker.evaluate({"extra": ""})]
    return modules


def _modules(package: Distribution) -> Iterator[str]:
    for file in package.files or []:
        top = file.parts[0]
        if len(file.parts) > 1 and top.isidentifier():
            yield top
        elif match := re.fullmatch(r"(\w+)(\.[\w-]+)?\.(py|so|pyd)", top):
            yield match[1]
