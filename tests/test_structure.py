"""The structure of the code: arrows between rooms, no import cycle, module sizes, one place that makes a thing.

What does not meet an expectation yet is listed, so that nothing new joins; remove an entry with its violation.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("processors", "alerts", "feeds", "console", "streams")
#: What each room may import of the others; `streams` composes all of them.
ARROWS: dict[str, tuple[str, ...]] = {
    "processors": (),
    "alerts": ("processors",),
    "console": ("processors", "alerts"),
    "feeds": ("processors", "alerts.delivery.signing"),
    "streams": ("processors", "alerts", "feeds", "console"),
}
LONGEST = 400
#: Constructors that `streams.clients` alone calls; ruff's TID251 refuses the rest of them.
CLIENTS = {"Redis", "AsyncRedis", "StrictRedis", "RedisCluster", "ClientSession", "from_url"}


@cache
def modules() -> dict[str, Path]:
    """Return every module of the rooms by its dotted name."""
    found = {}
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(modules()[name].read_text("utf-8"))


def imports(name: str, node: ast.AST | None = None) -> Iterator[str]:
    """Yield the modules of the rooms that a module imports at run time, wherever the statement stands in it."""
    for child in ast.iter_child_nodes(tree(name) if node is None else node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names if alias.name.partition(".")[0] in ROOMS)
        elif isinstance(child, ast.ImportFrom) and child.module and child.module.partition(".")[0] in ROOMS:
            for alias in child.names:
                inner = f"{child.module}.{alias.name}"
                yield inner if inner in modules() else child.module
        else:
            yield from imports(name, child)


def cycles(arrows: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Return the sets of nodes of a graph that lead to each other, by Tarjan's algorithm."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    out: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for other in arrows.get(name, ()):
            if other not in index:
                visit(other)
                low[name] = min(low[name], low[other])
            elif other in stack:
                low[name] = min(low[name], index[other])
        if low[name] == index[name]:
            group = []
            while not group or group[-1] != name:
                group.append(stack.pop())
            if len(group) > 1:
                out.append(sorted(group))

    for name in arrows:
        if name not in index:
            visit(name)
    return out


def part(name: str) -> str:
    """Return the part of a room that a module belongs to: a package of the room, or the module itself."""
    return ".".join(name.split(".")[:2])


def calls(name: str) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree(name)) if isinstance(node, ast.Call))


@pytest.mark.parametrize("room", ROOMS)
def test_arrows_between_rooms_point_one_way(room: str) -> None:
    wrong = [
        f"{name} imports {other}"
        for name in modules()
        if name.partition(".")[0] == room
        for other in imports(name)
        if other.partition(".")[0] != room and not any(f"{other}.".startswith(f"{may}.") for may in ARROWS[room])
    ]
    assert wrong == []


def test_no_modules_import_each_other() -> None:
    assert cycles({name: {other for other in imports(name) if other in modules()} for name in modules()}) == []


def test_no_parts_of_a_room_import_each_other() -> None:
    arrows: dict[str, set[str]] = {}
    for name in modules():
        arrows.setdefault(part(name), set()).update(part(other) for other in imports(name) if part(other) != part(name))
    assert cycles(arrows) == []


def test_a_cycle_is_found() -> None:
    assert cycles({"a": ["b"], "b": ["c", "d"], "c": ["a"], "d": []}) == [["a", "b", "c"]]


def _long(name: str) -> bool:
    reason = re.search(r"\b(longer than|one module because|in one module)\b", ast.get_docstring(tree(name)) or "")
    return len(modules()[name].read_text("utf-8").splitlines()) > LONGEST and reason is None


@pytest.mark.parametrize("room", ROOMS)
def test_a_module_is_short_or_its_docstring_gives_a_reason(room: str) -> None:
    assert [name for name in modules() if name.partition(".")[0] == room and _long(name)] == []


def test_redis_and_http_clients_are_made_by_the_factory_only() -> None:
    wrong = [
        f"{name}:{call.lineno}"
        for name in modules()
        if name != "streams.clients"
        for call in calls(name)
        if ast.unparse(call.func).rpartition(".")[2] in CLIENTS
    ]
    assert wrong == []


def test_keys_of_redis_are_made_in_one_place() -> None:
    """A key of a table, of a newest value or of the names is spelled by `streams.keys` only."""
    spelled = re.compile(r"namespace\}:(\{\{|latest:|names)")
    wrong = [name for name, path in modules().items() if spelled.search(path.read_text("utf-8"))]
    assert wrong == ["streams.keys"]


def test_no_moment_of_now_gives_its_day_in_utc_or_in_the_machines_zone() -> None:
    """`streams.calendars.today` and `processors.days.shanghai_day` give the day of the exchange."""
    wrong = [
        f"{name}:{call.lineno}"
        for name in modules()
        for call in calls(name)
        if re.search(r"(\bnow\b|fromtimestamp).*\.date$", ast.unparse(call.func))
    ]
    assert wrong == []


def test_a_parallel_run_keeps_the_tests_of_a_file_together(request: pytest.FixtureRequest) -> None:
    """Without groups, every process makes the fixtures of every file."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        pytest.skip("this run is not parallel")
    assert request.node.nodeid.endswith("@tests/test_structure.py")


def test_array_types_have_one_home() -> None:
    """A signature names what an array contains by its alias of `processors.arrays`."""
    named = re.compile(r"NDArray\[(np\.(bool_|float64|int64|intp)|Any)\]")
    found = [name for name, path in modules().items() if named.search(path.read_text("utf-8"))]
    assert found == ["processors.arrays"]
