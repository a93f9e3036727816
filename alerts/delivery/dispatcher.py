"""From alerts to notifications: every channel has its own queue, pace and patience, and delays only itself.

A fact is noted in Redis before it is sent, and marked when it is. A channel that fails is tried again, at longer and
longer intervals, for as long as the fact stands. A worker that dies between the channel's answer and the mark sends
that one fact again under the same idempotency key: nothing is lost.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import aiohttp
import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from alerts.delivery import metrics
from alerts.delivery.channel import Channel
from alerts.delivery.log import KEPT, Note, NotificationLog, Status
from alerts.delivery.senders import AGAIN_S, SENDERS, AlertmanagerSender, Sender
from alerts.errors import DeliveryError
from alerts.model import Alert, State

log = structlog.get_logger()
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=1), timedelta(minutes=5)
_REDIS_WAIT_S = 1.0


class ChannelQueue:
    """The facts of one channel: noted, due, sent."""

    def __init__(self, name: str, channel: Channel, sender: Sender, notes: NotificationLog) -> None:
        self.name = name
        self.channel = channel
        self.sender = sender
        self.notes = notes
        self._waiting: dict[str, Note] = {}
        self._standing: dict[str, Alert] = {}  # what Alertmanager must be reminded of
        self._news = asyncio.Event()
        self._sent: deque[float] = deque()

    async def load(self) -> None:
        """Take up what an earlier run has left."""
        await self.notes.forget(datetime.now(UTC) - KEPT)
        for note in await self.notes.all():
            if note.status is Status.WAITING:
                self._waiting[note.name] = note
            elif note.status is Status.SENT and note.alert.state is State.FIRING:
                self._standing[note.alert.id] = note.alert
        for note in await self.notes.all():
            if note.alert.state is not State.FIRING:
                self._standing.pop(note.alert.id, None)
        self._show()

    async def offer(self, alert: Alert, now: datetime) -> None:
        """Note what an alert's new state means for this channel."""
        if not self.channel.wants(alert) or alert.state is State.PENDING:
            return
        if alert.state is State.FIRING:
            await self._offer_firing(alert, now)
            return
        told = await self.notes.get(alert.id, State.FIRING)
        if told is None:
            return  # it was never told here: neither is its end
        held_back = not told.attempts and told.due > now  # by quiet hours or a silence
        if told.status is Status.WAITING and (held_back or alert.state is State.SUPERSEDED):
            self._waiting.pop(told.name, None)
            await self.notes.put(msgspec.structs.replace(told, status=Status.DROPPED))
        elif told.status is not Status.DROPPED:
            await self._note(alert, self.channel.due(alert, now), now)
        self._standing.pop(alert.id, None)
        self._show()

    async def _offer_firing(self, alert: Alert, now: datetime) -> None:
        name = f"{alert.id}/{alert.state}"
        if name in self._waiting:  # a silence that came or went while it waited
            held = self._waiting[name]
            due = self.channel.due(alert, now) if not held.attempts else held.due
            await self._replace(msgspec.structs.replace(held, alert=alert, due=due))
            self._news.set()
        elif now - alert.available_at <= timedelta(days=self.channel.max_age_days):
            await self._note(alert, self.channel.due(alert, now), now)

    async def _note(self, alert: Alert, due: datetime, now: datetime) -> None:
        note = Note(alert=alert, status=Status.WAITING, due=due, written=now)
        if await self.notes.add(note):
            self._waiting[note.name] = note
            self._news.set()
            self._show()

    async def run(self) -> None:
        """Send what is due, for ever."""
        while True:
            now = datetime.now(UTC)
            due = self._next()
            if due is None or due.due > now:
                wait = AGAIN_S if due is None else min(AGAIN_S, (due.due - now).total_seconds())
                await self._wait(wait)
                continue
            pause = self._pause()
            if pause > 0:
                await asyncio.sleep(pause)
                continue
            try:
                await self._attempt(due)
            except RedisError as error:
                log.warning("notification log does not answer", channel=self.name, error=str(error))
                await asyncio.sleep(_REDIS_WAIT_S)

    def _next(self) -> Note | None:
        """The note that is due first; the end of an alert is not told before its beginning."""
        free = (
            n
            for n in self._waiting.values()
            if n.alert.state is State.FIRING or f"{n.alert.id}/{State.FIRING}" not in self._waiting
        )
        return min(free, key=lambda n: (n.due, n.written, n.name), default=None)

    async def remind(self) -> None:
        """Send again what stands, so that Alertmanager doesn't take it for over."""
        if not isinstance(self.sender, AlertmanagerSender):
            return
        while True:
            await asyncio.sleep(AGAIN_S)
            standing = list(self._standing.values())
            if standing:
                try:
                    await self.sender.send_all(standing)
                except DeliveryError as error:
                    log.warning("alertmanager was not reminded", channel=self.name, error=str(error))

    async def _attempt(self, note: Note) -> None:
        if not await self.notes.lease(note, self.channel.timeout_s * 2):
            await self._replace(msgspec.structs.replace(note, due=note.due + timedelta(seconds=self.channel.timeout_s)))
            return
        stored = await self.notes.get(note.alert.id, note.alert.state)
        if stored is not None and stored.status is not Status.WAITING:
            self._waiting.pop(note.name, None)  # another worker was faster
            return
        try:
            await self.sender.send(note.alert)
        except DeliveryError as error:
            metrics.NOTIFICATIONS.labels(self.name, "failed").inc()
            wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(note.attempts, 20))
            again = msgspec.structs.replace(
                note, attempts=note.attempts + 1, error=str(error), due=datetime.now(UTC) + wait
            )
            await self._replace(again)
            log.warning("notification failed", channel=self.name, alert=note.alert.id, attempts=again.attempts,
                        again_in_s=wait.total_seconds(), error=str(error))  # fmt: skip
        else:
            metrics.NOTIFICATIONS.labels(self.name, "sent").inc()
            self._sent.append(asyncio.get_running_loop().time())
            await self.notes.put(
                msgspec.structs.replace(
                    note, status=Status.SENT, sent=datetime.now(UTC), attempts=note.attempts + 1, error=""
                )
            )
            self._waiting.pop(note.name, None)
            if note.alert.state is State.FIRING:
                self._standing[note.alert.id] = note.alert
        finally:
            await self.notes.release(note)
            self._show()

    async def _replace(self, note: Note) -> None:
        self._waiting[note.name] = note
        await self.notes.put(note)

    async def _wait(self, seconds: float) -> None:
        self._news.clear()
        try:
            await asyncio.wait_for(self._news.wait(), max(0.01, seconds))
        except TimeoutError:
            return

    def _pause(self) -> float:
        """Seconds until the channel takes another message."""
        now = asyncio.get_running_loop().time()
        while self._sent and now - self._sent[0] >= 60:
            self._sent.popleft()
        return 0.0 if len(self._sent) < self.channel.per_minute else 60 - (now - self._sent[0])

    def _show(self) -> None:
        metrics.NOTIFICATIONS_WAITING.labels(self.name).set(len(self._waiting))


class Dispatcher:
    """All channels.

    Parameters
    ----------
    link : base address of the console; empty for none.
    """

    def __init__(self, channels: Mapping[str, Channel], redis: Redis, namespace: str, link: str = "") -> None:
        self._channels = dict(channels)
        self._redis = redis
        self._namespace = namespace
        self._link = link
        self._tasks: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None
        self.queues: list[ChannelQueue] = []

    async def start(self) -> None:
        """Load what waits and begin to send."""
        self._session = aiohttp.ClientSession()
        for name, channel in self._channels.items():
            notes = NotificationLog(self._redis, self._namespace, name)
            sender = SENDERS[channel.kind](channel, self._session, self._link)
            queue = ChannelQueue(name, channel, sender, notes)
            await queue.load()
            self.queues.append(queue)
            self._tasks += [asyncio.create_task(queue.run()), asyncio.create_task(queue.remind())]

    async def offer(self, alert: Alert) -> None:
        """Take an alert's new state; it is noted for every channel when this returns."""
        now = datetime.now(UTC)
        for queue in self.queues:
            await queue.offer(alert, now)

    async def stop(self) -> None:
        """End; what waits is sent by the next run."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
        self._tasks, self.queues = [], []
