"""An advice as an object, for notebooks and scripts."""

import json
from html import escape
from pathlib import Path
from typing import Any

from graft.runs.advice_folder import AdviceFolder


class Advice:
    """What `graft advise` answered.

    Attributes:
        path: its folder.
        answer: what stands in `advice.json`.
    """

    def __init__(self, folder: AdviceFolder) -> None:
        self._folder = folder
        self.path: Path = folder.path
        self.answer: dict[str, Any] = json.loads(folder.answer.read_text(encoding="utf-8"))

    @property
    def words(self) -> list[str]:
        """Those of `graft train` that repeat the advised training; none where nothing is advised."""
        return list(self.answer["advice"]["words"]) if self.answer["advice"] else []

    def __str__(self) -> str:
        return " ".join(self.answer["sentences"])

    def __repr__(self) -> str:
        return f"Advice({str(self.path)!r})"

    def _repr_html_(self) -> str | None:
        """The report, which a notebook shows in a frame, so that the style of neither reaches the other."""
        report = self._folder.report
        if not report.is_file():
            return None
        page = escape(report.read_text(encoding="utf-8"))
        return f'<iframe srcdoc="{page}" style="width: 100%; height: 80vh; border: 0"></iframe>'
