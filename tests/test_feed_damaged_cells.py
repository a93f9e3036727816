"""A part of a file in another unit, and single cells that are off, on days without totals."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from feeds.checks.compared_day import ComparedDay
from feeds.checks.day_checks import check_day
from feeds.checks.findings import Finding, Severity
from processors.events import RowBatch, concat
from streams.calendars import xshg
from tests.building import DAYS, batch

COUNT = 120
SUFFIXES = {"SSE": ("SH", 600_000), "SZSE": ("SZ", 1)}


def market(topic: str, day: date, exchange: str = "SSE") -> RowBatch:
    """A session of 120 stocks whose figures follow on the same session a day before."""
    suffix, first = SUFFIXES[exchange]
    at, later = np.random.default_rng(7).uniform(0.5, 2.0, (COUNT, 6)), day == DAYS[1]
    rows = {}
    for n, (a, b, c, d, e, f) in enumerate(at.tolist()):
        close, volume = round(10 * a, 2), round(5e6 * b, -2)
        turnover, shares = close * volume, 4e8 * c
        repay = round(0.1 * turnover * e)
        buy = round(0.12 * turnover * d)
        balance = round(2e8 * f) + (buy - repay if later else 0)
        lent = round(2e5 * b, -2)
        margin = {"fin_balance": balance, "fin_buy": buy, "short_volume": lent, "short_sell": round(1e4 * d, -2)}
        if exchange == "SSE":
            margin |= {"fin_repay": repay, "short_repay": round(1e4 * d, -2)}
        else:
            margin["short_balance"] = lent * close
        figures: dict[str, dict[str, float]] = {
            "margin.daily": margin,
            "prices.daily": {"open": close, "high": close, "low": close, "close": close, "prev_close": close,
                             "volume": volume, "turnover": turnover, "float_shares": shares},
            "valuations.daily": {"pe_ttm": 20 * a, "pb": 2 * b, "turnover_rate": volume / shares,
                                 "float_cap": close * shares, "dividend_yield": 0.02 * d},
            "etf.daily": {"shares": 1e8 * a},
        }  # fmt: skip
        rows[f"{first + n:06d}.{suffix}"] = figures[topic]
    return batch(topic, day, rows)


def changed(rows: RowBatch, name: str, factor: float, places: slice | list[int]) -> RowBatch:
    values = rows.figures[name].copy()
    values[places] *= factor
    return RowBatch(rows.topic, rows.keys, rows.days, rows.revisions, rows.stamps, {**rows.figures, name: values})


def findings(*rows: RowBatch, before: tuple[RowBatch, ...] = ()) -> list[Finding]:
    day = ComparedDay.of({r.topic: r for r in rows}, {r.topic: r for r in before}, xshg(), {})
    return [one for one in check_day(day) if one.check not in ("cut", "day", "missing", "twins")]


@pytest.mark.parametrize("exchange", ["SSE", "SZSE"])
def test_days_that_follow_on_each_other_have_no_findings(exchange: str) -> None:
    for topic in ("margin.daily", "prices.daily", "valuations.daily"):
        now, then = (market(topic, day, exchange) for day in (DAYS[1], DAYS[0]))
        assert findings(now, before=(then,)) == []
    both = (market("margin.daily", DAYS[1], exchange), market("prices.daily", DAYS[1], exchange))
    assert findings(*both) == []


@pytest.mark.parametrize("exchange", ["SSE", "SZSE"])
def test_a_total_under_a_number_of_a_security_is_an_error(exchange: str) -> None:
    """A row 合计 is no row; one with a number in place of the word doubled the sums of the exchange."""
    now = market("margin.daily", DAYS[1], exchange)
    total = now.take(np.arange(1))
    total.figures.update({name: np.array([np.nansum(values[1:])]) for name, values in now.figures.items()})
    (one,) = [f for f in findings(concat([total, now.take(np.arange(1, COUNT))])) if "sum of all others" in f.text]
    assert one.severity is Severity.ERROR
    few = concat([total, now.take(np.arange(1, 4))])
    assert [f for f in findings(few) if "sum of all others" in f.text] == []


@pytest.mark.parametrize("factor", [10.0, 0.1])
@pytest.mark.parametrize(
    ("topic", "names"),
    [("valuations.daily", ["turnover_rate"]), ("prices.daily", ["volume", "turnover"]), ("margin.daily", ["fin_buy"]),
     ("margin.daily", ["short_sell", "short_repay"])],
)  # fmt: skip
def test_a_column_that_is_ten_times_that_of_the_session_before_is_an_error(
    topic: str, names: list[str], factor: float
) -> None:
    """Without prices no other figure shows a wrong turnover rate; days that do not follow may differ as much."""
    then, now = (market(topic, day) for day in DAYS[:2])
    for name in names:
        now = changed(now, name, factor, slice(None))
    errors = [one for one in findings(now, before=(then,)) if one.severity is Severity.ERROR]
    assert {one.check for one in errors} == {"unit"}
    assert any(names[0] in one.text and "a step of about" in one.text for one in errors)
    later = replace(now, days=now.days + 5)
    assert not [one for one in findings(later, before=(then,)) if "a step of about" in one.text]


@pytest.mark.parametrize("factor", [10.2, 0.097, 100.0])
@pytest.mark.parametrize(
    ("topic", "name"),
    [("valuations.daily", "pb"), ("valuations.daily", "dividend_yield"), ("valuations.daily", "float_cap"),
     ("prices.daily", "float_shares"), ("etf.daily", "shares")],
)  # fmt: skip
def test_a_cell_of_a_steady_figure_that_has_a_digit_more_or_less_is_a_warning(
    topic: str, name: str, factor: float
) -> None:
    then, now = (market(topic, day) for day in DAYS[:2])
    found = [one for one in findings(changed(now, name, factor, [5]), before=(then,)) if one.check == "step"]
    assert [one.severity for one in found] == [Severity.WARNING]
    assert f"{name} of 600005.SH" in found[0].text
    other = findings(changed(now, name, 5.0, [5]), before=(then,))
    assert [one for one in other if one.check == "step"] == []


MIXES = [
    ("margin.daily", "fin_balance", 1e4), ("margin.daily", "fin_buy", 1e-4), ("margin.daily", "short_volume", 0.01),
    ("margin.daily", "short_sell", 1e-4), ("margin.daily", "fin_repay", 1e-4), ("margin.daily", "short_repay", 100.0),
    ("prices.daily", "volume", 0.01), ("prices.daily", "turnover", 1e-4), ("prices.daily", "float_shares", 1e-4),
    ("valuations.daily", "float_cap", 1e-8), ("valuations.daily", "turnover_rate", 100.0),
    ("valuations.daily", "dividend_yield", 0.01), ("etf.daily", "shares", 1e-4),
]  # fmt: skip


@pytest.mark.parametrize("share", [0.3, 0.5])
@pytest.mark.parametrize(("topic", "name", "factor"), MIXES)
def test_a_part_of_the_rows_in_another_unit_than_the_day_before(
    topic: str, name: str, factor: float, share: float
) -> None:
    mixed = changed(market(topic, DAYS[1]), name, factor, slice(0, int(share * COUNT)))
    errors = [one for one in findings(mixed, before=(market(topic, DAYS[0]),)) if one.severity is Severity.ERROR]
    assert {one.check for one in errors} == {"unit"}
    assert any(name in one.text and "SSE" in one.text for one in errors)


@pytest.mark.parametrize(
    ("topic", "names", "factor"),
    [("margin.daily", ["fin_balance", "fin_buy", "fin_repay"], 1e-4), ("margin.daily", ["fin_buy"], 1e-4),
     ("margin.daily", ["fin_balance"], 1e4), ("margin.daily", ["fin_balance"], 1e-4),
     ("prices.daily", ["turnover", "volume"], 1e-4), ("valuations.daily", ["turnover_rate"], 100.0),
     ("valuations.daily", ["float_cap"], 1e-4)],
)  # fmt: skip
def test_a_part_of_the_rows_of_a_first_day_in_another_unit(topic: str, names: list[str], factor: float) -> None:
    mixed = market(topic, DAYS[0])
    for name in names:
        mixed = changed(mixed, name, factor, slice(0, 40))
    assert "unit" in {one.check for one in findings(mixed) if one.severity is Severity.ERROR}


def test_stocks_that_become_eligible_and_those_of_beijing_may_have_balances_of_any_size() -> None:
    """As on 2011-12-05, when the list of Shanghai grew from 50 to 180 stocks."""
    young = changed(market("margin.daily", DAYS[1]), "fin_balance", 1e-4, slice(80, None))
    young = changed(changed(young, "fin_buy", 1e-4, slice(80, None)), "fin_repay", 0.0, slice(80, None))
    old = market("margin.daily", DAYS[0])
    assert findings(young, before=(old.take(old.keys < young.keys[80]),)) == []
    beijing = batch(
        "margin.daily", DAYS[1],
        {f"{920000 + n}.BJ": {"fin_balance": (2e4 if n % 4 == 0 else 3e6) + n, "fin_buy": 900.0 + n, "fin_repay": 9.0}
         for n in range(COUNT)},
    )  # fmt: skip
    assert findings(beijing) == []


@pytest.mark.parametrize("factor", [1e4, 1e-4, 100.0, 0.01])
@pytest.mark.parametrize("name", ["fin_balance", "fin_buy", "fin_repay"])
def test_a_cell_that_breaks_the_identity_of_shanghai_by_a_power_of_ten(name: str, factor: float) -> None:
    wrong = changed(market("margin.daily", DAYS[1]), name, factor, [5])
    found = [one for one in findings(wrong, before=(market("margin.daily", DAYS[0]),)) if one.check == "cell"]
    assert found[0].severity is Severity.ERROR
    assert "600005.SH" in found[0].text
    assert "is true if" in found[0].text or "is not true by far" in found[0].text


@pytest.mark.parametrize(
    ("name", "factor", "severity"),
    [("fin_balance", 1e4, "error"), ("fin_balance", 1e-4, "error"), ("fin_buy", 1e4, "error"),
     ("fin_buy", 1e-4, "warning"), ("short_balance", 1e4, "error"), ("short_balance", 1e-4, "error"),
     ("short_volume", 1e4, "error")],
)  # fmt: skip
def test_a_cell_of_shenzhen_that_can_not_follow_on_the_session_before(name: str, factor: float, severity: str) -> None:
    wrong = changed(market("margin.daily", DAYS[1], "SZSE"), name, factor, [5])
    if name == "fin_buy" and factor < 1:  # the buys before were large enough to be missed
        before = changed(market("margin.daily", DAYS[0], "SZSE"), name, 4.0, [5])
    else:
        before = market("margin.daily", DAYS[0], "SZSE")
    found = [one for one in findings(wrong, before=(before,)) if one.check == "cell"]
    assert found[0].severity.value == severity
    assert "000006.SZ" in found[0].text


@pytest.mark.parametrize(
    ("topic", "name", "factor"),
    [("margin.daily", "fin_buy", 100.0), ("margin.daily", "short_sell", 1e4), ("margin.daily", "fin_balance", 1e3),
     ("margin.daily", "short_balance", 100.0), ("margin.daily", "short_volume", 1e4),
     ("prices.daily", "turnover", 0.01), ("prices.daily", "volume", 1e-4), ("prices.daily", "float_shares", 1e-4)],
)  # fmt: skip
@pytest.mark.parametrize("published", ["margin.daily", "prices.daily"])
def test_a_cell_beside_the_prices_of_its_day_whichever_is_published_first(
    topic: str, name: str, factor: float, published: str
) -> None:
    rows = {one: market(one, DAYS[1], "SZSE") for one in ("margin.daily", "prices.daily")}
    rows[topic] = changed(rows[topic], name, factor, [5])
    (given,) = rows.keys() - {published}
    day = ComparedDay.of({given: rows[given]}, {}, xshg(), {published: rows[published]})
    found = [one for one in check_day(day) if one.check == "cell"]
    assert found and all(one.severity is Severity.ERROR and "000006.SZ" in one.text for one in found)


@pytest.mark.parametrize(
    ("topic", "key", "name", "value", "factor", "severity"),
    [("etf.daily", "510300.SH", "shares", 1e8, 1e4, "error"),
     ("indices.daily", "801010.SI", "turnover", 1e10, 1e-4, "error"),
     ("indices.daily", "000905.SH", "volume", 1e10, 0.01, "error"),
     ("indices.daily", "000905.SH", "pe_ttm", 20, 10.0, "warning"),
     ("indices.daily", "000905.SH", "dividend_yield", 0.02, 100.0, "error"),
     ("margin.market", "SZSE", "short_balance", 3e9, 100.0, "error"),
     ("margin.market", "SZSE", "fin_balance", 7e11, 0.1, "error"),
     ("margin.collateral", "CN", "collateral_ratio", 2.6, 0.01, "error"),
     ("valuations.daily", "000001.SZ", "float_cap", 1e11, 1e-4, "error"),
     ("prices.daily", "000001.SZ", "float_shares", 1e10, 1e4, "error")],
)  # fmt: skip
def test_a_figure_of_one_key_changes_more_than_any_did(
    topic: str, key: str, name: str, value: float, factor: float, severity: str
) -> None:
    now, then = (batch(topic, day, {key: {name: value}}) for day in (DAYS[1], DAYS[0]))
    assert [one for one in findings(now, before=(then,)) if one.check == "step"] == []
    found = findings(changed(now, name, factor, [0]), before=(then,))
    assert severity in [one.severity.value for one in found if one.check in ("step", "unit")]


def swapped(rows: RowBatch, one: str, other: str) -> RowBatch:
    figures = {**rows.figures, one: rows.figures[other], other: rows.figures[one]}
    return RowBatch(rows.topic, rows.keys, rows.days, rows.revisions, rows.stamps, figures)


def following(then: RowBatch, now: RowBatch) -> RowBatch:
    """Return a day whose lent shares follow on those of the day before, too."""
    figures, rng = dict(now.figures), np.random.default_rng(5)
    sold, repaid = (np.round(rng.uniform(2e3, 5e4, len(now)), -2) for _ in range(2))
    figures |= {"short_sell": sold, "short_repay": repaid,
                "short_volume": then.figures["short_volume"] + sold - repaid}  # fmt: skip
    return RowBatch(now.topic, now.keys, now.days, now.revisions, now.stamps, figures)


@pytest.mark.parametrize(
    ("name", "factor", "share"),
    [("fin_buy", 0.01, 1.0), ("fin_repay", 100.0, 1.0), ("fin_repay", 0.01, 1.0), ("short_sell", 1e4, 1.0),
     ("short_repay", 100.0, 1.0), ("fin_repay", 1e4, 0.1), ("fin_repay", 1e-4, 0.1), ("short_sell", 1e4, 0.1),
     ("short_repay", 1e4, 0.3)],
)  # fmt: skip
def test_margin_figures_of_a_first_day_beside_each_other(name: str, factor: float, share: float) -> None:
    rows = market("margin.daily", DAYS[1])
    found = findings(changed(rows, name, factor, slice(int(COUNT * share))))
    assert {(one.severity, one.check) for one in found} == {(Severity.ERROR, "unit")}


@pytest.mark.parametrize(("one", "other"), [("fin_buy", "fin_repay"), ("short_sell", "short_repay")])
def test_columns_that_change_places_are_an_error(one: str, other: str) -> None:
    then = market("margin.daily", DAYS[0])
    now = following(then, market("margin.daily", DAYS[1]))
    assert findings(now, before=(then,)) == []
    found = findings(swapped(now, one, other), before=(then,))
    assert any(f.severity is Severity.ERROR and "change places" in f.text for f in found)


@pytest.mark.parametrize("name", ["short_sell", "short_repay", "short_volume"])
def test_lent_shares_that_slipped_by_a_row_are_an_error(name: str) -> None:
    then = market("margin.daily", DAYS[0])
    now = following(then, market("margin.daily", DAYS[1]))
    now.figures[name] = np.roll(now.figures[name], 1)
    found = findings(now, before=(then,))
    assert any(one.severity is Severity.ERROR and "shifted against the codes" in one.text for one in found)


def test_a_column_that_is_absent_and_was_not_is_reported() -> None:
    then, now = market("margin.daily", DAYS[0]), market("margin.daily", DAYS[1])
    now.figures["fin_repay"] = np.full(COUNT, np.nan)
    found = findings(now, before=(then,))
    assert [(one.severity, one.check) for one in found] == [(Severity.WARNING, "absent")]
    assert "fin_repay of SSE is absent in all 120 rows" in found[0].text


@pytest.mark.parametrize("damage", ["shifted", "swapped"])
@pytest.mark.parametrize(("topic", "name"), [("valuations.daily", "pe_ttm"), ("valuations.daily", "pb"),
                                             ("valuations.daily", "dividend_yield"), ("prices.daily", "float_shares"),
                                             ("etf.daily", "shares")])  # fmt: skip
def test_steady_figures_of_other_stocks_are_an_error(topic: str, name: str, damage: str) -> None:
    then, now = market(topic, DAYS[0]), market(topic, DAYS[1])
    day = ComparedDay.of({topic: now}, {topic: then}, xshg(), {})
    assert [one for one in check_day(day) if one.check in ("columns", "unit")] == []
    values = np.random.default_rng(9).permutation(now.figures[name]) if damage == "shifted" else now.figures[name] * 5
    now.figures[name] = values
    found = [one for one in check_day(day) if one.check in ("columns", "unit")]
    assert [one.severity for one in found] == [Severity.ERROR] and f"{name} of SSE" in found[0].text


def test_lent_shares_that_change_places_with_those_repaid_are_an_error() -> None:
    """Lent shares = previous + sold − repaid is true of both orders."""
    then = market("margin.daily", DAYS[0])
    now = following(then, market("margin.daily", DAYS[1]))
    found = findings(swapped(now, "short_volume", "short_repay"), before=(then,))
    assert any(
        one.severity is Severity.ERROR and re.search(r"short_volume of SSE is .* times that of", one.text)
        for one in found
    )
