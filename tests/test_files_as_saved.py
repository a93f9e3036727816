"""Files as people save them: each gives exactly the rows that it was made from, or an error that names the place.

A generator draws rows and a way to save them: kind of file, encoding, separator, titles, repeated headers, sums, notes,
blank rows and columns, units, spellings of dates, codes and numbers, order of columns; and sometimes one fault.
"""

from __future__ import annotations

import csv
import gzip
import io
import tempfile
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from feeds.checks.findings import Severity
from feeds.errors import InputError
from feeds.files import vendor
from feeds.files.dataset import gather
from processors.codes import to_code
from processors.days import to_date
from processors.events import RowBatch
from streams.calendars import xshg

CODES = {
    "600519.SH": "贵州茅台", "688981.SH": "中芯国际", "510300.SH": "300ETF", "000001.SZ": "平安银行",
    "300750.SZ": "宁德时代", "159915.SZ": "创业板ETF", "430047.BJ": "诺思兰德", "920002.BJ": "万达轴承",
}  # fmt: skip
EASTMONEY = {"SH": "1", "SZ": "0", "BJ": "0"}
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")
CODE_SPELLINGS: dict[str, Any] = {
    "600519": lambda n, m: n,
    "sh600519": lambda n, m: m.lower() + n,
    "SH600519": lambda n, m: m + n,
    "600519.SH": lambda n, m: f"{n}.{m}",
    "sh.600519": lambda n, m: f"{m.lower()}.{n}",
    "1.600519": lambda n, m: f"{EASTMONEY[m]}.{n}",
    '="600519"': lambda n, m: f'="{n}"',
    "'600519": lambda n, m: f"'{n}",
    "full width": lambda n, m: n.translate(FULL_WIDTH),
    "number": lambda n, m: int(n),
}
DATE_SPELLINGS: dict[str, Any] = {
    "2024-06-11": lambda d: d.isoformat(),
    "20240611": lambda d: f"{d:%Y%m%d}",
    "2024/6/11": lambda d: f"{d.year}/{d.month}/{d.day}",
    "2024年6月11日": lambda d: f"{d.year}年{d.month}月{d.day}日",
    "2024.06.11": lambda d: f"{d:%Y.%m.%d}",
    "moment": lambda d: f"{d.isoformat()} 15:00:00",
    "UTC": lambda d: f"{d - timedelta(days=1)}T16:00:00Z",
    "cell": lambda d: datetime(d.year, d.month, d.day),
}
HEADERS = {
    "fin_balance": "融资余额", "fin_buy": "融资买入额", "fin_repay": "融资偿还额", "short_volume": "融券余量",
    "short_sell": "融券卖出量", "short_repay": "融券偿还量",
}  # fmt: skip
REQUIRED = ("fin_balance", "fin_buy")
UNITS = {"元": 0, "万元": 4, "亿元": 8, "股": 0, "万股": 4}
FAULTS = ("word", "rounded", "empty", "negative", "code", "twice", "date", "unit", "cut", "shifted")
SESSIONS = [date(2024, 6, 11), date(2024, 6, 12), date(2024, 6, 13)]
Model = dict[tuple[str, date], dict[str, int | None]]


@dataclass
class Saved:
    """A file: the rows that it was made from, its cells, and the place of its fault."""

    rows: Model = field(repr=False)
    name: str
    content: bytes
    fault: str | None
    lost: set[tuple[str, date]] = field(default_factory=set)
    named: tuple[str, ...] = ()  # what the error must name


def number_text(value: int, places: int, style: str) -> object:
    """Write a figure in a unit of 10^places, with all its digits."""
    scaled = Decimal(value).scaleb(-places)
    text = f"{scaled:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    if style == "number":
        return float(text) if "." in text else int(text)
    return f"{Decimal(text):,}" if style == "thousands" else f'="{text}"' if style == "formula" else text


@st.composite
def files(draw: Any, faults: tuple[str | None, ...]) -> Saved:
    kind = draw(st.sampled_from(["csv", "tsv", "txt", "xls", "xlsx", "csv.gz", "CSV"]))
    workbook = kind == "xlsx"
    dated = draw(st.booleans())
    days = draw(st.lists(st.sampled_from(SESSIONS), min_size=1, max_size=3, unique=True)) if dated else SESSIONS[:1]
    codes = draw(st.lists(st.sampled_from(sorted(CODES)), min_size=3, max_size=8, unique=True))
    figures = [name for name in HEADERS if name in REQUIRED or draw(st.booleans())]
    amount = st.integers(1, 10**12 - 1)
    rows: Model = {
        (code, day): {
            name: draw(amount if name in REQUIRED else st.one_of(st.none(), amount)) for name in figures
        }
        for day in days for code in codes
    }  # fmt: skip
    fault = draw(
        st.sampled_from([one for one in faults if (one != "date" or dated) and not (workbook and one == "cut")])
    )

    # -- how figures, codes and dates are written
    units = {
        n: draw(st.sampled_from(["元", "万元", "亿元"] if n.startswith("fin") else ["股", "万股"])) for n in figures
    }
    style = draw(st.sampled_from(["plain", "thousands", "number" if workbook else "formula"]))
    spell = CODE_SPELLINGS[
        draw(st.sampled_from([one for one in CODE_SPELLINGS if one != ('="600519"' if workbook else "number")]))
    ]
    spell_date = DATE_SPELLINGS[draw(st.sampled_from([one for one in DATE_SPELLINGS if workbook or one != "cell"]))]
    blank = draw(st.sampled_from(["", "-", "--"]))
    brackets = draw(st.sampled_from(["({})", "（{}）", " ({})", "\n({})"]))

    # -- the columns, in any order
    columns: list[str] = ["code", "name", *(["date"] if dated else []), *figures]
    extra = draw(st.lists(st.sampled_from(["note", "index"]), unique=True))
    columns = draw(st.permutations(columns + [one for one in extra if one == "note"]))
    columns = (["index"] if "index" in extra else []) + list(columns)
    names = {
        "code": draw(st.sampled_from(["证券代码", "股票代码", "代码"] if dated else ["股票代码", "代码"])),
        "name": draw(st.sampled_from(["证券简称", "股票名称", "名称"])),
        "date": draw(st.sampled_from(["日期", "交易日期", "交易日"])), "note": "备注", "index": "",
    }  # fmt: skip
    bare = draw(st.sampled_from(figures)) if fault == "unit" else None
    today = draw(st.sampled_from(["", "本日"]))
    head = [
        names[one] if one in names else f"{today}{HEADERS[one]}{'' if one == bare else brackets.format(units[one])}"
        for one in columns
    ]

    # -- the rows
    def cell(one: str, key: tuple[str, date], place: int) -> object:
        if one in ("code", "name", "date"):
            number, market = key[0].split(".")
            return {"code": spell(number, market), "name": CODES[key[0]], "date": spell_date(key[1])}[one]
        if one in ("index", "note"):
            return place if one == "index" else ""
        value = rows[key][one]
        return blank if value is None else number_text(value, UNITS[units[one]], style)

    grid: list[list[object]] = []
    titles = [["融资融券交易明细"], ["导出时间：2024-07-01 08:15:00"], [], ["单位见表头", "保留"]]
    grid += [list(title) for title in draw(st.lists(st.sampled_from(titles), max_size=3))]
    grid.append(list(head))
    places: dict[tuple[str, date], int] = {}
    again = draw(st.integers(0, len(rows))) if draw(st.booleans()) else None
    gaps = draw(st.sets(st.integers(0, len(rows)), max_size=2))
    for place, key in enumerate(rows):
        if place == again:
            grid.append(list(head))
        if place in gaps:
            grid.append([""] * draw(st.integers(0, len(columns))))
        grid.append([cell(one, key, place) for one in columns])
        places[key] = len(grid)
    if draw(st.booleans()):
        word = draw(st.sampled_from(["合计", "总计：", "合 计", "Total"]))
        sums = {n: sum(row[n] or 0 for row in rows.values()) for n in figures}
        grid.append([word if one == "code" else "" if one in names else number_text(sums[one], UNITS[units[one]], style)
                     for one in columns])  # fmt: skip
    if draw(st.booleans()):
        grid.append([draw(st.sampled_from(["数据来源：某终端", "共 3 条", "注：仅供参考"]))])

    # -- one fault
    saved = Saved(rows, "", b"", fault)
    key = draw(st.sampled_from(list(rows)))
    row, line = places[key], grid[places[key] - 1]
    at = {one: columns.index(one) for one in columns}
    if fault in ("word", "rounded", "empty", "negative"):
        wrong = {"word": "四十", "rounded": "7.98E+11", "empty": "", "negative": -5}[fault]
        line[at[draw(st.sampled_from(REQUIRED))]] = wrong
        saved.named = (
            f"row {row}",
            repr(wrong) if fault in ("word", "rounded") else "empty" if fault == "empty" else "-5",
        )
    elif fault in ("code", "date"):
        wrong = "茅台" if fault == "code" else "11/06/2024"
        line[at[fault]] = wrong
        saved.named = (f"row {row}", repr(wrong))
    elif fault == "twice":
        other = list(line)
        other[at["fin_balance"]] = number_text(
            (rows[key]["fin_balance"] or 0) + 10**8, UNITS[units["fin_balance"]], style
        )
        grid.append(other)
        saved.named = (key[0], f"row {row}", f"row {len(grid)}")
    elif fault == "cut":
        kept = min(at[one] for one in REQUIRED)
        if at["code"] > kept and max(at["name"], at.get("date", kept)) >= kept:  # nothing would show that it is a row
            kept = max(at[one] for one in figures)
        grid[row - 1] = line[:kept]
        saved.named = (f"row {row}",)
    elif fault == "shifted":
        line.insert(draw(st.integers(1, len(line) - 1)), "777")
        line[-1] = line[-1] if str(line[-1]).strip() else "1"
        saved.named = (f"row {row}",)
    elif fault == "unit":
        saved.named = ("no unit is given",)
    saved.lost = {key} if fault not in (None, "twice", "unit") else set()

    # -- the file
    stamp = draw(st.sampled_from(["20240611", "2024-06-11", "2024年06月11日"]))
    saved.name = f"明细{'' if dated else stamp}.{kind}"
    if workbook:
        book = openpyxl.Workbook()
        for one in grid:
            book.active.append([None if cell == "" else cell for cell in one])
        out = io.BytesIO()
        book.save(out)
        saved.content = out.getvalue()
    else:
        text = io.StringIO()
        separator = "\t" if kind == "tsv" else draw(st.sampled_from([",", "\t", ";", "|"]))
        csv.writer(text, delimiter=separator, lineterminator=draw(st.sampled_from(["\n", "\r\n"]))).writerows(grid)
        saved.content = text.getvalue().encode(draw(st.sampled_from(["utf-8", "utf-8-sig", "gb18030", "utf-16"])))
        if kind == "csv.gz":
            saved.content = gzip.compress(saved.content)
    return saved


def read(saved: Saved) -> tuple[RowBatch, list[str]]:
    """Return the rows of a file and what was left out of it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / saved.name
        path.write_bytes(saved.content)
        found = vendor.read([path])
    dataset = gather(found.tables, xshg(), "test")
    errors = [one.text for one in [*found.findings, *dataset.findings] if one.severity is not Severity.WARNING]
    return dataset.batches["margin.daily"], errors


def assert_rows(batch: RowBatch, saved: Saved) -> None:
    """The rows of the file, without those that its fault costs: the same keys and days, each figure with all digits."""
    expected = {key: row for key, row in saved.rows.items() if key not in saved.lost}
    found = [(to_code(key), to_date(day)) for key, day in zip(batch.keys.tolist(), batch.days.tolist(), strict=True)]
    assert sorted(found) == sorted(expected)
    for place, key in enumerate(found):
        row = {name: values[place] for name, values in batch.figures.items() if values[place] == values[place]}
        given = {name: value for name, value in expected[key].items() if value is not None}
        assert row.keys() == given.keys()
        for name, value in given.items():
            assert row[name] == pytest.approx(value, rel=4e-16)  # a factor of 1e4 may change the last bit


OFTEN = settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@given(files((None,)))
@OFTEN
def test_a_file_gives_exactly_the_rows_that_it_was_made_from(saved: Saved) -> None:
    batch, errors = read(saved)
    assert errors == []
    assert_rows(batch, saved)


@given(files(FAULTS))
@OFTEN
def test_a_fault_costs_its_row_and_is_named(saved: Saved) -> None:
    batch, errors = None, []
    try:
        batch, errors = read(saved)
    except InputError as error:
        errors = [str(error)]
    assert all(saved.name in text for text in errors)
    assert any(all(part in text for part in saved.named) for text in errors), (errors, saved.named)
    assert (batch is None) == (saved.fault == "unit")
    if batch is not None:
        assert_rows(batch, saved)
