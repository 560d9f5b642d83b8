"""Runs whose configurations differ in the seed alone, as one group; the keys that tell groups apart."""

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from statistics import mean, stdev

from scipy import stats

from graft.configuration.key_table import TECHNICAL
from graft.configuration.keys import key_of
from graft.configuration.metric_names import ON_TARGET, SCORED, USUAL, lower_is_better, metric_of
from graft.configuration.schema import spell, without
from graft.errors import GraftError
from graft.runs.records import Run

# Of keys that tell groups apart equally well, these go first.
FIRST = (
    *("data", "backbone", "backbone.weights", "freeze"),
    *("regularizer", "augment", "mix", "head", "optimizer"),
)
ABSENT = "–"
# Values that are equal differ by less than this.
ROUNDING = 1e-12


@dataclass(frozen=True)
class Spread:
    """A metric over a group's runs.

    Attributes:
        n: how many runs have it.
        mean: NaN where none has.
        deviation: the standard deviation with n − 1; None for one run.
        low: the lower end of the mean's 95 % interval by Student's t; None for one run, and where all are
            equal, for then nothing is known of their spread.
    """

    n: int
    mean: float
    deviation: float | None = None
    low: float | None = None
    high: float | None = None

    def __str__(self) -> str:
        if not self.n:
            return ABSENT
        return f"{self.mean:.4f}" if self.deviation is None else f"{self.mean:.4f} ± {self.deviation:.4f}"


def spread(values: Sequence[float], least: float = -math.inf, most: float = math.inf) -> Spread:
    """Mean, standard deviation and 95 % interval of the mean, which ends where the values can at most lie."""
    n = len(values)
    if n < 2:
        return Spread(n, values[0] if n else math.nan)
    middle, deviation = mean(values), stdev(values)
    if deviation < ROUNDING:
        return Spread(n, middle, deviation)
    low, high = map(float, stats.ttest_1samp(values, 0.0).confidence_interval())
    return Spread(n, middle, deviation, max(least, low), min(most, high))


@dataclass(frozen=True)
class Group:
    """Runs of one configuration.

    Attributes:
        label: the words that tell it from the others, such as `freeze=frozen`.
        values: of the keys that differ between groups; a key that it does not have is left out.
        short: the same as one types them, paths by their last parts.
        runs: repetition (the values of the keys repeated over) to finished run.
    """

    label: str
    values: dict[str, object]
    short: dict[str, str]
    runs: dict[tuple[str, ...], Run]

    def spread(self, metric: str) -> Spread:
        """The metric over the runs that have it."""
        values = [float(run.metrics[metric]) for run in self.runs.values() if metric in run.metrics]
        return spread(values, 0.0, metric_of(metric).most)


@dataclass(frozen=True)
class Ranking:
    """Groups of runs, best first.

    Attributes:
        sort: the validation metric that orders them.
        over: the keys that runs of one group may differ in.
        keys: all keys that differ between groups.
        shown: those of `keys` that the runs' words name, or that are needed to tell groups apart.
        groups: those with a finished run; those without the metric come last.
        unfinished: label and run of each that failed, was interrupted or still runs.
        notes: what else a reader should know.
    """

    sort: str
    over: tuple[str, ...]
    keys: list[str]
    shown: list[str]
    groups: list[Group]
    unfinished: list[tuple[str, Run]]
    notes: list[str]

    @property
    def tested(self) -> str:
        """The test metric that is shown beside `sort`; where that scores a target, the target's accuracy."""
        if self.sort == SCORED and any(group.spread(ON_TARGET).n for group in self.groups):
            return ON_TARGET
        if self.sort == SCORED:
            return USUAL.replace("val/", "test/")
        return f"test/{self.sort.removeprefix('val/')}"

    @property
    def ranked(self) -> bool:
        """Whether anything was validated, so that there is a best."""
        return bool(self.groups) and math.isfinite(self.groups[0].spread(self.sort).mean)


def rank(runs: Sequence[Run], sort: str, over: Sequence[str] = ("seed",)) -> Ranking:
    """Group runs and order the groups.

    Args:
        runs: of any status.
        sort: `val/…`; a group stands where the mean over its runs puts it.
        over: keys in which runs of one group may differ.

    Raises:
        GraftError: `sort` is no validation metric, or runs were validated and none has it.
    """
    if not sort.startswith("val/"):
        raise GraftError(f"sort={sort}: the test set is for the end, so runs are ordered by val/… alone")
    _check_there(runs, sort)
    identities = _identities(runs, over)
    every = dict.fromkeys(key for identity in identities for key in identity)
    differing = [key for key in every if len({values.get(key, ABSENT) for values in identities}) > 1]
    # Groups of parts go before their keys, and the keys stay as the configuration has them.
    keys = sorted(differing, key=lambda key: FIRST.index(key) if key in FIRST else len(FIRST))
    together: dict[str, list[int]] = defaultdict(list)
    for place, identity in enumerate(identities):
        together[json.dumps(sorted(identity.items()))].append(place)
    firsts = [identities[places[0]] for places in together.values()]
    named = {key_of(word) for run in runs for word in run.words}
    shown = _telling(firsts, [key for key in keys if key in named], keys)
    telling = _telling(firsts, [], shown)
    spelled = _short_values(runs, keys)
    groups, unfinished, notes = [], [], []
    for places in together.values():
        members = [runs[place] for place in places]
        config = members[0].config
        values = {key: config[key] for key in keys if key in config}
        short = {key: spelled[key, identities[places[0]][key]] for key in values}
        words = [f"{key}={short[key]}" for key in telling if key in short]
        label = " ".join(words) or str(config.get("name") or members[0].folder.path.name)
        unfinished += [(label, run) for run in members if run.status != "finished"]
        finished: dict[tuple[str, ...], Run] = {}
        for run in sorted((run for run in members if run.status == "finished"), key=lambda run: run.started):
            repetition = tuple(_plain(run.config.get(key)) for key in over)
            if repetition in finished:
                same = " ".join(f"{key}={value}" for key, value in zip(over, repetition, strict=True))
                notes.append(
                    f"{finished[repetition].folder.path} was run again ({label} {same}): the newer counts"
                )
            finished[repetition] = run
        if finished:
            # By number where they are numbers.
            in_order = sorted(finished.items(), key=lambda item: [(len(text), text) for text in item[0]])
            groups.append(Group(label, values, short, dict(in_order)))
    groups.sort(key=lambda group: _place(group, sort))
    hosts = {run.host for group in groups for run in group.runs.values()}
    if len(hosts) > 1:
        notes.append(f"seconds were taken on {len(hosts)} machines, so they do not compare")
    early = [
        f"{group.label} (after {run.pruned})" for group in groups for run in group.runs.values() if run.pruned
    ]
    if early:
        notes.append(f"a search ended {len(early)} early, with the epochs that they had: {', '.join(early)}")
    if "data.fold" in over and any(len(group.runs) > 1 for group in groups):
        notes.append("folds share training images, so intervals and tests over them are too narrow")
    ranking = Ranking(sort, tuple(over), keys, shown, groups, unfinished, notes)
    if groups and not ranking.ranked:
        notes.append("nothing was validated, so there is no best and the order says nothing")
    return ranking


def _check_there(runs: Sequence[Run], sort: str) -> None:
    validated = sorted({key for run in runs for key in run.metrics if key.startswith("val/")})
    if validated and sort not in validated:
        raise GraftError(f"sort={sort}: no run has it; there are {', '.join(validated)}")


def _identities(runs: Sequence[Run], over: Sequence[str]) -> list[dict[str, str]]:
    """What makes each run what it is, as texts that compare.

    How a run is computed is part of it only where the words ask for two that differ in nothing else, as
    a sweep over `trainer.devices` does: else the one would take the other's place.
    """
    named = {key_of(word) for run in runs for word in run.words}
    technical = {key for key in named if not without({key: None}, TECHNICAL)}
    identities: list[dict[str, str]] = []
    values: dict[str, dict[str, str]] = defaultdict(dict)
    also: set[str] = set()
    for run in runs:
        identity = {key: _plain(value) for key, value in without(run.config, (*over, *TECHNICAL)).items()}
        identities.append(identity)
        same = json.dumps([sorted(identity.items()), [_plain(run.config.get(key)) for key in over]])
        for key in technical & run.config.keys():
            value = _plain(run.config[key])
            if values[same].setdefault(key, value) != value:
                also.add(key)
    return [
        identity | {key: _plain(run.config[key]) for key in also & run.config.keys()}
        for run, identity in zip(runs, identities, strict=True)
    ]


def _plain(value: object) -> str:
    # 1 and 1.0 are the same number.
    return json.dumps(int(value) if isinstance(value, float) and value.is_integer() else value, default=str)


def _telling(configs: Sequence[dict[str, str]], chosen: Sequence[str], keys: Sequence[str]) -> list[str]:
    """`chosen`, and as many more of `keys` as it takes to tell all configurations apart."""

    def count(some: Sequence[str]) -> int:
        return len({tuple(config.get(key, ABSENT) for key in some) for config in configs})

    telling, left = list(chosen), [key for key in keys if key not in chosen]
    while left and count(telling) < count(keys):
        # The first of those that tell most apart.
        best = max(left, key=lambda key: count([*telling, key]))
        telling.append(best)
        left.remove(best)
    return [key for key in keys if key in telling]


def _short_values(runs: Sequence[Run], keys: Sequence[str]) -> dict[tuple[str, str], str]:
    """Each key's values as one types them, paths by as many of their last parts as tell them apart."""
    short_values: dict[tuple[str, str], str] = {}
    for key in keys:
        texts = {_plain(run.config[key]): run.config[key] for run in runs if key in run.config}
        for depth in range(1, 30):
            short = {plain: _tail(spell(value), depth) for plain, value in texts.items()}
            if len(set(short.values())) == len({spell(value) for value in texts.values()}):
                break
        short_values |= {(key, plain): text for plain, text in short.items()}
    return short_values


def _tail(text: str, depth: int) -> str:
    return str(PurePath(*PurePath(text).parts[-depth:])) if text.startswith("/") else text


def _place(group: Group, sort: str) -> tuple[bool, bool, float, str, str]:
    """By the metric; of equals the first that began is first, as a search has it."""
    value = group.spread(sort).mean
    missing = not math.isfinite(value)
    # A search does not choose from the runs that it ended early.
    ended = all(run.pruned for run in group.runs.values())
    began = min(run.started for run in group.runs.values())
    signed = value if lower_is_better(sort) else -value
    return missing, ended, 0.0 if missing else signed, began, group.label
