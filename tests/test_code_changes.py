"""Codes that changed: the history of a security continues under its newest code, in the partition of its first."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

from processors.code_changes import CodeChange, CodeChanges
from processors.codes import to_codes, to_id
from processors.errors import MarginwatchError
from processors.events import RowBatch
from processors.outputs import FeatureFrame
from processors.parameters import Parameters
from processors.securities import Securities
from streams import code_changes
from streams.calendars import xshg
from streams.errors import SettingsError
from streams.feature_codec import FeatureCodec
from streams.records import ARROW, CONTENT_TYPE
from streams.row_codec import Decoder
from streams.row_frames import encode_frame
from streams.row_json import encode_events
from streams.settings import Settings
from streams.topics import Partitioner, partition_of
from tests.building import DAYS, balances, end_of_day
from tests.test_codec import Message

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
    with pytest.raises(SettingsError, match="absent"):
        code_changes.load(tmp_path / "absent.csv")
