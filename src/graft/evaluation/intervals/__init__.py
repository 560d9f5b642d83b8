"""95 % intervals of a test's metrics: what other images of the same kind would give for this model.

What another training or another split would give they do not know. Each metric has the method that covers its
true value as often as it says, small test sets and few errors included, by `experiments/coverage`; where none
does, there is no interval.
"""

from graft.evaluation.intervals.every import Intervals, intervals
from graft.evaluation.intervals.paired import paired_ends
from graft.evaluation.intervals.proportions import Interval

__all__ = ["Interval", "Intervals", "intervals", "paired_ends"]
