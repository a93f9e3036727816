"""Made rows: a small market for folds that are repeated many times, and what the folder of real data lacks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import numpy as np

from processors.codes import to_id
from processors.days import to_day
from processors.events import KEYS, RowBatch, concat
from processors.index_members import columns_of
from processors.industries import INDEX_OF, INDUSTRIES
from processors.kinds import is_star
from processors.parameters import Parameters
from streams.calendars import xshg

#: Short windows, so that everything has a value within weeks.
SMALL = Parameters(
    excess_lag_days=4,
    excess_level=0.01,
    excess_hysteresis=0.009,
    ratio_hot=0.100,
    ratio_breakdown=0.070,
    ratio_cold=0.0675,
    ratio_quantile_days=12,
    warning_sessions=4,
    high_low_days=6,
    percentile_days=30,
    percentile_least=8,
    expanding_since="2019-09-23",
    lead_lag_days=20,
    lead_lag_least=9,
    etf_flow_days=4,
    timing_indices=("000001.SH", "000300.SH"),
    oversold_days=20,
    oversold_reference="2019-12-10",
    llt_days=6,
    gftd_lag=2,
    gftd_setup=2,
    gftd_count=2,
    risk_premium_days=15,
    valuation_indices=("000300.SH", "000985.SH"),
    valuation_since="2019-09-10",
    risk_premium_high=0.03,
    risk_premium_gap_days=3,
    regime_days=6,
    regime_return=0.005,
    bottom_indices=("000001.SH", "000300.SH"),
    bear_market=0.01,
    cycle_indices=("000300.SH",),
    group_indices=("000688.SH",),
    return_indices=("000001.SH", "000300.SH"),
    inclusion_quiet_days=2,
    breadth_days=10,
    breadth_least=7,
    score_days=5,
    divergence_streak=2,
    divergence_excess=-0.005,
    collateral_days=25,
    late_days=30,
)
START, END = date(2019, 9, 2), date(2020, 1, 23)
STOCKS = [f"{600000 + i}.SH" for i in range(32)] + [f"{i + 1:06d}.SZ" for i in range(20)] + [
    f"{300001 + i}.SZ" for i in range(12)]  # fmt: skip
FUNDS = ["510050.SH", "510300.SH", "511010.SH", "159915.SZ"]
#: Indices of small stocks, and of styles.
STYLE_INDICES = ["000852.SH", "399372.SZ", "399373.SZ", "399376.SZ", "399377.SZ"]
#: Sessions (counted from the first) on which a topic has no rows. Totals are absent for longer than `late_days` may be.
GAPS = {
    "margin.market": {12, 44, 45, 46},
    "indices.daily": {29},
    "margin.daily": {33},
    "prices.daily": {38, 61},
    "valuations.daily": {25},
    "rates.daily": {41},
    "margin.collateral": {31, 32},
    "etf.daily": {20},
}
#: Sessions on which Shenzhen's rows of a topic are missing.
LOST_BY_SHENZHEN = {"prices.daily": {17, 52, 53}, "margin.daily": {71}}


def rows(topic: str, day: int, keys: np.ndarray, figures: Mapping[str, object], revision: int = 0) -> RowBatch:
    """A batch of one day; figures that are not named are unknown."""
    size = len(keys)
    columns = {}
    for column in columns_of(topic, figures):
        default = 0.0 if column.labels else np.nan
        columns[column.name] = np.broadcast_to(np.asarray(figures.get(column.name, default), float), size).copy()
    stamp = np.full(size, day * 86_400_000_000 + 86_400_000_000, dtype=np.int64)
    return RowBatch(
        topic, keys.astype(np.int32), np.full(size, day, np.int32), np.full(size, revision, np.int32), stamp, columns
    )


def ids(codes: list[str]) -> np.ndarray:
    """Codes as the batches have them."""
    return np.array([to_id(code) for code in codes], dtype=np.int32)


def small_market(*, sessions: int | None = None, seed: int = 7, gaps: bool = True) -> dict[int, dict[str, RowBatch]]:
    """Sixty-four stocks, four funds, the industries' indices and six others, with gaps of every topic."""
    rng, calendar = np.random.default_rng(seed), xshg()
    days = calendar.between(to_day(START), to_day(END)).tolist()[:sessions]
    codes = STOCKS + FUNDS
    keys = np.sort(ids(codes))
    stocks = np.sort(ids(STOCKS))
    n = len(keys)
    balance, close = rng.uniform(8e6, 4e8, n), rng.uniform(4, 60, n)
    names = ids(["000001.SH", "399001.SZ", "399106.SZ", "000300.SH", "000905.SH", "000985.SH"])
    indices = np.sort(np.concatenate([names, np.array(INDEX_OF, dtype=np.int32)]))
    level, shares = rng.uniform(900, 5000, len(indices)), rng.uniform(1e8, 1e9, len(FUNDS))
    pe = np.full(len(indices), 15.0)
    trend = np.sin(np.arange(len(days)) / 7)
    before_close = close.copy()
    out: dict[int, dict[str, RowBatch]] = {}
    for i, day in enumerate(days):
        here: dict[str, RowBatch] = {}
        before = balance
        # Streaks: most securities go on as they did the day before.
        drift = np.where(rng.random(n) < 0.7, np.sign(np.sin(i / 3 + np.arange(n))), rng.choice([-1.0, 0.0, 1.0], n))
        drift = np.where((keys % 4 == 1) & (drift == 0), 1.0, drift)
        balance = balance * (1 + drift * rng.uniform(0.001, 0.04, n))
        bought = balance * rng.uniform(0.02, 0.2, n)
        listed = rng.random(n) > 0.03
        listed &= (keys % 4 != 1) | (not gaps or i not in LOST_BY_SHENZHEN["margin.daily"])
        here["margin.daily"] = rows(
            "margin.daily",
            day,
            keys[listed],
            {
                "fin_balance": balance[listed],
                "fin_buy": bought[listed],
                "fin_repay": np.where(keys % 4 == 0, np.where(drift == 0, bought, before + bought - balance), np.nan)[
                    listed
                ],
                "short_volume": rng.uniform(0, 1e5, n)[listed],
                "short_sell": rng.uniform(0, 1e4, n)[listed],
            },
        )
        total = np.array([balance[keys % 4 == e].sum() for e in range(2)]) * 1.01
        buys = total * (0.09 + 0.04 * trend[i] + rng.uniform(-0.01, 0.01))
        here["margin.market"] = rows(
            "margin.market",
            day,
            np.arange(2),
            {
                "fin_balance": total,
                "fin_buy": buys,
                "fin_repay": [buys[0] * 0.9, np.nan],
                "short_volume": rng.uniform(1e6, 2e6, 2),
                "short_sell": rng.uniform(1e5, 2e5, 2),
                "short_balance": rng.uniform(1e7, 2e7, 2),
            },
        )
        moved = 1 + 0.004 * np.sin(i / 5) + rng.normal(0, 0.012, len(indices))
        level = level * moved
        pe = pe * moved
        boards, odd = np.isin(indices, names), rng.random(len(indices)) < 0.02
        turnover = np.where(boards, total.sum() * rng.uniform(0.85, 1.15, len(indices)) / 2, level * 1e5)
        of_some = np.isin(indices, np.array(INDEX_OF)) & (i % 3 != 0)  # on other days the stocks' own figures are used
        here["indices.daily"] = rows(
            "indices.daily",
            day,
            indices,
            {
                "open": level / (1 + 0.002 * np.cos(i)),
                "high": level * rng.uniform(1.0, 1.02, len(indices)),
                "low": level * rng.uniform(0.98, 1.0, len(indices)),
                "close": np.where(odd & (i % 11 == 0), np.nan, level),
                "turnover": turnover,
                "turnover_rate": np.where(boards | of_some, rng.uniform(0.005, 0.02, len(indices)), np.nan),
                "float_cap": np.where(boards | of_some, level * 1e8, np.nan),
                "pe_ttm": np.where(boards | of_some, pe, np.nan),
                "pb": np.where(of_some, pe / 10, np.nan),
                "dividend_yield": np.where(of_some, 0.02 + pe / 1e4, np.nan),
            },
        )
        waves = 1 + 0.1 * np.sin((i + 9 * np.arange(len(STYLE_INDICES))) / 8)
        here["indices.daily"] = concat(
            [here["indices.daily"], rows("indices.daily", day, ids(STYLE_INDICES), {"close": 1000 * waves})]
        )
        ex_right = rng.random(n) < 0.02
        growth = 1 + rng.normal(0, 0.02, n) + 0.003 * np.sin(i / 5)
        base = np.where(ex_right, close / 2, close)
        close, before_close = base * growth, base
        priced, turn = rng.random(n) > 0.04, np.arange(n) + i
        priced &= (keys % 4 != 1) | (not gaps or i not in LOST_BY_SHENZHEN["prices.daily"])
        here["prices.daily"] = rows(
            "prices.daily",
            day,
            keys[priced],
            {
                # A few rows have no open.
                "open": np.where(turn % 23, close / (1 + 0.01 * np.cos(turn)), np.nan)[priced],
                "close": close[priced],
                # Half of the stocks have no ex-right prices; theirs are chained by the closes.
                "prev_close": np.where(np.arange(n) % 2 == 0, before_close, np.nan)[priced],
                "suspended": (rng.random(n) < 0.03).astype(float)[priced],
            },
        )
        valued = rng.random(len(stocks)) > 0.05
        m = len(stocks)
        here["valuations.daily"] = rows(
            "valuations.daily",
            day,
            stocks[valued],
            {
                "pe_ttm": (rng.uniform(-5, 60, m))[valued],
                "pb": rng.uniform(0.5, 8, m)[valued],
                "dividend_yield": rng.uniform(0, 0.06, m)[valued],
                "turnover_rate": np.where(rng.random(m) < 0.1, np.nan, rng.uniform(0.001, 0.05, m))[valued],
                "float_cap": rng.uniform(1e9, 1e11, m)[valued],
            },
        )
        # The first fund has no price on two days in a row; on one of them no shares change, which needs none.
        shares = shares * (rng.uniform(0.97, 1.03, len(FUNDS)) if i % 17 != 4 else 1.0)
        here["etf.daily"] = rows(
            "etf.daily",
            day,
            np.sort(ids(FUNDS)),
            {
                "shares": shares,
                "price": [np.nan if i % 17 in (4, 5) else 3.0, 4.0 + i / 100, np.nan if i % 9 == 0 else 1.5, 2.0],
                "style": [0, 0, 6, 1],
            },
        )
        here["rates.daily"] = rows(
            "rates.daily", day, np.array([KEYS["tenor"].index("CN10Y")]), {"yield": 0.03 + i / 1e4}
        )
        here["margin.collateral"] = rows(
            "margin.collateral", day, np.zeros(1), {"collateral_ratio": 2.5 + trend[i] / 4, "fin_balance": total.sum()}
        )
        if i in (0, 50):
            # The second reference moves some stocks to other industries and indices.
            m = len(keys)
            industry = (np.arange(m) + (0 if i == 0 else np.arange(m) % 5 == 0)) % len(INDUSTRIES)
            here["reference"] = rows(
                "reference",
                day,
                keys,
                {
                    "industry": np.where(np.isin(keys, ids(FUNDS)), np.nan, industry),
                    "csi300": (np.arange(m) % 4 == 0).astype(float),
                    "csi500": (np.arange(m) % 4 == (1 if i == 0 else 2)).astype(float),
                    "chinext_index": ((keys // 40_000 == 30) & (np.arange(m) % 3 == (i == 0))).astype(float),
                    "000852.SH": (np.arange(m) % 5 == (i == 0)).astype(float),
                    "000688.SH": (is_star(keys) & (np.arange(m) % 3 != (i == 0))).astype(float),
                },
            )
        out[day] = {t: b for t, b in here.items() if not (gaps and i in GAPS.get(t, ()))}
    return out


# -- what the folder of real data lacks --------------------------------------------------------------------


def with_made_rows(days: Mapping[int, Mapping[str, RowBatch]]) -> dict[int, dict[str, RowBatch]]:
    """Real rows, and made figures where the folder has none.

    The folder has no bond yields, no fund prices, no valuations of industries, no PE of the CSI All Share (000985.SH)
    nor of the CSI 300, no SZSE 100 (399330.SZ), no members of the CSI 500 and no dividend yields of stocks. Valuations
    of the industries' indices are made until the end of 2019 only: from then on those of the stocks are used.
    """
    rng, until = np.random.default_rng(11), to_day(date(2020, 1, 1))
    out: dict[int, dict[str, RowBatch]] = {}
    for i, (day, feeds) in enumerate(sorted(days.items())):
        here = dict(feeds)
        if "indices.daily" in here:
            here["indices.daily"] = _valued(here["indices.daily"], day, rng, made=day < until)
            here["rates.daily"] = rows(
                "rates.daily", day, np.array([KEYS["tenor"].index("CN10Y")]), {"yield": 0.033 - i * 1e-5}
            )
            here["margin.collateral"] = rows(
                "margin.collateral", day, np.zeros(1), {"collateral_ratio": 2.6 + np.sin(i / 9) / 3}
            )
        if "etf.daily" in here:
            here["etf.daily"] = _with(here["etf.daily"], price=1 + rng.random(len(here["etf.daily"])))
        if "valuations.daily" in here:
            yields = rng.uniform(0, 0.06, len(here["valuations.daily"]))
            here["valuations.daily"] = _with(here["valuations.daily"], dividend_yield=yields)
        if "reference" in here:
            large = here["reference"].figures["csi300"] == 1.0
            middle = ~large & (np.arange(len(large)) % 8 == 0)
            here["reference"] = _with(here["reference"], csi500=middle.astype(float))
        out[day] = here
    return out


def _with(batch: RowBatch, **figures: np.ndarray) -> RowBatch:
    return RowBatch(batch.topic, batch.keys, batch.days, batch.revisions, batch.stamps, batch.figures | figures)


def _valued(batch: RowBatch, day: int, rng: np.random.Generator, *, made: bool) -> RowBatch:
    n, industries = len(batch), np.isin(batch.keys, np.array(INDEX_OF)) & made
    figures = {
        name: np.where(industries, rng.uniform(low, high, n), batch.figures[name])
        for name, low, high in (
            ("pe_ttm", 8, 60), ("pb", 0.8, 6), ("dividend_yield", 0, 0.05), ("turnover_rate", 0.002, 0.03),
            ("float_cap", 2e11, 4e12),
        )
    }  # fmt: skip
    figures["pe_ttm"] = np.where(batch.keys == to_id("000300.SH"), rng.uniform(10, 14), figures["pe_ttm"])
    all_share = rows("indices.daily", day, ids(["000985.SH"]), {"pe_ttm": rng.uniform(14, 19)})
    all_share.stamps[:] = batch.stamps[0]
    cycle = rows("indices.daily", day, ids(["399330.SZ"]), {"close": 4000 + 1000 * np.sin([day / 40])})
    cycle.stamps[:] = batch.stamps[0]
    return concat([_with(batch, **figures), all_share, cycle])
