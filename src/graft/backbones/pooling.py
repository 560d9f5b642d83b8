"""From an encoder's tokens to the features of a text, sound or image, and what a folder says of that."""

import json
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from graft.errors import GraftError, did_you_mean

POOLINGS = ("auto", "mean", "cls", "max", "model")
# In which sentence-transformers writes what follows the encoder.
MODULES = "modules.json"
FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
}


class Pooling(NamedTuple):
    """What is made of the tokens.

    Attributes:
        how: `mean` or `max` over the tokens, `cls` for the first one, or `model` for the model's own.
        normalized: whether the features are then brought to length 1.
    """

    how: str
    normalized: bool = False


class Pool(nn.Module):
    """Tokens `(B, L, D)`, or with their mask `(B, L, D + 1)`, to features `(B, D)`.

    Args:
        pooling: what is made of them.
        is_masked: whether there is a mask.
        first: of how many tokens in front the model's own features are the mean: one class token, or AST's
            two.
    """

    def __init__(self, pooling: Pooling, is_masked: bool, first: int = 1) -> None:
        super().__init__()
        self.how = pooling.how
        self.normalized = pooling.normalized
        self.masked = is_masked
        self.first = first

    def forward(self, given: Tensor) -> Tensor:  # noqa: D102
        tokens, mask = (given[..., :-1], given[..., -1:]) if self.masked else (given, None)
        if self.how == "cls":
            features = tokens[:, 0]
        elif self.how == "model":
            features = tokens[:, : self.first].sum(1) / self.first
        elif self.how == "max":
            lowest = torch.finfo(tokens.dtype).min
            features = (tokens if mask is None else tokens.masked_fill(mask == 0, lowest)).amax(1)
        elif mask is None:
            features = tokens.mean(1)
        else:
            features = (tokens * mask).sum(1) / mask.sum(1).clamp(min=1)
        return self.finished(features)

    def finished(self, features: Tensor) -> Tensor:
        """Features brought to length 1 where that is to be."""
        return nn.functional.normalize(features, dim=1) if self.normalized else features


def pooling_of(asked: str, usual: str, folder: Path | None) -> Pooling:
    """The pooling that is asked for; for `auto` what sentence-transformers left, or else the usual one.

    Raises:
        GraftError: there is no such pooling, or the folder's is none that is known here.
    """
    if asked not in POOLINGS:
        known = ", ".join(POOLINGS)
        raise GraftError(f"backbone.pooling={asked} is none of {known}{did_you_mean(asked, POOLINGS)}")
    if asked != "auto":
        return Pooling(asked)
    if folder is None or not (folder / MODULES).is_file():
        return Pooling(usual)
    way = "; backbone.pooling=mean goes without"
    file = folder / MODULES
    try:
        listed = [
            (str(module["type"]).rpartition(".")[2], str(module["path"]))
            for module in json.loads(file.read_text(encoding="utf-8"))
        ]
        kinds = [kind for kind, _ in listed]
        if other := next((k for k in kinds if k not in ("Transformer", "Pooling", "Normalize")), None):
            raise GraftError(f"{file}: it has a module {other}, which is not known here{way}")
        if "Pooling" not in kinds:
            return Pooling(usual, "Normalize" in kinds)
        file = folder / dict(listed)["Pooling"] / "config.json"
        settings = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise GraftError(f"{file}: cannot be read ({type(error).__name__}){way}") from error
    modes = [key for key, value in settings.items() if key.startswith("pooling_mode_") and value is True]
    # Newer versions write one word.
    modes = [f"pooling_mode_{settings['pooling_mode']}_tokens"] if "pooling_mode" in settings else modes
    flags = {**FLAGS, "pooling_mode_cls_tokens": "cls"}
    if len(modes) != 1 or modes[0] not in flags:
        said = ", ".join(mode.removeprefix("pooling_mode_") for mode in modes) or "nothing"
        raise GraftError(f"{file}: it pools by {said}, which is not known here{way}")
    return Pooling(flags[modes[0]], "Normalize" in kinds)
