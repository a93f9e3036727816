"""Market indicators by hand where the data have no input, and that none reads the future."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.folder import read
from processors.bears import bear_markets, current_drawdowns
from processors.block import Block
from processors.days import to_date, to_day
from processors.events import RowBatch
from processors.history import replay
from processors.indicators.llt import advance
from processors.indicators.ratio_state import QUANTILE_STATE
from processors.indicators.risk_premium import episodes
from processors.market import Market
from processors.needs import index
from processors.outputs import MarketSignal
from processors.parameters import Parameters
from processors.signal import Level, Signal
from streams.calendars import xshg
from tests.building import DAYS, batch, end_of_day
from tests.folding import check_signal, fold_history, oracle_data
from tests.made_market import SMALL, small_market

EXCHANGES = ("SSE", "SZSE")
FEEDS = ("indices.daily", "etf.daily", "margin.market")
END = date(2021, 3, 31)


def run(days: dict[int, dict[str, RowBatch]]) -> dict[tuple[date, str], MarketSignal]:
    found: dict[tuple[date, str], MarketSignal] = {}
    feeds = ({topic: day[topic] for topic in FEEDS if topic in day} for day in days.values())
    for output in replay(feeds, Parameters(), EXCHANGES, xshg(), days_per_fold=64):
        assert isinstance(output, MarketSignal)
        found[output.trade_date, output.name] = output
    return found


@pytest.fixture(scope="module")
def signals(data_dir: Path) -> dict[tuple[date, str], MarketSignal]:
    """Every market signal of the real data, of indices from 2016-12 on."""
    return run(dict(read(data_dir, xshg(), None, END).by_day()))


def test_bottom_panel_shows_figures_side_by_side(signals) -> None:
    panel = signals[date(2019, 1, 3), "bottom_panel"]
    assert panel.value == len(panel.details)
    assert panel.details["000300.SH drawdown"] < -0.30


def test_the_published_episodes_of_a_high_risk_premium(data_dir: Path) -> None:
    """[GF25] counts five from 2016 to 2025-07; the folder has those until 2022."""
    folder = data_dir.parent / "data_2016_2021"
    if not folder.is_dir():
        pytest.skip(f"no {folder}")
    pe = pd.read_parquet(folder / "index_valuation_daily_2005_2022.parquet")
    bond = pd.read_parquet(folder / "cn10y_yield_daily_2005_2022.parquet").set_index("dt")["y10_pct"] / 100
    premium = (1 / pe[pe["code"] == "000985"].set_index("dt")["pe"] - bond).dropna()["2016":]
    counts = [int(episodes((premium[:n] >= 0.04).to_numpy()[None], 20)[0]) for n in range(1, len(premium) + 1)]
    first = [f"{premium.index[counts.index(n)]:%Y-%m}" for n in range(1, counts[-1] + 1)]
    assert first == ["2018-10", "2020-03", "2022-10"]


@pytest.mark.parametrize(
    ("closes", "falls"),
    [
        ([100, 79, 90, 101, 85, 102, 70, 60, 75], [-0.21, 60 / 102 - 1]),
        ([100, 70, 83, 70, 84], [-0.30]),  # ended by +20% from the trough, far below its peak
        ([100, 70, 83], []),  # not ended yet
        ([100, 81, 100, 90, 120], []),
        ([100, 80, 96], [-0.20]),  # bounds included
        ([100, 70, 84, 67.2, 81], [-0.30, -0.20]),  # the close that ends one is the first peak of the next
        ([np.nan, 100, np.nan, 70, np.nan, 84, np.nan], [-0.30]),
        ([], []),
    ],
)
def test_a_bear_market_is_a_fall_of_a_fifth_ended_by_a_rise_of_a_fifth(closes: list[float], falls: list[float]) -> None:
    found = bear_markets(np.array(closes, dtype=float), 0.2)
    assert [bear.fall for bear in found] == pytest.approx(falls)
    for bear in found:
        assert closes[bear.trough] / closes[bear.peak] - 1 == bear.fall
        assert bear.peak < bear.trough < bear.end


@given(st.lists(st.sampled_from([np.nan, 60.0, 70.0, 80.0, 84.0, 100.0, 105.0]), max_size=40))
def test_a_bear_market_and_a_drawdown_stay_as_they_were_known(closes: list[float]) -> None:
    series = np.array(closes, dtype=float)
    bears = bear_markets(series, 0.2)
    for day, now in enumerate(current_drawdowns(series, bears).tolist()):
        known = bear_markets(series[: day + 1], 0.2)
        assert known == [bear for bear in bears if bear.end <= day]
        np.testing.assert_equal(current_drawdowns(series[: day + 1], known)[-1], now)


@pytest.mark.parametrize("block_days", [1, 64])
def test_a_drawdown_is_measured_from_the_peak_since_the_last_bear_market_and_ranked_among_all_of_them(
    block_days: int,
) -> None:
    """By hand: 70 and 65 ended bear markets of 30% and 23.5%; later days are measured from 85, not from 100."""
    closes = [100, 70, 85, 65, 78, 70, np.nan, 62]
    parameters = Parameters(bottom_indices=("000001.SH",), percentile_days=3, percentile_least=3)
    market = Market(1, parameters, EXCHANGES, xshg(), block_days=block_days)
    days = [batch("indices.daily", day, {"000001.SH": {"close": n}}) for day, n in zip(DAYS, closes, strict=False)]
    days += [batch("margin.market", day, {e: {"fin_balance": 1.0} for e in EXCHANGES}) for day in DAYS[: len(closes)]]
    found = [one.details for one in market.fold([item for rows in days for item in (rows, end_of_day(rows))])
             if isinstance(one, MarketSignal) and one.signal == "bottom_panel"]  # fmt: skip
    shown = [[details.get(f"000001.SH {name}") for name in ("drawdown", "bear_markets", "deeper_than")]
             for details in found]  # fmt: skip
    expected = [[0, None, None], [-0.3, None, None], [0, 1, 0], [65 / 85 - 1, 1, 0], [0, 2, 0], [70 / 78 - 1, 2, 0],
                [None] * 3, [62 / 78 - 1, 2, 0]]  # fmt: skip
    assert shown == [[None if one is None else pytest.approx(one) for one in row] for row in expected]


def test_the_line_of_an_index_that_does_not_move_is_its_close() -> None:
    assert advance((5.0, 5.0, 5.0), (5.0, 5.0), 39) == pytest.approx(5.0)


def test_a_signal_without_data_is_absent_with_its_reason(signals) -> None:
    assert "float_cap of 2020-07-09 is not known" in signals[date(2020, 7, 9), "fin_balance_to_float_cap"].reason
    assert "have no price" in signals[date(2020, 7, 9), "etf_flow/other"].reason
    assert not [key for key in signals if key[1] == "risk_premium"]  # no rates at all: never computed


def test_an_expanding_window_begins_on_its_date_and_never_ends() -> None:
    """By hand: the first day is outside, the second one of too few, and the fourth is higher than two of three."""
    parameters = Parameters(expanding_since=DAYS[1].isoformat(), percentile_least=2, percentile_days=2)
    market = Market(1, parameters, EXCHANGES, xshg())
    found = {}
    for day, balance in zip(DAYS, (9.0, 2.0, 4.0, 3.0), strict=False):
        caps = batch("indices.daily", day, {"000001.SH": {"float_cap": 1e3}, "399106.SZ": {"float_cap": 1e3}})
        totals = batch("margin.market", day, {e: {"fin_balance": balance, "short_balance": 0.5} for e in EXCHANGES})
        for output in market.fold([caps, end_of_day(caps), totals, end_of_day(totals)]):
            found[output.trade_date, output.name] = output
    ranks = [found[day, "two_way_to_float_cap_percentile_expanding"] for day in DAYS[:4]]
    assert [rank.value for rank in ranks] == [None, None, 1.0, pytest.approx(2 / 3)]
    assert f"since {DAYS[1]}: 2 days are needed, 0 are known" in ranks[0].reason
    assert f"since {DAYS[1]}: 2 days are needed, 1 are known" in ranks[1].reason
    assert ranks[3].details["share"] == pytest.approx(7.0 / 2e3)
    assert found[DAYS[3], "two_way_to_float_cap_percentile"].value == 0.5


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


def test_earnings_of_nothing_or_less_have_no_risk_premium() -> None:
    market = Market(1, Parameters(percentile_least=3), EXCHANGES, xshg())
    found = {}
    for day, pe in zip(DAYS, (0.5, -8.0, 0.0, 20.0, 25.0), strict=False):
        prices = batch("indices.daily", day, {"000985.SH": {"pe_ttm": pe}, "399001.SZ": {"close": 1.0}})
        bond = batch("rates.daily", day, {"CN10Y": {"yield": 0.03}})
        for output in market.fold([prices, end_of_day(prices), bond, end_of_day(bond)]):
            found[output.trade_date, output.name] = output
    premiums = [found[day, "risk_premium"] for day in DAYS[:5]]
    for one in premiums[1:3]:
        assert (one.value, one.reason) == (None, "the PE of 000985.SH is not positive: no earnings yield")
    known = [premium.value for premium in premiums if premium.value is not None]
    assert known == pytest.approx([1 / 0.5 - 0.03, 1 / 20 - 0.03, 1 / 25 - 0.03])
    assert "mean" not in premiums[3].details  # three days of it are asked for
    assert premiums[4].details["mean"] == pytest.approx(np.mean(known))
    assert premiums[4].details["sigma"] == pytest.approx(np.std(known, ddof=1))


@pytest.mark.parametrize(("sold", "share"), [(0.0, (100 + 50 + 2 * 3.0) / 3000), (1.0, None)])
def test_an_exchange_with_nothing_lent_has_no_short_sales(sold: float, share: float | None) -> None:
    """Beijing had 400 shares lent in the summer of 2026."""
    market = Market(1, Parameters(), EXCHANGES, xshg())
    turnovers = batch("indices.daily", DAYS[0], {"000001.SH": {"turnover": 1e3}, "399001.SZ": {"turnover": 2e3}})
    totals = batch("margin.market", DAYS[0], {
        "SSE": {"fin_buy": 100.0, "short_sell": 2.0, "short_balance": 30.0, "short_volume": 10.0},
        "SZSE": {"fin_buy": 50.0, "short_sell": sold, "short_balance": 0.0, "short_volume": 0.0},
    })  # fmt: skip
    found = {one.name: one for one in market.fold([turnovers, end_of_day(turnovers), totals, end_of_day(totals)])}
    one = found["margin_trade_share"]
    assert one.value == (None if share is None else pytest.approx(share))
    assert one.reason == ("turnover or the lent shares are zero" if share is None else "")


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
    assert found[DAYS[1], "etf_flow_total"].value == found[DAYS[1], "etf_flow/broad"].value
    assert found[DAYS[2], "etf_flow_total"].value is None  # bonds have a fund, but no flow: no total of a part
    assert "etf_flow of bond is absent" in found[DAYS[2], "etf_flow_total"].reason
    assert "cumulative" not in found[DAYS[2], "etf_flow/broad"].details  # 20 days are not known yet
    assert "day before" in found[DAYS[2], "etf_flow/bond"].reason  # it had none yesterday: no flow out of nothing


@pytest.mark.parametrize(("before", "flow"), [(5e9, None), (4e9, 0.4e9)])
def test_a_flow_of_a_fund_without_a_price_is_unknown_and_so_is_the_total(before: float, flow: float | None) -> None:
    """Only a fund whose shares didn't change needs no price."""
    market = Market(1, Parameters(), EXCHANGES, xshg())
    found = {}
    for day, first, second in ((DAYS[0], (1e9, 4.0), (before, 6.0)), (DAYS[1], (1.1e9, 4.0), (4e9, np.nan))):
        funds = {"510300.SH": first, "510500.SH": second}
        rows = batch("etf.daily", day, {code: {"shares": n, "price": price} for code, (n, price) in funds.items()})
        for output in market.fold([rows, end_of_day(rows)]):
            found[output.trade_date, output.name] = output
    broad, total = found[DAYS[1], "etf_flow/broad"], found[DAYS[1], "etf_flow_total"]
    if flow is None:
        assert (broad.value, total.value, broad.details) == (None, None, {})
        assert broad.reason == "etf.daily: 1 of the 2 funds of the style changed shares and have no price"
        assert total.reason == f"etf_flow of broad is absent: {broad.reason}"
    else:
        assert broad.value == total.value == pytest.approx(flow)


@pytest.mark.parametrize(
    ("shares", "price", "flow", "splits"),
    [((5.66e9, 11.32e9), (2.0, 1.0), 0.0, 1), ((4e9, 1e9), (0.5, 2.1), 0.0, 1), ((1e9, 2e9), (1.0, 1.01), 1.01e9, 0),
     ((1e9, 1.5e9), (1.0, 0.85), 0.425e9 * 1.0, 0),
     *(((1e9, ratio * 1e9), (1.2, 1.2), 0.0, 1) for ratio in (2.0, 3.0, 1.5, 5.0, 10.000002, 0.5, 1 / 3, 0.1, 1 / 1.5)),
     ((5.66e9, 11.32e9), (1.637, 1.637), 0.0, 1),
     ((1e9, 1.3e9), (1.2, 1.2), 0.36e9, 0), ((1e9, 2.2e9), (1.2, 1.2), 1.44e9, 0),
     ((1e9, 2e9), (1.2, 1.201), 1.201e9, 0), ((1e9, 1e9), (1.2, 1.2), 0.0, 0),
     ((1e6, 200.1e6), (1.2, 1.2), 199.1e6 * 1.2, 0)],
)  # fmt: skip
def test_a_split_of_a_fund_is_no_flow(
    shares: tuple[float, float], price: tuple[float, float], flow: float, splits: int
) -> None:
    """512760 1:2: its shares double and its price halves, on the day after if it was suspended."""
    market = Market(1, Parameters(etf_flow_days=2), EXCHANGES, xshg())
    found = {}
    for day, outstanding, value in zip(DAYS, shares, price, strict=False):
        rows = batch("etf.daily", day, {"512760.SH": {"shares": outstanding, "price": value}})
        for output in market.fold([rows, end_of_day(rows)]):
            found[output.trade_date, output.name] = output
    assert found[DAYS[1], "etf_flow/broad"].value == pytest.approx(flow)
    assert found[DAYS[1], "etf_flow/broad"].details["splits"] == splits
    assert found[DAYS[1], "etf_flow_total"].value == pytest.approx(flow)


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


def test_trailing_thresholds_are_quantiles_of_that_many_earlier_ratios() -> None:
    """The 5-day ratio of the oldest of the days reads four days more."""
    days = small_market(gaps=False, sessions=30)
    folded = fold_history(days, SMALL)
    assert check_signal(QUANTILE_STATE, folded, oracle_data(days), SMALL) == 30 - SMALL.percentile_least - 4
    first, full = (folded.market[sorted(days)[i], "ratio_state_quantile"] for i in (11, 29))
    assert first.reason == "trailing quantiles need 8 days of the ratio, 7 are known"
    assert full.details["days"] == SMALL.ratio_quantile_days


def test_an_index_that_a_need_names_is_not_replaced_by_the_subject() -> None:
    """A signal of each index that also reads the composite is absent without the composite."""
    market = Market(1, Parameters(), EXCHANGES, xshg())
    rows = batch("indices.daily", DAYS[1], {"000300.SH": {"close": 4000.0}})
    market.fold([rows, end_of_day(rows)])
    block = Block([to_day(DAYS[1])], market.sources)
    for named in (index("close", "000001.SH"), index("pe_ttm", each="risk_premium_index")):
        needs = index("close", each="timing_indices"), named
        relative = Signal("relative", Level.MARKET, "", "", "ratio", needs, "", "", subjects=True)
        assert not block.met(relative, "000300.SH").any()
        code = named.codes(Parameters())[0]
        assert block.reasons(relative, "000300.SH")[0].startswith(f"indices.daily {code} {named.figure} of 2020-01-03")


@pytest.mark.parametrize(
    ("last", "expected"), [(4100.0, 4100.0), (None, "indices.daily 000001.SH close of 2020-01-03")]
)
def test_the_figure_of_a_block_is_that_of_its_last_day(last: float | None, expected: float | str) -> None:
    market = Market(1, Parameters(), EXCHANGES, xshg())
    for day, close in zip(DAYS[:2], (4000.0, last), strict=True):
        rows = batch("indices.daily", day, {"000001.SH": {"close": np.nan if close is None else close}})
        market.fold([rows, end_of_day(rows)])
    found = Block([to_day(day) for day in DAYS[:2]], market.sources).figure_or_reason(index("close", "000001.SH"))
    assert found.startswith(expected) if isinstance(found, str) else found == expected
