"""The digest of a day: one alert with a section per kind, whatever the order of reading, corrections and restarts."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alerts.commands import Acknowledge, SetSilence
from alerts.delivery import text
from alerts.desk import AlertDesk, Change
from alerts.model import Alert, Basis, DigestSection, Evidence, Input, RecordFinding, Severity, Silence, State, Text
from alerts.rules import rules
from alerts.rules.base import Message
from alerts.rules.digest import FLAGS, TITLES
from processors.codes import to_id
from processors.outputs import DayStatus, IdentityCheck, MarketSignal, SecuritySignals
from processors.parameters import Parameters
from tests.building import security_signals
from tests.test_delivery import hook
from tests.test_desk import CALENDAR, DAYS

NOW = datetime(2020, 2, 1, tzinfo=UTC)
ORIGIN = Input("signals", 0, 0, 0)
RULES = rules(Parameters())
CODES = ("000001.SZ", "000002.SZ", "600000.SH", "600519.SH")
KEYS = np.array([to_id(code) for code in CODES], dtype=np.int32)


def financing(at: int, revision: int = 0, broken: int = 0, extreme: int = 1, streak: int = 8) -> SecuritySignals:
    """The first securities of the list are flagged: ``extreme`` of them, and one with a streak."""
    side = (np.arange(4) < extreme).astype(float)
    return security_signals(
        DayStatus(trade_date=DAYS[at], available_at=NOW, revision=revision, identity=IdentityCheck(100, broken)), KEYS,
        {"fin_change": np.array([0.1, 0.3, 0.2, 0.0]), "fin_streak": np.array([streak, 0, 0, 0]), "extreme": side,
         "consecutive_extreme": np.array([0.0, 0.0, 1.0, 0.0]) * side})  # fmt: skip


def pricing(at: int, revision: int = 0, top: int = 2) -> SecuritySignals:
    return security_signals(
        DayStatus(trade_date=DAYS[at], available_at=NOW + timedelta(hours=1), revision=revision), KEYS,
        {"price_level": np.full(4, np.nan), "open_to_close": np.zeros(4), "divergence": np.array([0.0, 2.0, 0.0, 1.0]),
         "streak_excess": np.array([0.0, 0.05, 0.0, -0.3]), "excess_top": (np.arange(4) < top).astype(float),
         "excess_score": np.array([3.0, 0.6, 0.1, 0.0]), "excess_kind": np.array([1.0, -1.0, 1.0, 0.0])},
        family="pricing")  # fmt: skip


def totals(at: int, revision: int = 0, gap: float = 0.0) -> MarketSignal:
    gaps = {"SSE": gap * 6e11} if gap else {}
    return MarketSignal(signal="fin_balance", subject="market", trade_date=DAYS[at], available_at=NOW,
                        revision=revision, value=1e12, identity_gaps=gaps,
                        identity_shares={"SSE": gap} if gap else {})  # fmt: skip


def day(at: int, **changes: Any) -> list[Message]:
    return [financing(at, **changes), totals(at), pricing(at)]


def fold(desk: AlertDesk, *messages: Message) -> list[Change]:
    """Fold messages, each as a batch of its own."""
    out = []
    for message in messages:
        out += desk.fold(message, ORIGIN, NOW)
        out += desk.update_evidence(ORIGIN, NOW)
    return out


def digests(desk: AlertDesk) -> dict[date, Alert]:
    return {a.trade_date: a for a in desk.lifecycle.alerts.values() if a.rule == "securities_digest"}


def essence(desk: AlertDesk) -> dict[date, object]:
    """What must not depend on the order of reading."""
    return {
        day: (a.id, a.state, a.resolved_on, a.ended_at, a.text, a.figures, a.members, a.sections)
        for day, a in digests(desk).items()
    }


def test_all_flags_of_a_day_are_one_alert_with_a_section_per_kind() -> None:
    changes = fold(AlertDesk(RULES, CALENDAR), *day(0))
    (digest,) = [c.alert for c in changes]
    assert (digest.rule, digest.severity, digest.state) == ("securities_digest", Severity.INFO, State.FIRING)
    assert [s.rule for s in digest.sections] == ["fin_streak", "fin_extreme", "fin_divergence", "excess_score_top"]
    assert digest.figures == {"fin_streak": 1, "fin_extreme": 1, "fin_divergence": 2, "excess_score_top": 2}
    assert digest.text.en == f"Flags of {DAYS[0]}: streaks 1, extremes 1, divergences 2, excess scores 2."
    assert digest.text.zh == f"{DAYS[0]}提示：连续增减1、极值1、背离2、超额得分2。"
    assert digest.available_at == NOW + timedelta(hours=1)  # when the last of its facts was known


def test_members_are_ordered_by_strength_within_their_section() -> None:
    desk = AlertDesk(RULES, CALENDAR)
    fold(desk, *day(0, extreme=3))
    members = digests(desk)[DAYS[0]].members
    order = {rule: [m.code for m in members if m.rule == rule] for rule in FLAGS}
    assert order["fin_extreme"] == ["600000.SH", "000002.SZ", "000001.SZ"]  # the second day first, then by size
    assert order["fin_divergence"] == ["600519.SH", "000002.SZ"]
    assert order["excess_score_top"] == ["000001.SZ", "000002.SZ"]


def test_the_next_digest_ends_the_one_before_and_a_day_without_flags_has_none() -> None:
    desk = AlertDesk(RULES, CALENDAR)
    fold(desk, *day(0), *day(1))
    assert [(a.state, a.resolved_on) for a in digests(desk).values()] == [
        (State.RESOLVED, DAYS[1]), (State.FIRING, None)
    ]  # fmt: skip
    quiet = dataclasses.replace(pricing(2, top=0))
    quiet.columns["divergence"] = np.zeros(4)
    fold(desk, financing(2, extreme=0, streak=0), totals(2), quiet)
    assert DAYS[2] not in digests(desk)
    over = digests(desk)[DAYS[1]]
    public = datetime.combine(DAYS[3], time(1, 30), tzinfo=UTC)  # the opening after the day without flags
    assert (over.resolved_on, over.ended_at) == (DAYS[2], public)


# -- completeness ----------------------------------------------------------------------------------------------------


def test_a_digest_waits_for_every_kind_of_its_day() -> None:
    desk = AlertDesk(RULES, CALENDAR)
    assert fold(desk, financing(0), totals(0)) == []
    assert [c.event.what for c in fold(desk, pricing(0))] == ["firing"]


def test_a_kind_that_is_absent_delays_the_digest_by_a_day_and_is_named() -> None:
    desk = AlertDesk(RULES, CALENDAR)
    assert fold(desk, financing(0), totals(0)) == []
    (late,) = [c.alert for c in fold(desk, financing(1))]
    assert late.trade_date == DAYS[0]
    assert late.text.en.endswith("Not evaluated, because inputs are missing: divergences, excess scores.")
    assert late.text.zh.endswith("因数据缺失未评估：背离、超额得分。")
    (complete,) = [c.alert for c in fold(desk, pricing(0))]
    assert (complete.id, complete.state) == (late.id, State.FIRING)  # the same alert, so no second message
    assert [s.rule for s in complete.sections][-2:] == ["fin_divergence", "excess_score_top"]
    assert "Not evaluated" not in complete.text.en


def test_an_immaterial_break_of_the_identity_is_a_data_note_in_the_digest() -> None:
    desk = AlertDesk(RULES, CALENDAR)
    fold(desk, financing(0, broken=90), totals(0, gap=1e-5), pricing(0))
    digest = digests(desk)[DAYS[0]]
    assert [s.subject for s in digest.sections if s.rule == "data_note"] == [
        "margin.market identity", "margin.daily identity"
    ]  # fmt: skip
    assert digest.figures["data_note"] == 2
    assert not [a for a in desk.lifecycle.alerts.values() if a.rule == "data_quality"]


# -- exactness -------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.lists(st.integers(0, 4), min_size=9, max_size=9))
def test_the_order_of_reading_repeats_and_corrections_do_not_matter(random, sizes) -> None:  # type: ignore[no-untyped-def]
    final: list[Message] = []
    for at in range(3):
        n, s, t = sizes[3 * at : 3 * at + 3]
        final += [financing(at, 2, 30 * s, n, s * 2), totals(at, 2, 1e-5 * s), pricing(at, 2, t)]
    first = [f(at) for at in range(3) for f in (financing, totals, pricing)]
    plain, other = AlertDesk(RULES, CALENDAR), AlertDesk(RULES, CALENDAR)
    fold(plain, *final)
    shuffled = [*final, *first, *random.sample(final, 4)]
    random.shuffle(shuffled)
    cut = random.randrange(len(shuffled))
    fold(other, *shuffled[:cut])
    loaded = AlertDesk(RULES, CALENDAR)
    loaded.load_rows({k: v for k, v in other.changed_rows().items() if v is not None})
    for desk in (other, loaded):
        fold(desk, *shuffled[cut:])
        assert essence(desk) == essence(plain)
    batch = AlertDesk(RULES, CALENDAR)
    for message in shuffled:
        batch.fold(message, ORIGIN, NOW)
    batch.update_evidence(ORIGIN, NOW)
    assert essence(batch) == essence(plain)


def test_a_correction_updates_the_digest_of_its_day_alone_and_keeps_what_people_said() -> None:
    desk = AlertDesk(RULES, CALENDAR)
    fold(desk, *day(0), *day(1), *day(2))
    before = digests(desk)
    desk.command(Acknowledge(alert=before[DAYS[1]].id, by="li", at=NOW), ORIGIN, NOW)
    changes = fold(desk, financing(1, revision=1, extreme=2))
    assert [(c.alert.id, c.alert.state) for c in changes] == [(before[DAYS[1]].id, State.RESOLVED)]
    after = digests(desk)
    assert (after[DAYS[0]], after[DAYS[2]]) == (before[DAYS[0]], before[DAYS[2]])
    assert after[DAYS[1]].figures["fin_extreme"] == 2
    assert after[DAYS[1]].revision > before[DAYS[1]].revision
    assert after[DAYS[1]].acknowledged is not None


def test_a_correction_that_removes_every_flag_supersedes_the_digest() -> None:
    desk = AlertDesk(RULES, CALENDAR)
    fold(desk, *day(0))
    (digest,) = digests(desk).values()
    quiet = pricing(0, revision=1, top=0)
    quiet.columns["divergence"] = np.zeros(4)
    changes = fold(desk, financing(0, revision=1, extreme=0, streak=0), quiet)
    assert [(c.alert.id, c.alert.state) for c in changes][-1] == (digest.id, State.SUPERSEDED)
    assert digests(desk) == {}


def test_a_section_is_never_published_acknowledged_or_silenced_by_itself() -> None:
    desk = AlertDesk(RULES, CALENDAR)
    changes = fold(desk, *day(0))
    assert {c.alert.rule for c in changes} == {"securities_digest"}
    (section, *_) = [a for a in desk.lifecycle.alerts.values() if a.is_section]
    assert desk.command(Acknowledge(alert=section.id, by="li", at=NOW), ORIGIN, NOW) == []
    silence = Silence(id="s", until=NOW + timedelta(days=1), by="li", severity=Severity.INFO)
    assert {c.alert.rule for c in desk.command(SetSilence(silence=silence, at=NOW), ORIGIN, NOW)} == {
        "securities_digest"
    }


def test_a_kind_with_a_higher_severity_is_an_alert_of_its_own() -> None:
    raised = [
        dataclasses.replace(r, severity=Severity.WARNING) if r.name == "fin_divergence" else r for r in RULES
    ]  # fmt: skip
    changes = fold(AlertDesk(raised, CALENDAR), *day(0))
    assert {c.alert.rule for c in changes} == {"fin_divergence", "securities_digest"}
    digest = next(c.alert for c in changes if c.alert.sections)
    assert "fin_divergence" not in {s.rule for s in digest.sections}


# -- records and texts -----------------------------------------------------------------------------------------------


def record(finding: RecordFinding, hits: int, name: str = "") -> Evidence:
    return Evidence(name=name, definition=Text("lags", "跑输"), basis=Basis.MEMBERS, cases=1000, hits=hits,
                    since=date(2018, 1, 2), base_cases=10_000, base_hits=5000, finding=finding)  # fmt: skip


def section(rule: str, *records: Evidence) -> DigestSection:
    return DigestSection(rule=rule, subject="stocks", alert=rule, figures={}, thresholds={},
                   text=Text(f"{rule}: 3.", f"{rule}：3。"), evidence=list(records))  # fmt: skip


def test_the_kinds_with_a_record_that_beats_the_base_rate_come_first() -> None:
    desk = AlertDesk(RULES, CALENDAR)
    fold(desk, *day(0))
    better = {"excess_score_top": 540, "fin_extreme": 560}
    for alert in list(desk.lifecycle.alerts.values()):
        if alert.is_section:
            hits = better.get(alert.rule, 590)  # a high rate that is no better is no reason to come first
            finding = RecordFinding.BETTER if alert.rule in better else RecordFinding.NO_BETTER
            desk.lifecycle.put(msgspec.structs.replace(alert, evidence=[record(finding, hits)]))
    fold(desk, totals(0, 1))
    assert [s.rule for s in digests(desk)[DAYS[0]].sections] == [
        "fin_extreme", "excess_score_top", "fin_streak", "fin_divergence"
    ]  # fmt: skip


def test_the_message_of_a_digest_is_a_line_per_section_and_shows_figures_where_a_record_is_better() -> None:
    desk = AlertDesk(RULES, CALENDAR)
    fold(desk, *day(0))
    digest = msgspec.structs.replace(
        digests(desk)[DAYS[0]],
        sections=[
            section("one", record(RecordFinding.BETTER, 560, "range"), record(RecordFinding.NO_BETTER, 510, "rally")),
            section("two", record(RecordFinding.TOO_FEW, 0), record(RecordFinding.NO_BETTER, 510)),
            section("three", record(RecordFinding.TOO_FEW, 0)),
            section("four"),
        ],
    )
    lines = text.body(digest, "both").splitlines()
    assert "• one: 3. [range: lags 56% of 1,000 since 2018, any stock 50%: better]" in lines
    assert "• two: 3. [no better than any day]" in lines
    assert "• three: 3. [too few cases to say]" in lines
    assert "• four: 3." in lines
    assert "• one：3。［震荡市：跑输56%（2018年起1,000例），任意股票50%，优于任意日］" in lines
    assert "• two：3。［不优于任意日］" in lines
    assert "• three：3。［案例太少，无法判断］" in lines


@pytest.mark.parametrize("kind", ["apprise", "dingtalk", "wecom", "feishu"])
def test_a_channel_of_people_gets_no_message_for_the_end_of_a_digest(kind: str) -> None:
    desk = AlertDesk(RULES, CALENDAR)
    fold(desk, *day(0), *day(1))
    over, firing = digests(desk)[DAYS[0]], digests(desk)[DAYS[1]]
    people, service = hook(kind=kind), hook()
    assert [people.omits(a) for a in (over, firing)] == [True, False]
    assert not service.omits(over)
    assert not people.omits(msgspec.structs.replace(over, sections=[]))  # the end of any other alert is news
    assert not people.omits(msgspec.structs.replace(over, state=State.SUPERSEDED))
    assert hook(rules=["fin_streak"]).wants(firing)
    assert not hook(rules=["market_hot"]).wants(firing)


@pytest.mark.parametrize("rule", [r for r in RULES if r.digest], ids=lambda r: r.name)
def test_every_section_has_a_title_in_both_languages(rule) -> None:  # type: ignore[no-untyped-def]
    assert TITLES[rule.name].en and TITLES[rule.name].zh


@pytest.mark.parametrize("ahead", ["market", "frames"])
def test_a_topic_that_is_read_far_ahead_of_another_changes_no_digest(ahead: str) -> None:
    """In a backfill the newest days of one topic arrive before the oldest ones of another."""
    days = range(12)
    one_by_one, skewed = (AlertDesk(RULES, CALENDAR, keep_days=4) for _ in range(2))
    seen, published = list[Change](), list[Change]()
    for at in days:
        seen += fold(one_by_one, *day(at, broken=at % 2), totals(at, revision=1, gap=1e-5))
    market = [message for at in days for message in (totals(at), totals(at, revision=1, gap=1e-5))]
    frames = [message for at in days for message in (financing(at, broken=at % 2), pricing(at))]
    first, *others = (market, frames) if ahead == "market" else (frames, market)
    # A poll of each topic shows what there is.
    published += fold(skewed, others[0][0], *first, *others[0][1:])
    last = [{c.alert.trade_date: c.alert for c in changes if c.alert.sections} for changes in (seen, published)]
    assert last[0].keys() == last[1].keys() == {DAYS[at] for at in days}
    for found, expected in zip(last[1].values(), last[0].values(), strict=True):
        assert (found.text, found.figures, found.revision) == (expected.text, expected.figures, expected.revision)
    assert skewed.refused == 0
    fold(skewed, *day(12), totals(12, revision=1, gap=1e-5))
    kept = [skewed.lifecycle.evaluated(rule, subject) for rule in FLAGS for subject in skewed.lifecycle.subjects(rule)]
    assert kept and all(len(days) <= 5 for days in kept)  # the newest day is not complete while it is read
