"""Figures of the whole market beside the sums of its parts, on the same day.

Signals divide by the turnover of an exchange, which one row of an index has; no other check sees it 1.5 times as large.

- The turnovers of all stocks of Shanghai or Shenzhen sum to that of its index: in 2016–2021 they were 0.994 to 1.032
  times that. A list that had other sums on the session before is not of all stocks; none is larger than the whole.
- The margin accounts of the market have the totals of both exchanges: in 2016–2021 0.999 to 1.000 times their balances,
  0.999 to 1.081 times their buys, 0.98 to 1.03 times the value of their lent shares.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from feeds.checks.compared_day import ComparedDay, Rows
from feeds.checks.findings import Finding, Severity
from processors.block import TURNOVER_INDEX
from processors.codes import EXCHANGES, exchange_of, to_code
from processors.events import KEYS
from processors.kinds import is_stock
from processors.needs import COLLATERAL, INDICES, PRICES, TOTALS

#: Beijing's index has the turnover of its members.
_JUDGED = ("SSE", "SZSE")
#: A sum of more than this is larger than its whole; a list with sums in this range on the session before is whole.
_LARGER, _SMALLER, _WHOLE = 1.1, 0.9, (0.97, 1.05)
#: From how far on accounts and totals differ, as a ratio either way: a warning, an error.
_WARNED, _WRONG = 1.1, 1.25


def beside_totals(day: ComparedDay) -> Iterator[Finding]:
    """Find turnovers of exchanges, and figures of all margin accounts, that are not the sums of their parts."""
    if {PRICES, INDICES} & day.rows.keys():
        for name in _JUDGED:
            ratio, before = _turnovers(day.whole, name), _turnovers(day.last, name)
            whole = _WHOLE[0] <= before <= _WHOLE[1]
            if ratio > _LARGER or (whole and ratio < _SMALLER):
                text = (
                    f"the turnovers of the stocks of {name} sum to {ratio:,.4g} times that of "
                    f"{to_code(TURNOVER_INDEX[name])}, expected {_SMALLER if whole else 0:g} to {_LARGER:g}: one of "
                    "both is wrong, or the index has the turnover of its members alone"
                )
                topic = INDICES if INDICES in day.rows else PRICES
                yield Finding(Severity.ERROR, "sum", topic, int(day.rows[topic].days[0]), text)
    if {COLLATERAL, TOTALS} & day.rows.keys() and {COLLATERAL, TOTALS} <= day.whole.keys():
        yield from _accounts(day)


def _turnovers(rows: Rows, exchange: str) -> float:
    """Return the sum of the turnovers of stocks over that of the index of their exchange; NaN if one is not known."""
    if not {PRICES, INDICES} <= rows.keys():
        return np.nan
    prices, indices = rows[PRICES], rows[INDICES]
    stocks = is_stock(prices.keys) & (exchange_of(prices.keys) == EXCHANGES.index(exchange))
    total = float(np.nansum(prices.figures["turnover"][stocks]))
    index = indices.figures["turnover"][indices.keys == TURNOVER_INDEX[exchange]]
    return total / float(index[0]) if len(index) and index[0] > 0 and total > 0 else np.nan


def _accounts(day: ComparedDay) -> Iterator[Finding]:
    accounts, totals = day.whole[COLLATERAL], day.whole[TOTALS]
    places = [KEYS["exchange"].index(name) for name in _JUDGED]
    if not np.isin(places, totals.keys).all():
        return
    topic = COLLATERAL if COLLATERAL in day.rows else TOTALS
    for name in ("fin_balance", "fin_buy", "short_balance"):
        figure, total = float(accounts.figures[name][0]), float(totals.figures[name].sum())
        if not (figure > 0 and total > 0):
            continue
        far = max(figure / total, total / figure)
        if far > _WARNED:
            text = (
                f"{name} of all margin accounts is {figure:,.15g}, {figure / total:,.4g} times the sum of the "
                "exchanges' totals: check its column, and those of the totals"
            )
            severity = Severity.ERROR if far > _WRONG else Severity.WARNING
            yield Finding(severity, "sum", topic, int(day.rows[topic].days[0]), text)
