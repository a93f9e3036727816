"""Every record of every rule on real data: at the end, and before each alert, that of an independent computation."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from statsmodels.stats.proportion import confint_proportions_2indep

from alerts.comparison import LEAST_EPISODES, compare_blocks, compare_shares
from alerts.desk import AlertDesk
from alerts.model import Alert, Evidence, Finding, Input, State
from alerts.record import RecordCard, cards
from alerts.rules import rules
from feeds.folder import read
from processors.history import History
from processors.parameters import Parameters
from processors.shares import episodes, wilson
from streams.calendars import xshg
from tests.folding import EXCHANGES, oracle_data
from tests.made_market import with_made_rows
from tests.oracle import records as oracle
from tests.oracle.data import Data

P = Parameters()
CALENDAR = xshg()
NOW = datetime(2021, 4, 1, tzinfo=UTC)


@dataclass
class Run:
    """The desk after a history, every alert in its last version, and the history as the oracle has it."""

    desk: AlertDesk
    alerts: list[Alert]
    data: Data
    expected: dict[tuple[str, str], oracle.Record]


@pytest.fixture(scope="module")
def run(data_dir: Path) -> Run:
    days = with_made_rows(dict(read(data_dir, CALENDAR).by_day()))
    history, desk = History(P, EXCHANGES, CALENDAR), AlertDesk(rules(P), CALENDAR)
    origin, last = Input("signals", 0, 0, 0), {}
    for _, feeds in sorted(days.items()):
        changes = [change for output in history.fold(feeds) for change in desk.fold(output, origin, NOW)]
        last |= {c.alert.id: c.alert for c in (*changes, *desk.update_evidence(origin, NOW))}
    alerts = [alert for alert in last.values() if alert.state is not State.SUPERSEDED]
    data = oracle_data(days)
    return Run(desk, alerts, data, oracle.records(data, P))


def of(evidence: Evidence) -> oracle.Known:
    return oracle.Known(
        evidence.cases, evidence.hits, evidence.unscored, evidence.base_cases, evidence.base_hits, evidence.episodes,
        {h: (o.cases, o.median, o.worst) for h, o in evidence.outcomes.items()}, evidence.drawdown,
    )  # fmt: skip


def assert_equal(found: Evidence, expected: oracle.Known, what: str) -> None:
    ours = of(found)
    assert replace(ours, outcomes={}, drawdown=None) == replace(expected, outcomes={}, drawdown=None), what
    assert ours.drawdown == (None if expected.drawdown is None else pytest.approx(expected.drawdown, rel=1e-9)), what
    assert ours.outcomes.keys() == expected.outcomes.keys(), what
    for horizon, values in ours.outcomes.items():
        assert values == pytest.approx(expected.outcomes[horizon], rel=1e-9), (what, horizon)


def test_every_record_at_the_end_is_the_oracles(run: Run) -> None:
    found = {(card.rule, card.evidence.name): card for rule in rules(P) for card in cards(run.desk, rule, CALENDAR)}
    assert found.keys() == run.expected.keys()  # a record that the oracle lacks: compute it there once more
    behind = run.data.days[-1] + timedelta(days=1)
    for key, card in found.items():
        record = run.expected[key]
        assert_equal(card.evidence, oracle.known_before(record, run.data, behind), str(key))
        assert [pd.Timestamp(row.trade_date) for row in card.rows] == list(record.cases), key
        assert pd.Timestamp(card.since) == record.since, key


def test_every_alert_has_the_record_that_was_known_before_it(run: Run) -> None:
    index = [(a.fired_on, a.rule, a.evidence) for a in run.alerts if a.evidence]
    sections = [(a.fired_on, s.rule, s.evidence) for a in run.alerts for s in a.sections if s.evidence]
    assert len(index) > 50 and len(sections) > 1500
    for fired_on, rule, records in (*index, *sections[::7]):
        for evidence in records:
            expected = oracle.known_before(run.expected[rule, evidence.name], run.data, pd.Timestamp(fired_on))
            assert_equal(evidence, expected, f"{rule} {evidence.name} {fired_on}")


def test_the_peak_warnings_of_2018_to_2021(run: Run) -> None:
    (rule,) = [one for one in rules(P) if one.name == "peak_warning"]
    (card,) = cards(run.desk, rule, CALENDAR)
    assert isinstance(card, RecordCard)
    assert [str(row.trade_date) for row in card.rows] == [
        "2018-02-06", "2019-03-14", "2019-04-15", "2019-12-24", "2020-02-04", "2020-03-12", "2020-07-22", "2020-08-12"
    ]  # fmt: skip
    first = card.rows[0]
    assert (str(first.entry_date), first.figure) == ("2018-02-07", pytest.approx(0.09862, abs=1e-5))
    assert first.entry == pytest.approx(3412.74, abs=0.01)  # the SSE Composite opened at 3412.74
    lives = [(a.trade_date, a.resolved_on) for a in run.alerts if a.rule == "peak_warning"]
    for begun, ended in lives:
        assert ended is not None
        assert (CALENDAR.count_before((ended - date(1970, 1, 1)).days)
                - CALENDAR.count_before((begun - date(1970, 1, 1)).days)) <= 61  # fmt: skip


def test_no_alert_of_a_day_in_the_past_fires_for_ever(run: Run) -> None:
    newest = run.desk.lifecycle.newest
    for alert in run.alerts:
        assert alert.expires_on is not None
        if alert.state is State.RESOLVED:
            assert alert.resolved_on is not None and alert.resolved_on <= alert.expires_on
            assert alert.ended_by is not None
        else:
            assert alert.expires_on > newest


# -- the difference from the base rate -------------------------------------------------------------------------------


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
    [(LEAST_EPISODES - 1, LEAST_EPISODES - 1, Finding.TOO_FEW), (20, 20, Finding.BETTER), (10, 20, Finding.NO_BETTER),
     (0, 20, Finding.NO_BETTER)],
)  # fmt: skip
def test_the_plain_reading_of_a_record(hits: int, cases: int, finding: Finding) -> None:
    assert compare_shares(hits, np.arange(cases) * 60, 5000, 10_000, 60).finding is finding


def test_a_record_without_cases_or_base_says_nothing() -> None:
    nothing = np.array([], dtype=int)
    for found in (compare_shares(0, nothing, 5, 10, 20), compare_shares(1, np.array([3]), 0, 0, 20)):
        assert (found.low, found.high, found.finding) == (None, None, Finding.TOO_FEW)
    zeros = np.zeros(100)
    assert compare_blocks(zeros, zeros, zeros, zeros, 20).finding is Finding.TOO_FEW


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
