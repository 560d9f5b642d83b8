"""What a run says stands on the terminal and, with the time, in its own log alone."""

import logging
import re

import pytest

from graft.runs.log import keep, log_to, say


def test_what_is_said_is_printed_and_kept_with_the_time(tmp_path, capsys):
    with log_to(tmp_path / "train.log"):
        say("größer")
        assert re.fullmatch(
            r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} größer\n", (tmp_path / "train.log").read_text("utf-8")
        )
    assert capsys.readouterr().out == "größer\n"


def test_what_is_kept_is_not_printed(tmp_path, capsys):
    with log_to(tmp_path / "train.log"):
        keep("Traceback")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")
    assert "Traceback" in (tmp_path / "train.log").read_text()


def test_without_a_log_it_is_printed_alone(tmp_path, capsys):
    say("before")
    with log_to(tmp_path / "train.log"):
        pass
    say("after")
    keep("nowhere")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("before\nafter\n", "")
    assert (tmp_path / "train.log").read_text() == ""


def test_each_run_has_its_own_log(tmp_path, capsys):
    for name in ("first", "second"):
        with log_to(tmp_path / name):
            say(name)
    assert "second" not in (tmp_path / "first").read_text()
    assert "first" not in (tmp_path / "second").read_text()


def test_an_error_closes_the_log(tmp_path):
    handlers = list(logging.getLogger("graft.run").handlers)
    with pytest.raises(ValueError, match="wrong"), log_to(tmp_path / "train.log"):
        raise ValueError("wrong")
    assert logging.getLogger("graft.run").handlers == handlers


def test_a_log_is_added_to(tmp_path):
    (tmp_path / "train.log").write_text("earlier\n")
    with log_to(tmp_path / "train.log"):
        keep("later")
    lines = (tmp_path / "train.log").read_text().splitlines()
    assert lines[0] == "earlier"
    assert lines[1].endswith("later")


def test_other_loggers_hear_nothing(tmp_path):
    heard = []
    listener = logging.Handler()
    listener.emit = heard.append
    logging.getLogger().addHandler(listener)
    try:
        with log_to(tmp_path / "train.log"):
            say("a line")
    finally:
        logging.getLogger().removeHandler(listener)
    assert heard == []
