"""Running the feeds of a plan: each does what is due and says when to ask it again, in a thread of its own.

So a feed that waits for somebody delays no other; they share the pool of connections to Redis and nothing else. What is
done stands in Redis (``<namespace>:feeds:<name>``), so after a stop a feed goes on where it was. It is noted only once
the broker has everything; `feeds.ledger` and `feeds.deduplicator` keep what comes twice at home.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from redis import Redis
from redis.exceptions import RedisError

from feeds import dataset, exchange, mapping, margin_positions, names, sources, vendor
from feeds.dataset import SourceTables
from feeds.fetch import GoneError, NotPublishedError, need_akshare
from feeds.folder import FeedError
from feeds.ledger import LedgerError, PublishLedger, RedisStore, ledger_of
from feeds.live import LiveOutlet
from feeds.plan import (
    AkshareSnapshots,
    BookFolder,
    BookStream,
    BookWebhook,
    DropFolder,
    Feed,
    Fetch,
    FileSnapshots,
    Live,
    Plan,
    Snapshots,
    UrlSnapshots,
)
from feeds.positions_stream import StreamTask
from feeds.positions_webhook import TIMEOUT_S, WebhookTask
from feeds.snapshot_sources import AkshareSource, FileSource, Source, UrlSource
from feeds.snapshots import SnapshotTask, known_indices
from feeds.tasks import FeedTask, RedisState, State, StoppedError
from feeds.validate import Severity
from processors.codes import to_id
from processors.days import TradingCalendar, shanghai_day, to_date, to_day
from processors.deadlines import Due
from processors.errors import MarginwatchError
from processors.events import IntradayRow, RowBatch
from streams.calendars import trading_hours, xshg
from streams.errors import PublishError
from streams.publisher import Publisher
from streams.settings import Settings

log = structlog.get_logger()
_AGAIN_S, _LONGEST_WAIT_S = 30.0, 7200.0
_GRACE_S = 10.0  # for what feeds are doing when they are told to end
_DONE, _FAILED = "done", "failed"

Publish = Callable[[str, SourceTables, Feed], None]


class Outlet:
    """One feed's way to the daily topics: checks rows, publishes them, remembers the newest ones to compare with."""

    def __init__(self, settings: Settings, calendar: TradingCalendar, ledger: PublishLedger) -> None:
        self._settings = settings
        self._calendar = calendar
        self._ledger = ledger
        self._before: dict[str, RowBatch] = {}
        self._names: names.Names | None = None

    def publish(self, name: str, parts: SourceTables, feed: Feed) -> None:
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
            folder = dataset.gather(parts.parts, self._calendar, source, ranked=ranked)
            first = folder.days()[0]
            before = {t: b for t, b in self._before.items() if b.days[0] < first}
            findings += dataset.reports(folder.by_day(), self._calendar, before)
        for one in findings[:20]:
            tell = log.error if one.severity is Severity.ERROR else log.warning
            tell("finding", feed=name, what=str(one))
        dataset.refuse(findings, force=feed.force)
        if folder is None:
            raise FeedError("no file holds any figures")
        days = folder.days()
        unchanged, corrected = self._ledger.unchanged, self._ledger.corrected
        with Publisher(self._settings, source=source) as publisher:
            dataset.publish(publisher, folder, self._ledger)
        self._names.learn(parts.parts)
        for topic, batch in dataset.newest(folder).items():
            if topic not in self._before or self._before[topic].days[0] <= batch.days[0]:
                self._before[topic] = batch
        log.info(
            "published",
            feed=name,
            first=to_date(days[0]).isoformat(),
            last=to_date(days[-1]).isoformat(),
            rows=publisher.rows,
            unchanged=self._ledger.unchanged - unchanged,
            corrected=self._ledger.corrected - corrected,
        )


@dataclass(slots=True)
class FolderTask(FeedTask):
    """A drop folder: new and changed files are read together, or one by one if that fails.

    Parameters
    ----------
    publish : takes the feed's name, what was read, and the feed; raises `FeedError` if that can't be published.
    read : reads files as the feed says; raises `FeedError`.
    finish : called at the end.
    """

    name: str
    feed: DropFolder | BookFolder
    state: State
    publish: Callable[[str, Any, Any], None]
    read: Callable[[str, Any, Sequence[Path]], Any] = field(default_factory=lambda: read_files)
    finish: Callable[[], None] = lambda: None
    failures: int = 0
    _digests: dict[Path, tuple[tuple[int, int, int], str]] = field(default_factory=dict)  # by what `stat` says
    _unreadable: set[Path] = field(default_factory=set)

    def tick(self, now: float) -> float:
        """Publish what is new; return when to look again."""
        if not self.feed.path.is_dir():
            raise FeedError(f"{self.feed.path} is not a folder: make it, or mend [feeds.{self.name}]")
        known = self.state.load()
        new = {}
        waiting = False
        for path in self._files():
            if self._settles(path, now):
                waiting = True
                continue
            digest = self._digest(path)
            if digest is not None and known.get(f"file/{path.name}", "").partition(" ")[2] != digest:
                new[path] = digest
        if new and not self._publish(new, tell=len(new) == 1):
            for path, digest in new.items() if len(new) > 1 else ():
                self._publish({path: digest}, tell=True)
        return now + (min(self.feed.every_s, max(self.feed.settle_s, 0.1)) if waiting else self.feed.every_s)

    def pending(self, now: float) -> bool:
        """Whether something is left to do that does not wait for anybody else."""
        return any(self._settles(path, now) for path in self._files())

    def close(self) -> None:
        """Let go of what `publish` holds."""
        self.finish()

    def _files(self) -> list[Path]:
        ours = isinstance(self.feed, DropFolder) and self.feed.format == "exchange"
        suffixes = exchange.SUFFIXES if ours else vendor.SUFFIXES
        return sorted(
            path
            for path in self.feed.path.iterdir()
            if path.suffix.lower() in suffixes and path.is_file() and not path.name.startswith(("~", "."))
        )

    def _settles(self, path: Path, now: float) -> bool:
        """Whether a file may still be written; one from the future is not, its clock is another one."""
        try:
            return abs(now - path.stat().st_mtime) < self.feed.settle_s
        except FileNotFoundError:  # taken away just now
            return False

    def _digest(self, path: Path) -> str | None:
        """Tell what a file holds, read anew only if it has changed; None for one that can't be read: told once."""
        try:
            found = path.stat()
            stamp = (found.st_mtime_ns, found.st_ctime_ns, found.st_size)
            if path not in self._digests or self._digests[path][0] != stamp:
                self._digests[path] = stamp, hashlib.sha256(path.read_bytes()).hexdigest()
        except FileNotFoundError:
            return None
        except OSError as error:
            if path not in self._unreadable:
                self._unreadable.add(path)
                self.failures += 1
                log.warning("file can't be read", feed=self.name, file=path.name, error=str(error))
            return None
        self._unreadable.discard(path)
        return self._digests[path][1]

    def _publish(self, files: Mapping[Path, str], *, tell: bool) -> bool:
        """Publish files; say whether that is settled. A file that fails is told once, until it changes."""
        try:
            self.publish(self.name, self.read(self.name, self.feed, list(files)), self.feed)
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


def read_files(name: str, feed: DropFolder, files: Sequence[Path]) -> SourceTables:
    """Read files of daily figures; raises `FeedError` naming the file."""
    if feed.format == "exchange":
        return exchange.read(files)
    rules = mapping.load(feed.map) if feed.map is not None else None
    if rules is not None:
        named = [path for path in files if mapping.tables_of(rules, path.name)]
        if not named:
            raise FeedError(f"no table of the mapping file fits {', '.join(path.name for path in files)}")
        for path in set(files) - set(named):
            log.warning("file left out: no table of the mapping fits", feed=name, file=path.name)
        files = named
    return vendor.read(files, rules)


@dataclass(slots=True)
class FetchTask(FeedTask):
    """A source: every trade date since the first one wanted, once it is due."""

    name: str
    feed: Fetch
    state: State
    publish: Publish
    calendar: TradingCalendar
    fetch: Callable[[date], SourceTables]
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
        day = self.calendar.before(shanghai_day(int(now * 1e6)) + 1)
        while day is not None and self._due(day) > now:
            day = self.calendar.before(day)
        if day is None:
            raise FeedError("the trading calendar begins only later")
        return day


@dataclass(frozen=True, slots=True)
class Kit:
    """What feeds are made with.

    Parameters
    ----------
    stop : set when they shall end.
    clock : seconds since the epoch.
    """

    settings: Settings
    redis: Redis
    stop: threading.Event
    clock: Callable[[], float] = time.time

    @property
    def calendar(self) -> TradingCalendar:
        """The exchange's trading days."""
        return xshg(self.settings.calendar_file)

    def state(self, name: str) -> State:
        """Return what a feed remembers."""
        return RedisState(self.redis, self.settings.namespace, name)

    def outlet(self) -> Outlet:
        """Return a way to publish daily figures."""
        return Outlet(self.settings, self.calendar, ledger_of(self.settings, self.redis))

    def live_outlet(self, name: str, feed: Live, rows_per_s: float | None = None, **more: float) -> LiveOutlet:
        """Return a way to publish rows of the running session."""
        return LiveOutlet(
            self.settings,
            self.calendar,
            RedisStore(self.redis, self.settings.namespace),
            source=feed.source or name,
            rows_per_s=rows_per_s,
            clock=self.clock,
            wait=self.stop.wait,
            **more,
        )


def runs_of(plan: Plan, kit: Kit) -> list[FeedTask]:
    """Return the feeds of a plan, ready to be asked; raises `FeedError` for a mapping or a key that can't be used."""
    return [_run_of(name, feed, kit) for name, feed in plan.feeds.items()]


def _run_of(name: str, feed: Feed, kit: Kit) -> FeedTask:
    state, calendar = kit.state(name), kit.calendar
    match feed:
        case DropFolder():
            return FolderTask(name, feed, state, kit.outlet().publish)
        case Fetch():
            if feed.via == "akshare":
                need_akshare()
            fetch = sources.fetcher(kit.settings, feed.via, feed.tables, calendar, kit.stop.wait)
            due = sources.due(feed.via, feed.tables, feed.at)
            return FetchTask(name, feed, state, kit.outlet().publish, calendar, fetch, due)
        case BookFolder():
            outlet = kit.live_outlet(name, feed, feed.max_rows_per_s)
            return FolderTask(
                name, feed, state, margin_positions.publisher(outlet), margin_positions.read_files, outlet.close
            )
        case BookStream():
            return StreamTask(name, feed, kit.live_outlet(name, feed, feed.max_rows_per_s), state, kit.redis)
        case BookWebhook():
            outlet = kit.live_outlet(name, feed, timeout_s=TIMEOUT_S)
            return WebhookTask(name, feed, outlet, kit.redis, kit.settings, kit.clock)
        case _:
            return _snapshots(name, feed, kit)


def _snapshots(name: str, feed: Snapshots, kit: Kit) -> SnapshotTask:
    indices = known_indices(kit.settings.parameters)
    source: Source
    match feed:
        case AkshareSnapshots():
            need_akshare()
            source = AkshareSource(feed.of, indices, kit.clock)
        case UrlSnapshots():
            source = UrlSource(feed.address(), mapping.load(feed.map, IntradayRow), kit.clock)
        case FileSnapshots():
            source = FileSource(feed.path, mapping.load(feed.map, IntradayRow), feed.settle_s, kit.clock)
    ids = np.array(sorted(map(to_id, indices)), dtype=np.int32)
    hours, outlet = trading_hours(kit.settings.calendar_file), kit.live_outlet(name, feed)
    return SnapshotTask(name, feed.interval, source, outlet, kit.state(name), hours, ids, feed.force, kit.clock)


def run(runs: Sequence[FeedTask], stop: threading.Event, *, once: bool, now: Callable[[], float] = time.time) -> int:
    """Run the feeds until ``stop``; return how many files, days and snapshots failed.

    Parameters
    ----------
    stop : set here when every feed has ended by itself.
    once : a feed ends as soon as nothing is left that it can do now; those that serve others are left out.
    """
    runs = [one for one in runs if not (once and one.serves)]
    away: Counter[str] = Counter()
    left = set(range(len(runs)))

    def ask(place: int) -> None:
        try:
            away[runs[place].name] += _ask(runs[place], stop, once=once, now=now)
        finally:
            left.discard(place)
            if not left:
                stop.set()

    threads = [
        threading.Thread(target=ask, args=(place,), name=one.name, daemon=True) for place, one in enumerate(runs)
    ]
    for thread in threads:
        thread.start()
    if threads:
        stop.wait()
    for one in runs:
        one.end()
    deadline = time.monotonic() + _GRACE_S
    for one, thread in zip(runs, threads, strict=True):
        thread.join(max(0.0, deadline - time.monotonic()))
        if thread.is_alive():
            log.warning("feed is left behind: it waits for somebody", feed=one.name)
    return sum(away.values()) + sum(one.failures for one in runs)


def _ask(one: FeedTask, stop: threading.Event, *, once: bool, now: Callable[[], float]) -> int:
    """Ask one feed until ``stop``; return how often Kafka or Redis was away."""
    away = 0
    try:
        while not stop.is_set():
            try:
                following = one.tick(now())
                done = once and not one.pending(now())
            except StoppedError as error:
                log.info("feed ends early", feed=one.name, what=str(error))
                break
            except (PublishError, LedgerError, RedisError) as error:
                away += 1
                following, done = now() + _AGAIN_S, once
                log.warning("feed waits for Kafka and Redis", feed=one.name, again_s=_AGAIN_S, error=str(error))
            except (MarginwatchError, OSError) as error:
                one.failures += 1
                following, done = now() + _AGAIN_S, once
                log.warning("feed failed", feed=one.name, again_s=_AGAIN_S, error=str(error))
            except Exception:
                one.failures += 1
                following, done = now() + _AGAIN_S, once
                log.exception("feed failed: this is a mistake of marginwatch", feed=one.name, again_s=_AGAIN_S)
            if done:
                break
            stop.wait(max(0.0, min(following - now(), 3600.0)))
    finally:
        one.close()
    return away
