"""Running statistics for the mixed weights of a bundle, from the images that its run trained on."""

from collections.abc import Sequence

from graft.backbones.inputs import moved
from graft.configuration.schema import Config
from graft.data import SampleDataModule, split_from_rows
from graft.errors import GraftError
from graft.models import Bundle
from graft.processes.lightning import lone_device
from graft.runs import RunFolder
from graft.runs.files import read_csv
from graft.sources.opening import open_data
from graft.training.running_statistics import MOST, first, take_statistics
from graft.training.testing import loading_for


def images_of_run(
    run: str, recorded: Config, bundle: Bundle, like: SampleDataModule
) -> SampleDataModule | None:
    """What the run in the folder `run` was trained on, loaded as `like` loads others; None where it is gone.

    A bundle without its run has an empty configuration in `recorded`.
    """
    try:
        data = open_data(recorded["data"])
        splits = split_from_rows(read_csv(RunFolder(run).split), data, run)
    except (GraftError, KeyError, OSError):
        return None
    return loading_for(bundle, data, splits, like.batch_size, like.num_workers)


def take_anew(
    bundle: Bundle, layers: Sequence[str], loading: SampleDataModule | None, accelerator: str
) -> str:
    """Take some layers' running statistics from training images, in place; None: there are none.

    Returns:
        What was done, for people.
    """
    if loading is None:
        return "the images that the run trained on are gone; norm layers' statistics are mixed too"
    device = lone_device(accelerator)
    model, images = bundle.model.to(device), len(loading.splits["train"])
    batches = first(loading.train_dataloader(), MOST)
    take_statistics(model, layers, batches, lambda batch: model(moved(batch["input"], device)))
    return f"norm layers' statistics are taken anew, from {min(images, MOST):,} training images"
