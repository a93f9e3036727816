"""The journal of feeds: nothing twice, corrections with the next revision, and what a crash leaves behind."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from processors.events import RowBatch
from streams.codec import CLOSE_TYPE
from streams.feeds.journal import Journal, JournalError, Noted, RedisStore, digests_of
from streams.feeds.run import publish_days
from streams.local import EmbeddedRedis
from streams.publisher import Publisher
from streams.settings import Settings
from tests.building import DAYS, balances, batch
from tests.publishing import MemoryStore, Message, sent

__all__ = ["sent"]


def revisions(rows: RowBatch) -> dict[int, int]:
    return dict(zip(rows.keys.tolist(), rows.revisions.tolist(), strict=True))


def news(journal: Journal, rows: RowBatch) -> RowBatch:
    return journal.begin({rows.topic: rows}).rows.get(rows.topic, rows.take(np.zeros(len(rows), bool)))


A, B, C = "600000.SH", "000001.SZ", "600519.SH"


def test_the_first_publication_is_what_it_would_be_without_a_journal() -> None:
    rows = balances(DAYS[0], {A: 1.0, B: 2.0})
    found = Journal(MemoryStore()).begin({"margin.daily": rows})
    assert revisions(found.rows["margin.daily"]) == revisions(rows)
    assert sorted(found.counted["margin.daily"].keys) == sorted(rows.keys)


def test_unchanged_rows_are_not_sent_again_and_changed_ones_get_the_next_revision() -> None:
    store = MemoryStore()
    first = Journal(store)
    news(first, balances(DAYS[0], {A: 1.0, B: 2.0}))
    first.confirm()
    again = Journal(store)
    assert len(news(again, balances(DAYS[0], {A: 1.0, B: 2.0}))) == 0
    changed = news(again, balances(DAYS[0], {A: 1.0, B: 3.0, C: 5.0}))
    again.confirm()
    rows = balances(DAYS[0], {B: 3.0, C: 5.0})
    assert revisions(changed) == dict(zip(rows.keys.tolist(), [1, 0], strict=True))
    assert (again.unchanged, again.corrected) == (3, 1)
    third = Journal(store)
    assert news(third, balances(DAYS[0], {B: 2.0})).revisions.tolist() == [2]  # back to the first figure: news too
    assert news(third, balances(DAYS[1], {B: 2.0})).revisions.tolist() == [0]  # another day


def test_what_was_not_confirmed_is_sent_again_under_the_same_revision() -> None:
    store = MemoryStore()
    news(Journal(store), balances(DAYS[0], {A: 1.0, B: 2.0}))  # and dies before the broker answers
    after = Journal(store)
    rows = news(after, balances(DAYS[0], {A: 1.0, B: 2.5}))
    assert rows.revisions.tolist() == [0, 1]  # the second may have arrived with the old figure
    after.confirm()
    assert len(news(Journal(store), balances(DAYS[0], {A: 1.0, B: 2.5}))) == 0


def test_the_marker_counts_what_stands_of_the_exchanges_that_are_sent() -> None:
    store = MemoryStore()
    journal = Journal(store)
    news(journal, balances(DAYS[0], {A: 1.0, C: 1.0, B: 2.0}))
    journal.confirm()
    found = journal.begin({"margin.daily": balances(DAYS[0], {C: 9.0})})
    assert len(found.rows["margin.daily"]) == 1
    assert sorted(found.counted["margin.daily"].keys) == sorted(balances(DAYS[0], {A: 0, C: 0}).keys)


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        (lambda v: v, True),
        (lambda v: np.where(v == 0, -0.0, v), True),
        (lambda v: np.where(v == 7, np.nextafter(7, 8), v), False),
        (lambda v: np.full_like(v, np.nan), False),
    ],
)
def test_a_digest_is_of_the_exact_figures(changed, same: bool) -> None:
    rows = batch("margin.daily", DAYS[0], {A: {"fin_balance": 7.0, "fin_buy": 3.0}})
    other = replace(rows, figures=rows.figures | {"fin_balance": changed(rows.figures["fin_balance"])})
    assert (digests_of(rows) == digests_of(other)).all() == same


def test_a_digest_tells_swapped_figures_apart_and_ignores_what_is_absent() -> None:
    rows = batch("margin.daily", DAYS[0], {A: {"fin_balance": 7.0, "fin_buy": 3.0}})
    swapped = batch("margin.daily", DAYS[0], {A: {"fin_balance": 3.0, "fin_buy": 7.0}})
    newer = replace(rows, figures={"added_later": np.array([np.nan]), **rows.figures})
    assert digests_of(rows) != digests_of(swapped)
    assert digests_of(rows) == digests_of(newer)


def test_intraday_rows_pass() -> None:
    rows = batch("prices.intraday", DAYS[0], {A: {"last": 1.0, "prev_close": 1.0}})
    journal = Journal(MemoryStore())
    for _ in range(2):
        assert len(news(journal, rows)) == 1


def test_it_lives_in_redis_and_two_feeds_at_once_lose_nothing(redis_server: EmbeddedRedis) -> None:
    with Redis.from_url(redis_server.url) as redis:
        redis.delete("j:published:margin.daily")
        one, two = (Journal(RedisStore(redis, "j")) for _ in range(2))
        news(one, balances(DAYS[0], {A: 1.0}))
        news(two, balances(DAYS[0], {B: 2.0}))
        one.confirm()
        two.confirm()
        assert len(news(Journal(RedisStore(redis, "j")), balances(DAYS[0], {A: 1.0, B: 2.0}))) == 0
        store = RedisStore(redis, "j")
        day = int(balances(DAYS[0], {A: 1.0}).days[0])
        held = store.read("margin.daily", day)
        assert len(Noted.load(held).keys) == 2
        assert not store.replace("margin.daily", day, b"something else", b"x")
        assert store.read("margin.daily", day) == held


def test_without_redis_nothing_is_published() -> None:
    class Away(MemoryStore):
        def read(self, topic: str, day: int) -> bytes:
            raise RedisConnectionError("refused")

    with pytest.raises(JournalError, match="--no-journal"):
        news(Journal(Away()), balances(DAYS[0], {A: 1.0}))


@pytest.mark.parametrize("data", [b"\x02" + Noted.empty().dump()[1:], b"\x01junk"])
def test_a_journal_of_another_format_is_refused(data: bytes) -> None:
    with pytest.raises(JournalError):
        Noted.load(data)


def test_days_published_twice_send_rows_and_markers_once(sent: list[Message]) -> None:
    store = MemoryStore()
    days = [(1, {"margin.daily": balances(day, {A: 1.0, B: 2.0})}) for day in DAYS[:3]]

    def run(given) -> list[Message]:
        sent.clear()
        with Publisher(Settings(), source="test") as publisher:
            publish_days(publisher, given, journal=Journal(store))
        return list(sent)

    with Publisher(Settings(), source="test") as publisher:
        publish_days(publisher, days)
    plain = list(sent)
    assert run(days) == plain
    assert run(days) == []
    corrected = run([(1, {"margin.daily": balances(DAYS[1], {A: 4.0})})])
    markers = [msgspec.json.decode(m[3]) for m in corrected if ("ce_type", CLOSE_TYPE) in m[4]]
    assert len(corrected) - len(markers) == 1
    assert {m["trade_date"] for m in markers} == {DAYS[1].isoformat()}
    assert sum(m["expected"]["SSE"] for m in markers) == 1
