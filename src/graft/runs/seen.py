"""Which images a model has seen, known by their content, whatever they are called and wherever they lie.

Imports no torch.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from graft.runs.files import read_csv, write_csv


@dataclass(frozen=True)
class Seen:
    """The images that a model learnt from, or was chosen by.

    Each is the hexadecimal SHA-256 of what determines it: of a file, what `sha256sum` says.

    Attributes:
        train: what weights were fitted to, those of models that it began with or learnt from included.
        val: what chose among weights, and is not in `train`.
    """

    train: frozenset[str] = frozenset()
    val: frozenset[str] = frozenset()

    def role(self, digest: str) -> str | None:
        """`train`, `val`, or None for an image that the model has not seen."""
        return "train" if digest in self.train else "val" if digest in self.val else None

    def with_(self, other: "Seen") -> "Seen":
        """What both have seen."""
        train = self.train | other.train
        return Seen(train, (self.val | other.val) - train)

    def write(self, path: Path) -> None:
        """Write a row for each image."""
        rows = [{"sha256": digest, "split": "train"} for digest in sorted(self.train)]
        rows += [{"sha256": digest, "split": "val"} for digest in sorted(self.val)]
        write_csv(path, rows or [{"sha256": "", "split": ""}])


def read_seen(path: Path) -> Seen | None:
    """What `Seen.write` wrote; None where there is no such file, as beside models of older versions."""
    if not path.is_file():
        return None
    rows = read_csv(path)
    train, val = (
        frozenset(row["sha256"] for row in rows if row["split"] == split) for split in ("train", "val")
    )
    return Seen(train, val - train)


def counted(roles: Iterable[str | None]) -> dict[str, int]:
    """How many of some images a model has seen, as metrics."""
    roles = list(roles)
    return {f"seen/{split}": roles.count(split) for split in ("train", "val")}


def told(counts: dict[str, int], images: str, so: str = "this is no test on unseen images alone") -> str:
    """One line that a model has seen some of these images, and what follows; empty where it has seen none."""
    where = {"seen/train": "in training", "seen/val": "in validation"}
    said = " and ".join(f"{count:,} {where[key]}" for key, count in counts.items() if count)
    said = said.replace(" in ", f" of {images} are seen in ", 1)
    return f"warning: {said}, so {so}" if said else ""
