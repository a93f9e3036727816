"""From alerts to notifications: every channel has its own queue, rate limit and backoff, and delays only itself.

A notification is written to Redis before it is sent, and marked as sent afterwards. A failed attempt is repeated with
exponential backoff until the alert is superseded. A worker that dies between the channel's answer and the mark sends
that notification again under the same idempotency key: nothing is lost.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import aiohttp
import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from alerts.delivery import metrics
from alerts.delivery.channel import Channel
from alerts.delivery.log import KEPT, Notification, NotificationLog, Status
from alerts.delivery.senders import RESEND_S, SENDERS, AlertmanagerSender, Sender
from alerts.errors import DeliveryError
from alerts.model import Alert, State

log = structlog.get_logger()
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=1), timedelta(minutes=5)
_REDIS_WAIT_S = 1.0


class ChannelQueue:
    """The notifications of one channel: written, due, sent."""

    def __init__(self, name: str, channel: Channel, sender: Sender, notifications: NotificationLog) -> None:
        self.name = name
        self.channel = channel
        self.sender = sender
        self.notifications = notifications
        self._waiting: dict[str, Notification] = {}
        self._firing: dict[str, Alert] = {}  # resent to Alertmanager until they end
        self._wakeup = asyncio.Event()
        self._sent: deque[float] = deque()

    async def load(self) -> None:
        """Load the notifications of an earlier run."""
        await self.notifications.prune(datetime.now(UTC) - KEPT)
        for notification in await self.notifications.all():
            if notification.status is Status.WAITING:
                self._waiting[notification.name] = notification
            elif notification.status is Status.SENT and notification.alert.state is State.FIRING:
                self._firing[notification.alert.id] = notification.alert
        for notification in await self.notifications.all():
            if notification.alert.state is not State.FIRING:
                self._firing.pop(notification.alert.id, None)
        self._observe()

    async def offer(self, alert: Alert, now: datetime) -> None:
        """Write the notification that an alert's new state requires of this channel."""
        if not self.channel.wants(alert) or alert.state is State.PENDING:
            return
        if alert.state is State.FIRING:
            await self._offer_firing(alert, now)
            return
        first = await self.notifications.get(alert.id, State.FIRING)
        if first is None:
            return  # the channel was not notified of the alert: nor is it of its end
        held_back = not first.attempts and first.due > now  # by quiet hours or a silence
        if first.status is Status.WAITING and (held_back or alert.state is State.SUPERSEDED):
            self._waiting.pop(first.name, None)
            await self.notifications.put(msgspec.structs.replace(first, status=Status.DROPPED))
        elif first.status is not Status.DROPPED and not self.channel.omits(alert):
            await self._enqueue(alert, self.channel.due(alert, now), now)
        self._firing.pop(alert.id, None)
        self._observe()

    async def _offer_firing(self, alert: Alert, now: datetime) -> None:
        name = f"{alert.id}/{alert.state}"
        if name in self._waiting:  # a silence began or ended while it waited
            waiting = self._waiting[name]
            due = self.channel.due(alert, now) if not waiting.attempts else waiting.due
            await self._replace(msgspec.structs.replace(waiting, alert=alert, due=due))
            self._wakeup.set()
        elif now - alert.available_at <= timedelta(days=self.channel.max_age_days):
            await self._enqueue(alert, self.channel.due(alert, now), now)

    async def _enqueue(self, alert: Alert, due: datetime, now: datetime) -> None:
        notification = Notification(alert=alert, status=Status.WAITING, due=due, written=now)
        if await self.notifications.add(notification):
            self._waiting[notification.name] = notification
            self._wakeup.set()
            self._observe()

    async def run(self) -> None:
        """Send notifications as they become due, until cancelled."""
        while True:
            now = datetime.now(UTC)
            due = self._next()
            if due is None or due.due > now:
                wait = RESEND_S if due is None else min(RESEND_S, (due.due - now).total_seconds())
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

    def _next(self) -> Notification | None:
        """Return the notification that is due first; the end of an alert is sent after its beginning."""
        ready = (
            n
            for n in self._waiting.values()
            if n.alert.state is State.FIRING or f"{n.alert.id}/{State.FIRING}" not in self._waiting
        )
        return min(ready, key=lambda n: (n.due, n.written, n.name), default=None)

    async def resend(self) -> None:
        """Resend the firing alerts to Alertmanager, which resolves an alert that is not sent again."""
        if not isinstance(self.sender, AlertmanagerSender):
            return
        while True:
            await asyncio.sleep(RESEND_S)
            firing = list(self._firing.values())
            if firing:
                try:
                    await self.sender.send_all(firing)
                except DeliveryError as error:
                    log.warning("firing alerts were not resent", channel=self.name, error=str(error))

    async def _attempt(self, notification: Notification) -> None:
        if not await self.notifications.lease(notification, self.channel.timeout_s * 2):
            await self._replace(
                msgspec.structs.replace(notification, due=notification.due + timedelta(seconds=self.channel.timeout_s))
            )
            return
        stored = await self.notifications.get(notification.alert.id, notification.alert.state)
        if stored is not None and stored.status is not Status.WAITING:
            self._waiting.pop(notification.name, None)  # another worker was faster
            return
        try:
            await self.sender.send(notification.alert)
        except DeliveryError as error:
            metrics.NOTIFICATIONS.labels(self.name, "failed").inc()
            wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(notification.attempts, 20))
            retry = msgspec.structs.replace(
                notification, attempts=notification.attempts + 1, error=str(error), due=datetime.now(UTC) + wait
            )
            await self._replace(retry)
            log.warning("notification failed", channel=self.name, alert=notification.alert.id, attempts=retry.attempts,
                        retry_in_s=wait.total_seconds(), error=str(error))  # fmt: skip
        else:
            metrics.NOTIFICATIONS.labels(self.name, "sent").inc()
            self._sent.append(asyncio.get_running_loop().time())
            await self.notifications.put(
                msgspec.structs.replace(
                    notification,
                    status=Status.SENT,
                    sent=datetime.now(UTC),
                    attempts=notification.attempts + 1,
                    error="",
                )
            )
            self._waiting.pop(notification.name, None)
            if notification.alert.state is State.FIRING:
                self._firing[notification.alert.id] = notification.alert
        finally:
            await self.notifications.release(notification)
            self._observe()

    async def _replace(self, notification: Notification) -> None:
        self._waiting[notification.name] = notification
        await self.notifications.put(notification)

    async def _wait(self, seconds: float) -> None:
        self._wakeup.clear()
        try:
            await asyncio.wait_for(self._wakeup.wait(), max(0.01, seconds))
        except TimeoutError:
            return

    def _pause(self) -> float:
        """Return the seconds until the rate limit allows another message."""
        now = asyncio.get_running_loop().time()
        while self._sent and now - self._sent[0] >= 60:
            self._sent.popleft()
        return 0.0 if len(self._sent) < self.channel.per_minute else 60 - (now - self._sent[0])

    def _observe(self) -> None:
        metrics.NOTIFICATIONS_WAITING.labels(self.name).set(len(self._waiting))


class Dispatcher:
    """The queues of all channels.

    Parameters
    ----------
    open_session : returns the HTTP session that all channels share.
    link : base address of the console; empty for none.
    """

    def __init__(
        self,
        channels: Mapping[str, Channel],
        redis: Redis,
        namespace: str,
        open_session: Callable[[], aiohttp.ClientSession],
        link: str = "",
    ) -> None:
        self._channels = dict(channels)
        self._open_session = open_session
        self._redis = redis
        self._namespace = namespace
        self._link = link
        self._tasks: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None
        self.queues: list[ChannelQueue] = []

    async def start(self) -> None:
        """Load the waiting notifications and begin to send."""
        self._session = self._open_session()
        for name, channel in self._channels.items():
            notifications = NotificationLog(self._redis, self._namespace, name)
            sender = SENDERS[channel.kind](channel, self._session, self._link)
            queue = ChannelQueue(name, channel, sender, notifications)
            await queue.load()
            self.queues.append(queue)
            self._tasks += [asyncio.create_task(queue.run()), asyncio.create_task(queue.resend())]

    async def offer(self, alert: Alert) -> None:
        """Write the notifications of an alert's new state; those of every channel are stored when this returns."""
        now = datetime.now(UTC)
        for queue in self.queues:
            await queue.offer(alert, now)

    async def stop(self) -> None:
        """Stop sending; the next run sends the waiting notifications."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()
        self._tasks, self.queues = [], []
