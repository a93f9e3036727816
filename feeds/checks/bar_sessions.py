"""Bars that can't be those of whole sessions: another unit, cumulative figures, bars or sessions that are missing.

In March and April 2025 the median of turnover over volume × close of 997 stocks was within 0.1% of 1 in every session,
and within 0.9 to 1.1 in each bar; opens were within 16% of the closes of their bars, and nearer to the close of the bar
before than these. Each stock that traded had all bars of its session, none had the sums of the session before, and the
volumes of 0.2% of them rose from bar to bar throughout both halves of a session.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from feeds.checks.findings import Finding, Severity
from feeds.checks.price_bars import LOT, is_half
from processors.arrays import Ints, Mask
from processors.days import TradingCalendar, to_date
from processors.trading_hours import CLOSING_AUCTION, HALVES, last_minute

#: So many bars or securities of a session are judged; fewer may all be suspended, or single cells.
_MANY = 20
#: Turnover over volume × close: a unit is off by 100 and more, or less.
_LEAST_RATIO, _MOST_RATIO = 0.5, 2.0
#: In so many sessions of securities figures do not rise from bar to bar, in each half of at least so many bars.
_CUMULATIVE, _BARS_OF_HALVES = 0.05, 8
#: The same throughout a session of longer bars; of fewer bars they may.
_CUMULATIVE_LONG, _FEWEST_BARS = 0.9, 4
_MISSING = 0.5
#: Minutes; in a shorter bar a security may have no trade, and so no bar.
_TRADED_MINUTES = 5
#: Opens of bars of 15 minutes were on average at most 0.45 times as far from the closes before as closes were (of 300
#: securities at most 0.58 times); where two bars are exchanged, 0.78 times or more.
_LONG_MINUTES, _FOLLOWS, _MANY_FOLLOWING = 15, 0.7, 300
#: A bar whose turnover over volume × close is so many times the median of its session, or its open so many times its
#: close, or the other way, has a wrong cell.
_OFF, _WIDE = 2.0, 3.0
#: A part of a price: no open or close of 2025 was beyond the high or the low of its bar at all.
_ROUNDED = 1e-3
#: So many securities of a session may have the sums of the session before.
_FEW = 5


def contradicting(bars: pd.DataFrame) -> Mask:
    """Return which bars have figures that contradict each other (n,).

    A turnover is that of the volume, and neither is without the other; an open is near the close, and both are within
    the high and the low where these are known.

    Parameters
    ----------
    bars : ``day``, ``open`` and ``close`` (CNY), ``volume`` and ``amount``, in the unit of their session; perhaps
        ``high`` and ``low``.
    """
    traded = ((bars["volume"] > 0) & (bars["amount"] > 0) & (bars["close"] > 0)).to_numpy()
    ratios = (bars["amount"] / (bars["volume"] * bars["close"])).where(traded)
    of_day = ratios.groupby(bars["day"])
    usual = of_day.transform("median")
    with np.errstate(divide="ignore", invalid="ignore"):
        off = np.abs(np.log((ratios / usual).to_numpy(np.float64)))
        rounded = (bars["amount"] / (bars["close"] * usual) - bars["volume"]).abs().to_numpy() <= LOT
        wide = np.abs(np.log((bars["open"] / bars["close"]).to_numpy(np.float64)))
    judged = (of_day.transform("count") >= _MANY).to_numpy()
    figures = {"close": bars["close"], "volume": bars["volume"], "turnover": bars["amount"]}
    alone = is_half({name: values.to_numpy(np.float64) for name, values in figures.items()})
    out = judged & traded & ((off > np.log(_OFF)) & ~rounded | (wide > np.log(_WIDE))) | alone
    return np.asarray(out | _beyond_range(bars))


def _beyond_range(bars: pd.DataFrame) -> Mask:
    """Return which bars have an open or a close above the high or below the low (n,), where these are known."""
    out = np.zeros(len(bars), dtype=bool)
    for name in ("open", "close"):
        if "high" in bars:
            out |= (bars[name] > bars["high"] * (1 + _ROUNDED)).to_numpy()
        if "low" in bars:
            out |= (bars[name] < bars["low"] * (1 - _ROUNDED)).to_numpy()
    return out


def lacking_bars(bars: pd.DataFrame, suspended: pd.DataFrame, ends: Ints, calendar: TradingCalendar) -> pd.Series:
    """Return which sessions of securities lack bars, by key and day: the sums of their volumes would be too small.

    Parameters
    ----------
    bars, ends : as of `bar_sessions`.
    suspended : ``key`` and ``day`` of bars without a price, which are not missing.
    """
    counts = bars[bars["minute"] > HALVES[0][0]].groupby(["key", "day"]).size()  # the opening auction may have a bar
    counts += suspended.groupby(["key", "day"]).size().reindex(counts.index, fill_value=0)
    days = counts.index.get_level_values("day")
    expected = days.map({day: len(_traded_ends(ends, day, calendar)) for day in days.unique()})
    many = bars.groupby("day")["key"].nunique().reindex(days).to_numpy() >= _MANY
    return (counts < expected) & many & bool(np.diff(ends)[0] >= _TRADED_MINUTES)


def _traded_ends(ends: Ints, day: int, calendar: TradingCalendar) -> Ints:
    """Return the ends of the bars in which a session trades: before its end, and not within the closing auction."""
    begins = ends - (ends[0] - HALVES[0][0])
    auction = (begins >= CLOSING_AUCTION) & (ends < HALVES[1][1])
    return np.asarray(ends[(begins < last_minute(day, calendar)) & ~auction])


def bar_sessions(bars: pd.DataFrame, ends: Ints, calendar: TradingCalendar, since: int) -> Iterator[Finding]:
    """Find what no bars of whole sessions have.

    Parameters
    ----------
    bars : ``key``, ``day``, ``minute`` (of the day, at which the bar ends), ``open`` and ``last`` (CNY), ``volume``
        (shares) and ``turnover`` (CNY) of the bar; by key and time.
    ends : the minutes of a session at which bars end, ascending.
    since : the first session that is judged, days since 1970-01-01.
    """
    yield from _missing_sessions(bars, calendar, since)
    bars = bars[bars["day"] >= since]
    yield from _in_other_units(bars)
    yield from _cumulative(bars, halves=len(ends) >= _BARS_OF_HALVES)
    yield from _repeated(bars, calendar)
    yield from _swapped(bars)
    if np.diff(ends)[0] >= _LONG_MINUTES:
        yield from _exchanged(bars)
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


def _cumulative(bars: pd.DataFrame, *, halves: bool) -> Iterator[Finding]:
    """Find sessions in which volume or turnover never falls from one bar to the next, or does at noon alone."""
    keys, days = bars["key"].to_numpy(), bars["day"].to_numpy()
    begins = np.r_[True, (keys[1:] != keys[:-1]) | (days[1:] != days[:-1])][: len(bars)]
    resets = np.r_[False, np.diff(bars["minute"].to_numpy() > HALVES[0][1])][: len(bars)] & halves
    starts = np.flatnonzero(begins)
    sizes = np.diff(np.r_[starts, len(bars)])
    for name in ("volume", "turnover"):
        values = bars[name].to_numpy()
        fell = np.r_[False, values[1:] < values[:-1]][: len(bars)] & ~begins & ~resets
        judged = (sizes >= _FEWEST_BARS) & (np.add.reduceat(values, starts) > 0)
        rises = pd.Series(~np.logical_or.reduceat(fell, starts)[judged]).groupby(days[starts[judged]])
        shares = rises.mean()[rises.size() >= _MANY]
        if len(wrong := shares[shares >= (_CUMULATIVE if halves else _CUMULATIVE_LONG)]):
            yield _error(
                wrong.index,
                f"{name} rises from bar to bar throughout the session in {wrong.iloc[0]:.0%} of the securities: it is "
                "cumulative, and must be that of the bar",
            )


def _repeated(bars: pd.DataFrame, calendar: TradingCalendar) -> Iterator[Finding]:
    """Find sessions in which securities have the volume and the turnover of the session before."""
    sums = bars.groupby(["key", "day"])[["volume", "turnover"]].sum()
    sums = sums[(sums > 0).all(axis=1)]
    days = sums.index.get_level_values("day")
    before = {day: calendar.before(day) for day in days.unique()}
    then = pd.MultiIndex.from_arrays([sums.index.get_level_values("key"), days.map(before)])
    counts = (sums.to_numpy() == sums.reindex(then).to_numpy()).all(axis=1)
    repeated = pd.Series(counts).groupby(days.to_numpy()).sum()
    if len(wrong := repeated[repeated > _FEW]):
        yield _error(
            wrong.index,
            f"volumes and turnovers of {wrong.iloc[0]} securities are those of the session before: they are of it",
        )


def _swapped(bars: pd.DataFrame) -> Iterator[Finding]:
    """Find sessions whose opens are farther from the close of the bar before than the closes are."""
    before = bars.groupby(["key", "day"])["last"].shift()
    moves = [(bars[name] / before - 1).abs().groupby(bars["day"]) for name in ("open", "last")]
    opens, closes = (one.mean() for one in moves)
    wrong = opens[(opens > closes) & (moves[0].count() >= _MANY)]
    if len(wrong):
        yield _error(wrong.index, "opens are farther from the close of the bar before than closes: are both swapped?")


def _exchanged(bars: pd.DataFrame) -> Iterator[Finding]:
    """Find sessions with bars that do not follow on those before: two moments are exchanged."""
    before = bars.groupby(["key", "day"])["last"].shift()
    moves = [(bars[name] / before - 1).abs().groupby([bars["day"], bars["minute"]]) for name in ("open", "last")]
    opens, closes = (one.mean() for one in moves)
    wrong = opens[(opens > _FOLLOWS * closes) & (moves[0].count() >= _MANY_FOLLOWING)]
    if len(wrong):
        days, minutes = (wrong.index.get_level_values(name) for name in ("day", "minute"))
        yield _error(
            days.unique(),
            f"opens of the bars that end at {minutes[0] // 60:02}:{minutes[0] % 60:02} are far from the closes of the "
            "bars before: are two moments exchanged?",
        )


def _missing_sessions(bars: pd.DataFrame, calendar: TradingCalendar, since: int) -> Iterator[Finding]:
    """Find sessions without a bar between others."""
    if bars["key"].nunique() < _MANY:
        return
    sessions = calendar.between(max(int(bars["day"].min()), since), int(bars["day"].max()))
    missing = np.setdiff1d(sessions, bars["day"].unique())
    if len(missing):
        yield _error(missing, "there is none, but of sessions before and after: add them")


def _missing_ends(bars: pd.DataFrame, ends: Ints, calendar: TradingCalendar) -> Iterator[Finding]:
    """Find sessions in which most securities have no bar that ends at some minute."""
    counts = bars.groupby(["day", "minute"]).size().unstack(fill_value=0).reindex(columns=ends, fill_value=0)
    known = bars.groupby("day")["key"].nunique()
    missing = counts.lt(known * _MISSING, axis=0) & (known >= _MANY).to_numpy()[:, np.newaxis]
    for day in missing.index:
        missing.loc[day, np.setdiff1d(ends, _traded_ends(ends, day, calendar))] = False
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
