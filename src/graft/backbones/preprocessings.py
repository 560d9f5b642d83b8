"""How a sample of any kind becomes a backbone's input, as plain data; and how that is read back."""

from collections.abc import Mapping
from dataclasses import fields
from importlib import import_module
from typing import Any, Protocol

from graft.errors import GraftError


class AnyPreprocessing(Protocol):
    """Plain values that belong to a backbone's weights and are stored in the bundle.

    Attributes:
        name: of the way in which it makes the input, such as `image`. By it, what reads it back, its
            transform and the kind of samples that it is for are found.
        side: of a picture that a network sees, px; of another input, of a picture of as many values.
    """

    @property
    def name(self) -> str:
        """As above."""

    @property
    def side(self) -> int:
        """As above."""

    def to_dict(self) -> dict[str, object]:
        """Plain values that YAML and JSON can hold, with `name` for all but images."""


def check_keys(values: Mapping[str, Any], cls: Any, what: str) -> None:
    """Refuse values of a preprocessing that have other keys than the dataclass has fields.

    Raises:
        GraftError: says which; `what` says whose.
    """
    known = {field.name for field in fields(cls)}
    if set(values) != known:
        wrong = ", ".join(sorted(str(key) for key in set(values) ^ known))
        raise GraftError(f"{what} must have exactly the keys {', '.join(sorted(known))}; see {wrong}")


# Name to the class that reads its values, imported when it is needed.
READERS = {
    "image": ("graft.backbones.preprocessing", "Preprocessing"),
    "words": ("graft.backbones.words", "TextPreprocessing"),
    "columns": ("graft.backbones.columns", "Columns"),
    "log_mel": ("graft.backbones.log_mel", "LogMel"),
    "tokens": ("graft.backbones.tokens", "TokensPreprocessing"),
    "wave": ("graft.backbones.waves", "WavePreprocessing"),
}


def read_preprocessing(values: Mapping[str, Any]) -> AnyPreprocessing:
    """Read what `to_dict` gave.

    Raises:
        GraftError: the name, or a key, is unknown or missing.
    """
    given = dict(values)
    name = given.pop("name", "image")
    if name not in READERS:
        raise GraftError(f"preprocessing: name={name} is none of {', '.join(READERS)}")
    module, reader = READERS[name]
    read: AnyPreprocessing = getattr(import_module(module), reader).from_dict(given)
    return read
