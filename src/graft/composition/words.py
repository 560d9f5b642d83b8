"""The words of a command line, made ready for Hydra: a path or a name is the text that was typed.

Hydra's grammar would read `data.root=2024` as a number, `name=1e3` as another one, and would not read
`data.root=~/photos` at all. Imports no torch.
"""

import re
from collections.abc import Sequence

from graft.composition.data_of_run import kept_from_hydra
from graft.configuration.key_table import PARTS, TEXTS
from graft.configuration.keys import RECIPES, named_folders
from graft.configuration.paths import existing

# Some keys of Hydra's too, and the groups, whose values are names of options.
TEXT_KEYS = {*TEXTS, *PARTS, *RECIPES, "hydra.run.dir", "hydra.sweep.dir", "hydra.sweep.subdir"}


def made_ready(command: str, words: Sequence[str]) -> list[str]:
    """The words with paths and names quoted where Hydra would read something else.

    Those whose keys stand in no file, because they are the user's own or a run's, get Hydra's `++`.

    Raises:
        GraftError: a folder of options is not there; Hydra would go on without it.
    """
    for key, folder in named_folders(words):
        if "${" not in folder:
            existing(key, folder, "folder")
    if command == "latency" and not {"-m", "--multirun"} & set(words):
        words = [_listed(word, "engine") for word in words]
    mine = ("weights.", "weights=") if command in ("rank", "advise") else ()
    words = [f"++{word}" if word.startswith(mine) else word for word in map(_as_text, words)]
    return kept_from_hydra(command, words)


def _listed(word: str, key: str) -> str:
    """The word of a key that holds a list, whose brackets need not be typed."""
    value = word.removeprefix(f"{key}=")
    return word if value == word or value.startswith("[") else f"{key}=[{value}]"


def quoted(key: str, value: str) -> str:
    """A word whose value may hold anything."""
    return f"{key}={_in_quotes(value)}"


def _in_quotes(value: str) -> str:
    # Hydra's grammar takes backslashes as they are, except before a quote.
    escaped = re.sub(r'(\\*)("|$)', lambda match: 2 * match[1] + (match[2] and r"\""), value)
    return f'"{escaped}"'


def _as_text(word: str) -> str:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import ChoiceSweep
    from hydra.errors import HydraException

    key, equals, value = word.partition("=")
    name = key.lstrip("+").partition("@")[0]
    if not equals or not value or value[0] in "'\"":
        return word
    if name not in TEXT_KEYS and not name.startswith("weights."):
        return word
    try:
        override = OverridesParser.create().parse_override(word)
    except HydraException:
        return word if value[0] in "[{" else quoted(key, value)
    parsed = override.value()
    if isinstance(parsed, list):
        return f"{key}=[{_elements(value.strip()[1:-1], parsed)}]"
    if isinstance(parsed, ChoiceSweep):
        return f"{key}={_elements(value, parsed.list)}" if parsed.simple_form else word
    return word if override.is_sweep_override() else f"{key}={_element(value, parsed)}"


def _elements(text: str, parsed: Sequence[object]) -> str:
    """Several values, between commas; those that hold commas of their own are left as they are."""
    parts = text.split(",")
    if len(parts) != len(parsed):
        return text
    return ",".join(_element(part, element) for part, element in zip(parts, parsed, strict=True))


def _element(text: str, parsed: object) -> str:
    """One value as it was typed; a number, true or false in quotes."""
    return _in_quotes(text.strip()) if isinstance(parsed, int | float) else text
