"""The time that an answer may take, and what each of its steps took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Clock:
    """Seconds of one advice, of all its starts together.

    Attributes:
        seconds: to answer in.
        before: what earlier starts took.
        steps: seconds by step, of all starts.
    """

    seconds: float
    before: float = 0.0
    steps: dict[str, float] = field(default_factory=dict)
    started: float = field(default_factory=time.monotonic)

    @property
    def spent(self) -> float:
        """Seconds so far."""
        return self.before + time.monotonic() - self.started

    @property
    def left(self) -> float:
        """Seconds to the end; negative after it."""
        return self.seconds - self.spent

    def moment(self, share: float, before: float = 0.0, begun: float | None = None) -> float:
        """When a step that is to end at this share of this start's seconds has to, of `time.monotonic`.

        Args:
            share: of the seconds.
            before: the share at which it was to begin. One that begins later has its part of what is left.
            begun: when it begins, of `time.monotonic`; None: now.
        """
        begun = time.monotonic() if begun is None else begun
        end = self.started + self.seconds - self.before
        planned = self.started + share * (self.seconds - self.before)
        part = (share - before) / (1 - before)
        return max(planned, begun + part * (end - begun))

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Count what the block takes for a step."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.steps[name] = self.steps.get(name, 0.0) + time.monotonic() - began
