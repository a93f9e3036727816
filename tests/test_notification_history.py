"""What a channel is told of an alert whose state changes back and forth, and by two workers at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import msgspec
import pytest
from aiohttp import ClientSession
from prometheus_client import REGISTRY
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from alerts.delivery import dispatcher as dispatcher_module
from alerts.delivery.alertmanager import AlertmanagerSender
from alerts.delivery.channel import Channel
from alerts.delivery.dispatcher import ChannelQueue, Dispatcher
from alerts.delivery.history import LATE_SETTLES, SETTLES, Notification, NotificationHistory, Status, advance
from alerts.delivery.log import KEPT, NotificationLog
from alerts.delivery.sender import Sender
from alerts.errors import DeliveryError
from alerts.model import Alert, Severity, Silence, State, Text
from processors.days import SHANGHAI
from streams.local.local_redis import EmbeddedRedis
from streams.notify import Notifier
from streams.settings import Settings
from streams.stages.stage import CLOCK_CODEC, CLOCK_FIELD

NOW = datetime(2024, 7, 1, 2, tzinfo=UTC)
HOOK = Channel(kind="webhook", url="http://127.0.0.1/hook")  # type: ignore[arg-type]
F, R, S, P = State.FIRING, State.RESOLVED, State.SUPERSEDED, State.PENDING


def alert(state: State, **changes: Any) -> Alert:
    made = Alert(
        id="a1", rule="market_hot", severity=Severity.WARNING, subject="market", trade_date=date(2024, 6, 28),
        revision=0, state=state, available_at=NOW, raised_at=NOW, changed_at=NOW, figures={}, thresholds={},
        text=Text("hot", "热"), invalidation=Text("", ""), provenance=[],
    )  # fmt: skip
    return msgspec.structs.replace(made, **changes)


class Told:
    """A channel that sends whatever is due."""

    def __init__(self, channel: Channel = HOOK) -> None:
        self.channel = channel
        self.history: NotificationHistory | None = None
        self.now = NOW
        self.sent: list[State] = []

    def reads(self, state: State, sequence: int, **changes: Any) -> None:
        if self.history is not None and self.history.is_older(sequence):
            return
        known = () if self.history is None else self.history.notifications
        new = NotificationHistory(alert=alert(state, **changes), sequence=sequence, notifications=known)
        self.history = advance(new, self.channel, self.now)

    def later(self, by: timedelta = timedelta()) -> list[State]:
        self.now += by
        while self.history is not None:
            waiting = [n for n in self.history.notifications if n.status is Status.WAITING]
            if not waiting or waiting[0].due > self.now:
                break
            self.sent.append(waiting[0].alert.state)
            self.history = self.history.replaced(msgspec.structs.replace(waiting[0], status=Status.SENT))
        return self.sent


@pytest.mark.parametrize(
    ("read", "sent"),
    [
        ([F, R], [F, R]),
        ([F, R, F], [F, R, F]),  # a correction takes back the end
        ([F, R, F, R], [F, R, F, R]),
        ([F, S, F], [F, S, F]),
        ([F, F, R, R], [F, R]),  # evidence, acknowledgements
        ([P, F, R], [F, R]),
        ([R, F], [F]),
        ([F, R, S], [F, R, S]),
    ],
)
def test_every_change_of_state_is_sent_in_its_order(read: Sequence[State], sent: Sequence[State]) -> None:
    told = Told()
    for sequence, state in enumerate(read, 1):
        told.reads(state, sequence)
        told.later(SETTLES)
    assert told.sent == sent
    assert told.history is not None
    names = [one.name for one in told.history.notifications]
    assert len(set(names)) == len(names)
    assert names[0] == f"a1/{F}"


@pytest.mark.parametrize("past", [[F], [F, R], [F, S], [F, R, F], [F, R, S], [F, R, F, R]])
def test_a_past_that_is_published_again_is_not_sent_again(past: Sequence[State]) -> None:
    told = Told()
    for sequence, state in enumerate(past, 1):
        told.reads(state, sequence)
        told.later(SETTLES)
    before = list(told.sent)
    for sequence, state in enumerate(past, 1000):
        told.reads(state, sequence)
        told.later(timedelta(seconds=5))
    told.later(SETTLES * 2)
    assert told.sent == before


def test_messages_that_are_late_or_repeated_change_nothing() -> None:
    told = Told()
    told.reads(F, 5)
    told.later()
    told.reads(F, 9, figures={"ratio": 0.11})
    told.reads(R, 7)
    told.reads(F, 9)
    assert told.later(SETTLES) == [F]
    assert told.history is not None and told.history.reminds and told.history.alert.figures


def test_an_old_alert_that_fires_again_is_sent_where_the_channel_knows_it() -> None:
    told, other = Told(), Told()
    told.reads(F, 1)
    told.later()
    told.reads(R, 2)
    told.later()
    told.now += timedelta(days=30)
    other.now += timedelta(days=30)
    for one in (told, other):
        one.reads(F, 3)
        one.later(SETTLES)
    assert (told.sent, other.sent) == ([F, R, F], [])


def late(**changes: Any) -> dict[str, Any]:
    """The changes that make an alert a critical one whose feed was down for ten days, and that is still in force."""
    fired = {"severity": Severity.CRITICAL, "available_at": NOW - timedelta(days=10), "expires_on": date(2024, 7, 1)}
    return fired | changes


@pytest.mark.parametrize(
    ("changes", "sent"),
    [
        ({}, [F]),
        ({"expires_on": None}, [F]),  # behind the end of the calendar
        ({"expires_on": date(2024, 6, 30)}, []),
        ({"severity": Severity.WARNING}, []),
    ],
)
def test_an_old_alert_is_sent_where_it_is_critical_and_in_force(changes: dict[str, Any], sent: list[State]) -> None:
    told = Told()
    told.reads(F, 1, **late(**changes))
    assert told.later(LATE_SETTLES - timedelta(seconds=1)) == []
    told.reads(F, 2, **late(**changes), silence=Silence(id="s", until=NOW, by="li"))
    assert told.later() == []
    assert told.later(timedelta(seconds=1)) == sent
    told.reads(R, 3, **late(**changes))
    assert told.later() == (sent and [F, R])  # an end does not wait


@pytest.mark.parametrize("end", [R, S])
def test_a_critical_alert_of_a_backfill_is_not_sent_if_its_end_is_read_soon(end: State) -> None:
    told = Told()
    told.reads(F, 1, **late())
    told.later(LATE_SETTLES / 2)
    told.reads(end, 2, **late())
    assert told.later(LATE_SETTLES) == []


def test_what_a_silence_holds_back_is_dropped_when_it_ends_and_sent_when_it_fires_again() -> None:
    told = Told()
    silence = Silence(id="s", until=NOW + timedelta(hours=1), by="li")
    told.reads(F, 1, silence=silence)
    told.reads(R, 2)
    assert told.later(timedelta(hours=2)) == []
    told.reads(F, 3)
    assert told.later(SETTLES) == [F]


def test_an_end_that_a_silence_holds_back_is_sent_when_the_silence_ends_early() -> None:
    told = Told()
    told.reads(F, 1)
    told.later()
    told.reads(R, 2, silence=Silence(id="s", until=NOW + timedelta(days=7), by="li"))
    assert told.later(timedelta(hours=1)) == [F]
    told.reads(R, 3)
    assert told.later() == [F, R]


@pytest.mark.parametrize("between", [[], [R]])
def test_who_was_sent_an_alert_learns_within_a_silence_that_it_is_withdrawn(between: list[State]) -> None:
    told = Told()
    told.reads(F, 1)
    told.later()
    silence = Silence(id="s", until=NOW + timedelta(days=7), by="li")
    for sequence, state in enumerate([F, *between, S], 2):
        told.reads(state, sequence, silence=silence)
    assert told.later(SETTLES) == [F, S]
    assert told.later(timedelta(days=8)) == [F, S]


def test_a_withdrawal_waits_for_the_end_of_quiet_hours() -> None:
    told = Told(HOOK.model_copy(update={"quiet": "10:30-12:00"}))  # NOW is 10:00 in Shanghai
    told.reads(F, 1)
    told.later(timedelta(hours=1))
    told.reads(S, 2)
    assert told.later() == [F]
    assert told.later(timedelta(hours=1)) == [F, S]


def test_an_alert_that_was_over_and_is_withdrawn_before_it_fires_again_is_sent_as_withdrawn() -> None:
    told = Told()
    for sequence, state in enumerate([F, R], 1):
        told.reads(state, sequence)
        told.later()
    for sequence, state in enumerate([F, S], 3):
        told.reads(state, sequence)
    assert told.later(SETTLES) == [F, R, S]


@pytest.mark.parametrize("end", [R, S])
def test_an_attempt_that_failed_may_have_been_delivered_and_its_end_is_sent_behind_it(end: State) -> None:
    told = Told()
    told.reads(F, 1)
    assert told.history is not None
    (begun,) = told.history.notifications
    told.history = told.history.replaced(msgspec.structs.replace(begun, attempts=1, due=NOW + timedelta(minutes=5)))
    told.reads(end, 2)
    assert told.later(timedelta(minutes=4)) == []
    assert told.later(timedelta(minutes=1)) == [F, end]


@pytest.mark.parametrize(("end", "due"), [(R, 60), (S, 60), (S, 0)])
def test_what_was_never_attempted_is_dropped_with_its_end(end: State, due: int) -> None:
    told = Told()
    told.reads(F, 1, silence=Silence(id="s", until=NOW + timedelta(minutes=due), by="li"))
    told.reads(end, 2)
    assert told.later(timedelta(hours=2)) == []


# -- two workers -----------------------------------------------------------------------------------------------


class CountingSender(Sender):
    def __init__(self) -> None:
        self.keys: list[str] = []
        self.failures: list[Exception] = []
        self.during: Callable[[], Any] | None = None

    async def send(self, alert: Alert, key: str = "") -> None:
        self.keys.append(key)
        if self.during is not None:
            during, self.during = self.during, None
            await during()
        if self.failures:
            raise self.failures.pop()


Made = tuple[CountingSender, list[ChannelQueue], Redis]


@asynccontextmanager
async def queues(server: EmbeddedRedis, count: int = 2) -> AsyncIterator[Made]:
    async with Redis.from_url(server.url) as redis:
        await redis.flushdb()
        sender = CountingSender()
        made = [ChannelQueue("hook", HOOK, sender, NotificationLog(redis, "t", "hook")) for _ in range(count)]
        yield sender, made, redis


async def send_due(*senders: ChannelQueue) -> None:
    """Let every queue attempt what is due, all at the same time."""

    async def one(queue: ChannelQueue) -> None:
        while (due := queue._next()) is not None and due.due <= datetime.now(UTC):
            await queue._attempt(due)

    await asyncio.gather(*(one(queue) for queue in senders))


def fresh(state: State) -> Alert:
    return alert(state, available_at=datetime.now(UTC))


def test_two_workers_that_read_the_same_messages_send_each_notification_once(redis_server: EmbeddedRedis) -> None:
    async def go() -> None:
        async with queues(redis_server) as (sender, both, _):
            now = datetime.now(UTC)
            for sequence, state in ((5, F), (9, R)):
                await asyncio.gather(*(queue.offer(fresh(state), sequence, now) for queue in both))
            await send_due(*both)
            await both[1].offer(fresh(F), 5, now)  # one of them was paused with what it had read
            await send_due(*both)
            assert sender.keys == [f"a1/{F}", f"a1/{R}"]

    asyncio.run(go())


def test_a_worker_does_not_send_again_what_another_has_sent_since_it_looked(redis_server: EmbeddedRedis) -> None:
    async def go() -> None:
        async with queues(redis_server) as (sender, (one, other), _):
            now = datetime.now(UTC)
            await one.offer(fresh(F), 5, now)
            await other.load()
            seen = other._next()
            assert seen is not None

            async def second() -> None:  # while the first is sending
                await other._attempt(seen)

            sender.during = second
            await send_due(one)
            await other._attempt(seen)
            await other.offer(fresh(F), 6, now)  # new evidence
            await send_due(one, other)
            assert sender.keys == [f"a1/{F}"]

    asyncio.run(go())


def test_an_end_that_comes_while_the_beginning_is_being_sent_is_sent_behind_it(redis_server: EmbeddedRedis) -> None:
    async def go() -> None:
        async with queues(redis_server, 1) as (sender, (queue,), _):
            now = datetime.now(UTC)
            await queue.offer(fresh(F), 5, now)

            async def superseded() -> None:
                await queue.offer(fresh(S), 6, now)

            sender.during = superseded
            await send_due(queue)
            assert sender.keys == [f"a1/{F}", f"a1/{S}"]

    asyncio.run(go())


@pytest.mark.parametrize(
    ("failure", "shown"),
    [
        (DeliveryError("refused"), "refused"),
        (ValueError("https://host/t0ken"), "the sender has failed: ValueError in "),  # its text may be secret
    ],
)
def test_a_failed_attempt_is_repeated_under_the_same_key_and_after_a_restart(
    failure: Exception, shown: str, redis_server: EmbeddedRedis
) -> None:
    async def go() -> None:
        async with queues(redis_server) as (sender, (one, other), redis):
            sender.failures = [failure]
            await one.offer(fresh(F), 5, datetime.now(UTC))
            await send_due(one)
            (failed,) = await NotificationLog(redis, "t", "hook").all()
            assert (failed.status, failed.attempts) == (Status.WAITING, 1)
            assert failed.error.startswith(shown)
            assert "t0ken" not in failed.error
            await other.load()
            while not len(sender.keys) > 1:
                await send_due(other)
                await asyncio.sleep(0.05)
            assert sender.keys == [f"a1/{F}"] * 2
            (sent,) = await NotificationLog(redis, "t", "hook").all()
            assert (sent.status, sent.attempts, sent.error) == (Status.SENT, 2, "")

    asyncio.run(go())


class SlowLog(NotificationLog):
    """A log in Redis whose answers can be late, or missing."""

    late_s, failures = 0.0, 0

    async def change(self, *arguments: Any) -> NotificationHistory | None:
        if self.failures:
            self.failures -= 1
            raise RedisConnectionError("it is away")
        late_s, self.late_s = self.late_s, 0.0
        found = await super().change(*arguments)
        await asyncio.sleep(late_s)
        return found


def test_what_is_read_while_the_outcome_of_an_attempt_is_written_late_is_sent(redis_server: EmbeddedRedis) -> None:
    async def go() -> None:
        async with Redis.from_url(redis_server.url) as redis:
            await redis.flushdb()
            sender, slow = CountingSender(), SlowLog(redis, "t", "hook")
            queue = ChannelQueue("hook", HOOK, sender, slow)
            await queue.offer(fresh(F), 5, datetime.now(UTC))

            async def late() -> None:
                slow.late_s = 0.5

            sender.during = late
            sending = asyncio.create_task(send_due(queue))
            while not any(one.status is Status.SENT for one in await slow.all()):
                await asyncio.sleep(0.01)
            await queue.offer(fresh(R), 6, datetime.now(UTC))
            await sending
            await send_due(queue)
            assert sender.keys == [f"a1/{F}", f"a1/{R}"]

    asyncio.run(go())


def test_what_a_channel_accepted_is_sent_once_though_redis_was_away_for_a_while(
    redis_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher_module, "_REDIS_WAIT_S", 0.1)

    async def go() -> None:
        async with Redis.from_url(redis_server.url) as redis:
            await redis.flushdb()
            sender, slow = CountingSender(), SlowLog(redis, "t", "hook")
            queue = ChannelQueue("hook", HOOK.model_copy(update={"timeout_s": 0.05}), sender, slow)
            await queue.offer(fresh(F), 5, datetime.now(UTC))

            async def away() -> None:
                slow.failures = 5

            sender.during = away
            sending = asyncio.create_task(queue.run())
            async with asyncio.timeout(20):
                while not any(one.status is Status.SENT for one in await slow.all()):
                    await asyncio.sleep(0.01)
            sending.cancel()
            assert sender.keys == [f"a1/{F}"]

    asyncio.run(go())


def test_the_notification_of_an_alert_that_fires_is_kept(redis_server: EmbeddedRedis) -> None:
    async def go() -> None:
        async with queues(redis_server, 1) as (sender, (queue,), _):
            for number, states in enumerate(((F,), (F, R))):
                for sequence, state in enumerate(states, 1):
                    one = msgspec.structs.replace(fresh(state), id=f"a{number}")
                    await queue.offer(one, sequence, datetime.now(UTC))
                    await send_due(queue)
            await queue.notifications.prune(datetime.now(UTC))
            assert [one.name for one in await queue.notifications.all()] == [f"a0/{F}"]  # else it would be sent again
            assert len(sender.keys) == 3

    asyncio.run(go())


class SlowAlertmanager(AlertmanagerSender):
    """Notes what arrives, in its order; a reminder takes as long as ``arrives`` says."""

    def __init__(self, session: ClientSession) -> None:
        super().__init__(HOOK.model_copy(update={"kind": "alertmanager"}), session, "")
        self.arrived: list[State] = []
        self.reminds, self.arrives = asyncio.Event(), asyncio.Event()

    async def send(self, alert: Alert, key: str = "") -> None:
        self.arrived.append(alert.state)

    async def send_all(self, alerts: list[Alert]) -> None:
        self.reminds.set()
        await self.arrives.wait()
        self.arrived += [one.state for one in alerts]


def test_a_reminder_on_its_way_does_not_reach_alertmanager_behind_the_end_of_its_alert(
    redis_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher_module, "RESEND_S", 0.001)

    async def go() -> None:
        async with Redis.from_url(redis_server.url) as redis, ClientSession() as session:
            await redis.flushdb()
            sender = SlowAlertmanager(session)
            queue = ChannelQueue("am", sender.channel, sender, NotificationLog(redis, "t", "am"))
            await queue.offer(fresh(F), 5, datetime.now(UTC))
            await send_due(queue)
            reminding = asyncio.create_task(queue.resend())
            await sender.reminds.wait()
            await queue.offer(fresh(R), 6, datetime.now(UTC))
            ending = asyncio.create_task(send_due(queue))
            while not any(one.attempts for one in await queue.notifications.all() if one.alert.state is R):
                await asyncio.sleep(0.001)
            sender.arrives.set()
            await ending
            assert sender.arrived == [F, F, R]
            reminding.cancel()

    asyncio.run(go())


def counting(redis: Redis, channel: Channel) -> tuple[CountingSender, Dispatcher, ChannelQueue]:
    """A dispatcher whose only queue sends to a sender that counts."""
    sender, dispatcher = CountingSender(), Dispatcher({}, redis, "t", ClientSession)
    queue = ChannelQueue("hook", channel, sender, NotificationLog(redis, "t", "hook"), dispatcher.clock)
    dispatcher.queues = [queue]
    return sender, dispatcher, queue


def test_old_notifications_are_removed_while_the_worker_runs(redis_server: EmbeddedRedis) -> None:
    begin = datetime(2024, 7, 1, 9, 0, tzinfo=SHANGHAI)

    async def go() -> None:
        async with Redis.from_url(redis_server.url) as redis:
            await redis.flushdb()
            sender, dispatcher, queue = counting(redis, HOOK)
            dispatcher.set_clock(begin)
            await queue.load()
            sending = asyncio.create_task(queue.run())
            for sequence, state in ((5, F), (6, R)):
                await queue.offer(alert(state, available_at=begin), sequence, begin)
                while len(sender.keys) < sequence - 4:
                    await asyncio.sleep(0.01)
            while any(one.sent is None for one in await queue.notifications.all()):
                await asyncio.sleep(0.01)
            dispatcher.set_clock(begin + KEPT + timedelta(days=1))
            async with asyncio.timeout(5):
                while await queue.notifications.all() or await redis.exists("t:notify:hook:alerts"):
                    await asyncio.sleep(0.01)
            sending.cancel()

    asyncio.run(go())


def test_what_waits_is_sent_once_though_redis_was_emptied(redis_server: EmbeddedRedis) -> None:
    async def go() -> None:
        async with queues(redis_server, 1) as (sender, (queue,), redis):
            sender.failures = [DeliveryError("it is down")]
            await queue.offer(fresh(F), 5, datetime.now(UTC))
            await send_due(queue)
            await queue.offer(fresh(R), 9, datetime.now(UTC))
            await redis.flushdb()
            for _ in range(100):  # the repetition of the failed attempt is due after a second
                if (due := queue._next()) is not None and due.due <= datetime.now(UTC):
                    await queue._attempt(due)
                await asyncio.sleep(0.02)
            assert sender.keys == [f"a1/{F}", f"a1/{F}", f"a1/{R}"]
            await queue.offer(fresh(F), 5, datetime.now(UTC))  # state that is computed again repeats the past
            await queue.offer(fresh(R), 9, datetime.now(UTC))
            await send_due(queue)
            assert len(sender.keys) == 3

    asyncio.run(go())


def test_refused_messages_count_for_the_rate_limit(redis_server: EmbeddedRedis) -> None:
    async def go() -> None:
        async with queues(redis_server, 1) as (sender, (queue,), _):
            sender.failures = [DeliveryError("send too fast")] * HOOK.per_minute
            for number in range(HOOK.per_minute):
                assert queue._pause() == 0
                await queue.offer(msgspec.structs.replace(fresh(F), id=f"a{number}"), 1, datetime.now(UTC))
            await send_due(queue)
            assert 50 < queue._pause() <= 60

    asyncio.run(go())


def test_notifications_of_the_release_before_are_not_sent_again(redis_server: EmbeddedRedis) -> None:
    async def go() -> None:
        async with queues(redis_server, 1) as (sender, (queue,), redis):
            now = datetime.now(UTC)
            for minute, state in enumerate((F, R)):
                made = Notification(
                    alert=fresh(state), status=Status.SENT, due=now, written=now + timedelta(minutes=minute)
                )
                await redis.hset("t:notify:hook", made.name, msgspec.json.encode(made))
            await queue.load()
            for sequence, state in ((1000, F), (1001, R)):  # the alerts are computed again
                await queue.offer(fresh(state), sequence, now)
            await send_due(queue)
            assert queue._next() is None
            assert sender.keys == []

    asyncio.run(go())


def test_alertmanager_is_reminded_of_an_alert_that_fires_again(redis_server: EmbeddedRedis) -> None:
    async def go() -> None:
        async with queues(redis_server, 1) as (_, (queue,), _redis):
            now = datetime.now(UTC)
            reminded = []
            for sequence, state in enumerate((F, R, F), 1):
                await queue.offer(fresh(state), sequence, now - SETTLES)
                await send_due(queue)
                reminded.append(list(queue._firing))
            assert reminded == [["a1"], [], ["a1"]]

    asyncio.run(go())


def test_quiet_hours_and_the_age_of_alerts_follow_the_clock_of_a_replay(redis_server: EmbeddedRedis) -> None:
    night, morning = datetime(2024, 7, 1, 22, 0, tzinfo=SHANGHAI), datetime(2024, 7, 2, 7, 31, tzinfo=SHANGHAI)
    quiet = Channel(kind="webhook", url="http://127.0.0.1/hook", quiet="21:00-07:30")  # type: ignore[arg-type]

    async def go() -> None:
        async with Redis.from_url(redis_server.url) as redis:
            await redis.flushdb()
            sender, dispatcher, queue = counting(redis, quiet)
            await dispatcher.offer(alert(F), 5)
            assert queue._next() is None  # years old by the machine's clock
            dispatcher.set_clock(night)
            await dispatcher.offer(alert(F), 6)
            sending = asyncio.create_task(queue.run())
            (waiting,) = queue._waiting.values()
            assert waiting[0].due == datetime(2024, 7, 2, 7, 30, tzinfo=SHANGHAI)
            dispatcher.set_clock(morning)
            while not sender.keys:
                await asyncio.sleep(0.01)
            sending.cancel()
            (sent,) = await queue.notifications.all()
            assert sent.written < morning - timedelta(hours=9)

    asyncio.run(go())


def test_only_what_is_due_counts_as_waiting_and_nothing_once_the_worker_sends_no_more(
    redis_server: EmbeddedRedis,
) -> None:
    night, morning = datetime(2024, 7, 1, 22, 0, tzinfo=SHANGHAI), datetime(2024, 7, 2, 7, 31, tzinfo=SHANGHAI)
    quiet = HOOK.model_copy(update={"quiet": "21:00-07:30"})

    async def waiting(count: int | None) -> None:
        async with asyncio.timeout(5):
            while REGISTRY.get_sample_value("marginwatch_notifications_waiting", {"channel": "hook"}) != count:
                await asyncio.sleep(0.01)

    async def go() -> None:
        async with Redis.from_url(redis_server.url) as redis:
            await redis.flushdb()
            sender, dispatcher, queue = counting(redis, quiet)
            dispatcher.set_clock(night)
            silence = Silence(id="s", until=morning + timedelta(hours=1), by="li")
            for name, silenced in (("quiet", None), ("silent", silence)):
                await dispatcher.offer(alert(F, id=name, available_at=night, silence=silenced), 5)
            dispatcher._tasks = [asyncio.create_task(queue.run())]
            await waiting(0)
            sender.failures = [DeliveryError("refused")]
            dispatcher.set_clock(morning)
            await waiting(1)  # also until the next attempt is due
            await waiting(0)
            assert sender.keys == [f"quiet/{F}"] * 2
            await dispatcher.stop()
            await waiting(None)

    asyncio.run(go())


def test_a_notifier_that_starts_within_a_replay_takes_its_clock(redis_server: EmbeddedRedis) -> None:
    night = datetime(2024, 7, 1, 22, 0, tzinfo=UTC)

    async def go() -> None:
        async with Redis.from_url(redis_server.url) as redis:
            await redis.flushdb()
            await redis.hset("t:{alerts:0}:rows", CLOCK_FIELD, CLOCK_CODEC.encode(night))  # type: ignore[misc]
            notifier, clocks = Notifier(Settings(namespace="t"), redis), list[datetime | None]()
            consumer = SimpleNamespace(getmany=AsyncMock(return_value={}), assignment=lambda: [0])
            dispatcher = SimpleNamespace(set_clock=clocks.append, start=AsyncMock(), check=notifier._stopped.set)
            await notifier._notify_of(consumer, dispatcher)  # type: ignore[arg-type]
            assert clocks == [night]

    asyncio.run(go())
