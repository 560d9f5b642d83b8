"""Runs that an exception cuts, for tests of what goes on with them."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from graft.training import TransferModule


class Cut(Exception):
    """What a test stops a run with."""


@pytest.fixture
def cut_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], AbstractContextManager[None]]:
    """Make a block whose run, in this process, an exception ends within a given step."""

    @contextmanager
    def cut_at(step: int) -> Iterator[None]:
        inner = TransferModule.training_step

        def training_step(self: TransferModule, batch: Any, index: int) -> Any:
            if self.global_step == step:
                raise Cut
            return inner(self, batch, index)

        with monkeypatch.context() as patch:
            patch.setattr(TransferModule, "training_step", training_step)
            with pytest.raises(Cut):
                yield

    return cut_at
