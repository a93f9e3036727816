"""Look-ahead: a record counts a case from the session behind the end of its horizon, whatever was read before.

Every test reads the whole future first. A record that used any of it would differ from the one of a desk that had
read nothing behind the alert's day.
"""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.desk import AlertDesk
from alerts.evidence import HORIZONS, wilson
from alerts.model import Alert, Evidence
from processors.codes import to_id
from processors.days import TradingCalendar
from processors.outputs import DayStatus, MarketSignal, SecuritySignals
from tests.test_desk import CALENDAR, DAYS, RULES, breakdown, close, fold, peaks

CASE = 3  # position of the earlier alert isin_sorted the days
READ = 150  # days of closes that are read before any alert
NOW = datetime(2020, 2, 1, tzinfo=UTC)


def record_at(desk: AlertDesk, position: int) -> Evidence:
    """Return the record of the peak warning of a day."""
    return peaks(desk)[DAYS[position]].evidence[0]


def desk_that_read(closes: list[float], alerts: list[int]) -> AlertDesk:
    """Return a desk that read every close before the first alert."""
    desk = AlertDesk(RULES, CALENDAR)
    fold(desk, *(close(i, value) for i, value in enumerate(closes)))
    fold(desk, *(breakdown(i) for i in alerts))
    return desk


def cases_by_horizon(record: Evidence) -> dict[str, int]:
    return {horizon: outcome.cases for horizon, outcome in record.outcomes.items()}


@pytest.mark.parametrize(
    ("sessions_later", "known"),
    [
        (5, {}),  # the fifth close is that of the alert's own day: not known before it
        (6, {"5": 1}),
        (20, {"5": 1}),
        (21, {"5": 1, "20": 1}),
        (60, {"5": 1, "20": 1}),
        (61, {"5": 1, "20": 1, "60": 1}),
    ],
)
def test_a_horizon_counts_from_the_session_behind_its_end(sessions_later: int, known: dict[str, int]) -> None:
    closes = [100.0 * 1.01**i for i in range(READ)]
    desk = desk_that_read(closes, [CASE, CASE + sessions_later])
    record = record_at(desk, CASE + sessions_later)
    assert cases_by_horizon(record) == known
    for horizon in known:
        assert record.outcomes[horizon].median == pytest.approx(1.01 ** int(horizon) - 1)
    assert (record.cases, record.hits) == (known.get("20", 0), 0)  # 1.01^20 − 1 = 22%: no top
    assert (record.drawdown is None) == ("60" not in known)


@pytest.mark.parametrize(("fall_at", "drawdown"), [(59, -0.5), (60, -0.5), (61, 0.0)])
def test_a_drawdown_covers_sixty_sessions_and_not_the_day_behind(fall_at: int, drawdown: float) -> None:
    closes = [100.0] * READ
    closes[CASE + fall_at] = 50.0
    record = record_at(desk_that_read(closes, [CASE, CASE + 80]), CASE + 80)
    assert record.drawdown == pytest.approx(drawdown)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(1, 130), min_size=2, max_size=6, unique=True).map(sorted),
    st.lists(st.floats(50, 200), min_size=READ, max_size=READ),
    st.lists(st.floats(1, 1_000), min_size=READ, max_size=READ),
)
def test_no_close_of_the_alerts_day_or_behind_it_is_in_its_record(alerts, closes, other) -> None:
    today = alerts[-1]
    plain = desk_that_read(closes, alerts)
    assert record_at(plain, today) == record_at(desk_that_read(closes[:today] + other[today:], alerts), today)
    assert record_at(plain, today) == record_at(desk_that_read(closes[:today], alerts), today)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.integers(1, 130), min_size=2, max_size=6, unique=True).map(sorted),
    st.lists(st.floats(50, 200), min_size=READ, max_size=READ),
)
def test_a_record_is_that_of_the_earlier_cases_by_hand(alerts, closes) -> None:
    record, today = record_at(desk_that_read(closes, alerts), alerts[-1]), alerts[-1]
    for horizon in HORIZONS:
        returns = [closes[d + horizon] / closes[d] - 1 for d in alerts[:-1] if d + horizon < today]
        assert cases_by_horizon(record).get(str(horizon), 0) == len(returns)
        if returns:
            outcome = record.outcomes[str(horizon)]
            assert (outcome.median, outcome.worst) == pytest.approx((float(np.median(returns)), min(returns)))
        if horizon == 20:
            assert record.hits == sum(r <= 0.02 for r in returns)
    falls = [min(closes[d : d + 61]) / closes[d] - 1 for d in alerts[:-1] if d + 60 < today]
    assert record.drawdown == (pytest.approx(min(falls)) if falls else None)


def test_a_case_at_the_beginning_of_the_calendar_has_no_other_future() -> None:
    """Positions in the calendar are small there: a horizon must not count from the calendar's end instead."""
    calendar = TradingCalendar(DAYS[:READ])
    growth = np.linspace(0.99, 1.01, 10)
    desk = AlertDesk(RULES, calendar)
    for at in range(30):
        fold(desk, priced(at, growth**at))
    fold(desk, extremes(CASE, "000002.SZ"), extremes(CASE + 4, "000003.SZ"))
    record = digests(desk)[DAYS[CASE + 4]].evidence[0]
    assert (record.cases, record.outcomes) == (0, {})


# -- records of securities ---------------------------------------------------------------------------------------

KEYS = np.sort(np.array([to_id(f"{n:06d}.SZ") for n in range(1, 11)], dtype=np.int32))


def extremes(at: int, code: str) -> SecuritySignals:
    side = (to_id(code) == KEYS).astype(float)
    return SecuritySignals(
        DayStatus(trade_date=DAYS[at], available_at=NOW, revision=0), KEYS,
        {"fin_change": side * 0.1, "fin_streak": np.zeros(10), "extreme": side, "consecutive_extreme": side},
    )  # fmt: skip


def priced(at: int, levels: np.ndarray, revision: int = 0) -> SecuritySignals:
    nothing = np.zeros(10)
    return SecuritySignals(
        DayStatus(trade_date=DAYS[at], available_at=NOW, revision=revision), KEYS,
        {"price_level": levels, "excess_top": nothing, "excess_kind": nothing, "excess_score": nothing,
         "divergence": nothing, "streak_excess": nothing}, "pricing",
    )  # fmt: skip


def digests(desk: AlertDesk) -> dict[date, Alert]:
    return {a.trade_date: a for a in desk.lifecycle.alerts.values() if a.rule == "fin_extreme"}


@pytest.mark.parametrize(
    ("sessions_later", "known"),
    [
        (5, {}),
        (6, {"5": 1}),
        (20, {"5": 1}),
        (21, {"5": 1, "20": 1}),
        (60, {"5": 1, "20": 1}),
        (61, {"5": 1, "20": 1, "60": 1}),
    ],
)
def test_a_digest_is_scored_from_the_session_behind_its_horizon(sessions_later: int, known: dict[str, int]) -> None:
    desk = AlertDesk(RULES, CALENDAR)
    last = CASE + sessions_later
    growth = np.linspace(0.99, 1.01, 10)
    for at in range(last + 1):
        fold(desk, extremes(at, "000002.SZ"), priced(at, growth**at)) if at == CASE else fold(
            desk, priced(at, growth**at)
        )
    fold(desk, extremes(last, "000003.SZ"))
    record = digests(desk)[DAYS[last]].evidence[0]
    assert cases_by_horizon(record) == known
    for horizon in known:
        returns = growth ** int(horizon) - 1
        assert record.outcomes[horizon].median == pytest.approx(returns[1] - returns.mean())
    assert record.drawdown is None


def test_corrected_levels_change_the_outcome_at_both_ends_of_a_horizon() -> None:
    desk = AlertDesk(RULES, CALENDAR)
    growth = np.linspace(0.99, 1.01, 10)
    for at in range(40):
        fold(desk, priced(at, growth**at))
    fold(desk, extremes(CASE, "000002.SZ"), extremes(39, "000003.SZ"))
    first, last = growth**CASE, growth ** (CASE + 5)
    for at, levels in ((CASE, first), (CASE + 5, last)):
        levels[1] *= 1.5
        fold(desk, priced(at, levels, revision=1))
        fold(desk, priced(at, growth**at))  # the lower revision changes nothing
        returns = last / first - 1
        record = digests(desk)[DAYS[39]].evidence[0]
        assert record.outcomes["5"].median == pytest.approx(returns[1] - returns.mean())


def test_a_close_of_a_lower_revision_replaces_nothing() -> None:
    closes = [100.0 + i for i in range(READ)]
    desk = desk_that_read(closes, [CASE, CASE + 30])
    fold(desk, close(CASE, 50.0, 2), close(CASE, 70.0, 1), close(CASE, 80.0, 2), close(CASE, 90.0))
    record = record_at(desk, CASE + 30)
    assert record.outcomes["20"].median == pytest.approx(closes[CASE + 20] / 50.0 - 1)


# -- Wilson's interval -------------------------------------------------------------------------------------------


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
    assert wilson(hits, cases) == pytest.approx((low, high), abs=5e-7)


@pytest.mark.parametrize("cases", [1, 2, 3, 7, 10, 49, 100, 1_000])
def test_an_interval_contains_its_share_and_lies_between_nothing_and_all(cases: int) -> None:
    for hits in range(cases + 1):
        low, high = wilson(hits, cases)
        assert low is not None and high is not None
        assert 0 <= low <= hits / cases + 1e-12 and hits / cases - 1e-12 <= high <= 1
        assert (low, high) == pytest.approx(tuple(1 - bound for bound in reversed(wilson(cases - hits, cases))))  # type: ignore[arg-type,operator]


def test_no_cases_have_no_interval() -> None:
    assert wilson(0, 0) == (None, None)


def test_a_signal_that_is_not_the_index_or_is_provisional_is_no_close() -> None:
    desk = desk_that_read([100.0] * READ, [CASE, CASE + 30])
    before = record_at(desk, CASE + 30)
    wrong = {"signal": "index_close", "subject": "000300.SH", "trade_date": DAYS[CASE + 5], "available_at": NOW}
    fold(
        desk,
        MarketSignal(**wrong, revision=9, value=1.0),
        MarketSignal(**(wrong | {"subject": "000001.SH"}), revision=9, value=1.0, provisional=True),
        MarketSignal(**(wrong | {"subject": "000001.SH"}), revision=9, value=None, reason="not known"),
    )
    assert record_at(desk, CASE + 30) == before
