"""Codes that changed: the history of a security continues under its newest code, in the partition of its first."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from feeds.checks.compared_day import ComparedDay
from feeds.checks.findings import Finding, Severity
from feeds.checks.successors import of_one_code, published_successors, under_codes_of
from processors.code_changes import CodeChange, CodeChanges
from processors.codes import to_codes, to_id
from processors.days import to_day
from processors.errors import MarginwatchError
from processors.events import RowBatch
from processors.outputs import FeatureFrame
from processors.parameters import Parameters
from processors.securities import Securities
from streams import code_changes
from streams.calendars import xshg
from streams.codecs.feature_codec import FeatureCodec
from streams.codecs.row_codec import Decoder
from streams.codecs.row_frames import encode_frame
from streams.codecs.row_json import encode_events
from streams.errors import SettingsError
from streams.records import ARROW, CONTENT_TYPE
from streams.settings import Settings
from streams.topics import Partitioner, partition_of
from tests.building import DAYS, balances, end_of_day
from tests.publishing import feed, sent
from tests.test_codec import Message

__all__ = ["sent"]

BEIJING = CodeChange("430047.BJ", "920047.BJ", date(2025, 10, 9))
SHENZHEN = CodeChange("000043.SZ", "001914.SZ", date(2019, 12, 16))
TWICE = [CodeChange("000001.SZ", "000002.SZ", date(2001, 1, 2)), CodeChange("000002.SZ", "000003.SZ", date(2005, 1, 4))]
CHANGES = CodeChanges([*reversed(TWICE), BEIJING, SHENZHEN])
PARTITIONS = 8


def ids(*codes: str) -> np.ndarray:
    return np.array([to_id(code) for code in codes], dtype=np.int32)


def test_newest_and_first_codes_follow_the_whole_chain() -> None:
    codes = ["000001.SZ", "000002.SZ", "000003.SZ", "430047.BJ", "920047.BJ", "600519.SH"]
    assert to_codes(CHANGES.newest(ids(*codes))) == ["000003.SZ"] * 3 + ["920047.BJ"] * 2 + ["600519.SH"]
    assert to_codes(CHANGES.first(ids(*codes))) == ["000001.SZ"] * 3 + ["430047.BJ"] * 2 + ["600519.SH"]
    assert CodeChanges().newest(ids(*codes)).tolist() == ids(*codes).tolist()


@pytest.mark.parametrize(
    "pairs",
    [[("000001.SZ", "000002.SZ"), ("000001.SZ", "000003.SZ")], [("000001.SZ", "000003.SZ"), ("000002.SZ", "000003.SZ")],
     [("000001.SZ", "000002.SZ"), ("000002.SZ", "000001.SZ")], [("000001.SZ", "000001.SZ")]],
)  # fmt: skip
def test_changes_that_are_no_chain_are_refused(pairs: list[tuple[str, str]]) -> None:
    with pytest.raises(MarginwatchError, match=r"may change once|lead back"):
        CodeChanges(CodeChange(old, new, date(2020, 1, 2)) for old, new in pairs)


def test_all_codes_of_a_security_belong_to_the_partition_of_its_first() -> None:
    partitioner = Partitioner(PARTITIONS, CHANGES)
    for change in (BEIJING, SHENZHEN):
        home = partition_of(change.old, PARTITIONS)
        assert partitioner.of(ids(change.old, change.new)).tolist() == [home, home]
        assert partitioner.of_code(change.new) == home
    assert partition_of(BEIJING.new, PARTITIONS) != partition_of(BEIJING.old, PARTITIONS)


@pytest.mark.parametrize("frames", [True, False])
@pytest.mark.parametrize("change", [BEIJING, SHENZHEN])
def test_a_streak_continues_over_the_change_under_the_newest_code(change: CodeChange, frames: bool) -> None:
    """Rows under the old code, then under the new one: one security with one history."""
    home = partition_of(change.old, PARTITIONS)
    decoder = Decoder("margin.daily", xshg(), ("SSE", "SZSE"), Partitioner(PARTITIONS, CHANGES), 10**6, CHANGES)
    stage = Securities(home, Parameters(), ("SZSE",), xshg())
    seen = []
    for at, day in enumerate(DAYS[:6]):
        sent = balances(day, {change.old if at < 3 else change.new: 1e9 * 1.01**at})
        values = [encode_frame(sent, "x")] if frames else [value for _, value in encode_events(sent, "x")]
        headers = [(CONTENT_TYPE, ARROW)] if frames else []
        (rows,), dead = decoder.decode([Message(value, headers, partition=home) for value in values])
        assert not dead
        assert isinstance(rows, RowBatch)
        for frame in stage.fold([rows, end_of_day(rows, SZSE=len(rows))]):
            assert isinstance(frame, FeatureFrame)
            seen.append((to_codes(frame.keys), frame.columns["fin_streak"].tolist()))
    assert seen == [([change.new], [at]) for at in range(6)]


def test_state_of_other_changes_is_rebuilt() -> None:
    versions = {FeatureCodec(Parameters(), 1, xshg(), changes.digest).version for changes in (CHANGES, CodeChanges())}
    assert len(versions) == 2
    assert CodeChanges([SHENZHEN, BEIJING]).digest == CodeChanges([BEIJING, SHENZHEN]).digest


def test_the_file_of_changes(tmp_path: Path) -> None:
    path = tmp_path / "changes.csv"
    path.write_text("old,new,date\n430047.BJ,920047.BJ,2025-10-09\n000043.SZ,001914.SZ,2019-12-16\n", "utf-8-sig")
    found = code_changes.load(Settings(code_changes_file=path).code_changes_file)
    assert to_codes(found.newest(ids("430047.BJ", "000043.SZ"))) == ["920047.BJ", "001914.SZ"]
    assert code_changes.load(None).digest == ""


@pytest.mark.parametrize(
    ("text", "reason"),
    [("a,b\n", "expected the columns old, new, date"), ("old,new,date\n430047,920047.BJ,2025-10-09\n", "line 2"),
     ("old,new,date\n430047.BJ,920047.BJ,soon\n", "line 2.*soon"), ("old,new,date\n430047.BJ\n", "line 2")],
)  # fmt: skip
def test_a_wrong_file_is_refused_with_its_line(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "changes.csv"
    path.write_text(text)
    with pytest.raises(SettingsError, match=reason):
        code_changes.load(path)
    with pytest.raises(SettingsError, match=r"CHANGES_FILE names .*absent.*\(No such file or directory\): correct"):
        code_changes.load(tmp_path / "absent.csv")


# -- both codes on one day ---------------------------------------------------------------------------------------

MERCHANTS = CodeChange("000022.SZ", "001872.SZ", date(2018, 12, 26))
CHAIN = [
    CodeChange("830001.BJ", "430001.BJ", date(2015, 3, 2)),
    CodeChange("430001.BJ", "920001.BJ", date(2025, 10, 9)),
]
FOUND = CodeChanges([MERCHANTS, BEIJING, *CHAIN])


@pytest.mark.parametrize(
    ("day", "rows", "left"),
    [
        ("2018-12-25", {"000022.SZ": 1.0, "001872.SZ": 2.0}, "000022.SZ"),  # before the change the old code is valid
        ("2018-12-26", {"000022.SZ": 1.0, "001872.SZ": 2.0}, "001872.SZ"),
        ("2018-12-26", {"000022.SZ": 2.0, "001872.SZ": 2.0}, "001872.SZ"),
        ("2025-10-09", {"430047.BJ": 1.0, "920047.BJ": 3.0}, "920047.BJ"),
        ("2015-02-27", {"830001.BJ": 1.0, "430001.BJ": 2.0, "920001.BJ": 3.0}, "830001.BJ"),
        ("2020-01-02", {"830001.BJ": 1.0, "430001.BJ": 2.0, "920001.BJ": 3.0}, "430001.BJ"),
        ("2025-10-10", {"830001.BJ": 1.0, "430001.BJ": 2.0, "920001.BJ": 2.0}, "920001.BJ"),
        ("2025-10-10", {"830001.BJ": 1.0, "430001.BJ": 2.0}, "430001.BJ"),  # none is valid: the newer one
    ],
)
def test_of_two_codes_of_a_security_on_one_day_the_valid_one_counts(
    day: str, rows: dict[str, float], left: str
) -> None:
    given = balances(date.fromisoformat(day), rows | {"600519.SH": 5.0})
    findings: list[Finding] = []
    found = of_one_code(given, FOUND, findings)
    assert dict(zip(to_codes(found.keys), found.figures["fin_balance"].tolist(), strict=True)) == {
        "600519.SH": 5.0, left: rows[left]
    }  # fmt: skip
    refused = [one for one in findings if one.severity is Severity.REFUSED]
    assert len(findings) == len(rows) - 1
    assert len(refused) >= len([value for code, value in rows.items() if value != rows[left] and code != left])
    assert all(one.group in ("SZSE", "BSE") and one.day == given.days[0] for one in findings)


def test_one_code_alone_and_other_codes_are_left_as_they_are() -> None:
    given = balances(date(2025, 10, 9), {"430047.BJ": 1.0, "001872.SZ": 1.0, "600519.SH": 1.0})
    findings: list[Finding] = []
    assert of_one_code(given, FOUND, findings) is given and findings == []
    assert of_one_code(given, CodeChanges(), findings) is given


@pytest.mark.parametrize(("other", "word", "status"), [(7.0, "REFUSED successor", 1), (3.0, "WARNING twins", 0)])
def test_a_feed_reports_both_codes_of_a_day(
    other: float, word: str, status: int, sent: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changes, file = tmp_path / "changes.csv", tmp_path / "margin.csv"
    changes.write_text("old,new,date\n000022.SZ,001872.SZ,2018-12-26\n")
    monkeypatch.setenv("MARGINWATCH_CODE_CHANGES_FILE", str(changes))
    heads = "trade_date,ts_code,rzye,rqye,rzmre,rqyl,rzche,rqchl,rqmcl,rzrqye"
    lines = [
        f"20181227,{code},{balance}e8,1e6,{balance}e7,1e5,9e6,1e4,1e4,{balance * 1e8 + 1e6}"
        for code, balance in (("000022.SZ", other), ("001872.SZ", 3.0), ("600519.SH", 5.0))
    ]
    file.write_text("\n".join([heads, *lines]))
    result = feed("vendor", file, "--json")
    assert result.exit_code == status, result.output
    assert f"{word} margin.daily 2018-12-27: 000022.SZ and 001872.SZ are one security" in result.output
    assert sent  # the other rows are published


def test_a_row_that_is_published_under_the_other_code_is_reported() -> None:
    day, before = date(2018, 12, 27), date(2018, 12, 25)
    published = balances(day, {"001872.SZ": 3.0})
    compared = ComparedDay.of(
        {"margin.daily": balances(day, {"000022.SZ": 4.0})},
        {"margin.daily": under_codes_of(to_day(day), balances(before, {"000022.SZ": 2.0}), FOUND)},
        xshg(),
        {"margin.daily": published},
    )
    (one,) = published_successors(compared, FOUND)
    assert (one.check, one.severity) == ("successor", Severity.WARNING)
    assert "000022.SZ is published as 001872.SZ already, with other figures" in one.text
    assert to_codes(compared.before["margin.daily"].keys) == [
        "001872.SZ"
    ]  # no security is missing on the day of a change
