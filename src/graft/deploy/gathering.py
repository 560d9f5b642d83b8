"""The text of some of Graft's functions and of all that they use, as one file that needs no Graft."""

import ast
import builtins
import itertools
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from typing import NamedTuple

# What a gathered file may import, beside Python's own.
PACKAGES = ("numpy", "PIL")
_FOR_CHECKERS = re.compile(r"\s*# (noqa|type: ignore).*$", re.MULTILINE)
# Where something is defined: its module and its name there.
Place = tuple[str, str]


class _Import(NamedTuple):
    """A module or, of one, a name; and what it is called where it is used."""

    module: str
    name: str
    called: str


class _Module(NamedTuple):
    """A module's lines, the statements at its top that make a name, and where imported names come from."""

    lines: list[str]
    defined: dict[str, list[ast.stmt]]
    imported: dict[str, tuple[str, str | None]]


def gathered(roots: Sequence[Callable[..., object]], instead: Mapping[Place, Place] | None = None) -> str:
    """The text of functions, of what they use of Graft's, and the imports of all.

    What is defined stands before what uses it, with the comments above it.

    Args:
        roots: functions at the top of modules of Graft's.
        instead: definitions that others, of the same use, take the place of.

    Raises:
        ValueError: two definitions of one name are needed, or a package beside `PACKAGES` and Python's own.
    """
    places: dict[str, str] = {}
    done: set[tuple[str, int]] = set()
    imports: set[_Import] = set()
    texts: list[str] = []

    def take(place: Place, called: str) -> None:
        home, name = _home((instead or {}).get(place, place))
        if name != called or places.setdefault(name, home) != home:
            raise ValueError(f"{name} of {home} is called {called}, or is defined in {places.get(name)} too")
        module = _read(home)
        for node in module.defined[name]:
            # A statement may make several names.
            if (home, node.lineno) in done:
                continue
            done.add((home, node.lineno))
            for used in _names(node):
                if used in module.defined:
                    take((home, used), used)
                elif used in module.imported:
                    bring(*module.imported[used], used)
            texts.append(_text(module.lines, node))

    def bring(module: str, name: str | None, called: str) -> None:
        package = module.partition(".")[0]
        if package == "graft" and name is not None:
            take((module, name), called)
        elif package in sys.stdlib_module_names or package in PACKAGES:
            imports.add(_Import(module, name or "", called))
        else:
            raise ValueError(f"{called} of {module} is of neither Python, {' nor '.join(PACKAGES)}")

    for root in roots:
        take((root.__module__, root.__name__), root.__name__)
    head = ["from __future__ import annotations", "", *_import_lines(imports), "\n"]
    return re.sub("\n{4,}", "\n\n\n", "\n".join([*head, *texts, ""]))


def _home(place: Place) -> Place:
    """Where something is defined, behind the packages that hand it on."""
    module, name = place
    found = _read(module)
    if name in found.defined:
        return place
    source, original = found.imported.get(name, ("", None))
    if original is None:
        raise ValueError(f"{module} defines no {name}")
    return _home((source, original))


@cache
def _read(name: str) -> _Module:
    spec = find_spec(name)
    source = spec.loader.get_source(name)  # type: ignore[union-attr]
    defined: dict[str, list[ast.stmt]] = {}
    imported: dict[str, tuple[str, str | None]] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import):
            imported |= {alias.asname or alias.name: (alias.name, None) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported |= {alias.asname or alias.name: (str(node.module), alias.name) for alias in node.names}
        else:
            for made in _defines(node):
                defined.setdefault(made, []).append(node)
    return _Module(source.splitlines(), defined, imported)


def _defines(node: ast.stmt) -> Iterator[str]:
    """The names that a statement at a module's top makes, or alters."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            yield from (part.id for part in ast.walk(target) if isinstance(part, ast.Name))


def _names(node: ast.stmt) -> list[str]:
    """The names that a definition uses, in their order, without Python's own and those that it makes."""
    names = dict.fromkeys(part.id for part in ast.walk(node) if isinstance(part, ast.Name))
    return [name for name in names if not hasattr(builtins, name) and name not in _defines(node)]


def _text(lines: Sequence[str], node: ast.stmt) -> str:
    """A definition's lines with its decorators and the comments right above it."""
    first = min([node.lineno, *(part.lineno for part in getattr(node, "decorator_list", []))]) - 1
    while first and lines[first - 1].startswith("#"):
        first -= 1
    text = _FOR_CHECKERS.sub("", "\n".join(lines[first : node.end_lineno]))
    return text if isinstance(node, ast.Assign | ast.AnnAssign | ast.Expr) else f"\n\n{text}\n\n"


def _import_lines(imports: Iterable[_Import]) -> list[str]:
    """The imports as lines, Python's own before those of packages."""
    lines: tuple[list[str], list[str]] = ([], [])
    for (module, whole), block in itertools.groupby(
        sorted(imports), lambda item: (item.module, not item.name)
    ):
        words = [i.called if i.called in i[:2] else f"{i.name or module} as {i.called}" for i in block]
        into = lines[module.partition(".")[0] not in sys.stdlib_module_names]
        into.append(f"import {words[0]}" if whole else f"from {module} import {', '.join(words)}")
    return [*lines[0], "", *lines[1]]
