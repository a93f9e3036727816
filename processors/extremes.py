"""The extremes stage: extreme changes of the margin balance across all stocks of a day."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
import numpy as np

from processors.arrays import Array, Floats, Ids
from processors.codes import EXCHANGES, exchange_of, reindex_sorted
from processors.column_table import ColumnTable, DayColumns, Layout
from processors.days import TradingCalendar
from processors.indicators import extreme
from processors.kinds import is_stock
from processors.needs import DETAIL
from processors.outputs import Detail, SecuritySignals
from processors.parameters import Parameters
from processors.registry import PUBLISHED_COLUMNS
from processors.table import DAY, TableSet


@dataclass(slots=True)
class Extremes:
    """The extremes of a day, stored for ``consecutive_extreme`` of the next day.

    Parameters
    ----------
    keys : (n,) ascending.
    side : (n,) +1, −1 or 0; NaN where absent.
    """

    keys: Ids
    side: Floats


class ExtremesStage:
    """Computes and stores the extremes of every day whose frames are stored.

    Parameters
    ----------
    lacks : what the margin detail lacks on a day: exchange → missing rows; None if the day never was complete.
    """

    def __init__(
        self, parameters: Parameters, calendar: TradingCalendar, lacks: Callable[[int], Mapping[str, int] | None]
    ) -> None:
        self.parameters = parameters
        self._calendar = calendar
        self._lacks = lacks
        self.extremes = ColumnTable[int, Extremes](
            "extreme",
            DAY,
            Layout[None](None, [("side", "<f8")]),
            to_columns=lambda found: DayColumns(None, found.keys, {"side": found.side}),
            from_columns=lambda _day, stored: Extremes(stored.keys, stored.columns["side"]),
        )
        self.tables = TableSet(self.extremes)

    def compute(self, day: int, detail: Detail, missing_before: Mapping[str, int]) -> SecuritySignals:
        """Return the security signals of a day that need no other topic than the margin detail.

        Parameters
        ----------
        missing_before : rows that the day before lacks; a change needs both days.
        """
        keys, columns = detail.keys, {name: detail.columns[name] for name in PUBLISHED_COLUMNS}
        side = extreme.extreme(columns["fin_change"], is_stock(keys), self.parameters.extreme_share)
        columns["extreme"] = side
        lacking = self._lacking_before(day)
        unknown = np.isin(exchange_of(keys), [EXCHANGES.index(exchange) for exchange in lacking])
        columns["consecutive_extreme"] = extreme.consecutive(side, self._side_before(day, keys), unknown)
        self.extremes[day] = Extremes(keys, side)
        status = msgspec.structs.replace(detail.status, missing=detail.status.missing | dict(missing_before))
        return SecuritySignals(status, keys, columns, left_out=_left_out(columns, lacking))

    def discard(self, days: set[int]) -> None:
        """Delete the extremes of days whose frames were deleted."""
        for day in days & self.extremes.keys():
            del self.extremes[day]

    def _side_before(self, day: int, keys: Ids) -> Floats:
        yesterday = self._calendar.shift(day, -1)
        before = self.extremes.get(yesterday) if yesterday is not None else None
        return np.full(len(keys), np.nan) if before is None else reindex_sorted(keys, before.keys, before.side)

    def _lacking_before(self, day: int) -> list[str]:
        """Return the exchanges that lack rows which the extremes of the day before need."""
        exchanges: set[str] = set()
        for back in (1, 2):
            there = self._calendar.shift(day, -back)
            lacks = None if there is None else self._lacks(there)
            if lacks is not None:
                exchanges |= lacks.keys()
            elif there is not None and any(earlier < there for earlier in self.extremes):
                exchanges |= set(EXCHANGES)  # a gap; before the first day of the history there is none
        return sorted(exchanges)


#: Column → why it is absent of every security.
_CAUSES = {
    "fin_change": "no security has a balance of the day before",
    "extreme": "fin_change is absent",
    "consecutive_extreme": "fin_change is absent",
}


def _left_out(columns: Mapping[str, Array], lacking: list[str]) -> dict[str, str]:
    """Return why a column has no figure of any security, or none of those of some exchanges.

    Parameters
    ----------
    lacking : exchanges that lack rows which the extremes of the day before need.
    """
    behind = f"{DETAIL} of the two days before lacks rows of {', '.join(lacking)}"
    found = {"consecutive_extreme": behind} if lacking else {}
    return found | {name: why for name, why in _CAUSES.items() if len(columns[name]) and np.isnan(columns[name]).all()}
