"""How far an advice has come: a bar in a terminal, else a line a step. What trainings say is kept apart."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

from rich.console import RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from graft.advice.clock import Clock
from graft.reporting.console import PlainConsole


class TimeBar(Progress):
    """A bar that goes with the clock, and not by steps."""

    def __init__(self, clock: Clock, console: PlainConsole) -> None:
        self.clock = clock
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        super().__init__(*columns, console=console, transient=True, redirect_stdout=False)

    def get_renderables(self) -> Iterable[RenderableType]:  # noqa: D102
        for task in self.tasks:
            task.completed = self.clock.spent
        yield from super().get_renderables()


class Teller:
    """Tells what is done, in the place that was standard output when the advice began."""

    def __init__(self, output: TextIO, clock: Clock, bar: Progress | None) -> None:
        self.output = output
        self.clock = clock
        self.bar = bar
        self._task: Any = None if bar is None else bar.add_task("", total=clock.seconds)

    def __call__(self, what: str) -> None:
        """Say what is begun now."""
        if self.bar is None:
            print(f"{self.clock.spent:6.0f} s  {what}", file=self.output, flush=True)
        else:
            self.bar.update(self._task, description=what)

    def plan(self, lines: Sequence[str]) -> None:
        """Say what is going to be done, and how long it is expected to take."""
        for line in lines:
            if self.bar is None:
                print(line, file=self.output, flush=True)
            else:
                self.bar.console.print(line)

    def end(self, line: str) -> None:
        """Say a last line, if there is one."""
        if line:
            self.plan([line])


@contextmanager
def telling(log: Path, clock: Clock) -> Iterator[Teller]:
    """Within the block, a teller; what is printed goes to the log."""
    output = sys.stdout
    console = PlainConsole(file=output)
    with log.open("a", encoding="utf-8", errors="replace") as file, redirect_stdout(file):
        if not console.is_terminal:
            yield Teller(output, clock, None)
            return
        with TimeBar(clock, console) as bar:
            yield Teller(output, clock, bar)
