"""Breadth, excess score and divergence: Shenzhen's real closes against plain pandas, and small cases by hand."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feeds.folder import read
from processors.codes import to_codes, to_id
from processors.events import RowBatch
from processors.history import replay
from processors.indicators.excess_score import scores
from processors.market import Market
from processors.outputs import FeatureFrame, MarketSignal, SecuritySignals
from processors.parameters import Parameters
from processors.securities import Securities
from streams.calendars import xshg
from tests.building import DAYS, batch, end_of_day

EXCHANGES = ("SSE", "SZSE")
START, END = date(2018, 1, 2), date(2019, 3, 29)
StageOutput = tuple[pd.DataFrame, dict[tuple[date, str], MarketSignal]]


def run(days: dict[int, dict[str, RowBatch]], parameters: Parameters | None = None) -> StageOutput:
    """Every pricing column by day and code, and the market signals."""
    tables, signals = [], {}
    for output in replay(days.values(), parameters or Parameters(), EXCHANGES, xshg()):
        if isinstance(output, SecuritySignals):
            table = pd.DataFrame(output.columns, index=to_codes(output.keys))
            tables.append((output.family, output.status.trade_date, table))
        elif isinstance(output, MarketSignal):
            signals[output.trade_date, output.name] = output
    parts = []
    for family in ("financing", "pricing"):
        found = {pd.Timestamp(day): table for name, day, table in tables if name == family}
        parts.append(pd.concat(found, names=["day", "code"]) if found else pd.DataFrame())
    return pd.concat(parts, axis=1), signals


@pytest.fixture(scope="module")
def days(data_dir: Path) -> dict[int, dict[str, RowBatch]]:
    return dict(read(data_dir, xshg(), START, END).by_day())


@pytest.fixture(scope="module")
def outputs(days: dict[int, dict[str, RowBatch]]) -> StageOutput:
    return run(days)


@pytest.fixture(scope="module")
def close(data_dir: Path) -> pd.DataFrame:
    """Closes of Shenzhen's stocks by day and code, NaN where no share is lent."""
    raw = pd.read_parquet(data_dir / "margin_detail_szse_2018_2021q1.parquet")
    raw["dt"] = pd.to_datetime(raw["dt"])
    raw = raw[(raw["dt"] >= pd.Timestamp(START)) & (raw["dt"] <= pd.Timestamp(END)) & (raw["short_qty"] > 0)]
    raw = raw[~raw["code"].str[:2].isin(["15", "16", "18"])]
    raw["close"] = (raw["short_value"] / raw["short_qty"]).round(2)
    return raw[raw["close"] > 0].pivot(index="dt", columns="code", values="close").add_suffix(".SZ")


def column(signals: dict[tuple[date, str], MarketSignal], name: str) -> pd.Series:
    found = {pd.Timestamp(day): s.value for (day, signal), s in signals.items() if signal == name}
    return pd.Series(found, dtype=float).sort_index()


def wide(outputs: StageOutput, name: str, like: pd.DataFrame) -> pd.DataFrame:
    return outputs[0][name].unstack().reindex(index=like.index, columns=like.columns)


def test_breadth_and_the_distribution_of_the_year(outputs: StageOutput, close: pd.DataFrame) -> None:
    mean = close.rolling(200, min_periods=160).mean()
    whole = pd.Series(np.arange(len(close)) >= 200, index=close.index)
    above = (close > mean).where(close.notna() & mean.notna())
    expected = above.astype(float).mean(axis=1).where(whole)
    ours = column(outputs[1], "breadth_200")
    np.testing.assert_allclose(ours, expected.reindex(ours.index), rtol=1e-9)
    assert ours.notna().sum() == len(close) - 200

    base = close.ffill().loc["2018-12-28"]
    gains = (close / base - 1).loc["2019"]
    ours = column(outputs[1], "ytd_distribution")["2019":]
    np.testing.assert_allclose(ours, gains.median(axis=1), rtol=1e-9)
    last = outputs[1][date(2019, 3, 29), "ytd_distribution"].details
    known = gains.iloc[-1].dropna().round(12)
    assert last["stocks"] == len(known)
    assert last["30…50%"] == pytest.approx(((known >= 0.30) & (known < 0.50)).mean())
    assert sum(v for k, v in last.items() if k != "stocks") == pytest.approx(1)
    assert "price of the year before" in outputs[1][date(2018, 3, 1), "ytd_distribution"].reason


def test_the_excess_score(outputs: StageOutput, close: pd.DataFrame) -> None:
    balance = outputs[0]["fin_balance"].unstack()
    growth = (balance / balance.shift(15).where(balance.shift(15) > 0) - 1).reindex(columns=close.columns)
    gain = close / close.ffill().shift(15) - 1
    both = gain.notna() & growth.notna()
    s0 = gain.where(both).round(12).rank(axis=1) / growth.where(both).round(12).rank(axis=1)
    middle = s0.median(axis=1)
    score = s0.sub(middle, axis=0).abs()
    np.testing.assert_allclose(wide(outputs, "excess_score", close), score, rtol=1e-9)
    np.testing.assert_array_equal(wide(outputs, "excess_kind", close), np.sign(s0.sub(middle, axis=0)))
    top = wide(outputs, "excess_top", close)
    counts = both.sum(axis=1)
    assert (top.sum(axis=1) == (counts * 0.10 + 1e-9).astype(int)).all()
    day = pd.Timestamp("2019-03-15")
    assert score.loc[day][top.loc[day] == 1].min() >= score.loc[day][top.loc[day] == 0].max()
    assert score.notna().sum().sum() > 100_000


def test_equal_weight_streak_excess_and_divergence(outputs: StageOutput, close: pd.DataFrame) -> None:
    listed = outputs[0]["fin_balance"].unstack().reindex(index=close.index, columns=close.columns).notna()
    returns = (close / close.shift(1) - 1).where(listed)
    mean = returns.mean(axis=1)
    ours = column(outputs[1], "equal_weight_return")
    np.testing.assert_allclose(ours, mean.reindex(ours.index), rtol=1e-9)
    streak = wide(outputs, "fin_streak", close)
    level, market = close.ffill(), (1 + mean.fillna(0)).cumprod()
    excess = pd.DataFrame(np.nan, index=close.index, columns=close.columns)
    for k in range(1, 61):
        here = streak.abs().clip(upper=60).eq(k) & close.notna() & listed
        # A compounded mean needs every day of the streak; the first day of the data has none.
        known = pd.Series(np.arange(len(close)) >= k + (mean.iloc[:1].isna().sum() > 0) - 1, index=close.index)
        value = (close / close.shift(k) - 1).sub(market / market.shift(k) - 1, axis=0)
        excess = excess.mask(here & known.to_numpy()[:, None] & level.shift(k).notna(), value)
    ours = wide(outputs, "streak_excess", close)
    both = ours.notna() & excess.notna()
    assert both.sum().sum() > 100_000
    np.testing.assert_allclose(ours.where(both), excess.where(both), rtol=1e-7, atol=1e-12)
    # Both need a price k days ago: the first day of the streak must be known.
    assert (ours.notna() & ~both).sum().sum() == 0

    rally = pd.Series({pd.Timestamp(d): s.value for (d, n), s in outputs[1].items() if n == "regime"})
    rally = rally.reindex(close.index)
    case = wide(outputs, "divergence", close)
    first = (streak >= 8) & (ours < -0.10) & (rally == "RANGE").to_numpy()[:, None]
    second = (streak <= -8) & (ours > 0) & (rally == "RALLY").to_numpy()[:, None]
    known = case.notna()
    assert ((case == 1) == (first & known)).all().all()
    assert ((case == 2) == (second & known)).all().all()
    assert (case == 1).sum().sum() > 10
    assert (case == 2).sum().sum() > 5


def test_ex_right_days_gaps_and_suspensions_by_hand() -> None:
    """prev_close is ex-right adjusted; a gap and a suspended day have no return, and the chain continues after them."""
    prices: list[dict[str, float]] = [
        {"close": 10.0},
        {"close": 5.5, "prev_close": 5.0},  # two for one: +10%
        {"close": 5.5, "prev_close": 5.5, "suspended": 1.0},
        {},  # no row at all
        {"close": 6.6, "prev_close": 5.5},  # +20% after the gap: prev_close gives its return
        {"close": 6.6},
    ]
    stage = Securities(0, Parameters(score_days=4), EXCHANGES, xshg())
    seen = []
    for day, figures in zip(DAYS, prices, strict=False):
        rows = batch("prices.daily", day, {"000001.SZ": figures, "000002.SZ": {"close": 1.0}} if figures else
                     {"000002.SZ": {"close": 1.0}})  # fmt: skip
        (frame,) = [f for f in stage.fold([rows, end_of_day(rows)]) if isinstance(f, FeatureFrame)]
        at = np.flatnonzero(frame.keys == to_id("000001.SZ"))
        seen.append({n: float(v[at[0]]) for n, v in frame.columns.items()} if len(at) else {})
    level = [row.get("level", np.nan) for row in seen]
    np.testing.assert_allclose(level, [1.0, 1.1, np.nan, np.nan, 1.32, 1.32])
    returns = [row.get("return_1", np.nan) for row in seen]
    np.testing.assert_allclose(returns, [np.nan, 0.10, np.nan, np.nan, 0.20, 0.0], atol=1e-12)
    assert seen[4]["level"] / seen[4]["level@4"] - 1 == pytest.approx(0.32)
    assert np.isnan(seen[5]["level~200"])  # 200 days are not known


@pytest.mark.parametrize("prices", [(5.34, 9.05, 4.04, 6.25, 6.17), (5.04, 8.52, 8.61, 7.39), (9.1, 9.3, 9.2)])
def test_a_level_that_equals_its_mean_is_not_above_it(prices: tuple[float, ...]) -> None:
    """A chain of returns and a mean of it have rounding: 9.2 is the mean of 9.2, 9.3 and 9.1 to the last cent."""
    parameters = Parameters(breadth_days=len(prices), breadth_least=2)
    securities, market = Securities(0, parameters, EXCHANGES, xshg()), Market(1, parameters, EXCHANGES, xshg())
    values = []
    for day, close in zip(DAYS, (5.0, *prices), strict=False):
        rows = batch("prices.daily", day, {"000001.SZ": {"close": close}})
        made = market.fold([f for f in securities.fold([rows, closing(rows)]) if isinstance(f, FeatureFrame)])
        values.append({s.signal: s.value for s in made if isinstance(s, MarketSignal)}["breadth_200"])
    assert values[-1] == 0.0


def test_scores_by_hand() -> None:
    gain, growth = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.4, 0.3, 0.2, 0.1])
    score, kind, top = scores(gain, growth, 0.25)
    s0 = np.array([1 / 4, 2 / 3, 3 / 2, 4.0])
    np.testing.assert_allclose(score, np.abs(s0 - np.median(s0)))
    assert kind.tolist() == [-1, -1, 1, 1]
    assert top.tolist() == [0, 0, 0, 1]
    assert np.isnan(scores(gain[:1], growth[:1], 0.1)[0]).all()


def test_prices_that_arrive_after_the_detail_give_the_same_signals(days: dict[int, dict[str, RowBatch]]) -> None:
    """One feed may be any number of days ahead: frames wait for the other, and the signals are the same."""
    few = dict(list(days.items())[:90])
    together, _ = run(few)
    apart: list[tuple[str, list[RowBatch]]] = [
        (topic, [feeds[topic] for feeds in few.values() if topic in feeds])
        for topic in ("margin.daily", "prices.daily", "margin.market", "indices.daily", "reference")
    ]
    securities = Securities(0, Parameters(), EXCHANGES, xshg())
    market = Market(1, Parameters(), EXCHANGES, xshg())
    tables: dict[tuple[str, date], SecuritySignals] = {}
    for topic, batches in apart:
        for rows in batches:
            items = [rows, end_of_day(rows)]
            own = topic in ("margin.daily", "prices.daily")
            frames = [f for f in securities.fold(items) if isinstance(f, FeatureFrame)] if own else items
            for one in market.fold(frames):
                if isinstance(one, SecuritySignals):
                    tables[one.family, one.status.trade_date] = one
    assert len([key for key in tables if key[0] == "pricing"]) == 90
    for (family, day), found in tables.items():
        expected = together.loc[pd.Timestamp(day)]
        for name, values in found.columns.items():
            if family == "pricing":
                ours = pd.Series(values, index=to_codes(found.keys))
                np.testing.assert_array_equal(ours, expected[name].reindex(ours.index), err_msg=f"{day} {name}")


def test_no_security_signal_reads_the_future(days: dict[int, dict[str, RowBatch]]) -> None:
    few = dict(list(days.items())[:60])
    cut, rng = list(few)[39], np.random.default_rng(9)

    def noisy(rows: RowBatch) -> RowBatch:
        if rows.topic in ("reference", "etf.daily"):
            return rows
        figures = {n: v if n == "suspended" else v * rng.uniform(0.5, 2.0, len(rows)) for n, v in rows.figures.items()}
        return RowBatch(rows.topic, rows.keys, rows.days, rows.revisions, rows.stamps, figures)

    other = {d: feeds if d <= cut else {t: noisy(b) for t, b in feeds.items()} for d, feeds in few.items()}
    plain, changed = run(few)[0], run(other)[0]
    before = plain.index.get_level_values("day") <= pd.Timestamp("1970-01-01") + pd.Timedelta(days=cut)
    assert before.sum() > 30_000
    pd.testing.assert_frame_equal(plain[before], changed.loc[plain.index[before]])
    assert not plain[~before].equals(changed.reindex(plain.index[~before]))
