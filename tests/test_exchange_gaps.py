"""A day without the rows of one exchange: which figures of industries and of the market are absent, and why.

`test_completeness` compares every figure with the oracle; here a few days of a small market state the rules.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from alerts.rules import data_quality
from alerts.rules.base import Condition
from processors.days import to_date
from processors.events import RowBatch
from processors.indicators.industry_heat import MIN_INDUSTRIES
from processors.kinds import is_stock
from processors.outputs import IndustrySignals
from tests.folding import Folded, fold_history
from tests.made_market import SMALL, small_market

SSE, SZSE = 0, 1
AT = 3  # the day whose rows are missing; the indices of the industries have no valuations on it
OF_SSE = 10  # industries 0 … 9 have stocks in Shanghai alone, the other 21 in Shenzhen alone
EVERY = list(range(31))
Days = dict[int, dict[str, RowBatch]]


def five_days() -> Days:
    days = small_market(sessions=5, gaps=False)
    for feeds in days.values():
        if "reference" in feeds:
            rows = feeds["reference"]
            order, stock = np.arange(len(rows)), is_stock(rows.keys)
            industry = np.where(rows.keys % 4 == SSE, order % OF_SSE, OF_SSE + order % (31 - OF_SSE))
            rows.figures["industry"] = np.where(stock, industry, np.nan)
    return days


@cache
def whole() -> tuple[list[int], Folded]:
    return sorted(five_days()), fold_history(five_days(), SMALL)


@cache
def without(topic: str, exchange: int) -> Folded:
    days = five_days()
    feeds = days[sorted(days)[AT]]
    feeds[topic] = feeds[topic].take(np.flatnonzero(feeds[topic].keys % 4 != exchange))
    return fold_history(days, SMALL)


def industries(folded: Folded, at: int) -> IndustrySignals:
    return folded.industries[whole()[0][at]]


def check_absent(folded: Folded, at: int, name: str, gone: list[int]) -> None:
    """Assert that some industries have no figure on a day, and every other one that of the whole market."""
    expected = industries(whole()[1], at).columns[name].copy()
    expected[gone] = np.nan
    np.testing.assert_array_equal(industries(folded, at).columns[name], expected, err_msg=name)


def lacks(topic: str, exchange: str) -> str:
    return f"{topic} of {to_date(whole()[0][AT])} lacks all rows of {exchange}"


@pytest.mark.parametrize(("exchange", "gone"), [(SSE, EVERY[:OF_SSE]), (SZSE, EVERY[OF_SSE:])], ids=["SSE", "SZSE"])
def test_sums_are_absent_for_the_industries_of_the_exchange_alone(exchange: int, gone: list[int]) -> None:
    found = without("margin.daily", exchange)
    why = lacks("margin.daily", ("SSE", "SZSE")[exchange])
    for name in ("fin_balance", "net_buy", "buy_to_turnover", "industry_coverage"):
        check_absent(found, AT, name, gone)
        check_absent(found, AT - 1, name, [])
        assert industries(found, AT).left_out[name] == why
    # A share and a rank compare all industries.
    for name in ("fin_balance_share", "fin_balance_rank", "net_buy_rank", "buy_to_turnover_rank"):
        check_absent(found, AT, name, EVERY)


def test_on_the_day_behind_only_derived_repayments_are_unknown() -> None:
    """Shenzhen publishes no repayments: they follow from the balance of the day before."""
    check_absent(without("margin.daily", SSE), AT + 1, "net_buy", [])
    found = without("margin.daily", SZSE)
    check_absent(found, AT + 1, "net_buy", EVERY[OF_SSE:])
    assert industries(found, AT + 1).left_out["net_buy"] == lacks("margin.daily", "SZSE")
    check_absent(found, AT + 1, "net_buy_rank", EVERY)
    check_absent(found, AT + 1, "fin_balance_rank", [])
    assert "fin_balance" not in industries(found, AT + 1).left_out


def test_the_coverage_is_absent_with_its_reason_and_without_details() -> None:
    day = whole()[0][AT]
    one = without("margin.daily", SSE).market[day, "coverage"]
    assert (one.value, one.reason, one.details) == (None, lacks("margin.daily", "SSE"), {})
    capped = without("valuations.daily", SSE).market[day, "coverage"]
    full = whole()[1].market[day, "coverage"]
    assert capped.value == full.value
    assert full.details.keys() - capped.details.keys() == {name for name in full.details if "float_cap" in name}
    assert {"by_float_cap", "float_cap_known", "SSE main by_float_cap"} <= full.details.keys()


def test_a_part_of_heat_that_too_few_industries_have_names_the_cause() -> None:
    left_out = industries(without("margin.daily", SZSE), AT).left_out
    known = f"known of {OF_SSE} industries, 20 are needed"
    assert left_out["heat_net_buy_to_turnover"] == f"{known} ({lacks('margin.daily', 'SZSE')})"
    assert left_out["heat_volatility"] == "known of 0 industries, 20 are needed"  # it needs 60 days of prices
    priced = industries(without("valuations.daily", SZSE), AT).left_out
    assert priced["heat_pe"] == f"{known} ({lacks('valuations.daily', 'SZSE')})"
    assert "heat_pe" not in industries(whole()[1], AT).left_out
    assert "heat_net_buy_to_turnover" not in priced


@pytest.mark.parametrize(("known", "unknown"), [(15, True), (16, False)])
def test_an_exchange_is_unknown_where_less_than_half_of_its_listed_stocks_are_classified(
    known: int, unknown: bool
) -> None:
    """Shanghai has 32 stocks, and on one of the days the margin list contains all of them."""
    days = five_days()
    for feeds in days.values():
        if "reference" in feeds:
            rows = feeds["reference"]
            shanghai = np.flatnonzero(is_stock(rows.keys) & (rows.keys % 4 == SSE))
            rows.figures["industry"][shanghai[known:]] = np.nan
    folded = fold_history(days, SMALL)
    listed = (feeds["margin.daily"].keys for feeds in days.values())
    at = [int((is_stock(keys) & (keys % 4 == SSE)).sum()) for keys in listed].index(32)
    found = industries(folded, at)
    assert np.isnan(found.columns["fin_balance"]).all() == unknown
    expected = "reference knows less than half of the stocks of SSE" if unknown else None
    assert found.left_out.get("fin_balance") == expected


def of_partial_reference(lacking: int, *, industry_alone: bool) -> tuple[int, Folded]:
    """Without some stocks of Shanghai in the reference, or their industries; a day with all 32 in the margin list."""
    days = five_days()
    for feeds in days.values():
        if "reference" in feeds:
            rows = feeds["reference"]
            gone = np.flatnonzero(is_stock(rows.keys) & (rows.keys % 4 == SSE))[:lacking]
            if industry_alone:
                rows.figures["industry"][gone] = np.nan
            else:
                feeds["reference"] = rows.take(np.setdiff1d(np.arange(len(rows)), gone))
    listed = (int((is_stock(keys) & (keys % 4 == SSE)).sum()) for keys in margin_lists(days))
    return sorted(days)[list(listed).index(32)], fold_history(days, SMALL)


def margin_lists(days: Days) -> list[np.ndarray]:
    return [days[day]["margin.daily"].keys for day in sorted(days)]


@pytest.mark.parametrize(("lacking", "absent"), [(0.4, False), (0.7, True), (1.0, True)])
@pytest.mark.parametrize("figure", ["pe_ttm", "pb", "dividend_yield", "turnover_rate"])
def test_a_figure_of_few_stocks_of_an_exchange_is_none_of_its_industries(
    figure: str, lacking: float, absent: bool
) -> None:
    """A vendor publishes the PE of Shenzhen alone: that of its stocks was the industry's."""
    days = five_days()
    rows = days[sorted(days)[AT]]["valuations.daily"]
    of_sse = np.flatnonzero((rows.keys % 4 == SSE) & is_stock(rows.keys))
    rows.figures[figure][of_sse[: round(lacking * len(of_sse))]] = np.nan
    found = industries(fold_history(days, SMALL), AT)
    part = f"heat_{figure.removesuffix('_ttm')}"
    known, before = (~np.isnan(one.columns[part]) for one in (found, industries(whole()[1], AT)))
    if absent:
        np.testing.assert_array_equal(known[:OF_SSE], np.zeros(OF_SSE, dtype=bool))
    else:
        assert known[:OF_SSE].sum() > OF_SSE // 2
    if known.sum() >= MIN_INDUSTRIES:  # fewer are not compared
        np.testing.assert_array_equal(known[OF_SSE:], before[OF_SSE:])
    assert not found.status.missing  # no row is missing


def test_a_figure_that_an_exchange_never_has_is_left_out_with_the_reason() -> None:
    days = five_days()
    for feeds in days.values():
        rows = feeds["valuations.daily"]
        rows.figures["pe_ttm"][rows.keys % 4 == SZSE] = np.nan
    day = to_date(sorted(days)[AT])
    reason = industries(fold_history(days, SMALL), AT).left_out["heat_pe"]
    assert reason.endswith(f"20 are needed (valuations.daily pe_ttm of {day} lacks SZSE)")


OF_REFERENCE = ("coverage", "group_balance/CSI300", "group_net_buy/CSI300")


@pytest.mark.parametrize(("lacking", "missing"), [(3, {}), (4, {"reference SSE": 4}), (20, {"reference SSE": 20})])
def test_figures_are_degraded_where_the_reference_lacks_more_than_a_tenth_of_the_stocks(
    lacking: int, missing: dict[str, int]
) -> None:
    day, found = of_partial_reference(lacking, industry_alone=False)
    for name in OF_REFERENCE:
        one = found.market[day, name]
        assert (one.degraded, one.missing) == (bool(missing), missing), name
        if name != "group_net_buy/CSI300":  # the first day has none
            assert (one.value is None) == (lacking > 16), name
    assert found.industries[day].status.missing == missing
    assert not found.market[day, "fin_balance"].degraded
    fired = [
        one.figures
        for one in data_quality.rule(SMALL).evaluate(found.market[day, "coverage"])
        if one.condition is Condition.FIRE and one.subject == "reference"
    ]
    assert fired == [missing] * bool(missing)


def test_stocks_without_an_industry_degrade_the_industries_alone() -> None:
    day, found = of_partial_reference(4, industry_alone=True)
    assert found.industries[day].status.missing == {"reference SSE": 4}
    assert not any(found.market[day, name].degraded for name in OF_REFERENCE)


def test_stocks_that_only_the_valuations_have_are_missing_in_the_reference_too() -> None:
    """Of the margin list it names every stock; the coverage would be too high."""
    days = five_days()
    for day, keys in zip(sorted(days), margin_lists(days), strict=True):
        gone = np.flatnonzero(is_stock(keys) & (keys % 4 == SSE))[:8]
        feeds = days[day]
        feeds["margin.daily"] = feeds["margin.daily"].take(np.setdiff1d(np.arange(len(keys)), gone))
    reference = days[sorted(days)[0]]["reference"]
    keep = ~(is_stock(reference.keys) & (reference.keys % 4 == SSE)) | np.isin(reference.keys, margin_lists(days)[AT])
    for feeds in days.values():
        if "reference" in feeds:
            feeds["reference"] = feeds["reference"].take(
                np.flatnonzero(np.isin(feeds["reference"].keys, reference.keys[keep]))
            )
    found = fold_history(days, SMALL).market[sorted(days)[AT], "coverage"]
    valued = days[sorted(days)[AT]]["valuations.daily"].keys
    lacking = valued[(valued % 4 == SSE) & ~np.isin(valued, reference.keys[keep])]
    assert found.missing == {"reference SSE": len(lacking)}
    assert len(lacking) > 3


def test_the_coverage_of_a_market_without_stocks_is_absent() -> None:
    days = five_days()
    for feeds in days.values():
        for topic in ("margin.daily", "reference"):
            if topic in feeds:
                feeds[topic] = feeds[topic].take(np.flatnonzero(~is_stock(feeds[topic].keys)))
    one = fold_history(days, SMALL).market[sorted(days)[AT], "coverage"]
    assert (one.value, one.reason, one.details) == (None, "reference names no stock", {})
