"""`RunConfig`: the checked configuration of one run, frozen and typed. Imports no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any

from graft.configuration.key_table import OF_A_START
from graft.configuration.metric_names import USUAL
from graft.configuration.schema import SOLVER, UNADAPTED, Config, Plain
from graft.errors import GraftError

# What a `_target_` is built from: plain values.
Node = Mapping[str, Any]
# Keys of `trainer` that every run reads before Lightning does.
OF_TRAINER = ("accelerator", "devices", "precision", "max_epochs")


@dataclass(frozen=True)
class Loss:
    """What the labels' loss is; see `conf/train.yaml`, as for all of these."""

    label_smoothing: float
    class_weights: str | Sequence[float] | None


@dataclass(frozen=True)
class Distill:
    """The teacher, if there is one, and its share in the loss."""

    teacher: str | None
    temperature: float
    weight: float
    trust: Sequence[str]


@dataclass(frozen=True)
class Cache:
    """Whether and where boundary tensors are kept, at most how many bytes, and how they are computed."""

    features: str | bool
    dir: str | None
    max_bytes: int
    views: int | None
    precision: str


@dataclass(frozen=True)
class Sweep:
    """What a run has to do with a sweep."""

    resume: str | None = None
    metric: str = USUAL
    trial: str | None = None


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """The configuration of a run, in the order in which `config.yaml` has it.

    It is made once, from checked plain values. What is found out later makes another by `replace`.

    Attributes:
        own: top-level keys of the user's own recipes.
        resume: a run folder that goes on. It and what follows is of one start, and not recorded.
        trust: packages that a resumed run's configuration may name.
        notes: lines for the person that say what was decided in composing.
    """

    name: str
    seed: int
    target: Node | None = None
    loss: Loss
    distill: Distill
    cache: Cache
    calibrate: bool
    # An older Graft's runs say nothing of what they do not know.
    known: str | None = None
    lr_find: bool
    channels_last: bool
    threads: int | None
    compile: bool
    # A cross-validation tests every fold, and has no such key.
    test: bool = True
    data: Node
    augment: Node
    mix: Node
    backbone: Node
    head: Node
    freeze: Node
    optimizer: Node
    scheduler: Node
    regularizer: Node
    # An older Graft knew no other domain.
    adapt: Node = field(default_factory=lambda: {"_target_": UNADAPTED})
    trainer: Node
    logger: Mapping[str, Node]
    callbacks: Mapping[str, Node]
    own: Mapping[str, object] = field(default_factory=dict)
    resume: str | None = None
    stop_after: int | None = None
    trust: Sequence[str] = ()
    sweep: Sweep = Sweep()
    notes: Sequence[str] = ()

    @classmethod
    def of(cls, values: Config) -> "RunConfig":
        """From checked plain values; keys of one start may be left out.

        Raises:
            GraftError: another key is missing.
        """
        check_whole(values, "the configuration")
        given = dict(values)
        known = {key: given.pop(key) for key in FIELDS if key in given}
        known |= {key: kind(**known[key]) for key, kind in TYPED.items() if key in known}
        return cls(**known, own=given)

    def plain(self) -> Plain:
        """The plain values, those of this start too."""
        values = {key: getattr(self, key) for key in FIELDS}
        return {**values, **{key: dict(vars(values[key])) for key in TYPED}, **self.own}

    def recorded(self) -> Plain:
        """The plain values of `config.yaml`."""
        return {key: value for key, value in self.plain().items() if key not in OF_A_START}

    @property
    def solves(self) -> bool:
        """Whether the head is solved on features, not trained by steps."""
        return bool(self.optimizer.get("_target_") == SOLVER)


FIELDS = tuple(entry.name for entry in fields(RunConfig) if entry.name != "own")
TYPED = {"loss": Loss, "distill": Distill, "cache": Cache, "sweep": Sweep}


def check_whole(values: Config, where: str) -> None:
    """Check that no key is missing that a run cannot do without; `where` names the values in the message.

    Raises:
        GraftError: names the keys.
    """
    needed = {"": _required(RunConfig), "trainer": OF_TRAINER}
    needed |= {key: _required(kind) for key, kind in TYPED.items()}
    lacking = [
        f"{above}.{key}".removeprefix(".")
        for above, keys in needed.items()
        if isinstance(node := values.get(above) if above else values, Mapping)
        for key in keys
        if key not in node
    ]
    if lacking:
        raise GraftError(f"{where} has no {', '.join(lacking)}, without which this version cannot go on")


def _required(kind: type) -> tuple[str, ...]:
    return tuple(
        entry.name for entry in fields(kind) if entry.default is MISSING and entry.default_factory is MISSING
    )
