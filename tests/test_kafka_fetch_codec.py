"""The bytes of fetches: those of the library, and what it reads from an answer."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from aiokafka.protocol.fetch import FetchRequest, FetchResponse_v11
from hypothesis import given
from hypothesis import strategies as st

from streams.kafka.fetch_codec import PackedFetchRequest

INT16, INT32, INT64 = (st.integers(-(2**bits), 2**bits - 1) for bits in (15, 31, 63))
NAMES = st.text(max_size=20)
ASKED = st.lists(st.tuples(NAMES, st.lists(st.tuples(INT32, INT64, INT32), max_size=4)), max_size=4)
ABORTED = st.none() | st.lists(st.tuples(INT64, INT64), max_size=3)
PARTITIONS = st.lists(
    st.tuples(INT32, INT16, INT64, INT64, INT64, ABORTED, INT32, st.none() | st.binary(max_size=50)), max_size=4
)
ANSWERS = st.tuples(INT32, INT16, INT32, st.lists(st.tuples(NAMES, PARTITIONS), max_size=4))
VERSIONS = {FetchRequest.API_KEY: (0, 17)}
ANSWER = PackedFetchRequest(10, 1, 1000, 0, []).prepare(VERSIONS).RESPONSE_TYPE


def bytes_of(answer: tuple[Any, ...]) -> bytes:
    return FetchResponse_v11(*answer).encode()


@given(st.tuples(INT32, INT32, INT32, st.integers(0, 1), ASKED, NAMES), st.integers(5, 17))
def test_a_request_has_the_bytes_of_the_library_s(asked: tuple[Any, ...], newest: int) -> None:
    versions = {FetchRequest.API_KEY: (0, newest)}
    packed, plain = PackedFetchRequest(*asked).prepare(versions), FetchRequest(*asked).prepare(versions)
    assert packed.API_VERSION == plain.API_VERSION == min(newest, 11)
    assert packed.encode() == plain.encode()


@given(ANSWERS, st.binary(max_size=8))
def test_an_answer_is_read_as_the_library_reads_it(answer: tuple[Any, ...], header: bytes) -> None:
    whole = BytesIO(header + bytes_of(answer))
    whole.seek(len(header))
    assert ANSWER.decode(whole) == FetchResponse_v11.decode(bytes_of(answer))
    assert ANSWER.decode(bytes_of(answer)) == FetchResponse_v11(*answer)


@given(st.data())
def test_an_answer_that_is_cut_is_refused(data: st.DataObject) -> None:
    whole = bytes_of(data.draw(ANSWERS))
    cut = data.draw(st.integers(0, len(whole) - 1))
    for reader in (ANSWER, FetchResponse_v11):
        with pytest.raises(ValueError, match=r"too early|underrun|Error encountered"):
            reader.decode(whole[:cut])


def test_an_answer_without_the_name_of_a_topic_is_refused() -> None:
    with pytest.raises(ValueError, match="-1 bytes"):
        ANSWER.decode(bytes_of((0, 0, 0, [(None, [])])))
