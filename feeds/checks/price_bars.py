"""Figures of a row of prices that contradict each other: a close above the high, a close before that is the close, a
turnover that is a hundred times the volume at its price.

In 2016–2025 no row of the real prices here, of stocks or of indices, has such a bar, adjusted or not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd

from feeds.checks.findings import Finding, Severity
from feeds.checks.row_groups import count_in, day_groups, named
from processors.arrays import Floats, Ids, Mask
from processors.needs import PRICES

#: Prices may be rounded differently.
_ROUNDING = 0.005
#: A turnover is the volume at about the close; a unit is off by one of these factors, or its inverse. 千元 are off by
#: ten from 万元, adjusted prices of a single stock perhaps, too.
_NEAR, _FACTORS, _TENFOLD = 1.25, (1e2, 1e3, 1e4, 1e8), 1e1
_BAR = ("open", "high", "low", "close")
#: So many times the highest other price of its session no high is, nor a low the other way: 2.6 and 1.7 times was the
#: most in 2016–2021. A close of a first session was 12 times the price of the issue.
_FAR_HIGH, _FAR_BEFORE = 8.0, 50.0
#: In more rows than this share of a file they do not because of single cells.
FEW_BARS = 0.01
#: Times the close that hardly any high is, or low the other way; a stock without a price limit may.
_WIDE, _FEWEST_WIDE = 3.0, 5
#: So many traded securities of an exchange, and this share of them, never close where they closed; 10% was the most.
_MANY, _SHARE = 20, 0.9
#: Of the previous closes of a history; adjusted prices differ on one side alone.
_OTHERS, _SIDE = 0.5, 0.1
#: So far from 1, on both sides in such a share of the rows, are ratios of turnovers and volumes of other securities.
_APART, _OF_OTHERS = 2.0, 0.1
#: A volume below a lot (shares), and a turnover below this (CNY), may be 0 in lots and in 万元.
LOT, _ROUNDED = 100, 10_000.0
#: In 2016–2021 the ratio of turnover to volume × close was within 0.5 to 1.2 of its median in every row.
_ALIKE, _FAR = 0.7, 5.0


def contradicting_prices(figures: Mapping[str, Floats]) -> tuple[dict[int, str], dict[int, tuple[str, str]]]:
    """Return the rows whose prices contradict each other, with the reason; and the single prices that do, by name.

    Where the open, the high, the low or the close before alone contradicts all other prices, the row counts without it.

    Parameters
    ----------
    figures : the figures of rows (n,), NaN where one is absent.
    """
    if not set(_BAR) <= figures.keys():
        return {}, {}
    prices = np.array([figures[name] for name in _BAR])
    open_, high, low, close = prices
    top, bottom = high * (1 + _ROUNDING), low * (1 - _ROUNDING)
    wrong = (np.fmax(open_, close) > top) | (np.fmin(open_, close) < bottom) | (bottom > top)
    rows: dict[int, str] = {}
    cells: dict[int, tuple[str, str]] = {}
    for place in np.flatnonzero(wrong).tolist():
        bar = dict(zip(_BAR, prices[:, place].tolist(), strict=True))
        text = ", ".join(f"{name} {price:,.15g}" for name, price in bar.items())
        text += " contradict each other: correct the cell that is wrong"
        alone = [name for name in _BAR if _agree(bar | {name: np.nan})]
        if "open" in alone:
            cells[place] = "open", text
        elif alone in (["high"], ["low"]):
            cells[place] = alone[0], text
        else:
            rows[place] = text
    others = {"high": np.fmax(np.fmax(open_, low), close), "low": np.fmin(np.fmin(open_, high), close)}
    far = {name: _is_far(figures[name], beside, _FAR_HIGH) for name, beside in others.items()}
    if "prev_close" in figures:
        far["prev_close"] = _is_far(figures["prev_close"], close, _FAR_BEFORE)
    for name, mask in far.items():
        for place in np.flatnonzero(mask & ~wrong).tolist():
            text = f"{name} {figures[name][place]:,.15g} beside a close of {close[place]:,.15g}: correct the cell"
            cells.setdefault(place, (name, text))
    return rows, cells


def _is_far(prices: Floats, beside: Floats, times: float) -> Mask:
    return np.asarray((prices > times * beside) | (prices * times < beside))


def contradicting_trades(figures: Mapping[str, Floats]) -> dict[int, str]:
    """Return the rows whose turnover is not that of their volume at their close, with the reason.

    So is a turnover without a volume, or a volume without a turnover. A file in one unit has nearly the same ratio in
    most rows; adjusted prices, which have not, are not judged.

    Parameters
    ----------
    figures : the figures of rows (n,), NaN where one is absent.
    """
    if not {"close", "volume", "turnover"} <= figures.keys():
        return {}
    volume, turnover, close = figures["volume"], figures["turnover"], figures["close"]
    halves = {
        place: f"volume {volume[place]:,.15g} and turnover {turnover[place]:,.15g}: nothing is traded without both"
        for place in np.flatnonzero(is_half(figures)).tolist()
    }
    ratios = _turnover_ratios(close, volume, turnover)
    traded = ~np.isnan(ratios)
    if traded.sum() < _MANY:
        return halves
    usual = float(np.median(ratios[traded]))
    off = np.fmax(ratios / usual, usual / ratios)
    if (off[traded] < _NEAR).mean() < _ALIKE:
        return halves
    return halves | {
        place: f"turnover {turnover[place]:,.15g} is {ratios[place]:,.3g} times volume {volume[place]:,.15g} × close "
        f"{close[place]:,.15g}, and {usual:,.3g} times in most rows: correct the cell that is wrong"
        for place in np.flatnonzero(off > _FAR).tolist()
    }


def is_half(figures: Mapping[str, Floats]) -> Mask:
    """Return which rows have a volume without a turnover, or a turnover without a volume, that is no rounding (n,).

    Parameters
    ----------
    figures : close (CNY), volume (shares) and turnover (CNY) of rows (n,).
    """
    volume, turnover, close = figures["volume"], figures["turnover"], figures["close"]
    traded_for = np.fmax(turnover, volume * close)
    return np.asarray(((volume == 0) | (turnover == 0)) & (traded_for >= np.fmax(_ROUNDED, LOT * close)))


def _turnover_ratios(close: Floats, volume: Floats, turnover: Floats) -> Floats:
    """Return turnover over volume × close (n,), NaN where nothing was traded."""
    traded = (volume > 0) & (turnover > 0) & (close > 0)
    return np.asarray(np.divide(turnover, volume * close, out=np.full(len(close), np.nan), where=traded))


def _agree(bar: Mapping[str, float]) -> bool:
    """Whether prices, NaN where one is absent, are those of one session."""
    top, bottom = bar["high"] * (1 + _ROUNDING), bar["low"] * (1 - _ROUNDING)
    return not bottom > top and not any(bar[name] > top or bar[name] < bottom for name in ("open", "close"))


def prices_compared(frame: pd.DataFrame, topic: str, where: str) -> Iterator[Finding]:
    """Find columns of prices, volumes and turnovers that contradict each other in (nearly) every row.

    Parameters
    ----------
    frame : rows of a topic; previous closes that are copies are made absent in place.
    """
    if topic == "prices.daily":
        yield from _moves_without_trades(frame, where)
        yield from _closes_before_removed(frame, where)
        yield from _other_closes_before(frame, where)
        yield from _contradicting_volumes(frame, where)
        yield from _wide_bars(frame, where)


def _closes_before_removed(frame: pd.DataFrame, where: str) -> Iterator[Finding]:
    """Make previous closes absent that repeat the close of (nearly) every traded security of an exchange and day.

    Parameters
    ----------
    frame : rows of prices, changed in place.
    """
    if not {"close", "prev_close", "day"} <= set(frame.columns):
        return
    keys: Ids = frame["key"].to_numpy(np.int32)
    traded = frame["prev_close"].notna().to_numpy()
    if "volume" in frame:
        traded = traded & ~(frame["volume"].to_numpy() == 0)
    same = traded & (frame["close"] == frame["prev_close"]).to_numpy()
    places = day_groups(PRICES, keys, frame["day"].to_numpy())
    rows, equal = count_in(traded, places), count_in(same, places)
    copied = (rows >= _MANY) & (equal >= _SHARE * rows) & same
    if copied.any():
        frame.loc[copied, "prev_close"] = np.nan
        names = named(PRICES, keys[copied])
        text = f"{where}, prev_close: the close itself in nearly every row of {names}: the source does not have it"
        yield Finding(Severity.WARNING, "zeros", PRICES, None, f"{text}; it is absent")


def _other_closes_before(frame: pd.DataFrame, where: str) -> Iterator[Finding]:
    """Find histories whose previous closes are not the closes of the row before, some larger and some smaller."""
    if not {"close", "prev_close", "day"} <= set(frame.columns):
        return
    keys, days = frame["key"].to_numpy(), frame["day"].to_numpy()
    order = np.lexsort((days, keys))
    follows = np.flatnonzero((np.diff(keys[order]) == 0) & (np.diff(days[order]) > 0))
    then = frame["close"].to_numpy(np.float64)[order][follows]
    ratios = frame["prev_close"].to_numpy(np.float64)[order][follows + 1] / then
    ratios = ratios[ratios > 0]
    larger, smaller = int((ratios > 1 + _ROUNDING).sum()), int((ratios < 1 - _ROUNDING).sum())
    if len(ratios) >= _MANY and larger + smaller > _OTHERS * len(ratios) and min(larger, smaller) > _SIDE * len(ratios):
        text = (
            f"{where}: {larger + smaller:,} of {len(ratios):,} previous closes are not the closes of the row before: "
            "check that their column is not shifted against the dates, and that all prices are of one series"
        )
        yield Finding(Severity.ERROR, "columns", PRICES, None, text)


def _moves_without_trades(frame: pd.DataFrame, where: str) -> Iterator[Finding]:
    """Find exchanges whose prices move on a day without any volume and turnover: its source does not have them."""
    names = [name for name in ("volume", "turnover") if name in frame]
    if not names or not {"close", "prev_close", "day"} <= set(frame.columns):
        return
    traded = np.logical_or.reduce([frame[name].to_numpy() > 0 for name in names])
    moved = np.abs(frame["close"].to_numpy(np.float64) - frame["prev_close"].to_numpy(np.float64)) > 0
    moved &= np.logical_or.reduce([frame[name].to_numpy() == 0 for name in names])
    keys: Ids = frame["key"].to_numpy(np.int32)
    places = day_groups(PRICES, keys, frame["day"].to_numpy())
    wrong = (count_in(traded, places) == 0) & (count_in(moved, places) >= _MANY)
    if wrong.any():
        text = (
            f"{where}: {' and '.join(names)} of {named(PRICES, keys[wrong])} are 0 in every row, though prices move: "
        )
        text += "a placeholder; leave the columns out, or publish the real figures later"
        yield Finding(Severity.ERROR, "placeholder", PRICES, None, text)


def _contradicting_volumes(frame: pd.DataFrame, where: str) -> Iterator[Finding]:
    """Find a unit of volumes or turnovers that is wrong in many rows of a file, of whichever days.

    Adjusted prices change the ratio from row to row; a unit does not.
    """
    if not {"close", "volume", "turnover"} <= set(frame.columns):
        return
    ratios = _turnover_ratios(*(frame[name].to_numpy(np.float64) for name in ("close", "volume", "turnover")))
    known = ~np.isnan(ratios)
    ratios = ratios[known]
    if len(ratios) < _MANY:
        return
    # Adjusted prices are all of them larger than unadjusted ones, or smaller.
    sides = (ratios > _APART).mean(), (ratios < 1 / _APART).mean()
    if min(sides) > _OF_OTHERS and frame["key"][known].nunique() > 1:
        text = (
            f"{where}: turnover is more than {_APART:g} times volume × close in {sides[0]:.0%} of {len(ratios):,} rows "
            f"and less than 1/{_APART:g} in {sides[1]:.0%}: a column is shifted against the others, or of another day"
        )
        yield Finding(Severity.ERROR, "columns", PRICES, None, text)
    factors = (_TENFOLD, *_FACTORS) if frame["key"][known].nunique() >= _MANY else _FACTORS
    right = _is_near(ratios, 1.0)
    for factor in (*factors, *(1 / one for one in factors)):
        near = _is_near(ratios, factor)
        # A part of a file may be in another unit, such as the days from one on.
        beside = near if factor in (_TENFOLD, 1 / _TENFOLD) else near | right
        if near.sum() > max(_FEWEST_WIDE, FEW_BARS * len(ratios)) and beside.mean() >= _SHARE:
            text = (
                f"{where}: turnover is about {factor:g} times volume × close in {near.sum():,} of {len(ratios):,} "
                "rows: check the units of these columns"
            )
            yield Finding(Severity.ERROR, "unit", PRICES, None, text)


def _is_near(ratios: Floats, factor: float) -> Mask:
    """Return which ratios are about a factor (n,)."""
    return np.asarray((ratios < factor * _NEAR) & (ratios > factor / _NEAR))


def _wide_bars(frame: pd.DataFrame, where: str) -> Iterator[Finding]:
    """Find prices in another unit than the closes, or of other securities, in more rows than single cells are wrong."""
    for name in sorted({"open", "high", "low", "prev_close"} & set(frame.columns)) if "close" in frame else ():
        close, price = frame["close"].to_numpy(np.float64), frame[name].to_numpy(np.float64)
        far = (price > _WIDE * close) | (price * _WIDE < close)
        if far.sum() > max(_FEWEST_WIDE, FEW_BARS * len(frame)):
            text = (
                f"{where}: {name} is more than {_WIDE:g} times the close, or less than 1/{_WIDE:g}, in {far.sum()} of "
                f"{len(frame):,} rows: check their units, and that no column is shifted against the others"
            )
            yield Finding(Severity.ERROR, "unit", PRICES, None, text)
