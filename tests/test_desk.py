"""Conditions with a minimum of days, cooldowns, silences, and the evidence of a rule without look-ahead."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.commands import Acknowledge, FeedRun, LiveFeedState, SetSilence, decode
from alerts.delivery.text import ending
from alerts.desk import AlertDesk, Change
from alerts.errors import RuleError
from alerts.lifecycle import timeless
from alerts.model import Alert, EndedBy, Input, Severity, Silence, State, Text, alert_id
from alerts.record import cards
from alerts.rules import rules
from alerts.rules.base import Message, Rule
from alerts.rules.custom import load
from alerts.rules.threshold import Threshold
from processors.codes import to_id
from processors.days import SHANGHAI, to_date, to_day
from processors.deadlines import silent_since
from processors.outputs import DayStatus, MarketSignal, SecuritySignals
from processors.parameters import Parameters
from processors.signal import Value
from processors.trading_hours import TradingHours
from streams.calendars import xshg
from tests.building import security_signals
from tests.test_alerts import securities, state

RULES = rules(Parameters())
NOW = datetime(2020, 2, 1, tzinfo=UTC)
CALENDAR = xshg()
FIRST = CALENDAR.position(to_day(date(2018, 1, 2)))
DAYS = [to_date(CALENDAR.day_at(FIRST + i)) for i in range(400)]


def over(minimum: int = 1, cooldown: int = 0) -> Rule:
    title = Text("Ratio high", "占比偏高")
    return Rule(
        "high", Severity.INFO, Threshold("fin_buy_ratio", 0.10, 0.09, True, title).evaluate, reads=("fin_buy_ratio",),
        source="test",
        minimum_days=minimum, cooldown_days=cooldown,
    )  # fmt: skip


def ratio(at: int, value: float, revision: int = 0) -> MarketSignal:
    return MarketSignal(signal="fin_buy_ratio", subject="market", trade_date=DAYS[at], available_at=NOW,
                        revision=revision, value=value)  # fmt: skip


def close(at: int, value: float | None, revision: int = 0, opened: float | None = None) -> MarketSignal:
    return MarketSignal(signal="index_close", subject="000001.SH", trade_date=DAYS[at], available_at=NOW,
                        revision=revision, value=value, details={} if opened is None else {"open": opened})  # fmt: skip


def fold(desk: AlertDesk, *messages: Message, wait: bool = False) -> list[Change]:
    out: list[Change] = []
    for message in messages:
        out += desk.fold(message, Input("signals", 0, 0, 0), NOW)
    return out + desk.update_evidence(Input("signals", 0, 0, 0), NOW, wait=wait)


def states(desk: AlertDesk) -> dict[date, tuple[State, date | None]]:
    return {a.trade_date: (a.state, a.resolved_on) for a in desk.lifecycle.alerts.values()}


# -- conditions ------------------------------------------------------------------------------------------------


def test_a_condition_fires_once_however_long_it_lasts_and_ends_past_its_hysteresis() -> None:
    desk = AlertDesk([over()], CALENDAR)
    made = fold(desk, *(ratio(i, v) for i, v in enumerate([0.08, 0.101, 0.11, 0.095, 0.12, 0.089, 0.1])))
    assert [(c.alert.state, c.alert.trade_date) for c in made] == [
        (State.FIRING, DAYS[1]), (State.RESOLVED, DAYS[1]), (State.FIRING, DAYS[6])
    ]  # fmt: skip
    assert states(desk)[DAYS[1]] == (State.RESOLVED, DAYS[5])
    assert made[0].alert.text.en == f"Ratio high {DAYS[1]}: 10.10%, at least 10.00%."
    assert made[0].alert.invalidation.zh == "低于9.00%时结束。"


def test_an_incomplete_day_is_over_on_the_next_complete_one_as_its_alert_says() -> None:
    desk = AlertDesk([rule for rule in RULES if rule.about == "figures of a closed day" and not rule.digest], CALENDAR)
    days = [
        msgspec.structs.replace(ratio(i, 1e12), signal="fin_balance", missing=missing, degraded=bool(missing))
        for i, missing in enumerate(({"margin.market SZSE": -1}, {}))
    ]
    fired, ended = [change.alert for change in fold(desk, *days)]
    assert fired.invalidation.en.endswith("over on the next day that lacks nothing, also without them.")
    assert (ended.id, ended.state, ended.resolved_on) == (fired.id, State.RESOLVED, DAYS[1])


def test_a_closed_day_without_the_ratio_is_an_alert_until_there_is_one() -> None:
    """An index that is absent from complete files; where a feed lacks rows, the alert about them says it."""
    desk = AlertDesk([rule for rule in RULES if rule.about == "figures of a closed day" and not rule.digest], CALENDAR)
    reason = "indices.daily 000001.SH turnover is not known"
    absent = [msgspec.structs.replace(ratio(i, 0.08), value=None, reason=reason) for i in range(4)]
    short = msgspec.structs.replace(absent[0], missing={"margin.market SZSE": -1}, degraded=True)
    assert not fold(desk, short)
    (fired,) = fold(desk, absent[1], absent[2])
    assert (fired.alert.subject, fired.alert.trade_date, fired.alert.state) == ("fin_buy_ratio", DAYS[1], State.FIRING)
    assert reason in fired.alert.text.en and reason in fired.alert.text.zh
    later = fold(desk, msgspec.structs.replace(ratio(1, 0.08), revision=1))  # the index of the first day arrives
    assert [(one.alert.trade_date, one.alert.state) for one in later] == [
        (DAYS[1], State.SUPERSEDED), (DAYS[2], State.FIRING)
    ]  # fmt: skip
    (over,) = fold(desk, ratio(3, 0.08))
    assert (over.alert.trade_date, over.alert.state, over.alert.resolved_on) == (DAYS[2], State.RESOLVED, DAYS[3])


def test_a_high_risk_premium_names_its_episode_and_how_many_days_are_known() -> None:
    desk = AlertDesk([rule for rule in RULES if rule.name == "risk_premium_high"], CALENDAR)
    details: dict[str, Value] = {"episodes": 4, "days_since_start": 1240}
    high = msgspec.structs.replace(ratio(0, 0.041), signal="risk_premium", details=details)
    (alert,) = [change.alert for change in fold(desk, high)]
    assert alert.text.en.endswith("4.10%, at least 4.00%. Episode 4 in the 1,240 known days since 2016-01-04.")
    assert alert.text.zh.endswith("2016-01-04以来已知的1,240日中第4次。")
    assert (alert.figures["episodes"], alert.thresholds) == (4, {"level": 0.04, "clear": pytest.approx(0.038)})


def test_a_high_risk_premium_before_episodes_are_counted_names_none() -> None:
    """As those of 2012–2014: the count begins in 2016."""
    desk = AlertDesk([rule for rule in RULES if rule.name == "risk_premium_high"], CALENDAR)
    details: dict[str, Value] = {"episodes": 0, "days_since_start": 0}
    high = msgspec.structs.replace(ratio(0, 0.041), signal="risk_premium", details=details)
    (alert,) = [change.alert for change in fold(desk, high)]
    assert alert.text.en.endswith("4.10%, at least 4.00%.") and alert.text.zh.endswith("4.10%，不低于4.00%。")
    assert "episodes" not in alert.figures


def test_low_collateral_fires_by_its_rank_and_says_how_near_forced_selling_is() -> None:
    desk = AlertDesk([rule for rule in RULES if rule.name == "collateral_low"], CALENDAR)

    def day(at: int, rank: float | None) -> MarketSignal:
        return msgspec.structs.replace(ratio(at, 2.6), signal="collateral_ratio", details={"percentile": rank})

    # At most 5% begins it, more than 10% ends it; a rank that is not known changes nothing.
    made = fold(desk, *(day(i, rank) for i, rank in enumerate([0.06, 0.05, 0.09, None, 0.02, 0.11])))
    assert [(c.alert.state, c.alert.trade_date) for c in made] == [(State.FIRING, DAYS[1]), (State.RESOLVED, DAYS[1])]
    assert made[-1].alert.resolved_on == DAYS[5]
    text = made[0].alert.text
    assert "260% of the debt" in text.en and "A fall of the collateral by 50.0%" in text.en
    assert "历史分位5.00%（≤5.00%）" in text.zh and "再跌50.0%即至130%平仓线" in text.zh


def test_an_absent_value_withdraws_what_it_corrects_and_changes_nothing_else() -> None:
    desk = AlertDesk([over()], CALENDAR)
    absent = msgspec.structs.replace(ratio(0, 0.11, 1), value=None, reason="turnover is absent")
    assert [c.alert.state for c in fold(desk, ratio(0, 0.11), absent)] == [State.FIRING, State.SUPERSEDED]
    made = fold(desk, ratio(1, 0.11), msgspec.structs.replace(absent, trade_date=DAYS[2], revision=0), ratio(3, 0.11))
    assert [(c.alert.state, c.alert.trade_date) for c in made] == [(State.FIRING, DAYS[1])]
    assert desk.lifecycle.first("high", "market") == DAYS[1]


def test_a_condition_is_pending_until_its_minimum_of_days() -> None:
    desk = AlertDesk([over(minimum=3)], CALENDAR)
    made = fold(desk, *(ratio(i, v) for i, v in enumerate([0.11, 0.08, 0.11, 0.12, 0.13])))
    assert [(c.alert.state, c.alert.trade_date) for c in made] == [
        (State.PENDING, DAYS[0]), (State.RESOLVED, DAYS[0]), (State.PENDING, DAYS[2]), (State.FIRING, DAYS[2])
    ]  # fmt: skip


def test_a_subject_that_flaps_has_a_cooldown() -> None:
    desk = AlertDesk([over(cooldown=3)], CALENDAR)
    fold(desk, *(ratio(i, v) for i, v in enumerate([0.11, 0.08, 0.11, 0.08, 0.11, 0.08, 0.08, 0.08, 0.08, 0.11])))
    assert states(desk) == {DAYS[0]: (State.RESOLVED, DAYS[1]), DAYS[9]: (State.FIRING, None)}


def test_removed_evaluations_do_not_raise_an_alert_of_the_cooldown_again() -> None:
    desk = AlertDesk([over(cooldown=20)], CALENDAR)
    made = fold(desk, *(ratio(i, v) for i, v in enumerate([0.11, 0.08, 0.11, 0.11, 0.08] + [0.08] * 300)))
    assert {c.alert.trade_date for c in made} == {DAYS[0]}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([0.08, 0.095, 0.11]), min_size=3, max_size=14),
    st.integers(1, 3), st.integers(0, 3), st.randoms(use_true_random=False),
)  # fmt: skip
def test_the_order_of_reading_and_corrections_do_not_matter(values, minimum, cooldown, random) -> None:  # type: ignore[no-untyped-def]
    final = [ratio(i, v, revision=1) for i, v in enumerate(values)]
    plain = AlertDesk([over(minimum, cooldown)], CALENDAR)
    fold(plain, *final)
    shuffled = [*final, *(ratio(i, random.choice([0.08, 0.095, 0.11])) for i in range(len(values)))]
    random.shuffle(shuffled)
    other = AlertDesk([over(minimum, cooldown)], CALENDAR)
    fold(other, *shuffled)
    assert states(other) == states(plain)
    loaded = AlertDesk([over(minimum, cooldown)], CALENDAR)
    loaded.load_rows({k: v for k, v in other.changed_rows().items() if v is not None})
    following = ratio(len(values), 0.11)
    assert [c.alert.id for c in fold(loaded, following)] == [c.alert.id for c in fold(other, following)]


# -- what people say -------------------------------------------------------------------------------------------


def test_acknowledging_and_silencing_an_alert() -> None:
    desk = AlertDesk(RULES, CALENDAR)
    (peak,) = [c.alert for c in fold(desk, state(DAYS[1], "BREAKDOWN", "HOT", 0.099))]
    origin = Input("commands", 0, 3, 0)
    (acked,) = desk.command(Acknowledge(alert=peak.id, by="li", at=NOW, note="seen"), origin, NOW)
    assert acked.alert.acknowledged is not None
    assert (acked.alert.acknowledged.by, acked.event.what, acked.event.note) == ("li", "acknowledged", "seen")
    assert desk.command(Acknowledge(alert="nobody", by="li", at=NOW), origin, NOW) == []
    silence = Silence(id="s1", until=NOW + timedelta(hours=2), by="li", rule="peak_warning")
    (silenced,) = desk.command(SetSilence(silence=silence, at=NOW), origin, NOW)
    assert silenced.alert.silence == silence
    assert silenced.alert.acknowledged is not None  # nothing else is forgotten
    other = next(c.alert for c in fold(desk, breakdown(2)) if c.alert.state is State.FIRING)
    assert other.silence == silence  # also of those that come later
    loaded = AlertDesk(RULES, CALENDAR)
    loaded.load_rows({k: v for k, v in desk.changed_rows().items() if v is not None})
    assert loaded.silences == {"s1": SetSilence(silence=silence, at=NOW)}
    assert loaded.lifecycle.alerts == desk.lifecycle.alerts
    over_ = msgspec.structs.replace(silence, until=NOW)
    lifted = loaded.command(SetSilence(silence=over_, at=NOW), origin, NOW)
    assert {c.event.what for c in lifted} == {"unsilenced"}
    assert all(c.alert.silence is None for c in lifted)


def test_an_acknowledged_alert_of_a_late_day_stays_acknowledged_when_the_next_piece_comes() -> None:
    desk = AlertDesk(RULES, CALENDAR)

    def piece(revision: int, missing: dict[str, int]) -> list[Change]:
        return [c for c in fold(desk, securities(DAYS[1], missing, revision)) if c.alert.rule == "data_quality"]

    (fired,) = piece(0, {"margin.daily SZSE": -1})
    acknowledge = Acknowledge(alert=fired.alert.id, by="li", at=NOW, note="asked the vendor")
    desk.command(acknowledge, Input("commands", 0, 3, 0), NOW)
    (updated,) = piece(1, {"margin.daily SZSE": 12})
    assert updated.alert.acknowledged is not None and updated.alert.acknowledged.note == "asked the vendor"
    assert (updated.alert.state, updated.alert.raised_at) == (State.FIRING, fired.alert.raised_at)
    assert "12 rows" in updated.alert.text.en
    (withdrawn,) = piece(2, {})
    assert (withdrawn.alert.id, withdrawn.alert.state) == (fired.alert.id, State.SUPERSEDED)


def test_commands_are_checked() -> None:
    command = Acknowledge(alert="a", by="li", at=NOW)
    assert decode(msgspec.json.encode(command)) == command
    for bad in (b"{}", b'{"type":"acknowledge"}', b"no", b'{"type":"delete","alert":"a","by":"x","at":"2020-01-01"}'):
        with pytest.raises(msgspec.DecodeError):
            decode(bad)


def shanghai(day: date, clock: str) -> int:
    hours, minutes = map(int, clock.split(":"))
    return to_day(day) * 86_400_000_000 + ((hours - 8) * 60 + minutes) * 60_000_000


@pytest.mark.parametrize(
    ("newest", "now", "since"),
    [
        ("10:00", "10:02", None),  # within patience
        ("10:00", "10:04", "10:00"),
        ("11:29", "11:45", None),  # lunch
        ("11:29", "13:02", None),  # the afternoon has just begun
        ("11:29", "13:04", "13:00"),
        ("10:00", "11:45", None),
        ("10:00", "13:01", "10:00"),  # since the morning
        ("09:00", "13:01", "09:30"),
        ("09:00", "09:31", None),
        ("09:00", "09:34", "09:30"),
        ("14:50", "15:30", None),  # after the close
    ],
)
def test_a_live_feed_is_silent_only_within_a_session(newest: str, now: str, since: str | None) -> None:
    found = silent_since(shanghai(DAYS[0], newest), shanghai(DAYS[0], now), 180_000_000, TradingHours(CALENDAR))
    assert found == (None if since is None else shanghai(DAYS[0], since))
    sunday = date(2018, 1, 7)
    assert silent_since(0, shanghai(sunday, "10:30"), 180_000_000, TradingHours(CALENDAR)) is None


def test_a_feed_that_refuses_rows_is_an_alert_until_a_run_refuses_nothing() -> None:
    desk, origin = AlertDesk(RULES, CALENDAR), Input("commands", 0, 0, 0)

    def run(minute: int, day: date = DAYS[0], source: str = "vendor", **counts: object) -> list[Change]:
        at = NOW + timedelta(minutes=minute)
        one = FeedRun(source=source, trade_date=day, at=at, **counts)  # type: ignore[arg-type]
        return desk.command(decode(msgspec.json.encode(one)), origin, at)

    (fired,) = run(0, refused=2, reason="d1.csv, row 9, rzye: 'n/k' is no number")
    assert (fired.alert.rule, fired.alert.subject) == ("data_quality", "feed vendor")
    assert "refused 2 rows" in fired.alert.text.en and "row 9" in fired.alert.text.en and "row 9" in fired.alert.text.zh
    assert run(1, source="exchange") == []  # another feed ends nothing
    (still,) = run(2, refused=3, reason="d1.csv, row 7: no code")  # the same alert: nobody is notified twice
    assert (still.alert.id, still.alert.state) == (fired.alert.id, State.FIRING)
    assert still.alert.raised_at == fired.alert.raised_at and "refused 3 rows" in still.alert.text.en
    (over_,) = run(3)  # a good run on the same day corrects no fact: the alert was right until then
    assert (over_.alert.id, over_.alert.state) == (fired.alert.id, State.RESOLVED)
    assert (over_.alert.resolved_on, over_.alert.ended_by) == (DAYS[0], EndedBy.CONDITION)
    (again,) = run(4, day=DAYS[1], errors=1, reason="fin_balance of SSE is 0.0001 times that of the day before")
    assert "published nothing" in again.alert.text.en
    assert run(-5, day=DAYS[1]) == []  # a message of an earlier run arrives late
    (ended,) = run(5, day=DAYS[2])
    assert (ended.alert.id, ended.alert.state) == (again.alert.id, State.RESOLVED)
    assert ended.alert.invalidation.en == "Over at its next run that refuses nothing and finds no error."
    (one,) = run(6, day=DAYS[3], refused=1, reason="d4.csv, row 2")
    assert "refused 1 row, sheet or cell, found 0 errors" in one.alert.text.en


def test_each_stop_of_a_live_feed_is_an_alert_until_it_runs_again_whoever_reports_it_and_however_often() -> None:
    desk, origin = AlertDesk(RULES, CALENDAR), Input("commands", 0, 0, 0)

    def changes(clock: str, *, silent: bool) -> list[tuple[str, EndedBy | State]]:
        moment = datetime.combine(DAYS[0], time.fromisoformat(clock), SHANGHAI).astimezone(UTC)
        report = LiveFeedState(feed="prices.intraday", trade_date=DAYS[0], at=NOW if silent else moment,
                               silent_since=moment if silent else None)  # fmt: skip
        found = desk.command(decode(msgspec.json.encode(report)), origin, NOW)
        return [(str(one.alert.figures["silent_since"]), one.alert.ended_by or one.alert.state) for one in found]

    assert changes("09:31", silent=False) == []
    assert changes("10:15", silent=False) == []
    assert changes("10:15", silent=True) == [("10:15", State.FIRING)]
    for _ in range(2):  # of a worker that has taken over
        assert changes("10:15", silent=False) == []
        assert changes("10:15", silent=True) == []
    assert changes("10:31", silent=False) == [("10:15", EndedBy.CONDITION)]
    assert changes("10:15", silent=True) == []  # of a worker that has lost the partition and does not know it yet
    assert changes("13:40", silent=False) == []
    assert changes("14:05", silent=True) == [("14:05", State.FIRING)]
    assert changes("14:20", silent=True) == [("14:05", EndedBy.NEXT_FACT), ("14:20", State.FIRING)]


def test_a_silent_feed_is_an_alert_until_it_runs_on_a_later_day() -> None:
    desk, origin = AlertDesk(RULES, CALENDAR), Input("commands", 0, 0, 0)
    since = datetime(2018, 1, 2, 2, 12, tzinfo=UTC)
    silent = LiveFeedState(feed="prices.intraday", trade_date=DAYS[0], at=NOW, silent_since=since)
    (fired,) = desk.command(decode(msgspec.json.encode(silent)), origin, NOW)
    assert fired.alert.rule == "data_quality"
    assert "since 10:12 (Shanghai)" in fired.alert.text.en
    assert desk.command(silent, origin, NOW) == []  # once a day
    (over_,) = desk.command(LiveFeedState(feed="prices.intraday", trade_date=DAYS[1], at=NOW), origin, NOW)
    assert (over_.alert.id, over_.alert.state) == (fired.alert.id, State.RESOLVED)


# -- evidence --------------------------------------------------------------------------------------------------


def breakdown(at: int, revision: int = 0) -> MarketSignal:
    return state(DAYS[at], "BREAKDOWN", "HOT", 0.099, revision)


def history(breakdowns: list[int], closes: list[float]) -> list[MarketSignal]:
    """Prices of every day, each before the day's states."""
    out = []
    for at, value in enumerate(closes):
        out.append(close(at, value, opened=value + 0.5))
        out.append(breakdown(at) if at in breakdowns else state(DAYS[at], "NORMAL", "NORMAL", 0.09))
    return out


def peaks(desk: AlertDesk) -> dict[date, Alert]:
    return {a.trade_date: a for a in desk.lifecycle.alerts.values() if a.rule == "peak_warning"}


CLOSES = [100 + 10 * np.sin(i / 9) for i in range(130)]


def test_a_late_alert_that_has_ended_already_is_a_case_too() -> None:
    messages = history([2, 4, 110], CLOSES)
    late = [m for m in messages if m.trade_date == DAYS[2]]
    desk, plain = AlertDesk(RULES, CALENDAR), AlertDesk(RULES, CALENDAR)
    fold(desk, *(m for m in messages if m not in late), *late)
    fold(plain, *messages)
    found = [{d: (a.state, a.ended_by, a.evidence) for d, a in peaks(d).items()} for d in (desk, plain)]
    assert found[0] == found[1]
    assert found[0][DAYS[110]][2][0].cases == 2


def test_late_prices_and_cases_recompute_the_later_records() -> None:
    messages = history([5, 15, 40, 110], CLOSES)
    plain = AlertDesk(RULES, CALENDAR)
    fold(plain, *messages)
    late = AlertDesk(RULES, CALENDAR)
    fold(late, *(m for m in messages if m.signal != "index_close"))
    changes = fold(late, *(m for m in messages if m.signal == "index_close"))
    assert {d: a.evidence for d, a in peaks(late).items()} == {d: a.evidence for d, a in peaks(plain).items()}
    assert {a.id for a in peaks(late).values()} == {a.id for a in peaks(plain).values()}
    assert any(c.event.what == "evidence" for c in changes)
    # A correction that removes a case, and one of a close.
    fold(plain, state(DAYS[5], "NORMAL", "NORMAL", 0.09, 2), close(70, 50.0, 1, opened=50.5))
    without, closes = AlertDesk(RULES, CALENDAR), [*CLOSES]
    closes[70] = 50.0
    fold(without, *history([15, 40, 110], closes))
    assert peaks(plain)[DAYS[110]].evidence == peaks(without)[DAYS[110]].evidence


def test_an_earlier_first_evaluation_lengthens_the_history_of_the_base() -> None:
    messages = history([30, 110], CLOSES)
    desk = AlertDesk(RULES, CALENDAR)
    fold(desk, *(m for m in messages if m.signal == "index_close"), *(breakdown(i) for i in (30, 110)))
    assert peaks(desk)[DAYS[110]].evidence[0].base_cases == 110 - 60 - 30
    changes = fold(desk, state(DAYS[10], "NORMAL", "NORMAL", 0.09))
    assert peaks(desk)[DAYS[110]].evidence[0].base_cases == 110 - 60 - 10
    assert [c.event.what for c in changes] == ["evidence", "evidence"]
    assert {alert.evidence[0].since for alert in peaks(desk).values()} == {DAYS[10]}


def test_a_record_begins_with_the_first_day_whose_outcome_is_known() -> None:
    messages = [m for m in history([5, 40, 120], CLOSES) if m.signal != "index_close" or m.trade_date > DAYS[30]]
    desk = AlertDesk(RULES, CALENDAR)
    fold(desk, *messages)
    found = {day: alert.evidence[0] for day, alert in peaks(desk).items()}
    assert [found[DAYS[at]].since for at in (5, 40)] == [DAYS[0], DAYS[0]]  # no outcome is known yet
    last = found[DAYS[120]]
    assert (last.since, last.cases, last.unscored) == (DAYS[30], 1, 1)  # the open of day 31 is the first entry
    assert last.base_cases == 120 - 60 - 30


def test_the_cases_of_a_record_have_the_unit_of_their_figure() -> None:
    desk = AlertDesk(RULES, CALENDAR)
    fold(desk, *history([5], CLOSES))
    (peak,) = (rule for rule in RULES if rule.name == "peak_warning")
    (found,) = cards(desk, peak, CALENDAR)
    assert (found.figure, found.unit) == ("ratio", "ratio")


def test_a_desk_loaded_from_its_bytes_has_the_same_records() -> None:
    desk = AlertDesk(RULES, CALENDAR)
    for at in range(110):
        codes = ["000002.SZ", "000005.SZ"] if at % 3 == 0 else []
        fold(desk, levels(at, PATHS[at]), flags(at, codes), *history([5, 40], CLOSES)[2 * at : 2 * at + 2])
    loaded = AlertDesk(RULES, CALENDAR)
    loaded.load_rows({k: v for k, v in desk.changed_rows().items() if v is not None})
    messages = [flags(110, ["000003.SZ"]), breakdown(110)]
    assert [c.alert.evidence for c in fold(desk, *messages)] == [c.alert.evidence for c in fold(loaded, *messages)]
    assert peaks(loaded)[DAYS[110]].evidence[0].cases == 2
    rows = [{k: v and timeless(k, v) for k, v in one.changed_rows().items()} for one in (loaded, desk)]
    assert rows[0] == rows[1]


PATHS = np.cumprod(1 + np.random.default_rng(1).normal(0, 0.02, (130, 10)), axis=0)
CODES = np.sort(np.array([to_id(f"{n:06d}.SZ") for n in range(1, 11)], dtype=np.int32))


def flags(at: int, codes: list[str]) -> SecuritySignals:
    side = np.isin(CODES, [to_id(c) for c in codes]).astype(float)
    return security_signals(
        DayStatus(trade_date=DAYS[at], available_at=NOW, revision=0), CODES,
        {"fin_change": side * 0.1, "fin_streak": np.zeros(10), "extreme": side, "consecutive_extreme": side},
    )  # fmt: skip


def levels(at: int, values: np.ndarray) -> SecuritySignals:
    zero = np.zeros(10)
    return security_signals(
        DayStatus(trade_date=DAYS[at], available_at=NOW, revision=0), CODES,
        {"price_level": values, "open_to_close": zero, "excess_top": zero, "excess_kind": zero, "excess_score": zero,
         "divergence": zero, "streak_excess": zero}, "pricing",
    )  # fmt: skip


# -- rules of a desk's own -------------------------------------------------------------------------------------


def test_rules_from_toml(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(
        '[rules.market_cold]\nenabled = false\n[rules.peak_warning]\nseverity = "warning"\ncooldown_days = 3\n'
        "horizon_days = 30\n"
        '[rules.low_ratio]\nsignal = "fin_buy_ratio_5d"\nbelow = 0.07\nclear = 0.072\nseverity = "info"\n'
        'minimum_days = 2\ntitle = "Ratio low"\ntitle_zh = "占比低"\n'
    )
    found = {r.name: r for r in load(path, RULES)}
    assert "market_cold" not in found
    assert (found["peak_warning"].severity, found["peak_warning"].cooldown_days) == (Severity.WARNING, 3)
    assert found["peak_warning"].horizon_days == 30
    assert (found["low_ratio"].minimum_days, found["low_ratio"].horizon_days) == (2, 20)
    signal = MarketSignal(signal="fin_buy_ratio_5d", subject="market", trade_date=DAYS[0], available_at=NOW,
                          revision=0, value=0.069)  # fmt: skip
    (evaluation,) = found["low_ratio"].evaluate(signal)
    assert evaluation.text.zh.startswith("占比低")


def test_the_end_of_a_warning_is_that_of_the_horizon_that_the_desk_has_set(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text("[rules.peak_warning]\nhorizon_days = 30\n")
    (change,) = fold(AlertDesk(load(path, RULES), CALENDAR), state(DAYS[0], "BREAKDOWN", "HOT", 0.098))
    over_on = CALENDAR.after(to_day(DAYS[0]), 30)
    assert over_on is not None
    assert ending(change.alert).endswith(f"plays it out. Over on {to_date(over_on)} at the latest.")
    assert ending(change.alert, chinese=True).endswith(f"则兑现。最迟{to_date(over_on)}结束。")
    assert "60" not in change.alert.invalidation.en


def test_a_rule_on_money_says_it_in_billions_and_in_chinese_units(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text('[rules.large]\nsignal="fin_balance"\nabove=2e12\nseverity="info"\ntitle="Large"\n')
    signal = MarketSignal(signal="fin_balance", subject="market", trade_date=DAYS[0], available_at=NOW, revision=0,
                          value=2_041_234_567_890.0)  # fmt: skip
    (found,) = load(path, RULES)[-1].evaluate(signal)
    assert found.text.en.endswith("2,041.23 bn CNY, at least 2,000 bn CNY.")
    assert found.text.zh.endswith("20,412.3亿元，不低于20,000亿元。")
    assert found.invalidation == Text("Over when it is below 2,000 bn CNY.", "低于20,000亿元时结束。")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", r"only \[rules.NAME\] tables are known, not x"),
        ("[rules", "not TOML in UTF-8: "),
        ("# caf\udce9", "not TOML in UTF-8: 'utf-8' codec can't decode byte 0xe9"),
        ('[rules.peak_warning]\nseverity = "loud"', r"\[rules.peak_warning\]: Invalid enum value 'loud'"),
        ("[rules.peak_warning]\nhot = 1", "unknown field `hot`"),
        ('[rules.a]\nsignal="nope"\ntitle="x"\nseverity="info"\nabove=1', "no market signal 'nope'"),
        ('[rules.a]\nsignal="oversold"\ntitle="x"\nseverity="info"\nabove=1', "needs a subject"),
        ('[rules.a]\nsignal="breadth_200"\ntitle="x"\nseverity="info"', "give above or below"),
        ('[rules.a]\nsignal="ratio_state"\ntitle="x"\nseverity="info"\nabove=1', "ratio_state is a state, such as HOT"),
        ('[rules.a]\nsignal="breadth_200"\ntitle="x"\nseverity="info"\nabove=0.5\nclear=0.6', "calm side"),
        ('[rules.a]\nsignal="breadth_200"\ntitle="x"\nseverity="info"\nabove=nan', "not nan or inf"),
        ('[rules.a]\nsignal="breadth_200"\ntitle="x"\nseverity="info"\nbelow=1\nclear=inf', "not nan or inf"),
        (
            '[rules.a]\nsignal="breadth_200"\ntitle="x"\nseverity="info"\nabove=0.5\nminimum_days=0',
            "minimum_days is 1 to 60",
        ),
        ("[rules.peak_warning]\nhorizon_days = 0", r"horizon_days is 0: it must be at least minimum_days \(1\)"),
        ("[rules.risk_premium_high]\nminimum_days = 21", r"horizon_days is 20: it must be at least minimum_days"),
    ],
)
def test_errors_of_a_rules_file_name_the_rule_and_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(text, "utf-8", "surrogateescape")
    with pytest.raises(RuleError, match=message):
        load(path, RULES)


# -- what people have said ---------------------------------------------------------------------------------------


def _rows(desk: AlertDesk) -> dict[str, bytes]:
    rows = {name: data for name, data in desk.changed_rows().items() if data is not None}
    return {name: timeless(name, data) for name, data in rows.items()}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_what_people_have_said_does_not_depend_on_when_it_is_read(data: st.DataObject) -> None:
    """A replay reads commands and signals in another order: acknowledged, silenced and withdrawn are the same."""
    values = data.draw(st.lists(st.sampled_from([0.08, 0.095, 0.101, 0.12]), min_size=3, max_size=9))
    signals: list[Message] = [ratio(i, value) for i, value in enumerate(values)]
    if data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(values) - 1))
        signals.append(ratio(at, data.draw(st.sampled_from([0.08, 0.095, 0.12])), revision=1))
    ids = [alert_id("high", "market", day, revision) for day in DAYS[: len(values)] for revision in (0, 1)]
    silence = Silence(id="s", until=NOW + timedelta(hours=1), by="li", rule="high")
    other = msgspec.structs.replace(silence, id="t", until=NOW + timedelta(hours=2))
    silences = [SetSilence(silence=one, at=at) for one in (silence, other) for at in (NOW, silence.until, other.until)]
    commands = [
        data.draw(
            st.one_of(
                st.builds(
                    Acknowledge, alert=st.sampled_from(ids), by=st.sampled_from(["li", "wu"]), at=st.just(NOW),
                    withdraw=st.booleans(),
                ),
                st.sampled_from(silences),
            )
        )
        for _ in range(data.draw(st.integers(1, 6)))
    ]  # fmt: skip

    def final(places: list[int]) -> dict[str, bytes]:
        desk = AlertDesk([over()], CALENDAR)
        left = list(enumerate(commands))
        for i, message in enumerate(signals):
            while left and places[len(commands) - len(left)] <= i:
                offset, one = left.pop(0)
                desk.command(one, Input("commands", 0, offset, 0), NOW)
            fold(desk, message)
        for offset, one in left:
            desk.command(one, Input("commands", 0, offset, 0), NOW)
        return _rows(desk)

    places = sorted(data.draw(st.lists(st.integers(0, len(signals)), min_size=len(commands), max_size=len(commands))))
    assert final(places) == final([0] * len(commands))


def test_an_alert_that_is_raised_after_its_acknowledgement_is_acknowledged() -> None:
    desk = AlertDesk([over()], CALENDAR)
    identity = alert_id("high", "market", DAYS[0], 0)
    assert desk.command(Acknowledge(alert=identity, by="li", at=NOW, note="on it"), Input("c", 0, 0, 0), NOW) == []
    (change,) = fold(desk, ratio(0, 0.12))
    assert change.alert.acknowledged is not None
    assert (change.alert.acknowledged.by, change.alert.acknowledged.note) == ("li", "on it")
    (withdrawn,) = desk.command(Acknowledge(alert=identity, by="li", at=NOW, withdraw=True), Input("c", 0, 1, 0), NOW)
    assert withdrawn.alert.acknowledged is None


def test_acknowledgements_of_alerts_that_never_come_do_not_accumulate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alerts.desk._COMMANDS_KEPT", 2)
    desk = AlertDesk([over()], CALENDAR)
    for offset, name in enumerate(["c", "b", "a"]):
        desk.command(Acknowledge(alert=name, by="li", at=NOW), Input("c", 0, offset, 0), NOW)
    assert [*desk.acknowledgements] == ["b", "a"]


SILENCE = Silence(id="s", until=NOW + timedelta(hours=2), by="li", note="noise", rule="high")


def silenced(desk: AlertDesk, silence: Silence, at: datetime) -> list[Change]:
    return desk.command(SetSilence(silence=silence, at=at), Input("c", 0, 0, 0), at)


def fold_at(desk: AlertDesk, message: Message, now: datetime) -> list[Change]:
    return desk.fold(message, Input("signals", 0, 0, 0), now)


def test_a_silence_that_is_over_silences_no_new_alert_and_is_deleted_by_the_next_one() -> None:
    desk = AlertDesk([over()], CALENDAR)
    silenced(desk, SILENCE, NOW)
    (within,) = fold_at(desk, ratio(0, 0.12), NOW)
    assert within.alert.silence == SILENCE
    (ended, behind) = (*fold_at(desk, ratio(1, 0.08), SILENCE.until), *fold_at(desk, ratio(2, 0.12), SILENCE.until))
    assert (ended.alert.silence, behind.alert.silence) == (None, None)
    later = Silence(id="t", until=NOW + timedelta(days=1), by="wu", rule="other")
    assert silenced(desk, later, SILENCE.until) == []  # nobody has silenced or unsilenced the alerts
    assert [*desk.silences] == ["t"]
    assert all(alert.silence is None for alert in desk.lifecycle.alerts.values())


def test_silences_do_not_accumulate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("alerts.desk._COMMANDS_KEPT", 2)
    desk = AlertDesk([over()], CALENDAR)
    for name, hours in (("c", 3), ("b", 1), ("a", 2)):
        silenced(desk, msgspec.structs.replace(SILENCE, id=name, until=NOW + timedelta(hours=hours)), NOW)
    assert [*desk.silences] == ["c", "a"]


@pytest.mark.parametrize(("until", "what"), [(1, "unsilenced"), (1.5, "silenced")])
def test_an_end_that_a_silence_holds_back_is_published_again_when_the_silence_ends_early(
    until: float, what: str
) -> None:
    desk = AlertDesk([over()], CALENDAR)
    for at, value in ((0, 0.12), (1, 0.08), (2, 0.12)):  # the end of the first one has been sent
        fold_at(desk, ratio(at, value), NOW - timedelta(days=1))
    silenced(desk, SILENCE, NOW)
    (held,) = fold_at(desk, ratio(3, 0.08), NOW + timedelta(minutes=30))
    assert (held.alert.state, held.alert.silence) == (State.RESOLVED, SILENCE)
    stored = dict(desk.lifecycle.alerts)
    shorter = msgspec.structs.replace(SILENCE, until=NOW + timedelta(hours=until))
    (released,) = silenced(desk, shorter, NOW + timedelta(hours=1))
    assert (released.alert.id, released.alert.state) == (held.alert.id, State.RESOLVED)
    assert released.alert.silence == (None if what == "unsilenced" else shorter)
    assert (released.event.what, released.event.by, released.event.note) == (what, "li", "noise")
    assert desk.lifecycle.alerts == stored  # whoever reads the commands first has the same
    assert silenced(desk, shorter, SILENCE.until) == []
