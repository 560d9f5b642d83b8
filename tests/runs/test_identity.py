"""What is free in a run that goes on makes no other job of it and tells no runs apart; all else does."""

from pathlib import Path

import pytest
import yaml

from graft.composition.composing import compose
from graft.configuration.key_table import FREE, HOW, LEFT_OUT, TECHNICAL
from graft.configuration.schema import flatten, without
from graft.errors import GraftError
from graft.reporting.groups import rank
from graft.runs import RunFolder
from graft.runs.fingerprint import fingerprint
from graft.runs.records import Run
from graft.runs.resuming import continued

CONFIG = compose("train", ["scheduler=constant"])[0]
# Another value for each key that is free.
OTHER = {
    "test": False,
    "threads": 3,
    "data.num_workers": 2,
    "target.num_workers": 2,
    "backbone.sha256": "0" * 64,
    "cache.dir": "x",
    "cache.max_bytes": 7,
    "trainer.accelerator": "cpu",
    "trainer.devices": 2,
    "trainer.num_nodes": 2,
    "trainer.max_epochs": 99,
    "callbacks.progress.refresh_rate": 0,
}
EVERY = sorted(flatten(CONFIG))


def changed(key: str, value: object = "other") -> dict[str, object]:
    return {**flatten(CONFIG), key: value}


def groups(key: str, value: object = "other") -> int:
    """How many groups two runs make of which one has this value and another seed."""
    runs = []
    for seed, config in enumerate((flatten(CONFIG), changed(key, value))):
        config = {**config, "seed": seed}
        runs.append(Run(RunFolder(str(seed)), config, [], "finished", "", "", "", {"val/accuracy": 0.5}))
    return len(rank(runs, "val/accuracy").groups)


def within(key: str, keys: tuple[str, ...]) -> bool:
    return not without({key: 0}, keys)


def test_the_lists_hold_together() -> None:
    assert set(FREE) == set(OTHER) == {*HOW, "trainer.max_epochs"}
    assert set(HOW) <= set(LEFT_OUT) <= set(TECHNICAL)
    unknown = {key for key in (*FREE, *TECHNICAL) if not any(within(known, (key,)) for known in EVERY)}
    # What composing says is no key that anybody types; and this configuration has no target.
    assert unknown <= {"notes", "target.num_workers"}


@pytest.mark.parametrize("key", HOW)
def test_how_it_is_computed_changes_neither_job_nor_group(key: str) -> None:
    assert fingerprint(changed(key, OTHER[key])) == fingerprint(CONFIG)
    assert groups(key, OTHER[key]) == 1


@pytest.mark.parametrize("key", EVERY)
def test_all_else_does(key: str) -> None:
    assert (fingerprint(changed(key)) == fingerprint(CONFIG)) == within(key, LEFT_OUT)
    if key != "seed":
        assert (groups(key) == 1) == within(key, TECHNICAL)


@pytest.mark.parametrize(
    "key", [key for key in EVERY if not within(key, ("sweep", "notes", "resume", "stop_after", "trust"))]
)
def test_a_run_that_goes_on_takes_what_is_free_and_nothing_else(key: str, tmp_path: Path) -> None:
    """Nothing that leaves the fingerprint as it is would be refused, so no word is passed over in silence."""
    folder = RunFolder(tmp_path)
    folder.config.write_text(yaml.safe_dump(CONFIG))
    value = OTHER.get(key, "other")
    given = yaml.safe_load(yaml.safe_dump(CONFIG))
    node = given
    *above, last = key.split(".")
    for word in above:
        node = node[word]
    node[last] = value
    if key in FREE:
        assert flatten(continued(folder, folder.read_config(), given, [f"{key}={value}"]))[key] == value
        return
    with pytest.raises(GraftError, match="cannot change in a run that goes on"):
        continued(folder, folder.read_config(), given, [f"{key}={value}"])


def test_where_kept_images_change_pixels_no_run_is_dropped() -> None:
    """`ram` and `disk` keep whole images, of which random crops are other pixels than of reduced ones."""
    for value in ("ram", "disk"):
        assert groups("data.cache_images", value) == 2
