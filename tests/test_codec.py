"""Bytes to rows: both forms give the same, and whatever is wrong says what and where."""

from __future__ import annotations

import dataclasses
import json
import tracemalloc
from dataclasses import dataclass, field
from datetime import date, datetime

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from processors.codes import join_codes, parse_codes, to_codes, to_id
from processors.days import SHANGHAI, microseconds, to_day
from processors.events import FIGURES, INPUT_ROWS, KEYS, Barrier, EndOfDay, MarginDaily, RowBatch, concat
from streams.calendars import xshg
from streams.codecs.registry import Codecs
from streams.codecs.row_codec import Decoder
from streams.codecs.row_frames import encode_frame
from streams.codecs.row_json import encode_array, encode_events
from streams.dead_letters import encode_letter, read_letter
from streams.records import ARROW, BARRIER_TYPE, CE_TYPE, CLOSE_TYPE, CONTENT_TYPE
from streams.settings import Settings
from streams.topics import BY_CODE, Partitioner, partition_of
from tests.building import DAYS, batch

MAX_BYTES = 10_000


@dataclass
class Message:
    value: bytes | None
    headers: list[tuple[str, bytes]] = field(default_factory=list)
    partition: int = 0
    offset: int = 0
    topic: str = "t"
    timestamp: int = 0
    key: bytes | None = None


def decoder(topic: str = "margin.daily", partitions: int = 1) -> Decoder:
    return Decoder(topic, xshg(), ("SSE", "SZSE"), Partitioner(partitions), MAX_BYTES)


def good(**changes: object) -> dict[str, object]:
    row = {"code": "600519.SH", "trade_date": "2020-01-02", "available_at": "2020-01-03T08:30:00+08:00", "source": "x",
           "fin_balance": 1e9, "fin_buy": 1e7, "short_volume": 0, "short_sell": 0}  # fmt: skip
    return row | changes


def event(**changes: object) -> Message:
    return Message(json.dumps({k: v for k, v in good(**changes).items() if v != "drop"}).encode())


def close(**changes: object) -> Message:
    marker = {"feed": "margin.daily", "trade_date": "2020-01-02", "expected": {"SSE": 1}, "source": "x"} | changes
    return Message(json.dumps(marker).encode(), [(CE_TYPE, CLOSE_TYPE)])


def frame(table: pa.Table, **constants: str | None) -> Message:
    metadata = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()} | constants
    table = table.replace_schema_metadata({k: v for k, v in metadata.items() if v is not None})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return Message(bytes(sink.getvalue()), [(CONTENT_TYPE, ARROW)])


def table(**changes: object) -> pa.Table:
    columns = {"code": ["600519.SH", "000001.SZ"], "fin_balance": [1e9, 2e9], "fin_buy": [1.0, 2.0],
               "short_volume": [0.0, 0.0], "short_sell": [0.0, 0.0]} | changes  # fmt: skip
    kept = {k: v for k, v in columns.items() if v != "drop"}
    return pa.table(kept).replace_schema_metadata(
        {"source": "x", "trade_date": "2020-01-02", "available_at": "2020-01-03T08:30:00+08:00"}
    )


@pytest.mark.parametrize("topic", sorted(FIGURES))
def test_events_and_frames_give_the_same_rows(topic: str) -> None:
    keys = KEYS.get(INPUT_ROWS[topic].key_field, ("600519.SH", "000001.SZ", "510050.SH"))[:2]
    rng = np.random.default_rng(1)
    rows = batch(topic, DAYS[0], {k: {c.name: float(rng.integers(1, 2 if c.flag else len(c.labels) or 9))
                                      for c in FIGURES[topic]} for k in keys})  # fmt: skip
    if topic == "reference":
        rows.figures.update({"000016.SH": np.array([1.0, 0.0]), "899050.BJ": np.array([1.0, 1.0])})
    made = decoder(topic)
    by_event, dead = made.decode([Message(value) for _, value in encode_events(rows, "x")])
    assert dead == []
    by_frame = made.frame(encode_frame(rows, "x"))
    for other in (by_event[0], by_frame):
        assert other.keys.tolist() == rows.keys.tolist()
        assert other.days.tolist() == rows.days.tolist()
        assert other.stamps.tolist() == rows.stamps.tolist()
        for name, values in rows.figures.items():
            np.testing.assert_array_equal(np.nan_to_num(other.figures[name]), np.nan_to_num(values), err_msg=name)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("852", "indices"), ("000016.SH,000852.SH", "indices"), ("000300.SH", "without a field"), ("000852.SI", "indices"),
     (" ".join(f"{n:06d}.SH" for n in range(1, 70)), "at most 64")],
)  # fmt: skip
def test_what_names_no_further_indices_is_refused_in_both_forms(text: str, reason: str) -> None:
    made = decoder("reference")
    good = {"source": "x", "trade_date": "2020-01-02", "available_at": "2020-01-03T08:30:00+08:00"}
    events = [json.dumps(good | {"code": code, "indices": names}).encode()
              for code, names in (("600519.SH", text), ("000001.SZ", "000016.SH"))]  # fmt: skip
    frames = frame(pa.table({"code": ["600519.SH", "000001.SZ"], "indices": [text, "000016.SH"]}), **good)
    for messages in ([Message(event) for event in events], [frames]):
        taken, dead = made.decode(messages)
        assert [reason in str(letter) for letter in dead] == [True]
        if messages != [frames] or reason != "at most 64":  # a frame may have so many columns and no more
            assert [to_codes(one.keys) for one in taken] == [["000001.SZ"]]
            assert taken[0].figures["000016.SH"].tolist() == [1.0]


def written(day: date, hour: int = 0) -> int:
    """A moment of a day in Shanghai as Kafka's timestamp, ms since the epoch."""
    return int(datetime(day.year, day.month, day.day, hour, tzinfo=SHANGHAI).timestamp() * 1000)


@pytest.mark.parametrize("topic", sorted(set(FIGURES) - {"reference"}))
@pytest.mark.parametrize("late", [1, 7])
def test_a_row_of_a_day_to_come_is_refused_in_every_form_and_those_around_it_count(topic: str, late: int) -> None:
    key, figures = KEYS.get(INPUT_ROWS[topic].key_field, ("600519.SH",))[0], {c.name: 2.0 for c in FIGURES[topic]}
    now, future = (batch(topic, day, {key: figures}) for day in (DAYS[0], DAYS[late]))
    both = concat([now, future])
    events = [value for _, value in encode_events(both, "x")]
    forms = (
        [Message(value, timestamp=written(DAYS[0], 23)) for value in events],
        [Message(b"[" + b",".join(events) + b"]", timestamp=written(DAYS[0]))],
        [Message(encode_frame(both, "x"), [(CONTENT_TYPE, ARROW)], timestamp=written(DAYS[0], 10))],
    )
    for messages in forms:
        items, dead = decoder(topic).decode(messages)
        assert [day for item in items for day in item.days.tolist()] == [to_day(DAYS[0])]
        assert [f"{DAYS[late]} is a day to come, the message was written on {DAYS[0]}" in str(one) for one in dead] == [
            True
        ]


def test_a_day_has_come_at_midnight_in_shanghai_and_a_message_without_a_moment_is_read() -> None:
    row = event(trade_date=str(DAYS[1]))
    for timestamp, read in ((written(DAYS[1]) - 1, 0), (written(DAYS[1]), 1), (0, 1), (-1, 1)):
        items, dead = decoder().decode([dataclasses.replace(row, timestamp=timestamp)])
        assert (len(items), len(dead)) == (read, 1 - read)
    # A poll may span midnight.
    night = [event(), dataclasses.replace(row, timestamp=written(DAYS[1]))]
    night[0].timestamp = written(DAYS[0])
    items, dead = decoder().decode(night)
    assert (sum(map(len, items)), dead) == (2, [])


def test_an_end_of_a_day_to_come_is_refused_and_master_data_of_one_are_read() -> None:
    marker = dataclasses.replace(close(trade_date=str(DAYS[1])), timestamp=written(DAYS[0]))
    items, (letter,) = decoder().decode([marker])
    assert items == [] and "is a day to come" in letter.reason
    rows = batch("reference", DAYS[5], {"600519.SH": {}})
    messages = [Message(value, timestamp=written(DAYS[0])) for _, value in encode_events(rows, "x")]
    items, dead = decoder("reference").decode(messages)
    assert (len(items), dead) == (1, [])


@pytest.mark.parametrize("ratio", [268.6, 0.9, 0.0, -2.6, 10.01])
def test_a_collateral_ratio_that_no_market_has_is_refused_in_both_forms(ratio: float) -> None:
    rows, made = batch("margin.collateral", DAYS[0], {"CN": {"collateral_ratio": ratio}}), decoder("margin.collateral")
    taken, dead = made.decode([Message(value) for _, value in encode_events(rows, "x")])
    of_frames, refused = made.decode([Message(encode_frame(rows, "x"), [(CONTENT_TYPE, ARROW)])])
    assert not sum(map(len, [*taken, *of_frames]))
    for letter in (*dead, *refused):
        assert "collateral_ratio" in str(letter)
    assert (len(dead), len(refused)) == (1, 1)


@pytest.mark.parametrize("topic", sorted(FIGURES))
def test_what_a_row_lacks_is_the_same_in_events_and_frames(topic: str) -> None:
    """A default of the struct (not suspended, style other) is that of a frame's absent column or null as well."""
    keys = KEYS.get(INPUT_ROWS[topic].key_field, ("600519.SH", "000001.SZ"))[:2]
    required = {c.name: 1.0 for c in FIGURES[topic] if not c.optional}
    rows = batch(topic, DAYS[0], dict.fromkeys(keys, required))
    for column in FIGURES[topic]:
        if column.optional:
            rows.figures[column.name][:] = np.nan
    made = decoder(topic)
    for filled in (0, 1):  # nobody has it; the first row has it
        for column in FIGURES[topic]:
            if column.optional:
                rows.figures[column.name][:filled] = 1.0
        (by_event,), dead = made.decode([Message(value) for _, value in encode_events(rows, "x")])
        assert dead == []
        by_frame = made.frame(encode_frame(rows, "x"))
        for name, values in by_event.figures.items():
            np.testing.assert_array_equal(by_frame.figures[name], values, err_msg=name)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (Message(b"{not json"), "malformed"),
        (Message(b""), "empty"),
        (Message(b" " * (MAX_BYTES + 1)), "the message has 10,001 bytes"),
        (Message(b"[1, 2]"), "Expected `object`"),
        (Message(b'"' + b"x" * 100 + b'"'), "Expected `object`"),
        (event(fin_balance="drop"), "missing required field `fin_balance`"),
        (event(fin_balance=-1), ">= 0"),
        (event(fin_balance="1e9"), "Expected `float`"),
        (event(code="600519"), "regex"),
        (event(extra=1), "unknown field `extra`"),
        (event(trade_date="2020-01-04"), "no trading day"),
        (event(trade_date="2199-12-31"), "the calendar ends on"),
        (event(available_at="2020-01-03T08:30:00"), "timezone"),
        (event(revision=-1), ">= 0"),
        (Message(b"no arrow", [(CONTENT_TYPE, ARROW)]), "not an Arrow IPC stream"),
        (frame(table(fin_balance="drop")), "lacks the column 'fin_balance'"),
        (frame(table(fin_balance=["1", "2"])), "must be a number"),
        (frame(table(surprise=[1, 2])), "unknown columns surprise"),
        (frame(table().replace_schema_metadata({"source": "x", "trade_date": "2020-01-02"})), "'available_at'"),
        (frame(table().replace_schema_metadata({"source": "x", "trade_date": "someday", "available_at": "x"})),
         "trade_date 'someday'"),
        (Message(b'{"feed": "other"}', [(CE_TYPE, CLOSE_TYPE)]), "missing required field"),
        (Message(b'{"feed": "\xff"}', [(CE_TYPE, CLOSE_TYPE)]), "EndOfDay: 'utf-8' codec"),
        (Message(b'{"barrier": "\xff"}', [(CE_TYPE, BARRIER_TYPE)]), "Barrier: 'utf-8' codec"),
        (Message(b'{"barrier": "' + b"x" * 65 + b'"}', [(CE_TYPE, BARRIER_TYPE)]), "length <= 64"),
        (close(expected={"SSE": 10**40}), "<= 100000000"),
        (close(expected={"SSE": 10**9}), "<= 100000000"),
        (close(trade_date="9999-12-31"), "expected margin.daily and a trading day"),
        (Message(b"[" * 5_000), "Expected `object`"),
        (event(source=[[[]]]), "Expected `str`"),
        (event(available_at="9999-12-31T23:59:59-08:00"), "no moment between 1970 and 2199"),
        (event(available_at="0001-01-01T00:00:00+08:00"), "no moment between 1970 and 2199"),
        (event(revision=10**30), "<= 1000000"),
        (Message((event().value or b"").replace(b"1000000000.0", b"1e999")), "out of range"),
        (Message(event().value + b","), "JSON"),
        (frame(table(), revision="2000000000"), "not a whole number"),
        (frame(table(), revision="1000001"), "between 0 and 1,000,000"),
        (frame(table(), revision="9" * 5_000), "not a whole number"),
        (frame(table(), revision="²"), "not a whole number"),
        (frame(table(), trade_date="9999-12-31"), "9999-12-31 is no trading day"),
        (frame(table(), available_at="9999-12-31T23:59:59-08:00"), "no moment between 1970 and 2199"),
        (frame(table(), available_at="2020-01-03T08:30:00"), "timezone"),
        (frame(table(trade_date=pa.array([2**31 - 1] * 2, pa.int32()).view(pa.date32())), trade_date=None),
         "day 2,147,483,647 after 1970-01-01 is no trading day"),
        (frame(table(available_at=pa.array([2**63 - 1] * 2, pa.timestamp("s", tz="UTC"))), available_at=None),
         "no moment between 1970 and 2199"),
        (frame(table(available_at=pa.array([-(2**63)] * 2, pa.timestamp("us", tz="UTC"))), available_at=None),
         "no moment between 1970 and 2199"),
        (frame(table(available_at=pa.array([1] * 2, pa.timestamp("us"))), available_at=None), "with time zone"),
        (frame(table(fin_balance=[[1], [2]])), "has the type list"),
        (frame(table(source=[1, 2])), "'source' must be text"),
        (frame(table(code=pa.DictionaryArray.from_arrays([0, 0], ["x" * 900]))), "does not look like 600519.SH"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_with_its_reason_and_the_rows_around_it_count(message: Message, reason: str) -> None:
    items, dead = decoder().decode([event(), message, event(code="000001.SZ")])
    assert [reason in letter.reason for letter in dead] == [True], dead[0].reason if dead else "nothing refused"
    assert sum(len(i) for i in items) == 2


@pytest.mark.parametrize(
    ("changes", "reason", "cell"),
    [
        ({"fin_balance": [1e9, -2.0]}, "row 1: fin_balance is -2.0: expected a non-negative number", -2.0),
        ({"fin_buy": [1.0, float("nan")]}, "row 1: fin_buy is null", "nan"),
        ({"fin_balance": [1e9, None]}, "row 1: fin_balance is null", None),
        ({"fin_balance": [1e9, float("inf")]}, "row 1: fin_balance is inf", "inf"),
        ({"code": ["600519.SH", "1.SZ"]}, "row 1: code '1.SZ' does not look like 600519.SH", "1.SZ"),
        ({"code": ["600519.SH", "00000x.SZ"]}, "'00000x.SZ'", "00000x.SZ"),
        ({"code": ["600519.SH", "000001.XX"]}, "'000001.XX'", "000001.XX"),
        ({"code": ["600519.SH", None]}, "row 1: code is null", None),
        ({"code": pa.DictionaryArray.from_arrays([0, 1], ["600519.SH", "?"])}, "code '?'", "?"),
        ({"code": ["600519.SH", "801010.SI"]}, "801010.SI is an index of Shenwan", "801010.SI"),
        ({"trade_date": [date(2020, 1, 2), date(2020, 1, 4)]}, "2020-01-04 is no trading day", "2020-01-04"),
        ({"trade_date": [date(2020, 1, 2), None]}, "row 1: trade_date is null", None),
        ({"revision": [0, -1]}, "row 1: revision -1", -1),
        ({"available_at": pa.array([1_578_000_000, 2**62], pa.timestamp("s", tz="UTC"))}, "is no moment between",
         f"{2**62} s"),
    ],
)  # fmt: skip
def test_a_wrong_row_costs_that_row_of_its_frame(changes: dict[str, object], reason: str, cell: object) -> None:
    """The letter is the row as an event, with its cell and reason; the other row counts."""
    (name,) = changes
    constants: dict[str, str | None] = {name: None} if name in ("trade_date", "available_at") else {}
    message = frame(table(**changes), **constants)
    message.offset = 17
    items, dead = decoder().decode([event(), message, event(code="000002.SZ")])
    assert [to_codes(i.keys) for i in items if isinstance(i, RowBatch)] == [["600519.SH"], ["600519.SH"], ["000002.SZ"]]
    (letter,) = dead
    assert reason in letter.reason
    assert json.loads(letter.record.value or b"").get(name) == cell
    assert (letter.row, letter.record.offset) == (1, 17)
    assert letter.record.key == (b"000001.SZ" if name != "code" else str(cell or "").encode())
    found = read_letter(Message(*encode_letter(letter)))
    assert found.place.offset == "17/1"
    assert all(header != CONTENT_TYPE for header, _ in found.headers)


def test_a_row_of_a_frame_in_the_wrong_partition_costs_that_row() -> None:
    here = [f"{n:06d}.SZ" for n in range(1, 60) if partition_of(f"{n:06d}.SZ", 4) == 0][:1]
    away = [f"{n:06d}.SZ" for n in range(1, 60) if partition_of(f"{n:06d}.SZ", 4) == 1][:1]
    items, (letter,) = decoder(partitions=4).decode([frame(table(code=here + away))])
    assert [to_codes(i.keys) for i in items if isinstance(i, RowBatch)] == [here]
    assert f"{away[0]} arrived in partition 0" in letter.reason


def test_a_refused_row_is_a_whole_event_that_can_be_corrected_and_sent_again() -> None:
    written_by_pandas = {"pandas": '{"index_columns": []}'}
    _, (letter,) = decoder().decode([frame(table(fin_balance=[1e9, -2.0]), revision="3", **written_by_pandas)])
    row = json.loads(letter.record.value or b"")
    (rows,), dead = decoder().decode([Message(json.dumps(row | {"fin_balance": 2.0}).encode())])
    assert not dead
    assert (to_codes(rows.keys), rows.figures["fin_balance"].tolist()) == (["000001.SZ"], [2.0])
    assert (rows.revisions.tolist(), rows.days.tolist()) == ([3], [to_day(date(2020, 1, 2))])


@pytest.mark.parametrize(
    ("name", "value"), [("short_repay", -5_672_230.0), ("fin_repay", -1.0), ("short_balance", float("-inf"))]
)
def test_an_impossible_optional_figure_is_absent_and_reported(name: str, value: float) -> None:
    """688126.SH has a short_repay of −5,672,230 on 2022-08-05: neither its row nor its frame is lost."""
    made = decoder()
    (rows,), dead = made.decode([frame(table(**{name: [1.0, value]}))])
    assert not dead
    np.testing.assert_array_equal(rows.figures[name], [1.0, np.nan])
    (cell,) = made.take_absent()
    assert f"{name} of 000001.SZ is {value}" in cell
    assert made.take_absent() == []
    if np.isfinite(value):
        (rows,), dead = made.decode([event(**{name: value}), event(code="000001.SZ", **{name: 3.0})])
        assert not dead
        np.testing.assert_array_equal(rows.figures[name], [np.nan, 3.0])
        assert f"{name} of 600519.SH is {value}" in made.take_absent()[0]


@pytest.mark.parametrize("beside", ["right", "no trading day", "another partition", "a negative figure"])
@pytest.mark.parametrize("form", ["events", "array", "frame"])
def test_an_impossible_figure_is_reported_once_and_that_of_a_refused_row_not_at_all(form: str, beside: str) -> None:
    partitions = 1 if beside != "another partition" else 4
    away = next(f"{n:06d}.SZ" for n in range(1, 60) if partition_of(f"{n:06d}.SZ", 4) != 0)
    here = next(f"{n:06d}.SH" for n in range(600_000, 600_060) if partition_of(f"{n:06d}.SH", 4) == 0)
    second = {"code": away, "short_repay": -7.0}
    second |= {"trade_date": "2020-01-04"} if beside == "no trading day" else {}
    second |= {"fin_buy": -1.0} if beside == "a negative figure" else {}
    rows = [good(code=here, short_repay=-5.0), good(**second)]
    made = decoder(partitions=partitions)
    if form == "events":
        messages = [Message(json.dumps(row).encode()) for row in rows]
    elif form == "array":
        messages = [Message(json.dumps(rows).encode())]
    else:
        days = pa.array([date.fromisoformat(str(row["trade_date"])) for row in rows], type=pa.date32())
        names = ("code", "fin_balance", "fin_buy", "short_volume", "short_sell", "short_repay")
        columns = {name: [row[name] for row in rows] for name in names}
        constants = {"source": "x", "available_at": "2020-01-03T08:30:00+08:00"}
        messages = [frame(pa.table({**columns, "trade_date": days}), **constants)]
    items, dead = made.decode(messages)
    wanted = {here, away} if beside == "right" else {here}
    assert {code for item in items if isinstance(item, RowBatch) for code in to_codes(item.keys)} == wanted
    assert len(dead) == 2 - len(wanted)
    reported = made.take_absent()
    assert len(reported) == len(wanted)
    assert {code for code in (here, away) if any(code in cell for cell in reported)} == wanted


def test_prices_of_zero_are_absent_where_they_are_optional() -> None:
    made = decoder("prices.daily")
    row = {k: v for k, v in good(close=10.0, open=0.0, prev_close=-1.0).items() if not k.startswith(("fin", "short"))}
    (rows,), dead = made.decode([Message(json.dumps(row).encode())])
    assert not dead
    assert (rows.figures["close"].tolist(), len(made.take_absent())) == ([10.0], 2)
    assert np.isnan([rows.figures["open"][0], rows.figures["prev_close"][0]]).all()
    _, dead = made.decode([Message(json.dumps(row | {"close": 0.0}).encode())])
    assert len(dead) == 1


_ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 2_000_000), st.floats(allow_nan=False), st.text(max_size=3),
    st.sampled_from(["600519.SH\n", "600519.sh", " 600519.SH", "６00519.SH", "801010.SI", "430047.BJ", "2020-01-02",
                     "2020-1-2", "20200102", "2020-01-02T00:00:00", "2020-01-03T08:30:00+08:00", "2020-01-03 08:30Z",
                     "2020-01-03T00:30:00.123456Z", "2020-01-03T00:30:00.1234567Z", "2020-01-03T08:30:00"]),
)  # fmt: skip


@given(
    fields=st.dictionaries(
        st.sampled_from([*good(), "fin_repay", "short_balance", "revision", "extra"]), _ODD, max_size=2
    )
)
def test_events_are_taken_just_as_their_row_type_takes_them(fields: dict[str, object]) -> None:
    """The decoder parses dates, moments and codes by itself; the row type stays the contract.

    But for an impossible optional figure, which is absent.
    """
    odd = event(**fields)
    items, dead = decoder().decode([event(), odd, event(code="000001.SZ")])
    try:
        possible = {name: None if _impossible(name, value) else value for name, value in fields.items()}
        row = msgspec.json.decode(event(**possible).value or b"", type=MarginDaily)
    except msgspec.DecodeError:
        assert [letter.record for letter in dead] == [odd]
        return
    if to_day(row.trade_date) not in xshg():
        assert "no trading day" in dead[0].reason
        return
    (rows,) = items
    assert not isinstance(rows, EndOfDay | Barrier)
    assert rows.keys[1] == to_id(row.code)
    assert rows.days[1] == to_day(row.trade_date)
    assert rows.stamps[1] == microseconds(row.available_at)
    assert rows.revisions[1] == row.revision
    for column in FIGURES["margin.daily"]:
        figure = getattr(row, column.attribute)
        np.testing.assert_equal(rows.figures[column.name][1], np.nan if figure is None else figure)


def _impossible(name: str, value: object) -> bool:
    """Whether an event has a number that no row can have as an optional figure; infinity is none in JSON."""
    number = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) != float("inf")
    optional = ("fin_repay", "short_balance", "short_volume", "short_sell")
    return name in optional and number and value < 0  # type: ignore[operator]


@given(st.lists(st.builds(lambda n, e: n * 4 + e, st.integers(0, 999_999), st.integers(0, 3))))
def test_codes_as_bytes_are_the_codes(ids: list[int]) -> None:
    keys = np.array(ids, dtype=np.int32)
    assert join_codes(keys).decode() == "".join(to_codes(keys))
    assert parse_codes(join_codes(keys), len(keys)).tolist() == ids


def array(*events: Message) -> Message:
    return Message(b"[" + b", ".join(one.value or b"" for one in events) + b"]\n", offset=17)


def test_an_array_has_the_rows_of_its_events_between_those_around_it() -> None:
    rows = [event(code=code) for code in ("600519.SH", "000001.SZ", "000002.SZ", "600000.SH")]
    together, dead = decoder().decode([rows[0], array(*rows[1:3]), array(), rows[3]])
    alone, _ = decoder().decode(rows)
    (batch_together,), (batch_alone,) = together, alone
    assert not dead
    assert to_codes(batch_together.keys) == ["600519.SH", "000001.SZ", "000002.SZ", "600000.SH"]
    assert {n: v.tobytes() for n, v in batch_together.figures.items()} == {
        n: v.tobytes() for n, v in batch_alone.figures.items()
    }


def test_arrays_are_encoded_as_they_are_decoded() -> None:
    rows = batch("margin.daily", DAYS[0], {"600519.SH": {}, "000001.SZ": {}})
    (found,), dead = decoder().decode([Message(encode_array(rows, "x"))])
    assert not dead
    assert (found.keys.tolist(), found.days.tolist()) == (rows.keys.tolist(), rows.days.tolist())


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (event(code="000001.SZ", fin_balance=-2.0), "fin_balance"),
        (event(code="000001.SZ", fin_balance="drop"), "missing required field `fin_balance`"),
        (event(code="000001.SZ", trade_date="2020-01-04"), "is no trading day"),
        (event(code="000001.SZ", stranger=1), "stranger"),
    ],
)
def test_a_wrong_row_costs_that_row_of_its_array(wrong: Message, reason: str) -> None:
    items, (letter,) = decoder().decode([event(), array(event(code="600000.SH"), wrong), event(code="000002.SZ")])
    assert [to_codes(item.keys) for item in items if isinstance(item, RowBatch)] == [
        ["600519.SH", "600000.SH", "000002.SZ"]
    ]
    assert reason in letter.reason
    assert (letter.row, letter.record.offset, letter.record.key) == (1, 17, b"000001.SZ")
    assert letter.record.value == wrong.value


@pytest.mark.parametrize(
    "value",
    [
        b"[[%b]]", b"[%b, 3]", b"[%b", b"[null]", b'["%b"]', b"[%b]]", b"[%b,]", b"[" * 100_000,
        b"[" + b"{}," * 20_000 + b"{}]", b"%b,%b", b"%b,\n%b", b"%b\n%b",
    ],
)  # fmt: skip
def test_what_is_no_array_of_events_is_refused_as_a_whole(value: bytes) -> None:
    message = Message(value.replace(b"%b", event().value or b""))
    items, (letter,) = decoder().decode([event(code="000001.SZ"), message, event(code="000002.SZ")])
    assert [to_codes(item.keys) for item in items if isinstance(item, RowBatch)] == [["000001.SZ", "000002.SZ"]]
    assert (letter.record.value, letter.row) == (message.value, None)


def test_an_array_that_is_too_large_is_refused_as_a_whole() -> None:
    items, (letter,) = decoder().decode([array(*[event(code=f"{n:06d}.SZ") for n in range(1, 80)])])
    assert (items, letter.row) == ([], None)
    assert "at most 10,000 are accepted" in letter.reason


def test_a_day_that_no_date_can_be_costs_its_row_alone() -> None:
    days = pa.array([to_day(date(2020, 1, 2)), 2**31 - 1], type=pa.int32()).view(pa.date32())
    items, (letter,) = decoder().decode([frame(table().append_column("trade_date", days), trade_date=None)])
    assert [to_codes(item.keys) for item in items if isinstance(item, RowBatch)] == [["600519.SH"]]
    assert json.loads(letter.record.value or b"")["trade_date"] == "day 2147483647"


def test_rows_of_another_partition_are_refused_in_the_topics_that_are_keyed_by_security() -> None:
    made = Codecs(Settings(partitions=4), xshg()).row_decoders(INPUT_ROWS)
    for topic, one in made.items():
        rows = batch(topic, DAYS[0], {key: {} for key in KEYS.get(INPUT_ROWS[topic].key_field, ("600519.SH",))[:1]})
        found = [
            one.decode([Message(encode_frame(rows, "x"), [(CONTENT_TYPE, ARROW)], partition)]) for partition in range(4)
        ]
        elsewhere = [letter for _, dead in found for letter in dead if "its key belongs to another" in letter.reason]
        assert len(elsewhere) == (3 if topic in BY_CODE else 0), topic


def test_an_array_has_a_largest_number_of_rows() -> None:
    large = Decoder("margin.daily", xshg(), ("SSE", "SZSE"), None, 100_000_000)
    _, (letter,) = large.decode([array(*[event()] * 10_001)])
    assert "10,001 events, at most 10,000 are accepted" in letter.reason


def test_a_row_of_an_array_in_the_wrong_partition_costs_that_row() -> None:
    of = {partition_of(f"{n:06d}.SZ", 4): f"{n:06d}.SZ" for n in range(1, 60)}
    items, (letter,) = decoder(partitions=4).decode([array(event(code=of[0]), event(code=of[1]))])
    assert [to_codes(item.keys) for item in items if isinstance(item, RowBatch)] == [[of[0]]]
    assert f"{of[1]} arrived in partition 0" in letter.reason


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (b'{"source":"x","code":"600519.SH"', b'"trade_date":"2020-01-02"},{}'),
        (b'{"source":"}', b'{","code":"600519.SH"},{"code":"000001.SZ"}'),
        (b"", b"%b,%b"),
        (b"%b", b"%b,%b"),
    ],
)
def test_a_message_never_completes_its_neighbour(first: bytes, second: bytes) -> None:
    """Many events are decoded at once; what they say does not depend on the others."""
    row = event().value or b""
    at = row.index(b', "fin_buy"')
    head, tail = row[:at], row[at + 2 :]  # both with a comma between them are one event
    pairs = [
        (first.replace(b"%b", row), second.replace(b"%b", row)),
        (head, tail + b"," + row),
        (row + b",", b"\n" + row),
    ]
    for pair in pairs:
        items, dead = decoder().decode([Message(value) for value in pair])
        alone = [decoder().decode([Message(value)]) for value in pair]
        assert [letter.record.value for letter in dead] == [d.record.value for _, refused in alone for d in refused]
        assert sum(map(len, items)) == sum(len(item) for found, _ in alone for item in found)


@pytest.mark.parametrize(("unit", "per_us"), [("s", 1e-6), ("ms", 1e-3), ("us", 1), ("ns", 1_000)])
def test_moments_of_any_unit_are_those_of_an_event(unit: str, per_us: float) -> None:
    stamp = 1_578_011_400_000_000  # a whole second
    column = pa.array([int(stamp * per_us)] * 2, pa.timestamp(unit, tz="UTC"))
    (rows,), dead = decoder().decode([frame(table(available_at=column), available_at=None)])
    assert dead == []
    assert rows.stamps.tolist() == [stamp] * 2


@pytest.mark.parametrize("nanoseconds", [0, 1, 499, 500, 501, 999, 1_499, 1_500])
def test_nanoseconds_are_rounded_as_in_an_event(nanoseconds: int) -> None:
    """pandas writes nanoseconds by default."""
    stamp = 1_578_011_400_000_000_000 + nanoseconds
    text = f"2020-01-03T00:30:00.{nanoseconds:09d}Z"
    (by_event,), _ = decoder().decode([event(available_at=text)])
    column = pa.array([stamp] * 2, pa.timestamp("ns", tz="UTC"))
    (by_frame,), dead = decoder().decode([frame(table(available_at=column), available_at=None)])
    assert dead == []
    assert by_frame.stamps[0] == by_event.stamps[0]


def test_long_texts_of_moments_are_not_kept() -> None:
    texts = [f"2020-01-03T00:30:00.{n:06d}{'0' * 5_000}Z" for n in range(200)]
    made = decoder()
    made.decode([event()])
    tracemalloc.start()
    for text in texts:
        (rows,), dead = made.decode([event(available_at=text)])
        assert (len(rows), dead) == (1, [])
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < len(texts) * 2_500


def test_headers_without_a_value_are_no_reason_to_stop() -> None:
    message = event()
    message.headers = [(CE_TYPE, None), (CONTENT_TYPE, None)]  # type: ignore[list-item]
    items, dead = decoder().decode([message])
    assert (len(items), dead) == (1, [])


@pytest.mark.parametrize("numbers", [[1.0, 2.0], [99, -1], [1e308, 0.5]])
def test_a_label_is_text_and_no_number(numbers: list[float]) -> None:
    keys = ("510050.SH", "159915.SZ")
    rows = batch("etf.daily", DAYS[0], {key: {"shares": 1.0, "price": 1.0, "style": 1.0} for key in keys})
    styles = pa.ipc.open_stream(encode_frame(rows, "x")).read_all()
    numbered = styles.set_column(styles.column_names.index("style"), "style", pa.array(numbers))
    items, dead = decoder("etf.daily").decode([frame(styles), frame(numbered)])
    assert len(items) == 1
    assert [letter.reason for letter in dead] == [
        "etf.daily frame: column 'style' must be text, it is " + ("int64" if numbers == [99, -1] else "float64")
    ]


def test_an_unknown_exchange_is_refused() -> None:
    row = {k: v for k, v in good().items() if k != "code"}
    for name in ("NYSE", "BSE"):
        items, dead = decoder("margin.market").decode([Message(json.dumps(row | {"exchange": name}).encode())])
        assert items == []
        assert name in dead[0].reason


def test_markers_keep_their_place_between_rows() -> None:
    punctuation = Message(b'{"feed":"margin.daily","trade_date":"2020-01-02","expected":{"SSE":1},"source":"x"}',
                     [(CE_TYPE, CLOSE_TYPE)])  # fmt: skip
    items, dead = decoder().decode([event(), event(code="600000.SH"), punctuation, event(trade_date="2020-01-03")])
    assert dead == []
    assert [type(i) is EndOfDay for i in items] == [False, True, False]


def test_rows_of_another_partition_are_refused() -> None:
    place = partition_of("600519.SH", 4)
    message = event()
    message.partition = (place + 1) % 4
    items, dead = decoder(partitions=4).decode([message])
    assert items == []
    assert "its key belongs to another" in dead[0].reason


def test_partitions_are_kafkas_own() -> None:
    theirs = DefaultPartitioner()
    for code in ("600519.SH", "000001.SZ", "300750.SZ", "688981.SH", "510050.SH"):
        assert partition_of(code, 7) == theirs(code.encode(), list(range(7)), list(range(7)))
