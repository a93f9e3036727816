"""What a cluster contains of an earlier release: days without the figures that were added since."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import cache

import numpy as np
import pyarrow as pa
import pytest

from alerts.desk import AlertDesk
from alerts.model import Input as Origin
from processors import registry
from processors.outputs import EARLIER_RELEASE, IndustrySignals, MarketSignal, SecuritySignals, StageOutput
from streams.alert_rules import rules_of
from streams.calendars import xshg
from streams.codecs.signal_codec import decode_industry, decode_security, encode_industry, encode_security
from streams.settings import Settings
from streams.stages.alerts_stage import AlertsStage, AlertsState
from streams.stages.market_stage import MarketStage
from streams.stages.stage import Stage
from streams.tables import Output
from streams.topics import Topic, Topics
from tests.folding import fold_history
from tests.fuzz.inputs import Input
from tests.made_market import SMALL, small_market

SETTINGS = Settings(partitions=4)


@cache
def newest() -> tuple[IndustrySignals, SecuritySignals]:
    """The frames of a day of a small market."""
    folded = fold_history(small_market(sessions=30, gaps=False), SMALL)
    return folded.industries[max(folded.industries)], folded.securities[max(folded.industries), "pricing"]


def without(frame: bytes, *columns: str) -> bytes:
    """The frame of a release that had no such columns."""
    table = pa.ipc.open_stream(frame).read_all().drop_columns([*columns])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue().to_pybytes())


def stage(kind: type[Stage]) -> Stage:
    return kind(SETTINGS, Topics(SETTINGS), xshg())


def test_a_figure_that_was_added_since_is_absent_with_the_reason() -> None:
    industries, securities = newest()
    old = decode_industry(without(encode_industry(industries, "t").value, "index_close"))
    assert np.isnan(old.columns["index_close"]).all()
    assert old.left_out == industries.left_out | {"index_close": EARLIER_RELEASE}
    np.testing.assert_array_equal(old.columns["fin_balance"], industries.columns["fin_balance"])
    priced = decode_security(without(encode_security(securities, "t").value, "price_level"))
    assert priced.left_out == securities.left_out | {"price_level": EARLIER_RELEASE}
    assert priced.keys.tolist() == securities.keys.tolist()


def test_the_alerts_wait_for_the_day_of_this_release_that_has_the_same_revision() -> None:
    state = stage(AlertsStage).open(0)
    assert isinstance(state, AlertsState)
    whole = encode_industry(newest()[0], "signals.industry.v1")

    def fold(message: Output, value: bytes) -> list[Output]:
        return state.fold(Topic.SIGNALS_INDUSTRY, [Input(message.topic, value, message.headers, message.key)])

    assert fold(whole, without(whole.value, "index_close")) == []  # and no dead letter
    assert not state.changed_rows()
    fold(whole, whole.value)
    assert any(name.startswith("industry_levels/") for name in state.changed_rows())


def test_days_are_published_again_by_a_release_that_adds_a_figure(monkeypatch: pytest.MonkeyPatch) -> None:
    now = stage(MarketStage).open(0).schema
    earlier = {name: signal for name, signal in registry.INDUSTRY_SIGNALS.items() if name != "index_close"}
    monkeypatch.setattr(registry, "INDUSTRY_SIGNALS", earlier)
    assert stage(MarketStage).open(0).schema != now


def test_days_that_are_published_again_are_no_corrections_that_came_too_late() -> None:
    """The alerts of the first days have left the evaluations that are kept when they return, under their revisions."""
    folded = fold_history(small_market(sessions=30, gaps=False), SMALL)
    desk = AlertDesk(rules_of(SETTINGS), xshg(), keep_days=5)
    messages = [*folded.market.values(), *folded.securities.values(), *folded.industries.values()]
    for _ in range(2):
        for message in sorted(messages, key=_day):
            desk.fold(message, Origin("signals", 0, 0, 0), datetime(2026, 1, 1, tzinfo=UTC))
    assert desk.lifecycle.removed_to("balance_new_high", "market") > min(map(_day, messages))
    assert desk.refused == 0


def _day(message: StageOutput) -> date:
    return message.trade_date if isinstance(message, MarketSignal) else message.status.trade_date
