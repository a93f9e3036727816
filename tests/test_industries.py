"""Groups, coverage and industries on the real data against plain pandas, and by hand where the data have no input."""

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
from processors.indicators.industry_balance import ranks
from processors.indicators.industry_heat import composite, kdj_j, z_scores
from processors.indicators.industry_rotation import selections
from processors.industries import INDEX_OF, INDUSTRIES
from processors.outputs import IndustrySignals, MarketSignal
from processors.parameters import Parameters
from streams.calendars import xshg
from tests import oracle

EXCHANGES = ("SSE", "SZSE")
START, END = date(2018, 6, 1), date(2019, 3, 29)
FEEDS = ("reference", "indices.daily", "margin.market", "margin.daily", "valuations.daily")
StageOutput = tuple[dict[date, IndustrySignals], dict[tuple[date, str], MarketSignal]]


def run(days: dict[int, dict[str, RowBatch]]) -> StageOutput:
    industries: dict[date, IndustrySignals] = {}
    signals: dict[tuple[date, str], MarketSignal] = {}
    feeds = ({topic: day[topic] for topic in FEEDS if topic in day} for day in days.values())
    for output in replay(feeds, Parameters(), EXCHANGES, xshg()):
        if isinstance(output, IndustrySignals):
            industries[output.status.trade_date] = output
        elif isinstance(output, MarketSignal):
            signals[output.trade_date, output.name] = output
    return industries, signals


@pytest.fixture(scope="module")
def days(data_dir: Path) -> dict[int, dict[str, RowBatch]]:
    return dict(read(data_dir, xshg(), START, END).by_day())


@pytest.fixture(scope="module")
def outputs(days: dict[int, dict[str, RowBatch]]) -> StageOutput:
    return run(days)


@pytest.fixture(scope="module")
def detail(data_dir: Path) -> pd.DataFrame:
    """Rows of the margin detail with the industry of the current membership."""
    rows = oracle.load(data_dir, START, END).detail
    membership = pd.read_csv(data_dir / "sw_l1_membership_2026.csv", dtype={"code": str})
    of = dict(zip(membership["code"].str.zfill(6), membership["sw_l1"], strict=True))
    rows["industry"] = rows["code"].str[:6].map(of)
    number = rows["code"].str[:6]
    in_sh, in_sz = rows["code"].str.endswith(".SH"), rows["code"].str.endswith(".SZ")
    rows["fund"] = (in_sh & number.str.startswith("5")) | (in_sz & number.str[:2].isin(["15", "16", "18"]))
    return rows


@pytest.fixture(scope="module")
def index(data_dir: Path) -> pd.DataFrame:
    raw = pd.read_parquet(data_dir / "sw_industry_daily_2016_2021q1.parquet")
    raw["dt"] = pd.to_datetime(raw["dt"])
    return raw[(raw["dt"] >= pd.Timestamp(START)) & (raw["dt"] <= pd.Timestamp(END))]


def table(outputs: StageOutput, name: str) -> pd.DataFrame:
    industries = outputs[0]
    return pd.DataFrame(
        {pd.Timestamp(day): frame.columns[name] for day, frame in industries.items()}, index=list(INDUSTRIES)
    ).T


def same(ours: pd.DataFrame, theirs: pd.DataFrame, min_values: int) -> None:
    theirs = theirs.reindex(index=ours.index, columns=ours.columns)
    np.testing.assert_allclose(ours.to_numpy(float), theirs.to_numpy(float), rtol=1e-9, atol=1e-12)
    assert ours.notna().sum().sum() >= min_values


def stocks(detail: pd.DataFrame) -> pd.DataFrame:
    return detail[~detail["fund"] & detail["industry"].notna()]


def test_every_industry_of_the_file_has_its_index(index: pd.DataFrame) -> None:
    names = dict(zip(index["swindexcode"], index["industry_name"], strict=True))
    ours = {f"{key // 4:06d}": name for key, name in zip(INDEX_OF, INDUSTRIES, strict=True)}
    assert len(names) >= 27
    assert all(ours[code] == name for code, name in names.items())


def test_balances_shares_and_ranks(outputs: StageOutput, detail: pd.DataFrame) -> None:
    balance = stocks(detail).pivot_table(index="trade_date", columns="industry", values="fin_balance", aggfunc="sum")
    same(table(outputs, "fin_balance"), balance, 6_000)
    same(table(outputs, "fin_balance_share"), balance.div(balance.sum(axis=1), axis=0), 6_000)
    same(table(outputs, "fin_balance_rank"), balance.rank(axis=1, ascending=False, method="first"), 6_000)


def test_net_buys_and_buys_over_turnover(outputs: StageOutput, detail: pd.DataFrame, index: pd.DataFrame) -> None:
    rows = stocks(detail).copy()
    days = sorted(rows["trade_date"].unique())
    wide = rows.pivot(index="trade_date", columns="code", values="fin_balance").reindex(days)
    grown = wide.diff().stack().rename("grown").reset_index()
    rows = rows.merge(grown, on=["trade_date", "code"], how="left")
    rows["net"] = (rows["fin_buy"] - rows["fin_repay"]).fillna(rows["grown"])
    net = rows.groupby(["trade_date", "industry"])["net"].sum(min_count=1).unstack()
    same(table(outputs, "net_buy"), net, 6_000)
    turnover = index.pivot(index="dt", columns="industry_name", values="amount_100m_yuan") * 1e8
    bought = rows.pivot_table(index="trade_date", columns="industry", values="fin_buy", aggfunc="sum")
    same(table(outputs, "buy_to_turnover"), (bought / turnover).where(turnover > 0), 5_000)


def test_weekly_change_breadth_and_the_selections(outputs: StageOutput, detail: pd.DataFrame) -> None:
    rows = stocks(detail)
    wide = rows.pivot(index="trade_date", columns="code", values="fin_balance")
    ends = wide.groupby(wide.index.to_period("W")).tail(1)
    before = ends.shift(1)
    industry = rows.drop_duplicates("code").set_index("code")["industry"]
    both = ends.notna() & (before > 0)
    total = lambda values: values.T.groupby(industry).sum(min_count=1).T  # noqa: E731
    change = total(ends.where(both)) / total(before.where(both)) - 1
    breadth = total((ends > before).astype(float).where(both)) / total(both.astype(float).where(both))
    # The data start and end inside a week: the previous week's end is unknown, and the last week may continue.
    ours = table(outputs, "week_change").dropna(how="all")
    same(ours, change, 1_000)
    same(table(outputs, "week_breadth").loc[ours.index], breadth, 1_000)
    assert [d for d in ends.index[1:-1] if d not in ours.index] == []
    # Of ties, the industry with the lower index code comes first.
    order = [name for name in INDUSTRIES if name in change]
    first = change.loc[ours.index, order].rank(axis=1, ascending=False, method="first")
    second = breadth.loc[ours.index, order].rank(axis=1, ascending=False, method="first")
    dual = ((first <= 9) & (second <= 9) & (first > 3)).astype(float).where(first.notna())
    same(table(outputs, "dual_2").loc[ours.index, order], dual[order], 1_000)


def test_heat_and_risk_of_prices(outputs: StageOutput, index: pd.DataFrame) -> None:
    close = index.pivot(index="dt", columns="industry_name", values="close_index")
    high, low = (index.pivot(index="dt", columns="industry_name", values=f"{n}_index") for n in ("high", "low"))
    day = pd.Timestamp("2019-03-15")
    window = close.loc[:day].tail(61)
    returns = window.pct_change().dropna(how="all")

    def z(values: pd.Series) -> pd.Series:
        return ((values - values.mean()) / values.std(ddof=0)).clip(-3, 3)

    smooth = lambda x: x.ewm(alpha=1 / 14, adjust=True).mean().iloc[-1]  # noqa: E731
    change = window.diff().iloc[1:]
    ranges = high.rolling(9).max() - low.rolling(9).min()
    raw = (100 * (close - low.rolling(9).min()) / ranges).loc[:day].tail(53)
    k, d = pd.Series(50.0, close.columns), pd.Series(50.0, close.columns)
    for row in raw.to_numpy():
        k = k * 2 / 3 + row / 3
        d = d * 2 / 3 + k / 3
    expected = {
        "heat_volatility": -returns.std() * np.sqrt(250),
        "heat_downside_deviation": -np.sqrt((returns.clip(upper=0) ** 2).mean() * 250),
        "heat_max_drawdown": (window / window.cummax() - 1).min(),
        "heat_return_20": window.iloc[-1] / window.iloc[-21] - 1,
        "heat_distance_60": window.iloc[-1] / window.iloc[1:].mean() - 1,
        "heat_rsi_14": smooth(change.clip(lower=0)) / smooth(change.abs()),
        "risk_kdj_j": 3 * k - 2 * d,
    }
    for name, values in expected.items():
        ours = table(outputs, name).loc[day]
        np.testing.assert_allclose(ours, z(values).reindex(ours.index), rtol=1e-9, atol=1e-12, err_msg=name)
    frame = outputs[0][day.date()]
    parts = [c for c in frame.columns if c.startswith("heat_") and c not in frame.left_out]
    scores = pd.DataFrame({c: frame.columns[c] for c in parts}, index=list(INDUSTRIES))
    mean = scores.mean(axis=1).where(scores.notna().sum(axis=1) * 2 >= len(parts))
    np.testing.assert_allclose(table(outputs, "heat").loc[day], mean, rtol=1e-9)
    assert {"heat_pe", "heat_dividend_yield", "risk_pb"} <= set(frame.left_out)  # no feed here brings valuations
    assert "20 are needed" in frame.left_out["heat_pe"]


@pytest.fixture(scope="module")
def valued(data_dir: Path) -> StageOutput:
    """The weeks around the turn of 2020, when the valuations of 279 large caps start."""
    return run(dict(read(data_dir, xshg(), date(2019, 10, 8), date(2020, 2, 28)).by_day()))


def test_valuations_of_stocks_replace_missing_valuations_of_the_index(valued: StageOutput, data_dir: Path) -> None:
    day = date(2020, 2, 28)
    raw = pd.read_parquet(data_dir / "csi300_prices_2020_2021q1.parquet")
    raw = raw.assign(
        code=raw["code"].str[3:], date=pd.to_datetime(raw["date"]), rate=raw["turn"].where(raw["turn"] > 0) / 100
    )
    rows = raw[raw["date"] == pd.Timestamp(day)].set_index("code")
    membership = pd.read_csv(data_dir / "sw_l1_membership_2026.csv", dtype={"code": str})
    industry = membership.assign(code=membership["code"].str.zfill(6)).set_index("code")["sw_l1"].reindex(rows.index)
    caps = rows["close"] * rows["volume"] / rows["rate"]

    def ratio(top: pd.Series, bottom: pd.Series) -> pd.Series:
        both = top.notna() & bottom.notna()
        return top[both].groupby(industry).sum() / bottom[both].groupby(industry).sum()

    calendar = xshg()
    span = [pd.Timestamp(to_date(calendar.shift(to_day(day), -back) or 0)) for back in range(20)]
    rates = raw[raw["date"].isin(span)].pivot(index="date", columns="code", values="rate")
    mean = rates.mean().where(rates.notna().sum() >= 10).reindex(rows.index)
    factors = {
        "heat_pe": -ratio(caps, caps / rows["peTTM"].where(rows["peTTM"] != 0)),
        "heat_pb": -ratio(caps, caps / rows["pbMRQ"].where(rows["pbMRQ"] != 0)),
        "heat_turnover_rate": ratio(caps * rows["rate"], caps),
        "risk_turnover_rate_20": ratio(caps * mean, caps.where(mean.notna())),
    }
    frame = valued[0][day]
    for name, values in factors.items():
        z = ((values - values.mean()) / values.std(ddof=0)).clip(-3, 3).reindex(list(INDUSTRIES))
        np.testing.assert_allclose(frame.columns[name], z, rtol=1e-9, atol=1e-12, err_msg=name)
        assert np.isfinite(z).sum() >= 20
    assert "heat_dividend_yield" in frame.left_out  # no file has it
    assert "heat_pe" in valued[0][date(2019, 12, 31)].left_out  # nor this before 2020
    assert frame.status.input_revisions["valuations.daily[0]"] == 0
    assert "valuations.daily[0]" not in valued[0][date(2019, 12, 31)].status.input_revisions

    detail = oracle.load(data_dir, day, day).detail
    balance = detail.assign(code=detail["code"].str[:6]).set_index("code")["fin_balance"].reindex(rows.index)
    expected = balance[caps.notna()].groupby(industry).sum() / caps.groupby(industry).sum()
    np.testing.assert_allclose(frame.columns["fin_balance_to_float_cap"], expected.reindex(list(INDUSTRIES)), rtol=1e-9)
    coverage = valued[1][day, "coverage"].details
    assert coverage["by_float_cap"] == pytest.approx(caps[balance.notna()].sum() / caps.sum())
    assert coverage["float_cap_known"] == caps.notna().sum()


def test_late_valuations_recompute_the_day(data_dir: Path) -> None:
    days = read(data_dir, xshg(), date(2019, 12, 2), date(2020, 1, 10)).by_day()
    feeds = [{topic: day[topic] for topic in FEEDS if topic in day} for _, day in days]
    together: dict[date, IndustrySignals] = {}
    late: dict[date, IndustrySignals] = {}
    for output in replay(feeds, Parameters(), EXCHANGES, xshg()):
        if isinstance(output, IndustrySignals):
            together[output.status.trade_date] = output
    late_feeds = [
        *({t: rows for t, rows in day.items() if t != "valuations.daily"} for day in feeds),
        *({"valuations.daily": day["valuations.daily"]} for day in feeds if "valuations.daily" in day),
    ]
    published = 0
    for output in replay(late_feeds, Parameters(), EXCHANGES, xshg()):
        if isinstance(output, IndustrySignals):
            late[output.status.trade_date] = output
            published += 1
    assert published == len(together) + sum("valuations.daily" in day for day in feeds)
    assert late.keys() == together.keys()
    for day, frame in together.items():
        assert late[day].status == frame.status
        assert late[day].left_out == frame.left_out
        for name, values in frame.columns.items():
            np.testing.assert_array_equal(late[day].columns[name], values, err_msg=f"{day} {name}")


def test_groups_and_coverage(outputs: StageOutput, detail: pd.DataFrame, data_dir: Path) -> None:
    signals, day = outputs[1], date(2019, 3, 15)
    rows = detail[detail["trade_date"] == pd.Timestamp(day)].set_index("code")
    chinext = rows.index.str.startswith("30") & rows.index.str.endswith(".SZ")
    large = pd.read_parquet(data_dir / "csi300_prices_2020_2021q1.parquet")["code"].unique()
    csi300 = rows.index.isin([f"{c[3:]}.{c[:2].upper()}" for c in large])
    for group, member in (("ChiNext", chinext), ("ETF", rows["fund"]), ("CSI300", csi300)):
        found = signals[day, f"group_balance/{group}"]
        assert found.value == pytest.approx(rows.loc[member, "fin_balance"].sum(), rel=1e-12)
        assert found.details["share"] == pytest.approx(found.value / rows["fin_balance"].sum())
    assert "no security of the day belongs to CSI500" in signals[day, "group_balance/CSI500"].reason
    week = xshg().between(to_day(date(2019, 3, 11)), to_day(day))
    five = [signals[to_date(d), "group_net_buy/ETF"].value for d in week]
    assert signals[day, "group_net_buy/ETF"].details["five_days"] == pytest.approx(sum(five))
    membership = pd.read_csv(data_dir / "sw_l1_membership_2026.csv", dtype={"code": str})["code"].str.zfill(6)
    everything = pd.concat([membership, pd.Series([c[3:] for c in large])]).drop_duplicates()
    listed = everything.isin(rows.index.str[:6][~rows["fund"]])
    assert signals[day, "coverage"].value == pytest.approx(listed.mean())


def test_statistics_by_hand() -> None:
    assert ranks(np.array([3.0, np.nan, 5.0, 3.0])).tolist()[0::2] == [2.0, 1.0]
    assert np.isnan(z_scores(np.arange(19.0))).all()  # too few to compare
    assert z_scores(np.r_[np.zeros(30), 100.0])[-1] == 3.0  # winsorised
    assert np.isnan(composite(np.array([[1.0, 2.0], [1.0, np.nan], [1.0, np.nan]]))).tolist() == [False, True]
    flat = np.full((1, 20), 5.0)
    assert kdj_j(flat, flat, flat) == pytest.approx([50.0])
    flags = selections(np.arange(31.0), np.arange(31.0))
    assert [int(np.nansum(flags[n])) for n in ("change_top9", "dual_1", "dual_2", "dual_3")] == [9, 9, 6, 3]


def test_no_industry_signal_reads_the_future(days: dict[int, dict[str, RowBatch]], outputs: StageOutput) -> None:
    cut, rng = to_day(date(2019, 1, 31)), np.random.default_rng(5)

    def noisy(rows: RowBatch) -> RowBatch:
        figures = {n: v * rng.uniform(0.5, 2.0, len(rows)) for n, v in rows.figures.items()}
        return RowBatch(rows.topic, rows.keys, rows.days, rows.revisions, rows.stamps, figures)

    def changed_at_random(feeds: dict[str, RowBatch]) -> dict[str, RowBatch]:
        return {topic: rows if topic == "reference" else noisy(rows) for topic, rows in feeds.items()}

    changed, _ = run({d: feeds if d <= cut else changed_at_random(feeds) for d, feeds in days.items()})
    past = [d for d in outputs[0] if to_day(d) <= cut]
    assert len(past) > 150
    for day in past:
        assert outputs[0][day].status == changed[day].status
        for name, values in outputs[0][day].columns.items():
            np.testing.assert_array_equal(values, changed[day].columns[name], err_msg=f"{day} {name}")


def test_a_late_membership_recomputes_all_later_days(days: dict[int, dict[str, RowBatch]]) -> None:
    few = dict(list(days.items())[:8])
    first = next(iter(few))
    reference = few[first]["reference"]
    before, _ = run(few)
    assert {s.status.revision for s in before.values()} == {0}
    moved = RowBatch("reference", reference.keys[:500], np.full(500, list(few)[4], np.int32), reference.revisions[:500],
                     reference.stamps[:500], {n: v[:500] * 0 for n, v in reference.figures.items()})  # fmt: skip
    later = {d: f | ({"reference": moved} if d == list(few)[6] else {}) for d, f in few.items()}
    after, _ = run(later)
    revisions = [after[to_date(d)].status.revision for d in few]
    assert revisions == [0, 0, 0, 0, 1, 1, 1, 1]
    later = to_date(list(few)[5])
    assert after[later].columns["fin_balance"][0] > before[later].columns["fin_balance"][0]
