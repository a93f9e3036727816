"""Figures of all securities on every day of a block, and their sums by industry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from processors.codes import EXCHANGES, Ids, exchange_of, isin_sorted, reindex_sorted
from processors.days import to_date
from processors.events import Floats
from processors.industries import INDUSTRIES
from processors.kinds import is_stock
from processors.needs import DETAIL, FUNDS, REFERENCE, Days, Need, funds, members, session_before
from processors.outputs import Detail
from processors.reference import UNKNOWN, Members
from processors.sources import Sources

Flags = npt.NDArray[np.bool_]
#: The exchanges whose rows are unknown on a day: index into `EXCHANGES` → reason. A sum that they belong to is absent.
Gap = dict[int, str]


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


@dataclass(frozen=True, slots=True)
class Section:
    """The securities of one topic on every day of a block: a row per day and security, sorted by both.

    Parameters
    ----------
    keys : (n,) security of each row.
    starts : (k + 1,) day i has the rows ``starts[i]`` to ``starts[i + 1] − 1``.
    """

    topic: str
    keys: Ids
    starts: npt.NDArray[np.intp]

    def rows(self, i: int) -> slice:
        """Return the rows of the i-th day of the block."""
        return slice(int(self.starts[i]), int(self.starts[i + 1]))

    @property
    def day_of_row(self) -> npt.NDArray[np.intp]:
        """Position in the block of each row's day (n,)."""
        return np.repeat(np.arange(len(self.starts) - 1), np.diff(self.starts))


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
        self._columns: dict[tuple[str, Need], Floats] = {}
        self._gaps: dict[tuple[str, Days], list[Gap]] = {}

    def __len__(self) -> int:
        return len(self.days)

    def section(self, topic: str) -> Section:
        """Return the securities of a topic (``margin.daily``, ``prices.daily``), or the stocks of ``reference``."""
        if topic not in self._sections:
            if topic in self._sources.joins:
                keys = [self._detail(topic, day).keys for day in self.days]
            else:
                keys = [found.stocks for found in self.members]
            starts = np.concatenate([[0], np.cumsum([len(k) for k in keys])]).astype(np.intp)
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
            name = need.column(self.parameters)
            parts = [
                self._column(need.topic, day, name, section.keys[section.rows(i)], same=need.topic == section.topic)
                for i, day in enumerate(self.days)
            ]
            self._columns[section.topic, need] = np.concatenate(parts)
        return self._columns[section.topic, need]

    def priced(self, i: int, need: Need, keys: Ids, back: int) -> Floats:
        """Return a figure of given securities ``back`` trading days before the i-th day (n,); NaN where absent."""
        self._sources.require(need)
        day = self.calendar.shift(self.days[i], -back)
        unknown = np.full(len(keys), np.nan)
        return unknown if day is None else self._column(need.topic, day, need.column(self.parameters), keys, same=False)

    def _column(self, topic: str, day: int, name: str, keys: Ids, *, same: bool) -> Floats:
        join = self._sources.joins[topic]
        if not join.is_closed(day):
            return np.full(len(keys), np.nan)
        found = self._detail(topic, day)
        if name not in found.columns:  # an earlier release computed the frame without this column
            return np.full(len(keys), np.nan)
        values = found.columns[name]
        return values.astype(np.float64, copy=False) if same else reindex_sorted(keys, found.keys, values)

    def _detail(self, topic: str, day: int) -> Detail:
        return self._sources.joins[topic].detail(day)

    # -- what is unknown -------------------------------------------------------------------------------------

    def gaps(self, topic: str, back: Days = 0) -> list[Gap]:
        """Return what a topic lacks on every day of the block (k,), or ``back`` trading days before it."""
        if (topic, back) not in self._gaps:
            self._gaps[topic, back] = [self._gap(topic, day, back) for day in self.days]
        return self._gaps[topic, back]

    def _gap(self, topic: str, day: int, back: Days) -> Gap:
        source = self._sources.joins.get(topic) or self._sources.stores[topic]
        there = session_before(day, back, self.parameters, self.calendar)
        if there is None:
            return {}
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
        section = self.section(DETAIL)
        return [
            self._unnamed(isin_sorted(section.keys[section.rows(i)], m.keys), i) for i, m in enumerate(self.members)
        ]

    @cached_property
    def unclassified(self) -> list[Gap]:
        """Exchanges of whose stocks in the margin detail less than half have an industry, by day (k,)."""
        section = self.section(DETAIL)
        return [self._unnamed(self.industry[section.rows(i)] != UNKNOWN, i) for i in range(len(self))]

    def _unnamed(self, known: Flags, i: int) -> Gap:
        rows = self.section(DETAIL).rows(i)
        exchange, stock = exchange_of(self.section(DETAIL).keys[rows]), self.stocks[rows]
        out: Gap = {}
        for number in np.unique(exchange[stock]).tolist():
            here = stock & (exchange == number)
            if 2 * (known & here).sum() < here.sum():
                out[number] = f"{REFERENCE} knows less than half of the stocks of {EXCHANGES[number]}"
        return out

    def net_buys(self, buy: Need, repay: Need) -> tuple[Floats, list[Gap]]:
        """Return buys less repayments for the rows of the margin detail (n,), and what is unknown by day (k,).

        Where an exchange publishes no repayments, they follow from the balance of the day before: its net buys are
        unknown where that day is. A security that was not in the list on the day before has none.
        """
        section = self.section(DETAIL)
        flows = self.on(section, buy) - self.on(section, repay)
        return flows, self.with_differences(DETAIL, section, ~np.isnan(flows))

    def with_differences(self, topic: str, section: Section, known: Flags) -> list[Gap]:
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

    def unknown_industries(self, gaps: list[Gap]) -> Flags:
        """Return the industries with a stock on an exchange that is unknown (k, 31)."""
        stocks = self.section(REFERENCE)
        exchange, out = exchange_of(stocks.keys), np.zeros((len(self), len(INDUSTRIES)), dtype=bool)
        for i, gap in enumerate(gaps):
            rows = stocks.rows(i)
            industry = self.stock_industry[rows][np.isin(exchange[rows], list(gap))]
            out[i, industry[industry != UNKNOWN]] = True
            out[i] |= bool(self.unclassified[i])
        return out

    # -- master data and sums --------------------------------------------------------------------------------

    @cached_property
    def stocks(self) -> Flags:
        """Which rows of the margin detail are stocks (n,)."""
        return is_stock(self.section(DETAIL).keys)

    @cached_property
    def members(self) -> list[Members]:
        """Master data of every day of the block (k,)."""
        self._sources.require(members())
        return [self._sources.members(day) for day in self.days]

    @cached_property
    def industry(self) -> npt.NDArray[np.intp]:
        """Industry of each row of the margin detail (n,); `reference.UNKNOWN` for funds and unclassified stocks."""
        section = self.section(DETAIL)
        of = [m.industry_of(section.keys[section.rows(i)]) for i, m in enumerate(self.members)]
        return np.where(self.stocks, np.concatenate(of), UNKNOWN)

    @cached_property
    def stock_industry(self) -> npt.NDArray[np.intp]:
        """Industry of each row of the section of ``reference`` (n,)."""
        return np.concatenate([m.stock_industry for m in self.members])

    def by_industry(self, section: Section, industry: npt.NDArray[np.intp], values: Floats) -> Floats:
        """Return sums over each industry (k, 31); NaN where none of its securities has a value.

        Rows of an unknown industry are left out. Within an industry, rows are added in the order of their keys.

        Parameters
        ----------
        industry : (n,) industry of each row of the section.
        values : (n,) NaN where a row has none.
        """
        width = len(INDUSTRIES)
        used = (industry != UNKNOWN) & ~np.isnan(values)
        cell = section.day_of_row[used] * width + industry[used]
        out = np.bincount(cell, weights=values[used], minlength=len(self) * width).astype(np.float64)
        out[np.bincount(cell, minlength=len(out)) == 0] = np.nan
        return out.reshape(len(self), width)

    def fund_rows(self, i: int, back: int) -> dict[str, npt.NDArray[Any]]:
        """Return the rows of ``etf.daily`` ``back`` trading days before the i-th day: ``key`` and figures, by key."""
        self._sources.require(funds(back=back))
        store, day = self._sources.stores[FUNDS], self.calendar.shift(self.days[i], -back)
        if day is None:
            return {"key": store.keys[:0]}
        columns = store.columns_on(day)
        return {"key": store.keys[columns]} | {name: store.figure(day, name)[columns] for name in store.names}
