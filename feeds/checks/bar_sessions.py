"""Bars that can't be those of whole sessions: another unit, cumulative figures, bars or sessions that are missing.

In March and April 2025 the median of turnover over volume × close of 997 stocks was within 0.1% of 1 in every session,
each stock had all bars of each session, and no volume rose from bar to bar throughout a session.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from feeds.checks.validate import Finding, Severity
from processors.days import TradingCalendar, to_date
from processors.trading_hours import HALVES

#: So many bars or securities of a session are judged; fewer may all be suspended, or single cells.
_MANY = 20
#: Turnover over volume × close: a unit is off by 100 and more, or less.
_LEAST_RATIO, _MOST_RATIO = 0.5, 2.0
#: In so many sessions of a security figures do not rise from bar to bar throughout; of fewer bars they may.
_CUMULATIVE, _FEWEST_BARS = 0.9, 4
_MISSING = 0.5


def bar_sessions(
    bars: pd.DataFrame, ends: npt.NDArray[np.int64], calendar: TradingCalendar, since: int
) -> Iterator[Finding]:
    """Find what no bars of whole sessions have.

    Parameters
    ----------
    bars : ``key``, ``day``, ``minute`` (of the day, at which the bar ends), ``last`` (CNY), ``volume`` (shares) and
        ``turnover`` (CNY) of the bar; by key and time.
    ends : the minutes of a session at which bars end, ascending.
    since : the first session that is judged, days since 1970-01-01.
    """
    yield from _missing_sessions(bars, calendar, since)
    bars = bars[bars["day"] >= since]
    yield from _in_other_units(bars)
    yield from _cumulative(bars)
    yield from _missing_ends(bars, ends, calendar)


def _in_other_units(bars: pd.DataFrame) -> Iterator[Finding]:
    """Find sessions whose turnover is not that of their volume at its price."""
    traded = bars[(bars["volume"] > 0) & (bars["turnover"] > 0)]
    ratios = (traded["turnover"] / (traded["volume"] * traded["last"])).groupby(traded["day"])
    medians = ratios.median()[ratios.size() >= _MANY]
    wrong = medians[(medians < _LEAST_RATIO) | (medians > _MOST_RATIO)]
    if len(wrong):
        yield _error(
            wrong.index, f"amount is about {wrong.iloc[0]:.3g} times volume × close: volume is in shares, amount in CNY"
        )


def _cumulative(bars: pd.DataFrame) -> Iterator[Finding]:
    """Find sessions in which volume or turnover never falls from one bar to the next."""
    keys, days = bars["key"].to_numpy(), bars["day"].to_numpy()
    begins = np.r_[True, (keys[1:] != keys[:-1]) | (days[1:] != days[:-1])][: len(bars)]
    starts = np.flatnonzero(begins)
    sizes = np.diff(np.r_[starts, len(bars)])
    for name in ("volume", "turnover"):
        values = bars[name].to_numpy()
        fell = np.r_[False, values[1:] < values[:-1]][: len(bars)] & ~begins
        judged = (sizes >= _FEWEST_BARS) & (np.add.reduceat(values, starts) > 0)
        rises = pd.Series(~np.logical_or.reduceat(fell, starts)[judged]).groupby(days[starts[judged]])
        shares = rises.mean()[rises.size() >= _MANY]
        if len(wrong := shares[shares >= _CUMULATIVE]):
            yield _error(
                wrong.index,
                f"{name} rises from bar to bar throughout the session in {wrong.iloc[0]:.0%} of the securities: it is "
                "cumulative, and must be that of the bar",
            )


def _missing_sessions(bars: pd.DataFrame, calendar: TradingCalendar, since: int) -> Iterator[Finding]:
    """Find sessions without a bar between others."""
    if bars["key"].nunique() < _MANY:
        return
    sessions = calendar.between(max(int(bars["day"].min()), since), int(bars["day"].max()))
    missing = np.setdiff1d(sessions, bars["day"].unique())
    if len(missing):
        yield _error(missing, "there is none, but of sessions before and after: add them")


def _missing_ends(bars: pd.DataFrame, ends: npt.NDArray[np.int64], calendar: TradingCalendar) -> Iterator[Finding]:
    """Find sessions in which most securities have no bar that ends at some minute."""
    counts = bars.groupby(["day", "minute"]).size().unstack(fill_value=0).reindex(columns=ends, fill_value=0)
    known = bars.groupby("day")["key"].nunique()
    missing = counts.lt(known * _MISSING, axis=0) & (known >= _MANY).to_numpy()[:, np.newaxis]
    missing.loc[missing.index.isin(calendar.half_days), ends[ends > HALVES[0][1]]] = False
    wrong = missing[missing.any(axis=1)]
    if len(wrong):
        minute = int(ends[np.argmax(wrong.iloc[0].to_numpy())])
        yield _error(
            wrong.index,
            f"most securities have no bar that ends at {minute // 60:02}:{minute % 60:02}: bars are missing, or ts is "
            "their beginning, not their end",
        )


def _error(days: npt.ArrayLike, text: str) -> Finding:
    first, count = int(np.asarray(days)[0]), np.size(days)
    more = f" (and {count - 1} more sessions)" if count > 1 else ""
    return Finding(Severity.ERROR, "bars", "prices.intraday", None, f"bars of {to_date(first)}{more}: {text}")
