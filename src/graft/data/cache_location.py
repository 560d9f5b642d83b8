"""The folder of the caches that runs share. Imports no torch."""

import os
import tempfile
from pathlib import Path

import platformdirs


def cache_folder(given: str | None = None) -> Path:
    """`given`, else `$GRAFT_CACHE_DIR`, else the user's cache folder of this system; absolute.

    A user without a name, as in many containers, has no known home. Then the system's folder for temporary
    files serves, until it is emptied.
    """
    if chosen := given or os.environ.get("GRAFT_CACHE_DIR"):
        return Path(chosen).expanduser().absolute()
    try:
        return platformdirs.user_cache_path("graft")
    except RuntimeError:
        return Path(tempfile.gettempdir()).absolute() / f"graft-{os.getuid()}"
