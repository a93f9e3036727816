"""When Python looks for cyclic garbage: all of it only in quiet moments.

With a market in memory a full collection stops the stream for 150 ms, and finds next to nothing: state is no garbage.
So the young generations are collected as ever, the oldest one when nothing has come for a while (or after an hour
without such a moment), and what survives is not looked at again.
"""

from __future__ import annotations

import gc
import time

_YOUNG, _MIDDLE, _NEVER = 10_000, 20, 1_000_000
_QUIET_S, _LONGEST_S = 5.0, 3600.0


class GcPolicy:
    """Decides when to collect; `begin` before state is loaded, `end` behind it, `look` every few seconds."""

    def __init__(self) -> None:
        self._collected = time.monotonic()
        gc.set_threshold(_YOUNG, _MIDDLE, _NEVER)

    def begin(self, *, reloading: bool) -> None:
        """Stop collecting: nothing that is loaded is garbage; of what was loaded before, something may be by now."""
        if reloading:
            gc.unfreeze()
            gc.collect()
        gc.disable()

    def end(self) -> None:
        """Collect again, but never what has been loaded."""
        gc.freeze()
        gc.enable()

    def look(self, idle_s: float) -> None:
        """Collect everything once in every quiet stretch.

        Parameters
        ----------
        idle_s : for how long the stream has been doing nothing.
        """
        now = time.monotonic()
        quiet_since_last = idle_s >= _QUIET_S and now - idle_s > self._collected
        if quiet_since_last or now - self._collected >= _LONGEST_S:
            gc.collect()
            gc.freeze()
            self._collected = time.monotonic()
