"""A program that uses Hydra itself keeps its options and state while Graft composes."""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

# A call uses what belongs to the whole process (random streams, Hydra), so a second call waits.
_turn = threading.RLock()


def _new_turn() -> None:
    """Make a new lock in a forked process: the thread that held the old one is not there."""
    global _turn
    _turn = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_turn)


def turn() -> AbstractContextManager[bool | None]:
    """The lock that a thread holds while it composes or trains."""
    return _turn


@contextmanager
def hydra_apart() -> Iterator[None]:
    """Let the block use a Hydra of its own; a program that uses Hydra too keeps its options and state."""
    from hydra.core.config_store import ConfigStore
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.hydra_config import HydraConfig
    from hydra.core.plugins import Plugins
    from hydra.core.singleton import Singleton
    from hydra.version import VersionBase

    # These hold what a program has chosen. The others know plugins, which take time to find.
    chosen = {GlobalHydra, HydraConfig, VersionBase}
    singleton: Any = Singleton
    with turn():
        # Plugins are found once in a process; they then put their options into the store.
        Plugins.instance()
        store = ConfigStore.instance()
        before, options = singleton._instances, store.repo
        singleton._instances = {kind: instance for kind, instance in before.items() if kind not in chosen}
        store.repo = _copied(options)
        try:
            yield
        finally:
            made = {kind: instance for kind, instance in singleton._instances.items() if kind not in chosen}
            singleton._instances = {**made, **before}
            store.repo = options


def _copied(options: Mapping[str, object]) -> dict[str, object]:
    """A copy of a ConfigStore's tree; its leaves are shared, because nothing changes them."""
    return {name: _copied(value) if isinstance(value, dict) else value for name, value in options.items()}
