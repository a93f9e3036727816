"""The console's backend without a broker: what it makes of the settings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    RequestTimedOutError,
    TopicAuthorizationFailedError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from alerts.commands import Acknowledge
from console import site
from console.errors import UnconfirmedError
from console.model import ConsoleModel, Feed, Part
from console.theme import View
from processors.errors import MarginwatchError
from processors.outputs import MarketSignal
from processors.parameters import Parameters
from streams import console
from streams.calendars import xshg
from streams.errors import RunningWorkersError
from streams.local.local_service import free_port
from streams.running_workers import SILENT_S
from streams.settings import Settings

FEED = "margin.daily"


async def feeds(settings: Settings) -> tuple[Feed, ...]:
    """Run a backend until it has shown the feeds once; no broker answers it."""
    model = ConsoleModel(settings.parameters.streak_flags, xshg())
    backend = console.Backend(settings, model)
    await backend.start()
    try:
        async with asyncio.timeout(20):
            while not model.feeds:
                await asyncio.sleep(0.01)
    finally:
        await backend.stop()
    return model.feeds


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_day_that_the_calendar_file_closes_is_not_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state: dict[str, Any] = {"newest": "2020-01-02", "closed": True, "rows": 1}
    monkeypatch.setattr(
        console.system_status, "status", lambda *_: {"feeds": {f"{FEED}[0]": state}, "calendar_days_left": 9}
    )
    plain = Settings(kafka_url=f"kafka://127.0.0.1:{free_port()}")
    (usual,) = asyncio.run(feeds(plain))
    assert usual.due is not None
    today = datetime.now(UTC).date()
    closed = [today - timedelta(days=n) for n in range(-2, 30)]
    file = tmp_path / "calendar.toml"
    file.write_text(f"holidays = [{', '.join(map(date.isoformat, closed))}]\n")
    (feed,) = asyncio.run(feeds(plain.model_copy(update={"calendar_file": file})))
    assert feed.due is not None and feed.due < closed[-1] <= usual.due


def unlisted(*_: Any) -> dict[str, int]:
    raise RunningWorkersError("Redis does not list its connections")


@pytest.mark.parametrize(
    ("workers", "trouble"),
    [
        (lambda *_: {}, "worker"),
        (lambda *_: {"a": SILENT_S + 1}, "worker"),
        (lambda *_: {"a": SILENT_S + 1, "b": 2}, ""),
        (unlisted, ""),
    ],
)
def test_a_page_says_that_no_worker_runs_or_that_it_hangs(
    workers: Callable[..., dict[str, int]], trouble: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had figures of the session, of hours ago, and no word."""
    model = ConsoleModel((5, 8), xshg())
    backend = console.Backend(Settings(), model)

    async def kafka() -> str:
        return ""

    async def shown() -> str:
        polls = asyncio.create_task(backend._poll_feeds())
        while not model.feeds:
            await asyncio.sleep(0)
        polls.cancel()
        return model.trouble

    state: dict[str, Any] = {"newest": "2020-01-02", "closed": True, "rows": 1}
    found = {"feeds": {f"{FEED}[0]": state}, "calendar_days_left": 9}
    monkeypatch.setattr(console.system_status, "status", lambda *_: found)
    monkeypatch.setattr(console, "connected_workers", workers)
    monkeypatch.setattr(backend, "_kafka", kafka)
    assert asyncio.run(shown()) == trouble


def test_records_are_read_again_after_an_alert_and_once_more_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker writes Redis after the topic: the first state that the console reads may be the one before."""
    read: list[int] = []
    monkeypatch.setattr(console, "_RECORDS_S", 0.01)
    monkeypatch.setattr(console.alert_record, "records", lambda _settings: read.append(0) or [])
    model = ConsoleModel((5, 8), xshg())
    backend = console.Backend(Settings(), model)

    async def poll() -> None:
        task = asyncio.create_task(backend._poll_records())
        async with asyncio.timeout(20):
            for expected in (2, 4):
                while len(read) < expected:
                    await asyncio.sleep(0.001)
                model._changed(Part.ALERTS)
        task.cancel()

    asyncio.run(poll())


@pytest.mark.parametrize("failures", [1, 2, 5])
def test_records_and_names_are_read_until_redis_answers(monkeypatch: pytest.MonkeyPatch, failures: int) -> None:
    model = ConsoleModel((5, 8), xshg())
    backend = console.Backend(Settings(), model)
    left, offered = dict.fromkeys(("records", "names"), 0), dict.fromkeys(("records", "names"), 0)

    def answer(what: str, error: Exception) -> None:
        if left[what]:
            left[what] -= 1
            raise error

    def records(_settings: Settings) -> list[Any]:
        answer("records", RedisConnectionError("away"))
        return []

    def names(_settings: Settings) -> dict[str, str]:
        answer("names", MarginwatchError("away"))
        return {}

    def offer(what: str) -> None:
        offered[what] += 1

    monkeypatch.setattr(console, "_RECORDS_S", 0.001)
    monkeypatch.setattr(console.alert_record, "records", records)
    monkeypatch.setattr(console, "load_security_names", names)
    monkeypatch.setattr(model, "offer_records", lambda _records: offer("records"))
    monkeypatch.setattr(model, "offer_directory", lambda _directory: offer("names"))

    async def poll() -> None:
        tasks = [asyncio.create_task(work()) for work in (backend._poll_records, backend._poll_names)]
        async with asyncio.timeout(20):
            for count, day in enumerate((date(2020, 1, 2), date(2020, 1, 3)), 1):
                left.update(records=failures, names=failures)
                model.offer_market(MarketSignal(signal="coverage", subject="market", trade_date=day,
                                                available_at=datetime.now(UTC), revision=0, value=1.0))  # fmt: skip
                while offered != {"records": 2 * count, "names": count}:
                    await asyncio.sleep(0.001)
        for task in tasks:
            task.cancel()

    asyncio.run(poll())


class Producer:
    """A producer that refuses a message, or whose acknowledgement fails."""

    def __init__(self, error: KafkaError, *, sent: bool) -> None:
        self.error, self.sent = error, sent

    async def send(self, *_: object, **__: object) -> asyncio.Future[None]:
        if not self.sent:
            raise self.error
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        acknowledged.set_exception(self.error)
        return acknowledged


@pytest.mark.parametrize(
    ("error", "sent", "unconfirmed"),
    [
        (KafkaTimeoutError(), False, False),  # no broker says where the topic is
        (TopicAuthorizationFailedError(), True, False),
        (KafkaTimeoutError(), True, True),
        (RequestTimedOutError(), True, True),
        (KafkaConnectionError(), True, True),
    ],
)
def test_a_command_without_an_acknowledgement_may_still_arrive_and_the_page_says_so(
    error: KafkaError, monkeypatch: pytest.MonkeyPatch, *, sent: bool, unconfirmed: bool
) -> None:
    backend = console.Backend(Settings(), ConsoleModel((5, 8), xshg()))
    monkeypatch.setattr(backend, "_producer", Producer(error, sent=sent))
    shown: list[str] = []
    monkeypatch.setattr(site.ui, "notify", lambda text, **_: shown.append(text))

    async def signed_in() -> bool:
        return True

    page: Any = SimpleNamespace(view=View(Parameters(), "en"), _signed_in=signed_in)
    command = Acknowledge(alert="a", by="li", at=datetime.now(UTC))
    assert asyncio.run(site.Page.act(page, backend.publish(command))) is False
    assert shown[0].startswith("Not confirmed, and may still take effect" if unconfirmed else "Not sent: ")
    assert type(error).__name__ in shown[0]
    with pytest.raises(MarginwatchError) as raised:
        asyncio.run(backend.publish(command))
    assert isinstance(raised.value, UnconfirmedError) is unconfirmed


class StartedProducer:
    """A producer that takes a moment to start, and counts what becomes of it."""

    def __init__(self, log: list[str]) -> None:
        self.log = log

    async def start(self) -> None:
        self.log.append("start")
        await asyncio.sleep(0.01)

    async def send(self, *_: object, **__: object) -> asyncio.Future[None]:
        self.log.append("send")
        acknowledged: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        acknowledged.set_result(None)
        return acknowledged

    async def stop(self) -> None:
        self.log.append("stop")


def test_commands_that_come_together_share_one_producer_which_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each started one, and only the last of them was stopped."""
    seen: list[str] = []
    monkeypatch.setattr(console, "async_kafka_producer", lambda *_, **__: StartedProducer(seen))
    backend = console.Backend(Settings(), ConsoleModel((5, 8), xshg()))

    async def publish_two() -> None:
        command = Acknowledge(alert="a", by="li", at=datetime.now(UTC))
        await asyncio.gather(backend.publish(command), backend.publish(command))
        await backend.stop()

    asyncio.run(publish_two())
    assert seen == ["start", "send", "send", "stop"]


class SilentProducer(StartedProducer):
    """A producer whose broker takes everything, and answers nothing."""

    async def send(self, *_: object, **__: object) -> asyncio.Future[None]:
        return asyncio.get_running_loop().create_future()

    async def stop(self) -> None:
        self.log.append("stop")
        await asyncio.Event().wait()


class AbsentProducer(StartedProducer):
    """A producer that no broker answers while it starts."""

    async def start(self) -> None:
        await asyncio.Event().wait()


@pytest.mark.parametrize(("kind", "unconfirmed"), [(SilentProducer, True), (AbsentProducer, False)])
def test_people_and_the_end_of_the_console_do_not_wait_long_for_a_broker_that_is_silent(
    kind: type[StartedProducer], unconfirmed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(console, "async_kafka_producer", lambda *_, **__: kind(seen))
    monkeypatch.setattr(console, "_COMMAND_S", 0.2)
    monkeypatch.setattr(console, "_CLOSE_S", 0.2)
    backend = console.Backend(Settings(), ConsoleModel((5, 8), xshg()))

    async def publish_two() -> list[object]:
        command = Acknowledge(alert="a", by="li", at=datetime.now(UTC))
        async with asyncio.timeout(10):
            both = [backend.publish(command), backend.publish(command)]
            found = await asyncio.gather(*both, return_exceptions=True)
            await backend.stop()
        return list(found)

    for error in asyncio.run(publish_two()):
        assert isinstance(error, MarginwatchError) and isinstance(error, UnconfirmedError) is unconfirmed
        assert "no answer within" in str(error)
    assert "stop" in seen
