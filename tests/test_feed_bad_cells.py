"""One bad cell costs one row, which is counted; no code is guessed; a file whose codes are all unknown is named."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from feeds.cells.code_styles import plain_number
from feeds.cells.row_kinds import RowKind, row_kind
from feeds.checks.findings import Finding, Severity
from feeds.files import vendor
from feeds.files.dataset import SourceTables
from feeds.mappings import mapping
from processors.codes import to_codes

PRICES = """
[[table]]
topic = "prices.daily"
date = { column = "day" }
code = { column = "id", style = "600519", exchange = "by number" }
rows = "lent > 0"
[table.columns]
close = { column = "close", unit = "元" }
volume = { column = "volume", unit = "股" }
turnover = { formula = "worth * 1", unit = "元" }
"""
INDICES = """
[[table]]
topic = "indices.daily"
date = { column = "day" }
code = { column = "id", codes = { "000001" = "000001.SH", "399001" = "399001.SZ" } }
[table.columns]
close = { column = "close", unit = "元" }
"""


def read(folder: Path, rules: str, table: pd.DataFrame) -> SourceTables:
    (folder / "map.toml").write_text(rules, "utf-8")
    table.to_csv(folder / "any.csv", index=False)
    return vendor.read([folder / "any.csv"], mapping.load(folder / "map.toml"))


def codes(found: SourceTables) -> list[str]:
    return sorted(code for table in found.tables for code in to_codes(table.frame["key"].to_numpy()))


def losses(found: SourceTables) -> list[Finding]:
    return [one for one in found.findings if one.severity is not Severity.WARNING]


def prices(**changes: tuple[int, object]) -> pd.DataFrame:
    """Forty rows of prices; `changes` are cells: column → row, cell."""
    table = pd.DataFrame(
        {"day": "2020-07-22", "id": [600000 + i for i in range(40)], "lent": "5",
         "close": [str(8 + i) for i in range(40)], "volume": [str(1000 * (i + 1)) for i in range(40)]}, dtype=object,
    )  # fmt: skip
    table["worth"] = [str(1010 * (i + 1) * (8 + i)) for i in range(40)]
    for name, (row, cell) in changes.items():
        table.loc[row, name] = cell
    return table


@pytest.mark.parametrize("column", ["lent", "worth"])
@pytest.mark.parametrize("cell", ["#REF!", "1.2亿", "12..5"])
def test_a_cell_of_a_formula_that_can_not_be_read_costs_its_row(tmp_path: Path, column: str, cell: str) -> None:
    found = read(tmp_path, PRICES, prices(**{column: (7, cell)}))
    if column == "lent":
        assert len(codes(found)) == 39
        assert "600007.SH" not in codes(found)
    (loss,) = losses(found)
    assert loss.severity is Severity.REFUSED
    assert "row 9" in loss.text and column in loss.text


@pytest.mark.parametrize(
    ("column", "cell"), [("worth", "1212"), ("worth", "7878000"), ("volume", "60"), ("volume", "600000")]
)
def test_a_turnover_that_is_not_that_of_its_volume_costs_its_row(tmp_path: Path, column: str, cell: str) -> None:
    """A figure that is cut, or that is in another unit than those of the other rows."""
    assert losses(read(tmp_path, PRICES, prices())) == []
    found = read(tmp_path, PRICES, prices(**{column: (5, cell)}))
    (loss,) = losses(found)
    assert (loss.severity, loss.lost) == (Severity.REFUSED, (600005 * 4,))
    assert len(codes(found)) == 39


def test_turnovers_beside_adjusted_prices_are_not_judged(tmp_path: Path) -> None:
    table = prices()
    table["close"] = [str(8 * (i % 9 + 1) ** 2) for i in range(40)]
    assert [one for one in losses(read(tmp_path, PRICES, table)) if one.check == "row"] == []


def test_what_is_unread_of_a_formula_is_told_beside_a_condition_too(tmp_path: Path) -> None:
    rules = PRICES.replace(
        'turnover = { formula = "worth * 1",', 'turnover = { formula = "worth * 1", where = "lent > 1",'
    )
    (loss,) = losses(read(tmp_path, rules, prices(worth=(7, "#REF!"))))
    assert loss.severity is Severity.REFUSED
    assert "row 9" in loss.text and "worth" in loss.text


@pytest.mark.parametrize("ids", [["399300", "000905"], ["x", "y"]])
def test_a_file_none_of_whose_codes_the_mapping_has_is_named(tmp_path: Path, ids: list[str]) -> None:
    table = pd.DataFrame({"day": "2020-07-22", "id": ids, "close": "3300"})
    found = read(tmp_path, INDICES, table)
    assert codes(found) == []
    assert any(f"such as {ids[0]!r}" in one.text or ids[0].lstrip("0") in one.text for one in found.findings)


@pytest.mark.parametrize("code", ["00700", "0700", "09988"])
def test_a_code_of_hong_kong_is_none_of_shenzhen(code: str) -> None:
    assert plain_number(code) is None


@pytest.mark.parametrize("cell", ["#REF!", "#N/A", "#DIV/0!", "1,234元", "¥12.5", "(1,200)", "3.5亿元", "100股"])
def test_a_row_of_figures_is_one_whatever_its_cells_contain(cell: str) -> None:
    assert row_kind({"code": "#N/A", "balance": cell, "name": "浦发银行"}) is RowKind.FIGURES
    assert row_kind({"code": "数据来源", "balance": None, "name": "上交所"}) is RowKind.NOTE


@pytest.mark.parametrize("cut", ["sz000001", "sz000001,平安银行"])
def test_a_row_that_ends_behind_its_code_is_refused_and_no_note(tmp_path: Path, cut: str) -> None:
    whole = "sz159915,创业板ETF,1,2024-06-11,1\nsz300750,宁德时代,1,2024-06-11,1\n"
    head = "证券代码,证券简称,融资余额(元),日期,融资买入额(元)\n"
    (tmp_path / "明细.csv").write_text(f"{head}{cut}\n{whole}数据来源：某终端\n", "utf-8")
    found = vendor.read([tmp_path / "明细.csv"])
    assert codes(found) == ["159915.SZ", "300750.SZ"]
    (lost,) = losses(found)
    assert (lost.severity, "row 2" in lost.text) == (Severity.REFUSED, True)


MARGIN = "交易日期,证券代码,证券简称,融资余额(元),融资买入额(元)"
LINE = "2024-06-11,sz000001,平安银行,9,1"


@pytest.mark.parametrize("end", range(5, len(LINE)))
def test_a_row_that_ends_within_its_code_or_its_date_is_refused(tmp_path: Path, end: int) -> None:
    (tmp_path / "a.csv").write_text(f"{MARGIN}\n{LINE[:end]}\n{LINE.replace('01', '02')}\n数据来源,某终端\n", "utf-8")
    found = vendor.read([tmp_path / "a.csv"])
    (lost,) = losses(found)
    assert (codes(found), lost.severity, "row 2" in lost.text) == (["000002.SZ"], Severity.REFUSED, True)


@pytest.mark.parametrize("line", [f'"{LINE}"', *(LINE.replace(",", mark) for mark in (";", "\t", "|", "，", "  "))])
def test_a_row_in_one_cell_is_refused_and_no_note(tmp_path: Path, line: str) -> None:
    """Its line is quoted, or has another separator than the rest of the file."""
    (tmp_path / "a.csv").write_text(f'{MARGIN}\n{line}\n{LINE}\n"共 1 条, 第 1 页, 单位：元"\n', "utf-8")
    found = vendor.read([tmp_path / "a.csv"])
    (lost,) = losses(found)
    assert (codes(found), lost.severity, "row 2" in lost.text) == (["000001.SZ"], Severity.REFUSED, True)


def test_a_row_of_a_date_and_a_figure_in_one_cell_is_refused(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text(RATES, "utf-8")
    (tmp_path / "a.csv").write_text(
        'day,yield\n"2024-06-11,2.31"\n2024-06-12,2.33\n"2024-06-11, 2024-06-12"\n', "utf-8"
    )
    (lost,) = losses(vendor.read([tmp_path / "a.csv"], mapping.load(tmp_path / "map.toml")))
    assert (lost.severity, "row 2" in lost.text) == (Severity.REFUSED, True)


RATES = """
[[table]]
topic = "rates.daily"
date = { column = "day" }
tenor = "CN10Y"
[table.columns]
yield = { column = "yield", unit = "%" }
"""


@pytest.mark.parametrize("cell", ["2.2S", "2;25", "inf", "?"])
def test_a_day_whose_only_figure_can_not_be_read_is_refused(tmp_path: Path, cell: str) -> None:
    found = read(tmp_path, RATES, pd.DataFrame({"day": ["2024-06-11", "2024-06-12"], "yield": ["2.31", cell]}))
    (lost,) = losses(found)
    assert (lost.severity, f"row 3, yield (column 'yield'): '{cell}'" in lost.text) == (Severity.REFUSED, True)


def test_a_day_without_a_figure_is_counted(tmp_path: Path) -> None:
    found = read(tmp_path, RATES, pd.DataFrame({"day": ["2024-06-11", "2024-06-12"], "yield": ["2.31", ""]}))
    assert [one.check for one in found.findings] == ["empty"]


MEMBERS = """
[[table]]
topic = "reference"
code = { column = "code", style = "600519.SH" }
members_of = "index"
spell = { start = "from" }
"""
INDUSTRIES = """
[[table]]
topic = "reference"
undated = true
code = { column = "code", style = "600519.SH" }
[table.columns]
industry = { column = "industry" }
"""


@pytest.mark.parametrize(
    ("rules", "row"),
    [
        (MEMBERS, {"index": "000300.SH", "code": "60051O.SH", "from": "2024-06-11"}),
        (MEMBERS, {"index": "000300.SH", "code": "茅台", "from": "2024-06-11"}),
        (MEMBERS, {"index": "沪深", "code": "600519.SH", "from": "2024-06-11"}),
        (INDUSTRIES, {"code": "60051O.SH", "industry": "食品饮料"}),
    ],
)
def test_a_row_of_master_data_that_can_not_be_read_is_refused_though_it_has_no_figures(
    tmp_path: Path, rules: str, row: dict[str, str]
) -> None:
    right = {"index": "000300.SH", "code": "600036.SH", "from": "2024-06-11", "industry": "银行"}
    found = read(tmp_path, rules, pd.DataFrame([{name: right[name] for name in row}, row]))
    (lost,) = losses(found)
    assert (codes(found), lost.severity, "row 3" in lost.text) == (["600036.SH"], Severity.REFUSED, True)


@pytest.mark.parametrize("cut", ["000300.SH,", "000300.SH", "000300.S", "沪深300,", "000300.SH,510300.SH2024-06-13"])
def test_a_member_whose_row_is_cut_behind_its_index_is_refused(tmp_path: Path, cut: str) -> None:
    (tmp_path / "map.toml").write_text(MEMBERS, "utf-8")
    (tmp_path / "a.csv").write_text(f"index,code,from\n{cut}\n000300.SH,600036.SH,2024-06-11\n", "utf-8")
    found = vendor.read([tmp_path / "a.csv"], mapping.load(tmp_path / "map.toml"))
    (lost,) = losses(found)
    assert (codes(found), lost.severity, "row 2" in lost.text) == (["600036.SH"], Severity.REFUSED, True)


@pytest.mark.parametrize("table", ["totals", "rates"])
def test_rows_above_the_header_are_refused(tmp_path: Path, table: str) -> None:
    """A file that is sorted has its header behind its digits."""
    head = {"totals": "trade_date,exchange_id,rzye,rzmre", "rates": "day,yield"}[table]
    rest = {"totals": ",SSE,9,1", "rates": ",2.31"}[table]
    lines = ["单位,元", "更新日期,2024-06-14", *(f"2024061{day}{rest}" for day in (1, 2)), head, f"20240613{rest}"]
    (tmp_path / "map.toml").write_text(RATES, "utf-8")
    (tmp_path / "a.csv").write_text("\n".join(lines), "utf-8")
    found = vendor.read([tmp_path / "a.csv"], mapping.load(tmp_path / "map.toml") if table == "rates" else None)
    (lost,) = losses(found)
    assert (lost.severity, "2 rows" in lost.text, "row 5" in lost.text) == (Severity.REFUSED, True, True)
    assert sum(len(one.frame) for one in found.tables) == 1


BY_KIND = """
[[table]]
topic = "indices.daily"
date = { column = "day" }
code = { column = "id", style = "600519.SH" }
rows = "kind == 'index'"
[table.columns]
close = { column = "close", unit = "点" }
"""


@pytest.mark.parametrize(
    ("rules", "row", "cuts"),
    [
        (INDICES, "2020-07-22,399001,13000", (10, 11, 14, 17)),
        (BY_KIND, "2020-07-22,399001.SZ,13000,index", (22, 26)),
    ],
)
def test_a_row_that_is_cut_before_what_shows_that_it_is_wanted_is_refused(
    tmp_path: Path, rules: str, row: str, cuts: tuple[int, ...]
) -> None:
    (tmp_path / "map.toml").write_text(rules, "utf-8")
    for cut in cuts:
        lines = ["day,id,close,kind"[: -5 if rules == INDICES else None], row[:cut], row.replace("22", "23"), ""]
        (tmp_path / "any.csv").write_text("\n".join(lines), "utf-8")
        found = vendor.read([tmp_path / "any.csv"], mapping.load(tmp_path / "map.toml"))
        (lost,) = losses(found)
        assert (codes(found), lost.severity, "row 2" in lost.text) == (["399001.SZ"], Severity.REFUSED, True), row[:cut]


def test_words_in_place_of_a_price_or_a_pe_are_no_figure(tmp_path: Path) -> None:
    """A tenth of the stocks makes a loss or is suspended: that is no file whose cells can't be read."""
    rules = tmp_path / "map.toml"
    table = '[[table]]\ntopic = "{}"\ndate = {{ column = "d" }}\ncode = {{ column = "c" }}\n[table.columns]\n'
    multiples = 'pe_ttm = { column = "pe" }\npb = { column = "pb" }\n'
    trades = 'close = { column = "p", unit = "元" }\nvolume = { column = "v", unit = "股" }\n'
    text = table.format("valuations.daily") + multiples + table.format("prices.daily") + trades
    rules.write_text(text, "utf-8")
    sound = [f"2024-06-11,{600_000 + at}.SH,20,1.5,10,100" for at in range(60)]
    odd = [f"2024-06-11,{601_000 + at}.SH,亏损,1.5,停牌,0" for at in range(10)]
    (tmp_path / "a.csv").write_text("\n".join(["d,c,pe,pb,p,v", *sound, *odd]), "utf-8")
    found = vendor.read([tmp_path / "a.csv"], mapping.load(rules))
    assert [(one.topic, len(one.frame)) for one in found.tables] == [("valuations.daily", 70), ("prices.daily", 60)]
    assert {one.severity for one in found.findings} <= {Severity.WARNING}
