"""What is known of a run before its first step: written into its folder, and said."""

from collections.abc import Sequence
from dataclasses import asdict

import pytorch_lightning as pl

from graft.configuration.paths import expanded
from graft.configuration.run_config import RunConfig
from graft.configuration.schema import KEPT_HEAD
from graft.data import recorded_rows
from graft.errors import GraftError
from graft.freezing.table import freeze_table, printed
from graft.models.bundle_files import read_description
from graft.models.lineage import seen_among, seen_by
from graft.reporting import pictures
from graft.reporting.console import PlainConsole
from graft.reporting.loggers import tensorboard
from graft.runs import RunFolder
from graft.runs.bundles import bundle_in
from graft.runs.environment import describe_environment
from graft.runs.files import write_csv, write_figure, write_json, write_yaml
from graft.runs.log import say
from graft.runs.seen import told
from graft.training.assembly import Parts


def record_start(folder: RunFolder, config: RunConfig, overrides: list[str], parts: Parts) -> None:
    """Write what is known before the first step, and say what trains."""
    loading, module = parts.loading, parts.module
    write_yaml(folder.config, config.recorded())
    # Not the words that a run killed before its first checkpoint is resumed with.
    if not folder.overrides.is_file():
        write_yaml(folder.overrides, overrides)
    record = {"threads": config.threads, "data": asdict(loading.facts)}
    write_json(folder.environment, {**describe_environment(), **record})
    write_csv(folder.split, recorded_rows(loading.data, loading.splits))
    if parts.target is not None:
        write_csv(folder.target_split, recorded_rows(parts.target.data, parts.target.splits))
    tested = loading.splits["test"]
    counts = seen_among(seen_by(config, loading.data, loading.splits), loading.data, tested)
    if line := told(counts, f"the {len(tested):,} test {loading.data.kind.plural}"):
        say(line)
    epochs = config.trainer["max_epochs"]
    rows = freeze_table(parts.plan, module.backbone.stages, module.head, module.groups)
    write_csv(folder.freeze, rows)
    PlainConsole().print(printed(rows))
    *backbone, head = rows
    trains, total = (sum(row[key] for row in backbone) for key in ("trainable", "parameters"))
    say(f"trains {trains:,} of the backbone's {total:,} parameters and the head's {head['parameters']:,}")
    if not config.solves and knows_the_classes(config, loading.data.class_names):
        say("backbone.weights knows the same classes: head=source would go on with its head, too")
    waits = config.freeze.get("at", config.freeze.get("epochs"))
    if isinstance(waits, int) and waits >= epochs:
        say(f"warning: the backbone would begin to train after epoch {waits}, but there are {epochs}")
    if trains < total and config.backbone.get("weights", "") is None:
        say("warning: what is frozen was never trained (backbone.weights=null), so its features are random")


def knows_the_classes(config: RunConfig, class_names: Sequence[str]) -> bool:
    """Whether a new head is trained for classes that the source of the weights has a head for.

    It is for a hint alone, so a folder that holds weights and no description, or a damaged one, knows none.
    """
    weights = config.backbone.get("weights")
    if config.head["_target_"] == KEPT_HEAD or not isinstance(weights, str):
        return False
    folder = expanded(weights)
    bundle = bundle_in(folder) if folder.is_dir() else None
    if bundle is None or not bundle.description.is_file():
        return False
    try:
        return set(read_description(bundle)["class_names"]) == set(class_names)
    except GraftError:
        return False


def show_training_images(folder: RunFolder, parts: Parts, trainer: pl.Trainer, resumed: bool) -> None:
    """Keep a picture of what the first batch looks like to the network."""
    shown = parts.loading.evaluation.shown(parts.loading.first_inputs(32))
    grid = pictures.image_grid(shown)
    write_figure(folder.images_figure, pictures.picture_of(grid, parts.loading.data.kind.plural))
    if not resumed:
        tensorboard.add_image(trainer.loggers, "training images", grid)
