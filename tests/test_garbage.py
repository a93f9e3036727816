"""All garbage is looked for once in every quiet stretch, and not while the stream runs."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator

import pytest

from streams.garbage import Garbage


@pytest.fixture
def garbage() -> Iterator[Garbage]:
    before = gc.get_threshold()
    yield Garbage()
    gc.set_threshold(*before)
    gc.unfreeze()


def full_collections() -> int:
    return int(gc.get_stats()[2]["collections"])


def test_only_a_quiet_moment_collects_everything(garbage: Garbage, monkeypatch: pytest.MonkeyPatch) -> None:
    started = time.monotonic()

    def look(after: float, idle: float) -> int:
        monkeypatch.setattr("streams.garbage.time.monotonic", lambda: started + after)
        before = full_collections()
        garbage.look(idle)
        return full_collections() - before

    assert look(10, idle=0.1) == 0
    assert look(20, idle=6) == 1
    assert look(22, idle=8) == 0  # the same quiet stretch
    assert look(40, idle=6) == 1  # it had ended meanwhile
    assert look(3000, idle=0.1) == 0
    assert look(3700, idle=0.1) == 1  # never quiet for an hour


def test_what_survives_is_not_looked_at_again(garbage: Garbage) -> None:
    kept = [[] for _ in range(1000)]  # type: list[list[object]]
    garbage.begin(reloading=False)
    assert not gc.isenabled()
    garbage.end()
    assert gc.isenabled()
    assert gc.get_freeze_count() >= len(kept)
