"""Modules, transforms and functions as plain values that differ where something else would be computed."""

import hashlib
import inspect
import sys
from collections.abc import Collection, Mapping
from enum import Enum
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

PLAIN = (type(None), bool, int, float, str, bytes, torch.dtype, torch.device)
# Attributes that every module has, and one that changes with each epoch.
INTERNAL = {*vars(nn.Module()), "training"}


class Description:
    """Everything that a value is made of, except parameters and buffers.

    Args:
        value: a module, a transform, a function, or a list of such.
        without: packages whose code is known by their version.

    Attributes:
        parts: plain values, as JSON has them.
    """

    def __init__(self, value: object, without: Collection[str] = ()) -> None:
        self.without = {*without, "builtins"}
        self._met: set[str] = set()
        self.parts = self._of(value, ())

    def sources(self) -> dict[str, str]:
        """SHA-256 of each file that defines a class or function among the parts."""
        digest_of = {}
        for name in sorted(self._met):
            file = getattr(sys.modules.get(name), "__file__", None)
            digest_of[name] = hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else ""
        return digest_of

    def _of(self, value: object, above: tuple[int, ...]) -> object:
        if isinstance(value, PLAIN):
            return repr(value)
        if id(value) in above:
            return "circle"
        below = (*above, id(value))
        if isinstance(value, Tensor | np.ndarray):
            tensor = torch.as_tensor(value)
            return [str(tensor.dtype), list(tensor.shape), hashlib.sha256(raw(tensor)).hexdigest()]
        if isinstance(value, Enum):
            return [self._named(type(value)), value.name]
        if isinstance(value, Mapping):
            return [[str(key), self._of(item, below)] for key, item in value.items()]
        if isinstance(value, list | tuple):
            return [self._of(item, below) for item in value]
        if isinstance(value, set | frozenset):
            return sorted(map(repr, value))
        if isinstance(value, partial):
            return [self._of(item, below) for item in (value.func, value.args, value.keywords)]
        if inspect.ismodule(value):
            self._meet(value.__name__)
            return value.__name__
        if inspect.isfunction(value):
            closed = [cell.cell_contents for cell in value.__closure__ or ()]
            return [self._named(value), self._of([closed, value.__defaults__], below)]
        if isinstance(value, type) or inspect.isroutine(value):
            return self._named(value)
        kind = self._named(type(value))
        if isinstance(value, nn.Module):
            attributes = {key: item for key, item in vars(value).items() if key not in INTERNAL}
            children = [[name, self._of(child, below)] for name, child in value.named_children()]
            return [kind, self._of(attributes, below), children]
        slots = (name for of in type(value).__mro__ for name in getattr(of, "__slots__", ()))
        held = {name: getattr(value, name) for name in slots if hasattr(value, name)}
        held |= getattr(value, "__dict__", {})
        # A value without visible attributes is described by its text, unless that is its address.
        text = "" if held or " at 0x" in repr(value) else repr(value)
        return [kind, self._of(held, below), text]

    def _named(self, thing: object) -> str:
        for kind in thing.__mro__ if isinstance(thing, type) else (thing,):
            self._meet(str(getattr(kind, "__module__", None)))
        name = getattr(thing, "__qualname__", type(thing).__qualname__)
        return f"{getattr(thing, '__module__', None)}.{name}"

    def _meet(self, module: str) -> None:
        if module.partition(".")[0] not in self.without:
            self._met.add(module)


def raw(tensor: Tensor) -> memoryview:
    """A tensor's values as bytes, in the order of its indices."""
    flat = tensor.detach().cpu().contiguous().flatten()
    return flat.view(torch.uint8).numpy().data
