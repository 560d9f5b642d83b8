"""Batches across clients: as full as what waits, never longer than is worth it, and no sample lost."""

import threading
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError
from typing import Any

import pytest

from graft.serve.batching import Batches, Full, best_size


class Counting:
    """A network that doubles, when it is let, and notes its batches."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.batches: list[list[Any]] = []

    def __call__(self, samples: Sequence[Any]) -> list[Any]:
        self.batches.append(list(samples))
        assert self.may.wait(10)
        if "bad" in samples:
            raise ValueError("bad")
        return [2 * sample for sample in samples]


def until(holds: Any) -> None:
    end = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_what_waits_goes_together() -> None:
    network = Counting()
    batches = Batches(network, size=4, wait=0, room=100)
    with batches.announced(8) as place:
        futures = [place.put(0)]
        until(lambda: network.batches)
        futures += [place.put(number) for number in range(1, 8)]
        network.may.set()
        assert [future.result(10) for future in futures] == [0, 2, 4, 6, 8, 10, 12, 14]
    assert network.batches == [[0], [1, 2, 3, 4], [5, 6, 7]]
    batches.close()


def test_a_batch_waits_for_what_is_announced_and_for_nothing_else() -> None:
    network = Counting()
    network.may.set()
    batches = Batches(network, size=4, wait=5, room=100)
    began = time.monotonic()
    with batches.announced(1) as place:
        place.put(1).result(10)
    assert time.monotonic() - began < 2
    with batches.announced(3) as place:
        first = place.put(1)
        time.sleep(0.05)
        assert not first.done()
        second = place.put(2)
        # The third cannot be read.
        place.drop()
        assert (first.result(2), second.result(2)) == (2, 4)
    assert network.batches == [[1], [1, 2]]
    batches.close()


def test_it_waits_no_longer_than_it_is_told() -> None:
    network = Counting()
    network.may.set()
    batches = Batches(network, size=4, wait=0.05, room=100)
    with batches.announced(2) as place:
        assert place.put(1).result(5) == 2
    batches.close()


def test_there_is_room_for_so_many() -> None:
    batches = Batches(Counting(), size=4, wait=0, room=3)
    with batches.announced(2):
        with pytest.raises(Full), batches.announced(2):
            pass
        with batches.announced(1):
            assert batches.held == 3
    assert batches.held == 0
    batches.close()


def test_one_that_fails_costs_the_others_nothing() -> None:
    network = Counting()
    batches = Batches(network, size=4, wait=0, room=100)
    with batches.announced(4) as place:
        futures = [place.put(0)]
        until(lambda: network.batches)
        futures += [place.put(sample) for sample in (1, "bad", 3)]
        network.may.set()
        assert (futures[0].result(5), futures[1].result(5), futures[3].result(5)) == (0, 2, 6)
        with pytest.raises(ValueError, match="bad"):
            futures[2].result(5)
    batches.close()


def test_what_nobody_waits_for_is_not_run() -> None:
    network = Counting()
    batches = Batches(network, size=4, wait=0, room=100)
    with batches.announced(3) as place:
        first = place.put(0)
        until(lambda: network.batches)
        gone, there = place.put(1), place.put(2)
        assert gone.cancel()
        network.may.set()
        assert (first.result(5), there.result(5)) == (0, 4)
    assert network.batches == [[0], [2]]
    batches.close()


def test_closing_finishes_the_batch_and_cancels_the_rest() -> None:
    network = Counting()
    batches = Batches(network, size=1, wait=0, room=100)
    with batches.announced(2) as place:
        first = place.put(1)
        until(lambda: network.batches)
        second = place.put(2)
        network.may.set()
        batches.close()
        assert first.result(0) == 2
        with pytest.raises(CancelledError):
            second.result(0)


@pytest.mark.parametrize(
    ("seconds_of", "best"),
    [
        (lambda size: 0.01, 16),
        (lambda size: 0.001 * size, 1),
        (lambda size: 0.001 * max(size, 4), 4),
    ],
    ids=["a batch costs the same", "a sample costs the same", "up to 4 are free"],
)
def test_the_best_size_is_found_by_trying(
    seconds_of: Any, best: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def run(size: int) -> None:
        now[0] += seconds_of(size)

    assert best_size(run, most=16) == best
