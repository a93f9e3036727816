"""The newest values in Redis: what an owner has not written, the next one finds in the topics."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import numpy as np
import pytest
from aiokafka.errors import KafkaConnectionError
from redis.exceptions import ConnectionError as RedisConnectionError

from processors.codes import to_id
from processors.industries import INDUSTRIES
from processors.outputs import DayStatus, IndustrySignals, MarketSignal, SecuritySignals
from processors.registry import INDUSTRY_SIGNALS, PUBLISHED_COLUMNS, signals_of
from processors.signal import Level
from streams.clients import async_redis_client
from streams.codecs import registry as codecs
from streams.codecs import signal_codec
from streams.codecs.signal_codec import encode_industry, encode_market, encode_security
from streams.errors import FencedError
from streams.latest import LatestWriter
from streams.local.local_redis import EmbeddedRedis
from streams.records import Keyed, sequence_of
from streams.settings import Settings
from streams.tables import Output, TablePartition, numbered

TOPIC = "signals.market.v1"


def output(
    sequence: int, name: str, day: int, value: float | None, revision: int = 0, *, provisional: bool = False
) -> Output:
    """A published signal."""
    signal = MarketSignal(
        signal=name,
        subject="market",
        trade_date=date(2020, 1, day),
        available_at=datetime(2020, 1, day, 20, tzinfo=UTC),
        revision=revision,
        value=value,
        provisional=provisional,
        input_revisions={},
    )
    return numbered([encode_market(signal, TOPIC)], sequence - 1, {TOPIC})[0]


def test_a_claim_finds_what_the_owner_before_has_published_and_not_written(redis_server: EmbeddedRedis) -> None:
    async def go() -> dict[str, tuple[date, float | None]]:
        settings = Settings(redis_url=redis_server.url, namespace="latest-test")
        published = [
            output(1, "fin_balance", 2, 1.0),
            output(2, "fin_buy_ratio", 2, 0.2),
            output(3, "fin_balance", 3, 2.0),  # published, and the worker ends
            output(4, "fin_buy_ratio", 3, 0.3),
            output(5, "fin_buy_ratio", 3, 0.35, 1),
            output(6, "fin_balance", 2, 1.5, 1),  # the last step, which Redis contains: an earlier day is corrected
        ]

        async def behind(sequence: int) -> list[Output]:
            return [one for one in published if sequence_of(one) > sequence]

        redis = async_redis_client(settings)
        table = TablePartition(redis, settings.namespace, "market", 0)
        await table.claim("schema")
        first = LatestWriter(redis, settings.namespace, behind)
        first.claimed(table)
        first.offer(published[:2])
        await first.flush()
        first.offer(published[2:])

        await table.claim("schema")
        second = LatestWriter(redis, settings.namespace, behind)
        second.claimed(table)
        second.offer(published[5:])
        await second.restore()
        await second.flush()
        stored = await redis.get(f"{settings.namespace}:latest:market")
        await redis.aclose()
        found = msgspec.json.decode(stored, type=dict[str, MarketSignal])
        return {name: (signal.trade_date, signal.value) for name, signal in found.items()}

    assert asyncio.run(go()) == {"fin_balance": (date(2020, 1, 3), 2.0), "fin_buy_ratio": (date(2020, 1, 3), 0.35)}


def test_a_rebuild_replaces_values_of_days_that_the_topics_no_longer_contain(redis_server: EmbeddedRedis) -> None:
    async def go() -> dict[str, float | None]:
        settings = Settings(redis_url=redis_server.url, namespace="latest-rebuilt")
        redis = async_redis_client(settings)
        table = TablePartition(redis, settings.namespace, "market", 0)
        await table.claim("schema")
        before, rebuilt = (LatestWriter(redis, settings.namespace) for _ in range(2))
        for writer, outputs in (
            (before, [output(1, "fin_balance", 3, 2.0), output(2, "fin_buy_ratio", 2, 0.2)]),
            (rebuilt, [output(3, "fin_balance", 2, 1.0)]),
        ):
            writer.claimed(table)
            writer.offer(outputs)
            await writer.flush()
        stored = await redis.get(f"{settings.namespace}:latest:market")
        await redis.aclose()
        return {name: one.value for name, one in msgspec.json.decode(stored, type=dict[str, MarketSignal]).items()}

    assert asyncio.run(go()) == {"fin_balance": 1.0, "fin_buy_ratio": 0.2}


@pytest.mark.parametrize("late", [False, True])
def test_an_absent_provisional_value_ends_that_of_its_day(late: bool) -> None:
    writer = LatestWriter(None, "latest-absent")  # type: ignore[arg-type]
    found = [
        output(1, "fin_balance", 2, 1.0),
        output(2, "fin_balance", 3, 2.0, provisional=True),
        output(3, "fin_balance", 3, None, provisional=True),
        output(4, "unknown", 3, 2.0, provisional=True),
        output(5, "unknown", 3, None, provisional=True),
    ]
    writer.offer(reversed(found) if late else found, late=late)
    shown = {name: (one.value, one.provisional) for name, one in writer._signals().items()}
    assert shown == {"fin_balance": (1.0, False), "unknown": (None, True)}


def test_of_a_backfill_only_the_newest_signals_are_decoded(
    redis_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded: list[Keyed] = []
    decode = codecs.decode
    monkeypatch.setattr(codecs, "decode", lambda topic, message: decoded.append(message) or decode(topic, message))

    async def go() -> dict[str, tuple[date, float | None, bool]]:
        settings = Settings(redis_url=redis_server.url, namespace="latest-backfill")
        redis = async_redis_client(settings)
        table = TablePartition(redis, settings.namespace, "market", 0)
        await table.claim("schema")
        writer = LatestWriter(redis, settings.namespace)
        writer.claimed(table)
        writer.offer(output(day, "fin_balance/x", day, float(day)) for day in range(1, 31))
        writer.offer([output(31, "a", 3, 1.0), output(32, "a", 4, 2.0, provisional=True)])  # the day after it
        writer.offer([output(33, "a", 4, None, provisional=True)])  # the last final one is shown again
        writer.offer([output(37, "c", 3, 1.0), output(38, "c", 4, 2.0, provisional=True)])
        writer.offer([output(34, "b", 4, 2.0, provisional=True), output(35, "b", 4, 3.0), output(36, "b", 3, 9.0, 1)])
        await writer.flush()
        stored = await redis.get(f"{settings.namespace}:latest:market")
        await redis.aclose()
        found = msgspec.json.decode(stored, type=dict[str, MarketSignal])
        return {name: (one.trade_date, one.value, one.provisional) for name, one in found.items()}

    assert asyncio.run(go()) == {
        "a": (date(2020, 1, 3), 1.0, False),
        "b": (date(2020, 1, 4), 3.0, False),
        "c": (date(2020, 1, 4), 2.0, True),
        "fin_balance/x": (date(2020, 1, 30), 30.0, False),
    }
    assert len(decoded) == 5  # the newest final ones of three signals, and the newest provisional ones of two


@pytest.mark.parametrize("failure", [FencedError("by the new claim"), RedisConnectionError("the connection is gone")])
def test_a_write_that_fails_behind_a_new_claim_of_the_same_worker_changes_nothing(
    redis_server: EmbeddedRedis, failure: Exception
) -> None:
    async def go() -> dict[str, float | None]:
        settings = Settings(redis_url=redis_server.url, namespace=f"latest-anew-{type(failure).__name__}")
        redis = async_redis_client(settings)
        writer, anew = LatestWriter(redis, settings.namespace), TablePartition(redis, settings.namespace, "market", 0)

        class ClaimBefore(TablePartition):
            """The group is assigned anew while the newest values are written."""

            async def write_beside(self, values: Mapping[str, bytes]) -> None:
                writer.release()
                await anew.claim("schema")
                writer.claimed(anew)
                raise failure

        before = ClaimBefore(redis, settings.namespace, "market", 0)
        await before.claim("schema")
        writer.claimed(before)
        status = DayStatus(trade_date=date(2020, 1, 2), available_at=datetime(2020, 1, 2, 20, tzinfo=UTC), revision=0)
        columns = dict.fromkeys((signal.id for signal in signals_of(Level.SECURITY)), np.ones(1))
        frame = SecuritySignals(status, np.array([to_id("600000.SH")], dtype=np.int32), columns)
        writer.offer([output(1, "fin_balance", 2, 1.0), encode_security(frame, "signals.security.v1")])
        await writer.flush()
        writer.offer([output(2, "fin_balance", 3, 2.0)])
        await writer.flush()
        stored = await redis.get(f"{settings.namespace}:latest:market")
        await redis.aclose()
        return {name: one.value for name, one in msgspec.json.decode(stored, type=dict[str, MarketSignal]).items()}

    assert asyncio.run(go()) == {"fin_balance": 2.0}


def test_values_that_are_read_slowly_for_a_claim_are_not_those_of_the_next_one(redis_server: EmbeddedRedis) -> None:
    async def go() -> float | None:
        settings = Settings(redis_url=redis_server.url, namespace="latest-slow")
        redis, answers = async_redis_client(settings), asyncio.Event()

        async def slowly(_: int) -> list[Output]:
            await answers.wait()
            return []

        async def claimed(writer: LatestWriter) -> None:
            table = TablePartition(redis, settings.namespace, "market", 0)
            await table.claim("schema")
            writer.claimed(table)

        other, ours = LatestWriter(redis, settings.namespace), LatestWriter(redis, settings.namespace, slowly)
        await claimed(other)
        other.offer([output(1, "fin_balance", 2, 1.0)])
        await other.flush()
        await claimed(ours)
        before = asyncio.create_task(ours.restore())
        await asyncio.sleep(0.1)  # it has read Redis, and waits for Kafka
        ours.release()
        await claimed(other)
        other.offer([output(2, "fin_balance", 2, 1.5, 1)])
        await other.flush()
        await claimed(ours)
        answers.set()
        await before
        await ours.restore()
        ours.offer([output(3, "fin_buy_ratio", 2, 0.2)])
        await ours.flush()
        stored = await redis.get(f"{settings.namespace}:latest:market")
        await redis.aclose()
        return msgspec.json.decode(stored, type=dict[str, MarketSignal])["fin_balance"].value

    assert asyncio.run(go()) == 1.5


def test_nothing_is_written_before_redis_and_kafka_have_said_what_is_not_written(redis_server: EmbeddedRedis) -> None:
    """Else an earlier day that a claim publishes again replaces the newest one."""

    async def go() -> list[dict[str, float | None]]:
        settings, away = Settings(redis_url=redis_server.url, namespace="latest-away"), [True]
        redis = async_redis_client(settings)
        newest = output(1, "fin_balance", 3, 2.0)

        async def behind(_: int) -> list[Output]:
            if away[0]:
                raise KafkaConnectionError("away")
            return [newest]

        table, found = TablePartition(redis, settings.namespace, "market", 0), []
        for writer in (LatestWriter(redis, settings.namespace), LatestWriter(redis, settings.namespace, behind)):
            await table.claim("schema")
            writer.claimed(table)
            writer.offer([output(2, "fin_balance", 2, 1.0), output(2, "fin_buy_ratio", 2, 0.1)])
            for _ in range(2):
                await writer.flush()
                stored = await redis.get(f"{settings.namespace}:latest:market")
                signals = msgspec.json.decode(stored, type=dict[str, MarketSignal])
                found.append({name: one.value for name, one in signals.items()})
                writer.offer([output(3, "fin_buy_ratio", 2, 0.2)])
                away[0] = writer._published is None
        await redis.aclose()
        return found

    before, old = {"fin_balance": 1.0, "fin_buy_ratio": 0.1}, {"fin_balance": 1.0, "fin_buy_ratio": 0.2}
    assert asyncio.run(go()) == [before, old, old, {"fin_balance": 2.0, "fin_buy_ratio": 0.2}]


def frame(
    day: int,
    codes: tuple[str, ...],
    family: str = "financing",
    revision: int = 0,
    missing: dict[str, int] | None = None,
) -> Output:
    """A published frame of securities: each figure is the day."""
    status = DayStatus(
        trade_date=date(2020, 1, day),
        available_at=datetime(2020, 1, day, 20, tzinfo=UTC),
        revision=revision,
        missing=missing or {},
    )
    keys = np.array(sorted(to_id(code) for code in codes), dtype=np.int32)
    names = {*signal_codec.columns_of(family), *(PUBLISHED_COLUMNS if family == "financing" else ())}
    columns = dict.fromkeys(names, np.full(len(keys), float(day)))
    return encode_security(SecuritySignals(status, keys, columns, family), "signals.security.v1")


def industries(day: int) -> Output:
    """A published frame of industries: each figure is the day."""
    status = DayStatus(trade_date=date(2020, 1, day), available_at=datetime(2020, 1, day, 20, tzinfo=UTC), revision=0)
    columns = dict.fromkeys(INDUSTRY_SIGNALS, np.full(len(INDUSTRIES), float(day)))
    return encode_industry(IndustrySignals(status, columns, {}), "signals.industry.v1")


def newest(redis_server: EmbeddedRedis, namespace: str, *steps: list[Output]) -> dict[str, dict[str, Any]]:
    """Return the newest values after steps, each of which a new owner offers and writes."""

    async def go() -> dict[str, dict[str, Any]]:
        settings, sequence = Settings(redis_url=redis_server.url, namespace=namespace), 0
        redis = async_redis_client(settings)
        table = TablePartition(redis, settings.namespace, "market", 0)

        async def none_behind(_: int) -> list[Output]:
            return []

        for outputs in steps:
            await table.claim("schema")
            writer = LatestWriter(redis, settings.namespace, none_behind)
            writer.claimed(table)
            await writer.restore()
            for one in numbered(outputs, sequence, {o.topic for o in outputs}):
                sequence = sequence_of(one)
                writer.offer([one])
            await writer.flush()
        prefix = f"{namespace}:latest:"
        keys = [key.decode() async for key in redis.scan_iter(f"{prefix}*y:*")]
        found = {key.removeprefix(prefix): msgspec.json.decode(await redis.get(key)) for key in keys}
        await redis.aclose()
        return found

    return asyncio.run(go())


A, B = "600000.SH", "600001.SH"


def test_a_security_that_leaves_between_two_writes_has_its_newest_values(redis_server: EmbeddedRedis) -> None:
    outputs = [
        frame(2, (A, B)),
        frame(2, (A, B), "pricing"),
        frame(3, (A, B)),
        frame(3, (A, B), "pricing"),
        frame(6, (A,)),
    ]
    found = newest(redis_server, "latest-left", outputs[:2], outputs[2:])
    assert {code: found[f"security:{code}"]["trade_date"] for code in (A, B)} == {A: "2020-01-06", B: "2020-01-03"}
    assert [found[f"security:{B}"][name] for name in ("fin_balance", "price_level")] == [3.0, 3.0]


def test_prices_of_a_security_that_has_left_complete_what_is_written_of_its_day(redis_server: EmbeddedRedis) -> None:
    outputs = [frame(2, (A, B))], [frame(3, (A,)), frame(2, (A, B), "pricing", 1)], [frame(1, (A, B), "pricing", 1)]
    row = newest(redis_server, "latest-left-prices", *outputs)[f"security:{B}"]
    assert [row[name] for name in ("trade_date", "revision", "fin_balance", "price_level")] == [
        "2020-01-02",
        1,
        2.0,
        2.0,
    ]


def test_a_new_owner_corrects_one_family_and_keeps_the_other(redis_server: EmbeddedRedis) -> None:
    outputs = [frame(2, (A,)), frame(2, (A,), "pricing")], [frame(2, (A,), "pricing", 1)]
    row = newest(redis_server, "latest-family", *outputs)[f"security:{A}"]
    assert [row[name] for name in ("revision", "fin_balance", "price_level")] == [1, 2.0, 2.0]


def test_a_correction_of_an_earlier_day_behind_a_new_claim_leaves_the_newest_day(redis_server: EmbeddedRedis) -> None:
    of_day = [[frame(day, (A,)), frame(day, (A,), "pricing"), industries(day)] for day in (2, 3)]
    found = newest(redis_server, "latest-earlier", of_day[1], of_day[0])
    assert {row["trade_date"] for row in found.values()} == {"2020-01-03"}
    assert len(found) == 1 + len(INDUSTRIES)


def test_a_security_is_as_degraded_as_the_frames_of_its_day(redis_server: EmbeddedRedis) -> None:
    outputs = [
        frame(2, (A,), missing={"margin.daily SSE": 1}),
        frame(2, (A,), "pricing", 2, missing={"prices.daily SSE": -1}),
    ]
    row = newest(redis_server, "latest-degraded", outputs)[f"security:{A}"]
    assert (row["degraded"], row["revision"]) == (True, 2)
    assert row["missing"] == {"margin.daily SSE": 1, "prices.daily SSE": -1}


def test_a_security_has_every_signal_also_before_the_prices_of_the_day(redis_server: EmbeddedRedis) -> None:
    steps = [[frame(3, (A,))], [frame(3, (A,), "pricing")]]
    before, after = (newest(redis_server, f"latest-signals-{n}", *steps[:n])[f"security:{A}"] for n in (1, 2))
    assert (before["fin_balance"], before["price_level"], after["price_level"]) == (3.0, None, 3.0)
    assert before.keys() == after.keys() > {signal.id for signal in signals_of(Level.SECURITY)}
