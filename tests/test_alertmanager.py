"""A silence reaches a real Alertmanager: it does not repeat an alert that a person has silenced here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from aiohttp import ClientSession, web
from redis.asyncio import Redis

from alerts.delivery import dispatcher as dispatcher_module
from alerts.delivery.dispatcher import ChannelQueue
from alerts.delivery.log import NotificationLog
from alerts.delivery.senders import SENDERS
from alerts.model import Alert, Silence, State
from streams.local.local_redis import EmbeddedRedis
from tests.alertmanager import Alertmanager
from tests.test_delivery import alert, hook

#: Repeats every second what it has.
_CONFIG = """
route: {{receiver: desk, group_by: [alertname, subject], group_wait: 0s, group_interval: 1s, repeat_interval: 1s}}
receivers:
  - name: desk
    webhook_configs: [{{url: "{url}", send_resolved: true}}]
"""


class Desk:
    """What Alertmanager sends, by the state of its alerts."""

    def __init__(self) -> None:
        self.received: list[str] = []

    async def take(self, request: web.Request) -> web.Response:
        self.received.append((await request.json())["status"])
        return web.Response()


@asynccontextmanager
async def desk() -> AsyncIterator[tuple[Desk, str]]:
    app, found = web.Application(), Desk()
    app.router.add_post("/", found.take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield found, f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not condition():
            await asyncio.sleep(0.05)


def test_alertmanager_repeats_no_alert_that_is_silenced_after_it_has_it_and_learns_of_a_withdrawal(
    redis_server: EmbeddedRedis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher_module, "RESEND_S", 0.2)
    now = datetime.now(UTC)
    silence = Silence(id="s", until=now + timedelta(hours=8), by="li", note="handled")

    def firing(by: Silence | None) -> Alert:
        return alert(available_at=now, silence=by)

    async def go() -> None:
        async with desk() as (seen, url), Redis.from_url(redis_server.url) as redis, ClientSession() as session:
            await redis.flushdb()
            (config := tmp_path / "config.yml").write_text(_CONFIG.format(url=url), "utf-8")
            server = await asyncio.to_thread(Alertmanager, tmp_path, config)
            channel = hook(kind="alertmanager", url=server.url)
            sender = SENDERS["alertmanager"](channel, session, "")
            queue = ChannelQueue("am", channel, sender, NotificationLog(redis, "t", "am"))
            tasks = [asyncio.create_task(queue.run()), asyncio.create_task(queue.resend())]

            async def silenced() -> list[bool]:
                shown = await asyncio.to_thread(server.alerts)
                return [bool(one["status"]["silencedBy"]) for one in shown]

            async def is_silenced(*, wanted: bool) -> None:
                async with asyncio.timeout(60):
                    while await silenced() != [wanted]:
                        await asyncio.sleep(0.05)

            try:
                await queue.offer(firing(None), 1, now)
                await until(lambda: seen.received.count("firing") > 1)  # it repeats by itself

                await queue.offer(firing(silence), 2, now)
                await is_silenced(wanted=True)
                await asyncio.sleep(1.5)  # what was on its way
                count = len(seen.received)
                await asyncio.sleep(3)
                assert len(seen.received) == count

                await queue.offer(firing(None), 3, now)
                await is_silenced(wanted=False)
                await until(lambda: len(seen.received) > count)

                await queue.offer(firing(silence), 4, now)
                await is_silenced(wanted=True)
                withdrawn = msgspec.structs.replace(firing(silence), state=State.SUPERSEDED)
                await queue.offer(withdrawn, 5, now)
                await until(lambda: "resolved" in seen.received)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.to_thread(server.stop)

    asyncio.run(go())
