"""Decoders of all other topics end in a content or a reason; dead letters keep what they were made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, get_args, get_type_hints

import msgspec
import numpy as np
import pytest

from alerts.commands import Acknowledge, FeedRun, LiveFeedState, SetSilence, encode
from alerts.lifecycle import AlertLifecycle
from alerts.model import Acknowledgement, Alert, AlertEvent, DigestSection, Evidence, Severity, Silence, State, Text
from alerts.model import Input as Origin
from alerts.rules import rules
from alerts.rules.base import DeadLetters
from processors.errors import RowError
from processors.outputs import FeatureFrame, Partial
from processors.parameters import Parameters
from streams.calendars import xshg
from streams.cli.render.letters import plain
from streams.codecs.feature_codec import FeatureCodec
from streams.codecs.registry import Codecs, readable
from streams.dead_letters import (
    Letter,
    Place,
    Resolution,
    encode_letter,
    encode_resolution,
    open_letters,
    read_letter,
)
from streams.dlq import groups
from streams.records import BARRIER_TYPE, CE_TYPE, FEATURE_KIND, DeadLetter, barrier_of, ce_type
from streams.settings import Settings
from streams.stages.alerts_stage import AlertsStage, AlertsState
from streams.topics import READ, Topic, Topics, dead_letters
from tests.fuzz.inputs import Input, seeds

NOW, DAY = datetime(2020, 1, 3, tzinfo=UTC), date(2020, 1, 2)
SEEDS = {seed.topic: seed for seed in seeds()}
CODECS = Codecs(Settings(partitions=1), xshg())


def damaged(topic: str, **changes: Any) -> bytes:
    """The JSON of a seed with other fields."""
    return msgspec.json.encode(msgspec.json.decode(SEEDS[topic].value or b"") | changes)


@pytest.mark.parametrize(
    ("topic", "value"),
    [
        *((topic, value) for topic in (Topic.SIGNALS_MARKET, Topic.SIGNALS_SECURITY, Topic.SIGNALS_INDUSTRY,
                                       Topic.ALERTS, Topic.ALERTS_LOG, Topic.ALERT_COMMANDS, Topic.FEATURES)
          for value in (None, b"", b"\xff", b"{}", b"[" * 100_000, b'{"a":"\xff"}', b"\x91" * 100_000)),
        (Topic.SIGNALS_MARKET, damaged(Topic.SIGNALS_MARKET, trade_date="0001-01-01")),
        (Topic.SIGNALS_MARKET, damaged(Topic.SIGNALS_MARKET, available_at="9999-12-31T23:59:59-08:00")),
        (Topic.SIGNALS_MARKET, damaged(Topic.SIGNALS_MARKET, available_at="2020-01-03T00:00:00")),
        (Topic.SIGNALS_SECURITY, SEEDS[Topic.SIGNALS_INDUSTRY].value),
        (Topic.SIGNALS_INDUSTRY, SEEDS[Topic.SIGNALS_SECURITY].value),
    ],
)  # fmt: skip
def test_whatever_the_bytes_are_they_are_refused_with_a_reason(topic: str, value: bytes | None) -> None:
    with pytest.raises(RowError, match=r"\w"):
        CODECS.decode(topic, Input(topic, value))


def times_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], date]]:
    """Yield every date and moment in a content, with the way to it."""
    if isinstance(value, date):
        yield path, value
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from times_in(getattr(value, name), (*path, name))
    elif isinstance(value, list):
        for at, one in enumerate(value):
            yield from times_in(one, (*path, at))


def at_path(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    """Return a content with another value at a path."""
    if not path:
        return new
    first, *rest = path
    if isinstance(value, list):
        return [at_path(one, tuple(rest), new) if at == first else one for at, one in enumerate(value)]
    return msgspec.structs.replace(value, **{first: at_path(getattr(value, first), tuple(rest), new)})


def fields_of_times(kind: type) -> set[str]:
    """Return the names of all fields of a type, and of the types in it, that contain dates or moments."""
    found: set[str] = set()
    for name, hint in get_type_hints(kind).items():
        kinds, left = set[Any](), [hint]
        while left:
            one = left.pop()
            kinds.add(one)
            left += get_args(one)
        plain = {one for one in kinds if isinstance(one, type)}
        if plain & {date, datetime}:
            found.add(name)
        for inner in plain:
            if issubclass(inner, msgspec.Struct):
                found |= fields_of_times(inner)
    return found


RECORD = Evidence(definition=Text("", ""), since=DAY)
ALERT = Alert(
    id="a", rule="r", severity=Severity.WARNING, subject="s", trade_date=DAY, revision=0, state=State.FIRING,
    available_at=NOW, raised_at=NOW, changed_at=NOW, fired_on=DAY, expires_on=DAY, resolved_on=DAY, ended_at=NOW,
    figures={}, thresholds={}, text=Text("", ""), invalidation=Text("", ""), provenance=[], evidence=[RECORD],
    sections=[DigestSection(rule="r", subject="s", alert="a", figures={}, thresholds={}, text=Text("", ""),
                            evidence=[RECORD])],
    acknowledged=Acknowledgement("li", NOW), silence=Silence(id="s", until=NOW, by="li"),
)  # fmt: skip
CONTENTS: list[tuple[Topic, msgspec.Struct]] = [
    (Topic.ALERTS, ALERT),
    (Topic.ALERTS_LOG, AlertEvent(alert="a", rule="r", subject="s", trade_date=DAY, at=NOW, what="firing")),
    (Topic.SIGNALS_MARKET, CODECS.decode(Topic.SIGNALS_MARKET, SEEDS[Topic.SIGNALS_MARKET])),
    (Topic.ALERT_COMMANDS, Acknowledge(alert="a", by="li", at=NOW)),
    (Topic.ALERT_COMMANDS, SetSilence(silence=Silence(id="s", until=NOW, by="li"), at=NOW)),
    (Topic.ALERT_COMMANDS, LiveFeedState(feed="prices.intraday", trade_date=DAY, at=NOW, silent_since=NOW)),
    (Topic.ALERT_COMMANDS, FeedRun(source="s", trade_date=DAY, at=NOW)),
]
NO_DAYS = [date(1, 1, 1), date(1969, 12, 31), date(2200, 1, 1), date(9999, 12, 31)]
NO_MOMENTS = [datetime(2020, 1, 3), *(datetime(day.year, day.month, day.day, 12, tzinfo=UTC) for day in NO_DAYS)]


@pytest.mark.parametrize(("topic", "content"), CONTENTS, ids=lambda one: type(one).__name__)
def test_every_time_of_a_content_has_a_zone_and_lies_in_this_age(topic: Topic, content: msgspec.Struct) -> None:
    assert CODECS.decode(topic, Input("", msgspec.json.encode(content))) == content
    times = dict(times_in(content))
    assert {[part for part in path if isinstance(part, str)][-1] for path in times} == fields_of_times(type(content))
    for path, right in times.items():
        for wrong in NO_MOMENTS if isinstance(right, datetime) else NO_DAYS:
            with pytest.raises(RowError):
                CODECS.decode(topic, Input("", msgspec.json.encode(at_path(content, path, wrong))))


@pytest.mark.parametrize("topic", [Topic.SIGNALS_SECURITY, Topic.SIGNALS_INDUSTRY])
def test_the_times_of_a_day_of_signals_have_a_zone_and_lie_in_this_age(topic: Topic) -> None:
    frame = CODECS.decode(topic, SEEDS[topic])
    times = dict(times_in(frame.status))
    assert {path[-1] for path in times} == fields_of_times(type(frame.status))
    for path, right in times.items():
        for wrong in NO_MOMENTS if isinstance(right, datetime) else NO_DAYS:
            encoded = CODECS.encode(topic, replace(frame, status=at_path(frame.status, path, wrong)), "t")
            with pytest.raises(RowError):
                CODECS.decode(topic, encoded)


def test_a_command_is_small() -> None:
    command = Acknowledge(alert="a", by="li", at=NOW, note="x" * 100_000)
    with pytest.raises(RowError, match="at most 65,536"):
        CODECS.decode(Topic.ALERT_COMMANDS, Input("", msgspec.json.encode(command)))
    with pytest.raises(RowError, match="shorten its texts"):  # its writer is told, not the dead letters
        encode(command)


FRAME = next(
    found
    for seed in seeds()
    if seed.topic == Topic.FEATURES and dict(seed.headers).get(CE_TYPE) != BARRIER_TYPE
    for found in [CODECS.decode(Topic.FEATURES, seed)]
    if isinstance(found, FeatureFrame)
)
PARTIAL = Partial(partition=0, day=18_263, ts=10**15, fin_buy=1.0, fin_repay=1.0, covered_balance=1.0, balance=2.0,
                  prices=3, turnover=4.0)  # fmt: skip
_SOME = next(iter(FRAME.columns))


@pytest.mark.parametrize(
    "wrong",
    [
        replace(FRAME, topic="other"),
        replace(FRAME, partition=1),
        replace(FRAME, partition=-1),
        replace(FRAME, day=18_265),  # a Saturday
        replace(FRAME, day=2**40),
        replace(FRAME, header=msgspec.structs.replace(FRAME.header, available_at=2**62)),
        replace(FRAME, keys=FRAME.keys[:-1]),
        replace(FRAME, keys=FRAME.keys[::-1]),
        replace(FRAME, keys=np.zeros_like(FRAME.keys)),
        replace(FRAME, keys=FRAME.keys.astype(np.int64)),
        replace(FRAME, columns={}),
        replace(FRAME, columns=FRAME.columns | {"extra": FRAME.columns[_SOME]}),
        replace(FRAME, columns=FRAME.columns | {_SOME: FRAME.columns[_SOME][:-1]}),
        replace(FRAME, columns=FRAME.columns | {_SOME: np.array(["x"] * len(FRAME.keys))}),
        *(msgspec.structs.replace(PARTIAL, **{name: value}) for name, value in (
            ("partition", 1), ("day", 18_265), ("ts", -1), ("ts", 2**62), ("fin_buy", float("nan")),
            ("turnover", float("inf")), ("prices", -1))),
    ],
)  # fmt: skip
def test_a_frame_or_sum_between_the_stages_that_fits_no_market_is_refused(wrong: FeatureFrame | Partial) -> None:
    codec = FeatureCodec(Parameters(), 1, xshg())
    for right in (FRAME, PARTIAL):
        assert codec.decode(codec.encode(right, "t")) is not None
    with pytest.raises((RowError, msgspec.ValidationError)):
        codec.decode(codec.encode(wrong, "t"))


@pytest.mark.parametrize("topic", [Topic.FEATURES, Topic.CHARTS])
def test_frames_of_another_release_are_skipped_and_not_refused(topic: Topic) -> None:
    """This release publishes them again in its own version."""
    frames = [one for one in seeds() if one.topic == topic and ce_type(one).startswith(FEATURE_KIND)]
    for one in frames:
        assert CODECS.decode(topic, one) is not None
        assert CODECS.decode(topic, Input(topic, one.value, [(CE_TYPE, FEATURE_KIND + b"v1.earlier")])) is None
    assert frames


@pytest.mark.parametrize("value", [b"", b"\xff", b"[" * 100_000, b'{"barrier":1}', b'{"barrier":"%b"}' % (b"x" * 65)])
def test_a_barrier_is_one_or_has_a_reason(value: bytes) -> None:
    with pytest.raises(RowError):
        barrier_of(Input("t", value, [(CE_TYPE, BARRIER_TYPE)]))


def test_one_damaged_message_hides_no_others_from_those_who_follow_a_topic() -> None:
    good = SEEDS[Topic.SIGNALS_MARKET]
    assert readable(Topic.SIGNALS_MARKET, good) is not None  # type: ignore[arg-type]
    assert readable(Topic.SIGNALS_MARKET, Input("t", b"\xff")) is None  # type: ignore[arg-type]


# -- letters -----------------------------------------------------------------------------------------------------


def letter(record: Input, reason: str = "bad", traceback: str = "") -> Letter:
    value, headers = encode_letter(DeadLetter(record, reason, "RowError", traceback))  # type: ignore[arg-type]
    return read_letter(Input("t.dlq", value, [*headers], record.key))  # type: ignore[arg-type]


def test_a_letter_keeps_bytes_key_and_headers_and_names_its_place() -> None:
    record = Input("margin.daily.v1", b"\xff\x00", [("a", b"\x01"), (CE_TYPE, b"x"), ("none", None)], b"k", 3, 17)
    found = letter(record, "why 为什么")
    assert (found.value, found.key, found.headers) == (
        b"\xff\x00",
        b"k",
        [("a", b"\x01"), (CE_TYPE, b"x"), ("none", b"")],
    )
    assert (str(found.place), found.reason, found.error) == ("margin.daily.v1[3]@17", "why 为什么", "RowError")
    assert (found.traceback, found.resolution) == ("", None)


def test_a_letter_is_not_much_larger_than_its_message() -> None:
    record = Input("t", b"x", [(f"h{n}", b"v" * 1_000) for n in range(10_000)])
    value, headers = encode_letter(DeadLetter(record, "\ud800" + "r" * 100_000, "E", "t" * 100_000))  # type: ignore[arg-type]
    assert len(value) + sum(len(name) + len(data) for name, data in headers) < 128 * 1024


def test_whatever_is_in_a_dead_letter_topic_is_read() -> None:
    for timestamp in (-1, 2**62, 0):
        found = read_letter(Input("t.dlq", None, [("dlq_reason", b"\xff"), ("dlq_topic", None)], timestamp=timestamp))  # type: ignore[arg-type]
        assert (found.reason, found.place, found.value) == ("\N{REPLACEMENT CHARACTER}", Place("", "", ""), b"")


def test_resolved_letters_are_open_no_more() -> None:
    letters = [letter(Input("t", b"x", offset=n)) for n in range(4)]
    resolutions = [
        read_letter(Input("t.dlq", b"", [*encode_resolution(letters[n].place, how)]))  # type: ignore[arg-type]
        for n, how in ((1, Resolution.RETRIED), (3, Resolution.SKIPPED))
    ]
    assert [place.offset for place in open_letters([*letters, letters[0], *resolutions])] == ["0", "2"]


def test_letters_are_counted_by_reason_whatever_figures_it_names() -> None:
    reasons = ["fin_balance of row 1 is -2.0", "fin_balance of row 7 is -3.5", "unknown field `x`"]
    found = {Topic.MARGIN_DAILY: [letter(Input("t", b"", offset=n), reason) for n, reason in enumerate(reasons)]}
    assert [(group.count, group.reason) for group in groups(found)] == [(2, reasons[1]), (1, reasons[2])]


def test_letters_do_not_control_the_terminal() -> None:
    assert plain("a\x1b[31m[red]\r\x00\u202eb").plain == "a\\x1b[31m[red]\\r\\x00\\u202eb"


def test_every_topic_that_a_stage_reads_has_dead_letters() -> None:
    from streams.stages.registry import STAGES

    read = {topic for stage in STAGES for topic in stage.inputs if not Topic(topic).is_dead_letters}
    assert read == {*READ}
    assert {dead_letters(topic) for topic in READ} <= {*STAGES[-1].inputs}


def test_a_dead_letter_belongs_to_the_day_in_shanghai() -> None:
    settings = Settings()
    state = AlertsStage(settings, Topics(settings), xshg()).open(0)
    assert isinstance(state, AlertsState)
    for hour, day in ((15, date(2020, 1, 2)), (16, date(2020, 1, 3))):
        at = int(datetime(2020, 1, 2, hour, 30, tzinfo=UTC).timestamp() * 1000)
        letter = Letter(Place("rates.daily.v1", 0, 7), "bad", "RowError", "", None, at, at, None, b"", [])
        assert state._letter(dead_letters("rates.daily"), letter).trade_date == day


def test_a_message_that_is_refused_again_by_state_that_is_computed_again_counts_once() -> None:
    """Else a new release, or an emptied Redis, warns the desk of messages that were refused years ago."""
    settings = Settings()
    topic = dead_letters("margin.daily")

    def refuse(state: AlertsState, place: tuple[int, int | None], written: int, again: int, partition: int = 0) -> int:
        offset, row = place
        record = Input("margin.daily.v1", b"x", [], b"k", partition, offset, written)
        value, headers = encode_letter(DeadLetter(record, "why", row=row))  # type: ignore[arg-type]
        read = read_letter(Input("margin.daily.v1.dlq", value, [*headers], b"k", timestamp=again))  # type: ignore[arg-type]
        return state._letter(topic, read).count

    state = AlertsStage(settings, Topics(settings), xshg()).open(0)
    assert isinstance(state, AlertsState)
    at, later = 1_700_000_000_000, 1_800_000_000_000
    places = [(3, None), (4, 1), (4, 7), (9, None)]
    assert [refuse(state, place, at, at) for place in places] == [1, 2, 3, 4]
    assert [refuse(state, place, at, later) for place in places] == [0, 0, 0, 0]
    assert refuse(state, (10, None), later, later) == 1
    assert refuse(state, (3, None), later, later, partition=1) == 2  # another partition
    assert refuse(state, (0, None), later + 1, later + 1) == 3  # the topic was created again


def test_a_quarantined_message_is_a_critical_alert_until_it_is_resolved() -> None:
    lifecycle = AlertLifecycle(rules(Parameters()), xshg())

    def fold(day: int, *, resolved: bool = False) -> list[tuple[Severity, State]]:
        when = datetime(2020, 1, day, 9, tzinfo=UTC)
        message = DeadLetters(topic="rates.daily", hour=when, count=0, threshold=9, trade_date=when.date(),
                              reason="ValueError", quarantined="rates.daily.v1[0]@7", resolved=resolved)  # fmt: skip
        return [(a.severity, a.state) for a in lifecycle.fold(message, Origin("t", 0, 0, 0), NOW)]

    assert fold(2) == [(Severity.CRITICAL, State.FIRING)]
    assert fold(2) == []
    assert fold(3, resolved=True) == [(Severity.CRITICAL, State.RESOLVED)]
    lifecycle = AlertLifecycle(rules(Parameters()), xshg())
    assert fold(2) == [(Severity.CRITICAL, State.FIRING)]
    assert fold(2, resolved=True) == [(Severity.CRITICAL, State.RESOLVED)]  # on its day: it was right, and is over
