"""Lists of which a part is of another day, of which a column is one copied cell, or of which a column has gaps."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import numpy as np
import pandas as pd
import pytest

from feeds.checks.compared_day import ComparedDay
from feeds.checks.day_checks import check_day
from feeds.checks.findings import Finding, Severity
from feeds.checks.price_bars import contradicting_trades, prices_compared
from processors.events import RowBatch
from streams.calendars import xshg
from tests.building import DAYS, batch

COUNT = 240
MARGIN, PRICES, VALUATIONS = "margin.daily", "prices.daily", "valuations.daily"


def listed(topic: str, day: date) -> RowBatch:
    """A list of Shenzhen of which no figure is that of another row, or of another day."""
    later = day == DAYS[1]
    at = np.random.default_rng(11 + later).uniform(0.8, 1.2, (COUNT, 5))
    rows = {}
    for n, (a, b, c, d, e) in enumerate(at.tolist()):
        before = 10 + n / 100
        close = round(before * (1 + (a - 1) / 5), 2) if later else before
        lent = 1e5 + 100 * n
        margin = {"fin_balance": 1e9 + 1e6 * n * e, "fin_buy": 1e7 * a + n, "short_volume": lent,
                  "short_sell": round(1e4 * b), "short_balance": lent * before * c}  # fmt: skip
        volume = 5e6 * d + n
        bar = {"open": close * 1.002, "high": close * 1.01, "low": close * 0.99, "close": close}
        trades = {"volume": volume, "turnover": volume * close}
        quote = bar | trades | {"prev_close": before if later else before * a}
        multiples = {"pe_ttm": close * (1 + n / 50), "pb": close * (1 + n / 500)}
        valuation = multiples | {"turnover_rate": 0.01 * d, "float_cap": 1e8 * close}
        rows[f"{n + 1:06d}.SZ"] = {MARGIN: margin, PRICES: quote, VALUATIONS: valuation}[topic]
    return batch(topic, day, rows)


def found(now: RowBatch, then: RowBatch) -> list[Finding]:
    day = ComparedDay.of({now.topic: now}, {now.topic: then}, xshg(), {})
    return [one for one in check_day(day) if one.check in ("day", "columns", "placeholder", "absent")]


@pytest.mark.parametrize("topic", [MARGIN, PRICES, VALUATIONS])
def test_days_that_follow_on_each_other_have_no_such_finding(topic: str) -> None:
    assert found(listed(topic, DAYS[1]), listed(topic, DAYS[0])) == []


@pytest.mark.parametrize(("stale", "reported"), [(5, False), (6, True), (120, True)])
@pytest.mark.parametrize("topic", [MARGIN, PRICES])
def test_rows_of_the_day_before_beside_those_of_the_day_are_an_error(topic: str, stale: int, reported: bool) -> None:
    """A page that a cache returned; Shenzhen publishes no repayments that would contradict it."""
    now, then = listed(topic, DAYS[1]), listed(topic, DAYS[0])
    for name, values in now.figures.items():
        values[:stale] = then.figures[name][:stale]
    errors = [one for one in found(now, then) if one.severity is Severity.ERROR]
    assert [one.check for one in errors] == ["day"] * reported
    for one in errors:
        assert f"all figures of {stale} of 240 rows of SZSE" in one.text and "a part of the file" in one.text


def test_closes_alone_that_did_not_move_are_no_rows_of_another_day() -> None:
    now, then = listed(PRICES, DAYS[1]), listed(PRICES, DAYS[0])
    for rows in (now, then):
        for name in set(rows.figures) - {"close"}:
            rows.figures[name][:] = np.nan
    now.figures["close"][:60] = then.figures["close"][:60]
    assert [one.check for one in found(now, then) if one.check in ("day", "columns")] == []


@pytest.mark.parametrize(
    ("topic", "name"),
    [(MARGIN, "fin_buy"), (MARGIN, "short_sell"), (MARGIN, "short_balance"), (PRICES, "volume"), (PRICES, "turnover")],
)
def test_a_column_of_the_day_before_is_an_error(topic: str, name: str) -> None:
    now, then = listed(topic, DAYS[1]), listed(topic, DAYS[0])
    now.figures[name][:] = then.figures[name]
    texts = [one.text for one in found(now, then) if one.severity is Severity.ERROR and one.check == "columns"]
    assert any(f"{name} of SZSE is that of {DAYS[0]} in 240 of 240 rows" in text for text in texts)


@pytest.mark.parametrize(
    ("name", "severity"),
    [("turnover_rate", "error"), ("float_cap", "error"), ("pe_ttm", "warning"), ("pb", "warning")],
)
def test_a_column_of_valuations_of_the_day_before_is_reported(name: str, severity: str) -> None:
    now, then = listed(VALUATIONS, DAYS[1]), listed(VALUATIONS, DAYS[0])
    now.figures[name][:] = then.figures[name]
    (one,) = found(now, then)
    assert one.severity == severity and f"{name} of SZSE is that of {DAYS[0]} in " in one.text


@pytest.mark.parametrize("stale", [20, 40, COUNT])
@pytest.mark.parametrize("name", ["pe_ttm", "pb"])
@pytest.mark.parametrize("alone", [False, True], ids=["", "no other figure"])
def test_a_stale_column_of_valuations_is_one_finding_where_prices_moved(name: str, stale: int, alone: bool) -> None:
    """A tenth of the stocks whose price moved is no chance; a whole column was reported beside prices once more."""
    topics = (VALUATIONS, PRICES)
    now, then = ({topic: listed(topic, day) for topic in topics} for day in (DAYS[1], DAYS[0]))
    rows = now[VALUATIONS].figures
    rows[name][:stale] = then[VALUATIONS].figures[name][:stale]
    for other in set(rows) - {name} if alone else ():
        rows[other][:] = then[VALUATIONS].figures[other][:] = np.nan
    day = ComparedDay.of(now, then, xshg(), {})
    texts = [one.text for one in check_day(day) if one.check in ("day", "columns") and one.topic == VALUATIONS]
    assert len(texts) == (stale > 20), texts
    assert all(f"{name} of SZSE is that of {DAYS[0]} in " in text or "all figures of 240" in text for text in texts)


@pytest.mark.parametrize("name", ["pe_ttm", "pb"])
def test_multiples_of_the_other_sign_are_an_error(name: str) -> None:
    now, then = listed(VALUATIONS, DAYS[1]), listed(VALUATIONS, DAYS[0])
    now.figures[name] *= -1
    (one,) = found(now, then)
    assert one.severity is Severity.ERROR and f"{name} of SZSE is" in one.text and "in 240 of 240 rows" in one.text


@pytest.mark.parametrize(("topic", "name"), [(MARGIN, "short_sell"), (MARGIN, "fin_buy"), (PRICES, "turnover")])
def test_one_figure_in_most_rows_is_an_error(topic: str, name: str) -> None:
    now, then = listed(topic, DAYS[1]), listed(topic, DAYS[0])
    now.figures[name][100:] = now.figures[name][99]
    texts = [one.text for one in found(now, then) if one.severity is Severity.ERROR and one.check == "placeholder"]
    assert any(f"{name} of SZSE is" in text and "in 141 of 240 rows" in text for text in texts)


@pytest.mark.parametrize(
    ("topic", "name", "source"),
    [(PRICES, "open", "high"), (PRICES, "close", "low"),
     (MARGIN, "short_balance", "short_volume"), (MARGIN, "short_sell", "short_volume")],
)  # fmt: skip
def test_a_column_that_repeats_another_one_is_an_error(topic: str, name: str, source: str) -> None:
    """Lent shares that are sold short alone are those of the first day of a list."""
    now = listed(topic, DAYS[1])
    now.figures[name][:] = now.figures[source]
    day = ComparedDay.of({topic: now}, {}, xshg(), {})
    errors = [one.text for one in check_day(day) if "one column is exported twice" in one.text]
    assert bool(errors) == (name != "short_sell")
    now.figures[name][:10] *= 1.5
    assert not [one for one in check_day(day) if "one column is exported twice" in one.text]


@pytest.mark.parametrize(("topic", "name"), [(MARGIN, "short_volume"), (PRICES, "prev_close")])
@pytest.mark.parametrize("gaps", [1, 120])
def test_a_column_with_gaps_is_a_warning(topic: str, name: str, gaps: int) -> None:
    now, then = listed(topic, DAYS[1]), listed(topic, DAYS[0])
    now.figures[name][:gaps] = np.nan
    (finding,) = found(now, then)
    assert (finding.severity, finding.check) == (Severity.WARNING, "absent")
    assert f"{name} of SZSE is absent in {gaps} of 240 rows: 000001.SZ" in finding.text


def test_securities_that_do_not_trade_have_no_prices() -> None:
    now, then = listed(PRICES, DAYS[1]), listed(PRICES, DAYS[0])
    for name in ("open", "high", "low", "volume", "turnover"):
        now.figures[name][:30] = 0 if name in ("volume", "turnover") else np.nan
    assert found(now, then) == []


@pytest.mark.parametrize(
    ("factors", "severities"),
    [((1.0, 1.0), []), ((1.02, 0.98), [Severity.ERROR]), ((0.97, 0.97), [Severity.WARNING])],
    ids=["of the session before", "of another one", "adjusted"],
)
def test_closes_before_on_both_sides_of_the_closes_before_are_of_another_session(
    factors: tuple[float, float], severities: list[Severity]
) -> None:
    now, then = listed(PRICES, DAYS[1]), listed(PRICES, DAYS[0])
    now.figures["prev_close"][:] = then.figures["close"] * np.resize(factors, COUNT)
    assert [one.severity for one in found(now, then) if "previous closes of SZSE are not" in one.text] == severities


@pytest.mark.parametrize(
    ("volume", "turnover", "refused"),
    [
        (0.0, 0.0, False),
        (100.0, 1000.0, False),
        (0.0, 12_000.0, True),
        (1_200.0, 0.0, True),
        (0.0, 990.0, False),  # 99 shares are no lot
        (900.0, 0.0, False),  # 9,000 CNY, in whole 万元
    ],
)
def test_nothing_is_traded_without_a_volume_and_a_turnover(volume: float, turnover: float, refused: bool) -> None:
    figures = {"close": np.array([10.0]), "volume": np.array([volume]), "turnover": np.array([turnover])}
    assert list(contradicting_trades(figures)) == [0] * refused


def test_rounded_figures_that_are_equal_on_two_days_are_no_finding() -> None:
    """Shenzhen's page has amounts in 0.01亿, and in some years little is sold short."""
    random, rows, days = np.random.default_rng(5), 2000, []
    balances, lent = random.integers(10, 200, rows) * 1e6, random.integers(10, 500, rows) * 100.0
    for day in DAYS[:2]:
        figures = np.column_stack(
            [balances + random.integers(0, 2, rows) * 1e6, random.integers(1, 9, rows) * 1e6, lent,
             random.integers(1, 3, rows) * 100, lent * 7.8 + random.integers(0, 2, rows) * 100]
        )  # fmt: skip
        names = ("fin_balance", "fin_buy", "short_volume", "short_sell", "short_balance")
        listed_rows = (dict(zip(names, row, strict=True)) for row in figures.tolist())
        days.append(batch(MARGIN, day, {f"{n + 1:06d}.SZ": row for n, row in enumerate(listed_rows)}))
    assert [one for one in found(days[1], days[0]) if one.severity is Severity.ERROR] == []


def test_the_balances_of_a_new_list_grow_as_no_others_do() -> None:
    """Beijing's list began in 2023 with 56 stocks."""
    codes = [f"{830_001 + n}.BJ" for n in range(56)]
    now, then = (
        batch(MARGIN, day, {code: {"fin_balance": 1e5 * times + n, "fin_buy": 1e5 + n} for n, code in enumerate(codes)})
        for day, times in ((DAYS[1], 3), (DAYS[0], 1))
    )
    assert [one for one in found(now, then) if one.severity is Severity.ERROR] == []


def history(count: int = 60) -> pd.DataFrame:
    """The prices of a stock, one row a session."""
    close = np.round(10 * np.cumprod(1 + np.random.default_rng(3).uniform(-0.05, 0.05, count)), 2)
    return pd.DataFrame({"key": 4, "day": np.arange(count), "close": close, "prev_close": np.r_[10.0, close[:-1]]})


@pytest.mark.parametrize(
    ("change", "reported"),
    [
        (lambda rows: rows, False),
        (lambda rows: rows.assign(prev_close=rows["prev_close"].shift()), True),
        (lambda rows: rows.assign(prev_close=rows["prev_close"].shift(-1)), True),  # the closes themselves
        (lambda rows: rows.assign(prev_close=rows["prev_close"] * 0.9), False),  # adjusted
        (lambda rows: rows.head(15).assign(prev_close=rows["prev_close"].shift()), False),  # too few to say
        (lambda rows: rows.sample(frac=1, random_state=1), False),
    ],
)
def test_previous_closes_of_a_history_that_are_shifted_against_the_dates_are_an_error(
    change: Callable[[pd.DataFrame], pd.DataFrame], reported: bool
) -> None:
    found = [one for one in prices_compared(change(history()), PRICES, "a.csv") if one.severity is Severity.ERROR]
    assert len(found) == reported and all("not the closes of the row before" in one.text for one in found)
