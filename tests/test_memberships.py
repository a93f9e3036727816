"""Master data that lose what they had, or that the stocks which trade contradict."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feeds.checks.findings import Finding, Severity
from feeds.daily.daily_checks import DailyChecks
from feeds.daily.memberships import memberships
from feeds.daily.security_names import SecurityNames
from feeds.errors import InputError
from feeds.folder import read_tables
from feeds.security_master import read
from processors.events import RowBatch, concat
from streams.calendars import xshg
from tests.building import batch

CALENDAR = xshg()
DAY, NEXT = date(2020, 7, 23), date(2020, 7, 24)
CODES = [f"{600_000 + place}.SH" for place in range(300)]
_Columns = Mapping[str, object]


def rows(topic: str, day: date, codes: list[str] = CODES, **columns: object) -> RowBatch:
    """Rows of codes; each column is a value, or one for each code."""
    values = {name: np.broadcast_to(np.asarray(of, np.float64), len(codes)) for name, of in columns.items()}
    return batch(topic, day, {code: {n: float(v[at]) for n, v in values.items()} for at, code in enumerate(codes)})


def market(**columns: object) -> RowBatch:
    """300 stocks: of 30 industries, all of the CSI 300, 15 of them under special treatment."""
    known = {"industry": np.arange(300) % 30, "csi300": 1.0, "st": np.arange(300) < 15, "listed": 1.0}
    return rows("reference", DAY, **(known | columns))


def found(now: RowBatch, before: RowBatch | None = None, marked: object = None) -> list[Finding]:
    st = np.arange(300) < 15 if marked is None else marked
    return list(memberships(now, {"prices.daily": rows("prices.daily", NEXT, st=st)}, lambda: before))


def test_master_data_that_agree_have_no_finding() -> None:
    assert found(market()) == []
    assert found(rows("reference", NEXT, CODES[:20], industry=1.0, csi300=0.0), market()) == []  # a revision
    assert list(memberships(None, {})) == []


@pytest.mark.parametrize(
    ("columns", "severity", "said"),
    [
        ({"industry": 3.0}, "error", "300 of 300 stocks are in one industry"),
        ({"industry": np.where(np.arange(300) < 40, np.nan, np.arange(300) % 30)}, "warning", "40 of 300 stocks"),
        ({"csi300": np.arange(300) < 200}, "warning", "200 members of csi300, the index has 300"),
        ({"st": 1.0}, "error", "300 of 300 stocks that trade are under special treatment"),
        ({"st": np.arange(300) >= 285}, "error", "15 of 15 stocks under special treatment .* no mark"),
    ],
)
def test_master_data_that_the_stocks_which_trade_contradict(columns: _Columns, severity: str, said: str) -> None:
    one = found(market(**columns))[0]
    assert one.severity is Severity(severity)
    assert pd.Series([one.text]).str.contains(said).all(), one.text


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"industry": np.nan}, "the industries of 300 of 300 securities end"),
        ({"csi300": 0.0}, "300 of 300 members of csi300 leave it"),
        ({"industry": np.roll(np.arange(300) % 30, 1)}, "300 of 300 securities get another industry"),
    ],
)
def test_a_column_that_is_empty_or_shifted_beside_what_is_published_is_an_error(columns: _Columns, said: str) -> None:
    errors = [one.text for one in found(market(**columns), market()) if one.severity is Severity.ERROR]
    assert any(said in one for one in errors), errors


def test_what_begins_behind_the_figures_is_not_compared_with_them() -> None:
    later = rows("reference", date(2021, 1, 4), industry=np.nan, csi300=0.0, st=1.0)
    assert found(concat([market(), later])) == []


def spells(folder: Path, **columns: object) -> list[Finding]:
    frame = pd.DataFrame({"code": [code[:6] for code in CODES[:40]], "start": "2020-01-02", "end": None} | columns)
    frame.to_csv(folder / "x.csv", index=False)
    return DailyChecks(CALENDAR, SecurityNames(), None).check(read([folder / "x.csv"], CALENDAR), "x").findings


def test_an_empty_column_of_industries_is_an_error(tmp_path: Path) -> None:
    """It ended the industries of all securities of the file."""
    assert spells(tmp_path, sw_code="480101") == []
    assert [(f.severity, f.check) for f in spells(tmp_path, sw_code=None)] == [(Severity.ERROR, "spell")]
    few = np.where(np.arange(40) < 5, None, "480101")  # a spell without a value ends the one before
    assert spells(tmp_path, sw_code=few) == []


@pytest.mark.parametrize("flag", ["ST", "SUSPENDED"])
def test_spells_that_begin_again_without_an_end_are_refused(tmp_path: Path, flag: str) -> None:
    """Special treatment, or a suspension, lasted for ever."""
    codes = [code[:6] for code in CODES[:20]] * 2
    starts = np.repeat(["2020-01-02", "2020-03-02"], 20)
    ends = np.repeat(["2020-01-31", None], 20)
    if flag == "ST":  # suspensions alone have no row
        assert spells(tmp_path, code=codes, start=starts, end=ends, flag=flag) == []
    with pytest.raises(InputError, match=r"600000.SH from 2020-01-02 on has no end, .* \(20 such rows\)"):
        spells(tmp_path, code=codes, start=starts, end=None, flag=flag)


def market_with_spells(folder: Path, flags: pd.DataFrame) -> list[Finding]:
    """Three sessions of 40 stocks, of which 20 are suspended for one of them, and the spells of a file."""
    rows = [
        {"dt": f"2020-01-{2 + day:02d}" if day < 2 else "2020-01-06", "code": code[:6], "name": "某股", "open": 10.0,
         "high": 10.5, "low": 9.9, "close": 10 + n / 100, "pre_close": 10 + n / 100, "volume": 1e6 + n,
         "amount": (1e6 + n) * (10 + n / 100), "float_shares": 1e8 + n, "total_shares": 2e8}
        for day in range(3) for n, code in enumerate(CODES[:40]) if not (n < 20 and day == 1)
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "prices_a_2020.csv", index=False)
    flags.to_csv(folder / "st_suspension_2020.csv", index=False)
    return DailyChecks(CALENDAR, SecurityNames(), None).check(read_tables(folder), "x").findings


def flag_spells() -> pd.DataFrame:
    """ST of 60 stocks of which 20 trade, and the suspensions."""
    special = {"code": [f"{600020 + n}" for n in range(60)], "flag": "ST", "start": "2019-06-03", "end": "2020-12-31"}
    stopped = {"code": [code[:6] for code in CODES[:20]], "flag": "SUSPENDED", "start": "2020-01-03",
               "end": "2020-01-03"}  # fmt: skip
    older = stopped | {"start": "2019-10-08", "end": "2019-10-10"}
    return pd.concat(map(pd.DataFrame, (special, stopped, older)), ignore_index=True)


def test_stocks_that_trade_while_they_are_suspended_refuse_the_spells(tmp_path: Path) -> None:
    flags = flag_spells()
    assert [one for one in market_with_spells(tmp_path, flags) if one.topic == "reference"] == []
    for damaged in (
        flags.assign(flag="SUSPENDED"),
        flags.assign(code=np.roll(flags["code"], 60)),
        flags.assign(start=flags["start"].where(flags["flag"] == "ST", "2020-01-02")),
    ):
        with pytest.raises(InputError, match=r"trades on 2020-01-0[236], and is suspended \(\d+ such rows of \d+\)"):
            market_with_spells(tmp_path, damaged)


@pytest.mark.parametrize("flag", ["ST", "*ST"])
def test_flags_of_spells_that_are_all_the_same_are_reported(tmp_path: Path, flag: str) -> None:
    (one,) = [f for f in market_with_spells(tmp_path, flag_spells().assign(flag=flag)) if f.topic == "reference"]
    assert one.severity is Severity.WARNING
    assert "none of 100 spells has flag == 'SUSPENDED'" in one.text
