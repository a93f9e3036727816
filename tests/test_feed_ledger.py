"""The publish ledger: nothing twice, corrections with the next revision, and recovery after a crash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from feeds.daily.ledger import PublishLedger
from feeds.daily.ledger_entry import LedgerEntry
from feeds.daily.ledger_rebuild import rebuild_ledger
from feeds.daily.publish import publish_days
from feeds.daily.row_digests import digests_of
from feeds.errors import LedgerError
from feeds.ports import Place
from processors.arrays import Ids
from processors.codes import to_id
from processors.days import to_day
from processors.events import RowBatch
from streams.feed_services import RedisLedgerStore, TopicRows, open_ledger
from streams.form import Form
from streams.local.local_redis import EmbeddedRedis
from streams.local.processes import environment
from streams.publisher import Publisher
from streams.records import CE_TYPE, CLOSE_TYPE
from streams.settings import Settings
from streams.topics import Partitioner
from tests.building import DAYS, balances, batch
from tests.harness import Stack
from tests.publishing import MemoryStore, Message, feed, sent

__all__ = ["sent"]


def revisions(rows: RowBatch) -> dict[int, int]:
    return dict(zip(rows.keys.tolist(), rows.revisions.tolist(), strict=True))


def to_send(ledger: PublishLedger, rows: RowBatch) -> RowBatch:
    return ledger.begin({rows.topic: rows}).rows.get(rows.topic, rows.take(np.zeros(len(rows), bool)))


A, B, C = "600000.SH", "000001.SZ", "600519.SH"
D, E, F = "600001.SH", "600002.SH", "600003.SH"


def test_the_first_publication_is_what_it_would_be_without_a_ledger() -> None:
    rows = balances(DAYS[0], {A: 1.0, B: 2.0})
    found = PublishLedger(MemoryStore()).begin({"margin.daily": rows})
    assert revisions(found.rows["margin.daily"]) == revisions(rows)
    assert sorted(found.counted["margin.daily"].keys) == sorted(rows.keys)


def test_confirming_reads_an_entry_only_if_another_feed_has_changed_it() -> None:
    reads = list[str]()

    class Counting(MemoryStore):
        def read(self, places: Sequence[Place]) -> list[bytes]:
            reads.extend(topic for topic, _ in places)
            return super().read(places)

    store = Counting()
    first, other = PublishLedger(store), PublishLedger(store)
    to_send(first, balances(DAYS[0], {A: 1.0}))
    reads.clear()
    first.confirm()
    assert "margin.daily" not in reads
    to_send(first, balances(DAYS[1], {A: 1.0}))
    to_send(other, balances(DAYS[1], {B: 2.0}))
    first.confirm()
    other.confirm()
    entry = LedgerEntry.load(*store.read([("margin.daily", to_day(DAYS[1]))]))
    assert len(entry.keys) == 2 and (entry.revision_flags == 0).all()


def test_unchanged_rows_are_not_sent_again_and_changed_ones_get_the_next_revision() -> None:
    store = MemoryStore()
    first = PublishLedger(store)
    to_send(first, balances(DAYS[0], {A: 1.0, B: 2.0}))
    first.confirm()
    again = PublishLedger(store)
    assert len(to_send(again, balances(DAYS[0], {A: 1.0, B: 2.0}))) == 0
    changed = to_send(again, balances(DAYS[0], {A: 1.0, B: 3.0, C: 5.0}))
    again.confirm()
    rows = balances(DAYS[0], {B: 3.0, C: 5.0})
    assert revisions(changed) == dict(zip(rows.keys.tolist(), [1, 0], strict=True))
    assert (again.unchanged, again.corrected) == (3, 1)
    third = PublishLedger(store)
    assert to_send(third, balances(DAYS[0], {B: 2.0})).revisions.tolist() == [2]  # back to the first figure: news too
    assert to_send(third, balances(DAYS[1], {B: 2.0})).revisions.tolist() == [0]  # another day


def test_what_was_not_confirmed_is_sent_again_under_the_same_revision() -> None:
    store = MemoryStore()
    to_send(PublishLedger(store), balances(DAYS[0], {A: 1.0, B: 2.0}))  # and dies before the broker answers
    after = PublishLedger(store)
    rows = to_send(after, balances(DAYS[0], {A: 1.0, B: 2.5}))
    assert rows.revisions.tolist() == [0, 1]  # the broker may have the second with the old figure
    after.confirm()
    assert len(to_send(PublishLedger(store), balances(DAYS[0], {A: 1.0, B: 2.5}))) == 0


def test_the_marker_counts_what_is_published_of_the_exchanges_that_are_sent() -> None:
    store = MemoryStore()
    ledger = PublishLedger(store)
    to_send(ledger, balances(DAYS[0], {A: 1.0, C: 1.0, B: 2.0}))
    ledger.confirm()
    found = ledger.begin({"margin.daily": balances(DAYS[0], {C: 9.0})})
    assert len(found.rows["margin.daily"]) == 1
    assert sorted(found.counted["margin.daily"].keys) == sorted(balances(DAYS[0], {A: 0, C: 0}).keys)


def counted_by_marker(
    store: MemoryStore, rows: dict[str, float], refused: dict[str, Ids] | None = None
) -> list[int] | None:
    """Publish rows of a day; return the keys that its marker counts, None without one."""
    ledger = PublishLedger(store)
    found = ledger.begin({"margin.daily": balances(DAYS[0], rows)}, refused).counted.get("margin.daily")
    ledger.confirm()
    return None if found is None else sorted(found.keys.tolist())


def _keys(*codes: str) -> list[int]:
    return sorted(to_id(code) for code in codes)


def test_the_marker_counts_a_refused_row_until_it_arrives() -> None:
    store, refused = MemoryStore(), {"margin.daily": np.array(_keys(C), dtype=np.int32)}

    counted = partial(counted_by_marker, store)
    assert counted({A: 1.0, D: 1.0, E: 1.0}, refused) == _keys(A, C, D, E)
    assert counted({A: 1.0, D: 1.0, E: 1.0}, refused) is None  # nothing new
    assert counted({F: 1.0}) == _keys(A, C, D, E, F)  # another file of the exchange does not make the day whole
    assert counted({B: 1.0}) == _keys(A, B, C, D, E, F)  # nor does another exchange
    assert counted({C: 9.0}) == _keys(A, C, D, E, F)
    entry = LedgerEntry.load(*store.read([("margin.daily", to_day(DAYS[0]))]))
    assert not entry.refused.any() and not entry.revision_flags.any()
    assert counted({A: 1.0, D: 2.0}, refused) == _keys(A, C, D, E, F)  # a published row is not refused


def test_a_row_without_a_code_is_counted_unless_its_list_lacks_a_published_row() -> None:
    store, unread = MemoryStore(), {"margin.daily": np.array([4 * 999_999], dtype=np.int32)}

    counted = partial(counted_by_marker, store)
    assert counted({A: 1.0, C: 1.0, D: 1.0}, unread) == [*_keys(A, C, D), 4 * 999_999]
    assert counted({E: 1.0}) == [*_keys(A, C, D, E), 4 * 999_999]
    assert counted({A: 1.0, C: 1.0, D: 1.0, E: 1.0}) == _keys(A, C, D, E)  # the list without it
    assert counted({A: 1.0, C: 1.0, D: 2.0}, unread) == _keys(A, C, D, E)  # it is E
    assert counted({A: 1.0, C: 1.0, D: 2.0, E: 1.0}, unread) == [*_keys(A, C, D, E), 4 * 999_999]


def test_a_list_without_the_refused_row_ends_its_day() -> None:
    store = MemoryStore()
    ledger = PublishLedger(store)
    rows = {"margin.daily": balances(DAYS[0], {A: 1.0, D: 1.0, B: 1.0})}
    ledger.begin(rows, {"margin.daily": np.array(_keys(C), dtype=np.int32)})
    ledger.confirm()
    again = ledger.begin(rows)
    assert not again.rows and sorted(again.counted["margin.daily"].keys) == _keys(A, D, B)


def test_a_refused_row_whose_marker_was_not_acknowledged_is_counted_again() -> None:
    store, refused = MemoryStore(), {"margin.daily": np.array(_keys(C), dtype=np.int32)}
    rows = {"margin.daily": balances(DAYS[0], {A: 1.0})}
    first = PublishLedger(store)
    first.begin(rows)
    first.confirm()
    PublishLedger(store).begin(rows, refused)  # and dies before the broker answers
    assert sorted(PublishLedger(store).begin(rows, refused).counted["margin.daily"].keys) == _keys(A, C)


@pytest.mark.parametrize("options", [[], ["--no-ledger"]])
@pytest.mark.parametrize(
    "row",
    ["2020-09-09,600519,,6000000,100,10", "2020-09-09,60O519,900000000,6000000,100,10",
     "2020-09-09,,900000000,6000000,100,10", "2020-09-31,600519,900000000,6000000,100,10",
     ",600519,900000000,6000000,100,10", "2020-09-12,600519,900000000,6000000,100,10"],
    ids=["no balance", "no such code", "no code", "no such date", "no date", "a Saturday"],
)  # fmt: skip
def test_a_feed_tells_the_stream_how_many_rows_it_refused(
    sent: list[Message], tmp_path: Path, options: list[str], row: str
) -> None:
    file = tmp_path / "margin.csv"
    file.write_text(
        "交易日期,股票代码,融资余额(元),融资买入额(元),融券余量(股),融券卖出量(股)\n"
        f"2020-09-09,600000,100000000,5000000,100,10\n{row}\n"
        "2020-09-09,601318,300000000,7000000,100,10\n2020-09-09,600036,400000000,8000000,100,10\n"
    )
    done = feed("vendor", file, *options)
    assert done.exit_code == 1 and "absent until they arrive" in done.output
    markers = [
        (partition, msgspec.json.decode(value))
        for _, partition, _, value, marks in sent
        if (CE_TYPE, CLOSE_TYPE) in marks
    ]
    expected = [(partition, exchange, count) for partition, marker in markers
                for exchange, count in marker["expected"].items()]  # fmt: skip
    assert sum(count for _, exchange, count in expected if exchange == "SSE") == 4
    home = Partitioner(Settings().partitions).of_code("600519.SH")
    if "600519" in row:
        assert next(count for partition, exchange, count in expected if (partition, exchange) == (home, "SSE")) >= 1


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
    ledger = PublishLedger(MemoryStore())
    for _ in range(2):
        assert len(to_send(ledger, rows)) == 1


def test_it_lives_in_redis_and_two_feeds_at_once_lose_nothing(redis_server: EmbeddedRedis) -> None:
    with Redis.from_url(redis_server.url) as redis:
        redis.delete("j:published:margin.daily")
        one, two = (PublishLedger(RedisLedgerStore(redis, "j")) for _ in range(2))
        to_send(one, balances(DAYS[0], {A: 1.0}))
        to_send(two, balances(DAYS[0], {B: 2.0}))
        one.confirm()
        two.confirm()
        assert len(to_send(PublishLedger(RedisLedgerStore(redis, "j")), balances(DAYS[0], {A: 1.0, B: 2.0}))) == 0
        store = RedisLedgerStore(redis, "j")
        day = int(balances(DAYS[0], {A: 1.0}).days[0])
        place = "margin.daily", day
        stored = store.read([place])
        assert len(LedgerEntry.load(*stored).keys) == 2
        assert store.replace([(place, b"something else", b"x")]) == [False]
        assert store.read([place]) == stored


def test_without_redis_nothing_is_published() -> None:
    class Away(MemoryStore):
        def read(self, places: Sequence[Place]) -> list[bytes]:
            raise RedisConnectionError("refused")

    with pytest.raises(LedgerError, match="--no-ledger"):
        to_send(PublishLedger(Away()), balances(DAYS[0], {A: 1.0}))


@pytest.mark.parametrize("data", [b"\x01" + LedgerEntry.empty().dump()[1:], b"\x02junk"])
def test_a_ledger_of_another_format_is_refused(data: bytes) -> None:
    with pytest.raises(LedgerError):
        LedgerEntry.load(data)


def test_days_published_twice_send_rows_and_markers_once(sent: list[Message]) -> None:
    store = MemoryStore()
    days = [(1, {"margin.daily": balances(day, {A: 1.0, B: 2.0})}) for day in DAYS[:3]]

    def run(given) -> list[Message]:
        sent.clear()
        with Publisher(Settings(), source="test") as publisher:
            publish_days(publisher, given, ledger=PublishLedger(store))
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


# -- a lost ledger ---------------------------------------------------------------------------------


def test_a_topic_with_rows_that_the_ledger_knows_nothing_of_stops_publishing() -> None:
    asked, without = [], {"prices.daily", "rates.daily"}

    def topics_without_rows() -> set[str]:
        asked.append(1)
        return set(without)

    store = MemoryStore()
    with pytest.raises(LedgerError, match=r"no entry of margin\.daily, .* `marginwatch feed ledger`"):
        to_send(PublishLedger(store, topics_without_rows), balances(DAYS[0], {A: 1.0}))
    assert store.stored == {}
    ledger, price = PublishLedger(store, topics_without_rows), {A: {"close": 9.0}}
    for day in DAYS[:3]:
        assert len(to_send(ledger, batch("prices.daily", day, price))) == 1
    assert len(to_send(ledger, batch("rates.daily", DAYS[0], {"CN10Y": {"yield": 0.02}}))) == 1
    assert len(asked) == 2  # what has begun is not looked into again
    store.stored.clear()  # Redis is emptied while the feed runs
    without.discard("prices.daily")
    with pytest.raises(LedgerError, match=r"prices\.daily"):
        to_send(ledger, batch("prices.daily", DAYS[3], price))


def test_a_flag_or_word_at_its_default_is_the_same_as_none() -> None:
    """A message that leaves it out is read back with the default."""
    plain = batch("prices.daily", DAYS[0], {A: {"close": 9.0}})
    said = replace(plain, figures=plain.figures | {"suspended": np.zeros(1)})
    suspended = replace(plain, figures=plain.figures | {"suspended": np.ones(1)})
    assert digests_of(plain) == digests_of(said)
    assert digests_of(plain) != digests_of(suspended)
    none, no, yes = (batch("reference", DAYS[0], {A: {"industry": 1.0} | of}) for of in MEMBERS)
    assert digests_of(none) == digests_of(no) != digests_of(yes)


MEMBERS: list[dict[str, float]] = [{}, {"000852.SH": 0.0}, {"000852.SH": 1.0}]
ROWS = {
    "margin.daily": lambda day, value: balances(day, {A: value, B: 2 * value, C: 3.0}),
    "margin.market": lambda day, value: batch("margin.market", day, {"SSE": {"fin_balance": value}}),
    "prices.daily": lambda day, value: batch("prices.daily", day, {A: {"close": value}, B: {"close": 1.0}}),
    "etf.daily": lambda day, value: batch("etf.daily", day, {"510300.SH": {"shares": value, "style": 4.0}}),
    "reference": lambda day, value: batch("reference", day, {A: {"industry": 3.0, "csi300": 1.0, "000852.SH": 1.0}}),
    "rates.daily": lambda day, value: batch("rates.daily", day, {"CN10Y": {"yield": value / 100}}),
}


def test_an_emptied_redis_is_filled_again_from_the_topics(stack: Stack) -> None:
    """Through the broker, corrections and a day of each form included: afterwards every row is known."""
    settings, forms = stack.settings, list(Form)
    store = RedisLedgerStore(stack.redis, settings.namespace)

    def published(days: list[tuple[int, dict[str, RowBatch]]]) -> PublishLedger:
        with open_ledger(settings) as kept:
            for at, feeds in days:
                with stack.publisher(forms[at]) as publisher:
                    publish_days(publisher, [(at, feeds)], ledger=kept)
            return kept

    def days(value: float) -> list[tuple[int, dict[str, RowBatch]]]:
        return [
            (at, {topic: made(day, value) for topic, made in ROWS.items()}) for at, day in enumerate(DAYS[: len(forms)])
        ]

    with stack.publisher() as publisher:
        publisher.barrier()  # markers and barriers are no rows: a new system is not refused
    published(days(10.5))
    published([(1, {"margin.daily": ROWS["margin.daily"](DAYS[1], 11.25)})])
    good = stack.redis.hgetall(f"{settings.namespace}:published:margin.daily")
    assert rebuild_ledger(TopicRows(settings), store, check=True).equal

    stack.redis.delete(*stack.redis.keys(f"{settings.namespace}:published:*"))
    with pytest.raises(LedgerError, match="marginwatch feed ledger"):
        published(days(10.5))
    assert not rebuild_ledger(TopicRows(settings), store, check=True).equal
    assert stack.redis.keys(f"{settings.namespace}:published:*") == []

    result = rebuild_ledger(TopicRows(settings), store)
    assert result.added == sum(result.rows.values()) == 3 * (3 + 1 + 2 + 1 + 1 + 1)
    assert result.trimmed == []
    assert stack.redis.hgetall(f"{settings.namespace}:published:margin.daily") == good
    assert rebuild_ledger(TopicRows(settings), store, check=True).equal
    again = published([*days(10.5)[:1], (1, {"margin.daily": ROWS["margin.daily"](DAYS[1], 11.25)}), *days(10.5)[2:]])
    assert (again.unchanged, again.corrected) == (9 + 3 + 9, 0)
    assert published([(1, {"margin.daily": ROWS["margin.daily"](DAYS[1], 12.0)})]).corrected == 2


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_what_the_ledger_knows_better_than_the_topics_stays(stack: Stack) -> None:
    store = RedisLedgerStore(stack.redis, stack.settings.namespace)
    with stack.publisher() as publisher:
        publisher.day({"margin.daily": balances(DAYS[0], {A: 1.0, B: 2.0})})
        publisher.day({"margin.daily": balances(DAYS[0], {A: 9.0})})  # the same revision again: the first one counts
    ahead = PublishLedger(store)
    to_send(ahead, balances(DAYS[0], {A: 1.0, B: 2.0}))
    ahead.confirm()
    to_send(ahead, balances(DAYS[0], {B: 5.0}))  # a correction that has not arrived
    to_send(ahead, balances(DAYS[1], {C: 7.0}))  # a day that has not
    places = [("margin.daily", to_day(day)) for day in DAYS[:2]]
    before = store.read(places)
    result = rebuild_ledger(TopicRows(stack.settings), store)
    assert result.equal
    assert store.read(places) == before


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_the_command_fills_the_ledger_and_reports_it(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(stack.settings).items():
        monkeypatch.setenv(name, value)
    with stack.publisher() as publisher:
        publisher.day({"margin.daily": balances(DAYS[0], {A: 1.0, B: 2.0})})
    result = feed("ledger", "--check")
    assert result.exit_code == 1 and "the ledger lacks 2 rows" in result.output
    result = feed("ledger")
    assert result.exit_code == 0 and "margin.daily: 2 rows of 1 day\n" in result.output
    assert "the ledger got 2 rows and 0 revisions" in result.output
