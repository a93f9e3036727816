"""The feeds of a plan: due times, missed days, refused files, stored state; without network, Kafka and Redis."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import date, datetime
from functools import partial
from pathlib import Path

import msgspec
import pytest
from redis import Redis
from structlog.testing import capture_logs

from feeds import drop_folder
from feeds import plan as plans
from feeds.build import build_tasks
from feeds.cells import workbooks
from feeds.checks.findings import Finding, Severity
from feeds.daily.daily_checks import DailyChecks
from feeds.daily.daily_outlet import DailyOutlet
from feeds.daily.ledger import PublishLedger
from feeds.daily.security_names import SecurityNames
from feeds.drop_folder import FolderTask
from feeds.errors import GoneError, InputError, NotPublishedError
from feeds.fetch_task import FetchTask
from feeds.files import exchange, vendor
from feeds.files.dataset import SourceTables
from feeds.folder import source_of
from feeds.plan import DropFolder, Feed, Fetch
from feeds.scheduler import run_tasks
from feeds.tasks import FeedTask
from feeds.web import sources
from processors.days import SHANGHAI
from streams.calendars import xshg
from streams.cli import feed_live
from streams.cli.feed_run import ends
from streams.clients import redis_client
from streams.codecs.row_frames import decode_frame
from streams.errors import PublishError
from streams.feed_services import RedisFeedState, feed_services
from streams.local.local_redis import EmbeddedRedis
from streams.publisher import Publisher
from streams.settings import Settings
from tests.harness import Stack, wait_until
from tests.publishing import MemoryState, MemoryStore, Message, daily_outlet, feed, sent

__all__ = ["sent"]


class Exchange:
    """A source of daily figures, and an outlet that records the published days."""

    def __init__(self) -> None:
        self.asked: list[date] = []
        self.published: list[date] = []
        self.refuse: dict[date, Exception] = {}

    def fetch(self, day: date) -> SourceTables:
        self.asked.append(day)
        if day in self.refuse:
            raise self.refuse[day]
        return SourceTables()

    def publish(self, _tables: SourceTables) -> None:
        self.published.append(self.asked[-1])


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).timestamp()


def fetching(exchange: Exchange, state: MemoryState, **feed: object) -> FetchTask:
    made = Fetch(**feed)  # type: ignore[arg-type]
    due = sources.due_time(made.via, made.tables, made.at)
    return FetchTask("x", made, state, exchange.fetch, exchange.publish, xshg(), due)


def drained(one: FetchTask, now: float) -> float:
    """Tick until nothing is due; return when to call again."""
    following = one.tick(now)
    while one.pending(now):
        following = one.tick(now)
    return one.tick(now) if following <= now + one.feed.pause_s else following


def test_a_day_is_asked_for_on_the_next_session_at_its_time() -> None:
    exchange, state = Exchange(), MemoryState()
    one = fetching(exchange, state, since=date(2024, 6, 7))  # a Friday; Monday the 10th was a holiday
    following = drained(one, at("2024-06-11 08:44:59"))
    assert exchange.asked == []
    assert following == at("2024-06-11 08:45:00")
    following = drained(one, following)
    assert exchange.published == [date(2024, 6, 7)]
    assert following == at("2024-06-12 08:45:00")


def test_prices_are_asked_for_on_the_day_itself() -> None:
    exchange, state = Exchange(), MemoryState()
    one = fetching(exchange, state, via="tushare", tables=("daily",), since=date(2024, 6, 7))
    assert drained(one, at("2024-06-07 16:59:59")) == at("2024-06-07 17:00")
    assert exchange.asked == []
    assert drained(one, at("2024-06-07 17:00")) == at("2024-06-11 17:00")
    drained(one, at("2024-06-12 18:00"))
    assert exchange.published == [date(2024, 6, d) for d in (7, 11, 12)]


def test_missed_days_are_fetched_oldest_first_after_a_stop() -> None:
    exchange, state = Exchange(), MemoryState()
    drained(fetching(exchange, state), at("2024-06-04 09:00"))
    assert exchange.published == [date(2024, 6, 3)]  # without `since`: the newest one
    drained(fetching(exchange, state), at("2024-06-07 12:00"))  # another process, three days later
    assert exchange.published == [date(2024, 6, d) for d in (3, 4, 5, 6)]


def test_what_is_not_published_yet_is_asked_for_again_and_errors_wait_longer_each_time() -> None:
    exchange, state = Exchange(), MemoryState()
    one = fetching(exchange, state, since=date(2024, 6, 3))
    exchange.refuse = {date(2024, 6, 3): NotPublishedError("later")}
    now = at("2024-06-04 08:45")
    assert drained(one, now) == now + 600
    assert drained(one, now + 600) == now + 1200
    exchange.refuse = {date(2024, 6, 3): InputError("the page has changed")}
    assert drained(one, now + 1200) == now + 1200 + 1200
    assert drained(one, now + 2400) == now + 2400 + 2400
    exchange.refuse = {}
    drained(one, now + 4800)
    assert exchange.published == [date(2024, 6, 3)]
    assert one.failures == 2


def test_a_clock_that_is_set_back_holds_up_no_day() -> None:
    exchange, state = Exchange(), MemoryState()
    one = fetching(exchange, state, since=date(2024, 6, 3))
    exchange.refuse = {date(2024, 6, 3): NotPublishedError("later")}
    drained(one, at("2024-06-04 12:00"))
    exchange.refuse = {}
    drained(one, at("2024-06-04 08:50"))
    assert exchange.published == [date(2024, 6, 3)]


def test_the_first_day_of_a_clock_that_was_ahead_is_not_awaited() -> None:
    exchange, state = Exchange(), MemoryState()
    exchange.refuse = {date(2025, 6, 4): NotPublishedError("later")}
    drained(fetching(exchange, state), at("2025-06-05 09:00"))
    exchange.refuse = {}
    drained(fetching(exchange, state), at("2024-06-05 09:00"))
    drained(fetching(exchange, state), at("2024-06-07 09:00"))
    assert exchange.published == [date(2024, 6, d) for d in (4, 5, 6)]


@pytest.mark.parametrize(
    ("jumps", "called"),
    [
        ({}, [0, 300, 600]),
        ({120: 1000}, [0, 1120, 1420]),  # set forward, or the machine was suspended
        ({120: -5000}, [0, -4700, -4400]),
    ],
    ids=["no jump", "forward", "back"],
)
def test_a_task_is_called_when_it_is_due_also_where_the_clock_is_set(jumps: dict[int, int], called: list[int]) -> None:
    calls: list[float] = []
    clock = [0.0]

    class Task(FeedTask):
        name, failures = "x", 0

        def tick(self, now: float) -> float:
            calls.append(now)
            return now + 300

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            if timeout is None:
                return super().wait()
            clock[0] += timeout
            clock[0] += jumps.pop(int(clock[0]), 0)
            if len(calls) == 3:
                self.set()
            return self.is_set()

    run_tasks([Task()], Stop(), once=False, now=lambda: clock[0])
    assert calls == called


def test_a_day_that_fails_does_not_hold_up_the_others() -> None:
    exchange, state = Exchange(), MemoryState()
    exchange.refuse = {date(2024, 6, 3): InputError("no")}
    drained(fetching(exchange, state, since=date(2024, 6, 3)), at("2024-06-06 09:00"))
    assert exchange.published == [date(2024, 6, 4), date(2024, 6, 5)]


def test_a_day_that_is_gone_is_not_asked_for_again() -> None:
    exchange, state = Exchange(), MemoryState()
    exchange.refuse = {date(2024, 6, 3): GoneError("only the newest session")}
    now = at("2024-06-05 09:00")
    one = fetching(exchange, state, since=date(2024, 6, 3))
    assert drained(one, now) == at("2024-06-06 08:45")
    assert exchange.asked == [date(2024, 6, 3), date(2024, 6, 4)]
    assert (one.failures, state.stored["day/2024-06-03"]) == (1, "failed")


# -- folders -----------------------------------------------------------------------------------------------------

HEADER = "证券代码,证券简称,融资买入额(元),融资余额(元),融券卖出量(股),融券余量(股),融券余额(元)"
DETAIL = HEADER + "\n000001,平安银行,100,{},5,7,70\n"


def write(folder: Path, name: str, text: str, age: float = 60) -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    os.utime(path, (time.time() - age,) * 2)
    return path


def publishing(outlet: DailyOutlet) -> Callable[[SourceTables], None]:
    return partial(outlet.publish, "d", source="d", force=False)


def folder_task(feed: DropFolder, state: MemoryState, publish: Callable[[SourceTables], None]) -> FolderTask:
    read = partial(drop_folder.read_daily_files, "d", feed)
    return FolderTask("d", feed, state, read, publish, workbooks.SUFFIXES)


def dropping(
    folder: Path, state: MemoryState, publish: Callable[..., None] | None = None, **feed: object
) -> FolderTask:
    outlet = daily_outlet(PublishLedger(MemoryStore()))
    return folder_task(DropFolder(path=folder, **feed), state, publish or publishing(outlet))  # type: ignore[arg-type]


def test_a_file_whose_name_is_not_utf_8_is_published_once_and_reported(
    redis_server: EmbeddedRedis, tmp_path: Path
) -> None:
    """Chinese archives have names in GBK."""
    name = os.fsdecode("两融".encode("gbk") + b".csv")
    with Redis.from_url(redis_server.url) as redis:
        state = RedisFeedState(redis, "gbk", "d")
        state.set(f"file/{name}", "done 1")
        assert state.load() == {f"file/{name}": "done 1"}
    finding = Finding(Severity.ERROR, "file", "", None, f"{name} is empty")
    assert msgspec.json.decode(msgspec.json.encode(finding.text)) == "????.csv is empty"
    assert source_of(tmp_path / name) == "files:????.csv"


@pytest.mark.parametrize("read", [vendor.read, exchange.read])
def test_what_is_no_file_is_named_as_such(tmp_path: Path, read: Callable[[list[Path]], object]) -> None:
    (pipe, loop, empty) = (tmp_path / name for name in ("pipe.csv", "loop.csv", "empty.csv"))
    os.mkfifo(pipe)
    loop.symlink_to(loop)
    empty.touch()
    for path, fault in (
        (pipe, "pipe.csv is neither a file nor a folder: give"),
        (loop, "loop.csv is neither a file nor a folder: give"),
        (tmp_path / "none.csv", "none.csv does not exist: give"),
        (empty, "empty.csv is empty: "),
    ):
        with pytest.raises(InputError, match=fault):
            read([path])


def rows(messages: list[Message]) -> int:
    return sum(1 for m in messages if ("content-type", b"application/vnd.apache.arrow.stream") in m[4])


def test_new_and_changed_files_are_published_once(tmp_path: Path, sent: list[Message]) -> None:
    state = MemoryState()
    write(tmp_path, "2024-06-11.csv", DETAIL.format(5000))
    one = dropping(tmp_path, state)
    one.tick(time.time())
    assert rows(sent) == 1
    one.tick(time.time())
    dropping(tmp_path, state).tick(time.time())  # another process
    assert rows(sent) == 1
    write(tmp_path, "2024-06-11.csv", DETAIL.format(5001))
    one.tick(time.time())
    assert rows(sent) == 2


def test_of_two_files_of_a_day_that_contradict_each_other_the_newer_one_counts(
    tmp_path: Path, sent: list[Message]
) -> None:
    write(tmp_path, "2024-06-11.csv", DETAIL.format(5000), age=3600)
    write(tmp_path, "2024-06-11 (1).csv", DETAIL.format(5100))  # the same file, downloaded again
    dropping(tmp_path, MemoryState()).tick(time.time())
    frames = [decode_frame("margin.daily", value, 1_000_000).batch for _, _, _, value, marks in sent
              if ("content-type", b"application/vnd.apache.arrow.stream") in marks]  # fmt: skip
    assert [one.figures["fin_balance"].tolist() for one in frames] == [[5000.0], [5100.0]]


def test_a_file_that_is_still_being_written_waits(tmp_path: Path, sent: list[Message]) -> None:
    write(tmp_path, "2024-06-11.csv", DETAIL.format(5000), age=0)
    write(tmp_path, ".2024-06-12.csv", "x")
    one = dropping(tmp_path, MemoryState(), settle_s=3.0)
    now = time.time()
    assert one.pending(now)
    assert one.tick(now) <= now + 3
    assert not sent
    one.tick(now + 4)
    assert rows(sent) == 1


def test_a_file_from_the_future_is_read(tmp_path: Path, sent: list[Message]) -> None:
    write(tmp_path, "2024-06-11.csv", DETAIL.format(5000), age=-8 * 3600)  # of a machine with another clock
    one = dropping(tmp_path, MemoryState())
    one.tick(time.time())
    assert not one.pending(time.time())
    assert rows(sent) == 1


def test_a_file_that_can_not_be_read_is_reported_once_and_does_not_hold_up_the_others(
    tmp_path: Path, sent: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "2024-06-11.csv", DETAIL.format(5000))
    closed = write(tmp_path, "2024-06-07.csv", DETAIL.format(4999))
    reads: list[str] = []

    def read_bytes(path: Path, real: Callable[[Path], bytes] = Path.read_bytes) -> bytes:
        reads.append(path.name)
        if path == closed and not path.stat().st_mode & 0o100:
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    one = dropping(tmp_path, MemoryState())
    reported: list[str] = []
    one.unreadable = lambda error: reported.append(str(error))
    with capture_logs() as logs:
        for _ in range(3):
            one.tick(time.time())
    assert rows(sent) == 1
    assert [entry["file"] for entry in logs if entry["log_level"] == "warning"] == ["2024-06-07.csv"]
    assert one.failures == 1
    assert reported == ["2024-06-07.csv can't be read (Permission denied): let this user read it"]
    reads.clear()
    closed.chmod(0o700)
    one.tick(time.time())
    assert rows(sent) == 2
    assert set(reads) == {"2024-06-07.csv"}  # the other one has not changed


def test_what_is_not_read_of_a_folder_is_logged_once(tmp_path: Path, sent: list[Message]) -> None:
    write(tmp_path, "2024-06-11.csv", DETAIL.format(5000))
    write(tmp_path, "files.zip", "PK")
    (tmp_path / "2023").mkdir()
    write(tmp_path / "2023", "2023-06-12.csv", DETAIL.format(4000))
    one = dropping(tmp_path, MemoryState())
    with capture_logs() as logs:
        for _ in range(2):
            one.tick(time.time())
    assert rows(sent) == 1
    found = [str(entry["what"]) for entry in logs if "is not read" in str(entry.get("what"))]
    assert [text.partition(" is")[0].split()[-1] for text in found] == ["2023", "files.zip"]


def test_a_bad_file_is_logged_once_and_does_not_hold_up_the_others(tmp_path: Path, sent: list[Message]) -> None:
    write(tmp_path, "2024-06-11.csv", DETAIL.format(5000))
    write(tmp_path, "2024-06-12.csv", "nothing,of\nthe,kind\n")
    one = dropping(tmp_path, MemoryState())
    with capture_logs() as logs:
        one.tick(time.time())
        one.tick(time.time())
    assert rows(sent) == 1
    refused = [entry for entry in logs if entry["event"] == "file refused"]
    assert [entry["file"] for entry in refused] == ["2024-06-12.csv"]
    write(tmp_path, "2024-06-12.csv", DETAIL.format(5002))
    one.tick(time.time())
    assert rows(sent) == 2


MAPPING = """[[table]]
topic = "margin.daily"
date = {{ column = "date" }}
code = {{ column = "code" }}
[table.columns]
fin_balance = {{ column = "{}", unit = "元" }}
fin_buy = {{ column = "rzmre", unit = "元" }}
"""


def test_a_refused_file_is_read_again_when_its_mapping_changes(tmp_path: Path, sent: list[Message]) -> None:
    rules, folder, state = tmp_path / "m.toml", tmp_path / "in", MemoryState()
    folder.mkdir()
    rules.write_text(MAPPING.format("balance"), "utf-8")
    write(folder, "a.csv", "date,code,rzye,rzmre\n2024-06-11,000001.SZ,5000,100\n")
    one = dropping(folder, state, format="vendor", map=rules)
    for _ in range(3):
        one.tick(time.time())
    assert (rows(sent), one.failures) == (0, 1)
    rules.write_text(MAPPING.format("rzye"), "utf-8")
    for _ in range(3):
        one.tick(time.time())
    dropping(folder, state, format="vendor", map=rules).tick(time.time())
    assert (rows(sent), one.failures) == (1, 1)


def test_a_refused_file_stays_a_failure_of_each_process_and_is_read_apart_from_new_ones(
    tmp_path: Path, sent: list[Message]
) -> None:
    state, read = MemoryState(), list[list[str]]()

    def run() -> int:
        one = dropping(tmp_path, state)
        one.read = lambda files, right=one.read: read.append([path.name for path in files]) or right(files)
        return run_tasks([one], threading.Event(), once=True)

    write(tmp_path, "2024-06-07.csv", "nothing,of\nthe,kind\n")
    assert [run(), run()] == [1, 1]
    write(tmp_path, "2024-06-11.csv", DETAIL.format(5000))
    write(tmp_path, "2024-06-12.csv", DETAIL.format(5001))
    assert run() == 1
    assert read == [["2024-06-07.csv"]] * 2 + [["2024-06-11.csv", "2024-06-12.csv"], ["2024-06-07.csv"]]
    write(tmp_path, "2024-06-07.csv", DETAIL.format(4999))
    assert [run(), run()] == [0, 0]
    assert rows(sent) == 3


def test_a_file_that_came_too_early_is_read_again_after_the_close(
    tmp_path: Path, sent: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [at("2024-06-11 14:50")]
    monkeypatch.setattr(time, "time", lambda: clock[0])
    path = write(tmp_path, "2024-06-11.csv", DETAIL.format(5000))
    os.utime(path, (clock[0] - 60,) * 2)
    outlet = daily_outlet(PublishLedger(MemoryStore()))
    outlet._checks = DailyChecks(xshg(), SecurityNames({}), None, clock=lambda: clock[0])
    one = dropping(tmp_path, MemoryState(), publishing(outlet))
    failures = []
    for moment in ("14:50", "14:59", "15:00", "15:01"):
        clock[0] = at(f"2024-06-11 {moment}")
        one.tick(clock[0])
        failures.append((one.failures, rows(sent)))
    assert failures == [(1, 0), (1, 0), (1, 1), (1, 1)]


def test_a_bug_that_one_file_meets_is_recorded_against_it_and_does_not_hold_up_the_others(
    tmp_path: Path, sent: list[Message]
) -> None:
    write(tmp_path, "2024-06-11.csv", DETAIL.format(5000))
    odd = write(tmp_path, "2024-06-12.csv", DETAIL.format(5001))
    one, reported = dropping(tmp_path, MemoryState()), list[str]()

    def read(files: Sequence[Path], right: Callable[[Sequence[Path]], SourceTables] = one.read) -> SourceTables:
        if odd in files:
            raise TypeError("a bug")
        return right(files)

    one.read, one.unreadable = read, lambda error: reported.append(str(error))
    with capture_logs() as logs:
        one.tick(time.time())
        one.tick(time.time())
    assert (rows(sent), one.failures) == (1, 1)
    assert [(entry["file"], entry["exc_info"]) for entry in logs if "is a bug" in entry["event"]] == [(odd.name, True)]
    (text,) = reported
    assert "2024-06-12.csv" in text and "TypeError('a bug')" in text and "report it" in text


def test_when_kafka_is_away_nothing_is_marked_as_done(tmp_path: Path) -> None:
    def away(*_: object) -> None:
        raise PublishError("no broker")

    state = MemoryState()
    write(tmp_path, "2024-06-11.csv", DETAIL.format(5000))
    assert run_tasks([dropping(tmp_path, state, away)], threading.Event(), once=True) == 1
    assert state.stored == {}


def test_rows_that_may_not_have_arrived_are_not_confirmed_by_a_later_day(
    tmp_path: Path, sent: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryStore()
    outlet = daily_outlet(PublishLedger(store))
    state = MemoryState()
    one = folder_task(DropFolder(path=tmp_path), state, publishing(outlet))
    write(tmp_path, "2024-06-11.csv", DETAIL.format(5000))
    with monkeypatch.context() as patched:
        patched.setattr(Publisher, "flush", lambda _self: (_ for _ in ()).throw(PublishError("lost")))
        with pytest.raises(PublishError):
            one.tick(time.time())
    write(tmp_path, "2024-06-12.csv", DETAIL.format(5000))
    sent.clear()
    one.tick(time.time())
    assert rows(sent) == 2  # both days


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "feeds"),
        ("[feeds]", "no feed"),
        ('[feeds.x]\nkind = "carrier pigeon"', "kind"),
        ('[feeds.x]\nkind = "folder"', "path"),
        ('[feeds.x]\nkind = "folder"\npath = 5', "5 is no Path"),
        ('[feeds.x]\nkind = "fetch"\nsince = "yesterday"', "since"),
        ('[feeds.x]\nkind = "fetch"\nvia = "wind"', "via"),
        ('[feeds.x]\nkind = "fetch"\nvia = "tushare"\ntables = ["ticks"]', "choose from margin"),
        ('[feeds.x]\nkind = "fetch"\nvia = "tushare"\ntables = ["margin", "daily"]', "make two feeds"),
        ('[feeds.x]\nkind = "folder"\npath = "p"\nmap = "m.toml"', "vendor"),
        ("[feeds", "no TOML"),
        ('[feed.x]\nkind = "fetch"', r"has feed: a feed is a table \[feeds.NAME\]"),
        ("feeds = 1", "no table feeds"),
        ('[feeds.x]\nkind = "folder"\npath = ""', "'' is no Path"),
        ('[feeds.x]\nkind = "positions"\nfrom = "redis"\nstream = ""', "stream"),
        ('[feeds.x]\nkind = "snapshots"', "needs `from`, one of akshare, url, file; it is None"),
        ('[feeds.x]\nkind = "positions"\nfrom = "pigeon"', "folder, redis, webhook; it is 'pigeon'"),
        ('[feeds.x]\nkind = "snapshots"\nfrom = "url"\nmap = "m"', "url or url_file"),
        ('[feeds.x]\nkind = "snapshots"\nfrom = "akshare"\nof = "securities"\nevery_s = 30', "60 at least"),
        ('[feeds.x]\nkind = "snapshots"\nfrom = "file"\npath = "p"', "map"),
        ('[feeds.x]\nkind = "positions"\nfrom = "redis"\nstream = "s"\nmax_rows_per_s = 0', "max_rows_per_s"),
        ('[feeds.x]\nkind = "positions"\nfrom = "webhook"\nlisten = "6068"', "HOST:PORT"),
        ('[feeds.x]\nkind = "positions"\nfrom = "webhook"\nsecret = "hush"', "secret"),
    ],
)
def test_a_plan_that_can_not_work_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        plans.load(path)
    assert "[feeds.x]" not in text or "[feeds.x]" in str(caught.value)


def test_paths_of_a_plan_are_relative_to_it(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text('[feeds.x]\nkind = "folder"\npath = "in"\nformat = "vendor"\nmap = "m.toml"\n'
                    "[feeds.y]\nkind = \"fetch\"\nsince = 2024-06-03\nat = 09:00:00\n")  # fmt: skip
    found = plans.load(path).feeds
    assert found["x"] == DropFolder(path=tmp_path / "in", format="vendor", map=tmp_path / "m.toml")
    assert isinstance(found["y"], Fetch) and found["y"].since == date(2024, 6, 3)


# -- several feeds -------------------------------------------------------------------------------------------


class Waiting(FeedTask):
    """A feed that waits until `end` is called."""

    def __init__(self) -> None:
        self.name, self.failures = "waiting", 0
        self.begun, self.over, self.closed = threading.Event(), threading.Event(), False

    def tick(self, now: float) -> float:
        self.begun.set()
        self.over.wait(120)
        return now

    def end(self) -> None:
        self.over.set()

    def close(self) -> None:
        self.closed = True


class Busy(FeedTask):
    """A feed that works three times, then raises."""

    def __init__(self, waiting: Waiting, stop: threading.Event) -> None:
        self.name, self.failures, self.count = "busy", 0, 0
        self.waiting, self.stop = waiting, stop

    def tick(self, now: float) -> float:
        self.count += 1
        assert self.waiting.begun.wait(120)
        if self.count == 3:
            self.stop.set()
            raise KeyError("a bug")
        return now


def test_a_feed_that_waits_delays_no_other_and_a_bug_in_one_is_logged() -> None:
    stop, waiting = threading.Event(), Waiting()
    busy = Busy(waiting, stop)
    with capture_logs() as logs:
        assert run_tasks([waiting, busy], stop, once=False) == 1
    assert (busy.count, waiting.over.is_set(), waiting.closed) == (3, True, True)
    assert [entry["event"] for entry in logs] == ["feed failed: this is a bug of marginwatch"]


class Server(Waiting):
    serves = True


def test_one_round_leaves_out_those_that_serve_others() -> None:
    server = Server()
    assert run_tasks([server], threading.Event(), once=True) == 0
    assert not server.begun.is_set()


LIVE = Path(__file__).parents[1] / "deploy" / "live.example.toml"


def test_the_example_plan_can_be_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = plans.load(LIVE)
    kinds = {type(feed) for feed in found.feeds.values()}
    assert kinds == {
        plans.AkshareSnapshots,
        plans.FileSnapshots,
        plans.PositionsFolder,
        plans.PositionsStream,
        plans.PositionsWebhook,
    }
    monkeypatch.setenv("MARGINWATCH_POSITIONS_SECRET", "0123456789abcdef")
    feeds = {
        name: msgspec.structs.replace(feed, secret_file=None) if isinstance(feed, plans.PositionsWebhook) else feed
        for name, feed in found.feeds.items()
    }
    services = feed_services(Settings(), redis_client(Settings()), threading.Event())
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(InputError, match=r"pip install 'marginwatch\[fetch\]'"):
        build_tasks(plans.Plan(feeds), services)
    with pytest.raises(InputError, match=r"pip install 'marginwatch\[fetch\]'"):
        build_tasks(plans.Plan({"exchange": Fetch()}), services)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)
    tasks = build_tasks(plans.Plan(feeds), services)
    assert [one.name for one in tasks] == list(found.feeds)


@pytest.mark.parametrize(
    ("options", "feeds"),
    [
        (
            "--snapshots akshare --positions-folder in",
            {
                "snapshots.indices": plans.AkshareSnapshots(of="indices"),
                "snapshots.securities": plans.AkshareSnapshots(of="securities"),
                "positions.folder": plans.PositionsFolder(path=Path.cwd() / "in"),
            },
        ),
        (
            "--snapshots https://x/y.csv --map m.toml --every 2m",
            {"snapshots": plans.UrlSnapshots(url="https://x/y.csv", map=Path.cwd() / "m.toml", every_s=120)},
        ),
        (
            "--snapshots /q.csv --map m.toml --every 5s --positions-stream desk:positions --positions-map b.toml "
            "--max-rows-per-s 9",
            {
                "snapshots": plans.FileSnapshots(path=Path("/q.csv"), map=Path.cwd() / "m.toml", every_s=5),
                "positions.stream": plans.PositionsStream(
                    stream="desk:positions", map=Path.cwd() / "b.toml", max_rows_per_s=9
                ),
            },
        ),
        (
            "--positions-webhook 127.0.0.1:7000 --secret-file s",
            {"positions.webhook": plans.PositionsWebhook(listen="127.0.0.1:7000", secret_file=Path.cwd() / "s")},
        ),
    ],
)
def test_the_options_of_feed_live_make_a_plan(
    options: str, feeds: dict[str, Feed], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[plans.Plan] = []
    monkeypatch.setattr(feed_live, "run_plan", lambda read, _where, *, once: made.append(read()))
    found = feed("live", *options.split())
    assert found.exit_code == 0, found.output
    assert made == [plans.Plan(feeds)]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("", "--positions-folder"),
        ("--every 5s --positions-folder in", "--snapshots"),
        ("--snapshots akshare --every 5s", "pace"),
        ("--snapshots q.csv", "--map"),
        ("--snapshots q.csv --map m.toml --every soon", "30s or 2m"),
        ("--snapshots q.csv --map m.toml --every 0s", "once a second"),
    ],
)
def test_options_of_feed_live_that_can_not_work_are_refused(options: str, said: str) -> None:
    found = feed("live", *options.split())
    assert found.exit_code == 2
    assert said in found.output


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_the_real_thing_publishes_remembers_and_ends_cleanly(stack: Stack, tmp_path: Path) -> None:
    from streams.local.processes import environment

    plan, folder = tmp_path / "plan.toml", tmp_path / "in"
    folder.mkdir()
    plan.write_text('[feeds.desk]\nkind = "folder"\npath = "in"\nevery_s = 0.2\nsettle_s = 0.2\n')
    write(folder, "2024-06-11.csv", DETAIL.format(5000))

    def start(*options: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "streams", "feed", "run", str(plan), *options],
            env=os.environ | environment(stack.settings), stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def done() -> set[bytes]:
        return set(stack.redis.hgetall(f"{stack.settings.namespace}:feeds:desk"))

    process = start()
    try:
        wait_until(lambda: done() == {b"file/2024-06-11.csv"}, what="the first file")
        write(folder, "2024-06-12.csv", DETAIL.format(5001), age=1)
        wait_until(lambda: len(done()) == 2, what="the second file")
        process.send_signal(signal.SIGTERM)
        log = process.communicate(timeout=120)[1]
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, log
    assert log.count("published") == 2 and "feeds ended" in log
    again = start("--once").communicate(timeout=120)[1]
    assert "published" not in again


def test_a_second_signal_within_the_first_does_not_wait_for_its_lock() -> None:
    class Interrupted(threading.Event):
        calls = 0

        def set(self) -> None:
            self.calls += 1
            end()  # the second signal
            super().set()

    stop = Interrupted()
    end = ends(stop)
    end()
    assert stop.is_set()
    assert stop.calls == 1
