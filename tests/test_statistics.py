"""Percentiles, drawdowns, distances and the RSI on windows that are computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from processors.statistics import distance, drawdown, percentile_of, rsi

NAN = np.nan


@pytest.mark.parametrize(
    ("window", "least", "expected"),
    [
        ([1, 2, 3, 4], 4, 1.0),
        ([1, 2, 3, 4], 5, None),  # too few are known
        ([4, 3, 2, 1], 4, 0.25),
        ([1, 3, 2, 2], 4, 0.75),  # equals count
        ([1, NAN, 3, 2], 3, 2 / 3),
        ([1, NAN, 3, 2], 4, None),
        ([1, 2, 3, NAN], 2, None),  # the last one is not known
        ([2, 2, 2], 1, 1.0),
    ],
)
def test_a_percentile_is_the_share_of_known_values_not_above_the_last(window, least, expected) -> None:
    assert percentile_of(np.array(window, dtype=float), least) == (
        None if expected is None else pytest.approx(expected)
    )


@pytest.mark.parametrize(
    ("closes", "from_high", "from_mean"),
    [([10, 8, 6], -0.4, -0.25), ([6, 8, 10], 0.0, 0.25), ([10, NAN, 5], -0.5, -1 / 3), ([4, 4], 0.0, 0.0)],
)
def test_drawdown_and_distance_are_of_the_last_value(closes, from_high, from_mean) -> None:
    window = np.array(closes, dtype=float)
    assert drawdown(window) == pytest.approx(from_high)
    assert distance(window) == pytest.approx(from_mean)


def test_the_rsi_by_hand() -> None:
    # Changes +1, −2, +3 with RSI(2): weights ¼, ½, 1.
    expected = 100 * (0.25 * 1 + 1 * 3) / (0.25 * 1 + 0.5 * 2 + 1 * 3)
    assert float(rsi(np.array([10.0, 11.0, 9.0, 12.0]), 2)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("closes", "expected"), [([5, 5, 5], 50.0), ([1, 2, 3], 100.0), ([3, 2, 1], 0.0), ([1.0, 1.1, 1.0], 200 / 5)]
)
def test_the_rsi_at_its_limits(closes, expected) -> None:
    # The last: +0.1 weighs ⅔, −0.1 weighs 1.
    assert float(rsi(np.array(closes, dtype=float), 3)) == pytest.approx(expected)


def test_the_rsi_of_many_lines_is_that_of_each() -> None:
    lines = np.random.default_rng(0).uniform(1, 2, (4, 3, 20))
    found = rsi(lines, 14)
    assert found.shape == (4, 3)
    for at in np.ndindex(4, 3):
        assert found[at] == pytest.approx(float(rsi(lines[at], 14)))


@pytest.mark.parametrize("days", [2, 14])
def test_the_rsi_is_wilders_smoothing_of_an_infinite_past(days: int) -> None:
    closes = np.random.default_rng(1).uniform(1, 2, 400)
    up = down = 0.0
    for change in np.diff(closes):
        up += (max(change, 0) - up) / days
        down += (max(-change, 0) - down) / days
    assert float(rsi(closes, days)) == pytest.approx(100 * up / (up + down))
