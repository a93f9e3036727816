"""The notifications of every channel in Redis: after a restart none is sent twice and none is lost.

``<namespace>:notify:<channel>`` is a hash, ``<alert>/<state>`` → a `Notification`, written before anything is sent.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import cast

import msgspec
from redis.asyncio import Redis

from alerts.model import Alert

#: How long a notification is kept after it was sent or dropped.
KEPT = timedelta(days=120)


class Status(StrEnum):
    """The state of a notification."""

    WAITING = "waiting"  # to be sent when it is due
    SENT = "sent"
    DROPPED = "dropped"  # superseded, or resolved before quiet hours or a silence ended


class Notification(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One alert in one state for one channel."""

    alert: Alert
    status: Status
    due: datetime
    written: datetime
    attempts: int = 0
    error: str = ""
    sent: datetime | None = None

    @property
    def name(self) -> str:
        """The field of the hash; also the idempotency key."""
        return f"{self.alert.id}/{self.alert.state}"


class NotificationLog:
    """The notifications of one channel."""

    def __init__(self, redis: Redis, namespace: str, channel: str) -> None:
        self._redis = redis
        self._key = f"{namespace}:notify:{channel}"

    async def add(self, notification: Notification) -> bool:
        """Write a notification unless there is one of this name; return whether it was written."""
        return bool(await self._redis.hsetnx(self._key, notification.name, msgspec.json.encode(notification)))

    async def put(self, notification: Notification) -> None:
        """Write a notification over an earlier version."""
        await self._redis.hset(self._key, notification.name, msgspec.json.encode(notification).decode())

    async def get(self, alert: str, state: str) -> Notification | None:
        """Return the notification of an alert in a state."""
        data = await self._redis.hget(self._key, f"{alert}/{state}")
        return None if data is None else msgspec.json.decode(data, type=Notification)

    async def all(self) -> list[Notification]:
        """Return all notifications, oldest first."""
        rows = cast("dict[bytes, bytes]", await self._redis.hgetall(self._key))
        notifications = [msgspec.json.decode(data, type=Notification) for data in rows.values()]
        return sorted(notifications, key=lambda n: (n.written, n.name))

    async def prune(self, before: datetime) -> None:
        """Remove notifications that were sent or dropped, written before a time."""
        old = [n.name for n in await self.all() if n.status is not Status.WAITING and n.written < before]
        if old:
            await self._redis.hdel(self._key, *old)

    async def lease(self, notification: Notification, seconds: float) -> bool:
        """Acquire the exclusive right to send a notification for some seconds; return whether it was free."""
        name = f"{self._key}:lease:{notification.name}"
        return bool(await self._redis.set(name, b"1", nx=True, px=int(seconds * 1000)))

    async def release(self, notification: Notification) -> None:
        """Release the right to send a notification."""
        await self._redis.delete(f"{self._key}:lease:{notification.name}")
