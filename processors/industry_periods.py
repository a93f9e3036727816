"""Net buy and buys over turnover of industries over any period 区间融资净买入, from the published figures of days."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from processors.arrays import Floats
from processors.days import TradingCalendar, to_date, to_day
from processors.indicators.industry_balance import ranks
from processors.industries import INDUSTRIES
from processors.outputs import IndustrySignals
from processors.signal import number


@dataclass(frozen=True, slots=True)
class IndustryPeriod:
    """The sums of one industry over a period; None where a figure of one of its days is absent.

    Parameters
    ----------
    net_buy, fin_buy, turnover : Σ over the sessions, CNY.
    buy_to_turnover : Σ fin_buy / Σ turnover, a fraction.
    net_buy_rank, buy_to_turnover_rank : 1 is the largest; None where a figure of any industry is not known. An industry
        without one in the whole period (no members, no turnover of its index) has no rank, and the others have theirs.
    """

    industry: str
    net_buy: float | None
    net_buy_rank: int | None
    fin_buy: float | None
    turnover: float | None
    buy_to_turnover: float | None
    buy_to_turnover_rank: int | None


@dataclass(frozen=True, slots=True)
class Period:
    """Every industry over the sessions from ``first`` to ``last``, the largest net buy first.

    Parameters
    ----------
    sessions : their number.
    missing : sessions of which nothing was published.
    """

    first: date
    last: date
    sessions: int
    missing: tuple[date, ...]
    industries: tuple[IndustryPeriod, ...]


def months(first: date, last: date) -> list[tuple[date, date]]:
    """Return first and last day of each month between two dates, both included; the dates bound the outer months.

    Examples
    --------
    >>> [f"{a} {b}" for a, b in months(date(2020, 1, 20), date(2020, 3, 2))]
    ['2020-01-20 2020-01-31', '2020-02-01 2020-02-29', '2020-03-01 2020-03-02']
    """
    found = []
    while first <= last:
        begins_next = date(first.year + first.month // 12, first.month % 12 + 1, 1)
        found.append((first, min(last, begins_next - timedelta(days=1))))
        first = begins_next
    return found


def period_of(frames: Iterable[IndustrySignals], first: date, last: date, calendar: TradingCalendar) -> Period:
    """Return the sums over the calendar's sessions from one date to another.

    Parameters
    ----------
    frames : published frames in their order; of several of one day the last is valid.
    """
    newest = {frame.status.trade_date: frame for frame in frames}
    sessions = [to_date(day) for day in calendar.between(to_day(first), to_day(last)).tolist()]
    missing = tuple(day for day in sessions if day not in newest)
    here = [newest[day] for day in sessions if day in newest]
    net, buys, turnover = (_sum(here, name, whole=not missing) for name in ("net_buy", "fin_buy", "turnover"))
    share = buys / np.where(turnover > 0, turnover, np.nan)
    placed = [
        ranks(values[None])[0] if not missing and all(_is_known(here, name) for name in names) else values * np.nan
        for values, names in ((net, ("net_buy",)), (share, ("fin_buy", "turnover")))
    ]
    rows = [
        IndustryPeriod(
            name, number(net[i]), _rank(placed[0][i]), number(buys[i]), number(turnover[i]), number(share[i]),
            _rank(placed[1][i]),
        )
        for i, name in enumerate(INDUSTRIES)
    ]  # fmt: skip
    rows.sort(key=lambda row: np.inf if row.net_buy is None else -row.net_buy)
    return Period(first, last, len(sessions), missing, tuple(rows))


def _sum(frames: Sequence[IndustrySignals], name: str, *, whole: bool) -> Floats:
    """Return the sum of a column over frames (31,); NaN where a day of it is absent."""
    if not frames or not whole or any(name not in frame.columns for frame in frames):
        return np.full(len(INDUSTRIES), np.nan)
    return np.asarray(np.sum([frame.columns[name] for frame in frames], axis=0), dtype=np.float64)


def _is_known(frames: Sequence[IndustrySignals], name: str) -> bool:
    """Return whether every industry has a column on all days or, because it has none, on no day."""
    if not frames or any(name not in frame.columns or name in frame.left_out for frame in frames):
        return False
    absent = np.isnan([frame.columns[name] for frame in frames])
    return bool((absent.all(axis=0) | ~absent.any(axis=0)).all())


def _rank(value: float) -> int | None:
    return None if np.isnan(value) else int(value)
