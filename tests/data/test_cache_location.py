"""Where caches lie: where it is said, else with the user; of one without a home among temporary files."""

import os
import tempfile
from pathlib import Path

import pytest

from graft.data.cache_location import cache_folder


def test_a_user_without_a_name_has_a_cache_among_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was: RuntimeError, could not determine the home directory."""

    def nobody(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr("pwd.getpwuid", nobody)
    for variable in ("HOME", "XDG_CACHE_HOME", "GRAFT_CACHE_DIR"):
        monkeypatch.delenv(variable, raising=False)
    assert cache_folder() == Path(tempfile.gettempdir()).absolute() / f"graft-{os.getuid()}"
    monkeypatch.setenv("GRAFT_CACHE_DIR", str(tmp_path))
    assert cache_folder() == tmp_path
    assert cache_folder(str(tmp_path / "given")) == tmp_path / "given"
