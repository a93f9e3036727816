"""What a process loads: a worker must fit into little memory, and extras stay extras."""

from __future__ import annotations

import subprocess
import sys

import pytest

_HEAVY = ("pandas", "scipy", "statsmodels", "empyrical", "matplotlib", "jinja2", "nicegui", "apprise", "openpyxl",
          "exchange_calendars", "akshare")  # fmt: skip


@pytest.mark.parametrize("module", ["streams.cli", "streams.app"])
def test_neither_command_line_nor_worker_loads_what_only_some_commands_need(module: str) -> None:
    code = f"import sys, {module}; print(*(set({_HEAVY!r}) & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
