"""When the steps of an advice have to end."""

from pathlib import Path

import numpy as np
import pytest

from graft.advice import clock as of_clock
from graft.advice import steps as of_steps
from graft.advice.backbones import Ranked
from graft.advice.clock import Clock
from graft.advice.known import Known
from graft.advice.ladder import SOLVED
from graft.advice.speed import Measured, Speed
from graft.advice.steps import CLIMBED, COMPARED, LABELLED, LOOKED, RANKED, WRITING, plan_of, seconds_to_test
from graft.advice.trainings import Training
from graft.data.splits import Splits
from graft.ranking.candidates import Candidate
from graft.runs.folder import RunFolder

MOMENTS = ((RANKED, LOOKED), (CLIMBED, RANKED), (COMPARED, CLIMBED))


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch):
    """Sets the time, of a clock that began at 0."""

    class Set:
        now = 0.0

        def monotonic(self) -> float:
            return Set.now

    for module in (of_clock, of_steps):
        monkeypatch.setattr(module, "time", Set())

    def set_to(now: float) -> None:
        Set.now = now

    return set_to


def test_steps_that_begin_in_time_end_at_their_shares(at) -> None:
    clock = Clock(100.0, started=0.0)
    for (share, before), now in zip(MOMENTS, (5.0, 25.0, 40.0), strict=True):
        at(now)
        assert clock.moment(share, before) == pytest.approx(100 * share)


@pytest.mark.parametrize("late", [40.0, 80.0, 99.0])
def test_after_a_long_look_every_step_has_its_part_of_what_is_left(at, late: float) -> None:
    at(late)
    clock = Clock(100.0, started=0.0)
    ends = [clock.moment(share, before) for share, before in MOMENTS]
    assert late < ends[0] < ends[1] < ends[2] < 100
    assert ends[0] - late == pytest.approx((RANKED - LOOKED) / (1 - LOOKED) * (100 - late))


def test_a_start_that_goes_on_has_what_is_left(at) -> None:
    at(0.0)
    clock = Clock(100.0, 60.0, started=0.0)
    assert clock.moment(RANKED, LOOKED) == pytest.approx(RANKED * 40)
    assert clock.moment(1.0) == pytest.approx(40)
    assert Clock(100.0, 160.0, started=0.0).moment(COMPARED, CLIMBED) < 0


def test_the_plan_says_by_when_each_step_ends(at) -> None:
    chosen = [Measured(Candidate("a", "a", {}), Speed(0.01, 0.0, 32))]
    at(3.0)
    assert plan_of(Clock(120.0, started=0.0), 100, chosen) == [
        "plan for 2 minutes:",
        "  rank 1 backbone by the features of 100 images: about 1 s",
        "  retrain more, as long as it pays: until 72 s at the latest",
        "  say what more and other labels would give: until 90 s at the latest",
        "  compare on folds: until 114 s at the latest",
        "  test once",
    ]


def test_the_plan_of_a_start_that_goes_on_is_for_what_is_left(at) -> None:
    chosen = [Measured(Candidate("a", "a", {}), Speed(0.01, 0.0, 32))]
    at(3.0)
    again = plan_of(Clock(120.0, 60.0, started=0.0), 100, chosen)
    assert again[0] == "plan for 2 minutes, of which 1.0 were spent before:"
    assert again[2] == "  retrain more, as long as it pays: until 96 s at the latest"


def test_after_a_long_look_the_plan_is_that_of_the_steps(at) -> None:
    """Each of them begins when the one before has used up its time."""
    clock = Clock(120.0, started=0.0)
    at(60.0)
    said = plan_of(clock, 0, [Measured(Candidate("a", "a", {}), Speed(0.01, 0.0, 32))])
    for line, (share, before) in zip(
        said[2:5], ((CLIMBED, RANKED), (LABELLED, CLIMBED), (COMPARED, LABELLED)), strict=True
    ):
        end = clock.moment(share, before)
        assert line.endswith(f"until {end:.0f} s at the latest")
        at(end)


def test_the_test_has_its_time(tmp_path: Path) -> None:
    """A pass over its images, and as much again; the labels are not asked about in it."""
    backbone = Candidate("a", "a", {})
    head = Training(backbone, SOLVED, (), RunFolder(tmp_path), 1, 0.0)
    known = Known({}, head=head, ranked=[Ranked(backbone, {}, None, Speed(0.02, 0.01, 32))])
    known.splits = Splits({"test": np.arange(1000)}, "drawn")
    assert seconds_to_test(known) == pytest.approx(WRITING + 60)
