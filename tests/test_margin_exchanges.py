"""Sums over exchanges before Beijing's margin trading, which began on 2023-02-13."""

from __future__ import annotations

from datetime import date

import pytest

from feeds.checks.compared_day import ComparedDay
from feeds.checks.incomplete_days import incomplete_days
from processors.events import RowBatch
from processors.history import replay
from processors.outputs import MarketSignal
from processors.parameters import Parameters
from streams.calendars import xshg
from tests.building import batch

ALL = ("SSE", "SZSE", "BSE")
BEFORE, FIRST, SECOND = date(2023, 2, 10), date(2023, 2, 13), date(2023, 2, 14)


def market(day: date, beijing: float | None) -> dict[str, RowBatch]:
    figures = {"fin_balance": 100.0, "fin_buy": 10.0, "fin_repay": 8.0}
    totals = {"SSE": figures, "SZSE": figures}
    turnovers = {code: {"close": 3000.0, "turnover": 50.0} for code in ("000001.SH", "399001.SZ")}
    if beijing is not None:
        totals["BSE"] = {"fin_balance": beijing, "fin_buy": beijing, "fin_repay": 0.0}
        turnovers["899050.BJ"] = {"close": 900.0, "turnover": 20.0}
    return {
        "margin.market": batch("margin.market", day, totals),
        "indices.daily": batch("indices.daily", day, turnovers),
    }


def signals(*days: dict[str, RowBatch], exchanges: tuple[str, ...] = ALL) -> dict[tuple[date, str], MarketSignal]:
    out = replay(days, Parameters(), exchanges, xshg(), days_per_fold=len(days))
    return {(one.trade_date, one.name): one for one in out if isinstance(one, MarketSignal)}


def test_an_exchange_that_had_no_margin_trading_yet_adds_nothing_to_a_sum() -> None:
    found = signals(market(BEFORE, None), market(FIRST, 5.0), market(SECOND, 6.0))
    balances = [found[day, "fin_balance"] for day in (BEFORE, FIRST, SECOND)]
    assert [one.value for one in balances] == [200.0, 205.0, 206.0]
    assert [one.missing for one in balances] == [{}, {}, {}]
    assert found[FIRST, "fin_balance_change"].value == 5.0
    ratios = [found[day, "fin_buy_ratio"].value for day in (BEFORE, FIRST)]
    assert ratios == [pytest.approx(20 / 100), pytest.approx(25 / 120)]


def test_its_figures_are_missing_from_its_first_day_on() -> None:
    found = signals(market(BEFORE, None), market(FIRST, None), market(SECOND, 6.0))
    assert found[FIRST, "fin_balance"].value is None
    assert "lacks BSE" in found[FIRST, "fin_balance"].reason
    assert found[SECOND, "fin_balance_change"].value is None


@pytest.mark.parametrize(("day", "missing"), [(BEFORE, []), (FIRST, ["BSE"])])
def test_no_day_waits_for_an_exchange_without_margin_trading(day: date, missing: list[str]) -> None:
    rows = {"margin.market": market(day, None)["margin.market"]}
    found = incomplete_days(ComparedDay.of(rows, {}, xshg(), {}), ALL)
    assert [one.group for one in found] == missing
