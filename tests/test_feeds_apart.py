"""A feed that is months behind the others gives the same values and the same state as feeds side by side."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from processors.events import RowBatch
from processors.market import Market
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


def folded(behind: str) -> tuple[dict[Any, Any], dict[str, bytes]]:
    """The newest values and the stored rows after a history whose feed ``behind`` begins when the others have ended."""
    securities = Securities(0, PARAMETERS, EXCHANGES, xshg())
    market = Market(1, PARAMETERS, EXCHANGES, xshg())
    outputs, rows = [], StoredRows()
    feeds = [{t: rows for t, rows in feeds.items() if t != behind} for feeds in history().values()]
    feeds += [{behind: feeds[behind]} for feeds in history().values() if behind in feeds]
    for day in feeds:
        outputs += market.fold(market_items(securities, day))
        rows.store(market.tables)
    return newest(outputs), rows.rows


@pytest.mark.parametrize(
    "topic", ["margin.market", "indices.daily", "rates.daily", "etf.daily", "margin.daily", "prices.daily"]
)
def test_a_feed_that_is_months_behind_changes_no_value_and_no_state(topic: str) -> None:
    expected, rows = folded("")
    values, stored = folded(topic)

    assert_equal(values, expected)
    assert sorted(stored) == sorted(rows)
