"""The weekly portfolios of every kind of trading, against a plain loop over stocks on a made market."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from processors.codes import to_id
from processors.days import DAY_US, MINUTE_US, SHANGHAI_OFFSET_US, to_date, to_day
from processors.studies.collecting import collect
from processors.studies.panel import Panel, SecurityRows, Trait
from processors.studies.portfolios import Trading, Weeks
from processors.studies.result import Mode
from streams.calendars import xshg
from tests.building import DAYS, batch
from tests.made_market import SMALL

CALENDAR = xshg()
#: The last session ends a week.
STOCKS, SESSIONS, TAIL = 60, 101, 0.1
KEYS = np.array([to_id(f"{600000 + i}.SH") for i in range(STOCKS)] + [to_id("900901.SH")], dtype=np.int32)
SOURCE, LATER = Trading(Mode.AS_SOURCE), Trading(Mode.POINT_IN_TIME)
VARIANTS = {
    "source": SOURCE,
    "next close": LATER,
    "next open": replace(LATER, at_open=True),
    "costs": replace(SOURCE, cost=0.003),
    "no ST": replace(SOURCE, st=False),
    "no new listings": replace(SOURCE, new=False),
    "limits": replace(SOURCE, limits=True),
    "known exit": replace(SOURCE, known_exit=True),
    "known exit at the open": replace(LATER, at_open=True, known_exit=True),
    "all": replace(LATER, at_open=True, cost=0.001, st=False, new=False, limits=True),
}


def made_panel() -> Panel:
    """Stocks of which some are not listed yet, suspended, under special treatment or at a limit, and a B share."""
    rng, shape = np.random.default_rng(7), (SESSIONS, len(KEYS))
    days = CALENDAR.between(to_day(date(2019, 3, 1)), to_day(date(2019, 12, 31)))[:SESSIONS]
    levels = 10 * np.cumprod(1 + rng.normal(0, 0.02, shape), axis=0)
    opens = levels * (1 + rng.normal(0, 0.01, shape))
    absent = rng.random(shape) < 0.05
    absent |= np.arange(SESSIONS)[:, None] < np.where(np.arange(len(KEYS)) % 4 == 0, 5 + np.arange(len(KEYS)) // 2, 0)
    at = np.repeat(np.arange(SESSIONS, dtype=np.int32), len(KEYS))
    columns = {
        name: np.where(rng.random(len(at)) < 0.05, np.nan, rng.normal(0, 0.1, len(at))) for name in ("gain", "growth")
    }
    columns["pool"] = (rng.random(len(at)) < 0.6).astype(np.float64)
    return Panel(
        CALENDAR,
        days,
        pd.DataFrame(),
        np.append(days[1:], days[-1] + 1).astype(np.int64) * DAY_US + 510 * MINUTE_US - SHANGHAI_OFFSET_US,  # 08:30
        {}, {},
        SecurityRows(at, np.tile(KEYS, SESSIONS), columns),
        KEYS,
        np.where(absent, np.nan, levels),
        np.where(absent, np.nan, opens),
        sum(np.uint8(trait) * (rng.random(shape) < 0.2).astype(np.uint8) for trait in Trait),
        {},
        np.ones(SESSIONS, dtype=bool),
        [],
    )  # fmt: skip


@dataclass
class Held:
    """The legs of a week, their returns, and the return after costs."""

    long: list[int]
    short: list[int]
    gains: tuple[float, float]
    spread: float


def by_stock(panel: Panel, trading: Trading, member: str | None) -> list[Held | None]:
    """Compute the portfolio of every week, one stock at a time."""
    dates = [to_date(day) for day in panel.days.tolist()]
    week_of = [one.isocalendar()[:2] for one in dates]
    ends = [i for i in range(SESSIONS) if week_of[i] not in week_of[i + 1 :]]
    wait = 0 if trading.mode is Mode.AS_SOURCE else 1
    bought_at = panel.open_levels if trading.at_open else panel.levels
    rows = {name: values.reshape(SESSIONS, -1) for name, values in panel.securities.columns.items()}
    filled = pd.DataFrame(panel.levels).ffill().to_numpy()
    out: list[Held | None] = []
    before: Held | None = None
    for start, stop in pairwise(ends):
        buy, sell = start + wait, stop + wait
        if sell >= SESSIONS:  # its end is not known yet
            out.append(None)
            continue
        frame = pd.DataFrame({name: values[start] for name, values in rows.items()})[:STOCKS].dropna()
        if member is not None:
            frame = frame[frame[member] == 1]
        s0 = frame["gain"].rank() / frame["growth"].rank()
        ordered = []
        for stock in (s0 - s0.median()).abs().sort_values(kind="stable").index:
            first = int(np.flatnonzero(~np.isnan(panel.levels[:, stock]))[0])
            tradable = not np.isnan(bought_at[buy, stock])
            tradable &= not (trading.known_exit and np.isnan(bought_at[sell, stock]))
            tradable &= trading.st or not panel.traits[start, stock] & Trait.ST
            tradable &= trading.new or first == 0 or start >= first + 60
            ordered += [int(stock)] if tradable else []
        if len(ordered) < 20:
            out.append(None)
            continue

        def gain(stock: int, buy: int = buy, sell: int = sell) -> float:
            if not trading.at_open:
                return float(filled[sell, stock] / panel.levels[buy, stock] - 1)
            end = panel.open_levels[sell, stock]
            end = filled[sell - 1, stock] if np.isnan(end) else end
            return float(end / panel.open_levels[buy, stock] - 1)

        size = int(len(ordered) * TAIL)
        up, down = (
            (Trait.UP_AT_OPEN, Trait.DOWN_AT_OPEN) if trading.at_open else (Trait.UP_AT_CLOSE, Trait.DOWN_AT_CLOSE)
        )
        long, short = ordered[-size:], ordered[:size]
        if trading.limits:
            long = [stock for stock in long if not panel.traits[buy, stock] & up]
            short = [stock for stock in short if not panel.traits[buy, stock] & down]
        if not long or not short:
            out.append(None)
            continue
        traded = 2.0
        if before is not None:
            legs = (before.long, long), (before.short, short)
            traded = 2 * sum(len(set(now) - set(then)) / len(now) for then, now in legs)
        gains = float(np.mean([gain(stock) for stock in long])), float(np.mean([gain(stock) for stock in short]))
        before = Held(long, short, gains, gains[0] - gains[1] - trading.cost * traded)
        out.append(before)
    return out


@pytest.mark.parametrize(
    ("code", "st", "opened", "close", "expected"),
    [
        ("600000.SH", 0.0, 4.79, 4.78, Trait.UP_AT_OPEN),
        ("600000.SH", 0.0, 4.36, 4.79, Trait.UP_AT_CLOSE),
        ("600000.SH", 0.0, 3.92, 3.93, Trait.DOWN_AT_OPEN),
        ("600000.SH", 0.0, 4.00, 3.92, Trait.DOWN_AT_CLOSE),  # 3.915, of which a float is less
        ("600000.SH", 0.0, 4.57, 4.13, 0),
        ("600000.SH", 1.0, 4.57, 4.13, Trait.ST | Trait.UP_AT_OPEN | Trait.DOWN_AT_CLOSE),
        ("688981.SH", 0.0, 4.79, 3.92, 0),
        ("688981.SH", 0.0, 5.22, 3.48, Trait.UP_AT_OPEN | Trait.DOWN_AT_CLOSE),
    ],
)  # fmt: skip
def test_a_stock_at_the_limit_of_its_board_can_not_be_traded_on_that_side(
    code: str, st: float, opened: float, close: float, expected: int
) -> None:
    """Behind a close of 4.35."""
    bar = {"open": opened, "high": 9.0, "low": 1.0, "close": close, "prev_close": 4.35, "st": st}
    figures = {"margin.daily": {code: {"fin_balance": 1e8}}, "prices.daily": {code: bar}}
    days = [{topic: batch(topic, DAYS[0], rows) for topic, rows in figures.items()}]
    panel = collect(days, SMALL, ("SSE",), CALENDAR)
    assert panel.traits.tolist() == [[expected]]


@pytest.fixture(scope="module")
def panel() -> Panel:
    return made_panel()


@pytest.mark.parametrize("member", [None, "pool"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_portfolios_are_those_of_a_loop_over_stocks(panel: Panel, variant: str, member: str | None) -> None:
    weeks, expected = Weeks(panel, VARIANTS[variant]), by_stock(panel, VARIANTS[variant], member)
    found = weeks.portfolios(member, (TAIL,))[0][TAIL]
    held = [one for one in expected if one is not None]
    assert len(held) > 5 and len(weeks) == len(expected)
    unknown = Held([], [], (np.nan, np.nan), np.nan)
    every = [one or unknown for one in expected]
    np.testing.assert_allclose(found.long.weekly, [one.gains[0] for one in every])
    np.testing.assert_allclose(found.short.weekly, [one.gains[1] for one in every])
    np.testing.assert_allclose(found.spread.weekly, [one.spread for one in every])
    # The days of a week compound to its return, whichever day its stocks are bought on.
    for held in (found.long, found.short, found.spread):
        assert np.nanprod(1 + held.daily) == pytest.approx(np.nanprod(1 + held.weekly))


def test_the_turnover_is_the_share_of_both_legs_that_is_replaced(panel: Panel) -> None:
    held = [one for one in by_stock(panel, SOURCE, None) if one is not None]
    replaced = [
        len(set(now) - set(then)) / len(now)
        for before, after in pairwise(held)
        for then, now in ((before.long, after.long), (before.short, after.short))
    ]
    found = Weeks(panel, SOURCE).portfolios(None, (TAIL,))[0][TAIL]
    assert found.turnover == pytest.approx(np.mean(replaced))


def test_every_variant_trades_other_stocks_or_prices(panel: Panel) -> None:
    spreads = {
        name: Weeks(panel, one).portfolios(None, (TAIL,))[0][TAIL].spread.weekly for name, one in VARIANTS.items()
    }
    for name, spread in spreads.items():
        assert name == "source" or not np.array_equal(spread, spreads["source"], equal_nan=True), name
