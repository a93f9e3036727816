"""The running session of one partition against a plain model, whatever the batches, and by hand at its limits."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.codes import to_id
from processors.days import to_day
from processors.errors import StateError
from processors.events import RowBatch, concat
from processors.intraday_store import IntradayStore
from processors.outputs import Partial
from tests.building import DAYS, batch
from tests.storing import StoredRows

CODES = ["600519.SH", "000001.SZ", "600000.SH", "300750.SZ"]


def margin(at: int, code: str, ts: int, buy: float, revision: int = 0) -> RowBatch:
    return _row("margin.intraday", at, code, ts, revision, fin_buy=buy, fin_repay=buy / 2)


def price(at: int, code: str, ts: int, turnover: float, revision: int = 0) -> RowBatch:
    return _row("prices.intraday", at, code, ts, revision, turnover=turnover)


def _row(topic: str, at: int, code: str, ts: int, revision: int, **figures: float) -> RowBatch:
    rows = batch(topic, DAYS[at], {code: figures})
    return RowBatch(topic, rows.keys, rows.days, np.array([revision], dtype=np.int32), np.array([ts]), rows.figures)


row_ = st.tuples(st.sampled_from(CODES), st.integers(1, 4), st.integers(0, 1), st.integers(1, 5))


@settings(max_examples=80, deadline=None)
@given(st.lists(row_, min_size=1, max_size=15), st.lists(st.integers(0, 15), max_size=3).map(sorted), st.booleans())
def test_the_newest_row_of_a_security_counts_whatever_the_batches(rows, cuts, prices: bool) -> None:
    """A row's day follows from its moment: later moments are of later days."""
    make = price if prices else margin
    store, newest, news = IntradayStore(), dict[str, tuple[int, int, float]](), 0
    singles = [make(ts // 2, code, ts, value, revision) for code, ts, revision, value in rows]
    seen = 0
    for start, end in zip([0, *cuts], [*cuts, len(rows)], strict=True):
        if not singles[start:end]:
            continue
        before = dict(newest)
        for code, ts, revision, value in rows[start:end]:
            # Of equals the first one counts between batches, the last one within a batch.
            held = newest.get(code, (0, -1, 0.0))
            if (ts, revision) > held[:2] or ((ts, revision) == held[:2] and before.get(code) != held):
                newest[code] = (ts, revision, value)
        news = sum(newest[c] != before.get(c) for c in newest)
        assert store.apply(concat(singles[start:end])) == news
        seen += news
    day = max(ts for ts, _, _ in newest.values()) // 2
    found = store.partial(3, (0.5, 1.5))
    today = [(ts, value) for ts, _, value in newest.values() if ts // 2 == day]
    total = float(sum(value for _, value in today))
    assert found == Partial(
        partition=3, day=to_day(DAYS[day]), ts=max(ts for ts, _ in today), covered_balance=0.5, balance=1.5,
        fin_buy=0.0 if prices else total, fin_repay=0.0 if prices else total / 2,
        prices=len(today) if prices else 0, turnover=total if prices else 0.0,
        bought_at=0 if prices else max(ts for ts, _ in today),
        priced_at=max(ts for ts, _, _ in newest.values()) if prices else 0,
    )  # fmt: skip


def test_prices_and_margin_rows_of_a_security_are_kept_side_by_side() -> None:
    store = IntradayStore()
    store.apply(concat([price(1, CODES[0], 10, 100.0), price(1, CODES[1], 12, 50.0)]))
    store.apply(margin(1, CODES[0], 11, 4.0))
    store.apply(margin(0, CODES[1], 3, 8.0))  # of the day before: not of this session
    found = store.partial(0, (0.0, 0.0))
    assert (found.day, found.ts, found.bought_at, found.priced_at) == (to_day(DAYS[1]), 12, 11, 12)
    assert (found.fin_buy, found.fin_repay, found.turnover, found.prices) == (4.0, 2.0, 150.0, 2)
    store.apply(margin(1, CODES[1], 13, 8.0))
    assert store.partial(0, (0.0, 0.0)).ts == 13
    store.apply(margin(2, CODES[0], 20, 4.0))  # the next session begins without prices
    assert (store.partial(0, (0.0, 0.0)).prices, store.partial(0, (0.0, 0.0)).priced_at) == (0, 12)


def test_a_session_begins_with_its_first_row_of_any_feed() -> None:
    store = IntradayStore()
    store.apply(margin(0, CODES[0], 1, 4.0))
    store.apply(price(1, CODES[0], 2, 1.0))
    assert store.partial(0, (0.0, 0.0)).fin_buy == 0.0
    assert store.day == to_day(DAYS[1])
    assert IntradayStore().partial(0, (0.0, 0.0)) == Partial(
        partition=0, day=0, ts=0, fin_buy=0.0, fin_repay=0.0, covered_balance=0.0, balance=0.0, prices=0, turnover=0.0
    )


def test_the_coverage_is_the_balance_of_securities_with_margin_rows_of_the_session() -> None:
    store = IntradayStore()
    keys = np.array(sorted(to_id(c) for c in CODES), dtype=np.int32)
    balances = np.array([1.0, 2.0, 4.0, np.nan])
    assert store.coverage(keys, balances) == (0.0, 7.0)
    versions = [store.margin_version]
    for rows in (margin(0, CODES[0], 1, 1.0), price(1, CODES[1], 2, 1.0), price(1, CODES[2], 3, 1.0)):
        store.apply(rows)
        versions.append(store.margin_version)
    # A margin row and a new session change the coverage, another price doesn't.
    assert [later > earlier for earlier, later in pairwise(versions)] == [True, True, False]
    assert store.coverage(keys, balances) == (0.0, 7.0)  # the only margin row is of the day before
    for at, code in enumerate(CODES):
        store.apply(margin(1, code, 10 + at, 1.0))
        assert store.margin_version > versions[-1]
        versions.append(store.margin_version)
    store.apply(margin(1, CODES[0], 20, 2.0))  # it has a margin row of the session
    assert store.margin_version == versions[-1]
    # The security without a balance counts on neither side.
    assert store.coverage(keys, balances) == (7.0, 7.0)
    assert store.coverage(keys[1:], balances[1:]) == (6.0, 6.0)


def test_thousands_of_securities_find_room_and_load_again() -> None:
    store = IntradayStore()
    codes = [f"{n:06d}.SZ" for n in range(1, 1_500)]
    for part in (codes[:100], codes[100:300], codes[300:]):
        assert store.apply(concat([margin(2, code, 7, 1.0) for code in part])) == len(part)
    stored = StoredRows()
    stored.store(store.tables)
    assert store.tables.changed_rows() == {}
    assert store.apply(margin(2, codes[5], 7, 9.0)) == 0
    assert store.tables.changed_rows() == {}
    assert store.apply(margin(2, codes[5], 8, 9.0)) == 1
    again = IntradayStore()
    stored.store(store.tables)
    stored.load(again.tables)
    assert again.day == to_day(DAYS[2])
    assert again.partial(1, (2.0, 3.0)) == store.partial(1, (2.0, 3.0))
    assert again.apply(margin(2, codes[5], 8, 1.0)) == 0


@pytest.mark.parametrize("topic", ["prices", "margin"])
def test_a_loaded_session_is_that_of_the_newest_row_of_either_feed(topic: str) -> None:
    store = IntradayStore()
    store.apply(margin(0 if topic == "prices" else 1, CODES[0], 1, 1.0))
    store.apply(price(1 if topic == "prices" else 0, CODES[0], 1, 1.0))
    stored, again = StoredRows(), IntradayStore()
    stored.store(store.tables)
    stored.load(again.tables)
    assert again.day == store.day == to_day(DAYS[1])


@pytest.mark.parametrize("change", [lambda d: b"\x02" + d[1:], lambda d: d[:-1], lambda d: d + b"\x00"])
def test_rows_of_another_schema_are_refused(change) -> None:
    store = IntradayStore()
    store.apply(margin(0, CODES[0], 1, 1.0))
    stored = {n: change(d) for n, d in store.tables.changed_rows().items() if d is not None}
    with pytest.raises(StateError):
        IntradayStore().tables.load_rows(stored)
