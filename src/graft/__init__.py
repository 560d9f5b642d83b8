"""Graft: which backbone, how much of it to retrain, and how far the number can be trusted.

from graft import train, load

run = train(["data=digits", "freeze=full"])
model = load(run.path)
model.predict(images)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from graft.errors import GraftError as GraftError

if TYPE_CHECKING:
    from pathlib import Path

    from graft.runs import RunFolder
    from graft.training import Bundle


def train(overrides: Sequence[str] = ()) -> RunFolder:
    """Train as `graft train` does with the same words, for notebooks and scripts.

    Args:
        overrides: the command line's words, such as `["data=digits", "freeze=frozen"]`; options of your own
            are found with `"hydra.searchpath=[file:///path/to/conf]"`.

    Returns:
        The run folder: its `path` and final `metrics`.

    Raises:
        GraftError: a word is wrong, or the data, weights or device are not what the words say.
    """
    import secrets
    from pathlib import Path

    from graft.composition import compose
    from graft.needed_paths import check_paths
    from graft.output import lenient_output
    from graft.runs.folder import refuse_taken
    from graft.runs.restarting import going_on

    config, hydra_cfg = compose("train", overrides)
    if hydra_cfg.mode is not None and hydra_cfg.mode.name == "MULTIRUN":
        raise GraftError("a sweep is for the command line; graft.train trains one run")
    config, overrides = going_on(config, hydra_cfg.run, overrides)
    path = Path(hydra_cfg.run.dir)
    if path.exists() and not any(word.startswith("hydra.run.dir=") for word in overrides):
        # The id in the default name belongs to the process, which may train more than once a second.
        path = path.with_name(f"{path.name}-{secrets.token_hex(3)}")
    if not config["resume"]:
        refuse_taken(path)
    check_paths(config, "train")
    from graft.commands import train as command

    with lenient_output():
        return command.run(config, path, list(overrides))


def load(path: str | Path, trust: Iterable[str] = ()) -> Bundle:
    """Load the model that a run left, or a bundle; it needs nothing but that folder.

    Args:
        path: a run folder or a bundle.
        trust: packages of your own that the model was built from.

    Raises:
        GraftError: there is no model, or it names code that is not trusted.
    """
    from graft.runs.bundles import bundle_folder

    # Told before torch is imported.
    bundle_folder(path)
    from graft.training import load_bundle

    return load_bundle(path, trust)
