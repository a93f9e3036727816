"""Bars whose moments are exchanged: each opens where another one closed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from feeds.checks.bar_sessions import bar_sessions
from processors.days import to_day
from streams.calendars import xshg
from tests.test_replay import BEFORE, ENDS, FALL

CALENDAR = xshg()
MINUTES = np.array([60 * end.hour + end.minute for end in (pd.Timestamp(f"2025-04-07 {one}") for one in ENDS)])


def market(stocks: int = 300) -> pd.DataFrame:
    """Two sessions of stocks at 10 CNY that move by 0.3% a bar and open within 0.1% of the close before."""
    rng, keys = np.random.default_rng(5), 4 * np.arange(600_000, 600_000 + stocks)
    frames = []
    for day in (to_day(BEFORE), to_day(FALL)):
        last = 10 * np.exp(np.cumsum(rng.normal(0, 0.003, (stocks, len(MINUTES))), axis=1))
        before = np.column_stack([np.full(stocks, 10.0), last[:, :-1]])
        volume = rng.integers(1_000, 9_000, last.shape).astype(float)
        frame = {"last": last, "open": before * np.exp(rng.normal(0, 0.001, last.shape)), "volume": volume}
        rows = {name: values.ravel() for name, values in frame.items()} | {"turnover": (volume * last).ravel()}
        place = {"key": np.repeat(keys, len(MINUTES)), "day": day, "minute": np.tile(MINUTES, stocks)}
        frames.append(pd.DataFrame(place | rows))
    return pd.concat(frames).sort_values(["key", "day", "minute"], ignore_index=True)


def found(bars: pd.DataFrame) -> list[str]:
    bars = bars.sort_values(["key", "day", "minute"], ignore_index=True)
    return [one.text for one in bar_sessions(bars, MINUTES, CALENDAR, to_day(BEFORE))]


def exchanged(bars: pd.DataFrame, one: int, other: int) -> pd.DataFrame:
    moments = {MINUTES[one]: MINUTES[other], MINUTES[other]: MINUTES[one]}
    of_day = bars["day"] == to_day(FALL)
    return bars.assign(minute=bars["minute"].where(~of_day, bars["minute"].replace(moments)))


@pytest.mark.parametrize(("one", "other"), [(0, 1), (3, 9), (14, 15)])
def test_two_moments_of_a_session_that_are_exchanged_are_an_error(one: int, other: int) -> None:
    """High, low, volume and turnover of each bar agree, and the session has its closes."""
    assert found(market()) == []
    texts = found(exchanged(market(), one, other))
    assert len(texts) == 1
    assert texts[0].startswith("bars of 2025-04-07: opens of the bars that end at ") and "exchanged" in texts[0]


def test_bars_of_few_securities_are_not_judged() -> None:
    """The means of a hundred have been as large by chance."""
    assert found(exchanged(market(100), 3, 9)) == []
