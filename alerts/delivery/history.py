"""The notifications of one alert to one channel: those sent, and those still to be sent.

A channel is notified of every change of an alert's state, in the order of the messages (their sequence), also when an alert
fires again that had ended. The first beginning and the first end are sent when they are due. A later change waits
`SETTLES`: state that is computed again (an emptied Redis, another release) repeats the past within seconds, and a
change that is taken back meanwhile is not sent.

A withdrawal (`State.SUPERSEDED`) goes to each channel that was notified of the alert; notifications that still wait are dropped,
and no silence delays it.

A channel is not notified of an alert that was published longer ago than its ``max_age_days``, unless the alert is critical
and still in force: the feed was down when it began. Its beginning waits `LATE_SETTLES`, as a backfill reads its end soon.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

import msgspec

from alerts.delivery.channel import Channel
from alerts.model import Alert, Severity, State
from processors.days import shanghai_date

#: How long a change of state waits that is not the first of its kind.
SETTLES = timedelta(minutes=1)
#: How long the beginning of an alert waits that is older than its channel's ``max_age_days``.
LATE_SETTLES = timedelta(minutes=10)


class Status(StrEnum):
    """The state of a notification."""

    WAITING = "waiting"  # to be sent when it is due
    SENT = "sent"
    DROPPED = "dropped"  # the alert ended or was superseded before the first attempt


class Notification(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One alert in one state for one channel.

    Attributes
    ----------
    due : from when on it may be sent; while it is being sent, from when on another may try.
    sequence : of the message that changed the state; 0 for the first notification of this state.
    """

    alert: Alert
    status: Status
    due: datetime
    written: datetime
    attempts: int = 0
    error: str = ""
    sent: datetime | None = None
    sequence: int = 0

    @property
    def name(self) -> str:
        """The field of the hash; also the idempotency key."""
        return f"{self.alert.id}/{self.alert.state}" + (f"/{self.sequence}" if self.sequence else "")


class NotificationHistory(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a channel knows of an alert.

    Attributes
    ----------
    alert, sequence : the newest version that was read, and the sequence of its message.
    notifications : oldest first.
    """

    alert: Alert
    sequence: int
    notifications: tuple[Notification, ...] = ()

    @property
    def valid(self) -> list[Notification]:
        """The notifications that were sent or will be."""
        return [one for one in self.notifications if one.status is not Status.DROPPED]

    @property
    def reminds(self) -> bool:
        """Whether the channel was notified that the alert fires, and nothing has changed since."""
        last = self.valid[-1:]
        return bool(last) and last[0].status is Status.SENT and last[0].alert.state is self.alert.state is State.FIRING

    def replaced(self, notification: Notification) -> NotificationHistory:
        """Return the history with another version of the notification of the same name."""
        changed = tuple(notification if one.name == notification.name else one for one in self.notifications)
        return msgspec.structs.replace(self, notifications=changed)

    def is_older(self, sequence: int) -> bool:
        """Whether a message with this sequence is none that changes anything: repeated, or published late."""
        return bool(self.sequence) and sequence <= self.sequence


def advance(history: NotificationHistory, channel: Channel, now: datetime) -> NotificationHistory:
    """Return the history with what the newest version of the alert requires of the channel; the same where nothing."""
    alert, valid = history.alert, history.valid
    if alert.state is State.PENDING:
        return history
    last = valid[-1] if valid else None
    before = valid[-2] if len(valid) > 1 else None
    if last is not None and last.alert.state is alert.state:
        return history.replaced(_updated(last, alert, channel, now))
    if last is not None and before is not None and before.alert.state is alert.state and _untouched(last):
        history = history.replaced(msgspec.structs.replace(last, status=Status.DROPPED))
        return history.replaced(_updated(before, alert, channel, now))
    if alert.state is State.FIRING:
        known = bool(history.notifications)
        wanted = channel.wants(alert) and (known or not _is_late(alert, channel, now) or _in_force(alert, now))
        return _appended(history, channel, now) if wanted else history
    if last is None:
        return history  # the channel was not notified of the alert: nor is it of its end
    held_back = last.due > now  # by quiet hours, by a silence, or to settle
    unsent = _untouched(last)  # a failed attempt may have been delivered
    if unsent and alert.state is State.SUPERSEDED:  # an end that waits must not delay the withdrawal behind it
        return advance(history.replaced(msgspec.structs.replace(last, status=Status.DROPPED)), channel, now)
    if unsent and held_back and last.alert.state is State.FIRING:
        return history.replaced(msgspec.structs.replace(last, status=Status.DROPPED))
    return history if channel.omits(alert) else _appended(history, channel, now)


def _appended(history: NotificationHistory, channel: Channel, now: datetime) -> NotificationHistory:
    alert = history.alert
    beginning = alert.state is State.FIRING
    again = any((one.alert.state is State.FIRING) is beginning for one in history.notifications)
    named = any(one.alert.state is alert.state for one in history.notifications)
    notification = Notification(
        alert=alert,
        status=Status.WAITING,
        due=max(channel.due(alert, now), now + (SETTLES if again else _late_wait(alert, channel, now))),
        written=now,
        sequence=history.sequence if named else 0,
    )
    return msgspec.structs.replace(history, notifications=(*history.notifications, notification))


def _is_late(alert: Alert, channel: Channel, now: datetime) -> bool:
    return now - alert.available_at > timedelta(days=channel.max_age_days)


def _in_force(alert: Alert, now: datetime) -> bool:
    """Whether a firing alert is critical and its horizon not over; without a day it ends behind the calendar."""
    lasts = alert.expires_on is None or alert.expires_on >= shanghai_date(now)
    return alert.severity is Severity.CRITICAL and lasts


def _late_wait(alert: Alert, channel: Channel, written: datetime) -> timedelta:
    """Return how long the first notification of a state waits at least."""
    late = alert.state is State.FIRING and _is_late(alert, channel, written)
    return LATE_SETTLES if late else timedelta()


def _untouched(notification: Notification) -> bool:
    return notification.status is Status.WAITING and not notification.attempts


def _updated(notification: Notification, alert: Alert, channel: Channel, now: datetime) -> Notification:
    """Return a notification with a newer version of its alert; a silence may have begun or ended while it waits."""
    due = notification.due
    if _untouched(notification) and alert.silence != notification.alert.silence:
        written = notification.written
        wait = SETTLES if notification.sequence else _late_wait(alert, channel, written)
        due = max(channel.due(alert, now), written + wait)
    return msgspec.structs.replace(notification, alert=alert, due=due)
