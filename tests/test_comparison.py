"""A hit rate beside its base rate: the interval of the difference, how many cases are independent, what it says."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.proportion import confint_proportions_2indep

from alerts.comparison import LEAST_EPISODES, _student, compare_blocks, compare_shares
from alerts.model import RecordFinding
from processors.shares import episodes, wilson


@pytest.mark.parametrize(
    ("hits", "cases", "low", "high"),
    [  # Wilson (1927), by an independent computation with z = 1.959964
        (0, 1, 0.0, 0.7934507),
        (1, 1, 0.2065493, 1.0),
        (0, 10, 0.0, 0.2775328),
        (8, 10, 0.4901625, 0.9433178),
        (50, 100, 0.4038315, 0.5961685),
    ],
)
def test_wilsons_interval(hits: int, cases: int, low: float, high: float) -> None:
    assert wilson(hits / cases, cases) == pytest.approx((low, high), abs=5e-7)


@pytest.mark.parametrize(
    ("hits", "cases", "base_hits", "base_days"), [(6, 8, 590, 1000), (1, 12, 300, 600), (9, 9, 5, 50)]
)
def test_the_interval_of_single_cases_is_newcombes(hits: int, cases: int, base_hits: int, base_days: int) -> None:
    days = np.arange(cases) * 5
    found = compare_shares(hits, days, base_hits, base_days, 1)
    expected = confint_proportions_2indep(hits, cases, base_hits, base_days, method="newcomb", compare="diff")
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-4)


def test_cases_within_one_horizon_and_days_of_the_base_count_once() -> None:
    single = compare_shares(15, np.arange(20) * 60, 300, 600, 1)
    runs = compare_shares(30, np.sort(np.r_[np.arange(20), np.arange(20)]) * 60 + np.tile([0, 1], 20), 18000, 36000, 60)
    assert single.episodes == runs.episodes == 20
    assert (runs.low, runs.high) == pytest.approx((single.low, single.high))
    assert episodes(np.array([3, 62, 63, 64, 130]), 60) == 3


@pytest.mark.parametrize(
    ("hits", "cases", "finding"),
    [
        (LEAST_EPISODES - 1, LEAST_EPISODES - 1, RecordFinding.TOO_FEW),
        (20, 20, RecordFinding.BETTER),
        (10, 20, RecordFinding.NO_BETTER),
        (0, 20, RecordFinding.NO_BETTER),
    ],
)
def test_the_plain_reading_of_a_record(hits: int, cases: int, finding: RecordFinding) -> None:
    assert compare_shares(hits, np.arange(cases) * 60, 5000, 10_000, 60).finding is finding


def test_a_record_without_cases_or_base_says_nothing() -> None:
    nothing = np.array([], dtype=int)
    for found in (compare_shares(0, nothing, 5, 10, 20), compare_shares(1, np.array([3]), 0, 0, 20)):
        assert (found.low, found.high, found.finding) == (None, None, RecordFinding.TOO_FEW)
    zeros = np.zeros(100)
    assert compare_blocks(zeros, zeros, zeros, zeros, 20).finding is RecordFinding.TOO_FEW


def test_the_interval_of_digests_covers_the_truth_at_about_95_percent() -> None:
    """Securities of a day share its luck, and days within a horizon share returns: the interval allows for both."""
    rng, covered, span, days = np.random.default_rng(5), 0, 20, 800
    for _ in range(200):
        shocks = np.convolve(rng.normal(0, 1, days + span), np.ones(span), mode="valid")[:days] / np.sqrt(span)
        share = 0.5 + 0.1 * np.tanh(shocks)  # of the flagged; its mean is 0.5
        cases = rng.poisson(5, days).astype(float)
        hits = rng.binomial(cases.astype(int), share).astype(float)
        base_cases = np.full(days, 1000.0)
        base_hits = rng.binomial(1000, 0.5, days).astype(float)
        found = compare_blocks(hits, cases, base_hits, base_cases, span)
        assert found.low is not None and found.high is not None
        covered += found.low <= 0 <= found.high
    assert 0.88 <= covered / 200 <= 0.99


def test_the_interval_of_two_episodes_is_wide_and_within_what_shares_can_be() -> None:
    """Three of three cases had +32 to +61 points, and their base rate left room for 47."""
    cases, base_cases = np.zeros(60), np.full(60, 31.0)
    cases[[5, 15, 45]] = 1.0
    base_hits = np.where(np.arange(60) < 30, 15.0, 18.0)
    found = compare_blocks(cases, cases, base_hits, base_cases, 20)
    base = base_hits.sum() / base_cases.sum()
    assert found.episodes == 2 and found.low is not None and found.high is not None
    assert -base <= found.low < 1 - base and found.high <= 1 - base


@pytest.mark.parametrize(("freedom", "quantile"), [(1, 12.706), (2, 4.303), (3, 3.182), (5, 2.571), (30, 2.042)])
def test_students_quantile(freedom: int, quantile: float) -> None:
    assert _student(freedom) == pytest.approx(quantile, rel=0.12 if freedom == 1 else 0.01)
