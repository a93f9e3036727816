"""When Python collects cyclic garbage (all generations only in quiet moments), and when freed memory goes back.

With a market in memory a full collection stops the stream for 150 ms, and frees next to nothing: state is no garbage.
So the young generations are collected as usual. The oldest one is collected when no message has arrived for a while (or
after an hour without such a moment), and what survives is frozen: later collections skip it.

What a load or a backlog has used and freed stays with the allocators of C until they are asked: a sixth of the memory
of a worker behind a backlog of a whole market.
"""

from __future__ import annotations

import ctypes
import gc
import time

import pyarrow as pa

_YOUNG, _MIDDLE, _NEVER = 10_000, 20, 1_000_000
_QUIET_S, _LONGEST_S = 5.0, 3600.0


#: glibc's; other C libraries have none.
malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)


def give_back() -> None:
    """Give freed memory back to the system; takes about 10 ms."""
    pa.default_memory_pool().release_unused()
    if malloc_trim is not None:
        malloc_trim(0)


class GcPolicy:
    """Decides when to collect; call `begin_load` before state is loaded, `end_load` after it, `maybe_collect` every few
    seconds.
    """

    def __init__(self) -> None:
        self._collected = time.monotonic()
        gc.set_threshold(_YOUNG, _MIDDLE, _NEVER)

    def begin_load(self, *, reloading: bool) -> None:
        """Stop collecting: nothing that is loaded is garbage; what was loaded before may have become so."""
        if reloading:
            gc.unfreeze()
            gc.collect()
        gc.disable()

    def end_load(self) -> None:
        """Collect again, except what has been loaded."""
        gc.freeze()
        gc.enable()
        give_back()

    def maybe_collect(self, idle_s: float) -> None:
        """Collect everything once in every quiet stretch.

        Parameters
        ----------
        idle_s : seconds since the last finished step.
        """
        now = time.monotonic()
        quiet_since_last = idle_s >= _QUIET_S and now - idle_s > self._collected
        if quiet_since_last or now - self._collected >= _LONGEST_S:
            gc.collect()
            gc.freeze()
            give_back()
            self._collected = time.monotonic()
