"""Ctrl-C, SIGTERM and SLURM's SIGUSR1 leave a block as what they are, and the handlers as they were."""

import os
import signal
import threading
import time

import pytest
import pytorch_lightning as pl

from graft.processes.interruption import (
    Paused,
    Terminated,
    defer,
    interruptible,
    is_pending,
    pause,
    raise_pending,
    until,
)


@pytest.fixture(autouse=True)
def handlers():
    """The test's own handlers, which stand again afterwards whatever happened."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_sigterm_ends_the_block_with_its_exit_status():
    with pytest.raises(Terminated) as stop, interruptible():
        signal.raise_signal(signal.SIGTERM)
    assert stop.value.code == 143


def test_slurms_signal_ends_the_block_in_a_job(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    with pytest.raises(Terminated) as stop, interruptible():
        signal.raise_signal(signal.SIGUSR1)
    assert (stop.value.code, stop.value.reason, stop.value.requeue) == (138, "SIGUSR1", True)
    assert not Terminated().requeue
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL


def test_slurms_signal_is_left_alone_outside_a_job_and_where_it_is_anothers(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with interruptible():
        assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    heard = []
    signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
    try:
        with interruptible():
            signal.raise_signal(signal.SIGUSR1)
    finally:
        signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    assert heard == [signal.SIGUSR1]


def test_the_first_signal_says_why_it_stopped(monkeypatch):
    # SLURM sends SIGTERM once the time is up; that the job is to come back must not be forgotten.
    monkeypatch.setenv("SLURM_JOB_ID", "7")

    def block():
        with interruptible():
            defer(True)
            signal.raise_signal(signal.SIGUSR1)
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Terminated) as stop:
        block()
    assert stop.value.requeue


# From Python 3.12 on, a fork beside torch's threads warns.
@pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_that_loads_takes_no_notice(number):
    with interruptible():
        child = os.fork()
        if child == 0:
            code = 1
            try:
                signal.raise_signal(number)
                code = 0
            finally:
                os._exit(code)
        assert os.waitpid(child, 0)[1] == 0


def test_ctrl_c_ends_the_block():
    with pytest.raises(KeyboardInterrupt), interruptible():
        signal.raise_signal(signal.SIGINT)


def test_lightnings_answer_to_ctrl_c_is_taken_for_ctrl_c():
    with pytest.raises(KeyboardInterrupt), interruptible():
        raise SystemExit(1)


@pytest.mark.parametrize("error", [None, ValueError("wrong"), Terminated(), KeyboardInterrupt()])
def test_the_handlers_are_given_back(error):
    def mine(number, frame):
        pass

    signal.signal(signal.SIGTERM, mine)

    def block():
        with interruptible():
            assert signal.getsignal(signal.SIGTERM) is not mine
            # Lightning leaves Ctrl-C ignored.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            if error is not None:
                raise error

    if error is None:
        block()
    else:
        with pytest.raises(type(error)) as caught:
            block()
        assert caught.value is error
    assert signal.getsignal(signal.SIGTERM) is mine
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_in_another_thread_no_handler_is_touched():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def work():
        with interruptible():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_run_pauses_in_the_thread_that_is_to_pause_and_in_no_other():
    said = []

    def work():
        with interruptible(), until(time.monotonic()):
            said.append(is_pending())
            try:
                raise_pending(is_pending())
            except Paused as paused:
                said.append(paused.reason)
        with interruptible():
            pause("stop_after=1")
            said.append(is_pending())
        said.append(is_pending())

    def elsewhere():
        said.append(is_pending())

    for target in (work, elsewhere):
        with interruptible(), until(time.monotonic() + 1000):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
            assert not is_pending()
    assert said == [True, "out of time", True, False, False]


class Raises(pl.Callback):
    """Sends a signal in the fourth step."""

    def __init__(self, number):
        self.number = number

    def on_train_batch_start(self, trainer, *args):
        if trainer.global_step == 3:
            signal.raise_signal(self.number)


@pytest.mark.parametrize(
    ("number", "stop"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_a_fit_that_was_stopped_does_not_pass_for_one_that_ended(transfer, trainer, loader, number, stop):
    fitted = trainer(epochs=5, callbacks=[Raises(number)])
    with pytest.raises(stop), interruptible():
        fitted.fit(transfer(), loader(8, 4))
    assert fitted.global_step == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
