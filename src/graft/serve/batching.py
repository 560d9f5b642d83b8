"""Many clients, one network: what they send goes through it in batches, in a thread of its own."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

# What is run on several samples and gives a result for each.
RunBatch = Callable[[Sequence[Any]], Sequence[Any]]


class Full(Exception):
    """There is no room for so many samples now."""


class Batches:
    """Runs a function on what many threads hand in, a batch at a time, in a thread of its own.

    A batch is what waits when the last one is done, `size` samples at most. Where there are fewer, further
    ones are waited for, `wait` seconds at most, and only while some that were announced have not come.

    Args:
        run: a batch of samples to as many results. Where it raises, each sample is run by itself, so that
            one does not spoil the others.
        size: of the largest batch.
        wait: seconds.
        room: samples that may be announced, and not answered yet, at a time.
    """

    def __init__(self, run: RunBatch, size: int, wait: float, room: int) -> None:
        self.size = size
        self._run = run
        self._wait = wait
        self._room = room
        self._changed = threading.Condition()
        self._waiting: deque[tuple[Any, Future[Any]]] = deque()
        # Announced, not yet answered; and of these, those that have not come.
        self._held = 0
        self._coming = 0
        self._closed = False
        # A daemon: a program that ends waits for no batch.
        self._thread = threading.Thread(target=self._work, name="graft-batches", daemon=True)
        self._thread.start()

    @property
    def held(self) -> int:
        """Samples that are announced and not yet answered."""
        return self._held

    @contextmanager
    def announced(self, count: int) -> Iterator["Place"]:
        """Room for so many samples, within the block.

        Raises:
            Full: there is none.
        """
        with self._changed:
            if self._held + count > self._room:
                raise Full
            self._held += count
            self._coming += count
        place = Place(self, count)
        try:
            yield place
        finally:
            place.leave()
            with self._changed:
                self._held -= count

    def arrived(self, count: int) -> None:
        """So many of those that were announced come no more, or have come."""
        with self._changed:
            self._coming -= count
            self._changed.notify()

    def put(self, sample: Any) -> "Future[Any]":
        """A sample, announced before, to be run in some batch; cancelled before that, it is left out."""
        future: Future[Any] = Future()
        with self._changed:
            if self._closed:
                raise RuntimeError("the server is closing")
            self._waiting.append((sample, future))
            self._coming -= 1
            self._changed.notify()
        return future

    def close(self) -> None:
        """Finish the batch that is running, and cancel what waits."""
        with self._changed:
            self._closed = True
            for _, future in self._waiting:
                future.cancel()
            self._waiting.clear()
            self._changed.notify()
        self._thread.join()

    def _work(self) -> None:
        while batch := self._next():
            self._answer(batch)

    def _next(self) -> list[tuple[Any, "Future[Any]"]]:
        """The next batch; none where it is closed."""
        with self._changed:
            while True:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                until = time.monotonic() + self._wait
                while len(self._waiting) < self.size and self._coming > 0 and not self._closed:
                    if (left := until - time.monotonic()) <= 0:
                        break
                    self._changed.wait(left)
                if self._closed:
                    return []
                taken = [self._waiting.popleft() for _ in range(min(self.size, len(self._waiting)))]
                # Those whose client has gone are run no more.
                if batch := [each for each in taken if each[1].set_running_or_notify_cancel()]:
                    return batch

    def _answer(self, batch: Sequence[tuple[Any, "Future[Any]"]]) -> None:
        try:
            results = self._run([sample for sample, _ in batch])
        except Exception as error:
            if len(batch) == 1:
                batch[0][1].set_exception(error)
            else:
                for each in batch:
                    self._answer([each])
            return
        for (_, future), result in zip(batch, results, strict=True):
            future.set_result(result)


class Place:
    """Room that a request has for its samples; each is put once, or dropped."""

    def __init__(self, batches: Batches, count: int) -> None:
        self._batches = batches
        self._left = count

    def put(self, sample: Any) -> "Future[Any]":
        """As `Batches.put`."""
        self._left -= 1
        return self._batches.put(sample)

    def drop(self) -> None:
        """One sample that was announced cannot be read."""
        self._left -= 1
        self._batches.arrived(1)

    def leave(self) -> None:
        """None of those that are left come."""
        left, self._left = self._left, 0
        if left:
            self._batches.arrived(left)


def best_size(run: Callable[[int], object], most: int = 64, seconds: float = 2.0) -> int:
    """The size of batch at which most samples go through in a second, by trying 1, 2, 4 and so on.

    Another size is better only by 5 % or more; the search ends at the second that is not, at `most`, or once
    `seconds` are spent.

    Args:
        run: a batch of so many samples.
        most: the largest size.
        seconds: as above; a trial that has begun is finished.
    """
    run(1)
    best, rate, worse, size = 1, 0.0, 0, 1
    until = time.monotonic() + seconds
    while size <= most and worse < 2 and (size == 1 or time.monotonic() < until):
        took = []
        for _ in range(2):
            began = time.perf_counter()
            run(size)
            took.append(time.perf_counter() - began)
        if size / min(took) > 1.05 * rate:
            best, rate, worse = size, size / min(took), 0
        else:
            worse += 1
        size *= 2
    return best
