"""Figures of a first day that are off by a factor of ten: the prices of the same day contradict them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from feeds.checks.compared_day import ComparedDay
from feeds.checks.day_checks import check_day
from feeds.checks.findings import Finding, Severity
from processors.events import RowBatch
from streams.calendars import xshg
from tests.building import batch

DAY, NEXT = date(2020, 3, 2), date(2020, 3, 3)
CODES = [f"{600_000 + place}.SH" for place in range(200)]
CALENDAR = xshg()


def market(day: date = DAY) -> dict[str, RowBatch]:
    """200 stocks at about 10 CNY, of which 1% to 3% of the float shares are traded and a tenth is bought on margin."""
    rng = np.random.default_rng(1)
    shares, rate = rng.integers(2e8, 3e9, len(CODES)).astype(float), rng.uniform(0.01, 0.03, len(CODES))
    close = np.round(rng.uniform(8.0, 12.0, len(CODES)), 2)
    volume = np.rint(shares * rate)
    buys = np.rint(volume * close * rng.uniform(0.05, 0.15, len(CODES)))
    figures: Mapping[str, Mapping[str, np.ndarray]] = {
        "prices.daily": {
            "open": close - 0.03, "high": close + 0.1, "low": close - 0.1, "close": close, "prev_close": close - 0.05,
            "volume": volume, "turnover": volume * close, "float_shares": shares,
        },
        "valuations.daily": {
            "turnover_rate": rate, "float_cap": close * shares, "pe_ttm": rng.uniform(20, 60, len(CODES)),
            "pb": rng.uniform(2, 6, len(CODES)),
        },
        "margin.daily": {
            "fin_balance": buys * 20, "fin_buy": buys, "fin_repay": np.rint(buys * 0.9),
            "short_volume": np.rint(volume / 100), "short_sell": np.rint(volume / 1000),
        },
    }  # fmt: skip
    rows = {topic: batch(topic, day, {code: {} for code in CODES}) for topic in figures}
    return {topic: replace(rows[topic], figures=rows[topic].figures | dict(figures[topic])) for topic in rows}


def changed(rows: Mapping[str, RowBatch], topic: str, figure: str, factor: object) -> dict[str, RowBatch]:
    figures = rows[topic].figures
    return {**rows, topic: replace(rows[topic], figures=figures | {figure: figures[figure] * np.array(factor)})}


def found(
    rows: Mapping[str, RowBatch], severity: Severity, before: Mapping[str, RowBatch] | None = None
) -> list[Finding]:
    day = ComparedDay.of(rows, before or {}, CALENDAR, {})
    return [one for one in check_day(day) if one.severity is severity and one.check != "cut"]


def test_a_market_has_no_finding() -> None:
    assert found(market(), Severity.ERROR) == []
    assert [one for one in found(market(), Severity.WARNING) if one.check in ("unit", "cell", "columns")] == []


@pytest.mark.parametrize("factor", [10.0, 0.1])
@pytest.mark.parametrize(
    ("topic", "figure"),
    [
        ("prices.daily", "volume"),
        ("prices.daily", "turnover"),
        ("prices.daily", "float_shares"),
        ("valuations.daily", "turnover_rate"),
        ("valuations.daily", "float_cap"),
        ("valuations.daily", "pb"),
        ("margin.daily", "fin_buy"),
    ],
)
def test_a_column_of_a_first_day_that_is_ten_times_off_is_an_error(topic: str, figure: str, factor: float) -> None:
    assert "unit" in {one.check for one in found(changed(market(), topic, figure, factor), Severity.ERROR)}


@pytest.mark.parametrize(
    ("rows", "factor", "severity", "check"),
    [
        (1, 10.0, Severity.WARNING, "cell"),
        (1, 0.1, Severity.WARNING, "cell"),
        (60, 10.0, Severity.ERROR, "unit"),
        (1, 3.0, None, ""),  # vendors count float shares differently
    ],
)
def test_turnover_rates_that_volume_over_float_shares_contradicts(
    rows: int, factor: float, severity: Severity | None, check: str
) -> None:
    factors = np.where(np.arange(len(CODES)) < rows, factor, 1.0)
    wrong = changed(market(), "valuations.daily", "turnover_rate", factors)
    for one in (Severity.ERROR, Severity.WARNING):
        named = {(f.check, "turnover_rate" in f.text) for f in found(wrong, one)}
        assert ((check, True) in named) == (one is severity)


def test_a_turnover_rate_above_300_percent_is_an_error_without_prices() -> None:
    factors = np.where(np.arange(len(CODES)) < 1, 1000.0, 1.0)
    rows = {"valuations.daily": changed(market(), "valuations.daily", "turnover_rate", factors)["valuations.daily"]}
    assert [one.check for one in found(rows, Severity.ERROR)] == ["cell"]


@pytest.mark.parametrize(
    ("figure", "share", "refused"), [("pb", 0.33, True), ("pe_ttm", 0.33, True), ("pb", 0.05, False)]
)
def test_a_third_of_a_steady_column_of_other_figures_is_an_error(figure: str, share: float, refused: bool) -> None:
    """In 2016–2021 at most a tenth of Shenzhen's PE changed by more than half in a day."""
    before, rows = market(), market(NEXT)
    factors = np.where(np.arange(len(CODES)) < share * len(CODES), 3.0, 1.001)
    rows = {"valuations.daily": changed(rows, "valuations.daily", figure, factors)["valuations.daily"]}
    rows = changed(rows, "valuations.daily", "turnover_rate", 1.1)
    errors = found(rows, Severity.ERROR, {"valuations.daily": before["valuations.daily"]})
    assert ("columns" in {one.check for one in errors if figure in one.text}) == refused


@pytest.mark.parametrize(("code", "named"), [("600000.SH", True), ("510050.SH", False)])
def test_a_balance_and_a_repayment_of_a_row_that_change_places_are_an_error(code: str, named: bool) -> None:
    """The identity is as true as before; a bond fund may be bought and repaid within a day."""
    rows = {"fin_balance": 6e7, "fin_buy": 5e7, "fin_repay": 9.9e8, "short_volume": 0.0, "short_sell": 0.0}
    before = batch("margin.daily", DAY, {code: rows | {"fin_balance": 1e9, "fin_repay": 4e7}})
    errors = found(
        {"margin.daily": batch("margin.daily", NEXT, {code: rows})}, Severity.ERROR, {"margin.daily": before}
    )
    assert [one.check for one in errors if "change places" in one.text] == ["cell"] * named


@pytest.mark.parametrize(
    ("rows", "factor", "check"),
    [(40, 1.0, "columns"), (10, 1.0, ""), (1, 10.0, "cell"), (1, 0.1, "cell"), (1, -1.0, "cell")],
)
def test_valuations_that_do_not_move_with_their_prices_are_reported(rows: int, factor: float, check: str) -> None:
    """A fifth of the PEs are those of the day before, or one has a wrong cell; all prices rose by 2%."""
    before, now = market(), changed(market(NEXT), "prices.daily", "prev_close", 1.0)
    prices = now["prices.daily"].figures
    prices["prev_close"] = prices["close"] / 1.02
    pe = before["valuations.daily"].figures["pe_ttm"] * 1.02
    pe[:rows] *= factor / 1.02 if factor == 1.0 else factor
    now["valuations.daily"].figures["pe_ttm"] = pe
    named = [one.check for one in found(now, Severity.WARNING, before) if "pe_ttm" in one.text]
    assert named == ([check] if check else [])
