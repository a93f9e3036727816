"""Names against codes: a renaming is reported, names shifted against their codes stop publishing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from feeds import security_master
from feeds.checks.findings import Finding, Severity
from feeds.daily.daily_checks import DailyChecks
from feeds.daily.ledger import PublishLedger
from feeds.daily.published_figures import PublishedFigures
from feeds.daily.security_names import SecurityNames, is_same_name
from feeds.errors import InputError
from feeds.files import exchange, vendor
from feeds.files.dataset import SourceTable, gather
from feeds.mappings import mapping
from processors.codes import to_id
from processors.days import to_day
from streams import feed_services
from streams.calendars import xshg
from streams.feed_services import load_security_names, store_security_names
from tests.harness import Stack
from tests.publishing import MemoryStore, Message, daily_outlet, feed, sent
from tests.test_feed_exchange import SZSE_HEAD, workbook
from tests.test_feed_vendor import EXAMPLE, MARGIN_DETAIL

__all__ = ["sent"]  # a fixture

DAYS = (date(2024, 6, 11), date(2024, 6, 12))
CODES = [f"{600000 + i}.SH" for i in range(40)]


def part(day: date | None, names: dict[str, str], topic: str = "margin.daily") -> SourceTable:
    frame = pd.DataFrame({"key": [to_id(code) for code in names], "name": list(names.values())})
    return SourceTable(topic, "a file", frame if day is None else frame.assign(day=to_day(day)))


def found(*parts: SourceTable, known: dict[str, str] | None = None) -> list[tuple[str, str]]:
    names = SecurityNames(known or {})
    return [(f.severity.value, f.text) for f in names.compare(parts)]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("贵州茅台", "XD贵州茅", True),  # a prefix takes the place of the last character
        ("平 安 银 行", "平安银行", True),
        ("万 科Ａ", "万科A", True),
        ("寒武纪", "寒武纪-U", True),
        ("N中芯", "中芯国际", True),
        ("C中芯国", "中芯国际", True),
        ("ST康美", "*ST康美", True),
        ("康美药业", "S*ST康美", True),
        ("DR长江电", "XR长江电", True),
        ("TCL 集团", "TCL集团", True),
        ("贵州茅台", "平安银行", False),
        ("中国平安", "平安银行", False),
        ("南京银行", "宁波银行", False),
        ("沱牌舍得", "舍得酒业", False),
    ],
)
def test_a_temporary_prefix_makes_no_other_name(one: str, other: str, expected: bool) -> None:
    assert is_same_name(one, other) is is_same_name(other, one) is expected


def test_single_renamings_are_reported_with_both_names() -> None:
    before = {code: f"公司{i}号" for i, code in enumerate(CODES)}
    ((severity, text),) = found(part(DAYS[0], before), part(DAYS[1], before | {CODES[3]: "新名字"}))
    assert severity == "warning"
    assert "1 of 40 securities have another name than before: 600003.SH 公司3号 → 新名字: renamed?" in text
    assert found(part(DAYS[0], before), part(DAYS[1], before)) == []


@pytest.mark.parametrize("rows", [6, 40])
def test_names_that_are_shifted_by_a_row_are_an_error(rows: int) -> None:
    before = {code: f"公司{i}号" for i, code in enumerate(CODES)}
    shifted = dict(zip(CODES[:rows], [*list(before.values())[1:rows], "公司0号"], strict=True))
    ((severity, text),) = found(part(DAYS[0], before), part(DAYS[1], before | shifted))
    assert severity == "error"
    assert f"{rows} of 40" in text and "shifted" in text and " …" in text


@pytest.mark.parametrize(("renamed", "severity"), [(9, "warning"), (21, "error")])
def test_names_of_years_later_may_be_others(renamed: int, severity: str) -> None:
    """Of Shenzhen's securities 6% had another name in 2025 than in March 2021, and the day was refused."""
    before = {code: f"公司{i}号" for i, code in enumerate(CODES)}
    now = before | {code: f"新名{i}号" for i, code in enumerate(CODES[:renamed])}
    later = date(DAYS[0].year + 4, 6, 12)
    ((found_severity, _),) = found(part(DAYS[0], before), part(later, now))
    assert found_severity == severity


def test_days_are_compared_in_their_order_and_a_new_name_is_known_from_then_on() -> None:
    names = {code: f"公司{i}号" for i, code in enumerate(CODES)}
    new = names | {CODES[0]: "新名字"}
    assert len(found(part(DAYS[1], new), part(DAYS[0], names))) == 1  # reported once, whatever the order of the files
    assert found(part(DAYS[0], names), part(None, names, "reference")) == []


def test_files_of_one_day_and_the_security_master_are_compared_too() -> None:
    names = {code: f"公司{i}号" for i, code in enumerate(CODES)}
    ((severity, _),) = found(part(DAYS[0], names), part(DAYS[0], {CODES[0]: "另一家"}, "prices.daily"))
    assert severity == "warning"
    ((severity, _),) = found(part(DAYS[0], dict(zip(CODES, reversed(names.values()), strict=True))), known=names)
    assert severity == "error"


def test_names_of_files_that_are_only_compared_are_not_learned() -> None:
    names = SecurityNames()
    first = part(DAYS[0], {CODES[0]: "甲公司"})
    second = part(DAYS[1], {CODES[0]: "乙公司"})
    assert list(names.compare([first])) == [] == list(names.compare([second]))
    names.learn([first])
    assert len(list(names.compare([second]))) == 1


@pytest.mark.parametrize(("renamed", "severity"), [(9, "warning"), (21, "error")])
def test_names_of_years_before_may_be_others_and_replace_none(renamed: int, severity: str) -> None:
    newest = {code: f"公司{i}号" for i, code in enumerate(CODES)}
    then = newest | {code: f"旧名{i}号" for i, code in enumerate(CODES[:renamed])} | {"000001.SZ": "平安银行"}
    tables = [part(DAYS[0], then), part(DAYS[1], then)]
    names = SecurityNames(newest)
    ((finding),) = names.compare(tables, lambda _topic, _day: True)  # once, not on each of the days
    assert finding.severity.value == severity
    assert f"{renamed} of 40 securities have another name than is known: 600000.SH 公司0号 → 旧名0号" in finding.text
    names.learn(tables, lambda _topic, _day: True)
    assert names.known() == newest | {"000001.SZ": "平安银行"}


def test_a_history_before_what_is_published_has_other_names(tmp_path: Path) -> None:
    """An operator publishes the newest year first, and earlier ones later."""
    names = {f"{i:06d}": f"公司{i}号" for i in range(600000, 600040)}
    day_of = {"2020-06-11": names, "2018-06-11": names | {f"{i:06d}": f"旧名{i}号" for i in range(600000, 600009)}}
    tables = {}
    for day, named in day_of.items():
        text = "日期,证券代码,证券简称,收盘价(元)\n" + "".join(f"{day},{c},{n},10\n" for c, n in named.items())
        (tmp_path / f"{day}.csv").write_text(text, "utf-8")
        tables[day] = vendor.read([tmp_path / f"{day}.csv"])
    store = PublishedFigures(MemoryStore())
    store.record(gather(tables["2020-06-11"].tables, xshg(), "x").batches.values())
    known = SecurityNames({f"{code}.SH": name for code, name in names.items()})
    checks = DailyChecks(xshg(), known, store)
    checked = checks.check(tables["2018-06-11"], "x")
    assert [one.severity.value for one in checked.findings if one.check == "name"] == ["warning"]
    checks.accept(checked)
    assert checks.names_beside(checked)["600000.SH"] == "公司600000号"


def test_every_reader_returns_names(tmp_path: Path) -> None:
    MARGIN_DETAIL.to_csv(tmp_path / "a.csv", index=False)
    (tmp_path / "b.csv").write_text("日期,股票代码,股票简称,收盘价(元)\n2024-06-11,600519,贵州茅台,1700\n", "utf-8")
    MARGIN_DETAIL.drop(columns="name").to_csv(tmp_path / "c.csv", index=False)
    rows = [SZSE_HEAD, ["000001", "平安银行", "1", "2", "3", "4", "5", "6"]]
    (tmp_path / "d.xlsx").write_bytes(workbook(a=rows))
    (tmp_path / "e.csv").write_text("code,name,effective_date\n600519,贵州茅台,2024-06-11\n", "utf-8")
    parts = [
        *vendor.read([tmp_path / name for name in ("a.csv", "b.csv", "c.csv")]).tables,
        *exchange.read([tmp_path / "d.xlsx"], DAYS[0]).tables,
        *security_master.read([tmp_path / "e.csv"], xshg()).tables,
    ]
    named = {p.origin.split(" ")[0]: p.frame["name"].tolist() for p in parts if "name" in p.frame and len(p.frame)}
    assert named == {
        "a.csv": ["平安银行", "贵州茅台"],
        "b.csv": ["贵州茅台"],
        "d.xlsx": ["平安银行"],
        "e.csv": ["贵州茅台"],
    }


# -- the real names ------------------------------------------------------------------------------------------


def real(data_dir: Path, names: Sequence[str] = ("sse", "szse")) -> list[SourceTable]:
    paths = [data_dir / f"margin_detail_{name}_2018_2021q1.parquet" for name in names]
    parts = vendor.read(paths, mapping.load(EXAMPLE)).tables
    return [p for p in parts if p.topic == "margin.daily"]


def test_three_years_of_real_names_are_never_an_error(data_dir: Path) -> None:
    findings: list[Finding] = []
    for one in real(data_dir):
        findings += SecurityNames().compare([one])
    assert 60 < len(findings) < 100
    assert {f.severity for f in findings} == {Severity.WARNING}
    assert any("600690.SH 青岛海尔 → 海尔智家" in f.text for f in findings)


def test_a_real_day_with_shifted_names_is_an_error(data_dir: Path) -> None:
    (whole,) = real(data_dir, ["szse"])
    days = [whole.frame[whole.frame["day"] == to_day(date(2020, 3, d))].reset_index(drop=True) for d in (2, 3)]
    days[1]["name"] = days[1]["name"].shift(1)
    parts = [SourceTable(whole.topic, "x", day) for day in days]
    ((finding),) = SecurityNames().compare(parts)
    assert finding.severity is Severity.ERROR
    assert finding.day == to_day(date(2020, 3, 3))


# -- the commands --------------------------------------------------------------------------------------------


def detail(day: date, names: Sequence[str]) -> bytes:
    rows = [[f"{1 + i:06d}", name, 1000 + i, 5000, 1, 7, 70, 5070] for i, name in enumerate(names)]
    return workbook(a=[[f"{day}"], SZSE_HEAD, *rows])


def test_the_names_of_published_files_are_stored_unless_they_are_shifted(
    tmp_path: Path, sent: list[Message], monkeypatch: pytest.MonkeyPatch
) -> None:
    stored: list[dict[str, str]] = []
    monkeypatch.setattr(feed_services, "store_security_names", lambda _settings, names: stored.append(names))
    names = [f"公司{i}号" for i in range(9)]
    before, today = tmp_path / "1.xlsx", tmp_path / "2.xlsx"
    before.write_bytes(detail(DAYS[0], [*names, "XD贵州茅"]))
    assert feed("exchange", before, "--check").exit_code == 0 and stored == []
    assert feed("exchange", before).exit_code == 0
    assert stored == [{f"{1 + i:06d}.SZ": name for i, name in enumerate(names)}]  # a mark has cut the last one
    today.write_bytes(detail(DAYS[1], [*names[1:], names[0], "XD贵州茅"]))
    assert feed("exchange", today, "--before", before, "--force").exit_code == 0
    assert stored[1:] == [{}]


def test_the_names_of_a_plan_s_files_are_stored_unless_they_are_shifted(tmp_path: Path, sent: list[Message]) -> None:
    stored: list[Mapping[str, str]] = []
    outlet, path = daily_outlet(PublishLedger(MemoryStore()), store_names=stored.append), tmp_path / "1.xlsx"
    names = [f"公司{i}号" for i in range(9)]
    for day, given in zip(DAYS, (names, [*names[1:], names[0]]), strict=True):
        path.write_bytes(detail(day, given))
        outlet.publish("desk", exchange.read([path]), source="desk", force=True)
    assert stored == [{f"{1 + i:06d}.SZ": name for i, name in enumerate(names)}, {}]


def test_shifted_names_stop_the_command_before_anything_is_sent(tmp_path: Path, sent: list[Message]) -> None:
    names = [f"公司{i}号" for i in range(10)]
    before, today = tmp_path / "1.xlsx", tmp_path / "2.xlsx"
    before.write_bytes(detail(DAYS[0], names))
    today.write_bytes(detail(DAYS[1], [*names[1:], names[0]]))
    result = feed("exchange", today, "--before", before)
    assert isinstance(result.exception, InputError) and "10 of 10 securities have another name" in str(result.exception)
    assert sent == []
    assert feed("exchange", today, "--before", before, "--force").exit_code == 0
    today.write_bytes(detail(DAYS[1], [*names[:9], "新名字"]))
    result = feed("exchange", today, "--before", before)
    assert result.exit_code == 0 and "公司9号 → 新名字" in " ".join(result.output.split())


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_the_names_of_the_security_master_are_stored(stack: Stack) -> None:
    store_security_names(stack.settings, {"600519.SH": "贵州茅台"})
    names = SecurityNames(load_security_names(stack.settings))
    (finding,) = names.compare([part(DAYS[0], {"600519.SH": "平安银行"})])
    assert finding.check == "name" and finding.topic == "margin.daily"


def test_a_table_whose_names_are_all_empty_has_no_names() -> None:
    assert found(part(DAYS[0], dict.fromkeys(CODES, ""))) == []
