"""A checkpoint file is the old one or the new one, is checked before it is used, and holds plain values."""

import random

import numpy as np
import pytest
import torch

from graft.errors import GraftError
from graft.processes.random_state import random_state, set_random_state
from graft.training import Checkpoints
from graft.training.callbacks import checkpoint_files
from graft.training.callbacks.checkpoint_files import (
    NEEDED,
    STATE,
    CheckedIO,
    keep_previous,
    load_checked,
    newest,
)


def checkpoint(step):
    """What `newest` looks at, with a tensor to be damaged."""
    state = {**dict.fromkeys(STATE), "seconds": 1.5, "fitted": False}
    parts = {
        **dict.fromkeys(NEEDED),
        "callbacks": {"Checkpoints": state},
        "weights": torch.full((1000,), step),
    }
    return {"global_step": step, **parts}


@pytest.fixture
def folder(tmp_path):
    """A folder that holds the checkpoints of steps 1 (previous) and 2 (last)."""
    for step in (1, 2):
        keep_previous(tmp_path)
        CheckedIO().save_checkpoint(checkpoint(step), tmp_path / "last.ckpt")
    return tmp_path


def test_the_last_checkpoint_is_found_and_nothing_else_is_left(folder):
    assert newest(folder) == (folder / "last.ckpt", 2, 1.5, False)
    names = {"last.ckpt", "last.ckpt.sha256", "previous.ckpt", "previous.ckpt.sha256"}
    assert {path.name for path in folder.iterdir()} == names
    assert len((folder / "last.ckpt.sha256").read_text().splitlines()) == 1
    assert newest(folder / "none") is None


@pytest.mark.parametrize("key", [*NEEDED, *STATE])
def test_what_an_older_graft_left_out_is_named(folder, key):
    old = checkpoint(3)
    del (old if key in NEEDED else old["callbacks"]["Checkpoints"])[key]
    CheckedIO().save_checkpoint(old, folder / "last.ckpt")
    with pytest.raises(GraftError, match=f"written by an older Graft and lacks {key}; start a new run"):
        newest(folder)


def test_all_that_the_callback_reads_is_asked_for(tmp_path):
    assert set(STATE) == set(Checkpoints(str(tmp_path)).state_dict())


@pytest.mark.parametrize("moment", ["save", "digest_of", "write_text"])
def test_a_crash_while_saving_leaves_the_old_one_loading(folder, monkeypatch, moment):
    class Killed(BaseException):
        pass

    def kill(*args, **kwargs):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(torch if moment == "save" else checkpoint_files, moment, kill)
        with pytest.raises(Killed):
            CheckedIO().save_checkpoint(checkpoint(3), folder / "last.ckpt")
    assert newest(folder).step == 2


def test_a_crash_between_the_file_and_its_checksum_leaves_the_new_one_loading(folder, monkeypatch):
    inner = checkpoint_files.write_text
    calls = []

    def once(path, text):
        calls.append(path)
        if len(calls) == 2:
            raise KeyboardInterrupt
        inner(path, text)

    monkeypatch.setattr(checkpoint_files, "write_text", once)
    with pytest.raises(KeyboardInterrupt):
        CheckedIO().save_checkpoint(checkpoint(3), folder / "last.ckpt")
    assert newest(folder).step == 3


def test_a_crash_while_renaming_loses_nothing(folder):
    (folder / "last.ckpt.sha256").replace(folder / "previous.ckpt.sha256")
    assert newest(folder).step == 2
    (folder / "last.ckpt").replace(folder / "previous.ckpt")
    assert newest(folder).step == 2


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "no checksum"])
def test_a_damaged_file_is_told_and_the_one_before_is_used(folder, damage, capsys):
    last = folder / "last.ckpt"
    content = bytearray(last.read_bytes())
    if damage == "flip":
        content[len(content) // 2] ^= 1
    elif damage == "no checksum":
        (folder / "last.ckpt.sha256").unlink()
    else:
        content = content[: len(content) // 2 if damage == "truncate" else 0]
    last.write_bytes(content)
    assert newest(folder) == (folder / "previous.ckpt", 1, 1.5, False)
    assert f"{last} is damaged" in capsys.readouterr().out
    (folder / "previous.ckpt").write_bytes(b"")
    with pytest.raises(GraftError, match="is damaged"):
        newest(folder)


class Payload:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (exec, ("raise SystemExit('unpickled')",))


def test_nothing_but_plain_values_is_read(folder):
    CheckedIO().save_checkpoint({"code": Payload()}, folder / "last.ckpt")
    with pytest.raises(GraftError, match="cannot be read"):
        CheckedIO().load_checkpoint(folder / "last.ckpt", weights_only=False)


def test_a_removed_checkpoint_takes_its_checksum_along(folder):
    CheckedIO().remove_checkpoint(folder / "last.ckpt")
    assert {path.name for path in folder.iterdir()} == {"previous.ckpt", "previous.ckpt.sha256"}


def draw():
    return torch.rand(3).tolist(), np.random.random(3).tolist(), random.random(), random.gauss()


def test_every_generator_goes_on_after_a_round_through_a_file(tmp_path):
    draw()
    CheckedIO().save_checkpoint(random_state(), tmp_path / "state.ckpt")
    first = draw()
    assert draw() != first
    set_random_state(load_checked(tmp_path / "state.ckpt"))
    assert draw() == first


def test_a_fit_leaves_the_end_and_the_checkpoint_before_it(transfer, trainer, loader, tmp_path):
    callback = Checkpoints(str(tmp_path / "kept"))
    fitted = trainer(epochs=3, callbacks=[callback], plugins=[CheckedIO()])
    fitted.fit(transfer(), loader(8, 4))
    last = newest(tmp_path / "kept")
    assert (last.step, last.fitted) == (6, True)
    previous = load_checked(tmp_path / "kept/previous.ckpt")
    assert (previous["global_step"], previous["epoch"]) == (4, 2)
    assert previous["callbacks"]["Checkpoints"]["fitted"] is False


def test_what_other_callbacks_keep_comes_back(transfer, trainer, loader, tmp_path):
    import pytorch_lightning as pl

    class Counts(pl.Callback):
        batches = 0

        def on_train_batch_end(self, *args):
            self.batches += 1

        def state_dict(self):
            return {"batches": self.batches}

        def load_state_dict(self, state_dict):
            self.batches = state_dict["batches"]

    def fit(epochs, **more):
        counts, plugins = Counts(), [CheckedIO()]
        fitted = trainer(epochs=epochs, callbacks=[Checkpoints(str(tmp_path)), counts], plugins=plugins)
        fitted.fit(transfer(), loader(8, 4), **more)
        return counts.batches

    assert fit(2) == 4
    assert fit(3, ckpt_path=tmp_path / "last.ckpt") == 6
