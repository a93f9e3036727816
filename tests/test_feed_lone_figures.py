"""Totals, indices and yields, of which a day has a few rows alone: what the session before shows of them."""

from __future__ import annotations

import pytest

from feeds.checks.compared_day import ComparedDay
from feeds.checks.day_checks import check_day
from feeds.checks.findings import Severity
from streams.calendars import xshg
from tests.building import DAYS, batch

_Rows = dict[str, dict[str, float]]

#: Two sessions that follow on each other.
SESSIONS: dict[str, tuple[_Rows, _Rows]] = {
    "margin.market": (
        {
            "SSE": {"fin_balance": 795773068523, "fin_buy": 29631171999,
                    "short_balance": 88253543459, "short_sell": 3e8},
            "SZSE": {"fin_balance": 711771e6, "fin_buy": 28559e6, "short_balance": 58250e6, "short_sell": 8.9e7},
        },
        {
            "SSE": {"fin_balance": 797053733339, "fin_buy": 28198849972,
                    "short_balance": 88007216933, "short_sell": 3e8},
            "SZSE": {"fin_balance": 712667e6, "fin_buy": 25447e6, "short_balance": 58250e6, "short_sell": 0},
        },
    ),
    "margin.collateral": (
        {"CN": {"collateral_ratio": 2.694, "fin_balance": 1507495e6, "fin_buy": 58221e6, "short_balance": 146497e6}},
        {"CN": {"collateral_ratio": 2.694, "fin_balance": 1509684e6, "fin_buy": 58221e6, "short_balance": 145042e6}},
    ),
    "indices.daily": (
        {
            "000300.SH": {"close": 5094.73, "pe_ttm": 15.9, "pb": 1.7,
                          "dividend_yield": 0.0172, "turnover": 257741325312},
            "801010.SI": {"close": 3571.08, "pe_ttm": 40.1, "pb": 3.7,
                          "dividend_yield": 0.0119, "turnover": 12345678901},
            "000905.SH": {"close": 6280.36, "pe_ttm": 26.1, "pb": 2.1,
                          "dividend_yield": 0.0119, "turnover": 124539600000},
        },
        {
            "000300.SH": {"close": 5048.36, "pe_ttm": 15.8, "pb": 1.68,
                          "dividend_yield": 0.0174, "turnover": 249741325313},
            "801010.SI": {"close": 3561.98, "pe_ttm": -95, "pb": 3.69,
                          "dividend_yield": 0.0119, "turnover": 12245678902},
            "000905.SH": {"close": 6254.07, "pe_ttm": 26.0, "pb": 2.09,
                          "dividend_yield": 0.0119, "turnover": 124539600001},
        },
    ),
    "rates.daily": ({"CN10Y": {"yield": 0.0321}}, {"CN10Y": {"yield": 0.0321}}),
}  # fmt: skip


def found(topic: str, changes: _Rows, *, first: bool = False) -> set[tuple[Severity, str]]:
    then, now = SESSIONS[topic]
    now = {key: figures | changes.get(key, {}) for key, figures in now.items()}
    before = {} if first else {topic: batch(topic, DAYS[0], then)}
    day = ComparedDay.of({topic: batch(topic, DAYS[1], now)}, before, xshg(), {})
    return {(one.severity, one.check) for one in check_day(day)}


USUAL = {"indices.daily": {(Severity.WARNING, "step")}}  # the loss of an industry


@pytest.mark.parametrize("topic", SESSIONS)
def test_sessions_that_follow_on_each_other_have_no_error(topic: str) -> None:
    assert found(topic, {}) == USUAL.get(topic, set())
    assert found(topic, {}, first=True) == set()


@pytest.mark.parametrize(
    ("topic", "key", "name", "value"),
    [
        ("rates.daily", "CN10Y", "yield", 0.0),
        ("rates.daily", "CN10Y", "yield", -0.0321),
        ("indices.daily", "000300.SH", "pb", 0.0),
        ("indices.daily", "000300.SH", "pb", -1.7),
        ("indices.daily", "000300.SH", "dividend_yield", 0.0),
        ("margin.market", "SZSE", "short_balance", 0.0),
        ("margin.collateral", "CN", "short_balance", 0.0),
    ],
)
def test_a_figure_that_is_gone_is_an_error(topic: str, key: str, name: str, value: float) -> None:
    """A yield of 0 would raise the risk premium of the market by that yield."""
    assert Severity.ERROR in {one for one, _ in found(topic, {key: {name: value}})}


@pytest.mark.parametrize("value", [0.0, -0.0321])
def test_a_yield_that_is_not_positive_is_an_error_on_a_first_day(value: float) -> None:
    assert {one.value for one, _ in found("rates.daily", {"CN10Y": {"yield": value}}, first=True)} == {"error"}


@pytest.mark.parametrize("factor", [10, 0.1, 1e4])
def test_a_close_of_an_index_by_a_power_of_ten_larger_is_an_error(factor: float) -> None:
    closes = {"000300.SH": {"close": 5048.36 * factor}}
    assert Severity.ERROR in {one for one, _ in found("indices.daily", closes)}


@pytest.mark.parametrize(
    ("topic", "stale", "severity"),
    [
        ("margin.market", {"SSE": ["fin_balance"]}, "error"),
        ("margin.market", {"SSE": ["short_balance"]}, "error"),
        ("margin.market", {"SZSE": ["fin_balance"]}, "warning"),  # in 0.01亿
        ("margin.collateral", {"CN": ["fin_balance"]}, "warning"),
        ("indices.daily", {"000300.SH": ["turnover"]}, "error"),
        ("indices.daily", {"000300.SH": ["close"], "000905.SH": ["close"]}, "error"),
        ("indices.daily", {"000300.SH": ["close"]}, ""),  # as of two in 50,000
    ],
)
def test_figures_of_the_day_before_are_reported(topic: str, stale: dict[str, list[str]], severity: str) -> None:
    then = SESSIONS[topic][0]
    changes = {key: {name: then[key][name] for name in names} for key, names in stale.items()}
    assert {one.value for one, check in found(topic, changes) if check == "columns"} == (
        {severity} if severity else set()
    )


@pytest.mark.parametrize(
    ("topic", "names", "factors"),
    [
        ("margin.collateral", ("fin_balance", "fin_buy", "short_balance"), (100, 1e4, 1e8)),
        ("margin.collateral", ("fin_balance",), (0.01, 100)),
        ("margin.collateral", ("fin_buy",), (0.01, 100)),
        ("margin.collateral", ("short_balance",), (1e-4, 100)),
        ("indices.daily", ("close",), (0.01, 100)),
        ("indices.daily", ("pe_ttm",), (0.01, 100)),
        ("indices.daily", ("pb",), (0.01, 100)),
        ("indices.daily", ("dividend_yield",), (0.01, 100)),
    ],
)
def test_a_unit_that_is_wrong_throughout_a_history_is_an_error_on_its_first_day(
    topic: str, names: tuple[str, ...], factors: tuple[float, ...]
) -> None:
    """No session before it shows a step."""
    for factor in factors:
        changes = {
            key: {n: v * factor for n, v in row.items() if n in names} for key, row in SESSIONS[topic][1].items()
        }
        assert (Severity.ERROR, "unit") in found(topic, changes, first=True), factor


@pytest.mark.parametrize("name", ["pe_ttm", "pb", "dividend_yield"])
def test_zeros_in_place_of_a_figure_of_indices_are_an_error_on_a_first_day(name: str) -> None:
    day = batch("indices.daily", DAYS[1], {f"00000{n}.SH": {"close": 3000.0 + n, name: 0.0} for n in (1, 2, 3)})
    compared = ComparedDay.of({"indices.daily": day}, {}, xshg(), {})
    assert [(one.severity, one.check) for one in check_day(compared)] == [(Severity.ERROR, "placeholder")]


@pytest.mark.parametrize(("factor", "severity"), [(0.01, "warning"), (100, "error")])
def test_a_float_cap_of_an_exchange_in_another_unit_is_reported_on_a_first_day(factor: float, severity: str) -> None:
    """A figure below its range may be that of an early day."""
    caps = {"000001.SH": {"float_cap": 3.8e13 * factor}, "399106.SZ": {"float_cap": 2.6e13 * factor}}
    compared = ComparedDay.of({"indices.daily": batch("indices.daily", DAYS[1], caps)}, {}, xshg(), {})
    assert {(one.severity, one.check) for one in check_day(compared)} == {(Severity(severity), "unit")}


def test_accounts_whose_lent_shares_and_balance_are_swapped_are_an_error() -> None:
    row = SESSIONS["margin.collateral"][1]["CN"]
    swapped = {"CN": {"fin_balance": row["short_balance"], "short_balance": row["fin_balance"]}}
    assert (Severity.ERROR, "unit") in found("margin.collateral", swapped, first=True)
