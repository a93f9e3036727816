"""Indicators on cases computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from processors.indicators import excess_financing, extreme, fin_change, ratio_state, streak

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
    today, yesterday = np.array([1.0, 1.0, -1.0, 0.0, np.nan, 1.0]), np.array([1.0, -1.0, -1.0, 0.0, 1.0, np.nan])
    found = extreme.consecutive(today, yesterday)
    assert found[[0, 1, 2, 3, 5]].tolist() == [1, 0, -1, 0, 0]
    assert np.isnan(found[4])
