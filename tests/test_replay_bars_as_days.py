"""Bars beside those of the session before, and the adjusted closes from which the closes before follow.

Figures are made up: 120 stocks with prices of their own, four sessions that follow on each other.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feeds.errors import InputError
from feeds.files.bars import Bars, read_bars
from streams.calendars import xshg
from tests.test_replay import AFTER, BEFORE, ENDS, FALL

FIRST = date(2025, 4, 2)
DAYS = (FIRST, BEFORE, FALL, AFTER)
STOCKS = [str(600_000 + at) for at in range(120)]
Change = Callable[[pd.DataFrame], pd.DataFrame]


def sessions() -> pd.DataFrame:
    """Return the bars; closes, volumes and turnovers change a little and differ from day to day."""
    rng, rows = np.random.default_rng(7), []
    for place, code in enumerate(STOCKS):
        close = 5 + place / 4
        for day in DAYS:
            for end in ENDS:
                start, close = close, round(close * (1 + rng.normal(0, 0.003)), 2)
                volume = float(rng.integers(500, 2_000) * 100)
                rows.append((pd.Timestamp(f"{day} {end}"), code, start, close, volume, round(volume * close)))
    raw = pd.DataFrame(rows, columns=["ts", "code", "open", "close", "volume", "amount"])
    return raw.assign(high=raw[["open", "close"]].max(axis=1), low=raw[["open", "close"]].min(axis=1))


def adjusted(raw: pd.DataFrame) -> pd.DataFrame:
    closes = raw.groupby(["code", raw["ts"].dt.normalize()])["close"].last().rename_axis(["code", "dt"]).reset_index()
    return closes.assign(close=closes["close"] * 0.9)


def read(folder: Path, bars: Change | None = None, closes: Change | None = None) -> Bars:
    raw = sessions()
    (raw if bars is None else bars(raw)).to_parquet(folder / "bars15m_x.parquet")
    if closes is not None:
        closes(adjusted(raw)).to_parquet(folder / "prices_adj_x.parquet")
    return read_bars(folder, xshg(), BEFORE)


def found(bars: Bars, severity: str) -> list[str]:
    return [one.text for one in bars.findings if one.severity == severity]


def scaled(factor: float, *columns: str, day: date | None = None) -> Change:
    def change(raw: pd.DataFrame) -> pd.DataFrame:
        rows = raw["ts"].dt.date == day if day else np.ones(len(raw), dtype=bool)
        return raw.assign(**{name: raw[name].mask(rows, raw[name] * factor) for name in columns})

    return change


def shifted_codes(raw: pd.DataFrame) -> pd.DataFrame:
    following = dict(zip(STOCKS, [*STOCKS[60:], *STOCKS[:60]], strict=True))
    return raw.assign(code=raw["code"].mask(raw["ts"].dt.date == FALL, raw["code"].map(following)))


def exchanged_days(raw: pd.DataFrame) -> pd.DataFrame:
    step = pd.Timedelta(days=1)
    one, other = raw["ts"].dt.date == FALL, raw["ts"].dt.date == AFTER
    return raw.assign(ts=raw["ts"].mask(one, raw["ts"] + step).mask(other, raw["ts"] - step))


PRICES = ("open", "high", "low", "close")


def test_sessions_that_follow_on_each_other_have_no_finding(tmp_path: Path) -> None:
    assert read(tmp_path, closes=lambda closes: closes).findings == []


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (scaled(100, "volume", "amount", day=FALL), "a step of about 100"),
        (scaled(1e4, "volume", "amount"), "turnover of SSE has a median of"),
        (scaled(100, *PRICES, "amount", day=FALL), "more than 8 times the closes"),
        (scaled(100, *PRICES, "amount"), "close of SSE has a median of"),
        (lambda raw: raw[(raw["ts"].dt.date != AFTER) | (raw["code"] < "600060")], "lack 60 of the 120 of 2025-04-07"),
        (lambda raw: raw.assign(amount=0.0), "contradicts the others: a unit, a column"),
        (lambda raw: raw.assign(volume=0.0), "contradicts the others: a unit, a column"),
        (lambda raw: raw.rename(columns={"low": "close", "close": "low"}), "contradicts the others: a unit, a column"),
    ],
)
def test_bars_that_contradict_the_session_before_or_themselves_are_an_error(
    tmp_path: Path, change: Change, text: str
) -> None:
    assert any(text in one for one in found(read(tmp_path, change, lambda closes: closes), "error"))


@pytest.mark.parametrize("change", [shifted_codes, exchanged_days])
def test_bars_of_other_securities_or_of_another_session_are_an_error(tmp_path: Path, change: Change) -> None:
    assert found(read(tmp_path, change, lambda closes: closes), "error")


@pytest.mark.parametrize(("name", "value"), [("volume", 0.0), ("amount", 0.0), ("close", 8.0), ("open", 3.0)])
def test_a_bar_that_contradicts_itself_is_refused(tmp_path: Path, name: str, value: float) -> None:
    """Its close is 5 CNY, so that 8 and 3 are beyond its high and its low, and near enough to be no other unit."""
    at = pd.Timestamp(f"{FALL} 10:30")

    def change(raw: pd.DataFrame) -> pd.DataFrame:
        return raw.assign(**{name: raw[name].mask((raw["code"] == STOCKS[0]) & (raw["ts"] == at), value)})

    refused = found(read(tmp_path, change), "refused")
    assert [one.split(",")[0] for one in refused] == [
        "1 bars have a turnover", "1 of 480 sessions of securities lack bars"]  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        lambda closes: closes.assign(dt=closes["dt"].dt.strftime("%Y%m%d").astype(int)),
        lambda closes: closes.assign(dt=closes["dt"].dt.tz_localize("Asia/Shanghai").dt.tz_convert("UTC")),
        lambda closes: closes.assign(close=closes["close"].astype(str)),
    ],
)
def test_adjusted_closes_are_read_as_other_files_are(tmp_path: Path, change: Change) -> None:
    read_so = read(tmp_path, closes=change)
    assert read_so.findings == []
    pd.testing.assert_frame_equal(read_so.frame, read(tmp_path, closes=lambda closes: closes).frame)


@pytest.mark.parametrize(
    ("change", "severity", "text"),
    [
        (lambda closes: closes.assign(close="--"), "refused", "480 of 480 adjusted closes can't be read"),
        (lambda closes: closes.assign(close="--"), "error", "120 securities have no adjusted close on 2025-04-02"),
        (lambda closes: closes.assign(code="x" + closes["code"]), "error", "120 securities have no adjusted close"),
        (lambda closes: closes.iloc[:0], "error", "120 securities have no adjusted close on 2025-04-02"),
        (lambda closes: closes[closes["dt"].dt.date != FALL], "warning", "many in 1 of 4 sessions"),
        (lambda closes: closes.assign(dt=closes["dt"] - pd.Timedelta(hours=8)), "refused", "adjusted closes can't be"),
        (lambda closes: scaled(100, "close", day=FALL)(closes.assign(ts=closes["dt"])), "error", "more than 8 times"),
    ],
)
def test_adjusted_closes_that_do_not_give_closes_before_are_reported(
    tmp_path: Path, change: Change, severity: str, text: str
) -> None:
    assert any(text in one for one in found(read(tmp_path, closes=change), severity))


def test_two_adjusted_closes_of_a_day_are_refused_and_repeated_ones_are_one(tmp_path: Path) -> None:
    assert read(tmp_path, closes=lambda closes: pd.concat([closes, closes])).findings == []
    with pytest.raises(InputError, match=r"600000\.SH has two adjusted closes of 2025-04-02: remove one"):
        read(tmp_path, closes=lambda closes: pd.concat([closes, closes.assign(close=closes["close"] * 1.1)]))
