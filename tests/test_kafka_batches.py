"""Batches as both clients read them: every codec, odd header names, damaged bytes; nothing raises, nothing is lost."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from typing import Any

import cramjam
import pytest
from aiokafka.record.memory_records import MemoryRecords as AioRecords
from hypothesis import given
from hypothesis import strategies as st
from kafka.record.default_records import DefaultRecordBatchBuilder
from kafka.record.memory_records import MemoryRecords as SyncRecords

from streams.dead_letters import encode_letter, read_letter
from streams.kafka import batches as kafka_batches
from streams.kafka.batches import Batches
from streams.records import UNREADABLE, DeadLetter, PlainRecord

LIBRARIES = pytest.mark.parametrize(
    "library",
    [
        partial(Batches, library=AioRecords),
        partial(Batches, library=SyncRecords, records_of=kafka_batches.records_by_aiokafka),
    ],
    ids=["aiokafka", "kafka-python"],
)
ROWS = [(b"k%d" % n, b'{"n":%d}' % n * 50) for n in range(20)]
_HEADER, _CRC_FROM = 61, 21


def built(rows: list[tuple[bytes | None, bytes | None]] = ROWS, headers: tuple[Any, ...] = (), base: int = 7) -> bytes:
    """Return a batch without compression, as a broker stores it."""
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1,
        batch_size=10**7,
    )  # fmt: skip
    for offset, (key, value) in enumerate(rows):
        builder.append(offset, 1_700_000_000_000 + offset, key, value, list(headers))
    return struct.pack(">q", base) + bytes(builder.build())[8:]


def sealed(batch: bytes) -> bytes:
    """Return a batch with the length and the checksum of its bytes."""
    from aiokafka.record._crc32c import crc as crc32c

    out = bytearray(batch)
    struct.pack_into(">i", out, 8, len(out) - 12)
    struct.pack_into(">I", out, 17, crc32c(bytes(out[_CRC_FROM:])))
    return bytes(out)


def xerial(data: bytes) -> bytes:
    """Return data as Java's producers compress them by snappy: a header, then blocks with their sizes."""
    blocks = [bytes(cramjam.snappy.compress_raw(data[at : at + 500])) for at in range(0, len(data), 500)]
    return b"\x82SNAPPY\x00" + struct.pack(">ii", 1, 1) + b"".join(struct.pack(">i", len(b)) + b for b in blocks)


CODECS: dict[str, tuple[int, Callable[[bytes], bytes]]] = {
    "gzip": (1, lambda data: bytes(cramjam.gzip.compress(data))),
    "snappy": (2, lambda data: bytes(cramjam.snappy.compress_raw(data))),
    "snappy of Java": (2, xerial),
    "lz4": (3, lambda data: bytes(cramjam.lz4.compress(data))),
    "zstd": (4, lambda data: bytes(cramjam.zstd.compress(data))),
}


def compressed(batch: bytes, codec: str) -> bytes:
    number, compress = CODECS[codec]
    head = bytearray(batch[:_HEADER])
    head[22] |= number
    return sealed(bytes(head) + compress(batch[_HEADER:]))


def records(data: bytes, library: Callable[[bytes], Any]) -> list[Any]:
    batches, out = library(data), []
    while batches.has_next():
        batch = batches.next_batch()
        assert batch.validate_crc()
        out += batch
    assert batches.next_batch() is None
    return out


def reason(record: Any) -> str:
    ((name, text),) = record.headers
    assert name == UNREADABLE
    return str(text.decode())


@LIBRARIES
@pytest.mark.parametrize("codec", CODECS)
def test_every_codec_is_read(library: Callable[[bytes], Any], codec: str) -> None:
    found = records(compressed(built(), codec) + built(base=27), library)
    assert [(one.key, one.value) for one in found] == ROWS * 2
    assert [one.offset for one in found] == list(range(7, 47))


@LIBRARIES
def test_a_name_of_a_header_that_is_no_text_costs_nothing(library: Callable[[bytes], Any]) -> None:
    batch = built(headers=(("name", b"x"), ("content-type", None)))
    found = records(sealed(batch.replace(b"\x08name", b"\x08\xff\xfe\x00e")), library)
    assert [(one.offset, one.key, one.value) for one in found] == [(7 + n, *row) for n, row in enumerate(ROWS)]
    assert found[0].headers == [("\\xff\\xfe\x00e", b"x"), ("content-type", None)]
    assert found[3].timestamp == 1_700_000_000_003


@LIBRARIES
def test_a_damaged_record_costs_no_other(library: Callable[[bytes], Any]) -> None:
    damaged = built([(b"a", b"1"), (b"b", b"2"), (b"c", b"3")], (("name", b"x"),))
    at = damaged.index(b"b\x022")
    found = records(sealed(damaged[:at] + b"b\x7e2" + damaged[at + 3 :]), library)  # a value longer than the record
    assert [one.value for one in found if not any(name == UNREADABLE for name, _ in one.headers)] == [b"1", b"3"]
    assert "record 8 can't be read" in reason(found[1])
    assert found[1].offset == 8


@LIBRARIES
def test_a_batch_that_nobody_can_read_is_one_refused_record_behind_which_reading_goes_on(
    library: Callable[[bytes], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = built()
    unknown = bytearray(batch)
    unknown[22] |= 5
    changed = batch[:-1] + bytes([batch[-1] ^ 1])
    cut = sealed(compressed(batch, "zstd")[:-10])
    for data, why in ((sealed(bytes(unknown)), "compression 5"), (changed, "checksum"), (cut, "")):
        first, *others = records(data + built(base=27), library)
        assert (first.offset, first.value, len(others)) == (26, data, len(ROWS))
        assert "offsets 7 to 26 can't be read" in reason(first)
        assert why in reason(first)
    monkeypatch.setattr(kafka_batches, "MOST_BYTES", 1000)
    for codec in CODECS:
        (only,) = records(compressed(batch, codec), library)
        assert "more than 1,000 bytes when decompressed" in reason(only)


@LIBRARIES
@given(st.data())
def test_changed_bytes_raise_nothing(library: Callable[[bytes], Any], data: st.DataObject) -> None:
    batch = bytearray(
        compressed(built(), data.draw(st.sampled_from([*CODECS]))) if data.draw(st.booleans()) else built()
    )
    for at in data.draw(st.lists(st.integers(22, len(batch) - 1), min_size=1, max_size=8)):
        batch[at] = data.draw(st.integers(0, 255))
    batch[22] &= 0xDF  # no control batch: these have no records
    found = records(sealed(bytes(batch)) + built(base=27), library)
    assert [one.value for one in found[-len(ROWS) :]] == [value for _, value in ROWS]


_BYTES = st.one_of(st.none(), st.binary(max_size=200), st.integers(0, 20_000).map(bytes))
_HEADERS = st.lists(st.tuples(st.text(max_size=70), _BYTES), max_size=3)


@given(st.lists(st.tuples(_BYTES, _BYTES, _HEADERS, st.integers(-(10**6), 10**9)), min_size=1, max_size=70))
def test_records_that_are_read_one_by_one_are_those_of_the_library(rows: list[Any]) -> None:
    """Numbers in a record have 7 bits a byte: lengths of 63, 64 and 8,192 take another number of bytes than before."""
    builder = DefaultRecordBatchBuilder(
        magic=2, compression_type=0, is_transactional=0, producer_id=-1, producer_epoch=-1, base_sequence=-1,
        batch_size=10**8,
    )  # fmt: skip
    for offset, (key, value, headers, later) in enumerate(rows):
        builder.append(offset, 1_700_000_000_000 + later, key, value, headers)
    plain = struct.pack(">q", 7) + bytes(builder.build())[8:]
    ours, theirs = (
        [(one.offset, one.timestamp, one.key, one.value, [*one.headers]) for one in found]
        for found in (kafka_batches._read(plain), AioRecords(plain).next_batch())
    )
    assert ours == theirs
    assert [one[0] for one in ours] == [*range(7, 7 + len(rows))]


def test_the_dead_letter_gives_the_reason_of_the_batch_not_of_its_decoder() -> None:
    record = PlainRecord("t", 0, 3, 0, None, b"raw", [(UNREADABLE, b"the batch can't be read")])
    value, headers = encode_letter(DeadLetter(record, "JSON is malformed"))
    letter = read_letter(PlainRecord("t.dlq", 0, 0, 0, None, value, headers))
    assert (letter.reason, letter.value, letter.headers) == ("the batch can't be read", b"raw", [])


def test_records_that_a_poll_does_not_want_are_left_out_and_the_position_moves_on() -> None:
    library = partial(Batches, library=SyncRecords, records_of=kafka_batches.records_by_aiokafka)
    data = built([*ROWS, (None, b"without a key")])
    with kafka_batches.only(lambda key: key in (b"k3", b"")):
        batch = library(data).next_batch()
        assert [(one.offset, one.key) for one in batch] == [(10, b"k3"), (27, None)]
        assert batch.next_offset == 28
    with kafka_batches.only(lambda _key: False):
        batch = library(data).next_batch()
        assert (list(batch), batch.next_offset) == ([], 28)
    assert len(records(data, library)) == 21
