"""What a test comes to: metrics with intervals, and a table of the classes."""

from graft.configuration.metric_names import ASSESSED, OF_A_CLASS
from graft.evaluation.answers import Answers
from graft.evaluation.intervals import Interval, intervals
from graft.evaluation.metrics import measure, of_classes

# Name to value, and name with `INTERVAL` to both ends of it.
Metrics = dict[str, float | list[float] | None]
ClassRow = dict[str, str | float | None]
INTERVAL = "_ci"


def assess(answers: Answers) -> tuple[Metrics, list[ClassRow]]:
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
    for key in ASSESSED:
        metrics |= {key: values[key], f"{key}{INTERVAL}": _ends(values[key], between.whole[key])}
    rows = []
    for place, (name, row) in enumerate(zip(answers.class_names, classes, strict=True)):
        cells: ClassRow = {"class": name, "support": row["support"]}
        for key in OF_A_CLASS:
            low, high = _ends(row[key], between.classes[key][place]) or (None, None)
            cells |= {key: row[key], f"{key}_low": low, f"{key}_high": high}
        rows.append(cells)
    return metrics, rows


def _ends(value: float | None, interval: Interval) -> list[float] | None:
    return None if value is None or interval is None else list(interval)


def spelled(metrics: Metrics, key: str) -> tuple[str, str]:
    """A metric and its interval as text; a dash and nothing where there is none."""
    value, ends = metrics.get(key), metrics.get(f"{key}{INTERVAL}")
    interval = f"{ends[0]:.4f} to {ends[1]:.4f}" if isinstance(ends, list) else ""
    return "–" if value is None else f"{value:.4f}", interval
