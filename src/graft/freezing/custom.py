"""A strategy written as a list: patterns of parameter names, and what happens to what they match."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple, get_args

from torch import nn

from graft.errors import GraftError, did_you_mean
from graft.freezing.parts import Part, parts
from graft.freezing.strategies import Norm, Treatment, treat


class Rule(NamedTuple):
    """What happens to the parameters that a pattern matches; `Custom` says more."""

    pattern: str
    trains: bool
    from_epoch: int = 0
    norm: Norm | None = None


class Custom:
    """Each parameter is treated as the first rule whose pattern matches its name says.

    Args:
        rules: mappings with `pattern`, a shell pattern of names such as `layer4.*` or `*.bn?.weight`;
            `trains`, true or false; where wanted `from_epoch` (0), in which training begins, and `norm`,
            what the norm layers among the matched do once it begins: `frozen`, `affine`, `statistics`
            or `train`.

    Raises:
        GraftError: a rule is not of that form.
    """

    def __init__(self, rules: Sequence[Mapping[str, Any]]) -> None:
        for number, rule in enumerate(rules, 1):
            for key in rule:
                if key not in Rule._fields:
                    hint = did_you_mean(key, Rule._fields)
                    raise GraftError(f"freeze.rules: rule {number} has {key}{hint}")
            if not isinstance(rule.get("pattern"), str) or not isinstance(rule.get("trains"), bool):
                raise GraftError(f"freeze.rules: rule {number} needs a pattern and trains: true or false")
            start = rule.get("from_epoch", 0)
            if not isinstance(start, int) or start < 0:
                raise GraftError(f"freeze.rules: rule {number} has from_epoch {start}; it counts from 0")
            if rule.get("norm") not in (None, *get_args(Norm)):
                words = ", ".join(get_args(Norm))
                raise GraftError(f"freeze.rules: rule {number} has norm {rule['norm']}; there are {words}")
        self.rules = [Rule(**rule) for rule in rules]

    def prepare(self, stages: nn.ModuleDict) -> None:
        """Refuse rules that do not fit these stages.

        Raises:
            GraftError: a pattern is the first match of no parameter, or a parameter is matched by none.
        """
        names = [part.full_name for part, _, _ in parts(stages)]
        used = set()
        for name in names:
            index = next((i for i, rule in enumerate(self.rules) if fnmatchcase(name, rule.pattern)), None)
            if index is None:
                raise GraftError(f"freeze.rules: no pattern matches {name}; end the list with pattern: '*'")
            used.add(index)
        for index, rule in enumerate(self.rules):
            if index in used:
                continue
            if any(fnmatchcase(name, rule.pattern) for name in names):
                why = "is never the first to match; put it before the wider ones"
            else:
                why = f"matches no parameter; the stages are {', '.join(stages)}"
            raise GraftError(f"freeze.rules: pattern {rule.pattern} {why}")

    def treatment(self, part: Part, epoch: int) -> Treatment:  # noqa: D102
        rule = next(rule for rule in self.rules if fnmatchcase(part.full_name, rule.pattern))
        if epoch < rule.from_epoch:
            return Treatment(False)
        # A `norm` holds for norm layers even where nothing else trains.
        return treat(part, rule.trains or (part.kind == "norm" and rule.norm is not None), rule.norm)
