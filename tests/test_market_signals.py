"""The market indicators on the real data against plain pandas, and by hand where the data have no input."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feeds.folder import read
from processors.days import to_date, to_day
from processors.events import RowBatch
from processors.history import replay
from processors.indicators.bottom_panel import bear_markets
from processors.indicators.llt import advance
from processors.market import Market
from processors.outputs import MarketSignal
from processors.parameters import Parameters
from streams.calendars import xshg
from tests.building import DAYS, batch, end_of_day

EXCHANGES = ("SSE", "SZSE")
FEEDS = ("indices.daily", "etf.daily", "margin.market")
INDICES = ("000001.SH", "000300.SH", "000905.SH", "399006.SZ")
END = date(2021, 3, 31)


def run(days: dict[int, dict[str, RowBatch]]) -> dict[tuple[date, str], MarketSignal]:
    found: dict[tuple[date, str], MarketSignal] = {}
    feeds = ({topic: day[topic] for topic in FEEDS if topic in day} for day in days.values())
    for output in replay(feeds, Parameters(), EXCHANGES, xshg()):
        assert isinstance(output, MarketSignal)
        found[output.trade_date, output.name] = output
    return found


@pytest.fixture(scope="module")
def signals(data_dir: Path) -> dict[tuple[date, str], MarketSignal]:
    """Every market signal of the real data, of indices from 2016-12 on."""
    return run(dict(read(data_dir, xshg(), None, END).by_day()))


@pytest.fixture(scope="module")
def index(data_dir: Path) -> pd.DataFrame:
    raw = pd.read_parquet(data_dir / "index_daily_2016_2021q1.parquet")
    raw["code"] = raw["secid"].str[2:] + raw["secid"].str[:1].map({"1": ".SH", "0": ".SZ"})
    raw["dt"] = pd.to_datetime(raw["dt"])
    return raw.set_index(["dt", "code"]).sort_index()


def column(signals: dict[tuple[date, str], MarketSignal], name: str, detail: str | None = None) -> pd.Series:
    values = {
        pd.Timestamp(day): (s.value if detail is None else s.details.get(detail))
        for (day, signal), s in signals.items()
        if signal == name
    }
    return pd.Series(values).sort_index()


def same(ours: pd.Series, theirs: pd.Series, min_values: int) -> None:
    """Assert equality to 1e-9, equal absences, and at least ``min_values`` values."""
    theirs = theirs.reindex(ours.index)
    np.testing.assert_allclose(ours.astype(float), theirs.astype(float), rtol=1e-9, atol=1e-12)
    assert ours.notna().sum() >= min_values


def totals(data_dir: Path) -> pd.DataFrame:
    sse, szse = (pd.read_parquet(data_dir / f"margin_total_{e}_2018_2021q1.parquet") for e in ("sse", "szse"))
    for one in (sse, szse):
        one["dt"] = pd.to_datetime(one["dt"])
    sides = [one.set_index("dt").add_suffix(f"_{e}") for one, e in ((sse, "sse"), (szse, "szse"))]
    return pd.concat(sides, axis=1).astype({f"{n}_sse": float for n in ("short_sell_qty", "short_qty", "short_value")})


def test_balance_over_float_cap_and_its_percentile(signals, data_dir: Path) -> None:
    t = totals(data_dir)
    caps = pd.read_parquet(data_dir / "market_summary_2016_2019aug.parquet")
    caps = caps[caps["code"].isin(["000001", "399106"])].pivot(index="dt", columns="code", values="float_cap")
    caps.index = pd.to_datetime(caps.index)
    share = (t["margin_balance_sse"] + t["margin_balance_szse"] * 1e8) / caps.sum(axis=1, min_count=2)
    share = share.reindex(t.index)
    same(column(signals, "fin_balance_to_float_cap"), share, 380)
    ranks = pd.Series(
        [(known <= known.iloc[-1]).mean() if len(known := share.iloc[: i + 1].dropna()) >= 250 else np.nan
         for i in range(len(share))], index=share.index).where(share.notna())  # fmt: skip
    same(column(signals, "fin_balance_to_float_cap_percentile"), ranks, 130)


def test_margin_trade_share(signals, data_dir: Path, index: pd.DataFrame) -> None:
    t = totals(data_dir)
    sold = t["short_sell_qty_sse"] * t["short_value_sse"] / t["short_qty_sse"]
    sold += t["short_sell_qty_szse"] * 1e8 * t["short_value_szse"] / t["short_qty_szse"]
    amount = index["amount"].unstack()
    turnover = amount["000001.SH"] + amount["399001.SZ"]
    share = (t["margin_buy_amt_sse"] + t["margin_buy_amt_szse"] * 1e8 + sold) / turnover
    same(column(signals, "margin_trade_share"), share, 780)
    ranks = share.reindex(t.index).rolling(1250, min_periods=250).apply(lambda w: (w <= w.iloc[-1]).mean())
    same(column(signals, "margin_trade_share_percentile"), ranks, 530)


def test_regime(signals, index: pd.DataFrame) -> None:
    close = index["close"].unstack()["000300.SH"]
    rally = (close > close.rolling(60).mean()) & (close / close.shift(60) - 1 > 0.10)
    expected = pd.Series(np.where(rally, 1.0, 0.0), index=close.index).where(close.shift(60).notna())
    same(column(signals, "regime").map({"RALLY": 1.0, "RANGE": 0.0}), expected, 900)
    assert set(column(signals, "regime").dropna()) == {"RALLY", "RANGE"}


@pytest.mark.parametrize("code", INDICES)
def test_oversold(signals, index: pd.DataFrame, code: str) -> None:
    close = index["close"].unstack()[code]
    name = f"oversold/{code}"
    same(column(signals, name), close / close.rolling(250).max() - 1, 750)
    same(column(signals, name, "mean_distance"), close / close.rolling(250).mean() - 1, 750)

    def rsi(window: pd.Series) -> float:
        change = window.diff().dropna()
        smooth = lambda x: x.ewm(alpha=1 / 14, adjust=True).mean().iloc[-1]  # noqa: E731
        return 100 * smooth(change.clip(lower=0)) / smooth(change.abs())

    same(column(signals, name, "rsi_14"), close.rolling(250).apply(rsi), 750)
    reference = column(signals, name, "reference_drawdown").dropna()
    assert reference.index[0] > pd.Timestamp("2018-12-28")  # nothing of the reference before it was there
    assert reference.nunique() == 1
    assert reference.iloc[0] == column(signals, name)[pd.Timestamp("2018-12-28")]


@pytest.mark.parametrize("code", INDICES)
def test_llt(signals, index: pd.DataFrame, code: str) -> None:
    close = index["close"].unstack()[code]
    a, line = 2 / 40, close.to_list()
    for i in range(2, len(line)):
        p0, p1, p2 = close.iloc[i], close.iloc[i - 1], close.iloc[i - 2]
        line[i] = (a - a**2 / 4) * p0 + a**2 / 2 * p1 - (a - 3 * a**2 / 4) * p2
        line[i] += 2 * (1 - a) * line[i - 1] - (1 - a) ** 2 * line[i - 2]
    expected = pd.Series(line, index=close.index)
    same(column(signals, f"llt/{code}", "line"), expected.where(np.arange(len(line)) >= 39), 900)
    long = (expected.diff() > 0).astype(float).where(np.arange(len(line)) >= 39)
    same(column(signals, f"llt/{code}"), long, 900)
    assert advance((5.0, 5.0, 5.0), (5.0, 5.0), 39) == pytest.approx(5.0)


@pytest.mark.parametrize("code", INDICES)
def test_gftd(signals, index: pd.DataFrame, code: str) -> None:
    """An independent implementation of the rules, day by day."""
    rows = index.xs(code, level="code")
    close, high, low = rows["close"], rows["high"], rows["low"]
    direction = np.sign(close - close.shift(4)).fillna(0)
    expected, run_length = [], 0
    buys: list[float] | None = None  # closes counted; None: no setup to count from
    sells: list[float] | None = None
    for i, way in enumerate(direction):
        run_length = 0 if way == 0 else run_length + 1 if i and direction.iloc[i - 1] == way else 1
        today, fired = close.iloc[i], 0.0
        if way < 0 and run_length == 4:
            buys = []
        elif buys is not None and today >= high.iloc[i - 2] and high.iloc[i] > high.iloc[i - 1]:
            buys += [today] if not buys or today > buys[-1] else []
        if way > 0 and run_length == 4:
            sells = []
        elif sells is not None and today <= low.iloc[i - 2] and low.iloc[i] < low.iloc[i - 1]:
            sells += [today] if not sells or today < sells[-1] else []
        if buys is not None and len(buys) == 4:
            fired, buys = 1.0, None
        if sells is not None and len(sells) == 4:
            fired, sells = -1.0, None
        expected.append(fired)
    theirs = pd.Series(expected, index=rows.index)
    same(column(signals, f"gftd/{code}"), theirs.where(close.shift(4).notna()), 900)
    assert len(set(theirs)) > 1


def test_bottom_panel_shows_figures_side_by_side(signals, index: pd.DataFrame) -> None:
    rate = index["turnover_rate"].unstack()["000001.SH"] / 100
    same(column(signals, "bottom_panel", "turnover_rate_month"), rate.rolling(20).mean(), 780)
    panel = signals[date(2019, 1, 3), "bottom_panel"]
    assert panel.value == len(panel.details)
    assert panel.details["000300.SH drawdown"] < -0.30
    closes = np.array([100, 79, 90, 101, 85, 102, 70, 60, 75, 103.0])
    assert bear_markets(closes[None], 0.2)[1].tolist() == pytest.approx([-0.21, 60 / 102 - 1])


def test_a_signal_without_data_is_absent_with_its_reason(signals) -> None:
    assert "float_cap of 2020-07-09 is not known" in signals[date(2020, 7, 9), "fin_balance_to_float_cap"].reason
    assert "has a price" in signals[date(2020, 7, 9), "etf_flow/other"].reason
    assert not [key for key in signals if key[1] == "risk_premium"]  # no rates at all: never computed


def test_risk_premium_and_its_bands_by_hand() -> None:
    market = Market(1, Parameters(percentile_least=3), EXCHANGES, xshg())
    found = {}
    for i, day in enumerate(DAYS[:4]):
        prices = batch("indices.daily", day, {"000985.SH": {"pe_ttm": 20.0 + i}, "399001.SZ": {"close": 1.0}})
        rate = batch("rates.daily", day, {"CN10Y": {"yield": 0.03}})
        for output in market.fold([prices, end_of_day(prices), rate, end_of_day(rate)]):
            found[output.trade_date, output.name] = output
    first, last = found[DAYS[0], "risk_premium"], found[DAYS[3], "risk_premium"]
    assert first.value == pytest.approx(1 / 20 - 0.03)
    assert "mean" not in first.details
    history = np.array([1 / pe - 0.03 for pe in (20, 21, 22, 23)])
    assert last.details["upper"] == pytest.approx(history.mean() + 2 * history.std(ddof=1))


def test_etf_flow_by_hand() -> None:
    market = Market(1, Parameters(), EXCHANGES, xshg())
    shares = [{"510300.SH": 1e9, "510050.SH": 2e9, "511010.SH": 1e8}, {"510300.SH": 1.1e9, "510050.SH": 1.9e9},
              {"510300.SH": 1.1e9, "510050.SH": 2.0e9, "511010.SH": 1e8}]  # fmt: skip
    found = {}
    for day, outstanding in zip(DAYS, shares, strict=False):
        rows = batch("etf.daily", day, {code: {"shares": n, "price": 4.0 if code == "510300.SH" else 3.0,
                                               "style": 6.0 if code == "511010.SH" else 0.0}
                                        for code, n in outstanding.items()})  # fmt: skip
        for output in market.fold([rows, end_of_day(rows)]):
            found[output.trade_date, output.name] = output
    assert found[DAYS[0], "etf_flow/broad"].value is None
    assert found[DAYS[1], "etf_flow/broad"].value == pytest.approx(0.1e9 * 4 - 0.1e9 * 3)
    assert found[DAYS[2], "etf_flow/broad"].value == pytest.approx(0.1e9 * 3)
    assert found[DAYS[2], "etf_flow/broad"].details["cumulative"] == pytest.approx(0.4e9)
    assert "day before" in found[DAYS[2], "etf_flow/bond"].reason  # it had none yesterday: no flow out of nothing


def test_no_market_signal_reads_the_future(data_dir: Path) -> None:
    """Random changes to all later rows leave the signals of a day unchanged, to the last bit."""
    days = dict(read(data_dir, xshg(), date(2018, 11, 1), date(2019, 4, 30)).by_day())
    cut = to_day(date(2019, 2, 28))
    rng = np.random.default_rng(3)

    def noisy(rows: RowBatch) -> RowBatch:
        factor = rng.uniform(0.5, 2.0, len(rows))
        figures = {n: v if n == "style" else v * factor for n, v in rows.figures.items()}
        return RowBatch(rows.topic, rows.keys, rows.days, rows.revisions, rows.stamps, figures)

    other = {day: feeds if day <= cut else {t: noisy(b) for t, b in feeds.items()} for day, feeds in days.items()}
    plain, changed = (run(d) for d in (days, other))
    past = {key for key in plain if to_day(key[0]) <= cut}
    assert len(past) > 1_500
    assert all(plain[key] == changed[key] for key in past)
    assert any(plain[key] != changed.get(key) for key in plain.keys() - past)
    assert max(to_date(d) for d in days) == date(2019, 4, 30)
