"""The private names of Faust, aiokafka and kafka-python that the system relies on, against the installed versions."""

from __future__ import annotations

import ast
import re

import pytest

from streams import faust_adapter
from streams.faust_adapter import Internal, broken, internals
from tests.test_structure import modules, tree

#: kafka-python's one private name is used where its clients are made, so that a feed does not import Faust.
ADAPTERS = ("streams.faust_adapter", "streams.clients")


def test_the_installed_versions_have_every_private_name_that_is_used() -> None:
    assert broken() == []


class _Library:
    def __init__(self) -> None:
        self._kept = 1

    def _moved(self, other: int) -> None: ...


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("_gone", (), "_Library._gone is gone; whole polls relies on it: adapt streams/faust_adapter.py"),
        ("_forgotten", None, "_Library._forgotten is not assigned any more"),
        ("_moved", ("one",), r"_Library._moved takes \('other',\), expected \('one',\)"),
    ],
)
def test_a_changed_name_is_reported_with_its_version_and_what_relies_on_it(
    name: str, parameters: tuple[str, ...] | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Internal("aiokafka", _Library, name, parameters, "whole polls")
    kept = Internal("aiokafka", _Library, "_kept", None, "whole polls")
    monkeypatch.setattr(faust_adapter, "internals", lambda: (one, kept))
    (message,) = broken()
    assert message.startswith("aiokafka 0.14")
    assert re.search(said, message)


def test_the_inventory_names_every_private_attribute_that_the_adapter_touches() -> None:
    named = {one.name for one in internals()}
    touched = {
        node.attr
        for module in ADAPTERS
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__")
    }
    overridden = {
        node.name
        for one in ast.walk(tree("streams.faust_adapter"))
        if isinstance(one, ast.ClassDef)
        for node in one.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if node.name.startswith("_") and not node.name.startswith("__")
    }
    assert (touched | overridden) - named == set()


def test_only_the_adapter_touches_private_attributes_of_other_objects() -> None:
    wrong = [
        f"{name}:{node.lineno} {ast.unparse(node)}"
        for name in modules()
        if name.startswith("streams.") and name not in ADAPTERS
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__")
        if ast.unparse(node.value) not in ("self", "cls", "os", "super()")
    ]
    assert wrong == []
