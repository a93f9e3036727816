"""Vendors' files. The real data published by a mapping file give the same bytes as `feed files`; tushare's tables and
CSV files with Chinese headers are constructed here after their documented columns."""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from feeds import folder
from feeds.checks.findings import Severity
from feeds.errors import InputError
from feeds.files import vendor
from feeds.files.dataset import gather
from feeds.mappings import mapping
from processors.codes import to_codes, to_id
from processors.events import RowBatch
from streams.calendars import xshg
from streams.cli.main import main
from tests.publishing import Message, feed, rows_of, sent
from tests.reading import whole

__all__ = ["sent"]  # a fixture
EXAMPLE = Path(__file__).resolve().parents[1] / "deploy" / "mapping.example.toml"


def taken(path: Path, rules: mapping.Mapping | None = None) -> dict[str, RowBatch]:
    return gather(whole(vendor.read([path], rules)).tables, xshg(), "test").batches


def mapped(tmp_path: Path, text: str) -> mapping.Mapping:
    path = tmp_path / "map.toml"
    path.write_text(text, "utf-8")
    return mapping.load(path)


# -- the real data -------------------------------------------------------------------------------------------

FILES = ("margin_detail_sse", "margin_detail_szse", "margin_total_sse", "margin_total_szse", "index_daily")


@pytest.mark.parametrize("form", ["frames", "events"])
@pytest.mark.parametrize(
    ("prefixes", "start", "end", "topics"),
    [
        (FILES, "2018-01-02", "2018-01-15", {"margin.daily", "margin.market", "prices.daily", "indices.daily"}),
        # All files, among them days on which two of them contradict each other (2020-09-14).
        ((), "2020-09-11", "2020-09-15", {"margin.daily", "margin.market", "prices.daily", "indices.daily",
                                          "valuations.daily", "etf.daily", "reference"}),
    ],
)  # fmt: skip
def test_a_mapping_file_gives_the_same_bytes_as_feed_files(
    data_dir: Path,
    tmp_path: Path,
    sent: list[Message],
    form: str,
    prefixes: tuple[str, ...],
    start: str,
    end: str,
    topics: set[str],
) -> None:
    market = tmp_path / "market"
    market.mkdir()
    for path in data_dir.iterdir():
        if path.is_file() and path.name.startswith(prefixes or ""):
            (market / path.name).symlink_to(path.resolve())
    dates = ("--from", start, "--to", end, "--as", form)

    assert feed("files", market, *dates).exit_code == 0
    files = list(sent)
    sent.clear()
    result = feed("vendor", market, "--map", EXAMPLE, "--source", "files:market", *dates)
    assert result.exit_code == 0, result.output
    assert {topic for topic, *_ in sent} == topics
    assert len(sent) > 50
    assert sent == files


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (("--from", "2030-01-01"), "from 2030-01-01 to their end"),
        (("--to", "2010-01-01"), "from their beginning to 2010-01-01"),
        (("--from", "2024-06-08", "--to", "2024-06-10"), "from 2024-06-08 to 2024-06-10"),
    ],
)
def test_a_folder_without_a_row_between_the_dates_is_refused_though_it_has_undated_ones(
    options: tuple[str, ...], asked: str, tmp_path: Path, sent: list[Message]
) -> None:
    (tmp_path / "margin_detail_sse_2024.csv").write_text(
        "dt,code,name,margin_balance,margin_buy_amt,margin_repay_amt,short_qty,short_sell_qty,short_repay_qty\n"
        "2024-06-07,600000,x,100,1,1,1,1,1\n2024-06-11,600000,x,100,1,1,1,1,1\n"
    )
    (tmp_path / "sw_l1_membership_2024.csv").write_text("code,sw_l1\n600000,银行\n", "utf-8")
    result = feed("files", tmp_path, *options)
    assert f"no row {asked}: their days are 2024-06-07 to 2024-06-11" in str(result.exception)
    assert not sent


def test_a_folder_names_the_files_that_it_does_not_read(data_dir: Path, tmp_path: Path) -> None:
    for name in ("margin_total_sse_2018_2021q1.parquet", "sw_l1_membership_2026.csv"):
        (tmp_path / name).symlink_to(data_dir / name)
    (tmp_path / "st_intervals.csv").write_text("code\n600519.SH\n")
    (tmp_path / "README.md").write_text("no data")
    findings = folder.read(tmp_path, xshg()).findings
    assert [(one.severity, one.text.partition(":")[0]) for one in findings] == [
        (Severity.WARNING, "README.md is not read"),
        (Severity.WARNING, "st_intervals.csv is not read"),
    ]


@pytest.mark.parametrize("kind", ["link", "folder"])
@pytest.mark.parametrize("command", ["files", "exchange"])
def test_what_is_named_like_a_table_and_is_none_is_refused_beside_the_others(
    kind: str, command: str, tmp_path: Path, sent: list[Message]
) -> None:
    headers = "dt,code,name,margin_balance,margin_buy_amt,margin_repay_amt,short_qty,short_sell_qty,short_repay_qty"
    if command == "exchange":
        headers = "信用交易日期,标的证券代码,标的证券简称,本日融资余额(元),本日融资买入额(元),本日融资偿还额(元),"
        headers += "本日融券余量,本日融券卖出量,本日融券偿还量"
    text = f"{headers}\n2024-06-11,600000,浦发银行,100,1,1,1,1,1\n"
    (tmp_path / "margin_detail_sse_2024.csv").write_text(text, "utf-8")
    broken = tmp_path / "margin_detail_sse_2023.csv"
    broken.symlink_to("/nonexistent") if kind == "link" else broken.mkdir()
    result = feed(command, tmp_path)
    assert result.exit_code == 1
    assert "margin_detail_sse_2023.csv is not read: it is a folder, or a link that leads nowhere" in result.stderr
    assert sent


def test_volumes_of_the_real_files_are_shares(data_dir: Path) -> None:
    """Turnover over volume is what a share cost: indices, industries and stocks must agree."""
    found = folder.read(data_dir, xshg(), date(2020, 1, 2), date(2020, 12, 31)).batches
    indices = found["indices.daily"]
    cost = pd.Series(indices.figures["turnover"] / indices.figures["volume"]).groupby(indices.keys).median()
    assert len(cost) > 13 and cost.between(3, 60).all()
    index = indices.keys == to_id("000300.SH")
    members = pd.Series(found["prices.daily"].figures["volume"]).groupby(found["prices.daily"].days).sum()
    ratio = members.to_numpy() / indices.figures["volume"][index]
    assert 0.75 < np.median(ratio) < 1.05  # 279 of the 300 members


def test_the_example_is_read_in_full() -> None:
    assert len(mapping.load(EXAMPLE).table) == 29


# -- tushare -------------------------------------------------------------------------------------------------

MARGIN_DETAIL = pd.DataFrame(
    {
        "trade_date": ["20180802", "20180802"],
        "ts_code": ["000001.SZ", "600519.SH"],
        "name": ["平安银行", "贵州茅台"],
        "rzye": [4.430811e9, 2e9],
        "rqye": [8238210.0, 7e5],
        "rzmre": [78800436.0, 1e8],
        "rqyl": [921500.0, 1000.0],
        "rzche": [90e6, 2e8],
        "rqchl": [100.0, np.nan],
        "rqmcl": [200.0, 300.0],
        "rzrqye": [4.439049e9, 2.0007e9],
    }
)
MARGIN = pd.DataFrame(
    {
        "trade_date": ["20180802", "20180802"],
        "exchange_id": ["SZSE", "SSE"],
        "rzye": [3.495054e11, 5.311746e11],
        "rzmre": [1.347549e10, 1.484584e10],
        "rzche": [1.463921e10, 1.573947e10],
        "rqye": [1.083380e9, 6.029618e9],
        "rqmcl": [24418046.0, 83721012.0],
        "rzrqye": [3.505888e11, 5.372042e11],
        "rqyl": [1e8, 5e8],
    }
)
DAILY = pd.DataFrame(
    {
        "ts_code": ["000001.SZ", "000001.SH"],
        "trade_date": ["20180802", "20180802"],
        "open": [9.0, 2800.0],
        "high": [9.2, 2810.0],
        "low": [8.8, 2700.0],
        "close": [8.9, 2768.0],
        "pre_close": [9.1, 2824.5],
        "change": [-0.2, -56.5],
        "pct_chg": [-2.2, -2.0],
        "vol": [1315053.22, 150000000.0],
        "amount": [1174000.5, 162000000.0],
    }
)
DAILY_BASIC = pd.DataFrame(
    {
        "ts_code": ["000001.SZ"],
        "trade_date": ["20180802"],
        "close": [8.9],
        "turnover_rate": [0.78],
        "pe_ttm": [6.4],
        "pb": [0.75],
        "dv_ttm": [1.53],
        "circ_mv": [15056000.0],
    }
)


def written(table: pd.DataFrame, folder: Path, kind: str) -> Path:
    path = folder / f"export.{kind}"
    if kind == "parquet":
        table.to_parquet(path)
    else:
        table.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tushares_margin_detail(tmp_path: Path, kind: str) -> None:
    found = taken(written(MARGIN_DETAIL, tmp_path, kind))
    assert rows_of(found["margin.daily"])["000001.SZ"] == {
        "fin_balance": 4.430811e9, "fin_buy": 78800436.0, "fin_repay": 90e6, "short_volume": 921500.0,
        "short_sell": 200.0, "short_repay": 100.0, "short_balance": 8238210.0,
    }  # fmt: skip
    assert "short_repay" not in rows_of(found["margin.daily"])["600519.SH"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tushares_margin_of_exchanges(tmp_path: Path, kind: str) -> None:
    batch = taken(written(MARGIN, tmp_path, kind))["margin.market"]
    assert batch.keys.tolist() == [0, 1]
    assert batch.figures["fin_balance"].tolist() == [5.311746e11, 3.495054e11]
    assert batch.figures["fin_repay"].tolist() == [1.573947e10, 1.463921e10]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tushares_daily_is_in_lots_and_thousands_and_knows_indices(tmp_path: Path, kind: str) -> None:
    found = taken(written(DAILY, tmp_path, kind))
    (stock,), (index,) = rows_of(found["prices.daily"]).values(), rows_of(found["indices.daily"]).values()
    assert (stock["volume"], stock["turnover"], stock["prev_close"]) == (131505322.0, 1174000500.0, 9.1)
    assert (index["volume"], index["turnover"], index["close"]) == (1.5e10, 1.62e11, 2768.0)
    assert to_codes(found["prices.daily"].keys) == ["000001.SZ"]
    assert to_codes(found["indices.daily"].keys) == ["000001.SH"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_tushares_daily_basic_is_in_per_cent_and_wan(tmp_path: Path, kind: str) -> None:
    (row,) = rows_of(taken(written(DAILY_BASIC, tmp_path, kind))["valuations.daily"]).values()
    assert row == {"pe_ttm": 6.4, "pb": 0.75, "dividend_yield": 1.53 / 100, "turnover_rate": 0.78 / 100,
                   "float_cap": 15056000.0 * 1e4}  # fmt: skip


def test_a_figure_of_tushare_that_may_be_missing_is_absent_one_that_is_needed_is_refused(tmp_path: Path) -> None:
    found = taken(written(MARGIN_DETAIL.drop(columns=["rzche", "rqchl", "rqye"]), tmp_path, "csv"))
    assert np.isnan(found["margin.daily"].figures["fin_repay"]).all()
    with pytest.raises(InputError, match="give a mapping file"):
        taken(written(MARGIN_DETAIL.drop(columns="rzmre"), tmp_path, "csv"))


BY_HAND = """
[[table]]
topic = "margin.daily"
date = { column = "trade_date" }
code = { column = "ts_code", style = "600519.SH" }
[table.columns]
fin_balance = { column = "rzye", unit = "元" }
fin_buy = { column = "rzmre", unit = "元" }
short_volume = { column = "rqyl", unit = "股" }
short_sell = { column = "rqmcl", unit = "股" }
"""


@pytest.mark.parametrize("with_mapping", [True, False])
@pytest.mark.parametrize(("column", "kind"), [("trade_date", "Int64"), ("ts_code", "string"), ("rzche", "Int64")])
def test_a_null_in_a_nullable_column_of_parquet_is_an_empty_cell(
    tmp_path: Path, column: str, kind: str, with_mapping: bool
) -> None:
    table = pd.concat([MARGIN_DETAIL, MARGIN_DETAIL.iloc[-1:].assign(ts_code="600000.SH")], ignore_index=True)
    table = table.assign(trade_date=20180802).astype({column: kind})
    table.loc[2, column] = pd.NA
    rules = mapped(tmp_path, BY_HAND) if with_mapping else None
    found = vendor.read([written(table, tmp_path, "parquet")], rules)
    refused = [one.text for one in found.findings if one.severity is Severity.REFUSED]
    needed = column != "rzche"
    assert [len(one.frame) for one in found.tables] == [3 - needed]
    assert len(refused) == needed and all("row 3" in text for text in refused)


# -- Chinese headers -----------------------------------------------------------------------------------------

CHINESE = (
    "交易日期,股票代码,股票简称,收盘价(元),融资余额(元),融资买入额(元),融资偿还额(元),融券余额(元),"
    "融券余量(股),融券卖出量(股),融券偿还量(股)\n"
    '2018-08-02,600519,贵州茅台,700.50,"2,000,000,000",1.5亿,2亿,"700,500","1,000",300,-\n'
    "2018-08-02,000001,平安银行,8.90,44.3亿,7880.04万,9000万,820.1万,92.15万,200,100\n"
)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_chinese_headers_carry_their_units(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "东财.csv"
    path.write_bytes(CHINESE.encode(encoding))
    found = taken(path)
    assert rows_of(found["margin.daily"]) == {
        "600519.SH": {"fin_balance": 2e9, "fin_buy": 1.5e8, "fin_repay": 2e8, "short_volume": 1000.0,
                      "short_sell": 300.0, "short_balance": 700500.0},
        "000001.SZ": pytest.approx({"fin_balance": 4.43e9, "fin_buy": 78800400.0, "fin_repay": 9e7,
                                    "short_volume": 921500.0, "short_sell": 200.0, "short_repay": 100.0,
                                    "short_balance": 8201000.0}),
    }  # fmt: skip
    assert rows_of(found["prices.daily"]) == {"000001.SZ": {"close": 8.9}, "600519.SH": {"close": 700.5}}


@pytest.mark.parametrize(
    ("figure", "header"),
    [("turnover", "成交金额(元)"), ("turnover", "成交额(元)"), ("volume", "成交股数(股)"), ("prev_close", "昨收盘(元)"),
     ("prev_close", "前收盘价(元)"), ("prev_close", "昨收(元)"), ("fin_buy", "融资买入金额(元)"),
     ("fin_repay", "融资偿还金额(元)"), ("fin_repay", "融资偿还(元)")],
)  # fmt: skip
def test_a_figure_is_read_in_every_spelling(tmp_path: Path, figure: str, header: str) -> None:
    buys, bought = ("", "") if figure == "fin_buy" else (",融资买入额(元)", ",7")
    path = tmp_path / "x.csv"
    path.write_text(f"日期,代码,收盘价(元),融资余额(元),{header}{buys}\n2018-08-02,600519,700.5,9,7{bought}\n", "utf-8")
    found = vendor.read([path])
    assert found.findings == []
    assert [row[figure] for part in found.tables for row in part.frame.to_dict("records") if figure in row] == [7.0]


def test_keys_that_pandas_wrote_as_the_index_are_columns(tmp_path: Path) -> None:
    rows = pd.DataFrame({"日期": ["2018-08-02"], "代码": ["600519"], "融资余额(元)": [9.0], "融资买入额(元)": [7.0]})
    rows.set_index(["日期", "代码"]).to_parquet(tmp_path / "x.parquet")
    assert rows_of(taken(tmp_path / "x.parquet")["margin.daily"]) == {"600519.SH": {"fin_balance": 9.0, "fin_buy": 7.0}}


def test_a_figure_that_no_table_reads_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(
        "日期,代码,收盘价(元),收盘均价(元),成交额(元),成交金额(万元),盘后成交额(元),涨跌幅\n"
        "2018-08-02,600519,9,9,9,9,9,0\n",
        "utf-8",
    )
    (finding,) = vendor.read([path]).findings
    assert finding.text.startswith("x.csv: the columns 成交金额(万元), 盘后成交额(元) are not read")


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("融资余额(元)", "融资余额", "no unit is given"),
        ("融券余量(股)", "融券余量", "no unit is given"),
        ("融券余量(股)", "融券余量(股/手)", "ambiguous"),
        ("融资买入额(元)", "融资买入额(万元)", "factor of its own"),
        ("2018-08-02,600519", "03/04/2018,600519", "ambiguous or unknown"),
        ("600519,贵", "maotai,贵", "in no style that is known"),
        ("股票简称", "融资余额(万元)", "are both 融资余额"),
        ("融资余额(元)", "余额", "give a mapping file"),
    ],
)
def test_chinese_headers_that_leave_a_doubt_are_refused(tmp_path: Path, old: str, new: str, reason: str) -> None:
    path = tmp_path / "x.csv"
    text = CHINESE.replace(old, new)
    path.write_text(text.replace("收盘价(元)", "涨跌幅") if new == "余额" else text, "utf-8")
    with pytest.raises(InputError, match=reason):
        taken(path)


# -- mapping files -------------------------------------------------------------------------------------------

BASE = """
[[table]]
topic = "margin.daily"
date = {{ column = "day", format = "%d.%m.%Y" }}
code = {{ column = "id", {code} }}
[table.columns]
fin_balance = {{ column = "balance", {unit} }}
fin_buy = {{ column = "buy", unit = "万元" }}
short_volume = {{ value = 0, unit = "股" }}
short_sell = {{ formula = "`sold today` * 2", where = "buy > 1", unit = "手" }}
"""


@pytest.mark.parametrize(
    ("style", "codes"),
    [
        ('style = "600519.SH"', ["600519.SH", "000001.SZ"]),
        ('style = "sh600519"', ["sh600519", "SZ000001"]),
        ('style = "sh.600519"', ["sh.600519", "sz.000001"]),
        ('style = "1.600519"', ["1.600519", "0.000001"]),
        ('style = "600519", exchange = "by number"', ["600519", "1"]),
        ('style = "600519", exchange_column = "market"', ["600519", "000001"]),
        ('codes = { MAOTAI = "600519.SH", PINGAN = "000001.SZ" }', ["MAOTAI", "PINGAN"]),
        ('codes = { "600519" = "600519.SH", "000001" = "000001.SZ" }', ["600519", "1"]),  # without its zeros
        ('codes = { "600519" = "600519.SH", "000001" = "000001.SZ" }', ["600519.SH", "sz000001"]),
        ('codes = { SH = "600519.SH", SZ = "000001.SZ" }', ["上交所", "SZSE"]),
    ],
)
def test_any_csv_by_a_mapping(tmp_path: Path, style: str, codes: list[str]) -> None:
    rules = mapped(tmp_path, BASE.format(code=style, unit='unit = "亿元"'))
    table = {"day": ["02.08.2018"] * 2, "id": codes, "market": ["沪", "深"], "balance": ["20.5", "1,044.3"],
             "buy": [1, 7880.0], "sold today": [3, 4]}  # fmt: skip
    path = tmp_path / "any.csv"
    pd.DataFrame(table).to_csv(path, index=False)
    assert rows_of(taken(path, rules)["margin.daily"]) == {
        "600519.SH": {"fin_balance": 20.5e8, "fin_buy": 1e4, "short_volume": 0.0},
        "000001.SZ": {"fin_balance": 1044.3e8, "fin_buy": 7.88e7, "short_volume": 0.0, "short_sell": 800.0},
    }


PRICES = """
[[table]]
topic = "prices.daily"
date = { column = "day" }
code = { column = "id", style = "600519.SH" }
[table.columns]
close = { column = "close", unit = "元" }
suspended = { column = "halt" }
"""


@pytest.mark.parametrize("kind", ["csv", "parquet"])
@pytest.mark.parametrize("halt", [2.0, -1.0, 0.5, np.inf])
def test_a_flag_other_than_0_and_1_is_reported_and_absent(tmp_path: Path, halt: float, kind: str) -> None:
    table = pd.DataFrame({"day": "2018-08-02", "id": ["600519.SH", "600000.SH"], "close": 9.0, "halt": [1.0, halt]})
    found = vendor.read([written(table, tmp_path, kind)], mapped(tmp_path, PRICES))
    assert [one.frame["suspended"].isna().tolist() for one in found.tables] == [[False, True]]
    ((severity, text),) = ((one.severity, one.text) for one in found.findings)
    assert f"row {2 if kind == 'parquet' else 3}, suspended (column 'halt')" in text
    assert (severity is Severity.WARNING) == (np.isfinite(halt) or kind == "parquet")


GOOD: dict[str, Any] = {"code": 'style = "600519.SH"', "unit": 'unit = "元"'}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BASE.format(**(GOOD | {"unit": "decimals = 2"})), "fin_balance: no unit is given"),
        (BASE.format(**(GOOD | {"unit": 'unit = "股"'})), "does not measure money"),
        (BASE.format(**(GOOD | {"unit": 'unit = "百"'})), "'百' is not known"),
        (BASE.format(**(GOOD | {"unit": 'unit = "元", formula = "a"'})), "one of `column`, `formula` and `value`"),
        (BASE.format(**(GOOD | {"unit": 'unti = "元"'})), "unti"),
        (BASE.format(**(GOOD | {"code": 'style = "600519"'})), "need `exchange` or `exchange_column`"),
        (BASE.format(**(GOOD | {"code": 'style = "600519", exchange = "LSE"'})), "'LSE' is not known"),
        (BASE.format(**(GOOD | {"code": 'style = "RIC"'})), "'RIC' is not known"),
        (BASE.format(**GOOD).replace("margin.daily", "margin.weekly"), "'margin.weekly' is not known"),
        (BASE.format(**GOOD).replace("margin.daily", "margin.intraday"), "'margin.intraday' is not known"),
        (BASE.format(**GOOD).replace("fin_buy", "fin_sold"), "no such figure"),
        (BASE.format(**GOOD).replace("margin.daily", "margin.market"), "keyed by exchange"),
        (BASE.format(**GOOD).replace("date =", "undated = true\ndate ="), "give one of `date"),
        ("[[table", "deploy/mapping.example.toml"),
    ],
)
def test_a_mapping_that_leaves_a_doubt_is_refused_before_any_file_is_read(
    tmp_path: Path, text: str, reason: str
) -> None:
    with pytest.raises(InputError, match=reason):
        mapped(tmp_path, text)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"balance": ["x", "1"]}, r"any.csv → margin.daily, row 2, fin_balance \(column 'balance'\): 'x' is no number"),
        ({"id": ["600519.SH", "AAPL"]}, "code 'AAPL' is not written like 600519.SH"),
        ({"day": ["02.08.2018", "2018-08-02"]}, "is not written as"),
        ({"day": ["02.08.2018", None]}, "not written as|no date"),
        ({"balance": None}, "column 'balance' is missing; there are day"),
        ({"sold today": None}, "formula .*'sold today' is missing"),
        ({"day": ["04.08.2018"] * 2}, "2018-08-04 is no trading day"),
    ],
)
def test_a_file_that_is_not_as_its_mapping_says_is_refused(
    tmp_path: Path, change: dict[str, list[object] | None], reason: str
) -> None:
    rules = mapped(tmp_path, BASE.format(**GOOD))
    table = {"day": ["02.08.2018"] * 2, "id": ["600519.SH", "000001.SZ"], "balance": ["1", "2"], "buy": [1, 2],
             "sold today": [3, 4]} | change  # fmt: skip
    path = tmp_path / "any.csv"
    pd.DataFrame({n: v for n, v in table.items() if v is not None}).to_csv(path, index=False)
    with pytest.raises(InputError, match=reason):
        taken(path, rules)


# -- the command ---------------------------------------------------------------------------------------------


def test_check_shows_the_first_rows_in_our_units_and_publishes_nothing(tmp_path: Path, sent: list[Message]) -> None:
    result = feed("vendor", written(MARGIN_DETAIL, tmp_path, "csv"), "--check")
    assert result.exit_code == 0, result.output
    assert sent == []
    assert "export.csv (tushare margin_detail) → margin.daily, 2 rows" in result.output
    assert "2018-08-02 000001.SZ: fin_balance 4,430,811,000, fin_buy 78,800,436" in result.output
    assert "nothing was published" in result.output


def test_a_column_that_changes_its_unit_on_the_second_day_stops(tmp_path: Path, sent: list[Message]) -> None:
    right = MARGIN.drop(columns="rzrqye")
    wrong = right.assign(trade_date="20180803", rzye=right["rzye"] / 1e8)
    path = written(pd.concat([right, wrong]), tmp_path, "parquet")
    result = feed("vendor", path)
    assert isinstance(result.exception, InputError)
    assert "fin_balance of SSE" in str(result.exception) and "--force" in str(result.exception)
    assert sent == []


def test_a_security_twice_in_one_file_stops_but_a_repeated_row_does_no_harm(
    tmp_path: Path, sent: list[Message]
) -> None:
    rows = MARGIN_DETAIL.drop(columns="rzrqye")
    again = rows.iloc[:1]
    assert feed("vendor", written(pd.concat([rows, again]), tmp_path, "csv")).exit_code == 0
    path = written(pd.concat([rows, again.assign(rzye=1.0)]), tmp_path, "csv")
    result = feed("vendor", path)
    assert isinstance(result.exception, InputError) and "000001.SZ" in str(result.exception)
    sent.clear()
    assert feed("vendor", path, "--force", "--as", "events").exit_code == 0
    values = [value for topic, _, key, value, _ in sent if key == b"000001.SZ"]
    assert len(values) == 1 and b'"fin_balance":4430811000.0' in values[0]


def test_errors_keep_their_brackets_on_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["marginwatch", "feed", "exchange", "--date", "2024-06-11"])
    monkeypatch.setitem(sys.modules, "akshare", None)
    with pytest.raises(SystemExit):
        main()
    assert "pip install 'marginwatch[fetch]'" in capsys.readouterr().err


def test_an_empty_folder_and_a_file_that_no_table_names_are_refused(tmp_path: Path, sent: list[Message]) -> None:
    result = feed("vendor", tmp_path)
    assert isinstance(result.exception, InputError) and f"{tmp_path} has no file with figures" in str(result.exception)
    result = feed("vendor", written(MARGIN, tmp_path, "csv"), "--map", EXAMPLE)
    assert isinstance(result.exception, InputError) and "no table of the mapping file fits" in str(result.exception)


@pytest.mark.parametrize("header", ["RZCHE", "rzche(元)", "Rzche（元）"])
def test_a_column_of_tushare_that_is_headed_otherwise_is_reported(tmp_path: Path, header: str) -> None:
    (tmp_path / "a.csv").write_text(
        f"trade_date,ts_code,rzye,rzmre,{header},rzrqye\n20240611,600519.SH,9,1,2,9\n", "utf-8"
    )
    found = vendor.read([tmp_path / "a.csv"])
    assert [one.text for one in found.findings if header in one.text and "are not read" in one.text]
    assert "fin_repay" not in found.tables[0].frame
