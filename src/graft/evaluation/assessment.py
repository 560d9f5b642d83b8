"""What a test comes to: metrics with intervals, a table of the classes, predictions and figures, written."""

from collections.abc import Callable
from typing import Any

from PIL import Image

from graft.evaluation import answer_figures
from graft.evaluation.answers import Answers, prediction_rows
from graft.evaluation.intervals import Interval, intervals
from graft.evaluation.metrics import ALL, OF_A_CLASS, PROBABILISTIC, measure, of_classes
from graft.reporting import pictures
from graft.runs import RunFolder
from graft.runs.files import write_csv

Metrics = dict[str, Any]
INTERVAL = "_ci"


def assess(answers: Answers) -> tuple[Metrics, list[dict[str, Any]]]:
    """Every metric with its interval, and how many predictions are wrong.

    Returns:
        `accuracy`, `accuracy_ci` (`[low, high]`) and so on, None where undefined or where no interval would
        cover, and `errors`; and a row a class with `class`, `support`, `precision`, `precision_low`,
        `precision_high` and so on.
    """
    arrays = answers.labels, answers.probabilities, answers.predicted, answers.scores
    classes = of_classes(*arrays)
    values, between = measure(*arrays, classes), intervals(*arrays)
    metrics: Metrics = {"errors": int((answers.labels != answers.predicted).sum())}
    for key in ALL:
        metrics |= {key: values[key], f"{key}{INTERVAL}": _ends(values[key], between.whole[key])}
    rows = []
    for place, (name, row) in enumerate(zip(answers.class_names, classes, strict=True)):
        cells = {"class": name, "support": row["support"]}
        for key in OF_A_CLASS:
            low, high = _ends(row[key], between.classes[key][place]) or (None, None)
            cells |= {key: row[key], f"{key}_low": low, f"{key}_high": high}
        rows.append(cells)
    return metrics, rows


def _ends(value: float | None, interval: Interval) -> list[float] | None:
    return None if value is None or interval is None else list(interval)


def write_assessment(
    folder: RunFolder,
    answers: Answers,
    image_of: Callable[[int], Image.Image],
    uncalibrated: Answers | None = None,
) -> Metrics:
    """Write predictions, the table of the classes, and figures.

    Args:
        folder: where.
        answers: of the model as it is used.
        image_of: row of `answers` to its image, for the picture of mistakes.
        uncalibrated: at temperature 1, if that is another.

    Returns:
        The metrics of `assess` with `test/` before their names; those of `PROBABILISTIC` as they were without
        calibration with `uncalibrated/` before theirs.
    """
    found, rows = assess(answers)
    metrics = {f"test/{key}": value for key, value in found.items()}
    if uncalibrated is not None:
        before = assess(uncalibrated)[0]
        for key in PROBABILISTIC:
            metrics |= {f"uncalibrated/{name}": before[name] for name in (key, f"{key}{INTERVAL}")}
    write_csv(folder.predictions, prediction_rows(answers))
    write_csv(folder.classes, rows)
    pictures.save_figure(answer_figures.precision_recall(answers, rows), folder.precision_figure)
    pictures.save_figure(answer_figures.reliability_figure(answers, uncalibrated), folder.reliability_figure)
    mistakes = answer_figures.mistakes(answers, image_of)
    if mistakes is not None:
        pictures.save_figure(mistakes, folder.mistakes_figure)
    return metrics


def spelled(metrics: Metrics, key: str) -> tuple[str, str]:
    """A metric and its interval as text; a dash and nothing where there is none."""
    value, ends = metrics.get(key), metrics.get(f"{key}{INTERVAL}")
    return "–" if value is None else f"{value:.4f}", f"{ends[0]:.4f} to {ends[1]:.4f}" if ends else ""
