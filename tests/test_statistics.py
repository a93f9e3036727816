"""Percentiles, drawdowns, distances and the RSI on windows that are computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from processors.statistics import deviations, distances, drawdowns, means, percentiles, rolling_sums, rsi

NAN = np.nan


@pytest.mark.parametrize(
    ("window", "least", "expected"),
    [
        ([1, 2, 3, 4], 4, 1.0),
        ([1, 2, 3, 4], 5, NAN),  # too few are known
        ([4, 3, 2, 1], 4, 0.25),
        ([1, 3, 2, 2], 4, 0.75),  # equals count
        ([1, NAN, 3, 2], 3, 2 / 3),
        ([1, NAN, 3, 2], 4, NAN),
        ([1, 2, 3, NAN], 2, NAN),  # the last one is not known
        ([2, 2, 2], 1, 1.0),
        ([NAN, NAN], 0, NAN),
        ([0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1], 1, 1.0),  # equal but for rounding, the first is larger
        ([-(0.1 + 0.2 + 0.3), 0.5, -(0.3 + 0.2 + 0.1)], 1, 2 / 3),
        ([-(0.3 + 0.2 + 0.1), 0.5, -(0.1 + 0.2 + 0.3)], 1, 2 / 3),
    ],
)
def test_a_percentile_is_the_share_of_known_values_not_above_the_last(window, least, expected) -> None:
    assert percentiles(np.array([window], dtype=float), least) == pytest.approx([expected], nan_ok=True)


def test_months_of_rates_with_two_decimals_have_the_rank_of_their_exact_sums() -> None:
    hundredths = np.random.default_rng(7).integers(40, 60, 300)
    exact = np.convolve(hundredths, np.ones(20, dtype=int), "valid")
    months = rolling_sums(hundredths / 100 / 100, 20) / 20
    for end in range(1, len(months) + 1):
        assert percentiles(months[None, :end])[0] == (exact[:end] <= exact[end - 1]).mean()


def test_one_known_value_is_enough_for_a_percentile_unless_more_are_asked_for() -> None:
    assert percentiles(np.array([[NAN, 3.0]])).tolist() == [1.0]


@pytest.mark.parametrize(
    ("closes", "from_high", "from_mean"),
    [([10, 8, 6], -0.4, -0.25), ([6, 8, 10], 0.0, 0.25), ([10, NAN, 5], -0.5, -1 / 3), ([4, 4], 0.0, 0.0)],
)
def test_drawdown_and_distance_are_of_the_last_value(closes, from_high, from_mean) -> None:
    windows = np.array([closes], dtype=float)
    assert drawdowns(windows) == pytest.approx([from_high])
    assert distances(windows) == pytest.approx([from_mean])


@pytest.mark.parametrize(
    ("window", "mean", "deviation"),
    [
        ([1, 2, 3, 4], 2.5, (5 / 3) ** 0.5), ([2, NAN, 4], 3.0, 2**0.5), ([NAN, 7], 7.0, NAN), ([NAN, NAN], NAN, NAN),
        ([5, 5, 5], 5.0, 0.0),
    ],
)  # fmt: skip
def test_means_and_sample_deviations_leave_out_what_is_not_known(window, mean, deviation) -> None:
    windows = np.array([window], dtype=float)
    assert means(windows) == pytest.approx([mean], nan_ok=True)
    assert deviations(windows) == pytest.approx([deviation], nan_ok=True)


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_mean_of_a_window_has_the_same_bits_beside_windows_with_unknown_values(order: str) -> None:
    windows = np.random.default_rng(5).normal(1e9, 1e8, (40, 250))
    alone = [means(window[None])[0] for window in windows]
    beside = np.concatenate([windows, np.full((1, 250), NAN)])
    for together in (windows, beside):
        laid_out = np.asarray(together, order=order)
        assert means(laid_out)[:40].tobytes() == np.array(alone).tobytes()
        assert means(laid_out[:, 1:])[0] == means(windows[:1, 1:])[0]
    assert means(np.empty((2, 0))).tolist() == pytest.approx([NAN, NAN], nan_ok=True)


@pytest.mark.parametrize(("days", "sums"), [(1, [1, 2, 4, 8]), (2, [3, 6, 12]), (3, [7, 14]), (4, [15])])
def test_rolling_sums(days: int, sums: list[float]) -> None:
    assert rolling_sums(np.array([[1.0, 2.0, 4.0, 8.0]]), days).tolist() == [sums]


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
