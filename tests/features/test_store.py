"""What is stored is whole or not there, is computed once, and takes no more room than it may."""

import json
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import torch

from graft.data.cache_location import cache_folder
from graft.features import folder
from graft.features.shards import open_shard
from graft.features.store import FeatureStore

KEY = "ab" * 32


def names(*numbers):
    return [bytes([number]) * 32 for number in numbers]


class Computes:
    """Gives `(number, 10 · number)` for the image of each number, in batches of two; counts."""

    def __init__(self, ids, fails_after=None, dtype=torch.float32):
        self.ids, self.fails_after, self.dtype = ids, fails_after, dtype
        self.asked = []

    def __call__(self, positions):
        self.asked.append([self.ids[position][0] for position in positions])
        for start in range(0, len(positions), 2):
            if self.fails_after is not None and start >= self.fails_after:
                raise KeyboardInterrupt
            numbers = [self.ids[position][0] for position in positions[start : start + 2]]
            yield torch.tensor([[n, 10 * n] for n in numbers], dtype=self.dtype)


def get(store, ids, key=KEY, **settings):
    compute = Computes(ids, **settings)
    return store.get_or_compute(key, ids, compute, {"after": "stem"}, image_bytes=8), compute.asked


def values(stored):
    return stored.take(np.arange(len(stored)))[:, 0].tolist()


def test_what_was_computed_is_read(store):
    stored, asked = get(store, names(1, 2, 3))
    assert asked == [[1, 2, 3]]
    assert torch.equal(stored.take(np.array([2, 0])), torch.tensor([[3.0, 30.0], [1.0, 10.0]]))
    again, asked = get(FeatureStore(store.path, 10**9), names(3, 1))
    assert asked == []
    assert values(again) == [3, 1]
    assert values(get(store, names(1), key="cd" * 32)[0]) == [1]


def test_only_what_lacks_is_computed_and_each_image_once(store):
    get(store, names(1, 2))
    stored, asked = get(store, names(4, 2, 4, 3, 1))
    assert asked == [[4, 3]]
    assert values(stored) == [4, 2, 4, 3, 1]
    assert values(get(store, names(3, 2))[0]) == [3, 2]
    assert len(get(store, [])[0]) == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_values_keep_their_type(store, dtype):
    stored, _ = get(store, names(1, 2), dtype=dtype)
    assert stored.take(np.array([1])).dtype == dtype
    assert values(FeatureStore(store.path, 9).get_or_compute(KEY, names(2, 1), None, {})) == [2, 1]


def test_what_is_taken_may_be_changed(store):
    stored, _ = get(store, names(1, 2))
    stored.take(np.array([0])).add_(5)
    assert values(stored) == [1, 2]


def test_an_interrupted_write_leaves_nothing(store):
    with pytest.raises(KeyboardInterrupt):
        get(store, names(1, 2, 3, 4), fails_after=2)
    assert [path for path in store.path.rglob("*") if path.is_file() and path.parent.name != "locks"] == []
    assert get(store, names(1, 2))[1] == [[1, 2]]


def test_what_a_killed_process_left_is_cleared_away(store):
    half = store.path / KEY / ".part-0123"
    half.mkdir(parents=True)
    (half / "rows.bin").write_bytes(b"half")
    assert get(store, names(1))[1] == [[1]]
    assert not half.exists()
    assert folder.entries(store.path)[0].images == 1


def cut(path):
    path.write_bytes(path.read_bytes()[:-1])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def lie(path):
    header = json.loads(path.read_text())
    path.write_text(json.dumps({**header, "dtype": "int32"}))


@pytest.mark.parametrize(
    ("name", "harm"),
    [
        *((name, harm) for name in ("rows.bin", "ids.bin", "shard.json") for harm in (cut, os.unlink)),
        *(("rows.bin", flip), ("ids.bin", flip)),
        ("shard.json", lambda path: path.write_text(path.read_text().replace("[\n    2\n  ]", "[3]"))),
        ("shard.json", lambda path: path.write_text(path.read_text().replace("float32", "system"))),
        ("shard.json", lambda path: path.write_text("[]")),
    ],
)
def test_damage_is_noticed_and_computed_again(store, name, harm, capsys):
    get(store, names(1, 2, 3))
    (shard,) = (store.path / KEY).iterdir()
    harm(shard / name)
    assert open_shard(shard) is None
    stored, asked = get(FeatureStore(store.path, 10**9), names(1, 2, 3))
    assert asked == [[1, 2, 3]]
    assert values(stored) == [1, 2, 3]
    assert "is damaged; it is computed again" in capsys.readouterr().out
    assert get(FeatureStore(store.path, 10**9), names(1, 2, 3))[1] == []


def test_two_writers_compute_once(store, capsys):
    ids, started, go = names(1, 2), threading.Event(), threading.Event()
    first = Computes(ids)

    def slowly(positions):
        started.set()
        assert go.wait(30)
        yield from first(positions)

    def write():
        FeatureStore(store.path, 10**9).get_or_compute(KEY, ids, slowly, {})

    thread = threading.Thread(target=write)
    thread.start()
    assert started.wait(30)
    threading.Timer(0.2, go.set).start()
    stored, asked = get(store, ids)
    thread.join()
    assert (first.asked, asked) == ([[1, 2]], [])
    assert values(stored) == [1, 2]
    assert "another process computes the same; waiting" in capsys.readouterr().out


PROCESS = """
import sys, time, torch
from pathlib import Path
from graft.features.store import FeatureStore
def compute(positions):
    print("computes", flush=True)
    sys.stdin.readline()
    yield torch.tensor([[7.0]])
FeatureStore(Path(sys.argv[1]), 10**9).get_or_compute("ab" * 32, [b"x" * 32], compute, {})
print("done")
"""


def test_a_writer_that_is_killed_makes_way(store):
    command = [sys.executable, "-c", PROCESS, str(store.path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "computes\n"
        process.kill()
    compute = Computes([b"x" * 32])
    stored = store.get_or_compute(KEY, [b"x" * 32], compute, {})
    assert len(compute.asked) == 1
    assert values(stored) == [ord("x")]


def used(store, key, seconds):
    at = time.time() - seconds
    os.utime(store.path / key, (at, at))


def test_what_was_used_longest_ago_makes_room(tmp_path, capsys):
    store = FeatureStore(tmp_path, 10**9)
    keys = [letter * 64 for letter in "abc"]
    for age, key in enumerate(keys[:2]):
        get(store, names(1, 2), key)
        used(store, key, 100 * (age + 1))
    # Read again: now it is the other that was used longest ago.
    get(store, names(1), keys[1])
    held = sum(entry.bytes for entry in folder.entries(tmp_path))
    small = FeatureStore(tmp_path, held + 8)
    get(small, names(1, 2), keys[2])
    assert [entry.key for entry in folder.entries(tmp_path)] == keys[1:]
    assert "removed aaaaaaaaaaaa" in capsys.readouterr().out


def test_what_never_fits_is_told(store, monkeypatch):
    small = FeatureStore(store.path, 1000)
    assert small.room_for(1000) is None
    assert "1.0 kB are more than cache.max_bytes=1000" in small.room_for(1001)
    monkeypatch.setattr(folder.shutil, "disk_usage", lambda path: type("Usage", (), {"free": folder.RESERVE}))
    assert store.room_for(0) is None
    assert "has 1.0 GB left" in store.room_for(1)


def test_words_choose_entries(store):
    for key in ("aa" + "0" * 62, "ab" + "0" * 62, "b" * 64):
        get(store, names(1), key)
    used(store, "b" * 64, 3 * 86400)

    def chosen(*words):
        return [entry.key[:2] for entry in folder.chosen(store.path, words)]

    assert sorted(chosen("all")) == ["aa", "ab", "bb"]
    assert sorted(chosen("a")) == ["aa", "ab"]
    assert chosen("older_than=2") == ["bb"]
    assert chosen("older_than=4") == []
    assert sorted(chosen("b", "older_than=2", "ab")) == ["ab", "bb"]
    with pytest.raises(folder.GraftError, match="no entry's key begins so"):
        chosen("c")
    with pytest.raises(folder.GraftError, match="a number of days"):
        chosen("older_than=x")


def test_an_entry_that_is_written_stays(store):
    get(store, names(1))
    (entry,) = folder.entries(store.path)
    release = threading.Event()

    def hold():
        with folder.locked(store.path, KEY):
            started.set()
            release.wait(30)

    started = threading.Event()
    thread = threading.Thread(target=hold)
    thread.start()
    assert started.wait(30)
    assert folder.remove(entry) == "a process is writing it"
    release.set()
    thread.join()
    stored, _ = get(store, names(1))
    assert folder.remove(entry) is None
    assert values(stored) == [1]
    assert folder.entries(store.path) == []


def test_sizes_are_said_as_people_do():
    assert [folder.sized(n) for n in (0, 999, 1000, 1_250_000, 7 * 10**9, 10**13)] == [
        *("0 B", "999 B", "1.0 kB", "1.2 MB", "7.0 GB", "10.0 TB")
    ]


def test_the_folder_follows_the_configuration_then_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("GRAFT_CACHE_DIR", str(tmp_path / "env"))
    assert cache_folder(None) == tmp_path / "env"
    assert cache_folder(str(tmp_path / "given")) == tmp_path / "given"
    monkeypatch.delenv("GRAFT_CACHE_DIR")
    assert cache_folder(None).name == "graft"


def test_looking_at_the_folder_imports_no_torch():
    code = (
        "import sys, graft.features.folder as f\nfrom graft.data.cache_location import cache_folder\n"
        "f.entries(cache_folder(None))\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
