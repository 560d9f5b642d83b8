"""From the values of a sweep, as Hydra's grammar has them, to what Optuna draws from."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override

from graft.sweeps.study import import_optuna

if TYPE_CHECKING:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    Space = CategoricalDistribution | FloatDistribution | IntDistribution


def read(words: Sequence[str]) -> tuple[dict[str, "Space"], list[str]]:
    """Part the words into what is searched and what is fixed; of a key's several words the last counts.

    Returns:
        Key to one of Optuna's distributions; the fixed words.

    Raises:
        hydra.errors.OverrideParseException: a word cannot be read.
    """
    overrides = OverridesParser.create().parse_overrides(list(words))
    last = {override.get_key_element(): override for override in overrides}
    spaces = {key: _space(override) for key, override in last.items() if override.is_sweep_override()}
    fixed = [f"{key}={last[key].get_value_element_as_str()}" for key in last if key not in spaces]
    return spaces, fixed


def _space(override: Override) -> "Space":
    """An interval of numbers, whole ones if written `int(interval(…))`; of all else the choices as words."""
    distributions = import_optuna().distributions
    value = override.value()
    if isinstance(value, IntervalSweep):
        ends = (value.start, value.end)
        whole = all(isinstance(end, int) for end in ends)
        kind = distributions.IntDistribution if whole else distributions.FloatDistribution
        interval: Space = kind(*ends, log="log" in value.tags)
        return interval
    choices: Space = distributions.CategoricalDistribution(list(override.sweep_string_iterator()))
    return choices


def corners(spaces: Mapping[str, "Space"]) -> list[dict[str, object]]:
    """Each choice and each end at least once, the other keys at their first: what is checked beforehand."""
    ends = {
        key: list(space.choices) if hasattr(space, "choices") else [space.low, space.high]
        for key, space in spaces.items()
    }
    first = {key: values[0] for key, values in ends.items()}
    return [first, *({**first, key: value} for key, values in ends.items() for value in values[1:])]
