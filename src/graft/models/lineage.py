"""What images a run's model has seen: its own, and those of models that it begins with or learns from."""

from collections.abc import Iterable

from graft.configuration.paths import expanded
from graft.configuration.run_config import RunConfig
from graft.data import SampleData, Splits
from graft.runs.bundles import bundle_folder
from graft.runs.log import say
from graft.runs.seen import Seen, counted, read_seen
from graft.sources.recognition import digests


def seen_by(config: RunConfig, data: SampleData, splits: Splits) -> Seen:
    """What a run's model will have seen in the end; reads the files that were not read before."""
    train, val = (frozenset(digests(data, splits[split]).values()) for split in ("train", "val"))
    return Seen(train).with_(Seen(val=val)).with_(_before(config))


def _before(config: RunConfig) -> Seen:
    """What the source of the weights and the teacher have seen, as far as they are Graft's and say it."""
    before = Seen()
    sources = {"backbone.weights": config.backbone.get("weights"), "distill.teacher": config.distill.teacher}
    for key, path in sources.items():
        if not isinstance(path, str) or not (folder := expanded(path)).is_dir():
            continue
        if (seen := read_seen(bundle_folder(folder).seen)) is None:
            say(f"{key}={path} has no record of the images that it has seen; they may test here")
        else:
            before = before.with_(seen)
    return before


def seen_among(seen: Seen, data: SampleData, indices: Iterable[int]) -> dict[str, int]:
    """How many of these images a model has seen, as metrics."""
    return counted(seen.role(digest) for digest in digests(data, indices).values())
