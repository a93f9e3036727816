"""Figures of all securities on every day of a block, and their sums by industry."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from processors.arrays import Array, Counts, Floats, Ids, Indexer, Ints, Mask
from processors.codes import EXCHANGES, NO_IDS, exchange_of, places_sorted, reindex_sorted, taken
from processors.days import to_date
from processors.industries import INDUSTRIES
from processors.kinds import is_stock
from processors.needs import DETAIL, FUNDS, REFERENCE, Days, Need, funds, members, session_before
from processors.reference import UNKNOWN, Members, industry_numbers
from processors.sources import Sources

#: The exchanges whose rows are unknown on a day: index into `EXCHANGES` → reason. A sum that they belong to is absent.
Gap = dict[int, str]
#: Stocks by day and exchange: all, and those that the reference knows.
_KnownStocks = tuple[Indexer, Indexer]
#: The share of an exchange's stocks of which the reference may know nothing without a notice (ours): industries as of
#: 2026 lack up to 6.6% of the stocks of 2018, dated ones up to 0.8% of those of 2016–2021.
_TOLERATED = 0.1


def reasons(gaps: Sequence[Gap]) -> dict[int, str]:
    """Return the reasons of absence by position of the day; days without a gap are left out.

    Examples
    --------
    >>> reasons([{}, {0: "prices.daily of 2020-09-09 lacks all rows of SSE"}])
    {1: 'prices.daily of 2020-09-09 lacks all rows of SSE'}
    """
    return {i: "; ".join(dict.fromkeys(gap.values())) for i, gap in enumerate(gaps) if gap}


def merged(*gaps: Sequence[Gap]) -> list[Gap]:
    """Return the gaps of several inputs together, by day."""
    return [dict(item for gap in reversed(day) for item in gap.items()) for day in zip(*gaps, strict=True)]


@dataclass(frozen=True)
class Section:
    """The securities of one topic on every day of a block: a row per day and security, sorted by both.

    Parameters
    ----------
    keys : (n,) security of each row.
    starts : (k + 1,) day i has the rows ``starts[i]`` to ``starts[i + 1] − 1``; none if it is open.
    """

    topic: str
    keys: Ids
    starts: Indexer

    def rows(self, i: int) -> slice:
        """Return the rows of the i-th day of the block."""
        return slice(int(self.starts[i]), int(self.starts[i + 1]))

    def split(self, mask: Mask) -> tuple[Indexer, list[slice]]:
        """Return the rows that a mask selects, and for each day the part of them that is its own (k,)."""
        rows = np.flatnonzero(mask)
        return rows, [slice(start, end) for start, end in pairwise(np.searchsorted(rows, self.starts).tolist())]

    def counts(self, number: Array, width: int, used: Mask) -> Counts:
        """Return how many of the used rows of each day have each number below ``width`` (k, width).

        Parameters
        ----------
        number, used : (n,)
        """
        days = len(self.starts) - 1
        cell = self.day_of_row[used] * width + number[used]
        return np.bincount(cell, minlength=days * width).reshape(days, width)

    @cached_property
    def day_of_row(self) -> Indexer:
        """Position in the block of each row's day (n,)."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))

    @cached_property
    def day_keys(self) -> Ints:
        """Position of the day and security of each row as one ascending number (n,)."""
        return (self.day_of_row.astype(np.int64) << 32) + self.keys


class CrossSections:
    """The cross-sections of the securities on a block's days.

    Parameters
    ----------
    days : closed days, ascending, days since 1970-01-01.
    """

    def __init__(self, days: Sequence[int], sources: Sources) -> None:
        self.days = list(days)
        self.parameters = sources.parameters
        self.calendar = sources.series.calendar
        self._sources = sources
        self._sections: dict[str, Section] = {}
        self._places: dict[tuple[str, str], Indexer] = {}
        self._columns: dict[tuple[str, Need], Floats] = {}
        self._gaps: dict[tuple[str, Days], list[Gap]] = {}
        self._net_buys: dict[tuple[Need, Need], tuple[Floats, list[Gap]]] = {}
        self._in_reference: dict[str, list[tuple[Members, Indexer]]] = {}
        self._known_stocks: dict[tuple[str, bool], _KnownStocks] = {}
        self._industry_cells: dict[str, Indexer] = {}

    def __len__(self) -> int:
        return len(self.days)

    def section(self, topic: str) -> Section:
        """Return the securities of a topic of frames (``margin.daily``, ``prices.daily``)."""
        if topic not in self._sections:
            join = self._sources.joins[topic]
            keys = [join.detail(day).keys if join.is_closed(day) else NO_IDS for day in self.days]
            starts = np.cumsum([0, *map(len, keys)], dtype=np.intp)
            self._sections[topic] = Section(topic, np.concatenate(keys), starts)
        return self._sections[topic]

    def on(self, section: Section, need: Need) -> Floats:
        """Return a figure of securities for the rows of a section (n,); NaN where a security has none.

        Raises
        ------
        UndeclaredNeedError : if no registered signal declares the need.
        """
        if (section.topic, need) not in self._columns:
            self._sources.require(need)
            own = self.section(need.topic)
            if section.topic != need.topic:
                found = taken(self.on(own, need), self.places(section, need.topic))
            elif len(own.keys):
                name = need.column(self.parameters)
                found = np.concatenate([self._column(need.topic, day, name) for day in self.days])
            else:
                found = np.empty(0)
            self._columns[section.topic, need] = found
        return self._columns[section.topic, need]

    def places(self, section: Section, topic: str) -> Indexer:
        """Return the row of each row's day and security in the section of another topic (n,), −1 where it has none."""
        if (section.topic, topic) not in self._places:
            self._places[section.topic, topic] = places_sorted(section.day_keys, self.section(topic).day_keys)
        return self._places[section.topic, topic]

    def on_day(self, day: int, need: Need, keys: Ids) -> Floats:
        """Return a figure of given securities on any day (n,); NaN where absent."""
        self._sources.require(need)
        values = self._column(need.topic, day, need.column(self.parameters))
        return (
            reindex_sorted(keys, self._sources.joins[need.topic].detail(day).keys, values)
            if len(values)
            else (np.full(len(keys), np.nan))
        )

    def _column(self, topic: str, day: int, name: str) -> Floats:
        """Return a column of a day, in the order of its securities; empty if the day is open."""
        join = self._sources.joins[topic]
        if not join.is_closed(day):
            return np.empty(0)
        found = join.detail(day)
        if name not in found.columns:  # an earlier release computed the frame without this column
            return np.full(len(found.keys), np.nan)
        return found.columns[name].astype(np.float64, copy=False)

    # -- what is unknown -------------------------------------------------------------------------------------

    def model_reason(self, i: int, topic: str) -> str:
        """Return why a model computed no figures of a topic on the i-th day of the block; "" if it did."""
        join = self._sources.joins[topic]
        return join.reason(self.days[i]) if join.is_closed(self.days[i]) else f"{topic} is not known yet"

    def gaps(self, topic: str, back: Days = 0) -> list[Gap]:
        """Return what a topic lacks on every day of the block (k,), or ``back`` trading days before it."""
        if (topic, back) not in self._gaps:
            self._gaps[topic, back] = [self._gap(topic, day, back) for day in self.days]
        return self._gaps[topic, back]

    def _gap(self, topic: str, day: int, back: Days) -> Gap:
        source = self._sources.joins.get(topic) or self._sources.stores[topic]
        there = session_before(day, back, self.parameters, self.calendar)
        if there is None:
            return dict.fromkeys(range(len(EXCHANGES)), f"{topic}: the calendar does not reach back so far")
        lacks, where = source.lacks(there), f"{topic} of {to_date(there)}"
        if lacks is None:
            return dict.fromkeys(range(len(EXCHANGES)), f"{where} is not known") if back else {}
        return {
            EXCHANGES.index(exchange): f"{where} lacks {'all' if rows < 0 else rows} rows of {exchange}"
            for exchange, rows in lacks.items()
        }

    @cached_property
    def unnamed(self) -> list[Gap]:
        """Exchanges of whose stocks in the margin detail the reference names less than half, by day (k,)."""
        return self._unnamed(*self.known_stocks(DETAIL, classified=False))

    @cached_property
    def unclassified(self) -> list[Gap]:
        """Exchanges of whose stocks in the margin detail less than half have an industry, by day (k,)."""
        return self._unnamed(*self.known_stocks(DETAIL, classified=True))

    def unknown_to_reference(self, topics: Iterable[str], *, classified: bool) -> list[dict[str, int]]:
        """Return what the reference lacks of the stocks of some topics of frames, by day (k,): exchange → stocks.

        An exchange is named where a topic has more than a tenth of its stocks unknown; the largest number counts.

        Parameters
        ----------
        classified : whether a stock without an industry is unknown, too.
        """
        out: list[dict[str, int]] = [{} for _ in self.days]
        for topic in topics:
            every, known = self.known_stocks(topic, classified=classified)
            lacking = every - known
            for i, number in np.argwhere(lacking > _TOLERATED * every).tolist():
                exchange = EXCHANGES[number]
                out[i][exchange] = max(int(lacking[i, number]), out[i].get(exchange, 0))
        return [dict(sorted(lacks.items())) for lacks in out]

    def known_stocks(self, topic: str, *, classified: bool) -> _KnownStocks:
        """Return the number of a topic's stocks by day and exchange, and that of those in the reference (k, 3).

        Parameters
        ----------
        classified : whether those without an industry are left out.
        """
        if (topic, classified) not in self._known_stocks:
            section = self.section(topic)
            exchange = exchange_of(section.keys)
            stocks = self.stocks if topic == DETAIL else is_stock(section.keys)
            known = (
                ~np.isnan(self.of_reference("industry", topic))
                if classified
                else np.concatenate([at for _, at in self._named(topic)]) >= 0
            )
            self._known_stocks[topic, classified] = (
                section.counts(exchange, len(EXCHANGES), stocks),
                section.counts(exchange, len(EXCHANGES), stocks & known),
            )
        return self._known_stocks[topic, classified]

    @staticmethod
    def _unnamed(every: Indexer, named: Indexer) -> list[Gap]:
        """Return the exchanges of whose stocks less than half are known (k,); takes the counts (k, 3)."""
        out: list[Gap] = [{} for _ in every]
        for i, number in np.argwhere(2 * named < every).tolist():
            out[i][number] = f"{REFERENCE} knows less than half of the stocks of {EXCHANGES[number]}"
        return out

    def net_buys(self, buy: Need, repay: Need) -> tuple[Floats, list[Gap]]:
        """Return buys less repayments for the rows of the margin detail (n,), and what is unknown by day (k,).

        Where an exchange publishes no repayments, they follow from the balance of the day before: its net buys are
        unknown where that day is. A security that was not in the list on the day before has none.
        """
        if (buy, repay) not in self._net_buys:
            section = self.section(DETAIL)
            flows = self.on(section, buy) - self.on(section, repay)
            self._net_buys[buy, repay] = flows, self.with_differences(DETAIL, section, ~np.isnan(flows))
        return self._net_buys[buy, repay]

    def with_differences(self, topic: str, section: Section, known: Mask) -> list[Gap]:
        """Return the gaps of a topic for a figure that needs the day before where ``known`` is False (k,).

        Parameters
        ----------
        known : (n,) whether the figure of a row of the section is known.
        """
        out = []
        for i, (gap, before) in enumerate(zip(self.gaps(topic), self.gaps(topic, 1), strict=True)):
            rows = section.rows(i)
            needed = set(exchange_of(section.keys[rows][~known[rows]]).tolist()) if before else set()
            out.append(gap | {number: why for number, why in before.items() if number in needed})
        return out

    def unknown_industries(self, gaps: list[Gap]) -> Mask:
        """Return the industries with a stock on an exchange that is unknown (k, 31)."""
        out = np.repeat(np.array([[bool(gap)] for gap in self.unclassified]), len(INDUSTRIES), axis=1)
        for i, gap in enumerate(gaps):
            if gap:
                found = self.members[i]
                industry = found.stock_industry[np.isin(exchange_of(found.stocks), list(gap))]
                out[i, industry[industry != UNKNOWN]] = True
        return out

    # -- master data and sums --------------------------------------------------------------------------------

    @cached_property
    def stocks(self) -> Mask:
        """Which rows of the margin detail are stocks (n,)."""
        return is_stock(self.section(DETAIL).keys)

    @cached_property
    def members(self) -> list[Members]:
        """Master data of every day of the block (k,)."""
        self._sources.require(members())
        return [self._sources.members(day) for day in self.days]

    def by_members(self, count: Callable[[Members], Array]) -> Array:
        """Return a figure of the master data by day (k, …), computed once for days with the same master data."""
        found: list[Array] = []
        for i, of_day in enumerate(self.members):
            found.append(found[-1] if i and of_day is self.members[i - 1] else count(of_day))
        return np.array(found)

    def _named(self, topic: str) -> list[tuple[Members, Indexer]]:
        """Return the master data of each spell of days, and the places in them of the spell's rows of a topic.

        A place is −1 where the reference does not name the security.
        """
        if topic not in self._in_reference:
            section, out, start = self.section(topic), [], 0
            for end in range(1, len(self) + 1):
                found = self.members[start]
                if end == len(self) or self.members[end] is not found:
                    keys = section.keys[section.starts[start] : section.starts[end]]
                    out.append((found, places_sorted(keys, found.keys)))
                    start = end
            self._in_reference[topic] = out
        return self._in_reference[topic]

    def of_reference(self, figure: str, topic: str = DETAIL) -> Floats:
        """Return a figure of ``reference`` for the rows of a topic (n,); NaN where it names no security."""
        return np.concatenate([taken(found.figures[figure], at) for found, at in self._named(topic)])

    def listed_stocks(self, topic: str) -> Mask:
        """Return which rows of a topic are stocks that ``reference`` lists (n,)."""
        return np.asarray(is_stock(self.section(topic).keys) & (self.of_reference("listed", topic) == 1.0))

    @cached_property
    def industry(self) -> Indexer:
        """Industry of each row of the margin detail (n,); `reference.UNKNOWN` for funds and unclassified stocks."""
        return np.where(self.stocks, industry_numbers(self.of_reference("industry")), UNKNOWN)

    def _cells(self, topic: str) -> Indexer:
        """Return the day and industry of each row of a topic as one number (n,), −1 without an industry.

        Outside of the margin detail, only listed stocks have one.
        """
        if topic not in self._industry_cells:
            industry = self.industry
            if topic != DETAIL:
                named = industry_numbers(self.of_reference("industry", topic))
                industry = np.where(self.listed_stocks(topic), named, UNKNOWN)
            cell = self.section(topic).day_of_row * len(INDUSTRIES) + industry
            self._industry_cells[topic] = np.where(industry == UNKNOWN, -1, cell)
        return self._industry_cells[topic]

    def by_industry(self, section: Section, values: Floats) -> Floats:
        """Return sums over each industry (k, 31); NaN where none of its securities has a value.

        Rows of an unknown industry are left out. Within an industry, rows are added in the order of their keys.

        Parameters
        ----------
        values : (n,) NaN where a row of the section has none.
        """
        cell, size = self._cells(section.topic), len(self) * len(INDUSTRIES)
        rows = np.flatnonzero((cell >= 0) & ~np.isnan(values))
        cell = cell[rows]
        out = np.bincount(cell, weights=values[rows], minlength=size).astype(np.float64)  # of no row: integers
        out[np.bincount(cell, minlength=size) == 0] = np.nan
        return out.reshape(len(self), len(INDUSTRIES))

    def fund_rows(self, i: int, back: int) -> dict[str, Array]:
        """Return the rows of ``etf.daily`` ``back`` trading days before the i-th day: ``key`` and figures, by key."""
        self._sources.require(funds(back=back))
        store, day = self._sources.stores[FUNDS], self.calendar.shift(self.days[i], -back)
        if day is None:
            return {"key": store.keys[:0]}
        columns = store.columns_on(day)
        return {"key": store.keys[columns]} | {name: store.figure(day, name)[columns] for name in store.names}
