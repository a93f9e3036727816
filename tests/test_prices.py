"""Prices: ex-right days, gaps, suspensions and scores by hand, late feeds, and that no signal reads the future."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pandas as pd
import pytest

from feeds.folder import read
from processors.codes import to_codes, to_id
from processors.events import RowBatch
from processors.history import end_of_day as counted_end
from processors.history import replay
from processors.indicators.breadth import BINS
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
    for output in replay(days.values(), parameters or Parameters(), EXCHANGES, xshg(), days_per_fold=64):
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


def test_ex_right_days_gaps_and_suspensions_by_hand() -> None:
    """prev_close is ex-right adjusted; a gap and a suspended day have no return, and the chain continues after them."""
    prices: list[dict[str, float]] = [
        {"close": 10.0},
        {"close": 5.5, "prev_close": 5.0, "open": 5.0},  # two for one: +10%
        {"close": 5.5, "prev_close": 5.5, "suspended": 1.0},
        {},  # no row at all
        {"close": 6.6, "prev_close": 5.5, "open": 0.0},  # +20% after the gap: prev_close gives its return
        {"close": 6.6, "open": 6.0},
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
    inside = [row.get("open_to_close", np.nan) for row in seen]
    np.testing.assert_allclose(inside, [np.nan, 0.10, np.nan, np.nan, np.nan, 0.10])  # an open of 0 is none
    assert seen[4]["level"] / seen[4]["level@4"] - 1 == pytest.approx(0.32)
    assert np.isnan(seen[5]["level~200"])  # 200 days are not known


def chain(
    code: str,
    closes: list[float | None],
    days: list[date],
    st: bool = False,
    bases: Mapping[int, float] = MappingProxyType({}),
    lost: Collection[int] = (),
) -> tuple[list[float], list[float]]:
    """Levels and returns of a security beside one of each exchange with a price every day; None is no row.

    Parameters
    ----------
    bases : position of a day → its prev_close; the others have none.
    lost : positions of the days on which the rows of the security's exchange are missing.
    """
    stage = Securities(0, Parameters(), EXCHANGES, xshg())
    levels, returns = [], []
    for i, (day, close) in enumerate(zip(days, closes, strict=True)):
        figures = {other: {"close": 1.0} for other in BESIDE if i not in lost or other[7:] != code[7:]}
        if close is not None:
            figures[code] = {"close": close, "st": float(st)} | ({"prev_close": bases[i]} if i in bases else {})
        rows = batch("prices.daily", day, figures)
        # As a feed closes a day: an exchange without any row has no count.
        (frame,) = [f for f in stage.fold([rows, counted_end(rows)]) if isinstance(f, FeatureFrame)]
        at = np.flatnonzero(frame.keys == to_id(code))
        for name, out in (("level", levels), ("return_1", returns)):
            out.append(float(frame.columns[name][at[0]]) if len(at) else np.nan)
    return levels, returns


BESIDE = ("600000.SH", "000001.SZ", "430001.BJ")
MAY = [date(2020, 5, d) for d in (6, 7, 8, 11, 12, 13, 14)]
SEPTEMBER = [date(2020, 9, d) for d in (1, 2, 3, 4, 7, 8, 9)]


@pytest.mark.parametrize(
    ("code", "days", "st", "moves", "actions"),
    [
        ("000661.SZ", MAY, False, [0.102, 0.1049], []),
        ("000661.SZ", MAY, False, [0.01, -0.498], [2]),
        ("000661.SZ", MAY, False, [-0.1051, 0.1051], [1, 2]),
        ("000661.SZ", MAY, True, [0.054, -0.056], [2]),
        ("300750.SZ", MAY, False, [0.104, -0.106], [2]),
        ("300750.SZ", SEPTEMBER, False, [0.204, -0.206], [2]),
        ("688981.SH", SEPTEMBER, True, [0.204, -0.206], [2]),
        ("430047.BJ", SEPTEMBER, False, [0.304, -0.306], [2]),
        ("510050.SH", MAY, False, [0.204, -0.5], [2]),
        ("113050.SH", MAY, False, [0.5, -0.6, 0.9], []),
    ],
)  # fmt: skip
def test_a_move_beyond_the_limit_without_prev_close_is_a_corporate_action(
    code: str, days: list[date], st: bool, moves: list[float], actions: list[int]
) -> None:
    closes: list[float | None] = [100.0, *(100 * np.cumprod([1 + m for m in moves])).tolist()]
    levels, returns = chain(code, closes, days[: len(closes)], st)
    expected = [1.0, *np.cumprod([1.0 if i in actions else 1 + m for i, m in enumerate(moves, 1)])]
    np.testing.assert_allclose(levels, expected)
    assert [i for i, r in enumerate(returns) if i and np.isnan(r)] == actions


@pytest.mark.parametrize(
    ("code", "days", "unlimited"), [("688981.SH", MAY, True), ("300999.SZ", MAY, False), ("300999.SZ", SEPTEMBER, True),
                                    ("603000.SH", SEPTEMBER, False), ("430047.BJ", SEPTEMBER, False)],
)  # fmt: skip
def test_a_new_listing_has_no_limit_on_its_first_five_days_where_the_board_has_none(
    code: str, days: list[date], unlimited: bool
) -> None:
    listed: list[float | None] = [None, 10.0, 20.0, 20.0, 20.0, 8.0, 20.0]  # listed days 1 to 6
    levels, returns = chain(code, listed, days)
    assert np.isnan(returns[2]) == np.isnan(returns[5]) == (not unlimited)
    assert np.isnan(returns[6])  # the sixth day has a limit again
    assert levels[-1] == pytest.approx(0.8 if unlimited else 1.0)


def test_the_first_day_of_the_data_is_no_listing_and_days_without_any_prices_widen_the_limit() -> None:
    levels, _ = chain("688981.SH", [10.0, 20.0, 20.0], SEPTEMBER[:3])
    assert levels == [1.0, 1.0, 1.0]
    levels, _ = chain("000661.SZ", [10.0, 11.9, None, 12.9], [MAY[0], MAY[2], MAY[3], MAY[4]])
    np.testing.assert_allclose(levels, [1.0, 1.19, np.nan, 1.29])  # 19% in two sessions
    levels, _ = chain("000661.SZ", [10.0, None, 11.9], MAY[:3])  # suspended in between: one day's move
    assert levels[-1] == 1.0


@pytest.mark.parametrize(
    ("closes", "bases", "lost", "level", "last_return"),
    [
        ([10.0, None, 11.9], {}, {1}, 1.19, np.nan),  # two sessions' move
        ([10.0, None, 11.0], {2: 10.5}, {1}, 1.1, 11 / 10.5 - 1),  # 5% on the day that never arrived
        ([10.0, None, 11.0], {2: 10.5}, (), 11 / 10.5, 11 / 10.5 - 1),  # suspended, and ex-right
        ([10.0, None, None, 12.6], {3: 12.0}, {1, 2}, 1.26, 0.05),  # 20% in two sessions
        ([10.0, None, None, 12.6], {3: 12.0}, {2}, 1.05, 0.05),  # 20% in one session can only be a corporate action
        ([10.0, None, 5.5], {2: 5.0}, {1}, 1.1, 0.1),
        ([10.0, None, 10.5, 11.55], {2: 10.5, 3: 10.5}, {1}, 1.155, 0.1),  # the gap ends with the first price
    ],
)
def test_the_move_over_days_that_never_arrived_is_part_of_the_level(
    closes: list[float | None],
    bases: dict[int, float],
    lost: Collection[int],
    level: float,
    last_return: float,
) -> None:
    """The rows of one exchange are missing: a gap never turns into a change of 0%."""
    levels, returns = chain("000661.SZ", closes, MAY[: len(closes)], bases=bases, lost=lost)
    np.testing.assert_allclose((levels[-1], returns[-1]), (level, last_return))


def test_rows_that_arrive_late_replace_the_move_over_their_day() -> None:
    stage = Securities(0, Parameters(), EXCHANGES, xshg())

    def level_after(day: date, close: float, base: float) -> float:
        rows = batch("prices.daily", day, {"000661.SZ": {"close": close, "prev_close": base}})
        frames = [f for f in stage.fold([rows, end_of_day(rows)]) if isinstance(f, FeatureFrame)]
        return float(max(frames, key=attrgetter("day")).columns["level"][0])

    assert level_after(MAY[0], 10.0, 10.0) == 1.0
    assert level_after(MAY[2], 5.5, 5.0) == pytest.approx(1.1)
    # The day between them tells that the price was halved by a right, and not by a move.
    assert level_after(MAY[1], 10.4, 10.0) == pytest.approx(1.04 * 1.1)


def test_the_count_of_corporate_actions_is_shown() -> None:
    securities, market = Securities(0, Parameters(), EXCHANGES, xshg()), Market(1, Parameters(), EXCHANGES, xshg())
    found: list[MarketSignal] = []
    for day, close in zip(MAY, (10.0, 5.0), strict=False):
        items: list[FeatureFrame] = []
        for topic, figures in (("prices.daily", {"close": close}), ("margin.daily", {"fin_balance": 1e9})):
            rows = batch(
                topic,
                day,
                {"000001.SZ": figures, "600000.SH": figures | ({"close": 10.0} if "close" in figures else {})},
            )
            items += [f for f in securities.fold([rows, end_of_day(rows)]) if isinstance(f, FeatureFrame)]
        found += [s for s in market.fold(items) if isinstance(s, MarketSignal)]
    (mean,) = [s for s in found if s.signal == "equal_weight_return" and s.trade_date == MAY[1]]
    assert (mean.value, mean.details) == (0.0, {"stocks": 1, "corporate_actions": 1})


@pytest.mark.parametrize(
    ("close", "name"),
    [(6.99, "< −30%"), (7.0, "−30…−10%"), (9.0, "−10…10%"), (11.0, "10…30%"), (13.0, "30…50%"), (15.0, "50…100%"),
     (20.0, "50…100%"), (20.01, "> 100%")],
)  # fmt: skip
def test_the_classes_of_the_returns_since_the_year_began_at_their_edges(close: float, name: str) -> None:
    securities, market = Securities(0, Parameters(), EXCHANGES, xshg()), Market(1, Parameters(), EXCHANGES, xshg())
    for day, price in ((date(2019, 12, 31), 10.0), (DAYS[0], close)):
        rows = batch("prices.daily", day, {"000001.SZ": {"close": price, "prev_close": 10.0}})
        made = market.fold([f for f in securities.fold([rows, end_of_day(rows)]) if isinstance(f, FeatureFrame)])
    (found,) = [one for one in made if isinstance(one, MarketSignal) and one.signal == "ytd_distribution"]
    assert {key for key in BINS if found.details[key]} == {name}


@pytest.mark.parametrize("prices", [(5.34, 9.05, 4.04, 6.25, 6.17), (5.04, 8.52, 8.61, 7.39), (9.1, 9.3, 9.2)])
def test_a_level_that_equals_its_mean_is_not_above_it(prices: tuple[float, ...]) -> None:
    """A chain of returns and a mean of it have rounding: 9.2 is the mean of 9.2, 9.3 and 9.1 to the last cent."""
    parameters = Parameters(breadth_days=len(prices), breadth_least=2)
    securities, market = Securities(0, parameters, EXCHANGES, xshg()), Market(1, parameters, EXCHANGES, xshg())
    values = []
    for day, before, close in zip(DAYS, (5.0, 5.0, *prices), (5.0, *prices), strict=False):
        rows = batch("prices.daily", day, {"000001.SZ": {"close": close, "prev_close": before}})
        made = market.fold([f for f in securities.fold([rows, end_of_day(rows)]) if isinstance(f, FeatureFrame)])
        values.append({s.signal: s.value for s in made if isinstance(s, MarketSignal)}["breadth_200"])
    assert values[-1] == 0.0


@pytest.mark.parametrize(
    ("without", "known"),
    [(None, [2, 3, 4, 5, 6, 7]), (1, [2, 3, 4, 5, 6, 7]), (3, [1, 2, 4, 5, 6, 7])],
    ids=["a history that begins within the window", "its second day", "the session before a window of a later day"],
)
def test_breadth_needs_the_prices_within_its_window_alone(without: int | None, known: list[int]) -> None:
    parameters = Parameters(breadth_days=3, breadth_least=3 if without is None else 2)
    securities, market = Securities(0, parameters, EXCHANGES, xshg()), Market(1, parameters, EXCHANGES, xshg())
    found: list[MarketSignal] = []
    for i, day in enumerate(DAYS[:8]):
        if i != without:
            rows = batch("prices.daily", day, {"000001.SZ": {"close": 10.0 + i, "prev_close": 9.0 + i}})
            made = market.fold([f for f in securities.fold([rows, end_of_day(rows)]) if isinstance(f, FeatureFrame)])
            found += [s for s in made if isinstance(s, MarketSignal) and s.signal == "breadth_200"]
    assert [DAYS.index(one.trade_date) for one in found if one.value is not None] == known
    assert {one.reason for one in found if one.value is None} <= {
        f"prices.daily: no stock has {parameters.breadth_least} prices in 3 trading days"
    }


def test_scores_by_hand() -> None:
    gain, growth = np.array([0.1, 0.2, 0.3, 0.4]), np.array([0.4, 0.3, 0.2, 0.1])
    found = scores(gain, growth, 0.5)
    s0 = np.array([1 / 4, 2 / 3, 3 / 2, 4.0])
    np.testing.assert_allclose(found["excess_score"], np.abs(s0 - np.median(s0)))
    assert found["excess_kind"].tolist() == [-1, -1, 1, 1]
    assert found["excess_top"].tolist() == [1, 0, 0, 1]  # 1/4 is as far from 1 as 4: the first of equals comes first
    assert scores(gain, growth, 0.25)["excess_top"].tolist() == [1, 0, 0, 0]
    assert all(np.isnan(column).all() for column in scores(gain[:1], growth[:1], 0.1).values())


@pytest.mark.parametrize("stocks", [40, 401, 3000])
def test_both_kinds_are_flagged_where_ranks_are_independent(stocks: int) -> None:
    gain, growth = np.random.default_rng(stocks).random((2, stocks))
    found = scores(gain, growth, 0.3)
    flagged = found["excess_kind"][found["excess_top"] == 1]
    swapped = scores(growth, gain, 0.3)  # chasing becomes early positioning and the reverse
    assert swapped["excess_kind"].tolist() == (-found["excess_kind"]).tolist()
    assert len(flagged) == int(0.3 * stocks + 1e-9)
    assert 0.3 < (flagged == 1).mean() < 0.7


@pytest.mark.parametrize(
    "topics",
    [
        ("margin.daily", "prices.daily", "margin.market", "indices.daily", "reference"),
        ("reference", "indices.daily", "prices.daily", "margin.daily", "margin.market"),
        ("reference", "margin.daily", "indices.daily", "margin.market", "prices.daily"),
    ],
)
def test_a_feed_that_is_far_ahead_of_the_others_gives_the_same_signals(
    days: dict[int, dict[str, RowBatch]], topics: tuple[str, ...]
) -> None:
    """Frames wait for the other feeds, and a streak of those days finds its prices: however far apart they are."""
    few = dict(list(days.items())[:90])
    together, _ = run(few)
    apart: list[tuple[str, list[RowBatch]]] = [
        (topic, [feeds[topic] for feeds in few.values() if topic in feeds]) for topic in topics
    ]
    parameters = Parameters(late_days=5)
    securities = Securities(0, parameters, EXCHANGES, xshg())
    market = Market(1, parameters, EXCHANGES, xshg())
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
