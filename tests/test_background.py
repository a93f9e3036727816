"""Work beside the stream: whatever fails in it is reported and begins again, and no connection is left behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import ClientSession
from aiokafka.errors import KafkaConnectionError
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from structlog.testing import capture_logs

from alerts.delivery.channel import Channel
from alerts.delivery.dispatcher import ChannelQueue, Dispatcher
from console.model import ConsoleModel
from processors.errors import StateError
from streams import background, console
from streams.background import keep_running
from streams.calendars import xshg
from streams.clients import started
from streams.local.local_redis import EmbeddedRedis
from streams.settings import Settings


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background, "RETRY_S", 0.001)


def test_work_begins_again_after_every_failure_until_it_returns() -> None:
    failures: list[Exception] = [KafkaConnectionError(), RedisConnectionError(), OSError("gone"), ValueError("a fault")]

    async def work() -> None:
        if failures:
            raise failures.pop(0)

    with capture_logs() as logs:
        asyncio.run(keep_running("reading", work))
    assert [entry["event"] for entry in logs] == ["reading waits"] * 3 + ["reading has failed and begins again"]
    assert [entry["log_level"] for entry in logs] == ["warning"] * 3 + ["error"]
    assert logs[-1]["exc_info"]


def test_work_that_is_cancelled_ends() -> None:
    async def go() -> None:
        task = asyncio.create_task(keep_running("waiting", asyncio.Event().wait))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(go())


class Client:
    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.calls: list[str] = []

    async def start(self) -> None:
        self.calls.append("start")
        if self.failure is not None:
            raise self.failure

    async def stop(self) -> None:
        self.calls.append("stop")


def test_a_client_is_stopped_behind_its_block_and_where_its_start_fails() -> None:
    async def go(client: Any) -> None:
        async with started(client) as same:
            assert same is client
            client.calls.append("block")

    good, bad = Client(), Client(KafkaConnectionError())
    asyncio.run(go(good))
    with pytest.raises(KafkaConnectionError):
        asyncio.run(go(bad))
    assert good.calls == ["start", "block", "stop"]
    assert bad.calls == ["start", "stop"]


@pytest.mark.parametrize("name", ["_read", "_poll_feeds", "_poll_records", "_poll_names"])
def test_what_the_console_reads_begins_again_after_any_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []

    def work(which: str) -> Any:
        async def run(_: console.Backend) -> None:
            begun.append(which)
            if which == name and begun.count(name) == 1:
                raise StateError("rows of another release")
            await asyncio.Event().wait()

        return run

    for which in ("_read", "_poll_feeds", "_poll_records", "_poll_names"):
        monkeypatch.setattr(console.Backend, which, work(which))

    async def go() -> None:
        backend = console.Backend(Settings(), ConsoleModel((5, 8), xshg()))
        monkeypatch.setattr(console.console_inputs, "follow", lambda *_: asyncio.Event().wait())
        await backend.start()
        async with asyncio.timeout(20):
            while begun.count(name) < 2:
                await asyncio.sleep(0.001)
        await backend.stop()

    with capture_logs() as logs:
        asyncio.run(go())
    assert [entry["log_level"] for entry in logs] == ["error"]


@pytest.mark.parametrize("loop", ["run", "resend"])
def test_a_channel_that_ends_is_noticed(
    loop: str, redis_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_: ChannelQueue) -> None:
        raise StateError("rows of another release")

    monkeypatch.setattr(ChannelQueue, loop, fails)
    channel = Channel(kind="webhook", url="http://127.0.0.1/hook")  # type: ignore[arg-type]

    async def go() -> None:
        async with Redis.from_url(redis_server.url) as redis:
            dispatcher = Dispatcher({"desk": channel}, redis, "background", ClientSession)
            await dispatcher.start()
            dispatcher.check()
            try:
                await asyncio.sleep(0)
                with pytest.raises(StateError):
                    dispatcher.check()
            finally:
                await dispatcher.stop()
            dispatcher.check()

    asyncio.run(go())
