"""The exchanges' own files. All fixtures are constructed here after the documented layouts: no published file, and no
akshare, was available where these tests were written."""

from __future__ import annotations

import io
import json
import sys
import types
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from feeds import folder
from feeds.cells import workbooks
from feeds.checks.findings import Severity
from feeds.errors import InputError, NotPublishedError, StoppedError
from feeds.files import exchange
from feeds.files.dataset import gather
from feeds.web import akshare_client, akshare_margin
from processors.codes import to_codes
from processors.days import to_day
from processors.events import RowBatch
from streams.calendars import xshg
from tests.publishing import Message, feed, rows_of, sent
from tests.reading import check_days, whole

__all__ = ["sent"]  # a fixture
openpyxl = pytest.importorskip("openpyxl", reason="workbooks need openpyxl: pip install 'marginwatch[excel]'")

DAY = date(2024, 6, 11)
SSE_SUMMARY = [
    ["信用交易日期", "本日融资余额(元)", "本日融资买入额(元)", "本日融券余量", "本日融券余量金额(元)", "本日融券卖出量",
     "本日融资融券余额(元)"],
    ["20240611", "3,000,000,000", "300,000,000", "1,200", "24,000", "300", "3,000,024,000"],
]  # fmt: skip
SSE_DETAIL = [
    ["标的证券代码", "标的证券简称", "本日融资余额(元)", "本日融资买入额(元)", "本日融资偿还额(元)", "本日融券余量",
     "本日融券卖出量", "本日融券偿还量"],
    ["510050", "50ETF", 1000000000, 100000000, 90000000, 1000, 200, 0],
    ["600519", "贵州茅台", "2,000,000,000", "200,000,000", "150,000,000", "200", "100", "-"],
]  # fmt: skip
SZSE_HEAD = ["证券代码", "证券简称", "融资买入额(元)", "融资余额(元)", "融券卖出量(股/份)", "融券余量(股/份)",
             "融券余额(元)", "融资融券余额(元)"]  # fmt: skip
SZSE_DETAIL = [
    SZSE_HEAD,
    ["000001", "平安银行", "100,000,000", "4,000,000,000", "1,000", "20,000", "200,000", "4,000,200,000"],
    ["300750", "宁德时代", "300,000,000", "6,000,000,000", "0", "1,000", "180,000", "6,000,180,000"],
]
SZSE_TOTALS = [
    ["融资买入额(亿元)", "融资余额(亿元)", "融券卖出量(亿股/亿份)", "融券余量(亿股/亿份)", "融券余额(亿元)",
     "融资融券余额(亿元)"],
    ["4.00", "100.50", "0.01", "0.01", "0.01", "100.51"],
]  # fmt: skip
BSE_TOTALS = [
    [
        "融资买入额(万元)",
        "融资余额(万元)",
        "融券卖出量(万股)",
        "融券余量(万股)",
        "融券余额(万元)",
        "融资融券余额(万元)",
    ],
    ["300.5", "712,345.67", "0", "0.05", "1.2", "712,346.87"],
    ["日期：2024-06-11"],
]
BSE_DETAIL = [
    SZSE_HEAD,
    ["430047", "诺思兰德", "1,000,000", "20,000,000", "0", "0", "0", "20,000,000"],
    ["920002", "万达轴承", "2,000,000", "30,000,000", "0", "0", "0", "30,000,000"],
]


def workbook(**sheets: list[list[Any]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def old_workbook(**sheets: list[list[Any]]) -> bytes:
    xlwt = pytest.importorskip("xlwt", reason="writing .xls needs xlwt")
    book = xlwt.Workbook(encoding="utf-8")
    for name, rows in sheets.items():
        sheet = book.add_sheet(name)
        for i, row in enumerate(rows):
            for j, cell in enumerate(row):
                sheet.write(i, j, cell)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def csv(encoding: str) -> Callable[..., bytes]:
    def made(**sheets: list[list[Any]]) -> bytes:
        (rows,) = sheets.values()
        return "\n".join(",".join(f'"{cell}"' for cell in row) for row in rows).encode(encoding)

    return made


def taken(content: bytes, name: str = "download", day: date | None = None) -> dict[str, RowBatch]:
    parts = whole(exchange.parse_sheets(workbooks.read_workbook(content, name), name, day))
    return gather(parts.tables, xshg(), "test").batches


def replaced(rows: list[list[Any]], old: str, new: str) -> list[list[Any]]:
    return [[cell.replace(old, new) if isinstance(cell, str) else cell for cell in row] for row in rows]


@pytest.mark.parametrize("made", [workbook, old_workbook])
def test_shanghais_workbook_of_two_sheets(made: Callable[..., bytes]) -> None:
    found = taken(made(汇总信息=SSE_SUMMARY, 明细信息=SSE_DETAIL))
    assert rows_of(found["margin.daily"]) == {
        "510050.SH": {"fin_balance": 1e9, "fin_buy": 1e8, "fin_repay": 9e7, "short_volume": 1000.0,
                      "short_sell": 200.0, "short_repay": 0.0},
        "600519.SH": {"fin_balance": 2e9, "fin_buy": 2e8, "fin_repay": 1.5e8, "short_volume": 200.0,
                      "short_sell": 100.0},
    }  # fmt: skip
    (total,) = rows_of(found["margin.market"]).values()
    assert found["margin.market"].keys.tolist() == [0]
    assert total == {"fin_balance": 3e9, "fin_buy": 3e8, "short_volume": 1200.0, "short_balance": 24000.0,
                     "short_sell": 300.0}  # fmt: skip
    for batch in found.values():
        assert set(batch.days.tolist()) == {to_day(DAY)}
        # Known before the open of the next session.
        stamp = datetime.fromisoformat("2024-06-12T08:30:00+08:00").timestamp() * 1e6
        assert set(batch.stamps.tolist()) == {int(stamp)}


@pytest.mark.parametrize("made", [workbook, csv("utf-8-sig"), csv("gb18030")])
def test_shenzhens_detail_takes_its_date_from_the_name_or_the_command(made: Callable[..., bytes]) -> None:
    content = made(融资融券交易明细=SZSE_DETAIL)
    for found in (
        taken(content, "融资融券交易明细_2024-06-11.xlsx"),
        taken(content, "x 20240611"),
        taken(content, day=DAY),
    ):
        assert rows_of(found["margin.daily"])["000001.SZ"] == {
            "fin_balance": 4e9, "fin_buy": 1e8, "short_sell": 1000.0, "short_volume": 20000.0, "short_balance": 2e5,
        }  # fmt: skip
        assert set(found["margin.daily"].days.tolist()) == {to_day(DAY)}
    with pytest.raises(InputError, match="contains no date: give --date"):
        taken(content, "rzrq.xlsx")


def test_shenzhens_totals_are_in_yi() -> None:
    found = taken(workbook(融资融券交易总量=SZSE_TOTALS), day=DAY)
    (total,) = rows_of(found["margin.market"]).values()
    assert found["margin.market"].keys.tolist() == [1]
    assert total == {"fin_balance": 100.5 * 1e8, "fin_buy": 4e8, "short_sell": 0.01 * 1e8, "short_volume": 0.01 * 1e8,
                     "short_balance": 0.01 * 1e8}  # fmt: skip


def test_beijings_totals_are_in_wan_and_tell_their_date() -> None:
    """As far as documented: akshare's notes on the page give 万元 and 万股; the date is in the last row."""
    found = taken(workbook(融资融券交易总量=BSE_TOTALS))
    (total,) = rows_of(found["margin.market"]).values()
    assert found["margin.market"].keys.tolist() == [2]
    assert set(found["margin.market"].days.tolist()) == {to_day(DAY)}
    assert total == {"fin_balance": 712345.67 * 1e4, "fin_buy": 300.5 * 1e4, "short_sell": 0.0,
                     "short_volume": 0.05 * 1e4, "short_balance": 1.2 * 1e4}  # fmt: skip


@pytest.mark.parametrize(
    ("rows", "exchange"),
    [
        ([["北京证券交易所 融资融券交易总量"], *SZSE_TOTALS], 2),
        ([*BSE_TOTALS, ["数据来源", "深交所"]], 1),
        (SZSE_TOTALS, 1),
    ],
)
def test_a_cell_that_names_the_exchange_says_better_whose_totals_they_are(rows: list[list[Any]], exchange: int) -> None:
    assert taken(workbook(a=rows), day=DAY)["margin.market"].keys.tolist() == [exchange]


@pytest.mark.parametrize(
    "rows",
    [replaced(SZSE_TOTALS, "亿元", "元"), [*SZSE_TOTALS, ["深交所"], ["北交所"]]],
)
def test_totals_of_no_exchange_or_of_two_are_refused(rows: list[list[Any]]) -> None:
    with pytest.raises(InputError, match="the exchange of these totals is not clear"):
        taken(workbook(a=rows), day=DAY)


@pytest.mark.parametrize(
    ("day", "balance", "name", "doubtful"),
    [("2026-07-16", 86.75, "a.xlsx", True), ("2026-07-16", 86.75, "深交所.xlsx", False),
     ("2026-07-16", 8_000, "a.xlsx", False), ("2012-07-16", 86.75, "a.xlsx", False)],
)  # fmt: skip
def test_small_totals_in_yi_may_be_beijings(day: str, balance: float, name: str, doubtful: bool) -> None:
    rows = [SZSE_TOTALS[0], [5.91, balance, 0.01, 0.02, 0.05, balance + 0.05]]
    found = exchange.parse_sheets(workbooks.read_workbook(workbook(a=rows), name), name, date.fromisoformat(day))
    assert ["of the size of Beijing's" in one.text for one in found.findings] == [True] * doubtful


def test_beijings_detail_is_distinguished_from_shenzhens_by_its_codes() -> None:
    found = taken(workbook(sheet=[*BSE_DETAIL, ["日期：2024-06-11"]]))
    assert to_codes(found["margin.daily"].keys) == ["430047.BJ", "920002.BJ"]
    with pytest.raises(InputError, match=r"codes are of BJ, SZ"):
        taken(workbook(sheet=[*SZSE_DETAIL, BSE_DETAIL[1]]), day=DAY)


def test_titles_blank_rows_sums_and_footers_are_left_out() -> None:
    noisy = [
        ["融资融券交易明细 2024-06-11"],
        [],
        *SZSE_DETAIL[:2],
        [None] * 8,
        SZSE_DETAIL[2],
        ["合计", None, "400,000,000", "10,000,000,000", "1,000", "21,000", "380,000", "10,000,380,000"],
        ["注：数据由证券公司报送，2024-06-12"],
        ["数据来源", "深圳证券交易所"],
    ]
    found = taken(workbook(sheet=noisy))
    assert len(found["margin.daily"]) == 2
    assert set(found["margin.daily"].days.tolist()) == {to_day(DAY)}


def test_codes_that_a_spreadsheet_made_numbers_of() -> None:
    found = taken(workbook(sheet=[SZSE_HEAD, [1, *SZSE_DETAIL[1][1:]]]), day=DAY)
    assert to_codes(found["margin.daily"].keys) == ["000001.SZ"]


@pytest.mark.parametrize("words", ["没有数据", "没有找到符合条件的数据！", "暂无数据"])
def test_a_placeholder_row_is_an_error_not_a_security(words: str) -> None:
    parts = exchange.parse_sheets(workbooks.read_workbook(workbook(sheet=[SZSE_HEAD, [words]]), "x"), "x", DAY)
    assert parts.tables == []
    (finding,) = parts.findings
    assert finding.check == "placeholder" and words in finding.text and "not published yet" in finding.text


@pytest.mark.parametrize("rounded", ["{:.1E}", "{:.1e}", "+{:.1E}", "1.2,{:.0f}"])
def test_a_day_of_totals_whose_figures_are_all_rounded_is_refused_with_its_row(rounded: str) -> None:
    figures = [rounded.format(float(cell.replace(",", ""))) for cell in SSE_SUMMARY[1][1:]]
    content = csv("utf-8")(a=[*SSE_SUMMARY, ["20240612", *figures]])
    found = exchange.parse_sheets(workbooks.read_workbook(content, "x"), "x")
    assert [len(table.frame) for table in found.tables] == [1]
    (refused,) = (one for one in found.findings if one.check == "row")
    assert refused.severity is Severity.REFUSED and "row 3" in refused.text and figures[0] in refused.text


@pytest.mark.parametrize(
    ("sheets", "reason"),
    [
        ({"a": replaced(SZSE_DETAIL, "融资余额(元)", "融资余额")}, "fin_balance: no unit is given"),
        ({"a": replaced(SZSE_TOTALS, "(亿元)", "")}, "no unit is given"),
        ({"a": replaced(SZSE_DETAIL, "(股/份)", "(股/手)")}, "ambiguous"),
        ({"a": replaced(SZSE_DETAIL, "融资余额(元)", "融资余额(股)")}, "does not measure money"),
        ({"a": replaced(SSE_DETAIL, "(元)", "")}, "no unit is given"),
        ({"a": [row[:-2] for row in SZSE_DETAIL]}, "lacks 融券余额"),
        ({"a": [[*row, *row[2:4]] for row in SZSE_DETAIL]}, "two columns are headed 融资买入额"),
        ({"a": replaced(SZSE_DETAIL, "1,000", "1,0x0")}, "'1,0x0' is no number"),
        ({"a": [*SZSE_DETAIL, ["abc", "x", "1", "2"]]}, "row 4, code 'abc' is in no style that is known"),
        ({"a": [["hello", "world"]]}, "no margin file of an exchange"),
        ({"a": SSE_SUMMARY}, "is of 2024-06-11, not of 2024-06-13"),
    ],
)
def test_what_is_not_as_documented_is_refused(sheets: dict[str, list[list[Any]]], reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        taken(workbook(**sheets), "file", date(2024, 6, 13))


def test_damaged_files_and_web_pages_are_refused() -> None:
    for content, reason in (
        (b"PK\x03\x04junk", "damaged"),
        (b"\xd0\xcf\x11\xe0junk" * 200, "damaged"),
        (b"<html><body>502</body></html>", "web page"),
        (b'a,b\n"1,' + b"2" * 200_000, "no CSV file .*limit"),
        (b"a,b\n1,2\n" * 100 + b'"1' + b"2" * 400_000, "no CSV file .*limit"),
    ):
        with pytest.raises(InputError, match=reason):
            taken(content)


def test_no_trading_day_is_refused() -> None:
    with pytest.raises(InputError, match="no trading day"):
        taken(workbook(sheet=SZSE_DETAIL), day=date(2024, 6, 10))  # Dragon Boat Festival


def as_text(values: pd.Series) -> list[str]:
    return [f"{value:,.0f}" for value in values]


def test_real_figures_in_the_published_layouts_give_what_the_folder_gives(data_dir: Path, tmp_path: Path) -> None:
    """Layouts constructed, figures real: two days of both exchanges, with thousands separators and 亿."""
    start, end = date(2020, 3, 2), date(2020, 3, 3)
    expected = folder.read(data_dir, xshg(), start, end)
    raw = {}
    for kind in ("detail_sse", "detail_szse", "total_sse", "total_szse"):
        table = pd.read_parquet(data_dir / f"margin_{kind}_2018_2021q1.parquet")
        raw[kind] = table[table["dt"].between(pd.Timestamp(start), pd.Timestamp(end))]
    for day, sse in raw["detail_sse"].groupby("dt"):
        stamp = f"{day:%Y%m%d}"
        total = raw["total_sse"][raw["total_sse"]["dt"] == day].iloc[0]
        numbers = [
            "margin_balance",
            "margin_buy_amt",
            "short_qty",
            "short_value",
            "short_sell_qty",
            "marginnshort_total",
        ]
        detail = [sse["code"], sse["name"]] + [
            as_text(sse[name])
            for name in ("margin_balance", "margin_buy_amt", "margin_repay_amt", "short_qty", "short_sell_qty",
                         "short_repay_qty")
        ]  # fmt: skip
        (tmp_path / f"sse{stamp}.xlsx").write_bytes(
            workbook(
                汇总信息=[SSE_SUMMARY[0], [stamp, *as_text(total[numbers])]],
                明细信息=[SSE_DETAIL[0], *map(list, zip(*detail, strict=True))],
            )
        )
        szse = raw["detail_szse"][raw["detail_szse"]["dt"] == day]
        both = szse["margin_balance"] + szse["short_value"]
        names = ("margin_buy_amt", "margin_balance", "short_sell_qty", "short_qty", "short_value")
        columns = [szse["code"], szse["name"], *(as_text(szse[name]) for name in names), as_text(both)]
        (tmp_path / f"detail {stamp}.xlsx").write_bytes(workbook(a=[SZSE_HEAD, *map(list, zip(*columns, strict=True))]))
        total = raw["total_szse"][raw["total_szse"]["dt"] == day].iloc[0]
        row = [f"{total[name]:,.2f}" for name in (*names, "marginnshort_total")]
        (tmp_path / f"totals {stamp}.xlsx").write_bytes(workbook(a=[SZSE_TOTALS[0], row]))

    found = gather(exchange.read([tmp_path]).tables, xshg(), "x")
    assert [f for f in check_days(found.by_day(), xshg()) if f.severity is Severity.ERROR] == []
    assert len(found.batches["margin.daily"]) > 3000
    for topic, batch in found.batches.items():
        files = expected.batches[topic]
        np.testing.assert_array_equal(batch.keys, files.keys)
        np.testing.assert_array_equal(batch.days, files.days)
        np.testing.assert_array_equal(batch.stamps, files.stamps)
        for name, values in batch.figures.items():
            if (topic, name) != ("margin.market", "fin_repay"):  # not in Shanghai's summary
                np.testing.assert_array_equal(values, files.figures[name], err_msg=f"{topic} {name}")


# -- the command ---------------------------------------------------------------------------------------------


def folder_of(tmp_path: Path, detail: list[list[Any]] = SZSE_DETAIL, name: str = "files") -> Path:
    folder = tmp_path / name
    folder.mkdir()
    (folder / "a.xlsx").write_bytes(workbook(汇总信息=SSE_SUMMARY, 明细信息=SSE_DETAIL))
    (folder / "b.xlsx").write_bytes(workbook(明细=detail))
    (folder / "c.xlsx").write_bytes(workbook(总量=SZSE_TOTALS))
    return folder


def test_the_command_publishes_both_exchanges_as_one_day(tmp_path: Path, sent: list[Message]) -> None:
    result = feed("exchange", folder_of(tmp_path), "--date", DAY)
    assert result.exit_code == 0, result.output
    assert {topic for topic, *_ in sent} == {"margin.daily", "margin.market"}
    (closing,) = [value for topic, _, _, value, headers in sent if topic == "margin.market" and b"expected" in value]
    assert b'"expected":{"SSE":1,"SZSE":1}' in closing and b'"source":"exchange"' in closing


def test_check_shows_the_first_rows_and_publishes_nothing(tmp_path: Path, sent: list[Message]) -> None:
    result = feed("exchange", folder_of(tmp_path), "--date", DAY, "--check")
    assert result.exit_code == 0, result.output
    assert sent == []
    assert "Shenzhen or Beijing totals" in result.output
    assert "2024-06-11 SZSE: fin_balance 10,050,000,000" in result.output


def test_a_unit_slip_stops_the_command_unless_forced(tmp_path: Path, sent: list[Message]) -> None:
    files = folder_of(tmp_path, replaced(SZSE_DETAIL, "(元)", "(万元)"))
    result = feed("exchange", files, "--date", DAY)
    assert isinstance(result.exception, InputError) and "nothing was published" in str(result.exception)
    assert sent == []
    assert feed("exchange", files, "--date", DAY, "--force").exit_code == 0
    assert sent


def test_two_files_of_one_day_that_contradict_each_other_stop(tmp_path: Path, sent: list[Message]) -> None:
    files = folder_of(tmp_path)
    (files / "d.xlsx").write_bytes(workbook(明细=replaced(SZSE_DETAIL, "4,000,000,000", "4,000,000,001")))
    result = feed("exchange", files, "--date", DAY)
    assert isinstance(result.exception, InputError) and "000001.SZ" in str(result.exception)
    (files / "d.xlsx").write_bytes((files / "b.xlsx").read_bytes())
    assert feed("exchange", files, "--date", DAY).exit_code == 0


def test_the_day_before_is_compared_with(tmp_path: Path, sent: list[Message]) -> None:
    before = tmp_path / "2024-06-07.xlsx"
    before.write_bytes(workbook(明细=[*SZSE_DETAIL, ["000002", *SZSE_DETAIL[1][1:]]]))
    result = feed("exchange", folder_of(tmp_path), "--date", DAY, "--before", before, "--check")
    assert result.exit_code == 0, result.output
    assert "1 of the 3 keys of the day before are missing: 000002.SZ" in result.output


# -- fetching: a fake akshare with its documented columns ------------------------------------------------------

SEEN = 1718152200.0  # 2024-06-12 08:30 in Shanghai


def fake(**functions: Any) -> Any:
    """A module with akshare's functions: frames with the columns that akshare 1.19 names (it drops the units)."""

    def frame(rows: list[list[Any]], names: list[str]) -> pd.DataFrame:
        def numbers(column: pd.Series) -> pd.Series:
            if str(column.name).endswith(("日期", "代码", "简称")):
                return column
            return pd.to_numeric(column.astype(str).str.replace(",", ""), errors="coerce")

        return pd.DataFrame(rows, columns=names).apply(numbers)

    def plain(names: list[str]) -> list[str]:
        return [n.split("(")[0].removeprefix("本日") for n in names]

    made = {
        "stock_margin_sse": lambda start_date, end_date: frame(SSE_SUMMARY[1:], plain(SSE_SUMMARY[0])),
        "stock_margin_detail_sse": lambda date: frame(
            [["20240611", *row] for row in SSE_DETAIL[1:]], ["信用交易日期", *plain(SSE_DETAIL[0])]
        ),
        "stock_margin_szse": lambda date: frame(SZSE_TOTALS[1:], plain(SZSE_TOTALS[0])),
        "stock_margin_detail_szse": lambda date: frame(SZSE_DETAIL[1:], plain(SZSE_DETAIL[0])),
        "stock_margin_bse": lambda date: frame(BSE_TOTALS[1:2], plain(BSE_TOTALS[0])),
        "stock_margin_detail_bse": lambda date: frame(BSE_DETAIL[1:], plain(BSE_DETAIL[0])),
    }
    return types.SimpleNamespace(**(made | functions))


def fetched(
    module: Any, now: float = SEEN, waits: list[float] | None = None, exchanges: tuple[str, ...] = ("SSE", "SZSE")
) -> dict[str, RowBatch]:
    sleep = (waits if waits is not None else []).append
    parts = akshare_margin.fetch_margin(
        DAY, xshg(), akshare=module, exchanges=exchanges, now=lambda: now, sleep=sleep
    ).tables
    return gather(parts, xshg(), "x").batches


@pytest.mark.parametrize("exchanges", [("SSE", "SZSE"), ("SSE", "SZSE", "BSE")])
def test_what_is_fetched_equals_what_the_files_say(exchanges: tuple[str, ...]) -> None:
    sheets = {"SSE": (SSE_SUMMARY, SSE_DETAIL), "SZSE": (SZSE_TOTALS, SZSE_DETAIL), "BSE": (BSE_TOTALS, BSE_DETAIL)}
    files = [
        exchange.parse_sheets(workbooks.read_workbook(workbook(a=rows), "x"), "x", DAY)
        for name in exchanges
        for rows in sheets[name]
    ]
    expected = gather([part for one in files for part in one.tables], xshg(), "x").batches
    found = fetched(fake(), exchanges=exchanges)
    assert found.keys() == expected.keys()
    for topic, batch in found.items():
        np.testing.assert_array_equal(batch.keys, expected[topic].keys)
        for name, values in batch.figures.items():
            np.testing.assert_array_equal(values, expected[topic].figures[name], err_msg=name)


def test_the_command_fetches_a_day_without_files(monkeypatch: pytest.MonkeyPatch, sent: list[Message]) -> None:
    monkeypatch.setitem(sys.modules, "akshare", fake())
    result = feed("exchange", "--date", DAY, "--source", "akshare")
    assert result.exit_code == 0, result.output
    assert {topic for topic, *_ in sent} == {"margin.daily", "margin.market"}


def test_the_functions_are_asked_for_the_day() -> None:
    asked = {}

    def noted(name: str) -> Callable[..., pd.DataFrame]:
        function = getattr(fake(), name)

        def call(**arguments: str) -> pd.DataFrame:
            asked[name] = arguments
            return function(**arguments)

        return call

    fetched(
        fake(
            **{source.function: noted(source.function) for source in akshare_margin.TABLES if source.exchange != "BSE"}
        )
    )
    day = {"date": "20240611"}
    assert asked.pop("stock_margin_sse") == {"start_date": "20240611", "end_date": "20240611"}
    assert asked == {"stock_margin_detail_sse": day, "stock_margin_szse": day, "stock_margin_detail_szse": day}


@pytest.mark.filterwarnings("default")  # akshare's own warnings
def test_akshares_own_functions_of_beijing_give_what_the_files_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its code on constructed answers of the page."""
    pytest.importorskip("akshare", reason="akshare is not installed: pip install 'marginwatch[fetch]'")
    import akshare
    from akshare.stock_feature import stock_margin_bse

    names = ["rzmre", "rzye", "rqmcl", "rqyl", "rqye", "rzrqye"]
    totals = dict(zip([f"{n}Round" for n in names], [300.5, 712345.67, 0, 0.05, 1.2, 712346.87], strict=True))
    rows = [
        dict(zip(["zqdm", "zqjc", *names], [c.replace(",", "") for c in row], strict=True)) for row in BSE_DETAIL[1:]
    ]
    answers = {
        "summaryInfoResult.do": [[totals], "2024-06-11"],
        "detailInfoResult.do": [[{"totalPages": 1, "content": rows}], "2024-06-11"],
    }

    def answer(url: str, **_: object) -> Any:
        return types.SimpleNamespace(text=f"cb({json.dumps(answers[url.rsplit('/', 1)[1]])})")

    monkeypatch.setattr(stock_margin_bse.requests, "get", answer)
    monkeypatch.setattr(stock_margin_bse.requests, "post", answer)
    found, expected = fetched(akshare, exchanges=("BSE",)), fetched(fake(), exchanges=("BSE",))
    for topic, batch in found.items():
        np.testing.assert_array_equal(batch.keys, expected[topic].keys)
        for name, values in batch.figures.items():
            np.testing.assert_array_equal(values, expected[topic].figures[name], err_msg=name)


def test_a_network_that_fails_is_asked_again_with_growing_waits() -> None:
    attempts = []

    def flaky(date: str) -> pd.DataFrame:
        attempts.append(date)
        if len(attempts) < 4:
            raise ConnectionError("reset")
        return fake().stock_margin_szse(date)

    waits: list[float] = []
    assert "margin.market" in fetched(fake(stock_margin_szse=flaky), waits=waits)
    assert waits == [2.0, 4.0, 8.0]

    def dead(date: str) -> pd.DataFrame:
        raise ConnectionError("no route")

    with pytest.raises(InputError, match="SZSE stock_margin_szse: no answer in 5 attempts"):
        fetched(fake(stock_margin_szse=dead))


def test_a_process_that_ends_asks_no_more() -> None:
    attempts = []

    def dead(date: str) -> pd.DataFrame:
        attempts.append(date)
        raise ConnectionError("no route")

    with pytest.raises(StoppedError, match="SZSE stock_margin_szse"):
        akshare_margin.fetch_margin(
            DAY, xshg(), akshare=fake(stock_margin_szse=dead), now=lambda: SEEN, sleep=lambda _seconds: True
        )
    assert len(attempts) == 1


def empty_answer(**_: str) -> pd.DataFrame:
    """What akshare does with an empty answer of Shanghai: names the columns of a table that has none."""
    frame = pd.DataFrame([])
    frame.columns = ["信用交易日期", "融资余额"]
    return frame


@pytest.mark.parametrize(
    "answer",
    [empty_answer, lambda **_: pd.DataFrame(), lambda **_: pd.DataFrame([["没有数据"] + [None] * 7], columns=[
        "证券代码", "证券简称", "融资买入额", "融资余额", "融券卖出量", "融券余量", "融券余额", "融资融券余额"])],
)  # fmt: skip
def test_a_day_that_is_not_published_yet_is_said_clearly(answer: Callable[..., pd.DataFrame]) -> None:
    with pytest.raises(NotPublishedError, match=r"SZSE: .*2024-06-11 are not published yet.*2024-06-12 08:30"):
        fetched(fake(stock_margin_detail_szse=answer))


def test_an_answer_that_can_not_be_read_long_after_is_no_late_exchange() -> None:
    with pytest.raises(InputError, match="due more than a day ago") as caught:
        fetched(fake(stock_margin_sse=empty_answer), now=SEEN + 5 * 86400)
    assert not isinstance(caught.value, NotPublishedError)


def test_a_day_to_come_and_a_holiday_are_not_even_asked_for() -> None:
    with pytest.raises(NotPublishedError, match="ask again then"):
        fetched(types.SimpleNamespace(), now=SEEN - 3 * 86400)
    with pytest.raises(InputError, match="no trading day"):
        akshare_margin.fetch_margin(date(2024, 6, 10), xshg(), akshare=fake())


def test_without_akshare_the_message_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "akshare", None)
    with pytest.raises(InputError, match=r"pip install 'marginwatch\[fetch\]'"):
        akshare_client.load_akshare()
    result = feed("exchange", "--date", DAY)
    assert isinstance(result.exception, InputError)
