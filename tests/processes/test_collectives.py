"""What processes say to each other, seen from one alone."""

import pytest
import torch

from graft.errors import GraftError
from graft.processes import collectives


def test_one_process_agrees_with_itself() -> None:
    assert (collectives.size(), collectives.index()) == (1, 0)
    assert collectives.gathered("mine") == ["mine"]
    assert collectives.any_of(True, False) == [True, False]
    assert collectives.summed(torch.tensor(3.0)) == 3
    collectives.check_same({"seed": 0})


def test_processes_that_differ_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collectives, "gathered", lambda value: [value, "another"])
    with pytest.raises(GraftError, match="do not see the same configuration and data"):
        collectives.check_same({"seed": 0})
