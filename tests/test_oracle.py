"""The oracle itself, on cases small enough to work out by hand, and on the real data's known figures."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feeds.folder import read
from streams.calendars import xshg
from tests.folding import oracle_data
from tests.made_market import with_made_rows
from tests.oracle import data as inputs
from tests.oracle import market, securities
from tests.oracle.data import Data

A, B, FUND, SZ = "600001.SH", "600002.SH", "510050.SH", "000001.SZ"
NAN = float("nan")
MILLION = 1e6


def days(count: int) -> pd.DatetimeIndex:
    return pd.date_range("2020-01-01", periods=count, freq="D", unit="us")


def table(keys: list[str], figures: list[str], rows: list[dict[str, object]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=[*keys, *figures])
    return frame.astype({"trade_date": "datetime64[us]"} | dict.fromkeys(figures, float))


def make(
    details: dict[str, list[float | None]] | None = None,
    sse: list[dict[str, float] | None] | None = None,
    szse: list[dict[str, float] | None] | None = None,
    composite: list[tuple[float, float] | None] | None = None,
) -> Data:
    """Data by hand: a value per day, None for no row; `composite` is (close, amount) by day."""
    detail = [
        {"trade_date": day, "code": code, "fin_balance": value}
        for code, values in (details or {}).items()
        for day, value in zip(days(len(values)), values, strict=True)
        if value is not None
    ]
    totals = [
        {"trade_date": day, "exchange": exchange, **figures}
        for exchange, values in (("SSE", sse or []), ("SZSE", szse or []))
        for day, figures in zip(days(len(values)), values, strict=True)
        if figures is not None
    ]
    indices = []
    for day, pair in zip(days(len(composite or [])), composite or [], strict=True):
        if pair is not None:
            close, amount = pair
            indices += [
                {"trade_date": day, "code": inputs.SSE_COMPOSITE, "close": close, "turnover": amount},
                {"trade_date": day, "code": inputs.SZSE_COMPONENT, "close": 1.0, "turnover": 0.0},
            ]
    return Data(
        table(["trade_date", "code"], inputs.FIGURES, detail),
        table(["trade_date", "exchange"], inputs.FIGURES, totals),
        table(["trade_date", "code"], inputs.INDEX_FIGURES, indices),
    )


def make_market(balances: list[float], closes: list[float] | None = None) -> Data:
    """Both exchanges with half of each balance."""
    half: list[dict[str, float] | None] = [
        {"fin_balance": b / 2, "fin_buy": 1.0, "short_balance": 2.0} for b in balances
    ]
    return make(sse=half, szse=half, composite=[(c, 100.0) for c in closes or [10.0] * len(balances)])


def of(data: Data, code: str, name: str) -> list[float]:
    return securities.securities(data).xs(code, level="code")[name].to_list()


def same(got: pd.Series | list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(np.asarray(got, dtype=float), expected, rtol=1e-12)


# -- State machines ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        ([0.102, 0.101, 0.099], "N N N"),  # never hot: nothing breaks down
        ([0.103, 0.1, 0.0999, 0.1029, 0.099], "H H B N N"),  # bounds included; not re-armed below 10.3%
        ([0.11, 0.09, 0.103, 0.099], "H B H B"),  # re-armed
        ([0.11, 0.06, 0.06], "H B E"),  # the breakdown comes first, whatever the depth
        ([0.0676, 0.0675, 0.0626, 0.0625, 0.08], "N C C E N"),
        ([NAN, 0.11, NAN, 0.101, 0.09, NAN], "- H - H B -"),  # an absent day neither shows nor ends anything
    ],
)
def test_ratio_states(ratios: list[float], expected: str) -> None:
    names = {"N": "NORMAL", "H": "HOT", "B": "BREAKDOWN", "C": "COLD", "E": "EXTREME_COLD", "-": None}
    assert market.ratio_states(pd.Series(ratios)).to_list() == [names[x] for x in expected.split()]


def test_excess_levels() -> None:
    up = [NAN, 0.049, 0.05, 0.045, 0.04, 0.0399, 0.045]
    down = [-0.05, -0.04, NAN, -0.041, -0.039, 0.06, -0.06]  # −0.04 is still inside; the last two jump across
    levels = market.excess_levels(pd.Series(up + down))
    same(levels[:7], [NAN, 0, 0.05, 0.05, 0.05, 0, 0])
    same(levels[7:], [-0.05, -0.05, NAN, -0.05, 0, 0.05, -0.05])


# -- Market ------------------------------------------------------------------------------------------


def test_market_balance_and_streak() -> None:
    out = market.market(make_market([10, 11, 12, 12, 11, 10, 13]))
    same(out["fin_balance"], [10, 11, 12, 12, 11, 10, 13])
    same(out["fin_balance_change"], [NAN, 1, 1, 0, -1, -1, 3])
    same(out["streak"], [NAN, 1, 2, 0, -1, -2, 1])
    same(out["short_balance"], [4] * 7)
    same(out["short_balance_change"], [NAN, 0, 0, 0, 0, 0, 0])


def test_market_new_high_low_needs_250_days_and_no_tie() -> None:
    balances = [100.0] * 248 + [90, 100, 101, 101, 90, 89, 102]
    out = market.market(make_market(balances))["new_high_low"]
    assert out.iloc[:249].isna().all()
    same(out.iloc[249:], [0, 1, 0, 0, -1, 1])


def test_market_high_leaves_the_window_after_250_days() -> None:
    balances = [200.0] + [100.0] * 248 + [150.0, 151.0]
    same(market.market(make_market(balances))["new_high_low"].iloc[-2:], [0, 1])  # day 250 still sees 200
    balances = [200.0] + [100.0] * 249 + [150.0]
    same(market.market(make_market(balances))["new_high_low"].iloc[-1:], [1])


def test_market_ratio_is_sum_over_sum() -> None:
    buys = [1.0, 2, 3, 4, 5, 6]
    amounts = [10.0, 10, 10, 10, 60, 100]
    sse: list[dict[str, float] | None] = [{"fin_buy": b} for b in buys]
    szse: list[dict[str, float] | None] = [{"fin_buy": 0.0} for _ in buys]
    out = market.market(make(sse=sse, szse=szse, composite=[(1.0, a) for a in amounts]))
    same(out["fin_buy_ratio"], [0.1, 0.2, 0.3, 0.4, 5 / 60, 0.06])
    same(out["fin_buy_ratio_5d"], [NAN, NAN, NAN, NAN, 15 / 100, 20 / 190])
    assert out["ratio_state"].to_list() == [None, None, None, None, "HOT", "HOT"]
    assert out["ratio_state_daily"].to_list() == ["NORMAL", "HOT", "HOT", "HOT", "BREAKDOWN", "EXTREME_COLD"]


def test_peak_warnings_are_the_breakdown_days() -> None:
    buys = [12.0, 12, 12, 12, 12, 9, 2, 9, 10.3, 9]
    sse: list[dict[str, float] | None] = [{"fin_buy": b} for b in buys]
    szse: list[dict[str, float] | None] = [{"fin_buy": 0.0} for _ in buys]
    data = make(sse=sse, szse=szse, composite=[(1.0, 100.0)] * len(buys))
    # Sums of 5: 60 57 47 44 42.3 39.3 over 500.
    assert market.peak_warnings(data) == {
        "ratio_state": [date(2020, 1, 7)],
        "ratio_state_daily": [date(2020, 1, 6), date(2020, 1, 10)],
    }


def test_market_excess() -> None:
    balances = [100.0] * 15 + [110.0, 106.0]
    closes = [10.0] * 15 + [10.2, 10.5]
    out = market.market(make_market(balances, closes))
    same(out["excess_financing"], [NAN] * 15 + [1.1 - 1.02, 1.06 - 1.05])
    same(out["excess_level"], [NAN] * 15 + [0.05, 0.0])


def test_market_is_absent_where_an_input_is() -> None:
    one: dict[str, float] = {"fin_balance": 5.0, "fin_buy": 1.0, "short_balance": 1.0}
    full = [one] * 4
    out = market.market(make(sse=[*full], szse=[one, None, one, one], composite=[(1.0, 10.0)] * 3 + [None]))
    same(out["fin_balance"], [10, NAN, 10, 10])  # never the other exchange's alone
    same(out["fin_balance_change"], [NAN, NAN, NAN, 0])
    same(out["streak"], [NAN, NAN, NAN, 0])
    same(out["fin_buy_ratio"], [0.2, NAN, 0.2, NAN])
    # A day without any totals has no row, and is not skipped over either.
    out = market.market(make(sse=[one, None, one], szse=[one, None, one], composite=[(1.0, 10.0)] * 3))
    assert out.index.to_list() == [days(3)[0], days(3)[2]]
    same(out["fin_balance_change"], [NAN, NAN])


# -- Securities --------------------------------------------------------------------------------------


def test_change_and_streak() -> None:
    values = [v * MILLION for v in (100, 110, 121, 121, 60.5)]
    data = make({A: [*values]})
    same(of(data, A, "fin_balance"), values)
    same(of(data, A, "fin_change"), [NAN, 0.1, 0.1, 0, -0.5])
    assert of(data, A, "fin_streak") == [0, 1, 2, 0, -1]
    assert securities.securities(data)["fin_streak"].dtype == np.int64


def test_small_or_zero_balance_pauses_the_streak() -> None:
    values = [20.0, 21, 22, 8, 10, 9.999999, 10.0, 0, 30, 31]
    data = make({A: [v * MILLION for v in values]})
    # 8 and 9.999999 are too small; 10 is just enough, even after a small one; 0 is too small; 30 follows 0.
    change = of(data, A, "fin_change")
    assert np.isnan(change).tolist() == [True, False, False, True, False, True, False, True, True, False]
    same(change[:5], [NAN, 0.05, 1 / 21, NAN, 0.25])
    assert of(data, A, "fin_streak") == [0, 1, 2, 2, 3, 3, 4, 4, 4, 5]


def test_leaving_the_list_resets_and_re_inclusion_waits() -> None:
    values = [10.0, 11, 12, None, 13, 14, 15, 16, 17, 18, 19, 20]
    data = make({A: [v and v * MILLION for v in values], B: [10 * MILLION] * 12})
    # Age:  ∞ ∞ ∞ – 0 1 2 3 4 5 6 7
    same(of(data, A, "fin_change"), [NAN, 1 / 10, 1 / 11, *[NAN] * 6, 1 / 18, 1 / 19])
    assert of(data, A, "fin_streak") == [0, 1, 2, 0, 0, 0, 0, 0, 0, 1, 2]


def test_a_code_that_appears_later_is_new() -> None:
    values = [None, 13.0, 14, 15, 16, 17, 18, 19]
    data = make({A: [v and v * MILLION for v in values], B: [10 * MILLION] * 8})
    same(of(data, A, "fin_change"), [*[NAN] * 6, 1 / 18])
    assert of(data, A, "fin_streak") == [0, 0, 0, 0, 0, 0, 1]
    same(of(data, B, "fin_change"), [NAN, *[0.0] * 7])  # there on the first day: not new


def test_a_gap_soon_after_inclusion_starts_the_age_again() -> None:
    values = [None, 10.0, 11, 12, None, 13, 14, 15, 16, 17, 18, 19]
    data = make({A: [v and v * MILLION for v in values], B: [10 * MILLION] * 12})
    same(of(data, A, "fin_change"), [*[NAN] * 9, 1 / 18])


def test_a_day_without_the_exchange_is_no_exit() -> None:
    values = [10.0, 11, None, 12, 13]
    data = make({A: [v and v * MILLION for v in values], SZ: [10 * MILLION] * 5})
    same(of(data, A, "fin_change"), [NAN, 0.1, NAN, 1 / 12])  # no growth over the gap either
    assert of(data, A, "fin_streak") == [0, 1, 1, 2]


def test_an_exit_is_remembered_over_a_day_without_the_exchange() -> None:
    data = make(
        {
            A: [10 * MILLION, 11 * MILLION, None, None, *[12 * MILLION] * 6, 18 * MILLION],
            B: [10 * MILLION, 10 * MILLION, 10 * MILLION, None, *[10 * MILLION] * 7],
            SZ: [10 * MILLION] * 11,
        }
    )
    same(of(data, A, "fin_change"), [NAN, 0.1, *[NAN] * 6, 0.5])
    assert of(data, A, "fin_streak") == [0, 1, 0, 0, 0, 0, 0, 0, 1]
    same(of(data, B, "fin_change"), [NAN, 0, 0, NAN, *[0.0] * 6])


def test_a_trading_day_without_detail_breaks_the_change() -> None:
    # The second day is known from the index alone.
    data = make({A: [10 * MILLION, None, 11 * MILLION, 12 * MILLION]}, composite=[(1.0, 1.0)] * 4)
    same(of(data, A, "fin_change"), [NAN, NAN, 1 / 11])
    assert of(data, A, "fin_streak") == [0, 0, 1]


# -- Cross-section -----------------------------------------------------------------------------------


def cross_section(*changes: dict[str, float]) -> Data:
    """Securities whose balance changes by the given fractions from day to day."""
    balances: dict[str, list[float | None]] = {}
    for code in changes[0]:
        level, path = 1000 * MILLION, [1000 * MILLION]
        for change in changes:
            level *= 1 + change[code]
            path.append(level)
        balances[code] = [*path]
    return make(balances)


def stocks(values: list[float]) -> dict[str, float]:
    return {f"{600000 + i}.SH": value for i, value in enumerate(values)}


def extremes(data: Data, day: int, name: str = "extreme") -> dict[str, float]:
    return {str(k): v for k, v in securities.securities(data)[name].xs(days(day + 1)[-1]).items() if v != 0}


def test_extremes_of_forty_stocks_without_funds() -> None:
    spread = stocks([(i - 19.5) / 100 for i in range(40)])  # k = 2
    data = cross_section(spread | {FUND: 0.9, "159001.SZ": 0.9, "160001.SZ": -0.9, "180001.SZ": -0.9})
    found = extremes(data, 1)
    funds = {code for code, value in found.items() if np.isnan(value)}
    assert funds == {FUND, "159001.SZ", "160001.SZ", "180001.SZ"}
    assert {code: v for code, v in found.items() if code not in funds} == {
        "600000.SH": -1,
        "600001.SH": -1,
        "600038.SH": 1,
        "600039.SH": 1,
    }


def test_ties_at_the_cut_are_all_in() -> None:
    # Powers of two, so that equal changes are equal floats.
    found = extremes(cross_section(stocks([0.5, 0.25, 0.25, 0.25] + [0.125] * 36)), 1)
    assert found == {"600000.SH": 1, "600001.SH": 1, "600002.SH": 1, "600003.SH": 1}  # no fall: no bottom


def test_a_top_without_rises_and_a_bottom_without_falls_are_empty() -> None:
    assert extremes(cross_section(stocks([0.0] * 40)), 1) == {}
    assert extremes(cross_section(stocks([0.5] + [0.0] * 39)), 1) == {"600000.SH": 1}


def test_fewer_than_twenty_stocks_have_no_extremes() -> None:
    out = securities.securities(cross_section(stocks([0.1] * 19)))
    assert out["extreme"].isna().all()
    assert out["consecutive_extreme"].isna().all()
    assert securities.securities(cross_section(stocks([0.1] * 20)))["extreme"].iloc[-1] == 1


def test_consecutive_extremes() -> None:
    quiet = [0.0] * 37
    data = cross_section(
        stocks([0.5, 0.25, -0.25, *quiet]),
        stocks([0.5, -0.25, -0.5, *quiet]),
        stocks([0.0, -0.25, 0.5, *quiet]),
    )
    assert extremes(data, 1) == {"600000.SH": 1, "600001.SH": 1, "600002.SH": -1}
    assert extremes(data, 1, "consecutive_extreme") == {}  # nothing before the first change
    assert extremes(data, 2) == {"600000.SH": 1, "600001.SH": -1, "600002.SH": -1}
    assert extremes(data, 2, "consecutive_extreme") == {"600000.SH": 1, "600002.SH": -1}
    assert extremes(data, 3) == {"600001.SH": -1, "600002.SH": 1}
    assert extremes(data, 3, "consecutive_extreme") == {"600001.SH": -1}


# -- Reading -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_load_converts_units_and_codes_and_cuts(tmp_path: Path, form: str) -> None:
    def write(name: str, columns: dict[str, list[object]]) -> None:
        frame = pd.DataFrame(columns)
        if form == "csv":
            frame.to_csv(tmp_path / f"{name}.csv", index=False)
        else:
            frame.assign(dt=pd.to_datetime(frame["dt"])).to_parquet(tmp_path / f"{name}.parquet")

    dt: list[object] = ["2020-01-02", "2020-01-03", "2020-01-06"]
    write("margin_detail_sse_x", {"dt": dt, "code": ["600519"] * 3, "margin_balance": [1, 2, 3]})
    write("margin_detail_szse_x", {"dt": dt, "code": ["000001"] * 3, "margin_balance": [4, 5, 6]})
    totals: dict[str, list[object]] = {
        "margin_balance": [1.5, 2.5, 3.5],
        "margin_buy_amt": [0.25] * 3,
        "short_qty": [0.5] * 3,
        "short_value": [0.75] * 3,
    }
    write("margin_total_sse_x", {"dt": dt, **totals, "margin_repay_amt": [7] * 3})
    write("margin_total_szse_x", {"dt": dt, **totals})
    for secid, name in (("1.000001", "index_daily_a"), ("0.399001", "index_daily_b")):
        write(name, {"dt": dt, "secid": [secid] * 3, "close": [10, 11, 12], "amount": [100, 110, 120]})

    data = inputs.load(tmp_path, date(2020, 1, 3), date(2020, 1, 3))
    for kind in (data.detail, data.totals, data.indices):
        assert set(kind["trade_date"]) == {pd.Timestamp("2020-01-03")}
    assert data.detail["code"].to_list() == ["000001.SZ", "600519.SH"]
    assert data.detail["fin_balance"].to_list() == [5, 2]
    assert data.indices["code"].to_list() == [inputs.SSE_COMPOSITE, inputs.SZSE_COMPONENT]
    assert data.indices["turnover"].to_list() == [110, 110]
    by_exchange = data.totals.set_index("exchange")
    same(by_exchange["fin_balance"], [2.5, 2.5e8])
    same(by_exchange["fin_buy"], [0.25, 0.25e8])
    same(by_exchange["short_volume"], [0.5, 0.5e8])
    same(by_exchange["short_balance"], [0.75, 0.75e8])
    same(by_exchange["fin_repay"], [7, NAN])
    assert len(inputs.load(tmp_path).detail) == 6


def test_the_folder_feed_reads_what_is_in_the_files(data_dir: Path) -> None:
    """Units and codes, read twice: the tests of the signals give the oracle the rows of the feed."""
    start, end = date(2020, 2, 3), date(2020, 2, 14)
    feed = oracle_data(with_made_rows(dict(read(data_dir, xshg(), start, end).by_day())))
    files = inputs.load(data_dir, start, end)
    pairs = [("detail", "code", "fin_balance fin_buy fin_repay short_volume"), ("indices", "code", "close turnover"),
             ("totals", "exchange", "fin_balance fin_buy short_balance short_sell short_volume")]  # fmt: skip
    for name, key, figures in pairs:
        for figure in figures.split():
            theirs = files.wide(name, figure, key=key)
            ours = feed.wide(name, figure, key=key).reindex(index=theirs.index, columns=theirs.columns)
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, err_msg=f"{name} {figure}")
    raw = pd.read_parquet(data_dir / "margin_detail_szse_2018_2021q1.parquet")
    raw = raw[(pd.to_datetime(raw["dt"]) == pd.Timestamp(start)) & (raw["short_qty"] > 0)].set_index("code")
    lent = (raw["short_value"] / raw["short_qty"]).round(2).add_suffix(".SZ")
    closes = feed.wide("prices", "close").loc[pd.Timestamp(start)].reindex(lent.index)
    known = closes.notna() & (lent > 0)
    assert known.sum() > 300
    np.testing.assert_allclose(closes[known], lent[known], atol=0.01001)
    raw = pd.read_parquet(data_dir / "sw_industry_daily_2016_2021q1.parquet")
    raw = raw[pd.to_datetime(raw["dt"]) == pd.Timestamp(start)].set_index("swindexcode")
    turnover = feed.wide("indices", "turnover").loc[pd.Timestamp(start)].reindex([f"{c}.SI" for c in raw.index])
    np.testing.assert_allclose(turnover, raw["amount_100m_yuan"] * 1e8, rtol=1e-12)
    raw = pd.read_parquet(data_dir / "csi300_prices_2020_2021q1.parquet")
    raw = raw[(pd.to_datetime(raw["date"]) == pd.Timestamp(start)) & (raw["turn"] > 0)]
    raw.index = pd.Index(raw["code"].str[3:] + "." + raw["code"].str[:2].str.upper())
    caps = feed.wide("valuations", "float_cap").loc[pd.Timestamp(start)].reindex(raw.index)
    np.testing.assert_allclose(caps, raw["close"] * raw["volume"] / (raw["turn"] / 100), rtol=1e-9)


def test_load_names_the_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="margin_detail_sse"):
        inputs.load(tmp_path)


# -- The real data -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def real() -> Data:
    default = Path(__file__).resolve().parents[1] / ".." / "shared" / "data"
    folder = Path(os.environ.get("MARGINWATCH_DATA") or default)
    if not folder.is_dir():
        pytest.skip(f"no real market data at {folder.resolve()} (MARGINWATCH_DATA names another folder)")
    return inputs.load(folder)


def test_real_breakdowns_are_8_on_five_days_and_27_on_one(real: Data) -> None:
    found = market.peak_warnings(real)
    assert len(found["ratio_state"]) == 8
    assert len(found["ratio_state_daily"]) == 27


def test_real_securities_are_complete_and_their_tails_are_five_percent(real: Data) -> None:
    out = securities.securities(real)
    assert len(out) == len(real.detail)
    assert out.index.is_unique and out.index.is_monotonic_increasing
    by_day = out["extreme"].dropna().groupby(level="trade_date")
    k = by_day.size() * 5 // 100
    assert by_day.agg(lambda x: (x == 1).sum()).equals(k)
    assert by_day.agg(lambda x: (x == -1).sum()).equals(k)
