"""Joining the partitions of a day: when it is complete, what it lacks, what is forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import numpy as np
import pytest

from processors.codes import to_id
from processors.days import to_day
from processors.outputs import MAX_NAMED_GAPS, DayStatus, FeatureFrame, FrameHeader, IdentityCheck
from processors.partition_join import PartitionJoin, dump_frame, load_frame
from tests.building import DAYS
from tests.storing import StoredRows

CODES = ["600000.SH", "000001.SZ", "600519.SH", "300750.SZ"]
EXCHANGES = ("SSE", "SZSE")
DAY = [to_day(d) for d in DAYS]


def frame(at: int, partition: int = 0, revision: int = 0, values: dict[str, float] | None = None,
          **changes: object) -> FeatureFrame:  # fmt: skip
    values = {"600000.SH": 1.0} if values is None else values
    header = FrameHeader(revision, available_at=7, missing={}, rows={"SSE": 1, "SZSE": 1}, identity=IdentityCheck())
    keys, columns = np.array([to_id(c) for c in values], dtype=np.int32), {"fin_balance": np.array([*values.values()])}
    header = msgspec.structs.replace(header, **changes)
    return FeatureFrame("margin.daily", partition, DAY[at], header, keys, columns)


def join(partitions: int = 2, keep_days: int = 3) -> PartitionJoin:
    return PartitionJoin("margin.daily", partitions, EXCHANGES, keep_days)


def test_a_day_is_complete_with_its_last_partition() -> None:
    held = join()
    assert held.fold([frame(0, 0), frame(1, 1)]) == []
    assert ([*held.closed_days()], held.newest_closed(), held.is_closed(DAY[0])) == ([], None, False)
    assert held.fold([frame(1, 0), frame(0, 1)]) == [DAY[0], DAY[1]]
    assert ([*held.closed_days()], held.newest_closed()) == ([DAY[0], DAY[1]], DAY[1])
    assert held.is_closed(DAY[0])
    assert not held.is_closed(DAY[2])


@pytest.mark.parametrize(("revision", "news"), [(1, False), (2, False), (3, True)])
def test_a_complete_day_is_news_again_with_a_higher_revision_of_any_partition(revision: int, news: bool) -> None:
    held = join()
    held.fold([frame(0, 0), frame(0, 1, 2, {"000001.SZ": 5.0})])
    assert held.detail(DAY[0]).columns["fin_balance"].tolist() == [5.0, 1.0]
    assert held.fold([frame(0, 1, revision, {"000001.SZ": 6.0})]) == ([DAY[0]] if news else [])
    assert held.detail(DAY[0]).columns["fin_balance"].tolist() == [6.0 if news else 5.0, 1.0]
    assert held.status(DAY[0]).revision == (3 if news else 2)


def test_securities_of_all_partitions_are_in_the_order_of_their_keys() -> None:
    held = join()
    held.fold([
        frame(0, 1, values={"600519.SH": 3.0, "000001.SZ": 2.0}),
        frame(0, 0, values={"300750.SZ": 4.0, "600000.SH": 1.0}),
    ])  # fmt: skip
    detail = held.detail(DAY[0])
    assert detail.keys.tolist() == sorted(to_id(c) for c in CODES)
    assert detail.columns["fin_balance"].tolist() == [2.0, 4.0, 1.0, 3.0]
    assert detail.status == held.status(DAY[0])
    assert held.detail(DAY[0]) is detail  # joined once


def test_the_status_of_a_day_joins_those_of_its_partitions() -> None:
    held = join()
    first = IdentityCheck(10, 2, {"600000.SH": -500.0, "600519.SH": 300.0}, 9_000, 70)
    held.fold([
        frame(0, 1, 4, available_at=9, identity=IdentityCheck(5, 1, {"000001.SZ": 400.0}, 1_000, 430)),
        frame(0, 0, 3, available_at=8, identity=first),
    ])  # fmt: skip
    assert held.status(DAY[0]) == DayStatus(
        trade_date=DAYS[0],
        available_at=datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=9),
        revision=7,
        missing={},
        input_revisions={"margin.daily[0]": 3, "margin.daily[1]": 4},
        identity=IdentityCheck(15, 3, {"600000.SH": -500.0, "000001.SZ": 400.0, "600519.SH": 300.0}, 10_000, 500),
    )
    assert held.status(DAY[0]).identity.broken_share == 0.05
    assert list(held.status(DAY[0]).identity.worst) == ["600000.SH", "000001.SZ", "600519.SH"]


def test_frames_of_an_optional_topic_raise_no_revision_of_what_does_not_read_them() -> None:
    figures = {"features.security[0]": 2, "features.security[1]": 1, "features.charts[0]": 5}
    before = DayStatus(trade_date=DAYS[0], available_at=datetime(2020, 1, 3, tzinfo=UTC), revision=8,
                       missing={"margin.daily SSE": 1}, input_revisions=figures)  # fmt: skip
    frames = {"features.chart[0]": 4, "features.chart[1]": 3}
    # A topic that is used counts once more than its frames' revisions.
    with_charts = msgspec.structs.replace(before, revision=8 + 7 + 1, input_revisions=figures | frames)
    assert with_charts.without("features.chart") == before
    assert before.without("features.chart") is before


def test_only_the_largest_gaps_of_all_partitions_are_named() -> None:
    held = join()
    gaps = [{f"{n:06d}.SZ": float(n) for n in range(1 + half, 41, 2)} for half in (0, 1)]
    held.fold([frame(0, p, identity=IdentityCheck(20, 20, gaps[p])) for p in (0, 1)])
    identity = held.status(DAY[0]).identity
    assert (identity.checked, identity.broken) == (40, 40)
    assert list(identity.worst.values()) == [float(n) for n in range(40, 40 - MAX_NAMED_GAPS, -1)]


@pytest.mark.parametrize(
    ("missing", "rows", "expected"),
    [
        # by partition: what it lacks of Shenzhen, and how many rows it has of it
        (({}, {}), (1, 1), {}),
        (({"SZSE": 3}, {"SZSE": 4}), (1, 1), {"margin.daily SZSE": 7}),
        (({"SZSE": 3}, {"SZSE": -1}), (1, 1), {"margin.daily SZSE": 3}),
        (({"SZSE": 1}, {}), (1, 1), {"margin.daily SZSE": 1}),
        (({"SZSE": -1}, {}), (0, 5), {}),  # a small partition may have no security of an exchange
        (({"SZSE": -1}, {}), (0, 0), {"margin.daily SZSE": -1}),
        (({"SZSE": -1}, {"SZSE": -1}), (2, 2), {"margin.daily SZSE": -1}),  # no marker came, though rows did
        (({"BSE": -1}, {"BSE": -1}), (0, 0), {}),  # not one of the required exchanges
    ],
)
def test_what_the_partitions_lack(missing: tuple[dict[str, int], ...], rows: tuple[int, ...],
                                  expected: dict[str, int]) -> None:  # fmt: skip
    held = join()
    held.fold([frame(0, p, missing=missing[p], rows={"SSE": 1, "SZSE": rows[p]}) for p in (0, 1)])
    assert held.status(DAY[0]).missing == expected
    assert held.status(DAY[0]).degraded == bool(expected)


# -- forgetting --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("read_through", "gone"),
    [(None, []), (0, []), (2, []), (3, [0]), (4, [0, 1]), (9, [0, 1, 2])],
)
def test_days_far_behind_the_newest_that_is_read_are_deleted(read_through: int | None, gone: list[int]) -> None:
    held = join(partitions=1, keep_days=3)
    held.fold([frame(at) for at in range(6)])
    assert held.trim(None if read_through is None else DAY[read_through]) == {DAY[at] for at in gone}
    assert [*held.closed_days()] == [DAY[at] for at in range(6) if at not in gone]
    assert [*held.closed_days(DAY[4])] == [DAY[4], DAY[5]]


def test_a_day_that_waits_for_a_partition_is_kept() -> None:
    held = join(partitions=2, keep_days=1)
    held.fold([frame(0, 0), *(frame(at, p) for at in (1, 2) for p in (0, 1))])
    assert held.trim(DAY[9]) == {DAY[1]}
    assert held.fold([frame(0, 1)]) == []  # older than every day that is kept: a replay sends it again
    assert [*held.closed_days()] == [DAY[2]]


def test_a_replayed_day_does_not_return_once_the_window_is_full() -> None:
    held = join(partitions=1, keep_days=2)
    held.fold([frame(1)])
    assert held.fold([frame(0)]) == [DAY[0]]  # the window isn't full: a day before all others is inserted
    held.fold([frame(2)])
    held.trim(DAY[9])
    assert [*held.closed_days()] == [DAY[1], DAY[2]]
    assert held.fold([frame(0, revision=5)]) == []
    assert held.fold([frame(1, revision=5)]) == [DAY[1]]


def test_a_forgotten_day_is_deleted_from_the_state_and_the_rest_loads_again() -> None:
    held = join(partitions=2, keep_days=2)
    stored = StoredRows()
    held.fold([frame(at, p, values={CODES[p]: at + p / 2}) for at in range(4) for p in (0, 1)])
    stored.store(held.tables)
    held.fold([frame(4, 0, values={"600519.SH": 9.0})])
    held.trim(DAY[9])
    stored.store(held.tables)
    assert held.tables.changed_rows() == {}
    again = join(partitions=2, keep_days=2)
    stored.load(again.tables)
    assert [*again.closed_days()] == [*held.closed_days()] == [DAY[2], DAY[3]]
    for day in [*again.closed_days()]:
        assert again.status(day) == held.status(day)
        np.testing.assert_array_equal(again.detail(day).keys, held.detail(day).keys)
        np.testing.assert_array_equal(again.detail(day).columns["fin_balance"], held.detail(day).columns["fin_balance"])
    last = frame(4, 1)
    assert again.fold([last]) == held.fold([last]) == [DAY[4]]
    assert again.trim(DAY[9]) == held.trim(DAY[9]) == {DAY[2]}


def test_a_frame_travels_as_bytes() -> None:
    sent = frame(3, 2, 5, {"600000.SH": 1.5, "000001.SZ": np.nan}, available_at=123, missing={"SSE": 2},
                 rows={"SZSE": 7}, identity=IdentityCheck(9, 1, {"600000.SH": 101.0}))  # fmt: skip
    found = load_frame(dump_frame(sent))
    for name in ("topic", "partition", "day", "header"):
        assert getattr(found, name) == getattr(sent, name)
    np.testing.assert_array_equal(found.keys, sent.keys)
    assert list(found.columns) == ["fin_balance"]
    np.testing.assert_array_equal(found.columns["fin_balance"], sent.columns["fin_balance"])
