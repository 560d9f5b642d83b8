"""The trainings of an advice: each an ordinary run in a folder of its own, trained by and by."""

import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from graft.advice.ladder import Step
from graft.composition.composing import compose
from graft.configuration.paths import from_here
from graft.configuration.run_config import RunConfig
from graft.errors import GraftError, reason_of
from graft.processes.interruption import Paused, until
from graft.ranking.candidates import Candidate
from graft.runs.crossval_folder import again
from graft.runs.files import read_csv
from graft.runs.folder import RunFolder
from graft.runs.resuming import status_of
from graft.sweeps.crossval import Train

# No training of an advice is tested but the one that is advised, at the end.
UNTESTED = "test=false"


@dataclass(frozen=True)
class Training:
    """One backbone retrained in one way.

    Attributes:
        backbone: which.
        step: how much of it is retrained.
        words: of `graft train`, which repeat it.
        folder: of its run; there once it has begun.
        epochs: at most.
        estimate: seconds of an epoch, as the backbone's measured speed lets expect.
        spent: seconds of each call so far, with the epochs that were done after it.
        failed: why it cannot be trained; empty where it can.
    """

    backbone: Candidate
    step: Step
    words: tuple[str, ...]
    folder: RunFolder
    epochs: int
    estimate: float
    spent: tuple[tuple[int, float], ...] = ()
    failed: str = ""

    @property
    def name(self) -> str:
        """Of its folder."""
        return self.folder.path.name

    @property
    def finished(self) -> bool:
        """Whether it has a model."""
        return self.folder.config.is_file() and status_of(self.folder).get("status") == "finished"

    @property
    def command(self) -> str:
        """What repeats it, with a test."""
        return shlex.join(["graft", "train", *(typed(word) for word in self.words if word != UNTESTED)])

    def curve(self, goal: str) -> list[float]:
        """The validation metric `goal` after each epoch that is done."""
        if not self.folder.epochs.is_file():
            return []
        rows = read_csv(self.folder.epochs)
        return [float(row[f"val/{goal}"]) for row in rows if row.get(f"val/{goal}")]

    def best(self, goal: str) -> float | None:
        """The metric of the weights that are kept, or else the best so far; None before the first epoch."""
        if self.finished:
            return float(self.folder.metrics[f"val/{goal}"])
        curve = self.curve(goal)
        return max(curve, default=None)

    @property
    def seconds(self) -> float:
        """All that were spent on it."""
        return sum(seconds for _, seconds in self.spent)

    @property
    def seconds_an_epoch(self) -> float | None:
        """As they were measured; None where none was, as of a start that was killed."""
        done = self.spent[-1][0] if self.spent else 0
        return self.seconds / done if done else None


def typed(word: str) -> str:
    """A word as one types it: without what Hydra alone needs of quotes and `++`, a path as seen from here."""
    # Which `made_ready` puts before them.
    word = word.removeprefix("++") if word.startswith(("++weights.", "++weights=")) else word
    key, equals, value = word.partition("=")
    text = value.removeprefix('"').removesuffix('"')
    needs = len(text) == len(value) or '"' in text or "\\" in text
    return word if needs else f"{key}{equals}{from_here(text)}"


def train_to(
    training: Training, epoch: int, moment: float, train: Train, keep: Callable[[Training], None]
) -> Training:
    """Train until so many epochs are done, or the moment of `time.monotonic` has come.

    Args:
        training: with what was spent on it.
        epoch: counted from its first.
        moment: of `time.monotonic`.
        train: what `graft train` does.
        keep: told what was spent, however it ends.

    Returns:
        The training with what was spent on it; one that failed says why.

    Raises:
        KeyboardInterrupt: Ctrl-C came; the run has been left so that it goes on.
    """
    started = time.monotonic()

    def left(failed: str = "") -> Training:
        took = (len(training.curve("loss")), time.monotonic() - started)
        after = replace(training, spent=(*training.spent, took), failed=failed)
        keep(after)
        return after

    try:
        with until(moment):
            _start(training, epoch, train)
    except Paused:
        return left()
    except (GraftError, RuntimeError, MemoryError, OSError, ValueError) as error:
        return left(reason_of(error))
    except (KeyboardInterrupt, SystemExit):
        left()
        raise
    return left()


def _start(training: Training, epoch: int, train: Train) -> None:
    # What crashed before it had a configuration begins anew.
    begun = again(training.folder)
    words = [*training.words, *([] if epoch >= training.epochs else [f"stop_after={epoch}"])]
    if begun:
        words = [word for word in words if word.startswith("stop_after=")]
        config = RunConfig.of(
            {**training.folder.read_config(), "resume": str(training.folder.path), **_stop(words)}
        )
    else:
        config = RunConfig.of(compose("train", words)[0])
    train(config, training.folder.path, words)


def _stop(words: Sequence[str]) -> dict[str, int]:
    return {word.partition("=")[0]: int(word.partition("=")[2]) for word in words}


def test(training: Training, train: Train) -> None:
    """Test the run's model on the test images, unless it was tested.

    Raises:
        GraftError: the images or the device cannot be had.
    """
    config = training.folder.read_config()
    path = training.folder.path
    train(RunConfig.of({**config, "test": True, "resume": str(path)}), path, ["test=true"])
