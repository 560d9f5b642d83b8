"""Output that cannot encode, that is closed or that is no file ends no run, and is left as it was."""

import io
import sys
import threading

import pytest

from graft.cli.console import guarded
from graft.processes.output import is_terminal, lenient_output


def cp1252(monkeypatch: pytest.MonkeyPatch) -> io.TextIOWrapper:
    # Not a fixture: pytest takes standard output back between a fixture and its test.
    stream = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", stream)
    return stream


def written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    assert isinstance(stream.buffer, io.BytesIO)
    return stream.buffer.getvalue().decode(stream.encoding)


def test_what_cannot_be_encoded_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = cp1252(monkeypatch)
    assert guarded(lambda: print("中文 … − ± caf\udce9")) == 0
    assert written(stream).strip() == "?? … ? ± caf?"
    assert stream.errors == "strict"


@pytest.mark.parametrize(
    ("encoding", "errors", "meanwhile"),
    [
        ("utf-8", "strict", "replace"),
        ("utf-8", "surrogateescape", "surrogateescape"),
        ("ascii", "surrogateescape", "replace"),
        ("ascii", "backslashreplace", "backslashreplace"),
    ],
)
def test_only_what_would_raise_is_changed(
    encoding: str, errors: str, meanwhile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors=errors)
    monkeypatch.setattr(sys, "stdout", stream)
    with lenient_output():
        assert stream.errors == meanwhile
        print("x")
    assert stream.errors == errors


def test_the_last_of_several_threads_puts_it_back(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = cp1252(monkeypatch)
    inside, leave = threading.Event(), threading.Event()

    def other() -> None:
        with lenient_output():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=other)
    with lenient_output():
        thread.start()
        assert inside.wait(10)
    assert stream.errors == "replace"
    leave.set()
    thread.join()
    assert stream.errors == "strict"


def test_it_is_put_back_after_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = cp1252(monkeypatch)
    with pytest.raises(KeyError), lenient_output():
        raise KeyError
    assert stream.errors == "strict"


class Tee:
    """As programs put in the place of standard output: it knows `write`, and little else."""

    def write(self, text: str) -> None:
        pass


@pytest.mark.parametrize("stream", [None, Tee(), io.StringIO()])
def test_a_stream_of_another_kind_is_left_alone(stream: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", stream)
    assert not is_terminal()
    with lenient_output():
        assert sys.stdout is stream


def test_without_standard_output_a_command_ends_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert guarded(lambda: print("x")) == 0


def test_a_closed_stream_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.TextIOWrapper(io.BytesIO())
    stream.close()
    monkeypatch.setattr(sys, "stdout", stream)
    assert not is_terminal()
    with lenient_output():
        pass
