"""lead_lag and peak_lag by hand: a balance that repeats the index's moves some days later."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from processors.days import to_date, to_day
from processors.market import Market
from processors.outputs import MarketSignal
from processors.parameters import Parameters
from streams.calendars import xshg
from tests.building import batch, end_of_day

EXCHANGES = ("SSE", "SZSE")
SESSIONS = [to_date(day) for day in xshg().between(to_day(date(2019, 1, 2)), to_day(date(2019, 12, 31))).tolist()[:80]]
SMALL = Parameters(lead_lag_days=40, lead_lag_least=25)


def last(closes: np.ndarray, balances: np.ndarray) -> dict[str, MarketSignal]:
    market, found = Market(1, SMALL, EXCHANGES, xshg()), dict[str, MarketSignal]()
    for day, close, balance in zip(SESSIONS, closes, balances, strict=False):
        indices = batch("indices.daily", day, {"000001.SH": {"close": close}})
        feeds = [indices, end_of_day(indices)]
        if not np.isnan(balance):
            totals = batch("margin.market", day, {exchange: {"fin_balance": balance / 2} for exchange in EXCHANGES})
            feeds += [totals, end_of_day(totals)]
        for output in market.fold(feeds):
            assert isinstance(output, MarketSignal)
            found[output.name] = output
    return found


@pytest.mark.parametrize("lag", [-7, -1, 0, 3, 10])
def test_a_balance_that_repeats_the_index_some_days_later_has_that_lag(lag: int) -> None:
    moves = np.random.default_rng(3).normal(0, 0.01, len(SESSIONS) + 20)
    closes = np.cumprod(1 + moves[10 : 10 + len(SESSIONS)])
    balances = np.cumprod(1 + moves[10 - lag : 10 - lag + len(SESSIONS)])
    found = last(closes, balances)["lead_lag"]
    assert found.value == lag
    assert found.details[f"k={lag}"] == pytest.approx(1.0)
    assert len(found.details) == 21


def test_the_peaks_are_counted_in_sessions_and_the_later_of_two_equal_ones_counts() -> None:
    closes, balances = np.full(60, 10.0), np.full(60, 5.0)
    closes[[30, 41]], balances[45] = 12.0, 6.0
    found = last(closes, balances)["peak_lag"]
    assert found.value == 4
    assert found.details == {"index_peak": f"{SESSIONS[41]}", "balance_peak": f"{SESSIONS[45]}"}


@pytest.mark.parametrize(
    ("known", "lag", "peak"),
    [
        (np.arange(50.0, 20.0, -1), None, None),  # of 30 days in a window of 40, falling from the first of them on
        (np.r_[48.0, np.arange(50.0, 21.0, -1)], 1, SESSIONS[31]),  # its second day is a peak
        (np.arange(80.0, 20.0, -1), -10, SESSIONS[20]),  # the first day of a window that is known as a whole
    ],
)
def test_the_first_day_of_a_record_that_begins_in_the_window_is_no_peak(
    known: np.ndarray, lag: int | None, peak: date | None
) -> None:
    closes, balances = np.full(60, 10.0), np.full(60, np.nan)
    closes[30], balances[-len(known) :] = 12.0, known
    found = last(closes, balances)["peak_lag"]
    assert found.value == lag
    assert found.details.get("balance_peak") == (f"{peak}" if peak else None)
    assert (lag is None) == found.reason.startswith("the highest known day is the first one")


def test_a_balance_that_never_moves_has_no_correlation() -> None:
    found = last(10 + np.arange(60.0) % 3, np.full(60, 5.0))["lead_lag"]
    assert found.value is None
    assert "a series does not change" in found.reason
