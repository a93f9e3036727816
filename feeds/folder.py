"""Reading a folder of market files into columns, day by day.

Files are recognised by their prefix (``margin_detail_sse_*``), parquet or CSV. Shanghai publishes CNY and shares;
Shenzhen's totals are in 亿元 and 亿股 (1e8) and its files have no repayments: absent stays absent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, time
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd

from processors.codes import EXCHANGES, to_id
from processors.days import TradingCalendar, to_date, to_day
from processors.deadlines import Due
from processors.errors import MarginwatchError
from processors.events import FIGURES, RowBatch, Style
from processors.industries import INDUSTRIES

_YI, _LOT = 1e8, 100.0


class FeedError(MarginwatchError):
    """A file that can't be read as what its name says."""


#: Exchange margin figures appear before the open of T+1, prices and indices after the close of T.
PUBLISHED = {
    "margin.daily": Due(time(8, 30), next_session=True),
    "margin.market": Due(time(8, 30), next_session=True),
    "prices.daily": Due(time(15, 30)),
    "valuations.daily": Due(time(15, 30)),
    "indices.daily": Due(time(15, 30)),
    "rates.daily": Due(time(17, 30)),
    "etf.daily": Due(time(8, 30), next_session=True),
    "reference": Due(time(0, 0)),
}


def known_at(topic: str, day: int, calendar: TradingCalendar) -> int:
    """When the figures of ``day`` are known, µs since the epoch."""
    moment = PUBLISHED[topic].moment(day, calendar)
    if moment is None:
        raise FeedError(
            f"the trading calendar ends on {to_date(calendar.last)}: the session after {to_date(day)} is "
            "not known; extend it with an override file"
        )
    return moment


@dataclass(slots=True)
class Dataset:
    """All rows of a folder by topic, sorted by day and key; ``source`` names where they came from."""

    batches: dict[str, RowBatch] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    source: str = "files"
    notes: list[str] = field(default_factory=list)  # what whoever uses these files should know

    @property
    def rows(self) -> int:
        """All rows."""
        return sum(len(b) for b in self.batches.values())

    def days(self) -> list[int]:
        """All trade dates, ascending."""
        found = [np.unique(b.days) for b in self.batches.values()]
        return np.unique(np.concatenate(found)).tolist() if found else []

    def by_day(self) -> Iterator[tuple[int, dict[str, RowBatch]]]:
        """Yield each day with its rows by topic."""
        bounds = {}
        for topic, batch in self.batches.items():
            days, starts = np.unique(batch.days, return_index=True)
            ends = np.append(starts[1:], len(batch))
            bounds[topic] = {int(d): (int(a), int(b)) for d, a, b in zip(days, starts, ends, strict=True)}
        for day in self.days():
            yield (
                day,
                {
                    topic: self.batches[topic].take(np.arange(*bounds[topic][day]))
                    for topic in self.batches
                    if day in bounds[topic]
                },
            )


def read(folder: Path, calendar: TradingCalendar, start: date | None = None, end: date | None = None) -> Dataset:
    """Read every file of ``folder`` whose prefix is known.

    Raises
    ------
    FeedError : if the folder holds no such file, or a file lacks a column.
    """
    if not folder.is_dir():
        raise FeedError(f"{folder} is not a folder: give one with files such as margin_detail_sse_2020.parquet")
    parts: dict[str, list[pd.DataFrame]] = {}
    undated: list[tuple[str, pd.DataFrame]] = []
    csi300: np.ndarray | None = None  # the one snapshot of members that a folder has is the codes of this file
    out = Dataset(source=f"files:{folder.name}")
    for path in sorted(folder.iterdir()):
        kind = next((k for k in _READERS if path.name.startswith(k)), None)
        if kind is None or path.suffix not in (".parquet", ".csv"):
            continue
        raw = _load(path)
        out.files.append(path)
        for topic, reader in _READERS[kind]:
            try:
                frame = reader(raw)
            except KeyError as error:
                raise FeedError(f"{path}: column {error} is missing; a {kind}* file needs it") from error
            if topic == "prices.daily" and kind == "csi300_prices":
                csi300 = frame["key"].unique()
                out.notes.append(
                    f"the members of the CSI 300 are the codes of {path.name}: one snapshot for every date"
                )
            if "day" not in frame:
                undated.append((topic, frame))
                out.notes.append(f"{path.name} has no dates: what it says today is used for every date")
                continue
            if start is not None:
                frame = frame[frame["day"] >= to_day(start)]
            if end is not None:
                frame = frame[frame["day"] <= to_day(end)]
            parts.setdefault(topic, []).append(frame)
    if not parts:
        raise FeedError(f"{folder} has no file that a feed knows; prefixes: {', '.join(_READERS)} (.parquet or .csv)")
    first = min((int(f["day"].min()) for frames in parts.values() for f in frames if len(f)), default=None)
    for topic, frame in undated:
        # A file without dates holds for all of them, from the first one on: it is what is known today, not then.
        if csi300 is not None:
            others = pd.DataFrame({"key": np.setdiff1d(csi300, frame["key"])}).assign(csi500=0.0)
            frame = pd.concat([frame, others], ignore_index=True)
            frame = frame.assign(csi300=frame["key"].isin(csi300).astype(np.float64))
        parts.setdefault(topic, []).append(frame.assign(day=np.int32(first or calendar.first)))
    out.batches = {
        topic: batch_of(topic, pd.concat(frames, ignore_index=True), calendar)
        for topic, frames in parts.items()
        if any(len(frame) for frame in frames)
    }
    return out


def batch_of(topic: str, frame: pd.DataFrame, calendar: TradingCalendar, *, join: bool = True) -> RowBatch:
    """Return the rows of a frame (``day``, ``key`` and figures) as a batch, sorted by day and key.

    Parameters
    ----------
    join : rows of one day and key become one, the first figure known of each column; else they stay apart.

    Raises
    ------
    FeedError : for a day that is no trading day, or behind the end of the calendar.
    """
    frame = frame.sort_values(["day", "key"], kind="stable")
    if join and frame.duplicated(["day", "key"]).any():
        # Two files may tell of one index: prices here, capitalisation there.
        frame = frame.groupby(["day", "key"], as_index=False, sort=True).first()
    days = frame["day"].to_numpy(np.int32)
    distinct, inverse = np.unique(days, return_inverse=True)
    strangers = distinct[~calendar.contains(distinct)]
    if len(strangers):
        raise FeedError(
            f"{topic}: {to_date(int(strangers[0]))} is no trading day of XSHG ({len(strangers)} such dates)"
        )
    stamps = np.array([known_at(topic, int(d), calendar) for d in distinct], dtype=np.int64)
    figures = {
        c.name: frame[c.name].to_numpy(np.float64) if c.name in frame else np.full(len(frame), np.nan)
        for c in FIGURES[topic]
    }
    return RowBatch(
        topic, frame["key"].to_numpy(np.int32), days, np.zeros(len(frame), dtype=np.int32), stamps[inverse], figures
    )


def _load(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, dtype={"code": str, "secid": str, "sec_code": str})


def _days(column: pd.Series) -> np.ndarray:
    return pd.to_datetime(column).to_numpy("datetime64[D]").astype(np.int32)


def _ids(codes: pd.Series, to_code: Callable[[str], str]) -> np.ndarray:
    distinct = codes.astype(str).unique()
    known = {text: to_id(to_code(text)) for text in distinct}
    return codes.astype(str).map(known).to_numpy(np.int32)


def _detail_sse(raw: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "day": _days(raw["dt"]),
            "key": _ids(raw["code"], lambda c: f"{c.zfill(6)}.SH"),
            "fin_balance": raw["margin_balance"],
            "fin_buy": raw["margin_buy_amt"],
            "fin_repay": raw["margin_repay_amt"],
            "short_volume": raw["short_qty"],
            "short_sell": raw["short_sell_qty"],
            "short_repay": raw["short_repay_qty"],
        }
    )


def _detail_szse(raw: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "day": _days(raw["dt"]),
            "key": _ids(raw["code"], lambda c: f"{c.zfill(6)}.SZ"),
            "fin_balance": raw["margin_balance"],
            "fin_buy": raw["margin_buy_amt"],
            "short_volume": raw["short_qty"],
            "short_sell": raw["short_sell_qty"],
            "short_balance": raw["short_value"],
        }
    )


def _total_sse(raw: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "day": _days(raw["dt"]),
            "key": EXCHANGES.index("SSE"),
            "fin_balance": raw["margin_balance"],
            "fin_buy": raw["margin_buy_amt"],
            "fin_repay": raw["margin_repay_amt"],
            "short_volume": raw["short_qty"],
            "short_sell": raw["short_sell_qty"],
            "short_balance": raw["short_value"],
        }
    )


def _total_szse(raw: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "day": _days(raw["dt"]),
            "key": EXCHANGES.index("SZSE"),
            "fin_balance": raw["margin_balance"] * _YI,
            "fin_buy": raw["margin_buy_amt"] * _YI,
            "short_volume": raw["short_qty"] * _YI,
            "short_sell": raw["short_sell_qty"] * _YI,
            "short_balance": raw["short_value"] * _YI,
        }
    )


def _index_code(secid: str) -> str:
    market, _, number = secid.partition(".")
    return f"{number}.{'SH' if market == '1' else 'SZ'}"


def _indices(raw: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "day": _days(raw["dt"]),
            "key": _ids(raw["secid"], _index_code),
            "open": raw["open"],
            "high": raw["high"],
            "low": raw["low"],
            "close": raw["close"],
            "prev_close": raw["close"] - raw["change"],
            # In 手: turnover / volume is about 1,000 CNY, a hundred times what shares cost.
            "volume": raw["volume"].astype(np.float64) * _LOT,
            "turnover": raw["amount"],
            "turnover_rate": raw["turnover_rate"] / 100,
        }
    )


def _industries(raw: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "day": _days(raw["dt"]),
            "key": _ids(raw["swindexcode"], lambda c: f"{c}.SI"),
            "open": raw["open_index"],
            "high": raw["high_index"],
            "low": raw["low_index"],
            "close": raw["close_index"],
            "prev_close": raw["close_index"] - raw["change"],
            "volume": raw["volume_100m_shares"] * _YI,
            "turnover": raw["amount_100m_yuan"] * _YI,
        }
    )


#: Boards of a market summary whose capitalisation or valuation is used: the two exchanges and ChiNext.
_BOARDS = {"000001": "000001.SH", "399106": "399106.SZ", "399006": "399006.SZ"}


def _summary(raw: pd.DataFrame) -> pd.DataFrame:
    raw = raw[raw["code"].isin(_BOARDS)]
    return pd.DataFrame(
        {
            "day": _days(raw["dt"]),
            "key": _ids(raw["code"], _BOARDS.__getitem__),
            "float_cap": raw["float_cap"],
            "pe_ttm": raw["pe"],
        }
    )


#: The exchange names how a fund settles; only one of its kinds is a style.
_STYLES = get_args(Style)
_STYLE_OF = {"跨境": "cross_border"}


def _etf_shares(raw: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "day": _days(raw["dt"]),
            "key": _ids(raw["sec_code"], lambda c: f"{c}.SH"),
            "shares": raw["total_volume_10k_shares"] * 1e4,
            "style": raw["etf_type"].map(lambda kind: _STYLES.index(_STYLE_OF.get(kind, "other"))).astype(np.float64),
        }
    )


def _prices(raw: pd.DataFrame) -> pd.DataFrame:
    # baostock writes sh.600000; a suspended day has tradestatus 0 and repeats the last close.
    frame = pd.DataFrame(
        {
            "day": _days(raw["date"]),
            "key": _ids(raw["code"], lambda c: f"{c[3:]}.{c[:2].upper()}"),
            "open": raw["open"],
            "high": raw["high"],
            "low": raw["low"],
            "close": raw["close"],
            "prev_close": raw["preclose"],
            "volume": raw["volume"],
            "turnover": raw["amount"],
            "suspended": (raw["tradestatus"] == 0).astype(np.float64),
        }
    )
    turn = raw["turn"].where(raw["turn"] > 0) / 100
    return frame.assign(float_shares=raw["volume"] / turn)


def _valuations(raw: pd.DataFrame) -> pd.DataFrame:
    """Ratios of the same file; a 0 stands for "none", and the float cap follows from volume and turnover rate."""
    rate = raw["turn"].where(raw["turn"] > 0) / 100
    return pd.DataFrame(
        {
            "day": _days(raw["date"]),
            "key": _ids(raw["code"], lambda c: f"{c[3:]}.{c[:2].upper()}"),
            "pe_ttm": raw["peTTM"].where(raw["peTTM"] != 0),
            "pb": raw["pbMRQ"].where(raw["pbMRQ"] != 0),
            "turnover_rate": rate,
            "float_cap": raw["close"] * raw["volume"] / rate,
        }
    )


def _membership(raw: pd.DataFrame) -> pd.DataFrame:
    codes = raw["code"].str.zfill(6)
    suffix = codes.str[0].map({"6": "SH", "0": "SZ", "3": "SZ"}).fillna("BJ")
    return pd.DataFrame(
        {
            "key": _ids(codes + "." + suffix, lambda c: c),
            "industry": raw["sw_l1"].map({name: float(i) for i, name in enumerate(INDUSTRIES)}),
            "csi300": 0.0,
            "csi500": 0.0,
        }
    )


def _closes_szse(raw: pd.DataFrame) -> pd.DataFrame:
    """What is lent is valued at the close: value / shares is the exact unadjusted close, where anything is lent."""
    lent = raw[raw["short_qty"] > 0]
    fund = lent["code"].str[:2].isin(["15", "16", "18"])  # funds are quoted to a thousandth
    exact = lent["short_value"] / lent["short_qty"]
    close = exact.round(3).where(fund, exact.round(2))
    known = close > 0
    return pd.DataFrame(
        {
            "day": _days(lent["dt"][known]),
            "key": _ids(lent["code"][known], lambda c: f"{c.zfill(6)}.SZ"),
            "close": close[known].to_numpy(),
        }
    )


#: File prefix → what it holds; a file may hold two things.
_READERS: dict[str, tuple[tuple[str, Callable[[pd.DataFrame], pd.DataFrame]], ...]] = {
    "margin_detail_sse": (("margin.daily", _detail_sse),),
    "margin_detail_szse": (("margin.daily", _detail_szse), ("prices.daily", _closes_szse)),
    "margin_total_sse": (("margin.market", _total_sse),),
    "margin_total_szse": (("margin.market", _total_szse),),
    "index_daily": (("indices.daily", _indices),),
    "sw_industry_daily": (("indices.daily", _industries),),
    "market_summary": (("indices.daily", _summary),),
    "sse_etf_shares": (("etf.daily", _etf_shares),),
    "sw_l1_membership": (("reference", _membership),),
    "csi300_prices": (("prices.daily", _prices), ("valuations.daily", _valuations)),
}
