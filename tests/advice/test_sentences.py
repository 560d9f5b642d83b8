"""What an advice says of retraining is no more than what is known."""

from graft.advice.sentences import how_far, why
from graft.advice.trust import Comparison, Pair, compared

GOAL, VALIDATED = "accuracy", {"head": 0.9, "other": 0.95}


def folds(*differences: float) -> Comparison:
    return compared([Pair(n, 0.8, 0.8 + gain, 80, 20) for n, gain in enumerate(differences, start=1)])


def test_what_was_begun_is_not_called_untried() -> None:
    assert "was tried" in why(None, None, GOAL, {"head": 0.9})
    said = why(None, None, GOAL, {"head": 0.9}, ["last_k", "lora"])
    assert said.startswith("What retrains more (last_k, lora) was begun but not trained to its end")


def test_a_gain_that_no_folds_confirm_says_why() -> None:
    said = why(None, "cnn with freeze=full", GOAL, VALIDATED, ["full"], "class a has 4 images")
    assert "5.0 points ahead" in said
    assert "not confirmed on folds (class a has 4 images)" in said


def test_folds_without_a_difference_are_told_as_such() -> None:
    said = why(folds(0, 0, 0), "cnn with freeze=full", GOAL, VALIDATED)
    assert said == "cnn with freeze=full is as good as the head alone on each of 3 folds: keep the head."


def test_the_verdict_follows_the_numbers() -> None:
    verdicts = {
        (0.05, 0.04, 0.06): "measurable, and worth",
        (-0.05, -0.04, -0.06): "measurably worse; keep",
        (0.01, -0.02, 0.03): "not measurable; keep",
    }
    for differences, verdict in verdicts.items():
        assert verdict in why(folds(*differences), "cnn with freeze=full", GOAL, VALIDATED)


def test_a_test_that_leaks_is_not_called_unseen() -> None:
    tested = {"test/accuracy": 0.9, "test/accuracy_ci": (0.8, 0.95)}
    assert "test images that nothing else has seen" in how_far(tested, GOAL)
    said = how_far(tested, GOAL, leaks=True)
    assert "nothing else has seen" not in said
    assert "which may flatter it" in said


def test_a_second_test_of_the_same_images_says_whose_the_first_was() -> None:
    tested = {"test/accuracy": 0.9, "test/accuracy_ci": (0.8, 0.95)}
    said = how_far(tested, GOAL, before={"cnn-frozen": 0.85})
    assert said == (
        "On the test images, its accuracy is 90.0 %, 95 % interval 80.0 to 95.0, which may flatter it:"
        " they were seen before, when cnn-frozen had 85.0 %."
    )
    both = how_far(tested, GOAL, leaks=True, before={"cnn-frozen": 0.85})
    assert both.endswith("had 85.0 % and the splits share images or groups (see the leaks).")
