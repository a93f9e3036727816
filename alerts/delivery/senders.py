"""The senders of the kinds of channels: signed webhook, chat robots, apprise, and Alertmanager in a module of its own.

A sender judges the body of an answer too: chat robots refuse a message with HTTP 200 and an error code in the body.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import msgspec

from alerts.delivery import text
from alerts.delivery.alertmanager import AlertmanagerSender
from alerts.delivery.apprise_call import call_apprise
from alerts.delivery.sender import Sender, shown
from alerts.delivery.signing import HEADER, signature
from alerts.errors import DeliveryError, PartialDeliveryError
from alerts.model import Alert

#: How long apprise may work on one message (seconds) before another attempt is made: nobody can stop it.
_APPRISE_S = 300.0
#: Messages that apprise works on at once for one channel, those included that nobody waits for any more.
_APPRISE_THREADS = 8
#: How long a channel that ends waits for what apprise is sending (seconds): a worker has ten to end.
_CLOSE_S = 3.0


class WebhookSender(Sender):
    """POST of the alert as JSON with its text.

    `alerts.delivery.signing` defines the signature; ``Idempotency-Key`` is the same for every attempt of a notification.
    """

    async def send(self, alert: Alert, key: str = "") -> None:
        body = msgspec.json.encode(
            {
                "alert": alert,
                "title": text.title(alert),
                "text": text.body(alert, self.channel.language, link=self.link_to(alert), most=self.channel.max_chars),
            }
        )
        headers = {"Content-Type": "application/json", "Idempotency-Key": key or f"{alert.id}/{alert.state}"}
        if secret := self.channel.key():
            headers[HEADER] = signature(secret, body, int(time.time()))
        await self._post(self.channel.address(), body, headers)


@dataclass(frozen=True, slots=True)
class Robot:
    """The protocol of a group chat's robot, which accepts text over a webhook.

    Parameters
    ----------
    message : returns the body of a text message.
    sign : returns what proves the key to the robot at a time (seconds): an addition to the URL, and one to the body.
    codes : names under which answers carry the error code; 0 is success.
    reasons : names under which answers carry the error's text.
    max_bytes : longest text that the robot accepts, UTF-8.
    """

    message: Callable[[str], dict[str, Any]]
    sign: Callable[[bytes, int], tuple[str, dict[str, Any]]] | None
    codes: tuple[str, ...]
    reasons: tuple[str, ...]
    max_bytes: int


def _dingtalk_signature(key: bytes, seconds: int) -> tuple[str, dict[str, Any]]:
    digest = hmac.new(key, f"{seconds * 1000}\n".encode() + key, hashlib.sha256).digest()
    return f"&timestamp={seconds * 1000}&sign={quote_plus(base64.b64encode(digest))}", {}


def _feishu_signature(key: bytes, seconds: int) -> tuple[str, dict[str, Any]]:
    digest = hmac.new(f"{seconds}\n".encode() + key, b"", hashlib.sha256).digest()
    return "", {"timestamp": str(seconds), "sign": base64.b64encode(digest).decode()}


def _typed_text(content: str) -> dict[str, Any]:
    return {"msgtype": "text", "text": {"content": content}}


#: 钉钉 DingTalk, 企业微信 WeCom, 飞书 Feishu (also Lark), by the kind of the channel.
ROBOTS = {
    "dingtalk": Robot(_typed_text, _dingtalk_signature, ("errcode",), ("errmsg",), 16_000),
    "wecom": Robot(_typed_text, None, ("errcode",), ("errmsg",), 2048),
    "feishu": Robot(
        lambda content: {"msg_type": "text", "content": {"text": content}},
        _feishu_signature,
        ("code", "StatusCode"),
        ("msg", "StatusMessage"),
        16_000,
    ),
}


class ChatRobotSender(Sender):
    """A group chat's robot: an answer counts as accepted only with the error code 0 in its body."""

    async def send(self, alert: Alert, key: str = "") -> None:  # noqa: ARG002 - webhooks alone carry it
        robot = ROBOTS[self.channel.kind]
        title = f"{text.title(alert)}\n"
        body = text.body(
            alert,
            self.channel.language,
            link=self.link_to(alert),
            most=self.channel.max_chars,
            most_bytes=robot.max_bytes - len(title.encode()),
        )
        message = robot.message(title + body)
        url, secret = self.channel.address(), self.channel.key()
        if secret and robot.sign is not None:
            in_url, in_body = robot.sign(secret, int(time.time()))
            url, message = url + in_url, message | in_body
        answer = await self._post(url, msgspec.json.encode(message), {"Content-Type": "application/json"})
        try:
            fields = msgspec.json.decode(answer, type=dict[str, Any])
        except msgspec.DecodeError:
            fields = {}
        codes = [fields[name] for name in robot.codes if name in fields]
        if not codes or any(code != 0 or isinstance(code, bool) for code in codes):
            reason = next((f"{codes[0]} {fields[name]}" for name in robot.reasons if codes and name in fields), None)
            raise DeliveryError(f"{self.channel.redacted()} refused the message: {reason or shown(answer)}")


class AppriseSender(Sender):
    """Mail and the other services that apprise supports.

    apprise sends in a thread, which ends after the time limit of an attempt if the service is slow. The next attempt of
    the message waits for it and takes its result: a second one would repeat a mail that was accepted late. So does
    `close`, which waits for a few seconds. A service that never ends its answer keeps a thread for ever: it is one of
    this channel, which delays neither other work of the process nor its end.
    """

    @cached_property
    def _running(self) -> dict[str, asyncio.Task[None]]:
        """What is being sent, by the key of the message."""
        return {}

    @cached_property
    def _threads(self) -> set[threading.Thread]:
        return set()

    async def send(self, alert: Alert, key: str = "") -> None:
        severity = alert.severity.value
        body = text.body(alert, self.channel.language, link=self.link_to(alert), most=self.channel.max_chars)
        kind = {"critical": "failure", "warning": "warning"}.get(severity, "info")
        await self._notify(key or f"{alert.id}/{alert.state}", text.title(alert), body, kind)

    async def send_file(self, title: str, path: Path) -> None:
        """Send a file; services without attachments get the title alone."""
        await self._notify(str(path), title, title, "info", attach=str(path))

    async def close(self) -> dict[str, str]:
        running = dict(self._running)
        self._running.clear()
        if not running:
            return {}
        _, late = await asyncio.wait(running.values(), timeout=_CLOSE_S)
        for task in late:
            task.cancel()
        results = await asyncio.gather(*running.values(), return_exceptions=True)
        return {
            key: "" if result is None else str(result)
            for key, result in zip(running, results, strict=True)
            if result is None or isinstance(result, PartialDeliveryError)
        }

    async def _notify(self, key: str, title: str, body: str, kind: str, **attached: str) -> None:
        running = self._running.get(key)
        if running is None:
            running = self._running[key] = asyncio.create_task(self._deliver(title, body, kind, **attached))
        await asyncio.wait([running], timeout=self.channel.timeout_s)
        if not running.done():
            raise DeliveryError(f"{self.channel.redacted()} did not answer within {self.channel.timeout_s:g} s")
        del self._running[key]
        running.result()

    async def _deliver(self, title: str, body: str, kind: str, **attached: str) -> None:
        """Send a message; raises `DeliveryError` if the service does not accept it."""
        address, redacted = self.channel.address(), self.channel.redacted()
        call = partial(call_apprise, address, redacted, title, body, kind, **attached)
        try:
            await asyncio.wait_for(self._in_a_thread(call), _APPRISE_S)
        except TimeoutError:
            raise DeliveryError(f"{redacted} did not answer within {_APPRISE_S:g} s") from None

    def _in_a_thread(self, call: Callable[[], object]) -> asyncio.Future[object]:
        """Call something in a daemon thread of its own; raises `DeliveryError` while too many of them are busy."""
        self._threads.intersection_update(threading.enumerate())
        if len(self._threads) >= _APPRISE_THREADS:
            raise DeliveryError(f"{self.channel.redacted()} has not answered {len(self._threads)} earlier messages")
        loop = asyncio.get_running_loop()
        result: asyncio.Future[object] = loop.create_future()

        def finish(outcome: object, error: Exception | None) -> None:
            if result.done():  # nobody waits any more
                return
            if error is None:
                result.set_result(outcome)
            else:
                result.set_exception(error)

        def run() -> None:
            outcome, failure = None, None
            try:
                outcome = call()
            except Exception as error:  # noqa: BLE001 - it belongs to who waits for the result
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(finish, outcome, failure)

        thread = threading.Thread(target=run, name="apprise", daemon=True)
        self._threads.add(thread)
        thread.start()
        return result


SENDERS: dict[str, type[Sender]] = {
    "webhook": WebhookSender,
    "alertmanager": AlertmanagerSender,
    **dict.fromkeys(ROBOTS, ChatRobotSender),
    "apprise": AppriseSender,
}
