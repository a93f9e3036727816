"""How far a stage has come in each of its topics: the order in which a worker reads a backlog follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any

from processors.days import to_day
from processors.events import RowBatch
from processors.history import end_of_day
from processors.outputs import FeatureFrame, MarketSignal
from processors.securities import Securities
from streams.calendars import xshg
from streams.codecs.registry import Codecs
from streams.codecs.row_json import encode_events
from streams.codecs.signal_codec import encode_market
from streams.settings import Settings
from streams.stages.alerts_stage import AlertsStage
from streams.stages.market_stage import MarketStage
from streams.stages.securities_stage import SecuritiesStage
from streams.stages.stage import Stage, StageState
from streams.topics import Topic, Topics
from tests.building import DAYS, batch

SETTINGS = Settings(partitions=1)
NUMBERS = [to_day(day) for day in DAYS]


def state_of(kind: type[Stage]) -> StageState:
    return kind(SETTINGS, Topics(SETTINGS), xshg()).open(0)


def record(topic: str, value: bytes, headers: Sequence[tuple[str, bytes]] = ()) -> Any:
    return SimpleNamespace(topic=topic, partition=0, offset=0, timestamp=0, key=b"", value=value, headers=headers)


def events(rows: RowBatch) -> list[Any]:
    return [record(rows.topic, event) for _, event in encode_events(rows, "test")]


def prices(day: date) -> RowBatch:
    return batch("prices.daily", day, {"600000.SH": {"close": 10.0}})


def signal(day: date) -> Any:
    known = datetime(day.year, day.month, day.day, 8, tzinfo=UTC)
    made = encode_market(
        MarketSignal(signal="coverage", subject="market", trade_date=day, available_at=known, revision=0, value=0.5),
        "t",
    )
    return record("t", made.value, made.headers)


def test_a_stage_of_rows_has_reached_the_date_of_its_last_row_of_each_topic() -> None:
    state = state_of(SecuritiesStage)
    assert state.reached == {}
    state.fold("prices.daily", [*events(prices(DAYS[0])), *events(prices(DAYS[2]))])
    state.fold("margin.daily", events(batch("margin.daily", DAYS[1], {"600000.SH": {"fin_balance": 1.0}})))
    assert state.reached == {"prices.daily": NUMBERS[2], "margin.daily": NUMBERS[1]}
    state.fold("prices.daily", [record("prices.daily", b"no event")])  # what is refused reaches nothing
    state.fold("margin.daily", events(batch("margin.daily", DAYS[0], {"600000.SH": {"fin_balance": 1.0}})))
    assert state.reached == {"prices.daily": NUMBERS[2], "margin.daily": NUMBERS[0]}  # a correction: it is there now


def test_the_market_has_reached_the_date_of_its_last_frame_of_features_and_of_its_own_rows() -> None:
    securities = Securities(0, SETTINGS.parameters, SETTINGS.exchanges, xshg())
    folded = [one for day in DAYS[:3] for one in securities.fold([prices(day), end_of_day(prices(day))])]
    codecs = Codecs(SETTINGS, xshg())
    frames = [codecs.encode(Topic.FEATURES, one, "f") for one in folded if isinstance(one, FeatureFrame)]
    state = state_of(MarketStage)
    state.fold(Topic.FEATURES, [record("f", one.value, one.headers) for one in frames])
    state.fold("indices.daily", events(batch("indices.daily", DAYS[4], {"000300.SH": {"close": 4000.0}})))
    assert len(frames) == 3
    assert state.reached == {Topic.FEATURES: NUMBERS[2], "indices.daily": NUMBERS[4]}


def test_the_alerts_have_reached_the_day_on_which_their_last_signal_was_known() -> None:
    state = state_of(AlertsStage)
    state.fold(Topic.SIGNALS_MARKET, [signal(DAYS[3]), signal(DAYS[5])])
    assert state.reached == {Topic.SIGNALS_MARKET: NUMBERS[5]}
