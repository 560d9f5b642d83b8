"""`advice.md`: an advice as Markdown, a section a question."""

from collections.abc import Collection, Sequence

from graft.advice.sentences import between, points
from graft.configuration.metric_names import ASSESSED
from graft.configuration.plain_text import in_markdown
from graft.configuration.schema import Plain
from graft.evaluation.assessment import Metrics, spelled
from graft.reporting.tables import markdown


def page(answer: Plain, figures: Collection[str] = (), plural: str = "images") -> str:
    """The advice as Markdown, with the figures that stand beside it as files of these names.

    `plural` is what the samples are called.
    """
    lines = [
        f"# What to do with these {plural}",
        "",
        *(f"{in_markdown(text)}\n" for text in answer["sentences"]),
    ]
    if answer["stopped"]:
        lines += [f"Not all of it could be answered: {in_markdown(answer['stopped'])}.", ""]
    if answer["advice"]:
        lines += ["```bash", answer["advice"]["command"], "```", ""]
    if look := answer["look"]:
        lines += [f"## The {plural}", "", in_markdown(look["rule"]), ""]
        lines += [f"- {finding['kind']}: {in_markdown(finding['text'])}" for finding in look["findings"]] + [
            ""
        ]
    if rows := answer["backbones"]["ranked"]:
        lines += [
            "## Which backbone",
            "",
            *_figure("backbones", figures),
            _backbone_table(rows),
            "",
            "```bash",
            answer["backbones"]["command"],
            "```",
            "",
        ]
    if missing := answer["backbones"]["not_at_hand"]:
        names = ", ".join(f"{one['name']} ({one['megabytes']} MB)" for one in missing)
        lines += [f"Not tried, since their weights would have to be fetched: {names}.", ""]
    if rows := answer["retraining"]["trainings"]:
        lines += ["## How much to retrain", "", *_figure("trainings", figures), _training_table(rows), ""]
        lines += [f"No more was trained: {answer['retraining']['stopped_because'] or 'it was stopped'}.", ""]
    if trust := answer["trust"]:
        lines += ["## How far to trust it", "", *_figure("folds", figures), *_trust_lines(trust), ""]
    if answer.get("more_labels") or answer.get("wrong_labels"):
        lines += ["## What would help", "", *_help_lines(answer, plural), ""]
    if test := answer["test"]:
        lines += ["## The test", "", _test_table(test), ""]
        goal = answer["question"]["goal"]
        for run, metrics in (answer.get("tested_before") or {}).items():
            had = f"{run} had {metrics[f'test/{goal}']:.4f} on the same images, when it was advised"
            lines += [f"{in_markdown(had)}: this is not their first test.", ""]
    return "\n".join([*lines, *_time_lines(answer["time"]), ""])


def _figure(name: str, figures: Collection[str]) -> list[str]:
    return [f"![{name}]({name}.png)", ""] if name in figures else []


def _backbone_table(rows: Sequence[Plain]) -> str:
    head = ["backbone", "probe", "95 % interval", "ms an image", "goes on"]
    cells = [
        [
            row["backbone"],
            *(
                ("", "")
                if row["probe"] is None
                else (f"{row['probe']:.3f}", between(row["low"], row["high"]))
            ),
            "" if row["milliseconds"] is None else f"{row['milliseconds']:.1f}",
            row["reason"] or ("yes" if row["goes_on"] else "no"),
        ]
        for row in rows
    ]
    return markdown(head, cells)


def _training_table(rows: Sequence[Plain]) -> str:
    head = ["backbone", "freeze", "epochs", "validation", "seconds"]
    cells = [
        [
            row["backbone"],
            row["freeze"],
            row["failed"] or f"{row['epochs']} of {row['of']}",
            "" if row["best"] is None else f"{row['best']:.4f}",
            f"{row['seconds']:.0f}",
        ]
        for row in rows
    ]
    return markdown(head, cells)


def _trust_lines(trust: Plain) -> list[str]:
    if not trust["folds"]:
        return [f"No folds: {trust['why_not']}."]
    head = ["fold", "head alone", "retrained"]
    cells = [[str(pair["fold"]), f"{pair['head']:.4f}", f"{pair['other']:.4f}"] for pair in trust["folds"]]
    lines = [markdown(head, cells), ""]
    if trust["low"] is not None:
        lines.append(
            f"Retrained − head: {points(trust['mean'])} points,"
            f" 95 % interval {between(trust['low'], trust['high'])}."
        )
    return lines


def _help_lines(answer: Plain, plural: str) -> list[str]:
    """What more labels would give, which look wrong, what is taken for what, which classes are rare."""
    lines = []
    for key in ("more_labels", "wrong_labels"):
        if part := answer.get(key):
            lines += [in_markdown(part["sentence"]), ""]
            if part.get("figure"):
                lines += [f"![{key.replace('_', ' ')}]({part['figure']})", ""]
    for pair in answer.get("confused") or ():
        taken = (
            f"{pair['count']} of {pair['of']} {plural} of {pair['given']} are taken for {pair['predicted']}"
        )
        lines.append(f"- {in_markdown(taken)}")
    for row in answer.get("rare") or ():
        lines.append(f"- {in_markdown(str(row['class']))} is rare: {row['images']} {plural}")
    return lines


def _test_table(test: Metrics) -> str:
    names = [name for name in ASSESSED if test.get(f"test/{name}") is not None]
    rows = [[name, *spelled(test, f"test/{name}")] for name in names]
    return markdown(["metric", "test", "95 % interval"], rows)


def _time_lines(time: Plain) -> list[str]:
    steps = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in time["steps"].items())
    return ["## The time", "", f"{time['spent']:.0f} of {time['asked']:.0f} s: {steps}."]
