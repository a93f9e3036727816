"""A publish ledger that is older than the topics takes their rows, and one that is newer publishes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, nullcontext
from pathlib import Path

import pytest

from feeds.daily.ledger import PublishLedger
from feeds.daily.ledger_rebuild import rebuild_ledger
from feeds.daily.publish import publish_days
from feeds.daily.published_figures import PublishedFigures
from feeds.errors import LedgerError
from feeds.files.dataset import SourceTables
from feeds.ports import Place
from processors.days import to_day
from processors.events import RowBatch
from streams import feed_services
from streams.clients import kafka_admin
from streams.feed_services import RedisLedgerStore, TopicRows, open_ledger
from streams.publisher import Publisher
from streams.topics import Topics
from tests.building import DAYS, balances
from tests.harness import Stack
from tests.publishing import MemoryStore, Message, daily_outlet, feed, sent

__all__ = ["sent"]

A, B, C = "600000.SH", "600519.SH", "600001.SH"
TOPIC, DAY = "margin.daily", to_day(DAYS[0])


class Log:
    """The topic of one partition: a list of batches."""

    def __init__(self) -> None:
        self.written: list[RowBatch] = []

    def trimmed_topics(self) -> list[str]:
        return []

    def batches(self, _on_messages: Callable[[int], None]) -> Iterator[RowBatch]:
        yield from self.written

    def partitions(self) -> list[Place]:
        return [(TOPIC, 0)]

    def ends(self) -> dict[Place, int]:
        return {(TOPIC, 0): len(self.written)}

    def rows_behind(
        self, known: Mapping[Place, int], ends: Mapping[Place, int]
    ) -> Iterator[tuple[Place, int, list[RowBatch]]]:
        for place, offset in known.items():
            yield place, ends[place], self.written[offset:]


class Feed:
    """Publishes rows to a log, with a ledger in a store."""

    def __init__(self, store: MemoryStore, log: Log) -> None:
        self._log = log
        self.ledger = PublishLedger(store, published=log)  # type: ignore[arg-type]
        self.ledger.catch_up()

    def send(self, rows: dict[str, float], *, acknowledged: bool = True) -> dict[str, int]:
        """Publish rows of a day; return how many were sent, and the highest revision."""
        sent = self.ledger.begin({TOPIC: balances(DAYS[0], rows)}).rows.get(TOPIC)
        if sent is not None:
            self._log.written.append(sent)
        if acknowledged:
            self.ledger.confirm()
        return {} if sent is None else {"rows": len(sent), "revision": int(sent.revisions.max())}


def test_a_correction_behind_a_restored_ledger_gets_a_revision_that_the_topic_does_not_have() -> None:
    store, log = MemoryStore(), Log()
    Feed(store, log).send({A: 1.0, B: 2.0})
    copy = dict(store.stored)
    Feed(store, log).send({A: 1.5, B: 2.0, C: 4.0})
    store.stored = copy
    feed = Feed(store, log)
    figures = PublishedFigures(store).of(TOPIC).on(0, DAY)
    assert figures is not None and figures.figures["fin_balance"].tolist() == [1.5, 4.0, 2.0]
    assert feed.send({A: 1.7, B: 2.0}) == {"rows": 1, "revision": 2}


def test_rows_that_a_restored_ledger_has_taken_are_sent_again_once_with_their_punctuation() -> None:
    store, log = MemoryStore(), Log()
    Feed(store, log).send({A: 1.0})
    copy = dict(store.stored)
    Feed(store, log).send({A: 1.5})  # and ends before its punctuation
    store.stored = copy
    assert Feed(store, log).send({A: 1.5}) == {"rows": 1, "revision": 1}
    assert Feed(store, log).send({A: 1.5}) == {}


def test_a_ledger_that_is_set_back_while_a_feed_runs_is_noticed_by_the_next_day() -> None:
    store, log = MemoryStore(), Log()
    Feed(store, log).send({A: 1.0})
    copy = dict(store.stored)
    feed = Feed(store, log)
    feed.send({A: 1.5})
    feed.ledger.catch_up()
    store.stored = copy
    assert feed.send({A: 1.7}) == {"rows": 1, "revision": 2}


def test_rows_of_a_feed_that_died_are_sent_again_although_the_topic_has_them() -> None:
    store, log = MemoryStore(), Log()
    Feed(store, log).send({A: 1.0}, acknowledged=False)
    assert rebuild_ledger(log, store).equal  # type: ignore[arg-type]
    assert Feed(store, log).send({A: 1.0}) == {"rows": 1, "revision": 0}


class Away(Log):
    """A topic that can't be read."""

    def ends(self) -> dict[Place, int]:
        raise LedgerError("the topics can't be read")


def test_feeds_and_commands_catch_up_before_they_compare_anything(
    sent: list[Message], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ledger = PublishLedger(MemoryStore(), published=Away())  # type: ignore[arg-type]
    with pytest.raises(LedgerError, match="can't be read"):
        daily_outlet(ledger).publish("x", SourceTables([], []), source="x", force=False)
    monkeypatch.setattr(feed_services, "open_ledger", lambda _settings: nullcontext(ledger))
    (path := tmp_path / "day.csv").write_text("日期,代码,收盘价(元)\n2024-06-03,600519,1700.5\n", "utf-8")
    assert isinstance(feed("vendor", path).exception, LedgerError)
    assert sent == []
    assert feed("vendor", path, "--check").exit_code == 0  # only compares: it needs no broker


def test_a_topic_that_has_lost_published_rows_stops_the_feeds_until_the_ledger_is_filled() -> None:
    store, log = MemoryStore(), Log()
    for value in (1.0, 2.0, 3.0):
        Feed(store, log).send({A: value})
    Feed(store, log)
    log.written.pop()
    with pytest.raises(LedgerError, match=r"lost messages .*: margin\.daily\[0\] ends at 2, not at 3\. Restore them"):
        Feed(store, log)


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_rows_under_an_earlier_code_are_those_that_the_ledger_has(stack: Stack, tmp_path: Path) -> None:
    (path := tmp_path / "changes.csv").write_text(f"old,new,date\n{A},{B},{DAYS[5]}\n")
    settings = stack.settings.model_copy(update={"code_changes_file": path})
    with open_ledger(settings) as kept, Publisher(settings, source="test") as publisher:
        kept.catch_up()
        publish_days(publisher, [(DAY, {TOPIC: balances(DAYS[0], {A: 1.0})})], ledger=kept)
    with open_ledger(settings) as kept:
        kept.catch_up()
        again = kept.begin({TOPIC: balances(DAYS[0], {A: 2.0})})
    assert len(again.counted[TOPIC]) == 1  # the punctuation would wait for a row under the newest code
    assert rebuild_ledger(TopicRows(settings), RedisLedgerStore(stack.redis, settings.namespace), check=True).equal


def test_a_restored_redis_and_a_lost_topic_on_a_real_broker(stack: Stack) -> None:
    settings = stack.settings
    rows, store = TopicRows(settings), RedisLedgerStore(stack.redis, settings.namespace)

    def publish(value: float) -> int:
        with open_ledger(settings) as kept, stack.publisher() as publisher:
            kept.catch_up()
            publish_days(publisher, [(DAY, {TOPIC: balances(DAYS[0], {A: value, B: 2.0})})], ledger=kept)
            publisher.barrier()
            return publisher.rows

    publish(1.0)
    copy = {key: stack.redis.dump(key) for key in stack.redis.keys(f"{settings.namespace}:published:*")}
    publish(1.5)
    for key in stack.redis.keys(f"{settings.namespace}:published:*"):
        stack.redis.delete(key)
    for key, value in copy.items():
        stack.redis.restore(key, 0, value)
    assert publish(1.7) == 1
    assert [batch.revisions.max() for batch in rows.batches()] == [0, 1, 2]
    assert rebuild_ledger(rows, store, check=True).equal
    assert publish(1.7) == 0

    name = Topics(settings).name(TOPIC)
    with closing(kafka_admin(settings)) as admin:
        admin.delete_topics([name])
    Topics(settings).create()
    with pytest.raises(LedgerError, match=r"lost messages .*: margin\.daily\[0\] ends at 0"):
        publish(1.9)
    with stack.publisher() as publisher:
        publisher.day({TOPIC: balances(DAYS[0], {A: 1.7, B: 2.0})})
    rebuild_ledger(rows, store)
    assert publish(1.9) == 1
