"""The notifications of every channel in Redis: after a restart none is sent twice and none is lost.

``<namespace>:notify:<channel>`` is a hash, ``<alert>/<state>`` → a `Notification`, written before anything is sent; a
later notification of the same state has the sequence of its message in its name. ``<namespace>:notify:<channel>:alerts``
contains by alert which version was read last. Both change in one step, and only if nobody else has changed them since
they were read: two workers that send for one channel never count on different pasts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import msgspec
from redis.asyncio import Redis

from alerts.delivery.history import Notification, NotificationHistory, Status
from alerts.model import Alert, State

#: How long a notification is kept after it was sent or dropped.
KEPT = timedelta(days=120)
_STATES = (State.FIRING, State.RESOLVED, State.SUPERSEDED)
# KEYS: notifications, alerts. ARGV: alert, its record before and after, then names and values of notifications.
_WRITE = """
if (redis.call('HGET', KEYS[2], ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[3])
for i = 4, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
return 1
"""
# KEYS: notifications, alerts. ARGV: alert, its record as it was read, then names of notifications.
_REMOVE = """
if (redis.call('HGET', KEYS[2], ARGV[1]) or '') ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[2], ARGV[1])
for i = 3, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end
return 1
"""


class _Record(msgspec.Struct, frozen=True):
    """What is stored of an alert beside its notifications.

    Attributes
    ----------
    steps : how often it was written, so that no two records are equal.
    names : of its notifications, oldest first.
    """

    alert: Alert
    sequence: int
    steps: int
    names: list[str]


@dataclass(frozen=True, slots=True)
class _Stored:
    """A history as it was read, with the bytes of its record; None and empty where there is none."""

    history: NotificationHistory | None
    record: bytes
    steps: int


class NotificationLog:
    """The notifications of one channel."""

    def __init__(self, redis: Redis, namespace: str, channel: str) -> None:
        self._redis = redis
        self._key = f"{namespace}:notify:{channel}"
        self._alerts = f"{self._key}:alerts"
        self._script = redis.register_script(_WRITE)
        self._remove = redis.register_script(_REMOVE)

    async def change(
        self, alert: str, change: Callable[[NotificationHistory | None], NotificationHistory | None]
    ) -> NotificationHistory | None:
        """Change the history of an alert as a function does, once more if another worker was faster; return it.

        Parameters
        ----------
        change : returns the new history, or what it was given to change nothing.
        """
        while True:
            stored = await self._read(alert)
            new = change(stored.history)
            if new is None or new == stored.history or await self._write(alert, stored, new):
                return new

    async def all(self) -> list[Notification]:
        """Return all notifications, oldest first."""
        rows = cast("dict[bytes, bytes]", await self._redis.hgetall(self._key))
        notifications = [msgspec.json.decode(data, type=Notification) for data in rows.values()]
        return sorted(notifications, key=lambda n: (n.written, n.name))

    async def histories(self) -> list[NotificationHistory]:
        """Return the history of every alert that the channel was or will be notified of."""
        return [stored.history for _, stored in await self._all_stored() if stored.history is not None]

    async def prune(self, before: datetime) -> None:
        """Remove the alerts of which nothing waits, that fire no more, and whose notifications were written before a time.

        An alert that is changed meanwhile stays.
        """
        for alert, stored in await self._all_stored():
            history = stored.history
            if history is None or history.reminds or history.notifications[-1].written >= before:
                continue
            if not any(one.status is Status.WAITING for one in history.notifications):
                names = [one.name for one in history.notifications]
                await self._remove(keys=[self._key, self._alerts], args=[alert, stored.record, *names])

    async def _all_stored(self) -> list[tuple[str, _Stored]]:
        alerts = {notification.alert.id for notification in await self.all()}
        return [(alert, await self._read(alert)) for alert in sorted(alerts)]

    async def _read(self, alert: str) -> _Stored:
        record = cast("bytes | None", await self._redis.hget(self._alerts, alert))
        known = None if record is None else msgspec.json.decode(record, type=_Record)
        # Without a record: notifications of an earlier release.
        names = [f"{alert}/{state}" for state in _STATES] if known is None else known.names
        found: list[Any] = await self._redis.hmget(self._key, names) if names else []
        notifications = [msgspec.json.decode(data, type=Notification) for data in found if data is not None]
        if known is None:
            notifications.sort(key=lambda one: (one.written, one.alert.state is not State.FIRING))
            if not notifications:
                return _Stored(None, b"", 0)
            known = _Record(notifications[-1].alert, 0, 0, [])
        history = NotificationHistory(alert=known.alert, sequence=known.sequence, notifications=tuple(notifications))
        return _Stored(history, record or b"", known.steps)

    async def _write(self, alert: str, stored: _Stored, new: NotificationHistory) -> bool:
        """Write a history; return false if it was changed since it was read."""
        old = () if stored.history is None else stored.history.notifications
        changed = [one for one in new.notifications if one not in old]
        record = _Record(new.alert, new.sequence, stored.steps + 1, [one.name for one in new.notifications])
        pairs = [part for one in changed for part in (one.name, msgspec.json.encode(one))]
        return bool(
            await self._script(
                keys=[self._key, self._alerts], args=[alert, stored.record, msgspec.json.encode(record), *pairs]
            )
        )
