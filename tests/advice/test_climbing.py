"""The ladder, climbed by trainings that take no time: what is trained, when it stops, what is chosen."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from graft.advice import backbones, climbing
from graft.advice import trainings as of_trainings
from graft.advice.backbones import Ranked, as_many_as_fit, go_on, some_of, within
from graft.advice.climbing import best_of, climb, ladder_of
from graft.advice.ladder import LADDER, SOLVED, data_words, shared_words, words_of
from graft.advice.prior import Facts, shipped
from graft.advice.speed import Measured, Speed
from graft.advice.trainings import Training
from graft.composition.composing import compose
from graft.configuration.keys import conf_dir, option_nodes
from graft.configuration.run_config import RunConfig
from graft.errors import GraftError
from graft.processes.interruption import Paused
from graft.ranking.candidates import Candidate, candidates
from graft.runs.advice_folder import AdviceFolder
from graft.runs.files import read_csv, write_csv, write_json, write_yaml
from graft.runs.folder import RunFolder

FACTS = Facts(200, 2, 32)
SLOW = Speed(0.02, 0.01, 224)
QUICK = Speed(0.001, 0.001, 32)
Curves = Mapping[str, Sequence[float]]


def ranked(name: str, probe: float | None, speed: Speed = QUICK) -> Ranked:
    node = {"_target_": "graft.backbones.simple_cnn", "weights": "somewhere"}
    return Ranked(
        Candidate(name, name, node), {"backbone": name, "probe": probe, "reason": None}, None, speed
    )


class PretendedTime:
    """A clock that goes on where a training says so."""

    now = time.monotonic()

    def monotonic(self) -> float:
        return PretendedTime.now


@pytest.fixture(autouse=True)
def _pretended_time(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (climbing, of_trainings):
        monkeypatch.setattr(module, "time", PretendedTime())


@pytest.fixture
def trainings(tmp_path: Path) -> list[Training]:
    options = {"simple_cnn": {}}
    return ladder_of(
        [ranked("simple_cnn", 0.8, SLOW)], options, ["data=digits"], AdviceFolder(tmp_path), 160, 40
    )


def pretended(curves: Curves, asked: list[str]) -> Callable[[RunConfig, Path, list[str]], RunFolder]:
    """What `graft train` does, but for the training: of each freeze strategy the curve is known."""

    def train(config: RunConfig, path: Path, words: list[str]) -> RunFolder:
        folder = RunFolder(path)
        name = path.name.rpartition("-")[2]
        asked.append(f"{name} {config.stop_after or 'end'}")
        curve = curves[name]
        done = list(curve[: config.stop_after or len(curve)])
        before = len(read_csv(folder.epochs)) if folder.epochs.is_file() else 0
        PretendedTime.now += 10 * (len(done) - before)
        path.mkdir(parents=True, exist_ok=True)
        write_yaml(folder.config, config.recorded())
        rows = [
            {"epoch": epoch, "val/accuracy": value, "val/loss": 1 - value} for epoch, value in enumerate(done)
        ]
        write_csv(folder.epochs, rows)
        if len(done) < len(curve):
            write_json(folder.status_file, {"status": "interrupted"})
            raise Paused("stop_after")
        write_json(folder.status_file, {"status": "finished"})
        write_json(folder.metrics_file, {"val/accuracy": max(done)})
        return folder

    return train


def climbed(
    trainings: Sequence[Training], curves: Curves, seconds: float = 1000.0, end: float = 2000.0
) -> tuple[list[Training], str, list[str]]:
    asked: list[str] = []
    now = PretendedTime.now
    done, why = climb(
        trainings,
        FACTS,
        40,
        shipped(),
        "accuracy",
        now + seconds,
        now + end,
        pretended(curves, asked),
        lambda training: None,
        lambda what: None,
    )
    return done, why, asked


RISING = tuple(0.6 + 0.03 * epoch for epoch in range(10))
CURVES = {"frozen": (0.8,), "last_k": RISING, "lora": (0.3,) * 10, "full": (0.4,) * 10}


def test_the_head_alone_is_trained_first(trainings) -> None:
    _, _, asked = climbed(trainings, CURVES)
    assert asked[0] == "frozen end"


def test_few_epochs_first_and_the_promising_longer(trainings) -> None:
    done, _, asked = climbed(trainings, CURVES)
    last_k = [word for word in asked if word.startswith("last_k")]
    assert last_k[0] != "last_k end"
    assert last_k[-1] == "last_k end"
    assert not any(word in asked for word in ("lora end", "full end"))
    assert {one.step.name for one in done if one.finished} == {"frozen", "last_k"}


def test_a_ladder_whose_steps_are_all_worse_is_left(trainings) -> None:
    flat = {"frozen": (0.99,), "last_k": (0.2,) * 10, "lora": (0.2,) * 10, "full": (0.2,) * 10}
    done, why, _ = climbed(trainings, flat)
    assert why == "no step up is worth its cost"
    assert not any(one.finished for one in done if one.step != SOLVED)


def test_where_all_are_trained_to_their_end_it_says_so(trainings) -> None:
    train = pretended(CURVES, [])
    for one in trainings:
        train(RunConfig.of(compose("train", one.words)[0]), one.folder.path, [])
    done, why, asked = climbed(trainings, CURVES)
    assert all(one.finished for one in done)
    assert (asked, why) == ([], "all were trained to their end")


def test_nothing_is_begun_after_the_time(trainings) -> None:
    _, why, asked = climbed(trainings, CURVES, seconds=-1)
    assert asked == ["frozen end"]
    assert why == "the time is up"


def test_what_fails_stops_no_other(trainings) -> None:
    asked: list[str] = []
    train = pretended(CURVES, asked)

    def failing(config: RunConfig, path: Path, words: list[str]) -> RunFolder:
        if path.name.endswith("lora"):
            raise GraftError("lora: no layer is large enough")
        return train(config, path, words)

    now = PretendedTime.now
    done, _ = climb(
        trainings,
        FACTS,
        40,
        shipped(),
        "accuracy",
        now + 1000,
        now + 2000,
        failing,
        lambda one: None,
        lambda what: None,
    )
    assert [one.failed for one in done if one.step.name == "lora"] == ["lora: no layer is large enough"]
    assert best_of(done, "accuracy").step.name == "last_k"


def test_of_equals_the_simplest_is_best(trainings) -> None:
    done, _, _ = climbed(trainings, {**CURVES, "frozen": (max(RISING),)})
    best = best_of(done, "accuracy")
    assert best is not None
    assert best.step == SOLVED


def test_every_training_is_one_that_can_be_typed(trainings) -> None:
    """Its words compose; the test is left for later, and calibration asked for."""
    assert [one.step for one in trainings] == list(LADDER)
    for training in trainings:
        config = RunConfig.of(compose("train", [*training.words, "backbone.weights=null"])[0])
        assert not config.test
        assert config.calibrate
        assert "test=false" not in training.command


def test_copies_are_kept_together_unless_the_words_say_no() -> None:
    assert "data.keep_copies_together=true" in shared_words(["data=digits", "minutes=3"])
    assert "minutes=3" not in shared_words(["data=digits", "minutes=3"])
    words = ["data=digits", "data.keep_copies_together=false"]
    assert shared_words(words) == [*words, "data.test_seed=0"]


def test_what_repeats_a_look_has_the_same_splits() -> None:
    words = data_words(["data=digits", "++data.x=1", "minutes=3", "++weights.simple_cnn=a", "seed=2"])
    assert words == ["data=digits", "data.x=1", "data.keep_copies_together=true", "data.test_seed=0"]


def test_a_network_of_a_library_is_named_by_words() -> None:
    node = {"_target_": "graft.backbones.timm_backbone", "name": "vit_tiny_patch16_224", "weights": "augreg"}
    words = words_of(Candidate("vit_tiny_patch16_224", "vit", node), {})
    assert words == ["backbone=timm", 'backbone.name="vit_tiny_patch16_224"', 'backbone.weights="augreg"']
    words = words_of(Candidate("simple_cnn", "simple_cnn", {"weights": None}), {"simple_cnn": {}})
    assert words == ["backbone=simple_cnn", "backbone.weights=null"]


@pytest.mark.parametrize("name", ["squeezenet1_0", "resnet34", "mobilevit_s"])
def test_the_words_of_a_backbone_have_the_pixels_that_were_asked_for(name: str) -> None:
    options = option_nodes("backbone", [conf_dir()])
    for image_size in (64, None):
        (candidate,) = candidates(options, [name], {name: None}, image_size)
        words = words_of(candidate, options)
        assert ("backbone.image_size=64" in words) is (image_size is not None)
        assert compose("train", ["data=digits", *words])[0]["backbone"] == candidate.node


def test_options_of_ones_own_are_found_by_trainings_and_what_repeats_a_look() -> None:
    word = 'hydra.searchpath=["file:///my conf"]'
    assert word in shared_words(["data=mine", word, "minutes=3"])
    assert data_words(["data=mine", word, "seed=1"])[:2] == ["data=mine", word]


def test_those_that_cannot_be_told_from_the_best_go_on_the_cheapest_first() -> None:
    those = [
        ranked("best", 0.95, SLOW),
        ranked("near", 0.93, QUICK),
        ranked("far", 0.5),
        ranked("none", None),
    ]
    assert [one.candidate.name for one in go_on(those, 200)] == ["near", "best"]
    assert [one.candidate.name for one in go_on(those, 20000)] == ["best"]
    # Where all is right no variance is to be seen.
    assert len(go_on([ranked("a", 1.0), ranked("b", 0.98)], 100)) == 2


def test_of_equal_probes_the_better_logme_is_first_as_graft_rank_has_it(
    monkeypatch: pytest.MonkeyPatch, noise
) -> None:
    logme = {"worse": 0.1, "better": 0.4}

    def row_of(candidate: Candidate, *rest: object) -> dict[str, object]:
        return {"backbone": candidate.label, "probe": 0.8, "logme": logme[candidate.name], "reason": None}

    monkeypatch.setattr(backbones, "row_of", row_of)
    able = [Measured(ranked(name, None).candidate, QUICK) for name in logme]
    done = backbones.rank(
        able,
        noise({"train": [3, 3]}),
        np.arange(6),
        np.arange(6),
        {},
        cache={},
        accelerator="cpu",
        seed=0,
        tell=lambda what: None,
    )
    assert [one.candidate.name for one in done] == ["better", "worse"]


def test_the_cheapest_are_ranked_as_far_as_the_time_goes() -> None:
    able = [Measured(ranked("quick", None).candidate, QUICK), Measured(ranked("slow", None).candidate, SLOW)]
    chosen, late = within(able, 1000, 10)
    assert [one.candidate.name for one in chosen] == ["quick"]
    assert [one.row["reason"] for one in late] == [
        "to rank it would take 30.0 s, and 8.0 s are left for that"
    ]


def test_what_an_earlier_start_has_stored_costs_nothing() -> None:
    able = [Measured(ranked("quick", None).candidate, QUICK), Measured(ranked("slow", None).candidate, SLOW)]
    chosen, late = within(able, 1000, -5.0, ["slow"])
    assert [one.candidate.name for one in chosen] == ["slow"]
    assert [one.candidate.name for one in late] == ["quick"]


def test_of_many_images_some_rank_each_class_with_its_share() -> None:
    able = [Measured(ranked("quick", None).candidate, QUICK), Measured(ranked("slow", None).candidate, SLOW)]
    assert as_many_as_fit(able, 400, 1.0) == 400
    assert as_many_as_fit(able, 100_000, 32.0) == 1000
    assert as_many_as_fit(able, 100_000, 1.0) == 500
    labels = np.repeat([0, 1, 2], [900, 90, 10])
    places = some_of(labels, 100, 0)
    assert len(set(places.tolist())) == 100
    assert np.bincount(labels[places]).tolist() == pytest.approx([90, 9, 1], abs=1)
    assert some_of(labels, 100, 0).tolist() == places.tolist() != some_of(labels, 100, 1).tolist()
    assert some_of(labels, 5000, 0).tolist() == list(range(1000))


def test_a_run_that_crashed_before_it_had_a_configuration_begins_anew(trainings) -> None:
    head = trainings[0]
    head.folder.path.mkdir(parents=True)
    write_json(head.folder.status_file, {"status": "running", "pid": 1})
    asked: list[str] = []
    done = of_trainings.train_to(head, 1, PretendedTime.now + 100, pretended(CURVES, asked), lambda one: None)
    assert done.finished
    assert done.seconds > 0


def test_what_is_interrupted_keeps_its_seconds(trainings) -> None:
    kept: list[Training] = []
    train = pretended(CURVES, [])

    def interrupted(config: RunConfig, path: Path, words: list[str]) -> RunFolder:
        with pytest.raises(Paused):
            train(replace(config, stop_after=3), path, words)
        raise KeyboardInterrupt

    last_k = trainings[1]
    with pytest.raises(KeyboardInterrupt):
        of_trainings.train_to(last_k, 10, PretendedTime.now + 100, interrupted, kept.append)
    assert [one.spent for one in kept] == [((3, 30.0),)]
    assert kept[0].seconds_an_epoch == 10.0


def test_epochs_of_a_start_that_was_killed_are_not_free(trainings) -> None:
    """Their seconds are not known, so that the next ones are estimated, as if there were none."""
    with pytest.raises(Paused):
        pretended(CURVES, [])(
            RunConfig.of(compose("train", [*trainings[1].words, "stop_after=3"])[0]),
            trainings[1].folder.path,
            [],
        )
    candidates = climbing._candidates(trainings, "accuracy", 40)
    assert (len(candidates[1].accuracy), candidates[1].seconds) == (3, ())
    assert candidates[1].seconds_an_epoch == trainings[1].estimate
