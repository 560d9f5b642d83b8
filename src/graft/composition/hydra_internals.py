"""All that Graft uses of Hydra's private packages; nothing else imports from `hydra._internal`.

As they are in Hydra 1.3.8; pyproject.toml holds it below 1.4, so each is to be looked at with 1.4.
`hydra_apart`, beside this, also sets `Singleton._instances`.
"""

from argparse import ArgumentParser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hydra._internal.config_repository import CachingConfigRepository
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.utils import get_args_parser
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.types import Override


def flags_parser() -> ArgumentParser:
    """What reads the flags of Hydra's command line, such as `--cfg`."""
    return get_args_parser()


def split_arguments(overrides: Sequence[Override]) -> list[list[str]]:
    """The words of each job of a grid; of several words for one key the last counts."""
    (jobs,) = BasicSweeper.split_arguments(list(overrides), None)
    return jobs


@contextmanager
def files_read_once(loader: ConfigLoader) -> Iterator[None]:
    """While this lasts, the loader reads each file once, not each time that it composes."""
    implementation: Any = loader
    files = implementation.repository
    implementation.repository = CachingConfigRepository(files)
    try:
        yield
    finally:
        implementation.repository = files
