"""Commands are imported without what other libraries would import too, and without a look for garbage."""

import atexit
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec


@contextmanager
def lean_imports() -> Iterator[None]:
    """Within the block what a command needs is imported in two thirds of the time."""
    with without_transformers(), without_collections():
        yield


@contextmanager
def without_transformers() -> Iterator[None]:
    """Within the block torchmetrics takes transformers for not installed.

    Where it is, torchmetrics imports it for its metrics of generated texts, which takes two seconds of every
    command (torchmetrics 1.9, `torchmetrics/functional/text/__init__.py`). Graft uses none of them.
    """
    if "torchmetrics" in sys.modules or find_spec("transformers") is None:
        yield
        return
    from unittest.mock import patch

    from lightning_utilities.core.imports import RequirementCache

    usual = RequirementCache.__bool__

    def answer(self: RequirementCache) -> bool:
        return not str(self.requirement).startswith("transformers") and usual(self)

    with patch.object(RequirementCache, "__bool__", answer):
        yield


@contextmanager
def without_collections() -> Iterator[None]:
    """Within the block no garbage is looked for, nor afterwards in what it left.

    What is imported stays: to walk it again and again takes a sixth of importing torch and Lightning, and a
    fifth of composing each job of a sweep.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        # Otherwise libraries tell of leaks where the process ends.
        atexit.register(gc.unfreeze)
        if enabled:
            gc.enable()
