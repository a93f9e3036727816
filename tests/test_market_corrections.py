"""The market stage with all its feeds: late corrections, late feeds and loaded states end like data in time.

A small market of two exchanges over 84 sessions, with short windows, so that every feed is there and what the stage
forgets is forgotten many times over.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from datetime import date
from functools import cache
from typing import Any

import numpy as np
import pytest

from processors.codes import to_code
from processors.days import to_date, to_day
from processors.events import RowBatch
from processors.history import History
from processors.industries import INDEX_OF
from processors.market import StageOutput
from processors.outputs import IndustrySignals, MarketSignal, SecuritySignals
from processors.parameters import Parameters
from streams.calendars import xshg
from tests.building import batch
from tests.storing import StoredRows

EXCHANGES = ("SSE", "SZSE")
CALENDAR = xshg()
SESSIONS = [to_date(d) for d in CALENDAR.between(to_day(date(2018, 11, 1)), to_day(date(2019, 6, 1))).tolist()[:84]]
LATE = 4
PARAMETERS = Parameters(
    late_days=LATE, excess_lag_days=2, high_low_days=5, percentile_days=10, percentile_least=3, etf_flow_days=3,
    oversold_days=5, oversold_reference="2018-11-08", llt_days=5, risk_premium_days=6, regime_days=5,
    breadth_days=4, breadth_least=3, score_days=2, score_top=0.2, divergence_streak=2, divergence_excess=-0.01,
    ratio_window_days=3, gftd_lag=2, gftd_setup=2, gftd_count=2, inclusion_quiet_days=1, minimum_balance_cny=1.0,
)  # fmt: skip
STOCKS = [f"{600_000 + n}.SH" for n in range(24)] + [f"{n:06d}.SZ" for n in range(1, 17)] + ["510050.SH"]
INDICES = ("000001.SH", "399001.SZ", "399106.SZ", "000300.SH", "000905.SH", "399006.SZ", "000985.SH")


@cache
def paths() -> dict[str, np.ndarray]:
    """Random walks, one line a key: what is rising, falling and turning on the way."""
    rng = np.random.default_rng(11)
    keys = [*STOCKS, *INDICES, *map(to_code, INDEX_OF), "SSE", "SZSE", "rate"]
    return {key: 100 * np.cumprod(1 + rng.normal(0, 0.04, len(SESSIONS))) for key in keys}


def feeds(at: int) -> dict[str, RowBatch]:
    """All feeds of a session."""
    day, walk = SESSIONS[at], {key: float(path[at]) for key, path in paths().items()}
    # The ratio of buys to turnover swings through hot, breakdown and cold.
    ratio = 0.085 + 0.03 * np.sin(at / 2)
    out = {
        "margin.market": batch("margin.market", day, {
            e: {"fin_balance": walk[e] * 1e8, "fin_buy": ratio * walk[e] * 1e7, "short_balance": walk[e],
                "short_volume": walk[e], "short_sell": walk[e] / 9} for e in EXCHANGES
        }),
        "indices.daily": batch("indices.daily", day, {
            **{c: {"close": walk[c], "high": walk[c] * 1.01, "low": walk[c] * 0.99, "float_cap": walk[c] * 1e9,
                   "turnover": walk["SSE" if c.endswith("SH") else "SZSE"] * 1e7, "pe_ttm": walk[c] / 5, "pb": 1.5,
                   "turnover_rate": 0.01} for c in INDICES},
            **{to_code(i): {"close": walk[to_code(i)], "high": walk[to_code(i)] * 1.02, "low": walk[to_code(i)] * 0.97,
                            "turnover": walk[to_code(i)] * 1e6} for i in INDEX_OF},
        }),
        "rates.daily": batch("rates.daily", day, {"CN10Y": {"yield": walk["rate"] / 4_000}}),
        "etf.daily": batch("etf.daily", day, {"510050.SH": {"shares": walk["510050.SH"] * 1e6, "price": 3.0}}),
        "margin.daily": batch("margin.daily", day, {
            c: {"fin_balance": walk[c] ** 2 * 1e5, "fin_buy": walk[c] * 1e4, "fin_repay": walk[c] * 9e3} for c in STOCKS
        }),
        "prices.daily": batch("prices.daily", day, {c: {"close": walk[c]} for c in STOCKS}),
    }  # fmt: skip
    if at == 0:
        out["reference"] = batch("reference", day, {
            c: {"industry": float(n % 31), "csi300": float(n % 2), "csi500": float(n % 3 == 0)}
            for n, c in enumerate(STOCKS)
        })  # fmt: skip
    return out


def valuations(at: int) -> RowBatch:
    walk = {key: float(path[at]) for key, path in paths().items()}
    figures = {c: {"pe_ttm": walk[c] / 7, "pb": walk[c] / 70, "turnover_rate": 0.02, "float_cap": walk[c] * 1e8}
               for c in STOCKS}  # fmt: skip
    return batch("valuations.daily", SESSIONS[at], figures)


def corrected(rows: RowBatch, name: str, factor: float) -> RowBatch:
    """The first half of a batch, with one figure changed, as its next revision."""
    half = rows.take(np.arange((len(rows) + 1) // 2))
    figures = {n: v * factor if n == name else v for n, v in half.figures.items()}
    return RowBatch(half.topic, half.keys, half.days, half.revisions + 1, half.stamps, figures)


def newest(outputs: Iterable[StageOutput]) -> dict[tuple[str, date], Any]:
    """What a reader of the topics has in the end: values alone, by signal and day."""
    found: dict[tuple[str, date], Any] = {}
    for made in outputs:
        if isinstance(made, MarketSignal):
            found[made.name, made.trade_date] = (made.value, made.reason, made.details, made.identity_gaps)
        elif isinstance(made, SecuritySignals):
            found[made.family, made.status.trade_date] = {"key": made.keys, **made.columns}
        elif isinstance(made, IndustrySignals):
            found["industries", made.status.trade_date] = {"left out": made.left_out, **made.columns}
    return found


def assert_equal(ours: dict[tuple[str, date], Any], theirs: dict[tuple[str, date], Any]) -> None:
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        if isinstance(value, dict):
            assert ours[key].keys() == value.keys()
            for name, column in value.items():
                np.testing.assert_array_equal(ours[key][name], column, err_msg=f"{key} {name}")
        else:
            assert ours[key] == value, key


class Worker:
    """Both stages, what is stored of them, and what they have published."""

    def __init__(self) -> None:
        self.history = History(PARAMETERS, EXCHANGES, CALENDAR)
        self.stored = StoredRows(), StoredRows()
        self.outputs: list[StageOutput] = []

    def fold(self, day: dict[str, RowBatch]) -> list[StageOutput]:
        made = self.history.fold(day)
        self.outputs += made
        return made

    def store(self) -> None:
        for rows, processor in zip(self.stored, (self.history.securities, self.history.market), strict=True):
            rows.store(processor.tables)

    def hand_over(self) -> None:
        """Store what has changed, and go on with what another worker would load."""
        self.store()
        self.history = History(PARAMETERS, EXCHANGES, CALENDAR)
        self.load()

    def load(self) -> None:
        """Go on behind what is stored."""
        for rows, processor in zip(self.stored, (self.history.securities, self.history.market), strict=True):
            rows.load(processor.tables)


def fold(
    days: Iterable[dict[str, RowBatch]], worker: Worker | None = None, *, hand_over_every: int = 0
) -> dict[tuple[str, date], Any]:
    worker = worker or Worker()
    for at, day in enumerate(days):
        worker.fold(day)
        if hand_over_every and at % hand_over_every == 0:
            worker.hand_over()
    return newest(worker.outputs)


@cache
def unchanged() -> dict[tuple[str, date], Any]:
    return fold(feeds(at) for at in range(len(SESSIONS)))


@cache
def stored_before_the_window() -> tuple[StoredRows, StoredRows]:
    """What is stored of all sessions but the last ones that may be corrected behind others."""
    worker = Worker()
    for at in range(len(SESSIONS) - LATE + 1):
        worker.fold(feeds(at))
        worker.store()
    return worker.stored


def fold_the_window(days: Iterable[dict[str, RowBatch]]) -> dict[tuple[str, date], Any]:
    """Fold behind what is stored before the window."""
    worker = Worker()
    worker.stored = copy.deepcopy(stored_before_the_window())
    worker.load()
    return fold(days, worker)


def test_the_small_market_has_every_state_and_signal() -> None:
    found = unchanged()
    states = {found["ratio_state", d][0] for d in SESSIONS}
    assert {"HOT", "BREAKDOWN", "COLD", "EXTREME_COLD", "NORMAL"} <= states
    for name in ("streak", "llt/000300.SH", "gftd/000300.SH", "excess_financing", "breadth_200", "regime",
                 "oversold/000300.SH", "risk_premium", "margin_trade_share", "etf_flow/broad"):  # fmt: skip
        assert found[name, SESSIONS[-1]][0] is not None, name
    assert {"financing", "pricing", "industries"} <= {name for name, _ in found}


def test_the_bands_of_the_risk_premium_are_two_deviations_on_both_sides() -> None:
    details = unchanged()["risk_premium", SESSIONS[-1]][2]
    pe, rate = paths()["000985.SH"][-6:] / 5, paths()["rate"][-6:] / 4_000
    premium = 1 / pe - rate
    assert details["mean"] == pytest.approx(premium.mean())
    assert details["lower"] == pytest.approx(premium.mean() - 2 * premium.std(ddof=1))
    assert details["upper"] == pytest.approx(premium.mean() + 2 * premium.std(ddof=1))


@pytest.mark.parametrize(
    ("topic", "figure"),
    [
        ("margin.market", "fin_buy"), ("indices.daily", "close"), ("margin.daily", "fin_balance"),
        ("prices.daily", "close"), ("rates.daily", "yield"), ("etf.daily", "shares"),
    ],
)  # fmt: skip
def test_the_oldest_correction_that_is_taken_ends_like_data_in_time(topic: str, figure: str) -> None:
    """However late within the window: states, streaks and recursions behind it go on from the day before it."""
    at = len(SESSIONS) - LATE
    row, rest = {topic: corrected(feeds(at)[topic], figure, 1.5)}, [feeds(i) for i in range(at + 1, len(SESSIONS))]
    late = fold_the_window([*rest, row])
    assert_equal(late, fold_the_window([row, *rest]))
    assert any(str(value) != str(unchanged()[key]) for key, value in late.items())


def test_a_correction_that_is_older_than_the_window_changes_nothing() -> None:
    days = [feeds(i) for i in range(len(SESSIONS))]
    old = days[-LATE - 1]
    days += [{topic: corrected(rows, next(iter(rows.figures)), 1.5)} for topic, rows in old.items()]
    assert_equal(fold(days), unchanged())


def test_a_stage_that_is_loaded_goes_on_like_one_that_was_not() -> None:
    days = [feeds(at) | {"valuations.daily": valuations(at)} for at in range(len(SESSIONS))]
    at = len(SESSIONS) - 2
    days.append({"margin.market": corrected(days[at]["margin.market"], "fin_buy", 1.5),
                 "prices.daily": corrected(days[at]["prices.daily"], "close", 1.2)})  # fmt: skip
    assert_equal(fold(days, hand_over_every=5), fold(days))


def test_what_is_stored_does_not_grow_with_the_history() -> None:
    """Daily totals are kept for good; whatever is computed, and every list of securities, is forgotten."""
    worker, sizes = Worker(), list[dict[str, int]]()
    for at in range(len(SESSIONS)):
        worker.fold(feeds(at) | {"valuations.daily": valuations(at)})
        worker.store()
        kinds = [name.partition("/")[0] for rows in worker.stored for name in rows.rows]
        sizes.append({kind: kinds.count(kind) for kind in set(kinds)})
    grown = {kind for kind, count in sizes[-1].items() if count > sizes[-4].get(kind, 0)}
    # A year of price levels is kept, and of what their days lack, which is longer than this history.
    assert grown == {"margin.market", "indices.daily", "rates.daily", "levels", "complete.prices.daily"}


def test_a_feed_that_comes_late_raises_the_revision_of_what_it_changes() -> None:
    """Valuations are optional: with them the same inputs give other figures, so a reader must see a newer revision."""
    history = History(PARAMETERS, EXCHANGES, CALENDAR)
    for at in range(4):
        before = [m for m in history.fold(feeds(at)) if isinstance(m, IndustrySignals)]
    (without,) = before
    (with_them,) = [m for m in history.fold({"valuations.daily": valuations(3)}) if isinstance(m, IndustrySignals)]
    assert with_them.status.trade_date == without.status.trade_date
    assert with_them.status.revision > without.status.revision
    assert with_them.status.input_revisions.keys() - without.status.input_revisions.keys() == {"valuations.daily[0]"}
    assert np.isfinite(with_them.columns["fin_balance_to_float_cap"]).any()
    assert not np.isfinite(without.columns["fin_balance_to_float_cap"]).any()
    # And behind a correction of the valuations a newer one again.
    rows = corrected(valuations(3), "float_cap", 2.0)
    (again,) = [m for m in history.fold({"valuations.daily": rows}) if isinstance(m, IndustrySignals)]
    assert again.status.revision > with_them.status.revision
