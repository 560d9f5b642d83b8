"""What recorded trainings say beforehand of a candidate: accuracy by epoch, and the seconds of an epoch.

`prior.csv` holds additive effects, which were distilled by experiments/advice/distill.py from the meta-data
set "extended" that Quick-Tune published (Arango et al., "Quick-Tune: Quickly Learning Which Pretrained Model
to Finetune and How", ICLR 2024; releng/QuickTuneTool, BSD 3-Clause): 2,139 trainings of 24 networks on 18
tasks.
"""

import functools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from graft.configuration.network_names import Network, networks

Floats = npt.NDArray[np.float64]

# The epochs whose accuracy the prior holds; between them it is linear in the logarithm.
EPOCHS = (1, 7, 50)
ADAPTIVE = ("adam", "adamw", "adamp")
# Where the effect of a rate (log10) and of the share that is frozen bends.
RATES = (-5.0, -4.0, -3.0, -2.0)
SHARES = (0.0, 0.4, 0.8, 1.0)
PENALTIES = ("weight_decay", "l2_sp", "delta", "bss")
AS_THEY_ARE = ("smoothing", "mixup", "cutmix", "dropout", "stochnorm", "amp")
# In what candidates resemble each other.
TRAITS = ("adaptive", "lr", "frozen", "batch", "gmacs")
WORDS = ("optimizer", "schedule", "augmentation", "network")


class Facts(NamedTuple):
    """What is known of the task.

    Attributes:
        images: that an epoch trains on.
        classes: C.
        pixels: of the files' shorter side.
    """

    images: int
    classes: int
    pixels: int


class Expected(NamedTuple):
    """What the prior says of N candidates.

    Attributes:
        accuracy: `(N, 3)` after 1, 7 and 50 epochs, relative to the best that the task allows.
        log_seconds: `(N,)` the logarithm of an epoch's seconds, on the machine of the recorded trainings.
        traits: `(N, K)` in what candidates resemble each other, in units in which 1 is far.
    """

    accuracy: Floats
    log_seconds: Floats
    traits: Floats


@dataclass(frozen=True, eq=False)
class Prior:
    """Additive effects of the terms of candidates and tasks.

    Attributes:
        tasks: from which it was distilled.
        terms: names; the factors of a product, joined by `*`, are those of `atoms`.
        means: `(T,)` of each term over the recorded trainings.
        effects: `(T, 4)` on the accuracy after 1, 7 and 50 epochs, and on the logarithm of an epoch's
            seconds an image.
    """

    tasks: tuple[str, ...]
    terms: tuple[str, ...]
    means: Floats
    effects: Floats

    def expected(self, settings: Sequence[Mapping[str, object]], facts: Facts) -> Expected:
        """What is to be expected of candidates with these settings; what is unknown counts as average."""
        said = [
            tuple(pair for pair in each.items() if isinstance(pair[1], str | int | float))
            for each in settings
        ]
        rows = [_row(self.terms, each, facts) for each in said]
        values = np.array([row[0] for row in rows]) - self.means
        outcome = np.where(np.isnan(values), 0.0, values) @ self.effects
        return Expected(
            outcome[:, :3], outcome[:, 3] + math.log(facts.images), np.array([row[1] for row in rows])
        )


# The same candidates are asked about before each step.
@functools.lru_cache(maxsize=4096)
def _row(
    terms: tuple[str, ...], settings: tuple[tuple[str, object], ...], facts: Facts
) -> tuple[Floats, Floats]:
    """The terms `(T,)` and the traits `(K,)` of a candidate."""
    given = dict(settings)
    known = atoms(given, facts)
    # Of a word that was not recorded nothing is known, as of one that is not given.
    for word in WORDS:
        if f"{word}={given.get(word)}" not in terms:
            known.pop(word, None)
    return term_values(terms, [known])[0], np.array([known.get(name, 0.0) for name in TRAITS])


def term_values(terms: Sequence[str], known: Sequence[Mapping[str, float]]) -> Floats:
    """The terms of candidates `(N, T)`; NaN where a factor is unknown."""
    products = [term.split("*") for term in terms]
    return np.array(
        [
            [math.prod(one.get(name, _absent(name, one)) for name in names) for names in products]
            for one in known
        ]
    ).reshape(len(known), len(terms))


def _absent(name: str, known: Mapping[str, float]) -> float:
    """Another word than the one given is 0; of a setting that is not given nothing is known."""
    return 0.0 if name.partition("=")[0] in known else math.nan


def atoms(settings: Mapping[str, object], facts: Facts) -> dict[str, float]:
    """The named numbers of which terms are made, for what is given of a candidate; of the size of 1.

    Settings: `network`, `optimizer`, `schedule`, `augmentation` are words; numbers are `parameters`, `gmacs`
    (listed networks have both), `lr`, `batch_size`, `frozen` (the share from the stem; 1: all but the head),
    `warmup_epochs`, `warmup_lr`, `weight_decay`, `momentum`, `beta1`, `beta2`, `layer_decay` (1: none),
    `clip`, `dropout`, `smoothing`, `mixup` and `cutmix` (how often), `l2_sp`, `delta`, `bss`, `co_tuning`,
    `stochnorm` and `amp` (0 or 1). Any may be missing.
    """
    found = {"one": 1.0}
    found["images"] = _within(math.log(max(facts.images, 1)) - 9.5, -2.2, 3.1)
    found["classes"] = _within(math.log(max(facts.classes, 1)) - 4.0, -1.0, 1.6)
    for word in WORDS:
        if word in settings:
            found[word] = 1.0
            found[f"{word}={settings[word]}"] = 1.0
    if "optimizer" in settings:
        found["adaptive"] = float(settings["optimizer"] in ADAPTIVE)
        found["sgd"] = 1.0 - found["adaptive"]
    number = {key: float(value) for key, value in settings.items() if isinstance(value, int | float)}
    found |= {key: number[key] for key in AS_THEY_ARE if key in number}
    if number.get("lr", 0.0) > 0:
        found |= _bends("lr", math.log10(number["lr"]), RATES)
        found["lr"] = _within(math.log10(number["lr"]) + 3.5, -1.5, 1.5)
    if "batch_size" in number:
        found["batch"] = _within(math.log2(number["batch_size"]) / 4 - 0.75, -0.5, 1.5)
        found["steps"] = _within((math.log(max(facts.images, 1) / number["batch_size"]) - 7) / 2, -2.8, 2.4)
    if "frozen" in number:
        found |= _bends("frozen", number["frozen"], SHARES)
        found |= {"frozen": number["frozen"], "head_only": float(number["frozen"] == 1)}
    for key in PENALTIES:
        if key in number:
            found[key] = 1.0
            found[f"{key}=0.1"] = float(number[key] >= 0.05)
            found[f"{key}=0.01"] = float(0.005 <= number[key] < 0.05)
    if "co_tuning" in number:
        found["co_tuning"] = float(number["co_tuning"] > 0)
    if "layer_decay" in number:
        found["layer_decay"] = 3 * (1 - number["layer_decay"])
    if "warmup_epochs" in number:
        found["warmup"] = number["warmup_epochs"] / 10
        found["at_once"] = float(number["warmup_epochs"] == 0)
        # The first epoch has this rate.
        if not number["warmup_epochs"] or "warmup_lr" in number:
            rate = number.get("warmup_lr", 0.0) if number["warmup_epochs"] else 1.0
            found |= {"begins": 1.0, "begins=cold": float(rate < 1e-7), "begins=warm": float(3e-6 < rate < 1)}
    if "momentum" in number:
        found["no_momentum"] = float(number["momentum"] < 0.5)
        found["much_momentum"] = float(number["momentum"] > 0.97)
    if "beta1" in number:
        found["no_beta1"] = float(number["beta1"] < 0.5)
    if "beta2" in number:
        found["beta2"] = float(number["beta2"] > 0.995)
    if "clip" in number:
        found["clip"] = 1.0
        found[f"clip={number['clip']:g}"] = 1.0
    listed = _listed(str(settings.get("network")))
    size = number.get("parameters", listed.parameters if listed else None)
    gmacs = number.get("gmacs", listed.gmacs if listed else None)
    if size:
        found["size"] = _within(math.log10(size) - 7, -1.0, 1.5)
    if gmacs:
        found["gmacs"] = _within(math.log10(gmacs) - 1, -2.5, 2.0)
    return found


def _listed(name: str) -> Network | None:
    """What the list says of a network, timm's before others of its name."""
    libraries = (
        networks(library).get(name.partition(".")[0]) for library in ("timm", "torchvision", "graft")
    )
    return next(filter(None, libraries), None)


def _within(value: float, least: float, most: float) -> float:
    """The nearest of what was recorded, beyond which curved effects mean nothing."""
    return min(max(value, least), most)


def _bends(name: str, value: float, knots: Sequence[float]) -> dict[str, float]:
    """Weights of the knots between which a value lies: what is additive in them is linear between knots."""
    spread = np.eye(len(knots))
    return {
        f"{name}~{knot:g}": float(np.interp(value, knots, spread[place])) for place, knot in enumerate(knots)
    }


@functools.cache
def shipped() -> Prior:
    """The prior that Graft ships."""
    return read(files("graft.advice").joinpath("prior.csv").read_text(encoding="utf-8"))


def read(text: str) -> Prior:
    """The prior that `written` wrote."""
    lines = text.splitlines()
    named = next(line for line in lines if line.startswith("# tasks:"))
    rows = [line.split(",") for line in lines if line and not line.startswith("#")][1:]
    numbers = np.array([[float(value) for value in row[1:]] for row in rows])
    tasks = tuple(named.removeprefix("# tasks:").split())
    return Prior(tasks, tuple(row[0] for row in rows), numbers[:, 0], numbers[:, 1:])


def written(prior: Prior, comments: Iterable[str]) -> str:
    """A prior as text: comments, the tasks, and a row a term."""
    head = [*(f"# {line}" for line in comments), f"# tasks: {' '.join(prior.tasks)}"]
    head.append("term,mean," + ",".join(f"accuracy_{epoch}" for epoch in EPOCHS) + ",log_seconds_an_image")
    rows = zip(prior.terms, prior.means, prior.effects, strict=True)
    body = [",".join((term, *(f"{value:.4f}" for value in (mean, *effects)))) for term, mean, effects in rows]
    return "\n".join((*head, *body)) + "\n"
