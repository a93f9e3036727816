"""Look-ahead: a record counts a case from the session behind the end of its horizon, whatever was read before.

Every test reads the whole future first. A record that used any of it would differ from the one of a desk that had
read nothing behind the alert's day.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from datetime import UTC, date, datetime

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.desk import AlertDesk
from alerts.evidence import EvidenceStore
from alerts.index_scores import LONGEST, IndexScores
from alerts.member_scores import HORIZONS, MemberScores, industry_levels, stock_levels
from alerts.model import Alert, Evidence
from processors.codes import to_id
from processors.days import TradingCalendar, to_day
from processors.needs import CHARTS, REFERENCE, VALUATIONS
from processors.outputs import DayStatus, IndustrySignals, MarketSignal, SecuritySignals
from tests.building import industry_signals, security_signals
from tests.test_desk import CALENDAR, DAYS, RULES, breakdown, close, fold, peaks

CASE = 3  # position of the earlier alert among the days
READ = 150  # days of closes that are read before any alert
NOW = datetime(2020, 2, 1, tzinfo=UTC)
TOP = 0.05


def record_at(desk: AlertDesk, position: int) -> Evidence:
    """Return the record of the peak warning of a day."""
    return peaks(desk)[DAYS[position]].evidence[0]


def opens_of(closes: list[float]) -> list[float]:
    """Opens that differ from every close."""
    return [value * (1 + 0.003 * np.cos(i)) for i, value in enumerate(closes)]


def desk_that_read(closes: list[float], alerts: list[int]) -> AlertDesk:
    """Return a desk that read every close before the first alert."""
    desk = AlertDesk(RULES, CALENDAR)
    fold(desk, *(close(i, v, opened=o) for i, (v, o) in enumerate(zip(closes, opens_of(closes), strict=True))))
    fold(desk, *(breakdown(i) for i in alerts))
    return desk


def cases_by_horizon(record: Evidence) -> dict[str, int]:
    return {horizon: outcome.cases for horizon, outcome in record.outcomes.items()}


AROUND = [
    (5, {}),  # the fifth close is that of the alert's own day: not known before it
    (6, {"5": 1}),
    (20, {"5": 1}),
    (21, {"5": 1, "20": 1}),
    (60, {"5": 1, "20": 1}),
    (61, {"5": 1, "20": 1, "60": 1}),
]


@pytest.mark.parametrize(("sessions_later", "known"), AROUND)
def test_a_horizon_counts_from_the_session_behind_its_end(sessions_later: int, known: dict[str, int]) -> None:
    closes = [100.0 * 1.01**i for i in range(READ)]
    entry = opens_of(closes)[CASE + 1]
    desk = desk_that_read(closes, [CASE, CASE + sessions_later])
    record = record_at(desk, CASE + sessions_later)
    assert cases_by_horizon(record) == known
    for horizon in known:
        assert record.outcomes[horizon].median == pytest.approx(closes[CASE + int(horizon)] / entry - 1)
    over = known.get("60", 0)
    # It rises by 1% a day: no top; the only scored day of the base is the case's own.
    assert (record.cases, record.hits, record.base_cases, record.base_hits) == (over, 0, over, 0)
    assert (record.drawdown is None) == (not over)


@pytest.mark.parametrize(("fall_at", "drawdown"), [(59, -0.5), (60, -0.5), (61, 0.0)])
def test_a_drawdown_covers_sixty_sessions_and_not_the_day_behind(fall_at: int, drawdown: float) -> None:
    closes = [100.0] * READ
    closes[CASE + fall_at] = 50.0
    desk = AlertDesk(RULES, CALENDAR)
    fold(
        desk, *(close(i, value, opened=100.0) for i, value in enumerate(closes)), breakdown(CASE), breakdown(CASE + 80)
    )
    assert record_at(desk, CASE + 80).drawdown == pytest.approx(drawdown)


@pytest.mark.parametrize(("rise_at", "hits"), [(1, 0), (59, 0), (60, 0), (61, 1)])
def test_a_top_is_never_exceeded_within_sixty_sessions(rise_at: int, hits: int) -> None:
    closes = [100.0] * READ
    closes[CASE + rise_at] = 106.0
    desk = AlertDesk(RULES, CALENDAR)
    fold(
        desk, *(close(i, value, opened=100.0) for i, value in enumerate(closes)), breakdown(CASE), breakdown(CASE + 80)
    )
    record = record_at(desk, CASE + 80)
    assert (record.cases, record.hits) == (1, hits)


PRICES = st.lists(st.floats(50, 200), min_size=READ, max_size=READ)
ALERTS = st.lists(st.integers(1, 130), min_size=2, max_size=6, unique=True).map(sorted)


@settings(max_examples=40, deadline=None)
@given(ALERTS, PRICES, st.lists(st.floats(1, 1_000), min_size=READ, max_size=READ))
def test_no_price_of_the_alerts_day_or_behind_it_is_in_its_record(alerts, closes, other) -> None:
    today = alerts[-1]
    plain = desk_that_read(closes, alerts)
    assert record_at(plain, today) == record_at(desk_that_read(closes[:today] + other[today:], alerts), today)
    assert record_at(plain, today) == record_at(desk_that_read(closes[:today], alerts), today)


@settings(max_examples=25, deadline=None)
@given(ALERTS, PRICES)
def test_a_record_is_that_of_the_earlier_cases_by_hand(alerts, closes) -> None:
    record, today = record_at(desk_that_read(closes, alerts), alerts[-1]), alerts[-1]
    opens = opens_of(closes)

    def is_top(day: int) -> bool:
        return all(value / opens[day + 1] - 1 <= TOP for value in closes[day + 1 : day + 61])

    for horizon in HORIZONS:
        returns = [closes[d + horizon] / opens[d + 1] - 1 for d in alerts[:-1] if d + horizon < today]
        assert cases_by_horizon(record).get(str(horizon), 0) == len(returns)
        if returns:
            outcome = record.outcomes[str(horizon)]
            assert (outcome.median, outcome.worst) == pytest.approx((float(np.median(returns)), min(returns)))
    over = [d for d in alerts[:-1] if d + 60 < today]
    base = [d for d in range(alerts[0], today) if d + 60 < today]
    assert (record.cases, record.hits) == (len(over), sum(is_top(d) for d in over))
    assert (record.base_cases, record.base_hits) == (len(base), sum(is_top(d) for d in base))
    falls = [min(closes[d + 1 : d + 61]) / opens[d + 1] - 1 for d in over]
    assert record.drawdown == (pytest.approx(min(falls)) if falls else None)


def test_a_case_without_an_entry_or_with_a_hole_in_its_path_is_unscored() -> None:
    cases, closes = [CASE, 20, 30, 40], [100.0] * READ
    desk = AlertDesk(RULES, CALENDAR)
    fold(desk, *(close(i, value, opened=0.0 if i == CASE + 1 else value) for i, value in enumerate(closes) if i != 50))
    fold(desk, *(breakdown(i) for i in (*cases, 120)))
    record = record_at(desk, 120)
    # The first has no open; the others need the close of day 50. Of the base, only days 50 to 59 are scored.
    assert (record.cases, record.unscored, record.outcomes["5"].cases) == (0, 4, 3)
    assert (record.base_cases, record.base_hits) == (10, 10)
    fold(desk, close(50, 100.0, opened=100.0))
    record = record_at(desk, 120)
    assert (record.cases, record.hits, record.unscored) == (3, 3, 1)
    assert record.base_cases == 120 - 60 - CASE - 1  # the one without an open is missing


def test_a_withdrawn_open_or_close_is_no_price() -> None:
    desk = AlertDesk(RULES, CALENDAR)
    fold(desk, *(close(i, 100.0, opened=100.0) for i in range(READ)), breakdown(CASE), breakdown(CASE + 80))
    assert record_at(desk, CASE + 80).cases == 1
    fold(desk, close(CASE + 1, 100.0, 1))
    assert (record_at(desk, CASE + 80).cases, record_at(desk, CASE + 80).unscored) == (0, 1)
    fold(desk, close(CASE + 1, 100.0, 2, opened=100.0), close(CASE + 9, None, 1))
    assert (record_at(desk, CASE + 80).cases, record_at(desk, CASE + 80).unscored) == (0, 1)


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


def test_an_alert_is_added_to_its_record_once_for_each_day_on_which_it_fired() -> None:
    desk = desk_that_read([100.0] * READ, [CASE])
    alert = peaks(desk)[DAYS[CASE]]
    expectation = next(rule for rule in RULES if rule.name == alert.rule).expectations[0]
    evidence = EvidenceStore(RULES, CALENDAR)
    assert [evidence.add(alert, expectation) for _ in range(2)] == [True, False]
    later = msgspec.structs.replace(alert, fired_on=DAYS[CASE + 1])
    assert [evidence.add(later, expectation) for _ in range(2)] == [True, False]
    days = [day for day, *_ in evidence.cases(alert.rule, alert.subject, expectation)]
    assert days == [to_day(DAYS[CASE + 1])]
    assert [evidence.remove(later, expectation) for _ in range(2)] == [True, False]
    assert evidence.cases(alert.rule, alert.subject, expectation) == []
    outside = msgspec.structs.replace(alert, fired_on=date(2020, 1, 4))  # a Saturday
    assert not evidence.add(outside, expectation)


# -- records of securities ---------------------------------------------------------------------------------------

KEYS = np.sort(np.array([to_id(f"{n:06d}.SZ") for n in range(1, 11)], dtype=np.int32))


def extremes(at: int, *codes: str, revision: int = 0) -> SecuritySignals:
    side = np.isin(KEYS, [to_id(code) for code in codes]).astype(float)
    return security_signals(
        DayStatus(trade_date=DAYS[at], available_at=NOW, revision=revision), KEYS,
        {"fin_change": side * 0.1, "fin_streak": np.zeros(10), "extreme": side, "consecutive_extreme": side},
    )  # fmt: skip


def priced(
    at: int, levels: np.ndarray, revision: int = 0, opened: np.ndarray | None = None, keys: np.ndarray = KEYS
) -> SecuritySignals:
    nothing = np.zeros(len(keys))
    inside = nothing if opened is None else levels / opened - 1
    return security_signals(
        DayStatus(
            trade_date=DAYS[at], available_at=NOW, revision=revision, input_revisions={"prices.daily[0]": revision}
        ), keys,
        {"price_level": levels, "open_to_close": inside, "excess_top": nothing, "excess_kind": nothing,
         "excess_score": nothing, "divergence": nothing, "streak_excess": nothing}, "pricing",
    )  # fmt: skip


def digests(desk: AlertDesk) -> dict[date, Alert]:
    return {a.trade_date: a for a in desk.lifecycle.alerts.values() if a.rule == "fin_extreme"}


@pytest.mark.parametrize(("sessions_later", "known"), AROUND)
def test_a_digest_is_scored_from_the_session_behind_its_horizon(sessions_later: int, known: dict[str, int]) -> None:
    desk = AlertDesk(RULES, CALENDAR)
    last = CASE + sessions_later
    growth = np.linspace(0.99, 1.01, 10)
    for at in range(READ):
        fold(desk, priced(at, growth**at, opened=growth ** (at - 0.5)))
        if at in (CASE, last):
            fold(desk, extremes(at, "000002.SZ", "000009.SZ"))
    record = digests(desk)[DAYS[last]].evidence[0]
    assert cases_by_horizon(record) == known
    for horizon in known:
        returns = growth ** (int(horizon) - 0.5) - 1
        assert record.outcomes[horizon].median == pytest.approx(returns[[1, 8]].mean() - returns.mean())
    # Of two securities one lags the mean; of all stocks on the only scored day of the history five (or six) do.
    scored = known.get("20", 0)
    returns = growth**19.5
    assert (record.cases, record.hits, record.unscored) == (2 * scored, scored, 0)
    days = max(0, sessions_later - 20)
    assert (record.base_cases, record.base_hits) == (10 * days, int((returns < returns.mean()).sum()) * days)
    assert record.drawdown is None


def test_a_digests_record_is_the_same_whatever_is_read_first() -> None:
    rng = np.random.default_rng(3)
    levels = np.cumprod(1 + rng.normal(0, 0.02, (READ, 10)), axis=0)
    messages = [priced(at, levels[at], opened=levels[at] * 0.99) for at in range(100)]
    alerts = [extremes(at, f"{1 + at % 10:06d}.SZ") for at in range(0, 100, 3)]
    desks = [AlertDesk(RULES, CALENDAR) for _ in range(3)]
    for at in range(100):
        fold(desks[0], messages[at], *(a for a in alerts if a.status.trade_date == DAYS[at]))
    fold(desks[1], *alerts, *messages)
    fold(desks[2], *messages, *alerts)
    records = [{day: alert.evidence for day, alert in digests(desk).items()} for desk in desks]
    assert records[0] == records[1] == records[2]
    assert records[0][DAYS[99]][0].cases == 27  # the alerts of days 0, 3 … 78


@pytest.mark.parametrize("restart", [False, True])
def test_alerts_that_are_read_ahead_of_the_prices_change_once(restart: bool) -> None:
    """In a backfill each price would change the records of all later alerts."""
    rng = np.random.default_rng(3)
    levels = np.cumprod(1 + rng.normal(0, 0.02, (READ, 10)), axis=0)
    closes = [close(at, 100.0 + at % 7, opened=100.0) for at in range(100)]
    alerts = [extremes(at, f"{1 + at % 10:06d}.SZ") for at in range(0, 100, 3)] + [breakdown(40), breakdown(95)]
    desk, plain = AlertDesk(RULES, CALENDAR), AlertDesk(RULES, CALENDAR)
    fold(desk, *alerts, wait=True)
    seen: Counter[date] = Counter()
    for at in range(98):
        messages = [priced(at, levels[at], opened=levels[at] * 0.99), closes[at]]
        fold(plain, *messages)
        for message in messages:
            seen.update(c.alert.trade_date for c in fold(desk, message, wait=True) if c.event.what == "evidence")
        if restart and at == 50:
            rows = {name: row for name, row in desk.changed_rows().items() if row is not None}
            desk = AlertDesk(RULES, CALENDAR)
            desk.load_rows(rows)
    fold(plain, *alerts)

    def records(one: AlertDesk) -> dict[str, list[Evidence]]:
        return {name: alert.evidence for name, alert in one.lifecycle.alerts.items()}

    assert {name: found for name, found in records(desk).items() if found != records(plain)[name]}.keys() == {
        name for name, alert in desk.lifecycle.alerts.items() if alert.trade_date == DAYS[99]
    }
    assert max(seen.values()) <= 2
    fold(desk)  # a barrier waits for nothing
    assert records(desk) == records(plain)


def test_a_member_without_a_price_is_unscored() -> None:
    desk = AlertDesk(RULES, CALENDAR)
    growth = np.linspace(0.99, 1.01, 10)
    for at in range(60):
        keys = KEYS[1:] if at == CASE + 1 else KEYS[:-1] if at == CASE + 20 else KEYS
        fold(desk, priced(at, growth[np.isin(KEYS, keys)] ** at, keys=keys))
    fold(desk, extremes(CASE, "000001.SZ", "000002.SZ", "000010.SZ"), extremes(50, "000003.SZ"))
    record = digests(desk)[DAYS[50]].evidence[0]
    assert (record.cases, record.unscored) == (1, 2)


def test_a_digest_that_a_correction_empties_is_no_case_any_more() -> None:
    growth = np.linspace(0.99, 1.01, 10)
    desk, never = AlertDesk(RULES, CALENDAR), AlertDesk(RULES, CALENDAR)
    for at in range(60):
        fold(desk, priced(at, growth**at))
        fold(never, priced(at, growth**at))
    fold(desk, extremes(CASE, "000002.SZ", "000009.SZ"), extremes(50, "000003.SZ"))
    assert digests(desk)[DAYS[50]].evidence[0].cases == 2
    fold(desk, extremes(CASE, revision=1))
    fold(never, extremes(CASE), extremes(50, "000003.SZ"))
    record = digests(desk)[DAYS[50]].evidence[0]
    assert (record.cases, record.hits, record.unscored, record.outcomes) == (0, 0, 0, {})
    assert record == digests(never)[DAYS[50]].evidence[0]
    fold(desk, extremes(CASE, "000002.SZ", revision=2))  # and back again
    assert digests(desk)[DAYS[50]].evidence[0].cases == 1


def test_corrected_levels_change_the_outcome_at_both_ends_of_a_horizon() -> None:
    desk = AlertDesk(RULES, CALENDAR)
    growth = np.linspace(0.99, 1.01, 10)
    for at in range(40):
        fold(desk, priced(at, growth**at))
    fold(desk, extremes(CASE, "000002.SZ"), extremes(39, "000003.SZ"))
    first, last = growth ** (CASE + 1), growth ** (CASE + 5)
    for at, levels in ((CASE + 1, first), (CASE + 5, last)):
        levels[1] *= 1.5
        fold(desk, priced(at, levels, revision=1))
        fold(desk, priced(at, growth**at))  # the lower revision changes nothing
        returns = last / first - 1
        record = digests(desk)[DAYS[39]].evidence[0]
        assert record.outcomes["5"].median == pytest.approx(returns[1] - returns.mean())


@pytest.mark.parametrize(("gone", "cases"), [(slice(1, 2), 0), (slice(None), 0), (slice(2, 3), 1)])
@pytest.mark.parametrize("horizon", [5, 20])
def test_a_level_that_a_correction_withdraws_is_no_outcome(gone: slice, cases: int, horizon: int) -> None:
    growth = np.linspace(0.99, 1.01, 10)
    without = growth ** (CASE + horizon)
    without[gone] = np.nan
    desk, never = AlertDesk(RULES, CALENDAR), AlertDesk(RULES, CALENDAR)
    for at in range(40):
        fold(desk, priced(at, growth**at))
        fold(never, priced(at, without if at == CASE + horizon else growth**at))
    for one in (desk, never):
        fold(one, extremes(CASE, "000002.SZ"), extremes(39, "000003.SZ"))
    fold(desk, priced(CASE + horizon, without, revision=1))
    record = digests(desk)[DAYS[39]].evidence[0]
    assert record.outcomes.keys() == ({"5", "20"} if cases else {"5", "20"} - {str(horizon)})
    assert record == digests(never)[DAYS[39]].evidence[0]


def test_levels_corrected_sixty_sessions_late_are_applied_and_older_ones_are_counted() -> None:
    growth, last = np.linspace(0.99, 1.01, 10), 180
    desk, plain = AlertDesk(RULES, CALENDAR), AlertDesk(RULES, CALENDAR)
    levels = {at: growth**at for at in range(last)}
    corrected = dict(levels)
    for at in range(last - 60, last):  # the level of one security changes from there on
        corrected[at] = levels[at] * np.where(np.arange(10) == 1, 1.3, 1.0)
    for at in range(last):
        fold(desk, priced(at, levels[at]), extremes(at, "000002.SZ"))
        fold(plain, priced(at, corrected[at]), extremes(at, "000002.SZ"))
    fold(desk, *(priced(at, corrected[at], 1) for at in range(last - 60, last)))
    records = [{day: alert.evidence for day, alert in digests(one).items()} for one in (desk, plain)]
    assert records[0] == records[1]
    assert desk.evidence.refused == 0
    fold(desk, priced(CASE, levels[CASE], 2))
    assert desk.evidence.refused == 1


def test_a_close_of_a_lower_revision_replaces_nothing() -> None:
    closes = [100.0 + i for i in range(READ)]
    desk = desk_that_read(closes, [CASE, CASE + 30])
    fold(desk, close(CASE + 1, 50.0, 2, opened=50.0), close(CASE + 1, 70.0, 1), close(CASE + 1, 80.0, 2))
    record = record_at(desk, CASE + 30)
    assert record.outcomes["20"].median == pytest.approx(closes[CASE + 20] / 50.0 - 1)


def test_a_signal_that_is_not_the_index_or_is_provisional_is_no_close() -> None:
    desk = desk_that_read([100.0] * READ, [CASE, CASE + 30])
    before = record_at(desk, CASE + 30)
    wrong = {"signal": "index_close", "subject": "000300.SH", "trade_date": DAYS[CASE + 5], "available_at": NOW}
    fold(
        desk,
        MarketSignal(**wrong, revision=9, value=1.0),
        MarketSignal(**(wrong | {"subject": "000001.SH"}), revision=9, value=1.0, provisional=True),
    )
    assert record_at(desk, CASE + 30) == before


@pytest.mark.parametrize("universe", ["stocks", "industries"])
def test_what_arrives_half_a_year_behind_and_has_no_price_corrects_none(universe: str) -> None:
    """Charts and valuations raise the revision of a frame in a backfill, and so do master data: no price was late."""
    of_stocks = universe == "stocks"
    scores = MemberScores(universe, stock_levels if of_stocks else industry_levels, CALENDAR)

    def frame(at: int, **revisions: int) -> SecuritySignals | IndustrySignals:
        topics = {CHARTS, VALUATIONS} & set(revisions)
        status = DayStatus(
            trade_date=DAYS[at],
            available_at=NOW,
            revision=sum(revisions.values()) + len(topics),
            input_revisions={f"{name}[0]": one for name, one in revisions.items()},
        )
        if of_stocks:
            return dataclasses.replace(priced(at, np.full(10, 1.0 + at)), status=status)
        return industry_signals(status, dict.fromkeys(("index_close", "index_open"), np.full(31, 1.0 + at)))

    first = {"margin.daily": 0, "prices.daily": 0, "indices.daily": 0, REFERENCE: 0}
    late = first | {CHARTS: 0, VALUATIONS: 0, REFERENCE: 3}
    corrected = late | ({"prices.daily": 1} if of_stocks else {"indices.daily": 1})
    for at in range(130):
        assert scores.observe(frame(at, **first)) == DAYS[at]
    scores.trim()
    for at in (0, 129):
        assert scores.observe(frame(at, **late)) is None
    assert scores.refused == 0
    assert scores.observe(frame(129, **corrected)) == DAYS[129]
    assert scores.observe(frame(0, **corrected)) is None
    assert scores.refused == 1


def test_the_last_session_of_the_calendar_has_neither_an_entry_nor_a_path() -> None:
    scores, last = IndexScores(CALENDAR), len(CALENDAR) - 1
    assert np.isnan(scores.entry(last))
    assert np.isnan(scores.paths(np.array([last - 1, last]), LONGEST)).all()
