"""`graft serve` from the command line: a port that is taken, a run that is asked, Ctrl-C."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

import graft
from graft.cli.console import run


def test_a_port_that_is_taken(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run(["serve", f"run={trained}", f"port={port}"]) == 2
    reason = f"port={port} of host=127.0.0.1 cannot be had (address already in use)"
    assert capsys.readouterr().err == f"graft: {reason}; give another port=\n"


def test_a_host_that_is_not_there(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", f"run={trained}", "host=no.such.host.invalid", "port=0"]) == 2
    said = capsys.readouterr().err
    assert "host=no.such.host.invalid: there is no such address" in said
    assert said.count("\n") == 1


def test_limits_that_contradict(trained: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["serve", f"run={trained}", "port=0", "limits.queue=3"]) == 2
    assert "limits.files=256 never find room in limits.queue=3" in capsys.readouterr().err


def test_without_the_extra(
    trained: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from graft.commands import serve

    monkeypatch.setattr(serve, "find_spec", lambda name: None if name == "uvicorn" else name)
    assert run(["serve", f"run={trained}", "port=0"]) == 2
    assert "graft serve needs uvicorn: pip install 'graft-transfer[serve]'" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_is_served_until_ctrl_c_and_nothing_is_written(
    trained: Path, photos: Path, tmp_path: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    command = [sys.executable, "-m", "graft", "serve", f"run={trained}", "port=0", "accelerator=cpu"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stderr is not None
        server.stdout.readline()
        address = server.stdout.readline().decode().strip()
        assert address.startswith("http://127.0.0.1:")
        until = time.monotonic() + 60
        while True:
            try:
                assert httpx.get(f"{address}/health").json()["status"] == "ok"
                break
            except httpx.TransportError:
                assert time.monotonic() < until
                time.sleep(0.2)
        files = sorted(photos.rglob("*.png"))
        sent = [("files", (file.name, file.read_bytes())) for file in files]
        results = httpx.post(f"{address}/predict", files=sent, timeout=60).json()["results"]
        expected = graft.load(trained).predict(files)
        for result, one in zip(results, expected, strict=True):
            assert result["probabilities"] == pytest.approx(one.probabilities, rel=1e-4, abs=1e-6)
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 130
        assert server.stderr.read().decode().split() == ["interrupted"]
    assert os.listdir(tmp_path) == []  # noqa: PTH208
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("*")} == before
