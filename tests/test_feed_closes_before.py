"""Previous closes that are not ex-right, and opens and closes that have changed places."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from feeds.checks.compared_day import ComparedDay
from feeds.checks.day_checks import check_day
from feeds.checks.findings import Finding, Severity
from feeds.checks.price_bars import contradicting_prices
from processors.events import RowBatch
from streams.calendars import xshg
from tests.building import batch

THEN, NOW = date(2024, 6, 13), date(2024, 6, 14)
COUNT = 300


def quotes(day: date, *, rights: int = 0, raw: bool = False, swapped: bool = False) -> RowBatch:
    """A list of Shanghai whose first stocks are ex-right on the second day: five new shares for ten."""
    moves = np.random.default_rng(5).normal(0, 0.02, (2, COUNT)).clip(-0.09, 0.09)
    rows = {}
    for n in range(COUNT):
        before = close = 10 + n / 10
        if day == NOW:
            ex_right = round(before / 1.5, 2) if n < rights else before
            close, opened = round(ex_right * (1 + moves[0, n]), 2), round(ex_right * (1 + moves[1, n] / 5), 2)
            before = before if raw else ex_right
        else:
            opened, before = close, round(close * 1.01, 2)
        bar = {"open": opened, "close": close, "high": max(opened, close), "low": min(opened, close)}
        bar |= {"open": close, "close": opened} if swapped else {}
        traded = 1e6 + n + 1e5 * day.day
        rows[f"{600000 + n}.SH"] = bar | {"prev_close": before, "volume": traded, "turnover": traded * close}
    return batch("prices.daily", day, rows)


def found(now: RowBatch, then: RowBatch | None = None) -> list[Finding]:
    day = ComparedDay.of({now.topic: now}, {} if then is None else {then.topic: then}, xshg(), {})
    return [one for one in check_day(day) if one.check in ("ex-right", "columns", "cell")]


@pytest.mark.parametrize(
    ("rights", "raw", "severities"),
    [
        (20, False, []),
        (0, True, []),
        (1, True, [Severity.WARNING]),
        (10, True, [Severity.WARNING]),
        (11, True, [Severity.ERROR]),
    ],
)
def test_a_previous_close_that_is_not_ex_right_shows_itself_by_a_fall_beyond_the_limit(
    rights: int, raw: bool, severities: list[Severity]
) -> None:
    """Ten shares become fifteen: with the raw previous close the holder has lost a third."""
    reported = found(quotes(NOW, rights=rights, raw=raw), quotes(THEN))
    assert [one.severity for one in reported] == severities
    for one in reported:
        assert f"{rights} closes are below the daily limit" in one.text and "600000.SH" in one.text


@pytest.mark.parametrize("swapped", [False, True])
def test_opens_farther_from_the_closes_before_than_closes_are_swapped_on_a_first_day(swapped: bool) -> None:
    reported = found(quotes(NOW, swapped=swapped))
    assert [(one.severity, one.check) for one in reported] == [(Severity.ERROR, "columns")] * swapped


@pytest.mark.parametrize(("factor", "reported"), [(1.0, False), (0.24, False), (0.1, True), (10.0, True)])
def test_a_previous_close_ten_times_the_last_close_is_an_error(factor: float, reported: bool) -> None:
    """Thirty bonus shares for ten quarter a price."""
    now = quotes(NOW)
    now.figures["prev_close"][7] *= factor
    seen = [one for one in found(now, quotes(THEN)) if one.check == "cell"]
    assert [(one.severity, "600007.SH" in one.text) for one in seen] == [(Severity.ERROR, True)] * reported


@pytest.mark.parametrize(
    ("name", "factor", "absent"),
    [("high", 7.0, False), ("high", 10.0, True), ("low", 0.1, True), ("low", 0.2, False),
     ("prev_close", 100.0, True), ("prev_close", 0.01, True), ("prev_close", 0.05, False)],
)  # fmt: skip
def test_a_price_far_from_the_others_of_its_row_is_absent(name: str, factor: float, absent: bool) -> None:
    """A stock may cost twenty times its issue price at the close of its first session."""
    bar = {"open": 10.0, "high": 10.0, "low": 10.0, "close": 10.0, "prev_close": 10.0}
    bar[name] *= factor
    rows, cells = contradicting_prices({price: np.array([value]) for price, value in bar.items()})
    assert not rows and {place: cell for place, (cell, _) in cells.items()} == ({0: name} if absent else {})
