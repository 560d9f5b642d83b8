"""A cross-validation as a table: each metric's mean, deviation and interval over the folds, and pooled."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, stdev
from typing import Any

from rich.table import Table
from scipy import stats

from graft.configuration.metric_names import metric_of
from graft.configuration.plain_text import in_markdown
from graft.reporting.groups import ABSENT, ROUNDING
from graft.reporting.tables import markdown

CAVEAT = (
    "The folds' training images overlap, so their numbers are not independent, and no interval from them\n"
    "is exact (Bengio and Grandvalet 2004)."
)


@dataclass(frozen=True)
class Fold:
    """One fold of a cross-validation; repeats and folds count from 1.

    Attributes:
        trained: number of images; so for `validated` and `tested`.
        metrics: `test/accuracy` and so on; empty where it failed.
        reason: why it failed; empty if it did not.
    """

    repeat: int
    fold: int
    trained: int
    validated: int
    tested: int
    metrics: Mapping[str, Any]
    reason: str = ""

    @property
    def name(self) -> str:
        """Such as `repeat 2 fold 3`."""
        return f"repeat {self.repeat} fold {self.fold}"


def corrected_interval(
    values: Sequence[float], test_share: float, most: float = math.inf, least: float = 0.0
) -> tuple[float, float] | None:
    """95 % interval of a mean over folds, by the corrected resampled t.

    Nadeau and Bengio 2003, Inference for the generalization error, Machine Learning 52, pp. 239-281:
    mean ± t(n − 1) · s · √(1/n + n_test/n_train): the plain t interval, without the second term, is far too
    narrow, because the folds share most of their training images. None of fewer than two values, and none
    where all are equal, as of folds without an error: then nothing is known of their spread.

    Args:
        values: a metric of each fold, of all repeats.
        test_share: n_test/n_train, the latter without images that validate, which teach the model nothing.
        most: the largest value that the metric can have.
        least: the smallest; a difference of two metrics has none.
    """
    n = len(values)
    if n < 2 or stdev(values) < ROUNDING:
        return None
    error = stdev(values) * math.sqrt(1 / n + test_share)
    low, high = map(float, stats.t.interval(0.95, n - 1, mean(values), error))
    return max(least, low), min(most, high)


def rows_of(
    folds: Sequence[Fold], pooled: Sequence[Mapping[str, Any]], metrics: Sequence[str]
) -> list[dict[str, object]]:
    """A metric a row; what is undefined is empty.

    A mean over folds has an interval only where the same images, pooled, have one: what so few errors or so
    small a class cannot tell together, they cannot tell fold by fold.

    Args:
        folds: of all repeats.
        pooled: metrics of all tested images together with intervals, of each repeat.
        metrics: `accuracy` and so on.
    """
    done = [fold for fold in folds if not fold.reason]
    share = mean(fold.tested / fold.trained for fold in done)
    rows = []
    for key in metrics:
        name = f"test/{key}"
        values = [fold.metrics[name] for fold in done if fold.metrics.get(name) is not None]
        # What training calls the loss is a log loss.
        telling = (
            bool(pooled) and pooled[0].get(f"test/{'log_loss' if key == 'loss' else key}_ci") is not None
        )
        interval = corrected_interval(values, share, metric_of(key).most) if telling else None
        low, high = interval or (None, None)
        together = [repeat[name] for repeat in pooled if repeat.get(name) is not None]
        pooled_low, pooled_high = ((pooled[0].get(f"{name}_ci") if together else None) or (None, None))[:2]
        rows.append(
            {
                "metric": key,
                "folds": len(values),
                "mean": mean(values) if values else None,
                "deviation": stdev(values) if len(values) > 1 else None,
                "low": low,
                "high": high,
                "pooled": mean(together) if together else None,
                "pooled_low": pooled_low,
                "pooled_high": pooled_high,
                **{fold.name: fold.metrics.get(name) for fold in folds},
            }
        )
    return rows


def cells(rows: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Head and rows as text."""
    head = ["metric", "mean ± deviation", "95 % interval of the mean", "pooled", "95 % interval, pooled"]
    return head, [
        [
            row["metric"],
            _number(row["mean"])
            if row["deviation"] is None
            else f"{row['mean']:.4f} ± {row['deviation']:.4f}",
            _between(row["low"], row["high"]),
            _number(row["pooled"]),
            _between(row["pooled_low"], row["pooled_high"]),
        ]
        for row in rows
    ]


def _number(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.4f}"


def _between(low: float | None, high: float | None) -> str:
    return ABSENT if low is None or high is None else f"{low:.4f} to {high:.4f}"


def printed(rows: Sequence[Mapping[str, Any]]) -> Table:
    """The table for the terminal."""
    head, lines = cells(rows)
    # As wide as a terminal usually is, with every name whole.
    table = Table(box=None, pad_edge=False)
    for name in head:
        table.add_column(name, no_wrap=name != head[-1], overflow="fold")
    for line in lines:
        table.add_row(*line)
    return table


def page(
    name: str,
    cut: str,
    rows: Sequence[Mapping[str, Any]],
    folds: Sequence[Fold],
    figures: Sequence[str],
    few: str = "",
) -> str:
    """A Markdown page: what was cut, the table, the folds, how to read the intervals, the figures."""
    count = max(fold.fold for fold in folds)
    repeats = max(fold.repeat for fold in folds)
    head = ["fold", "trained on", "validated on", "tested on", "accuracy", "loss", "best epoch"]
    lines = [
        [
            fold.name,
            *(str(count) for count in (fold.trained, fold.validated, fold.tested)),
            *(_number(fold.metrics.get(f"test/{key}")) for key in ("accuracy", "loss")),
            str(fold.metrics["epoch"] + 1) if fold.metrics else f"failed: {fold.reason}",
        ]
        for fold in folds
    ]
    several = (
        " Pooled numbers are means over the repeats; their intervals, and the figures, are of the first."
        if repeats > 1
        else ""
    )
    return "\n".join(
        [
            f"# {in_markdown(name)}: {count}-fold cross-validation"
            + (f", {repeats} times" if repeats > 1 else ""),
            "",
            f"{in_markdown(cut)}.",
            "",
            markdown(*cells(rows)),
            "",
            "Mean, deviation and the first interval are over the folds. That interval is the corrected",
            "resampled t of Nadeau and Bengio (2003), an approximation.",
            CAVEAT,
            "Pooled is over all images at once, each as the fold said that tested it, with the interval of a",
            "test: what other images would give for these models, not for others trained anew. AUROC and the",
            f"like then rank images by different models.{several}",
            *([f"Pooled: {few}."] if few else []),
            "",
            markdown(head, lines),
            "",
            *(f"![{figure}]({figure})" for figure in figures),
            "",
        ]
    )
