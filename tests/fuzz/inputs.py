"""Hostile messages: well-formed ones of every topic, with one to a few faults in their structure or their bytes.

A message is a function of a seed and a number, so a finding is repeated by these two.
"""

from __future__ import annotations

import base64
import json
import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from alerts.commands import Acknowledge, Command, LiveFeedState, SetSilence
from alerts.model import Silence
from processors.charts import WORDS
from processors.events import FIGURES, INPUT_ROWS, KEYS, Barrier, EndOfDay
from processors.industries import INDUSTRIES
from processors.needs import CHARTS, DETAIL, PRICES, VALUATIONS
from processors.outputs import (
    ChartFrame,
    DayStatus,
    FeatureFrame,
    FrameHeader,
    IdentityCheck,
    IndustrySignals,
    MarketSignal,
    Partial,
)
from processors.outputs import SecuritySignals as Securities
from processors.parameters import Parameters
from processors.registry import INDUSTRY_SIGNALS, frame_columns, signals_of
from processors.signal import Level
from streams.calendars import xshg
from streams.codecs import signal_codec
from streams.codecs.feature_codec import FeatureCodec
from streams.codecs.row_frames import encode_frame
from streams.codecs.row_json import encode_array, encode_events
from streams.records import ARROW, BARRIER_TYPE, CE_TYPE, CLOSE_TYPE, CONTENT_TYPE, PARTIAL_TYPE
from streams.topics import DEAD_LETTERS, Topic
from tests.building import batch

CORPUS = Path(__file__).parent / "corpus.jsonl"
DAY, NOW = date(2020, 1, 2), datetime(2020, 1, 3, tzinfo=UTC)
CODES = [f"{number:06d}.{suffix}" for suffix in ("SH", "SZ") for number in (600_519, 1, 300_750, 510_050)]
Headers = list[tuple[str, bytes | None]]


@dataclass
class Input:
    """A message as a consumer returns it."""

    topic: str
    value: bytes | None
    headers: Headers = field(default_factory=list)
    key: bytes | None = None
    partition: int = 0
    offset: int = 0
    timestamp: int = 1_577_923_200_000


def corpus() -> Iterator[Input]:
    """Yield the messages that once broke something."""
    for line in CORPUS.read_text("utf-8").splitlines():
        topic, value, headers = json.loads(line)
        yield Input(topic, base64.b64decode(value), [(name, base64.b64decode(data)) for name, data in headers])


def as_line(message: Input) -> str:
    """Return a message as a line of the corpus."""
    headers = [(name, base64.b64encode(value or b"").decode()) for name, value in message.headers]
    return json.dumps([message.topic, base64.b64encode(message.value or b"").decode(), headers])


# -- well-formed messages ------------------------------------------------------------------------------------------


@cache
def seeds() -> list[Input]:
    """Return messages of all topics and kinds."""
    out = [Input(topic, b"", []) for topic in DEAD_LETTERS]
    for topic, row in INPUT_ROWS.items():
        keys = KEYS.get(row.key_field, CODES)[:8]
        figures = {c.name: 1.0 for c in FIGURES[topic]}
        rows = batch(topic, DAY, {key: figures for key in keys if key != "BSE"})
        out.append(Input(topic, encode_events(rows, "fuzz")[0][1]))
        out.append(Input(topic, encode_array(rows, "fuzz")))
        out += [Input(topic, encode_frame(rows, "fuzz"), [(CONTENT_TYPE, ARROW)])] * 2
        close = EndOfDay(feed=topic, trade_date=DAY, expected={"SSE": 4, "SZSE": 4}, source="fuzz")
        out.append(Input(topic, msgspec.json.encode(close), [(CE_TYPE, CLOSE_TYPE)]))
    out.append(Input(Topic.RATES_DAILY, msgspec.json.encode(Barrier(barrier="b")), [(CE_TYPE, BARRIER_TYPE)]))
    return [*out, *_features(), *_signals(), *map(_command, _commands())]


def _features() -> Iterator[Input]:
    codec = FeatureCodec(Parameters(), 1, xshg())
    keys = np.arange(0, 40, 4, dtype=np.int32)
    partial = Partial(partition=0, day=18_263, ts=10**15, fin_buy=1.0, fin_repay=1.0, covered_balance=1.0, balance=2.0,
                      prices=3, turnover=4.0)  # fmt: skip
    frames = [
        FeatureFrame(topic, 0, 18_263, FrameHeader(0, 10**15, {}, {"SSE": 10}, IdentityCheck()), keys,
                     {name: np.ones(len(keys)) for name in frame_columns(topic, Parameters())})
        for topic in (DETAIL, PRICES, VALUATIONS, CHARTS)
    ]  # fmt: skip
    for one in (partial, *frames):
        made = codec.encode(one, Topic.FEATURES)
        yield Input(Topic.FEATURES, made.value, [*made.headers])
    last = frames[-1]
    words: dict[str, Any] = {name: np.arange(len(keys), dtype="<i4") for name in WORDS}
    charts = ChartFrame(CHARTS, 0, last.day, last.header, keys, words)
    made = codec.encode(charts, Topic.CHARTS)
    yield Input(Topic.CHARTS, made.value, [*made.headers])
    barrier = msgspec.json.encode(Barrier(barrier="b"))
    for topic in (Topic.FEATURES, Topic.CHARTS):
        yield Input(topic, barrier, [(CE_TYPE, BARRIER_TYPE), ("origin", b"securities:0")])


def _signals() -> Iterator[Input]:
    status = DayStatus(trade_date=DAY, available_at=NOW, revision=0, input_revisions={"margin.daily[0]": 0})
    market = MarketSignal(signal="fin_buy_ratio_5d", subject="market", trade_date=DAY, available_at=NOW, revision=0,
                          value=0.1, input_revisions={"margin.market": 0}, details={"x": 1.0, "y": "z"})  # fmt: skip
    keys = np.array([2_402_076, 5], dtype=np.int32)
    financing = {"fin_balance", "fin_change", "fin_streak", "extreme", "consecutive_extreme"}
    pricing = {s.id for s in signals_of(Level.SECURITY)} - financing
    ones = np.ones(len(INDUSTRIES))
    industries = IndustrySignals(status, dict.fromkeys(INDUSTRY_SIGNALS, ones), {})
    made = [
        (Topic.SIGNALS_MARKET, signal_codec.encode_market(market, "t")),
        *(
            (Topic.SIGNALS_SECURITY, signal_codec.encode_security(Securities(status, keys, columns, family), "t"))
            for family, names in (("financing", financing), ("pricing", pricing))
            for columns in ({name: np.array([1.0, np.nan]) for name in sorted(names)},)
        ),
        (Topic.SIGNALS_INDUSTRY, signal_codec.encode_industry(industries, "t")),
    ]  # fmt: skip
    for topic, output in made:
        yield Input(topic, output.value, [*output.headers])


def _commands() -> Iterator[Command]:
    yield Acknowledge(alert="a", by="li", at=NOW)
    yield SetSilence(silence=Silence(id="s", until=NOW, by="li"), at=NOW)
    yield LiveFeedState(feed="prices.intraday", trade_date=DAY, at=NOW, silent_since=NOW)


def _command(command: Command) -> Input:
    return Input(Topic.ALERT_COMMANDS, msgspec.json.encode(command))


# -- faults --------------------------------------------------------------------------------------------------------

_MOMENTS = ["0001-01-01T00:00:00+08:00", "9999-12-31T23:59:59-08:00", "2020-01-03T00:00:00",
            "2020-01-03T00:30:00.1234567Z", "1969-12-31T23:59:59Z", "2200-01-01T00:00:00Z", "2020-02-30T00:00:00Z",
            "2020-01-03T00:00:00+99:99"]  # fmt: skip
_DAYS = ["0001-01-01", "9999-12-31", "2020-01-04", "2020-1-2", "2020-01-02T00:00:00Z", "２０２０-01-02", "-2020-01-02"]
_TEXTS = ["", "\x00", "\ud800", "融资" * 50, "x" * 100_000, "600519.SH\n", "801010.SI", "000000.SH", "999999.BJ",
          "NaN", "[31m",
          "margin.daily", "SSE", "银行"]  # fmt: skip
_NUMBERS = [0, -1, 1, 2**31 - 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 10**40, -(2**63), 0.1, -0.0, 5e-324, 1e308,
            -1e308, 1_000_001]  # fmt: skip
_RAW = [b"NaN", b"Infinity", b"1e999", b"-1e999", b"1" + b"0" * 5_000, b"[" * 3_000, b"{" * 3_000,
        b'{"a":' * 3_000 + b"1" + b"}" * 3_000, b'"\xff"', b'"\\ud800"', b"", b"nul", b"1" * 100_000]  # fmt: skip
_HEADERS: Headers = [
    (CONTENT_TYPE, ARROW), (CE_TYPE, CLOSE_TYPE), (CE_TYPE, BARRIER_TYPE), (CE_TYPE, PARTIAL_TYPE), (CE_TYPE, None),
    (CONTENT_TYPE, b"\xff"), ("origin", b"\xff"), ("origin", b"securities:99999999999"), ("dlq_reason", b"\xff"),
    ("dlq_traceback", b"x"), ("dlq_topic", b"margin.daily"), ("dlq_partition", b"\xff"), ("dlq_offset", b"9" * 99),
    ("dlq_resolution", b"retried"), ("dlq_resolution", b"\xff"), ("x" * 70_000, b"y" * 70_000),
]  # fmt: skip


def message(seed: str, number: int) -> Input:
    """Return the hostile message of a number."""
    rng = random.Random(f"{seed}/{number}")
    found = rng.choice(seeds())
    out = Input(found.topic, found.value, [*found.headers], offset=number)
    kinds = dict(out.headers)
    if kinds.get(CONTENT_TYPE) == ARROW:
        out.value = _frame(rng, out.value or b"")
    elif out.topic in (Topic.FEATURES, Topic.CHARTS) and kinds.get(CE_TYPE) != BARRIER_TYPE:
        out.value = _msgpack(rng, out.value or b"")
    elif rng.random() < 0.8:
        out.value = _json(rng, out.value or b"{}")
    if rng.random() < 0.3:
        out.value = _bytes(rng, out.value or b"")
    if rng.random() < 0.15 or out.topic in DEAD_LETTERS:
        out.headers = rng.choice([out.headers, []]) + rng.sample(_HEADERS, rng.randint(1, 4))
    if rng.random() < 0.02:
        out.timestamp = rng.choice([-1, 0, 2**62, -(2**62)])
    if rng.random() < 0.01:
        out.value = rng.choice([None, b"", b"\x00", b"[" * 200_000])
    return out


def _value(rng: random.Random) -> Any:
    return rng.choice(
        [
            rng.choice(_MOMENTS),
            rng.choice(_DAYS),
            rng.choice(_TEXTS),
            rng.choice(_NUMBERS),
            None,
            True,
            [],
            {},
            [[]] * 50,
        ]
    )


def _json(rng: random.Random, value: bytes) -> bytes:
    """Replace, add, delete or repeat fields of an object, at any depth."""
    try:
        content = json.loads(value)
    except ValueError:
        return value
    for _ in range(rng.randint(0, 3)):
        place = content
        while isinstance(place, dict) and place:
            name = rng.choice([*place])
            if isinstance(place[name], dict) and place[name] and rng.random() < 0.7:
                place = place[name]
                continue
            change = rng.random()
            if change < 0.15:
                del place[name]
            elif change < 0.25:
                place[rng.choice(_TEXTS)] = _value(rng)
            else:
                place[name] = _value(rng)
            break
    try:
        text = json.dumps(content, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")
    except ValueError:
        return value
    if rng.random() < 0.3 and b":" in text[:2_000]:
        at = rng.choice([i for i, c in enumerate(text[:2_000]) if c == ord(":")]) + 1
        end = next((i for i in range(at, len(text)) if text[i : i + 1] in (b",", b"}")), at)
        text = text[:at] + rng.choice(_RAW) + text[end:]
    return text


def _msgpack(rng: random.Random, value: bytes) -> bytes:
    """Replace values of a message between the stages, at any depth."""
    try:
        content = msgspec.msgpack.decode(value)
    except msgspec.DecodeError:
        return value
    for _ in range(rng.randint(0, 2)):
        place = content
        for _ in range(6):
            keys = [*place] if isinstance(place, dict) else [*range(len(place))] if isinstance(place, list) else []
            if not keys:
                break
            key = rng.choice(keys)
            if isinstance(place[key], (dict, list)) and place[key] and rng.random() < 0.8:
                place = place[key]
                continue
            place[key] = rng.choice(
                [
                    _value(rng),
                    b"",
                    bytes(8),
                    bytes(80),
                    "<i4",
                    "|O",
                    "<f8",
                    "<M8[D]",
                    float("nan"),
                    float("inf"),
                    18_263,
                    0,
                ]
            )
            break
    try:
        return msgspec.msgpack.encode(content)
    except (OverflowError, ValueError, TypeError, RecursionError):
        return value


def _frame(rng: random.Random, value: bytes) -> bytes:
    """Write a frame anew with columns of other types, contents and metadata; then damage its bytes."""
    if rng.random() < 0.6:
        table = pa.ipc.open_stream(value).read_all()
        try:
            for _ in range(rng.randint(1, 3)):
                table = rng.choice(_COLUMN_FAULTS)(rng, table)
            sink = pa.BufferOutputStream()
            options = pa.ipc.IpcWriteOptions(compression=rng.choice([None, None, "lz4", "zstd"]))
            with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
                writer.write_table(table, max_chunksize=rng.choice([None, 1, 3]))
            value = bytes(sink.getvalue())
        except (pa.ArrowException, ValueError, OverflowError, TypeError, KeyError):
            pass  # pyarrow can't write such a table
    for _ in range(rng.choice([0, 0, 1, 1, 2, 4])):
        at = rng.randrange(max(1, len(value) - 8)) & (~3 if rng.random() < 0.8 else -1)
        form, most = rng.choice([("<i", 31), ("<q", 63), ("<h", 15), ("<b", 7)])
        number = rng.choice([0, 1, -1, 2**most - 1, -(2**most), rng.randrange(-(2**7), 2**7), 8 * rng.randrange(16)])
        number = max(-(2**most), min(2**most - 1, number))
        value = value[:at] + struct.pack(form, number) + value[at + struct.calcsize(form) :]
    return value


def _retyped(rng: random.Random, table: pa.Table) -> pa.Table:
    at = rng.randrange(table.num_columns)
    n = table.num_rows
    makers: list[Callable[[], pa.Array]] = [
        lambda: pa.array([rng.choice(_TEXTS[3:]) for _ in range(n)]),
        lambda: pa.array([rng.choice(CODES) for _ in range(n)]).dictionary_encode(),
        lambda: pa.array([rng.choice(_NUMBERS[10:]) for _ in range(n)], type=pa.float64()),
        lambda: pa.array([rng.choice([0, 1, float("nan"), float("inf"), -1]) for _ in range(n)], type=pa.float64()),
        lambda: pa.array([rng.randrange(2) for _ in range(n)], type=rng.choice([pa.int8(), pa.uint64(), pa.float16()])),
        lambda: pa.array([rng.choice([True, None]) for _ in range(n)], type=pa.bool_()),
        lambda: pa.array([rng.choice([2**31 - 1, -(2**31), 18_263]) for _ in range(n)], type=pa.int32()).view(
            pa.date32()
        ),
        lambda: pa.array(
            [rng.choice([2**63 - 1, -(2**63), 0, 1_577_923_200_123_456_789]) for _ in range(n)],
            type=pa.timestamp(rng.choice(["s", "ms", "us", "ns"]), tz=rng.choice(["UTC", "Mars/Olympus", None])),
        ),
        lambda: pa.array([[1]] * n),
        lambda: pa.array([{"a": "b"}] * n),
        lambda: pa.nulls(n),
        lambda: pa.DictionaryArray.from_arrays(pa.array([0] * n, type=pa.int8()), ["x" * 30_000]),
    ]
    return table.set_column(at, table.column_names[at], rng.choice(makers)())


def _renamed(rng: random.Random, table: pa.Table) -> pa.Table:
    names = list(table.column_names)
    names[rng.randrange(len(names))] = rng.choice(
        ["code", "trade_date", "ts", "available_at", "revision", "source", "name", "x"]
    )
    return table.rename_columns(names)


def _with_column(rng: random.Random, table: pa.Table) -> pa.Table:
    name = rng.choice(["trade_date", "ts", "available_at", "revision", "source", "name", "close", "fin_repay"])
    return _retyped(rng, table.add_column(0, name, pa.nulls(table.num_rows)))


def _with_constant(rng: random.Random, table: pa.Table) -> pa.Table:
    name = rng.choice(["trade_date", "ts", "available_at", "revision", "source", "status", "left_out", "family"])
    text = rng.choice([*_MOMENTS, *_DAYS, "2000000000", "-1", "9" * 5_000, "²", "{}", "[" * 3_000, ""])
    return table.replace_schema_metadata({**(table.schema.metadata or {}), name: text})


def _resized(rng: random.Random, table: pa.Table) -> pa.Table:
    if not table.num_rows:
        return table
    rows = rng.choice([0, 1, 2, table.num_rows * rng.choice([1, 2, 40])])
    return table.take(pa.array([i % table.num_rows for i in range(rows)], type=pa.int64()))


def _with_nulls(rng: random.Random, table: pa.Table) -> pa.Table:
    at = rng.randrange(table.num_columns)
    values = [None if rng.random() < 0.3 else v for v in table.column(at).to_pylist()]
    return table.set_column(at, table.column_names[at], pa.array(values, type=table.column(at).type))


_COLUMN_FAULTS = (_retyped, _retyped, _renamed, _with_column, _with_constant, _with_constant, _resized, _with_nulls)


def _bytes(rng: random.Random, value: bytes) -> bytes:
    """Flip, cut, insert or repeat bytes."""
    if not value:
        return value
    at, end = sorted(rng.randrange(len(value) + 1) for _ in range(2))
    change = rng.randrange(5)
    if change == 0:
        return value[:at] + bytes([rng.randrange(256)]) + value[at + 1 :]
    if change == 1:
        return value[:at]
    if change == 2:
        return value[:at] + rng.choice([b"\xff", b"\xed\xa0\x80", b"\x00", rng.randbytes(4)]) + value[at:]
    if change == 3:
        return value[:end] + value[at:]
    other = rng.choice(seeds()).value or b""
    return value[:at] + other[rng.randrange(len(other) + 1) :]
