"""The life of an alert and its case, for every sequence, order and correction: that of the whole history at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from alerts.desk import AlertDesk
from alerts.lifecycle import timeless
from alerts.model import Alert, EndedBy, Evidence, Input, Severity, State, Text
from alerts.rules.base import INDEX_HIGHER, Condition, Evaluation, Expectation, Message, Rule, ends_higher
from processors.days import to_date
from processors.outputs import MarketSignal
from tests.test_alerts import state
from tests.test_desk import CALENDAR, DAYS, NOW, RULES, close, flags, fold, peaks

EXPECTATION = Expectation(Text("higher", "上涨"), ends_higher, horizon_days=5, figure="at")
#: begin → (fired on, ended on, why); positions among the days.
Lives = dict[int, tuple[int | None, int | None, EndedBy | None]]
History = dict[int, Condition]


def evaluate(message: Message) -> Iterator[Evaluation]:
    """The value of a probe is the evaluation itself; the ends of odd days are voids."""
    if isinstance(message, MarketSignal) and message.signal == "probe":
        at = DAYS.index(message.trade_date)
        yield Evaluation.of(message, "probe", Condition(str(message.value)), {"at": at}, ended_by=end_of(at))


def end_of(at: int) -> EndedBy:
    return EndedBy.VOID if at % 2 else EndedBy.CONDITION


def probe(at: int, kind: Condition, revision: int = 0) -> MarketSignal:
    return MarketSignal(signal="probe", subject="market", trade_date=DAYS[at], available_at=NOW, revision=revision,
                        value=kind.value)  # fmt: skip


def rule_of(minimum: int = 1, cooldown: int = 0, horizon: int = 20) -> Rule:
    return Rule("probe", Severity.INFO, evaluate, reads=("probe",), minimum_days=minimum, cooldown_days=cooldown,
                horizon_days=horizon, expectations=(EXPECTATION,))  # fmt: skip


def lives_at_once(history: History, rule: Rule, newest: int) -> Lives:
    """Every alert of a whole history: first what the evaluations alone give, then cut off at the horizon."""
    found: dict[int, list] = {}
    begin, true_days, rest = None, 0, 0
    for at, kind in sorted(history.items()):
        if kind is Condition.ABSENT:
            continue
        if begin is None and rest:
            rest -= 1
            continue
        if kind in (Condition.FIRE, Condition.END) and begin is not None:
            found[begin][1:] = [at, EndedBy.NEXT_FACT if kind is Condition.FIRE else end_of(at)]
            rest = rule.cooldown_days if kind is Condition.END else 0
            begin = None
        if kind is Condition.FIRE:
            begin = at
            found[at] = [at, None, None]
        if kind is Condition.ON:
            if begin is None:
                begin, true_days, found[at] = at, 0, [None, None, None]
            true_days += 1
            if true_days == rule.minimum_days and found[begin][0] is None:
                found[begin][0] = at
    out: Lives = {}
    for first, (fired, ended, why) in found.items():
        last = first + rule.horizon_days
        if ended is None or ended >= last:
            ended, why = (last, EndedBy.HORIZON) if newest >= last else (None, None)
        out[first] = (None if fired is not None and fired >= last else fired, ended, why)
    return out


def lives_of(alerts: dict[str, Alert]) -> Lives:
    """The same of published alerts, each in its last version."""

    def at(day: date | None) -> int | None:
        return None if day is None else DAYS.index(day)

    live = [a for a in alerts.values() if a.state is not State.SUPERSEDED]
    return {DAYS.index(a.trade_date): (at(a.fired_on), at(a.resolved_on), a.ended_by) for a in live}


def record_at_once(lives: Lives, first: int, closes: list[float], today: int) -> tuple[int, int, int, int]:
    """(cases, hits, base cases, base hits) before a day; entries are the closes of the day itself."""

    def higher(day: int) -> bool:
        return closes[day + 5] > closes[day + 1]

    over = [fired for fired, _, _ in lives.values() if fired is not None and fired + 5 < today]
    base = [day for day in range(first, today) if day + 5 < today]
    return len(over), sum(map(higher, over)), len(base), sum(map(higher, base))


def counts(record: Evidence) -> tuple[int, int, int, int]:
    return record.cases, record.hits, record.base_cases, record.base_hits


KINDS = st.sampled_from(
    [Condition.FIRE, Condition.ON, Condition.ON, Condition.HOLD, Condition.HOLD, Condition.END, Condition.ABSENT]
)
HISTORIES = st.dictionaries(st.integers(0, 69), KINDS, min_size=1, max_size=70)
RULES_OF_ALL_KINDS = st.builds(rule_of, st.integers(1, 3), st.integers(0, 3), st.integers(3, 25))


@settings(max_examples=150, deadline=None)
@given(HISTORIES, RULES_OF_ALL_KINDS, st.integers(8, 100), st.randoms(use_true_random=False))
def test_every_sequence_order_and_correction_ends_like_the_whole_history_at_once(
    history: History, rule: Rule, keep_days: int, random: Random
) -> None:
    closes = [100 + 10 * np.sin(at * 1.7) for at in range(76)]
    # Each day has its final evaluation and perhaps a wrong earlier one; none comes more than 5 days late.
    given = [(at + 5 * random.random(), probe(at, kind, 1)) for at, kind in history.items()]
    given += [(at + 5 * random.random(), probe(at, random.choice(list(Condition)))) for at in random.sample(
        sorted(history), len(history) // 2)]  # fmt: skip
    prices = [(at + 80 * random.random(), close(at, value, opened=value)) for at, value in enumerate(closes)]
    desk, seen = AlertDesk([rule], CALENDAR, keep_days), {}
    for _, message in sorted(given + prices, key=lambda one: one[0]):
        seen |= {change.alert.id: change.alert for change in fold(desk, message)}
    lives = lives_at_once(history, rule, newest=75)
    assert lives_of(seen) == lives
    assert desk.lifecycle.refused == 0
    first = min((at for at, kind in history.items() if kind is not Condition.ABSENT), default=None)
    if first is not None:
        record = desk.evidence.record("probe", "probe", EXPECTATION, DAYS[first], DAYS[75])
        assert counts(record) == record_at_once(lives, first, closes, 75)
        assert desk.lifecycle.first("probe", "probe") == DAYS[first]
    for alert in desk.lifecycle.alerts.values():  # the record of every alert in memory is the one before it fired
        if alert.fired_on is not None:
            assert first is not None
            fired = DAYS.index(alert.fired_on)
            assert counts(alert.evidence[0]) == record_at_once(lives, first, closes, fired)


@settings(max_examples=100, deadline=None)
@given(HISTORIES, RULES_OF_ALL_KINDS, st.integers(5, 12), st.randoms(use_true_random=False))
def test_an_evaluation_that_is_too_old_is_refused_and_counted_and_changes_nothing(
    history: History, rule: Rule, keep_days: int, random: Random
) -> None:
    messages = [probe(at, kind, 1) for at, kind in history.items()]
    messages += [probe(at, Condition.FIRE) for at in random.sample(sorted(history), len(history) // 3)]
    random.shuffle(messages)
    desk, seen, applied, newest_of = AlertDesk([rule], CALENDAR, keep_days), {}, {}, dict.fromkeys(DAYS, 0)
    for message in messages:
        before = desk.lifecycle.refused
        seen |= {change.alert.id: change.alert for change in fold(desk, message)}
        at = DAYS.index(message.trade_date)
        # A revision that is older than one that was refused is no news of the day: neither refused nor applied.
        if desk.lifecycle.refused == before and message.revision >= newest_of[message.trade_date]:
            applied[at] = message.revision, Condition(message.value)
        newest_of[message.trade_date] = max(newest_of[message.trade_date], message.revision)
    newest = max(history)
    assert lives_of(seen) == lives_at_once({at: kind for at, (_, kind) in applied.items()}, rule, newest)
    loaded = AlertDesk([rule], CALENDAR, keep_days)
    loaded.load_rows({k: v for k, v in desk.changed_rows().items() if v is not None})
    following = probe(newest + 1, Condition.END)
    assert lives_of({c.alert.id: c.alert for c in fold(loaded, following)}) == lives_of(
        {c.alert.id: c.alert for c in fold(desk, following)}
    )


@pytest.mark.parametrize("normal_days", [1, 100, 128, 129, 130, 200])
def test_a_case_counts_however_long_its_alert_fired(normal_days: int) -> None:
    """The warning of 2020-08-12 fired for 344 sessions; the memory of evaluations is 130 days."""
    rule = rule_of(horizon=390)
    desk, days = AlertDesk([rule], CALENDAR), range(2 + normal_days)
    fold(desk, *(close(i, 100.0, opened=100.0) for i in range(400)))
    fold(desk, probe(0, Condition.END), probe(1, Condition.FIRE), *(probe(i, Condition.HOLD) for i in days[2:]))
    changes = fold(
        desk, *(probe(i + len(days), Condition.END) for i in range(26)), probe(len(days) + 26, Condition.FIRE)
    )
    assert [(c.alert.trade_date, c.alert.state) for c in changes] == [
        (DAYS[1], State.RESOLVED), (DAYS[len(days) + 26], State.FIRING)
    ]  # fmt: skip
    assert changes[0].alert.resolved_on == DAYS[len(days)]
    assert changes[-1].alert.evidence[0].cases == 1


@pytest.mark.parametrize(("before", "after"), [(10, 30), (30, 10)])
def test_a_horizon_that_the_settings_change_is_that_of_the_alerts_in_force_too(before: int, after: int) -> None:
    desk, loaded = (AlertDesk([rule_of(horizon=days)], CALENDAR) for days in (before, after))
    fold(desk, probe(0, Condition.FIRE), *(probe(i, Condition.HOLD) for i in range(1, 5)))
    loaded.load_rows({k: v for k, v in desk.changed_rows().items() if v is not None})
    (changed,) = fold(loaded, probe(5, Condition.HOLD))
    assert (changed.alert.state, changed.alert.expires_on) == (State.FIRING, DAYS[after])
    made = fold(loaded, *(probe(i, Condition.HOLD) for i in range(6, 40)))
    assert [(c.alert.resolved_on, c.alert.ended_by) for c in made] == [(DAYS[after], EndedBy.HORIZON)]


def known(at: int, kind: Condition, revision: int = 0, late: int = 0) -> MarketSignal:
    """A probe that is public at 08:30 of the session after its day, or ``late`` days later."""
    public = datetime.combine(DAYS[at + 1], time(0, 30), tzinfo=UTC) + timedelta(late)
    return structs.replace(probe(at, kind, revision), available_at=public)


def opening(at: int) -> datetime:
    return datetime.combine(DAYS[at], time(1, 30), tzinfo=UTC)


@pytest.mark.parametrize(
    ("messages", "state", "ended_at"),
    [
        ([known(1, Condition.HOLD)], State.FIRING, None),
        ([known(2, Condition.END)], State.RESOLVED, opening(3)),
        ([known(2, Condition.END), known(2, Condition.END, 1, late=9)], State.RESOLVED, opening(3)),
        ([known(2, Condition.END), known(1, Condition.END, 1, late=9)], State.RESOLVED, opening(2)),
        ([known(2, Condition.END), known(2, Condition.HOLD, 1)], State.FIRING, None),
        ([known(0, Condition.HOLD, 1, late=2)], State.SUPERSEDED, known(0, Condition.HOLD, late=2).available_at),
        ([known(2, Condition.END), known(0, Condition.HOLD, 1, late=9)], State.SUPERSEDED, opening(3)),
        ([known(6, Condition.HOLD)], State.RESOLVED, opening(5)),
        ([known(4, Condition.END, late=30)], State.RESOLVED, opening(5)),
    ],
)  # fmt: skip
@pytest.mark.parametrize("ahead", [False, True])
def test_an_alert_names_the_moment_from_which_its_end_was_public(
    messages: list[MarketSignal], state: State, ended_at: datetime | None, *, ahead: bool
) -> None:
    desk = AlertDesk([rule_of(horizon=5)], CALENDAR)
    (fired,) = fold(desk, known(0, Condition.FIRE))
    if ahead and state is not State.FIRING:  # another topic is read beyond the horizon: nothing else may depend on it
        fold(desk, close(9, 100.0))
    changes = [fired, *fold(desk, *messages), *([] if state is State.FIRING else fold(desk, close(9, 100.0)))]
    last = ([c.alert for c in changes] + list(desk.lifecycle.alerts.values()))[-1]
    assert (last.id, last.state, last.ended_at) == (fired.alert.id, state, ended_at)


def rows_of(desk: AlertDesk, table: str) -> dict[str, bytes]:
    return {name: data for name, data in desk.changed_rows().items() if name.startswith(f"{table}/") and data}


def test_only_an_evaluation_that_may_raise_an_alert_later_keeps_a_draft() -> None:
    desk = AlertDesk([rule_of(minimum=2, cooldown=1)], CALENDAR)
    kinds = [
        Condition.END,
        Condition.HOLD,
        Condition.ABSENT,
        Condition.ON,
        Condition.ON,
        Condition.ON,
        Condition.END,
        Condition.FIRE,
        Condition.HOLD,
    ]
    fold(desk, *(probe(at, kind) for at, kind in enumerate(kinds)))
    # Day 3 raised one; a correction could let it begin on day 4 or 5; day 7 lies within the cooldown.
    assert list(rows_of(desk, "draft")) == [f"draft/probe/probe/{DAYS[at].isoformat()}" for at in (4, 5, 7)]
    assert [alert.trade_date for alert in desk.lifecycle.alerts.values()] == [DAYS[3]]


@pytest.mark.parametrize("table", ["alert", "draft"])
def test_the_rows_of_two_runs_are_equal_without_their_times_and_input_offsets(table: str) -> None:
    runs = []
    for hour, offset in ((1, 5), (2, 7)):
        desk, now = AlertDesk([rule_of(cooldown=1)], CALENDAR), NOW.replace(hour=hour)
        for at, kind in enumerate([Condition.FIRE, Condition.END, Condition.FIRE]):
            desk.fold(probe(at, kind), Input("signals", 0, offset + at, 0), now)
        runs.append(rows_of(desk, table))
    first, second = runs
    assert first and first != second
    assert {n: timeless(n, d) for n, d in first.items()} == {n: timeless(n, d) for n, d in second.items()}
    (name, data), *_ = first.items()
    assert timeless(f"other/{name}", data) == data  # no alert: nothing in it depends on the run


def rows_after(*messages: Message, restart_at: int = 0) -> dict[str, bytes]:
    """The stored rows of a desk that keeps eight evaluations and is loaded again before one of the messages."""
    rules, rows = [*RULES, rule_of(horizon=5)], dict[str, bytes]()
    desk = AlertDesk(rules, CALENDAR, keep_days=8)
    for at, message in enumerate(messages):
        if restart_at and at == restart_at:
            desk = AlertDesk(rules, CALENDAR, keep_days=8)
            desk.load_rows(rows)
        fold(desk, message)
        for name, data in desk.changed_rows().items():
            if data is None:
                rows.pop(name, None)
            else:
                rows[name] = timeless(name, data)
    return rows


@pytest.mark.parametrize("restart_at", [0, 35])
def test_what_is_kept_after_a_backfill_depends_on_no_order_of_the_topics(restart_at: int) -> None:
    """A replay reads one topic far ahead of another, and the worker did so in another order."""
    market = [probe(at, Condition.FIRE if at % 7 == 0 else Condition.HOLD) for at in range(30)]
    stocks = [flags(at, ["000001.SZ"] if at % 3 == 0 else []) for at in range(30)]
    day_by_day = rows_after(*(m for day in zip(market, stocks, strict=True) for m in day))
    assert rows_after(*market, *stocks, restart_at=restart_at) == day_by_day
    assert rows_after(*stocks, *market, restart_at=restart_at) == day_by_day


# -- the peak warning ----------------------------------------------------------------------------------------------


def peak_after(*later: tuple[str, str, float]) -> Alert:
    """The peak warning of the first day after states of later days."""
    desk = AlertDesk(RULES, CALENDAR)
    fold(desk, state(DAYS[0], "BREAKDOWN", "HOT", 0.099))
    fold(desk, *(state(DAYS[1 + i], value, before, ratio) for i, (value, before, ratio) in enumerate(later)))
    return peaks(desk)[DAYS[0]]


@pytest.mark.parametrize(
    ("value", "ratio", "ended_by"), [("HOT", 0.103, EndedBy.VOID), ("COLD", 0.067, EndedBy.PLAYED_OUT),
                                     ("EXTREME_COLD", 0.06, EndedBy.PLAYED_OUT)],
)  # fmt: skip
def test_a_peak_warning_is_void_when_hot_and_has_played_out_when_cold(
    value: str, ratio: float, ended_by: EndedBy
) -> None:
    over = peak_after(("NORMAL", "BREAKDOWN", 0.09), (value, "NORMAL", ratio))
    assert (over.state, over.resolved_on, over.ended_by) == (State.RESOLVED, DAYS[2], ended_by)


def test_an_alert_that_ends_and_is_removed_in_one_step_keeps_its_case() -> None:
    """An end that is late ends an alert whose day leaves the kept evaluations with the same message."""
    desk = AlertDesk([rule_of(horizon=60)], CALENDAR, keep_days=8)
    for at in range(20):
        fold(desk, close(at, 100 + at, opened=100 + at))
    fold(desk, probe(0, Condition.FIRE), *(probe(at, Condition.HOLD) for at in range(2, 10)))
    (over,) = fold(desk, probe(1, Condition.END))
    assert (over.alert.state, over.alert.resolved_on) == (State.RESOLVED, DAYS[1])
    assert desk.lifecycle.refused == 0
    fold(desk, probe(15, Condition.FIRE))
    (record,) = next(a for a in desk.lifecycle.alerts.values() if a.trade_date == DAYS[15]).evidence
    assert record.cases == 1


def test_a_peak_warning_is_over_after_sixty_sessions() -> None:
    normal = ("NORMAL", "NORMAL", 0.09)
    firing, over = peak_after(*[normal] * 60), peak_after(*[normal] * 61)
    assert (firing.state, firing.expires_on, firing.ended_by) == (State.FIRING, DAYS[61], None)
    assert (over.state, over.resolved_on, over.ended_by) == (State.RESOLVED, DAYS[61], EndedBy.HORIZON)
    late = peak_after(*[normal] * 61, ("HOT", "NORMAL", 0.11))
    assert (late.resolved_on, late.ended_by) == (DAYS[61], EndedBy.HORIZON)


def test_a_new_breakdown_replaces_the_warning_before_it() -> None:
    over = peak_after(("NORMAL", "BREAKDOWN", 0.09), ("BREAKDOWN", "HOT", 0.099))
    assert (over.resolved_on, over.ended_by) == (DAYS[2], EndedBy.NEXT_FACT)


def test_any_final_signal_of_the_day_ends_what_expires_on_it_and_no_other_message_does() -> None:
    def silent(at: int, **changes: object) -> MarketSignal:
        fields: dict[str, object] = {"signal": "fin_buy_ratio", "subject": "market", "trade_date": DAYS[at],
                                     "available_at": NOW, "revision": 0, "value": 0.09}  # fmt: skip
        return MarketSignal(**(fields | changes))  # type: ignore[arg-type]

    desk = AlertDesk(RULES, CALENDAR)
    fold(desk, state(DAYS[0], "BREAKDOWN", "HOT", 0.099))
    assert fold(desk, silent(60), silent(61, provisional=True)) == []
    ended = fold(desk, flags(61, []))
    assert [(c.alert.rule, c.alert.ended_by) for c in ended] == [("peak_warning", EndedBy.HORIZON)]
    assert fold(desk, silent(61)) == []


def test_every_rule_has_a_horizon_that_the_calendar_reaches() -> None:
    for rule in RULES:
        assert 1 <= rule.horizon_days <= 250
        assert rule.minimum_days <= rule.horizon_days
    assert INDEX_HIGHER.horizon_days == 20
    last = CALENDAR.last
    assert CALENDAR.after(last, 1) is None
    assert to_date(CALENDAR.after(last - 1, 1) or 0) == to_date(last)
