"""Prices of one partition's securities: returns that know ex-right days, gaps and suspensions.

A security's *adjusted level* is a chain of its returns: ``level_t = level_{t−1} × close_t / prev_close_t``, where the
exchange's ``prev_close`` is already ex-right adjusted. Where no ``prev_close`` is given, the last known close stands
for it. A day without a price (suspended, or no row) has no return and no level of its own; the chain goes on from the
last one. The chain begins at 1 with a security's first price.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt

from processors import pack
from processors.codes import Ids
from processors.daily_store import ApplyResult, DailyStore
from processors.days import TradingCalendar, to_date, to_day
from processors.events import Floats
from processors.pack import Array
from processors.parameters import Parameters

PRICES = "prices.daily"
_YEAR_DAYS = 251


@dataclass(slots=True)
class Levels:
    """One closed day; arrays by column of the book. ``level`` and ``close`` are the last known ones."""

    level: Floats
    close: Floats
    fresh: npt.NDArray[np.bool_]  # which have a price of this very day
    total: Floats  # Σ of the levels of all days with a price, for means over a window
    count: Floats

    def widened(self, width: int) -> Levels:
        """The same for columns that were added since: nothing is known of them."""
        more = width - len(self.level)
        if not more:
            return self
        nothing, zero = np.full(more, np.nan), np.zeros(more)
        return Levels(
            np.concatenate([self.level, nothing]),
            np.concatenate([self.close, nothing]),
            np.concatenate([self.fresh, zero.astype(bool)]),
            np.concatenate([self.total, zero]),
            np.concatenate([self.count, zero]),
        )


_BEGINNING = Levels(np.empty(0), np.empty(0), np.empty(0, dtype=bool), np.empty(0), np.empty(0))


class Pricing:
    """The day book of ``prices.daily`` and the levels of the last year."""

    def __init__(self, parameters: Parameters, calendar: TradingCalendar) -> None:
        self.parameters = parameters
        self._calendar = calendar
        # Any marker closes a day: feeds bring the prices they have, not those of a whole exchange.
        self.book = DailyStore(PRICES, (), late_days=parameters.late_days, history_days=2)
        self.days: dict[int, Levels] = {}
        self._dirty: set[int] = set()
        self._dropped: set[int] = set()

    def closed(self, applied: ApplyResult) -> list[int]:
        """Derive every day that was closed or changed, and all behind it; return them."""
        touched = {*applied.closed, *applied.changed}
        if not touched:
            return []
        days = list(self.book.closed_days(min(touched)))
        for day in days:
            self._derive(day)
        for old in sorted(self.days)[: max(0, len(self.days) - self.parameters.late_days - _YEAR_DAYS)]:
            del self.days[old]
            self._dirty.discard(old)
            self._dropped.add(old)
        return days

    def _derive(self, day: int) -> None:
        width = self.book.width
        earlier = self.book.newest_closed(before=day)
        before = (_BEGINNING if earlier is None else self.days[earlier]).widened(width)
        close, previous = self.book.figure(day, "close"), self.book.figure(day, "prev_close")
        fresh = self.book.present(day) & ~(self.book.figure(day, "suspended") == 1.0) & ~np.isnan(close)
        growth = close / np.where(np.isnan(previous), before.close, previous)
        chained = np.where(np.isnan(before.level), 1.0, before.level * growth)
        level = np.where(fresh, chained, before.level)
        self.days[day] = Levels(
            level,
            np.where(fresh, close, before.close),
            fresh,
            before.total + np.where(fresh, level, 0.0),
            before.count + fresh,
        )
        self._dirty.add(day)

    def features(self, day: int, columns: npt.NDArray[np.intp]) -> dict[str, Array]:
        """What the market stage needs of a closed day, NaN where absent.

        ``level``; ``return_1`` and ``return_15`` (fractions); ``above_200`` (1 above the own 200-day mean, 0 not);
        ``ytd`` (return since the last session of the year before).
        """
        p, today = self.parameters, self.days[day]
        level = np.where(today.fresh, today.level, np.nan)
        previous, yesterday = self.book.figure(day, "prev_close"), self._back(day, 1)
        close = np.where(today.fresh, today.close, np.nan)
        held = np.where(yesterday.fresh, yesterday.close, np.nan)
        year = self._at(self._calendar.before(to_day(date(to_date(day).year, 1, 1))))
        before = self._back(day, p.breadth_days)
        known = today.count - before.count
        mean = (today.total - before.total) / np.where(known >= p.breadth_least, known, np.nan)
        whole = self._calendar.shift(day, -p.breadth_days) in self.days
        out = {
            "level": level,
            "return_1": close / np.where(np.isnan(previous), held, previous) - 1,
            "return_15": level / self._back(day, p.score_days).level - 1,
            "above_200": np.where(np.isnan(level) | np.isnan(mean) | (not whole), np.nan, level > mean),
            "ytd": level / year.level - 1,
        }
        return {name: values[columns] for name, values in out.items()}

    def _back(self, day: int, sessions: int) -> Levels:
        return self._at(self._calendar.shift(day, -sessions))

    def _at(self, day: int | None) -> Levels:
        found = None if day is None else self.days.get(day)
        return (found or _BEGINNING).widened(self.book.width)

    # -- state as bytes --------------------------------------------------------------------------------------

    def take_dirty(self) -> dict[str, bytes | None]:
        """Return the rows changed since the last call: field → bytes, None to delete."""
        rows: dict[str, bytes | None] = {f"{PRICES}/{iso}": data for iso, data in self.book.take_dirty().items()}
        rows |= {f"levels/{to_date(day).isoformat()}": None for day in sorted(self._dropped)}
        rows |= {f"levels/{to_date(day).isoformat()}": self._dump(day) for day in sorted(self._dirty)}
        self._dirty.clear()
        self._dropped.clear()
        return rows

    def load(self, rows: dict[str, bytes]) -> None:
        """Take back the rows of `take_dirty`; others are ignored."""
        for name, data in rows.items():
            kind, _, rest = name.partition("/")
            if kind == PRICES:
                self.book.load(to_day(date.fromisoformat(rest)), data)
        for name, data in rows.items():
            kind, _, rest = name.partition("/")
            if kind == "levels":
                self._load(to_day(date.fromisoformat(rest)), data)

    def _dump(self, day: int) -> bytes:
        found, columns = self.days[day], self.book.places.by_key
        columns = columns[columns < len(found.level)]
        columns = columns[~np.isnan(found.level[columns])]
        keys: Ids = self.book.keys[columns]
        return pack.pack(
            {},
            {
                "key": keys,
                "level": found.level[columns],
                "close": found.close[columns],
                "fresh": found.fresh[columns],
                "total": found.total[columns],
                "count": found.count[columns],
            },
        )

    def _load(self, day: int, data: bytes) -> None:
        _, arrays = pack.unpack(data)
        columns = self.book.places.of(arrays["key"])
        levels = _BEGINNING.widened(self.book.width)
        for name in ("level", "close", "fresh", "total", "count"):
            getattr(levels, name)[columns] = arrays[name]
        self.days[day] = levels
