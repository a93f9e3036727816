"""Situations in which files were read wrongly or not at all, kind by kind: the rows, or the error that names them.

Files are constructed here; figures of real exchanges' pages are those that were published.
"""

from __future__ import annotations

import gzip
import io
import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from structlog.testing import capture_logs

from feeds import folder
from feeds.cells import workbooks
from feeds.cells.dates import parse_days
from feeds.checks.findings import Severity
from feeds.checks.zero_columns import zero_columns_removed
from feeds.daily.ledger import PublishLedger
from feeds.drop_folder import FolderTask, read_daily_files
from feeds.errors import InputError
from feeds.files import exchange, vendor
from feeds.files.dataset import SourceTables, gather
from feeds.mappings import mapping
from feeds.plan import DropFolder
from processors.codes import to_code, to_id
from processors.days import to_date, to_day
from processors.market import Market
from processors.securities import Securities
from streams.calendars import xshg
from tests.folding import EXCHANGES, market_items
from tests.made_market import SMALL, small_market
from tests.publishing import MemoryState, MemoryStore, Message, daily_outlet, feed, sent
from tests.reading import whole
from tests.test_feed_exchange import SSE_DETAIL, SZSE_DETAIL, SZSE_HEAD, SZSE_TOTALS, replaced, workbook
from tests.test_market_corrections import newest

__all__ = ["sent"]  # a fixture
DAY = "2024-06-11"
SSE_SUMMARY = [
    ["本日融资余额(元)", "本日融资买入额(元)", "本日融券余量", "本日融券余量金额(元)", "本日融券卖出量",
     "本日融资融券余额(元)"],
    ["3,000,000,000", "300,000,000", "1,200", "24,000", "300", "3,000,024,000"],
]  # fmt: skip


MARGIN = pd.DataFrame(
    {
        "trade_date": ["20240611"] * 8,
        "ts_code": [f"60000{n}.SH" for n in range(8)],
        "rzye": [1e9] * 8,
        "rzmre": [1e7] * 8,
        "rzche": [2e7] * 8,
        "rqyl": [1000.0] * 8,
        "rqmcl": [100.0] * 8,
        "rqchl": [50.0] * 8,
    }
).astype(object)
AKSHARE = {
    "stock_margin_sse": ("信用交易日期,融资余额,融资买入额,融券余量,融券余量金额,融券卖出量,融资融券余额\n"
                         "20240611,3000000000,300000000,1200,24000,300,3000024000\n"),
    "stock_margin_detail_sse": ("信用交易日期,标的证券代码,标的证券简称,融资余额,融资买入额,融资偿还额,"
                                "融券余量,融券卖出量,融券偿还量\n"
                                "20240611,510050,50ETF,1000000000,100000000,90000000,1000,200,0\n"),
    "stock_margin_szse": "融资买入额,融资余额,融券卖出量,融券余量,融券余额,融资融券余额\n"
                         "879.59,12657.14,0.23,11.88,108.15,12765.29\n",
    "stock_margin_detail_szse": ("证券代码,证券简称,融资买入额,融资余额,融券卖出量,融券余量,融券余额,融资融券余额\n"
                                 "000001,平安银行,100000000,4000000000,1000,20000,200000,4000200000\n"),
    "stock_margin_bse": "融资买入额,融资余额,融券卖出量,融券余量,融券余额,融资融券余额\n"
                        "300.5,712345.67,0,0.05,1.2,712346.87\n",
    "stock_margin_detail_bse": ("证券代码,证券简称,融资买入额,融资余额,融券卖出量,融券余量,融券余额,融资融券余额\n"
                                "920002,万达轴承,2000000,30000000,0,0,0,30000000\n"),
}  # fmt: skip


def rows(sent: list[Message]) -> dict[tuple[str, str, str], dict[str, float]]:
    """The rows of events that were published: (topic, key, date) → figures."""
    found = {}
    for topic, _, key, value, _headers in sent:
        event = json.loads(value)
        if "trade_date" in event and "expected" not in event and key is not None:
            numbers = {
                name: cell for name, cell in event.items() if isinstance(cell, float | int) and name != "revision"
            }
            found[topic.removesuffix(".v1"), key.decode(), event["trade_date"]] = numbers
    return found


def csv_bytes(table: list[list[Any]], separator: str = ",", encoding: str = "utf-8") -> bytes:
    return "\n".join(separator.join(f'"{c}"' if separator in str(c) else str(c) for c in row) for row in table).encode(
        encoding
    )


def written(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


# -- nothing is lost: sheets, files, rows ----------------------------------------------------------------------


def test_shanghais_workbook_has_no_column_of_dates(tmp_path: Path, sent: list[Message]) -> None:
    path = tmp_path / "rzrqjygk20240611.xls"
    path.write_bytes(workbook(汇总信息=SSE_SUMMARY, 明细信息=SSE_DETAIL))
    result = feed("exchange", path, "--as", "events")
    assert result.exit_code == 0, result.output
    found = rows(sent)
    assert found["margin.market", "SSE", DAY] == {"fin_balance": 3e9, "fin_buy": 3e8, "short_volume": 1200.0,
                                                  "short_sell": 300.0, "short_balance": 24000.0}  # fmt: skip
    assert {key for topic, key, _ in found if topic == "margin.daily"} == {"510050.SH", "600519.SH"}


@pytest.mark.parametrize("below", [[], [[""] * 8], [["注：数据由证券公司报送"]]])
def test_a_header_without_rows_stops_the_day_of_both_exchanges(
    tmp_path: Path, sent: list[Message], below: list[list[Any]]
) -> None:
    written(
        tmp_path,
        {
            "a.xlsx": workbook(汇总信息=SSE_SUMMARY, 明细信息=SSE_DETAIL),
            "b.xlsx": workbook(明细=[SZSE_HEAD, *below]),
        },
    )
    result = feed("exchange", tmp_path, "--date", DAY)
    assert isinstance(result.exception, InputError) and "b.xlsx [明细]" in str(result.exception)
    assert "not published yet" in str(result.exception)
    assert sent == []


def test_a_totals_row_with_blank_cells_is_taken_or_refused_by_name(tmp_path: Path, sent: list[Message]) -> None:
    unneeded = [SZSE_TOTALS[0], [*SZSE_TOTALS[1][:5], ""]]
    short = [SSE_SUMMARY[0], ["3,000,000,000", "", "1,200", "", "300", "3,000,024,000"]]
    written(
        tmp_path,
        {"a.xlsx": workbook(总量=unneeded), "b.xlsx": workbook(汇总信息=short), "c.xlsx": workbook(明细=SZSE_DETAIL)},
    )
    result = feed("exchange", tmp_path, "--date", DAY, "--as", "events", "--force")
    assert result.exit_code == 1
    assert "b.xlsx [汇总信息]" in result.output.replace("\n", "") and "fin_buy" in result.output
    assert ("margin.market", "SZSE", DAY) in rows(sent) and ("margin.market", "SSE", DAY) not in rows(sent)


def test_a_sheet_with_figures_and_no_known_header_is_reported(tmp_path: Path, sent: list[Message]) -> None:
    path = tmp_path / "x20240611.xlsx"
    path.write_bytes(workbook(明细=SZSE_DETAIL, 其他=[["项目", "数值"], ["户数", 123]], 说明=[["仅供参考"]]))
    result = feed("exchange", path)
    assert result.exit_code == 1 and sent
    assert "其他" in result.output and "说明" not in result.output


@pytest.mark.parametrize("command", ["exchange", "vendor"])
def test_a_detail_below_its_totals_in_one_sheet_is_a_table_of_its_own(
    tmp_path: Path, sent: list[Message], command: str
) -> None:
    path = tmp_path / "rzrqjygk20240611.csv"
    path.write_bytes(csv_bytes([*SSE_SUMMARY, [], *SSE_DETAIL[:2], SSE_DETAIL[0], SSE_DETAIL[2]]))
    result = feed(command, path, "--as", "events")
    assert result.exit_code == 0, result.output
    assert {(topic, key) for topic, key, _ in rows(sent)} == {
        ("margin.market", "SSE"), ("margin.daily", "510050.SH"), ("margin.daily", "600519.SH")}  # fmt: skip


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize(
    ("command", "name", "headers"),
    [
        ("vendor", "a", list(MARGIN)),
        ("vendor", "stock_margin_detail_szse_20240611", AKSHARE["stock_margin_detail_szse"].split("\n")[0].split(",")),
        ("files", "margin_detail_szse_20240611", ["dt", "code", "name", "margin_balance", "margin_buy_amt", "short_qty",
                                                  "short_sell_qty", "short_value"]),
    ],
)  # fmt: skip
def test_a_file_with_a_header_and_no_row_is_reported_by_every_command(
    tmp_path: Path, sent: list[Message], command: str, name: str, headers: list[str], kind: str
) -> None:
    empty = pd.DataFrame({header: [] for header in headers})
    path = tmp_path / f"{name}.{kind}"
    empty.to_csv(path, index=False) if kind == "csv" else empty.to_excel(path, index=False)
    full = tmp_path / "margin_detail_sse.csv"
    full.write_text(
        "dt,code,margin_balance,margin_buy_amt,margin_repay_amt,short_qty,short_sell_qty,short_repay_qty\n"
        "2024-06-11,600519,20,1,2,3,4,5\n"
    )
    result = feed(command, path if command == "vendor" else tmp_path)
    assert isinstance(result.exception, InputError) and "not published yet" in str(result.exception)
    assert path.name in str(result.exception) and sent == []


@pytest.mark.parametrize("command", ["exchange", "vendor"])
def test_every_table_of_a_folder_is_read_whatever_its_suffix(tmp_path: Path, sent: list[Message], command: str) -> None:
    head, *body = SZSE_DETAIL
    extra = [[f"00000{n}", f"名{n}", *body[0][2:]] for n in range(4, 9)]
    tsv = csv_bytes([head, extra[1]], "\t", "gb18030")
    written(
        tmp_path,
        {
            "A20240611.CSV": csv_bytes([head, body[0]]),
            "b20240611.xlsx": workbook(a=[head, body[1]]),
            "c20240611.csv.gz": gzip.compress(csv_bytes([head, extra[0]])),
            "d20240611.xls": tsv,
            "e20240611.TSV": csv_bytes([head, extra[2]], "\t", "utf-16"),
            "f20240611.txt": csv_bytes([head, extra[3]], "|"),
            "g20240611.csv": csv_bytes([head, extra[4]], ";", "utf-8-sig"),
            "README.md": b"no table",
        },
    )
    (tmp_path / "sub").mkdir()
    result = feed(command, tmp_path, "--as", "events")
    assert result.exit_code == 0, result.output
    assert {key for _, key, _ in rows(sent)} == {
        "000001.SZ", "300750.SZ", *(f"00000{n}.SZ" for n in range(4, 9))
    }  # fmt: skip
    assert "README.md is not read" in result.output and "sub is not read" in result.output


def test_feed_files_reads_the_same_kinds_of_files(tmp_path: Path, sent: list[Message]) -> None:
    table = "dt,code,name,margin_balance,margin_buy_amt,margin_repay_amt,short_qty,short_sell_qty,short_repay_qty\n"
    third = [date(2024, 6, 11), 600036, "招商银行", 8, 1, 2, 3, 4, 5]
    written(
        tmp_path,
        {
            "MARGIN_DETAIL_SSE_1.CSV": (table + "2024-06-11,600519,贵州茅台,2000000000,1,2,3,4,5\n").encode("gb18030"),
            "margin_detail_sse_2.csv.gz": gzip.compress((table + "2024/6/11,600000,浦发银行,7,1,2,3,4,5\n").encode()),
            "margin_detail_sse_3.xlsx": workbook(a=[table.strip().split(","), third]),
        },
    )
    result = feed("files", tmp_path, "--as", "events")
    assert result.exit_code == 0, result.output
    assert {key: row["fin_balance"] for (_, key, _), row in rows(sent).items()} == {
        "600519.SH": 2e9, "600000.SH": 7.0, "600036.SH": 8.0}  # fmt: skip


# -- one bad cell costs one row --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "cell", "named"),
    [
        ("rzye", "", "fin_balance (column 'rzye'): the cell is empty"),
        ("rzye", "x", "'x' is no number"),
        ("rzye", "-5", "-5 can't be"),
        ("rzye", "7.98E+11", "rounded to 3 digits"),
        ("rzye", "1 2", "'1 2' is no number"),
        ("rzye", "everything", "the cell is empty"),
        ("rzmre", "-", "fin_buy (column 'rzmre'): the cell is empty"),
        ("ts_code", "", "code '' is not written like"),
        ("ts_code", "sz600003", "code 'sz600003'"),
        ("trade_date", "", "there is no date"),
        ("trade_date", "06/11/2024", "ambiguous or unknown"),
        ("trade_date", "20240610", "2024-06-10 is no trading day"),
    ],
)
def test_a_row_that_can_not_be_read_is_refused_and_named_and_the_others_count(
    tmp_path: Path, sent: list[Message], column: str, cell: str, named: str
) -> None:
    table = MARGIN.copy()
    if cell == "everything":
        table.loc[3, [name for name in table if name not in ("trade_date", "ts_code")]] = ""
    else:
        table.loc[3, column] = cell
    path = tmp_path / "a.csv"
    table.to_csv(path, index=False)
    result = feed("vendor", path, "--as", "events")
    output = result.output.replace("\n", "")
    assert result.exit_code == 1, result.output
    assert "row 5" in output and named in output and "REFUSED" in output
    assert {key for _, key, _ in rows(sent)} == {f"60000{n}.SH" for n in range(8) if n != 3}


@pytest.mark.parametrize(
    ("column", "figure", "cell", "exit_code"),
    [("rqchl", "short_repay", -5672230, 0), ("rzche", "fin_repay", -1, 0), ("rzche", "fin_repay", "n.a.", 1),
     ("rqyl", "short_volume", "", 0)],
)  # fmt: skip
def test_an_optional_figure_that_can_not_be_is_absent(
    tmp_path: Path, sent: list[Message], column: str, figure: str, cell: object, exit_code: int
) -> None:
    table = MARGIN.copy()
    table.loc[3, column] = cell
    path = tmp_path / "a.csv"
    table.to_csv(path, index=False)
    result = feed("vendor", path, "--as", "events")
    assert result.exit_code == exit_code, result.output
    found = rows(sent)
    assert len(found) == 8
    assert [figure in row for row in found.values()].count(False) == 1
    assert figure not in found["margin.daily", "600003.SH", DAY]
    if cell != "":
        assert "row 5" in result.output


def test_a_code_of_another_exchange_is_refused_and_the_other_prices_count(tmp_path: Path, sent: list[Message]) -> None:
    path = tmp_path / "a20240611.csv"
    path.write_text("股票代码,收盘价(元)\n300001.SH,5\n300002.SZ,6\n600000,0\n600001,-\n000001.SH,3000\n", "utf-8")
    result = feed("vendor", path, "--as", "events")
    assert result.exit_code == 1 and "300001.SH" in result.output
    assert {(topic, key) for topic, key, _ in rows(sent)} == {
        ("prices.daily", "300002.SZ"), ("indices.daily", "000001.SH")}  # fmt: skip
    assert "2 rows have a key and no figure" in result.output  # suspended


@pytest.mark.parametrize(
    ("code", "read"),
    [
        ("000300.SZ", False),  # a number of Shenzhen's stocks: the index is 000300.SH
        ("399006.SH", False),
        ("600519.SH", False),
        ("999999.SH", False),  # the composite of a terminal
        ("000300.SH", True),
        ("399300.SZ", True),
        ("899050.BJ", True),
        ("801010.SI", True),
    ],
)
def test_an_index_under_the_suffix_of_another_exchange_is_refused(tmp_path: Path, code: str, read: bool) -> None:
    """It would be an index of its own, which nothing reads, and the one that is meant would have no row."""
    path = tmp_path / "index.csv"
    path.write_text(f"code,date,close\n000001.SH,2024-06-11,3000\n{code},2024-06-11,3500\n", "utf-8")
    (tmp_path / "map.toml").write_text(
        '[[table]]\ntopic = "indices.daily"\ndate = { column = "date" }\ncode = { column = "code" }\n'
        '[table.columns]\nclose = { column = "close", unit = "点" }\n',
        "utf-8",
    )
    found = vendor.read([path], mapping.load(tmp_path / "map.toml"))
    assert found.tables[0].frame["key"].map(to_code).tolist() == ["000001.SH", *([code] if read else [])]
    assert [one.severity for one in found.findings] == [Severity.REFUSED] * (not read)


@pytest.mark.parametrize("number", ["999999.SH", "sh999998", "SZ.999999"])
def test_a_number_that_no_exchange_gives_out_is_refused(tmp_path: Path, sent: list[Message], number: str) -> None:
    """Terminals give it to the composite of Shanghai, and files to totals."""
    path = tmp_path / "a20240611.csv"
    path.write_text(f"股票代码,收盘价(元)\n600000.SH,6\n{number},3000\n", "utf-8")
    result = feed("vendor", path, "--as", "events")
    assert result.exit_code == 1 and "no exchange gives out such a number" in result.output
    assert {key for _, key, _ in rows(sent)} == {"600000.SH"}


@pytest.mark.parametrize(("exchange", "code"), [("上交所", "161725"), ("深交所", "501018"), ("深交所", "430047")])
def test_a_code_beside_another_exchange_is_refused(tmp_path: Path, exchange: str, code: str) -> None:
    path = tmp_path / "a20240611.csv"
    path.write_text(
        f"交易所,证券代码,融资余额(元),融资买入额(元)\n{exchange},{code},100,1\n沪市,600000,100,1\n", "utf-8"
    )
    found = vendor.read([path])
    assert found.tables[0].frame["key"].map(to_code).tolist() == ["600000.SH"]
    (finding,) = found.findings
    assert finding.severity is Severity.REFUSED and "row 2" in finding.text and "another exchange" in finding.text


def test_a_file_of_which_most_rows_are_refused_is_refused(tmp_path: Path, sent: list[Message]) -> None:
    path = tmp_path / "a.csv"
    MARGIN.assign(rzye="x").to_csv(path, index=False)
    result = feed("vendor", path)
    assert isinstance(result.exception, InputError) and "8 of 8 rows are refused" in str(result.exception)
    assert sent == []


@pytest.mark.parametrize("command", ["vendor", "files"])
def test_a_code_twice_with_other_figures_names_both_rows(tmp_path: Path, sent: list[Message], command: str) -> None:
    head = "dt,code,margin_balance,margin_buy_amt,margin_repay_amt,short_qty,short_sell_qty,short_repay_qty"
    one, two = "2024-06-11,600519,20,1,2,3,4,5", "2024-06-11,600519,21,1,2,3,4,5"
    files = written(tmp_path, {"margin_detail_sse_1.csv": "\n".join([head, one, two]).encode()})
    arguments = ["--map", Path(folder.__file__).with_name("market_folder.toml")] if command == "vendor" else []
    result = feed(command, files, *arguments)
    assert isinstance(result.exception, InputError)
    for part in ("600519.SH has fin_balance 20 in", "row 2", "21 in", "row 3"):
        assert part in str(result.exception)
    assert sent == []


def test_a_row_with_more_or_fewer_cells_than_the_header_is_refused(tmp_path: Path) -> None:
    text = MARGIN.to_csv(index=False).splitlines()
    text[2] = "20240611,600001.SH,2,000,000,000,1,2,3,4,5"
    text[3] = "20240611,600002.SH,2000000000,100"
    path = tmp_path / "a.csv"
    path.write_text("\n".join(text))
    found = vendor.read([path])
    assert len(found.tables[0].frame) == 6
    assert [one.text.partition(" → ")[2].split(",")[1] for one in found.findings] == [" row 3", " row 4"]
    assert "more cells than its header" in found.findings[0].text


# -- days ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "stamps",
    [
        pd.to_datetime(["2024-06-11T00:00:00+08:00"] * 8).tz_convert("Asia/Shanghai"),
        pd.to_datetime(["2024-06-10T16:00:00Z"] * 8),
        pd.to_datetime(["2024-06-11T03:00:00-05:00"] * 8).tz_convert("America/New_York"),
        ["2024-06-11T00:00:00+08:00"] * 8,
        ["2024-06-10T16:00:00Z"] * 8,
        ["2024-06-10 16:00:00+0000"] * 8,
        [date(2024, 6, 11)] * 8,
        [20240611] * 8,
        [20240611.0] * 8,
        ["2024年6月11日", "2024/6/11", "2024.6.11", "20240611", "2024-06-11 15:00:00", '="20240611"', "'20240611",
         "２０２４-０６-１１"],
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_trade_date_is_the_day_in_shanghai(tmp_path: Path, stamps: Any, kind: str) -> None:
    table = MARGIN.assign(trade_date=stamps)
    path = tmp_path / f"a.{kind}"
    table.to_csv(path, index=False) if kind == "csv" else table.to_parquet(path)
    found = gather(whole(vendor.read([path])).tables, xshg(), "x").batches["margin.daily"]
    assert len(found) == 8 and {str(to_date(day)) for day in found.days.tolist()} == {DAY}


@pytest.mark.parametrize("kind", ["csv", "parquet", "xlsx", "format"])
@pytest.mark.parametrize(
    ("moment", "ambiguous"),
    [("16:00", True), ("16:00:00", True), ("16:00:00.000", True), ("15:00:00", False), ("16:30:00", False),
     ("08:00:00", False), ("00:00:00", False)],
)  # fmt: skip
def test_midnight_in_utc_that_has_lost_its_zone_is_no_trade_date(
    tmp_path: Path, moment: str, ambiguous: bool, kind: str
) -> None:
    texts = [f"{DAY} {moment}", f"{DAY}T{moment}", *[DAY] * 6]
    stamps = pd.to_datetime(pd.Series(texts), format="mixed")
    table = MARGIN.assign(trade_date=texts if kind == "csv" else stamps)
    path = tmp_path / f"a.{kind}"
    arguments = []
    if kind == "format":
        path = tmp_path / "a.csv"
        text = '[[table]]\ntopic = "margin.daily"\n'
        text += 'date = { column = "trade_date", format = "%Y-%m-%d %H:%M:%S" }\n'
        text += 'code = { column = "ts_code", style = "600519.SH" }\n'
        text += '[table.columns]\nfin_balance = { column = "rzye", unit = "元" }\n'
        (tmp_path / "m.toml").write_text(text + 'fin_buy = { column = "rzmre", unit = "元" }\n')
        arguments = [mapping.load(tmp_path / "m.toml")]
    {
        "csv": partial(table.to_csv, index=False),
        "parquet": table.to_parquet,
        "xlsx": partial(table.to_excel, index=False),
        "format": partial(table.to_csv, index=False, date_format="%Y-%m-%d %H:%M:%S"),
    }[kind](path)
    found = vendor.read([path], *arguments)
    assert set(found.tables[0].frame["day"]) == {to_day(date.fromisoformat(DAY))}
    assert len(found.tables[0].frame) == (6 if ambiguous else 8)
    assert [one.severity for one in found.findings] == [Severity.REFUSED] * (2 if ambiguous else 0)
    assert all("16:00" in one.text and "with its zone" in one.text for one in found.findings)


@pytest.mark.parametrize(
    ("texts", "read"),
    [(["16:00:00", "15:31:00"], 2), (["16:00", "9:30"], 2), (["16:00:00", "00:00:00"], 1), (["16:00:00", ""], 1),
     (["16:00:00", "16:00:00.000"], 0)],
)  # fmt: skip
def test_four_o_clock_in_a_column_of_times_is_a_time_of_its_day(texts: list[str], read: int) -> None:
    """Shenwan's workbook has the minute at which each entry was made."""
    column = pd.Series([f"{DAY} {text}".strip() for text in texts], dtype=object)
    for cells in (
        column,
        pd.to_datetime(column, format="mixed"),
        pd.to_datetime(column, format="mixed").astype(object),
    ):
        days, reasons = parse_days(cells)
        assert (days == to_day(date.fromisoformat(DAY))).sum() == read and len(reasons) == 2 - read


@pytest.mark.parametrize(
    ("name", "title", "day"),
    [
        ("明细20240611.xlsx", "导出时间：2024-06-12 09:15:00", "2024-06-11"),
        ("明细20240611.xlsx", "打印日期 2024/6/12", "2024-06-11"),
        ("明细20240611.xlsx", "2024-06-12 09:15", "2024-06-11"),
        ("明细.xlsx", "融资融券交易明细 2024年6月11日", "2024-06-11"),
        ("明细.xlsx", "导出时间：2024-06-12", None),
        ("明细20240612.xlsx", "交易日期：2024-06-11", None),
        ("明细20240603-20240611.xlsx", "明细", None),
    ],
)
@pytest.mark.parametrize("command", ["exchange", "vendor"])
def test_the_moment_of_an_export_is_no_trade_date(
    tmp_path: Path, sent: list[Message], name: str, title: str, day: str | None, command: str
) -> None:
    path = tmp_path / name
    path.write_bytes(workbook(a=[[title], [], *SZSE_DETAIL]))
    result = feed(command, path, "--as", "events")
    if day is None:
        assert isinstance(result.exception, InputError) and "--date" in str(result.exception)
        assert feed(command, path, "--date", DAY).exit_code == 0
    else:
        assert {when for _, _, when in rows(sent)} == {day}, result.output


def test_figures_without_a_date_are_refused_by_their_mapping(tmp_path: Path) -> None:
    text = '[[table]]\ntopic = "margin.daily"\nundated = true\ncode = { column = "c", style = "600519.SH" }\n'
    (tmp_path / "m.toml").write_text(text + '[table.columns]\nfin_balance = { column = "b", unit = "元" }\n')
    (tmp_path / "a.csv").write_text("c,b\n600519.SH,1\n")
    result = feed("vendor", tmp_path / "a.csv", "--map", tmp_path / "m.toml")
    assert isinstance(result.exception, InputError) and "belong to a trade date" in str(result.exception)


# -- codes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ('="600519"', "600519.SH"), ("'600519", "600519.SH"), ("６００５１９", "600519.SH"), ("sh600519", "600519.SH"),
        ("SH.600519", "600519.SH"), ("600519.XSHG", "600519.SH"), ("600519SH", "600519.SH"), ("1.600519", "600519.SH"),
        (" 600519 ", "600519.SH"), ("1", "000001.SZ"), ("ＳＺ０００００１", "000001.SZ"), ("0.300750", "300750.SZ"),
        ("0.880003", "880003.BJ"), ("0.920002", "920002.BJ"), ("0.899050", None), ("880003", None), ("889001", None),
        ("113050", "113050.SH"), ("110059", "110059.SH"), ("118034", "118034.SH"), ("204001", "204001.SH"),
        ("128136", "128136.SZ"), ("131810", "131810.SZ"), ("900901", "900901.SH"), ("200002", "200002.SZ"),
        ("159915", "159915.SZ"), ("689009", "689009.SH"), ("920002", "920002.BJ"), ("430047", "430047.BJ"),
        ("122222", None), ("sz600519", None), ("510300.SZ", None), ("sh159915", None), ("SZ920002", None),
        ("SH000001", None), ("600519.HK", None), ("贵州茅台", None), ("161725.SH", None), ("501018.SZ", None),
        ("430047.SZ", None), ("830799.SH", None), ("180101.SH", None), ("508000.SZ", None), ("900901.SZ", None),
        ("200012.SH", None), ("110059.SZ", None), ("123001.SH", None), ("150001.SH", None), ("600519.BJ", None),
        ("122222.SH", "122222.SH"), ("112222.SZ", "112222.SZ"), ("161725.SZ", "161725.SZ"), ("508000", "508000.SH"),
    ],
)  # fmt: skip
def test_codes_of_every_spelling(tmp_path: Path, cell: str, code: str | None) -> None:
    path = tmp_path / "a20240611.csv"
    path.write_text(f"证券代码\t融资余额(元)\t融资买入额(元)\n{cell}\t100\t1\n600000\t100\t1\n", "utf-8")
    found = vendor.read([path])
    codes = [to_code(key) for key in found.tables[0].frame["key"].tolist()]
    if code is None:
        assert codes == ["600000.SH"]
        (finding,) = found.findings
        assert finding.severity is Severity.REFUSED and "row 2" in finding.text and repr(cell) in finding.text
    else:
        assert codes == [code, "600000.SH"] and found.findings == []


def test_an_index_may_have_the_suffix_of_the_index_company(tmp_path: Path) -> None:
    row = "20240611,3000,3010,2990,3005,3000,5,0.1,1000000,1200000"
    head = "ts_code,trade_date,open,high,low,close,pre_close,change,pct_chg,vol,amount"
    path = tmp_path / "index_daily.csv"
    path.write_text("\n".join([head, *(f"{code},{row}" for code in ("000985.CSI", "931643.CSI", "000001.SH"))]))
    found = vendor.read([path])
    (table,) = found.tables
    assert table.topic == "indices.daily" and found.findings == []
    assert [to_code(key) for key in table.frame["key"].tolist()] == ["000985.SH", "931643.SH", "000001.SH"]


INDICES = [
    ("000300", "沪深300", "000300.SH"), ("300", "沪深 300", "000300.SH"), ("000001", "上证指数", ""),
    ("000905", "中证500指数", "000905.SH"), ("000016", "上证50", "000016.SH"), ("000688", "科创50", "000688.SH"),
    ("000002", "Ａ股指数", ""), ("000008", "综合指数", ""), ("000011", "基金指数", ""), ("000018", "180金融", ""),
    ("000913", "300医药", ""), ("000050", "50等权", ""), ("000986", "全指能源", ""), ("000017", "新综指", ""),
    ("000932", "中证消费", ""), ("300001", "创业板综", ""), ("002001", "国证2000", ""), ("000942", "内地消费", ""),
    ("920050", "北证50", "899050.BJ"), ("000003", "平均股价", ""), ("600001", "白酒板块", ""),
    ("sz000300", "沪深300", ""), ("000978", "医药100", ""), ("000043", "超大盘", ""), ("000805", "A股资源", ""),
    ("000510", "A500", ""),
]  # fmt: skip


@pytest.mark.parametrize(("cell", "name", "own"), INDICES)
@pytest.mark.parametrize("topic", ["margin", "prices"])
def test_an_index_whose_code_lacks_its_exchange_is_no_stock(
    tmp_path: Path, cell: str, name: str, own: str, topic: str
) -> None:
    head = {"margin": "融资余额(元)\t融资买入额(元)", "prices": "收盘价(元)\t前收盘价(元)"}[topic]
    path = tmp_path / "a20240611.csv"
    text = f"证券代码\t证券简称\t{head}\n{cell}\t{name}\t3,500\t3,400\n600519\t贵州茅台\t1500\t1490\n"
    path.write_text(text + "300730\t科创信息\t20\t19\n510300\t沪深300\t4\t4.1\n", "utf-8")
    found = vendor.read([path])
    assert found.tables[0].frame["key"].map(to_code).tolist() == ["600519.SH", "300730.SZ", "510300.SH"]
    assert all(one.frame.empty for one in found.tables[1:])
    assert {one.severity for one in found.findings} == {Severity.REFUSED}
    assert f"{name!r} is an index or a board: write the code with its exchange" in found.findings[0].text
    assert own in found.findings[0].text and "row 2" in found.findings[0].text


@pytest.mark.parametrize("first", [600000, 1, 300001])
@pytest.mark.parametrize("named", ["名{0}", "股票{0}", "S{0:04d}", "证券{1}", "测试{1:06d}"])
def test_names_that_count_the_rows_are_none_of_indices(tmp_path: Path, first: int, named: str) -> None:
    lines = [f"{first + at:06d}\t{named.format(at, first + at)}\t{1e9 + at:.0f}\t{1e7 + at:.0f}" for at in range(600)]
    path = tmp_path / "a20240611.csv"
    path.write_text("\n".join(["证券代码\t证券简称\t融资余额(元)\t融资买入额(元)", *lines]), "utf-8")
    found = vendor.read([path])
    assert len(found.tables[0].frame) == 600, found.findings[:3]


# -- precision -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cell", ["7.98E+11", "7.98e+11", "8E+11", "7.98123E+11", "７.98E+11", "7.98e11"])
def test_a_rounded_figure_is_refused(tmp_path: Path, cell: str) -> None:
    path = tmp_path / "a.csv"
    MARGIN.assign(rzye=[*[1e9] * 7, cell]).to_csv(path, index=False)
    found = vendor.read([path])
    assert len(found.tables[0].frame) == 7 and "row 9" in found.findings[0].text and "rounded" in found.findings[0].text


def test_a_figure_in_scientific_notation_with_all_its_digits_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    MARGIN.assign(rzye="7.98123456789E+11").to_csv(path, index=False)
    assert set(whole(vendor.read([path])).tables[0].frame["fin_balance"]) == {798123456789.0}


def test_rounded_columns_are_reported(tmp_path: Path) -> None:
    MARGIN.assign(rzye=np.full(8, 123_456_789.0, np.float32)).to_parquet(tmp_path / "a.parquet")
    (tmp_path / "b20240611.csv").write_text("证券代码,融资余额(元),融资买入额(元)\n600519,1.23亿,2万\n", "utf-8")
    found = vendor.read([tmp_path])
    assert [one.check for one in found.findings] == ["precision"] * 3
    assert "32-bit" in found.findings[0].text and "1.23亿" in found.findings[2].text


def test_zeros_for_an_absent_repayment_column_are_absent(tmp_path: Path, sent: list[Message]) -> None:
    codes = [*MARGIN["ts_code"][:4], *(f"00000{n}.SZ" for n in range(1, 5))]
    path = tmp_path / "a.csv"
    MARGIN.assign(ts_code=codes, rzche=[2e7] * 4 + [0] * 4).to_csv(path, index=False)
    result = feed("vendor", path, "--as", "events")
    assert result.exit_code == 0 and "SZSE" in result.output
    found = rows(sent)
    assert [row.get("fin_repay") for row in found.values()].count(2e7) == 4
    assert all("fin_repay" not in row for (_, key, _), row in found.items() if key.endswith("SZ"))


def figures(exchange: str, values: list[float], day: int = 0) -> pd.DataFrame:
    """Rows of an exchange with buys, sales, lent shares, and one figure."""
    keys = [to_id(f"{ {'SH': 600000, 'SZ': 1, 'BJ': 920000}[exchange] + n:06d}.{exchange}") for n in range(len(values))]
    beside = dict.fromkeys(("fin_balance", "fin_buy", "short_sell", "short_volume"), 1e6)
    return pd.DataFrame({"key": keys, "day": to_day(date(2024, 6, 11)) + day, "value": values, **beside})


REAL = figures("SH", [float(n) for n in range(1, 41)])


@pytest.mark.parametrize("name", ["fin_repay", "short_repay", "short_balance"])
@pytest.mark.parametrize(
    ("rows", "left", "word"),
    [
        ([REAL], 0, ""),
        ([REAL, figures("SZ", [0.0] * 30)], 30, "0 in every row of SZSE"),
        ([REAL, figures("SZ", [0.0] * 38 + [5.0, 6.0])], 38, "0 in nearly every row of SZSE"),
        ([figures("SH", [0.0] * 39 + [1.0]), figures("BJ", [3.0] * 30)], 39, "0 in nearly every row of SSE"),
        ([figures("SH", [0.0] * 15 + [np.nan] * 15 + [1.0])], 0, ""),  # too few
        ([figures("SH", [0.0] * 20 + [1.0] * 20)], 0, ""),
        ([figures("SZ", [0.0], day) for day in range(30)], 30, "0 in every row of SZSE"),
        ([figures("SZ", [0.0] * (day != 3) or [2.0], day) for day in range(30)], 0, ""),
    ],
)
def test_zeros_where_no_market_has_them_are_absent(name: str, rows: list[pd.DataFrame], left: int, word: str) -> None:
    frame = pd.concat(rows, ignore_index=True).rename(columns={"value": name})
    given = frame[name].to_numpy(copy=True)
    found = [one.text for one in zero_columns_removed(frame, "margin.daily", "a.csv")]
    assert len(found) == bool(word) and all(word in text and f"a.csv, {name}" in text for text in found)
    gone = np.isnan(frame[name].to_numpy()) & ~np.isnan(given)
    assert gone.sum() == left and (given[gone] == 0).all()


@pytest.mark.parametrize(
    ("topic", "figure", "severity"),
    [("margin", "融券余量(股)", "warning"), ("margin", "融券余额(元)", "warning"), ("margin", "融券卖出量(股)", ""),
     ("prices", "成交量(股) 成交额(元)", "error"), ("prices", "", "")],
)  # fmt: skip
def test_a_column_of_zeros_of_a_first_day_is_none_of_a_market(
    tmp_path: Path, topic: str, figure: str, severity: str
) -> None:
    names = {
        "margin": ["融资余额(元)", "融资买入额(元)", "融券余量(股)", "融券卖出量(股)", "融券余额(元)"],
        "prices": ["收盘价(元)", "昨收价(元)", "成交量(股)", "成交额(元)"],
    }[topic]
    table = pd.DataFrame({name: [100.0 * (1 + at) + row for row in range(20)] for at, name in enumerate(names)})
    table[figure.split()] = 0
    table.insert(0, "证券代码", [f"{600000 + row}" for row in range(20)])
    table.to_csv(tmp_path / "a20240611.csv", index=False)
    found = vendor.read([tmp_path / "a20240611.csv"])
    assert {one.severity.value for one in found.findings} == ({severity} if severity else set())
    assert all("in every row" in one.text and "SSE" in one.text for one in found.findings)
    frame = found.tables[0].frame
    gone = [name for name in ("short_volume", "short_balance") if name in frame and frame[name].isna().all()]
    assert len(gone) == (severity == "warning")


@pytest.mark.parametrize(
    ("zeros", "figure", "word"),
    [(range(40), "昨收", "0 in every row of SSE"), (range(39), "昨收", "0 in nearly every row of SSE"),
     (range(40), "开盘价", "0 in every row of SSE"), (range(10), "昨收", ""), ((3,), "昨收", "")],
)  # fmt: skip
def test_a_column_of_zeros_in_place_of_prices_is_reported(tmp_path: Path, zeros: range, figure: str, word: str) -> None:
    other = {"昨收": "开盘价", "开盘价": "昨收"}[figure]
    lines = [f"{600000 + n},{9 + n / 7:.2f},{0 if n in zeros else 9},{9 + n / 8:.2f},{1000 + n}" for n in range(40)]
    text = "\n".join([f"证券代码,收盘价(元),{figure}(元),{other}(元),成交量(股)", *lines])
    (tmp_path / "a20240611.csv").write_text(text, "utf-8")
    found = vendor.read([tmp_path / "a20240611.csv"])
    name = {"昨收": "prev_close", "开盘价": "open"}[figure]
    assert found.tables[0].frame[name].isna().sum() == len(zeros)
    assert [(one.severity, one.check) for one in found.findings] == [(Severity.WARNING, "zeros")] * bool(word)
    assert all(f"{name}: {word}" in one.text for one in found.findings)


@pytest.mark.parametrize(
    ("bar", "absent"),
    [("10,11,9,10.5", []), ("10,11,9,1050", None), ("10,11,9,0.105", None), ("10,9,11,10.5", None),
     ("1000,11,9,10.5", ["open"]), ("10,1.1,9,10.5", ["high"]), ("10,11,90,10.5", ["low"]),
     ("10,0,9,10.5", ["high"]), ("10.52,10.5,10.5,10.5", []), (",,,10.5", ["open", "high", "low"])],
)  # fmt: skip
def test_prices_that_contradict_each_other_do_not_count(tmp_path: Path, bar: str, absent: list[str] | None) -> None:
    """None: the row is refused, because its close is in doubt."""
    head = "交易日期,证券代码,开盘价(元),最高价(元),最低价(元),收盘价(元)"
    text = f"{head}\n2024-06-11,600000,{bar}\n2024-06-11,600519,10,11,9,10.5\n"
    (tmp_path / "a.csv").write_text(text, "utf-8")
    found = vendor.read([tmp_path / "a.csv"])
    row = found.tables[0].frame.set_index("key").reindex([to_id("600000.SH")]).iloc[0]
    refused = [one for one in found.findings if one.severity is Severity.REFUSED]
    if absent is None:
        assert np.isnan(row["close"]) and "row 2, open" in refused[0].text and "correct the cell" in refused[0].text
    else:
        assert not refused and row["close"] == 10.5
        assert [name for name in ("open", "high", "low") if np.isnan(row[name])] == absent


@pytest.mark.parametrize(("copied", "absent"), [(40, 40), (37, 37), (20, 0)])
def test_closes_before_that_repeat_the_close_are_absent(tmp_path: Path, copied: int, absent: int) -> None:
    """A market in which (nearly) every stock closes where it closed before does not exist."""
    lines = [f"2024-06-11,{600000 + n},10.{n},{10 if n >= copied else f'10.{n}'},1000" for n in range(40)]
    text = "\n".join(["交易日期,证券代码,收盘价(元),昨收价(元),成交量(股)", *lines])
    (tmp_path / "a.csv").write_text(text, "utf-8")
    found = vendor.read([tmp_path / "a.csv"])
    assert found.tables[0].frame["prev_close"].isna().sum() == absent
    assert ["prev_close: the close itself in nearly every row of SSE" in one.text for one in found.findings] == (
        [True] * bool(absent)
    )


@pytest.mark.parametrize(("unit", "error"), [("股", ""), ("手", "0.01"), ("万股", "0.0001")])
@pytest.mark.parametrize("growth", [1.0, 1.4])
def test_a_history_of_one_stock_shows_a_wrong_unit_of_its_volumes(
    tmp_path: Path, unit: str, error: str, growth: float
) -> None:
    """Adjusted prices, whose ratio grows, are none of a wrong unit."""
    first = xshg().position(to_day(date(2024, 1, 2)))
    days = map(to_date, xshg().days_from(first, first + 30))
    lines = [f"{day},600519,{9 + at / 7 * growth**at:.3f},{1000 + at},{(1000 + at) * (9 + at / 7):.0f}"
             for at, day in enumerate(days)]  # fmt: skip
    text = "\n".join([f"交易日期,证券代码,收盘价(元),成交量({unit}),成交额(元)", *lines])
    (tmp_path / "a.csv").write_text(text, "utf-8")
    found = [one.text for one in vendor.read([tmp_path / "a.csv"]).findings]
    assert [f"turnover is about {error} times volume" in one for one in found] == [True] * (bool(error) and growth == 1)


@pytest.mark.parametrize(("first", "error"), [(0, True), (15, True), (28, True), (40, False)])
def test_a_history_whose_unit_changes_on_a_day_is_an_error(tmp_path: Path, first: int, error: bool) -> None:
    """From the row ``first`` on volumes are in lots."""
    begin = xshg().position(to_day(date(2024, 1, 2)))
    days = map(to_date, xshg().days_from(begin, begin + 40))
    lines = [f"{day},600519,10,{(1000 + at) * (100 if at < first else 1)},{(1000 + at) * 1000}"
             for at, day in enumerate(days)]  # fmt: skip
    (tmp_path / "a.csv").write_text("\n".join(["交易日期,证券代码,收盘价(元),成交量(股),成交额(元)", *lines]), "utf-8")
    found = [one.text for one in vendor.read([tmp_path / "a.csv"]).findings if one.severity is Severity.ERROR]
    assert any("turnover is about 100 times volume" in one or "rows are refused" in one for one in found) == error


@pytest.mark.parametrize(("securities", "times", "error"), [(40, 10, True), (40, 1, False), (1, 10, False)])
def test_a_turnover_that_is_ten_times_too_small_is_in_a_wrong_unit(
    tmp_path: Path, securities: int, times: int, error: bool
) -> None:
    """tushare's bak_daily has the columns of daily, and amounts in 万元; prices of one stock may be adjusted by ten."""
    head = "ts_code,trade_date,open,high,low,close,pre_close,vol,amount"
    lines = [
        f"{600_000 + at % securities}.SH,{day},10,10,10,10,9.9,{1000 + at},{(1000 + at) / times}"
        for at, day in enumerate([20240611] * 40 if securities > 1 else range(20240701, 20240727))
    ]
    (tmp_path / "a.csv").write_text("\n".join([head, *lines]), "utf-8")
    found = [one.text for one in vendor.read([tmp_path / "a.csv"]).findings]
    assert any("turnover is about 0.1 times volume" in one for one in found) == error


@pytest.mark.parametrize("unit", ["%", "fraction"])
@pytest.mark.parametrize("kind", ["xlsx", "csv"])
def test_a_percentage_of_a_workbook_is_what_it_shows(tmp_path: Path, kind: str, unit: str) -> None:
    """A spreadsheet shows 0.43% for a cell whose value is 0.0043."""
    openpyxl = pytest.importorskip("openpyxl")
    if kind == "xlsx":
        book = openpyxl.Workbook()
        book.active.append(["date", "code", "turn", "pe"])
        book.active.append(["2024-06-11", "600519", 0.0043, 22.5])
        book.active["C2"].number_format = "0.00%"
        book.save(tmp_path / "a.xlsx")
    else:
        (tmp_path / "a.csv").write_text("date,code,turn,pe\n2024-06-11,600519,0.43%,22.5\n", "utf-8")
    (tmp_path / "map.toml").write_text(
        f'''[[table]]
topic = "valuations.daily"
date = {{ column = "date" }}
code = {{ column = "code", style = "600519", exchange = "SSE" }}
[table.columns]
turnover_rate = {{ column = "turn", unit = "{unit}" }}
pe_ttm = {{ column = "pe" }}''', "utf-8")  # fmt: skip
    (table,) = whole(vendor.read([tmp_path / f"a.{kind}"], mapping.load(tmp_path / "map.toml"))).tables
    assert table.frame["turnover_rate"].tolist() == [0.0043] and table.frame["pe_ttm"].tolist() == [22.5]


# -- wanted kinds of files -------------------------------------------------------------------------------------

EXPECTED = {
    "stock_margin_sse": ("SSE", {"fin_balance": 3e9, "fin_buy": 3e8, "short_volume": 1200.0, "short_balance": 24e3,
                                 "short_sell": 300.0}),
    "stock_margin_detail_sse": ("510050.SH", {"fin_balance": 1e9, "fin_buy": 1e8, "fin_repay": 9e7,
                                              "short_volume": 1000.0, "short_sell": 200.0, "short_repay": 0.0}),
    "stock_margin_szse": ("SZSE", {"fin_balance": 12657.14 * 1e8, "fin_buy": 879.59 * 1e8, "short_sell": 0.23 * 1e8,
                                   "short_volume": 11.88 * 1e8, "short_balance": 108.15 * 1e8}),
    "stock_margin_detail_szse": ("000001.SZ", {"fin_balance": 4e9, "fin_buy": 1e8, "short_sell": 1000.0,
                                               "short_volume": 20000.0, "short_balance": 2e5}),
    "stock_margin_bse": ("BSE", {"fin_balance": 712345.67 * 1e4, "fin_buy": 300.5 * 1e4, "short_sell": 0.0,
                                 "short_volume": 0.05 * 1e4, "short_balance": 1.2 * 1e4}),
    "stock_margin_detail_bse": ("920002.BJ", {"fin_balance": 3e7, "fin_buy": 2e6, "short_sell": 0.0,
                                              "short_volume": 0.0, "short_balance": 0.0}),
}  # fmt: skip


@pytest.mark.parametrize("function", AKSHARE)
@pytest.mark.parametrize("index", [False, True], ids=["plain", "with the index of pandas"])
@pytest.mark.parametrize("kind", ["csv", "xlsx", "parquet"])
def test_the_tables_of_akshare_saved_as_files(
    tmp_path: Path, sent: list[Message], function: str, index: bool, kind: str
) -> None:
    table = pd.read_csv(io.StringIO(AKSHARE[function]), dtype={"证券代码": str})
    path = tmp_path / f"{function}_20240611.{kind}"
    {"csv": table.to_csv, "xlsx": table.to_excel, "parquet": table.to_parquet}[kind](path, index=index)
    result = feed("vendor", path, "--as", "events")
    assert result.exit_code == 0, result.output
    (((_, key, day), row),) = rows(sent).items()
    assert (key, row, day) == (*EXPECTED[function], DAY)


@pytest.mark.parametrize("kind", ["csv", "xlsx", "parquet"])
@pytest.mark.parametrize("function", ["stock_margin_detail_szse", "stock_margin_detail_bse"])
def test_a_table_of_akshare_with_a_column_of_dates_has_the_documented_units(
    tmp_path: Path, sent: list[Message], function: str, kind: str
) -> None:
    table = pd.read_csv(io.StringIO(AKSHARE[function]), dtype={"证券代码": str}).assign(交易日期="2024-06-11")
    path = tmp_path / f"export.{kind}"
    {"csv": table.to_csv, "xlsx": table.to_excel, "parquet": table.to_parquet}[kind](path, index=False)
    result = feed("vendor", path, "--as", "events")
    assert result.exit_code == 0, result.output
    (((_, key, day), row),) = rows(sent).items()
    assert (key, row, day) == (*EXPECTED[function], DAY)


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("totals20240611.csv", AKSHARE["stock_margin_szse"], "name the file after the function"),
        ("stock_margin_szse.csv", AKSHARE["stock_margin_szse"], "contains no date"),
        # The page's own figures, in 亿元: not what akshare documents.
        ("szse20240611.csv", AKSHARE["stock_margin_detail_szse"].replace("4000000000", "45.80"), "write the units"),
        (
            "stock_margin_szse20240611.csv",
            AKSHARE["stock_margin_szse"].replace("12657.14", "1265714000000"),
            "the units",
        ),
    ],
)
def test_a_table_of_akshare_that_leaves_a_doubt_is_refused(tmp_path: Path, name: str, text: str, reason: str) -> None:
    (tmp_path / name).write_text(text, "utf-8")
    with pytest.raises(InputError, match=reason):
        vendor.read([tmp_path / name])


@pytest.mark.parametrize("missing", ["rqyl", "rqmcl"])
def test_tusharess_tables_without_lent_volumes(tmp_path: Path, sent: list[Message], missing: str) -> None:
    detail = MARGIN.drop(columns=missing)
    totals = detail.drop(columns="ts_code").iloc[:2].assign(exchange_id=["SSE", "SZSE"])
    for name, table in (("a", detail), ("b", totals)):
        table.to_csv(tmp_path / f"{name}.csv", index=False)
    result = feed("vendor", tmp_path, "--as", "events", "--force")
    assert result.exit_code == 0, result.output
    figure = {"rqyl": "short_volume", "rqmcl": "short_sell"}[missing]
    assert len(rows(sent)) == 10 and not any(figure in row for row in rows(sent).values())


@pytest.mark.parametrize("name", ["深市总量20240611.xlsx", "szse_20240611.xlsx", "x20240611.xlsx"])
def test_shenzhens_totals_in_yuan_by_the_name_of_the_file(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(workbook(总量=replaced(replaced(SZSE_TOTALS, "亿元", "元"), "亿股/亿份", "股")))
    if name.startswith("x"):
        with pytest.raises(InputError, match="name one exchange in the name of the file"):
            vendor.read([path])
    else:
        (table,) = whole(vendor.read([path])).tables
        assert table.frame["key"].tolist() == [1] and table.frame["fin_balance"].tolist() == [100.5]


@pytest.mark.parametrize("unit", ["元", "万元", "亿元"])
def test_totals_too_large_for_beijing_are_shenzhens_in_every_unit(tmp_path: Path, unit: str) -> None:
    """Shenzhen's balance of 2026-09-18."""
    head = replaced(replaced(SZSE_TOTALS[:1], "亿元", unit), "亿股/亿份", "股")
    balance = {"元": "1,265,714,000,000", "万元": "126,571,400", "亿元": "12,657.14"}[unit]
    path = tmp_path / "总量20240611.csv"
    path.write_bytes(csv_bytes([*head, ["1", balance, "0", "0", "0", balance]]))
    (table,) = whole(vendor.read([path])).tables
    assert table.frame["key"].tolist() == [1] and table.frame["fin_balance"].tolist() == [pytest.approx(1265714e6)]


def test_a_detail_in_the_same_workbook_names_the_exchange_of_totals_in_yuan(tmp_path: Path) -> None:
    path = tmp_path / "x20240611.xlsx"
    path.write_bytes(workbook(总量=replaced(replaced(SZSE_TOTALS, "亿元", "元"), "亿股/亿份", "股"), 明细=SZSE_DETAIL))
    assert {table.topic for table in whole(vendor.read([path])).tables} == {"margin.market", "margin.daily"}


@pytest.mark.parametrize(
    ("title", "units", "expected"),
    [
        ("单位：万元", "", 1e7), ("（单位:亿元，万股）", "", 1e11), ("单位：万元", "(万元)", 1e7),
        ("单位：元", "(元)", 1e3), ("单位：见表头", "(元)", 1e3),
        ("单位：万元", "(元)", "the title states 万元"), ("单位：见表头", "", "no unit is given"),
    ],
)  # fmt: skip
def test_a_title_may_state_the_unit_but_not_contradict_the_header(
    tmp_path: Path, title: str, units: str, expected: float | str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{title}\n日期,代码,融资余额{units},融资买入额{units}\n2024-06-11,600519,1000,1\n", "utf-8")
    if isinstance(expected, str):
        with pytest.raises(InputError, match=expected):
            vendor.read([path])
    else:
        assert whole(vendor.read([path])).tables[0].frame["fin_balance"].tolist() == [expected]


AKSHARE_DETAIL = """证券代码,证券简称,融资买入额,融资余额,融券卖出量,融券余量,融券余额,融资融券余额
000001,平安银行,100000,4000000,1000,20000,2000,4002000
"""


@pytest.mark.parametrize(
    ("title", "note", "expected"),
    [
        ("", "", (1, 1)), ("填报单位：某某证券", "", (1, 1)), ("", "注：由各单位报送", (1, 1)),
        ("单位：人民币千元、股", "", (1e3, 1)), ("金额单位：万元 数量单位：万股", "", (1e4, 1e4)),
        ("融资融券交易明细(千元、万股)", "", (1e3, 1e4)), (",,,,单位：,人民币万元、股", "", (1e4, 1)),
        ("以万元计，股数以股为单位", "", (1e4, 1)), ("", "注：金额单位为千元，股数单位为万股。", (1e3, 1e4)),
        ("单位：万元", "数量单位：万股", (1e4, 1e4)),
        ("单位：人民币千元", "", "states 千元, not a unit of money and one of shares"),
        ("数量单位：万股", "", "states 万股, not a unit"), ("数量单位：股", "", (1, 1)), ("单位：人民币元", "", (1, 1)),
        ("单位：仟元、股", "", "the unit 仟元, which is not known"), ("融资融券交易明细(千元)", "", "states 千元, not"),
        ("", "注：金额单位为千元", "states 千元, not"), ("单位：见表头", "", "states 见表头, not a unit"),
        ("单位：十亿元、股", "", "the unit 十亿元, which is not known"),
        ("单位：万元、股", "单位：千元、股", "state 万元 and 千元: write the units into the headers"),
    ],
)  # fmt: skip
def test_a_stated_unit_goes_before_the_one_that_akshare_documents(
    tmp_path: Path, title: str, note: str, expected: tuple[float, float] | str
) -> None:
    path = tmp_path / "stock_20240611.csv"
    path.write_text(f"{title}\n{AKSHARE_DETAIL}{note}\n", "utf-8")
    for reader in (vendor, exchange):
        if isinstance(expected, str):
            with pytest.raises(InputError, match=expected):
                reader.read([path])
            continue
        (table,) = whole(reader.read([path])).tables
        of = {name: table.frame[name].tolist() for name in ("fin_balance", "short_volume")}
        assert of == {"fin_balance": [4_000_000 * expected[0]], "short_volume": [20_000 * expected[1]]}


def test_shanghais_totals_of_akshare_have_the_units_of_their_title(tmp_path: Path) -> None:
    path = tmp_path / "stock_margin_sse_20240611.csv"
    text = (
        "信用交易日期,融资余额,融资买入额,融券余量,融券余量金额,融券卖出量\n20240611,78000000,5000000,3000,100000,50\n"
    )
    path.write_text("单位：人民币万元\n" + text, "utf-8")
    with pytest.raises(InputError, match="states 万元, not a unit of money and one of shares"):
        exchange.read([path])
    path.write_text("单位：人民币万元、万股\n" + text, "utf-8")
    (table,) = whole(exchange.read([path])).tables
    assert table.frame["fin_balance"].tolist() == [78e10] and table.frame["short_volume"].tolist() == [3e7]


@pytest.mark.parametrize(
    ("name", "text", "broken"),
    [
        ("rzrqjygk20240612.csv", "本日融资余额(元),本日融资买入额(元),本日融券余量,本日融券余量金额(元),本日融券卖出量,"
         "本日融资融券余额(元)\n800000000000,30000000000,1000,2000,300,{}\n",
         {"800000002000": False, "80000000200": True}),
        ("融资融券交易总量_2024-06-12.csv", "融资买入额(亿元),融资余额(亿元),融券卖出量(亿股/亿份),融券余量(亿股/亿份),"
         "融券余额(亿元),融资融券余额(亿元)\n300.12,7000.34,0.02,5.1,100.21,{}\n", {"7100.54": False, "7101.55": True}),
        ("m.csv", "日期,证券代码,融资余额(万元),融资买入额(元),融券余额(元),融资融券余额(万元)\n"
         "2024-06-12,600519.SH,1000.01,2,5000,{}\n",
         {"1000.51": False, "10000.51": True, "": False}),
        ("tushare.csv", "trade_date,ts_code,rzye,rzmre,rqye,rzrqye\n20240612,600519.SH,1000,2,5,{}\n",
         {"1005": False, "1050": True}),
        ("yi.csv", "trade_date,exchange_id,rzye,rzmre,rqye,rzrqye\n20240612,SZSE,700035000000,2,10021000000,{}\n",
         {"710057000000": False, "710061000000": True}),
    ],
)  # fmt: skip
def test_a_row_of_another_stated_sum_of_both_balances_is_none(
    tmp_path: Path, name: str, text: str, broken: dict[str, bool]
) -> None:
    """A total stops the day, a row of a detail is refused."""
    for stated, wrong in broken.items():
        (tmp_path / name).write_text(text.format(stated), "utf-8")
        found = [one for one in vendor.read([tmp_path / name]).findings if "the sum of both balances is" in one.text]
        first = "sum" if "代码" not in text and "ts_code" not in text else "row"
        assert [one.check for one in found[:1]] == [first] * wrong, (stated, found)
        assert not wrong or any(one.severity is Severity.ERROR for one in found)


@pytest.mark.parametrize(
    ("name", "head", "row"),
    [("沪深两市20240611.csv", [], []), ("series.csv", ["交易日期"], ["2024-06-11"]), ("x20240611.csv", ["两市"], [""])],
)
def test_totals_of_the_whole_market_are_not_shenzhens(
    tmp_path: Path, name: str, head: list[str], row: list[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(csv_bytes([[*head, *SZSE_TOTALS[0]], [*row, *SZSE_TOTALS[1]]]))
    with pytest.raises(InputError, match="Totals of all exchanges together belong to none"):
        vendor.read([path])


@pytest.mark.parametrize(
    "text",
    [
        "日期,融资余额(元),融资买入额(元)\n2024-06-11,1500000000000,90000000000\n",
        "日期,融资余额\n2024-06-11,1500000000000\n",
        "trade_date,rzye,rzmre\n20240611,1500000000000,90000000000\n",
    ],
)
def test_a_series_of_the_whole_market_s_totals_is_refused_with_what_to_give(tmp_path: Path, text: str) -> None:
    path = tmp_path / "totals.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError, match=r"Totals of all exchanges together belong to none.*a column 交易所"):
        vendor.read([path])


def test_the_statistic_of_all_margin_accounts_is_known_by_its_headers(tmp_path: Path) -> None:
    path = tmp_path / "accounts.csv"
    path.write_text(
        "日期,融资余额,融券余额,融资买入额,平均维持担保比例\n2024-06-11,15000.12,360.5,900.1,251.3\n", "utf-8"
    )
    (table,) = whole(vendor.read([path])).tables
    assert table.topic == "margin.collateral"
    assert table.frame[["collateral_ratio", "fin_balance", "short_balance"]].values.tolist() == [
        [2.513, 1_500_012_000_000, 36_050_000_000]
    ]


def test_a_collateral_ratio_that_is_no_percentage_is_refused_with_its_cell(tmp_path: Path) -> None:
    path = tmp_path / "accounts.csv"
    path.write_text("日期,融资余额,融券余额,融资买入额,平均维持担保比例\n2024-06-11,15000,360,900,2.513\n", "utf-8")
    found = vendor.read([path])
    (refused,) = [one for one in found.findings if one.severity is Severity.REFUSED]
    assert "row 2, collateral_ratio (column '平均维持担保比例'): 0.02513 can't be" in refused.text


def test_shenzhens_detail_in_three_units(tmp_path: Path) -> None:
    """The first row of the page of 2026-09-18: 融资 in 亿元, 融券余量 in 万股, 融券余额 in 万元."""
    head = ["证券代码", "证券简称", "融资买入额(亿元)", "融资余额(亿元)", "融券卖出量(万股/万份)",
            "融券余量(万股/万份)", "融券余额(万元)", "融资融券余额(亿元)"]  # fmt: skip
    row = ["000001", "平安银行", "0.55", "45.80", "15.27", "988.03", "11,559.99", "46.96"]
    path = tmp_path / "szse_20260918.csv"
    path.write_bytes(csv_bytes([head, row]))
    (table,) = whole(vendor.read([path])).tables
    names = ["fin_buy", "fin_balance", "short_sell", "short_volume", "short_balance"]
    assert {name: table.frame[name].item() for name in names} == {
        "fin_buy": 0.55 * 1e8, "fin_balance": 45.80 * 1e8, "short_sell": 15.27 * 1e4, "short_volume": 988.03 * 1e4,
        "short_balance": 11559.99 * 1e4}  # fmt: skip


@pytest.mark.parametrize("word", ["合计", "总计：", "  小 计", "Total", "两市合计"])
def test_sums_are_no_rows(tmp_path: Path, word: str) -> None:
    head = "交易日期,交易所,融资余额(元),融资买入额(元)"
    path = tmp_path / "a.csv"
    path.write_text(f"{head}\n2024-06-11,沪市,3,1\n2024-06-11,深圳,4,1\n2024-06-11,{word},7,2\n{word},,7,2\n", "utf-8")
    (table,) = whole(vendor.read([path])).tables
    assert table.frame["key"].tolist() == [0, 1]


@pytest.mark.parametrize(("stated", "reported"), [("7", False), ("7.001", False), ("9", True), ("", False)])
def test_a_sum_that_the_rows_do_not_have_is_reported(tmp_path: Path, stated: str, reported: bool) -> None:
    path = tmp_path / "a.csv"
    text = "交易日期,代码,融资余额(亿元),融资买入额(元)\n2024-06-11,600519,3,1\n2024-06-11,000001,4,1\n"
    path.write_text(f"{text}合计,,{stated},2\n", "utf-8")
    found = [one.text for one in vendor.read([path]).findings]
    assert ["row 4 states a sum of 900,000,000" in text for text in found] == [True] * reported


@pytest.mark.parametrize(
    ("lines", "reported"),
    [(["11,600519,3", "11,合计,3", "12,600519,4", "12,合计,4"], []),
     (["11,600519,3", "11,合计,3", "12,600519,4", "12,合计,9"], [5]),
     (["11,600519,3", "11,小计,3", "11,000001,4", "11,小计,4", "11,总计,7"], []),
     (["11,600519,3", "11,小计,3", "11,000001,4", "11,小计,4", "11,总计,9"], [6]),
     (["11,600519,3", "11,小计,4"], [3])],
)  # fmt: skip
def test_the_sums_of_days_and_pages_are_compared(tmp_path: Path, lines: list[str], reported: list[int]) -> None:
    rows = [f"2024-06-{line}00000000,1" for line in lines]
    (tmp_path / "a.csv").write_text("\n".join(["交易日期,代码,融资余额(元),融资买入额(元)", *rows]), "utf-8")
    found = [one.text for one in vendor.read([tmp_path / "a.csv"]).findings if "fin_balance" in one.text]
    assert [any(f"row {row} states a sum" in text for text in found) for row in reported] == [True] * len(found)


@pytest.mark.parametrize("command", [exchange.read, vendor.read])
def test_totals_that_are_labelled_as_a_sum_are_the_totals(tmp_path: Path, command: Callable[..., SourceTables]) -> None:
    head, *lines = SZSE_TOTALS
    path = tmp_path / "szse20240611.csv"
    path.write_bytes(csv_bytes([["项目", *head], *(["合计", *line] for line in lines)]))
    labelled = whole(command([path])).tables[0].frame
    path.write_bytes(csv_bytes(SZSE_TOTALS))
    assert labelled.equals(whole(command([path])).tables[0].frame) and len(labelled) == 1


def test_the_export_of_a_terminal(tmp_path: Path) -> None:
    text = (
        '融资融券明细\t\t\t\n代码\t名称\t融资余额(元)\t融资买入额(元)\t\n="600519"\t贵州茅台\t17,233,521,533\t300,349,909\t\n'
        '="000001"\t平安银行\t5,105,063,089\t266,715,372\t\n数据来源:通达信\t\t\t\n'
    )
    path = tmp_path / "Table20240611.xls"
    path.write_bytes(text.encode("gb18030"))
    (table,) = whole(vendor.read([path])).tables
    assert dict(zip(map(to_code, table.frame["key"]), table.frame["fin_balance"], strict=True)) == {
        "600519.SH": 17_233_521_533.0, "000001.SZ": 5_105_063_089.0}  # fmt: skip


# -- real rows -------------------------------------------------------------------------------------------------


def test_one_bad_cell_of_a_real_day_costs_one_row_and_one_bad_figure_none(
    data_dir: Path, tmp_path: Path, sent: list[Message]
) -> None:
    table = pd.read_parquet(data_dir / "margin_detail_sse_2018_2021q1.parquet")
    table = table[table["dt"] == pd.Timestamp("2020-09-09")].reset_index(drop=True)
    table["short_repay_qty"] = table["short_repay_qty"].astype(float)
    table.loc[10, "short_repay_qty"] = -5_672_230  # as published for 688126.SH on 2022-08-05
    table["margin_balance"] = table["margin_balance"].astype(float)
    table.loc[20, "margin_balance"] = np.nan
    table.to_parquet(tmp_path / "margin_detail_sse.parquet")
    result = feed("files", tmp_path, "--as", "events")
    output = result.output.replace("\n", " ")
    assert result.exit_code == 1, output
    assert "row 21, fin_balance" in output and "row 11, short_repay" in output and "-5,672,230 can't be" in output
    found = rows(sent)
    assert len(found) == len(table) - 1
    assert [key for (_, key, _), row in found.items() if "short_repay" not in row] == [f"{table['code'][10]}.SH"]


def test_a_refused_row_is_a_failure_of_a_drop_folder(tmp_path: Path, sent: list[Message]) -> None:
    MARGIN.assign(rzye=[*[1e9] * 7, "x"]).to_csv(tmp_path / "a.csv", index=False)
    (tmp_path / "b.json").write_text("{}")
    drop = DropFolder(path=tmp_path, format="vendor", settle_s=0)
    publish = partial(daily_outlet(PublishLedger(MemoryStore())).publish, "d", source="d", force=False)
    task = FolderTask("d", drop, MemoryState(), partial(read_daily_files, "d", drop), publish, vendor.SUFFIXES)
    with capture_logs() as logs:
        task.tick(time.time())
    assert task.failures == 1 and sent
    assert len([line for line in logs if line["event"] == "finding" and "b.json" in line["what"]]) == 1
    assert any("row 9" in str(line.get("what")) for line in logs)


def test_totals_without_lent_volumes_make_the_signal_absent_that_needs_them() -> None:
    days = small_market(gaps=False, sessions=12)
    last = max(days)
    totals = days[last]["margin.market"]
    sold = totals.figures["short_sell"].copy()
    sold[-1] = np.nan
    days[last]["margin.market"] = replace(totals, figures={**totals.figures, "short_sell": sold})
    securities, market = Securities(0, SMALL, EXCHANGES, xshg()), Market(1, SMALL, EXCHANGES, xshg())
    found = newest([out for day in days.values() for out in market.fold(market_items(securities, day))])
    value, reason, *_ = found["margin_trade_share", to_date(last)]
    assert value is None and reason == f"margin.market short_sell of {to_date(last)} lacks SZSE"
    assert found["fin_balance", to_date(last)][0] is not None


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_a_text_that_ends_within_a_character_is_cut_off(encoding: str) -> None:
    rows = "".join(f"60{number:04d},浦发银行,{number}00\n" for number in range(50))
    whole = ("证券代码,证券简称,融资余额(元)\n" + rows + "600999,浦").encode(encoding)
    with pytest.raises(InputError, match="is cut off; download it again"):
        workbooks.read_workbook(whole[:-1], "a.csv")
