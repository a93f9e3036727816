"""Running the feeds of a plan: each is asked in turn, does what is due, and says when to ask it again.

What is done stands in Redis (``<namespace>:feeds:<name>``), so after a stop a feed goes on where it was. It is noted
only once the broker has everything; `streams.feeds.journal` keeps what comes twice at home.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Protocol

import structlog
from redis import Redis
from redis.exceptions import RedisError

from processors.days import TradingCalendar, to_date, to_day
from processors.deadlines import Due
from processors.errors import MarginwatchError
from processors.events import RowBatch
from streams.feeds import checked, exchange, mapping, names, sources, vendor
from streams.feeds.checked import Parts
from streams.feeds.fetch import GoneError, NotPublishedError
from streams.feeds.folder import FeedError
from streams.feeds.journal import Journal, JournalError
from streams.feeds.plan import DropFolder, Feed, Fetch, Plan
from streams.feeds.validate import Severity
from streams.publisher import Publisher, PublishError
from streams.settings import Settings

log = structlog.get_logger()
_SHANGHAI = timezone(timedelta(hours=8))
_AGAIN_S, _LONGEST_WAIT_S = 30.0, 7200.0
_DONE, _FAILED = "done", "failed"


class State(Protocol):
    """What a feed remembers: field → text."""

    def load(self) -> dict[str, str]:
        """Return everything."""

    def set(self, name: str, value: str) -> None:
        """Remember one thing."""


class RedisState:
    """A feed's memory in Redis."""

    def __init__(self, redis: Redis, namespace: str, feed: str) -> None:
        self._redis = redis
        self._key = f"{namespace}:feeds:{feed}"

    def load(self) -> dict[str, str]:
        """Return everything."""
        found: Any = self._redis.hgetall(self._key)
        return {name.decode(): value.decode() for name, value in found.items()}

    def set(self, name: str, value: str) -> None:
        """Remember one thing."""
        self._redis.hset(self._key, name, value)


Publish = Callable[[str, Parts, Feed], None]


class Outlet:
    """Checks rows and publishes them; remembers the newest rows of each feed, to compare the next day with."""

    def __init__(self, settings: Settings, calendar: TradingCalendar, journal: Journal) -> None:
        self._settings = settings
        self._calendar = calendar
        self._journal = journal
        self._before: dict[str, dict[str, RowBatch]] = {}
        self._names: names.Names | None = None  # of all feeds together

    def publish(self, name: str, parts: Parts, feed: Feed) -> None:
        """Publish rows of a feed.

        Raises
        ------
        FeedError : if there are none, or errors in the figures; each finding has been logged.
        PublishError, JournalError : if Kafka or Redis is away.
        """
        source = feed.source or name
        if self._names is None:
            self._names = names.remembered(self._settings)
        findings = [*parts.findings, *self._names.findings(parts.parts)]
        folder = None
        if parts.parts:
            ranked = isinstance(feed, DropFolder) and feed.map is not None
            folder = checked.gather(parts.parts, self._calendar, source, ranked=ranked)
            first = folder.days()[0]
            before = {t: b for t, b in self._before.get(name, {}).items() if b.days[0] < first}
            findings += checked.reports(folder.by_day(), self._calendar, before)
        for one in findings[:20]:
            tell = log.error if one.severity is Severity.ERROR else log.warning
            tell("finding", feed=name, what=str(one))
        checked.refuse(findings, force=feed.force)
        if folder is None:
            raise FeedError("no file holds any figures")
        days = folder.days()
        unchanged, corrected = self._journal.unchanged, self._journal.corrected
        with Publisher(self._settings, source=source) as publisher:
            checked.publish(publisher, folder, self._journal)
        self._names.learn(parts.parts)
        kept = self._before.setdefault(name, {})
        for topic, batch in checked.newest(folder).items():
            if topic not in kept or kept[topic].days[0] <= batch.days[0]:
                kept[topic] = batch
        log.info(
            "published",
            feed=name,
            first=to_date(days[0]).isoformat(),
            last=to_date(days[-1]).isoformat(),
            rows=publisher.rows,
            unchanged=self._journal.unchanged - unchanged,
            corrected=self._journal.corrected - corrected,
        )


@dataclass(slots=True)
class FolderRun:
    """A drop folder: new and changed files are read together, or one by one if that fails."""

    name: str
    feed: DropFolder
    state: State
    publish: Publish
    failures: int = 0

    def tick(self, now: float) -> float:
        """Publish what is new; return when to look again."""
        if not self.feed.path.is_dir():
            raise FeedError(f"{self.feed.path} is not a folder: make it, or mend [feeds.{self.name}]")
        known = self.state.load()
        new = {}
        waiting = False
        for path in self._files():
            if now - path.stat().st_mtime < self.feed.settle_s:
                waiting = True
                continue
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            if known.get(f"file/{path.name}", "").partition(" ")[2] != digest:
                new[path] = digest
        if new and not self._publish(new, tell=len(new) == 1):
            for path, digest in new.items() if len(new) > 1 else ():
                self._publish({path: digest}, tell=True)
        return now + (min(self.feed.every_s, max(self.feed.settle_s, 0.1)) if waiting else self.feed.every_s)

    def pending(self, now: float) -> bool:
        """Whether something is left to do that does not wait for anybody else."""
        return any(now - path.stat().st_mtime < self.feed.settle_s for path in self._files())

    def _files(self) -> list[Path]:
        suffixes = exchange.SUFFIXES if self.feed.format == "exchange" else vendor.SUFFIXES
        return sorted(
            path
            for path in self.feed.path.iterdir()
            if path.suffix.lower() in suffixes and path.is_file() and not path.name.startswith(("~", "."))
        )

    def _publish(self, files: Mapping[Path, str], *, tell: bool) -> bool:
        """Publish files; say whether that is settled. A file that fails is told once, until it changes."""
        try:
            self.publish(self.name, self._read(list(files)), self.feed)
        except FeedError as error:
            if not tell:
                return False
            self.failures += 1
            for path, digest in files.items():
                log.warning("file refused", feed=self.name, file=path.name, error=str(error))
                self.state.set(f"file/{path.name}", f"{_FAILED} {digest}")
            return True
        for path, digest in files.items():
            self.state.set(f"file/{path.name}", f"{_DONE} {digest}")
        return True

    def _read(self, files: list[Path]) -> Parts:
        if self.feed.format == "exchange":
            return exchange.read(files)
        rules = mapping.load(self.feed.map) if self.feed.map is not None else None
        if rules is not None:
            named = [path for path in files if mapping.tables_of(rules, path.name)]
            if not named:
                raise FeedError(f"no table of the mapping file fits {', '.join(path.name for path in files)}")
            for path in set(files) - set(named):
                log.warning("file left out: no table of the mapping fits", feed=self.name, file=path.name)
            files = named
        return vendor.read(files, rules)


@dataclass(slots=True)
class FetchRun:
    """A source: every trade date since the first one wanted, once it is due."""

    name: str
    feed: Fetch
    state: State
    publish: Publish
    calendar: TradingCalendar
    fetch: Callable[[date], Parts]
    due: Due
    failures: int = 0
    _tries: dict[int, tuple[float, float]] = field(default_factory=dict)  # day → next try, wait after it

    def tick(self, now: float) -> float:
        """Fetch the oldest day that is due and not done; return when to come again."""
        known = self.state.load()
        first = known.get("since")
        newest = self._newest_due(now)
        if self.feed.since is not None:
            start = to_day(self.feed.since)
        elif first is not None:
            start = to_day(date.fromisoformat(first))
        else:
            self.state.set("since", to_date(newest).isoformat())
            start = newest
        open_days = [d for d in self.calendar.between(start, newest).tolist() if f"day/{to_date(d)}" not in known]
        ready = [d for d in open_days if self._tries.get(d, (0.0, 0.0))[0] <= now]
        if ready:
            self._fetch(ready[0], now)
            return now + self.feed.pause_s
        return min([self._due(newest, 1), *(self._tries[d][0] for d in open_days)])

    def pending(self, now: float) -> bool:
        """Whether a day can be tried at once."""
        newest = self._newest_due(now)
        known = self.state.load()
        start = to_day(self.feed.since or date.fromisoformat(known.get("since", to_date(newest).isoformat())))
        return any(
            f"day/{to_date(d)}" not in known and self._tries.get(d, (0.0, 0.0))[0] <= now
            for d in self.calendar.between(start, newest).tolist()
        )

    def _fetch(self, day: int, now: float) -> None:
        when = to_date(day)
        try:
            self.publish(self.name, self.fetch(when), self.feed)
        except NotPublishedError as error:
            self._tries[day] = now + self.feed.retry_s, self.feed.retry_s
            log.info("not published yet", feed=self.name, day=when.isoformat(), again_s=self.feed.retry_s,
                     why=str(error))  # fmt: skip
        except GoneError as error:
            self.failures += 1
            self.state.set(f"day/{when}", _FAILED)
            log.warning("day is lost", feed=self.name, day=when.isoformat(), error=str(error))
        except FeedError as error:
            self.failures += 1
            wait = min(2 * self._tries.get(day, (0.0, self.feed.retry_s / 2))[1], _LONGEST_WAIT_S)
            self._tries[day] = now + wait, wait
            log.warning("day failed", feed=self.name, day=when.isoformat(), again_s=wait, error=str(error))
        else:
            self.state.set(f"day/{when}", _DONE)
            self._tries.pop(day, None)

    def _due(self, day: int, later: int = 0) -> float:
        """When the figures of the session ``later`` after a day are asked for."""
        session = self.calendar.shift(day, later)
        moment = None if session is None else self.due.moment(session, self.calendar)
        if moment is None:
            raise FeedError("the trading calendar has ended: see `marginwatch calendar check`")
        return moment / 1e6

    def _newest_due(self, now: float) -> int:
        day = self.calendar.before(to_day(datetime.fromtimestamp(now, _SHANGHAI).date()) + 1)
        while day is not None and self._due(day) > now:
            day = self.calendar.before(day)
        if day is None:
            raise FeedError("the trading calendar begins only later")
        return day


Run = FolderRun | FetchRun


def runs_of(
    plan: Plan,
    publish: Publish,
    state: Callable[[str], State],
    calendar: TradingCalendar,
    settings: Settings,
    sleep: Callable[[float], object] = time.sleep,
) -> list[Run]:
    """Return the feeds of a plan, ready to be asked; raises `SecurityError` if a source's token is missing."""
    found: list[Run] = []
    for name, feed in plan.feeds.items():
        if isinstance(feed, DropFolder):
            found.append(FolderRun(name, feed, state(name), publish))
        else:
            fetch = sources.fetcher(settings, feed.via, feed.tables, calendar, sleep)
            due = sources.due(feed.via, feed.tables, feed.at)
            found.append(FetchRun(name, feed, state(name), publish, calendar, fetch, due))
    return found


def run(runs: list[Run], stop: threading.Event, *, once: bool, now: Callable[[], float] = time.time) -> int:
    """Ask the feeds in turn until ``stop``; return how many files and days failed.

    Parameters
    ----------
    once : return as soon as nothing is left that can be done now.
    """
    next_at = dict.fromkeys(range(len(runs)), 0.0)
    away = 0
    while not stop.is_set():
        for place, one in enumerate(runs):
            if next_at[place] > now() or stop.is_set():
                continue
            try:
                next_at[place] = one.tick(now())
            except (PublishError, JournalError, RedisError) as error:
                away += 1
                next_at[place] = now() + _AGAIN_S
                log.warning("feed waits for Kafka and Redis", feed=one.name, again_s=_AGAIN_S, error=str(error))
            except (MarginwatchError, OSError) as error:
                one.failures += 1
                next_at[place] = now() + _AGAIN_S
                log.warning("feed failed", feed=one.name, again_s=_AGAIN_S, error=str(error))
            else:
                continue
            if once:
                return away + sum(r.failures for r in runs)
        if once and not any(one.pending(now()) for one in runs):
            break
        stop.wait(max(0.0, min(min(next_at.values()) - now(), 3600.0)))
    return away + sum(one.failures for one in runs)
