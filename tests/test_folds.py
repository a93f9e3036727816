"""Properties of the folds: duplicates, order, batching and revisions, down to the bytes of the state."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.codes import to_id
from processors.daily_store import ApplyResult, DailyStore
from processors.days import to_day
from processors.deadlines import DEADLINES, overdue
from processors.events import EndOfDay, RowBatch, concat
from processors.history import History
from processors.history import end_of_day as counted_end
from processors.market import Market
from processors.outputs import FeatureFrame, MarketSignal, Partial, SecuritySignals, StageOutput
from processors.parameters import Parameters
from processors.partition_join import dump_frame, load_frame
from processors.securities import Securities
from processors.signal import Value
from streams.calendars import xshg
from tests.building import DAYS, balances, batch, end_of_day
from tests.made_market import SMALL, small_market

EXCHANGES = ("SSE", "SZSE")
CODES = ["600000.SH", "600519.SH", "000001.SZ", "300750.SZ", "510050.SH"]


def stage() -> Securities:
    return Securities(0, Parameters(), EXCHANGES, xshg())


def rows_of(processor: Securities) -> dict[str, bytes | None]:
    return processor.changed_rows()


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[date, dict[str, list[float]]]]:
    """Days with balances by code; several values of a code are its revisions 0, 1, …"""
    days = draw(st.lists(st.sampled_from(DAYS), min_size=1, max_size=6, unique=True))
    value = st.floats(1e7, 1e10)
    return [
        (day, draw(st.dictionaries(st.sampled_from(CODES), st.lists(value, min_size=1, max_size=3), min_size=1)))
        for day in sorted(days)
    ]


def items_of(history: list[tuple[date, dict[str, list[float]]]]) -> list[list[RowBatch]]:
    """One-row batches by day."""
    return [
        [balances(day, {code: v}, revision) for code, values in found.items() for revision, v in enumerate(values)]
        for day, found in history
    ]


def end_of_day_of(rows: list[RowBatch]) -> EndOfDay:
    newest = {int(r.keys[0]): r for r in rows}
    return end_of_day(concat(list(newest.values())))


@given(histories(), st.randoms(use_true_random=False), st.booleans())
@settings(max_examples=60, deadline=None)
def test_order_duplicates_and_batching_within_a_day_change_nothing(history, random, joined) -> None:
    plain, shuffled = stage(), stage()
    frames_plain, frames_shuffled = [], []
    for rows in items_of(history):
        frames_plain += plain.fold([*rows, end_of_day_of(rows)])
        mixed = [*rows, *random.sample(rows, random.randint(0, len(rows)))]
        random.shuffle(mixed)
        if joined:
            mixed = [concat(mixed)]
        frames_shuffled += shuffled.fold([*mixed, end_of_day_of(rows), *mixed, end_of_day_of(rows)])
    assert [(f.day, f.header.revision, f.columns["fin_change"].tobytes()) for f in frames_plain] == [
        (f.day, f.header.revision, f.columns["fin_change"].tobytes()) for f in frames_shuffled
    ]
    assert rows_of(plain) == rows_of(shuffled)


@given(histories(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_corrections_after_the_close_give_the_same_state_in_any_order(history, random) -> None:
    one, other = stage(), stage()
    for processor, order in ((one, None), (other, random)):
        late = []
        for rows in items_of(history):
            first = [r for r in rows if r.revisions[0] == 0]
            late += [r for r in rows if r.revisions[0] > 0]
            processor.fold([*first, end_of_day_of(rows)])
        if order is not None:
            order.shuffle(late)
            for row in late:
                processor.fold([row])
        else:
            processor.fold(late)
    assert rows_of(one) == rows_of(other)


@given(histories(), st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_a_processor_loaded_from_stored_rows_continues_identically(history, cut) -> None:
    through, before = stage(), stage()
    stored: dict[str, bytes] = {}
    for i, rows in enumerate(items_of(history)):
        through.fold([*rows, end_of_day_of(rows)])
        if i == cut:
            stored |= {k: v for k, v in before.changed_rows().items() if v is not None}
            before = stage()
            before.load_rows(stored)
        before.fold([*rows, end_of_day_of(rows)])
    stored |= {k: v for k, v in before.changed_rows().items() if v is not None}
    assert stored == {k: v for k, v in through.changed_rows().items() if v is not None}


def test_a_late_day_raises_the_revision_of_all_later_days() -> None:
    store = DailyStore("margin.daily", EXCHANGES, late_days=60, history_days=2)
    for day in (DAYS[0], DAYS[2]):
        rows = balances(day, {"600000.SH": 1e9})
        store.apply(rows)
        store.close(end_of_day(rows))
    late = balances(DAYS[1], {"600000.SH": 2e9})
    store.apply(late)
    applied = store.close(end_of_day(late))
    assert applied.touched == {to_day(DAYS[1]), to_day(DAYS[2])}
    assert [store.days[to_day(d)].revision for d in DAYS[:3]] == [0, 0, 1]


def test_the_next_day_closes_a_topic_without_punctuation() -> None:
    store = DailyStore("margin.daily", EXCHANGES, late_days=60, history_days=2)
    both = {"600000.SH": 1e9, "000001.SZ": 1e9}
    applied = store.apply(
        concat([balances(DAYS[0], both), balances(DAYS[1], both), balances(DAYS[0], {CODES[1]: 5e8})])
    )
    assert applied.touched == {to_day(DAYS[0])}
    # A row after the first row of the next day is late.
    assert store.days[to_day(DAYS[0])].revision == 1
    assert store.missing(to_day(DAYS[0])) == {}


def test_the_same_revision_with_other_figures_is_a_conflict_and_the_first_row_stays() -> None:
    store = DailyStore("margin.daily", EXCHANGES, late_days=60, history_days=2)
    store.apply(balances(DAYS[0], {"600000.SH": 1e9}))
    applied = store.apply(balances(DAYS[0], {"600000.SH": 2e9}))
    assert (applied.conflicts, applied.accepted) == (1, 0)
    store.close(end_of_day(balances(DAYS[0], {"600000.SH": 1e9})))
    assert store.figure(to_day(DAYS[0]), "fin_balance").tolist() == [1e9]


def test_rows_older_than_the_window_are_refused() -> None:
    store = DailyStore("margin.daily", EXCHANGES, late_days=2, history_days=1)
    for day in DAYS[:4]:
        store.apply(balances(day, {"600000.SH": 1e9}))
    assert store.apply(balances(DAYS[0], {"600000.SH": 2e9}, 1)).too_old == 1
    assert len(store.days) == 3


def test_leaving_the_list_resets_a_streak_and_delta_is_absent_for_five_days_after_inclusion() -> None:
    processor = stage()
    always = {"600000.SH": 1e9}
    streaks, changes = [], []
    for i, day in enumerate(DAYS[:12]):
        here = always | ({} if i == 3 else {"600519.SH": 1e9 + i * 1e7})
        rows = balances(day, here)
        (frame,) = processor.fold([rows, end_of_day(rows)])
        assert isinstance(frame, FeatureFrame)
        at = np.flatnonzero(frame.keys % 4 == 0)[-1]
        streaks.append(int(frame.columns["fin_streak"][at]) if i != 3 else None)
        changes.append(bool(np.isnan(frame.columns["fin_change"][at])) if i != 3 else None)
    assert streaks == [0, 1, 2, None, 0, 0, 0, 0, 0, 0, 1, 2]
    assert changes == [True, False, False, None, True, True, True, True, True, True, False, False]


def test_a_day_that_an_exchange_did_not_publish_pauses_its_streaks() -> None:
    processor = stage()
    streaks = []
    for i, day in enumerate(DAYS[:6]):
        rows = balances(day, {"600000.SH": 1e9 + i} | ({} if i == 3 else {"000001.SZ": 1e9 + i * 1e7}))
        lapse = EndOfDay(feed=rows.topic, trade_date=day, expected={}, source="test", deadline=True)
        frames = processor.fold([rows, counted_end(rows), lapse])
        frame = frames[-1]
        assert isinstance(frame, FeatureFrame)
        shenzhen = np.flatnonzero(frame.keys % 4 == 1)
        streaks.append(int(frame.columns["fin_streak"][shenzhen[0]]) if len(shenzhen) else None)
    # Absent on day 3; day 4 has no figure of the day before; day 5 continues the count.
    assert streaks == [0, 1, 2, None, 2, 3]


# -- the market stage ---------------------------------------------------------------------------------------------


def market_day(day: date, sse: float, szse: float | None, close: float = 3000.0) -> list[RowBatch | EndOfDay]:
    figures = {"SSE": {"fin_balance": sse, "fin_buy": sse / 100, "short_balance": 1.0}}
    if szse is not None:
        figures["SZSE"] = {"fin_balance": szse, "fin_buy": szse / 100, "short_balance": 1.0}
    totals = batch("margin.market", day, figures)
    indices = batch("indices.daily", day, {"000001.SH": {"close": close, "turnover": sse / 10},
                                           "399001.SZ": {"close": 1.0, "turnover": (szse or 1e9) / 10}})  # fmt: skip
    return [totals, end_of_day(totals, SZSE=1), indices, end_of_day(indices)]


def signals(outputs: list[MarketSignal | SecuritySignals]) -> dict[tuple[date, str], MarketSignal]:
    return {(s.trade_date, s.signal): s for s in outputs if isinstance(s, MarketSignal) and not s.provisional}


def test_a_total_without_one_exchange_is_absent_and_degraded_never_a_partial_sum() -> None:
    market = Market(1, Parameters(), EXCHANGES, xshg())
    found = signals(market.fold([*market_day(DAYS[0], 1e9, 2e9), *market_day(DAYS[1], 1e9, None)]))
    assert found[DAYS[0], "fin_balance"].value == 3e9
    half = found[DAYS[1], "fin_balance"]
    assert half.value is None
    assert "SZSE" in half.reason
    assert half.degraded
    assert half.missing == {"margin.market SZSE": 1}

    # The other exchange arrives late: all signals of the day are published again with a higher revision.
    late = batch("margin.market", DAYS[1], {"SZSE": {"fin_balance": 2e9, "fin_buy": 2e7, "short_balance": 1.0}})
    whole = signals(market.fold([late]))[DAYS[1], "fin_balance"]
    assert (whole.value, whole.revision, whole.degraded) == (3e9, 1, False)


def test_a_correction_publishes_every_dependent_day_again() -> None:
    market = Market(1, Parameters(), EXCHANGES, xshg())
    for i, day in enumerate(DAYS[:6]):
        market.fold(market_day(day, 1e9 + i * 1e6, 2e9))
    fixed = batch("margin.market", DAYS[2], {"SSE": {"fin_balance": 5e9, "fin_buy": 5e7, "short_balance": 1.0}}, 1)
    found = signals(market.fold([fixed]))
    assert {day for day, _ in found} == set(DAYS[2:6])
    assert {s.revision for s in found.values()} == {1}
    assert found[DAYS[2], "fin_balance"].value == 7e9
    assert found[DAYS[3], "streak"].value == -1


def test_absent_values_name_their_reason() -> None:
    market = Market(1, Parameters(), EXCHANGES, xshg())
    found = signals(market.fold(market_day(DAYS[0], 1e9, 2e9)))
    for name in ("fin_buy_ratio_5d", "excess_financing", "new_high_low", "fin_balance_change"):
        signal = found[DAYS[0], name]
        assert signal.value is None
        assert "not known" in signal.reason
    assert found[DAYS[0], "fin_buy_ratio"].value == pytest.approx(0.1)


def test_totals_and_indices_may_arrive_years_apart() -> None:
    together, apart = (Market(1, Parameters(), EXCHANGES, xshg()) for _ in range(2))
    items = [market_day(day, 1e9 + i * 1e7, 2e9 - i * 1e6, 3000 + i) for i, day in enumerate(DAYS)]
    expected: dict[tuple[date, str], MarketSignal] = {}
    for item in items:
        expected |= signals(together.fold(item))
    found: dict[tuple[date, str], MarketSignal] = {}
    for part in ([i[:2] for i in items], [i[2:] for i in items]):
        for item in part:
            found |= signals(apart.fold(item))
    assert found == expected
    assert apart.changed_rows() == together.changed_rows()


def test_a_fold_of_more_days_than_are_kept_computes_each_of_them() -> None:
    """A replay folds many days at once; the rows of funds are kept for a few."""
    items: list[RowBatch | EndOfDay] = []
    for i, day in enumerate(DAYS):
        rows = batch("etf.daily", day, {"510300.SH": {"shares": 1e9 + i * 1e6, "price": 4.0}})
        items += [rows, end_of_day(rows)]
    published = Market(1, Parameters(late_days=3), EXCHANGES, xshg()).fold(items)
    found = [one.value for one in published if isinstance(one, MarketSignal) and one.name == "etf_flow/broad"]
    assert found == [None] + [4e6] * (len(DAYS) - 1)


def test_a_block_of_days_gives_the_final_values_that_its_days_give_one_by_one() -> None:
    days = list(small_market(sessions=45).values())
    single, block = (History(SMALL, EXCHANGES, xshg()) for _ in range(2))
    one_by_one = _newest(output for feeds in days for output in single.fold(feeds))
    blocks = [block.fold_block(days[i : i + 20]) for i in range(0, len(days), 20)]
    at_once = _newest(output for outputs in blocks for output in outputs)
    for outputs in blocks:  # an alert's record is computed once what it is about is known
        final = [one for one in outputs if not (isinstance(one, MarketSignal) and one.provisional)]
        assert (dates := [_date(one) for one in final]) == sorted(dates)
    assert one_by_one.keys() == at_once.keys()
    for key, output in one_by_one.items():
        if isinstance(output, MarketSignal):
            assert at_once[key] == output
        else:
            assert at_once[key].status == output.status
            for name, values in output.columns.items():
                np.testing.assert_array_equal(at_once[key].columns[name], values, err_msg=f"{key} {name}")


def _date(output: StageOutput) -> date:
    return output.trade_date if isinstance(output, MarketSignal) else output.status.trade_date


def _newest(outputs: Iterable[StageOutput]) -> dict[tuple[str, date], StageOutput]:
    """Return the newest final output of each day and signal, family or all industries."""
    found = {}
    for output in outputs:
        if isinstance(output, MarketSignal):
            if not output.provisional:
                found[output.name, output.trade_date] = output
        else:
            found[getattr(output, "family", "industries"), output.status.trade_date] = output
    return found


def test_provisional_values_use_intraday_prices_and_the_last_balances_and_final_values_replace_them() -> None:
    market = Market(1, Parameters(excess_lag_days=3), EXCHANGES, xshg())
    for day in DAYS[:4]:
        market.fold(market_day(day, 1e9, 2e9))
    ts = (to_day(DAYS[4]) * 24 + 2) * 3_600_000_000
    snapshot = batch("indices.intraday", DAYS[4], {"000001.SH": {"last": 3300.0, "prev_close": 3000.0},
                                               "399001.SZ": {"last": 1.0, "prev_close": 1.0}})  # fmt: skip
    snapshot = RowBatch(
        snapshot.topic, snapshot.keys, snapshot.days, snapshot.revisions, np.full(2, ts), snapshot.figures
    )
    outputs = {s.signal: s for s in market.fold([snapshot]) if isinstance(s, MarketSignal)}
    assert outputs["excess_financing"].provisional
    assert outputs["excess_financing"].value == pytest.approx(-0.1)
    assert outputs["fin_buy_ratio"].value is None
    assert "margin.intraday covers" in outputs["fin_buy_ratio"].reason
    final = signals(market.fold(market_day(DAYS[4], 1.1e9, 2.2e9, 3000.0)))
    assert final[DAYS[4], "excess_financing"].value == pytest.approx(0.1)
    assert not final[DAYS[4], "excess_financing"].provisional
    assert not [s for s in market.fold([snapshot]) if isinstance(s, MarketSignal)]


def test_a_session_that_is_read_before_the_days_behind_it_has_the_same_provisional_values() -> None:
    """A worker that has a backlog reads its topics in no order: after the last snapshot no other one may come."""

    def last_values(items: list[list[RowBatch | EndOfDay]]) -> dict[str, tuple[Value, str]]:
        market = Market(1, Parameters(excess_lag_days=3), EXCHANGES, xshg())
        found = [s for part in items for s in market.fold(part) if isinstance(s, MarketSignal) and s.provisional]
        return {s.name: (s.value, s.reason) for s in found}

    rows = batch("indices.intraday", DAYS[4], {"000001.SH": {"last": 3300.0, "prev_close": 3000.0, "turnover": 1e9},
                                           "399001.SZ": {"last": 1.0, "prev_close": 1.0, "turnover": 1e9}})  # fmt: skip
    session = [replace(rows, stamps=np.full(2, (to_day(DAYS[4]) * 24 + 2) * 3_600_000_000))]
    days = [market_day(day, 1e9, 2e9) for day in DAYS[:4]]
    assert last_values([*days, session])["excess_financing"] == (pytest.approx(-0.1), "")
    assert last_values([session, *days]) == last_values([*days, session])
    topics = [[item for day in days for item in day if topic in (getattr(item, "topic", ""), getattr(item, "feed", ""))]
              for topic in ("indices.daily", "margin.market")]  # fmt: skip
    assert last_values([session, *topics]) == last_values([*days, session])


def test_a_signal_whose_final_value_is_known_has_no_provisional_one() -> None:
    """The indices close hours before the totals: what needs the indices alone is final by then."""
    market = Market(1, Parameters(timing_indices=("000001.SH",)), EXCHANGES, xshg())
    for day in DAYS[:4]:
        market.fold(market_day(day, 1e9, 2e9))
    *_, indices, closing = market_day(DAYS[4], 1e9, 2e9)
    outputs = [s for s in market.fold([indices, closing]) if isinstance(s, MarketSignal)]
    final = {s.name for s in outputs if not s.provisional}
    provisional = {s.name for s in outputs if s.provisional}
    assert "index_close/000001.SH" in final
    assert {"fin_buy_ratio", "excess_financing"} <= provisional
    assert not final & provisional


# -- deadlines ----------------------------------------------------------------------------------------------------


def at(day: date, hour: float) -> int:
    """Return the moment of an hour of a day in Shanghai, µs since the epoch."""
    return to_day(day) * 86_400_000_000 + int((hour - 8) * 3_600_000_000)


def overdue_on(store: DailyStore, now: int) -> EndOfDay | None:
    return overdue(store, now, DEADLINES[store.topic], xshg(), gap_days=3)


def test_the_deadline_closes_a_day_without_punctuation_and_reports_it() -> None:
    store = DailyStore("margin.daily", EXCHANGES, late_days=60, history_days=2)
    rows = balances(DAYS[0], {"600000.SH": 1e9})
    store.apply(rows)
    store.close(EndOfDay(feed="margin.daily", trade_date=DAYS[0], expected={"SSE": 1}, source="test"))
    assert overdue_on(store, at(DAYS[1], 9)) is None  # the figures of a day appear before the open of the next one
    punctuation = overdue_on(store, at(DAYS[1], 9.5))
    assert punctuation is not None
    assert (punctuation.trade_date, punctuation.deadline) == (DAYS[0], True)
    assert store.close(punctuation).touched == {to_day(DAYS[0])}
    assert store.missing(to_day(DAYS[0])) == {"SZSE": -1}
    assert store.close(punctuation) == ApplyResult()
    # A row after the deadline counts as a revision.
    store.apply(balances(DAYS[0], {"000001.SZ": 2e9}))
    assert store.days[to_day(DAYS[0])].revision == 1


def test_deadlines_close_a_few_days_of_a_silent_feed_and_then_none() -> None:
    store = DailyStore("margin.daily", EXCHANGES, late_days=60, history_days=2)
    rows = balances(DAYS[0], {"600000.SH": 1e9, "000001.SZ": 1e9})
    store.apply(rows)
    store.close(end_of_day(rows))
    closed = []
    while (punctuation := overdue_on(store, at(DAYS[9], 12))) is not None:
        closed += store.close(punctuation).touched
    assert closed == [to_day(d) for d in DAYS[1:4]]
    assert store.missing(closed[0]) == {"SSE": -1, "SZSE": -1}


def test_an_empty_store_is_never_overdue() -> None:
    assert overdue_on(DailyStore("margin.daily", EXCHANGES, late_days=60, history_days=2), at(DAYS[9], 12)) is None


# -- the balance identity -----------------------------------------------------------------------------------------


def test_breaks_of_the_balance_identity_are_reported_and_change_no_figure() -> None:
    processor = stage()
    figures = {"600000.SH": (1.05e9, 8e7, 3e7), "600519.SH": (1.05e9, 8e7, 2.9e7), "000001.SZ": (5e9, 1.0, np.nan)}
    first = balances(DAYS[0], dict.fromkeys(figures, 1e9))
    rows = {code: dict(zip(("fin_balance", "fin_buy", "fin_repay"), f, strict=True)) for code, f in figures.items()}
    second = batch("margin.daily", DAYS[1], rows)
    (before,) = processor.fold([first, end_of_day(first)])
    (frame,) = processor.fold([second, end_of_day(second)])
    assert isinstance(before, FeatureFrame)
    assert isinstance(frame, FeatureFrame)
    assert before.header.identity.checked == 0
    assert (frame.header.identity.checked, frame.header.identity.broken) == (2, 1)  # Shenzhen publishes no repayments
    assert frame.header.identity.worst == {"600519.SH": pytest.approx(-1e6)}
    assert frame.columns["fin_balance"][frame.keys == to_id("600519.SH")] == [1.05e9]
    assert frame.header.identity.broken_balance == 0  # 1e6 is less than 1% of its balance
    assert load_frame(dump_frame(frame)).header == frame.header


@pytest.mark.parametrize(
    ("balance", "share"),
    [
        (1.05e9, 0.0),  # as expected
        (1.0605e9, 0.0),  # 0.99% above
        (1.0607e9, 1.0607 / (1.0607 + 1.05)),  # 1.01% above
        (0.0, 0.5),  # the whole balance is missing: its weight is what was expected
    ],
)
def test_the_share_of_the_balance_whose_securities_break_materially(balance: float, share: float) -> None:
    processor = stage()
    first = balances(DAYS[0], dict.fromkeys(("600000.SH", "600519.SH"), 1e9))
    good = {"fin_balance": 1.05e9, "fin_buy": 8e7, "fin_repay": 3e7}
    second = batch("margin.daily", DAYS[1], {"600000.SH": good, "600519.SH": good | {"fin_balance": balance}})
    processor.fold([first, end_of_day(first)])
    (frame,) = processor.fold([second, end_of_day(second)])
    assert isinstance(frame, FeatureFrame)
    assert frame.header.identity.broken_share == pytest.approx(share)
    assert load_frame(dump_frame(frame)).header == frame.header


def test_an_exchange_whose_total_breaks_the_identity_is_named() -> None:
    market = Market(1, Parameters(), EXCHANGES, xshg())
    for day, balance, repay in ((DAYS[0], 1e12, 1e10), (DAYS[1], 1e12, 1e10), (DAYS[2], 1e12, 9e9)):
        totals = batch("margin.market", day, {
            e: {"fin_balance": balance, "fin_buy": 1e10, "fin_repay": repay if e == "SSE" else np.nan}
            for e in EXCHANGES})  # fmt: skip
        found = signals(market.fold([totals, end_of_day(totals)]))
        broken = day == DAYS[2]
        assert found[day, "fin_balance"].identity_gaps == ({"SSE": -1e9} if broken else {})
        assert found[day, "fin_balance"].identity_shares == ({"SSE": pytest.approx(-1e9 / 1.001e12)} if broken else {})


def test_replayed_frames_of_deleted_days_change_nothing() -> None:
    processor, market = stage(), Market(1, Parameters(late_days=3), EXCHANGES, xshg())
    frames: list[FeatureFrame] = []
    for i, day in enumerate(DAYS[:8]):
        rows = balances(day, {"600000.SH": 1e9 + i, "000001.SZ": 1e9 - i})
        frames += [f for f in processor.fold([rows, end_of_day(rows)]) if isinstance(f, FeatureFrame)]
    assert len(market.fold(frames)) == 8
    market.changed_rows()
    assert market.fold(frames) == []
    assert market.changed_rows() == {}


# -- any order of arrival -----------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from(EXCHANGES), st.floats(1e9, 1e12)), max_size=6),
    st.randoms(use_true_random=False),
)
@settings(max_examples=40, deadline=None)
def test_the_state_of_the_market_does_not_depend_on_how_topics_interleave(corrections, random) -> None:
    """Kafka guarantees the order within a topic; the interleaving of topics and the size of polls are random."""
    totals: list[RowBatch | EndOfDay] = []
    indices: list[RowBatch | EndOfDay] = []
    for i, day in enumerate(DAYS[:10]):
        one = market_day(day, 1e9 + i * 1e6, 2e9, 3000.0 + i)
        totals += one[:2]
        indices += one[2:]
    for revision, (i, exchange, balance) in enumerate(corrections, start=1):
        totals.append(batch("margin.market", DAYS[i], {exchange: {"fin_balance": balance, "fin_buy": 1e7}}, revision))
    ends = []
    for mixed in (False, True):
        market = Market(1, Parameters(excess_lag_days=3, high_low_days=5), EXCHANGES, xshg())
        found: dict[tuple[date, str], MarketSignal] = {}
        rows: dict[str, bytes | None] = {}
        queues = [list(totals), list(indices)]
        while any(queues):
            queue = random.choice([q for q in queues if q]) if mixed else next(q for q in queues if q)
            count = random.randint(1, 5) if mixed else len(queue)
            found |= signals(market.fold(queue[:count]))
            del queue[:count]
            rows |= market.changed_rows()
        ends.append((found, rows))
    assert ends[0] == ends[1]


@given(st.permutations(CODES), st.permutations(CODES))
@settings(max_examples=30, deadline=None)
def test_sums_of_a_session_do_not_depend_on_the_order_of_arrival(one, other) -> None:
    """A sum of floats depends on its order, which must be that of the keys."""
    sums = []
    for order in (one, other):
        processor = stage()
        for code in order:
            processor.fold([batch("margin.intraday", DAYS[1], {code: {"fin_buy": 0.1 * (1 + CODES.index(code))}})])
        rows = balances(DAYS[0], {code: 0.1 + 1e8 * CODES.index(code) for code in order})
        sums.append([p for p in processor.fold([rows, end_of_day(rows)]) if isinstance(p, Partial)])
    assert sums[0] == sums[1]
    assert sums[0][-1].balance > 0  # reported again: the balances before the session arrived after its rows
