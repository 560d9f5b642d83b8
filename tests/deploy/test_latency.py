"""Engines are timed call by call and in turns, and what fails stops no other."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from graft.deploy import latency, timed_engine
from graft.deploy.engine_process import EngineProcess, engine_process
from graft.deploy.latency import Asked, How, labels_of
from graft.deploy.timed_engine import Engine, best_batch, peak_bytes
from graft.errors import GraftError
from graft.processes import timing

HOW = How(warm_up=4, calls=20, batch_size=None, threads=1, accelerator="cpu")


class Fake:
    """A process whose calls take 1 ms an image, and whose best batch is given."""

    def __init__(self, name, log, best=1, fails_at=None, whole=True):
        self.name, self.log, self.best, self.fails_at, self.whole = name, log, best, fails_at, whole

    def ask(self, **request):
        self.log.append((self.name, request))
        if request["ask"] == "batch":
            return self.best
        if request["ask"] == "memory":
            return {"peak": 5_000_000, "device": None}
        if len(self.log) == self.fails_at:
            raise GraftError("it ran out of memory")
        return (
            [0.001 * request["batch"]] * request["calls"]
            if self.whole or request["what"] == "network"
            else None
        )


@pytest.fixture
def asked(tmp_path):
    (tmp_path / "model").write_bytes(b"12345")
    reached = {"accuracy": 0.9, "accuracy_low": 0.8, "accuracy_high": 0.95, "accuracy_of": "test"}
    return [Asked(engine, {}, tmp_path / "model", reached) for engine in ("torch", "onnx")]


def test_engines_take_turns_and_each_call_is_kept(asked) -> None:
    log: list = []
    found = latency._rows(asked, {"torch": Fake("torch", log, best=4), "onnx": Fake("onnx", log)}, HOW)
    # The first measurement, of the network with one image.
    first = [(name, request) for name, request in log if request["ask"] == "time"][:20]
    assert [name for name, _ in first] == ["torch", "onnx"] * 10
    assert [request["calls"] for _, request in first] == [2] * 20
    assert [request["warm_up"] for _, request in first] == [4, 4] + [2] * 18
    one, many = found["torch"]
    assert (one["batch"], one["calls"], one["warm_up"]) == (1, 20, 4)
    assert [one[f"network_p{share}_ms"] for share in (50, 95, 99)] == pytest.approx([1, 1, 1])
    assert (many["batch"], many["whole_p50_ms"]) == (4, pytest.approx(4))
    assert one["images_per_second"] == pytest.approx(many["images_per_second"]) == pytest.approx(1000)
    assert (one["file_bytes"], one["memory_bytes"], one["accuracy_of"]) == (5, 5_000_000, "test")
    # Where one image at a time gives the most there is nothing more to measure.
    assert [row["batch"] for row in found["onnx"]] == [1]


def test_an_engine_that_fails_stops_no_other(asked) -> None:
    log: list = []
    processes = {"torch": Fake("torch", log, fails_at=5), "onnx": Fake("onnx", log, whole=False)}
    found = latency._rows(asked, processes, HOW)
    assert found["torch"] == "it ran out of memory"
    (row,) = found["onnx"]
    assert row["network_p50_ms"] == pytest.approx(1)
    assert row["whole_p50_ms"] is None


def test_a_batch_size_that_is_given_is_not_searched_for(asked) -> None:
    log: list = []
    how = How(warm_up=4, calls=20, batch_size=6, threads=1, accelerator="cpu")
    found = latency._rows(asked[:1], {"torch": Fake("torch", log)}, how)
    assert [row["batch"] for row in found["torch"]] == [1, 6]
    assert not [request for _, request in log if request["ask"] == "batch"]


@pytest.mark.parametrize(
    ("milliseconds", "best", "tried"),
    [
        # Each doubling takes twice as long: nothing is gained after the first.
        ({1: 1, 2: 2, 4: 4}, 1, [1, 2, 4]),
        ({1: 1, 2: 1.2, 4: 1.5, 8: 3, 16: 6}, 4, [1, 2, 4, 8, 16]),
        # One that gains nothing may stand before one that does.
        ({1: 1, 2: 2, 4: 2, 8: 2, 16: 9, 32: 20}, 8, [1, 2, 4, 8, 16, 32]),
    ],
)
def test_the_batch_with_the_most_images_a_second(monkeypatch, milliseconds, best, tried) -> None:
    now, sizes = [0], []
    monkeypatch.setattr(timing.time, "perf_counter_ns", lambda: now[0])

    def searched(count):
        sizes.append(count)

        def call():
            now[0] += round(1e6 * milliseconds[count])

        return call

    engine = Engine(searched, None, lambda: None, searched, lambda: None)
    assert best_batch(engine, 32) == best
    assert sizes == tried


def test_a_process_says_its_own_memory_not_that_of_what_started_it() -> None:
    """A child begins with the peak of its parent in `ru_maxrss`."""
    held = bytearray(400_000_000)
    code = "from graft.deploy.timed_engine import peak_bytes; print(peak_bytes())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout
    assert 5_000_000 < int(said) < 200_000_000
    ours = peak_bytes()
    assert ours is not None
    assert ours > len(held)


def test_what_times_an_export_imports_no_torch() -> None:
    code = "import sys, graft.deploy.timed_engine; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_process_that_ends_says_why(tmp_path: Path) -> None:
    job = {"folder": str(tmp_path / "gone"), "threads": 1}
    with (
        engine_process(job, tmp_path, "onnx") as process,
        pytest.raises(GraftError, match=r"gone/predict\.py"),
    ):
        process.ask(ask="memory")


def test_what_a_library_prints_is_no_answer(monkeypatch, tmp_path: Path) -> None:
    """Answers have a channel of their own."""
    engine = (
        "def onnx_engine(file, threads):\n"
        "    print('a library greets')\n"
        "    return lambda images: print('and goes on')\n"
        "def levels_in(card):\n    return None\n"
        "def known_by(folder, card, model):\n    return None\n"
    )
    (tmp_path / "predict.py").write_text(engine)
    (tmp_path / "model.json").write_text(json.dumps({"preprocessing": {}}))
    import numpy as np

    np.save(tmp_path / "inputs.npy", np.zeros((2, 3)))
    job = {
        "folder": str(tmp_path),
        "model": "m",
        "inputs": str(tmp_path / "inputs.npy"),
        "samples": [],
        "threads": 1,
    }
    with engine_process(job, tmp_path, "onnx") as process:
        assert isinstance(process, EngineProcess)
        took = process.ask(ask="time", what="network", batch=3, warm_up=1, calls=4)
        assert len(took) == 4
        assert process.ask(ask="time", what="whole", batch=3, warm_up=1, calls=4) is None
        memory = process.ask(ask="memory")
    assert memory["device"] is None
    assert timed_engine.GAIN > 1


def test_runs_are_told_apart_by_the_end_of_their_paths() -> None:
    def run(path):
        return SimpleNamespace(folder=SimpleNamespace(path=Path(path)))

    assert labels_of([run("/a/b/one"), run("/a/c/two")]) == ["one", "two"]
    assert labels_of([run("/a/b/run"), run("/a/c/run")]) == ["b/run", "c/run"]
