"""Fetching from a source: every trade date since the first one wanted, once it is due."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

import structlog

from feeds.errors import ConfigurationError, GoneError, InputError, NotPublishedError
from feeds.files.dataset import SourceTables
from feeds.plan import Fetch
from feeds.ports import FeedState
from feeds.tasks import FeedTask
from processors.days import TradingCalendar, shanghai_day, to_date, to_day
from processors.deadlines import Deadline

log = structlog.get_logger()
_LONGEST_WAIT_S = 7200.0
_DONE, _FAILED = "done", "failed"


@dataclass(frozen=True, slots=True)
class _Attempt:
    """An attempt after which a day is left alone for a while; seconds since the epoch, and seconds."""

    at: float
    wait_s: float

    @property
    def following(self) -> float:
        return self.at + self.wait_s


@dataclass(slots=True)
class FetchTask(FeedTask):
    """Fetches days that are due, oldest first.

    Parameters
    ----------
    fetch : fetches a day; raises `InputError`.
    publish : publishes what was fetched and returns what was refused of it; raises `InputError` if it can't be
        published.
    due : when a day is first asked for.
    unreadable : called with the error of a day that can't be fetched or published.
    """

    name: str
    feed: Fetch
    state: FeedState
    fetch: Callable[[date], SourceTables]
    publish: Callable[[SourceTables], int]
    calendar: TradingCalendar
    due: Deadline
    unreadable: Callable[[InputError], None] = lambda _error: None
    failures: int = 0
    _attempts: dict[int, _Attempt] = field(default_factory=dict)  # day → the last failed one

    def tick(self, now: float) -> float:
        """Fetch the oldest day that is due and not done; return when to call again."""
        known = self.state.load()
        newest = self._newest_due(now)
        first = to_date(self._first_day(known, newest)).isoformat()
        if self.feed.since is None and known.get("since") != first:
            self.state.set("since", first)
        open_days = self._open_days(known, newest)
        ready = next((day for day in open_days if self._may_ask(day, now)), None)
        if ready is not None:
            self._fetch(ready, now)
            return now + self.feed.pause_s
        return min([self._due_at(newest, 1), *(self._attempts[day].following for day in open_days)])

    def pending(self, now: float) -> bool:
        """Whether a day can be fetched at once."""
        return any(self._may_ask(day, now) for day in self._open_days(self.state.load(), self._newest_due(now)))

    def _open_days(self, known: dict[str, str], newest: int) -> list[int]:
        """Return the days up to the newest one that are not done, oldest first."""
        days: list[int] = self.calendar.between(self._first_day(known, newest), newest).tolist()
        return [day for day in days if f"day/{to_date(day)}" not in known]

    def _may_ask(self, day: int, now: float) -> bool:
        """Whether no failed attempt forbids to ask for a day yet; one that lies in the future had a wrong clock."""
        attempt = self._attempts.get(day)
        return attempt is None or not attempt.at <= now < attempt.following

    def _first_day(self, known: dict[str, str], newest: int) -> int:
        """Return the first day wanted: of the plan, else the newest one of the first run, whose clock may be ahead."""
        if self.feed.since is not None:
            return to_day(self.feed.since)
        return min(newest, to_day(date.fromisoformat(known["since"]))) if "since" in known else newest

    def _fetch(self, day: int, now: float) -> None:
        when = to_date(day)
        try:
            found = self.fetch(when)
            self.failures += bool(self.publish(found))
        except NotPublishedError as error:
            self._attempts[day] = _Attempt(now, self.feed.retry_s)
            log.info("not published yet", feed=self.name, day=when.isoformat(), retry_s=self.feed.retry_s,
                     reason=str(error))  # fmt: skip
        except GoneError as error:
            self.unreadable(error)  # first: it is asked again if no broker answers
            self.failures += 1
            self.state.set(f"day/{when}", _FAILED)
            log.warning("day is lost", feed=self.name, day=when.isoformat(), error=str(error))
        except InputError as error:
            self.failures += 1
            before = self._attempts.get(day)
            wait = min(self.feed.retry_s if before is None else 2 * before.wait_s, _LONGEST_WAIT_S)
            self._attempts[day] = _Attempt(now, wait)
            log.warning("day failed", feed=self.name, day=when.isoformat(), retry_s=wait, error=str(error))
            self.unreadable(error)
        else:
            if found.awaited:
                self._attempts[day] = _Attempt(now, self.feed.retry_s)
                log.info("published, but not compared yet", feed=self.name, day=when.isoformat(),
                         retry_s=self.feed.retry_s, reason=found.awaited)  # fmt: skip
                return
            self.state.set(f"day/{when}", _DONE)
            self._attempts.pop(day, None)

    def _due_at(self, day: int, later: int = 0) -> float:
        """Return when the figures of the session ``later`` sessions after a day are first asked for."""
        session = self.calendar.shift(day, later)
        moment = None if session is None else self.due.moment(session, self.calendar)
        if moment is None:
            raise ConfigurationError("the trading calendar has ended: see `marginwatch calendar check`")
        return moment / 1e6

    def _newest_due(self, now: float) -> int:
        day = self.calendar.before(shanghai_day(int(now * 1e6)) + 1)
        while day is not None and self._due_at(day) > now:
            day = self.calendar.before(day)
        if day is None:
            raise ConfigurationError("the trading calendar begins later: see `marginwatch calendar check`")
        return day
