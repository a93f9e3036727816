"""A feed, or the charts stage, that is months behind gives the same values and state as feeds side by side."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from processors.days import to_day
from processors.events import RowBatch
from processors.market import Market
from processors.needs import CHARTS
from processors.outputs import FeatureFrame
from processors.securities import Securities
from streams.calendars import xshg
from tests.folding import EXCHANGES, market_items
from tests.made_market import SMALL, small_market
from tests.storing import StoredRows
from tests.test_market_corrections import assert_equal, newest

PARAMETERS = replace(SMALL, late_days=4)


@cache
def history() -> dict[int, dict[str, RowBatch]]:
    return small_market(gaps=False)


@cache
def folded(behind: str) -> tuple[dict[Any, Any], dict[str, bytes], dict[str, set[int]]]:
    """The newest values, the stored rows, and the days that were given up, by topic.

    The feed ``behind`` begins when the others have ended.
    """
    securities = Securities(0, PARAMETERS, EXCHANGES, xshg())
    market = Market(1, PARAMETERS, EXCHANGES, xshg())
    outputs, rows, waiting = [], StoredRows(), list[object]()
    feeds = [{t: rows for t, rows in feeds.items() if t != behind} for feeds in history().values()]
    feeds += [{behind: feeds[behind]} for feeds in history().values() if behind in feeds]
    for day in feeds:
        items = market_items(securities, day)
        late = [isinstance(one, FeatureFrame) and one.topic == behind for one in items]
        waiting += [one for one, is_late in zip(items, late, strict=True) if is_late]
        outputs += market.fold([one for one, is_late in zip(items, late, strict=True) if not is_late])
        rows.store(market.tables)
    for one in waiting:
        outputs += market.fold([one])
        rows.store(market.tables)
    return newest(outputs), rows.rows, {t: join.given_up for t, join in market.joins.items() if join.given_up}


@pytest.mark.parametrize(
    "topic", ["margin.market", "indices.daily", "rates.daily", "etf.daily", "margin.daily", "prices.daily", CHARTS]
)
def test_a_feed_that_is_months_behind_changes_no_value_and_no_state(topic: str) -> None:
    expected, rows, none = folded("")
    values, stored, given_up = folded(topic)

    assert_equal(values, expected)
    assert sorted(stored) == sorted(rows)
    assert given_up == none == {}


def test_days_whose_valuations_arrive_when_the_other_feeds_are_deleted_are_counted() -> None:
    """The margin detail waits for no valuations where there have never been any."""
    expected, *_ = folded("")
    values, _, given_up = folded("valuations.daily")

    def valued(outputs: dict[Any, Any]) -> set[int]:
        found = {to_day(day): columns for (name, day), columns in outputs.items() if name == "industries"}
        return {day for day, columns in found.items() if not np.isnan(columns["industry_coverage_by_float_cap"]).all()}

    assert valued(expected) - valued(values) == given_up.pop("valuations.daily") != set()
    assert given_up == {}
