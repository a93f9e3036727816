"""The figures that a value was computed from, need by need: what an explanation shows beside the formula.

They follow from the declaration alone, so that a signal is explained as soon as it is registered. They are read as the
signal itself reads them, from the sources of a market stage, whether those were folded or loaded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from processors.arrays import Floats, Ids
from processors.block import Block
from processors.codes import NO_IDS, reindex_sorted, to_codes, to_id
from processors.index_members import groups_by_reference
from processors.indicators import extreme
from processors.indicators.etf_flow import STYLES
from processors.indicators.groups import groups_of
from processors.industries import INDUSTRIES
from processors.kinds import is_stock
from processors.needs import DETAIL, Need, Source, session_before
from processors.signal import Level, Signal
from processors.sources import Sources

#: A figure, or those of a window, oldest first; None where it is not known.
Figure: TypeAlias = float | int | str | None
Figures: TypeAlias = Figure | list[Figure]


@dataclass(frozen=True, slots=True)
class Explained:
    """What one need of a signal was on a day.

    Parameters
    ----------
    need : the input as it is declared.
    text : the same in words, with the values of its parameters.
    values : by exchange (and their ``sum``), index code, tenor, signal, industry, or security code.
    """

    need: Need
    text: str
    values: Mapping[str, Figures]

    @property
    def known(self) -> bool:
        """Whether any of the figures is known."""
        return any(
            one is not None for found in self.values.values() for one in (found if isinstance(found, list) else [found])
        )


def figures(signal: Signal, subject: str, day: int, sources: Sources) -> list[Explained]:
    """Return every need of a signal with its figures, in the order of the declaration.

    Parameters
    ----------
    subject : a security's code, an industry, the subject of a market signal, or ``market``.
    day : a day since 1970-01-01 whose required topics are closed.
    """
    block = Block([day], sources)
    with np.errstate(all="ignore"):
        return [
            Explained(need, need.text(sources.parameters), _values(need, signal, subject, block, sources))
            for need in signal.needs
        ]


def _values(need: Need, signal: Signal, subject: str, block: Block, sources: Sources) -> dict[str, Figures]:
    match need.source:
        case Source.TOTAL | Source.TURNOVER | Source.FLOAT_CAP:
            parts = zip(sources.exchanges, block.by_exchange(need), strict=True)
            return {"sum": _plain(block[need][0])} | {exchange: _plain(part[0]) for exchange, part in parts}
        case Source.INDEX:
            codes = need.codes(sources.parameters)
            shown = (subject,) if subject in codes else codes
            return {code: _plain(block.get(need, code)[0]) for code in shown}
        case Source.RATE | Source.COLLATERAL:
            return {need.key: _plain(block[need][0])}
        case Source.RESULT:
            assert need.signal is not None
            return {need.signal.id: _plain(block[need][0])}
        case Source.INDUSTRY_INDEX:
            return {subject: _plain(block[need][0][INDUSTRIES.index(subject)])}
        case Source.MEMBERS:
            return _members(signal, subject, block)
        case Source.FUND:
            return _funds(need, subject, block)
        case _:
            return _of_securities(need, signal, subject, block, sources)


def _members(signal: Signal, subject: str, block: Block) -> dict[str, Figures]:
    """How many stocks the reference names: of the industry, or of the market and of its indices."""
    (members,) = block.members
    if signal.level is Level.INDUSTRY:
        return {"stocks": int((members.stock_industry == INDUSTRIES.index(subject)).sum())}
    counts: dict[str, Figures] = {"stocks": len(members.stocks)}
    indices = groups_by_reference(block.parameters.group_indices).values()
    return counts | {name: int(members.in_index(members.keys, name).sum()) for name in indices}


def _funds(need: Need, subject: str, block: Block) -> dict[str, Figures]:
    """Shares and price of the funds of a style, or of all funds for a signal of the market."""
    assert isinstance(need.back, int)
    rows = block.fund_rows(0, need.back)
    if not len(rows["key"]):
        return {}
    inside = rows["style"] == STYLES.index(subject) if subject in STYLES else np.ones(len(rows["key"]), dtype=bool)
    codes = to_codes(rows["key"][inside])
    figures_of = zip(codes, rows["shares"][inside], rows["price"][inside], strict=True)
    return {code: _plain(np.array([shares, price])) for code, shares, price in figures_of}


def _of_securities(need: Need, signal: Signal, subject: str, block: Block, sources: Sources) -> dict[str, Figures]:
    """The figure of a security, of the stocks of an industry, of a group, or of all securities of the topic."""
    keys = _keys(need, signal, subject, block, sources)
    length = 1 if need.mean else need.window(sources.parameters)  # a mean over the window is one figure
    days = [block.calendar.shift(block.days[0], -back) for back in range(length - 1, -1, -1)]
    if not len(keys):
        return {}
    columns = [np.full(len(keys), np.nan) if day is None else _on(need, day, keys, sources) for day in days]
    window = np.array(columns).T
    values = window[:, 0] if len(days) == 1 else window
    return {code: _plain(found) for code, found in zip(to_codes(keys), values, strict=True)}


def _keys(need: Need, signal: Signal, subject: str, block: Block, sources: Sources) -> Ids:
    if signal.level is Level.SECURITY:
        return np.array([to_id(subject)], dtype=np.int32)
    if not sources.joins[need.topic].is_closed(block.days[0]):  # an optional topic that this market has not
        return NO_IDS
    section = block.section(need.topic)
    if signal.level is Level.MARKET:
        inside = groups_of(block, section.keys).get(subject) if need.topic == DETAIL else None
        return section.keys if inside is None else section.keys[inside]
    (members,) = block.members
    inside = (members.industry_of(section.keys) == INDUSTRIES.index(subject)) & is_stock(section.keys)
    stocks: Ids = section.keys[inside]
    return stocks


def _on(need: Need, day: int, keys: Ids, sources: Sources) -> Floats:
    """The figure of securities on a day: from the day's frame, or from that of the session that the need names."""
    join, name = sources.joins[need.topic], need.column(sources.parameters)
    if join.is_closed(day) and name in join.detail(day).columns:
        found = join.detail(day)
        return reindex_sorted(keys, found.keys, found.columns[name].astype(np.float64))
    there = session_before(day, need.back, sources.parameters, sources.series.calendar)
    if there is None or not join.is_closed(there):
        return np.full(len(keys), np.nan)
    found = join.detail(there)
    if need.source is Source.CROSS_SECTION:
        share = sources.parameters.extreme_share
        side = extreme.extreme(found.columns["fin_change"], is_stock(found.keys), share)
        return reindex_sorted(keys, found.keys, side)
    return reindex_sorted(keys, found.keys, found.columns[need.figure].astype(np.float64))


def _plain(values: Any) -> Figures:
    """Python's own numbers and words; NaN is None."""
    found = values.tolist() if isinstance(values, np.ndarray | np.generic) else values
    if isinstance(found, list):
        return [None if value != value else value for value in found]
    return None if found != found else found
