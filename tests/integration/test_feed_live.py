"""Live feeds on a real broker and a real Redis: kills and restarts, many feeds at once, and the signal at the end."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from kafka import TopicPartition

from alerts.delivery.signing import HEADER, signature
from feeds import plan, simulate
from feeds.build import build_tasks
from feeds.intraday.margin_positions import TOPIC
from processors.codes import to_code
from processors.days import SHANGHAI, to_day
from processors.events import RowBatch
from streams import dlq, readers
from streams.calendars import xshg
from streams.codecs.row_codec import Decoder
from streams.dead_letters import open_letters
from streams.errors import ReadError
from streams.feed_services import feed_services
from streams.local.local_service import free_port
from streams.local.processes import environment
from streams.records import is_barrier
from streams.system_status import latest_market
from streams.topics import Topic, Topics, dead_letters
from tests.harness import Stack, wait_until

#: What a feed does does not depend on the broker.
pytestmark = pytest.mark.parametrize("broker", ["embedded"], indirect=True)
SECRET = "0123456789abcdef-nobody-sees"
OPEN = datetime(2024, 6, 3, 9, 30, tzinfo=SHANGHAI)
Row = tuple[str, datetime, float, float]


def rows_of(minutes: int, codes: int) -> list[Row]:
    """Positions that grow from minute to minute."""
    return [
        (f"{600000 + c}.SH", OPEN + timedelta(minutes=m), 1000.0 * (m + 1) + c, 10.0 * m)
        for m in range(minutes) for c in range(codes)
    ]  # fmt: skip


def as_csv(rows: list[Row]) -> str:
    lines = [f"{code},{ts:%Y-%m-%d %H:%M:%S},{buy},{repay}" for code, ts, buy, repay in rows]
    return "\n".join(["证券代码,时间,融资买入额(元),融资偿还额(元)", *lines]) + "\n"


class Feed:
    """`marginwatch feed …` as a process."""

    def __init__(self, stack: Stack, log: Path, *arguments: str) -> None:
        self.log = log
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "streams", "feed", *arguments],
                env=os.environ | environment(stack.settings) | {"MARGINWATCH_POSITIONS_SECRET": SECRET},
                stdout=out, stderr=out, stdin=subprocess.DEVNULL,
            )  # fmt: skip

    def said(self) -> str:
        return self.log.read_text()

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        def come() -> bool:
            assert self.process.poll() is None, f"the feed ended: {self.said()[-3000:]}"
            return condition()

        wait_until(come, 120, what)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(120) == 0, self.said()


@pytest.fixture
def start(stack: Stack, tmp_path: Path) -> Iterator[Callable[..., Feed]]:
    started: list[Feed] = []

    def run(*arguments: str) -> Feed:
        started.append(Feed(stack, tmp_path / f"feed-{len(started)}.log", *arguments))
        return started[-1]

    yield run
    for one in started:
        one.kill()


def published(stack: Stack) -> list[RowBatch]:
    """Return all rows of the topic of margin positions."""
    decoder = Decoder(TOPIC, xshg(), (), None, 1 << 30)
    found: list[RowBatch] = []
    with stack.publisher() as publisher:
        barrier = publisher.barrier().encode()
    name = Topics(stack.settings).name(TOPIC)
    places = [TopicPartition(name, p) for p in range(stack.settings.partitions)]
    left = set(places)
    with readers.consumer(stack.settings) as consumer:
        consumer.assign(places)
        consumer.seek_to_beginning()
        deadline = time.monotonic() + 120
        while left:
            assert time.monotonic() < deadline
            for place, records in consumer.poll(timeout_ms=200).items():
                found += [decoder.frame(record.value) for record in records if not is_barrier(record)]
                if any(is_barrier(record) and barrier in record.value for record in records):
                    left.discard(place)
    return found


def count(stack: Stack) -> int:
    return sum(len(batch) for batch in published(stack))


def at_the_consumer(stack: Stack) -> dict[tuple[str, datetime], tuple[int, float, float]]:
    """Return the highest revision of each row; no revision may have two values."""
    seen: dict[tuple[str, datetime, int], tuple[float, float]] = {}
    for batch in published(stack):
        columns = (batch.keys, batch.stamps, batch.revisions, batch.figures["fin_buy"], batch.figures["fin_repay"])
        for key, ts, revision, buy, repay in zip(*(c.tolist() for c in columns), strict=True):
            row = (to_code(key), datetime.fromtimestamp(ts / 1e6, SHANGHAI), revision)
            assert seen.setdefault(row, (buy, repay)) == (buy, repay)
    return {row[:2]: (row[2], *seen[row]) for row in sorted(seen)}


def expected(rows: list[Row], revision: int = 0) -> dict[tuple[str, datetime], tuple[int, float, float]]:
    return {(code, ts): (revision, buy, repay) for code, ts, buy, repay in rows}


def state(stack: Stack, feed: str) -> dict[bytes, bytes]:
    return stack.redis.hgetall(f"{stack.settings.namespace}:feeds:{feed}")


def test_positions_from_a_folder_survive_a_kill_with_nothing_lost_and_nothing_doubled(
    stack: Stack, start: Callable[..., Feed], tmp_path: Path
) -> None:
    folder = tmp_path / "positions"
    folder.mkdir()
    rows = rows_of(minutes=6, codes=50)
    (folder / "1.csv").write_text(as_csv(rows))
    (folder / "wrong.csv").write_text(as_csv(rows).replace("(元)", ""))
    options = ("live", "--positions-folder", str(folder))
    feed = start(*options, "--max-rows-per-s", "60")
    feed.wait_for(lambda: count(stack) > 60, "the first rows")
    feed.kill()
    assert count(stack) < len(rows)
    assert b"file/1.csv" not in state(stack, "positions.folder")
    feed = start(*options)
    feed.wait_for(lambda: len(state(stack, "positions.folder")) == 2, "both files")
    assert at_the_consumer(stack) == expected(rows)
    total = count(stack)
    assert total < len(rows) + 60  # only what was under way at the kill may be there twice
    assert "no unit is given" in feed.said()

    # The same file again, with a corrected row and later ones; then the wrong one, corrected.
    last = (rows[-1][0], rows[-1][1], rows[-1][2] - 1, rows[-1][3])
    more = rows_of(minutes=8, codes=50)[len(rows) :]
    (folder / "1.csv").write_text(as_csv([*rows[:-1], last, *more]))
    (folder / "wrong.csv").write_text(as_csv(rows))
    feed.wait_for(lambda: b"done" in state(stack, "positions.folder")[b"file/wrong.csv"], "the changed files")
    feed.terminate()
    assert at_the_consumer(stack) == expected(rows[:-1]) | expected([last], 1) | expected(more)
    assert count(stack) == total + 1 + len(more)


def test_positions_from_a_stream_go_on_after_a_kill_and_bad_entries_stop_nothing(
    stack: Stack, start: Callable[..., Feed]
) -> None:
    rows, key = rows_of(minutes=6, codes=50), f"{stack.settings.namespace}:desk:positions"

    def add(row: Row, **changes: str) -> str:
        code, ts, buy, repay = row
        fields = {"code": code, "ts": ts.isoformat(), "fin_buy": str(buy), "fin_repay": str(repay)}
        return stack.redis.xadd(key, fields | changes).decode()

    bad = []
    for place, row in enumerate(rows):
        if place % 100 == 50:
            bad.append(add(row, fin_buy="lots"))
        add(row)
    options = ("live", "--positions-stream", key)
    feed = start(*options, "--max-rows-per-s", "60")
    feed.wait_for(lambda: count(stack) > 60, "the first rows")
    feed.kill()
    assert state(stack, "positions.stream") == {}
    feed = start(*options)
    newest = stack.redis.xrevrange(key, count=1)[0][0]
    feed.wait_for(lambda: state(stack, "positions.stream").get(b"entry") == newest, "the end of the stream")
    assert at_the_consumer(stack) == expected(rows)
    assert count(stack) < len(rows) + 60
    letters = list(readers.read(stack.settings, dead_letters(TOPIC)))
    headers = [dict(letter.headers) for letter in letters]
    assert [h["dlq_offset"].decode() for h in headers] == bad
    assert all(b"'lots' is no number" in h["dlq_reason"] for h in headers)
    assert json.loads(letters[0].value)["fin_buy"] == "lots"
    assert dlq.letter_at(stack.settings, Topic.MARGIN_INTRADAY, 0, bad[1]).value == letters[1].value
    assert dlq.skip(stack.settings, Topic.MARGIN_INTRADAY, 0, bad[0])
    left = [*open_letters(dlq.letters(stack.settings)[Topic.MARGIN_INTRADAY]).values()]
    assert [letter.place.offset for letter in left] == bad[1:]
    with pytest.raises(ReadError, match=rf"0 published again; {len(left)} are entries of a Redis stream"):
        dlq.retry(stack.settings, Topic.MARGIN_INTRADAY, left)
    with pytest.raises(ReadError, match=r"no dead letter of .*@1-1"):
        dlq.skip(stack.settings, Topic.MARGIN_INTRADAY, 0, "1-1")

    # A new entry is published at once; a stop while waiting is prompt; the next process goes on.
    later = (rows[0][0], OPEN + timedelta(minutes=30), 1e6, 1e5)
    add(later)
    feed.wait_for(lambda: at_the_consumer(stack) == expected([*rows, later]), "the next entry")
    feed.terminate()
    total = count(stack)
    last = (later[0], later[1] + timedelta(minutes=1), 2e6, 1e5)
    add(last)
    again = start(*options, "--once")
    assert again.process.wait(120) == 0, again.said()
    assert at_the_consumer(stack) == expected([*rows, later, last])
    assert count(stack) == total + 1

    # The desk creates its stream again.
    stack.redis.delete(key)
    newest = (last[0], last[1] + timedelta(minutes=1), 3e6, 1e5)
    stack.redis.xadd(key, {"code": last[0], "ts": newest[1].isoformat(), "fin_buy": 3e6, "fin_repay": 1e5}, id="1-1")
    again = start(*options, "--once")
    assert again.process.wait(120) == 0, again.said()
    assert at_the_consumer(stack) == expected([*rows, later, last, newest])


def call(port: int, rows: list[Row], key: str) -> tuple[int, dict[str, Any]]:
    body = json.dumps(
        [{"code": c, "ts": ts.isoformat(), "fin_buy": buy, "fin_repay": repay} for c, ts, buy, repay in rows]
    ).encode()
    headers = {HEADER: signature(SECRET.encode(), body, int(time.time())), "Idempotency-Key": key}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request("POST", f"/v1/{TOPIC}", body, headers)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_positions_by_webhook_are_answered_when_published_and_can_be_sent_again_after_a_kill(
    stack: Stack, start: Callable[..., Feed]
) -> None:
    rows, port = rows_of(minutes=20, codes=10), free_port()
    parts = [rows[at : at + 10] for at in range(0, len(rows), 10)]

    def started() -> Feed:
        feed = start("live", "--positions-webhook", f"127.0.0.1:{port}")
        feed.wait_for(lambda: "webhook listens" in feed.said(), "the webhook")
        return feed

    feed = started()
    done: list[int] = []

    def send_all() -> None:
        """As a desk does: each part until it is answered."""
        for number, part in enumerate(parts):
            while True:
                try:
                    if call(port, part, f"part-{number}")[0] == 200:
                        break
                except (OSError, http.client.HTTPException):
                    pass
                time.sleep(0.05)
            done.append(number)

    desk = threading.Thread(target=send_all)
    desk.start()
    wait_until(lambda: len(done) >= 5, 30, "the first parts")
    feed.kill()
    assert len(done) < len(parts)
    feed = started()
    desk.join(60)
    assert done == list(range(len(parts)))
    assert at_the_consumer(stack) == expected(rows)
    total = count(stack)
    assert total <= len(rows) + 10
    assert call(port, parts[-1], "part-19")[1]["published"] == 10  # the answer of the first time
    assert call(port, parts[-1], "another key")[1] == {"rows": 10, "published": 0, "unchanged": 10, "late": 0}
    assert count(stack) == total
    feed.terminate()
    assert SECRET not in feed.said()


def test_feeds_of_a_plan_run_beside_each_other_and_end_together(
    stack: Stack, start: Callable[..., Feed], tmp_path: Path
) -> None:
    """One source never answers; the others work."""
    import socket

    deaf = socket.create_server(("127.0.0.1", 0))
    (tmp_path / "positions").mkdir()
    (tmp_path / "map.toml").write_text(MAPPING)
    (tmp_path / "plan.toml").write_text(f"""
        [feeds.deaf]
        kind = "snapshots"
        from = "url"
        url = "http://127.0.0.1:{deaf.getsockname()[1]}/?token=hush"
        map = "map.toml"
        [feeds.folder]
        kind = "positions"
        from = "folder"
        path = "positions"
        every_s = 0.2
        settle_s = 0
        [feeds.stream]
        kind = "positions"
        from = "redis"
        stream = "{stack.settings.namespace}:desk:positions"
        [feeds.hook]
        kind = "positions"
        from = "webhook"
        listen = "127.0.0.1:0"
    """)
    feed = start("run", str(tmp_path / "plan.toml"))
    feed.wait_for(lambda: "webhook listens" in feed.said(), "the webhook")
    found = re.search(r"port=(\d+)", re.sub(r"\x1b\[[0-9;]*m", "", feed.said()))
    assert found
    rows = rows_of(minutes=1, codes=3)
    (tmp_path / "positions" / "1.csv").write_text(as_csv(rows[:1]))
    code, ts, buy, repay = rows[1]
    stack.redis.xadd(f"{stack.settings.namespace}:desk:positions",
                     {"code": code, "ts": ts.isoformat(), "fin_buy": buy, "fin_repay": repay})  # fmt: skip
    assert call(int(found[1]), rows[2:], "x")[0] == 200
    feed.wait_for(lambda: at_the_consumer(stack) == expected(rows), "the rows of all three")
    feed.terminate()
    assert "hush" not in feed.said()
    deaf.close()


MAPPING = """
[[table]]
topic = "prices.intraday"
code = { column = "code", style = "600519.SH" }
only = "securities"
columns.last = { column = "last", unit = "元" }
columns.prev_close = { column = "prev_close", unit = "元" }
columns.volume = { column = "volume", unit = "股" }
columns.turnover = { column = "turnover", unit = "元" }

[[table]]
topic = "indices.intraday"
code = { column = "code", style = "600519.SH" }
only = "indices"
rows = "last > 0"
columns.last = { column = "last", unit = "点" }
columns.prev_close = { column = "prev_close", unit = "点" }
columns.volume = { column = "volume", unit = "股" }
columns.turnover = { column = "turnover", unit = "元" }
"""


QUOTED = ("last", "prev_close", "volume", "turnover")


def test_snapshots_and_positions_show_in_a_provisional_signal(stack: Stack, tmp_path: Path) -> None:
    stack.worker().ready()
    calendar = xshg()
    market = simulate.Market(
        simulate.Simulation(calendar, to_day(datetime(2024, 6, 27).date()), days=40, stocks=60, funds=4)
    )
    with stack.publisher(source=simulate.SOURCE) as publisher:
        for _, batches in market.history():
            publisher.day(batches)
        stack.settle(publisher)
    today = calendar.shift(market.simulation.last_day, 1)
    assert today is not None
    now = datetime(2024, 6, 28, 9, 30, tzinfo=SHANGHAI).timestamp()
    (tmp_path / "map.toml").write_text(MAPPING)
    (tmp_path / "positions").mkdir()
    tables = plan.parse(
        {"feeds": {
            "quotes": {"kind": "snapshots", "from": "file", "path": "quotes.csv", "map": "map.toml", "every_s": 60},
            "positions": {"kind": "positions", "from": "folder", "path": "positions"},
        }}, "test", tmp_path,
    )  # fmt: skip
    made = build_tasks(tables, feed_services(stack.settings, stack.redis, threading.Event(), lambda: now))
    for minute, batches in market.session(today, ratio=0.105, every_minutes=60):
        written = datetime(2024, 6, 28, minute // 60, minute % 60, tzinfo=SHANGHAI)
        rows = [
            ",".join([to_code(key), *(str(batch.figures[name][row]) for name in QUOTED)])
            for topic, batch in batches.items() if topic != TOPIC for row, key in enumerate(batch.keys.tolist())
        ]  # fmt: skip
        positions = batches[TOPIC]
        (tmp_path / "quotes.csv").write_text("\n".join([",".join(["code", *QUOTED]), *rows]))
        (tmp_path / "positions" / f"{minute}.csv").write_text(as_csv([
            (to_code(key), written, positions.figures["fin_buy"][row], positions.figures["fin_repay"][row])
            for row, key in enumerate(positions.keys.tolist())
        ]))  # fmt: skip
        for path in (tmp_path / "quotes.csv", tmp_path / "positions" / f"{minute}.csv"):
            os.utime(path, (written.timestamp(),) * 2)
        now = written.timestamp() + (5 if minute not in (11 * 60 + 30, 15 * 60) else 70)
        for one in made:
            one.tick(now)
    assert [one.failures for one in made] == [0, 0]
    for one in made:
        one.close()
    with stack.publisher() as publisher:
        stack.settle_latest(publisher)
    live = latest_market(stack.settings, stack.redis)
    assert live["fin_buy_ratio"].provisional
    assert live["fin_buy_ratio"].value == pytest.approx(0.105, rel=1e-3)
    assert live["excess_financing"].provisional
    assert live["excess_financing"].value is not None
