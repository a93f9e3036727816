"""What a process loads: a worker must fit into little memory, and extras stay extras."""

from __future__ import annotations

import subprocess
import sys

import pytest

_HEAVY = ("pandas", "scipy", "statsmodels", "empyrical", "matplotlib", "jinja2", "nicegui", "apprise", "openpyxl",
          "exchange_calendars", "akshare")  # fmt: skip


def loaded(code: str) -> list[str]:
    """Run Python code in a process of its own; return what of the heavy modules it has loaded."""
    code += f"\nimport sys; print(*(set({_HEAVY!r}) & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize("module", ["streams.cli.main", "streams.cli.feed", "streams.app"])
def test_neither_command_line_nor_worker_loads_what_only_some_commands_need(module: str) -> None:
    assert loaded(f"import {module}") == []


def test_the_kafka_client_computes_checksums_in_c() -> None:
    """In Python they take half the time of a reader."""
    import crc32c
    from kafka.record import util

    assert util._crc32c is crc32c.crc32c


def test_frames_are_read_and_written_without_pandas_in_a_worker() -> None:
    frames = """
import numpy as np
from streams import worker
from streams.codecs import row_codec, row_frames, signal_codec
from streams.calendars import xshg
from tests.building import DAYS, batch

worker.forgo_pandas()
rows = batch("prices.daily", DAYS[0], {"600519.SH": {"close": 1.0, "suspended": 0.0}, "000001.SZ": {"close": 2.0}})
made = row_codec.Decoder("prices.daily", xshg(), ("SSE", "SZSE"), None, 10**6).frame(row_frames.encode_frame(rows, "x"))
assert np.array_equal(made.figures["close"], rows.figures["close"])
"""
    assert loaded(frames) == []
    assert loaded(frames + "import pandas") == ["pandas"]  # whoever wants it still gets it
