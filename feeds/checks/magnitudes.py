"""Figures of a size, or of a change in a day, that no market has had: a wrong unit, a lost decimal point, a lost digit.

`feeds.checks.validate` compares many keys with the day before, and columns with each other. A file whose columns are
all 1e3 or 1e4 off agrees with itself, and what has one key alone (a total, the turnover of an exchange, a yield) agrees
with nothing: their figures are compared with those of 2011–2026.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date

import numpy as np

from feeds.checks.compared_day import ComparedDay
from feeds.checks.findings import Finding, Severity, key_text, names_of
from feeds.checks.row_groups import figure_of, group_names, groups_of, over
from processors.arrays import Floats, Ids, Mask
from processors.block import FLOAT_CAP_INDEX, TURNOVER_INDEX
from processors.codes import EXCHANGES
from processors.days import to_day
from processors.events import KEYS, RowBatch
from processors.kinds import is_fund, is_stock
from processors.needs import COLLATERAL, INDICES

_Range = tuple[float, float]

#: Topic → figure → the least and largest median of the stocks, or the funds, of an exchange; in 2016–2025 it was 1.8e8
#: to 9.4e8 CNY of balance, 1.6e7 to 2.2e8 CNY of turnover, 5 to 20 CNY a share, 7.4e7 to 2.9e8 shares of an ETF of
#: Shanghai (listed shares of Shenzhen's LOFs are fewer), in 2016–2021 a PE of 28 to 83 and a PB of 2.0 to 5.7.
_MEDIANS: dict[str, dict[str, _Range]] = {
    "margin.daily": {"fin_balance": (1e5, 1e11)},
    "prices.daily": {"turnover": (3e5, 1e10), "close": (1.0, 300.0)},
    "valuations.daily": {
        "float_cap": (3e7, 1e12),
        "turnover_rate": (3e-4, 0.5),
        "dividend_yield": (1e-3, 0.05),
        "pe_ttm": (8.0, 300.0),
        "pb": (0.8, 20.0),
    },
    "etf.daily": {"shares": (1e5, 1e11)},
}
_STOCKS, _FUNDS = 100, 20
#: The least and largest median of the indices of a publisher. In 2011–2025 levels were 460 to 33,400, PEs of indices
#: of the market 6.9 to 137, PBs 1 to 15, dividend yields 0.3% to 4.6%, turnover rates 0.06% to 10%.
_OF_INDICES: dict[str, _Range] = {
    "close": (50.0, 1e5),
    "pe_ttm": (1.0, 1_000.0),
    "pb": (0.2, 50.0),
    "dividend_yield": (5e-4, 0.2),
    "turnover_rate": (1e-4, 0.5),
}
#: Zeros in so many indices are placeholders, not the losses of an industry.
_INDICES = 3
#: The same of nearly all of them: 万元 beside 元 in a part of a file leave the median as it is. In 2016–2021 at most
#: 0.6% of the stocks of Shanghai and Shenzhen were outside. Beijing's are smaller, and some hardly trade; stocks that
#: became eligible today begin with balances of any size.
_OF_NEARLY_ALL: dict[str, dict[str, _Range]] = {
    "margin.daily": {"fin_balance": (1e5, 1e11)},
    "prices.daily": {"turnover": (1e5, 2e11), "close": (0.3, 5e3)},
    "valuations.daily": {"float_cap": (1e8, 2e13), "turnover_rate": (1e-4, 1.0)},
}
_OUTSIDE = 0.05
_OfKeys = dict[str, dict[str, dict[int, _Range]]]

#: Topic → figure → key → its least and largest value.
_BALANCE, _BALANCE_OF_BEIJING, TURNOVER, _YIELD = (2e8, 2e13), (1e5, 1e12), (1e9, 2e13), (1e-3, 0.2)
#: CNY. All A shares of an exchange: 4.1e12 to 4.1e13 in 2011–2021; all margin accounts: 6.9e10 to 2.3e12 in 2012–2021.
_FLOAT_CAP, _BALANCE_OF_ACCOUNTS = (1e12, 2e14), (5e10, 2e13)
_MAIN, _CN10Y = ("SSE", "SZSE"), KEYS["tenor"].index("CN10Y")
_OF_KEYS: _OfKeys = {
    "margin.market": {
        "fin_balance": {
            place: _BALANCE_OF_BEIJING if name == "BSE" else _BALANCE for place, name in enumerate(EXCHANGES)
        }
    },
    INDICES: {
        "turnover": {TURNOVER_INDEX[name]: TURNOVER for name in _MAIN},
        "float_cap": {FLOAT_CAP_INDEX[name]: _FLOAT_CAP for name in _MAIN},
    },
    COLLATERAL: {"fin_balance": {KEYS["market"].index("CN"): _BALANCE_OF_ACCOUNTS}},
    "rates.daily": {"yield": {_CN10Y: _YIELD}},
}
#: Topic → figure → the largest change of a key from one session to the next that is usual, and that is possible. In
#: 2016–2021 the buys of an exchange changed 3.7-fold (after a session of half an hour), its turnover 7.1-fold, those of
#: an industry 7.1-fold, a close 1.2-fold, the collateral ratio by 8%, the yield by 6% (in 2005 by 10%); the PE of an
#: index doubled (losses of a year), its dividend yield changed 1.6-fold; the shares of a fund changed 27-fold, the
#: float shares of a stock 10-fold, its PB 740-fold.
_STEPS: dict[str, dict[str, _Range]] = {
    "margin.market": {
        "fin_balance": (1.2, 2.0),
        "fin_buy": (2.5, 8.0),
        "fin_repay": (4.0, 10.0),
        "short_balance": (2.0, 10.0),
        "short_volume": (2.0, 10.0),
        "short_sell": (40.0, 1_000.0),
    },
    "margin.collateral": {
        "collateral_ratio": (1.1, 2.0),
        "fin_balance": (1.2, 2.0),
        "fin_buy": (4.0, 10.0),
        "short_balance": (2.0, 10.0),
    },
    "indices.daily": {
        "close": (2.0, 2.0),  # `feeds.checks.validate` warns of less
        "turnover": (8.0, 20.0),
        "volume": (8.0, 20.0),
        "turnover_rate": (8.0, 20.0),
        "float_cap": (1.2, 2.0),
        "pe_ttm": (3.0, 20.0),
        "pb": (1.5, 5.0),
        "dividend_yield": (2.0, 10.0),
    },
    "rates.daily": {"yield": (1.07, 2.0)},
    "etf.daily": {"shares": (100.0, 1_000.0)},
    "prices.daily": {"float_shares": (30.0, 1_000.0)},
    "valuations.daily": {"float_cap": (30.0, 1_000.0), "pb": (3_000.0, 1e5), "dividend_yield": (1_000.0, 1e5)},
}
#: Topic → figures of which a cell has lost a digit that is a power of ten times that of the session before, within this
#: share: in 2016–2021 17 of 7 million were. (Of a PE a year of losses makes any number.)
_TENS = {
    "etf.daily": ("shares",),
    "prices.daily": ("float_shares",),
    "valuations.daily": ("float_cap", "pb", "dividend_yield"),
}
_EXACTLY = 0.1
#: Figures of these that were more than 0 are so in every later session, but for short sales; the PE of an industry is
#: negative, or given as 0, where its companies lose money together.
_LASTING = ("margin.market", "margin.collateral", "indices.daily", "rates.daily")
_CEASES, _LOSSES = "short_sell", "pe_ttm"
#: A young exchange has a few accounts, which change more.
_YOUNG = EXCHANGES.index("BSE")
#: The first margin accounts of 2010 had balances of some million CNY.
_SINCE = to_day(date(2011, 12, 1))


def magnitudes(day: ComparedDay) -> Iterator[Finding]:
    """Find figures of an impossible size."""
    for topic, batch in day.rows.items():
        if int(batch.days[0]) < _SINCE:
            continue
        groups = groups_of(topic, batch.keys)
        kind, enough, word = (is_fund, _FUNDS, "funds") if topic == "etf.daily" else (is_stock, _STOCKS, "stocks")
        for group in np.unique(groups).tolist() if topic in _MEDIANS else ():
            stocks = batch.take((groups == group) & kind(batch.keys))
            for name, (least, most) in _MEDIANS[topic].items():
                values = stocks.figures[name][stocks.figures[name] > 0]
                if len(values) >= enough and not least <= (middle := float(np.median(values))) <= most:
                    where = f"{name} of {group_names(topic)[group]} has a median of {middle:,.4g}"
                    yield _finding(batch, f"{where} ({len(values):,} {word})", least, most)
            if (exchange := group_names(topic)[group]) in _MAIN:
                yield from _parts(stocks, day.before.get(topic), exchange)
        if topic == INDICES:
            yield from _indices(batch, groups)
        for key, name, value, (least, most) in _of_keys(batch, _OF_KEYS):
            if value == 0:
                text = f"{name} of {key_text(topic, key)} is 0: a placeholder; publish the real figure later"
                yield Finding(Severity.ERROR, "placeholder", topic, int(batch.days[0]), text)
            elif not math.isnan(value) and not least <= value <= most:
                severity = Severity.WARNING if 0 < value < least else Severity.ERROR  # of an early day, perhaps
                yield _finding(batch, f"{name} of {key_text(topic, key)} is {value:,.15g}", least, most, severity)


def _parts(stocks: RowBatch, before: RowBatch | None, exchange: str) -> Iterator[Finding]:
    """Find figures of which a part is outside the range of nearly all stocks."""
    listed = np.ones(len(stocks), dtype=bool) if before is None else np.isin(stocks.keys, before.keys)
    for name, (least, most) in _OF_NEARLY_ALL.get(stocks.topic, {}).items():
        known = listed & (stocks.figures[name] > 0)
        outside = known & ((stocks.figures[name] < least) | (stocks.figures[name] > most))
        if known.sum() >= _STOCKS and outside.sum() > _OUTSIDE * known.sum():
            where = f"{name} of {exchange} in {outside.sum():,} of {known.sum():,} stocks"
            yield _finding(stocks, f"{where} ({names_of(stocks, stocks.keys[outside])})", least, most)


def _indices(batch: RowBatch, groups: Ids) -> Iterator[Finding]:
    """Find figures of the indices of a publisher whose median is that of a wrong unit, or that are all 0."""
    for group in np.unique(groups).tolist():
        publisher = group_names(INDICES)[group]
        for name, (least, most) in _OF_INDICES.items():
            values = batch.figures[name][groups == group]
            values = values[~np.isnan(values)]
            if len(values) >= _INDICES and not values.any():
                text = f"{name} of all {len(values)} indices of {publisher} is 0: a placeholder; leave the column out"
                yield Finding(Severity.ERROR, "placeholder", INDICES, int(batch.days[0]), text)
            values = values[values > 0]
            if len(values) and not least <= (middle := float(np.median(values))) <= most:
                where = f"{name} of {publisher} has a median of {middle:,.4g} (of {len(values):,})"
                yield _finding(batch, where, least, most)


def steps(batch: RowBatch, last: RowBatch) -> Iterator[Finding]:
    """Find figures that change more from one session to the next than they ever did."""
    day = int(batch.days[0])
    for name, (usual, possible) in _STEPS.get(batch.topic, {}).items() if day >= _SINCE else ():
        if name not in batch.figures or name not in last.figures:
            continue
        now, then = batch.figures[name], figure_of(last, name, batch.keys)
        ratios = over(now, then)
        changes = np.fmax(ratios, 1 / ratios)
        if batch.topic in _LASTING and name != _CEASES:
            changes[(then > 0) & (now <= 0)] = possible if name == _LOSSES else np.inf
        if batch.topic == "margin.market":
            changes[batch.keys == _YOUNG] = 1.0
        odd = changes > usual
        if name in _TENS.get(batch.topic, ()):
            odd |= _is_power_of_ten(changes)
        for severity, found in (
            (Severity.ERROR, changes > possible),
            (Severity.WARNING, odd & (changes <= possible)),
        ):
            places = np.flatnonzero(found)[np.argsort(-changes[found])].tolist()
            if not places:
                continue
            more = f" (so are {names_of(batch, batch.keys[places[1:]])})" if len(places) > 1 else ""
            first = places[0]
            times = now[first] / then[first]
            text = (
                f"{name} of {key_text(batch.topic, int(batch.keys[first]))} is {now[first]:,.15g} after "
                f"{then[first]:,.15g} in the session before, {times:,.3g} times{more}: check its unit, its "
                "column and its digits"
            )
            yield Finding(severity, "step", batch.topic, day, text)


def _is_power_of_ten(changes: Floats) -> Mask:
    """Return which changes, as ratios from 1 on, are nearly 10, 100, 1000 … times (n,)."""
    powers = np.rint(np.log10(changes))
    return np.asarray((powers >= 1) & (np.abs(changes / 10.0**powers - 1) < _EXACTLY))


def _of_keys(batch: RowBatch, ranges: _OfKeys) -> Iterator[tuple[int, str, float, _Range]]:
    """Yield key, figure, value and range of the keys of a batch that have ranges."""
    for name, of_figure in ranges.get(batch.topic, {}).items():
        for key, limits in of_figure.items():
            for place in np.flatnonzero(batch.keys == key).tolist():
                yield key, name, float(batch.figures[name][place]), limits


def _finding(batch: RowBatch, found: str, least: float, most: float, severity: Severity = Severity.ERROR) -> Finding:
    text = f"{found}, expected {least:,.4g} to {most:,.4g}: check the unit of the file"
    return Finding(severity, "unit", batch.topic, int(batch.days[0]), text)
