"""Master data that are loaded apart from each other, and from the prices that need them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from feeds import security_master
from feeds.daily.daily_checks import DailyChecks
from feeds.daily.security_names import SecurityNames
from feeds.errors import InputError
from feeds.files.dataset import SourceTable, SourceTables, gather
from feeds.files.master_data import newest_rows
from processors.code_changes import CodeChange, CodeChanges
from processors.codes import to_codes, to_id
from processors.days import to_date, to_day
from processors.events import RowBatch
from streams.calendars import xshg
from streams.cli.main import app
from streams.feed_services import TopicRows
from tests.building import batch
from tests.harness import Stack, environment
from tests.test_spells import INDUSTRY, MEMBERS, SPELLS, known_on, rows_of

CALENDAR = xshg()
ST = SPELLS[SPELLS["flag"] == "ST"]  # 000001.SZ on 2024-06-04 and 05
MAPPING = """[[table]]
topic = "prices.daily"
date = { column = "日期" }
code = { column = "代码", exchange = "by number", style = "600519" }
[table.columns]
close = { column = "收盘", unit = "元" }
"""


def spells(folder: Path, *frames: pd.DataFrame) -> list[SourceTable]:
    for place, frame in enumerate(frames):
        frame.to_csv(folder / f"{place}.csv", index=False)
    return security_master.read([folder / f"{place}.csv" for place in range(len(frames))], CALENDAR).tables


def prices(close: float = 9.0, **figures: float) -> SourceTable:
    """The closes of four sessions of two stocks."""
    days = [to_day(date(2024, 6, day)) for day in (3, 4, 5, 6)]
    rows = [(key, day) for day in days for key in (to_id("000001.SZ"), to_id("600519.SH"))]
    frame = pd.DataFrame(rows, columns=["key", "day"]).astype(np.int32).assign(row=1, close=close, **figures)
    return SourceTable("prices.daily", "prices.csv", frame)


def special(rows: RowBatch) -> list[tuple[str, str]]:
    at = np.flatnonzero(rows.figures["st"] == 1.0)
    return list(zip(map(str, map(to_date, rows.days[at].tolist())), to_codes(rows.keys[at]), strict=True))


def published(folder: Path, *frames: pd.DataFrame) -> RowBatch:
    return gather(spells(folder, *frames), CALENDAR, "x").batches["reference"]


def test_prices_take_special_treatment_from_published_master_data(tmp_path: Path) -> None:
    known = published(tmp_path, ST)
    found = gather([prices()], CALENDAR, "x", published=lambda: known)
    assert special(found.batches["prices.daily"]) == [("2024-06-04", "000001.SZ"), ("2024-06-05", "000001.SZ")]
    assert found.notes == ["prices take ST from the published master data, which name 1 securities"]
    (note,) = gather(spells(tmp_path, ST), CALENDAR, "x").notes
    assert note.startswith("ST of 1 securities counts for prices that are fed from now on")


def test_the_price_of_a_code_that_changed_takes_it_from_the_newest_code() -> None:
    changes = CodeChanges([CodeChange("000043.SZ", "000001.SZ", date(2024, 6, 5))])
    known = batch("reference", date(2024, 6, 4), {"000001.SZ": {"st": 1.0}})
    table = prices()
    old = np.where(table.frame["day"] < to_day(date(2024, 6, 5)), to_id("000043.SZ"), to_id("000001.SZ"))
    table = replace(table, frame=table.frame.assign(key=old.astype(np.int32)).drop_duplicates(["key", "day"]))
    found = gather([table], CALENDAR, "x", changes=changes, published=lambda: known)
    assert special(found.batches["prices.daily"]) == [
        ("2024-06-04", "000043.SZ"), ("2024-06-05", "000001.SZ"), ("2024-06-06", "000001.SZ"),
    ]  # fmt: skip


@pytest.mark.parametrize("figures", [{"prev_close": 9.0}, {"st": 1.0}])
def test_published_master_data_are_not_read_where_no_price_needs_them(figures: dict[str, float]) -> None:
    def unread() -> RowBatch | None:
        raise AssertionError("read")

    assert gather([prices(**figures)], CALENDAR, "x", published=unread).notes == []


def apart(folder: Path, *frames: pd.DataFrame) -> RowBatch:
    """What the stream has after each frame was loaded by itself."""
    rows: RowBatch | None = None
    for revision, frame in enumerate(frames):
        current = rows
        new = gather(spells(folder, frame), CALENDAR, "x", published=lambda: current).batches["reference"]  # noqa: B023
        new = replace(new, revisions=np.full(len(new), revision, np.int32))
        rows = newest_rows([one for one in (current, new) if one is not None])
    assert rows is not None
    return rows


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_spells_that_are_loaded_apart_are_what_one_command_publishes(tmp_path: Path, order: tuple[int, ...]) -> None:
    frames = [MEMBERS.assign(index_code=["000300", "000852", "000905"]), INDUSTRY, ST]
    together, found = published(tmp_path, *frames), apart(tmp_path, *(frames[place] for place in order))
    for code in ("600519.SH", "000001.SZ"):
        for day in ("2000-01-04", "2024-06-03", "2024-06-04", "2024-06-05", "2024-06-06", "2024-06-11", "2024-06-12"):
            assert known_on(found, day, code) == known_on(together, day, code), (code, day)


def test_a_part_of_the_days_keeps_what_is_published_of_its_securities(tmp_path: Path) -> None:
    known = published(tmp_path, INDUSTRY)
    part = gather(spells(tmp_path, MEMBERS), CALENDAR, "x", date(2024, 6, 5), date(2024, 6, 7), published=lambda: known)
    found = rows_of(part.batches["reference"])
    assert found["2024-06-05", "000001.SZ"] == {"csi300": 1.0, "industry": "银行"}
    assert max(day for day, _ in found) <= "2024-06-07"


@pytest.mark.parametrize("start", [date(2024, 6, 5), date(2024, 6, 6)])
def test_checked_days_of_a_history_have_the_spells_that_begin_before_them(tmp_path: Path, start: date) -> None:
    """`feed files --from` published the changes since that day alone: all other memberships and industries ended."""
    tables = SourceTables([*spells(tmp_path, MEMBERS, INDUSTRY, SPELLS), prices()])
    found = DailyChecks(CALENDAR, SecurityNames(), None).check(tables, "x", (start, None)).dataset
    assert found is not None
    whole = gather(tables.tables, CALENDAR, "x").batches
    part = found.batches
    assert {to_date(day) for day in part["prices.daily"].days.tolist()} == {
        one for one in (date(2024, 6, 5), date(2024, 6, 6)) if one >= start
    }
    for code in ("600519.SH", "000001.SZ"):
        for day in ("2024-06-06", "2024-06-07", "2024-06-11", "2024-06-12"):
            known = known_on(whole["reference"], day, code)
            assert known and known_on(part["reference"], day, code) == known, (code, day)


def test_delistings_stay_beside_prices_without_suspensions(tmp_path: Path) -> None:
    known = batch("reference", date(2024, 6, 3), {"000001.SZ": {"listed": 0.0}})
    tables = [*spells(tmp_path, MEMBERS), prices()]
    found = gather(tables, CALENDAR, "x", published=lambda: known).batches["reference"]
    assert known_on(found, "2024-06-06", "000001.SZ")["listed"] == 0.0


def test_a_corrected_spell_replaces_the_published_one_of_its_security_alone(tmp_path: Path) -> None:
    first = pd.concat([MEMBERS, MEMBERS.iloc[:1].assign(code="600000")])
    later = MEMBERS.iloc[1:2].assign(end=pd.Timestamp("2024-06-13"))  # 000001.SZ leaves on the 14th, not on the 11th
    found = apart(tmp_path, first, INDUSTRY, later)
    assert known_on(found, "2024-06-07", "000001.SZ") == {"csi300": 1.0, "industry": "银行"}
    assert known_on(found, "2024-06-11", "000001.SZ") == {"csi300": 1.0, "csi500": 1.0, "industry": "银行"}
    assert known_on(found, "2024-06-14", "000001.SZ") == {"csi500": 1.0, "industry": "银行"}
    assert known_on(found, "2024-06-14", "600000.SH") == {"csi300": 1.0}


def test_members_of_an_index_that_nobody_has_loaded_before_erase_nothing(tmp_path: Path) -> None:
    found = apart(tmp_path, INDUSTRY, MEMBERS.iloc[:1].assign(index_code="000852"))
    assert known_on(found, "2024-06-03", "600519.SH") == {"industry": "食品饮料", "000852.SH": 1.0}


def lists(**days: str) -> pd.DataFrame:
    """Lists of all members of an index, by day: their codes, separated by blanks."""
    rows = [("000852.SH", code, day[1:], 0.1) for day, codes in days.items() for code in codes.split()]
    return pd.DataFrame(rows, columns=["index_code", "con_code", "trade_date", "weight"])


MONTHS = {"d20240531": "600519.SH 000001.SZ", "d20240628": "600519.SH 000002.SZ", "d20240731": "000001.SZ 000002.SZ"}


OFFICIAL = [
    "日期Date", "指数代码 Index Code", "指数名称 Index Name", "成份券代码Constituent Code", "交易所Exchange",
    "权重(%)weight",
]  # fmt: skip
AKSHARE = ["日期", "指数代码", "指数名称", "成分券代码", "交易所", "权重"]


@pytest.mark.parametrize("headers", [OFFICIAL, AKSHARE])
def test_the_lists_of_the_index_company(tmp_path: Path, headers: list[str]) -> None:
    places = ((12, "深圳证券交易所"), (600006, "上海证券交易所"))
    rows = [(20240628, 852, "中证1000", number, exchange, 0.1) for number, exchange in places]
    pd.DataFrame(rows, columns=headers).to_excel(tmp_path / "x.xlsx", index=False)
    tables = security_master.read([tmp_path / "x.xlsx"], CALENDAR).tables
    assert rows_of(gather(tables, CALENDAR, "x").batches["reference"]) == {
        ("2024-06-28", "000012.SZ"): {"000852.SH": 1.0}, ("2024-06-28", "600006.SH"): {"000852.SH": 1.0},
    }  # fmt: skip


def many(count: int) -> str:
    return " ".join(f"{600_000 + number}.SH" for number in range(count))


@pytest.mark.parametrize("sizes", [(40, 60), (60, 40), (60, 60, 40, 60)])
def test_a_list_that_is_cut_off_stops_the_command(tmp_path: Path, sizes: tuple[int, ...]) -> None:
    days = {f"d2024062{place}": many(size) for place, size in enumerate(sizes, start=4)}
    with pytest.raises(InputError, match=r"40 members of 000852.SH on 2024-06-2\d, 60 on .*: the list is cut off"):
        spells(tmp_path, lists(**days))
    first, second = lists(d20240624=many(60)), lists(d20240625=many(40))
    with pytest.raises(InputError, match=r"40 members of 000852.SH on 2024-06-25, 60 are published: the list is cut"):
        apart(tmp_path, first, second)
    assert len(apart(tmp_path, first, lists(d20240625=many(57)))) == 60 + 57 + 3


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_a_member_leaves_with_the_next_list_without_it(tmp_path: Path, cut: int) -> None:
    """Whether the lists come in one file, or in two that are loaded one after the other."""
    parts = [dict(list(MONTHS.items())[:cut]), dict(list(MONTHS.items())[cut:])]
    found = apart(tmp_path, INDUSTRY, *(lists(**part) for part in parts if part))
    for code, members in {"600519.SH": "110", "000001.SZ": "101", "000002.SZ": "011"}.items():
        for day, member in zip(("2024-06-03", "2024-07-01", "2024-08-01"), members, strict=True):
            assert known_on(found, day, code).get("000852.SH", 0.0) == float(member), (code, day)
    assert known_on(found, "2024-08-01", "600519.SH") == {"industry": "食品饮料"}


def test_the_same_spells_again_are_rows_that_are_published(tmp_path: Path) -> None:
    frames = [MEMBERS, ST]
    once, twice = apart(tmp_path, *frames), apart(tmp_path, *frames, *frames)
    assert rows_of(twice) == rows_of(once)


def test_what_is_published_before_the_first_spell_and_delistings_stay() -> None:
    known = newest_rows(
        batch("reference", date(2024, 6, day), {"000001.SZ": {"industry": np.nan, "listed": 1.0, "st": 0.0} | figures})
        for day, figures in ((3, {"csi300": 1.0, "float_shares": 5.0}), (7, {"listed": 0.0, "float_shares": 6.0}))
    )
    frame = pd.DataFrame({"key": [to_id("000001.SZ")], "day": [to_day(date(2024, 6, 5))], "until": [np.nan]})
    table = SourceTable("reference", "x.csv", frame.astype({"key": np.int32}).assign(row=1, csi500=1.0))
    found = rows_of(gather([table], CALENDAR, "x", published=lambda: known).batches["reference"])
    assert found == {
        ("2024-06-03", "000001.SZ"): {"csi300": 1.0, "float_shares": 5.0},
        ("2024-06-05", "000001.SZ"): {"csi300": 1.0, "csi500": 1.0, "float_shares": 5.0},
        ("2024-06-07", "000001.SZ"): {"csi500": 1.0, "float_shares": 6.0, "listed": 0.0},
    }


def test_the_row_of_the_highest_revision_counts_and_of_equal_ones_the_first() -> None:
    rows = [
        batch("reference", date(2024, 6, 3), {"000001.SZ": {"industry": n}}, r) for n, r in ((1, 0), (2, 1), (3, 1))
    ]
    found = newest_rows(rows)
    assert found is not None and found.figures["industry"].tolist() == [2.0]
    assert newest_rows([]) is None


@pytest.fixture
def command(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Run a command on the stack; return its output."""
    for name, value in environment(stack.settings).items():
        monkeypatch.setenv(name, value)

    def run(*arguments: object) -> str:
        result = CliRunner().invoke(app, list(map(str, arguments)), env={"COLUMNS": "300"})
        assert result.exit_code == 0, (result.output, result.exception)
        return result.output

    return run


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_commands_one_after_the_other(command: Callable[..., str], stack: Stack, tmp_path: Path) -> None:
    """Industries, then ST by a command of its own, then prices of two days by two more."""
    for name, frame in (("industry", INDUSTRY), ("st", ST)):
        frame.to_csv(tmp_path / f"{name}.csv", index=False)
    command("reference", "load", tmp_path / "industry.csv")
    assert "ST of 1 securities counts for prices that are fed" in command("reference", "load", tmp_path / "st.csv")
    (tmp_path / "map.toml").write_text(MAPPING, "utf-8")
    for day in ("2024-06-05", "2024-06-06"):
        pd.DataFrame({"日期": day, "代码": ["000001", "600519"], "收盘": [9.5, 1500.0]}).to_csv(
            tmp_path / "prices.csv", index=False
        )
        said = command("feed", "vendor", tmp_path / "prices.csv", "--map", tmp_path / "map.toml")
        assert "prices take ST from the published master data, which name 1 securities" in said
    topics = TopicRows(stack.settings)
    found = [rows for rows in topics.batches() if rows.topic == "prices.daily"]
    assert [one for rows in found for one in special(rows)] == [("2024-06-05", "000001.SZ")]
    master = topics.master_data()
    assert master is not None
    assert known_on(master, "2024-06-05", "000001.SZ") == {"industry": "银行", "st": 1.0}
    assert known_on(master, "2024-06-06", "000001.SZ") == {"industry": "银行"}
