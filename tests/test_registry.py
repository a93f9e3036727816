"""The declarations say what the code does."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from types import ModuleType

import pytest

from processors.events import INPUT_ROWS
from processors.parameters import Parameters
from processors.registry import INDUSTRY_INDICATORS, MARKET_INDICATORS, SECURITY_INDICATORS
from processors.signal import Level

MODULES = (*MARKET_INDICATORS, *SECURITY_INDICATORS, *INDUSTRY_INDICATORS)
NAMES = {field.name for field in dataclasses.fields(Parameters)}


def used(module: ModuleType) -> set[str]:
    """Parameters that a module's code reads: attributes of that name."""
    tree = ast.parse(inspect.getsource(module))
    return {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & NAMES


@pytest.mark.parametrize("module", MODULES, ids=lambda m: m.__name__.rpartition(".")[2])
def test_every_declaration_is_complete(module: ModuleType) -> None:
    declared = {name for signal in module.SIGNALS for name in signal.parameters}
    assert declared <= NAMES
    assert used(module) <= declared, "a parameter that the module reads is not declared"
    for signal in module.SIGNALS:
        assert set(signal.inputs) <= set(INPUT_ROWS)
        assert signal.title
        assert any("\u4e00" <= character <= "\u9fff" for character in signal.title_zh), signal.id
        assert signal.formula
        assert signal.source
        assert signal.level in Level
    assert module.__doc__
