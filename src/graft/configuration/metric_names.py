"""Every metric's name, direction and range, for all code that computes, shows or chooses by metrics.

It stands this low because words such as `sweep.metric` are checked before torch is imported.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """A metric as tables, words and directions know it.

    Attributes:
        name: as in `val/<name>` and `test/<name>`.
        of_class: the metric of a single class that this one is the mean of; None: it is none of these.
        each_epoch: training and validation log it each epoch, so it can be watched and chosen by.
        assessed: a test gives it an interval.
        probabilistic: it looks at probabilities, so it changes with the temperature of the softmax.
        lower_is_better: its direction.
        most: the largest value that it can have; the least is 0.
    """

    name: str
    of_class: str | None = None
    each_epoch: bool = False
    assessed: bool = True
    probabilistic: bool = False
    lower_is_better: bool = False
    most: float = 1.0


# The metrics of the task with one label of C for each image, in the order of its tables.
SINGLE_LABEL = (
    Metric("loss", each_epoch=True, assessed=False, lower_is_better=True, most=math.inf),
    Metric("accuracy", each_epoch=True),
    Metric("balanced_accuracy"),
    Metric("precision_macro", of_class="precision", each_epoch=True),
    Metric("recall_macro", of_class="recall", each_epoch=True),
    Metric("f1_macro", of_class="f1", each_epoch=True),
    Metric("auroc", of_class="auroc", probabilistic=True),
    Metric("average_precision", of_class="average_precision", probabilistic=True),
    Metric("log_loss", probabilistic=True, lower_is_better=True, most=math.inf),
    Metric("brier", probabilistic=True, lower_is_better=True, most=2.0),
    Metric("ece", probabilistic=True, lower_is_better=True),
)
ASSESSED = tuple(metric.name for metric in SINGLE_LABEL if metric.assessed)
PROBABILISTIC = tuple(metric.name for metric in SINGLE_LABEL if metric.probabilistic)
OF_A_CLASS = tuple(metric.of_class for metric in SINGLE_LABEL if metric.of_class)
EACH_EPOCH = tuple(metric.name for metric in SINGLE_LABEL if metric.each_epoch)
# How well a model does on a target domain, as far as can be told without its labels; see `adapt.select`.
SCORE = Metric("score", each_epoch=True, assessed=False, most=math.inf)
SCORED = f"val/{SCORE.name}"
# What a test on a target with labels says.
ON_TARGET = "target/accuracy"
# Training and validation log these, so a callback can watch them.
WATCHED = (*(f"{part}/{name}" for part in ("val", "train") for name in EACH_EPOCH), SCORED)
VALIDATED = tuple(key for key in WATCHED if key.startswith("val/"))
# This chooses among runs unless another metric is asked for.
USUAL = "val/accuracy"


def metric_of(key: str) -> Metric:
    """The metric of a key such as `val/loss`; one of a user's own is a loss if it ends so, else a share."""
    name = key.rpartition("/")[2]
    known = (metric for metric in (*SINGLE_LABEL, SCORE) if metric.name == name)
    loss = name.endswith("loss")
    return next(known, Metric(name, lower_is_better=loss, most=math.inf if loss else 1.0))


def lower_is_better(key: str) -> bool:
    """Whether less of `val/loss` and the like is better."""
    return metric_of(key).lower_is_better
