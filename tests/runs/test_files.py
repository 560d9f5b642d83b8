"""A file is written whole or not at all, and read back as it was."""

import csv
import hashlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import yaml

from graft.runs.files import digest_of, read_csv, whole, write_csv, write_json, write_text, write_yaml

WRITERS = {
    "text": (write_text, "a\r\nb\n", lambda path: path.read_bytes().decode()),
    "json": (write_json, {"ü": [1, 2.5, None, True], "b": {"c": "ø"}}, lambda p: json.loads(p.read_text())),
    "yaml": (write_yaml, {"b": 1, "a": ["no", "1", None, 0.1]}, lambda p: yaml.safe_load(p.read_text())),
    "csv": (write_csv, [{"b": "1", "a": 'x, "y"\nz'}], read_csv),
}


@pytest.mark.parametrize(("write", "value", "read"), WRITERS.values(), ids=list(WRITERS))
def test_what_was_written_is_read_back(tmp_path, write, value, read):
    path = tmp_path / "made" / "on the way" / "file"
    write(path, value)
    assert read(path) == value
    assert [child.name for child in path.parent.iterdir()] == ["file"]


def test_a_files_digest_is_sha_256_of_all_of_it(tmp_path):
    path = tmp_path / "file"
    content = bytes(range(256)) * 10_000
    path.write_bytes(content)
    assert digest_of(path) == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("writer", list(WRITERS))
@pytest.mark.parametrize("fails", ["open", "write", "sync", "rename"])
def test_a_write_that_fails_changes_nothing(tmp_path, monkeypatch, writer, fails):
    write, value, _ = WRITERS[writer]
    path = tmp_path / "file"
    path.write_text("old")

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    class Full:
        """A file that takes one character and then no more."""

        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *args):
            self.file.close()

        def write(self, text):
            self.file.write(text[:1])
            self.file.flush()
            full()

    opened = Path.open
    with monkeypatch.context() as patch:
        if fails == "open":
            patch.setattr(Path, "open", full)
        elif fails == "write":
            patch.setattr(Path, "open", lambda self, *args, **kwargs: Full(opened(self, *args, **kwargs)))
        elif fails == "sync":
            patch.setattr(os, "fsync", full)
        else:
            patch.setattr(Path, "replace", full)
        with pytest.raises(OSError, match="No space"):
            write(path, value)
    assert path.read_text() == "old"
    assert [child.name for child in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(("write", "value"), [(write_json, {"a": object()}), (write_yaml, {"a": object()})])
def test_what_is_no_plain_value_changes_nothing(tmp_path, write, value):
    (tmp_path / "file").write_text("old")
    with pytest.raises((TypeError, yaml.YAMLError)):
        write(tmp_path / "file", value)
    assert (tmp_path / "file").read_text() == "old"
    assert [child.name for child in tmp_path.iterdir()] == ["file"]


def test_a_reader_never_meets_half_a_file(tmp_path):
    path = tmp_path / "file"
    texts = [letter * 200_000 for letter in "ab"]
    write_text(path, texts[0])
    done = threading.Event()
    seen = []

    def read():
        while not done.is_set():
            seen.append(path.read_text() in texts)

    reader = threading.Thread(target=read)
    reader.start()
    for index in range(40):
        write_text(path, texts[index % 2])
    done.set()
    reader.join()
    assert seen
    assert all(seen)


def test_a_killed_writer_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    code = (
        "import os, sys; from pathlib import Path; from graft.runs.files import write_text\n"
        "os.fsync = lambda descriptor: os._exit(9)\n"
        "write_text(Path(sys.argv[1]), 'new')"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)]).returncode == 9
    assert path.read_text() == "old"


def test_json_is_for_people(tmp_path):
    write_json(tmp_path / "file", {"zebra": "ß", "ant": 1})
    assert (tmp_path / "file").read_text(encoding="utf-8") == '{\n  "zebra": "ß",\n  "ant": 1\n}\n'


def test_yaml_keeps_the_order_and_is_no_python(tmp_path):
    write_yaml(tmp_path / "file", {"zebra": "ß", "ant": ["1", 1, "no"]})
    text = (tmp_path / "file").read_text(encoding="utf-8")
    assert text.splitlines()[0] == "zebra: ß"
    assert yaml.safe_load(text)["ant"] == ["1", 1, "no"]


def test_csv_is_what_other_programs_read(tmp_path):
    write_csv(tmp_path / "file", iter([{"path": "a,b.png", "p": 0.1}, {"path": "ü\n.png", "label": "x"}]))
    with (tmp_path / "file").open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["path", "p", "label"],
            ["a,b.png", "0.1", ""],
            ["ü\n.png", "", "x"],
        ]
    assert b"\r" not in (tmp_path / "file").read_bytes()


def test_a_number_survives_csv(tmp_path):
    number = 0.1 + 0.2
    write_csv(tmp_path / "file", [{"loss": number}])
    assert float(read_csv(tmp_path / "file")[0]["loss"]) == number


def test_no_rows_are_a_file_without_rows(tmp_path):
    write_csv(tmp_path / "file", [])
    assert read_csv(tmp_path / "file") == []


def test_a_file_name_that_is_not_utf_8_survives(tmp_path):
    name = b"caf\xe9.jpg".decode("utf-8", "surrogateescape")
    write_csv(tmp_path / "x.csv", [{"path": name}])
    assert read_csv(tmp_path / "x.csv") == [{"path": name}]


def test_others_may_read_what_any_new_file_lets_them_read(tmp_path):
    """Some writers make files for their user alone, as that of safetensors did to each run's model."""
    (tmp_path / "plain").write_text("")
    with whole(tmp_path / "model.safetensors") as part:
        part.unlink()
        os.close(os.open(part, os.O_CREAT | os.O_WRONLY, 0o600))
    modes = [(tmp_path / name).stat().st_mode for name in ("plain", "model.safetensors")]
    assert modes[0] == modes[1]
