"""The running session of the market: which snapshot counts, and when margin buys cover enough of the market."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from itertools import permutations

import numpy as np
import pytest

from processors.codes import to_id
from processors.days import shanghai_moment, to_day
from processors.events import RowBatch
from processors.intraday_session import IntradaySession
from processors.outputs import Partial
from processors.trading_hours import TradingHours
from streams import metrics
from streams.calendars import xshg
from streams.codecs.row_json import encode_events
from streams.records import PlainRecord
from streams.settings import Settings
from streams.stages.market_stage import MarketStage, MarketState
from streams.topics import Topics
from tests.building import DAYS, batch, with_half_days

SSE, SZSE = to_id("000001.SH"), to_id("399001.SZ")
TODAY, BEFORE = to_day(DAYS[1]), to_day(DAYS[0])
AT = shanghai_moment(TODAY, 10 * 60 + 30)
HOURS = TradingHours(xshg())
SHORT = TradingHours(with_half_days(DAYS[1]))


def sums(partition: int, *, day: int = TODAY, ts: int = 1, buy: float = 0.0, covered: float = 0.0,
         balance: float = 0.0, bought_at: int = 0) -> Partial:  # fmt: skip
    return Partial(partition=partition, day=day, ts=ts, fin_buy=buy, fin_repay=0.0, covered_balance=covered,
                   balance=balance, prices=0, turnover=0.0, bought_at=bought_at)  # fmt: skip


def session(*partials: Partial, partitions: int = 2, hours: TradingHours = HOURS) -> IntradaySession:
    intraday = IntradaySession(partitions, hours)
    for partial in partials:
        assert intraday.apply_partial(partial)
    return intraday


def snapshot(ts: int, revision: int = 0, last: float = 1.0, turnover: float = 0.0, code: str = "000001.SH",
             at: int = 1) -> RowBatch:  # fmt: skip
    rows = batch("indices.intraday", DAYS[at], {code: {"last": last, "prev_close": 1.0, "turnover": turnover}})
    return RowBatch(rows.topic, rows.keys, rows.days, np.array([revision], dtype=np.int32), np.array([ts]),
                    rows.figures)  # fmt: skip


@pytest.mark.parametrize(
    ("covered", "enough"),
    [(89.0, False), (90.0, True), (91.0, True)],
    ids=["below", "exactly the share that is needed", "above"],
)
def test_margin_buys_count_from_the_needed_share_of_the_balance_on(covered: float, enough: bool) -> None:
    intraday = session(sums(0, buy=3.0, covered=covered, balance=60.0), sums(1, buy=4.0, balance=40.0))
    found = intraday.fin_buy(TODAY, 0.9, [AT], 30).value
    assert found == (7.0 if enough else "margin.intraday covers 89% of the last published balance, 90% are needed")


def test_every_partition_must_have_reported() -> None:
    one = sums(0, buy=3.0, covered=100.0, balance=100.0)
    assert session(one).fin_buy(TODAY, 0.9, [AT], 30).value == (
        "margin.intraday covers 100% of the last published balance, 90% are needed"
    )
    assert session(one, partitions=1).fin_buy(TODAY, 0.9, [AT], 30).value == 3.0


@pytest.mark.parametrize("buys", [(0.1, 0.2, 0.3), (1e16, 1.0, -1e16)])
def test_sums_do_not_depend_on_the_order_in_which_the_partitions_report(buys: tuple[float, ...]) -> None:
    partials = [sums(at, buy=buy, covered=abs(buy), balance=abs(buy)) for at, buy in enumerate(buys)]
    found = {session(*order, partitions=3).fin_buy(TODAY, 0.9, [AT], 30).value for order in permutations(partials)}
    assert found == {buys[0] + buys[1] + buys[2]}


def test_nothing_is_covered_where_no_balance_is_known() -> None:
    assert session(sums(0, buy=1.0), sums(1, buy=1.0)).fin_buy(TODAY, 0.0, [AT], 30).value == (
        "margin.intraday covers 0% of the last published balance, 0% are needed"
    )


def test_a_partition_of_the_day_before_adds_its_balance_and_no_buys() -> None:
    intraday = session(sums(0, buy=3.0, covered=50.0, balance=50.0),
                   sums(1, day=BEFORE, buy=9.0, covered=50.0, balance=50.0))  # fmt: skip
    assert intraday.fin_buy(TODAY, 0.5, [AT], 30).value == 3.0
    assert (
        intraday.fin_buy(TODAY, 0.51, [AT], 30).value
        == "margin.intraday covers 50% of the last published balance, 51% are needed"
    )


@pytest.mark.parametrize(
    ("second", "news"),
    [
        (sums(0, ts=5, buy=1.0), False),  # the same again
        (sums(0, ts=5, buy=2.0), True),  # the same moment, other sums: a balance was corrected
        (sums(0, ts=4, buy=2.0), False),
        (sums(0, day=BEFORE, ts=9, buy=2.0), False),
        (sums(0, day=TODAY + 1, ts=1, buy=2.0), True),
        (sums(1, ts=1, buy=2.0), True),
    ],
)
def test_an_older_sum_of_a_partition_changes_nothing(second: Partial, news: bool) -> None:
    intraday = session(sums(0, ts=5, buy=1.0))
    assert intraday.apply_partial(second) is news
    assert (intraday.partials[second.partition] == second) is (news or second == sums(0, ts=5, buy=1.0))


@pytest.mark.parametrize(
    ("ts", "revision", "news"), [(5, 0, False), (4, 9, False), (5, 1, True), (6, 0, True)],
)  # fmt: skip
def test_the_newest_snapshot_of_an_index_counts(ts: int, revision: int, news: bool) -> None:
    intraday = IntradaySession(1, HOURS)
    assert intraday.apply_indices(snapshot(5, 0, last=10.0))
    assert intraday.apply_indices(snapshot(ts, revision, last=20.0)) is news
    assert intraday.closes(TODAY)[SSE].value == (20.0 if news else 10.0)


def test_an_older_snapshot_behind_a_newer_one_in_a_batch_is_no_news_but_the_batch_is() -> None:
    intraday = IntradaySession(1, HOURS)
    rows = batch("indices.intraday", DAYS[1], {"000001.SH": {"last": 1.0}, "399001.SZ": {"last": 2.0}})
    assert intraday.apply_indices(rows)
    one = RowBatch(rows.topic, rows.keys, rows.days, np.array([1, 0], dtype=np.int32), rows.stamps,
                   {**rows.figures, "last": np.array([3.0, 4.0])})  # fmt: skip
    assert intraday.apply_indices(one)
    assert {key: one.value for key, one in intraday.closes(TODAY).items()} == {SSE: 3.0, SZSE: 2.0}
    assert intraday.closes(BEFORE) == {}


def test_turnover_names_every_index_that_has_none_of_the_day() -> None:
    intraday = IntradaySession(1, HOURS)
    intraday.apply_indices(snapshot(1, turnover=7.0))
    assert intraday.turnover([SSE], TODAY).value == 7.0
    assert intraday.turnover([SSE, SZSE], TODAY).value == "no live turnover of 399001.SZ"
    intraday.apply_indices(snapshot(1, turnover=5.0, code="399001.SZ", at=0))
    assert intraday.turnover([SSE, SZSE], TODAY).value == "no live turnover of 399001.SZ"
    assert intraday.turnover([SSE, SZSE], BEFORE).value == "no live turnover of 000001.SH"
    intraday.apply_indices(snapshot(2, turnover=5.0, code="399001.SZ"))
    assert intraday.turnover([SSE, SZSE], TODAY).value == 12.0
    assert intraday.turnover([SSE, SZSE], TODAY + 1).value == "no live turnover of 000001.SH, 399001.SZ"


def test_day_and_moment_are_the_newest_of_indices_and_margin_rows() -> None:
    intraday = IntradaySession(2, HOURS)

    def newest(day: int) -> int:
        """Return the moment of the newest row behind any figure of a day, 0 if there is none."""
        figures = [intraday.fin_buy(day, 0.0, [0], 0), intraday.turnover([SSE], day), *intraday.closes(day).values()]
        return max(figure.known_at for figure in figures)

    assert (intraday.day, newest(BEFORE)) == (0, 0)
    intraday.apply_partial(sums(1, day=TODAY + 2, ts=90))  # prices of securities
    assert (intraday.day, newest(TODAY + 2)) == (0, 0)
    intraday.apply_partial(sums(0, day=BEFORE, ts=30, bought_at=30))
    assert (intraday.day, newest(BEFORE)) == (BEFORE, 30)
    intraday.apply_indices(snapshot(20))
    assert (intraday.day, newest(TODAY)) == (TODAY, 20)
    intraday.apply_indices(snapshot(40))
    assert (intraday.day, newest(TODAY)) == (TODAY, 40)
    intraday.apply_partial(sums(1, day=TODAY + 3, ts=50, bought_at=50))
    assert (intraday.day, newest(TODAY + 3)) == (TODAY + 3, 50)


def test_neither_margin_rows_nor_indices_hide_a_stop_of_the_prices() -> None:
    intraday = session(Partial(partition=0, day=TODAY, ts=90, fin_buy=1.0, fin_repay=0.0, covered_balance=1.0,
                               balance=1.0, prices=1, turnover=1.0, bought_at=90, priced_at=10))  # fmt: skip
    assert intraday.live_prices() == {"prices.intraday": 10}
    intraday.apply_indices(snapshot(20))
    assert intraday.live_prices() == {"prices.intraday": 10, "indices.intraday": 20}
    assert session(sums(0, ts=90, bought_at=90)).live_prices() == {}


@pytest.mark.parametrize(
    ("bought", "turnover", "apart"),
    [
        ("10:30", "10:30", False), ("10:30", "11:00", False), ("10:30", "11:01", True), ("11:01", "10:30", True),
        ("11:20", "13:10", False), ("11:00", "13:01", True), ("14:40", "15:00", False), ("15:00", "15:29", False),
        ("10:30", "15:00", True),
        ("10:17–14:50", "10:17", True), ("10:17", "10:17–14:50", True), ("14:50", "10:17–14:50", True),
        ("10:17–10:40", "10:20–10:47", False), ("10:17–10:40", "10:20–10:48", True),
    ],
)  # fmt: skip
def test_buys_and_turnover_of_all_parts_are_of_one_moment(bought: str, turnover: str, apart: bool) -> None:
    """The buys of the morning over the turnover of the day would be a ratio of no moment."""

    def at(clock: str) -> int:
        hours, minutes = map(int, clock.split(":"))
        return shanghai_moment(TODAY, 60 * hours + minutes)

    buys, turnovers = (list(map(at, clocks.split("–"))) for clocks in (bought, turnover))
    first = sums(0, buy=3.0, covered=50.0, balance=50.0, bought_at=buys[0])
    later = sums(1, buy=4.0, covered=50.0, balance=50.0, bought_at=buys[-1])
    found = session(first, later).fin_buy(TODAY, 0.9, turnovers, 30).value
    reason = f"margin.intraday is of {bought}, the turnover of {turnover}: more than 30 trading minutes apart"
    assert found == (reason if apart else 7.0)


def test_a_turnover_has_the_moments_of_its_indices_and_that_of_the_close_without_any() -> None:
    intraday = session()
    assert intraday.turnover_moments([SSE, SZSE], TODAY) == [shanghai_moment(TODAY, 15 * 60)]
    intraday.apply_indices(snapshot(AT))
    intraday.apply_indices(snapshot(AT - 5, code="399001.SZ"))
    assert intraday.turnover_moments([SSE, SZSE], TODAY) == [AT, AT - 5]
    assert intraday.turnover_moments([], TODAY) == [shanghai_moment(TODAY, 15 * 60)]


def test_a_half_day_closes_at_half_past_eleven() -> None:
    """What is published behind its close is of the close, whatever moment it bears."""
    close = shanghai_moment(TODAY, 11 * 60 + 30)
    for bought_at, turnover_at in ((close, close), (close - 10 * 60_000_000, shanghai_moment(TODAY, 15 * 60))):
        partials = (sums(n, buy=2.0, covered=50.0, balance=50.0, bought_at=bought_at) for n in range(2))
        assert session(*partials, hours=SHORT).fin_buy(TODAY, 0.9, [turnover_at], 30).value == 4.0
    assert session(hours=SHORT).turnover_moments([], TODAY) == [close]


@pytest.mark.parametrize("to_come", [date(2020, 1, 6), date(2020, 2, 3), date(9999, 1, 4)])
def test_a_row_of_a_day_to_come_does_not_end_the_running_session(to_come: date) -> None:
    """Behind it every row of the session would be an older one, and no provisional value would follow."""
    settings, topic, now = Settings(partitions=1), "indices.intraday", date(2020, 1, 3)
    stage = MarketStage(settings, Topics(settings), xshg())
    state = stage.open(0)
    assert isinstance(state, MarketState)
    dead = metrics.DEAD.labels(topic)._value.get()
    first = batch(topic, now, {"000001.SH": {"last": 3000.0}})
    later = replace(first, stamps=first.stamps + 300_000_000, figures=first.figures | {"last": np.array([3100.0])})
    values = [value for rows in (first, first, later) for _, value in encode_events(rows, "x")]
    values[1] = values[1].replace(b"2020-01-03", str(to_come).encode())
    at = int(datetime(2020, 1, 3, 3, tzinfo=UTC).timestamp() * 1000)
    out = [one for value in values for one in state.fold(topic, [PlainRecord(topic, 0, 0, at, b"", value, [])])]
    session = state.processor.session
    assert session.day == to_day(now)
    assert [index.last for index in session.indices.values()] == [3100.0]
    assert [one.topic for one in out] == ["indices.intraday.v1.dlq"]
    assert metrics.DEAD.labels(topic)._value.get() == dead + 1
