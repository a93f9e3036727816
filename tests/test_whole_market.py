"""The files of a whole market: what a folder of them becomes, and the figures of the stream beside plain pandas.

The long form (every day of 2016–2021 through broker and worker) is ``python -m tests.oracle.whole_market``.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feeds import folder
from feeds.files.float_caps import with_float_caps
from processors.codes import to_id
from processors.days import to_day
from processors.outputs import MarketSignal
from streams.calendars import xshg
from streams.export import details_table, market_table
from tests.building import batch
from tests.folding import fold_history
from tests.oracle import whole_market

START, END = date(2020, 1, 2), date(2021, 1, 29)
DAY = date(2024, 6, 11)


@pytest.fixture(scope="module")
def whole_dir() -> Path:
    """The folder of the whole market, beside that of the other real data."""
    data = Path(os.environ.get("MARGINWATCH_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    path = data.parent / "data_2016_2021"
    if not path.is_dir():
        pytest.skip(f"no data of the whole market: {path} is no folder")
    return path


def test_breadth_coverage_classes_and_groups_are_those_of_the_files(whole_dir: Path) -> None:
    days = dict(folder.read(whole_dir, xshg(), START, END).by_day())
    kept = {"margin.daily", "margin.market", "prices.daily", "indices.daily", "reference"}
    history = {day: {t: b for t, b in rows.items() if t in kept} for day, rows in days.items()}
    signals = list(fold_history(history).market.values())
    computed = whole_market.whole_market(whole_dir, START, END)
    assert whole_market.differences(exported(signals), computed) == []
    assert sum(series.notna().sum() for series in computed.values()) > 3_000
    assert computed["breadth_200", ""].notna().sum() > 50


def exported(signals: list[MarketSignal]) -> whole_market.Figures:
    return whole_market.figures_of(market_table(signals), details_table(signals))


# -- what files together give ------------------------------------------------------------------------------


def test_a_float_cap_follows_from_turnover_rate_volume_and_close() -> None:
    prices = batch("prices.daily", DAY, {"000001.SZ": {"close": 10.0, "volume": 2e6}, "000002.SZ": {"close": 9.0}})
    given = {
        "000001.SZ": {"turnover_rate": 0.01}, "000002.SZ": {"turnover_rate": 0.01},
        "000004.SZ": {"turnover_rate": 0.01}, "000005.SZ": {"turnover_rate": 0.01, "float_cap": 5.0},
    }  # fmt: skip
    found = with_float_caps(batch("valuations.daily", DAY, given), prices)
    np.testing.assert_array_equal(found.figures["float_cap"], [2e9, np.nan, np.nan, 5.0])


def written(folder_: Path, name: str, rows: list[dict[str, object]]) -> None:
    frame = pd.DataFrame(rows)
    frame["dt"] = pd.to_datetime(frame["dt"])
    frame.to_parquet(folder_ / f"{name}.parquet")


def test_closes_that_follow_from_lent_shares_count_only_for_securities_without_prices(tmp_path: Path) -> None:
    """A suspended stock has lent shares, at its last close, and no price: it must not get a return of 0."""
    dates = ["2024-06-11", "2024-06-12", "2024-06-13"]
    lent = {"margin_balance": 1.0, "margin_buy_amt": 1.0, "short_sell_qty": 0, "short_qty": 100, "short_value": 1000.0}
    written(
        tmp_path, "margin_detail_szse_2024",
        [{"dt": d, "code": c, "name": "x", **lent} for d in dates for c in ("000001", "159915")],
    )  # fmt: skip
    price = {
        "open": 9.0,
        "high": 9.0,
        "low": 9.0,
        "close": 9.0,
        "pre_close": 9.0,
        "volume": 1,
        "amount": 9,
        "name": "x",
    }
    written(
        tmp_path, "prices_a_2024",
        [{"dt": d, "code": "000001", **price, "float_shares": 5} for d in (dates[0], dates[2])],
    )  # fmt: skip
    prices = folder.read(tmp_path, xshg()).batches["prices.daily"]
    stock = prices.keys == to_id("000001.SZ")
    assert prices.days[stock].tolist() == [to_day(date(2024, 6, 11)), to_day(date(2024, 6, 13))]
    assert prices.figures["close"][stock].tolist() == [9.0, 9.0]
    assert prices.figures["close"][~stock].tolist() == [10.0, 10.0, 10.0]


def test_yields_of_days_on_which_only_banks_trade_are_left_out_and_refuse_nothing(tmp_path: Path) -> None:
    written(tmp_path, "cn10y_yield_x", [{"dt": d, "y10_pct": 2.3} for d in ("2024-05-10", "2024-05-11", "2024-05-13")])
    found = folder.read(tmp_path, xshg())
    assert found.batches["rates.daily"].figures["yield"].tolist() == [0.023, 0.023]
    text = "cn10y_yield_x.parquet: 1 days are left out, which are no trading days of XSHG, such as 2024-05-11"
    assert [str(one) for one in found.findings] == [f"WARNING date rates.daily: {text}"]
