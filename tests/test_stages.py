"""All stages of the stream in one process: bytes of a made market in, signals and alerts out, however they are cut."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cache
from random import Random
from typing import Any

import msgspec
import numpy as np
import pytest

from alerts.model import Alert, AlertEvent, State
from alerts.model import Input as Origin
from processors.events import INPUT_ROWS, Barrier, RowBatch
from processors.history import end_of_day
from processors.outputs import IndustrySignals, MarketSignal, SecuritySignals
from streams.calendars import xshg
from streams.codecs.registry import Codecs
from streams.codecs.row_frames import encode_frame
from streams.records import ARROW, BARRIER_TYPE, CE_TYPE, CLOSE_TYPE, CONTENT_TYPE, is_barrier
from streams.settings import Settings
from streams.stages.charts_stage import ChartsStage
from streams.stages.registry import STAGES
from streams.stages.stage import Stage, StageState
from streams.topics import SECURITIES_INPUTS, Topic, Topics
from tests.charts import MadeModel
from tests.folding import Folded, fold_history
from tests.fuzz.inputs import Input
from tests.made_market import SMALL, small_market

SETTINGS = Settings(partitions=1, parameters=SMALL)
SESSIONS = 60


class Stream:
    """The stages with one partition each, and every message of every topic."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        topics, calendar = Topics(SETTINGS), xshg()
        self.stages: dict[str, Stage] = {kind.name: kind(SETTINGS, topics, calendar) for kind in STAGES}
        charts = self.stages[ChartsStage.name]
        assert isinstance(charts, ChartsStage)
        charts.model = MadeModel()
        self.states: dict[str, StageState] = {name: stage.open(0) for name, stage in self.stages.items()}
        self.rows: dict[str, dict[str, bytes]] = defaultdict(dict)
        self.messages: dict[str, list[Input]] = defaultdict(list)
        self._read: dict[tuple[str, str], int] = defaultdict(int)
        self._topics = topics

    def write(self, topic: str, value: bytes, headers: Iterable[tuple[str, bytes]], key: bytes | None = None) -> None:
        name, written = self._topics.name(topic), self.messages[topic]
        written.append(Input(name, value, [*headers], key, offset=len(written)))

    def run(self) -> None:
        """Let each stage fold what it has not read, in pieces of any size, until nothing is left."""
        goes_on = True
        while goes_on:
            goes_on = False
            for stage in self.stages.values():
                for topic in stage.inputs:
                    at = self._read[stage.name, topic]
                    piece = self.messages[topic][at : at + self._random.randint(1, 9)]
                    if piece:
                        goes_on = True
                        self._read[stage.name, topic] += len(piece)
                        self._fold(stage, topic, piece)

    def _fold(self, stage: Stage, topic: str, piece: list[Input]) -> None:
        state = self.states[stage.name]
        for output in state.fold(topic, piece):
            assert output.partition == 0
            self.write(self._topics.short(output.topic), output.value, output.headers, output.key)
        for name, row in state.changed_rows().items():
            if row is None:
                self.rows[stage.name].pop(name, None)
            else:
                self.rows[stage.name][name] = row
        if self._random.random() < 0.05:  # another worker takes over
            self.states[stage.name] = stage.open(0)
            self.states[stage.name].load_rows(dict(self.rows[stage.name]))

    def contents(self, topic: Topic) -> list[Any]:
        """Return what the messages of a topic contain, without barriers."""
        codecs = self.stages["market"].codecs
        return [codecs.decode(topic, one) for one in self.messages[topic] if not is_barrier(one)]


@cache
def market() -> Mapping[int, Mapping[str, RowBatch]]:
    """A made market, without the figures that no event can have."""
    decoders = Codecs(SETTINGS, xshg()).row_decoders(INPUT_ROWS)
    return {
        day: {topic: decoders[topic].frame(encode_frame(rows, "made")) for topic, rows in feeds.items()}
        for day, feeds in sorted(small_market(sessions=SESSIONS).items())
    }


@pytest.fixture(scope="module")
def stream() -> Stream:
    """A made market, some days at a time, and a barrier behind all of it."""
    stream, random = Stream(seed=1), Random(1)
    for feeds in market().values():
        for topic, rows in feeds.items():
            stream.write(topic, encode_frame(rows, "made"), [(CONTENT_TYPE, ARROW)])
            stream.write(topic, msgspec.json.encode(end_of_day(rows)), [(CE_TYPE, CLOSE_TYPE)])
        if random.random() < 0.3:
            stream.run()
    for topic in {*SECURITIES_INPUTS, *stream.stages["market"].inputs} - {Topic.FEATURES}:
        stream.write(topic, msgspec.json.encode(Barrier(barrier="the end")), [(CE_TYPE, BARRIER_TYPE)])
    stream.run()
    return stream


def test_the_stages_publish_what_the_processors_compute(stream: Stream) -> None:
    """However the messages are cut, and whichever workers have folded them."""
    wanted, found = fold_history(market(), SMALL), Folded()
    signals: list[MarketSignal | SecuritySignals | IndustrySignals] = []
    for topic in (Topic.SIGNALS_MARKET, Topic.SIGNALS_SECURITY, Topic.SIGNALS_INDUSTRY):
        signals += stream.contents(topic)
    found.add(signals)
    assert found.market.keys() == wanted.market.keys()
    for at, signal in wanted.market.items():
        ours = found.market[at]
        assert (ours.value, ours.reason, ours.details) == (signal.value, signal.reason, signal.details), at
        assert (ours.available_at, ours.degraded, ours.missing) == (
            signal.available_at,
            signal.degraded,
            signal.missing,
        )
    for frames, theirs in ((found.securities, wanted.securities), (found.industries, wanted.industries)):
        assert frames.keys() == theirs.keys()
        for at, frame in theirs.items():
            assert frames[at].status.missing == frame.status.missing
            for name, values in frame.columns.items():
                np.testing.assert_array_equal(frames[at].columns[name], values, err_msg=f"{at} {name}")


def test_no_message_between_the_stages_is_refused(stream: Stream) -> None:
    assert {
        topic: len(found) for topic, found in stream.messages.items() if found and Topic(topic).is_dead_letters
    } == {}


def test_a_barrier_is_in_every_output_once_and_behind_all_of_them(stream: Stream) -> None:
    for topic in {topic for stage in stream.stages.values() for topic in stage.outputs} - {Topic.FEATURES}:
        barriers = [at for at, one in enumerate(stream.messages[topic]) if is_barrier(one)]
        assert barriers == [len(stream.messages[topic]) - 1], topic


def test_an_alert_is_published_in_its_last_state_with_each_change_and_names_the_messages_it_is_from(
    stream: Stream,
) -> None:
    alerts: list[Alert] = stream.contents(Topic.ALERTS)
    events: list[AlertEvent] = stream.contents(Topic.ALERTS_LOG)
    assert len(alerts) > 50
    assert [(one.id, one.trade_date) for one in alerts] == [(one.alert, one.trade_date) for one in events]
    last = {one.id: one for one in alerts}
    desk = stream.states["alerts"].desk  # type: ignore[attr-defined]
    kept = {name: one for name, one in desk.lifecycle.alerts.items() if not one.is_section}
    assert kept == {name: one for name, one in last.items() if name in kept}
    assert {one.state for name, one in last.items() if name not in kept} <= {State.SUPERSEDED}
    by_name = {stream.stages["market"].topics.name(topic): topic for topic in stream.messages}

    def revision_at(origin: Origin) -> int:
        topic = by_name[origin.topic]
        message = stream.messages[topic][origin.offset]
        if is_barrier(message):  # behind it the evidence of all alerts before is complete
            return 0
        content = stream.stages["market"].codecs.decode(Topic(topic), message)
        return int((content if isinstance(content, MarketSignal) else content.status).revision)

    for found in (*alerts, *events):
        assert found.provenance
        assert all(0 <= origin.revision <= revision_at(origin) for origin in found.provenance)
    corrected = {by_name[one.topic] for event in events for one in event.provenance if one.revision}
    assert {Topic.SIGNALS_SECURITY, Topic.SIGNALS_INDUSTRY} <= corrected
