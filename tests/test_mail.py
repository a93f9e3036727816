"""Mail through apprise: a slow server gets a message once, and the text arrives as it is."""

from __future__ import annotations

import asyncio
import socketserver
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiohttp import ClientSession
from redis.asyncio import Redis

from alerts.delivery import senders
from alerts.delivery.channel import Channel
from alerts.delivery.dispatcher import Dispatcher
from alerts.delivery.history import Status
from alerts.delivery.log import NotificationLog
from alerts.delivery.senders import AppriseSender
from alerts.errors import DeliveryError
from alerts.model import Alert, Severity, State, Text
from streams.local.local_redis import EmbeddedRedis

NOW = datetime(2024, 7, 1, 2, tzinfo=UTC)
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise's, theirs to mend


class MailServer(socketserver.ThreadingTCPServer):
    """An SMTP server on loopback that accepts every mail, once it may."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.mails: list[EmailMessage] = []
        self.accepts = threading.Event()
        self.accepts.set()

    def channel(self, **changes: Any) -> Channel:
        address = f"mailto://127.0.0.1:{self.server_address[1]}?from=a@b.cn&to=d@e.cn"
        return Channel(kind="apprise", url=address, **changes)  # type: ignore[arg-type]


class _Session(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self._answer("220 ready")
        while command := self.rfile.readline().strip().upper():
            if command == b"DATA":
                self._answer("354 go on")
                lines = list(iter(self.rfile.readline, b".\r\n"))
                self.server.accepts.wait(60)
                self.server.mails.append(message_from_bytes(b"".join(lines), policy=policy.default))  # type: ignore[arg-type]
            self._answer("221 bye" if command == b"QUIT" else "250 ok")

    def _answer(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@pytest.fixture
def server() -> Iterator[MailServer]:
    with MailServer() as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


def alert(words: Text) -> Alert:
    return Alert(
        id="a1", rule="peak_warning", severity=Severity.CRITICAL, subject="market", trade_date=date(2024, 6, 28),
        revision=0, state=State.FIRING, available_at=NOW, raised_at=NOW, changed_at=NOW, figures={}, thresholds={},
        text=words, invalidation=Text("", ""), provenance=[],
    )  # fmt: skip


def test_a_server_that_answers_late_gets_a_mail_once(server: MailServer) -> None:
    async def go() -> None:
        sender = AppriseSender(server.channel(timeout_s=0.2), None, "")  # type: ignore[arg-type]
        server.accepts.clear()
        for _ in range(3):
            with pytest.raises(DeliveryError, match="did not answer within"):
                await sender.send(alert(Text("hot", "热")), "a1/firing")
        server.accepts.set()
        while not server.mails:
            await asyncio.sleep(0.01)
        sender.channel = server.channel()
        await sender.send(alert(Text("hot", "热")), "a1/firing")
        assert len(server.mails) == 1
        await sender.send(alert(Text("hot", "热")), "a1/firing/7")
        assert len(server.mails) == 2

    asyncio.run(go())


@pytest.mark.parametrize("accepts", [True, False])
def test_a_channel_that_ends_waits_for_the_mail_that_is_being_sent(
    accepts: bool, server: MailServer, redis_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(senders, "_CLOSE_S", 5.0 if accepts else 0.1)
    server.accepts.clear()

    async def go() -> tuple[Status, int]:
        async with Redis.from_url(redis_server.url) as redis:
            namespace = f"mail{accepts}"
            dispatcher = Dispatcher({"mail": server.channel(timeout_s=60)}, redis, namespace, ClientSession)
            await dispatcher.start()
            dispatcher.set_clock(NOW)
            await dispatcher.offer(alert(Text("hot", "热")), 1)
            (queue,) = dispatcher.queues
            assert isinstance(queue.sender, AppriseSender)
            while not queue.sender._running:
                await asyncio.sleep(0.01)
            if accepts:
                asyncio.get_running_loop().call_later(0.2, server.accepts.set)
            await dispatcher.stop()
            (stored,) = await NotificationLog(redis, namespace, "mail").all()
            return stored.status, len(asyncio.all_tasks())

    try:
        assert asyncio.run(go()) == (Status.SENT if accepts else Status.WAITING, 1)
    finally:
        server.accepts.set()


def test_a_server_that_never_answers_keeps_neither_the_process_nor_another_thread_of_it(
    server: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(senders, "_CLOSE_S", 0.1)
    monkeypatch.setattr(senders, "_APPRISE_THREADS", 2)
    server.accepts.clear()

    async def go() -> None:
        sender = AppriseSender(server.channel(timeout_s=0.2), None, "")  # type: ignore[arg-type]
        for key in ("a1/firing", "a2/firing"):
            with pytest.raises(DeliveryError, match="did not answer within"):
                await sender.send(alert(Text("hot", "热")), key)
        with pytest.raises(DeliveryError, match="has not answered 2 earlier messages"):
            await sender.send(alert(Text("hot", "热")), "a3/firing")
        await asyncio.wait_for(asyncio.to_thread(int), 10)
        assert await sender.close() == []

    try:
        asyncio.run(go())  # it waits for the threads of the pool of asyncio
        assert not server.mails
        assert all(thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread())
    finally:
        server.accepts.set()


def test_a_mail_shows_the_text_as_it_is(server: MailServer) -> None:
    sender = AppriseSender(server.channel(), None, "http://console")  # type: ignore[arg-type]
    words = Text("Row 3: 'fin_buy' is <img src=http://x/y.png>, 5 & 6.\nIt is < 7.", "第3行：数据有误。")
    asyncio.run(sender.send(alert(words)))
    (mail,) = server.mails
    assert "peak_warning [" in mail["subject"]
    assert mail.get_content_type() == "text/plain"
    shown = mail.get_content().splitlines()
    for line in (*words.en.splitlines(), words.zh, "http://console/alerts/a1"):
        assert line in shown
