"""A process gets its share of the cores, as is recorded; what comes after it begins with what was there."""

import json
import os

import pytest
import torch

from graft.processes.threads import kept_threads, threads
from graft.runs import RunFolder
from graft.runs.resuming import continued


@pytest.mark.parametrize(
    ("wanted", "found", "processes", "expected"),
    [(None, 8, 1, 8), (None, 8, 2, 4), (None, 8, 3, 2), (None, 2, 4, 1), (5, 2, 4, 5), (1, 8, 1, 1)],
)
def test_cores_are_shared_out(monkeypatch, wanted, found, processes, expected):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: found)
    assert threads(wanted, processes) == expected


def test_a_launchers_share_is_taken_as_it_is(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    assert threads(None, 2) == 3
    assert threads(1, 2) == 1


def test_what_comes_after_a_run_has_the_threads_it_had():
    before = torch.get_num_threads()
    with kept_threads():
        torch.set_num_threads(before + 1)
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before


def test_a_run_records_its_threads_and_goes_on_with_them(trained):
    run = RunFolder.open(trained)
    recorded = json.loads(run.environment.read_text())["threads"]
    assert recorded == run.read_config()["threads"] >= 1
    assert os.environ["OMP_NUM_THREADS"]
    given = {"threads": 7}
    assert continued(run, run.read_config(), {"threads": None}, [])["threads"] == recorded
    assert continued(run, run.read_config(), given, ["threads=7"])["threads"] == 7
