"""`graft latency` times a run's model in torch and exported, and says of what it cannot time why."""

from pathlib import Path

import pytest

from graft.cli.console import run
from graft.composition.composing import compose
from graft.deploy import latency
from graft.errors import GraftError
from graft.runs.files import read_csv


def timed(trained: Path, out: Path, *words: str, status: int = 0) -> list[dict[str, str]]:
    few = ["warm_up=2", "calls=20", "threads=1"]
    assert run(["latency", f"runs={trained}", *few, *words, f"hydra.run.dir={out}"]) == status
    return read_csv(out / "latency.csv") if status == 0 else []


@pytest.mark.figures
def test_torch_and_the_export(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.setenv("COLUMNS", "200")
    rows = timed(trained, tmp_path / "out", "engine=torch,onnx", "batch_size=2")
    assert [(row["engine"], row["batch"]) for row in rows] == [
        (engine, batch) for engine in ("torch", "onnx") for batch in ("1", "2")
    ]
    for row in rows:
        for what in ("network", "whole"):
            p50, p95, p99 = (float(row[f"{what}_p{share}_ms"]) for share in (50, 95, 99))
            assert 0 < p50 <= p95 <= p99
        # Decoding takes its time too.
        assert float(row["whole_p50_ms"]) > float(row["network_p50_ms"])
        assert (row["calls"], row["warm_up"], row["threads"], row["reason"]) == ("20", "2", "1", "")
        assert 0 < float(row["accuracy_low"]) < float(row["accuracy"]) <= 1
        assert row["accuracy_of"] == "test"
    torch, _, onnx, _ = rows
    assert int(torch["file_bytes"]) == (trained / "model" / "model.safetensors").stat().st_size
    # An export is timed as what it is, without torch.
    assert int(onnx["memory_bytes"]) < int(torch["memory_bytes"]) / 2
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"latency.csv", "latency.md", "figure.png"}
    said = capsys.readouterr().out
    assert "20 calls, each timed by itself" in said
    assert "1 thread;" in said
    assert said.splitlines()[-1].endswith("out")


def test_what_cannot_be_exported_is_listed_and_stops_no_other(
    trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def export(config: object, bundle: object, folder: Path) -> None:
        raise GraftError("logits are 3 apart at batch size 5")

    monkeypatch.setattr(latency, "export", export)
    rows = timed(trained, tmp_path / "out", "engine=[torch,int8]", "batch_size=1")
    assert [(row["engine"], row["batch"], row["reason"]) for row in rows] == [
        ("torch", "1", ""),
        ("int8", "", "logits are 3 apart at batch size 5"),
    ]
    assert "not measured: run, int8: logits are 3 apart" in capsys.readouterr().out
    timed(trained, tmp_path / "none", "engine=int8", status=2)
    assert "nothing could be measured: run, int8: logits are 3 apart" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_all_engines_with_a_search_for_the_best_batch(trained: Path, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    rows = timed(trained, tmp_path / "out")
    assert {row["engine"] for row in rows if not row["reason"]} == {"torch", "compile", "onnx", "int8"}
    of = {row["engine"]: row for row in rows if row["batch"] == "1"}
    assert int(of["int8"]["file_bytes"]) < int(of["onnx"]["file_bytes"]) / 2
    assert of["int8"]["accuracy_of"] == "val"


def test_engines_are_named_with_brackets_or_without() -> None:
    for word in ("engine=torch,onnx", "engine=[torch,onnx]", "engine=[torch, onnx]"):
        assert compose("latency", ["runs=a", word])[0]["engine"] == ["torch", "onnx"]
    assert compose("latency", ["runs=a", "engine=onnx"])[0]["engine"] == ["onnx"]
    with pytest.raises(GraftError, match=r"engine=.* is wrong: it must be one or several of torch, compile"):
        compose("latency", ["runs=a", "engine=tensorrt"])
