"""A run's paths, made absolute: what is recorded holds in any working folder. Imports no torch."""

import re
from collections.abc import Mapping

from graft.configuration.building import SHIPPED
from graft.configuration.key_table import PARTS, PATHS
from graft.configuration.run_config import RunConfig
from graft.configuration.schema import Config, Plain, get, replaced
from graft.configuration.weights_place import absolute

# Keys of callbacks and loggers: folders inside the run folder.
INSIDE = ("dirpath", "save_dir")
# Usual names of keys that hold paths.
LIKE_A_PATH = re.compile(r"(^|_)(path|root|file|folder|dir|directory|weights|checkpoint|manifest)s?$")


def located(config: RunConfig) -> RunConfig:
    """The configuration with paths that exist made absolute, also in parts of the user's own."""
    return RunConfig.of(located_values(config.plain()))


def located_values(config: Config) -> Plain:
    """As `located`, of any command's configuration."""
    values = {**config, **{part: _in_part(config[part]) for part in PARTS if part in config}}
    for key in PATHS:
        if isinstance(given := get(values, key), str):
            values = replaced(values, key, absolute(given))
    # A folder of a data set, which else would be a name of the hub's.
    if get(values, "data._target_") == "graft.sources.hub_data":
        values = replaced(values, "data.name", absolute(get(values, "data.name")))
    return values


def _in_part(node: object, key: str = "", own: bool = False) -> object:
    """A node, with paths made absolute in parts that are the user's own (see `SHIPPED`).

    What such a part does with its keys is not known here. A text is taken for a path if there is a file or
    folder of that name, and the text or the name of its key looks like one. `train` stays a word, although
    a folder may have that name.
    """
    if isinstance(node, Mapping):
        if "_target_" in node:
            own = str(node["_target_"]).split(".")[0] not in SHIPPED
        return {name: _in_part(value, name, own) for name, value in node.items()}
    if isinstance(node, list):
        return [_in_part(value, key, own) for value in node]
    if not own or not isinstance(node, str) or key in (*INSIDE, "_target_"):
        return node
    if not ("/" in node or "." in node or LIKE_A_PATH.search(key)):
        return node
    try:
        return absolute(node)
    except (OSError, ValueError):
        # The text cannot be a path: it is too long, or holds a null character.
        return node
