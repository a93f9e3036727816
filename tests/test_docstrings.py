"""The examples in docstrings run, and the parameter lists of the processors match the signatures."""

from __future__ import annotations

import ast
import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import processors
from tests.test_structure import modules

MODULES = sorted(module.name for module in pkgutil.walk_packages(processors.__path__, "processors."))
#: Those of the other rooms, too.
WITH_EXAMPLES = sorted(name for name, path in modules().items() if ">>> " in path.read_text("utf-8"))
_LISTED = re.compile(r"Parameters\n-+\n(.*?)(?:\n\n\w+\n-+|\Z)", re.DOTALL)


def listed(docstring: str) -> list[str]:
    """Return the names in the section ``Parameters`` of a docstring."""
    found = _LISTED.search(docstring)
    lines = found[1].splitlines() if found else []
    heads = (line.partition(" : ")[0] for line in lines if not line.startswith(" ") and " : " in line)
    return [name.strip().lstrip("*") for head in heads for name in head.split(",")]


def names_of(node: ast.ClassDef | ast.FunctionDef) -> set[str]:
    """Return the parameters of a function, or the fields and constructor parameters of a class."""
    if isinstance(node, ast.FunctionDef):
        a = node.args
        return {arg.arg for arg in (*a.posonlyargs, *a.args, *a.kwonlyargs, *filter(None, (a.vararg, a.kwarg)))}
    fields = {
        part.target.id for part in node.body if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
    }
    constructors = [
        names_of(part) for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__"
    ]
    return fields.union(*constructors)


@pytest.mark.parametrize("name", sorted({*MODULES, *WITH_EXAMPLES}))
def test_examples_of_docstrings_run(name: str) -> None:
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def test_the_pure_functions_have_examples() -> None:
    found = sum(
        bool(test.examples) for name in MODULES for test in doctest.DocTestFinder().find(importlib.import_module(name))
    )
    assert found >= 20


@pytest.mark.parametrize("name", MODULES)
def test_documented_parameters_exist(name: str) -> None:
    tree = ast.parse(Path(importlib.import_module(name).__file__ or "").read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            unknown = set(listed(ast.get_docstring(node) or "")) - names_of(node)
            assert not unknown, f"{node.name} documents {unknown}, which it does not have"
