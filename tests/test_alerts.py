"""Rules and the lifecycle: one alert per fact, resolved, superseded, stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import count
from typing import Any

import msgspec
import numpy as np
import pytest

from alerts.commands import FeedRun, LiveFeedState
from alerts.delivery.text import ending
from alerts.lifecycle import AlertLifecycle
from alerts.model import Alert, EndedBy, Input, Severity, State, alert_id
from alerts.rules import collateral_low, rules
from alerts.rules.base import DeadLetters, read_as
from processors.codes import to_id
from processors.days import to_date, to_day
from processors.indicators.industry_heat import RISK
from processors.industries import INDUSTRIES
from processors.needs import CHARTS
from processors.outputs import DayStatus, IdentityCheck, IndustrySignals, MarketSignal, SecuritySignals
from processors.parameters import Parameters
from processors.registry import SIGNALS
from streams.calendars import xshg
from tests.building import DAYS, industry_signals, security_signals

CALENDAR = xshg()
RULES = rules(Parameters())
NOW = datetime(2020, 2, 1, tzinfo=UTC)
_offsets = count()


def sessions_after(sessions: int) -> date:
    """The session so many sessions after the first day."""
    day = CALENDAR.after(to_day(DAYS[0]), sessions)
    assert day is not None
    return to_date(day)


def state(day: date, value: str, before: str, ratio: float, revision: int = 0, **changes: object) -> MarketSignal:
    details = {"ratio": ratio, "before": before, "hot": 0.103, "breakdown": 0.1, "cold": 0.0675, "extreme_cold": 0.0625}
    fields: dict[str, object] = {
        "signal": "ratio_state", "subject": "market", "trade_date": day, "available_at": NOW, "revision": revision,
        "value": value, "details": details}  # fmt: skip
    return MarketSignal(**(fields | changes))  # type: ignore[arg-type]


def fold(lifecycle: AlertLifecycle, *messages: MarketSignal | SecuritySignals | DeadLetters) -> list[Alert]:
    out = []
    for message in messages:
        out += lifecycle.fold(message, Input("signals", 0, next(_offsets), 0), NOW)
    return out


def of(alerts: list[Alert], rule: str) -> list[tuple[State, date]]:
    return [(a.state, a.trade_date) for a in alerts if a.rule == rule]


def test_a_breakdown_is_one_critical_peak_warning_that_ends_when_the_market_is_hot_again() -> None:
    lifecycle = AlertLifecycle(RULES, CALENDAR)
    made = fold(lifecycle, state(DAYS[0], "HOT", "NORMAL", 0.104), state(DAYS[1], "BREAKDOWN", "HOT", 0.099))
    assert of(made, "peak_warning") == [(State.FIRING, DAYS[1])]
    assert of(made, "market_hot") == [(State.FIRING, DAYS[0]), (State.RESOLVED, DAYS[0])]
    peak = next(a for a in made if a.rule == "peak_warning")
    assert peak.severity is Severity.CRITICAL
    assert peak.id == alert_id("peak_warning", "fin_buy_ratio_5d", DAYS[1], 0)
    assert "9.90%" in peak.text.en
    assert "9.90%" in peak.text.zh
    assert "10.30%" in peak.invalidation.en
    assert of(fold(lifecycle, state(DAYS[2], "NORMAL", "BREAKDOWN", 0.101)), "peak_warning") == []
    (over,) = [a for a in fold(lifecycle, state(DAYS[3], "HOT", "NORMAL", 0.104)) if a.rule == "peak_warning"]
    assert (over.id, over.state, over.resolved_on) == (peak.id, State.RESOLVED, DAYS[3])


def test_repeats_and_lower_revisions_announce_nothing() -> None:
    lifecycle = AlertLifecycle(RULES, CALENDAR)
    breakdown = state(DAYS[1], "BREAKDOWN", "HOT", 0.099, revision=1)
    assert fold(lifecycle, breakdown)
    assert fold(lifecycle, breakdown, state(DAYS[1], "HOT", "HOT", 0.101, revision=0)) == []


def test_a_correction_that_removes_the_condition_supersedes_the_alert() -> None:
    lifecycle = AlertLifecycle(RULES, CALENDAR)
    (first,) = fold(lifecycle, state(DAYS[1], "BREAKDOWN", "HOT", 0.099))
    made = [a for a in fold(lifecycle, state(DAYS[1], "HOT", "HOT", 0.1001, revision=2)) if a.rule == "peak_warning"]
    assert [(a.id, a.state) for a in made] == [(first.id, State.SUPERSEDED)]


def test_a_correction_that_keeps_it_supersedes_and_fires_with_the_new_figures() -> None:
    lifecycle = AlertLifecycle(RULES, CALENDAR)
    fold(lifecycle, state(DAYS[1], "BREAKDOWN", "HOT", 0.099))
    made = fold(lifecycle, state(DAYS[1], "BREAKDOWN", "HOT", 0.098, revision=1))
    assert [a.state for a in made] == [State.SUPERSEDED, State.FIRING]
    assert made[1].figures == {"ratio": 0.098}
    assert made[0].id != made[1].id


def test_corrections_out_of_order_end_in_the_same_state() -> None:
    messages = [
        state(DAYS[0], "HOT", "NORMAL", 0.104), state(DAYS[1], "BREAKDOWN", "HOT", 0.099),
        state(DAYS[2], "NORMAL", "BREAKDOWN", 0.1), state(DAYS[3], "HOT", "NORMAL", 0.104),
        state(DAYS[1], "HOT", "HOT", 0.1, 1), state(DAYS[2], "BREAKDOWN", "HOT", 0.099, 1)]  # fmt: skip
    lifecycles = [AlertLifecycle(RULES, CALENDAR) for _ in range(2)]
    fold(lifecycles[0], *messages)
    fold(lifecycles[1], *reversed(messages))
    plain = [
        {i: (a.state, a.resolved_on, a.figures) for i, a in sorted(one.alerts.items())} for one in lifecycles
    ]  # fmt: skip
    assert plain[0] == plain[1]


@pytest.mark.parametrize("signal", ["excess", "new_high"])
def test_a_correction_that_makes_a_figure_absent_supersedes_its_alert(signal: str) -> None:
    lifecycle = AlertLifecycle(RULES, CALENDAR)
    known = excess(DAYS[1]) if signal == "excess" else new_high(DAYS[1], 1)
    (first,) = fold(lifecycle, known)
    absent = msgspec.structs.replace(known, revision=1, value=None, reason="an exchange is missing", details={})
    (gone,) = fold(lifecycle, absent)
    assert (gone.id, gone.state, lifecycle.alerts) == (first.id, State.SUPERSEDED, {})


@pytest.mark.parametrize("value", ["BREAKDOWN", "HOT", "COLD"])
def test_a_correction_that_makes_the_state_absent_supersedes_its_alert(value: str) -> None:
    lifecycle = AlertLifecycle(RULES, CALENDAR)
    (first,) = fold(lifecycle, state(DAYS[1], value, "NORMAL", 0.1))
    absent = msgspec.structs.replace(
        state(DAYS[1], value, "", 0.1, revision=1), value=None, reason="turnover is absent", details={}
    )
    (gone,) = fold(lifecycle, absent)
    assert (gone.id, gone.state, lifecycle.alerts) == (first.id, State.SUPERSEDED, {})
    # A later absent day changes nothing.
    (again,) = fold(lifecycle, state(DAYS[2], value, "NORMAL", 0.1))
    assert fold(lifecycle, msgspec.structs.replace(absent, trade_date=DAYS[3])) == []
    assert lifecycle.alerts[again.id].state is State.FIRING


@pytest.mark.parametrize("known", [27, 0])
def test_a_correction_that_makes_the_risk_of_an_industry_absent_supersedes_its_alert(known: int) -> None:
    lifecycle = AlertLifecycle(RULES, CALENDAR)
    (first,) = fold(lifecycle, risks(DAYS[1], np.arange(31) == 3))
    assert first.subject == "有色金属"
    (gone,) = fold(lifecycle, risks(DAYS[1], np.where(np.arange(31) < 31 - known, np.nan, 0.0), revision=1))
    assert (gone.id, gone.state, lifecycle.alerts) == (first.id, State.SUPERSEDED, {})


@pytest.mark.parametrize(
    ("factors", "texts"),
    [
        (3, []),  # the balance shares and the prices of the first weeks
        (4, ["(rank 1, by 4 of its 8 factors)", "（第1位，仅含8项因子中的4项）"]),
        (8, ["(rank 1)", "（第1位）"]),
    ],
)
def test_a_risk_of_few_factors_raises_no_alert_and_one_of_some_says_of_how_many(factors: int, texts: list[str]) -> None:
    found = fold(AlertLifecycle(RULES, CALENDAR), risks(DAYS[1], np.arange(31) == 3, factors=factors))
    assert len(found) == bool(texts)
    assert all(text in found[0].text.en + found[0].text.zh for text in texts)


def test_a_risk_is_read_at_a_week_s_end_though_the_end_of_the_week_before_is_not_known() -> None:
    """The change of the week needs both ends, the risk does not: an alert would go on for another week or two."""
    lifecycle = AlertLifecycle(RULES, CALENDAR)
    (first,) = fold(lifecycle, risks(DAYS[1], np.arange(31) == 3))
    low = risks(DAYS[2], np.arange(31) == 4)
    low.columns["week_change"][:] = np.nan
    assert fold(lifecycle, low) == []  # within a week
    low.left_out["week_change"] = "margin.daily of 2020-01-03 is not known"
    ended, begun = fold(lifecycle, low)
    assert (ended.id, ended.state, ended.resolved_on) == (first.id, State.RESOLVED, DAYS[2])
    assert (begun.subject, begun.state) == (INDUSTRIES[4], State.FIRING)


def risks(day: date, risk: np.ndarray, revision: int = 0, factors: int = 8) -> IndustrySignals:
    status = DayStatus(trade_date=day, available_at=NOW, revision=revision)
    parts = {f"risk_{factor}": np.full(31, 0.0 if i < factors else np.nan) for i, factor in enumerate(RISK)}
    return industry_signals(status, {"week_change": np.zeros(31), "risk": risk.astype(float)} | parts)


def test_provisional_values_never_alert() -> None:
    assert fold(AlertLifecycle(RULES, CALENDAR), state(DAYS[1], "BREAKDOWN", "HOT", 0.099, provisional=True)) == []


def test_the_daily_basis_is_an_early_sign_and_no_warning() -> None:
    made = fold(AlertLifecycle(RULES, CALENDAR), state(DAYS[0], "HOT", "NORMAL", 0.104, signal="ratio_state_daily"),
                state(DAYS[1], "BREAKDOWN", "HOT", 0.099, signal="ratio_state_daily"))  # fmt: skip
    assert [(a.rule, a.subject, a.severity) for a in made] == [("peak_early_sign", "fin_buy_ratio", Severity.INFO)]


@pytest.mark.parametrize(("ratio", "shown"), [(0.0991, "9.91%"), (0.09996, "9.996%")])
def test_a_ratio_just_below_the_line_does_not_read_as_the_line(ratio: float, shown: str) -> None:
    for signal in ("ratio_state", "ratio_state_daily"):
        (made,) = fold(AlertLifecycle(RULES, CALENDAR), state(DAYS[1], "BREAKDOWN", "HOT", ratio, signal=signal))
        assert f"fell to {shown}, below 10.00%" in made.text.en
        assert f"降至{shown}，" in made.text.zh


@pytest.mark.parametrize(
    ("balance", "before", "texts"),
    [
        (1.51e12, 1.5e12, ("1.5100 tn CNY", "1.5000 tn CNY", "1.5100万亿元", "1.5000万亿元")),
        # 2019-12-31
        (1_005_504_426_838.0, 1_005_475_674_707.0, ("1.00550 tn", "1.00548 tn", "1.00550万亿元", "1.00548万亿元")),
    ],
)
def test_a_new_high_does_not_read_as_the_one_before(balance: float, before: float, texts: tuple[str, ...]) -> None:
    high = msgspec.structs.replace(new_high(DAYS[0], 1), details={"balance": balance, "previous_high": before})
    (made,) = fold(AlertLifecycle(RULES, CALENDAR), high)
    assert all(one in made.text.en + made.text.zh for one in texts)


@pytest.mark.parametrize(("first", "ratio"), [("COLD", 0.066), ("EXTREME_COLD", 0.0001), ("HOT", 0.11)])
def test_the_first_ratio_of_a_history_has_not_moved(first: str, ratio: float) -> None:
    """As that of 2010-04-07, which rose to 0.00% from nothing."""
    (made,) = fold(AlertLifecycle(RULES, CALENDAR), state(DAYS[0], first, "", ratio))
    assert f"ratio is {ratio:.2%} (" in made.text.en and f"占比为{ratio:.2%}（" in made.text.zh


def test_cold_is_never_called_a_bottom() -> None:
    (cold,) = fold(AlertLifecycle(RULES, CALENDAR), state(DAYS[0], "COLD", "NORMAL", 0.066))
    assert "no bottom signal" in cold.text.en
    assert "不是见底信号" in cold.text.zh


def securities(day: date, missing: dict[str, int] | None = None, revision: int = 0) -> SecuritySignals:
    codes = ["600000.SH", "600519.SH", "000001.SZ"]
    return security_signals(
        DayStatus(trade_date=day, available_at=NOW, revision=revision, missing=missing or {}),
        np.array([to_id(c) for c in codes], dtype=np.int32),
        {"fin_change": np.array([0.1, -0.2, 0.0]), "fin_streak": np.array([8, -5, 0]),
         "extreme": np.array([1.0, -1.0, 0.0]), "consecutive_extreme": np.array([1.0, 0.0, 0.0])})  # fmt: skip


def test_a_day_of_flags_is_one_digest_with_each_security_inside() -> None:
    lifecycle = AlertLifecycle(RULES, CALENDAR)
    made = fold(lifecycle, securities(DAYS[0]))
    assert {a.rule: [(m.code, m.note) for m in a.members] for a in made} == {
        "fin_streak": [("600000.SH", ""), ("600519.SH", "")],
        "fin_extreme": [("600000.SH", "consecutive"), ("600519.SH", "")],
    }
    following = fold(lifecycle, securities(DAYS[1]))
    assert sorted((a.rule, a.state.value) for a in following) == [
        ("fin_extreme", "firing"), ("fin_extreme", "resolved"), ("fin_streak", "firing"), ("fin_streak", "resolved")
    ]  # fmt: skip


def test_an_extreme_behind_a_day_that_is_not_known_is_no_consecutive_one() -> None:
    message = securities(DAYS[0])
    message.columns["consecutive_extreme"] = np.array([np.nan, np.nan, 0.0])
    (found,) = [alert for alert in fold(AlertLifecycle(RULES, CALENDAR), message) if alert.rule == "fin_extreme"]
    assert (found.figures["consecutive"], [m.note for m in found.members]) == (0, ["", ""])
    assert "0 for the second day (stronger): none" in found.text.en
    assert "其中连续两日0只（信号更强）：无" in found.text.zh


def test_a_degraded_day_is_a_data_quality_alert_until_a_complete_one() -> None:
    lifecycle = AlertLifecycle(RULES, CALENDAR)
    made = [a for a in fold(lifecycle, securities(DAYS[0], {"margin.daily SZSE": 12})) if a.rule == "data_quality"]
    assert [(a.subject, a.figures) for a in made] == [("margin.daily", {"margin.daily SZSE": 12})]
    over = [a for a in fold(lifecycle, securities(DAYS[1])) if a.rule == "data_quality"]
    assert [(a.id, a.state) for a in over] == [(made[0].id, State.RESOLVED)]


def test_the_pieces_of_a_late_day_update_its_data_quality_alert_until_the_last() -> None:
    lifecycle = AlertLifecycle(RULES, CALENDAR)
    lacks: list[dict[str, int]] = [{"margin.daily SZSE": -1}, {"margin.daily SZSE": 12}, {"margin.daily SZSE": 1}, {}]
    told = []
    for revision, missing in enumerate(lacks):
        made = fold(lifecycle, securities(DAYS[0], missing, revision))
        told.append([a for a in made if a.rule == "data_quality"])
    assert [[(a.state, a.revision) for a in step] for step in told] == [
        [(State.FIRING, 0)], [(State.FIRING, 1)], [(State.FIRING, 2)], [(State.SUPERSEDED, 2)]
    ]  # fmt: skip
    assert len({a.id for step in told for a in step}) == 1
    assert [step[0].figures["margin.daily SZSE"] for step in told] == [-1, 12, 1, 1]
    texts = [step[0].text.en.partition("SZSE: ")[2].partition(".")[0] for step in told]
    assert texts == ["everything", "12 rows", "1 row", "1 row"]


def test_rules_of_one_name_declare_the_same_to_whoever_knows_an_alert_by_the_name_of_its_rule() -> None:
    declared = {(rule.name, rule.scope, rule.covers_day, rule.study) for rule in RULES}
    assert len(declared) == len({rule.name for rule in RULES})


def test_too_many_dead_letters_in_an_hour_are_one_alert_until_the_next_session() -> None:
    lifecycle = AlertLifecycle(RULES, CALENDAR)
    hour = datetime(DAYS[0].year, DAYS[0].month, DAYS[0].day, 13, tzinfo=UTC)
    made = []
    for refused in range(1, 8):
        made += fold(lifecycle, DeadLetters(topic="margin.daily", hour=hour, count=refused, threshold=3,
                                       trade_date=DAYS[0], reason="bad"))  # fmt: skip
    assert [(a.rule, a.subject, a.figures) for a in made] == [
        ("data_quality", "margin.daily 21:00", {"refused": 4})  # 21:00 in Shanghai
    ]
    assert "from 21:00 (Shanghai)" in made[0].text.en and "自21:00起" in made[0].text.zh
    assert fold(lifecycle, total(DAYS[0], 0.0)) == []
    (ended,) = fold(lifecycle, total(DAYS[1], 0.0))
    assert (ended.id, ended.state, ended.ended_by) == (made[0].id, State.RESOLVED, EndedBy.HORIZON)


@pytest.mark.parametrize(("value", "before", "fires"), [(0.05, 0.0, True), (0.05, 0.05, False), (-0.05, 0.05, True)])
def test_excess_financing_fires_when_a_level_comes_into_force(value: float, before: float, fires: bool) -> None:
    signal = MarketSignal(
        signal="excess_level", subject="market", trade_date=DAYS[0], available_at=NOW, revision=0, value=value,
        details={"excess": value, "before": before, "level": 0.05})  # fmt: skip
    assert bool(fold(AlertLifecycle(RULES, CALENDAR), signal)) is fires


@pytest.mark.parametrize(
    ("level", "excess", "en", "zh", "record"),
    [
        (0.05, 0.0512, "grew 5.12 percentage points more than the SSE Composite (line +5)",
         "超过上证指数5.12个百分点（警戒线+5）", "up"),
        (-0.07, -0.0713, "grew 7.13 percentage points less than the SSE Composite (line −7)",
         "落后上证指数7.13个百分点（警戒线−7）", "down"),
    ],
)  # fmt: skip
def test_excess_financing_names_its_side_which_chooses_its_record(
    level: float, excess: float, en: str, zh: str, record: str
) -> None:
    lifecycle = AlertLifecycle(RULES, CALENDAR)
    (rule,) = [one for one in RULES if one.name == "excess_financing"]

    def on(at: int, level: float, before: float) -> MarketSignal:
        return MarketSignal(signal="excess_level", subject="market", trade_date=DAYS[at], available_at=NOW, revision=0,
                            value=level, details={"excess": excess, "before": before})  # fmt: skip

    (alert,) = fold(lifecycle, on(0, level, 0.0))
    assert en in alert.text.en and zh in alert.text.zh
    assert [(one.name, one.horizon_days) for one in rule.expectations if one.covers(alert)] == [(record, 5)]
    assert fold(lifecycle, on(1, level, level)) == []  # the level is still in force
    (ended,) = fold(lifecycle, on(2, 0.0, level))
    assert (ended.id, ended.state, ended.resolved_on) == (alert.id, State.RESOLVED, DAYS[2])


def test_a_lifecycle_loaded_from_its_bytes_continues_the_same() -> None:
    messages = [state(DAYS[0], "HOT", "NORMAL", 0.104), state(DAYS[1], "BREAKDOWN", "HOT", 0.099), securities(DAYS[1])]
    lifecycle, other = AlertLifecycle(RULES, CALENDAR), AlertLifecycle(RULES, CALENDAR)
    fold(lifecycle, *messages)
    rows = {k: v for k, v in lifecycle.changed_rows().items() if v is not None}
    other.load_rows(rows)
    assert other.alerts == lifecycle.alerts
    assert fold(other, *messages) == []
    assert of(fold(other, state(DAYS[2], "HOT", "NORMAL", 0.104)), "peak_warning") == [(State.RESOLVED, DAYS[1])]


def total(day: date, share: float) -> MarketSignal:
    gaps, shares = ({"SSE": 6e11 * share}, {"SSE": share}) if share else ({}, {})
    return MarketSignal(signal="fin_balance", subject="market", trade_date=day, available_at=NOW, revision=0,
                        value=1e12, identity_gaps=gaps, identity_shares=shares)  # fmt: skip


@pytest.mark.parametrize(
    ("share", "rule"),
    [(-0.00051, "data_quality"), (0.00051, "data_quality"), (-0.0005, "data_note"), (1e-5, "data_note")],
)
def test_a_break_of_the_totals_is_a_warning_only_above_its_share_of_the_exchange(share: float, rule: str) -> None:
    lifecycle = AlertLifecycle(RULES, CALENDAR)
    (broken,) = fold(lifecycle, total(DAYS[0], share))
    assert (broken.rule, broken.subject) == (rule, "margin.market identity")
    assert broken.severity is (Severity.WARNING if rule == "data_quality" else Severity.INFO)
    assert f"SSE {6e11 * share:+,.0f} CNY ({share:+.4%})".replace("-", "−") in broken.text.en
    assert f"SSE {6e11 * share:+,.0f}元（{share:+.4%}）".replace("-", "−") in broken.text.zh
    assert ("The figures are used as published." in broken.text.en) == (rule == "data_quality")
    (over,) = fold(lifecycle, total(DAYS[1], 0.0))
    assert (over.id, over.state) == (broken.id, State.RESOLVED)


def test_why_a_ratio_is_absent_is_chinese_in_the_chinese_text() -> None:
    reason = "indices.daily turnover of 2020-01-03 lacks SZSE"
    absent = MarketSignal(signal="fin_buy_ratio", subject="market", trade_date=DAYS[0], available_at=NOW, revision=0,
                          value=None, reason=reason)  # fmt: skip
    (alert,) = fold(AlertLifecycle(RULES, CALENDAR), absent)
    assert alert.text.en.endswith(f"whether a top is near: {reason}.")
    assert alert.text.zh.endswith("无法判断是否接近顶部：2020-01-03的indices.daily turnover缺少SZSE。")


def checked(day: date, check: IdentityCheck) -> SecuritySignals:
    return security_signals(
        DayStatus(trade_date=day, available_at=NOW, revision=0, identity=check), np.empty(0, dtype=np.int32),
        {name: np.empty(0) for name in ("fin_change", "fin_streak", "extreme", "consecutive_extreme")})  # fmt: skip


@pytest.mark.parametrize(
    ("broken", "balance", "rule"),
    [
        (10, 0, None),  # single securities break by little on many days
        (1, 1, "data_note"),  # one that is off by more than 1% of its balance
        (11, 0, "data_note"),
        (1000, 50, "data_note"),  # 5% of the balance
        (1000, 51, "data_quality"),
        (1, 51, "data_quality"),  # one large security is enough
    ],
)
def test_a_break_of_the_detail_is_a_warning_only_where_it_touches_the_balance(
    broken: int, balance: int, rule: str | None
) -> None:
    check = IdentityCheck(1000, broken, {"600519.SH": 1e6}, 1000, balance)
    found = [
        a
        for a in fold(AlertLifecycle(RULES, CALENDAR), checked(DAYS[0], check))
        if a.subject == "margin.daily identity"
    ]
    assert [a.rule for a in found] == ([] if rule is None else [rule])
    for one in found:
        assert [m.code for m in one.members] == ["600519.SH"]
        assert f"{broken} of 1000" in one.text.en


def test_days_that_were_removed_do_not_return_in_a_replay_and_only_their_corrections_are_counted() -> None:
    """A market stage that is computed again publishes all days again, under the revisions that they had."""
    lifecycle = AlertLifecycle(RULES, CALENDAR, keep_days=3)
    fold(lifecycle, state(DAYS[0], "BREAKDOWN", "HOT", 0.099))
    fold(lifecycle, *(state(day, "HOT", "HOT", 0.104) for day in DAYS[1:6]))
    lifecycle.changed_rows()
    assert fold(lifecycle, state(DAYS[0], "BREAKDOWN", "HOT", 0.099), state(DAYS[1], "HOT", "HOT", 0.104)) == []
    assert lifecycle.changed_rows() == {}
    assert lifecycle.refused == 0
    corrected = state(DAYS[1], "HOT", "HOT", 0.104, revision=2)
    assert fold(lifecycle, corrected, corrected) == []
    assert lifecycle.refused == 3  # rules on this signal


@pytest.mark.parametrize(("corrected", "refused"), [(0, False), (1, True)])
def test_charts_that_arrive_behind_removed_days_correct_no_fact_that_does_not_read_them(
    corrected: int, refused: bool
) -> None:
    """In a backfill they are scored behind the other figures of a frame, which is published again with them."""
    lifecycle = AlertLifecycle([rule for rule in RULES if rule.name == "data_quality"], CALENDAR, keep_days=3)
    for day in DAYS[:6]:
        fold(lifecycle, risks(day, np.zeros(31)))
    read = {f"{CHARTS}[0]": 0, "indices.daily": corrected}
    status = DayStatus(trade_date=DAYS[0], available_at=NOW, revision=1 + corrected, input_revisions=read)
    late = industry_signals(status, {"week_change": np.zeros(31)})
    assert lifecycle.fold(late, Input("signals", 0, next(_offsets), status.revision), NOW) == []
    assert bool(lifecycle.refused) == refused


# -- rules and parameters --------------------------------------------------------------------------------------


def priced(day: date) -> SecuritySignals:
    return security_signals(
        DayStatus(trade_date=day, available_at=NOW, revision=0), np.array([to_id("600000.SH")], dtype=np.int32),
        {f: np.array([1.0]) for f in ("divergence", "streak_excess", "excess_top", "excess_score", "excess_kind")},
        family="pricing")  # fmt: skip


def excess(day: date) -> MarketSignal:
    return MarketSignal(signal="excess_level", subject="market", trade_date=day, available_at=NOW, revision=0,
                        value=0.05, details={"excess": 0.06, "before": 0.0, "level": 0.05})  # fmt: skip


def new_high(day: date, side: int) -> MarketSignal:
    return MarketSignal(
        signal="new_high_low", subject="market", trade_date=day, available_at=NOW, revision=0, value=side
    )


@pytest.mark.parametrize(
    ("rule", "message", "changes", "plain", "changed"),
    [
        ("fin_streak", securities(DAYS[0]), {"streak_flags": (3, 8)}, "reached 5 or 8 days", "reached 3 or 8 days"),
        ("fin_streak", securities(DAYS[0]), {"streak_flags": (3, 8)}, "连续5或8日", "连续3或8日"),
        ("fin_extreme", securities(DAYS[0]), {"extreme_share": 0.025}, "in the 5% tails", "in the 2.5% tails"),
        ("fin_extreme", securities(DAYS[0]), {"extreme_share": 0.025}, "：5%尾部", "：2.5%尾部"),
        ("fin_divergence", priced(DAYS[0]), {"divergence_streak": 6}, "with 8 days or more", "with 6 days or more"),
        ("fin_divergence", priced(DAYS[0]), {"divergence_streak": 6}, "连续8日以上", "连续6日以上"),
        ("excess_score_top", priced(DAYS[0]), {"score_top": 0.125}, "top 10% (", "top 12.5% ("),
        ("excess_score_top", priced(DAYS[0]), {"score_top": 0.125}, "：前10%共", "：前12.5%共"),
        ("excess_financing", excess(DAYS[0]), {"excess_lag_days": 20}, "over 15 days the", "over 20 days the"),
        ("excess_financing", excess(DAYS[0]), {"excess_lag_days": 20}, "：15个交易日", "：20个交易日"),
        ("excess_financing", excess(DAYS[0]), {"excess_hysteresis": 0.02},
         "by 1 percentage point.", "by 2 percentage points"),
        ("excess_financing", excess(DAYS[0]), {"excess_hysteresis": 0.02}, "以内1个百分点", "以内2个百分点"),
        ("balance_new_high", new_high(DAYS[0], 1), {"high_low_days": 120}, "its 250-day high", "its 120-day high"),
        ("balance_new_low", new_high(DAYS[0], -1), {"high_low_days": 120}, "创250日新低", "创120日新低"),
        ("market_hot", state(DAYS[0], "HOT", "NORMAL", 0.11), {"ratio_window_days": 7}, "the 5-day f", "the 7-day f"),
        ("market_cold", state(DAYS[0], "COLD", "NORMAL", 0.06), {"ratio_window_days": 7}, "：5日融资", "：7日融资"),
        ("peak_warning", state(DAYS[0], "BREAKDOWN", "HOT", 0.09), {"ratio_window_days": 7}, "：5日融资", "：7日融资"),
        (
            "peak_warning", state(DAYS[0], "BREAKDOWN", "HOT", 0.09), {"warning_sessions": 40},
            f"Over on {sessions_after(61)} at", f"Over on {sessions_after(41)} at",
        ),
    ],
)  # fmt: skip
def test_the_texts_follow_the_parameters(
    rule: str, message: MarketSignal | SecuritySignals, changes: dict[str, Any], plain: str, changed: str
) -> None:
    for parameters, expected in ((Parameters(), plain), (Parameters(**changes), changed)):
        (found,) = [a for a in fold(AlertLifecycle(rules(parameters), CALENDAR), message) if a.rule == rule]
        assert expected in "\n".join((found.text.en, found.text.zh, ending(found), ending(found, chinese=True)))


@pytest.mark.parametrize(
    ("rule", "message", "text"),
    [
        ("fin_streak", securities(DAYS[0]), "Streaks: 1 balance reached 5 or 8 days"),
        ("fin_extreme", securities(DAYS[0]), "Extremes: 1 rise and 0 falls in"),
        ("fin_divergence", priced(DAYS[0]), "Divergences: 1 stock with"),
    ],
)
def test_one_security_is_no_plural(rule: str, message: SecuritySignals, text: str) -> None:
    one = replace(message, keys=message.keys[:1], columns={name: of[:1] for name, of in message.columns.items()})
    (found,) = [a for a in fold(AlertLifecycle(RULES, CALENDAR), one) if a.rule == rule]
    assert found.text.en.startswith(text)


def test_a_streak_is_flagged_at_the_lengths_of_the_parameters_and_its_record_is_of_the_longest() -> None:
    built = rules(Parameters(streak_flags=(3, 8)))
    (found,) = [a for a in fold(AlertLifecycle(built, CALENDAR), securities(DAYS[0])) if a.rule == "fin_streak"]
    assert [m.code for m in found.members] == ["600000.SH"]  # 8 days; 5 days are no flag any more
    assert found.thresholds == {"flags_days": "3, 8"}
    up, down = next(r.expectations for r in built if r.name == "fin_streak")
    assert up.members(found) == ["600000.SH"]
    assert down.members(found) == []


def test_a_rule_evaluates_no_message_that_it_does_not_read() -> None:
    hot = state(DAYS[0], "HOT", "NORMAL", 0.104)
    plain = [
        msgspec.structs.replace(hot, signal=name, provisional=provisional, value=value)
        for name in SIGNALS
        for provisional in (False, True)
        for value in ("HOT", None)
    ]
    refused = DeadLetters(topic="prices.daily", hour=NOW, count=9, threshold=1, trade_date=DAYS[0], reason="bad",
                          quarantined="prices.daily[0]@7")  # fmt: skip
    silent = LiveFeedState(feed="prices.intraday", trade_date=DAYS[0], at=NOW, silent_since=NOW)
    run = FeedRun(source="exchange", trade_date=DAYS[0], at=NOW, errors=3, reason="too few rows")
    industries = industry_signals(DayStatus(trade_date=DAYS[0], available_at=NOW, revision=0), {})
    for message in (*plain, securities(DAYS[0]), priced(DAYS[0]), industries, refused, silent, run):
        for rule in RULES:
            assert read_as(message) in rule.reads or not list(rule.evaluate(message)), (rule.name, message)


def test_thresholds_of_digests_are_those_of_the_parameters() -> None:
    built = rules(Parameters(extreme_share=0.1, score_top=0.2, divergence_streak=6, divergence_excess=-0.2))
    lifecycle = AlertLifecycle(built, CALENDAR)
    found = {a.rule: a.thresholds for a in fold(lifecycle, securities(DAYS[0]), priced(DAYS[0]))}
    assert found["fin_extreme"] == {"share": 0.1}
    assert found["excess_score_top"] == {"share": 0.2}
    assert found["fin_divergence"] == {"streak_days": 6, "excess": -0.2}


@pytest.mark.parametrize(
    ("ratio", "distance"),
    [
        (2.0, "A fall of the collateral by 35.0% brings the average to the 130% line of forced selling"),
        (1.3004, "A fall of the collateral by 0.03% brings the average to the 130% line of forced selling"),
        (1.3, "The average is at or below the 130% line of forced selling."),
        (1.25, "The average is at or below the 130% line of forced selling."),
    ],
)
def test_collateral_at_the_line_of_forced_selling_needs_no_further_fall(ratio: float, distance: str) -> None:
    one = MarketSignal(signal="collateral_ratio", subject="market", trade_date=DAYS[0], available_at=NOW, revision=0,
                       value=ratio, details={"percentile": 0.01})  # fmt: skip
    (found,) = collateral_low.rule(Parameters()).evaluate(one)
    assert distance in found.text.en


def test_a_collateral_ratio_just_above_the_line_does_not_read_as_the_line() -> None:
    one = MarketSignal(signal="collateral_ratio", subject="market", trade_date=DAYS[0], available_at=NOW, revision=0,
                       value=1.3004, details={"percentile": 0.01})  # fmt: skip
    (found,) = collateral_low.rule(Parameters()).evaluate(one)
    assert "130.04% of the debt" in found.text.en
    assert "130.04%" in found.text.zh
