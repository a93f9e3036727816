"""All garbage is looked for once in every quiet stretch, and not while the stream runs."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from streams import gc_policy as gc_policy_module
from streams.gc_policy import GcPolicy


@pytest.fixture
def gc_policy() -> Iterator[GcPolicy]:
    before = gc.get_threshold()
    yield GcPolicy()
    gc.set_threshold(*before)
    gc.unfreeze()


def full_collections() -> int:
    return int(gc.get_stats()[2]["collections"])


def test_only_a_quiet_moment_collects_everything(gc_policy: GcPolicy, monkeypatch: pytest.MonkeyPatch) -> None:
    started = time.monotonic()

    def look(after: float, idle: float) -> int:
        monkeypatch.setattr("streams.gc_policy.time.monotonic", lambda: started + after)
        before = full_collections()
        gc_policy.maybe_collect(idle)
        return full_collections() - before

    assert look(10, idle=0.1) == 0
    assert look(20, idle=6) == 1
    assert look(22, idle=8) == 0  # the same quiet stretch
    assert look(40, idle=6) == 1  # it had ended meanwhile
    assert look(3000, idle=0.1) == 0
    assert look(3700, idle=0.1) == 1  # never quiet for an hour


def test_what_survives_is_not_looked_at_again(gc_policy: GcPolicy) -> None:
    kept = [[] for _ in range(1000)]  # type: list[list[object]]
    gc_policy.begin_load(reloading=False)
    assert not gc.isenabled()
    gc_policy.end_load()
    assert gc.isenabled()
    assert gc.get_freeze_count() >= len(kept)


@pytest.mark.skipif(gc_policy_module.malloc_trim is None, reason="this C library keeps what it likes")
def test_freed_memory_goes_back_to_the_system(gc_policy: GcPolicy) -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1])

    pieces = [bytes(1000) for _ in range(100_000)]  # of the allocator's arenas, not of mappings of their own
    arrays = [np.ones(4_000) for _ in range(2_000)]
    held = resident()
    pin = arrays[-1], pieces[-1]  # the end of the heap stays in use
    del arrays[:-1], pieces[:-1]
    gc_policy.begin_load(reloading=False)
    gc_policy.end_load()
    assert pin and resident() < held - 10_000  # 64 MB were freed; a page has 4 KiB
