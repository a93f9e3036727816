"""What a day is compared with, and the report of a run: the same in every command that publishes daily figures."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import pandas as pd
import pytest
import structlog
from prometheus_client import REGISTRY
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, RedisError

from alerts.commands import FeedRun, decode
from feeds import drop_folder
from feeds.build import build_tasks
from feeds.cells import workbooks
from feeds.checks.compared_day import ComparedDay
from feeds.checks.cut_lists import cut_lists, is_page
from feeds.checks.days_to_come import days_to_come
from feeds.checks.findings import Finding, Severity
from feeds.checks.slipped_days import slipped_days
from feeds.daily.check_report import refuse_errors
from feeds.daily.daily_checks import DailyChecks
from feeds.daily.ledger import PublishLedger
from feeds.daily.published_figures import SLOTS, DaysBefore, PublishedFigures
from feeds.daily.security_names import SecurityNames
from feeds.daily.stray_days import stray_days
from feeds.drop_folder import FolderTask
from feeds.errors import GoneError, InputError, LedgerError
from feeds.feed_report import DayReport, FeedReport
from feeds.files import vendor
from feeds.files.dataset import Dataset, SourceTables, gather
from feeds.plan import DropFolder, Feed, Fetch, Plan
from feeds.ports import Place
from feeds.tasks import FeedTask
from feeds.web import sources
from processors.codes import to_id
from processors.daily_store import DailyStore
from processors.days import shanghai_date, to_date, to_day
from processors.events import INPUT_ROWS, EndOfDay, RowBatch, concat
from processors.trading_hours import TradingHours
from streams import feed_services, metrics, publisher
from streams.calendars import xshg
from streams.clients import redis_client
from streams.errors import PublishError
from streams.feed_services import RedisLedgerStore
from streams.local.local_redis import EmbeddedRedis
from streams.records import CE_TYPE, CLOSE_TYPE
from streams.settings import Settings
from streams.topics import Topic
from tests.building import batch, with_half_days
from tests.publishing import MemoryState, MemoryStore, Message, daily_outlet, feed, sent

__all__ = ["sent"]

CALENDAR = xshg()
CODES = [f"{600000 + i}.SH" for i in range(40)]
D1, D2, D3 = "2024-06-11", "2024-06-12", "2024-06-13"

Made = Callable[[str, Sequence[str], float], pd.DataFrame]


@pytest.fixture
def kept(sent: list[Message], monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """A publish ledger that outlives each command, as Redis does."""
    store = MemoryStore()

    @contextmanager
    def opened(_settings: object) -> Iterator[PublishLedger]:
        yield PublishLedger(store)

    monkeypatch.setattr(feed_services, "open_ledger", opened)
    return store


def detail(day: str, codes: Sequence[str], factor: float = 1.0, day_of_file: str = "") -> pd.DataFrame:
    """Rows of Shanghai's margin detail in tushare's columns; no two are equal, and each day's are a little higher."""
    base, when = 1e8 * (1 + int(day[-2:]) / 1000), day_of_file or day.replace("-", "")
    rows = []
    for code in codes:
        number = int(code[:6]) % 1000
        balance, own = (base + number) * factor, number + int(day[-2:])
        rest = (1e5 + number, 9e6 + own, 1e4 + own + (number % 20 == 0), 1e4 + own, balance + 1e6 + own)
        rows.append((when, code, balance, 1e6 + own, (1e7 + own) * factor, *rest))
    columns = ["trade_date", "ts_code", "rzye", "rqye", "rzmre", "rqyl", "rzche", "rqchl", "rqmcl", "rzrqye"]
    return pd.DataFrame(rows, columns=columns)


def of_exchange(day: str, codes: Sequence[str], factor: float = 1.0) -> pd.DataFrame:
    """The same rows in the layout of Shanghai's sheet 明细信息."""
    rows = detail(day, codes, factor)
    return pd.DataFrame(
        {
            "信用交易日期": day.replace("-", ""),
            "标的证券代码": [code[:6] for code in codes],
            "标的证券简称": [f"证券{code[:6]}" for code in codes],
            "本日融资余额(元)": rows["rzye"],
            "本日融资买入额(元)": rows["rzmre"],
            "本日融资偿还额(元)": rows["rzche"],
            "本日融券余量": rows["rqyl"],
            "本日融券卖出量": rows["rqmcl"],
            "本日融券偿还量": rows["rqchl"],
        }
    )


def of_folder(day: str, codes: Sequence[str], factor: float = 1.0) -> pd.DataFrame:
    """The same rows in the columns of a folder of market files."""
    rows = detail(day, codes, factor)
    return pd.DataFrame(
        {
            "dt": day,
            "code": [code[:6] for code in codes],
            "name": "",
            "margin_balance": rows["rzye"],
            "margin_buy_amt": rows["rzmre"],
            "margin_repay_amt": rows["rzche"],
            "short_qty": rows["rqyl"],
            "short_sell_qty": rows["rqmcl"],
            "short_repay_qty": rows["rqchl"],
        }
    )


def write(folder: Path, table: pd.DataFrame, name: str) -> Path:
    folder.mkdir(exist_ok=True)
    table.to_csv(folder / name, index=False, float_format="%.0f")
    return folder / name


def by_vendor(
    folder: Path, day: str, codes: Sequence[str], factor: float = 1.0, *options: str, made: Made = detail
) -> tuple[int, str]:
    file = write(folder, made(day, codes, factor), f"vendor{day}.csv")
    return outcome("vendor", file, *options)


def by_exchange(
    folder: Path, day: str, codes: Sequence[str], factor: float = 1.0, *options: str, made: Made = of_exchange
) -> tuple[int, str]:
    file = write(folder, made(day, codes, factor), f"exchange{day}.csv")
    return outcome("exchange", file, *options)


def by_files(
    folder: Path, day: str, codes: Sequence[str], factor: float = 1.0, *options: str, made: Made = of_folder
) -> tuple[int, str]:
    write(folder / day, made(day, codes, factor), f"margin_detail_sse_{day}.csv")
    return outcome("files", folder / day, *options)


def by_plan(
    folder: Path, day: str, codes: Sequence[str], factor: float = 1.0, *_options: str, made: Made = of_exchange
) -> tuple[int, str]:
    """A drop folder of `feed run`, in a process of its own."""
    dropped = folder / f"plan{day}"
    write(dropped, made(day, codes, factor), f"{day}.csv")
    with feed_services.open_ledger(None) as ledger:  # type: ignore[arg-type]
        plan = DropFolder(path=dropped, settle_s=0)
        outlet = daily_outlet(ledger, Settings().exchanges)
        publish = partial(outlet.publish, "d", source="d", force=False)
        read = partial(drop_folder.read_daily_files, "d", plan)
        task = FolderTask("d", plan, MemoryState(), read, publish, workbooks.SUFFIXES)
        task.unreadable = partial(outlet.report_unreadable, source="d")
        errors: list[str] = []

        def publishing(tables: object) -> int:
            try:
                return publish(tables)  # type: ignore[arg-type]
            except InputError as error:
                errors.append(str(error))
                raise

        task.publish = publishing  # type: ignore[assignment]
        task.tick(time.time() + 1)
    return task.failures, " ".join(errors)


def outcome(*arguments: object) -> tuple[int, str]:
    result = feed(*arguments)
    return result.exit_code, f"{result.output} {result.exception or ''}"


COMMANDS = {"vendor": by_vendor, "exchange": by_exchange, "files": by_files, "run": by_plan}


@pytest.mark.parametrize("second", COMMANDS)
@pytest.mark.parametrize("first", COMMANDS)
@pytest.mark.parametrize("factor", [1e-4, 1e4])
def test_a_day_is_compared_with_what_another_command_published(
    first: str, second: str, factor: float, kept: MemoryStore, sent: list[Message], tmp_path: Path
) -> None:
    assert COMMANDS[first](tmp_path, D1, CODES)[0] == 0
    assert sent
    sent.clear()
    status, text = COMMANDS[second](tmp_path, D2, CODES, factor)
    assert status == 1
    assert "ERROR unit margin.daily" in text and f"times that of {D1}" in text
    assert sent == []
    assert COMMANDS[second](tmp_path, D2, CODES)[0] == 0  # and the right figures are not compared with the refused ones
    assert sent
    assert COMMANDS[first](tmp_path, D3, CODES)[0] == 0


def test_checking_only_compares_with_what_was_published(kept: MemoryStore, sent: list[Message], tmp_path: Path) -> None:
    by_vendor(tmp_path, D1, CODES)
    sent.clear()
    status, text = by_vendor(tmp_path, D2, CODES, 1e-4, "--check")
    assert status == 1 and "ERROR unit" in text and sent == []


def test_checking_only_needs_no_redis(sent: list[Message], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(_settings: object) -> dict[str, str]:
        raise LedgerError("Redis does not answer")

    monkeypatch.setattr(feed_services, "load_security_names", away)
    status, text = by_vendor(tmp_path, D1, CODES, 1.0, "--check")
    assert status == 0 and "not compared with what was published: Redis does not answer" in text
    assert by_vendor(tmp_path, D1, CODES)[0] == 1
    assert sent == []


def test_a_correction_is_compared_with_the_day_before_it(kept: MemoryStore, tmp_path: Path) -> None:
    for day in (D1, D2, D3):
        assert by_vendor(tmp_path, day, CODES)[0] == 0
    status, text = by_vendor(tmp_path, D2, CODES, 1e-4)
    assert status == 1 and f"times that of {D1}" in text
    assert by_vendor(tmp_path, D2, CODES[:3], 1.01)[0] == 0  # three corrected rows: the others are published already


def test_each_exchange_is_compared_with_its_own_last_day(kept: MemoryStore, tmp_path: Path) -> None:
    """Shenzhen's last day is one before Shanghai's."""
    shenzhen = [f"{1 + i:06d}.SZ" for i in range(40)]
    assert by_vendor(tmp_path, D1, [*CODES, *shenzhen])[0] == 0
    assert by_vendor(tmp_path, D2, CODES)[0] == 0
    status, text = by_vendor(tmp_path, D3, [*CODES, *shenzhen], 1e-4)
    assert status == 1
    assert f"of SSE is 0.0001 times that of {D2}" in text and f"of SZSE is 0.0001 times that of {D1}" in text


def test_totals_and_detail_of_two_runs_are_compared(kept: MemoryStore, tmp_path: Path) -> None:
    """Shanghai's totals come first; the detail sums to 1e4 times them."""
    total = {"trade_date": D1.replace("-", ""), "exchange_id": "SSE", "rzye": 4e5, "rzmre": 4e4, "rzche": 4e4,
             "rqye": 1, "rqmcl": 40, "rzrqye": 4e5, "rqyl": 400}  # fmt: skip
    write(tmp_path, pd.DataFrame([total]), "totals.csv")
    assert outcome("vendor", tmp_path / "totals.csv")[0] == 0
    status, text = by_vendor(tmp_path, D1, CODES)
    assert status == 1 and "the published total is 400,000" in text and "check the units of both files" in text


# -- the store of published figures ----------------------------------------------------------------------------------


def rows_of(day: str, values: dict[str, float], revision: int = 0) -> RowBatch:
    found = batch(
        "margin.daily", pd.Timestamp(day).date(), {code: {"fin_balance": value} for code, value in values.items()}
    )
    return RowBatch(found.topic, found.keys, found.days, found.revisions + revision, found.stamps, found.figures)


def known(found: RowBatch | None) -> dict[int, float]:
    return {} if found is None else dict(zip(found.keys.tolist(), found.figures["fin_balance"].tolist(), strict=True))


A, B, C = "600000.SH", "600519.SH", "000001.SZ"


def test_published_rows_of_a_day_are_joined_and_the_highest_revision_counts() -> None:
    store = MemoryStore()
    PublishedFigures(store).record([rows_of(D1, {A: 1.0, C: 3.0}), rows_of(D1, {B: 2.0})])
    PublishedFigures(store).record([rows_of(D1, {A: 9.0}), rows_of(D1, {B: 5.0}, revision=1)])
    assert known(DaysBefore(PublishedFigures(store)).before("margin.daily", to_day(pd.Timestamp(D2).date()))) == {
        to_id(A): 1.0, to_id(B): 5.0, to_id(C): 3.0,
    }  # fmt: skip


def test_the_newest_days_are_kept_whatever_the_order() -> None:
    store = MemoryStore()
    days = [f"2024-05-{1 + i:02d}" for i in range(31)]
    for day in [*days[5:], *days[:5]]:
        PublishedFigures(store).record([rows_of(day, {A: float(day[-2:])})])
    earlier = DaysBefore(PublishedFigures(store))
    last = to_day(pd.Timestamp(days[-1]).date())
    for back in range(SLOTS):
        assert known(earlier.on("margin.daily", last - back)) == {to_id(A): 31.0 - back}
    assert earlier.on("margin.daily", last - SLOTS) is None
    assert known(earlier.before("margin.daily", last + 400)) == {to_id(A): 31.0}


def test_a_correction_of_some_rows_hides_no_other_row_of_its_day() -> None:
    store = MemoryStore()
    PublishedFigures(store).record([rows_of(D1, {A: 1.0, B: 2.0})])
    earlier, following = DaysBefore(PublishedFigures(store)), to_day(pd.Timestamp(D2).date())
    for correction in ({A: 9.0}, {C: 3.0}):
        earlier.learn({"margin.daily": rows_of(D1, correction)})
    corrected = {to_id(A): 9.0, to_id(B): 2.0, to_id(C): 3.0}
    for one in (earlier, earlier.renewed()):
        assert known(one.before("margin.daily", following)) == corrected
    PublishedFigures(store).record([rows_of(D2, {A: 4.0})])
    assert known(earlier.renewed().before("margin.daily", following + 1)) == {to_id(A): 4.0, to_id(C): 3.0}


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (RedisConnectionError("refused"), "can't be reached in Redis .refused.: start Redis"),
        (OutOfMemoryError("used memory"), "Redis refuses .* .used memory.: check its memory and disk"),
    ],
)
def test_figures_that_redis_does_not_give_are_an_error_of_the_ledger(error: RedisError, cause: str) -> None:
    class Away(MemoryStore):
        def read(self, places: Sequence[Place]) -> list[bytes]:
            raise error

    with pytest.raises(LedgerError, match=cause):
        DaysBefore(PublishedFigures(Away())).before("margin.daily", 20000)
    damaged = MemoryStore()
    damaged.stored["margin.daily:figures", 0] = b"x"
    with pytest.raises(LedgerError, match="marginwatch feed ledger"):
        DaysBefore(PublishedFigures(damaged)).before("margin.daily", 20000)


def test_two_feeds_store_their_rows_of_one_day_in_redis(tmp_path: Path) -> None:
    with EmbeddedRedis(tmp_path) as server, Redis.from_url(server.url) as redis:
        stores = [PublishedFigures(RedisLedgerStore(redis, "j")) for _ in range(2)]
        stores[0].record([rows_of(D1, {A: 1.0})])
        stores[1].record([rows_of(D1, {B: 2.0})])
        before = DaysBefore(stores[0]).before("margin.daily", to_day(pd.Timestamp(D3).date()))
        assert known(before) == {to_id(A): 1.0, to_id(B): 2.0}


# -- lists that are cut off ------------------------------------------------------------------------------------------


def market(count: int, first: int = 600000) -> list[str]:
    return [f"{first + i:06d}.SH" for i in range(count)]


def prices(day: str, codes: Sequence[str]) -> RowBatch:
    return batch(
        "prices.daily", pd.Timestamp(day).date(), {code: {"close": 10.0, "prev_close": 10.0} for code in codes}
    )


def valuations(day: str, codes: Sequence[str]) -> RowBatch:
    return batch("valuations.daily", pd.Timestamp(day).date(), {code: {"pb": 1.0} for code in codes})


def margins(day: str, codes: Sequence[str]) -> RowBatch:
    figures = {"fin_balance": 1e8, "fin_buy": 1e7, "short_volume": 1e5, "short_sell": 1e4}
    return batch("margin.daily", pd.Timestamp(day).date(), dict.fromkeys(codes, figures))


def total(day: str, buys: float) -> RowBatch:
    return batch("margin.market", pd.Timestamp(day).date(), {"SSE": {"fin_balance": 1e9, "fin_buy": buys}})


ALL = [*market(2300), *[f"{1 + i:06d}.SZ" for i in range(2850)], *[f"{830000 + i}.BJ" for i in range(250)]]
CUT: dict[str, tuple[RowBatch, RowBatch | None, RowBatch | None, Severity | None, str]] = {
    "200 of 5,400 quotes sorted by gain": (
        prices(D2, ALL[::27]), prices(D1, ALL), None, Severity.ERROR, "86 stocks of SSE, 2,300 on 2024-06-11",
    ),
    "200 quotes and no day before": (
        prices(D2, ALL[::27][:200]), None, None, Severity.ERROR, "exactly 200 rows of the market",
    ),
    "5,000 of 5,400 quotes": (
        prices(D2, ALL[:5000]), prices(D1, ALL), None, Severity.ERROR, "lacks 400 of the 5,400 names",
    ),
    "5,000 of 5,060 quotes": (
        prices(D2, ALL[60:5060]), prices(D1, ALL[:5060]), None, Severity.ERROR, "exactly 5,000 rows of the market",
    ),
    "the first 5,000 lines of a file": (
        prices(D2, ALL[:4999]), prices(D1, ALL[:5050]), None, Severity.ERROR, "exactly 5,000 lines",
    ),
    "the first 2,000 lines and no day before": (
        margins(D2, market(1999)), None, None, Severity.ERROR, "exactly 2,000 lines",
    ),
    "200 lines": (
        margins(D2, market(199)), margins(D1, market(200)), None, None, "",
    ),
    "5,000 of 5,400 valuations": (
        valuations(D2, ALL[:5000]), valuations(D1, ALL), None, Severity.ERROR, "lacks 400 of the 5,400 names",
    ),
    "far fewer valuations": (
        valuations(D2, ALL[:4700]), valuations(D1, ALL), None, Severity.ERROR, "2,400 stocks of SZSE, 2,850 on",
    ),
    "one exchange cut to 1,000": (
        prices(D2, [*ALL[:2300], *ALL[2300:3300]]), prices(D1, ALL), None, Severity.ERROR, "1,000 stocks of SZSE",
    ),
    "half of the stocks, with all funds": (
        prices(D2, [*ALL[:1100], *market(300, 510000)]), prices(D1, [*ALL[:2300], *market(300, 510000)]), None,
        Severity.ERROR, "1,100 stocks of SSE, 2,300 on",
    ),
    "2,000 rows of Shanghai's detail": (
        margins(D2, market(2000)), margins(D1, market(2003)), None, Severity.ERROR, "lacks 3 of the 2,003 names",
    ),
    "2,000 rows of Shanghai's detail and no day before": (
        margins(D2, market(2000)), None, None, Severity.ERROR, "exactly 2,000 rows of SSE",
    ),
    "2,000 rows that sum to less than the total": (
        margins(D2, market(2000)), None, total(D2, 2003e7), Severity.ERROR, "exactly 2,000 rows of SSE",
    ),
    "2,000 rows that are all": (
        margins(D2, market(2000)), None, total(D2, 2000e7), None, "",
    ),
    "the list reaches 2,000": (
        margins(D2, market(2000)), margins(D1, market(1998)), None, Severity.WARNING, "it has all names of 2024-06-11",
    ),
    "the list stays at 2,000": (
        margins(D2, market(2000)), margins(D1, market(2000)), None, None, "",
    ),
    "an ordinary day": (
        prices(D2, ALL[7:]), prices(D1, ALL), None, None, "",
    ),
    "a round list of prices on a day without trading halts": (
        prices(D2, market(1000)), prices(D1, [*market(999), "601999.SH"]), None, Severity.WARNING, "lacks 1 names",
    ),
    "only funds, in a file of their own": (
        prices(D2, market(300, 510000)), prices(D1, [*ALL, *market(300, 510000)]), None, None, "",
    ),
    "closes of the funds that have lent shares": (  # Shenzhen's on 2025-04-17 and 18
        prices(D2, [*ALL, *market(39, 159000)]), prices(D1, [*ALL, *market(45, 159000)]), None, None, "",
    ),
    "a small list": (
        prices(D2, market(8)), prices(D1, market(12)), None, None, "",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CUT)
def test_lists_that_are_cut_off_are_refused(case: str) -> None:
    now, before, totals, severity, text = CUT[case]
    found = list(cut_lists(now, before, {} if totals is None else {totals.topic: totals}))
    assert {one.severity for one in found} == ({severity} if severity else set()), [one.text for one in found]
    assert text in " ".join(one.text for one in found)


def traded(day: str, codes: Sequence[str]) -> RowBatch:
    figures = {"close": 10.0, "prev_close": 10.0, "volume": 1e6, "turnover": 1e7}
    return batch("prices.daily", pd.Timestamp(day).date(), dict.fromkeys(codes, figures))


def index_turnover(turnover: float) -> RowBatch:
    return batch("indices.daily", pd.Timestamp(D2).date(), {"000001.SH": {"close": 3500.0, "turnover": turnover}})


@pytest.mark.parametrize(
    ("beside", "whole"),
    [
        (index_turnover(750e7), True),
        (index_turnover(755e7), True),
        (index_turnover(1000e7), False),  # the names that the list lacks have traded
        (index_turnover(600e7), False),
        (index_turnover(float("nan")), False),
        (None, False),
    ],
)
def test_trading_halts_are_no_cut_list_of_prices(beside: RowBatch | None, whole: bool) -> None:
    """In July 2015 half of the stocks stopped trading within a week."""
    known = {} if beside is None else {beside.topic: beside}
    found = list(cut_lists(traded(D2, market(750)), traded(D1, market(1001)), known))
    assert [one.severity for one in found] == ([] if whole else [Severity.ERROR])


@pytest.mark.parametrize(("priced", "whole"), [(750, True), (1001, False), (200, False)])
def test_valuations_of_stocks_that_do_not_trade_may_be_missing(priced: int, whole: bool) -> None:
    known = {"prices.daily": traded(D2, market(priced))}
    found = list(cut_lists(valuations(D2, market(750)), valuations(D1, market(1001)), known))
    assert [one.severity for one in found] == ([] if whole else [Severity.ERROR])


def quotes(count: int, day: str = D1) -> pd.DataFrame:
    """Quotes in the order of their codes, as a terminal saves them: gains from -10% to 10%."""
    rng = np.random.default_rng(3)
    codes = np.sort([number + at for at in (1, 600_000) for number in rng.choice(3_990, count // 2, replace=False)])
    before = np.round(rng.uniform(3, 90, count), 2)
    close = np.round(before * (1 + rng.uniform(-0.1, 0.1, count)), 2)
    volume = rng.integers(10_000, 90_000_000, count)
    return pd.DataFrame(
        {
            "日期": day, "代码": [f"{code:06d}" for code in codes], "名称": "某某", "收盘价(元)": close,
            "昨收(元)": before,
            "涨跌幅(%)": [f"{gain:+.2f}%" for gain in (close / before - 1) * 100], "成交量(股)": volume,
            "成交额(元)": np.round(volume * close), "换手率(%)": np.round(rng.uniform(0, 9, count), 2),
            "市值": [f"{cap:.2f}亿" for cap in rng.uniform(1, 900, count)],
        }
    )  # fmt: skip


def page(rows: pd.DataFrame, by: str, count: int, *, falling: bool = True) -> pd.DataFrame:
    """The first rows in the order of a column."""
    figures = rows[by].astype(str).str.rstrip("%亿").astype(float)
    return rows.iloc[np.argsort(-figures if falling else figures, kind="stable")[:count]]


EVERY = quotes(3_990)
SOLD = [name for name in EVERY if name != "昨收(元)"]
PAGES: dict[str, tuple[pd.DataFrame, bool]] = {
    **{f"{n} by gain": (page(EVERY, "涨跌幅(%)", n), True) for n in (20, 50, 80, 120, 150, 240, 998)},
    "the 90 largest falls": (page(EVERY, "涨跌幅(%)", 90, falling=False), True),
    "the 1,700 largest gains": (page(EVERY, "涨跌幅(%)", 1_700), True),
    "by gain without a previous close": (page(EVERY, "涨跌幅(%)", 60)[SOLD], True),
    "by gain without its column": (page(EVERY, "涨跌幅(%)", 60).drop(columns="涨跌幅(%)"), True),
    **{f"80 by {by}": (page(quotes(900), by, 80), True) for by in SOLD[3:]},
    "two exchanges, one after the other": (
        pd.concat([page(half, "涨跌幅(%)", 40) for half in (EVERY[1_995:], EVERY[:1_995])]),
        True,
    ),
    "pages whose order changed meanwhile": (
        pd.concat([page(EVERY, "涨跌幅(%)", 240).iloc[at : at + 20] for at in (0, 18, 41, 60)]).drop_duplicates(),
        True,
    ),
    "all of a market by gain": (page(EVERY, "涨跌幅(%)", 3_990), False),
    "19 rows": (page(EVERY, "涨跌幅(%)", 19), False),
    "a selection in the order of codes": (quotes(150), False),
    "a selection in any order": (quotes(150).sample(150, random_state=1), False),
    "with row numbers": (quotes(150).sample(150, random_state=1).assign(序号=range(1, 151)), False),
    "the same figures": (quotes(150).sample(150, random_state=1).assign(**{"收盘价(元)": 9, "昨收(元)": 9}), False),
}


@pytest.mark.parametrize("case", PAGES)
def test_a_page_of_a_sorted_list_is_refused_on_a_first_day(case: str, tmp_path: Path) -> None:
    rows, refused = PAGES[case]
    rows.to_csv(tmp_path / "a.csv", index=False)
    found = DailyChecks(CALENDAR, SecurityNames(), None).check(vendor.read([tmp_path / "a.csv"]), "x").findings
    cut = [one for one in found if one.severity is Severity.ERROR]
    assert [one.check for one in cut] == ["cut"] * refused, cut
    assert all("no day before is known" in one.text and "--force" in one.text and "a.csv" in one.text for one in cut)


def test_a_handful_of_rows_beside_the_list_of_a_market_have_a_mistyped_date(tmp_path: Path) -> None:
    rows = quotes(1_500)
    rows.loc[:2, "日期"] = "2006-06-12"
    rows.to_csv(tmp_path / "a.csv", index=False)
    found = DailyChecks(CALENDAR, SecurityNames(), None).check(vendor.read([tmp_path / "a.csv"]), "x").findings
    wrong = [one for one in found if one.severity is Severity.ERROR]
    assert [one.check for one in wrong] == ["date"]
    assert "3 rows, and 1,497 on the day beside it" in wrong[0].text


@pytest.mark.parametrize("known", ["that day", "a later day"])
@pytest.mark.parametrize("wrong", [["2023-06-12"], ["2024-06-11"], ["2023-06-12", "2024-06-11"]])
def test_rows_of_a_mistyped_date_are_no_corrections_of_a_published_day(
    known: str, wrong: list[str], tmp_path: Path
) -> None:
    """What the list of the day lacks was given another date, whatever is published of that one."""
    rows = quotes(1_500, D2)
    rows.loc[0, "日期"], rows.loc[1, "日期"] = wrong[0], wrong[-1]
    found = errors_beside(rows, [*wrong, *([D3] if known == "a later day" else [])], tmp_path)
    assert [one.check for one in found] == ["date"] * len(wrong)
    assert all("which lacks" in one.text for one in found)


def test_a_part_of_a_list_under_another_date_is_an_error(tmp_path: Path) -> None:
    rows = quotes(1_500, D2)
    rows.loc[: len(rows) // 3, rows.columns[0]] = D1
    (finding,) = errors_beside(rows, [D1], tmp_path)
    assert "which lacks 501 of their keys" in finding.text


def test_corrected_rows_of_a_published_day_may_stand_beside_a_list(tmp_path: Path) -> None:
    rows = pd.concat([quotes(1_500, D2), quotes(1_500, D1).head(3)])
    assert errors_beside(rows, [D1], tmp_path) == []


def test_a_total_of_a_mistyped_year_is_an_error() -> None:
    whole = [batch("margin.market", date(2020, 6, day), {"SSE": {"fin_balance": 8e11}, "BSE": {}}) for day in (11, 12)]
    mistyped = batch("margin.market", date(2019, 6, 12), {"SZSE": {"fin_balance": 7e11}})
    years = [{"margin.market": mistyped}, {"margin.market": concat(whole)}]
    (finding,) = stray_days(Dataset(years), DaysBefore(None))
    assert (finding.check, finding.day) == ("date", to_day(date(2019, 6, 12)))
    assert list(stray_days(Dataset(years[1:]), DaysBefore(None))) == []


def errors_beside(rows: pd.DataFrame, published: list[str], folder: Path) -> list[Finding]:
    """Return the errors of the dates of rows, beside days that are published."""
    store = PublishedFigures(MemoryStore())
    for day in published:
        quotes(1_500, day).to_csv(folder / "old.csv", index=False)
        (known,) = vendor.read([folder / "old.csv"]).tables
        store.record(gather([known], CALENDAR, "x").batches.values())
    rows.to_csv(folder / "a.csv", index=False)
    found = DailyChecks(CALENDAR, SecurityNames(), store).check(vendor.read([folder / "a.csv"]), "x").findings
    return [one for one in found if one.check == "date" and one.severity is Severity.ERROR]


@pytest.mark.parametrize(("then", "reported"), [(date(2024, 6, 7), 0), (date(2023, 6, 9), 1), (date(2024, 5, 6), 1)])
def test_a_day_far_from_the_one_before_is_reported(then: date, reported: int) -> None:
    """The year is mistyped, month and day have changed places, or a feed was off."""
    before, now = (
        batch("etf.daily", day, {"510050.SH": {"shares": 1e9 + day.day}}) for day in (then, date(2024, 6, 11))
    )
    day = ComparedDay.of({now.topic: now}, {before.topic: before}, CALENDAR, {})
    assert [(one.severity, one.check) for one in slipped_days(day)] == [(Severity.WARNING, "gap")] * reported


def test_closes_that_are_those_of_the_session_before_beside_other_previous_closes_are_swapped() -> None:
    codes = market(60)
    closes = {code: 10.0 + n for n, code in enumerate(codes)}
    then, now, swapped = (
        batch("prices.daily", pd.Timestamp(day).date(), {
            code: {"close": close * factor, "prev_close": close * before} for code, close in closes.items()
        })
        for day, factor, before in ((D1, 1.0, 0.98), (D2, 1.03, 1.0), (D2, 1.0, 1.03))
    )  # fmt: skip
    for rows, severities in ((now, []), (swapped, [Severity.ERROR])):
        day = ComparedDay.of({rows.topic: rows}, {then.topic: then}, CALENDAR, {})
        assert [one.severity for one in slipped_days(day)] == severities


@pytest.mark.parametrize(
    ("topic", "codes", "moved", "reported"),
    [
        ("prices.daily", market(60), 1.0, True),
        ("prices.daily", market(60), 1.01, False),  # the session between was not published
        ("indices.daily", ["000001.SH"], 1.0, True),
        ("indices.daily", ["000001.SH"], 1.001, False),
    ],
)
def test_previous_closes_of_an_earlier_day_than_the_session_before_are_bars_of_weeks(
    topic: str, codes: list[str], moved: float, reported: bool
) -> None:
    """tushare's weekly and monthly tables have the columns of its daily one."""
    closes = {code: 10.0 + n for n, code in enumerate(codes)}
    then, now = (
        batch(topic, when, {code: {"close": close * up, "prev_close": close * moved} for code, close in closes.items()})
        for when, up in ((date(2024, 6, 7), 1.0), (date(2024, 6, 14), 1.02))
    )
    day = ComparedDay.of({topic: now}, {topic: then}, CALENDAR, {})
    assert ["bars of a week or a month" in one.text for one in slipped_days(day)] == [True] * reported


def test_pages_of_a_whole_market_and_of_a_later_day_are_no_part(tmp_path: Path) -> None:
    whole = page(quotes(1_500), "涨跌幅(%)", 1_500)
    for at in range(0, 1_500, 150):
        whole.iloc[at : at + 150].to_csv(tmp_path / f"page{at}.csv", index=False)
    back = {"收盘价(元)": "昨收(元)", "昨收(元)": "收盘价(元)"}  # each stock returns to its close before
    later = quotes(1_500, D2).rename(columns=back)
    later[["成交量(股)", "成交额(元)"]] *= 2
    page(later, "成交量(股)", 1_490).to_csv(tmp_path / "later.csv", index=False)
    found = DailyChecks(CALENDAR, SecurityNames(), None).check(vendor.read([tmp_path]), "x").findings
    assert [one for one in found if one.severity is Severity.ERROR] == []


def test_a_sorted_page_is_published_with_force(tmp_path: Path, sent: list[Message]) -> None:
    page(EVERY, "涨跌幅(%)", 50).to_csv(tmp_path / "a.csv", index=False)
    refused = feed("vendor", tmp_path / "a.csv")
    assert refused.exit_code == 1 and sent == [] and "50 stocks" in str(refused.exception)
    assert feed("vendor", tmp_path / "a.csv", "--force").exit_code == 0 and sent


@pytest.mark.parametrize("count", [100, 200, 500, 1000, 2000, 3000, 5000, 10000])
def test_a_page_ends_at_a_round_number(count: int) -> None:
    assert is_page(count) and not is_page(count - 1) and not is_page(count + 1)


@pytest.mark.parametrize("command", ["vendor", "exchange", "files", "run"])
def test_a_cut_page_is_refused_by_every_command(
    command: str, kept: MemoryStore, sent: list[Message], tmp_path: Path
) -> None:
    whole = market(260)
    assert COMMANDS[command](tmp_path, D1, whole)[0] == 0
    sent.clear()
    status, text = COMMANDS[command](tmp_path, D2, whole[:200])
    assert status == 1 and "200 stocks of SSE, 260 on 2024-06-11" in text
    assert sent == []
    if command != "run":
        assert COMMANDS[command](tmp_path, D2, whole[:200], 1.0, "--force")[0] == 0
        assert sent


def test_the_rest_of_a_list_may_follow_in_a_second_file(kept: MemoryStore, tmp_path: Path) -> None:
    """Names that are published already count as part of the list."""
    assert by_vendor(tmp_path, D1, market(210))[0] == 0
    assert by_vendor(tmp_path, D2, market(205))[0] == 0
    assert by_vendor(tmp_path, D2, market(5, 600205))[0] == 0


def test_real_lists_are_whole(data_dir: Path) -> None:
    """1,574 lists of 2018–2021: 1,000 names of both exchanges on 2019-04-30 are a warning, nothing is an error."""
    from feeds.folder import read

    days = [feeds for _, feeds in read(data_dir, CALENDAR).by_day() if "margin.daily" in feeds]
    lists = [None, *(feeds["margin.daily"] for feeds in days)]
    cut = [one for before, now, feeds in zip(lists, lists[1:], days, strict=False)
           if now is not None for one in cut_lists(now, before, feeds)]  # fmt: skip
    assert [(one.severity, to_date(one.day or 0).isoformat()) for one in cut] == [(Severity.WARNING, "2019-04-30")]


# -- the report ------------------------------------------------------------------------------------------------------


def reported(*arguments: object) -> tuple[int, dict[str, object]]:
    result = feed(*arguments, "--json")
    return result.exit_code, json.loads(result.stdout)


@pytest.mark.parametrize("command", ["vendor", "exchange", "files"])
def test_the_report_is_the_same_in_every_command(command: str, kept: MemoryStore, tmp_path: Path) -> None:
    """Day 2: three securities of day 1 have no row. Then five rows are corrected."""
    COMMANDS[command](tmp_path, D1, CODES)
    status, first = report_of(command, tmp_path, D2, CODES[:-3])
    assert status == 0 and first["outcome"] == "published" and first["refused"] == 0
    (day,) = first["days"]
    assert day["trade_date"] == D2 and day["topic"] == "margin.daily"
    assert day["exchanges"] == {"SSE": {"read": 37, "published": 37, "unchanged": 0, "corrected": 0, "absent": 3,
                                        "refused": 0}}  # fmt: skip
    assert day["checks"]["unit"] == "passed" and day["checks"]["missing"] == "warning"
    assert day["checks"]["sum"] == "not compared"
    _, again = report_of(command, tmp_path, D2, CODES[:-3])
    assert again["days"][0]["exchanges"]["SSE"] | {"absent": 3} == {
        "read": 37, "published": 0, "unchanged": 37, "corrected": 0, "absent": 3, "refused": 0,
    }  # fmt: skip
    _, corrected = report_of(command, tmp_path, D2, CODES[:5], 1.01)
    assert corrected["days"][0]["exchanges"]["SSE"] == {
        "read": 5, "published": 5, "unchanged": 0, "corrected": 5, "absent": 3, "refused": 0,
    }  # fmt: skip


def report_of(command: str, folder: Path, day: str, codes: Sequence[str], factor: float = 1.0) -> tuple[int, dict]:
    files = {
        "vendor": (detail, f"vendor{day}.csv"),
        "exchange": (of_exchange, f"exchange{day}.csv"),
        "files": (of_folder, f"margin_detail_sse_{day}.csv"),
    }
    made, name = files[command]
    place = write(folder / f"{command}{day}", made(day, codes, factor), name)
    return reported(command, place.parent if command == "files" else place)


@pytest.mark.parametrize("command", ["vendor", "exchange", "files"])
def test_an_error_is_reported_too_and_nothing_is_published(command: str, kept: MemoryStore, tmp_path: Path) -> None:
    COMMANDS[command](tmp_path, D1, CODES)
    status, report = report_of(command, tmp_path, D2, CODES, 1e-4)
    assert status == 1 and report["outcome"] == "refused"
    assert report["days"][0]["checks"]["unit"] == "error"
    assert report["days"][0]["exchanges"]["SSE"]["published"] == 0
    assert any(one["check"] == "unit" and one["severity"] == "error" for one in report["findings"])


@pytest.mark.parametrize(
    ("command", "column"), [("vendor", "rzye"), ("exchange", "本日融资余额(元)"), ("files", "margin_balance")]
)
def test_a_refused_row_is_reported_with_its_cell_and_makes_the_exit_status_1(
    command: str, column: str, kept: MemoryStore, tmp_path: Path
) -> None:
    made = {"vendor": detail, "exchange": of_exchange, "files": of_folder}[command]
    table = made(D1, CODES).astype({column: object})
    table.loc[7, column] = "n/k"
    place = write(tmp_path / "in", table, f"margin_detail_sse_{D1}.csv")
    status, report = reported(command, place.parent if command == "files" else place)
    assert status == 1 and report["outcome"] == "published" and report["refused"] == 1
    assert report["days"][0]["exchanges"]["SSE"] | {"unchanged": 0} == {
        "read": 39, "published": 39, "unchanged": 0, "corrected": 0, "absent": 0, "refused": 1,
    }  # fmt: skip
    (finding,) = (one for one in report["findings"] if one["severity"] == "refused")
    assert "row 9" in finding["text"] and column in finding["text"] and "'n/k'" in finding["text"]


def test_a_refused_row_of_a_dropped_file_is_a_failure_of_its_feed(kept: MemoryStore, tmp_path: Path) -> None:
    """Of it follows the exit status of `feed run --once`; all other rows are published."""

    def made(day: str, codes: Sequence[str], factor: float = 1.0) -> pd.DataFrame:
        table = of_exchange(day, codes, factor).astype({"本日融资余额(元)": object})
        table.loc[7, "本日融资余额(元)"] = "n/k"
        return table

    assert by_plan(tmp_path, D1, CODES, made=made) == (1, "")
    assert by_plan(tmp_path, D2, CODES) == (0, "")


@pytest.mark.parametrize(("start", "end"), [*itertools.product((None, D1, D2), (None, D2, D3))])
def test_what_was_left_out_between_the_dates_is_reported_and_nothing_else(start: str | None, end: str | None) -> None:
    checks = DailyChecks(xshg(), SecurityNames({}), None)
    days = ["2024-06-07", D1, D2, D3, "2024-06-14"]
    lost = [Finding(Severity.REFUSED, "cell", "margin.daily", to_day(date.fromisoformat(day)), day) for day in days]
    undated = Finding(Severity.REFUSED, "file", "", None, "no day")
    first, last = (None if day is None else date.fromisoformat(day) for day in (start, end))
    found = checks.check(SourceTables([], [*lost, undated]), "s", (first, last))
    wanted = [day for day in days if (start or day) <= day <= (end or day)]
    assert [one.text for one in found.findings] == [*wanted, "no day"]
    assert found.report.refused == len(wanted) + 1


def of_totals(day: str, codes: Sequence[str]) -> pd.DataFrame:
    """Shanghai's published totals of the same rows in the columns of a folder of market files."""
    sums = of_folder(day, codes).drop(columns=["code", "name"]).groupby("dt", as_index=False).sum()
    return sums.assign(short_value=1e6, marginnshort_total=sums["margin_balance"] + 1e6)


def test_one_refused_row_costs_no_day_whose_totals_are_published(kept: MemoryStore, tmp_path: Path) -> None:
    whole = of_folder(D1, CODES)
    broken = whole.astype({"margin_balance": object})
    broken.loc[7, "margin_balance"] = "n/k"
    detail_name, totals_name = f"margin_detail_sse_{D1}.csv", f"margin_total_sse_{D1}.csv"
    write(tmp_path / "both", broken, detail_name)
    write(tmp_path / "both", of_totals(D1, CODES), totals_name)
    write(tmp_path / "totals", of_totals(D1, CODES).assign(short_qty=3_999_990), totals_name)
    write(tmp_path / "without", whole.drop(7), detail_name)
    write(tmp_path / "whole", whole, detail_name)

    def sums_of(folder: str) -> tuple[int, str, list[str]]:
        status, report = reported("files", tmp_path / folder)
        return status, report["outcome"], [str(one) for one in report["findings"] if one["check"] == "sum"]

    status, outcome, sums = sums_of("both")
    assert (status, outcome) == (1, "published")
    assert len(sums) == 3 and all("warning" in one and CODES[7] in one for one in sums)  # of what is borrowed
    assert sums_of("totals")[:2] == (0, "published")  # the refused row explains the sum in a later command, too
    status, outcome, sums = sums_of("without")  # this list is whole, if it is what it seems to be
    assert (status, outcome) == (1, "refused") and any("error" in one for one in sums)
    assert sums_of("whole") == (0, "published", [])


def test_a_list_with_a_refused_row_ends_at_a_round_number_by_itself(kept: MemoryStore, tmp_path: Path) -> None:
    codes = [f"{600000 + i}.SH" for i in range(201)]
    table = of_folder(D2, codes).astype({"margin_balance": object})
    table.loc[7, "margin_balance"] = "n/k"
    first = write(tmp_path / "a", of_folder(D1, codes), f"margin_detail_sse_{D1}.csv")
    second = write(tmp_path / "b", table, f"margin_detail_sse_{D2}.csv")
    assert reported("files", first.parent)[0] == 0
    status, report = reported("files", second.parent)
    assert (status, report["outcome"]) == (1, "published")
    assert {one["check"] for one in report["findings"]}.isdisjoint(("cut", "missing")), report["findings"]
    assert report["days"][0]["exchanges"]["SSE"]["absent"] == 0  # it is refused, not absent


def test_without_the_ledger_every_row_is_published(kept: MemoryStore, tmp_path: Path) -> None:
    file = write(tmp_path, detail(D1, CODES), "d1.csv")
    for _ in range(2):
        status, report = reported("vendor", file, "--no-ledger")
        assert status == 0
        assert report["days"][0]["exchanges"]["SSE"]["published"] == 40
    status, report = reported("vendor", file, "--check")
    assert status == 0 and report["outcome"] == "checked" and report["days"][0]["exchanges"]["SSE"]["read"] == 40


# -- what the stream learns ------------------------------------------------------------------------------------------


@pytest.fixture
def runs(kept: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> list[FeedRun]:
    """The reports of runs that reach the stream."""
    found: list[FeedRun] = []
    raw = publisher.Publisher.raw

    def catch(self: publisher.Publisher, topic: str, value: bytes, **options: object) -> None:
        if topic == Topic.ALERT_COMMANDS:
            command = decode(value)
            assert isinstance(command, FeedRun)
            found.append(command)
        raw(self, topic, value, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(publisher.Publisher, "raw", catch)
    return found


@pytest.mark.parametrize("command", COMMANDS)
def test_each_run_reaches_the_stream(command: str, runs: list[FeedRun], tmp_path: Path) -> None:
    COMMANDS[command](tmp_path, D1, CODES)
    COMMANDS[command](tmp_path, D2, CODES[:-2], 1e-4)
    first, second = runs
    assert (first.trade_date.isoformat(), first.refused, first.errors) == (D1, 0, 0)
    assert first.rows == {
        "margin.daily": {
            "SSE": {"read": 40, "published": 40, "unchanged": 0, "corrected": 0, "absent": 0, "refused": 0}
        }
    }
    assert (second.trade_date.isoformat(), second.errors) == (D2, 2)  # fin_balance and fin_buy
    assert "times that of 2024-06-11" in second.reason
    assert second.rows["margin.daily"]["SSE"] == {
        "read": 38, "published": 0, "unchanged": 0, "corrected": 0, "absent": 2, "refused": 0,
    }  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_can_not_be_read_is_reported_too(command: str, runs: list[FeedRun], tmp_path: Path) -> None:
    class Unreadable(pd.DataFrame):
        def to_csv(self, path: Path, **_options: object) -> None:  # type: ignore[override]
            path.write_text("<html>404</html>\n<p>not found</p>\n", "utf-8")

    status = COMMANDS[command](tmp_path, D1, CODES, made=lambda *_: Unreadable())[0]
    assert status == 1
    (run,) = runs
    assert run.errors == 1 and D1 in run.reason and run.rows == {}


def test_a_run_is_of_the_newest_day_of_its_figures_whatever_day_its_master_data_end_on(runs: list[FeedRun]) -> None:
    """The end of a spell of ST lies ahead: an alert of that day would be newer than every later run."""
    effective = [DayReport(trade_date=date(2025, 2, 14), topic="reference", exchanges={}, checks={})]
    figures = [DayReport(trade_date=date.fromisoformat(D1), topic="margin.daily", exchanges={}, checks={})]
    for days in (figures + effective, effective):
        with publisher.Publisher(Settings(), source="vendor") as opened:
            opened.report(FeedReport(source="vendor", days=days))
    assert [one.trade_date for one in runs] == [date.fromisoformat(D1), shanghai_date(runs[1].at)]
    assert len(FeedReport(source="vendor", days=figures + effective).trade_dates) == 1


class NoRows:
    """Topics that contain nothing."""

    def topics_without_rows(self) -> set[str]:
        return set(INPUT_ROWS)

    def master_data(self) -> None:
        return

    def partitions(self) -> list[Place]:
        return []

    def ends(self) -> dict[Place, int]:
        return {}

    def rows_behind(
        self, _known: Mapping[Place, int], _ends: Mapping[Place, int]
    ) -> Iterator[tuple[Place, int, list[RowBatch]]]:
        return iter([])


def plan_task(feed: Feed) -> FeedTask:
    """The task of a plan with one feed, with the captured publisher."""
    services = replace(
        feed_services.feed_services(Settings(), redis_client(Settings()), threading.Event()),
        ledger_store=MemoryStore(),
        published_rows=NoRows(),
        state=lambda _name: MemoryState(),
        security_names=dict,
    )
    return build_tasks(Plan({"f": feed}), services)[0]


def test_files_that_are_read_again_one_by_one_are_reported_once(runs: list[FeedRun], tmp_path: Path) -> None:
    task = plan_task(DropFolder(path=tmp_path, settle_s=0))
    write(tmp_path, of_exchange(D1, CODES), "d1.csv")
    task.tick(time.time() + 1)
    write(tmp_path, of_exchange(D2, CODES), "d2.csv")
    write(tmp_path, of_exchange(D3, CODES, 1e-4), "d3.csv")
    task.tick(time.time() + 1)
    assert [(run.trade_date.isoformat(), run.errors) for run in runs] == [(D1, 0), (D2, 0), (D3, 2)]
    assert task.failures == 1


def test_a_day_that_the_exchanges_were_closed_is_reported_too(runs: list[FeedRun], tmp_path: Path) -> None:
    task = plan_task(DropFolder(path=tmp_path, settle_s=0))
    write(tmp_path, of_exchange("2024-06-10", CODES), "closed.csv")
    task.tick(time.time() + 1)
    (run,) = runs
    assert run.errors == 1 and "2024-06-10" in run.reason


@pytest.mark.parametrize("error", [GoneError("only the newest session"), InputError("the page has changed")])
def test_a_day_that_can_not_be_fetched_is_reported_too(
    error: InputError, runs: list[FeedRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(_day: date) -> SourceTables:
        raise error

    monkeypatch.setattr(sources, "day_fetcher", lambda *_: fetch)
    task = plan_task(Fetch(via="tushare", since=date(2024, 6, 11)))
    task.tick(datetime(2024, 6, 12, 12, tzinfo=UTC).timestamp())
    (run,) = runs
    assert (task.failures, run.errors, run.source, str(error) in run.reason) == (1, 1, "f", True)


def test_checking_only_tells_the_stream_nothing(runs: list[FeedRun], tmp_path: Path) -> None:
    by_vendor(tmp_path, D1, CODES)
    by_vendor(tmp_path, D2, CODES, 1e-4, "--check")
    assert len(runs) == 1


def test_an_error_is_printed_although_no_broker_answers(
    kept: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_vendor(tmp_path, D1, CODES)

    def away(_settings: object) -> None:
        raise PublishError("no broker answers")

    monkeypatch.setattr(publisher, "kafka_producer", away)
    status, text = by_vendor(tmp_path, D2, CODES, 1e-4)
    assert status == 1 and "errors in the figures" in text and "no broker answers" in text


def test_a_run_is_counted_in_the_metrics() -> None:
    rows = {"margin.daily": {"SSE": {"read": 40, "published": 37, "unchanged": 3, "corrected": 1, "absent": 2}}}
    moment = datetime(2024, 6, 12, 1, tzinfo=UTC)
    run = FeedRun(source="of a test", trade_date=date(2024, 6, 11), at=moment, rows=rows, refused=4, reason="row 9")
    metrics.observe_feed(run)
    metrics.observe_feed(msgspec.structs.replace(run, rows={}, refused=0, errors=1))

    def value(name: str, **labels: str) -> float | None:
        return REGISTRY.get_sample_value(name, {"source": "of a test", **labels})

    place = {"topic": "margin.daily", "exchange": "SSE"}
    assert value("marginwatch_feed_rows_total", **place, outcome="published") == 37
    assert value("marginwatch_feed_rows_total", **place, outcome="absent") == 2
    assert value("marginwatch_feed_refused_total") == 4
    assert value("marginwatch_feed_errors_total") == 1
    assert value("marginwatch_feed_trade_date_seconds") == to_day(date(2024, 6, 11)) * 86400


# -- one exchange alone ------------------------------------------------------------------------------------------


def closed(sent: list[Message], topic: str) -> list[dict[str, int]]:
    """The rows that the end-of-day punctuation of a topic counts, over its partitions."""
    found: dict[str, int] = {}
    marks = [json.loads(value) for of, _, _, value, headers in sent if of == topic and (CE_TYPE, CLOSE_TYPE) in headers]
    for mark in marks:
        for exchange, count in mark["expected"].items():
            found[exchange] = found.get(exchange, 0) + count
    return [found] if marks else []


@pytest.mark.parametrize("command", COMMANDS)
def test_half_a_margin_day_is_reported_and_not_closed(
    command: str, kept: MemoryStore, sent: list[Message], tmp_path: Path
) -> None:
    with structlog.testing.capture_logs() as logs:
        status, text = COMMANDS[command](tmp_path, D1, CODES)
    text += " ".join(str(one.get("what", "")) for one in logs)
    assert status == 0
    assert "WARNING exchange margin.daily 2024-06-11: no row of SZSE: the day stays open" in text
    (counted,) = closed(sent, "margin.daily")
    assert counted == {"SSE": len(CODES)}  # so that the stream waits for Shenzhen
    store = DailyStore("margin.daily", ("SSE", "SZSE"), late_days=5, history_days=5)
    store.close(EndOfDay(feed="margin.daily", trade_date=date(2024, 6, 11), expected=counted, source="t"))
    assert not store.is_closed(to_day(date(2024, 6, 11)))


def prices(day: str, codes: Sequence[str]) -> pd.DataFrame:
    """Rows of tushare's table ``daily``."""
    columns = ["ts_code", "trade_date", "open", "high", "low", "close", "pre_close", "vol", "amount"]
    rows = [
        (code, day.replace("-", ""), 10 + at, 11 + at, 9 + at, 10.5 + at, 10 + at, 1e4 + at, 1e4 + at)
        for at, code in enumerate(codes)
    ]
    return pd.DataFrame(rows, columns=columns)


def test_half_a_day_of_prices_waits_for_the_other_exchange(
    kept: MemoryStore, sent: list[Message], tmp_path: Path
) -> None:
    shenzhen = [f"{1 + i:06d}.SZ" for i in range(25)]
    for day, codes in ((D1, [*CODES, *shenzhen]), (D2, CODES), (D2, shenzhen), (D3, [*CODES, *shenzhen])):
        sent.clear()
        result = feed("vendor", write(tmp_path, prices(day, codes), f"daily_{day}_{len(codes)}.csv"))
        assert result.exit_code == 0, result.output
        assert ("no row of SZSE, 25 the day before" in result.output) is (codes is CODES)
        assert bool(closed(sent, "prices.daily")) is (codes is not CODES)
    # A later correction of the first day is no incomplete day, although the rows of that day may be known no more.
    changed = prices(D1, CODES[:3]).assign(close=10.7)
    result = feed("vendor", write(tmp_path, changed, "daily_again.csv"), "--force")
    assert result.exit_code == 0 and "no row of SZSE" not in result.output


def test_in_a_history_only_the_newest_incomplete_day_stays_open(
    kept: MemoryStore, sent: list[Message], tmp_path: Path
) -> None:
    shenzhen = [f"{1 + i:06d}.SZ" for i in range(25)]
    history = pd.concat([prices(D1, [*CODES, *shenzhen]), prices(D2, CODES), prices(D3, shenzhen)])
    result = feed("vendor", write(tmp_path, history, "daily.csv"))
    assert result.exit_code == 0, result.output
    assert "no row of SZSE, 25 the day before" in result.output and "no row of SSE, 40 the day before" in result.output
    assert closed(sent, "prices.daily") == [{"SSE": 2 * len(CODES), "SZSE": len(shenzhen)}]


def test_a_margin_day_does_not_wait_for_an_exchange_outside_the_market(
    kept: MemoryStore, sent: list[Message], tmp_path: Path
) -> None:
    assert by_vendor(tmp_path, D1, [*CODES, "000001.SZ", "430047.BJ"])[0] == 0
    status, text = by_vendor(tmp_path, D2, [*CODES, "000001.SZ"])
    assert status == 0
    assert "WARNING exchange margin.daily 2024-06-12: no row of BSE, 1 the day before: without them, figures" in text


@pytest.mark.parametrize(
    ("moment", "refused"),
    [
        ("2024-06-11T14:59:59+08:00", True),  # the session goes on
        ("2024-06-10T23:00:00+00:00", True),  # the morning in Shanghai
        ("2023-06-11T20:00:00+08:00", True),  # a date of next year
        ("2024-06-11T15:00:00+08:00", False),
    ],
)
def test_figures_of_a_day_that_is_not_over_are_refused(moment: str, refused: bool) -> None:
    rows = {"indices.daily": batch("indices.daily", date(2024, 6, 11), {"000001.SH": {"close": 3000.0}})}
    rows["reference"] = batch("reference", date(2024, 6, 11), {"600000.SH": {}})  # announced before it takes effect
    compared = ComparedDay.of(rows, {}, CALENDAR, {})
    found = [*days_to_come(compared, datetime.fromisoformat(moment).timestamp(), TradingHours(CALENDAR))]
    assert [one.severity for one in found] == [Severity.ERROR] * refused
    assert [one.topic for one in found] == ["indices.daily"] * refused
    assert all("the session of 2024-06-11 is not over at " in str(one) for one in found)


def test_a_session_that_ends_at_half_past_eleven_is_over_then() -> None:
    day = date(2024, 6, 11)
    rows = {"indices.daily": batch("indices.daily", day, {"000001.SH": {"close": 3000.0}})}
    noon = datetime.fromisoformat("2024-06-11T12:00:00+08:00").timestamp()
    for calendar, refused in ((with_half_days(day), 0), (CALENDAR, 1)):
        compared = ComparedDay.of(rows, {}, calendar, {})
        assert len([*days_to_come(compared, noon, TradingHours(calendar))]) == refused


def test_a_date_to_come_stops_a_feed(kept: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: datetime(2027, 6, 10, 6, tzinfo=UTC).timestamp())
    result = feed("vendor", write(tmp_path, detail("2027-06-10", CODES), "x.csv"))
    assert result.exit_code == 1
    assert "correct the date" in result.output


@pytest.mark.parametrize(("moment", "forced"), [("2024-06-11T12:00:00+08:00", True), ("2024-06-10T23:59+08:00", False)])
def test_figures_so_far_may_be_forced_and_those_of_a_day_that_has_not_begun_may_not(moment: str, forced: bool) -> None:
    """The stream refuses such rows, and the ledger would have them as published."""
    rows = {"indices.daily": batch("indices.daily", date(2024, 6, 11), {"000001.SH": {"close": 3000.0}})}
    compared = ComparedDay.of(rows, {}, CALENDAR, {})
    found = [*days_to_come(compared, datetime.fromisoformat(moment).timestamp(), TradingHours(CALENDAR))]
    with pytest.raises(InputError) as caught:
        refuse_errors(found, force=False)
    assert ("with --force" in str(caught.value)) == forced
    with nullcontext() if forced else pytest.raises(InputError):
        refuse_errors(found, force=True)


@pytest.mark.parametrize(
    ("days", "skipped"),
    [
        ((3, 4, 5, 6, 7), []),
        ((3, 4, 7, 11), [("2024-06-05", "no row of 2 sessions to 2024-06-06")]),  # 2024-06-10 is a holiday
        ((3, 4, 6, 7, 12, 13), [("2024-06-05", "no row of this session"), ("2024-06-11", "no row of this session")]),
        ((3, 14), []),  # corrections of single days
    ],
)
def test_sessions_that_a_history_skips_are_named(
    days: tuple[int, ...], skipped: list[tuple[str, str]], tmp_path: Path
) -> None:
    """No row closes such a day, and so no signal of it would name it."""
    for day in days:
        name = f"2024-06-{day:02}"
        write(tmp_path, detail(name, CODES), f"{name}.csv")
    status, report = reported("vendor", tmp_path, "--no-ledger", "--check")
    found = [one for one in report["findings"] if one["check"] == "skipped"]
    assert [(one["trade_date"], one["text"].partition(", and rows")[0]) for one in found] == skipped
    assert {one["severity"] for one in found} <= {"warning"} and status == 0


def test_a_session_that_is_published_is_not_skipped(kept: MemoryStore, tmp_path: Path) -> None:
    for name in ("2024-06-03", "2024-06-05", "2024-06-04"):
        (folder := tmp_path / name).mkdir()
        reported("vendor", write(folder, detail(name, CODES), "day.csv"))
    for name in ("2024-06-03", "2024-06-05"):
        write(tmp_path / "2024-06-03", detail(name, CODES), f"{name}.csv")
    assert not [one for one in reported("vendor", tmp_path / "2024-06-03")[1]["findings"] if one["check"] == "skipped"]


def test_a_skipped_session_is_closed_as_by_its_deadline(kept: MemoryStore, sent: list[Message], tmp_path: Path) -> None:
    """Its signals are absent with the reason: no row closed the day, and nothing was published of it."""
    for day in (3, 4, 6, 7):
        write(tmp_path, detail(f"2024-06-{day:02}", CODES), f"{day}.csv")
    feed("vendor", tmp_path)
    partition = next(m[1] for m in sent if m[0] == "margin.daily")
    closes = [
        msgspec.json.decode(m[3], type=EndOfDay)
        for m in sent
        if m[:2] == ("margin.daily", partition) and (CE_TYPE, CLOSE_TYPE) in m[4]
    ]
    assert [(one.trade_date.day, one.deadline) for one in closes] == [
        (3, False), (4, False), (5, True), (6, False), (7, False),
    ]  # fmt: skip
    store = DailyStore("margin.daily", ("SSE",), late_days=20, history_days=0)
    for one in closes:
        store.close(one)
    assert store.missing(to_day(date(2024, 6, 5))) == {"SSE": -1}
    lapsed = {m[1] for m in sent if m[0] == "margin.daily" and b'"deadline":true' in m[3]}
    assert lapsed == set(range(Settings().partitions))
    sent.clear()
    feed("vendor", tmp_path)
    assert not [m for m in sent if m[0] == "margin.daily" and (CE_TYPE, CLOSE_TYPE) in m[4]]
