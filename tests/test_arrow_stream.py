"""Arrow streams: what pyarrow writes is read as pyarrow reads it; what contradicts itself is refused, not mapped."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.errors import RowError
from streams.codecs import arrow_stream
from streams.codecs.arrow_schema import MAX_COLUMNS
from streams.codecs.arrow_stream import Text, read_stream
from streams.codecs.flatbuffers import Record

MAX_BYTES = 1_000_000


def stream(table: pa.Table, *, batch_rows: int | None = None, compression: str | None = None) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
        writer.write_table(table, max_chunksize=batch_rows)
    return bytes(sink.getvalue())


def columns(n: int = 12) -> dict[str, pa.Array]:
    rng = np.random.default_rng(3)
    integers = (pa.int8(), pa.uint8(), pa.int16(), pa.uint16(), pa.int32(), pa.uint32(), pa.int64(), pa.uint64())
    numbers = {str(kind): pa.array(rng.integers(0, 100, n), type=kind) for kind in integers}
    moments = {
        f"{unit} {zone}": pa.array(rng.integers(0, 10**9, n), type=pa.timestamp(unit, tz=zone))
        for unit in ("s", "ms", "us", "ns")
        for zone in ("UTC", "Asia/Shanghai", None)
    }
    words = [["融资", "", "b", "long text " * 5][i % 4] for i in range(n)]
    return numbers | moments | {
        "half": pa.array(np.arange(n, dtype=np.float16)),
        "single": pa.array(np.arange(n, dtype=np.float32)),
        "double": pa.array([None if i % 5 == 1 else i / 3 for i in range(n)], type=pa.float64()),
        "flag": pa.array([i % 3 == 0 for i in range(n)], type=pa.bool_()),
        "flag or null": pa.array([None if i % 4 == 0 else i % 3 == 0 for i in range(n)], type=pa.bool_()),
        "day": pa.array(rng.integers(0, 20_000, n).astype(np.int32)).view(pa.date32()),
        "text": pa.array(words, type=pa.string()),
        "text or null": pa.array([None if i % 3 == 0 else w for i, w in enumerate(words)], type=pa.string()),
        "category": pa.array(words, type=pa.string()).dictionary_encode(),
        "category or null": pa.array([None if i % 3 == 0 else w for i, w in enumerate(words)],
                                     type=pa.string()).dictionary_encode(),
    }  # fmt: skip


@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
@pytest.mark.parametrize(("rows", "batch_rows"), [(12, None), (12, 5), (0, None), (1, None), (70, 9)])
def test_all_types_of_frames_are_read_as_pyarrow_reads_them(
    rows: int, batch_rows: int | None, compression: str | None
) -> None:
    table = pa.table(columns(rows)).replace_schema_metadata({"source": "测试", "revision": "0"})
    found = read_stream(stream(table, batch_rows=batch_rows, compression=compression), MAX_BYTES)
    assert found.rows == rows
    assert found.constants == {"source": "测试", "revision": "0"}
    assert [*found.columns] == table.column_names
    for name, column in found.columns.items():
        theirs = table.column(name)
        if pa.types.is_temporal(theirs.type):
            theirs = theirs.cast(pa.int32() if pa.types.is_date32(theirs.type) else pa.int64())
        assert [None if v != v else v for v in column.to_numpy().tolist()] == theirs.to_pylist(), name


def test_a_slice_of_a_column_is_read_from_its_own_rows() -> None:
    table = pa.table(columns(40)).slice(13, 9)
    found = read_stream(stream(table), MAX_BYTES)
    assert found.columns["text"].to_numpy().tolist() == table.column("text").to_pylist()


def test_frames_of_one_schema_differ_in_constants_alone() -> None:
    table = pa.table(columns())
    first, second = (
        read_stream(stream(table.replace_schema_metadata({"source": "x", "status": "y" * size})), MAX_BYTES)
        for size in (8, 900)
    )
    assert [(c.type, c.unit) for c in first.columns.values()] == [(c.type, c.unit) for c in second.columns.values()]
    assert (first.constants, second.constants) == (
        {"source": "x", "status": "y" * 8},
        {"source": "x", "status": "y" * 900},
    )
    other = table.rename_columns([f"{name}." for name in table.column_names])
    assert [*read_stream(stream(other), MAX_BYTES).columns] == other.column_names


def test_a_schema_may_have_its_columns_in_any_order_of_bytes() -> None:
    """A table of flatbuffers may lie before or behind the list of its fields."""
    message = stream(pa.table({"revision": np.arange(N, dtype=np.int32), "fin_buy": np.arange(N, dtype=float)}))
    (length,) = struct.unpack_from("<i", message, 4)
    metadata, rest = message[8 : 8 + length], message[8 + length :]
    field = Record(metadata, struct.unpack_from("<I", metadata)[0]).record(2).places(1, 2)[0]  # type: ignore[union-attr]
    fields = field - struct.unpack_from("<i", metadata, field)[0]
    (size,) = struct.unpack_from("<H", metadata, fields)
    front = metadata[fields : fields + size].ljust(64, b"\0")  # a copy of the list, before everything else
    moved = bytearray(struct.pack("<I", struct.unpack_from("<I", metadata)[0] + 64) + front + metadata[4:])
    struct.pack_into("<i", moved, field + 64, field + 64 - 4)
    found = read_stream(message[:4] + struct.pack("<i", len(moved)) + bytes(moved) + rest, MAX_BYTES)
    assert [(name, column.type) for name, column in found.columns.items()] == [
        ("revision", "int32"),
        ("fin_buy", "float64"),
    ]


@pytest.mark.parametrize("column", [
    pa.array([[1], [2]]), pa.array([{"a": 1}, {"a": 2}]), pa.array([b"x", b"y"]), pa.nulls(2),
    pa.array(["x", "y"], type=pa.large_string()), pa.array(["x", "y"], type=pa.string_view()),
    pa.array([1, 2], type=pa.decimal128(9, 2)), pa.array([1, 2], type=pa.duration("s")),
    pa.array([1, 2], type=pa.time64("us")),
    pa.array([1, 2], type=pa.date64()), pa.array([1, 2]).dictionary_encode(),
    pa.RunEndEncodedArray.from_arrays([2], [1]),
], ids=lambda column: str(column.type))  # fmt: skip
def test_types_that_no_frame_has_are_refused_by_name(column: pa.Array) -> None:
    with pytest.raises(RowError, match="'odd'"):
        read_stream(stream(pa.table({"odd": column})), MAX_BYTES)


def patched(message: bytes, before: tuple[int, int], after: tuple[int, int]) -> bytes:
    """Replace a pair of 64-bit numbers (a buffer, a node) that the metadata contains once."""
    old = struct.pack("<qq", *before)
    assert message.count(old) == 1, message.count(old)
    return message.replace(old, struct.pack("<qq", *after))


N = 123
ONE = stream(pa.table({"fin_balance": np.arange(N, dtype=float)}))  # buffers: (0, 0) and (0, 984)
SIZE = 8 * N
TWO = stream(pa.table({"revision": np.arange(N, dtype=np.int32), "fin_buy": np.arange(N, dtype=float)}))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (patched(ONE, (0, SIZE), (0, 0)), "too short"),
        (patched(ONE, (0, SIZE), (0, SIZE - 1)), "too short"),
        (patched(ONE, (0, SIZE), (8, SIZE)), "lies outside of its body"),
        (patched(ONE, (0, SIZE), (-SIZE, SIZE)), "lies outside of its body"),
        (patched(ONE, (0, SIZE), (2**62, 2**62)), "lies outside of its body"),
        (patched(ONE, (0, SIZE), (0, -1)), "lies outside of its body"),
        (patched(TWO, (4 * N + 4, SIZE), (4, SIZE + 4 * N)), "overlap"),
        (patched(ONE, (N, 0), (N, 5)), "too short"),
        (patched(ONE, (N, 0), (N + 1, 0)), "has 124 rows, its batch 123"),
        (ONE[:-20], "longer than the message"),
        (ONE + b"more", "follow its end"),
        (ONE[: ONE.index(b"\xff\xff\xff\xff", 4)] + b"\xff\xff\xff\xff\xff\xff\xff\x7f", "no message begins"),
        (ONE[ONE.index(b"\xff\xff\xff\xff", 4) :], "does not begin with a schema"),
        (ONE[:-8] + ONE, "has no place in it"),
        (b"", "does not begin with a schema"),
        (b"\xff\xff\xff\xff" * 3, "no message begins"),
    ],
)
def test_a_message_that_contradicts_itself_is_refused(message: bytes, reason: str) -> None:
    with pytest.raises(RowError, match=reason):
        read_stream(message, MAX_BYTES)


@pytest.mark.parametrize(
    ("ends", "data", "reason"),
    [
        ([0, 9, 5, 12], b"x" * 12, "lie outside"),
        ([0, 4, 8, 13], b"x" * 12, "lie outside"),
        ([-4, 4, 8, 12], b"x" * 12, "lie outside"),
        ([0, 4, 8, 2**31 - 1], b"x" * 12, "lie outside"),
        ([0, 1, 3, 6], "融资".encode(), "begins within a character"),
        ([0, 3, 6, 8], b"\xff" * 8, "invalid start byte"),
    ],
)
def test_strings_lie_inside_of_their_buffer_and_are_utf_8(ends: list[int], data: bytes, reason: str) -> None:
    good = ["a" * (len(data) - 4), "bb", "cc"]
    message = stream(pa.table({"text": good}))
    offsets = np.cumsum([0, *map(len, good)], dtype=np.int32).tobytes()
    assert message.count(offsets) == message.count("".join(good).encode()) == 1
    broken = message.replace(offsets, np.array(ends, dtype=np.int32).tobytes())
    with pytest.raises(RowError, match=reason):
        read_stream(broken.replace("".join(good).encode(), data), MAX_BYTES)


def test_an_index_beyond_its_dictionary_is_refused() -> None:
    table = pa.table({"word": pa.array(["aa", "bb"] * 4).dictionary_encode()})
    message = stream(table)
    index = np.array([0, 1] * 4, dtype=np.int32).tobytes()
    assert message.count(index) == 1
    for wrong in (2, -1, 2**31 - 1):
        broken = message.replace(index, np.array([0, wrong] * 4, dtype=np.int32).tobytes())
        with pytest.raises(RowError, match="what its dictionary lacks"):
            read_stream(broken, MAX_BYTES)


def test_a_dictionary_is_never_multiplied_by_the_rows() -> None:
    """20 KB of text that each of 100,000 rows names would be 2 GB of strings."""
    rows = 100_000
    table = pa.table({"word": pa.DictionaryArray.from_arrays(np.zeros(rows, dtype=np.int8), ["x" * 20_000])})
    column = read_stream(stream(table), MAX_BYTES).columns["word"]
    assert isinstance(column.values, Text) and column.values.index is not None
    assert len(column.values.data) + column.values.index.nbytes < MAX_BYTES
    assert len(set(map(id, column.to_numpy()))) == 1


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
def test_compressed_buffers_are_unpacked_up_to_the_limit_of_a_message(compression: str) -> None:
    message = stream(pa.table({f"f{i}": np.zeros(10_000) for i in range(20)}), compression=compression)
    assert len(message) < 20_000
    assert read_stream(message, 1_600_000).rows == 10_000
    with pytest.raises(RowError, match="more than one message may"):
        read_stream(message, 1_599_999)


@pytest.mark.parametrize("compression", ["lz4", "zstd"])
@pytest.mark.parametrize("named", [SIZE - 8, SIZE + 8, 0, -2, 2**40])
def test_a_compressed_buffer_has_the_length_that_it_names(compression: str, named: int) -> None:
    message = stream(pa.table({"fin_balance": np.zeros(N)}), compression=compression)
    size = struct.pack("<q", SIZE)
    at = message.rindex(size)
    with pytest.raises(RowError):
        read_stream(message[:at] + struct.pack("<q", named) + message[at + 8 :], MAX_BYTES)


@pytest.mark.parametrize(
    ("table", "batch_rows", "reason"),
    [
        (pa.table({"n": np.zeros(arrow_stream.MAX_ROWS + 1, dtype=np.int8)}), None, "rows"),
        (pa.table({"n": np.zeros(arrow_stream.MAX_ROWS + 1, dtype=np.int8)}), 200_000, "rows"),
        (pa.table({"n": np.zeros(arrow_stream.MAX_BATCHES + 1, dtype=np.int8)}), 1, "batches"),
        (pa.table({f"n{i}": [0] for i in range(MAX_COLUMNS + 1)}), None, "at most 64"),
        (pa.table({"n": [0]}).replace_schema_metadata({"x": "y" * 70_000}), None, "no message begins"),
        (pa.table({"n": [0]}).replace_schema_metadata({f"x{i}": "" for i in range(300)}), None, "at most 256"),
        (pa.Table.from_arrays([pa.array([0]), pa.array([1])], names=["n", "n"]), None, "two columns have one name"),
    ],
)
def test_a_stream_has_limits(table: pa.Table, batch_rows: int | None, reason: str) -> None:
    with pytest.raises(RowError, match=reason):
        read_stream(stream(table, batch_rows=batch_rows), 10_000_000)


def test_a_dictionary_that_changes_is_refused() -> None:
    first = pa.record_batch([pa.array(["a"]).dictionary_encode()], ["w"])
    second = pa.record_batch([pa.array(["b"]).dictionary_encode()], ["w"])
    for deltas in (False, True):
        sink = pa.BufferOutputStream()
        options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=deltas)
        with pa.ipc.new_stream(sink, first.schema, options=options) as writer:
            writer.write_batch(first)
            writer.write_batch(second)
        with pytest.raises(RowError, match="a dictionary changes"):
            read_stream(bytes(sink.getvalue()), MAX_BYTES)


def outcome(read: Callable[[], Any]) -> str:
    try:
        read()
    except RowError:
        return "refused"
    return "read"


SEEDS = [stream(pa.table(columns(5)), compression=c) for c in (None, "zstd")] + [ONE]


@given(seed=st.integers(0, 2**32), which=st.integers(0, len(SEEDS) - 1))
def test_damaged_streams_are_read_or_refused(seed: int, which: int) -> None:
    rng = random.Random(seed)
    message = bytearray(SEEDS[which])
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(message) - 8)
        message[at : at + 4] = rng.choice([
            struct.pack("<i", rng.choice([0, 1, -1, 2**31 - 1, -(2**31), rng.randrange(-5_000, 5_000)])),
            bytes([message[at] ^ 1 << rng.randrange(8)]) + bytes(message[at + 1 : at + 4]),
        ])  # fmt: skip
    assert outcome(lambda: [c.to_numpy() for c in read_stream(bytes(message), MAX_BYTES).columns.values()])
