"""What was told to which channel, in Redis: it survives restarts, so that no fact is told twice and none is lost.

``<namespace>:notify:<channel>`` is a hash, ``<alert>/<state>`` → a `Note`. A note is written before anything is sent.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum
from typing import cast

import msgspec
from redis.asyncio import Redis

from alerts.model import Alert

#: How long it is remembered what was told.
KEPT = timedelta(days=120)


class Status(StrEnum):
    """Where a note stands."""

    WAITING = "waiting"  # to be sent when it is due
    SENT = "sent"
    DROPPED = "dropped"  # corrected away, or over before quiet hours or a silence ended


class Note(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One fact for one channel."""

    alert: Alert
    status: Status
    due: datetime
    written: datetime
    attempts: int = 0
    error: str = ""
    sent: datetime | None = None

    @property
    def name(self) -> str:
        """The field it stands in."""
        return f"{self.alert.id}/{self.alert.state}"


class NotificationLog:
    """The notes of one channel."""

    def __init__(self, redis: Redis, namespace: str, channel: str) -> None:
        self._redis = redis
        self._key = f"{namespace}:notify:{channel}"

    async def add(self, note: Note) -> bool:
        """Write a note unless the fact has one already; return whether it was written."""
        return bool(await self._redis.hsetnx(self._key, note.name, msgspec.json.encode(note)))

    async def put(self, note: Note) -> None:
        """Replace a note."""
        await self._redis.hset(self._key, note.name, msgspec.json.encode(note).decode())

    async def get(self, alert: str, state: str) -> Note | None:
        """Return the note of a fact."""
        data = await self._redis.hget(self._key, f"{alert}/{state}")
        return None if data is None else msgspec.json.decode(data, type=Note)

    async def all(self) -> list[Note]:
        """Every note, oldest first."""
        found = cast("dict[bytes, bytes]", await self._redis.hgetall(self._key))
        notes = [msgspec.json.decode(data, type=Note) for data in found.values()]
        return sorted(notes, key=lambda n: (n.written, n.name))

    async def forget(self, before: datetime) -> None:
        """Remove what was told (or dropped) long ago."""
        old = [n.name for n in await self.all() if n.status is not Status.WAITING and n.written < before]
        if old:
            await self._redis.hdel(self._key, *old)

    async def lease(self, note: Note, seconds: float) -> bool:
        """Take the right to send a note; nobody else has it for so long."""
        name = f"{self._key}:lease:{note.name}"
        return bool(await self._redis.set(name, b"1", nx=True, px=int(seconds * 1000)))

    async def release(self, note: Note) -> None:
        """Give it back."""
        await self._redis.delete(f"{self._key}:lease:{note.name}")
