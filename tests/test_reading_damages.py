"""Damaged files: what a download, a disk, a text editor or a careless export leaves of one.

Figures are made up.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from feeds import folder
from feeds.checks.findings import Severity
from feeds.errors import InputError
from feeds.files import vendor
from feeds.files.dataset import SourceTables
from feeds.mappings import mapping
from tests.test_feed_exchange import SSE_DETAIL, workbook

HEAD = "trade_date,ts_code,rzye,rzmre,rqyl,rqmcl,note"


def lines(count: int = 8) -> list[str]:
    return [HEAD, *(f"20240611,{600_000 + n}.SH,{10**9 + n},{10**7 + n},{1000 + n},{100 + n},ok" for n in range(count))]


def read(folder: Path, content: str | bytes, name: str = "a.csv") -> SourceTables:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return vendor.read([path])


def refused(found: SourceTables) -> list[str]:
    return [one.text for one in found.findings if one.severity is Severity.REFUSED]


def codes(found: SourceTables) -> int:
    return sum(len(table.frame) for table in found.tables)


def dates(found: SourceTables) -> list[str]:
    return [one.text for one in found.findings if one.check == "date"]


@pytest.mark.parametrize(
    ("name", "days", "said"),
    [
        (
            "margin_20240607.csv",
            ["20240611"],
            "margin_20240607.csv: its rows are of 2024-06-11, after the date in its name",
        ),
        ("margin_20240611.csv", ["20240611"], None),
        ("margin_20240612.csv", ["20240611"], None),  # the day on which it was saved
        ("margin_since_20240603.csv", ["20240611", "20240612"], None),
        ("margin.csv", ["20240611"], None),
    ],
)
def test_a_file_that_is_older_than_its_rows_is_reported(
    tmp_path: Path, name: str, days: list[str], said: str | None
) -> None:
    rows = [HEAD, *(line.replace("20240611", day) for day in days for line in lines()[1:])]
    found = dates(read(tmp_path, "\n".join(rows) + "\n", name))
    assert len(found) == (said is not None) and all(said in one for one in found if said)


# -- texts -----------------------------------------------------------------------------------------------------


def test_a_row_that_lacks_a_cell_is_refused_though_its_last_column_is_not_read(tmp_path: Path) -> None:
    """Its figures are those of the columns beside them."""
    text = lines()
    text[3] = text[3].replace("1000000002,", "")
    found = read(tmp_path, "\n".join(text))
    assert codes(found) == 7
    assert len(refused(found)) == 1 and "row 4, it ends before column 'note'" in refused(found)[0]


def test_a_row_with_more_cells_than_the_header_is_refused_for_that(tmp_path: Path) -> None:
    text = lines()
    text[3] += ",1"
    (reason,) = refused(read(tmp_path, "\n".join(text)))
    assert "row 4, <more cells than its header" in reason


@pytest.mark.parametrize("count", [2, 8])
def test_a_row_that_a_comma_shifts_into_a_blank_last_column_is_refused(tmp_path: Path, count: int) -> None:
    text = [line.removesuffix("ok") for line in lines(count)]
    text[2] = text[2].replace("1000000001", "1,000")
    (reason,) = refused(read(tmp_path, "\n".join(text)))
    assert "row 3, <more cells than its header" in reason


def test_a_shifted_row_is_refused_though_the_mapping_lists_the_codes_that_are_wanted(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(MAPPED.replace('"code" }', '"code", codes = { "1" = "600000.SH" } }'), "utf-8")
    path = tmp_path / "a.csv"
    path.write_text("date,code,rzye,rzmre\n20240611,2,9,1\n20240611,1,9,000,1\n20240612,1,9,1\n", "utf-8")
    found = vendor.read([path], mapping.load(tmp_path / "a.toml"))
    (reason,) = refused(found)
    assert codes(found) == 1 and "row 3, <more cells than its header" in reason


@pytest.mark.parametrize("commas", [["", *[","] * 8], [","] * 9, ["", *[",", ",,"] * 4], ["", *[","] * 7, ""]])
def test_rows_that_end_with_a_separator_are_read(tmp_path: Path, commas: list[str]) -> None:
    text = "\n\n".join(line + end for line, end in zip(lines(), commas, strict=True))
    found = read(tmp_path, text)
    assert codes(found) == 8 and refused(found) == []


@pytest.mark.parametrize(("first", "second"), [(3, 4), (3, 5)])
@pytest.mark.parametrize("place", [4, 6])
def test_quotation_marks_that_enclose_rows_are_refused(tmp_path: Path, first: int, second: int, place: int) -> None:
    text = lines()
    for row, mark in ((first, '"{}'), (second, '{}"')):
        cells = text[row].split(",")
        text[row] = ",".join([*cells[:place], mark.format(cells[place]), *cells[place + 1 :]])
    with pytest.raises(InputError, match=rf"the row that ends at line {second + 1} encloses several rows: remove it"):
        read(tmp_path, "\n".join(text))


@pytest.mark.parametrize(("header", "reported"), [("", True), ("Unnamed: 4", True), ("x", False)])
def test_a_column_of_figures_without_a_header_is_reported(tmp_path: Path, header: str, reported: bool) -> None:
    text = [HEAD.replace("rqyl", header), *lines()[1:]]
    numbered = "\n".join(f"{place or ''},{line}" for place, line in enumerate(text))
    found = read(tmp_path, numbered)
    assert ["columns 6 have figures and no header" in one.text for one in found.findings] == [True] * reported
    assert codes(found) == 8


def test_a_quoted_cell_of_two_lines_is_a_cell(tmp_path: Path) -> None:
    text = [HEAD.replace("note", '"note\n(see below)"'), *lines()[1:], '"Source: made up,\nby hand, here"']
    found = read(tmp_path, "\n".join(text))
    assert codes(found) == 8 and refused(found) == []


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("\n".join(lines(120)).encode() + b"\0" * 4096, r"NUL bytes from byte 6,166 on: its download was not finished"),
        ("银,1\n".encode() + "银,1\n".encode("gb18030"), "line 2 is not UTF-8, line 1 is not GB18030: .* joined"),
        ("银,1\n".encode("gb18030") + "银,1\n".encode(), "line 1 is not UTF-8, line 2 is not GB18030"),
        ("浦发银行,1\n".encode() * 3 + "平安银行,1\n".encode("gb18030"), "line 4 is not UTF-8: .* joined"),
        ("浦发银行,1\n".encode("gb18030") * 3 + "平安银行,1\n".encode(), "line 1 is not UTF-8: .* joined"),
    ],
)
def test_bytes_that_are_no_text_are_refused_with_their_place(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read(tmp_path, content)


def test_a_name_in_gb18030_that_is_also_utf8_is_read(tmp_path: Path) -> None:
    """联通 in GB18030 is two letters in UTF-8."""
    text = "证券代码,证券简称,交易日期,融资余额(元),融资买入额(元)\n600050,联通,20240611,9,1\n"
    found = read(tmp_path, text.encode("gb18030"))
    assert found.tables[0].frame["name"].tolist() == ["联通"]


@pytest.mark.parametrize(("count", "end", "reported"), [(99, "", True), (99, "\n", False), (8, "", False)])
def test_a_long_text_without_a_last_line_break_may_be_cut_off(
    tmp_path: Path, count: int, end: str, reported: bool
) -> None:
    found = read(tmp_path, "\n".join(lines(count)) + end)
    assert [f"line {count + 1}" in one.text for one in found.findings if one.check == "end"] == [True] * reported


TOTALS = "交易日期,交易所,融资余额({0}),融资买入额({0}),融券余量(股),融券卖出量(股)\n20240611,{1},78{2},5{2},3000,100\n"
MAPPED = """[[table]]
topic = "margin.daily"
date = { column = "date" }
code = { column = "code" }
[table.columns]
fin_balance = { column = "rzye", unit = "元" }
fin_buy = { column = "rzmre", unit = "元" }
"""


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (TOTALS.format("元", "沪市", "0000000000"), TOTALS.format("万元", "深市", "000000")),
        (
            TOTALS.format("元", "沪市", "0000000000"),
            TOTALS.format("元", "深市", "0000000000").replace(",融资余额(元)", ""),
        ),
        ("date,code,rzye,rzmre\n20240611,600000.SH,9,1\n", "date,code,rzmre,rzye\n20240611,000001.SZ,1,9\n"),
        ("date,code,rzye,rzmre,a\n20240611,600000.SH,9,1,7\n", "date,code,rzye,b,rzmre\n20240611,000001.SZ,9,7,1\n"),
    ],
)
def test_a_header_of_other_columns_or_units_within_a_file_is_refused_with_its_line(
    tmp_path: Path, first: str, second: str
) -> None:
    (tmp_path / "a.toml").write_text(MAPPED, "utf-8")
    rules = mapping.load(tmp_path / "a.toml") if "code" in first else None
    path = tmp_path / "a.csv"
    path.write_text(first + second, "utf-8")
    with pytest.raises(InputError, match=r"a\.csv: row 3 is a header of other .* than that of row 1: .* save the rows"):
        vendor.read([path], rules)


def test_a_header_again_is_no_row_though_a_title_gives_its_units(tmp_path: Path) -> None:
    head = "交易日期,交易所,融资余额,融资买入额,融券余量(股),融券卖出量(股)\n"
    text = f"单位：元,,,,,\n{head}20240611,沪市,9,1,3,1\n{head}20240611,深市,8,1,3,1\n交易日期,交易所,,,,\n"
    found = read(tmp_path, text)
    assert codes(found) == 2 and refused(found) == []


# -- workbooks and parquet -------------------------------------------------------------------------------------


SHEETS: dict[str, Any] = {"明细信息": SSE_DETAIL}


def altered(member: str, change: Callable[[bytes], bytes], content: bytes | None = None) -> bytes:
    """Return a workbook of which a change made one member."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content or workbook(**SHEETS))) as given, zipfile.ZipFile(out, "w") as made:
        for name in given.namelist():
            content = given.read(name)
            made.writestr(name, change(content) if name == member else content)
    return out.getvalue()


@pytest.mark.parametrize(
    ("member", "change"),
    [
        ("xl/worksheets/sheet1.xml", lambda content: content[: len(content) // 2]),
        ("xl/worksheets/sheet1.xml", lambda content: content.replace(b"<v>", b"<v>\0", 1)),
        ("xl/workbook.xml", lambda content: re.sub(rb'calcId="\d+"', b'calcId="x"', content)),  # a TypeError
        ("xl/styles.xml", lambda content: content.replace(b"<border>", b"<fonts>", 1)),
    ],
)
def test_a_damaged_part_of_a_workbook_is_refused_by_name(
    tmp_path: Path, member: str, change: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(InputError, match=r"a\.xlsx is a damaged workbook .*download it again"):
        read(tmp_path, altered(member, change), "a.xlsx")


@pytest.mark.parametrize(
    ("value", "to_compute", "repaid"),
    [(b"<v/>", False, np.nan), (b"<v></v>", False, np.nan), (b"", False, np.nan), (b"<v>0</v>", True, np.nan),
     (b"<v>0</v>", False, 0.0), (b"<v>7</v>", True, 7.0)],
)  # fmt: skip
def test_a_formula_that_no_program_has_computed_is_no_absent_figure(
    tmp_path: Path, value: bytes, to_compute: bool, repaid: float
) -> None:
    """Libraries write formulas without values, or with 0; a spreadsheet program computes them when it opens it."""
    cell, formula = b'<c r="E2"><v>90000000</v></c>', b'<c r="E2"><f>D2-1</f>' + value + b"</c>"
    book = altered("xl/worksheets/sheet1.xml", lambda content: re.sub(rb'(<c r="E2") t="n"', rb"\1", content))
    book = altered("xl/worksheets/sheet1.xml", lambda content: content.replace(cell, formula), book)
    if not to_compute:
        book = altered("xl/workbook.xml", lambda content: content.replace(b'fullCalcOnLoad="1"', b""), book)
    found = read(tmp_path, book, "20240611.xlsx")
    np.testing.assert_equal(found.tables[0].frame["fin_repay"].iloc[0], repaid)
    reasons = refused(found)
    assert len(reasons) == np.isnan(repaid)
    assert all("row 2, fin_repay" in one and "a formula without its value" in one for one in reasons)


@pytest.mark.parametrize("fill", [b"<fill/>", b"<fill></fill>"])
def test_a_workbook_with_an_empty_fill_is_read(tmp_path: Path, fill: bytes) -> None:
    """Web systems write such styles; openpyxl refuses them."""
    content = altered("xl/styles.xml", lambda styles: re.sub(rb"<fill>.*?</fill>", fill, styles))
    found, expected = (read(tmp_path, one, "2024-06-11.xlsx") for one in (content, workbook(**SHEETS)))
    assert codes(found) == codes(expected) > 0
    assert found.tables[0].frame.equals(expected.tables[0].frame)


TABLE = pd.DataFrame(
    {
        "trade_date": "20240611",
        "ts_code": [f"{600_000 + n}.SH" for n in range(8)],
        "rzye": np.arange(8) + 1e9,
        "rzmre": np.arange(8) + 1e7,
        "rqyl": np.arange(8) + 1e3,
        "rqmcl": np.arange(8) + 1e4,
    }
)


def parquet(**columns: Any) -> bytes:
    out = io.BytesIO()
    TABLE.assign(**columns).to_parquet(out)
    return out.getvalue()


@pytest.mark.parametrize("cell", [["600000.SH"], {"code": "600000.SH"}])
@pytest.mark.parametrize("column", ["ts_code", "trade_date", "rzye", "unread"])
def test_a_nested_column_of_parquet_is_refused_where_it_is_read(tmp_path: Path, column: str, cell: Any) -> None:
    found = read(tmp_path, parquet(**{column: [cell] * 8}), "a.parquet")
    assert codes(found) == (8 if column == "unread" else 0)
    assert len(refused(found)) == (0 if column == "unread" else 8)


@pytest.mark.parametrize(
    ("metadata", "code"),
    [(None, b"\xff00000.SH"), ({"pandas": "{}"}, b"600000.SH")],  # a UnicodeDecodeError, a KeyError
)
def test_a_damaged_parquet_file_is_refused_by_name(
    tmp_path: Path, metadata: dict[str, str] | None, code: bytes
) -> None:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(TABLE).replace_schema_metadata(metadata), out, compression="none")
    with pytest.raises(InputError, match=r"a\.parquet is a damaged parquet file .*export it again"):
        read(tmp_path, out.getvalue().replace(b"600000.SH", code), "a.parquet")


def test_true_and_false_are_no_figures(tmp_path: Path) -> None:
    found = read(tmp_path, parquet(rzye=TABLE["rzye"] > 0), "a.parquet")
    assert codes(found) == 0 and "True is no number" in refused(found)[0]


def test_short_floats_are_reported(tmp_path: Path) -> None:
    found = read(tmp_path, parquet(rqmcl=TABLE["rqmcl"].astype(np.float16)), "a.parquet")
    assert ["16-bit floats, which are exact to 3 digits" in one.text for one in found.findings] == [True]


# -- columns of prices -----------------------------------------------------------------------------------------

PRICES = ["open", "high", "low", "close", "pre_close", "vol", "amount"]


def bars(count: int = 60) -> pd.DataFrame:
    """Tushare's bars of so many stocks of a day: vol in 手, amount in 千元."""
    rng = np.random.default_rng(3)
    before = np.round(rng.uniform(3, 60, count), 2)
    close, start = np.round(before * rng.uniform(0.95, 1.05, count), 2), np.round(before * 1.01, 2)
    vol = np.round(10 ** rng.uniform(3, 6, count))
    return pd.DataFrame(
        {
            "ts_code": [f"{600_000 + n}.SH" for n in range(count)],
            "trade_date": "20240611",
            "open": start,
            "high": np.round(np.fmax(close, start) * 1.01, 2),
            "low": np.round(np.fmin(close, start) * 0.99, 2),
            "close": close,
            "pre_close": before,
            "vol": vol,
            "amount": np.round(vol * close / 10, 3),
        }
    )


def errors(folder: Path, table: pd.DataFrame) -> set[str]:
    found = read(folder, table.to_csv(index=False))
    return {one.check for one in found.findings if one.severity is Severity.ERROR}


def test_bars_without_a_fault_have_no_finding(tmp_path: Path) -> None:
    assert read(tmp_path, bars().to_csv(index=False)).findings == []


@pytest.mark.parametrize("column", ["high", "low", "pre_close", "vol", "amount"])
def test_a_column_that_slipped_by_a_row_against_the_codes_is_an_error(tmp_path: Path, column: str) -> None:
    table = bars()
    assert errors(tmp_path, table.assign(**{column: np.roll(table[column], 1)}))


@pytest.mark.parametrize(("one", "other"), [("open", "high"), ("high", "low"), ("low", "close")])
def test_columns_that_are_swapped_are_an_error(tmp_path: Path, one: str, other: str) -> None:
    assert errors(tmp_path, bars().rename(columns={one: other, other: one}))


@pytest.mark.parametrize("share", [0.2, 1.0])
@pytest.mark.parametrize("factor", [100.0, 0.01])
@pytest.mark.parametrize("column", ["open", "high", "low", "pre_close"])
def test_a_column_of_prices_in_another_unit_is_an_error(
    tmp_path: Path, column: str, factor: float, share: float
) -> None:
    table = bars()
    table.loc[: share * len(table) - 1, column] *= factor
    assert errors(tmp_path, table)


def test_adjusted_prices_beside_volumes_are_none_of_other_stocks(tmp_path: Path) -> None:
    table = bars()
    factors = np.linspace(0.02, 1, len(table))
    for name in PRICES[:5]:
        table[name] *= factors
    assert errors(tmp_path, table) == set()


def test_a_column_most_of_whose_cells_are_unreadable_is_an_error(tmp_path: Path) -> None:
    """1.234.567 is no number, and 917.001 beside it is 917,001."""
    table = bars().astype({"vol": object})
    table.loc[10:, "vol"] = "1.234.567"
    assert errors(tmp_path, table) == {"rows"}


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".xlsx"])
def test_a_file_of_a_folder_that_is_empty_is_said_to_be(suffix: str, tmp_path: Path) -> None:
    (tmp_path / f"margin_detail_sse_2020{suffix}").write_bytes(b"")
    with pytest.raises(InputError, match="is empty: export it again"):
        folder.read_tables(tmp_path)
