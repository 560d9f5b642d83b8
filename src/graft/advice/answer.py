"""An advice as plain values: `advice.json` and the tables beside it, of what is known so far."""

from collections.abc import Mapping
from dataclasses import asdict

from graft.advice.backbones import probe_interval
from graft.advice.clock import Clock
from graft.advice.known import Known
from graft.advice.sentences import how_far, what_to_do, why
from graft.configuration.schema import Plain
from graft.configuration.version import __version__
from graft.data.splits import SPLITS
from graft.inspection.tables import class_rows

# Of the form of advice.json; a reader that knows another one should say so.
FORM = 1


def sentences(known: Known) -> list[str]:
    """The advice in at most three sentences."""
    goal = known.question["goal"]
    if known.advised is None:
        yet = "" if known.goes_on_with is None else " yet"
        return [f"No advice{yet}: {known.stopped or 'nothing was trained'}."]
    head, other = known.head, known.other
    validated = {
        name: value
        for name, one in (("head", head), ("other", other))
        if one is not None and (value := one.best(goal)) is not None
    }
    said = [what_to_do(known.advised.backbone.label, known.advised.step)]
    if head is not None:
        name = None if other is None else f"{other.backbone.label} with freeze={other.step.name}"
        said.append(why(known.comparison, name, goal, validated, known.tried, known.compared, known.plural))
    leaks = any(finding.kind == "leak" for finding in known.findings)
    before = {name: metrics[f"test/{goal}"] for name, metrics in known.tested_before.items()}
    return [*said, how_far(known.tested, goal, leaks, before, known.plural)]


def plain(known: Known, clock: Clock) -> Plain:
    """All of it as JSON has it; what is not known is left out or null."""
    advised = known.advised
    answer: Plain = {
        "form": FORM,
        "graft": __version__,
        "complete": not known.stopped,
        "stopped": known.stopped,
        "goes_on_with": None if known.goes_on_with is None else list(known.goes_on_with),
        "question": {key: value for key, value in known.question.items() if key != "options"},
        "sentences": sentences(known),
        "advice": None,
        "look": _look(known),
        "backbones": {
            "images": 0 if known.indices is None else len(known.indices),
            "ranked": backbone_rows(known),
            "not_at_hand": list(known.not_at_hand),
            "command": known.ranking_command(),
        },
        "retraining": {"trainings": training_rows(known), "stopped_because": known.climbed},
        "trust": _trust(known),
        **known.parts,
        "test": dict(known.tested),
        "tested_before": {f"runs/{name}": dict(metrics) for name, metrics in known.tested_before.items()},
        "time": {"asked": clock.seconds, "spent": round(clock.spent, 1), "steps": _rounded(clock.steps)},
    }
    if advised is not None:
        answer["advice"] = {
            "backbone": advised.backbone.label,
            "weights": advised.backbone.weights,
            "freeze": advised.step.name,
            "says": advised.step.says,
            "run": f"runs/{advised.name}",
            "model": "model",
            "words": list(advised.words),
            "command": advised.command,
        }
    return answer


def _rounded(seconds: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 1) for name, value in seconds.items()}


def _look(known: Known) -> Plain | None:
    if known.data is None or known.splits is None:
        return None
    splits = {name: len(known.splits[name]) for name in SPLITS if len(known.splits[name])}
    return {
        "images": len(known.data.samples),
        "classes": list(known.data.class_names),
        "splits": splits,
        "rule": known.splits.rule,
        "by_class": [] if known.looked is None else class_rows(known.looked),
        "findings": [finding._asdict() for finding in known.findings],
    }


def backbone_rows(known: Known) -> list[Plain]:
    """A backbone a row, with its probe's interval and the milliseconds of an image."""
    images = 0 if known.indices is None else len(known.indices)
    going = {one.candidate.label for one in known.going}
    rows: list[Plain] = []
    for one in known.ranked:
        row = one.row
        probe = row.get("probe")
        low, high = (None, None) if probe is None else probe_interval(probe, images)
        rows.append(
            {
                "backbone": one.candidate.label,
                "weights": one.candidate.weights,
                "probe": probe,
                "low": low,
                "high": high,
                "goes_on": one.candidate.label in going,
                "milliseconds": None if one.speed is None else round(1000 * one.speed.forward, 3),
                "parameters": row.get("parameters"),
                "gmacs": row.get("gmacs"),
                "reason": row.get("reason") or "",
            }
        )
    return rows


def training_rows(known: Known) -> list[Plain]:
    """A training a row, those that were begun or failed."""
    goal = known.question["goal"]
    return [
        {
            "name": one.name,
            "backbone": one.backbone.label,
            "freeze": one.step.name,
            "epochs": len(curve),
            "of": one.epochs,
            "finished": one.finished,
            "best": one.best(goal),
            "curve": curve,
            "seconds": round(one.seconds, 1),
            "run": f"runs/{one.name}",
            "command": one.command,
            "failed": one.failed,
        }
        for one in known.trainings
        if (curve := one.curve(goal)) or one.failed
    ]


def _trust(known: Known) -> Plain | None:
    if known.head is None:
        return None
    trust: Plain = {
        "head": known.head.name,
        "other": None if known.other is None else known.other.name,
        "why_not": known.compared,
        "cut": {"folds": known.folds, "repeats": known.repeats},
        "folds": [],
        "mean": None,
        "low": None,
        "high": None,
        "measurable": None,
        "worth_it": None,
        "promised": {name: asdict(promise) for name, promise in known.promises.items()},
    }
    if (comparison := known.comparison) is not None:
        trust |= {
            "folds": [asdict(pair) for pair in comparison.pairs],
            "mean": comparison.mean,
            "low": comparison.low,
            "high": comparison.high,
            "measurable": comparison.measurable,
            "worth_it": comparison.worth_it,
        }
    return trust
