"""Where caches lie that runs share. Imports no torch."""

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """`$GRAFT_CACHE_DIR`, or else the user's cache folder of this system."""
    given = os.environ.get("GRAFT_CACHE_DIR")
    return Path(given).expanduser() if given else platformdirs.user_cache_path("graft")
