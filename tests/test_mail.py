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
    """An SMTP server on loopback that accepts every mail, once it may, unless it answers something else."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.mails: list[EmailMessage] = []
        self.answers: dict[bytes, str] = {}  # to commands that begin so, in place of "250 ok"
        self.accepts = threading.Event()
        self.accepts.set()

    def channel(self, login: str = "", to: str = "d@e.cn", **changes: Any) -> Channel:
        address = f"mailto://{login}127.0.0.1:{self.server_address[1]}?from=a@b.cn&to={to}"
        return Channel(kind="apprise", url=address, **changes)  # type: ignore[arg-type]


class _Session(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self._answer("220 ready")
        while command := self.rfile.readline().strip().upper():
            refusal = next((text for begin, text in self.server.answers.items() if command.startswith(begin)), None)
            if refusal is not None:
                self._answer(refusal)
                continue
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
        assert await sender.close() == {}

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


@pytest.mark.parametrize(
    ("command", "answer", "login", "why"),
    [
        (b"RCPT", "550 5.1.1 no such user", "", r"\{'d@e.cn': \(550, b'5.1.1 no such user'\)\}"),
        (b"RCPT", "450 4.2.1 try later", "", "450, b'4.2.1 try later'"),
        (b"DATA", "554 5.7.1 spam", "", r"\(554, b'5.7.1 spam'\)"),
        (b"EHLO", "250 AUTH PLAIN", "desk:s3cret@", "SMTP AUTH extension not supported by server"),
        (b"AUTH", "535 5.7.8 no: s3cret", "desk:s3cret@", "535, b'5.7.8 no: …'"),
    ],
)
def test_a_mail_that_is_refused_names_the_answer_of_the_server_and_no_password(
    command: bytes, answer: str, login: str, why: str, server: MailServer
) -> None:
    server.answers = {b"EHLO": "250-localhost\r\n250 AUTH PLAIN LOGIN"} if command == b"AUTH" else {}
    server.answers[command] = answer
    sender = AppriseSender(server.channel(login), None, "")  # type: ignore[arg-type]
    with pytest.raises(DeliveryError, match=f"did not accept the message: .*{why}") as failed:
        asyncio.run(sender.send(alert(Text("hot", "热"))))
    assert "s3cret" not in str(failed.value)


def test_a_server_that_is_away_is_named_as_the_reason(server: MailServer) -> None:
    server.shutdown()
    server.server_close()
    sender = AppriseSender(server.channel(), None, "")  # type: ignore[arg-type]
    with pytest.raises(DeliveryError, match=r"did not accept the message: .*Connection refused"):
        asyncio.run(sender.send(alert(Text("hot", "热"))))


def test_one_wrong_recipient_repeats_no_mail_to_the_others(server: MailServer, redis_server: EmbeddedRedis) -> None:
    server.answers[b"RCPT TO:<BAD@"] = "550 5.1.1 no such user"

    async def go() -> None:
        async with Redis.from_url(redis_server.url) as redis:
            channels = {"mail": server.channel(to="good@e.cn,bad@e.cn")}
            dispatcher = Dispatcher(channels, redis, "recipients", ClientSession)
            await dispatcher.start()
            dispatcher.set_clock(NOW)
            await dispatcher.offer(alert(Text("hot", "热")), 1)
            log = NotificationLog(redis, "recipients", "mail")
            while not (stored := (await log.all())[0]).error:
                await asyncio.sleep(0.05)
            await dispatcher.stop()
            assert stored.status is Status.SENT
            assert "bad@e.cn': (550" in stored.error and "good@e.cn" not in stored.error

    asyncio.run(go())
    assert [mail["to"] for mail in server.mails] == ["good@e.cn"]
