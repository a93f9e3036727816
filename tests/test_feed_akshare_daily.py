"""Prices and indices through akshare. Frames are CONSTRUCTED with the columns of akshare 1.19 (stock_hist_em.py,
index_stock_zh.py) and the units that it documents; no page can be asked where these tests were written."""

from __future__ import annotations

import types
from datetime import date, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest

from feeds.checks.findings import Severity
from feeds.errors import GoneError, InputError, NotPublishedError
from feeds.files.dataset import SourceTables, gather
from feeds.ports import TushareAccount
from feeds.web import akshare_daily, sources
from processors.days import to_day
from processors.events import RowBatch
from streams.calendars import xshg
from streams.feed_services import market_context, public_sites
from streams.settings import Settings
from tests.publishing import rows_of
from tests.reading import check_days

BEFORE, DAY = date(2024, 6, 7), date(2024, 6, 11)  # a long weekend between them
SPOT = [
    *("序号", "代码", "名称", "最新价", "涨跌幅", "涨跌额", "成交量", "成交额", "振幅", "最高", "最低", "今开", "昨收"),
    *("量比", "换手率", "市盈率-动态", "市净率", "总市值", "流通市值", "涨速", "5分钟涨跌", "60日涨跌幅"),
    "年初至今涨跌幅",
]
NOTHING = float("nan")


def at(text: str) -> float:
    return datetime.fromisoformat(f"{text}+08:00").timestamp()


def spot(*rows: dict[str, Any]) -> pd.DataFrame:
    """akshare's frame; by default 600519 as it traded."""
    usual = {
        "代码": "600519",
        "名称": "贵州茅台",
        "最新价": 1555.0,
        "成交量": 31415.0,
        "成交额": 4.9e9,
        "最高": 1570.0,
        "最低": 1550.5,
        "今开": 1560.0,
        "昨收": 1562.25,
        "换手率": 0.25,
        "市净率": 8.1,
        "流通市值": 1.953e12,
    }
    return pd.DataFrame([dict.fromkeys(SPOT, NOTHING) | usual | row for row in rows or ({},)], columns=SPOT)


def bars(**closes: float) -> pd.DataFrame:
    rows = [[day.replace("_", "-")[1:], c - 2, c, c + 3, c - 4, 3e8, 4e11] for day, c in closes.items()]
    return pd.DataFrame(rows, columns=["date", "open", "close", "high", "low", "volume", "amount"])


def batches(parts: SourceTables) -> dict[str, RowBatch]:
    return gather(parts.tables, xshg(), "x").batches


def prices(frame: pd.DataFrame, now: str = "2024-06-11 17:00") -> SourceTables:
    module = types.SimpleNamespace(stock_zh_a_spot_em=lambda: frame)
    return akshare_daily.fetch_prices(DAY, xshg(), akshare=module, now=lambda: at(now))


def test_live_quotes_after_the_close_are_the_days_prices_in_shares_and_cny() -> None:
    found = batches(prices(spot()))
    assert rows_of(found["prices.daily"]) == {
        "600519.SH": {"open": 1560.0, "high": 1570.0, "low": 1550.5, "close": 1555.0, "prev_close": 1562.25,
                      "volume": 3141500.0, "turnover": 4.9e9, "suspended": 0.0},
    }  # fmt: skip
    assert rows_of(found["valuations.daily"]) == {
        "600519.SH": {"pb": 8.1, "turnover_rate": 0.25 / 100, "float_cap": 1.953e12}
    }
    assert set(found["prices.daily"].days.tolist()) == {to_day(DAY)}
    assert {f.severity for f in check_days([(0, found)], xshg())} <= {Severity.WARNING}


def test_codes_of_all_exchanges_and_what_did_not_trade() -> None:
    nothing = dict.fromkeys(("成交量", "成交额", "最高", "最低", "今开", "换手率"), NOTHING)
    found = batches(
        prices(
            spot(
                {"代码": "000001"},
                {"代码": "430047"},
                {"代码": "920002", **nothing},  # suspended: the last price is shown
                {"代码": "688981", **nothing, "最高": 0.0, "最低": 0.0, "今开": 0.0},
                {"代码": "301999", "最新价": NOTHING},  # not listed yet
            )
        )
    )
    rows = rows_of(found["prices.daily"])
    assert set(rows) == {"000001.SZ", "430047.BJ", "920002.BJ", "688981.SH"}
    for code in ("920002.BJ", "688981.SH"):
        assert rows[code] == {"close": 1555.0, "prev_close": 1562.25, "volume": 0.0, "turnover": 0.0, "suspended": 1.0}


def test_prices_are_asked_for_between_the_close_and_the_next_morning() -> None:
    for now in ("2024-06-11 10:00", "2024-06-11 15:29:59", "2024-06-07 17:00"):
        with pytest.raises(NotPublishedError, match=r"prices of 2024-06-11 .*2024-06-11 15:30"):
            prices(spot(), now)
    for now in ("2024-06-11 15:30", "2024-06-12 08:59"):
        assert prices(spot(), now).tables
    with pytest.raises(GoneError, match="it has none of 2024-06-11 any more"):
        prices(spot(), "2024-06-12 09:00")
    with pytest.raises(InputError, match="no trading day"):
        akshare_daily.fetch_prices(date(2024, 6, 10), xshg(), akshare=types.SimpleNamespace())


def test_another_page_than_the_documented_one_is_refused() -> None:
    with pytest.raises(InputError, match="lacks 今开; its columns are 序号"):
        prices(spot().rename(columns={"今开": "开盘"}))
    with pytest.raises(InputError, match="pip install --upgrade akshare"):
        akshare_daily.fetch_prices(DAY, xshg(), akshare=types.SimpleNamespace(), now=lambda: at("2024-06-11 17:00"))


def indices(
    answers: dict[str, pd.DataFrame], now: str = "2024-06-11 17:00", asked: list[Any] | None = None
) -> SourceTables:
    def function(**arguments: str) -> pd.DataFrame:
        if asked is not None:
            asked.append(arguments)
        return answers[arguments["symbol"]]

    module = types.SimpleNamespace(stock_zh_index_daily_em=function)
    codes = [f"{symbol[2:]}.{symbol[:2].upper()}" for symbol in answers]
    return akshare_daily.fetch_indices(DAY, xshg(), codes, akshare=module, now=lambda: at(now))


def test_indices_are_points_shares_and_cny_with_the_close_of_the_session_before() -> None:
    asked: list[Any] = []
    found = batches(indices({"sh000001": bars(_2024_06_07=3050.0, _2024_06_11=3000.0), "sz399001":
                             bars(_2024_06_11=9000.0)}, asked=asked))  # fmt: skip
    rows = rows_of(found["indices.daily"])
    assert rows["000001.SH"] == {"open": 2998.0, "high": 3003.0, "low": 2996.0, "close": 3000.0, "prev_close": 3050.0,
                                 "volume": 3e10, "turnover": 4e11}  # fmt: skip
    assert "prev_close" not in rows["399001.SZ"]
    assert asked[0] == {"symbol": "sh000001", "start_date": "20240607", "end_date": "20240611"}
    assert set(found["indices.daily"].days.tolist()) == {to_day(DAY)}


def test_a_session_that_still_runs_has_no_bar_yet() -> None:
    whole = {"sh000001": bars(_2024_06_07=3050.0, _2024_06_11=3000.0)}
    with pytest.raises(NotPublishedError, match=r"000001\.SH of 2024-06-11"):
        indices(whole, "2024-06-11 14:00")  # the page already shows a bar that moves
    with pytest.raises(NotPublishedError):
        indices({"sh000001": bars(_2024_06_07=3050.0)})
    with pytest.raises(NotPublishedError):
        indices({"sh000001": pd.DataFrame()})


@pytest.mark.parametrize("answer", [pd.DataFrame(), ValueError("Length mismatch")])  # akshare's own, without bars
def test_an_index_that_begins_later_is_left_out_with_a_finding(answer: pd.DataFrame | ValueError) -> None:
    """A history of the settings' indices could not be fetched before the youngest of them began."""
    known = {"sh000001": bars(_2024_06_11=3000.0), "sz399001": bars(_2024_06_12=9000.0, _2024_06_13=9010.0)}

    def function(symbol: str, start_date: str = "19900101", end_date: str = "20500101") -> pd.DataFrame:
        frame = known[symbol]
        dates = frame["date"].str.replace("-", "")
        found = frame[(dates >= start_date) & (dates <= end_date)]
        if len(found):
            return found
        if isinstance(answer, ValueError):
            raise answer
        return answer

    def fetched(now: str, *codes: str) -> SourceTables:
        module = types.SimpleNamespace(stock_zh_index_daily_em=function)
        return akshare_daily.fetch_indices(DAY, xshg(), codes, akshare=module, now=lambda: at(now))

    with pytest.raises(NotPublishedError, match=r"399001\.SZ of 2024-06-11"):
        fetched("2024-06-11 17:00", "000001.SH", "399001.SZ")
    found = fetched("2024-06-13 17:00", "000001.SH", "399001.SZ")
    assert list(rows_of(batches(found)["indices.daily"])) == ["000001.SH"]
    assert [str(one) for one in found.findings] == [
        "WARNING absent indices.daily 2024-06-11: 399001.SZ has no bar of this day, its page has those of 2024-06-12 "
        "to 2024-06-13: the index is left out"
    ]
    with pytest.raises(InputError, match=r"no bar of 2024-06-11 of 399001\.SZ"):
        fetched("2024-06-13 17:00", "399001.SZ")


def test_indices_of_the_settings_are_those_that_signals_need() -> None:
    broad = ("000001.SH", "000016.SH", "000300.SH", "000852.SH", "000905.SH", "399001.SZ", "399006.SZ", "399330.SZ")
    styles = ("399372.SZ", "399373.SZ", "399374.SZ", "399375.SZ", "399376.SZ", "399377.SZ")  # of index_return
    assert sources.signal_indices(market_context(Settings())) == (*broad, *styles)
    assert "899050.BJ" in sources.signal_indices(market_context(Settings(exchanges=("SSE", "SZSE", "BSE"))))


def no_account() -> TushareAccount:
    raise AssertionError("akshare needs no account")


def test_a_day_of_prices_that_is_gone_does_not_take_the_indices_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> SourceTables:
        raise GoneError("too late")

    bar = indices({"sh000001": bars(_2024_06_11=3000.0)})
    monkeypatch.setattr(sources, "fetch_prices", gone)
    monkeypatch.setattr(sources, "fetch_indices", lambda *_, **__: bar)
    found = sources.day_fetcher(
        "akshare", ["prices", "indices"], market_context(Settings()), no_account, public_sites(Settings())
    )(DAY)
    assert set(batches(found)) == {"indices.daily"}
    assert [(f.severity, f.check, f.topic) for f in found.findings] == [(Severity.WARNING, "gone", "prices.daily")]
    with pytest.raises(GoneError):
        sources.day_fetcher("akshare", ["prices"], market_context(Settings()), no_account, public_sites(Settings()))(
            DAY
        )


# -- akshare itself, where it is installed -------------------------------------------------------------------


class Answer:
    def __init__(self, value: Any) -> None:
        self.value = value

    def json(self) -> Any:
        return self.value


@pytest.mark.filterwarnings("default")  # its own warnings
def test_akshares_own_functions_give_the_columns_that_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its code on constructed answers of the pages: a release that names columns otherwise is noticed here."""
    pytest.importorskip("akshare", reason="akshare is not installed: pip install 'marginwatch[fetch]'")
    from akshare.index import index_stock_zh
    from akshare.stock_feature import stock_hist_em

    fields = [f"f{i}" for i in (*range(1, 19), *range(20, 26), 62, 115, 128, 140, 141, 136, 152)]
    quote = {"f12": "600519", "f14": "贵州茅台", "f2": 1555.0, "f5": 31415, "f6": 4.9e9, "f15": 1570.0, "f16": 1550.5,
             "f17": 1560.0, "f18": 1562.25, "f8": 0.25, "f23": 8.1, "f21": 1.953e12}  # fmt: skip
    frame = pd.DataFrame([dict.fromkeys(fields, 0.0) | quote])
    frame.insert(0, "index", [1])
    monkeypatch.setattr(stock_hist_em, "fetch_paginated_data", lambda *_: frame)
    found = batches(akshare_daily.price_tables(stock_hist_em.stock_zh_a_spot_em(), DAY))
    expected = batches(prices(spot()))
    for topic, batch in found.items():
        for name, values in batch.figures.items():
            np.testing.assert_array_equal(values, expected[topic].figures[name], err_msg=f"{topic} {name}")

    line = "2024-06-11,2998,3000,3003,2996,300000000,400000000000,0.23"
    monkeypatch.setattr(index_stock_zh.requests, "get", lambda *_, **__: Answer({"data": {"klines": [line]}}))
    made = akshare_daily.index_bar(index_stock_zh.stock_zh_index_daily_em("sh000001"), "000001.SH", DAY, BEFORE)
    assert made[["open", "high", "low", "close", "volume", "turnover"]].to_numpy().tolist() == [
        [2998.0, 3003.0, 2996.0, 3000.0, 3e10, 4e11]
    ]
