"""Checks of the figures of a day before they are published.

An error stops publishing (a wrong unit, a duplicate security, an impossible figure), a warning is reported. Nothing is
repaired and no unit is guessed: the finding names a column that is 1e4 or 1e8 off, and the likely cause.

Tolerances of sums: balances 2%, buys 0.1%. In the published figures of 2018–2021 the buys of the detail sum to the
totals within 0.015%, Shanghai's balances within 1.2% and Shenzhen's within 4.5%, because securities removed from the
list stay in the totals. A deviating balance is therefore a warning.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pandas as pd

from feeds.checks.compared_day import ComparedDay
from feeds.checks.findings import Finding, Severity, names_of
from feeds.checks.row_groups import figure_of, is_bounded, masks_of
from processors.arrays import Floats, Ids
from processors.codes import EXCHANGES, exchange_of, isin_sorted
from processors.days import to_date
from processors.events import FIGURES, RowBatch, Sign
from processors.needs import COLLATERAL, DETAIL, PRICES, TOTALS
from processors.row_rules import impossible

#: Relative deviation of a detail's sum from the published total: a warning from the first, an error from the second.
SUMS: dict[str, tuple[float, float]] = {"fin_balance": (0.02, 0.20), "fin_buy": (0.001, 0.01)}
#: The same of the other figures: 1.3% at most in 2016–2025.
_OTHER_SUMS = (0.02, 0.20)
#: CNY and shares, the step of totals in 亿元 and 亿股, to which Shenzhen rounds: a tenth of its buys in early 2010.
_STEP_OF_TOTALS = 1e6
#: A row that was refused had at most so many times the largest figure of the others: in 2016–2021 the largest buys of a
#: day were up to 6.8 times the second largest.
_LARGEST = 10.0
#: Factors by which a column in a wrong unit is off: 万, 百万, 亿; and 手, 千 if many securities, or indices, agree.
_CERTAIN, _AGREED, _AGREEING, _AGREEING_INDICES = (1e4, 1e6, 1e8), (1e2, 1e3), 20, 3
#: How near a factor must be, as a ratio either way.
_NEAR = 3.0
#: A lost digit, if the securities of a list agree within this. From one session to the next no figure of Shanghai or
#: Shenzhen changed more than 6.1-fold in 2016–2025 (turnover rates after the fall of 2020-02-03).
_TEN, _NEAR_TEN, _LIST = (10.0,), 1.5, 100
_USUAL = min(_TEN) / _NEAR_TEN  # a ratio nearer to 1 is that of no wrong unit
_EXCHANGE_JUMP, _SECURITY_JUMP, _SECURITY_LEAST_CNY = 0.10, 10.0, 1e7
_PRICE_JUMP = {"prices.daily": 0.45, "indices.daily": 0.15}
#: Topic → figures whose products have a known ratio, and its range: shares cost their price (0.96 to 1.05), some
#: hundredths of a balance are bought a day (0.009 to 0.22; all on the first day) and repaid (0.76 to 2.4 of the buys),
#: of lent shares 0.007 to 0.52 are sold, as many come back (0.3 to 7.2), 0.002 to 0.1 of all accounts are lent.
#: Ranges of Beijing are 20 times as wide. The first of a topic are never 0.
_RATIOS: dict[str, tuple[tuple[tuple[str, ...], tuple[str, ...], float, float], ...]] = {
    "prices.daily": ((("turnover",), ("volume", "close"), 1 / 7, 7),),
    "margin.daily": (
        (("fin_buy",), ("fin_balance",), 2e-3, 3.0),
        (("fin_repay",), ("fin_buy",), 0.05, 20),
        (("short_sell",), ("short_volume",), 1.5e-3, 2.5),
        (("short_repay",), ("short_sell",), 0.1, 25),
    ),
    "margin.market": ((("fin_buy",), ("fin_balance",), 1e-4, 1.5), (("fin_repay",), ("fin_buy",), 1e-3, 1e3)),
    COLLATERAL: ((("fin_buy",), ("fin_balance",), 3e-3, 1.0), (("short_balance",), ("fin_balance",), 3e-4, 0.5)),
}
_WIDER, _MAIN = 20.0, ("SSE", "SZSE", COLLATERAL)
#: More refused rows than this, and than this share of a table, are an error: the file is not what it seems to be.
TOO_MANY_ROWS, TOO_MANY_SHARE = 5, 0.05
#: So many equal figures, or digits in them, are no chance: in 2016–2025 no two margin rows of a day have one digit more
#: than seven in common, whether their figures are in 元, rounded to 万元, or to a million as on Shenzhen's page.
_TWIN_FIGURES, _TWIN_DIGITS, _MOST_DIGITS = 3, 8, 16
_OUT_OF_RANGE = {
    Sign.POSITIVE: "not positive",
    Sign.NOT_NEGATIVE: "negative",
    Sign.ONE_TO_TEN: "not from 1 to 10",
    Sign.ANY: "out of range",
}


def validate(day: ComparedDay) -> list[Finding]:
    """Check the rows of one day against each other and against the day before."""
    found: list[Finding] = []
    for topic, batch in day.rows.items():
        found += [*impossible_figures(batch), *placeholders(batch), *twins(batch)]
        if topic in day.before:
            follows = topic in day.last and len(day.last[topic]) == len(day.before[topic])
            found += wrong_unit(batch, day.before[topic], follows=follows)
            found += emptied(batch, day.before[topic])
        if topic in day.last:
            last = day.last[topic]
            found += [*jumps(batch, last), *missing(day.listed(topic), last)]
    if {DETAIL, TOTALS} <= day.whole.keys() and {DETAIL, TOTALS} & day.rows.keys():
        found += sums(day.whole[DETAIL], day.whole[TOTALS], day.refused_of(DETAIL))
    compared = {f.topic for f in found if f.check in ("unit", "placeholder")}
    found += [f for topic in day.rows.keys() - compared for f in contradicting_units(day.rows[topic])]
    return found


def impossible_figures(batch: RowBatch) -> Iterator[Finding]:
    """Find impossible figures: absent though required, out of range, not finite."""
    for column in FIGURES[batch.topic]:
        values = batch.figures[column.name]
        wrong, absent, infinite = impossible(column, values), np.isnan(values), np.isinf(values)
        out_of_range = "neither 0 nor 1" if column.flag else _OUT_OF_RANGE[column.sign]
        cases = {"absent": absent, "not finite": infinite, out_of_range: ~absent & ~infinite}
        for word, case in cases.items():
            rows = wrong & case
            if rows.any():
                named = names_of(batch, batch.keys[rows])
                text = f"{column.name} is {word} in {rows.sum()} of {len(batch)} rows: {named}"
                yield _finding(batch, "figure", text)


def twins(batch: RowBatch) -> Iterator[Finding]:
    """Find codes with identical figures: one security under its old and its new code, or a shifted file.

    Rows with few figures besides 0, and few digits in them, or prices without any trade, may well be equal by chance.
    """
    if batch.topic not in (DETAIL, PRICES):
        return
    names = [c.name for c in FIGURES[batch.topic] if not c.labels and not c.flag]
    rows = np.nan_to_num(np.column_stack([batch.figures[name] for name in names]))
    # Rows themselves are slow to compare.
    same = np.flatnonzero(pd.Series(_hashes(rows)).duplicated(keep=False))
    filled = (rows[same] != 0).sum(axis=1) >= _TWIN_FIGURES
    if batch.topic == DETAIL:
        filled |= digits(rows[same]).sum(axis=1) >= _TWIN_DIGITS
    else:
        filled &= np.nan_to_num(batch.figures["volume"][same]) + np.nan_to_num(batch.figures["turnover"][same]) > 0
    same = same[filled]
    _, number, counts = np.unique(rows[same], axis=0, return_inverse=True, return_counts=True)
    same = same[counts[number] > 1]
    if len(same):
        text = f"{len(same)} codes have the figures of another one: {names_of(batch, batch.keys[same])}"
        yield _finding(batch, "twins", f"{text}; is a code listed beside its successor?", Severity.WARNING)


def digits(figures: Floats) -> Floats:
    """Return the number of digits of whole figures, without the zeros at their end: 3 of 20,400."""
    whole = np.abs(np.round(figures))
    digits = np.where(whole > 0, np.floor(np.log10(np.maximum(whole, 1.0))) + 1, 0.0)
    for places in range(1, _MOST_DIGITS):
        digits -= (whole > 0) & (whole % 10.0**places == 0)
    return digits


def _hashes(rows: Floats) -> npt.NDArray[np.uint64]:
    """Return a hash of each row (n,); equal rows have equal ones."""
    out = np.zeros(len(rows), dtype=np.uint64)
    for column in (rows + 0.0).view(np.uint64).T:  # −0 is 0
        out = (out ^ column ^ (column >> np.uint64(32))) * np.uint64(0x9E3779B97F4A7C15)
    return out


def placeholders(batch: RowBatch) -> Iterator[Finding]:
    """Find exchanges whose figures are all zero or absent: placeholders for "no data"."""
    if not batch.topic.startswith("margin."):
        return
    nothing = np.ones(len(batch), dtype=bool)
    for values in batch.figures.values():
        nothing &= np.isnan(values) | (values == 0)
    for name, mask in masks_of(batch):
        if nothing[mask].all():
            yield _finding(
                batch,
                "placeholder",
                f"every figure of {name} is 0 or absent: a placeholder; publish the real figures later",
            )


def contradicting_units(batch: RowBatch) -> Iterator[Finding]:
    """Find columns whose unit contradicts that of another column of the same rows.

    The ratio is the median over the keys of an exchange, without zeros. Zeros alone beside another figure are
    placeholders: there is no trade without turnover.
    """
    enough = 1 if batch.topic in (TOTALS, COLLATERAL) else _AGREEING
    for place, (upper, lower, least, most) in enumerate(_RATIOS.get(batch.topic, ())):
        if not is_bounded(upper[0], lower[0], int(batch.days[0])):
            continue
        over, under = (np.prod([batch.figures[name] for name in names], axis=0) for names in (upper, lower))
        for name, mask in masks_of(batch):
            for names, values, beside in ((upper, over, under), (lower, under, over)):
                counted = mask & (beside > 0)
                if place == 0 and np.count_nonzero(counted) >= enough and not values[counted].any():
                    text = (
                        f"{names[0]} of {name} is 0 in all {counted.sum()} rows, other figures are not: a placeholder"
                    )
                    yield _finding(batch, "placeholder", f"{text}; publish the real figures later")
            ratios = _ratios(over[mask], under[mask])
            wider = 1.0 if name in _MAIN else _WIDER
            if len(ratios) >= enough and not least / wider < (middle := float(np.median(ratios))) < most * wider:
                text = (
                    f"{' × '.join(upper)} of {name} is {middle:,.4g} times {' × '.join(lower)} (median of "
                    f"{len(ratios)}), expected {least / wider:.2g} to {most * wider:g}: check the units and the order "
                    "of these columns, and whether prices are unadjusted"
                )
                yield _finding(batch, "unit", text)


def beside(batch: RowBatch, previous: RowBatch) -> Iterator[tuple[str, str, Ids, Floats, Floats, int]]:
    """Yield what both days have: exchange, figure, keys (n,), both values of each (n,), newest day of the others."""
    order = np.argsort(previous.keys, kind="stable")
    found = isin_sorted(batch.keys, previous.keys[order])
    for name, mask in masks_of(batch):
        rows = np.flatnonzero(mask & found)
        places = order[np.searchsorted(previous.keys, batch.keys[rows], sorter=order)]
        for column in FIGURES[batch.topic]:
            if column.labels or column.flag or column.date or not len(rows):
                continue
            now, before = batch.figures[column.name][rows], previous.figures[column.name][places]
            yield name, column.name, batch.keys[rows], now, before, int(previous.days[places].max())


def emptied(batch: RowBatch, previous: RowBatch) -> Iterator[Finding]:
    """Find columns of zeros, or of nothing, whose figures were mostly others on the day before.

    A total of short selling may well be 0: nothing was sold short in Shenzhen on six days of early 2016.
    """
    for name, figure, _, now, before, then in beside(batch, previous):
        least = 1 if batch.topic == TOTALS and figure in SUMS else _AGREEING
        lost = np.count_nonzero((now == 0) & (before > 0))
        if len(now) >= least and 2 * lost > len(now) and not np.nan_to_num(now).any():
            text = (
                f"{figure} of {name} is 0 in all {len(now)} rows, and was not in {lost} of them on {to_date(then)}: "
                "a placeholder; leave an optional column out, or publish the real figures later"
            )
            yield _finding(batch, "placeholder", text)
        elif len(now) >= least and np.isnan(now).all() and 2 * np.count_nonzero(~np.isnan(before)) > len(now):
            text = f"{figure} of {name} is absent in all {len(now)} rows, and was not on {to_date(then)}"
            yield _finding(batch, "absent", f"{text}: does the file lack its column?", Severity.WARNING)


def wrong_unit(batch: RowBatch, previous: RowBatch, *, follows: bool) -> Iterator[Finding]:
    """Find columns that are 1e4, 1e6 or 1e8 times those of the day before; 10, 100 or 1000 times, if many keys agree.

    The ratio is the median over the keys of both days, by exchange, without zeros.

    Parameters
    ----------
    follows : whether ``previous`` is of the session before.
    """
    for name, figure, _, now, before, then in beside(batch, previous):
        ratios = _ratios(now, before)
        if 2 * np.count_nonzero((ratios > 1 / _USUAL) & (ratios < _USUAL)) > len(ratios) or not len(ratios):
            continue  # so is the median
        agreeing = _AGREEING_INDICES if batch.topic == "indices.daily" else _AGREEING
        factors = (*_CERTAIN, *_AGREED) if len(ratios) >= agreeing else _CERTAIN
        middle = float(np.median(ratios))
        factor = _unit_factor(middle, factors)
        if factor is None and follows and name in EXCHANGES[:2] and len(ratios) >= _LIST:
            factor = _unit_factor(middle, _TEN, _NEAR_TEN)
        if factor is not None:
            text = (
                f"{figure} of {name} is {middle:,.4g} times that of {to_date(then)} (median of {len(ratios)}), "
                f"a step of about {factor:g}: check the unit of the file, and the order of its columns"
            )
            yield _finding(batch, "unit", text)


def sums(detail: RowBatch, totals: RowBatch, refused: Ids) -> Iterator[Finding]:
    """Compare the published totals with the sum of the detail, by exchange.

    A sum without rows that were refused is too low by their figures: that is a warning, because no sum over the
    exchange is computed on such a day. A sum that they can't explain remains an error.

    Parameters
    ----------
    refused : the keys of the detail's rows that were left out.
    """
    places = exchange_of(detail.keys)
    for row, place in enumerate(totals.keys.tolist()):
        mask, lacked = places == place, refused[exchange_of(refused) == place]
        if not mask.any():
            continue
        for column in FIGURES[DETAIL]:
            parts, total = detail.figures[column.name][mask], float(totals.figures[column.name][row])
            in_steps = abs(total - np.rint(total / _STEP_OF_TOTALS) * _STEP_OF_TOTALS) < 1
            rounded = (in_steps or column.name not in SUMS) and abs(parts.sum() - total) <= _STEP_OF_TOTALS
            if np.isnan(parts).any() or np.isnan(total) or rounded or (total == 0 and column.name in SUMS):
                continue
            ratio = float(parts.sum()) / total if total else math.inf
            compared = (
                f"{column.name} of {EXCHANGES[place]} sums to {parts.sum():,.0f}, the published total is {total:,.0f}"
            )
            warned, wrong = SUMS.get(column.name, _OTHER_SUMS)
            if _unit_factor(ratio, _CERTAIN) is not None:
                yield _finding(detail, "unit", f"{compared}: {ratio:,.4g} times; check the units of both files")
            elif abs(ratio - 1) > warned:
                severity = Severity.ERROR if abs(ratio - 1) > wrong else Severity.WARNING
                remedy = "check that the file is complete, and the columns and units of both"
                if len(lacked) and parts.sum() < total < parts.sum() + len(lacked) * _LARGEST * parts.max():
                    severity = Severity.WARNING
                    remedy = f"refused rows are not in the sum: {names_of(detail, lacked)}"
                text = f"{compared} ({ratio - 1:+.3%}, up to {warned:.1%} is usual): {remedy}"
                yield _finding(detail, "sum", text, severity)


def jumps(batch: RowBatch, previous: RowBatch) -> Iterator[Finding]:
    """Find changes from one session to the next that hardly occur in a market."""
    if batch.topic.startswith("margin."):
        for name, mask in masks_of(batch):
            part = batch.take(mask)
            earlier = figure_of(previous, "fin_balance", part.keys)
            both = ~np.isnan(earlier) & ~np.isnan(part.figures["fin_balance"])
            now, then = part.figures["fin_balance"][both], earlier[both]
            if then.sum() > 0 and abs(now.sum() / then.sum() - 1) > _EXCHANGE_JUMP:
                text = f"fin_balance of {name} changed by {now.sum() / then.sum() - 1:+.1%} in a day"
                yield _finding(batch, "jump", text, Severity.WARNING)
            many = (np.maximum(now, then) > _SECURITY_LEAST_CNY) & (then > 0) & (now > 0)
            many &= np.maximum(now, then) > _SECURITY_JUMP * np.minimum(now, then)
            if many.any():
                keys = part.keys[both][many]
                text = f"fin_balance of {len(keys)} changed more than {_SECURITY_JUMP:g}-fold: {names_of(batch, keys)}"
                yield _finding(batch, "jump", text, Severity.WARNING)
    elif batch.topic in _PRICE_JUMP:
        close = batch.figures["close"]
        reference = batch.figures["prev_close"]
        reference = np.where(np.isnan(reference), figure_of(previous, "close", batch.keys), reference)
        with np.errstate(divide="ignore", invalid="ignore"):
            far = np.abs(close / reference - 1) > _PRICE_JUMP[batch.topic]
        if far.any():
            text = f"close moved by more than {_PRICE_JUMP[batch.topic]:.0%}: {names_of(batch, batch.keys[far])}"
            yield _finding(batch, "jump", text, Severity.WARNING)


def missing(batch: RowBatch, previous: RowBatch) -> Iterator[Finding]:
    """Find keys of the session before that have no row: removed from the list, or missing from the file."""
    if batch.topic == "reference":
        return
    gone = np.unique(previous.keys[~isin_sorted(previous.keys, np.sort(batch.keys))])
    if len(gone):
        text = f"{len(gone)} of the {len(previous)} keys of the day before are missing: {names_of(batch, gone)}"
        yield _finding(batch, "missing", text, Severity.WARNING)


def _ratios(now: Floats, then: Floats) -> Floats:
    both = (now > 0) & (then > 0) & np.isfinite(now) & np.isfinite(then)
    return np.asarray(now[both] / then[both])


def _unit_factor(ratio: float, factors: tuple[float, ...], near: float = _NEAR) -> float | None:
    """Return the factor, or its inverse, that a ratio is near to; None for an ordinary ratio."""
    if not ratio > 0 or math.isinf(ratio):
        return None
    for factor in factors:
        for candidate in (factor, 1 / factor):
            if max(ratio / candidate, candidate / ratio) < near:
                return candidate
    return None


def _finding(batch: RowBatch, check: str, text: str, severity: Severity = Severity.ERROR) -> Finding:
    return Finding(severity, check, batch.topic, int(batch.days[0]), text)
