"""The scheduler of feeds: what is due, catching up, refusing, remembering; without network, Kafka and Redis."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from streams.calendars import xshg
from streams.feeds import plan as plans
from streams.feeds import scheduler
from streams.feeds.checked import Parts
from streams.feeds.fetch import NotPublishedError
from streams.feeds.folder import FeedError
from streams.feeds.journal import Journal
from streams.feeds.plan import DropFolder, Feed, Fetch
from streams.feeds.scheduler import FetchRun, FolderRun, Outlet, run
from streams.publisher import PublishError
from streams.settings import Settings
from tests.publishing import Memory, MemoryStore, Message, sent
from tests.running import Stack, wait_until

__all__ = ["sent"]
SHANGHAI = timezone(timedelta(hours=8))


class Exchange:
    """What the exchanges would answer, and what was published of it."""

    def __init__(self) -> None:
        self.asked: list[date] = []
        self.published: list[date] = []
        self.refuse: dict[date, Exception] = {}

    def fetch(self, day: date) -> Parts:
        self.asked.append(day)
        if day in self.refuse:
            raise self.refuse[day]
        return Parts()

    def publish(self, _name: str, _parts: Parts, _feed: Feed) -> None:
        self.published.append(self.asked[-1])


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).timestamp()


def fetching(exchange: Exchange, state: Memory, **feed: object) -> FetchRun:
    return FetchRun("x", Fetch(**feed), state, exchange.publish, xshg(), exchange.fetch)  # type: ignore[arg-type]


def drained(one: FetchRun, now: float) -> float:
    """Tick until nothing is due; return when to come again."""
    following = one.tick(now)
    while one.pending(now):
        following = one.tick(now)
    return one.tick(now) if following <= now + one.feed.pause_s else following


def test_a_day_is_asked_for_on_the_next_session_at_its_time() -> None:
    exchange, state = Exchange(), Memory()
    one = fetching(exchange, state, since=date(2024, 6, 7))  # a Friday; Monday the 10th was a holiday
    following = drained(one, at("2024-06-11 08:44:59"))
    assert exchange.asked == []
    assert following == at("2024-06-11 08:45:00")
    following = drained(one, following)
    assert exchange.published == [date(2024, 6, 7)]
    assert following == at("2024-06-12 08:45:00")


def test_missed_days_are_caught_up_oldest_first_after_a_stop() -> None:
    exchange, state = Exchange(), Memory()
    drained(fetching(exchange, state), at("2024-06-04 09:00"))
    assert exchange.published == [date(2024, 6, 3)]  # without `since`: the newest one
    drained(fetching(exchange, state), at("2024-06-07 12:00"))  # another process, three days later
    assert exchange.published == [date(2024, 6, d) for d in (3, 4, 5, 6)]


def test_what_is_not_published_yet_is_asked_for_again_and_errors_wait_longer_each_time() -> None:
    exchange, state = Exchange(), Memory()
    one = fetching(exchange, state, since=date(2024, 6, 3))
    exchange.refuse = {date(2024, 6, 3): NotPublishedError("later")}
    now = at("2024-06-04 08:45")
    assert drained(one, now) == now + 600
    assert drained(one, now + 600) == now + 1200
    exchange.refuse = {date(2024, 6, 3): FeedError("the page has changed")}
    assert drained(one, now + 1200) == now + 1200 + 1200
    assert drained(one, now + 2400) == now + 2400 + 2400
    exchange.refuse = {}
    drained(one, now + 4800)
    assert exchange.published == [date(2024, 6, 3)]
    assert one.failures == 2


def test_a_day_that_fails_does_not_hold_up_the_others() -> None:
    exchange, state = Exchange(), Memory()
    exchange.refuse = {date(2024, 6, 3): FeedError("no")}
    drained(fetching(exchange, state, since=date(2024, 6, 3)), at("2024-06-06 09:00"))
    assert exchange.published == [date(2024, 6, 4), date(2024, 6, 5)]


# -- folders -----------------------------------------------------------------------------------------------------

HEADER = "证券代码,证券简称,融资买入额(元),融资余额(元),融券卖出量(股),融券余量(股),融券余额(元)"
DETAIL = HEADER + "\n000001,平安银行,100,{},5,7,70\n"


def write(folder: Path, name: str, text: str, age: float = 60) -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    os.utime(path, (time.time() - age,) * 2)
    return path


def dropping(folder: Path, state: Memory, publish: Callable[..., None] | None = None, **feed: object) -> FolderRun:
    outlet = Outlet(Settings(), xshg(), Journal(MemoryStore()))
    return FolderRun("d", DropFolder(path=folder, **feed), state, publish or outlet.publish)  # type: ignore[arg-type]


def rows(messages: list[Message]) -> int:
    return sum(1 for m in messages if ("content-type", b"application/vnd.apache.arrow.stream") in m[4])


def test_new_and_changed_files_are_published_once(tmp_path: Path, sent: list[Message]) -> None:
    state = Memory()
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


def test_a_file_that_is_still_being_written_waits(tmp_path: Path, sent: list[Message]) -> None:
    write(tmp_path, "2024-06-11.csv", DETAIL.format(5000), age=0)
    write(tmp_path, ".2024-06-12.csv", "x")
    one = dropping(tmp_path, Memory(), settle_s=3.0)
    now = time.time()
    assert one.pending(now)
    assert one.tick(now) <= now + 3
    assert not sent
    one.tick(now + 4)
    assert rows(sent) == 1


def test_a_bad_file_is_told_once_and_does_not_hold_up_the_others(tmp_path: Path, sent: list[Message]) -> None:
    write(tmp_path, "2024-06-11.csv", DETAIL.format(5000))
    write(tmp_path, "2024-06-12.csv", "nothing,of\nthe,kind\n")
    one = dropping(tmp_path, Memory())
    with capture_logs() as logs:
        one.tick(time.time())
        one.tick(time.time())
    assert rows(sent) == 1
    refused = [entry for entry in logs if entry["event"] == "file refused"]
    assert [entry["file"] for entry in refused] == ["2024-06-12.csv"]
    write(tmp_path, "2024-06-12.csv", DETAIL.format(5002))
    one.tick(time.time())
    assert rows(sent) == 2


def test_when_kafka_is_away_nothing_is_marked_as_done(tmp_path: Path) -> None:
    def away(*_: object) -> None:
        raise PublishError("no broker")

    state = Memory()
    write(tmp_path, "2024-06-11.csv", DETAIL.format(5000))
    assert run([dropping(tmp_path, state, away)], threading.Event(), once=True) == 1
    assert state.kept == {}


def test_rows_that_may_not_have_arrived_are_not_confirmed_by_a_later_day(
    tmp_path: Path, sent: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = MemoryStore()
    outlet = Outlet(Settings(), xshg(), Journal(store))
    state = Memory()
    one = FolderRun("d", DropFolder(path=tmp_path), state, outlet.publish)
    write(tmp_path, "2024-06-11.csv", DETAIL.format(5000))
    with monkeypatch.context() as patched:
        patched.setattr(scheduler.Publisher, "flush", lambda _self: (_ for _ in ()).throw(PublishError("lost")))
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
        ('[feeds.x]\nkind = "folder"\npath = "p"\nmap = "m.toml"', "vendor"),
        ("[feeds", "no TOML"),
    ],
)
def test_a_plan_that_can_not_work_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "plan.toml"
    path.write_text(text)
    with pytest.raises(FeedError, match=said):
        plans.load(path)


def test_paths_of_a_plan_are_relative_to_it(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text('[feeds.x]\nkind = "folder"\npath = "in"\nformat = "vendor"\nmap = "m.toml"\n'
                    "[feeds.y]\nkind = \"fetch\"\nsince = 2024-06-03\nat = 09:00:00\n")  # fmt: skip
    found = plans.load(path).feeds
    assert found["x"] == DropFolder(path=tmp_path / "in", format="vendor", map=tmp_path / "m.toml")
    assert isinstance(found["y"], Fetch) and found["y"].since == date(2024, 6, 3)


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_the_real_thing_publishes_remembers_and_ends_cleanly(stack: Stack, tmp_path: Path) -> None:
    from streams.up import environment

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
        log = process.communicate(timeout=15)[1]
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0, log
    assert log.count("published") == 2 and "feeds ended" in log
    again = start("--once").communicate(timeout=30)[1]
    assert "published" not in again
