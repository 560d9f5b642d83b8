"""From the values of a sweep, as Hydra's grammar has them, to what Optuna draws from."""

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override

from graft.sweeps.study import import_optuna


def read(words: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """Part the words into what is searched and what is fixed; of a key's several words the last counts.

    Returns:
        Key to one of Optuna's distributions; the fixed words.

    Raises:
        hydra.errors.OverrideParseException: a word cannot be read.
    """
    last = {found.get_key_element(): found for found in OverridesParser.create().parse_overrides(list(words))}
    spaces = {key: _space(found) for key, found in last.items() if found.is_sweep_override()}
    fixed = [f"{key}={found.get_value_element_as_str()}" for key, found in last.items() if key not in spaces]
    return spaces, fixed


def _space(override: Override) -> Any:
    """An interval of numbers, whole ones if written `int(interval(…))`; of all else the choices as words."""
    distributions = import_optuna().distributions
    value = override.value()
    if isinstance(value, IntervalSweep):
        ends: list[Any] = [value.start, value.end]
        whole = all(isinstance(end, int) for end in ends)
        kind = distributions.IntDistribution if whole else distributions.FloatDistribution
        return kind(*ends, log="log" in value.tags)
    return distributions.CategoricalDistribution(list(override.sweep_string_iterator()))


def corners(spaces: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Each choice and each end at least once, the other keys at their first: what is checked beforehand."""
    ends = {
        key: list(space.choices) if hasattr(space, "choices") else [space.low, space.high]
        for key, space in spaces.items()
    }
    first = {key: values[0] for key, values in ends.items()}
    return [first, *({**first, key: value} for key, values in ends.items() for value in values[1:])]
