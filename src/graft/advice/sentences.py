"""What an advice says in words: three sentences, each made of numbers that stand beside it."""

from collections.abc import Mapping, Sequence
from typing import Any

from graft.advice.ladder import SOLVED, Step
from graft.advice.trust import Comparison
from graft.configuration.metric_names import metric_of


def points(value: float) -> str:
    """A difference of two shares in points, with a real minus."""
    return f"{100 * value:.1f}".replace("-", "−")


def between(low: float, high: float) -> str:
    """The ends of an interval, in points."""
    return f"{points(low)} to {points(high)}"


def what_to_do(backbone: str, step: Step) -> str:
    """The first sentence: what is advised."""
    if step == SOLVED:
        return f"Take {backbone} as it is and train a new head alone (freeze=frozen)."
    return f"Take {backbone} and retrain it (freeze={step.name}): {step.says}."


def why(
    comparison: Comparison | None,
    other: str | None,
    goal: str,
    validated: Mapping[str, float],
    tried: Sequence[str] = (),
    unconfirmed: str = "",
    plural: str = "images",
) -> str:
    """The second sentence: how retraining compares with the head alone.

    Args:
        comparison: fold by fold; None where there was no time for folds, or nothing to compare.
        other: the best of those that retrain more; None where none was trained to its end.
        goal: the metric.
        validated: what the head alone, `head`, and the `other` have on validation.
        tried: the steps that retrain more and were begun.
        unconfirmed: why there is no comparison.
        plural: what the samples are called.
    """
    if other is None and tried:
        return (
            f"What retrains more ({', '.join(tried)}) was begun but not trained to its end: the head is kept."
        )
    if other is None:
        return "Nothing that retrains more was tried, so whether it would help is not known."
    if comparison is None:
        gain = validated["other"] - validated["head"]
        if gain <= 0:
            behind = "as good as" if gain == 0 else f"{points(-gain)} points behind"
            return f"{other} was {behind} the head alone on the validation {plural}, so the head is kept."
        return (
            f"{other} was {points(gain)} points ahead of the head alone on the validation {plural}, which was"
            f" not confirmed on folds ({unconfirmed or 'they were not come to'}): the head is kept."
        )
    n = len(comparison.pairs)
    if all(pair.other == pair.head for pair in comparison.pairs):
        return f"{other} is as good as the head alone on each of {n} folds: keep the head."
    if comparison.low is None or comparison.high is None:
        return (
            f"Over {n} folds {other} is {points(comparison.mean)} points from the head alone; how sure that"
            " is cannot be told from so few."
        )
    ahead = f"{points(abs(comparison.mean))} points {'better' if comparison.mean >= 0 else 'worse'}"
    interval = f"95 % interval {between(comparison.low, comparison.high)}"
    if comparison.measurable and comparison.mean > 0:
        verdict = "it is measurable, and worth its cost"
    elif comparison.worth_it:
        verdict = "more than one standard error, so it is advised, though not beyond doubt"
    elif comparison.measurable:
        verdict = "measurably worse; keep the head"
    else:
        verdict = "not measurable; keep the head"
    what = metric_of(goal).name.replace("_", " ")
    return f"{other} is {ahead} than the head alone in {what}, {interval} over {n} folds: {verdict}."


def how_far(
    tested: Mapping[str, Any],
    goal: str,
    leaks: bool = False,
    before: Mapping[str, float] | None = None,
    plural: str = "images",
) -> str:
    """The third sentence: what to expect of the model, from the test.

    Args:
        tested: the test's metrics; empty where there was none.
        goal: the metric.
        leaks: whether the splits share images or groups, so that the test is not of what was never seen.
        before: what models that were advised earlier had on the same samples, by their names. Whoever saw
            that may have gone on because of it.
        plural: what the samples are called.
    """
    value, ends = tested.get(f"test/{goal}"), tested.get(f"test/{goal}_ci")
    if value is None:
        return "It was not tested."
    why = [
        f"they were seen before, when {name} had {100 * had:.1f} %" for name, had in (before or {}).items()
    ]
    why += [f"the splits share {plural} or groups (see the leaks)"] if leaks else []
    where = f"the test {plural}" if why else f"test {plural} that nothing else has seen"
    said = f"On {where}, its {goal.replace('_', ' ')} is {100 * value:.1f} %"
    said = f"{said}, 95 % interval {between(ends[0], ends[1])}" if ends else said
    return f"{said}, which may flatter it: {' and '.join(why)}." if why else f"{said}."
