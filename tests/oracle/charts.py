"""Price–volume charts, drawn pixel by pixel, and the scores of the made model of the tests."""

from __future__ import annotations

import warnings
from functools import lru_cache
from math import floor, isnan
from typing import Any

import numpy as np
import pandas as pd

from tests.oracle.data import Data, is_stock
from tests.oracle.industries import ranked, total, unknown
from tests.oracle.market import Tables
from tests.oracle.securities import by_reference, levels

SESSIONS, LEAST = 20, 15
Session = dict[str, float]


def picture(sessions: list[Session]) -> list[list[int]]:
    """The 64 rows of 60 pixels of 20 sessions with open, high, low, close, mean and volume; 1 is white."""
    pixels = [[0] * 60 for _ in range(64)]
    priced = [s for s in sessions if not isnan(s["close"])]
    every = [s[name] for s in priced for name in ("open", "high", "low", "close") if not isnan(s[name])]
    if not every:
        return pixels
    bottom, top = min(every), max(every)
    largest = max([s["volume"] for s in priced if s["volume"] >= 0], default=0)

    def height(price: float) -> int | None:
        if top == bottom:
            return 25 if price == bottom else None
        share = round((price - bottom) / (top - bottom), 9)
        return floor(share * 50 + 0.5) if 0 <= share <= 1 else None

    for number, one in enumerate(sessions):
        if isnan(one["close"]):
            continue
        left, middle, right = 3 * number, 3 * number + 1, 3 * number + 2
        known = [one[name] for name in ("open", "high", "low", "close") if not isnan(one[name])]
        for up in range(height(min(known)), height(max(known)) + 1):  # type: ignore[arg-type, operator]
            pixels[50 - up][middle] = 1
        opened = one["close"] if isnan(one["open"]) else one["open"]
        pixels[50 - height(opened)][left] = 1  # type: ignore[operator]
        pixels[50 - height(one["close"])][right] = 1  # type: ignore[operator]
        mean = None if isnan(one["mean"]) else height(one["mean"])
        if mean is not None:
            for column in (left, middle, right):
                pixels[50 - mean][column] = 1
        if one["volume"] > 0:
            for up in range(max(1, floor(round(one["volume"] / largest, 9) * 12 + 0.5))):
                pixels[63 - up][middle] = 1
    return pixels


@lru_cache(maxsize=8)
def scores(data: Data) -> pd.DataFrame:
    """White pixels of the last five sessions in thousands, on the last session of a week; NaN without a chart."""
    found = {name: data.wide("prices", name) for name in ("open", "high", "low", "close", "volume")}
    suspended = data.wide("prices", "suspended") == 1.0
    level = levels(data)["level"].reindex(columns=found["close"].columns)
    factor = level / found["close"].mask(suspended)
    bars = {name: (found[name].where(found[name] > 0) * factor) for name in ("open", "high", "low")}
    bars |= {"close": level, "volume": found["volume"] / factor}
    past = level.rolling(SESSIONS, min_periods=1)
    bars["mean"] = past.mean().where(past.count() >= LEAST)
    arrays = {name: table.to_numpy(dtype=float) for name, table in bars.items()}
    week = data.days.to_period("W")
    out = pd.DataFrame(np.nan, index=data.days, columns=level.columns)
    rows = data.listed("prices").reindex(columns=level.columns, fill_value=False).to_numpy()
    stock = np.array([is_stock(str(code)) for code in level.columns])
    for t in range(len(data.days)):
        if t + 1 == len(data.days) or week[t + 1] != week[t]:
            window = {name: values[max(0, t - SESSIONS + 1) : t + 1] for name, values in arrays.items()}
            used = rows[t] & stock & ((~np.isnan(window["close"])).sum(axis=0) >= LEAST)
            out.iloc[t] = np.where(used, _white(window) / 1000, np.nan)
    return out


def _white(window: dict[str, np.ndarray]) -> np.ndarray:
    """How many pixels of the last five sessions are white, by code: what `picture` draws, counted."""
    priced = ~np.isnan(window["close"])
    prices = np.array([np.where(priced, window[name], np.nan) for name in ("open", "high", "low", "close")])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # codes without any price
        bottom, top = np.nanmin(prices, axis=(0, 1)), np.nanmax(prices, axis=(0, 1))
        lows, highs = np.nanmin(prices, axis=0), np.nanmax(prices, axis=0)
    largest = np.nan_to_num(np.where(priced, window["volume"], np.nan)).max(axis=0)

    def height(price: np.ndarray) -> np.ndarray:
        share = ((price - bottom) / np.where(top > bottom, top - bottom, np.nan)).round(9)
        found = np.where((share >= 0) & (share <= 1), np.floor(share * 50 + 0.5), np.nan)
        return np.where((top == bottom) & (price == bottom), 25, found)

    low, high, close, mean = height(lows), height(highs), height(prices[3]), height(window["mean"])
    opened = height(np.where(np.isnan(prices[0]), prices[3], prices[0]))
    line = ~np.isnan(mean)
    pixels = (high - low + 1) + (line & ((mean < low) | (mean > high)))
    pixels += 1 + (line & (mean != opened))
    pixels += 1 + (line & (mean != close))
    volume = np.nan_to_num(window["volume"])
    bars = np.maximum(np.floor((volume / np.where(largest > 0, largest, 1)).round(9) * 12 + 0.5), 1)
    pixels += np.where(volume > 0, bars, 0)
    return np.asarray(np.where(priced, pixels, 0)[-5:].sum(axis=0))


def chart_score(data: Data, _p: Any) -> Tables:
    """The scores of the securities in the margin detail."""
    listed = data.listed()
    return {"": scores(data).reindex(columns=listed.columns).where(listed)}


def chart_top(data: Data, p: Any) -> Tables:
    """1 for the highest tenth of the stocks of the margin detail, equal ones by code; 0 for the others with a score."""
    table = chart_score(data, p)[""]
    codes, scored = [str(code) for code in table.columns], table.to_numpy()
    out = np.where(np.isnan(scored), np.nan, 0.0)
    for row, values in zip(out, scored, strict=True):
        known = sorted((-values[j], codes[j], j) for j in np.flatnonzero(~np.isnan(values)))
        row[[j for *_, j in known[: int(p.chart_top * len(known) + 1e-9)]]] = 1.0
    return {"": pd.DataFrame(out, index=table.index, columns=table.columns)}


@lru_cache(maxsize=8)
def themes(data: Data) -> pd.DataFrame:
    """Mean score of each industry less that of all of its stocks together."""
    found = scores(data)
    sums, counts = total(data, found), total(data, found.notna().astype(float).where(found.notna()))
    out = (sums / counts).sub(sums.sum(axis=1) / counts.sum(axis=1), axis=0).round(12)
    return out.mask(unknown(data, data.lacks("prices")).any(axis=1))


def theme_score(data: Data, _p: Any) -> Tables:
    """The scores with ranks."""
    return {"": themes(data), "rank": ranked(themes(data))}


def theme_top5(data: Data, _p: Any) -> Tables:
    """1 for the five highest."""
    rank = ranked(themes(data))
    return {"": (rank <= 5).astype(float).where(rank.notna())}


def group_themes(data: Data, p: Any) -> Tables:
    """Mean score of each group less that of all stocks, and the stocks of each."""
    found = scores(data)
    codes = found.columns.astype(str)
    groups = {name: data.as_of(figure).reindex(columns=codes).eq(1.0) for name, figure in by_reference(p).items()}
    for name, start, end in (("ChiNext", "30", ".SZ"), ("STAR", "68", ".SH")):
        named = [code.startswith(start) and code.endswith(end) for code in codes]
        groups[name] = pd.DataFrame(np.tile(named, (len(found), 1)), index=found.index, columns=codes)
    gone = data.lacks("prices").any(axis=1)
    values, counts = {}, {}
    for name, inside in groups.items():
        of_group = found.where(inside)
        values[name] = (of_group.mean(axis=1) - found.mean(axis=1)).mask(gone)
        counts[name] = of_group.notna().sum(axis=1).astype(float).where(values[name].notna())
    table = pd.DataFrame(values)
    return {"": table, "stocks": pd.DataFrame(counts), "rank": ranked(table.round(12))}
