"""Where caches lie that runs share. Imports no torch."""

import os
from pathlib import Path

import platformdirs


def cache_folder(given: str | None = None) -> Path:
    """`given`, else `$GRAFT_CACHE_DIR`, else the user's cache folder of this system; absolute."""
    chosen = given or os.environ.get("GRAFT_CACHE_DIR")
    return Path(chosen).expanduser().absolute() if chosen else platformdirs.user_cache_path("graft")
