"""The cross-section of the margin detail: extremes across all stocks of a day."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from processors import pack
from processors.codes import Ids, aligned, is_fund
from processors.days import TradingCalendar, to_date
from processors.events import Floats
from processors.indicators import extreme
from processors.outputs import Detail, SecuritySignals
from processors.parameters import Parameters

#: Columns of the frames that subscribers see.
_PUBLISHED = ("fin_balance", "fin_change", "fin_streak")


@dataclass(slots=True)
class Extremes:
    """The extremes of a day, kept for the next day's `consecutive_extreme`."""

    keys: Ids
    side: Floats


class ExtremesStage:
    """The extremes of the days that may still change, and of the day before them."""

    def __init__(self, parameters: Parameters, calendar: TradingCalendar) -> None:
        self.parameters = parameters
        self._calendar = calendar
        self.extremes: dict[int, Extremes] = {}
        self._dirty: set[int] = set()
        self._dropped: set[int] = set()

    def compute(self, day: int, detail: Detail) -> SecuritySignals:
        """Return the security signals of a day that need the margin detail alone."""
        keys, columns = detail.keys, {name: detail.columns[name] for name in _PUBLISHED}
        side = extreme.extreme(columns["fin_change"], is_fund(keys), self.parameters.extreme_share)
        columns["extreme"] = side
        columns["consecutive_extreme"] = extreme.consecutive(side, self._side_before(day, keys))
        self.extremes[day] = Extremes(keys, side)
        self._dirty.add(day)
        return SecuritySignals(detail.status, keys, columns)

    def forget(self, days: set[int]) -> None:
        """Drop days whose frames are gone."""
        for day in days & self.extremes.keys():
            del self.extremes[day]
            self._dirty.discard(day)
            self._dropped.add(day)

    def _side_before(self, day: int, keys: Ids) -> Floats:
        yesterday = self._calendar.shift(day, -1)
        before = self.extremes.get(yesterday) if yesterday is not None else None
        return np.full(len(keys), np.nan) if before is None else aligned(keys, before.keys, before.side)

    # -- state as bytes --------------------------------------------------------------------------------------

    def take_dirty(self) -> dict[str, bytes | None]:
        """Return the rows changed since the last call: field → bytes, None to delete."""
        rows: dict[str, bytes | None] = {f"extreme/{to_date(day).isoformat()}": None for day in sorted(self._dropped)}
        for day in sorted(self._dirty):
            held = self.extremes[day]
            rows[f"extreme/{to_date(day).isoformat()}"] = pack.pack({"day": day}, {"key": held.keys, "side": held.side})
        self._dirty.clear()
        self._dropped.clear()
        return rows

    def load(self, rows: dict[str, bytes]) -> None:
        """Take back the rows of `take_dirty`; others are ignored."""
        for name, data in rows.items():
            if name.startswith("extreme/"):
                header, arrays = pack.unpack(data)
                self.extremes[header["day"]] = Extremes(arrays["key"], arrays["side"])
