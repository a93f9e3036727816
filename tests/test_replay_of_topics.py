"""Replays of topics into fresh tables: up to exactly the stored offsets, or the ends, whatever a message does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import TopicPartition

from streams import rebuild
from streams.calendars import xshg
from streams.errors import RebuildError
from streams.rebuild import StateComparison, compare
from streams.records import mark_of
from streams.settings import Settings
from streams.stages.quarantine import Quarantine
from streams.tables import Output
from streams.topics import Topics
from tests.test_partition_runner import NAME, FakeRedis, Recorder, SumStage
from tests.topic_logs import AsyncLogs, Clock, Log

#: 1 + 2 + … + 7; the values are added up, and each even sum is published.
VALUES = [b"%d" % n for n in range(1, 8)]


class Replay:
    """A replay of one partition of a stage that adds up numbers, and what it has published and reported."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, log: Log, *, skips: set[str] | None = None, **changes: Any):
        self.log = log
        self.settings = Settings(topic_prefix="t.", **changes)
        self.stage = SumStage(self.settings, Topics(self.settings), xshg())
        self.outputs: list[Output] = []
        self.progress: list[tuple[int, int]] = []
        self.quarantine = Quarantine(self.settings, FakeRedis(Recorder(), skips or set()))  # type: ignore[arg-type]
        self.clock = Clock()
        self.clock.in_place_of_time(monkeypatch, rebuild)

        @asynccontextmanager
        async def started(consumer: AsyncLogs) -> AsyncIterator[AsyncLogs]:
            yield consumer

        consumer = AsyncLogs({TopicPartition(NAME, 0): log}, self.clock)
        monkeypatch.setattr(rebuild, "started", started)
        monkeypatch.setattr(rebuild, "async_kafka_reader", lambda settings, purpose, out_of_range: consumer)

    def __call__(
        self,
        offsets: Mapping[str, int] | None = None,
        *,
        whole: bool = True,
        publish: Callable[[list[Output]], None] | None = None,
    ) -> Any:
        return asyncio.run(
            rebuild._replay(
                self.settings,
                self.stage,
                0,
                offsets or {},
                publish or self.outputs.extend,
                lambda done, total: self.progress.append((done, total)),
                self.quarantine,
                whole=whole,
            )
        )

    @property
    def sums(self) -> list[bytes | None]:
        return [output.value for output in self.outputs]


def total(replay: Any) -> int:
    return int(replay.state.total)


@pytest.mark.parametrize("offset", [1, 2, 3, 4, 6])
def test_a_stored_table_is_replayed_up_to_its_offsets_and_no_further(
    monkeypatch: pytest.MonkeyPatch, offset: int
) -> None:
    """A fetch may bring more than is wanted."""
    replay = Replay(monkeypatch, Log.of(NAME, VALUES))
    found = replay({NAME: offset})
    assert (total(found), found.messages) == (sum(range(1, offset + 1)), offset)
    assert found.offsets == {NAME: offset}
    assert found.marks == {NAME: mark_of(replay.log.records[offset - 1])}
    assert replay.progress[-1] == (offset, offset)
    assert list(found.rows) == ["sum/total"]


@pytest.mark.parametrize("listed", [7, 3], ids=["as it is", "too low"])
def test_an_emptied_table_is_replayed_up_to_the_end_that_the_topic_had_at_first(
    monkeypatch: pytest.MonkeyPatch, listed: int
) -> None:
    log = Log.of(NAME, VALUES)
    log.listed = listed
    replay = Replay(monkeypatch, log)

    def grow(outputs: list[Output]) -> None:
        replay.outputs += outputs
        log.records += Log.of(NAME, [b"100"], begin=log.end).records
        log.end += 1

    found = replay(publish=grow)
    assert log.end > len(VALUES)
    assert (found.messages, found.offsets, replay.sums[-1]) == (7, {NAME: 7}, b"28")


def test_nothing_is_published_twice_and_in_the_order_of_the_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    replay = Replay(monkeypatch, Log.of(NAME, [b"2"] * 6))
    replay()
    assert replay.sums == [b"2", b"4", b"6", b"8", b"10", b"12"]


def test_a_message_whose_fold_fails_is_set_aside_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others of its fetch count, as they do for a worker; what it has changed before it failed does not."""
    replay = Replay(monkeypatch, Log.of(NAME, [b"2", b"no number", b"4"]))
    found = replay()
    assert (total(found), found.messages, found.offsets) == (6, 3, {NAME: 3})
    letter = next(output for output in replay.outputs if output.topic.endswith(".dlq"))
    assert letter.value == b"no number"
    assert [output.value for output in replay.outputs if output is not letter] == [b"2", b"6"]


@pytest.mark.parametrize("skips", [set(), {f"{NAME}[0]@1"}], ids=["waits for a person", "skipped by a person"])
def test_a_message_that_a_worker_would_wait_for_ends_the_replay_unless_it_is_skipped(
    monkeypatch: pytest.MonkeyPatch, skips: set[str]
) -> None:
    replay = Replay(monkeypatch, Log.of(NAME, [b"x", b"y", b"4"]), skips=skips, quarantine_limit=1)
    if skips:
        assert total(replay()) == 4
        return
    with pytest.raises(RebuildError, match=rf"{NAME}\[0\]@1 can't be folded .* `marginwatch dlq skip {NAME} 0 1`"):
        replay()


def test_a_topic_whose_beginning_is_gone_is_refused_unless_the_tables_are_reset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = Log.of(NAME, VALUES[2:], begin=2)
    with pytest.raises(RebuildError, match=rf"{NAME}\[0\] begins at offset 2: retention has deleted .* \(--reset\)"):
        Replay(monkeypatch, log)()
    replay = Replay(monkeypatch, log)
    assert total(replay(whole=False)) == 25
    assert replay.progress[-1] == (5, 5)


@pytest.mark.parametrize("whole", [True, False], ids=["compared or replaced", "reset"])
def test_a_replay_skips_nothing_that_is_deleted_under_it(monkeypatch: pytest.MonkeyPatch, whole: bool) -> None:
    """Else the table would be replaced by what the messages that are left give."""
    log = Log.of(NAME, VALUES)
    replay = Replay(monkeypatch, log)

    def delete(_outputs: list[Output]) -> None:
        log.begin = 6

    with pytest.raises(RebuildError, match=rf"{NAME}\[0\]: retention deletes what is being replayed: run"):
        replay(whole=whole, publish=delete)


def test_a_topic_that_ends_before_what_the_table_contains_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RebuildError, match=rf"{NAME}\[0\] ends at offset 7, .* messages up to 9: is it the same"):
        Replay(monkeypatch, Log.of(NAME, VALUES))({NAME: 9})


def test_a_broker_that_serves_nothing_is_an_error_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    log = Log.of(NAME, VALUES)
    log.silent = True
    replay = Replay(monkeypatch, log)
    with pytest.raises(RebuildError, match=rf"nothing of {NAME}\[0\] from offset 0, but its messages up to 3"):
        replay({NAME: 3})
    assert rebuild.PATIENCE_S < replay.clock.now < rebuild.PATIENCE_S + 1


def test_rows_are_compared_by_their_bytes_and_each_difference_is_named() -> None:
    stored = {"a": b"1", "b": b"2", "c": b"3", "d": b"4"}
    replayed = {"a": b"1", "c": b"0", "b": b"0", "f": b"5", "e": b"6"}
    found = compare("sums", 3, stored, replayed)
    assert found == StateComparison("sums", 3, rows=5, different=["b", "c"], missing=["e", "f"], surplus=["d"])
    assert not found.equal
    assert compare("sums", 3, stored, stored).equal
    for part in ("different", "missing", "surplus"):
        assert not StateComparison("sums", 0, **{part: ["x"]}).equal  # type: ignore[arg-type]
