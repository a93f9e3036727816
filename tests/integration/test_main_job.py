"""The main job on real input: every value of every date, through broker, Faust and Redis, against plain pandas."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feeds.files.dataset import Dataset
from feeds.folder import read
from processors.industries import INDUSTRIES
from processors.registry import INDUSTRY_SIGNALS, SIGNALS
from streams.alert_record import record_of
from streams.calendars import xshg
from streams.form import Form
from streams.topics import Topic
from tests.harness import Stack
from tests.oracle import market as oracle_market
from tests.oracle import securities as oracle_securities
from tests.oracle.data import load

START, END, HALF_A_YEAR, A_QUARTER = date(2018, 1, 2), date(2021, 3, 31), date(2018, 6, 29), date(2018, 3, 30)


def _feed(stack: Stack, data: Dataset, form: Form = Form.FRAMES, last: int = 0) -> str:
    """Publish all days (or the last ones) and wait for the end; return the barrier."""
    with stack.publisher(form, data.source) as publisher:
        for _, batches in list(data.by_day())[-last:]:
            publisher.day(batches)
        return stack.settle(publisher, timeout=600)


def assert_same(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    """Equal to 1e-9, and absent where the other is absent."""
    assert ours.index.equals(theirs.index)
    for name in theirs.columns:
        a, b = ours[name], theirs[name]
        if b.dtype == object:
            assert a.astype(object).where(a.notna(), None).tolist() == b.tolist(), name
        else:
            np.testing.assert_allclose(a.astype(float), b.astype(float), rtol=1e-9, atol=0, err_msg=name)


def assert_complete(market: pd.DataFrame, securities: pd.DataFrame, industries: pd.DataFrame) -> None:
    """One run yields every signal there is; only what no file here has an input for is never known."""
    known = {name.partition("/")[0] for name in market if market[name].notna().any()} & SIGNALS.keys()
    known |= {name for name in securities if securities[name].notna().any()} & SIGNALS.keys()
    assert SIGNALS.keys() - known == {
        "collateral_ratio",
        "risk_premium",
        "risk_premium_by_index",
        "etf_flow_total",
        "etf_flow_5d",
        "chart_score",
        "chart_top",
        "group_theme_score",
        "index_cycle",
    }  # no collateral ratios, no yields, no prices of funds, no chart model, no SZSE 100
    assert len(industries) == 788 * len(INDUSTRIES)
    absent = {name for name in INDUSTRY_SIGNALS if not industries[name].notna().any()}
    # Valuations of 279 large caps from 2020 on stand in for those of the industries' indices; there is no chart model.
    assert absent == {"theme_score", "theme_top5"}


def test_every_value_of_every_date_equals_the_oracle(
    stack: Stack, data_dir: Path, request: pytest.FixtureRequest
) -> None:
    """All of it on the embedded broker, half a year on Kafka (`make chaos` and `make bench` run there as well)."""
    whole = request.node.callspec.params["broker"] == "embedded"
    end = END if whole else HALF_A_YEAR
    folder = read(data_dir, xshg(), START, end)
    stack.worker().ready()
    barrier = _feed(stack, folder)

    expected, market, securities = load(data_dir, START, end), stack.market(barrier), stack.securities(barrier)
    assert_same(market, oracle_market.market(expected))
    assert_same(securities.sort_index(), oracle_securities.securities(expected).sort_index())
    if whole:
        assert len(folder.batches["margin.daily"]) == 1_112_913
        assert_complete(market, securities, stack.industries(barrier))

    alerts = stack.alerts(barrier)
    days = {rule: [a.trade_date for a in alerts if a.rule == rule] for rule in ("peak_warning", "peak_early_sign")}
    breakdowns = oracle_market.peak_warnings(expected)
    assert days == {"peak_warning": breakdowns["ratio_state"], "peak_early_sign": breakdowns["ratio_state_daily"]}
    (card,) = record_of(stack.settings, "peak_warning")
    assert [row.trade_date for row in card.rows] == days["peak_warning"]
    if whole:
        assert [len(found) for found in days.values()] == [8, 27]
        assert (card.evidence.cases, card.evidence.base_cases) == (8, 724)

    # The same input once more (of the days that still take rows, and some behind them): nothing changes.
    published, before = stack.count(Topic.ALERTS, barrier), stack.tables()
    again = _feed(stack, folder, last=70)
    assert stack.count(Topic.ALERTS, again) == published
    assert stack.tables() == before


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_frames_arrays_and_single_events_give_the_same(stack: Stack, data_dir: Path) -> None:
    data = read(data_dir, xshg(), START, A_QUARTER)
    stack.worker().ready()
    barrier = _feed(stack, data, Form.EVENTS)

    expected = load(data_dir, START, A_QUARTER)
    assert_same(stack.market(barrier), oracle_market.market(expected))
    assert_same(stack.securities(barrier).sort_index(), oracle_securities.securities(expected).sort_index())
    rows, alerts = stack.tables(), stack.alerts(barrier)

    # Frames and arrays behind the events are the same rows: nothing changes.
    for form, last in ((Form.FRAMES, 0), (Form.ARRAYS, 10)):
        again = _feed(stack, data, form, last)
        assert stack.tables() == rows
        assert stack.alerts(again) == alerts
