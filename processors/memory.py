"""Results of earlier days that later days read: states of recursions, and values of signals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from processors.arrays import Floats
from processors.days import TradingCalendar
from processors.table import DAY, Table, ValueCodec

_STATE = "~"


class Memory:
    """Values and states by day and name.

    Attributes
    ----------
    days : day → name → value; the name of a state starts with ``~``.
    """

    def __init__(self, calendar: TradingCalendar) -> None:
        self.days: Table[int, dict[str, Any]] = Table("memory", DAY, ValueCodec(dict[str, Any]))
        self._calendar = calendar

    def save(self, day: int, name: str, value: Any) -> None:
        """Store a value of a day; None deletes it."""
        stored = self.days.get(day)
        if value is None:
            if stored is not None and stored.pop(name, None) is not None:
                self.days.touch(day)
                if not stored:
                    del self.days[day]
        elif stored is None:
            self.days[day] = {name: value}
        else:
            stored[name] = value
            self.days.touch(day)  # the table compares bytes: 0.0 and −0.0 are equal, but two values

    def value(self, day: int, name: str, back: int = 0) -> Any:
        """Return the value of a name ``back`` trading days before a day, None if there is none."""
        earlier = self._calendar.shift(day, -back)
        stored = None if earlier is None else self.days.get(earlier)
        return None if stored is None else stored.get(name)

    def save_state(self, day: int, name: str, state: Any) -> None:
        """Store the state of a recursion after a day; None deletes it."""
        self.save(day, _STATE + name, state)

    def load_state(self, day: int, name: str, max_gap_days: int) -> Any:
        """Return the newest state of the ``max_gap_days`` trading days before a day, None if there is none."""
        for back in range(1, max_gap_days + 1):
            state = self.value(day, _STATE + name, back)
            if state is not None:
                return state
        return None

    def series(self, name: str, start: int, end: int) -> Floats:
        """Return the values at the calendar positions ``start`` to ``end`` − 1 (end − start,); NaN where absent."""
        stored = map(self.days.get, self._calendar.days_from(max(start, 0), end))
        values = [np.nan if of_day is None else of_day.get(name, np.nan) for of_day in stored]
        return np.array([np.nan] * min(-start, end - start) + values, dtype=np.float64)

    def trim(self, oldest: Mapping[str, int]) -> None:
        """Delete the values and states of each signal before its oldest day: signal → day; others stay."""
        newest = max(oldest.values(), default=0)
        for day in sorted(day for day in self.days if day < newest):
            for name in list(self.days[day]):
                if day < oldest.get(name.removeprefix(_STATE).partition("/")[0], day):
                    self.save(day, name, None)
