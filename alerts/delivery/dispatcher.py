"""From alerts to notifications: every channel has its own queue, rate limit and backoff, and delays only itself.

A notification is written to Redis before it is sent, and marked as sent afterwards. An attempt is written before it is
made, so two workers never make one at the same time. A failed attempt is repeated with exponential backoff until the
channel accepts it: it may have been delivered, so what ends or withdraws the alert is sent behind it. One that some of
several recipients have accepted is not repeated; the error of the others is stored with it. A worker that dies
between the channel's answer and the mark sends that notification again under the same idempotency key: nothing is lost.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import aiohttp
import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from alerts.delivery import metrics
from alerts.delivery.alertmanager import RESEND_S, AlertmanagerSender
from alerts.delivery.channel import Channel
from alerts.delivery.history import Notification, NotificationHistory, Status, advance
from alerts.delivery.log import KEPT, NotificationLog
from alerts.delivery.sender import Sender
from alerts.delivery.senders import SENDERS
from alerts.errors import DeliveryError, PartialDeliveryError
from alerts.market_clock import MarketClock
from alerts.model import Alert
from alerts.rules.base import Scope

log = structlog.get_logger()
_FIRST_WAIT, _LONGEST_WAIT = timedelta(seconds=1), timedelta(minutes=5)
_REDIS_WAIT_S = 1.0
#: How often old notifications are removed.
_PRUNES_EVERY = timedelta(days=1)


class ChannelQueue:
    """The notifications of one channel: written, due, sent."""

    def __init__(
        self,
        name: str,
        channel: Channel,
        sender: Sender,
        notifications: NotificationLog,
        clock: MarketClock | None = None,
    ) -> None:
        self.name = name
        self._clock = clock or MarketClock()
        self.channel = channel
        self.sender = sender
        self.notifications = notifications
        self._waiting: dict[str, list[Notification]] = {}  # by alert, oldest first
        self._firing: dict[str, Alert] = {}  # resent to Alertmanager until they end
        self._wakeup = asyncio.Event()
        self._pruned = datetime.min.replace(tzinfo=UTC)  # on the market's clock
        self._attempts: deque[float] = deque()  # of the last minute; a service counts what it refuses, too
        self._changing = asyncio.Lock()
        self._sending = asyncio.Lock()  # else a reminder on its way may reach Alertmanager behind the end of its alert

    async def load(self) -> None:
        """Load the notifications of an earlier run."""
        await self._prune()
        for history in await self.notifications.histories():
            self._take(history)

    async def _prune(self) -> None:
        self._pruned = self._clock.now()
        await self.notifications.prune(self._pruned - KEPT)

    async def offer(self, alert: Alert, sequence: int, now: datetime) -> None:
        """Write the notification that a version of an alert requires of this channel.

        Parameters
        ----------
        sequence : of the message; one that is not above that of an earlier version changes nothing.
        """

        def change(history: NotificationHistory | None) -> NotificationHistory | None:
            if history is not None and history.is_older(sequence):
                return history
            known = () if history is None else history.notifications
            new = advance(NotificationHistory(alert=alert, sequence=sequence, notifications=known), self.channel, now)
            return new if new.notifications else history

        await self._change(alert.id, change)

    async def _change(
        self, alert: str, change: Callable[[NotificationHistory | None], NotificationHistory | None]
    ) -> None:
        async with self._changing:  # else a late answer of Redis would be taken for the newest
            history = await self.notifications.change(alert, change)
            if history is not None:
                self._take(history)
                self.wake()

    def wake(self) -> None:
        """Look again at what is due."""
        self._wakeup.set()

    def _take(self, history: NotificationHistory) -> None:
        """Remember what waits and what Alertmanager is reminded of."""
        waiting = [one for one in history.notifications if one.status is Status.WAITING]
        self._waiting.pop(history.alert.id, None)
        self._firing.pop(history.alert.id, None)
        if waiting:
            self._waiting[history.alert.id] = waiting
        if history.reminds:
            self._firing[history.alert.id] = history.alert

    async def run(self) -> None:
        """Send notifications as they become due, until cancelled; remove old ones once a day."""
        while True:
            now = self._clock.now()
            metrics.NOTIFICATIONS_WAITING.labels(self.name).set(self._overdue(now))
            if abs(now - self._pruned) >= _PRUNES_EVERY:  # a replay may set the clock back
                try:
                    await self._prune()
                except RedisError as error:
                    log.warning("old notifications were not removed", channel=self.name, error=str(error))
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
        """Return the notification that is due first; those of one alert are sent in their order."""
        first = (waiting[0] for waiting in self._waiting.values())
        return min(first, key=lambda n: (n.due, n.written, n.name), default=None)

    def _overdue(self, now: datetime) -> int:
        """Return how many notifications are due, or were attempted and are not accepted yet."""
        return sum(one.due <= now or one.attempts > 0 for waiting in self._waiting.values() for one in waiting)

    async def resend(self) -> None:
        """Resend the firing alerts to Alertmanager, which resolves an alert that is not sent again, with their silences."""
        if not isinstance(self.sender, AlertmanagerSender):
            return
        while True:
            await asyncio.sleep(RESEND_S)
            async with self._sending:
                firing = list(self._firing.values())
                if firing:
                    await self.sender.silence(firing, self._clock.now())
                    try:
                        await self.sender.send_all(firing)
                    except DeliveryError as error:
                        log.warning("firing alerts were not resent", channel=self.name, error=str(error))

    async def _attempt(self, wanted: Notification) -> None:
        notification = await self._begin(wanted)
        if notification is None:
            return  # another worker was faster, or it is not wanted any more
        name, alert, attempts = notification.name, notification.alert, notification.attempts
        self._attempts.append(asyncio.get_running_loop().time())
        refused = ""
        try:
            await self._send(alert, name)
        except PartialDeliveryError as error:
            refused = str(error)
            log.warning("notification refused by some recipients", channel=self.name, alert=alert.id, error=refused)
        except DeliveryError as error:
            metrics.NOTIFICATIONS.labels(self.name, "failed").inc()
            wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2 ** min(attempts - 1, 20))
            await self._mark(name, alert.id, error=str(error), due=self._clock.now() + wait)
            log.warning("notification failed", channel=self.name, alert=alert.id, attempts=attempts,
                        retry_in_s=wait.total_seconds(), error=str(error))  # fmt: skip
            return
        metrics.NOTIFICATIONS.labels(self.name, "sent").inc()
        await self._mark(name, alert.id, error=refused, status=Status.SENT, sent=self._clock.now())

    async def _mark(self, name: str, alert: str, **outcome: object) -> None:
        """Write the outcome of an attempt, however long Redis is away: without it the attempt would be repeated."""
        while True:
            try:
                return await self._end(name, alert, **outcome)
            except RedisError as error:
                log.warning("notification log does not answer", channel=self.name, error=str(error))
                await asyncio.sleep(_REDIS_WAIT_S)

    async def _send(self, alert: Alert, name: str) -> None:
        """Send a notification; whatever fails is a failed attempt, and the other notifications go on."""
        try:
            async with self._sending:
                await self.sender.send(alert, name)
        except DeliveryError:
            raise
        except Exception as error:  # noqa: BLE001 - its text may contain the address, which is secret
            frame = traceback.extract_tb(error.__traceback__)[-1]
            raise DeliveryError(
                f"the sender has failed: {type(error).__name__} in {frame.filename}:{frame.lineno}"
            ) from None

    async def _begin(self, wanted: Notification) -> Notification | None:
        """Write that an attempt is made, and return what is to be sent; no other worker makes one meanwhile."""
        now, begun = self._clock.now(), None

        def change(history: NotificationHistory | None) -> NotificationHistory | None:
            nonlocal begun
            begun = None
            if history is None:  # Redis was emptied: what waits is known here alone
                known = self._waiting.get(wanted.alert.id, [wanted])
                history = NotificationHistory(alert=known[-1].alert, sequence=0, notifications=tuple(known))
            waiting = [one for one in history.notifications if one.status is Status.WAITING]
            if not waiting or waiting[0].name != wanted.name or waiting[0].due > now:
                return history
            until = now + timedelta(seconds=2 * self.channel.timeout_s)
            begun = msgspec.structs.replace(waiting[0], attempts=waiting[0].attempts + 1, due=until)
            return history.replaced(begun)

        await self._change(wanted.alert.id, change)
        return begun

    async def _end(self, name: str, alert: str, **outcome: object) -> None:
        """Write the outcome of an attempt, and what the alert's newest version requires after it."""

        def change(history: NotificationHistory | None) -> NotificationHistory | None:
            for one in () if history is None else history.notifications:
                # What another worker has sent meanwhile stays sent.
                if history is not None and one.name == name and (one.status is Status.WAITING or "sent" in outcome):
                    changed = history.replaced(msgspec.structs.replace(one, **outcome))
                    return advance(changed, self.channel, self._clock.now())
            return history

        await self._change(alert, change)

    async def close(self) -> None:
        """End the sender behind `run`; what it has sent meanwhile is not sent again by the next run."""
        for name, refused in (await self.sender.close()).items():
            metrics.NOTIFICATIONS.labels(self.name, "sent").inc()
            try:
                await self._end(name, name.partition("/")[0], error=refused, status=Status.SENT, sent=self._clock.now())
            except RedisError as error:
                log.warning("notification log does not answer", channel=self.name, error=str(error))
        metrics.NOTIFICATIONS_WAITING.remove(self.name)  # another worker may send for the channel from here on

    async def _wait(self, seconds: float) -> None:
        self._wakeup.clear()
        try:
            await asyncio.wait_for(self._wakeup.wait(), max(0.01, seconds))
        except TimeoutError:
            return

    def _pause(self) -> float:
        """Return the seconds until the rate limit allows another attempt."""
        now = asyncio.get_running_loop().time()
        while self._attempts and now - self._attempts[0] >= 60:
            self._attempts.popleft()
        return 0.0 if len(self._attempts) < self.channel.per_minute else 60 - (now - self._attempts[0])


class Dispatcher:
    """The queues of all channels.

    Parameters
    ----------
    open_session : returns the HTTP session that all channels share.
    link, scopes : see `Sender`.
    """

    def __init__(
        self,
        channels: Mapping[str, Channel],
        redis: Redis,
        namespace: str,
        open_session: Callable[[], aiohttp.ClientSession],
        link: str = "",
        scopes: Mapping[str, Scope] = MappingProxyType({}),
    ) -> None:
        self._channels = dict(channels)
        self._open_session = open_session
        self._redis = redis
        self._namespace = namespace
        self._link = link
        self._scopes = scopes
        self.clock = MarketClock()
        self._tasks: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None
        self.queues: list[ChannelQueue] = []

    async def start(self) -> None:
        """Load the waiting notifications and begin to send."""
        self._session = self._open_session()
        for name, channel in self._channels.items():
            notifications = NotificationLog(self._redis, self._namespace, name)
            sender = SENDERS[channel.kind](channel, self._session, self._link, self._scopes)
            queue = ChannelQueue(name, channel, sender, notifications, self.clock)
            await queue.load()
            self.queues.append(queue)
            self._tasks += [asyncio.create_task(queue.run()), asyncio.create_task(queue.resend())]

    async def offer(self, alert: Alert, sequence: int) -> None:
        """Write the notifications of a version of an alert; those of every channel are stored when this returns.

        Parameters
        ----------
        sequence : of the message.
        """
        now = self.clock.now()
        for queue in self.queues:
            await queue.offer(alert, sequence, now)

    def set_clock(self, at: datetime | None) -> None:
        """Set the market's clock, see `MarketClock.set`: what has become due is sent."""
        self.clock.set(at)
        for queue in self.queues:
            queue.wake()

    def check(self) -> None:
        """Raise the error of a channel that has ended: none does by itself."""
        for task in self._tasks:
            if task.done() and (error := task.exception()) is not None:
                raise error

    async def stop(self) -> None:
        """Stop sending; the next run sends the waiting notifications."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(queue.close() for queue in self.queues))
        if self._session is not None:
            await self._session.close()
        self._tasks, self.queues = [], []
