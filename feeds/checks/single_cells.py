"""Single cells of margin figures that other figures contradict: a balance 1e4 off, a buy larger than what was traded.

Where the published totals are known, the sums of a detail show a wrong cell; on a day without them, and for a small
security, only what surrounds the cell does:

- balance = previous balance + buys − repayments, exact in Shanghai (2016–2021: in 92% of 858,000 rows; in no other row
  would it hold with one figure a power of ten larger or smaller, or does it miss by the balance itself). Shenzhen
  publishes no repayments; they are what is left, never less than −2% of a balance.
- what was bought on margin or sold short was traded (at most 0.82 and 0.53 of it), and a balance is below the float cap
  (at most 0.39 of it), where the prices of the day are known.
- no security has the sums of all others of its exchange, in any of its figures.
- the value of lent shares is their number at about the close (0.97 to 1.04 times).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from feeds.checks.compared_day import ComparedDay
from feeds.checks.findings import Finding, Severity, key_text, names_of
from feeds.checks.row_groups import figure_of, masks_of, over
from processors.arrays import Floats, Mask
from processors.days import to_date
from processors.events import RowBatch
from processors.kinds import is_fund, is_stock
from processors.needs import DETAIL, PRICES, TOTALS

CHECK = "cell"
#: Factors of a unit or of a lost decimal point; of lent shares those alone that no rounding to lots resembles.
_POWERS = tuple(10.0**power for power in (2, 3, 4, 6, 8, -2, -3, -4, -6, -8))
_POWERS_OF_SHARES = (1e4, 1e8, 1e-4, 1e-8)
#: A figure and its factor fit an identity within this share of it; a smaller break than this is no wrong cell, and so
#: small a figure might as well be 0.
_FITS, _LEAST, _CENTS = 1e-3, 1e5, 100.0
#: A break of shares that is no odd lot. Two columns are swapped that explain most of the breaks to the CNY or share.
_LEAST_SHARES, _EXACT, _MOST_BROKEN = 1e3, 1.0, 0.5
#: A break of this share of a balance, of at least so many CNY, is no other broker's correction.
_GROSS, _GROSS_LEAST = 0.9, 1e6
#: Repayments below −5% of a balance, and below the rounding of three figures in million CNY.
_NEGATIVE, _ROUNDING = 0.05, 2e6
#: Of the previous balance, funds apart: repayments above the first, of which less than the second is left. In 2016–2021
#: and early 2025 no row of Shanghai with 10 million CNY had both; a balance and a repayment that change places have.
_REPAID, _LEFT, _REPAID_LEAST = 0.9, 0.5, 1e7
#: Nearly all of a balance does not go in a day without repayments.
_GONE, _GONE_LEAST = 1e-3, 1e7
#: A part is no larger than the whole, within a rounding.
_PART = 1.02
#: Buys over the balance of a stock: at most 7.3 times; a fund may be bought and repaid within a day.
_BUYS, _BUYS_LEAST = 20.0, 1e7
#: CNY; a tenth of the balances of an exchange. The largest one of a stock was 3e10.
_BALANCE = 3e11
#: How far the value of a lent share may be from the close, as a ratio either way; of how many CNY.
_VALUE, _VALUE_LEAST = 3.0, 1e5
#: CNY a share, without prices of the day.
_VALUES = (0.05, 1e4)
#: So many rows of an exchange have a sum, within the rounding of figures in other units.
_SUMMED, _SUM_ROUNDING = 5, 1e-6
#: Buys that fall to less than this share of those of the session before; in 2016–2021 24 rows did.
_FALL, _FALL_LEAST = 10**-3.3, 1e7


def single_cells(day: ComparedDay) -> Iterator[Finding]:
    """Find rows of margin figures that contradict themselves, the session before, or the prices of the day."""
    for topic in (DETAIL, TOTALS):
        if topic in day.rows and topic in day.last:
            yield from _beside_the_session_before(day.rows[topic], day.last[topic])
    if DETAIL in day.rows:
        yield from _alone(day.rows[DETAIL])
        yield from _sums(day.rows[DETAIL])
    if DETAIL in day.whole and PRICES in day.whole and {DETAIL, PRICES} & day.rows.keys():
        yield from _beside_prices(day.whole[DETAIL], day.whole[PRICES])


def _beside_the_session_before(batch: RowBatch, last: RowBatch) -> Iterator[Finding]:
    now, when = batch.figures, to_date(int(last.days.max()))
    for balance, more, less, powers, least in (
        ("fin_balance", "fin_buy", "fin_repay", _POWERS, _LEAST),
        ("short_volume", "short_sell", "short_repay", _POWERS_OF_SHARES, _LEAST_SHARES),
    ):
        if not {balance, more, less} <= now.keys():
            continue
        before = figure_of(last, balance, batch.keys)
        gap = before + now[more] - now[less] - now[balance]
        reported = np.zeros(len(batch), dtype=bool)
        equation = f"{balance} = that of {when} + {more} − {less}"
        for name, sign in ((balance, -1.0), (more, 1.0), (less, -1.0)):
            for power in powers:
                right = now[name] * power
                fits = np.abs(gap + sign * (right - now[name])) <= _FITS * right
                fits &= (np.abs(gap) > _LEAST) & (right > _CENTS) & ~reported
                if fits.any():
                    reported |= fits
                    yield _finding(batch, fits, name, f"{equation} is true if it is {power:g} times as large")
        places = (np.abs(gap) > least) & (np.abs(before - now[more] + now[less] - now[balance]) <= _EXACT)
        if places.sum() > _MOST_BROKEN * (np.abs(gap) > least).sum():
            yield _finding(batch, places, more, f"{equation} is true if both change places")
            reported |= places
        if balance != "fin_balance":
            continue
        swapped = ~is_fund(batch.keys) & (before > _REPAID_LEAST) & (now[less] > _REPAID * before)
        swapped &= (now[balance] < _LEFT * before) & (now[balance] > 0)
        yield from _found(
            batch, swapped & ~reported, balance, f"{less} is nearly that of {when}: {balance} and {less} change places"
        )
        larger = np.fmax(before, now[balance])
        # A balance of 0 is that of a list that lacks the security for a day.
        gross = (np.abs(gap) > _GROSS * larger) & (larger > _GROSS_LEAST) & (now[balance] > 0) & (before > 0)
        yield from _found(batch, gross & ~reported, balance, f"{equation} is not true by far")
        repaid = np.where(np.isnan(now[less]), before + now[more] - now[balance], np.nan)
        text = f"previous balance + buys − balance, which is what was repaid since {when}, is negative"
        yield from _found(batch, repaid < -(_NEGATIVE * larger + _ROUNDING), balance, text)
        gone = ~np.isnan(repaid) & (now[balance] < _GONE * before) & (before > _GONE_LEAST) & (now[balance] > 0)
        yield from _found(batch, gone, balance, f"less than {_GONE:g} of that of {when} is left")
        fell = ~np.isnan(repaid) & (now[more] > 0)
        then = figure_of(last, more, batch.keys)
        fell &= (then > _FALL_LEAST) & (now[more] < _FALL * then)
        yield from _found(batch, fell, more, f"less than {_FALL:.1g} of that of {when}", Severity.WARNING)


def _alone(batch: RowBatch) -> Iterator[Finding]:
    figures, stocks = batch.figures, is_stock(batch.keys)
    buys, balance = figures["fin_buy"], figures["fin_balance"]
    yield from _found(
        batch, stocks & np.isfinite(balance) & (balance > _BALANCE), "fin_balance", "no stock has had such a balance"
    )
    large = stocks & np.isfinite(buys) & (buys > _BUYS_LEAST) & (buys > _BUYS * balance) & (balance > 0)
    yield from _found(batch, large, "fin_buy", f"more than {_BUYS:g} times the balance")
    if {"short_balance", "short_volume"} <= figures.keys():
        value = _share_value(batch)
        wrong = (value < _VALUES[0]) | (value > _VALUES[1])
        yield from _found(batch, wrong, "short_balance", "short_balance / short_volume is the price of no share")


def _sums(batch: RowBatch) -> Iterator[Finding]:
    """Find rows that are the sums of all others of their exchange: totals under a number that is no security's."""
    for _, mask in masks_of(batch):
        if mask.sum() < _SUMMED:
            continue
        equal = mask.copy()
        for name in ("fin_balance", "fin_buy"):
            values = np.where(mask & np.isfinite(batch.figures[name]), batch.figures[name], 0.0)
            equal &= (values > 0) & (np.abs(2 * values - values.sum()) <= _EXACT + _SUM_ROUNDING * values)
        yield from _found(batch, equal, "fin_balance", "the sum of all others, as is fin_buy: a total is no security")


def _beside_prices(detail: RowBatch, prices: RowBatch) -> Iterator[Finding]:
    of = {name: figure_of(prices, name, detail.keys) for name in prices.figures}
    absent = np.full(len(detail), np.nan)
    turnover, volume = of.get("turnover", absent), of.get("volume", absent)
    close, shares = of["close"], of.get("float_shares", absent)
    figures = detail.figures
    for name, whole, words in (
        ("fin_buy", turnover, "the turnover of the security"),
        ("short_sell", volume, "the volume of the security"),
        ("fin_balance", close * shares, "the float cap of the security"),
        ("short_volume", shares, "the float shares of the security"),
    ):
        if name in figures:
            larger = (whole > 0) & (figures[name] > _PART * whole)
            yield from _found(detail, larger, name, f"more than {words}, which may be the wrong one")
    if {"short_balance", "short_volume"} <= figures.keys():
        ratio = _share_value(detail) / close
        far = (ratio > _VALUE) | (ratio < 1 / _VALUE)
        yield from _found(detail, far, "short_balance", "not the close times short_volume, of which one is wrong")


def _share_value(batch: RowBatch) -> Floats:
    """Return the value of a lent share (n,), NaN where none is lent or the value may be rounded."""
    value, volume = batch.figures["short_balance"], batch.figures["short_volume"]
    return np.where(np.fmax(value, volume) > _VALUE_LEAST, over(value, volume), np.nan)


def _found(
    batch: RowBatch, wrong: Mask, name: str, text: str, severity: Severity = Severity.ERROR
) -> Iterator[Finding]:
    if wrong.any():
        yield _finding(batch, wrong, name, text, severity)


def _finding(batch: RowBatch, wrong: Mask, name: str, text: str, severity: Severity = Severity.ERROR) -> Finding:
    rows = np.flatnonzero(wrong)
    first = key_text(batch.topic, int(batch.keys[rows[0]]))
    more = f" (and of {len(rows) - 1} more: {names_of(batch, batch.keys[rows[1:]])})" if len(rows) > 1 else ""
    text = f"{name} of {first} is {batch.figures[name][rows[0]]:,.15g}{more}: {text}: correct the cell that is wrong"
    return Finding(severity, CHECK, batch.topic, int(batch.days[0]), text)
