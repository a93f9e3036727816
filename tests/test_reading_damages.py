"""Damaged files: what a download, a disk, a text editor or a careless export leaves of one.

Figures are made up.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from feeds.checks.validate import Severity
from feeds.errors import InputError
from feeds.files import vendor
from feeds.files.dataset import SourceTables
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


@pytest.mark.parametrize(("first", "second"), [(3, 4), (3, 5)])
@pytest.mark.parametrize("place", [4, 6])
def test_quotation_marks_that_enclose_rows_are_refused(tmp_path: Path, first: int, second: int, place: int) -> None:
    text = lines()
    for row, mark in ((first, '"{}'), (second, '{}"')):
        cells = text[row].split(",")
        text[row] = ",".join([*cells[:place], mark.format(cells[place]), *cells[place + 1 :]])
    with pytest.raises(InputError, match=rf"the row that ends at line {second + 1} encloses several rows: remove it"):
        read(tmp_path, "\n".join(text))


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
    ],
)
def test_bytes_that_are_no_text_are_refused_with_their_place(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        read(tmp_path, content)


@pytest.mark.parametrize(("count", "end", "reported"), [(99, "", True), (99, "\n", False), (8, "", False)])
def test_a_long_text_without_a_last_line_break_may_be_cut_off(
    tmp_path: Path, count: int, end: str, reported: bool
) -> None:
    found = read(tmp_path, "\n".join(lines(count)) + end)
    assert [f"line {count + 1}" in one.text for one in found.findings if one.check == "end"] == [True] * reported


# -- workbooks and parquet -------------------------------------------------------------------------------------


SHEETS: dict[str, Any] = {"明细信息": SSE_DETAIL}


@pytest.mark.parametrize("damage", ["cut", "nul"])
def test_a_damaged_sheet_of_a_workbook_is_named(tmp_path: Path, damage: str) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook(**SHEETS))) as given, zipfile.ZipFile(out, "w") as made:
        for name in given.namelist():
            content = given.read(name)
            if "sheet1" in name:
                content = content[: len(content) // 2] if damage == "cut" else content.replace(b"<v>", b"<v>\0", 1)
            made.writestr(name, content)
    with pytest.raises(InputError, match=r"a\.xlsx is a damaged workbook .*download it again"):
        read(tmp_path, out.getvalue(), "a.xlsx")


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


def test_true_and_false_are_no_figures(tmp_path: Path) -> None:
    found = read(tmp_path, parquet(rzye=TABLE["rzye"] > 0), "a.parquet")
    assert codes(found) == 0 and "True is no number" in refused(found)[0]


def test_short_floats_are_reported(tmp_path: Path) -> None:
    found = read(tmp_path, parquet(rqmcl=TABLE["rqmcl"].astype(np.float16)), "a.parquet")
    assert ["16-bit floats, which are exact to 3 digits" in one.text for one in found.findings] == [True]
