"""Two configurations ask for one run if they differ only in how it is started and where things are kept."""

import pytest

from graft.composition.composing import compose
from graft.runs.fingerprint import fingerprint

WORDS = ["data=digits", "freeze=frozen", "trainer.max_epochs=3"]


def of(*words: str) -> str:
    return fingerprint(compose("train", [*WORDS, *words])[0])


@pytest.mark.parametrize(
    "word",
    [
        *("resume=x", "sweep.resume=x", "cache.dir=x", "hydra.run.dir=x", "trust=[mypkg]", "test=false"),
        *("data.num_workers=0", "threads=1", "trainer.accelerator=cpu", "callbacks.progress.refresh_rate=0"),
    ],
)
def test_where_and_how_it_starts_is_left_out(word: str) -> None:
    assert of(word) == of()


@pytest.mark.parametrize("word", ["seed=1", "optimizer.lr=0.1", "data.shots=3", "cache.features=off"])
def test_all_else_counts(word: str) -> None:
    assert of(word) != of()


def test_what_is_spelt_otherwise_is_the_same() -> None:
    assert of("seed=0") == of("++seed=0") == of()
    assert fingerprint({"a": 1, "b": {"c": 2, "d": 3}}) == fingerprint({"b": {"d": 3, "c": 2}, "a": 1})
