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

    from graft.advice.advice import Advice
    from graft.models import Bundle
    from graft.runs import RunFolder


def train(overrides: Sequence[str] = ()) -> RunFolder:
    """Train as `graft train` does with the same words, for notebooks and scripts.

    Of the program that calls nothing is changed: its random streams, warnings, signal handlers, Hydra and
    torch's settings are afterwards as they were. Of several threads one trains at a time.

    Args:
        overrides: the command line's words, such as `["data=digits", "freeze=frozen"]`; options of your own
            are found with `"hydra.searchpath=[file:///path/to/conf]"`.

    Returns:
        The run folder: its `path` and final `metrics`.

    Raises:
        GraftError: a word is wrong, or the data, weights or device are not what the words say.
    """
    from graft.commands.importing import without_transformers
    from graft.composition.composing import compose
    from graft.composition.needed_paths import check_paths
    from graft.configuration.run_config import RunConfig
    from graft.processes.host import undisturbed
    from graft.runs.folder import refuse_taken
    from graft.runs.restarting import going_on

    values, hydra_cfg = compose("train", overrides)
    if hydra_cfg.mode is not None and hydra_cfg.mode.name == "MULTIRUN":
        raise GraftError("a sweep is for the command line; graft.train trains one run")
    config, overrides = going_on(RunConfig.of(values), hydra_cfg.run, overrides)
    path = _folder_of_call(hydra_cfg.run.dir, overrides)
    if not config.resume:
        refuse_taken(path)
    check_paths(config.plain(), "train")
    with undisturbed():
        with without_transformers():
            from graft.commands import train as command

        return command.run(config, path, list(overrides))


def advise(words: Sequence[str] = ()) -> Advice:
    """Answer as `graft advise` does with the same words; in a notebook the answer shows its report.

    Raises:
        GraftError: a word is wrong, or the images, the weights or the device are not what the words say.
    """
    from graft.commands.importing import without_transformers
    from graft.composition.advice_words import holding_anywhere
    from graft.composition.composing import compose
    from graft.composition.needed_paths import check_paths
    from graft.processes.host import undisturbed
    from graft.runs import advice_folder
    from graft.runs.folder import refuse_taken

    values, hydra_cfg = compose("advise", words)
    said = list(words)
    path = _folder_of_call(hydra_cfg.run.dir, words)
    if values["resume"]:
        values, said = advice_folder.going_on(values, said)
    else:
        refuse_taken(path)
    check_paths(values, "advise")
    values, said = holding_anywhere(values, said, hydra_cfg)
    with undisturbed():
        with without_transformers():
            from graft.advice.advice import Advice
            from graft.commands import advise as command
            from graft.commands import train as training

        return Advice(command.run(values, path, said, training.run))


def _folder_of_call(run_dir: str, words: Sequence[str]) -> Path:
    """The folder that a call is to leave: the one that its words name, else one that no other call has."""
    import secrets
    import threading
    from pathlib import Path

    path = Path(run_dir)
    named = any(word.startswith("hydra.run.dir=") for word in words)
    if not named and (path.exists() or threading.current_thread() is not threading.main_thread()):
        # The id in the default name belongs to the process, which may be called more than once a second.
        path = path.with_name(f"{path.name}-{secrets.token_hex(3)}")
    return path


def load(path: str | Path, trust: Iterable[str] = ()) -> Bundle:
    """Load the model that a run left, or a bundle; it needs nothing but that folder.

    Args:
        path: a run folder, a bundle, or a cross-validation's folder, whose folds answer together.
        trust: packages of your own that the model was built from.

    Raises:
        GraftError: there is no model, or it names code that is not trusted.
    """
    import warnings

    from graft.runs.bundles import model_folders

    # Told before torch is imported.
    model_folders(path)
    with warnings.catch_warnings():
        from graft.models import load_bundle
        from graft.processes.host import kept_random, plain_torch

        with kept_random(), plain_torch():
            return load_bundle(path, trust)
