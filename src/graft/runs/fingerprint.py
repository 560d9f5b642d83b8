"""By what two command lines are known to ask for the same run. Imports no torch."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

# How a run is started, kept and looked at in the end; not what it computes.
LEFT_OUT = ("resume", "trust", "sweep", "test", "notes")


def fingerprint(config: Mapping[str, Any]) -> str:
    """Sixteen hex digits of everything in a composed and resolved configuration but its folders.

    A run keeps its own in `status.json`: what `config.yaml` holds has since been told what this machine and
    the data had to say.
    """
    plain = {key: value for key, value in config.items() if key not in LEFT_OUT}
    if isinstance(cache := plain.get("cache"), Mapping):
        plain["cache"] = {key: value for key, value in cache.items() if key != "dir"}
    text = json.dumps(plain, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
