"""Industries: late inputs, what is left out, the statistics by hand, and that none reads the future."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feeds.folder import read
from processors.days import TradingCalendar, to_date, to_day
from processors.events import RowBatch
from processors.history import replay
from processors.indicators.industry_balance import ranks
from processors.indicators.industry_heat import composite, kdj_j, z_scores
from processors.indicators.industry_rotation import selections
from processors.industries import INDEX_OF, INDUSTRIES
from processors.outputs import IndustrySignals, MarketSignal
from processors.parameters import Parameters
from streams.calendars import xshg
from tests.folding import fold_history
from tests.made_market import SMALL, small_market

EXCHANGES = ("SSE", "SZSE")
START, END = date(2018, 6, 1), date(2019, 3, 29)
FEEDS = ("reference", "indices.daily", "margin.market", "margin.daily", "valuations.daily")
StageOutput = tuple[dict[date, IndustrySignals], dict[tuple[date, str], MarketSignal]]


def run(days: dict[int, dict[str, RowBatch]]) -> StageOutput:
    industries: dict[date, IndustrySignals] = {}
    signals: dict[tuple[date, str], MarketSignal] = {}
    feeds = ({topic: day[topic] for topic in FEEDS if topic in day} for day in days.values())
    for output in replay(feeds, Parameters(), EXCHANGES, xshg(), days_per_fold=64):
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
def index(data_dir: Path) -> pd.DataFrame:
    raw = pd.read_parquet(data_dir / "sw_industry_daily_2016_2021q1.parquet")
    raw["dt"] = pd.to_datetime(raw["dt"])
    return raw[(raw["dt"] >= pd.Timestamp(START)) & (raw["dt"] <= pd.Timestamp(END))]


def test_a_calendar_that_begins_with_the_figures_has_nothing_before_them() -> None:
    """A window that begins before it is absent, not full of the first day, and so is a change on that day."""
    days = small_market(sessions=12, gaps=False)
    first = min(days)
    short = TradingCalendar(map(to_date, xshg().between(first, xshg().last).tolist()))
    long, found = (fold_history(days, SMALL, calendar=calendar).industries for calendar in (xshg(), short))
    assert "the calendar does not reach back so far" in found[first].left_out["net_buy"]
    for day, industries in long.items():
        for name, values in industries.columns.items():
            np.testing.assert_array_equal(found[day].columns[name], values, err_msg=f"{to_date(day)} {name}")


def test_every_industry_of_the_file_has_its_index(index: pd.DataFrame) -> None:
    names = dict(zip(index["swindexcode"], index["industry_name"], strict=True))
    ours = {f"{key // 4:06d}": name for key, name in zip(INDEX_OF, INDUSTRIES, strict=True)}
    assert len(names) >= 27
    assert all(ours[code] == name for code, name in names.items())


def test_a_factor_that_no_feed_brings_is_left_out_with_its_reason(outputs: StageOutput) -> None:
    left_out = outputs[0][date(2019, 3, 15)].left_out
    assert {"heat_pe", "heat_dividend_yield", "risk_pb"} <= set(left_out)
    assert left_out["heat_pe"] == "known of 0 industries, 20 are needed"
    assert "heat_volatility" not in left_out


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
