"""Figures of all securities on every day of a block, and their sums by industry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from processors.codes import Ids, is_fund, reindex_sorted
from processors.events import Floats
from processors.industries import INDUSTRIES
from processors.needs import DETAIL, FUNDS, Need, funds, members
from processors.outputs import Detail
from processors.reference import UNKNOWN, Members
from processors.sources import Sources

Flags = npt.NDArray[np.bool_]


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

    @cached_property
    def stocks(self) -> Flags:
        """Which rows of the margin detail are stocks and not funds (n,)."""
        return ~is_fund(self.section(DETAIL).keys)

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
