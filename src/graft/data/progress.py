"""How far a long look has come: a bar in a terminal, else a line now and then."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import Progress, TaskID

# Seconds between two lines.
TELL_EVERY = 20.0


@contextmanager
def progress(total: int) -> Iterator[Callable[[str, int], None]]:
    """Within the block, a function to be told what is being done, and for how many of `total` images."""
    console = Console()
    if console.is_terminal:
        with Progress(console=console, transient=True) as bar:
            tasks: dict[str, TaskID] = {}

            def draw(what: str, done: int) -> None:
                if what not in tasks:
                    tasks[what] = bar.add_task(what, total=total)
                bar.update(tasks[what], completed=done)

            yield draw
        return
    last = time.monotonic()

    def line(what: str, done: int) -> None:
        nonlocal last
        if time.monotonic() - last >= TELL_EVERY:
            last = time.monotonic()
            print(f"{what} {done:,} of {total:,} images", flush=True)

    yield line
