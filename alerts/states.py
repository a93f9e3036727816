"""What the evaluations of a subject lead to: the status of every alert that they begin, and what is in progress."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import msgspec

from alerts.model import Alert, EndedBy, State
from alerts.rules.base import Condition, Rule
from alerts.subject import DayEvaluation, Progress, Subject
from processors.days import TradingCalendar, to_date, to_day


@dataclass(frozen=True, slots=True)
class Status:
    """The state of an alert, the day on which it began to fire, the day that ended it, and why."""

    state: State
    fired_on: date | None = None
    ends: date | None = None
    ended_by: EndedBy | None = None

    def of(self, alert: Alert) -> bool:
        """Whether an alert has this status."""
        return (alert.state, alert.fired_on, alert.resolved_on, alert.ended_by) == (
            self.state, self.fired_on, self.ends, self.ended_by
        )  # fmt: skip


#: Statuses by the day on which their alert begins; None where a day that has an alert begins none any more.
Statuses = dict[date, Status | None]


class AlertStates:
    """Follows the evaluations of a subject, day by day.

    Methods return the progress behind the last day, and every status that a change can have touched.
    """

    def __init__(self, calendar: TradingCalendar) -> None:
        self._calendar = calendar

    def all(self, rule: Rule, subject: Subject, today: date) -> tuple[Progress, Statuses]:
        """Follow all evaluations of a subject.

        Parameters
        ----------
        today : the newest trade date; it may have reached the horizon of the last alert.
        """
        return self._follow(rule, subject.base, subject, subject.days, today)

    def after(self, rule: Rule, head: Progress, subject: Subject, day: date, today: date) -> tuple[Progress, Statuses]:
        """Follow the evaluation of a day behind all others; these have led to ``head``."""
        return self._follow(rule, head, subject, [day], today)

    def around(
        self, rule: Rule, head: Progress, subject: Subject, changed: date, today: date
    ) -> tuple[Progress, Statuses]:
        """Follow the evaluations from the last fact before a changed day up to the first one behind it.

        A fact that raises an alert leads to the same, whatever was before it. So where there is one behind the day,
        what follows stays as it is, and ``head`` is still what all evaluations lead to.
        """
        days = list(subject.days)
        start = bisect_left(days, changed)
        while start and not subject.days[days[start - 1]].is_fact:
            start -= 1
        before = Progress(days[start - 1], fired_on=days[start - 1]) if start else subject.base
        for end in range(start, len(days)):
            fact = days[end]
            if fact > changed and subject.days[fact].is_fact:
                progress, statuses = self._follow(rule, before, subject, days[start : end + 1], fact)
                if progress == Progress(fact, fired_on=fact):
                    del statuses[fact]  # only what is behind it says how it ends
                    return head, statuses
        return self._follow(rule, before, subject, days[start:], today)

    def _follow(
        self, rule: Rule, progress: Progress, subject: Subject, days: Iterable[date], today: date
    ) -> tuple[Progress, Statuses]:
        """Return what ascending days lead to, and the status of every alert in progress before or on them."""
        statuses: Statuses = {}
        if progress.begun is not None and not progress.expired:
            statuses[progress.begun] = _status(progress)
        for day in days:
            entry = subject.days[day]
            if entry.alert:
                statuses.setdefault(day, None)
            progress = self.step(rule, progress, day, entry, statuses)
        self._check_horizon(rule, progress, today, statuses)
        return progress, statuses

    def step(self, rule: Rule, before: Progress, day: date, entry: DayEvaluation, statuses: Statuses) -> Progress:
        """Return the progress after one evaluation; write the statuses that it changes."""
        before = self._check_horizon(rule, before, day, statuses)
        if entry.condition is Condition.ABSENT:
            return before
        if before.begun is None and before.rest:
            return Progress(rest=before.rest - 1)
        ends = entry.condition in (Condition.FIRE, Condition.END)
        if ends and before.begun is not None and not before.expired:
            reason = EndedBy.NEXT_FACT if entry.condition is Condition.FIRE else entry.ended_by
            statuses[before.begun] = Status(State.RESOLVED, before.fired_on, day, reason)
        after = before
        if entry.condition is Condition.END:
            after = Progress(rest=0 if before.begun is None else rule.cooldown_days)
        elif entry.condition is Condition.FIRE:
            after = Progress(day, fired_on=day)
        elif entry.condition is Condition.ON and before.fired_on is None and not before.expired:
            true_days = before.true_days + 1
            after = Progress(before.begun or day, true_days, day if true_days >= rule.minimum_days else None)
        if after is not before and after.begun is not None:
            statuses[after.begun] = _status(after)
        return after

    def expiry(self, rule: Rule, begun: date) -> date | None:
        """Return the session on which an alert expires; None where the calendar ends before it."""
        day = self._calendar.after(to_day(begun), rule.horizon_days)
        return None if day is None else to_date(day)

    def _check_horizon(self, rule: Rule, progress: Progress, today: date, statuses: Statuses) -> Progress:
        """Return the progress as expired, and write the status, where a day has reached the horizon."""
        if progress.begun is None or progress.expired:
            return progress
        end = self.expiry(rule, progress.begun)
        if end is None or today < end:
            return progress
        statuses[progress.begun] = Status(State.RESOLVED, progress.fired_on, end, EndedBy.HORIZON)
        return msgspec.structs.replace(progress, expired=True)


def _status(progress: Progress) -> Status:
    """Return the status of an alert in progress that has not expired."""
    return Status(State.PENDING if progress.fired_on is None else State.FIRING, progress.fired_on)
