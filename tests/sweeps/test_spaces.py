"""Words of Hydra's grammar become what Optuna draws from, and what is drawn becomes the same words again."""

import pytest
from hydra.errors import OverrideParseException

from graft.sweeps.spaces import corners, read

optuna = pytest.importorskip("optuna")


def test_intervals_are_numbers_and_all_else_are_words() -> None:
    spaces, fixed = read(
        [
            "a=tag(log, interval(1e-5, 1e-1))",
            "b=int(interval(1, 8))",
            "c=x,null,true",
            "d=range(1,4)",
            "e=[1,2]",
        ]
    )
    assert spaces["a"] == optuna.distributions.FloatDistribution(1e-5, 1e-1, log=True)
    assert spaces["b"] == optuna.distributions.IntDistribution(1, 8)
    assert spaces["c"].choices == ("x", "null", "True")
    assert spaces["d"].choices == ("1", "2", "3")
    assert fixed == ["e=[1,2]"]


def test_of_several_words_for_a_key_the_last_counts() -> None:
    spaces, fixed = read(["seed=0,1", "freeze=full", "seed=3", "freeze=full,frozen"])
    assert fixed == ["seed=3"]
    assert list(spaces) == ["freeze"]


def test_what_cannot_be_read_is_refused() -> None:
    with pytest.raises(OverrideParseException):
        read(["a=interval(1"])


def test_every_choice_and_both_ends_are_checked_beforehand() -> None:
    spaces, _ = read(["a=interval(0.0, 1.0)", "b=x,y,z"])
    found = corners(spaces)
    assert {values["a"] for values in found} == {0.0, 1.0}
    assert {values["b"] for values in found} == {"x", "y", "z"}
    assert len(found) == 4
