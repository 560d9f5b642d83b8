"""Fitting a state dict to a backbone: under whichever names and prefix, wholly or not at all."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from graft.backbones.backbone import Backbone
from graft.backbones.source_head import head_of_last_layer
from graft.backbones.weight_files import Weights, read_weights
from graft.errors import GraftError
from graft.runs.log import say

# What torchvision itself renames when it loads its older files: DenseNet's layers, the transformer's MLP.
_RENAMED = (
    (re.compile(r"_orig_mod\."), ""),
    (re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12])\."), r"\1\2."),
    (re.compile(r"\.mlp\.linear_1\."), ".mlp.0."),
    (re.compile(r"\.mlp\.linear_2\."), ".mlp.3."),
)
# A counter that BatchNorm did not have before torch 0.4.1, and that nothing here depends on.
_OPTIONAL = "num_batches_tracked"


def load_weights(backbone: Backbone, given: str | Path | Weights) -> dict[str, str]:
    """Load a file's or folder's weights into `backbone`, in place; all of them or, on an error, none.

    Of several state dicts in a file the one is taken that holds the backbone. Keys may be the backbone's own
    or those of the library it was carved from, under any one prefix (`backbone.`, `model.module.`, ...). The
    head's keys, and what stands outside the prefix, are ignored; but a last layer among them, under the names
    of the library, becomes the `source_head`.

    Args:
        backbone: its values are replaced; dtype and device stay.
        given: what `read_weights` reads, or gave.

    Returns:
        Key in the file, cleaned of `_orig_mod.` and older spellings, to the backbone's key it filled.

    Raises:
        GraftError: the file cannot be read, or keys or shapes do not fit, or a value is NaN or infinite.
    """
    weights = read_weights(given)
    return _load_state(backbone, _fitting(backbone, weights), weights.origin)


def _fitting(backbone: Backbone, weights: Weights) -> dict[str, Tensor]:
    """The state dict of a file that holds the backbone, or the closest one if none does.

    If it stands under a key, the key is printed.

    Raises:
        GraftError: several that differ hold it; it says what to type.
    """
    origin, states = weights.origin, weights.states
    held: dict[str, dict[str, Tensor]] = {}
    taken = ""
    for place, state in states.items():
        modern = {_modern(key): tensor for key, tensor in state.items()}
        prefixes = _known(backbone, modern)[0]
        for prefix in prefixes:
            tensors = {key: tensor for key, tensor in modern.items() if key.startswith(prefix)}
            # The same tensors again leave nothing to choose.
            if not any(_same(tensors, other) for other in held.values()):
                taken = place
                held[f"{place}.{prefix}".strip(".") if len(prefixes) > 1 else place] = tensors
    if len(held) > 1:
        places = " and ".join(place or "no key" for place in held)
        file = origin.removesuffix(f":{next(iter(states))}")
        words = " or ".join(f"{file}:{place}" for place in held if place)
        raise GraftError(f"{origin} holds the backbone {len(held)} times, under {places}; give {words}")
    if not held:
        return max(states.values(), key=lambda state: (_known(backbone, map(_modern, state))[1], len(state)))
    if taken:
        say(f"{origin}: what is under {taken} is taken")
    return next(iter(held.values()))


def _load_state(backbone: Backbone, state: Mapping[str, Tensor], origin: str) -> dict[str, str]:
    cleaned = {_modern(key): tensor for key, tensor in state.items()}
    prefix, names = _naming(backbone, cleaned)
    given = {key.removeprefix(prefix): tensor for key, tensor in cleaned.items() if key.startswith(prefix)}
    wanted, heads = backbone.state_dict(), (*backbone.dropped, *backbone.auxiliary)
    problems = [
        *_listed("missing", [n for n in names if n not in given and not n.endswith(_OPTIONAL)]),
        *_listed("unexpected", [n for n in given if n not in names and not _of_head(n, heads)]),
        *_listed(
            "of another shape",
            [
                f"{n} is {tuple(given[n].shape)} in the file and {tuple(wanted[ours].shape)} in the backbone"
                for n, ours in names.items()
                if n in given and given[n].shape != wanted[ours].shape
            ],
        ),
    ]
    if problems:
        raise GraftError(f"{origin} does not fit the backbone; by key: {', '.join(problems)}")
    taken = {name: given[name] for name in names if name in given}
    broken = [name for name, tensor in taken.items() if not bool(torch.isfinite(tensor).all())]
    if broken:
        raise GraftError(f"{origin} is not usable: {', '.join(_listed('with NaN or infinity', broken))}")
    backbone.load_state_dict(wanted | {names[name]: tensor for name, tensor in taken.items()})
    beside = tuple(f"{path}." for path in backbone.auxiliary)
    left = {n: tensor for n, tensor in given.items() if n not in names and not n.startswith(beside)}
    # For a head beside the backbone's own names, nothing says what else it does to the features.
    known = names is backbone.source_names
    backbone.source_head = head_of_last_layer(left, backbone.width, backbone.pooling) if known else None
    return {f"{prefix}{name}": names[name] for name in taken}


def _modern(key: str) -> str:
    for pattern, replacement in _RENAMED:
        key = pattern.sub(replacement, key)
    return key


Counts = Counter[tuple[str, int]]


def _counted(backbone: Backbone, keys: Iterable[str]) -> tuple[Counts, list[dict[str, str]], list[int]]:
    """How many needed keys are there, by prefix and naming; the namings; how many keys each needs."""
    todays = {key: key for key in backbone.state_dict()}
    namings = [todays, backbone.source_names] if backbone.source_names else [todays]
    needed = [{name for name in names if not name.endswith(_OPTIONAL)} for names in namings]
    counts: Counts = Counter()
    for key in keys:
        for cut in (0, *(dot.end() for dot in re.finditer(r"\.", key))):
            counts.update((key[:cut], index) for index, names in enumerate(needed) if key[cut:] in names)
    return counts, namings, [len(names) for names in needed]


def _known(backbone: Backbone, keys: Iterable[str]) -> tuple[list[str], float]:
    """The prefixes under which all needed keys are there, and the highest share of them under any."""
    counts, _, needed = _counted(backbone, keys)
    whole = sorted({prefix for (prefix, index), count in counts.items() if count == needed[index]})
    return whole, max((count / needed[index] for (_, index), count in counts.items()), default=0.0)


def _naming(backbone: Backbone, keys: Iterable[str]) -> tuple[str, dict[str, str]]:
    """The prefix and the names under which most keys are known, as (prefix, name to own key)."""
    counts, namings, needed = _counted(backbone, keys)
    # A few chance hits under some inner prefix would make a message about the wrong keys.
    close = [naming for naming, count in counts.items() if 2 * count >= needed[naming[1]]]
    prefix, index = max(close, key=lambda naming: (counts[naming], -len(naming[0])), default=("", -1))
    return prefix, namings[index]


def _same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> bool:
    """Whether two state dicts hold the same tensors in the same order, under whichever keys."""
    pairs = zip(first.values(), second.values(), strict=False)
    return len(first) == len(second) and all(a.dtype == b.dtype and torch.equal(a, b) for a, b in pairs)


def _of_head(name: str, dropped: Sequence[str]) -> bool:
    return name.startswith(("head.", *(f"{path}." for path in dropped)))


def _listed(what: str, items: Sequence[str]) -> list[str]:
    """A clause that counts the items and shows the first three; nothing when there are none."""
    if not items:
        return []
    return [f"{len(items)} {what} ({', '.join(items[:3])}{', ...' if len(items) > 3 else ''})"]
