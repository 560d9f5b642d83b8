"""The words of an advice, which its trainings and a later start have too: they hold in any working folder.

Imports no torch.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from omegaconf import DictConfig

from graft.composition.words import quoted
from graft.configuration.keys import SEARCHPATH, conf_dir, key_of
from graft.configuration.locating import located_values
from graft.configuration.schema import Config, Plain, flatten, spell
from graft.configuration.weights_place import absolute


def holding_anywhere(config: Config, words: Sequence[str], hydra_cfg: DictConfig) -> tuple[Plain, list[str]]:
    """The configuration of an advice, and its words, with paths that exist made absolute.

    Folders of the user's own options, which `--config-dir` or `hydra.searchpath` named, become a word.

    Args:
        config: resolved and checked.
        words: that led to it.
        hydra_cfg: Hydra's own node.
    """
    placed = located_values(config)
    placed["weights"] = {name: _absolute(given) for name, given in config["weights"].items()}
    before, after = flatten(_own(config)), flatten(_own(placed))
    moved = {key: text for key, value in after.items() if value != before[key] and (text := _spelled(value))}
    said = [
        f"{word.partition('=')[0]}={moved[key]}" if (key := key_of(word)) in moved else word for word in words
    ]
    # What a file of the user's own has, or one word for the weights of several backbones.
    given = {key_of(word) for word in words}
    said += [f"{key}={text}" for key, text in moved.items() if key not in given]
    if own := own_folders(hydra_cfg):
        said = [word for word in said if key_of(word) != SEARCHPATH]
        said.append(f"{SEARCHPATH}=[{','.join(_spelled(f'file://{folder}') for folder in own)}]")
    return placed, said


def own_folders(hydra_cfg: DictConfig) -> list[Path]:
    """The folders of options that the words name, in Hydra's order."""
    sources = (source for source in hydra_cfg.runtime.config_sources if source.schema == "file")
    return [path for source in sources if (path := Path(source.path).absolute()) != conf_dir()]


def _own(config: Config) -> Plain:
    return {key: config[key] for key in ("data", "trainer", "cache", "weights")}


def _absolute(given: object) -> object:
    if isinstance(given, list):
        return [_absolute(one) for one in given]
    return absolute(given) if isinstance(given, str) else given


def _spelled(value: object) -> str:
    """A value in words; empty for one that holds mappings."""
    if isinstance(value, list):
        parts = [_spelled(one) for one in value]
        return f"[{','.join(parts)}]" if all(parts) else ""
    if isinstance(value, Mapping):
        return ""
    return quoted("", value).removeprefix("=") if isinstance(value, str) else spell(value)
