"""The room of the feeds: what its modules may import, and no import cycle between them."""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOM = Path(__file__).resolve().parents[1] / "feeds"
ALLOWED = ("processors", "feeds", "alerts.delivery.signing")
OURS = ("processors", "feeds", "alerts", "streams", "console")


def imported(path: Path) -> set[str]:
    """Return the modules of this project that a module imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            modules = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name for name in modules if (ROOM.parent / name.replace(".", "/")).with_suffix(".py").exists()}
            found.add(node.module)
    return {name for name in found if name.partition(".")[0] in OURS and name != "feeds"}


MODULES = sorted(ROOM.glob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_the_feeds_import_the_core_and_the_signatures_alone(path: Path) -> None:
    others = {name for name in imported(path) if not name.startswith(ALLOWED)}
    assert others == set()


def test_no_module_of_the_room_imports_itself_through_another() -> None:
    graph = {f"feeds.{path.stem}": imported(path) for path in MODULES}
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError, naming the cycle
    assert set(graph) <= set(order)
