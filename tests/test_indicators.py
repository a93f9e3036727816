"""Indicators on cases computed by hand."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from processors.days import to_day
from processors.indicators import excess_financing, extreme, fin_change, ratio_state, streak
from streams.calendars import xshg
from tests.folding import fold_history
from tests.made_market import ids, rows

THRESHOLDS = {"hot": 0.103, "breakdown": 0.100, "cold": 0.0675, "extreme_cold": 0.0625}


@pytest.mark.parametrize(
    ("ratios", "states"),
    [
        ((0.09, 0.103, 0.101, 0.0999), ("NORMAL", "HOT", "HOT", "BREAKDOWN")),
        ((0.102, 0.099), ("NORMAL", "NORMAL")),
        ((0.104, 0.099, 0.102, 0.099), ("HOT", "BREAKDOWN", "NORMAL", "NORMAL")),
        ((0.104, 0.099, 0.103, 0.098), ("HOT", "BREAKDOWN", "HOT", "BREAKDOWN")),
        ((0.104, 0.100, 0.06), ("HOT", "HOT", "BREAKDOWN")),
        ((0.068, 0.0675, 0.0625, 0.063), ("NORMAL", "COLD", "EXTREME_COLD", "COLD")),
    ],
)
def test_breakdown_needs_a_new_hot_phase(ratios: tuple[float, ...], states: tuple[str, ...]) -> None:
    state, seen = None, []
    for ratio in ratios:
        state = ratio_state.advance(state, ratio, **THRESHOLDS)
        seen.append(state.value)
    assert tuple(seen) == states


@pytest.mark.parametrize(
    ("excesses", "levels"),
    [
        ((0.049, 0.05, 0.041, 0.039), (0, 0.05, 0.05, 0)),
        ((-0.05, -0.041, -0.039), (-0.05, -0.05, 0)),
        ((0.06, -0.06), (0.05, -0.05)),
        ((0.041, 0.049), (0, 0)),
    ],
)
def test_an_alert_level_stays_within_its_hysteresis(excesses: tuple[float, ...], levels: tuple[float, ...]) -> None:
    level, seen = 0.0, []
    for excess in excesses:
        level = excess_financing.advance(level, excess, 0.05, 0.01)
        seen.append(level)
    assert tuple(seen) == levels


def test_a_zero_change_ends_a_streak_and_an_absent_one_pauses_it() -> None:
    before = np.array([3, 3, 3, -2, -2, 0], dtype=np.int32)
    change = np.array([0.01, 0.0, np.nan, 0.01, -0.01, -0.5])
    assert streak.advance(before, change).tolist() == [4, 0, 3, 1, -3, -1]


def test_change_is_absent_below_ten_million_and_in_the_first_days() -> None:
    balance = np.array([11e6, 9.9e6, 11e6, 11e6, 11e6])
    previous = np.array([10e6, 10e6, 0.0, np.nan, 10e6])
    age = np.array([6, 6, 6, 6, 5], dtype=np.int32)
    found = fin_change.fin_change(balance, previous, age, quiet_days=5, minimum_balance=1e7)
    assert found[0] == pytest.approx(0.1)
    assert np.isnan(found[1:]).all()


def test_extremes_are_the_tails_of_stocks_without_funds() -> None:
    change = np.linspace(-0.02, 0.19, 40)
    stock = np.arange(40) < 39
    side = extreme.extreme(change, stock, 0.05)
    # 39 stocks: one in each tail; the fund with the largest rise has no value.
    assert np.flatnonzero(side == 1).tolist() == [38]
    assert np.flatnonzero(side == -1).tolist() == [0]
    assert np.isnan(side[39])


def test_no_fall_is_extreme_on_a_day_when_all_rise() -> None:
    assert (extreme.extreme(np.linspace(0.01, 0.4, 40), np.ones(40, dtype=bool), 0.05) >= 0).all()


def test_consecutive_needs_the_same_side_twice() -> None:
    today = np.array([1.0, 1.0, -1.0, 0.0, np.nan, 1.0, 1.0, 0.0])
    yesterday = np.array([1.0, -1.0, -1.0, 0.0, 1.0, np.nan, np.nan, np.nan])
    found = extreme.consecutive(today, yesterday, np.arange(8) >= 6)
    assert found[[0, 1, 2, 3, 5, 7]].tolist() == [1, 0, -1, 0, 0, 0]
    assert np.isnan(found[[4, 6]]).all()


def test_a_style_is_the_difference_of_two_indices_and_is_absent_without_one_of_them() -> None:
    growth = {"000300.SH": 1.001, "000852.SH": 1.003, "399372.SZ": 1.002, "399373.SZ": 1.004, "399376.SZ": 1.001}
    days = xshg().between(to_day(date(2019, 9, 2)), to_day(date(2019, 12, 6))).tolist()
    keys = ids([*growth])
    closes = [{"close": [1000 * rate**i for rate in growth.values()]} for i in range(len(days))]
    history = {day: {"indices.daily": rows("indices.daily", day, keys, of_day)}
               for day, of_day in zip(days, closes, strict=True)}  # fmt: skip
    found = fold_history(history).market

    def gain(code: str, over: int) -> float:
        return growth[code] ** over - 1

    for name, one, other in (
        ("large_small", "000300.SH", "000852.SH"),
        ("large_small_growth", "399372.SZ", "399376.SZ"),
        ("value_growth_large", "399373.SZ", "399372.SZ"),
    ):
        shown = found[days[-1], name]
        assert shown.value == pytest.approx(gain(one, 20) - gain(other, 20))
        assert shown.details == pytest.approx({
            "five_days": gain(one, 5) - gain(other, 5), "sixty_days": gain(one, 60) - gain(other, 60),
            "first": gain(one, 20), "second": gain(other, 20),
        })  # fmt: skip
        assert (found[days[19], name].value, "sixty_days" in found[days[20], name].details) == (None, False)
        assert found[days[20], name].value == pytest.approx(shown.value)
    assert found[days[-1], "index_return/399373.SZ"].value == pytest.approx(gain("399373.SZ", 20))
    for name, code in (("large_small_value", "399377.SZ"), ("value_growth_small", "399377.SZ"),
                       ("index_return/399377.SZ", "399377.SZ")):  # fmt: skip
        shown = found[days[-1], name]
        assert (shown.value, code in shown.reason, "is not known" in shown.reason) == (None, True, True)
