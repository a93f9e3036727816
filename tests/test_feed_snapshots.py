"""Snapshots of the session: the published rows, the schedule, and the sources; without Kafka."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from datetime import date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
from structlog.testing import capture_logs

from feeds.errors import BusyError, InputError
from feeds.intraday.intraday_outlet import IntradayOutlet
from feeds.intraday.snapshots import SnapshotTask, known_indices, rows_of
from feeds.mappings import mapping
from feeds.web.snapshot_sources import AkshareSource, FileSource, Reading, UrlSource, download
from processors.codes import to_codes, to_id
from processors.days import SHANGHAI, to_day
from processors.events import IntradayRow, RowBatch
from processors.parameters import Parameters
from processors.trading_hours import TradingHours
from streams.calendars import xshg
from streams.clients import page_client
from streams.feed_services import FrameCodec
from streams.settings import Settings
from tests.building import with_half_days
from tests.publishing import MemoryState, MemoryStore, no_broker

CODEC = FrameCodec(Settings())
HALF_DAY = date(2024, 6, 6)
HOURS = TradingHours(with_half_days(HALF_DAY))
INDICES = np.array(sorted(map(to_id, known_indices(Parameters()))), dtype=np.int32)
MAPPING = """
[[table]]
topic = "prices.intraday"
code = { column = "code", style = "600519.SH" }
only = "securities"
columns.last = { column = "last", unit = "元" }
columns.prev_close = { column = "prev", unit = "元" }
columns.volume = { column = "vol", unit = "手" }
columns.turnover = { column = "amount", unit = "万元" }

[[table]]
topic = "indices.intraday"
code = { column = "code", style = "600519.SH" }
only = "indices"
columns.last = { column = "last", unit = "点" }
columns.prev_close = { column = "prev", unit = "点" }
columns.volume = { column = "vol", unit = "手" }
columns.turnover = { column = "amount", unit = "万元" }
"""
PAGE = "code,last,prev,vol,amount\n600519.SH,1500,1490,20,300\n000001.SH,3000,2990,50,40000\n"


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=SHANGHAI).timestamp()


def us(text: str) -> int:
    return int(at(text) * 1_000_000)


def mapped(folder: Path, text: str = MAPPING) -> mapping.Mapping:
    path = folder / "map.toml"
    path.write_text(text, "utf-8")
    return mapping.load(path, IntradayRow)


# -- what is published of a snapshot -----------------------------------------------------------------------------


def prices(*rows: tuple[str, float, float, float, float]) -> pd.DataFrame:
    names = ("code", "last", "prev_close", "volume", "turnover")
    frame = pd.DataFrame(rows, columns=names)
    return frame.assign(key=np.array([to_id(code) for code in frame["code"]], dtype=np.int32)).drop(columns="code")


def taken(topic: str, frame: pd.DataFrame) -> tuple[list[str], dict[str, int]]:
    now = us("2024-06-03 10:00")
    batch, left_out = rows_of(topic, frame, now, to_day(date(2024, 6, 3)), INDICES)
    assert (batch.stamps == (frame["ts"].iloc[0] if "ts" in frame and len(batch) else now)).all()
    return to_codes(batch.keys), dict(left_out)


def test_what_does_not_trade_gets_no_price() -> None:
    good = ("600519.SH", 1500.0, 1490.0, 2000.0, 3e6)
    nan = np.nan
    suspended = [("600000.SH", 0, 9, 0, 0), ("600004.SH", nan, 9, nan, nan), ("600006.SH", 9, 9, 0, 0),
                 ("600007.SH", 9, 0, 1, 9)]  # fmt: skip
    impossible = [("600008.SH", -1, 9, 1, 9), ("600009.SH", 9, 9, np.inf, 9)]
    codes, left_out = taken("prices.intraday", prices(good, *suspended, *impossible, ("000001.SH", 3000, 2990, 1, 1)))
    assert codes == ["600519.SH"]
    assert left_out == {"untraded": 4, "impossible": 2, "unknown": 1}  # an index is no security


@pytest.mark.parametrize(
    ("volume", "turnover", "left"),
    [(0.0, 3e6, {"impossible": 1}), (2000.0, 0.0, {"impossible": 1}), (0.0, 9_000.0, {}), (60.0, 0.0, {})],
)
def test_nothing_is_traded_without_both_volume_and_turnover(
    volume: float, turnover: float, left: dict[str, int]
) -> None:
    """Less than a lot, or than 10,000 CNY, may be rounded to 0."""
    assert taken("prices.intraday", prices(("600519.SH", 1500.0, 1490.0, volume, turnover)))[1] == left


def test_only_indices_that_something_is_computed_of_are_taken() -> None:
    rows = [(code, 3000.0, 2990.0, 0.0, 0.0) for code in ("000001.SH", "399001.SZ", "000688.SH", "000300.SH")]
    codes, left_out = taken("indices.intraday", prices(*rows))
    assert sorted(codes) == ["000001.SH", "000300.SH", "399001.SZ"]
    assert left_out == {"unknown": 1}


def test_rows_of_another_day_are_old_and_of_a_duplicate_the_later_row_counts() -> None:
    frame = prices(("600519.SH", 1500.0, 1490.0, 2.0, 3e6), ("600519.SH", 1501.0, 1490.0, 3.0, 4e6))
    batch, left_out = rows_of("prices.intraday", frame, us("2024-06-03 10:00"), to_day(date(2024, 6, 3)), INDICES)
    assert (batch.figures["last"].tolist(), left_out) == ([1501.0], {"twice": 1})
    assert taken("prices.intraday", frame.assign(ts=us("2024-05-31 15:00"))) == ([], {"old": 2})


# -- the schedule -----------------------------------------------------------------------------------------


class Market:
    """A source whose turnover is a thousand a second, an outlet that keeps what it is given, and the clock of both."""

    def __init__(self, start: str) -> None:
        self.now = at(start)
        self.takes = 0.0  # seconds that a reading takes
        self.fails = False
        self.asked: list[str] = []
        self.published: list[tuple[str, float]] = []
        self.state = MemoryState()
        self.ledger = MemoryStore()
        self.names: list[dict[str, str]] = []  # as they were stored

    def clock(self) -> float:
        return self.now

    def read(self) -> Reading:
        self.asked.append(f"{datetime.fromtimestamp(self.now, SHANGHAI):%H:%M:%S}")
        self.now += self.takes
        if self.fails:
            raise InputError("the page is away")
        trading = sum(max(0, min(self.now, b / 1e6) - a / 1e6) for a, b in HOURS.halves(self.day))
        return self.shows(trading, 1000 * trading)

    def shows(self, volume: float, turnover: float, topic: str = "indices.intraday") -> Reading:
        return Reading([(topic, prices(("000001.SH", 3000, 2990, volume, turnover)))], int(self.now * 1e6))

    @property
    def day(self) -> int:
        return to_day(datetime.fromtimestamp(self.now, SHANGHAI).date())

    def run(self, every: float) -> SnapshotTask:
        outlet = IntradayOutlet(
            no_broker, xshg(), self.ledger, CODEC, source="x", clock=self.clock, wait=lambda _s: False
        )
        outlet._send = self._keep  # type: ignore[method-assign]
        return SnapshotTask("x", every, self, outlet, self.state, HOURS, INDICES, self.names.append, clock=self.clock)

    def _keep(self, rows: RowBatch) -> None:
        self.published += [
            (f"{datetime.fromtimestamp(t / 1e6, SHANGHAI):%Y-%m-%d %H:%M:%S}", figure)
            for t, figure in zip(rows.stamps.tolist(), rows.figures["turnover"].tolist(), strict=True)
        ]

    def until(self, one: SnapshotTask, end: str) -> None:
        while self.now < at(end):
            following = one.tick(self.now)
            self.now = max(self.now + 0.001, following) if following > self.now else self.now + 0.001


def test_a_session_is_snapped_until_its_close_and_once_behind_it() -> None:
    market = Market("2024-06-03 08:00")
    market.until(market.run(1800), "2024-06-04 09:00")
    assert market.asked == ["09:30:00", "10:00:00", "10:30:00", "11:00:00", "11:31:00",
                            "13:00:00", "13:30:00", "14:00:00", "14:30:00", "15:01:00"]  # fmt: skip
    assert market.published[-1] == ("2024-06-03 15:01:00", 4 * 3600 * 1000)
    assert len(market.published) == 9  # at 13:00 no more was traded than at 11:31


def test_half_days_and_holidays() -> None:
    market = Market("2024-06-06 11:00")
    market.until(market.run(1800), "2024-06-07 09:00")
    assert market.asked == ["11:00:00", "11:31:00"]
    market = Market("2024-06-07 15:30")  # then a weekend, and a Monday without session
    market.state.set("taken", repr(at("2024-06-07 15:01")))
    market.until(market.run(1800), "2024-06-11 10:00")
    assert market.asked == ["09:30:00"]


@pytest.mark.parametrize(("last", "now", "asked"), [
    ("14:59:30", "20:00", ["20:00:00"]),  # it was stopped before the close
    ("15:01:00", "20:00", []),
    ("11:29:00", "12:10", ["12:10:00"]),
    ("11:29:00", "11:30:20", []),  # the closing prices are not there yet
])  # fmt: skip
def test_after_a_restart_the_close_is_snapped_if_that_was_missed(last: str, now: str, asked: list[str]) -> None:
    market = Market(f"2024-06-03 {now}")
    market.state.set("taken", repr(at(f"2024-06-03 {last}")))
    market.run(5).tick(market.now)
    assert market.asked == asked


def test_a_close_that_was_missed_is_not_published_on_the_next_day() -> None:
    market = Market("2024-06-04 07:00")
    market.state.set("taken", repr(at("2024-06-03 14:00")))
    assert market.run(5).tick(market.now) == at("2024-06-04 09:30")
    assert market.asked == []


def test_a_slow_source_misses_snapshots_and_they_do_not_pile_up() -> None:
    market = Market("2024-06-03 10:00:02")
    market.takes = 12
    one = market.run(5)
    with capture_logs() as logs:
        market.until(one, "2024-06-03 10:01")
    assert market.asked == ["10:00:02", "10:00:15", "10:00:30", "10:00:45"]
    assert sum(entry.get("skipped", 0) for entry in logs) + one._counts["skipped"] == 8


def test_a_source_that_fails_is_asked_less_and_less_often_up_to_a_limit() -> None:
    market = Market("2024-06-03 09:30")
    market.fails = True
    one = market.run(30)
    market.until(one, "2024-06-03 10:00")
    assert market.asked == ["09:30:00", "09:30:30", "09:31:30", "09:33:30", "09:37:30", "09:42:30", "09:47:30",
                            "09:52:30", "09:57:30"]  # fmt: skip
    assert one.failures == 9
    market.fails = False
    market.asked.clear()
    market.until(one, "2024-06-03 10:04")
    assert market.asked == ["10:02:30", "10:03:00", "10:03:30"]


def test_a_file_that_is_being_written_is_asked_for_again_in_a_moment_and_reported_if_that_does_not_end() -> None:
    def busy() -> Reading:
        raise BusyError("it is being written")

    market = Market("2024-06-03 10:00")
    read, market.read = market.read, busy  # type: ignore[method-assign]
    one = market.run(60)
    assert one.tick(market.now) == market.now + 0.5
    assert one.pending(market.now)
    market.until(one, "2024-06-03 10:00:29")
    assert one.failures == 0
    with capture_logs() as logs:
        market.until(one, "2024-06-03 10:00:31")
    assert (one.failures, logs[0]["error"]) == (1, "it is being written")
    assert not one.pending(market.now)
    market.read = read  # type: ignore[method-assign]
    market.until(one, "2024-06-03 10:02:31")
    assert market.published and not one.pending(market.now)


def test_turnover_that_falls_is_left_out_and_logged_once() -> None:
    market = Market("2024-06-03 10:00")
    one = market.run(60)
    market.until(one, "2024-06-03 10:02")
    read = market.read
    market.read = lambda: market.shows(1, 10)  # type: ignore[method-assign]
    before = len(market.published)
    with capture_logs() as logs:
        market.until(one, "2024-06-03 10:05")
    assert len(market.published) == before
    (finding,) = [entry for entry in logs if entry["event"] == "finding"]
    assert "fell from" in finding["what"]
    market.read = read  # type: ignore[method-assign]
    market.until(one, "2024-06-03 10:06")
    assert len(market.published) == before + 1


def test_a_page_of_yesterday_is_no_news() -> None:
    market = Market("2024-06-03 14:59")
    market.until(market.run(60), "2024-06-03 15:30")
    before = list(market.published)
    market.now = at("2024-06-04 09:30:05")
    page = market.shows(4 * 3600, before[-1][1])
    market.read = lambda: page  # type: ignore[method-assign]
    market.run(60).tick(market.now)
    assert market.published == before


def test_figures_of_before_the_first_trades_are_those_of_the_day_before() -> None:
    market = Market("2024-06-04 08:00")
    file = market.shows(4 * 3600, 9e9)  # a terminal writes it when it starts, then next at 09:31
    read, market.read = market.read, lambda: file  # type: ignore[method-assign]
    market.now = at("2024-06-04 09:30")
    one = market.run(60)
    following = one.tick(market.now)
    assert (market.published, one.failures) == ([], 0)
    market.read, market.now = read, following  # type: ignore[method-assign]
    one.tick(market.now)
    assert market.published == [("2024-06-04 09:31:00", 60_000.0)]


def quotes(count: int) -> Reading:
    rows = [(f"{600000 + i}.SH", 10.0, 9.9, 1000.0 + i, 10000.0 + 10 * i) for i in range(count)]
    return Reading([("prices.intraday", prices(*rows))], us("2024-06-11 09:40"))


@pytest.mark.parametrize(
    ("whole", "force", "counts", "good"),
    [
        (True, False, (5400, 200, 5390), (True, False, True)),  # the first page, sorted by gain
        (True, False, (200, 5400), (False, True)),
        (False, False, (200, 5400, 200), (True, True, False)),  # a desk's own selection may have 200 names
        (True, True, (200, 5400, 200), (True, True, True)),
        (True, False, (5400, 4900, 4000), (True, True, False)),
    ],
)
def test_a_page_in_place_of_all_securities_is_refused(
    whole: bool, force: bool, counts: tuple[int, ...], good: tuple[bool, ...]
) -> None:
    """Also after a restart: each snapshot is one of a new process."""
    market = Market("2024-06-11 09:40")
    readings = iter([quotes(count) for count in counts])
    market.read = lambda: next(readings)  # type: ignore[method-assign]
    found = []
    for _ in counts:
        task = market.run(60)
        task.whole_market, task.may_fall = whole, force
        task.tick(market.now)
        found.append(not task.failures)
    assert tuple(found) == good


INDEX_ROWS = [("000001.SH", 3000.0, 2990.0, 2e10, 3e11), ("399001.SZ", 9000.0, 9100.0, 3e10, 4e11),
              ("000300.SH", 3500.0, 3490.0, 1e10, 2e11)]  # fmt: skip


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize(
    ("topic", "figure", "factor", "text"),
    [
        ("prices.intraday", "turnover", 1.0, ""),
        ("prices.intraday", "volume", 100.0, "turnover is 0.01 times volume × last"),  # shares as 手
        ("prices.intraday", "turnover", 1e4, "turnover is 1e+04 times volume × last"),  # 元 as 万元
        ("prices.intraday", "prev_close", 100.0, "last is 0.0101 times prev_close"),
        ("indices.intraday", "turnover", 1.0, ""),
        ("indices.intraday", "turnover", 1e3, "turnover of 000001.SH is 3e+14 CNY, expected 2e+13 at most"),
        ("indices.intraday", "last", 0.01, "last is 0.01 times prev_close"),
    ],
)
def test_a_snapshot_in_a_wrong_unit_is_not_published(
    topic: str, figure: str, factor: float, text: str, force: bool
) -> None:
    market = Market("2024-06-11 09:40")
    frame = quotes(60).tables[0][1] if topic == "prices.intraday" else prices(*INDEX_ROWS)
    reading = Reading([(topic, frame.assign(**{figure: frame[figure] * factor}))], us("2024-06-11 09:40"))
    market.read = lambda: reading  # type: ignore[method-assign]
    task = market.run(60)
    task.may_fall = force
    with capture_logs() as logs:
        task.tick(market.now)
    assert bool(market.published) == (force or not text)
    assert force or not text or text in logs[0]["error"]


def at_price(last: float, prev_close: float = 9.9) -> pd.DataFrame:
    frame = quotes(60).tables[0][1]
    return frame.assign(last=last, prev_close=prev_close, turnover=last * frame["volume"])


def in_part(factor: float) -> pd.DataFrame:
    """Prices of a tenth of the securities in another unit."""
    factors = np.where(np.arange(60) < 6, factor, 1.0)
    return at_price(10.0).pipe(
        lambda frame: frame.assign(**{name: frame[name] * factors for name in ("last", "prev_close", "turnover")})
    )


@pytest.mark.parametrize(
    ("frames", "good", "force"),
    [
        ([at_price(10.0), at_price(10.2)], [True, True], False),
        ([at_price(10.0), at_price(9.9, 10.0), at_price(9.9, 10.1)], [True, False, False], False),  # swapped since
        ([at_price(9.9, 10.0), at_price(9.9, 10.1)], [True, False], False),  # from the first one on
        (
            [at_price(10.0), at_price(100.0, 99.0), at_price(100.0, 99.0), at_price(10.0)],
            [True, False, False, True],
            False,
        ),  # a wrong unit is never believed
        ([at_price(10.0), in_part(10.0), in_part(10.0), in_part(0.01)], [True, False, False, False], False),
        ([at_price(10.0), at_price(10.0, 9.8), at_price(10.1, 9.8)], [True, False, True], False),
        ([at_price(10.0), at_price(9.9, 10.0)], [True, True], True),
    ],
)
def test_previous_closes_that_change_within_a_session_are_refused(
    frames: list[pd.DataFrame], good: list[bool], force: bool
) -> None:
    """Swapped columns, and prices that are off with their turnovers, agree with themselves."""
    market = Market("2024-06-11 09:40")
    readings = iter([Reading([("prices.intraday", frame)], us("2024-06-11 09:40")) for frame in frames])
    market.read = lambda: next(readings)  # type: ignore[method-assign]
    task = market.run(60)
    task.may_fall = force
    failures = [0]
    for _ in frames:
        task.tick(market.now)
        failures.append(task.failures)
    assert [then == now for then, now in pairwise(failures)] == good


@pytest.mark.parametrize(("whole", "first", "good"), [(True, "gain", False), (True, "turnover", False),
                                                      (False, "gain", True), (True, "code", True)])  # fmt: skip
def test_a_first_snapshot_that_is_a_page_of_a_sorted_list_is_refused(whole: bool, first: str, good: bool) -> None:
    frame = quotes(150).tables[0][1]
    scattered = (np.arange(150) * 37) % 150
    turnover = 1e6 + 9e3 * scattered[::-1]
    frame = frame.assign(last=9.0 + scattered / 100, turnover=turnover, volume=turnover / 9.5)
    by = {"gain": frame["last"], "turnover": frame["turnover"], "code": frame["key"]}[first]
    frame = frame.iloc[np.argsort(-by.to_numpy() if first != "code" else by.to_numpy())].reset_index(drop=True)
    market = Market("2024-06-11 09:40")
    market.read = lambda: Reading([("prices.intraday", frame)], us("2024-06-11 09:40"))  # type: ignore[method-assign]
    task = market.run(60)
    task.whole_market = whole
    task.tick(market.now)
    assert (not task.failures) == good


def test_names_are_stored_once_and_without_marks_that_cut_them_off() -> None:
    market = Market("2024-06-11 09:40")
    frame, read = quotes(4).tables[0][1], us("2024-06-11 09:40")
    for at_minute, names in (
        (0, ["浦发银行", "*ST白云", "XD东风汽", ""]),
        (1, ["浦发银行", "*ST白云", "东风汽车", "-"]),
    ):
        rows = frame.assign(name=names, turnover=frame["turnover"] + at_minute)
        market.read = lambda rows=rows: Reading([("prices.intraday", rows)], read)  # type: ignore[method-assign]
        if not at_minute:
            task = market.run(60)
        market.now += 60
        task.tick(market.now)
    assert task.failures == 0
    assert market.names == [{"600000.SH": "浦发银行", "600001.SH": "*ST白云"}, {"600002.SH": "东风汽车"}]


def test_a_source_without_one_usable_row_fails() -> None:
    market = Market("2024-06-03 10:00")
    market.read = lambda: market.shows(1, 1, "prices.intraday")  # type: ignore[method-assign]
    one = market.run(60)
    with capture_logs() as logs:
        one.tick(market.now)
    assert one.failures == 1
    assert "no row has all figures" in logs[0]["error"]


# -- the sources ----------------------------------------------------------------------------------------


def shown_rows(reading: Reading) -> dict[str, list[dict[str, Any]]]:
    return {topic: frame.assign(code=to_codes(frame["key"].to_numpy())).drop(columns="key").to_dict("records")
            for topic, frame in reading.tables}  # fmt: skip


def test_a_file_is_read_by_its_mapping_and_its_moment_is_when_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "quotes.csv"
    path.write_text(PAGE)
    os.utime(path, (at("2024-06-03 10:00"),) * 2)
    now = at("2024-06-03 10:00:10")
    reading = FileSource(path, mapped(tmp_path), 0.5, lambda: now).read()
    assert reading.at == us("2024-06-03 10:00")
    assert shown_rows(reading) == {
        "prices.intraday": [
            {"last": 1500, "prev_close": 1490, "volume": 2000, "turnover": 3e6, "code": "600519.SH"},
        ],
        "indices.intraday": [
            {"last": 3000, "prev_close": 2990, "volume": 5000, "turnover": 4e8, "code": "000001.SH"},
        ],
    }
    with pytest.raises(BusyError):
        FileSource(path, mapped(tmp_path), 20, lambda: now).read()
    with pytest.raises(InputError, match="No such file"):
        FileSource(tmp_path / "other.csv", mapped(tmp_path), 0.5).read()


def test_words_in_place_of_all_figures_of_a_security_cost_a_snapshot_no_other_row(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(PAGE + "600000.SH,暂停,暂停,暂停,暂停\n", "utf-8")
    reading = FileSource(path, mapped(tmp_path), 0).read()
    assert [len(frame) for _, frame in reading.tables] == [1, 1]


def test_a_row_without_a_moment_costs_that_row_and_none_if_it_does_not_trade(tmp_path: Path) -> None:
    path, text = tmp_path / "quotes.csv", MAPPING.replace(
        'only = "', 'ts = { column = "time", format = "%H:%M:%S" }\nonly = "')  # fmt: skip
    head, *rows = PAGE.splitlines()
    sound = [f"time,{head}", *(f"09:45:01,{row}" for row in rows)]
    idle = [f"{cell},600{at:03d}.SH,-,9.9,0,0" for at, cell in enumerate(["", "--", "--:--:--", "停牌"] * 20)]
    path.write_text("\n".join([*sound, *idle]), "utf-8")
    reading = FileSource(path, mapped(tmp_path, text), 0).read()
    assert ([len(frame) for _, frame in reading.tables], reading.refused) == ([1, 1], ())
    path.write_text("\n".join([*sound, "9.45,600000.SH,10,9.9,100,1000"]), "utf-8")
    reading = FileSource(path, mapped(tmp_path, text), 0).read()
    assert [len(frame) for _, frame in reading.tables] == [1, 1]
    assert len(reading.refused) == 1 and "'9.45' is not written as %H:%M:%S" in reading.refused[0]
    path.write_text("\n".join([f"time,{head}", *["9.45,600000.SH,10,9.9,100,1000"] * 6]), "utf-8")
    with pytest.raises(InputError, match=r"6 of 6 rows are refused.*'9.45' is not written as %H:%M:%S"):
        FileSource(path, mapped(tmp_path, text), 0).read()


def test_rows_may_tell_their_own_moment(tmp_path: Path) -> None:
    path = tmp_path / "quotes.csv"
    text = MAPPING.replace('only = "', 'ts = { column = "time", format = "FORMAT" }\nonly = "')
    for form, moment in (("%H:%M:%S", "09:45:01"), ("%Y%m%d%H%M%S", "20240603094501"),
                         ("%Y-%m-%dT%H:%M:%S%z", "2024-06-03T01:45:01+00:00")):  # fmt: skip
        head, *rows = PAGE.splitlines()
        path.write_text("\n".join([f"time,{head}", *(f"{moment},{row}" for row in rows)]))
        os.utime(path, (at("2024-06-03 10:00"),) * 2)
        reading = FileSource(path, mapped(tmp_path, text.replace("FORMAT", form)), 0).read()
        assert [frame["ts"].tolist() for _, frame in reading.tables] == [[us("2024-06-03 09:45:01")]] * 2, form


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("prices.intraday", "prices.daily"), "'prices.daily' is not known; expected one of .*prices.intraday"),
        (('only = "securities"', 'date = { column = "day" }'), "have no date"),
        ((', unit = "手"', ""), "no unit is given"),
    ],
)
def test_a_mapping_that_can_not_work_is_refused(tmp_path: Path, change: tuple[str, str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        mapped(tmp_path, MAPPING.replace(*change))


class Page:
    """An HTTP server that shows one page, or misbehaves."""

    def __init__(self) -> None:
        self.content = PAGE.encode()
        self.status = 200
        self.length: int | None = None
        self.proof: str | None = None
        self.hold = threading.Event()
        self.hold.set()
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page.proof = self.headers["Authorization"]
                self.send_response(page.status)
                self.send_header("Content-Length", str(page.length or len(page.content)))
                self.end_headers()
                page.hold.wait(120)
                self.wfile.write(page.content)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/quotes?token=hush"


@pytest.fixture
def page() -> Iterator[Page]:
    made = Page()
    yield made
    made.hold.set()
    made.server.shutdown()
    made.server.server_close()


def test_a_url_is_read_by_its_mapping(page: Page, tmp_path: Path) -> None:
    source = UrlSource(page.url, mapped(tmp_path), page_client(), lambda: at("2024-06-03 10:00"))
    assert shown_rows(source.read())["prices.intraday"][0]["turnover"] == 3e6
    assert "hush" not in repr(source)


def test_a_url_may_hold_a_user_and_a_password(page: Page) -> None:
    download(page.url, page_client())
    assert page.proof is None
    download(page.url.replace("://", "://desk:a%40b@"), page_client())
    assert page.proof == "Basic ZGVzazphQGI="  # desk:a@b


def test_a_redirection_is_followed_and_not_told_the_password() -> None:
    seen = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((request.url.host, request.headers.get("Authorization")))
        if request.url.host == "a":
            return httpx.Response(302, headers={"Location": "http://b/quotes"})
        return httpx.Response(200, content=b"code,last")

    client = httpx.Client(transport=httpx.MockTransport(answer))
    assert download("http://desk:a%40b@a/quotes", client) == b"code,last"
    assert seen == [("a", "Basic ZGVzazphQGI="), ("b", None)]


def test_a_url_that_fails_says_why_and_shows_no_secret(page: Page) -> None:
    def said(url: str, **limits: float) -> str:
        with pytest.raises(InputError) as caught:
            download(url, page_client(), **limits)
        assert "hush" not in str(caught.value)
        return str(caught.value)

    page.status = 503
    assert "/quotes answered 503" in said(page.url)
    page.status, page.length = 200, 1000
    assert "expected 1000" in said(page.url)
    page.length = None
    page.hold.clear()
    assert "timed out" in said(page.url, timeout_s=0.1)
    page.hold.set()
    assert "not all was sent" in said(page.url, longest_s=0)
    assert "http://" in said("file:///etc/passwd?hush")
    for wrong in ("http://desk:hush@x:hush/q", "http://x/\x00?token=hush", "http://[x?hush"):
        assert "URL is invalid" in said(wrong) or "can't be requested" in said(wrong)
    page.server.shutdown()
    page.server.server_close()
    assert "refused" in said(page.url)


#: The columns of akshare 1.19.5, in its order, with figures of 2021-03-31 (of the index) and made up ones.
INDEX_SPOT = "序号 代码 名称 最新价 涨跌幅 涨跌额 成交量 成交额 振幅 最高 最低 今开 昨收 量比"
SPOT = f"{INDEX_SPOT} 换手率 市盈率-动态 市净率 总市值 流通市值 涨速 5分钟涨跌 60日涨跌幅 年初至今涨跌幅"


def spot(columns: str, *rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame([{name: row.get(name, np.nan) for name in columns.split()} for row in rows])


def test_akshare_s_columns_and_units() -> None:
    stocks = spot(
        SPOT,
        {"代码": "600519", "名称": "贵州茅台", "最新价": 1500.5, "昨收": 1490.0, "成交量": 20123.0, "成交额": 3.0195e9},
        {"代码": "000001", "最新价": 10.5, "昨收": 10.4, "成交量": 5.0, "成交额": 5250.0},
        {"代码": "920002", "最新价": 10.5, "昨收": 10.4, "成交量": 5.0, "成交额": 5250.0},
        {"代码": "600001", "昨收": 3.0},  # suspended: no price
    )
    indices = spot(
        INDEX_SPOT,
        {"代码": "000001", "最新价": 3441.91, "昨收": 3456.68, "成交量": 283049262.0, "成交额": 314174119936.0},
        {"代码": "399001", "最新价": 13778.67, "昨收": 13888.0, "成交量": 1.0, "成交额": 1000.0},
        {"代码": "000003", "最新价": 240.0, "昨收": 241.0, "成交量": 1.0, "成交额": 1.0},
    )
    asked: list[dict[str, str]] = []
    akshare = SimpleNamespace(
        stock_zh_a_spot_em=lambda: stocks,
        stock_zh_index_spot_em=lambda **arguments: (asked.append(arguments), indices)[1],
    )
    clock = lambda: at("2024-06-03 10:00")  # noqa: E731
    codes = known_indices(Parameters())
    found = AkshareSource("securities", codes, clock, akshare).read()
    rows = shown_rows(found)["prices.intraday"]
    assert [row["code"] for row in rows] == ["600519.SH", "000001.SZ", "920002.BJ", "600001.SH"]
    assert rows[0] == {
        "code": "600519.SH",
        "last": 1500.5,
        "prev_close": 1490.0,
        "volume": 2012300.0,
        "turnover": 3.0195e9,
        "name": "贵州茅台",
    }
    batch, left_out = rows_of("prices.intraday", found.tables[0][1], found.at, to_day(date(2024, 6, 3)), INDICES)
    assert (len(batch), left_out) == (3, {"untraded": 1})
    found = AkshareSource("indices", codes, clock, akshare).read()
    rows = shown_rows(found)["indices.intraday"]
    assert [row["code"] for row in rows] == ["000001.SH", "399001.SZ"]
    assert (rows[0]["volume"], rows[0]["turnover"]) == (28304926200.0, 314174119936.0)
    assert found.unknown == 1
    assert asked == [{"symbol": "沪深重要指数"}]


ODD_ROWS = [
    {"代码": "700001", "名称": "新板", "最新价": 10.0, "昨收": 9.9, "成交量": 5.0, "成交额": 5e3},
    {"代码": np.nan, "最新价": 10.0, "昨收": 9.9, "成交量": 5.0, "成交额": 5e3},
    {"代码": "600001", "最新价": "1O.5", "昨收": "9.9", "成交量": 5.0, "成交额": 0},
]


@pytest.mark.parametrize("odd", ODD_ROWS)
def test_a_row_that_can_not_be_read_costs_that_row(odd: dict[str, Any]) -> None:
    good = {"最新价": 10.5, "昨收": 10.4, "成交量": 5.0, "成交额": 5250.0}
    sound = [{"代码": f"{600100 + at}"} | good for at in range(90)]
    market = Market("2024-06-03 10:00")
    akshare = SimpleNamespace(stock_zh_a_spot_em=lambda: spot(SPOT, *sound, odd))
    market.read = AkshareSource("securities", (), lambda: market.now, akshare).read  # type: ignore[method-assign]
    assert (market.read().unknown, len(market.read().refused)) == (0, 1)
    one = market.run(60)
    with capture_logs() as logs:
        one.tick(market.now)
    assert one.failures == 0 and len(market.published) == 90
    (finding,) = [entry for entry in logs if entry["event"] == "finding"]
    assert finding["rows"] == 1 and "stock_zh_a_spot_em, row 90" in finding["what"]
    akshare.stock_zh_a_spot_em = lambda: spot(SPOT, *sound, *[odd] * 6)
    with pytest.raises(InputError, match="6 of 96 rows are refused, too many"):
        market.read()


def test_a_row_without_a_code_is_refused_once_of_two_tables(tmp_path: Path) -> None:
    path = tmp_path / "quotes.csv"
    path.write_text(f"{PAGE}600519,1,1,1,1\n", "utf-8")
    found = FileSource(path, mapped(tmp_path), 0.0).read()
    assert [len(frame) for _, frame in found.tables] == [1, 1]
    assert len(found.refused) == 1 and "row 4" in found.refused[0]


@pytest.mark.parametrize("error", [OSError("away"), KeyError("f2"), TypeError("None"), ValueError("Length mismatch")])
def test_errors_of_akshare_are_reported(error: Exception) -> None:
    def fail() -> pd.DataFrame:
        raise error

    with pytest.raises(InputError, match="stock_zh_a_spot_em"):
        AkshareSource("securities", (), akshare=SimpleNamespace(stock_zh_a_spot_em=fail)).read()
