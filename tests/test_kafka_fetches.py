"""Fetches of aiokafka: which of them a broker may delay for long."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.protocol.fetch import FetchRequest

from streams.clients import async_kafka_reader
from streams.kafka import fetch_codec as kafka_fetch_codec
from streams.kafka import fetches as kafka_fetches
from streams.kafka.fetches import IDLE_WAIT_MS, PatientFetcher
from streams.topics import Topic, Topics
from tests.harness import BROKERS, Stack

A, B, C = TopicPartition("a", 0), TopicPartition("a", 1), TopicPartition("b", 0)
NODES = {A: 1, B: 1, C: 2}


def request(*partitions: TopicPartition, wait_ms: int = 10) -> FetchRequest:
    topics = [(tp.topic, [(tp.partition, 0, 1000)]) for tp in partitions]
    return FetchRequest(wait_ms, 1, 1000, 0, topics)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> PatientFetcher:
    made = PatientFetcher.__new__(PatientFetcher)
    monkeypatch.setattr(PatientFetcher, "_select_read_replica", lambda _self, tp: NODES[tp])
    monkeypatch.setattr(PatientFetcher, "__del__", lambda _self: None, raising=False)
    made._records = {}
    return made


@pytest.mark.parametrize(
    ("requests", "waits"),
    [
        ([], []),
        ([(1, request(A, B)), (2, request(C))], [IDLE_WAIT_MS, IDLE_WAIT_MS]),
        ([(1, request(A)), (2, request(C))], [10, IDLE_WAIT_MS]),  # the records of B are not consumed, or it is paused
        ([(1, request(B))], [10]),
        ([(1, request(A, B, wait_ms=999))], [999]),
    ],
)
def test_only_a_fetch_of_all_partitions_of_a_broker_waits_long(
    patient: PatientFetcher, monkeypatch: pytest.MonkeyPatch, requests: list[tuple[int, FetchRequest]], waits: list[int]
) -> None:
    rest = [{}, 0.5, False, []]
    monkeypatch.setattr(fetcher.Fetcher, "_get_actions_per_node", lambda _self, _assignment: (requests, *rest))
    found, *others = patient._get_actions_per_node(SimpleNamespace(tps={A, B, C}))
    assert [one._max_wait_ms for _, one in found] == waits
    assert others == rest


def test_a_fetch_waits_the_longer_the_longer_nothing_arrives(
    patient: PatientFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(kafka_fetches.time, "monotonic", lambda: now)
    monkeypatch.setattr(
        fetcher.Fetcher, "_get_actions_per_node", lambda _self, _assignment: ([(2, request(C))], {}, 0.5, False, [])
    )

    def wait_ms() -> int:
        (_, one), *_ = patient._get_actions_per_node(SimpleNamespace(tps={A, B, C}))[0]
        return int(one._max_wait_ms)

    assert wait_ms() == IDLE_WAIT_MS
    patient._records = {A: "records"}
    assert wait_ms() == 10
    patient._records = {}
    waits = []
    for _ in range(10):
        waits.append(wait_ms())
        now += 0.5
    assert waits == [10, 25, 50, 75, 100, 125, 150, 175, 200, 200]


@pytest.mark.parametrize("broker", BROKERS, indirect=True)
def test_a_consumer_writes_its_requests_and_reads_the_answers_packed(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new version of the library, or a broker that knows no version 11, would go round the codec in silence."""
    packed = {"written": 0, "read": 0}
    encode, decode = kafka_fetch_codec._Request.encode, kafka_fetch_codec._Answer._decode

    def written(self: Any) -> bytes:
        packed["written"] += 1
        return encode(self)

    def read(buffer: bytes, at: int) -> Any:
        packed["read"] += 1
        return decode(buffer, at)

    monkeypatch.setattr(kafka_fetch_codec._Request, "encode", written)
    monkeypatch.setattr(kafka_fetch_codec._Answer, "_decode", read)
    with stack.publisher() as publisher:
        publisher.barrier()

    async def first_record() -> Any:
        reader = async_kafka_reader(stack.settings, purpose="test")
        await reader.start()
        try:
            tp = TopicPartition(Topics(stack.settings).name(Topic.RATES_DAILY), 0)
            reader.assign([tp])
            await reader.seek_to_beginning(tp)
            return await asyncio.wait_for(reader.getone(), 120)
        finally:
            await reader.stop()

    assert asyncio.run(first_record()).offset == 0
    assert packed["written"] and packed["read"]
