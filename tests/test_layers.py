"""Imports between rooms run downwards only, so that a room can be read with what stands below it alone."""

import ast
import graphlib
from collections.abc import Iterator
from pathlib import Path

import pytest

import graft

PACKAGE = Path(graft.__file__).parent
# From the top; rooms of one floor know nothing of each other.
FLOORS = (
    {"__init__", "__main__"},
    {"cli"},
    {"commands"},
    {"advice"},
    {"sweeps"},
    {"deploy"},
    {"training"},
    {"ranking", "inspection", "serve"},
    {"adaptation", "objective"},
    {"models"},
    {"tasks"},
    {"evaluation"},
    {"features", "optim", "reporting"},
    {"freezing"},
    {"processes"},
    {"sources"},
    {"data"},
    {"backbones", "transferability"},
    {"composition"},
    {"runs"},
    {"configuration"},
    {"errors", "lazy"},
)
FLOOR_OF = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def room_of(module: str) -> str:
    """The first name below the package, of `graft.data.walk` `data`."""
    return [*module.split("."), "__init__"][1]


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and module of all imports of Graft, those in functions and for types alone too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "graft":
            yield from ((node.lineno, f"graft.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module


def upward(room: str, source: str) -> list[str]:
    """The imports in the source of a module of `room` that run up, or to another room of its floor."""
    return [
        f"line {line}: {room} imports {module}"
        for line, module in imports(ast.parse(source))
        if module.split(".")[0] == "graft"
        and (other := room_of(module)) != room
        and FLOOR_OF[other] <= FLOOR_OF[room]
    ]


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_imports_run_downwards(path: Path) -> None:
    room = path.relative_to(PACKAGE).with_suffix("").parts[0]
    assert upward(room, path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "from graft.training import TransferModule",
        "def later():\n    import graft.cli",
        "from graft import commands",
        "from graft.inspection.looks import Look",
    ],
)
def test_an_import_that_runs_up_or_sideways_is_seen(source: str) -> None:
    assert len(upward("ranking", source)) == 1


@pytest.mark.parametrize("path", sorted((PACKAGE / "commands").glob("[!_]*.py")), ids=lambda path: path.stem)
def test_commands_know_nothing_of_each_other(path: Path) -> None:
    modules = [module for _, module in imports(ast.parse(path.read_text(encoding="utf-8")))]
    assert not [module for module in modules if module.startswith("graft.commands")]


def test_every_room_has_a_floor() -> None:
    rooms = {path.stem for path in PACKAGE.iterdir() if path.name != "__pycache__" and path.name != "conf"}
    assert rooms - {"py"} == set(FLOOR_OF)


def graph() -> dict[str, set[str]]:
    """Each module, and the modules that it imports; names that a package gives count as the package."""
    modules = {
        ".".join(("graft", *path.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__"): path
        for path in PACKAGE.rglob("*.py")
    }

    def nearest(name: str) -> str:
        return name if name in modules else nearest(name.rpartition(".")[0])

    edges: dict[str, set[str]] = {}
    for module, path in modules.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        named = [
            f"{node.module}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == "graft"
            for alias in node.names
        ]
        edges[module] = {nearest(name) for name in named} - {module}
    return edges


def test_imports_do_not_run_round() -> None:
    edges = graph()
    assert len(edges) > 200
    # Raises CycleError, which names the modules of the circle.
    assert len(list(graphlib.TopologicalSorter(edges).static_order())) == len(edges)
