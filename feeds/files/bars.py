"""Bars of past sessions, and the cumulative snapshots that a live feed would have sent at the end of each bar.

A folder has files ``bars<N>m_*.parquet`` of bars of N minutes: ``ts``, the end of the bar in Shanghai (the first bar
contains the opening auction, or follows a bar of it that ends at 09:30); ``code``, six digits of a stock or fund;
``open`` and ``close``, CNY, unadjusted; ``volume``, shares; ``amount``, CNY. A suspended security has prices of 0 and
no snapshot. The close before, ex-right, follows from adjusted closes in files ``prices_adj_*.parquet`` (``dt``,
``code``, ``close``) where the folder has them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd

from feeds.cells.code_styles import BY_NUMBER, to_own
from feeds.cells.dates import NO_DAY, parse_days
from feeds.cells.distinct_cells import read_distinct
from feeds.cells.workbooks import read_parquet
from feeds.checks.bar_sessions import bar_sessions, contradicting, lacking_bars
from feeds.checks.bars_as_days import bars_as_days
from feeds.checks.findings import Finding, Severity
from feeds.checks.validate import TOO_MANY_ROWS, TOO_MANY_SHARE
from feeds.errors import ConfigurationError, InputError
from feeds.mappings.mapped_keys import NO_KEY
from processors.arrays import Days, Ids
from processors.codes import to_code, to_id
from processors.days import SHANGHAI, TradingCalendar, shanghai_moment, to_date, to_day
from processors.events import FIGURES, RowBatch
from processors.kinds import is_fund
from processors.trading_hours import HALVES

_NAME, _ADJUSTED = re.compile(r"bars(\d+)m_.*\.parquet"), "prices_adj_*.parquet"
_COLUMNS = ("ts", "code", "open", "close", "volume", "amount")
#: These are judged where a file has them.
_RANGE = ("high", "low")
#: Figures that rise with the session.
_CUMULATIVE = ("volume", "turnover")
_CONTRARY = "have a turnover, volume, open or close that contradicts the others"
_SESSION_MINUTES = sum(end - opening for opening, end in HALVES)
#: Steps of a CNY in which ex-right closes are published: of stocks cents, of funds tenths of them.
_STEPS, _STEPS_OF_FUNDS = 100, 1_000


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Rows of one topic at one moment.

    Parameters
    ----------
    interpolated : between the ends of two bars, or the open and the close of an index; no such row was published.
    """

    rows: RowBatch
    interpolated: bool


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars of whole sessions.

    Parameters
    ----------
    minutes : the length of a bar.
    frame : ``key``, ``day``, ``minute`` (of the day, at which the bar ends), ``start`` and ``last`` (prices, CNY),
        ``prev_close``, ``volume`` and ``turnover`` of the bar; by key and time.
    findings : what was left out.
    """

    minutes: int
    frame: pd.DataFrame
    findings: list[Finding]

    def days(self) -> list[int]:
        """Return the sessions, days since 1970-01-01, ascending."""
        return sorted(self.frame["day"].unique().tolist())

    def check_step(self, every: int | None) -> None:
        """Raise `ConfigurationError` if a bar does not consist of whole steps of ``every`` minutes."""
        if every is not None and self.minutes % every:
            raise ConfigurationError(
                f"--every {every}m: bars of {self.minutes} minutes are interpolated in steps that divide them: "
                + ", ".join(f"{n}m" for n in range(1, self.minutes + 1) if self.minutes % n == 0)
            )

    def snapshots(self, day: int, every: int | None = None) -> Iterator[tuple[int, Snapshot]]:
        """Yield the snapshots of a session, ``(minute of the day, rows)``, ascending.

        Parameters
        ----------
        every : minutes between interpolated snapshots; None for the ends of the bars alone.
        """
        bars = self.frame[self.frame["day"] == day]
        totals = bars.groupby("key", sort=False)[list(_CUMULATIVE)].cumsum()
        steps = self.minutes // (every or self.minutes)
        parts = []
        for step in range(1, steps + 1):
            done = step / steps
            part = bars[["key", "prev_close"]].assign(
                minute=bars["minute"] - self.minutes + step * (every or self.minutes), interpolated=step < steps
            )
            for name in _CUMULATIVE:
                part[name] = totals[name] - (1 - done) * bars[name]
            part["last"] = bars["last"] if step == steps else bars["start"] + done * (bars["last"] - bars["start"])
            parts.append(part)
        yield from _by_minute("prices.intraday", pd.concat(parts), day)


def index_snapshots(daily: RowBatch, day: int, every: int | None = None) -> Iterator[tuple[int, Snapshot]]:
    """Yield the snapshots of the indices of a session: their close, and on demand a straight line to it from the open.

    Parameters
    ----------
    daily : rows of indices.daily of the day; an index without open, close, previous close, volume or turnover has none.
    every : minutes between interpolated snapshots; None for the close alone.
    """
    step = every or _SESSION_MINUTES
    figures = {name: daily.figures[name] for name in ("open", "close", "prev_close", *_CUMULATIVE)}
    indices = pd.DataFrame({"key": daily.keys, **figures})[daily.days == day].dropna()
    parts = []
    for elapsed in range(step, _SESSION_MINUTES + 1, step):
        done = elapsed / _SESSION_MINUTES
        part = indices[["key", "prev_close"]].assign(minute=_minute(elapsed), interpolated=elapsed < _SESSION_MINUTES)
        for name in _CUMULATIVE:
            part[name] = done * indices[name]
        part["last"] = indices["close"] if done == 1 else indices["open"] + done * (indices["close"] - indices["open"])
        parts.append(part)
    if len(indices):
        yield from _by_minute("indices.intraday", pd.concat(parts), day)


def _minute(elapsed: int) -> int:
    """Return the minute of the day after so many minutes of trading."""
    for opening, end in HALVES:
        if elapsed <= end - opening:
            return opening + elapsed
        elapsed -= end - opening
    raise AssertionError(elapsed)


def _by_minute(topic: str, frame: pd.DataFrame, day: int) -> Iterator[tuple[int, Snapshot]]:
    for place, rows in frame.groupby(["minute", "interpolated"], sort=True):
        minute, interpolated = cast("tuple[int, bool]", place)
        size, stamp = len(rows), shanghai_moment(day, int(minute))
        figures = {column.name: rows[column.name].to_numpy(np.float64) for column in FIGURES[topic]}
        yield (
            int(minute),
            Snapshot(
                RowBatch(
                    topic,
                    rows["key"].to_numpy(np.int32),
                    np.full(size, day, np.int32),
                    np.zeros(size, np.int32),
                    np.full(size, stamp, np.int64),
                    figures,
                ),
                bool(interpolated),
            ),
        )


def bar_files(folder: Path) -> list[Path]:
    """Return the files of bars in a folder.

    Raises
    ------
    InputError : if there is none, or they have bars of different lengths.
    """
    found = sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))
    if not found:
        raise InputError(f"{folder} has no file bars<N>m_*.parquet with bars of N minutes: a replay needs them")
    if len({_minutes(path) for path in found}) > 1:
        raise InputError(f"{folder} has bars of several lengths ({', '.join(p.name for p in found)}): keep one of them")
    return found


def adjusted_files(folder: Path) -> list[Path]:
    """Return the files of adjusted closes in a folder; there may be none."""
    return sorted(folder.glob(_ADJUSTED))


def _minutes(path: Path) -> int:
    found = _NAME.fullmatch(path.name)
    assert found is not None
    return int(found[1])


def read_bars(folder: Path, calendar: TradingCalendar, start: date | None = None, end: date | None = None) -> Bars:
    """Read the bars of the sessions between two dates, both included; None is no limit.

    Raises
    ------
    InputError : if there is none, a file lacks a column, two bars of a security end at one moment, or no close before
        the sessions is known.
    """
    files = bar_files(folder)
    minutes = _minutes(files[0])
    findings: list[Finding] = []
    raw = pd.concat([_columns_of(path, _COLUMNS, _RANGE) for path in files], ignore_index=True)
    ts = pd.to_datetime(raw["ts"], errors="coerce")
    raw["ts"] = ts if ts.dt.tz is None else ts.dt.tz_convert(SHANGHAI).dt.tz_localize(None)
    raw["day"] = _days(raw["ts"])
    raw["minute"] = (raw["ts"].dt.hour * 60 + raw["ts"].dt.minute).fillna(-1).astype(np.int64)
    if end is not None:
        raw = raw[raw["day"] <= to_day(end)]
    raw["key"], wrong = _keys(raw["code"])
    ends = np.concatenate([np.arange(opening + minutes, close + 1, minutes) for opening, close in HALVES])
    whole = raw["minute"].isin(ends)
    if (raw["minute"] == ends[-1]).any():  # else 09:30 is the beginning of a bar, not the end of the opening auction
        whole |= raw["minute"] == HALVES[0][0]
    of_session = calendar.contains(raw["day"].to_numpy()) & whole & (raw["ts"].dt.second == 0)
    known = (raw["key"] != NO_KEY) & of_session
    names = ["open", "close", "volume", "amount", *(name for name in _RANGE if name in raw)]
    raw[names] = raw[names].apply(pd.to_numeric, errors="coerce").astype(np.float64)
    figures = raw[names[:4]].to_numpy()
    suspended = (figures == 0).all(axis=1)
    sound = np.isfinite(figures).all(axis=1) & (figures >= 0).all(axis=1) & (figures[:, :2] > 0).all(axis=1)
    contrary = known & sound & contradicting(raw.where(known & sound))
    if contrary.sum() > max(TOO_MANY_ROWS, TOO_MANY_SHARE * len(raw)):
        text = f"{int(contrary.sum()):,} of {len(raw):,} bars {_CONTRARY}: a unit, a column or a part of them is wrong"
        findings.append(_finding(Severity.ERROR, text))
        contrary[:] = False
    sound &= ~contrary
    for bad, severity, reason in (
        (~known, Severity.REFUSED, "are of no security, or do not end a bar of a session"),
        (known & ~sound & ~suspended & ~contrary, Severity.REFUSED, "have figures that no bar has"),
        (contrary, Severity.REFUSED, _CONTRARY),
        (known & suspended, Severity.WARNING, "have no price (suspended) and are left out"),
    ):
        if bad.any():
            first = raw[bad].iloc[0]
            text = wrong.get(str(first["code"]), f"{first['code']} at {first['ts']}")
            findings.append(_finding(severity, f"{int(bad.sum()):,} bars {reason}, such as {text}"))
    refused = int((~known | (~sound & ~suspended)).sum())
    if refused > max(TOO_MANY_ROWS, TOO_MANY_SHARE * len(raw)):
        text = f"{refused:,} of {len(raw):,} bars are refused, too many to publish the others"
        findings.append(_finding(Severity.ERROR, text))
    frame = raw[known & sound].sort_values(["key", "ts"], kind="stable")
    if (twice := frame.duplicated(["key", "ts"])).any():
        first = frame[twice].iloc[0]
        raise InputError(f"{folder}: two bars of {first['code']} end at {first['ts']:%F %R}: remove one of them")
    frame = frame.rename(columns={"close": "last", "amount": "turnover"})
    first = to_day(start) if start is not None else calendar.first
    # The session before the first one is judged, too: its last bar is the close before.
    findings += bar_sessions(frame, ends, calendar, since=calendar.before(first) or first)
    pauses = raw.loc[known & suspended, ["key", "day"]]
    frame = _whole_sessions(frame, lacking_bars(frame, pauses, ends, calendar), findings)
    before = frame.groupby(["key", "day"])["last"].shift()
    frame["start"] = before.fillna(frame["open"])
    frame["prev_close"] = _closes_before(frame, pauses, folder, calendar, findings)
    findings += bars_as_days(frame[frame["day"] >= (calendar.before(first) or first)], calendar)
    frame = frame[frame["day"] >= first]
    if not len(frame):
        raise InputError(f"{folder} has no bar between these dates: look at --from and --to")
    if (unknown := frame["prev_close"].isna()).all():
        raise InputError(f"{folder} has no close before the bars between these dates: add those of the session before")
    if unknown.any():
        text = f"{int(unknown.sum()):,} bars are left out: the close before their session is not known"
        findings.append(_finding(Severity.WARNING, text))
    return Bars(minutes, frame[~unknown].reset_index(drop=True), findings)


def _whole_sessions(frame: pd.DataFrame, lacking: pd.Series, findings: list[Finding]) -> pd.DataFrame:
    """Leave out the sessions of securities that lack bars, unless these are too many to publish the others."""
    count = int(lacking.sum())
    if not count:
        return frame
    key, day = lacking.index[int(lacking.to_numpy().argmax())]
    first = f"such as that of {to_code(key)} on {to_date(day)}"
    text = f"{count:,} of {len(lacking):,} sessions of securities lack bars, {first}"
    if count > max(TOO_MANY_ROWS, TOO_MANY_SHARE * len(lacking)):
        findings.append(_finding(Severity.ERROR, f"{text}: too many to publish the others"))
        return frame
    findings.append(_finding(Severity.REFUSED, f"{text}: they are left out, because sums of their bars are too small"))
    return frame[~pd.MultiIndex.from_frame(frame[["key", "day"]]).isin(lacking.index[lacking])].copy()


def _finding(severity: Severity, text: str) -> Finding:
    return Finding(severity, "bars", "prices.intraday", None, text)


def _columns_of(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> pd.DataFrame:
    raw = read_parquet(path, str(path))
    if missing := [name for name in columns if name not in raw]:
        raise InputError(f"{path} has no column {', '.join(missing)}: expected {', '.join(columns)}")
    return raw[[*columns, *(name for name in optional if name in raw)]]


def _days(ts: pd.Series) -> Days:
    """Return days since 1970-01-01; 0, which is no session, for no time."""
    return ts.fillna(pd.Timestamp(0)).to_numpy("datetime64[D]").astype(np.int32)


def _keys(codes: pd.Series) -> tuple[Ids, dict[str, str]]:
    """Return the id of each code, `NO_KEY` where it names no security; and the reason by code."""
    texts = codes.astype(str)
    keys, wrong = read_distinct(texts, lambda cell: to_id(to_own(cell, "600519", BY_NUMBER, "")), NO_KEY)
    return keys, {texts.iloc[place]: reason for place, reason in wrong.items()}


def _closes_before(
    frame: pd.DataFrame,
    suspended: pd.DataFrame,
    folder: Path,
    calendar: TradingCalendar,
    findings: list[Finding],
) -> pd.Series:
    """Return the close of the session before each bar's, ex-right where the folder has adjusted closes, CNY.

    An adjusted close over the unadjusted one of the same session is a security's factor F; the close before is then the
    adjusted close of the session before, over F. NaN where that session has no close and no suspension.

    Parameters
    ----------
    suspended : ``key`` and ``day`` of bars of suspended securities.
    findings : gets the adjusted closes that can't be read, and the sessions without one.
    """
    closes = frame.groupby(["key", "day"])["last"].last()
    pauses = pd.MultiIndex.from_frame(suspended.drop_duplicates())
    before = _shifted(closes, pauses, calendar)
    if adjusted_files(folder):
        adjusted = _adjusted_closes(folder, findings)
        findings += _without_adjusted(closes, adjusted)
        ex_right = _shifted(adjusted, pauses, calendar) / (adjusted / closes)
        funds = is_fund(closes.index.get_level_values("key").to_numpy(np.int32))
        steps = np.where(funds, _STEPS_OF_FUNDS, _STEPS)
        before = (ex_right.reindex(closes.index) * steps).round().div(steps).fillna(before)
    return before.reindex(pd.MultiIndex.from_frame(frame[["key", "day"]])).set_axis(frame.index)


def _adjusted_closes(folder: Path, findings: list[Finding]) -> pd.Series:
    """Return the adjusted closes of a folder, by key and day.

    Raises
    ------
    InputError : if a security has two different ones of a day.
    """
    raw = pd.concat([_columns_of(path, ("dt", "code", "close")) for path in adjusted_files(folder)], ignore_index=True)
    raw["key"], wrong = _keys(raw["code"])
    raw["day"], undated = parse_days(raw["dt"])
    raw["close"] = pd.to_numeric(raw["close"], errors="coerce").astype(np.float64)
    known = (raw["key"] != NO_KEY) & (raw["day"] != NO_DAY) & np.isfinite(raw["close"]) & (raw["close"] > 0)
    if not known.all():
        place = int(np.argmin(known.to_numpy()))
        first = wrong.get(str(raw["code"].iloc[place])) or undated.get(place) or f"{raw.iloc[place].to_dict()}"
        text = f"{int((~known).sum()):,} of {len(raw):,} adjusted closes can't be read, such as {first}: correct them"
        findings.append(_finding(Severity.REFUSED, text))
    of_day = raw[known].drop_duplicates(["key", "day", "close"])
    if (twice := of_day.duplicated(["key", "day"])).any():
        one = of_day[twice].iloc[0]
        raise InputError(
            f"{folder}: {to_code(int(one['key']))} has two adjusted closes of {to_date(int(one['day']))}: remove one"
        )
    closes: pd.Series = of_day.set_index(["key", "day"])["close"]
    return closes


def _without_adjusted(closes: pd.Series, adjusted: pd.Series) -> Iterator[Finding]:
    """Report sessions in which many securities have no adjusted close; in 2025 0.4% of them had none."""
    lacks = pd.Series(~closes.index.isin(adjusted.index)).groupby(closes.index.get_level_values("day").to_numpy())
    lacking = lacks.sum()[lacks.mean() > TOO_MANY_SHARE]
    if len(lacking):
        severity = Severity.ERROR if lacks.sum().sum() == len(closes) else Severity.WARNING
        text = (
            f"{lacking.iloc[0]:,} securities have no adjusted close on {to_date(int(lacking.index[0]))}, and many in "
            f"{len(lacking):,} of {len(lacks):,} sessions: ex-right days are not seen there; add them to {_ADJUSTED}"
        )
        yield _finding(severity, text)


def _shifted(closes: pd.Series, pauses: pd.MultiIndex, calendar: TradingCalendar) -> pd.Series:
    """Return the close of the session before each of ``closes`` (by key and day), or of the last one before a pause."""
    every = closes.reindex(closes.index.union(pauses))
    keys, days = every.index.get_level_values("key"), every.index.get_level_values("day")
    sessions = days.map(calendar.count_before)
    runs = np.cumsum((np.diff(keys, prepend=NO_KEY) != 0) | (np.diff(sessions, prepend=-1) != 1))
    return every.groupby(runs).ffill().groupby(runs).shift().reindex(closes.index)
