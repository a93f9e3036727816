"""What later days read of earlier ones: states of recursions, and values of signals that other signals look back at."""

from __future__ import annotations

from typing import Any

import numpy as np

from processors.days import TradingCalendar
from processors.events import Floats
from processors.table import DAY, Table, ValueCodec

_STATE = "~"
#: Days that are kept at most while a feed is behind.
_MAX_DAYS = 1500


class Memory:
    """Values and states by day and name.

    Attributes
    ----------
    days : day → name → value; the name of a state begins with ``~``.
    """

    def __init__(self, calendar: TradingCalendar) -> None:
        self.days: Table[int, dict[str, Any]] = Table("memory", DAY, ValueCodec(dict[str, Any]), keep=_MAX_DAYS)
        self._calendar = calendar

    def save(self, day: int, name: str, value: Any) -> None:
        """Keep a value of a day; None removes it."""
        held = self.days.get(day)
        if value is None:
            if held is not None and held.pop(name, None) is not None:
                self.days.touch(day)
                if not held:
                    del self.days[day]
        elif held is None:
            self.days[day] = {name: value}
        elif held.get(name) != value:
            held[name] = value
            self.days.touch(day)

    def value(self, day: int, name: str, back: int = 0) -> Any:
        """The value of a name ``back`` trading days before a day, None if there is none."""
        earlier = self._calendar.shift(day, -back)
        held = None if earlier is None else self.days.get(earlier)
        return None if held is None else held.get(name)

    def save_state(self, day: int, name: str, state: Any) -> None:
        """Keep the state of a recursion for the next trading day; None removes it."""
        self.save(day, _STATE + name, state)

    def load_state(self, day: int, name: str, max_gap_days: int) -> Any:
        """The newest state of the ``max_gap_days`` trading days before a day, None if there is none."""
        for back in range(1, max_gap_days + 1):
            state = self.value(day, _STATE + name, back)
            if state is not None:
                return state
        return None

    def window(self, day: int, name: str, days: int) -> Floats:
        """The numeric values of the last ``days`` trading days, oldest first, NaN where absent: (days,)."""
        values = [self.value(day, name, back) for back in range(days - 1, -1, -1)]
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)

    def trim(self, oldest: int | None) -> None:
        """Forget days before ``oldest``, and the oldest of very many."""
        self.days.trim()
        for day in [day for day in self.days if oldest is not None and day < oldest]:
            del self.days[day]
