"""The metrics: newest values only, no series for absent values, counters that begin at 0."""

from __future__ import annotations

from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest
from prometheus_client import REGISTRY

from processors.days import microseconds, to_date, to_day
from processors.deadlines import DEADLINES, newest_due
from processors.industries import INDUSTRIES
from processors.outputs import DayStatus, IndustrySignals, MarketSignal
from streams import metrics
from streams.app import MarginwatchApp
from streams.calendars import xshg
from streams.settings import Settings
from streams.stages.market_stage import MarketStage, MarketState
from streams.stages.stage import Overview
from streams.topics import Topics

FRIDAY, MONDAY, TUESDAY = date(2020, 1, 3), date(2020, 1, 6), date(2020, 1, 7)
NOON = datetime(2020, 1, 6, 4, tzinfo=UTC)


pytestmark = pytest.mark.usefixtures("no_market_metrics")


def test_calendar_and_clock_are_those_of_the_market() -> None:
    clock, calendar = SimpleNamespace(now=lambda: datetime(2020, 1, 2, 16, tzinfo=UTC)), xshg()
    stage = SimpleNamespace(state=SimpleNamespace(clock=clock), table=SimpleNamespace(rows=0), overview=Overview)
    worker = SimpleNamespace(
        runner=SimpleNamespace(owned={("alerts", 0): stage}), calendar=calendar, settings=Settings(),
        _positions=dict[Any, Any],
    )  # fmt: skip
    MarginwatchApp._refresh_metrics(worker)  # type: ignore[arg-type]
    assert metrics.CALENDAR_LEFT._value.get() == calendar.left_after(to_day(FRIDAY))
    assert metrics.MARKET_CLOCK._value.get() == clock.now().timestamp()


def signal(value: float | str | None, day: date, *, provisional: bool = False) -> MarketSignal:
    return MarketSignal(
        signal="fin_buy_ratio",
        subject="market",
        trade_date=day,
        available_at=NOON,
        revision=0,
        value=value,
        provisional=provisional,
    )


def labels_of(provisional: str) -> dict[str, str]:
    return {"signal": "fin_buy_ratio", "subject": "market", "provisional": provisional}


def shown(provisional: str) -> float | None:
    return REGISTRY.get_sample_value("marginwatch_signal", labels_of(provisional))


def industries(heat: list[float], day: date = FRIDAY) -> IndustrySignals:
    status = DayStatus(trade_date=day, available_at=NOON, revision=0)
    return IndustrySignals(status, {"heat": np.array(heat)}, {})


def heat_of(industry: str) -> float | None:
    return REGISTRY.get_sample_value("marginwatch_industry", {"industry": industry, "signal": "heat"})


def test_a_provisional_value_goes_once_its_day_is_final() -> None:
    metrics.observe_signal(signal(0.08, FRIDAY))
    metrics.observe_signal(signal(0.10, MONDAY, provisional=True))
    metrics.observe_signal(signal(0.081, FRIDAY))  # a correction of the day before, while the session runs
    assert (shown("false"), shown("true")) == (0.081, 0.10)

    metrics.observe_signal(signal(0.09, MONDAY))
    assert (shown("false"), shown("true")) == (0.09, None)


def test_an_absent_value_has_no_series() -> None:
    metrics.observe_signal(signal(0.0995, FRIDAY))
    metrics.observe_signal(signal(0.10, MONDAY, provisional=True))
    metrics.observe_signal(signal(None, MONDAY))
    assert (shown("false"), shown("true")) == (None, None)
    assert REGISTRY.get_sample_value("marginwatch_signal_trade_date_seconds", labels_of("false")) is None

    metrics.observe_signal(signal(0.10, TUESDAY, provisional=True))
    metrics.observe_signal(signal(None, TUESDAY, provisional=True))
    assert shown("true") is None


def test_an_absent_state_has_no_series() -> None:
    def hot() -> float | None:
        return REGISTRY.get_sample_value("marginwatch_ratio_state", {"basis": "ratio_state", "state": "HOT"})

    metrics.observe_signal(msgspec.structs.replace(signal("HOT", FRIDAY), signal="ratio_state"))
    assert hot() == 1
    metrics.observe_signal(msgspec.structs.replace(signal(None, MONDAY), signal="ratio_state"))
    assert hot() is None


def test_an_older_day_does_not_replace_a_newer_one() -> None:
    metrics.observe_signal(signal(0.09, MONDAY))
    metrics.observe_signal(signal(0.08, FRIDAY))  # a correction of an old day
    metrics.observe_signal(signal(0.07, MONDAY, provisional=True))  # of a day that is final
    assert (shown("false"), shown("true")) == (0.09, None)
    metrics.observe_signal(signal(0.091, MONDAY))  # a correction of the newest day
    assert shown("false") == 0.091

    metrics.observe_industries(industries([0.5] * len(INDUSTRIES), MONDAY))
    metrics.observe_industries(industries([0.1] * len(INDUSTRIES), FRIDAY))
    assert heat_of(INDUSTRIES[0]) == 0.5
    metrics.observe_industries(industries([0.6] * len(INDUSTRIES), MONDAY))
    assert heat_of(INDUSTRIES[0]) == 0.6

    metrics.observe_identity("margin.daily", MONDAY, 3)
    metrics.observe_identity("margin.daily", FRIDAY, 7)
    assert REGISTRY.get_sample_value("marginwatch_identity_breaks", {"topic": "margin.daily"}) == 3


def test_of_the_days_of_one_fold_the_newest_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings()
    state = MarketStage(settings, Topics(settings), xshg()).open(0)
    assert isinstance(state, MarketState)
    found = [signal(0.09, MONDAY), signal(0.08, FRIDAY)]
    found += [industries([heat] * len(INDUSTRIES), day) for heat, day in ((0.5, MONDAY), (0.1, FRIDAY))]
    monkeypatch.setattr(state.processor, "fold", lambda _facts: found)
    state._outputs([object()])
    assert (shown("false"), heat_of(INDUSTRIES[0])) == (0.09, 0.5)


def test_each_subject_is_degraded_by_itself() -> None:
    def degraded(subject: str) -> float | None:
        labels = {"signal": "group_net_buy", "subject": subject}
        return REGISTRY.get_sample_value("marginwatch_signal_degraded", labels)

    group = msgspec.structs.replace(signal(1e8, FRIDAY), signal="group_net_buy", subject="CSI300", degraded=True)
    metrics.observe_signal(group)
    metrics.observe_signal(msgspec.structs.replace(group, subject="STAR", degraded=False))
    assert (degraded("CSI300"), degraded("STAR")) == (1, 0)


def test_numeric_details_of_final_signals_are_exported_and_absent_ones_have_no_series() -> None:
    def detail(subject: str, name: str) -> float | None:
        labels = {"signal": "bottom_panel", "subject": subject, "detail": name}
        return REGISTRY.get_sample_value("marginwatch_signal_detail", labels)

    panel = msgspec.structs.replace(signal(3, FRIDAY), signal="bottom_panel")
    known = {"cold_zone": 1, "000300.SH drawdown": -0.2, "pe_percentile": None, "note": "text"}
    metrics.observe_signal(msgspec.structs.replace(panel, details=known))
    assert (detail("market", "cold_zone"), detail("000300.SH", "drawdown")) == (1, -0.2)
    assert (detail("market", "pe_percentile"), detail("market", "note")) == (None, None)
    metrics.observe_signal(msgspec.structs.replace(panel, details={"cold_zone": 0, "pe_percentile": 0.4}))
    assert (detail("market", "cold_zone"), detail("market", "pe_percentile")) == (0, 0.4)
    assert detail("000300.SH", "drawdown") is None
    other = msgspec.structs.replace(panel, provisional=True, details={"cold_zone": 1})
    metrics.observe_signal(other)
    assert detail("market", "cold_zone") == 0


def test_industries_without_a_value_have_no_series() -> None:
    metrics.observe_industries(industries([0.5] * len(INDUSTRIES)))
    metrics.observe_industries(industries([np.nan, *[-0.25] * (len(INDUSTRIES) - 1)]))
    assert heat_of(INDUSTRIES[0]) is None
    assert {heat_of(name) for name in INDUSTRIES[1:]} == {-0.25}
    day = REGISTRY.get_sample_value("marginwatch_industry_trade_date_seconds", {"signal": "heat"})
    assert day == datetime(2020, 1, 3, tzinfo=UTC).timestamp()


def test_a_worker_without_the_market_partition_has_no_series_of_it() -> None:
    metrics.observe_signal(signal(0.08, FRIDAY))
    metrics.observe_industries(industries([0.5] * len(INDUSTRIES)))
    metrics.forget_market()
    assert shown("false") is None
    assert heat_of(INDUSTRIES[0]) is None


def test_counters_begin_at_zero() -> None:
    metrics.declare("a stage", ["etf.daily"])
    for name in ("marginwatch_dead_letters_total", "marginwatch_messages_total", "marginwatch_deadline_closes_total"):
        assert REGISTRY.get_sample_value(name, {"topic": "etf.daily"}) == 0


@pytest.mark.parametrize(
    ("topic", "shanghai", "day"),
    [
        ("indices.daily", datetime(2020, 1, 3, 17, 59), date(2020, 1, 2)),
        ("indices.daily", datetime(2020, 1, 3, 18, 1), FRIDAY),
        ("indices.daily", datetime(2020, 1, 5, 12, 0), FRIDAY),  # a Sunday
        ("margin.market", datetime(2020, 1, 6, 9, 9), date(2020, 1, 2)),  # Friday's come on Monday morning
        ("margin.market", datetime(2020, 1, 6, 9, 11), FRIDAY),
        ("margin.market", datetime(2020, 1, 30, 12, 0), date(2020, 1, 22)),  # the Spring Festival
    ],
)
def test_the_day_that_is_due_follows_the_calendar(topic: str, shanghai: datetime, day: date) -> None:
    now = microseconds(shanghai.replace(tzinfo=UTC)) - 8 * 3_600_000_000
    due = newest_due(DEADLINES[topic], now, xshg())
    assert due is not None
    assert to_date(due) == day


def test_no_day_is_due_before_the_calendar_begins() -> None:
    assert newest_due(DEADLINES["margin.market"], (to_day(date(1980, 1, 1))) * 86_400_000_000, xshg()) is None
