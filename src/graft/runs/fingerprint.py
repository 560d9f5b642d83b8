"""A fingerprint that is equal for two command lines that ask for the same run. Imports no torch."""

import hashlib
import json
from collections.abc import Mapping

from graft.configuration.key_table import LEFT_OUT
from graft.configuration.schema import without


def fingerprint(config: Mapping[str, object]) -> str:
    """Sixteen hex digits of a composed and resolved configuration, without what says how it is computed.

    A run keeps its own in `status.json`, because `config.yaml` also holds what this machine and
    the data decided.
    """
    text = json.dumps(without(config, LEFT_OUT), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
