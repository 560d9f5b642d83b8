"""`report.html`: the whole advice on one page, for a person who has never heard of fine-tuning.

One file that asks nobody for anything: its style and its pictures are inside. `report.html.j2` has the words.
"""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from graft.advice import figures
from graft.advice.embedding import data_uri
from graft.advice.ladder import LADDER, data_words
from graft.advice.trainings import typed
from graft.configuration.metric_names import ASSESSED, metric_of
from graft.configuration.paths import from_here
from graft.configuration.plain_text import encodable
from graft.configuration.schema import Plain
from graft.errors import visible
from graft.inspection.findings import KINDS
from graft.runs.advice_folder import AdviceFolder
from graft.runs.files import write_text

# Rows of a table and names of a list; the files beside the page have all of them.
ROWS = 40
NAMES = 300
# Characters of a name.
LONG = 160
# After these a name may go on in the next line.
_SEAM = re.compile(r"(?<=[_/.\-])(?=[^_/.\-]{3})")
# What each way to retrain is called, where the person need not know its strategy.
CALLED = {
    "frozen": "the head alone",
    "last_k": "the last stages",
    "lora": "small adapters",
    "full": "everything",
}
# A question that a metric answers; the others go by their name alone.
ASKS = {
    "accuracy": "How many images are named right?",
    "balanced_accuracy": "The same, if every class had as many images?",
    "precision_macro": "Of what it calls a class, how much is?",
    "recall_macro": "Of a class, how much does it find?",
    "f1_macro": "Both of these in one number?",
    "auroc": "Does the right class stand above the wrong ones?",
    "average_precision": "Are the surest answers the right ones?",
    "log_loss": "How far off is its confidence, sure mistakes counting most?",
    "brier": "How far off is its confidence, squared?",
    "ece": "How far is how sure it is from how right it is?",
}
# What the steps that time is spent on are called.
STEPS = {
    "look": "look at the images",
    "rank": "rank the backbones",
    "retrain": "train, more and more of the backbone",
    "compare": "set the best two side by side on folds",
    "labels": "ask what more or better labels would bring",
    "test": "test once",
}


def html(answer: Plain, pictures: Mapping[str, bytes | Path], folder: str = "") -> str:
    """The page.

    Args:
        answer: of an advice, as `advice.json` has it.
        pictures: SVG, or what Pillow reads, by name. From `graft.advice.figures.drawn`: `backbones`,
            `trainings` and `folds`, each with a `-dark` one for the dark. Of the advised run: `confusion`,
            `reliability`, `mistakes`. Of the labels: `labels`, `suspects`. What is missing, or is no picture,
            is not shown.
        folder: of the advice, as commands should name it.
    """
    known = json.loads(json.dumps(answer), object_hook=_shown)
    page = _environment().from_string(_shipped("report.html.j2"))
    embedded = {name: uri for name, picture in pictures.items() if (uri := data_uri(picture))}
    return page.render(
        **_parts(known),
        style=Markup(_shipped("report.css")),
        pictures=embedded,
        folder=_plain(folder or "FOLDER"),
        files=AdviceFolder(folder or "."),
        called=CALLED,
        says={step.name: step.says for step in LADDER},
        steps=STEPS,
        rows=ROWS,
        names=NAMES,
    )


def write_report(folder: AdviceFolder, answer: Plain) -> list[str]:
    """Write the page, and its figures as files of their own, into the advice's folder; the figures' names."""
    pictures: dict[str, bytes | Path] = dict(figures.drawn(answer))
    if answer["advice"]:
        run = folder.training(Path(answer["advice"]["run"]).name)
        pictures |= {
            "confusion": run.confusion_figure,
            "reliability": run.reliability_figure,
            "mistakes": run.mistakes_figure,
        }
    for name, part in (("labels", "more_labels"), ("suspects", "wrong_labels")):
        if figure := (answer.get(part) or {}).get("figure"):
            pictures[name] = folder.path / figure
    write_text(folder.report, html(answer, pictures, from_here(folder.path)))
    return figures.write(answer, folder.figures)


def _environment() -> Environment:
    made = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.filters |= {
        "percent": _percent,
        "range": _range,
        "value": _value,
        "duration": _duration,
        "short": _short,
        "name": _name,
        # One word of a command, for the shell.
        "word": shlex.quote,
        # A number and its percent sign stay on one line.
        "tied": lambda text: text.replace(" %", "\u00a0%"),
        "number": lambda value: f"{value:,}",
        "significant": lambda value: f"{value:.2g}" if value < 10 else f"{value:.0f}",
        "points": lambda value: f"{100 * value:+.1f}".replace("-", "−"),
    }
    return made


def _parts(answer: Plain) -> Plain:
    """What the template shows, every key there."""
    goal = answer["question"]["goal"]
    look, trust, test = answer.get("look"), answer.get("trust"), answer.get("test") or {}
    if look:
        # Of an advice from before this table.
        look = {"by_class": [], **look}
    ranked = sorted(
        answer["backbones"]["ranked"], key=lambda row: (row["probe"] is None, -(row["probe"] or 0))
    )
    parts = {key: answer.get(key) for key in ("more_labels", "wrong_labels", "confused", "rare")}
    words = answer["question"]["words"]
    return {
        **parts,
        "answer": answer,
        "goal": goal,
        "advice": answer.get("advice"),
        "look": look,
        "findings": sorted((look or {}).get("findings", ()), key=lambda one: KINDS.index(one["kind"])),
        "ranked": [row for row in ranked if not row["reason"]],
        "left_out": [row for row in ranked if row["reason"]],
        "not_at_hand": answer["backbones"]["not_at_hand"],
        "trainings": answer["retraining"]["trainings"],
        "trust": trust,
        "test": test,
        "tested": test.get(f"test/{goal}"),
        "tested_before": answer.get("tested_before") or {},
        "ends": test.get(f"test/{goal}_ci"),
        "metrics": _metrics(test),
        "goes_on_with": answer.get("goes_on_with", []),
        "inspect": shlex.join(["graft", "inspect", *map(typed, data_words(words))]),
        "advise": shlex.join(["graft", "advise", *map(typed, words)]),
        "crossval": _crossval(answer),
    }


def _metrics(test: Plain) -> list[Plain]:
    """A metric a row, as the test measured it."""
    return [
        {
            "name": name,
            "asks": ASKS.get(name, ""),
            "value": test[f"test/{name}"],
            "ends": test.get(f"test/{name}_ci"),
            "lower": metric_of(name).lower_is_better,
        }
        for name in ASSESSED
        if test.get(f"test/{name}") is not None
    ]


def _crossval(answer: Plain) -> list[str]:
    """The commands that repeat the folds: of the head alone, of what retrains more."""
    trust = answer.get("trust") or {}
    named = {row["name"]: row["command"] for row in answer["retraining"]["trainings"]}
    commands = [named[name] for name in (trust.get("head"), trust.get("other")) if name in named]
    if len(commands) < 2:
        return []
    cut = trust["cut"]
    ending = f" folds={cut['folds']} repeats={cut['repeats']}" if trust["folds"] else ""
    changed = (one.replace("graft train", "graft crossval", 1).replace(" test=false", "") for one in commands)
    return [f"{command}{ending}" for command in changed]


def _shown(found: Plain) -> Plain:
    """Plain values whose texts can be written and read: names of files and classes are people's own."""
    return {_plain(key): _text(value) for key, value in found.items()}


def _text(value: Any) -> Any:
    if isinstance(value, str):
        return _plain(value)
    return [_text(one) for one in value] if isinstance(value, list) else value


def _plain(text: str) -> str:
    return visible(encodable(text))


def _short(text: object, most: int = LONG) -> str:
    """The text, its middle left out where it is too long to read."""
    text = str(text)
    return text if len(text) <= most else f"{text[: most // 2]} … {text[-most // 2 :]}"


def _name(text: object, most: int = LONG) -> Markup:
    """As `_short`, with leave to break the line after each part of the name."""
    return Markup("<wbr>").join(_SEAM.split(_short(text, most)))


def _percent(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.1f}\u00a0%"


def _range(ends: Sequence[float] | None) -> str:
    return "" if not ends else f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f}\u00a0%"


def _value(value: float | Sequence[float] | None, name: str) -> str:
    """A metric, or the ends of its interval, as percent where it is a share."""
    if value is None:
        return ""
    share = metric_of(name).most == 1 and not metric_of(name).lower_is_better
    if isinstance(value, Sequence):
        return _range(value) if share else f"{value[0]:.3f} to {value[1]:.3f}"
    return _percent(value) if share else f"{value:.3f}"


def _duration(seconds: float) -> str:
    """Seconds, minutes and seconds, or hours and minutes."""
    if seconds < 99.5:
        return f"{seconds:.0f} s" if seconds >= 9.95 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 100:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{minutes} min"


def _shipped(name: str) -> str:
    return files("graft.advice").joinpath(name).read_text(encoding="utf-8")
