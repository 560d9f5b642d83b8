"""A run folder is claimed once, is never overwritten, and says how its run stands."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from graft.errors import GraftError
from graft.runs import RunFolder
from graft.runs.files import read_csv, write_csv, write_text
from graft.runs.folder import refuse_taken, remove_empty


def test_a_claimed_folder_says_running(tmp_path: Path) -> None:
    status = RunFolder.claim(tmp_path / "run").status()
    assert status["status"] == "running"
    assert status["pid"] == os.getpid()


def test_a_folder_is_claimed_once(tmp_path: Path) -> None:
    RunFolder.claim(tmp_path / "run")
    with pytest.raises(GraftError, match="already holds a run"):
        RunFolder.claim(tmp_path / "run")


def test_of_many_processes_that_want_one_folder_one_gets_it(tmp_path: Path) -> None:
    code = (
        "import sys; from graft.runs import RunFolder; from graft.errors import GraftError\n"
        "try: RunFolder.claim(sys.argv[1]); print('mine')\n"
        "except GraftError: print('taken')"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "run")]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    answers = [process.communicate()[0].strip() for process in started]
    assert sorted(answers) == ["mine"] + ["taken"] * 5


def test_other_peoples_files_are_not_written_among(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(GraftError, match="not empty"):
        refuse_taken(tmp_path)


def test_the_end_keeps_what_was_known(tmp_path: Path) -> None:
    folder = RunFolder.claim(tmp_path / "run")
    started = folder.status()["started"]
    folder.set_status("failed", reason="out of luck")
    assert folder.status()["started"] == started
    assert folder.status()["status"] == "failed"
    assert folder.status()["reason"] == "out of luck"


@pytest.mark.parametrize("content", [None, {}, {"status.json": "{}"}])
def test_what_is_no_run_is_refused(tmp_path: Path, content: dict[str, str] | None) -> None:
    folder = tmp_path / "some"
    if content is not None:
        folder.mkdir()
        for name, text in content.items():
            (folder / name).write_text(text)
    with pytest.raises(GraftError, match="run="):
        RunFolder.open(folder)


def test_a_failing_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "metrics.json"
    write_text(target, "old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_text(target, "new")
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["metrics.json"]


def test_csv_columns_are_all_keys_in_order(tmp_path: Path) -> None:
    rows = [{"epoch": 0, "a": 1}, {"epoch": 1, "b": "x, y"}]
    write_csv(tmp_path / "t.csv", rows)
    assert read_csv(tmp_path / "t.csv") == [
        {"epoch": "0", "a": "1", "b": ""},
        {"epoch": "1", "a": "", "b": "x, y"},
    ]


def test_empty_folders_go_and_full_ones_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs/train/today").mkdir(parents=True)
    (tmp_path / "outputs/README.md").write_text("kept")
    remove_empty(tmp_path / "outputs/train/today")
    assert not (tmp_path / "outputs/train").exists()
    assert (tmp_path / "outputs/README.md").exists()


HOLDS = """
import os, sys, time
from graft.errors import GraftError
from graft.runs import RunFolder
try:
    with RunFolder(sys.argv[1]).hold():
        # A process that loads images goes on for a while after a killed run.
        loads = os.fork()
        if loads == 0:
            time.sleep(60)
            os._exit(0)
        print(loads, flush=True)
        sys.stdin.read()
except GraftError as error:
    print(error, flush=True)
"""


def holder(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", HOLDS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_one_process_at_a_time_holds_a_folder_and_a_killed_one_no_more(tmp_path: Path) -> None:
    folder = RunFolder.claim(tmp_path / "run")
    with holder(folder.path) as first:
        assert first.stdout is not None
        child = int(first.stdout.readline())
        try:
            with holder(folder.path) as second:
                assert "held by another process" in second.communicate()[0]
            with pytest.raises(GraftError, match="held by another process"), folder.hold():
                pass
            first.kill()
            first.wait()
            with folder.hold():
                pass
        finally:
            os.kill(child, signal.SIGKILL)


def test_who_holds_a_folder_may_hold_it_again_and_lets_go(tmp_path: Path) -> None:
    folder = RunFolder.claim(tmp_path / "run")
    with pytest.raises(ValueError, match="wrong"), folder.hold(), RunFolder(folder.path).hold():
        raise ValueError("wrong")
    with holder(folder.path) as other:
        assert other.stdout is not None
        child = other.stdout.readline()
        assert child.strip().isdigit()
        os.kill(int(child), signal.SIGKILL)
        other.kill()
