"""Spells of master data: memberships, industries of several editions, ST and suspensions as dated rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feeds import folder, security_master
from feeds.cells.shenwan import industry_of
from feeds.checks.findings import Severity
from feeds.daily.daily_checks import DailyChecks
from feeds.daily.security_names import SecurityNames
from feeds.errors import ConfigurationError, InputError
from feeds.files import vendor
from feeds.files.dataset import SourceTable, gather
from feeds.mappings import mapping
from feeds.mappings.mapped_words import words_of
from feeds.mappings.mapping import Figure
from processors.code_changes import CodeChange, CodeChanges
from processors.codes import exchange_of, to_codes, to_id
from processors.days import to_date, to_day
from processors.events import FIGURES, RowBatch, concat
from processors.history import end_of_day
from processors.industries import INDUSTRIES
from processors.reference import ReferenceStore
from streams.calendars import xshg
from tests.building import batch

CALENDAR = xshg()
MEMBERS = pd.DataFrame(
    [
        ("000300", "600519", "SH", "2024-06-03", None),
        ("000300", "000001", "SZ", "2024-06-03", "2024-06-07"),  # a Friday: out on Monday, the 10th being a holiday
        ("000905", "000001", "SZ", "2024-06-11", None),
    ],
    columns=["index_code", "code", "exchange", "start", "end"],
).astype({"start": "datetime64[ms]", "end": "datetime64[ms]"})
INDUSTRY = pd.DataFrame(
    [
        ("600519", "1990-12-19", "2014-02-20", "340301"),
        ("600519", "2014-02-21", None, "340301"),
        ("000001", "2024-06-05", None, "480301"),
    ],
    columns=["code", "start", "end", "sw_code"],
).astype({"start": "datetime64[ms]", "end": "datetime64[ms]"})
SPELLS = pd.DataFrame(
    [
        ("000001", "ST", "2024-06-04", "2024-06-05"),
        ("000002", "SUSPENDED", "2024-06-04", "2024-06-05"),
    ],
    columns=["code", "flag", "start", "end"],
).astype({"start": "datetime64[ms]", "end": "datetime64[ms]"})


def written(tmp_path: Path, **files: pd.DataFrame) -> Path:
    for name, frame in files.items():
        frame.to_parquet(tmp_path / f"{name}.parquet")
    return tmp_path


def rows_of(rows: RowBatch) -> dict[tuple[str, str], dict[str, object]]:
    """Date and code → what the row says; flags that are at their default, and unknown figures, are left out."""
    out = {}
    for i, code in enumerate(to_codes(rows.keys)):
        found: dict[str, object] = {
            n: v[i] for n, v in rows.figures.items() if v[i] == v[i] and v[i] != (n == "listed")
        }
        if rows.figures["industry"][i] == rows.figures["industry"][i]:
            found["industry"] = INDUSTRIES[int(rows.figures["industry"][i])]
        out[str(to_date(int(rows.days[i]))), code] = found
    return out


def known_on(rows: RowBatch, at: str, code: str) -> dict[str, object]:
    """What the newest row of a security up to a day names."""
    found = {day: row for (day, one), row in rows_of(rows).items() if one == code and day <= at}
    return found[max(found)] if found else {}


def loaded(*paths: Path) -> dict[tuple[str, str], dict[str, object]]:
    tables = security_master.read(paths, CALENDAR)
    return rows_of(gather(tables.tables, CALENDAR, "test").batches["reference"])


def test_files_of_spells_are_put_together_and_a_row_has_all_that_is_known(tmp_path: Path) -> None:
    written(tmp_path, any_name=MEMBERS, other=INDUSTRY)
    assert loaded(*sorted(tmp_path.iterdir())) == {
        ("1990-12-19", "600519.SH"): {"industry": "食品饮料"},
        ("2014-02-21", "600519.SH"): {"industry": "食品饮料"},
        ("2024-06-03", "600519.SH"): {"industry": "食品饮料", "csi300": 1.0},
        ("2024-06-03", "000001.SZ"): {"csi300": 1.0},
        ("2024-06-05", "000001.SZ"): {"csi300": 1.0, "industry": "银行"},
        ("2024-06-11", "000001.SZ"): {"csi500": 1.0, "industry": "银行"},
    }


def test_the_folder_s_master_data_begin_with_its_prices_and_name_what_is_no_longer_listed(tmp_path: Path) -> None:
    days = pd.to_datetime(["2024-06-03", "2024-06-04", "2024-06-05", "2024-06-06", "2024-06-07"])
    traded = {"600519": [0, 1, 2, 3, 4], "000001": [0, 1, 2, 3, 4], "000002": [0, 1, 3], "301001": [3, 4]}
    prices = pd.DataFrame(
        [(days[i], code, "*ST股" if code == "000001" else "股", 10.0) for code, at in traded.items() for i in at],
        columns=["dt", "code", "name", "close"],
    ).assign(open=10.0, high=10.0, low=10.0, pre_close=10.0, volume=100, amount=1000, float_shares=10**6)
    gone = pd.DataFrame([("600001", "1998-01-22", None, "230101")], columns=list(INDUSTRY)).astype(INDUSTRY.dtypes)
    written(
        tmp_path, prices_a_2024=prices, index_members_x=MEMBERS, st_suspension_x=SPELLS,
        sw_industry_history_x=pd.concat([INDUSTRY, gone]),
    )  # fmt: skip
    found = folder.read(tmp_path, CALENDAR)
    assert found.batches["prices.daily"].figures["st"].sum() == 5  # the names of the day
    unnamed = tmp_path / "unnamed"
    unnamed.mkdir()
    written(unnamed, prices_a_2024=prices.assign(name="股"), index_members_x=MEMBERS, st_suspension_x=SPELLS)
    priced = folder.read(unnamed, CALENDAR).batches["prices.daily"]
    special = priced.figures["st"] == 1.0  # by the spells
    places = zip(priced.days[special].tolist(), to_codes(priced.keys[special]), strict=True)
    assert [(str(to_date(day)), code) for day, code in places] == [
        ("2024-06-04", "000001.SZ"), ("2024-06-05", "000001.SZ"),
    ]  # fmt: skip
    rows = rows_of(found.batches["reference"])
    assert rows["2024-06-03", "600519.SH"] == {"industry": "食品饮料", "csi300": 1.0}
    assert rows["2024-06-04", "000001.SZ"] == {"csi300": 1.0, "st": 1.0}
    assert rows["2024-06-06", "000001.SZ"] == {"csi300": 1.0, "industry": "银行"}
    # Suspended on the 4th and 5th and last seen on the 6th; listed on the 6th; delisted before the first price.
    assert {day: row for (day, code), row in rows.items() if code == "000002.SZ"} == {
        "2024-06-03": {}, "2024-06-07": {"listed": 0.0}
    }  # fmt: skip
    assert {day for day, code in rows if code == "301001.SZ"} == {"2024-06-06"}
    assert not [code for _, code in rows if code == "600001.SH"]


def test_a_snapshot_of_today_counts_only_for_what_no_spell_knows(tmp_path: Path) -> None:
    snapshot = pd.DataFrame({"code": ["600519", "000001"], "sw_l1": ["食品饮料", "银行"]})
    snapshot.to_csv(tmp_path / "sw_l1_membership_2026.csv", index=False)
    written(tmp_path, index_members_x=MEMBERS, margin_detail_sse_x=pd.DataFrame({
        "dt": pd.to_datetime(["2024-06-04", "2024-06-12"]), "code": "600519", "name": "x", "margin_balance": 1.0,
        "margin_buy_amt": 1.0, "margin_repay_amt": 1.0, "short_qty": 0, "short_sell_qty": 0, "short_repay_qty": 0,
    }))  # fmt: skip
    assert rows_of(folder.read(tmp_path, CALENDAR).batches["reference"]) == {
        ("2024-06-04", "600519.SH"): {"industry": "食品饮料", "csi300": 1.0},
        ("2024-06-04", "000001.SZ"): {"industry": "银行", "csi300": 1.0},
        ("2024-06-11", "000001.SZ"): {"industry": "银行", "csi500": 1.0},
    }


def test_a_changed_code_is_no_delisting_and_has_the_master_data_of_both_codes(tmp_path: Path) -> None:
    """000043 became 001914: its row of the first day is the newest code's, and no row ends it."""
    lent = {"margin_balance": 1.0, "margin_buy_amt": 1.0, "short_qty": 0, "short_sell_qty": 0, "short_value": 0.0}
    days = [("2019-12-12", "000043"), ("2019-12-13", "000043"), ("2019-12-16", "001914"), ("2019-12-17", "001914")]
    detail = pd.DataFrame([{"dt": pd.Timestamp(d), "code": c, "name": "x", **lent} for d, c in days])
    prices = detail[["dt", "code", "name"]].assign(
        open=9.0, high=9.0, low=9.0, close=9.0, pre_close=9.0, volume=1, amount=9, float_shares=5
    )
    members = MEMBERS.iloc[:2].assign(
        code=["000043", "001914"], exchange="SZ", start=pd.to_datetime(["2019-06-17", "2019-12-16"]),
        end=pd.to_datetime(["2019-12-13", None]),
    )  # fmt: skip
    written(tmp_path, margin_detail_szse_x=detail, prices_a_x=prices, index_members_x=members, st_suspension_x=SPELLS)
    tables = folder.read_tables(tmp_path).tables
    changes = CodeChanges([CodeChange("000043.SZ", "001914.SZ", date(2019, 12, 16))])
    rows = rows_of(gather(tables, CALENDAR, "test", changes=changes).batches["reference"])
    assert {day: row for (day, code), row in rows.items() if code in ("000043.SZ", "001914.SZ")} == {
        "2019-12-12": {"csi300": 1.0}, "2019-12-16": {"csi300": 1.0},
    }  # fmt: skip
    without = rows_of(gather(tables, CALENDAR, "test").batches["reference"])
    assert without["2019-12-16", "000043.SZ"] == {"listed": 0.0}


def test_spells_end_with_the_days_that_are_wanted(tmp_path: Path) -> None:
    written(tmp_path, index_members_x=MEMBERS)
    tables = vendor.read([tmp_path], folder.folder_mapping()).tables
    rows = rows_of(gather(tables, CALENDAR, "x", date(2024, 6, 5), date(2024, 6, 7)).batches["reference"])
    assert rows == {("2024-06-05", "600519.SH"): {"csi300": 1.0}, ("2024-06-05", "000001.SZ"): {"csi300": 1.0}}
    with pytest.raises(InputError, match="no row"):
        gather(tables, CALENDAR, "x", None, date(1999, 6, 7))


def listed_history(folder_: Path) -> list[SourceTable]:
    """Prices of four sessions: one stock each is not traded on the 5th, the 4th and the last two days."""
    traded = {"600519": "3456", "000001": "346", "000002": "356", "600000": "34"}
    prices = pd.DataFrame(
        [(pd.Timestamp(f"2024-06-0{day}"), code, "股", 10.0) for code, days in traded.items() for day in days],
        columns=["dt", "code", "name", "close"],
    ).assign(open=10.0, high=10.0, low=10.0, pre_close=10.0, volume=100, amount=1000, float_shares=10**6)
    written(folder_, prices_a_2024=prices, index_members_x=MEMBERS, st_suspension_x=SPELLS)
    return folder.read_tables(folder_).tables


@pytest.mark.parametrize("last_of_first", [3, 4, 5])
def test_parts_of_a_history_have_the_master_data_of_the_whole(tmp_path: Path, last_of_first: int) -> None:
    """A stock that leaves, or is not traded, on the boundary of two parts is listed as in one run."""
    tables = listed_history(tmp_path)
    whole = gather(tables, CALENDAR, "x").batches["reference"]
    cut = date(2024, 6, last_of_first)
    first = gather(tables, CALENDAR, "x", None, cut).batches["reference"]
    second = gather(tables, CALENDAR, "x", cut + timedelta(days=1), published=lambda: first).batches["reference"]
    assert int(first.days.max()) <= to_day(cut) < int(second.days.min())
    parts = concat([first, second])
    assert ("2024-06-05", "600000.SH") in rows_of(whole)
    for code in ("600519.SH", "000001.SZ", "000002.SZ", "600000.SH"):
        for day in ("2024-06-03", "2024-06-04", "2024-06-05", "2024-06-06"):
            assert known_on(parts, day, code) == known_on(whole, day, code), (code, day)


def of_days(tables: list[SourceTable], days: list[int]) -> list[SourceTable]:
    """Tables whose prices are those of some days of 2024-06."""
    wanted = [to_day(date(2024, 6, day)) for day in days]
    return [
        t if "until" in t.frame else replace(t, frame=t.frame[t.frame["day"].isin(wanted)]) for t in tables
    ]  # fmt: skip


@pytest.mark.parametrize("start", [None, date(2024, 6, 5)])
def test_a_stock_that_leaves_between_two_files_is_delisted(tmp_path: Path, start: date | None) -> None:
    """The files of the second part know nothing of the stock: what is published names it."""
    tables = listed_history(tmp_path)
    first = gather(of_days(tables, [3, 4]), CALENDAR, "x").batches["reference"]
    second = gather(of_days(tables, [5, 6]), CALENDAR, "x", start, published=lambda: first).batches["reference"]
    assert known_on(concat([first, second]), "2024-06-04", "600000.SH") == {}
    assert known_on(concat([first, second]), "2024-06-05", "600000.SH") == {"listed": 0.0}


def test_prices_of_one_exchange_delist_nothing_of_another(tmp_path: Path) -> None:
    tables = listed_history(tmp_path)
    first = gather(tables, CALENDAR, "x").batches["reference"]
    alone = [
        t if "until" in t.frame else replace(t, frame=t.frame[exchange_of(t.frame["key"].to_numpy()) == 0])
        for t in tables
    ]
    later = gather(of_days(alone, [6]), CALENDAR, "x", published=lambda: first).batches["reference"]
    assert {code for _, code in rows_of(later)} == {"600519.SH"}


def test_an_entry_of_the_official_workbook_lasts_until_the_next_one(tmp_path: Path) -> None:
    sheet = pd.DataFrame(
        [
            ("000001", "1991-04-03 00:00:00", "440101", "2015-10-27 15:29:00"),
            ("000001", "2014-02-21 00:00:00", "480101", "2024-09-27 09:08:00"),
            ("000002", "1991-01-29 00:00:00", "430101", "2015-10-27 15:29:00"),
            ("000002", "2014-02-21 00:00:00", "210301", "2015-10-27 15:29:00"),  # 其他采掘: none of 2021
        ],
        columns=["股票代码", "计入日期", "行业代码", "更新日期"],
    )
    sheet.to_excel(tmp_path / "stocks.xlsx", index=False)
    assert loaded(tmp_path / "stocks.xlsx") == {
        ("1991-04-03", "000001.SZ"): {"industry": "银行"},
        ("2014-02-21", "000001.SZ"): {"industry": "银行"},
        ("1991-01-29", "000002.SZ"): {"industry": "房地产"},
        ("2014-02-21", "000002.SZ"): {},
    }


@pytest.mark.parametrize(
    ("code", "industry"),
    [
        ("480301", "银行"), ("440101", "银行"), ("440301", "非银金融"), ("220101", "基础化工"), ("210201", "煤炭"),
        ("210101", "石油石化"), ("210301", None), ("310304", "国防军工"), ("470204", "传媒"), ("770101", "美容护理"),
    ],
)  # fmt: skip
def test_codes_of_every_edition(code: str, industry: str | None) -> None:
    assert industry_of(code) == industry


@pytest.mark.parametrize("code", ["", "银行", "4801", "990101"])
def test_what_is_no_industry_code_is_refused(code: str) -> None:
    with pytest.raises(ValueError, match="is no industry code"):
        industry_of(code)


def test_an_unknown_industry_code_is_reported_with_its_row(tmp_path: Path) -> None:
    written(tmp_path, x=INDUSTRY.assign(sw_code=["340301", "990101", "480301"]))
    tables = security_master.read([tmp_path / "x.parquet"], CALENDAR)
    (refused,) = [one for one in tables.findings if one.severity is Severity.REFUSED]
    assert "row 2, industry (column 'sw_code'): '990101' is no industry code" in refused.text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"end": ["2020-01-01", "2024-06-07", None]}, "m.csv, row 2: the spell ends on 2020-01-01, before it begins"),
        ({"start": ["someday"] * 3}, "rows are refused"),
    ],
)
def test_wrong_spells_are_refused(tmp_path: Path, change: dict[str, list[str | None]], said: str) -> None:
    MEMBERS.astype({"start": object, "end": object}).assign(**change).to_csv(tmp_path / "m.csv", index=False)
    tables = security_master.read([tmp_path / "m.csv"], CALENDAR)
    try:
        gather(tables.tables, CALENDAR, "test")
    except InputError as error:
        tables.findings.append(error)  # type: ignore[arg-type]
    assert any(said in str(one) for one in tables.findings)


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw.assign(end=None),
        lambda raw: raw.assign(end="--"),
        lambda raw: raw.assign(end=raw["end"].where(raw["end"].isna(), "2028-06-07")),
        lambda raw: raw.assign(index_code="000300", end=None),
    ],
)
def test_far_more_members_than_an_index_has_are_refused(
    tmp_path: Path, change: Callable[[pd.DataFrame], pd.DataFrame]
) -> None:
    """Without the last days of spells everybody who was ever a member would be one today."""
    rows = [("000300", str(600_000 + n), "SH", "2024-06-03", "2024-06-07" if n < 100 else None) for n in range(400)]
    raw = pd.DataFrame(rows, columns=["index_code", "code", "exchange", "start", "end"])
    raw.loc[raw.index[300:], "start"] = "2024-06-11"

    def rows_of(frame: pd.DataFrame) -> RowBatch:
        frame.to_csv(tmp_path / "index_members_x.csv", index=False)
        return gather(folder.read_tables(tmp_path).tables, CALENDAR, "x").batches["reference"]

    assert len(rows_of(raw)) == 500
    with pytest.raises(InputError, match=r"400 members of csi300 on 2024-06-11, the index has 300: last days"):
        rows_of(change(raw))


def test_two_industries_from_one_day_on_are_an_error(tmp_path: Path) -> None:
    twice = pd.concat([INDUSTRY.iloc[2:], INDUSTRY.iloc[2:].assign(sw_code="340301")])
    written(tmp_path, x=twice)
    tables = security_master.read([tmp_path / "x.parquet"], CALENDAR)
    with pytest.raises(
        InputError, match=r"two values of industry from 2024-06-05 on: x\.parquet, row 1 and x\.parquet, row 2"
    ):
        gather(tables.tables, CALENDAR, "test")


@pytest.mark.parametrize("spelled", ["000852", 852, "sh000852", "000852.XSHG", "399852.SZ", "000852.CSI", "中证1000"])
def test_members_of_any_index_are_rows(tmp_path: Path, spelled: object) -> None:
    """In overlapping spells of two indices, of which one has a field."""
    frame = MEMBERS.assign(index_code=["000300", spelled, spelled], code=["600519"] * 3, exchange="SH")
    frame = pd.concat([frame, frame.iloc[1:2].assign(start=pd.Timestamp("2024-06-05"), end=pd.NaT)])
    frame.to_csv(tmp_path / "x.csv", index=False)
    assert loaded(tmp_path / "x.csv") == {
        ("2024-06-03", "600519.SH"): {"csi300": 1.0, "000852.SH": 1.0},
        ("2024-06-05", "600519.SH"): {"csi300": 1.0, "000852.SH": 1.0},
        ("2024-06-11", "600519.SH"): {"csi300": 1.0, "000852.SH": 1.0},
    }


@pytest.mark.parametrize(
    "end", ["9999-12-31", "20991231", "2035-12-31", "至今", "-", "0000-00-00", "NaT", "None", "null", ""]
)
def test_a_spell_that_lasts_in_every_spelling(tmp_path: Path, end: str) -> None:
    frame = MEMBERS.iloc[:1].astype({"end": object}).assign(end=end)
    frame.to_csv(tmp_path / "x.csv", index=False)
    assert loaded(tmp_path / "x.csv") == {("2024-06-03", "600519.SH"): {"csi300": 1.0}}


@pytest.mark.parametrize("code", ["600519.SH", "sh600519", "600519.XSHG", '="600519"'])
@pytest.mark.parametrize("flag", ["ST", "*ST", "SST", "S*ST", "st"])
def test_codes_and_marks_of_spells_in_every_spelling(tmp_path: Path, code: str, flag: str) -> None:
    SPELLS.iloc[:1].assign(code=code, flag=flag).to_csv(tmp_path / "st.csv", index=False)
    MEMBERS.iloc[:1].assign(code=code).to_csv(tmp_path / "m.csv", index=False)
    INDUSTRY.iloc[2:].assign(code=code).to_csv(tmp_path / "i.csv", index=False)
    assert loaded(tmp_path / "st.csv", tmp_path / "m.csv", tmp_path / "i.csv") == {
        ("2024-06-03", "600519.SH"): {"csi300": 1.0},
        ("2024-06-04", "600519.SH"): {"csi300": 1.0, "st": 1.0},
        ("2024-06-05", "600519.SH"): {"csi300": 1.0, "st": 1.0, "industry": "银行"},
        ("2024-06-06", "600519.SH"): {"csi300": 1.0, "industry": "银行"},
    }


def test_tushares_members_are_known_by_their_headers(tmp_path: Path) -> None:
    rows = {"index_code": "000852.SH", "con_code": ["600519.SH", "000001.SZ"], "in_date": "20240603",
            "out_date": [None, "20240607"], "is_new": ["Y", "N"]}  # fmt: skip
    pd.DataFrame(rows).to_csv(tmp_path / "x.csv", index=False)
    assert loaded(tmp_path / "x.csv") == {
        ("2024-06-03", "600519.SH"): {"000852.SH": 1.0},
        ("2024-06-03", "000001.SZ"): {"000852.SH": 1.0},
        ("2024-06-11", "000001.SZ"): {},
    }


def test_members_of_what_is_no_index_are_refused_with_their_row(tmp_path: Path) -> None:
    MEMBERS.assign(index_code=["000300", "600519", "801010.SI"]).to_csv(tmp_path / "x.csv", index=False)
    found = security_master.read([tmp_path / "x.csv"], CALENDAR)
    refused = [one.text for one in found.findings if one.severity is Severity.REFUSED]
    places = [text.split("x.csv, ")[1].split(": ")[0] for text in refused]
    assert places == ["row 3, column 'index_code'", "row 4, column 'index_code'"]
    assert loaded(tmp_path / "x.csv") == {("2024-06-03", "600519.SH"): {"csi300": 1.0}}


def test_too_many_indices_for_a_message_are_an_error_of_the_files(tmp_path: Path) -> None:
    frame = pd.concat([MEMBERS.iloc[:1].assign(index_code=f"{number:06d}") for number in range(1, 70)])
    frame.to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(InputError, match="members of 69 indices"):
        loaded(tmp_path / "x.csv")


def test_a_master_file_names_members_by_codes_names_or_in_one_column(tmp_path: Path) -> None:
    pd.DataFrame({
        "code": ["600519", "000001", "000002"], "000852.SH": [0, 1, 0], "科创50": ["否", "", "是"],
        "所属指数": ["上证50；沪深300", "", "000016.SH 000852.SH"], "date": "2024-06-03",
    }).to_csv(tmp_path / "x.csv", index=False)  # fmt: skip
    assert loaded(tmp_path / "x.csv") == {
        ("2024-06-03", "600519.SH"): {"csi300": 1.0, "000016.SH": 1.0},
        ("2024-06-03", "000001.SZ"): {"000852.SH": 1.0},
        ("2024-06-03", "000002.SZ"): {"000016.SH": 1.0, "000688.SH": 1.0, "000852.SH": 1.0},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("groups", "noted"), [((), "000016.SH, 000852.SH"), (("000852.SH",), "000016.SH are"), (None, "")]
)
def test_members_that_no_group_has_are_noted_with_the_setting(
    tmp_path: Path, groups: tuple[str, ...] | None, noted: str
) -> None:
    MEMBERS.assign(index_code=["000300", "000016", "000852"]).to_csv(tmp_path / "x.csv", index=False)
    tables = security_master.read([tmp_path / "x.csv"], CALENDAR)
    indices = ("000016.SH", "000852.SH") if groups is None else groups
    checked = DailyChecks(CALENDAR, SecurityNames(), None, group_indices=indices).check(tables, "x")
    notes = [one for one in checked.report.notes if "MARGINWATCH_PARAMETERS__GROUP_INDICES" in one]
    assert len(notes) == bool(noted)
    assert all(noted in one for one in notes)


def test_a_shorter_spell_within_a_longer_one_does_not_end_it(tmp_path: Path) -> None:
    frame = MEMBERS.iloc[:1].loc[[0, 0]].assign(start=pd.to_datetime(["2024-06-03", "2024-06-05"]))
    frame["end"] = pd.to_datetime(["2024-06-28", "2024-06-07"])
    written(tmp_path, x=frame)
    assert {day: row.get("csi300", 0.0) for (day, _), row in loaded(tmp_path / "x.parquet").items()} == {
        "2024-06-03": 1.0, "2024-06-05": 1.0, "2024-07-01": 0.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ('topic = "margin.daily"\nspell = { start = "a" }', "only rows of reference may be undated or have a spell"),
        ('topic = "reference"\nundated = true\nspell = { start = "a" }', "give one of `date"),
    ],
)
def test_a_mapping_with_a_misplaced_spell_is_refused(tmp_path: Path, table: str, said: str) -> None:
    path = tmp_path / "map.toml"
    path.write_text(f'[[table]]\n{table}\ncode = {{ column = "c" }}\n[table.columns]\n', "utf-8")
    with pytest.raises(ConfigurationError, match=said):
        mapping.load(path)


def test_members_of_further_indices_are_dated_and_corrected(tmp_path: Path) -> None:
    """What the settings name, in any order; the state of one order is no state of another."""
    days = [date(2024, 6, 3), date(2024, 6, 5)]
    stores = [ReferenceStore(60, 100, indices) for indices in (("000852.SH", "000016.SH"), ("000016.SH",), ())]
    for store in stores:
        for day, rows, revision in (
            (days[0], {"600519.SH": {"000016.SH": 1.0, "399330.SZ": 1.0}, "000001.SZ": {"000852.SH": 1.0}}, 0),
            (days[1], {"600519.SH": {"000852.SH": 1.0}}, 0),
            (days[0], {"600519.SH": {"000852.SH": 1.0, "000016.SH": 1.0}}, 1),
        ):
            found = batch("reference", day, rows, revision)
            store.store.apply(found)
            store.store.close(end_of_day(found))
    keys = np.array([to_id("000001.SZ"), to_id("600519.SH")], np.int32)

    def members(store: ReferenceStore, index: str) -> list[list[bool]]:
        return [store.members(to_day(day)).in_index(keys, index).tolist() for day in days]

    assert members(stores[0], "000852.SH") == [[True, True], [True, True]]
    assert members(stores[0], "000016.SH") == members(stores[1], "000016.SH") == [[False, True], [False, False]]
    assert len({store.store.days.schema for store in stores}) == 3
    with pytest.raises(KeyError):
        members(stores[2], "000016.SH")


def test_stocks_that_are_listed_later_or_no_longer_are_no_members_of_a_day() -> None:
    store = ReferenceStore(late_days=60, keep_days=100)
    for day, rows in (
        (date(2024, 6, 3), {"600519.SH": {"csi300": 1.0}, "000002.SZ": {}}),
        (date(2024, 6, 4), {"301001.SZ": {}}),
        (date(2024, 6, 5), {"000002.SZ": {"listed": 0.0}}),
    ):
        found = batch("reference", day, rows)
        store.store.apply(found)
        store.store.close(end_of_day(found))
    days = [day for day, _ in store.store.days.items()]
    assert [to_codes(store.members(day).stocks) for day in sorted(days)] == [
        ["000002.SZ", "600519.SH"], ["000002.SZ", "301001.SZ", "600519.SH"], ["301001.SZ", "600519.SH"],
    ]  # fmt: skip


def test_industries_in_words_may_have_their_names_of_an_earlier_edition() -> None:
    (column,) = (one for one in FIGURES["reference"] if one.name == "industry")
    found, wrong, warning = words_of(column, Figure(column="行业"), pd.Series(["电气设备", "银行", None]), "a file")
    assert [column.labels[int(place)] for place in found[:2]] == ["电力设备", "银行"] and np.isnan(found[2])
    assert (wrong, warning) == ({}, "")
