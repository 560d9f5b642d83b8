"""A process in which one engine answers and is timed: `python -m graft.deploy.timed_engine JOB.json`.

It reads a request a line and answers each with a line, so that several of them can be timed in turns, and
each has its memory to itself. Torch is imported by its own engines alone: an export is timed as its
`predict.py` uses it.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path
from runpy import run_path
from types import SimpleNamespace
from typing import Any, NamedTuple

from graft.processes.timing import timed, waiting_for

Call = Callable[[], object]
# Seconds that one batch size of a search warms up for, and is timed for.
SEARCH_SECONDS = 0.5
# A larger batch must give so many times the images a second, of what the best so far gives.
GAIN = 1.03


class Engine(NamedTuple):
    """What is timed.

    Attributes:
        network: a number of inputs to the call that runs them, prepared, through the network.
        whole: a number of samples to the call that takes them from their files to what is said of them; None
            where there are no files.
        wait: returns when all that was called is done.
        searched: as `network`, of what a search for a batch size runs, where another one is dear to begin.
        device_bytes: the most that its device has held of its tensors; None: it has no memory of its own.
    """

    network: Callable[[int], Call]
    whole: Callable[[int], Call] | None
    wait: Call
    searched: Callable[[int], Call]
    device_bytes: Callable[[], int | None]


def torch_engine(job: Mapping[str, Any]) -> Engine:
    """A bundle as torch runs it, operation by operation or compiled."""
    import torch

    from graft.backbones.inputs import changed, moved
    from graft.models import load_bundle
    from graft.processes.lightning import lone_device

    torch.set_num_threads(job["threads"])
    device = lone_device(job["accelerator"])
    bundle = load_bundle(job["run"], job["trust"])
    eager = bundle.model.to(device)
    weight = next(eager.parameters())
    inputs = moved(torch.load(job["inputs"], weights_only=True), device, weight.dtype)
    model: Any = torch.compile(eager) if job["compiled"] else eager
    bundle.model = model

    def running(network: torch.nn.Module, count: int) -> Call:
        given = changed(inputs, lambda tensor: tensor[list(islice(cycle(range(len(tensor))), count))])
        return torch.inference_mode()(lambda: network(given))

    def whole(count: int) -> Call:
        following = cycle(job["samples"])
        return lambda: bundle.predict(list(islice(following, count)), count)

    def device_bytes() -> int | None:
        return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None

    return Engine(
        lambda count: running(model, count),
        whole if job["samples"] else None,
        waiting_for(device),
        lambda count: running(eager, count),
        device_bytes,
    )


def script_engine(job: Mapping[str, Any]) -> Engine:
    """An export as its own `predict.py` runs it."""
    import numpy as np

    folder = Path(job["folder"])
    # An import would leave its bytecode in the folder.
    script = SimpleNamespace(**run_path(str(folder / "predict.py"), run_name="graft_export"))
    card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    network, levels, how = (
        script.onnx_engine(folder / job["model"], job["threads"]),
        script.levels_in(card),
        card["preprocessing"],
    )
    knows = script.known_by(folder, card, job["model"])
    inputs = np.load(job["inputs"])

    def running(count: int) -> Call:
        given = inputs[list(islice(cycle(range(len(inputs))), count))]
        return lambda: network(given)

    def whole(count: int) -> Call:
        following = cycle(job["samples"])

        def call() -> object:
            paths = list(islice(following, count))
            pixels = [script.resized(script.read_image(Path(path), levels=levels), how) for path in paths]
            answered = script.Answered(paths, *network(script.network_input(pixels, how)))
            return script.rows_of(answered, card, knows)

        return call

    return Engine(running, whole if job["samples"] else None, lambda: None, running, lambda: None)


def best_batch(engine: Engine, most: int) -> int:
    """The batch, of 1, 2, 4 and so on up to `most`, with the most images a second; the smaller of equals.

    It ends with the second size in a row that gives no more than those before it.
    """
    best, fastest, idle, count = 1, 0.0, 0, 1
    while count <= most and idle < 2:
        times = timed(engine.searched(count), engine.wait, seconds=SEARCH_SECONDS)
        rate = count / times.median
        if rate > GAIN * fastest:
            best, fastest, idle = count, rate, 0
        else:
            idle += 1
        count *= 2
    return best


def peak_bytes() -> int | None:
    """The most memory that this process has held so far; None where the system does not say."""
    try:
        # `ru_maxrss` begins with what the process held that started this one.
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        pass
    try:
        import resource
    except ImportError:
        return None
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held if sys.platform == "darwin" else held * 1024


def answer(engine: Engine, request: Mapping[str, Any], calls: dict[tuple[str, int], Call]) -> object:
    """What one request comes to: a batch, seconds of calls, or bytes.

    What is called is made once and kept in `calls`, so that samples go on where they stopped.
    """
    if request["ask"] == "batch":
        return best_batch(engine, request["most"])
    if request["ask"] == "memory":
        return {"peak": peak_bytes(), "device": engine.device_bytes()}
    place = request["what"], request["batch"]
    make = engine.network if request["what"] == "network" else engine.whole
    if make is None:
        return None
    if place not in calls:
        calls[place] = make(request["batch"])
    times = timed(calls[place], engine.wait, warm_up=request["warm_up"], calls=request["calls"])
    return list(times.seconds)


def main(words: Sequence[str]) -> None:
    """Answer each line of standard input with a line, until there are no more."""
    # What libraries print goes where errors go.
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    job = json.loads(Path(words[0]).read_text(encoding="utf-8"))
    engine = (script_engine if "folder" in job else torch_engine)(job)
    calls: dict[tuple[str, int], Call] = {}
    for line in sys.stdin:
        print(json.dumps(answer(engine, json.loads(line), calls)), file=replies, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
