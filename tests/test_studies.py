"""Studies against plain pandas on the real data, their statistics by hand, and the written report."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import empyrical
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from feeds.errors import InputError
from feeds.folder import read
from processors.codes import to_id
from processors.days import TradingCalendar, to_date, to_day
from processors.indicators.verdict import Verdict
from processors.industries import INDUSTRIES
from processors.kinds import is_fund, is_stock
from processors.parameters import Parameters
from processors.studies import (
    STUDIES,
    bottom,
    divergence,
    excess,
    extremes,
    factor,
    heat,
    lead_lag,
    peak,
    ratio,
    rotation,
    sorts,
    streaks,
    timing,
)  # fmt: skip
from processors.studies.claims import Verdict as ClaimVerdict
from processors.studies.claims import verdict_of
from processors.studies.collecting import collect
from processors.studies.index_paths import paths
from processors.studies.industry_weeks import IndustryWeeks, industry_weeks
from processors.studies.measure import block_interval, episodes, performance, regression, wilson
from processors.studies.panel import FACTORS, INDICES, SSE, Panel
from processors.studies.portfolios import Holding, Portfolio, Trading, Weeks
from processors.studies.result import Finding, Mode, Result
from streams.calendars import xshg
from streams.cli.main import app
from streams.settings import Settings
from streams.studies import labels, run
from tests.made_market import SMALL, small_market

EXCHANGES = ("SSE", "SZSE")


@pytest.fixture(scope="module")
def panel(data_dir: Path) -> Panel:
    folder = read(data_dir, xshg())
    return collect((feeds for _, feeds in folder.by_day()), Parameters(), EXCHANGES, xshg())


@pytest.fixture(scope="module")
def index(data_dir: Path) -> pd.DataFrame:
    raw = pd.read_parquet(data_dir / "index_daily_2016_2021q1.parquet")
    raw["dt"] = pd.to_datetime(raw["dt"])
    return raw[raw["secid"] == "1.000001"].set_index("dt").sort_index()


def finding(result: Result, what: str) -> Finding:
    return next(f for f in result.findings if f.what == what)


def cells(result: Result, table: str) -> list[dict[str, object]]:
    found = next(t for t in result.tables if t.name == table)
    return [dict(zip(found.columns, row, strict=True)) for row in found.rows]


# -- against plain pandas --------------------------------------------------------------------------------------


def excess_by_pandas(data_dir: Path, index: pd.DataFrame) -> pd.Series:
    sse, szse = (
        pd.read_parquet(data_dir / f"margin_total_{e}_2018_2021q1.parquet").set_index("dt")["margin_balance"]
        for e in ("sse", "szse")
    )
    balance = sse.astype(float) + szse * 1e8
    balance.index = pd.to_datetime(balance.index)
    growth = balance.sort_index().pct_change(15)
    return (growth - index["close"].pct_change(15).reindex(growth.index)).dropna()


@pytest.mark.parametrize("mode", list(Mode))
def test_excess(panel: Panel, data_dir: Path, index: pd.DataFrame, mode: Mode) -> None:
    x = excess_by_pandas(data_dir, index)
    close, opened = index["close"], index["open"]
    start = close if mode is Mode.AS_SOURCE else opened.shift(-1)
    both = pd.DataFrame({"x": x, "y": (close.shift(-5) / start - 1).reindex(x.index)}).dropna()
    beta = both.cov().loc["x", "y"] / both["x"].var()
    rest = both["y"] - both["y"].mean() - beta * (both["x"] - both["x"].mean())
    error = np.sqrt((rest**2).sum() / (len(both) - 2) / ((both["x"] - both["x"].mean()) ** 2).sum())
    result = excess.run(panel, mode)
    assert finding(result, "beta").ours == pytest.approx(beta, rel=1e-9)
    assert finding(result, "beta").cases == len(both) == 768
    assert finding(result, "t (OLS)").ours == pytest.approx(beta / error, rel=1e-9)
    for threshold in (0.0, 0.05, 0.07):
        above = both[(both["x"] >= threshold) & (both["x"] > 0)]
        expected = above.corr().loc["x", "y"]
        assert finding(result, f"correlation where excess ≥ {threshold:.2f}").ours == pytest.approx(expected, rel=1e-9)
    # Independently found figures: β ≈ 0.083 … 0.086, HAC t ≈ 1.4 … 1.5, correlation from about 0.13 to about 0.55.
    if mode is Mode.AS_SOURCE:
        assert finding(result, "beta").ours == pytest.approx(0.086, abs=0.006)
        assert finding(result, "t (HAC, 5 lags)").ours == pytest.approx(1.45, abs=0.1)


@pytest.fixture(scope="module")
def weekly(data_dir: Path) -> pd.DataFrame:
    """The ratio of every week, and its last day; the data end on the Wednesday of a week that is left out."""
    buys = [
        pd.read_parquet(data_dir / f"margin_total_{e}_2018_2021q1.parquet").set_index("dt")["margin_buy_amt"]
        for e in ("sse", "szse")
    ]
    buy = buys[0].astype(float) + buys[1] * 1e8
    buy.index = pd.to_datetime(buy.index)
    raw = pd.read_parquet(data_dir / "index_daily_2016_2021q1.parquet")
    amount = raw[raw["secid"].isin(["1.000001", "0.399001"])].groupby("dt")["amount"].sum()
    amount.index = pd.to_datetime(amount.index)
    week = buy.index.to_period("W")
    ratio_ = buy.groupby(week).sum() / amount.reindex(buy.index).groupby(week).sum()
    return pd.DataFrame({"ratio": ratio_, "last": buy.index.to_series().groupby(week).max()}).iloc[:-1]


def test_ratio(panel: Panel, weekly: pd.DataFrame, data_dir: Path) -> None:
    result = ratio.run(panel, Mode.AS_SOURCE)
    for name, q in (("maximum", 1), ("90% quantile", 0.9), ("median", 0.5), ("minimum", 0)):
        assert finding(result, f"weekly {name}").ours == pytest.approx(weekly["ratio"].quantile(q), rel=1e-9)
    months = next(t for t in result.tables if t.name == "months")
    row = next(dict(zip(months.columns, r, strict=True)) for r in months.rows if r[0] == "2020-06")
    totals = [
        pd.read_parquet(data_dir / f"margin_total_{e}_2018_2021q1.parquet").set_index("dt")["margin_balance"]
        for e in ("sse", "szse")
    ]
    assert row["last day"] == "2020-06-30"
    assert row["margin balance"] == pytest.approx((totals[0]["2020-06-30"] + totals[1]["2020-06-30"] * 1e8) / 1e9)
    absent = finding(result, "margin balance at the end of 2021-11, bn CNY")
    assert absent.ours is None and absent.published == 1724.0 and "2021-03-31" in absent.note


@pytest.mark.parametrize("mode", list(Mode))
def test_peak(panel: Panel, index: pd.DataFrame, mode: Mode) -> None:
    result = peak.run(panel, mode)
    assert finding(result, "5-day breakdowns").ours == 8
    assert finding(result, "daily breakdowns").ours == 27
    assert all(f.published is None for f in result.findings if f.what.endswith("breakdowns"))  # the counts are ours
    cases = next(t for t in result.tables if t.name == "breakdowns")
    for row in cases.rows:
        case = dict(zip(cases.columns, row, strict=True))
        at = index.index.get_loc(pd.Timestamp(str(case["date"])))
        bought = index["close"].iloc[at] if mode is Mode.AS_SOURCE else index["open"].iloc[at + 1]
        if case["20 days"] is not None:
            assert case["20 days"] == pytest.approx(index["close"].iloc[at + 20] / bought - 1)
            path = index["close"].iloc[at if mode is Mode.AS_SOURCE else at + 1 : at + 61] / bought - 1
            assert case["lowest in 60 days"] == pytest.approx(path.min())
        if case["60 days"] is not None:
            later = index["close"].iloc[at + 1 : at + 61] / bought - 1
            assert case["highest in 60 days"] == pytest.approx(later.max())
            assert case["top or range"] == ("yes" if later.max() <= 0.05 else "no")
            moved = later[(later <= -0.05) | (later >= 0.05)]
            assert case["fell 5% first"] == ("yes" if len(moved) and moved.iloc[0] < 0 else "no")
        else:
            assert case["top or range"] is None
    years = next(t for t in result.tables if t.name == "years")
    assert sum(int(row[years.columns.index("5-day breakdowns")]) for row in years.rows) == 8
    tops = finding(result, "5-day breakdowns that were tops or high-level ranges")
    shown = [row[cases.columns.index("top or range")] for row in cases.rows if row[0] == "5-day"]
    assert tops.cases == sum(v is not None for v in shown) and tops.ours == shown.count("yes") / tops.cases


@pytest.mark.parametrize("mode", list(Mode))
def test_bottom(panel: Panel, index: pd.DataFrame, weekly: pd.DataFrame, mode: Mode) -> None:
    result = bottom.run(panel, mode)
    cold = weekly[weekly["ratio"] <= 0.0625]
    assert len(next(t for t in result.tables if t.name == "cold_weeks").rows) == len(cold)
    after = []
    for last in cold["last"]:
        at = index.index.get_loc(last)
        bought = index["close"].iloc[at] if mode is Mode.AS_SOURCE else index["open"].iloc[at + 1]
        after.append(index["close"].iloc[at + 20] / bought - 1)
    rose = finding(result, "weeks with a ratio ≤ 6.25% followed by a rise in 20 days")
    assert rose.cases == len(after)
    assert rose.ours == (pytest.approx(float(np.mean(np.array(after) > 0))) if after else None)
    bears = next(t for t in result.tables if t.name == "bears")
    rows = [dict(zip(bears.columns, row, strict=True)) for row in bears.rows if row[0] == "SSE Composite"]
    bear = next(row for row in rows if str(row["peak"]).startswith("2018"))
    assert (bear["peak"], bear["trough"]) == ("2018-01-24", "2019-01-03")
    assert bear["fall"] == pytest.approx(index["close"]["2019-01-03"] / index["close"]["2018-01-24"] - 1)
    rates = index["turnover_rate"].loc[:"2019-01-03"].iloc[-20:]
    assert bear["turnover rate at trough"] == pytest.approx(rates.mean() / 100)
    published = finding(result, "SSE Composite: fall of the bear market from its peak in 2018")
    assert published.ours == bear["fall"] and published.published == -0.308
    # The data end on 2021-03-31, 9% below the peak of February: that fall is no bear market yet.
    open_fall = finding(result, "SSE Composite: fall of the bear market from its peak in 2021")
    assert open_fall.ours is None
    assert open_fall.note == (
        "no bear market from a peak of that year in the data, which are of 2016-12-01 to 2021-03-31"
    )
    assert any("coldness is no bottom signal by itself" in note for note in result.notes)


def moved(panel: Panel, weeks: int, buys: float = 1.0) -> Panel:
    """A panel whose days are so many weeks later, with another ratio of buys to turnover."""
    histories = {code: replace(one, days=one.days + 7 * weeks) for code, one in panel.histories.items()}
    market = panel.market.assign(fin_buy_cny=panel.market["fin_buy_cny"] * buys)
    sessions = panel.calendar.between(panel.calendar.first, panel.calendar.last) + 7 * weeks
    calendar = TradingCalendar(map(to_date, sessions.tolist()))
    return replace(panel, calendar=calendar, days=panel.days + 7 * weeks, histories=histories, market=market)


@pytest.mark.parametrize("weeks", [-300, 0, 360])
def test_what_was_published_of_days_is_not_compared_with_other_days(panel: Panel, weeks: int) -> None:
    """Data of 2012–2015, 2018–2021, and 2025–2028, in which every week is cold."""
    other = moved(panel, weeks, 0.1)
    found = bottom.run(other, Mode.POINT_IN_TIME)
    cold = finding(found, "weeks with a ratio ≤ 6.25%")
    count = len(next(t for t in found.tables if t.name == "cold_weeks").rows)
    assert cold.ours is None and cold.note.endswith(f"and have {count}") and count > 150
    assert finding(found, "CSI 300: PE percentile at the end of 2022-10").ours is None
    short = finding(ratio.run(other, Mode.POINT_IN_TIME), "highest short balance of the sample, bn CNY")
    assert short.ours is None


def test_a_study_of_other_years_does_not_call_its_days_those_of_the_source(panel: Panel) -> None:
    early = moved(panel, -420)
    for study, says in (
        (ratio, "all days of the data, none of that sample: "),
        (heat, "all days of the data, none of that sample"),
        (excess, "of which the data have none, so of all days"),
    ):
        assert any(says in note for note in study.run(early, Mode.POINT_IN_TIME).notes), study.__name__
        assert all(says not in note for note in study.run(panel, Mode.POINT_IN_TIME).notes)
    twice = finding(excess.run(early, Mode.POINT_IN_TIME), "beta before 2018, out of the published years")
    assert (twice.ours, twice.note) == (None, "no data from 2018 on: see beta")


def test_a_percentile_of_an_unknown_pe_is_absent(panel: Panel) -> None:
    pe = finding(bottom.run(moved(panel, 150), Mode.POINT_IN_TIME), "CSI 300: PE percentile at the end of 2022-10")
    assert (pe.ours, pe.note) == (None, "no PE of 2022-10-31 is known")


def test_ranks_leave_out_losses_and_a_month_has_each_of_its_sessions(panel: Panel) -> None:
    history = panel.histories[SSE]
    pe = np.linspace(30.0, 10.0, len(history.days))
    pe[-2::-2] = -5.0
    there = np.arange(len(history.days)) != len(history.days) - 10
    gap = replace(history, days=history.days[there], close=history.close[there], pe=pe[there],
                  turnover_rate=history.turnover_rate[there])  # fmt: skip
    rates = bottom.month_rates(gap, panel.calendar)
    assert np.isnan(rates[-9:]).all()
    assert rates[-10] == pytest.approx(history.turnover_rate[-30:-10].mean())
    (row,) = cells(bottom.run(replace(panel, histories={SSE: gap}), Mode.AS_SOURCE), "valuations")
    assert row["PE"] == pe[-1] == 10.0
    assert row["rank of PE"] == pytest.approx(1 / (pe[there] > 0).sum())  # the lowest that is no loss
    assert row["rank of turnover"] is None


def test_cold_weeks_are_counted_in_the_sample_of_the_source(panel: Panel) -> None:
    other = moved(panel, 150, 0.1)
    found = bottom.run(other, Mode.POINT_IN_TIME)
    rows = next(t for t in found.tables if t.name == "cold_weeks").rows
    inside = [row for row in rows if str(row[0]) <= "2022-11-30"]
    assert 0 < len(inside) < len(rows)
    assert finding(found, "weeks with a ratio ≤ 6.25%").ours == len(inside)
    assert finding(found, "weeks with a ratio ≤ 6.25% followed by a rise in 20 days").cases == len(inside)


@pytest.mark.parametrize("mode", list(Mode))
def test_rotation(panel: Panel, data_dir: Path, mode: Mode) -> None:
    raw = pd.read_parquet(data_dir / "sw_industry_daily_2016_2021q1.parquet")
    raw["dt"] = pd.to_datetime(raw["dt"])
    close, opened = (
        raw.pivot(index="dt", columns="industry_name", values=f"{n}_index").reindex(columns=list(INDUSTRIES))
        for n in ("close", "open")
    )
    ends = [d for d in close.index if xshg().ends_week(to_day(d.date())) and d >= pd.Timestamp("2018-01-02")]
    start = close if mode is Mode.AS_SOURCE else opened.shift(-1)
    gains = pd.DataFrame(
        {a: close.loc[b] / start.loc[a].where(start.loc[a] > 0) - 1 for a, b in itertools.pairwise(ends)}
    ).T
    result = rotation.run(panel, mode)
    days = {pd.Timestamp(to_date(day)): i for i, day in enumerate(panel.days.tolist())}
    for name in ("change_top9", "dual_2", "dual_3"):
        flags = pd.DataFrame([panel.industries[name][days[d]] for d in gains.index], gains.index, list(INDUSTRIES)) == 1
        portfolio = gains.where(flags).mean(axis=1) - gains.mean(axis=1)
        found = finding(result, f"{name}: weekly mean")
        assert found.cases == portfolio.notna().sum() > 150
        assert found.ours == pytest.approx(portfolio.mean(), rel=1e-9)
        expected = portfolio.mean() / portfolio.std() * np.sqrt(52)
        ratio = finding(result, f"{name}: IR")
        assert ratio.ours == pytest.approx(expected, rel=1e-9)
        error = np.sqrt((1 + (expected / np.sqrt(52)) ** 2 / 2) / ratio.cases) * np.sqrt(52)  # [Lo02], equation 9
        assert ratio.high - ratio.low == pytest.approx(2 * 1.96 * error, rel=1e-9)


def test_an_excess_return_over_a_day_without_its_benchmark_is_unknown(panel: Panel) -> None:
    """The day counted as one of 0%."""
    gap, entry, known = 300, np.arange(len(panel.days)), panel.column("equal_weight_return")
    lacking = replace(
        panel, market=panel.market.assign(equal_weight_return=np.where(np.arange(len(known)) == gap, np.nan, known))
    )
    before, after = (one.security_forward(entry, 20) for one in (panel, lacking))
    over = (panel.securities.at >= gap - 20) & (panel.securities.at < gap)
    assert (~np.isnan(before[over])).any()
    assert np.isnan(after[over]).all()
    np.testing.assert_allclose(after[~over], before[~over], rtol=1e-9)


@pytest.mark.parametrize("mode", list(Mode))
def test_divergence_cases_by_hand(panel: Panel, mode: Mode) -> None:
    """Compute every case independently from the matrix of levels."""
    rows = panel.securities
    lag = 0 if mode is Mode.AS_SOURCE else 1
    returns = []
    mean = 1 + panel.column("equal_weight_return")
    for row in np.flatnonzero(rows.columns["divergence"] == 1.0).tolist():
        start = int(rows.at[row]) + lag
        if start + 20 >= len(panel.days):
            continue
        level = panel.levels[:, np.searchsorted(panel.level_keys, rows.keys[row])]
        gain = level[start + 20] / level[start] - mean[start + 1 : start + 21].prod()
        returns += [gain] if not np.isnan(gain) else []
    found = finding(divergence.run(panel, mode), "RANGE: up-streak ≥ 8, excess over it < −10%")
    assert found.cases == len(returns) > 80
    assert found.ours == pytest.approx(float(np.mean(returns)), rel=1e-9)
    assert found.low < found.ours < found.high


@pytest.fixture(scope="module")
def portfolios(panel: Panel) -> Result:
    return factor.run(panel, Mode.AS_SOURCE)


def test_a_cumulative_return_is_compared_with_one_of_as_many_years(portfolios: Result) -> None:
    """The published ones are of five years, these data of three."""
    cumulative = finding(portfolios, "all stocks: cumulative return")
    assert cumulative.ours is not None and cumulative.published is not None
    assert cumulative.note.startswith("published of 5.3 years, ours of ")
    assert verdict_of(cumulative) is None
    assert verdict_of(finding(portfolios, "all stocks: Sharpe")) is not None


def test_figures_of_a_portfolio_that_is_younger_than_a_year_have_no_verdict() -> None:
    """A Sharpe ratio of 5 weeks was evidence, and a fall within them smaller than that of five years."""
    rng = np.random.default_rng(1)

    def beside(weeks: int) -> dict[str, Finding]:
        weekly, daily = rng.normal(0.01, 0.02, weeks), rng.normal(0.002, 0.01, weeks * 5)
        held = Holding(weekly, daily)
        found = factor._beside("all stocks", (0.2, 2.29, 0.1, 1.7), Portfolio(held, held, held, 0.0))
        return {one.what.removeprefix("all stocks: "): one for one in found}

    short, long = beside(20), beside(276)
    assert verdict_of(short["Sharpe"]) is ClaimVerdict.UNCHECKED
    assert verdict_of(short["maximum drawdown"]) is None and "less than a year" in short["maximum drawdown"].note
    assert ClaimVerdict.UNCHECKED not in {verdict_of(one) for one in long.values()}
    assert verdict_of(long["maximum drawdown"]) is not None
    assert long["Sharpe"].low < long["Sharpe"].ours < long["Sharpe"].high


def test_factor_tails_of_a_week_by_hand(panel: Panel, portfolios: Result) -> None:
    result = portfolios
    line = next(line for line in result.charts[0].lines if line.label == "all stocks")
    ends = panel.week_ends().tolist()
    dates = panel.dates()
    number = 60
    first, last = (line.days.index(dates[ends[number + i]]) for i in (0, 1))
    weekly = (1 + line.values[last]) / (1 + line.values[first]) - 1
    here = panel.securities.at == ends[number]
    # The stream's own score: ranks among all stocks are those of the study.
    score = pd.Series(panel.securities.of("excess_score")[here], panel.securities.keys[here]).dropna()
    level = pd.DataFrame(panel.levels, columns=panel.level_keys)
    bought = level.loc[ends[number]].reindex(score.index).dropna()
    gain = level.ffill().loc[ends[number + 1]].reindex(bought.index) / bought - 1
    ordered = gain[score[gain.index].sort_values(kind="stable").index]
    tail = int(len(ordered) * 0.1)
    assert weekly == pytest.approx(ordered.iloc[-tail:].mean() - ordered.iloc[:tail].mean(), rel=1e-9)
    assert finding(result, "CSI 500: Sharpe").ours is None
    assert "no members" in finding(result, "CSI 500: Sharpe").note
    assert any("five-factor regression is left out" in note for note in result.notes)


def test_the_drawdown_by_day_includes_a_fall_from_the_beginning(portfolios: Result) -> None:
    curve, fall = (next(line for line in chart.lines if line.label == "all stocks") for chart in portfolios.charts[:2])
    level = pd.Series([1.0, *(1 + value for value in curve.values)])
    np.testing.assert_allclose(fall.values, (level / level.cummax() - 1)[1:])
    assert curve.values[0] < 0
    assert cells(portfolios, "portfolios")[0]["drawdown"] == pytest.approx(-min(fall.values))


def test_the_drawdown_of_legs_and_quintiles_is_that_of_days(panel: Panel, portfolios: Result) -> None:
    weeks = Weeks(panel, Trading(Mode.AS_SOURCE))
    level = pd.DataFrame(panel.levels).ffill().to_numpy()
    curves = {"long 10%": [1.0], "quintile 1": [1.0]}
    for week in range(len(weeks)):
        ordered = weeks.cross_section(week, None)
        chosen = {"long 10%": ordered[-int(len(ordered) * 0.1) :], "quintile 1": np.array_split(ordered, 5)[0]}
        days = level[weeks.starts[week] : weeks.stops[week] + 1]
        for name, stocks in chosen.items() if len(ordered) >= 20 else ():
            curves[name] += (curves[name][-1] * (days[1:, stocks] / days[0, stocks]).mean(axis=1)).tolist()
    rows = {row["portfolio"]: row for row in cells(portfolios, "portfolios") if row["pool"] == "all stocks"}
    for name, values in curves.items():
        curve = pd.Series(values)
        assert rows[name]["drawdown"] == pytest.approx(-(curve / curve.cummax() - 1).min())
        assert rows[name]["cumulative"] == pytest.approx(values[-1] - 1)


def test_the_five_factor_regression_recovers_known_loadings(panel: Panel, portfolios: Result) -> None:
    line = next(line for line in portfolios.charts[0].lines if line.label == "all stocks")
    levels = 1 + np.array(line.values)
    daily = pd.Series(levels / np.r_[1.0, levels[:-1]] - 1, pd.to_datetime(line.days))
    noise = np.random.default_rng(3).normal(0, 0.01, (len(daily), 5))
    given_ = pd.DataFrame(noise, daily.index, list(FACTORS))
    given_["MKT"] = np.log1p(daily) / 0.5  # so that the spread is nearly half the market, without an alpha
    with_factors = replace(panel, factors=given_)
    table = next(t for t in factor.run(with_factors, Mode.AS_SOURCE).tables if t.name == "five_factors")
    found = next(dict(zip(table.columns, row, strict=True)) for row in table.rows if row[:2] == ("all stocks", "10%"))
    assert found["alpha a week"] == pytest.approx(0.0, abs=2e-4)
    assert found["MKT"] == pytest.approx(0.5, abs=0.01)
    assert found["SMB"] == pytest.approx(0.0, abs=2e-3)
    assert found["R²"] > 0.99


def test_costs_and_what_can_be_traded_lower_the_return_of_the_tails(panel: Panel, portfolios: Result) -> None:
    main, rows = cells(portfolios, "portfolios")[0], portfolios.tables[1].rows
    annual = {str(row[0]): row[1] for row in rows}
    free = annual["as the source: close of the day, no costs"]
    assert free == main["annual"]
    assert annual["published"] == 0.2006
    # A leg replaces a share of its stocks each week, which is sold and bought: costs of four such trades.
    expected = main["weeks"] * 4 * 0.001 * main["replaced a week"]
    costly = next(row for row in rows if str(row[0]).startswith("costs of 0.1%"))
    lost = np.log1p(main["cumulative"]) - np.log1p(costly[4])
    assert lost == pytest.approx(expected, rel=0.05)
    own = factor.run(replace(panel, cost=0.001), Mode.AS_SOURCE).tables[0]
    assert own.rows[0][own.columns.index("annual")] == pytest.approx(costly[1])


@pytest.mark.parametrize(("code", "secid"), [(SSE, "1.000001"), ("000300.SH", "1.000300")])
def test_timing_against_holding_by_hand(panel: Panel, data_dir: Path, code: str, secid: str) -> None:
    raw = pd.read_parquet(data_dir / "index_daily_2016_2021q1.parquet")
    close = raw[raw["secid"] == secid].assign(dt=lambda f: pd.to_datetime(f["dt"])).set_index("dt")["close"]
    days = pd.DatetimeIndex(panel.dates())
    gain = close.sort_index().pct_change().reindex(days)
    gain.iloc[0] = np.nan  # the period's first close is the first entry
    result = timing.run(panel, Mode.AS_SOURCE)
    # The prices begin on 2016-12-01, a year before the margin figures.
    assert (result.first, result.last) == ("2016-12-01", "2021-03-31")
    rows = {row["strategy"]: row for row in cells(result, "strategies")
            if row["index"] == INDICES[code]}  # fmt: skip
    for strategy, column in (("LLT", f"llt/{code}"), ("GFTD", f"gftd/{code}/position")):
        held = pd.Series(panel.column(column), days).shift(1)
        held = held[held.notna() & gain.notna()]
        earned = gain[held.index] * held
        runs = (held != held.shift()).cumsum()
        trades = ((1 + earned).groupby(runs).prod() - 1)[held.groupby(runs).first() != 0]
        closed = trades[trades.index < runs.iloc[-1]]
        row, curve = rows[strategy], (1 + earned).cumprod()
        assert row["cumulative"] == pytest.approx(curve.iloc[-1] - 1, rel=1e-9)
        assert row["Sharpe"] == pytest.approx(empyrical.sharpe_ratio(earned, annualization=244), rel=1e-9)
        assert row["σ"] == pytest.approx(earned.std() * np.sqrt(244), rel=1e-9)
        assert row["drawdown"] == pytest.approx((1 - curve / curve.cummax().clip(lower=1)).max(), rel=1e-9)
        assert row["trades"] == len(closed) > 5
        assert row["trades won"] == pytest.approx((closed > 0).mean())
        assert row["share of days in"] == pytest.approx((held != 0).mean())
        assert row["days"] == len(held) < len(days)
    assert rows["hold"]["cumulative"] == pytest.approx((1 + gain.fillna(0.0)).prod() - 1, rel=1e-9)


def test_excess_by_year_held_out_by_hand(panel: Panel, data_dir: Path, index: pd.DataFrame) -> None:
    x = excess_by_pandas(data_dir, index)
    both = pd.DataFrame({"x": x, "y": (index["close"].shift(-5) / index["close"] - 1).reindex(x.index)}).dropna()
    rows = {row["year"]: row for row in cells(excess.run(panel, Mode.AS_SOURCE), "years")}
    for year in (2019, 2020):
        inside, other = both[both.index.year == year], both[both.index.year != year]
        slope, level = np.polyfit(other["x"], other["y"], 1)
        error = ((inside["y"] - level - slope * inside["x"]) ** 2).sum()
        plain = ((inside["y"] - other["y"].mean()) ** 2).sum()
        row = rows[str(year)]
        assert row["days"] == len(inside)
        assert row["beta of the year"] == pytest.approx(np.polyfit(inside["x"], inside["y"], 1)[0])
        assert row["beta of all other years"] == pytest.approx(slope)
        assert row["forecast error saved"] == pytest.approx(1 - error / plain)


def test_heat_deciles_by_hand(panel: Panel, data_dir: Path) -> None:
    sse, szse = (
        pd.read_parquet(data_dir / f"margin_total_{e}_2018_2021q1.parquet").set_index("dt") for e in ("sse", "szse")
    )
    both = sse["margin_balance"] + sse["short_value"] + (szse["margin_balance"] + szse["short_value"]) * 1e8
    raw = pd.read_parquet(data_dir / "market_summary_2016_2019aug.parquet")
    caps = raw[raw["code"].isin(["000001", "399106"])].groupby("dt")["float_cap"].agg(["sum", "count"])
    caps = caps["sum"][caps["count"] == 2]
    both.index, caps.index = pd.to_datetime(both.index), pd.to_datetime(caps.index)
    share = (both / caps).dropna()
    result = heat.run(panel, Mode.AS_SOURCE)
    for decile in (1, 5, 9):
        one = finding(result, f"two-way balance / float cap: decile {decile}")
        assert one.ours == pytest.approx(share.quantile(decile / 10), rel=1e-9)
        assert one.cases == len(share)
    quadrant = cells(result, "quadrants")
    assert len(quadrant) == len(INDUSTRIES)
    for name in ("heat", "risk"):  # in their own σ
        raw_scores = pd.DataFrame(panel.industries[name], columns=list(INDUSTRIES)).dropna(how="all").iloc[-1]
        expected = (raw_scores - raw_scores.mean()) / raw_scores.std(ddof=0)
        shown = {row["industry"]: row[name] for row in quadrant if row[name] is not None}
        assert len(shown) > 20
        assert shown == pytest.approx({industry: expected[industry] for industry in shown})
    assert (
        finding(result, "2024-03: share of the industries with published high risk that are high in ours").ours is None
    )


def test_lead_lag_by_hand(panel: Panel, data_dir: Path, index: pd.DataFrame) -> None:
    sse, szse = (
        pd.read_parquet(data_dir / f"margin_total_{e}_2018_2021q1.parquet").set_index("dt")["margin_balance"]
        for e in ("sse", "szse")
    )
    balance = sse.astype(float) + szse * 1e8
    balance.index = pd.to_datetime(balance.index)
    growth, returns = balance.pct_change(), index["close"].reindex(balance.index).pct_change()
    rows = {row["k"]: row for row in cells(lead_lag.run(panel, Mode.AS_SOURCE), "correlations")}
    for k in (-3, 0, 1, 5):
        name = f"{k:+d}" if k else "0"
        assert rows[name]["all"] == pytest.approx(returns.corr(growth.shift(-k)))
    peaks = {row["index's peak"]: row["days later"] for row in cells(lead_lag.run(panel, Mode.AS_SOURCE), "peaks")}
    # The data begin 16 sessions before the peak of 2018-01-24: the balance's may be earlier.
    assert {day: peaks[day] for day in ("2018-01-24", "2019-04-19", "2020-03-05")} == {
        "2018-01-24": None, "2019-04-19": 3, "2020-03-05": 0,
    }  # fmt: skip
    around = balance.iloc[balance.index.get_loc(pd.Timestamp("2019-04-19")) - 20 :].iloc[:41]
    assert int(around.argmax()) == 23
    later = finding(
        lead_lag.run(panel, Mode.AS_SOURCE), "mean correlation with the balance 1 to 5 days later: the balance follows"
    )
    assert later.ours == pytest.approx(np.mean([returns.corr(growth.shift(-k)) for k in range(1, 6)]))


@pytest.fixture(scope="module")
def forward_20(panel: Panel) -> pd.DataFrame:
    """Every stock and day with its excess return over 20 days from the close, by pandas."""
    level = pd.DataFrame(panel.levels, columns=panel.level_keys)
    mean = pd.Series((1 + pd.Series(panel.column("equal_weight_return"))).cumprod().to_numpy())
    gain = (level.shift(-20) / level - 1).sub(mean.shift(-20) / mean - 1, axis=0)
    rows = panel.securities
    frame = pd.DataFrame(
        {
            "at": rows.at,
            "key": rows.keys,
            **{n: rows.of(n) for n in ("fin_change", "fin_streak", "extreme", "consecutive_extreme", "streak_excess")},
        }
    )
    frame = frame[is_stock(rows.keys) & np.isin(rows.keys, panel.level_keys)]
    frame["gain"] = gain.to_numpy()[frame["at"], level.columns.get_indexer(frame["key"])]
    return frame


def test_streaks_by_hand(panel: Panel, forward_20: pd.DataFrame) -> None:
    result = streaks.run(panel, Mode.AS_SOURCE)
    moved = forward_20[forward_20["fin_change"].notna()]
    known = moved[moved["gain"].notna()]
    buckets = {(row["side"], row["days"]): row for row in cells(result, "buckets")}
    for name, low, high in (("2–4", 2, 4), ("≥ 8", 8, 999)):
        inside = known[(-known["fin_streak"]).between(low, high)]
        assert buckets["down", name]["cases"] == len(inside)
        assert buckets["down", name]["mean"] == pytest.approx(inside["gain"].mean())
        assert buckets["down", name]["win rate"] == pytest.approx((inside["gain"] > 0).mean())
    in_2019 = known[(known["fin_streak"] == 8) & (panel.years()[known["at"]] == 2019)]
    row = next(r for r in cells(result, "phases") if (r["side"], r["when"]) == ("up", "2019"))
    assert row["mean"] == pytest.approx(in_2019["gain"].mean())
    rows = panel.securities  # the shares are of all stocks, also of those without prices
    running = is_stock(rows.keys) & ~np.isnan(rows.of("fin_change")) & (rows.columns["fin_streak"] != 0)
    share = finding(result, "share of stock-days in a streak of at least 8, phase C")
    phase = streaks.phases(panel)[rows.at] == "C"
    assert share.ours == pytest.approx((np.abs(rows.columns["fin_streak"][running & phase]) >= 8).mean())


def test_divergences_by_pandas(panel: Panel, forward_20: pd.DataFrame, data_dir: Path) -> None:
    raw = pd.read_parquet(data_dir / "index_daily_2016_2021q1.parquet")
    csi300 = raw[raw["secid"] == "1.000300"].assign(dt=lambda f: pd.to_datetime(f["dt"])).set_index("dt")["close"]
    close = csi300.sort_index()
    rally = (close > close.rolling(60).mean()) & (close / close.shift(60) - 1 > 0.10)
    known = forward_20[forward_20["gain"].notna()]
    rallies = rally.reindex(pd.DatetimeIndex(panel.dates())).to_numpy()[known["at"]]
    in_range = known[~rallies & (known["fin_streak"] >= 8) & (known["streak_excess"] < -0.10)]["gain"]
    in_rally = known[rallies & (known["fin_streak"] <= -8) & (known["streak_excess"] > 0)]["gain"]
    rows = {str(row["case"])[:5]: row for row in cells(divergence.run(panel, Mode.AS_SOURCE), "cases")
            if row["horizon"] == 20}  # fmt: skip
    for name, gains in (("RANGE", in_range), ("RALLY", in_rally)):
        assert rows[name]["cases"] == len(gains)
        if len(gains):
            assert rows[name]["mean"] == pytest.approx(gains.mean())
            assert rows[name]["median"] == pytest.approx(gains.median())
            assert rows[name]["win rate"] == pytest.approx((gains > 0).mean())
    assert len(in_range) > 80 and len(in_rally) > 0


def test_extremes_by_hand(panel: Panel, forward_20: pd.DataFrame) -> None:
    result = extremes.run(panel, Mode.AS_SOURCE)
    rows = panel.securities
    change = pd.DataFrame({"at": rows.at, "change": rows.of("fin_change")})[is_stock(rows.keys)].dropna()
    months = np.array([day[:7] for day in panel.dates()])
    june = change[months[change["at"]] == "2020-06"].groupby("at")["change"]
    row = next(r for r in cells(result, "boundaries") if r["month"] == "2020-06")
    assert row["5% boundary"] == pytest.approx(june.quantile(0.05).mean(), rel=1e-6)
    assert row["95% boundary"] == pytest.approx(june.quantile(0.95).mean(), rel=1e-6)
    known = forward_20[forward_20["gain"].notna()]
    inside = known[(known["consecutive_extreme"] == 1) & (known["streak_excess"] < -0.05)]
    wins = finding(result, "win rate over 20 days after consecutive extreme rises, excess before below −5%")
    assert wins.cases == len(inside) and wins.ours == pytest.approx((inside["gain"] > 0).mean())
    assert wins.base == pytest.approx((known[known["extreme"].notna()]["gain"] > 0).mean())
    worst = inside[inside["streak_excess"] < -0.10]["gain"]
    shown = next(r for r in cells(result, "win_rates") if (r["kind"], r["side"]) == ("consecutive", "rise"))
    assert shown["excess before < -10%"] == f"{(worst > 0).mean():.1%} of {len(worst)}"


def test_sorts_by_hand(panel: Panel, data_dir: Path) -> None:
    raw = pd.read_parquet(data_dir / "sw_industry_daily_2016_2021q1.parquet")
    raw["dt"] = pd.to_datetime(raw["dt"])
    close = raw.pivot(index="dt", columns="industry_name", values="close_index").reindex(columns=list(INDUSTRIES))
    days = {pd.Timestamp(to_date(day)): i for i, day in enumerate(panel.days.tolist())}
    ends = [d for d in close.index if xshg().ends_week(to_day(d.date())) and d >= pd.Timestamp("2018-01-02")]
    gains = pd.DataFrame({a: close.loc[b] / close.loc[a] - 1 for a, b in itertools.pairwise(ends)}).T
    values = pd.DataFrame(
        [panel.industries["week_change"][days[d]] for d in gains.index], gains.index, list(INDUSTRIES)
    )
    values = values.where(gains.notna()).dropna(how="all")
    rank = values.rank(axis=1, ascending=False, method="first")
    count = values.notna().sum(axis=1)
    rows = cells(sorts.run(panel, Mode.AS_SOURCE), "groups")
    excess_ = gains.sub(gains.mean(axis=1), axis=0).loc[values.index]
    first = (count + 2) // 3  # the groups with one more come first
    for group, flags in (("1", rank.le(first, axis=0)), ("3", rank.gt(count - count // 3, axis=0))):
        weekly_ = excess_.where(flags).mean(axis=1)
        row = next(r for r in rows if (r["sorted by"], r["groups"], r["group"]) == ("change", 3, group))
        assert row["weeks"] == len(weekly_)
        assert row["weekly excess"] == pytest.approx(weekly_.mean())
    selected = (
        pd.DataFrame([panel.industries["dual_2"][days[d]] for d in gains.index], gains.index, list(INDUSTRIES)) == 1
    )
    chosen = selected[selected.any(axis=1)]
    held = next(r for r in cells(sorts.run(panel, Mode.AS_SOURCE), "held") if r["portfolio"] == "dual_2")
    assert held["selected"] == pytest.approx(chosen.sum(axis=1).mean())
    assert held["held"] == pytest.approx((chosen & gains.loc[chosen.index].notna()).sum(axis=1).mean())
    raw_mean = gains.where(selected).mean(axis=1).dropna()
    portfolio = next(r for r in cells(rotation.run(panel, Mode.AS_SOURCE), "portfolios") if r["portfolio"] == "dual_2")
    assert portfolio["raw mean"] == pytest.approx(raw_mean.mean()) and portfolio["raw σ"] == pytest.approx(
        raw_mean.std()
    )


def test_the_factor_ranks_inside_a_pool(panel: Panel, data_dir: Path) -> None:
    """Two weeks of the CSI 300 from the files' own balances; the panel gives the levels and members alone."""
    rows = panel.securities
    detail = pd.concat(
        pd.read_parquet(
            data_dir / f"margin_detail_{e}_2018_2021q1.parquet", columns=["dt", "code", "margin_balance"]
        ).assign(
            key=lambda f, suffix=suffix: [to_id(f"{code}.{suffix}") for code in f["code"].astype(str).str.zfill(6)]
        )
        for e, suffix in (("sse", "SH"), ("szse", "SZ"))
    )
    balance = detail.pivot(index="dt", columns="key", values="margin_balance")
    balance.index = pd.to_datetime(balance.index)
    level = pd.DataFrame(panel.levels, columns=panel.level_keys, index=pd.to_datetime(panel.dates()))
    weeks = Weeks(panel, Trading(Mode.AS_SOURCE))
    tails, quintiles, count = weeks.portfolios("csi300", (0.1,))
    for week in (170, 205):
        start, stop = (level.index[at[week]] for at in (weeks.starts, weeks.stops))
        back = level.index[weeks.starts[week] - 15]
        members = rows.keys[(rows.at == weeks.starts[week]) & (rows.columns["csi300"] == 1)]
        known = level.ffill()
        gain = (level.loc[start] / known.loc[back] - 1).reindex(members)
        growth = (balance.loc[start] / balance.loc[back].where(balance.loc[back] > 0) - 1).reindex(members)
        used = gain.notna() & growth.notna()
        s0 = gain[used].round(12).rank() / growth[used].round(12).rank()
        score = (s0 - s0.median()).abs()
        later = (known.loc[stop] / level.loc[start] - 1).reindex(score.index)
        ordered = later[score.sort_index().sort_values(kind="stable").index]
        size = int(len(ordered) * 0.1)
        assert count[week] == len(ordered) > 200
        assert tails[0.1].spread.weekly[week] == pytest.approx(ordered.iloc[-size:].mean() - ordered.iloc[:size].mean())
        assert quintiles[4].weekly[week] == pytest.approx(np.array_split(ordered.to_numpy(), 5)[4].mean())


# -- what a study may know -------------------------------------------------------------------------------------


def test_point_in_time_never_trades_before_the_figures_are_published(panel: Panel) -> None:
    for at_open, minute in ((True, 9 * 60 + 30), (False, 15 * 60)):
        entry = panel.entry(Mode.POINT_IN_TIME, at_open=at_open)
        inside = entry < len(panel.days)
        days = panel.days[entry[inside]].astype(np.int64)
        moment = days * 86_400_000_000 + minute * 60_000_000 - 8 * 3_600_000_000
        assert (moment > panel.available[inside]).all()
        known = np.flatnonzero(inside)
        assert (entry[inside] == known + 1).all()  # published at 08:30 of the next session
        assert (panel.available[~inside][:-1] == 0).all()


def test_the_future_changes_no_panel_of_the_past(data_dir: Path) -> None:
    short, long = (
        collect((f for _, f in read(data_dir, xshg(), date(2019, 1, 2), end).by_day()), Parameters(), EXCHANGES, xshg())
        for end in (date(2019, 3, 29), date(2019, 4, 30))
    )
    n = len(short.days)
    pd.testing.assert_frame_equal(short.market, long.market.iloc[:n][short.market.columns])
    rows = len(short.securities.at)
    for name in ("fin_streak", "consecutive_extreme", "excess_score", "divergence"):
        np.testing.assert_array_equal(short.securities.columns[name], long.securities.columns[name][:rows])
    columns = np.searchsorted(long.level_keys, short.level_keys)
    np.testing.assert_array_equal(short.levels, long.levels[:n, columns])


@pytest.mark.parametrize("mode", list(Mode))
def test_a_session_of_which_nothing_arrived_is_a_session_of_every_horizon(mode: Mode) -> None:
    days = small_market(gaps=False)
    friday = [day for day in days if xshg().ends_week(day)][3]
    whole, gap = (
        collect((feeds for day, feeds in days.items() if day != without), SMALL, EXCHANGES, xshg())
        for without in (None, friday)
    )
    np.testing.assert_array_equal(gap.days, whole.days)
    at = int(np.flatnonzero(whole.days == friday)[0])
    for panel in (whole, gap):
        returns = panel.index_forward(SSE, panel.entry(mode, at_open=True), 5, mode)
        assert np.isnan(returns[at - 5]) == (panel is gap)
        assert (
            returns[at - 4]
            == panel.closes[SSE][at + 1]
            / (panel.closes[SSE][at - 4] if mode is Mode.AS_SOURCE else panel.opens[SSE][at - 3])
            - 1
        )
    weeks, known = industry_weeks(gap, mode), industry_weeks(whole, mode)
    touched = (known.starts == at) | (known.stops == at)
    np.testing.assert_array_equal(known.stops[~touched], weeks.stops[~np.isin(weeks.stops, at)])
    assert np.isnan(weeks.market[weeks.stops == at]).all() and at not in weeks.starts
    # A sum with an unknown part is absent: that of its week, and that of its month.
    ends, ratios = ratio.weekly_ratio(gap, gap.in_period)
    assert np.isnan(ratios[ends == at - 1]).tolist() == [True]
    for panel, known in ((whole, True), (gap, False)):
        rows = {row["month"]: row["ratio of the month"] for row in cells(ratio.run(panel, mode), "months")}
        assert (rows[gap.dates()[at][:7]] is not None) == known


@pytest.mark.parametrize(
    ("end", "week", "months"),
    [
        (date(2020, 6, 23), False, {"2020-05": False}),  # the 24th is the last session before holidays
        (date(2020, 6, 24), True, {"2020-05": False}),
        (date(2020, 6, 30), False, {"2020-05": False, "2020-06": True}),
    ],
)
def test_a_week_or_month_has_a_ratio_if_each_of_its_sessions_is_known(
    data_dir: Path, end: date, week: bool, months: dict[str, bool]
) -> None:
    folder = read(data_dir, xshg(), date(2020, 5, 25), end)
    panel = collect((feeds for _, feeds in folder.by_day()), Parameters(), EXCHANGES, xshg())
    ends, ratios = ratio.weekly_ratio(panel, panel.in_period)
    assert ends[-1] == len(panel.days) - 1
    assert [not np.isnan(one) for one in ratios] == [True] * (len(ratios) - 1) + [week]
    rows = cells(ratio.run(panel, Mode.AS_SOURCE), "months")
    assert {row["month"]: row["ratio of the month"] is not None for row in rows} == months


def test_leads_and_lags_are_counted_in_sessions_and_peaks_are_those_of_the_whole_history() -> None:
    whole = collect(small_market(gaps=False).values(), SMALL, EXCHANGES, xshg())
    n = len(whole.days)
    close = np.r_[np.full(40, 100.0), np.full(n - 40, 50.0)]
    close[-1] = 60.0
    balance = 5 + np.random.default_rng(2).random(n) / 100
    balance[45] = 6.0
    earlier = whole.calendar.between(int(whole.days[0]) - 30, int(whole.days[0]) - 1)

    def peaks(before: float, unknown: int | None = None) -> list[tuple[object, ...]]:
        history = replace(
            whole.histories[SSE],
            days=np.r_[earlier, whole.days],
            close=np.r_[np.full(len(earlier), before), close],
        )
        values = np.where(np.arange(n) == unknown, np.nan, balance)
        panel = replace(whole, histories={SSE: history}, market=whole.market.assign(fin_balance=values))
        rows = next(t for t in lead_lag.run(panel, Mode.AS_SOURCE).tables if t.name == "peaks").rows
        return [row[:3] for row in rows]

    dates = whole.dates()
    assert peaks(100.0 - 1e-6) == [(dates[0], None, None)]  # the first of equal closes; its sessions before are unknown
    assert peaks(200.0) == []  # the index fell from before the period
    close[30:40] = np.linspace(101, 110, 10)
    assert peaks(100.0) == [(dates[39], dates[45], 6)]
    assert peaks(100.0, unknown=50) == [(dates[39], None, None)]


def test_a_top_is_not_known_where_a_close_or_the_entry_is_not() -> None:
    whole = collect(small_market(gaps=False).values(), SMALL, EXCHANGES, xshg())
    closes, opens = (np.full(len(whole.days), 3000.0) for _ in range(2))
    closes[70] = opens[5] = np.nan
    panel = replace(whole, closes=whole.closes | {SSE: closes}, opens=whole.opens | {SSE: opens})
    outcome = paths(panel, Mode.POINT_IN_TIME)
    for values, known in ((outcome.topped, 1.0), (outcome.fell_first, 0.0), (outcome.highest, 0.0)):
        expected = [known if at != 4 and at + 60 < 70 else np.nan for at in range(30)]
        np.testing.assert_array_equal(values[:30], expected)


def test_days_before_the_period_only_fill_windows(data_dir: Path) -> None:
    folder = read(data_dir, xshg(), date(2018, 1, 2), date(2018, 6, 29))
    days = [feeds for _, feeds in folder.by_day()]
    late = collect(days, Parameters(), EXCHANGES, xshg(), start=date(2018, 3, 1))
    assert late.period() == ("2018-03-01", "2018-06-29")
    assert not np.isnan(late.column("excess_financing")[late.in_period]).any()
    result = ratio.run(late, Mode.AS_SOURCE)
    months = next(t for t in result.tables if t.name == "months").rows
    assert [row[0] for row in months] == ["2018-03", "2018-04", "2018-05", "2018-06"]


# -- statistics ------------------------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 400), min_size=1, max_size=60), st.integers(1, 30))
def test_episodes_never_overlap_and_their_number_is_maximal(days: list[int], span: int) -> None:
    free, count = -1, 0
    for day in sorted(days):
        if day >= free:
            free, count = day + span, count + 1
    assert episodes(np.array(days), span) == count <= len(set(days))


def test_intervals() -> None:
    low, high = wilson(8, 10)
    assert (low, high) == pytest.approx((0.4902, 0.9433), abs=1e-4)  # Newcombe 1998
    assert wilson(0, 0) == (None, None)
    days = np.repeat(np.arange(200), 3)
    values = np.sin(days / 7.0)
    low, high = block_interval(values, days, 20)
    again = block_interval(values, days, 20)
    assert (low, high) == again
    assert low < values.mean() < high
    narrow = block_interval(values, days, 1)
    assert high - low > 1.5 * (narrow[1] - narrow[0])  # what overlaps is worth less
    assert block_interval(values[:2], days[:2], 20) == (None, None)


def test_regression_and_performance_of_too_few_values() -> None:
    assert regression(np.ones(50), np.arange(50.0), 5) is None
    assert regression(np.arange(5.0), np.arange(5.0), 5) is None
    x = np.linspace(-1, 1, 40)
    fit = regression(np.r_[x, np.nan], np.r_[2 * x + 1 + 0.1 * np.cos(9 * x), 5.0], 2)
    assert fit is not None
    assert fit.n == 40
    assert fit.beta == pytest.approx(2.0, abs=0.02)
    p = performance(np.array([0.1, -0.5, 0.2]), 52)
    assert p.cumulative == pytest.approx(1.1 * 0.5 * 1.2 - 1)
    assert p.drawdown == pytest.approx(0.5)


def test_the_performance_of_an_unknown_return_is_refused() -> None:
    """It counted as one of 0%."""
    with pytest.raises(ValueError, match="a return is unknown"):
        performance(np.array([0.1, np.nan]), 52)


def test_a_variant_without_any_week_has_no_figure(panel: Panel) -> None:
    """As that of the next open, in a folder without the opens of stocks."""
    rows = cells(factor.run(replace(panel, open_levels=panel.open_levels * np.nan), Mode.POINT_IN_TIME), "sensitivity")
    (opens,) = (row for row in rows if row["variant"] == "open of the next session")
    assert list(opens.values())[1:] == [None, None, None, None, 0]


@pytest.mark.parametrize("returns", [[0.0, 0.0, 0.0], [0.001, 0.001], [0.1]])
def test_returns_that_do_not_differ_have_no_sharpe(returns: list[float]) -> None:
    """Such as those of a strategy that was out of the market: neither nan nor inf is a figure."""
    found = performance(np.array(returns), 244)
    assert found.sharpe is None
    assert (found.volatility is None) == (len(returns) == 1)
    assert str(found.drawdown) == "0.0"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(Mode.AS_SOURCE, [np.nan, 0.2, 0.5, np.nan, np.nan]), (Mode.POINT_IN_TIME, [0.2, 0.5, np.nan, np.nan, np.nan])],
)
def test_the_move_over_a_day_without_a_price_belongs_to_the_position_before_it(
    panel: Panel, mode: Mode, expected: list[float]
) -> None:
    """10 → 12 → unknown → 18 → unknown: +50% from the second day on, which was left out as two days of 0%."""
    prices = {"000001.SH": np.array([10.0, 12.0, np.nan, 18.0, np.nan])}
    five = replace(panel, opens=prices, closes=prices, in_period=np.ones(5, dtype=bool))
    np.testing.assert_allclose(timing._returns(five, "000001.SH", mode), expected)


def test_years_are_compounded_over_their_known_weeks_which_are_counted() -> None:
    returns = np.zeros((5, 31))
    weeks = IndustryWeeks(
        np.arange(5), np.arange(5) + 1, returns, returns[:, 0], np.array([2019, 2019, 2019, 2020, 2020])
    )
    table = rotation.annual_table("annual", "t", {"p": np.array([0.1, np.nan, 0.2, np.nan, np.nan])}, weeks)
    row = list(table.rows[0])
    assert row[0] == "p" and row[1] == pytest.approx(1.1 * 1.2 - 1)
    assert row[2:] == [None, 2, 0]  # nothing is known of 2020: no 0%


# -- what a reader gets ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four months of the files, as a folder of its own."""
    out = tmp_path_factory.mktemp("small")
    for path in data_dir.glob("*.parquet"):
        if path.name.startswith(("margin_", "index_", "sw_industry")):
            frame = pd.read_parquet(path)
            keep = pd.to_datetime(frame["dt"]).between("2020-01-02", "2020-05-29")
            frame[keep].to_parquet(out / path.name)
    (out / "sw_l1_membership_2026.csv").write_bytes((data_dir / "sw_l1_membership_2026.csv").read_bytes())
    return out


def marginwatch(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments), env={"COLUMNS": "160"})
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_all_studies_as_a_command(small: Path, tmp_path: Path) -> None:
    out, report = tmp_path / "out", tmp_path / "report.html"
    code, text = marginwatch("study", "all", "--data", str(small), "--out", str(out), "--report", str(report))
    assert code == 0, text
    for name in STUDIES:
        found = json.loads((out / f"{name}.json").read_text("utf-8"))
        assert [one["mode"] for one in found] == ["as-source", "point-in-time"]
        assert found[0]["first"] == "2020-01-02"
    quantiles = list(csv.reader(io.StringIO((out / "ratio_quantiles_as-source.csv").read_text("utf-8"))))
    assert quantiles[0] == ["quantile", "daily", "5-day sum/sum", "weekly sum/sum", "published"]
    assert float(quantiles[1][1]) > 0.1
    (strip,) = [chart["strip"] for chart in json.loads((out / "peak.json").read_text("utf-8"))[0]["charts"]
                if chart["name"] == "verdict_strip"]  # fmt: skip
    assert len(strip["days"]) == len(strip["states"]) > 50
    assert {"HOT", "WARNED"} <= set(strip["states"]) <= {"", *Verdict}
    images = list(out.glob("*.png"))
    assert out / "peak_verdict_strip_point-in-time.png" in images
    assert len(images) >= 10
    assert all(path.read_bytes().startswith(b"\x89PNG") and path.stat().st_size > 8_000 for path in images)
    page = report.read_text("utf-8")
    assert not re.search(r'(src|href)="(?!data:|#)', page)  # self-contained
    assert "viewport" in page
    assert "the five-factor regression is left out" in page
    assert page.count("<h2 id=") == len(STUDIES)
    claims = list(csv.DictReader(io.StringIO((out / "claims.csv").read_text("utf-8"))))
    assert {claim["study"] for claim in claims} == set(STUDIES)
    chinese = report.with_suffix(".zh.html").read_text("utf-8")
    assert chinese.count("<h2 id=") == len(STUDIES)
    assert sorted(set().union(*(untranslated(text) for path in out.glob("*.json") for text in shown(path)))) == []


def shown(path: Path) -> Iterator[str]:
    """Yield the texts of a study's results that a report shows."""
    for result in json.loads(path.read_text("utf-8")):
        yield from (result["title"], result["remark"], *result["notes"])
        for found in result["findings"]:
            yield from (found["what"], found["note"])
        for chart in result["charts"]:
            yield from (chart["title"], chart["x_label"], chart["y_label"], *chart["levels"])
            yield from (part["label"] for kind in ("lines", "curves", "bars") for part in chart[kind])
        for table in result["tables"]:
            yield from (table["title"], *table["columns"])
            yield from (cell for row in table["rows"] for cell in row if isinstance(cell, str))


def untranslated(text: str) -> set[str]:
    """Return the parts of a text that stay English in a Chinese report, names of factors and strategies apart."""
    chinese = labels.translate(text)
    return {
        part for part in re.split("[:：]", text) if len(part) > 4 and re.search("[a-z]{3}", part) and part in chinese
    }


def test_a_report_is_written_though_the_reader_of_the_output_closes_it_early(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(_study: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr("streams.cli.study.print_study", closed)
    out, report = tmp_path / "out", tmp_path / "report.html"
    with pytest.raises(BrokenPipeError):
        marginwatch("study", "ratio", "--data", str(small), "--out", str(out), "--report", str(report))
    assert report.is_file() and (out / "ratio.json").is_file()


def test_one_study_in_one_mode_as_json(small: Path) -> None:
    code, text = marginwatch("study", "excess", "--data", str(small), "--as-source", "--from", "2020-03-02", "--json")
    assert code == 0
    (modes,) = json.loads(text[text.index("[") :])
    assert [m["mode"] for m in modes] == ["as-source"]
    assert modes[0]["first"] == "2020-03-02"
    assert {f["what"] for f in modes[0]["findings"]} >= {"beta", "t (OLS)", "t (HAC, 5 lags)"}


def one_exchange(small: Path, folder: Path) -> Path:
    (folder / (name := "margin_total_sse_2018_2021q1.parquet")).write_bytes((small / name).read_bytes())
    return folder


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda small, tmp: ("study", "ratio", "--data", str(tmp)), "has no file with a known name"),
        (
            lambda small, tmp: ("study", "ratio", "--data", str(small), "--from", "2025-01-02"),
            "no row from 2025-01-02 to",
        ),
        (lambda small, tmp: ("rules", "test", "--data", str(small), "--from", "2025-01-02"), "no row from 2025-01-02"),
        (
            lambda small, tmp: ("study", "all", "--data", str(one_exchange(small, tmp))),
            "no day with margin figures of SSE",
        ),
    ],
)
def test_errors_name_cause_and_remedy(
    small: Path, tmp_path: Path, make: Callable[[Path, Path], tuple[str, ...]], message: str
) -> None:
    with pytest.raises(Exception, match=re.escape(message)):
        marginwatch(*make(small, tmp_path))


HEADERS = "dt,code,name,margin_balance,margin_buy_amt,margin_repay_amt,short_qty,short_sell_qty,short_repay_qty"


@pytest.mark.parametrize("command", [("study", "ratio"), ("rules", "test")])
def test_rows_that_contradict_each_other_are_refused(command: tuple[str, ...], tmp_path: Path) -> None:
    rows = [f"2020-01-02,600000,x,{balance},1,1,1,1,1" for balance in (100, 200)]
    (tmp_path / "margin_detail_sse_2020.csv").write_text("\n".join([HEADERS, *rows]))
    with pytest.raises(InputError, match=r"600000\.SH has fin_balance 100 in .* and 200 in .*: remove one"):
        marginwatch(*command, "--data", str(tmp_path))


def test_a_row_that_is_refused_is_noted(tmp_path: Path) -> None:
    rows = [f"2020-01-02,{600000 + i},x,{'1.2.3' if i == 7 else 100},1,1,1,1,1" for i in range(40)]
    (tmp_path / "margin_detail_sse_2020.csv").write_text("\n".join([HEADERS, *rows]))
    plan = run.StudyPlan(tmp_path, ("ratio",), (Mode.AS_SOURCE,))
    noted = run.panel(plan, Settings(exchanges=("SSE",)), lambda _what, _done, _total: None).notes
    assert any("row 9, fin_balance" in note and "'1.2.3'" in note for note in noted)
    code, text = marginwatch("rules", "test", "--data", str(tmp_path))
    assert code == 0 and "row 9, fin_balance" in text and "'1.2.3'" in text


def test_the_prices_in_hand_are_those_of_the_folder_not_of_another(panel: Panel) -> None:
    rows = panel.securities
    at = pd.DataFrame(panel.levels, columns=panel.level_keys)
    stock = ~is_fund(rows.keys)
    years = pd.Series(panel.days[rows.at[stock]]).map(lambda day: to_date(day).year)
    columns = at.columns.get_indexer(rows.keys[stock])
    known = (columns >= 0) & ~np.isnan(at.to_numpy()[rows.at[stock], columns])
    shares = pd.Series(known).groupby(years).mean()
    expected = ", ".join(f"{year} {share:.0%}" for year, share in shares.items())
    for study in (STUDIES[name] for name in ("streaks", "extremes", "divergence", "factor")):
        notes = study.run(panel, Mode.AS_SOURCE).notes
        assert any(f"by year: {expected}." in note for note in notes)
        assert not any("279" in note or "large caps" in note for note in notes)
