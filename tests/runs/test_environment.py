"""The environment is recorded as plain values, wherever a run takes place."""

import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version

import pytest

from graft.configuration.version import __version__
from graft.runs import environment
from graft.runs.environment import describe_environment

MINE = {
    **{
        f"GIT_{who}_{what}": "nobody@localhost"
        for who in ("AUTHOR", "COMMITTER")
        for what in ("NAME", "EMAIL")
    },
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_SYSTEM": os.devnull,
}


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """A working folder that is in no repository."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    for key, value in MINE.items():
        monkeypatch.setenv(key, value)
    return tmp_path


def git(*words):
    return subprocess.run(["git", *words], check=True, capture_output=True, text=True).stdout.strip()


def test_it_is_plain_values(elsewhere):
    found = describe_environment()
    assert json.loads(json.dumps(found)) == found
    assert found["python"] == platform.python_version()
    assert found["command"] == sys.argv
    assert found["platform"]
    assert 1 <= found["cores"] <= os.cpu_count()


def test_every_package_is_recorded_with_its_version(elsewhere):
    packages = describe_environment()["packages"]
    for name in ("torch", "pytorch-lightning", "hydra-core"):
        assert packages[name] == version(name)
    # Of the code that runs, whatever is installed.
    assert packages["graft-transfer"] == __version__
    assert list(packages) == sorted(packages)


def test_outside_a_repository_there_is_no_commit(elsewhere):
    assert describe_environment()["git"] is None


def test_the_commit_and_whether_anything_was_changed(elsewhere):
    git("init", "--quiet")
    assert describe_environment()["git"] is None
    (elsewhere / "file").write_text("one")
    git("add", "file")
    git("commit", "--quiet", "-m", "first")
    assert describe_environment()["git"] == {"commit": git("rev-parse", "HEAD"), "changed": False}
    (elsewhere / "file").write_text("two")
    assert describe_environment()["git"]["changed"]
    (elsewhere / "file").write_text("one")
    assert not describe_environment()["git"]["changed"]
    (elsewhere / "new").write_text("one")
    assert describe_environment()["git"]["changed"]


@pytest.mark.parametrize("error", [FileNotFoundError("git"), subprocess.TimeoutExpired("git", 10)])
def test_without_git_a_run_goes_on(elsewhere, monkeypatch, error):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(environment.subprocess, "run", fail)
    assert describe_environment()["git"] is None


def test_where_the_processor_is_not_told_a_run_goes_on(elsewhere, monkeypatch):
    def fail(*args, **kwargs):
        raise FileNotFoundError("/proc/cpuinfo")

    monkeypatch.setattr(environment, "open", fail, raising=False)
    assert describe_environment()["processor"] == platform.processor()


def test_a_broken_installation_does_not_stop_a_run(elsewhere, monkeypatch):
    (elsewhere / "lost-1.0.dist-info").mkdir()
    monkeypatch.syspath_prepend(elsewhere)
    assert "torch" in describe_environment()["packages"]
