"""The daily store against a plain model of dictionaries, one row at a time, and its limits by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from processors import day_rows
from processors.codes import EXCHANGES, to_id
from processors.daily_store import ApplyResult, DailyStore
from processors.days import to_day
from processors.events import EndOfDay, RowBatch, concat
from processors.key_index import KeyIndex
from tests.building import DAYS, balances, batch, end_of_day
from tests.storing import StoredRows

CODES = ["600519.SH", "000001.SZ", "600000.SH", "300750.SZ", "430047.BJ"]
REQUIRED = ("SSE", "SZSE")
DAY_US = 86_400_000_000

# -- the model ---------------------------------------------------------------------------------------------------


@dataclass
class ModelDay:
    rows: dict[str, tuple[int, float]] = field(default_factory=dict)  # code → revision, balance
    expected: dict[str, int] = field(default_factory=dict)
    closed: bool = False
    revision: int = 0
    stamp: int = 0


@dataclass
class Model:
    """What a `DailyStore` must answer, by the sentences of its docstring."""

    required: tuple[str, ...]
    late: int
    keep: int
    days: dict[date, ModelDay] = field(default_factory=dict)
    marked: bool = False

    def takes(self, day: date) -> bool:
        newest = sorted(self.days)[-self.late :]
        return len(newest) < self.late or day >= newest[0]

    def entry(self, day: date) -> ModelDay | None:
        if not self.takes(day):
            return None
        found = self.days.setdefault(day, ModelDay())
        for old in sorted(self.days)[: -self.keep]:
            del self.days[old]
        return found

    def raise_from(self, day: date, step: int, result: ApplyResult, *, itself: bool) -> None:
        for other, entry in self.days.items():
            if entry.closed and (other > day or (itself and other == day)):
                entry.revision += step
                result.touched.add(to_day(other))

    def close_day(self, day: date, result: ApplyResult) -> None:
        self.days[day].closed = True
        result.touched.add(to_day(day))
        self.raise_from(day, 1, result, itself=False)

    def close_before(self, day: date, result: ApplyResult) -> None:
        for earlier in sorted(self.days):
            if earlier < day and not self.days[earlier].closed:
                self.close_day(earlier, result)

    def row(self, day: date, code: str, balance: float, revision: int, stamp: int, result: ApplyResult) -> None:
        entry = self.entry(day)
        if entry is None:
            result.too_old += 1
            return
        old = entry.rows.get(code, (-1, 0.0))
        if revision == old[0] and balance != old[1]:
            result.conflicts += 1
        elif revision <= old[0]:
            result.duplicates += 1
        else:
            entry.rows[code] = (revision, balance)
            entry.stamp = max(entry.stamp, stamp)
            result.accepted += 1
            if entry.closed:
                self.raise_from(day, revision - old[0], result, itself=True)

    def punctuation(self, punctuation: EndOfDay) -> ApplyResult:
        result, day = ApplyResult(), punctuation.trade_date
        entry = self.entry(day)
        if entry is None:
            result.too_old += 1
        elif punctuation.deadline:
            self.close_before(date.fromordinal(day.toordinal() + 1), result)
        else:
            self.marked = True
            known, before = entry.closed or bool(self.required), dict(entry.expected)
            entry.expected |= punctuation.expected
            if known and entry.expected == before:
                return result
            if entry.closed:
                self.raise_from(day, 1, result, itself=True)
            elif set(self.required) <= set(entry.expected):
                self.close_before(day, result)
                self.close_day(day, result)
        return result

    def missing(self, day: date) -> dict[str, int]:
        entry, out = self.days[day], {}
        for exchange in dict.fromkeys((*self.required, *entry.expected)):
            have = sum(exchange == exchange_of(code) for code in entry.rows)
            if exchange in entry.expected:
                if entry.expected[exchange] > have:
                    out[exchange] = entry.expected[exchange] - have
            elif self.marked or not have:
                out[exchange] = -1
        return out


def exchange_of(code: str) -> str:
    return EXCHANGES[to_id(code) % 4]


def stamped(rows: RowBatch, stamp: int) -> RowBatch:
    return RowBatch(rows.topic, rows.keys, rows.days, rows.revisions, np.full(len(rows), stamp), rows.figures)


Operation = tuple[str, object]
row_ = st.tuples(st.integers(0, 7), st.sampled_from(CODES), st.sampled_from([1.0, 2.0, 3.0]), st.integers(0, 2),
                 st.integers(1, 9))  # fmt: skip
marker_ = st.tuples(st.integers(0, 7), st.dictionaries(st.sampled_from(["SSE", "SZSE", "BSE"]), st.integers(0, 3)),
                    st.booleans())  # fmt: skip
operations = st.lists(
    st.one_of(st.tuples(st.just("row"), row_), st.tuples(st.just("row"), row_), st.tuples(st.just("marker"), marker_)),
    max_size=25,
)


def check(store: DailyStore, model: Model) -> None:
    """Every reading of the store equals the model's."""
    ordered = sorted(model.days)
    assert [d for d in map(to_day, DAYS[:8]) if d in store.days] == [to_day(d) for d in ordered]
    closed = [to_day(d) for d in ordered if model.days[d].closed]
    opened = [to_day(d) for d in ordered if not model.days[d].closed]
    assert list(store.closed_days()) == closed
    assert store.newest_closed() == max(closed, default=None)
    assert store.oldest_open() == min(opened, default=None)
    assert store.newest_with_rows() == max((to_day(d) for d in ordered if model.days[d].rows), default=None)
    for day in DAYS[:8]:
        number, entry = to_day(day), model.days.get(day, ModelDay())
        assert store.is_closed(number) == entry.closed
        assert list(store.closed_days(number)) == [d for d in closed if d >= number]
        assert store.newest_closed(before=number) == max((d for d in closed if d < number), default=None)
        columns, rows = store.columns_on(number), entry.rows if entry.closed else {}
        assert store.keys[columns].tolist() == sorted(to_id(c) for c in rows)
        assert store.figure(number, "fin_balance")[columns].tolist() == [rows[c][1] for c in sorted(rows, key=to_id)]
        for code in CODES:
            assert store.value(number, to_id(code), "fin_balance") == rows.get(code, (0, None))[1]
        if day in model.days:
            assert store.days[number].revision == entry.revision
            assert store.missing(number) == model.missing(day)
            at = ordered.index(day)
            before = [model.days[d] for d in ordered[max(0, at - store.late_days) : at + 1]]
            assert store.known_at(number) == max((d.stamp for d in before if d.closed), default=0)
            assert store.counts(number) == {
                e: n for e in EXCHANGES if (n := sum(exchange_of(c) == e for c in entry.rows))
            }


def apply_to_model(model: Model, day: date, code: str, balance: float, revision: int, stamp: int) -> ApplyResult:
    result = ApplyResult()
    if not model.marked:
        model.close_before(day, result)  # a feed without markers: its first row of a later day closes
    model.row(day, code, balance, revision, stamp, result)
    return result


@pytest.fixture(params=["whole", "packed"])
def _form(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closed days as they are, or each with the columns of its rows alone."""
    if request.param == "packed":
        monkeypatch.setattr(day_rows, "_FEW", 0)


@pytest.mark.usefixtures("_form")
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations, st.booleans(), st.integers(1, 4), st.integers(0, 2))
def test_the_store_answers_as_the_model_does(given_operations, exchanges: bool, late: int, history: int) -> None:
    required = REQUIRED if exchanges else ()
    changes: list[int] = []
    store, loaded = (
        DailyStore("margin.daily", required, late_days=late, history_days=history, on_change=on_change)
        for on_change in (changes.append, lambda _: None)
    )
    model, stored = Model(required, late, late + history), StoredRows()
    for kind, what in given_operations:
        before = set(store.days)
        if kind == "row":
            at, code, balance, revision, stamp = what
            rows = stamped(balances(DAYS[at], {code: balance}, revision), stamp)
            result = store.apply(rows)
            assert result == apply_to_model(model, DAYS[at], code, balance, revision, stamp)
        else:
            at, expected, deadline = what
            punctuation = EndOfDay(feed="margin.daily", trade_date=DAYS[at], expected=expected, source="test",
                              deadline=deadline)  # fmt: skip
            result = store.close(punctuation)
            assert result == model.punctuation(punctuation)
        check(store, model)
        # Whoever keeps figures of days is given the earliest one that changed, and every one that was deleted.
        gone = before - set(store.days)
        assert min(changes, default=None) == min(result.touched | gone, default=None)
        assert gone <= set(changes)
        changes.clear()
        stored.store(store.tables)
    stored.load(loaded.tables)
    check(loaded, model)


@pytest.mark.usefixtures("_form")
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(row_, max_size=20),
    st.lists(st.integers(0, 20), max_size=4).map(sorted),
    st.booleans(),
    st.integers(1, 8),
)
def test_a_batch_is_folded_like_its_rows_one_by_one(rows, cuts, marked: bool, late: int) -> None:
    one, other = (DailyStore("margin.daily", REQUIRED, late_days=late, history_days=1) for _ in range(2))
    if marked:
        for store in (one, other):
            store.close(
                EndOfDay(feed="margin.daily", trade_date=DAYS[0], expected={"SSE": 0, "SZSE": 0}, source="test")
            )
    single = [stamped(balances(DAYS[at], {code: v}, r), stamp) for at, code, v, r, stamp in rows]
    expected, found = ApplyResult(), ApplyResult()
    for row in single:
        expected.add(other.apply(row))
    for start, end in zip([0, *cuts], [*cuts, len(single)], strict=True):
        if single[start:end]:
            found.add(one.apply(concat(single[start:end])))
    assert (found.touched, found.accepted) == (expected.touched, expected.accepted)
    assert found.accepted + found.duplicates + found.conflicts + found.too_old == len(rows)
    assert {d: (e.closed, e.revision, e.available_at) for d, e in one.days.items()} == {
        d: (e.closed, e.revision, e.available_at) for d, e in other.days.items()
    }
    for day in one.days:
        for code in CODES:
            assert one.value(day, to_id(code), "fin_balance") == other.value(day, to_id(code), "fin_balance")


def test_a_closed_day_of_few_rows_takes_room_for_these_and_accepts_late_ones() -> None:
    store, loaded = (DailyStore("margin.daily", (), late_days=9, history_days=0) for _ in range(2))
    codes, stored = [f"{600000 + i}.SH" for i in range(1000)], StoredRows()
    for day, some in ((DAYS[0], codes), (DAYS[1], codes[:3]), (DAYS[2], [])):
        store.apply(balances(day, dict.fromkeys(some, 1.0)))
        store.close(EndOfDay(feed="margin.daily", trade_date=day, expected={"SSE": len(some)}, source="test"))
    few = to_day(DAYS[1])
    store.apply(balances(DAYS[1], {codes[7]: 2.0, codes[0]: 3.0}, 1))
    store.apply(balances(DAYS[3], {"000001.SZ": 1.0}))  # a key that the few do not know
    stored.store(store.tables)
    stored.load(loaded.tables)
    for one in (store, loaded):
        assert [one.days[to_day(day)].values.shape[1] for day in DAYS[:2]] == [1000, 4]
        columns = one.columns_on(few)
        assert one.keys[columns].tolist() == [to_id(codes[i]) for i in (0, 1, 2, 7)]
        figure = one.figure(few, "fin_balance")
        assert (len(figure), figure[columns].tolist()) == (1001, [3.0, 1.0, 1.0, 2.0])
        assert (np.isnan(figure).sum(), one.counts(few), one.days[few].revision) == (997, {"SSE": 4}, 3)


# -- by hand -----------------------------------------------------------------------------------------------------


def closed_store(days: int, late: int = 60, history: int = 2) -> DailyStore:
    store = DailyStore("margin.daily", REQUIRED, late_days=late, history_days=history)
    for day in DAYS[:days]:
        rows = balances(day, {"600000.SH": 1.0, "000001.SZ": 2.0})
        store.apply(rows)
        store.close(end_of_day(rows))
    return store


def test_what_a_batch_did_is_counted() -> None:
    store = closed_store(1)
    rows = concat([
        balances(DAYS[1], {"600000.SH": 1.0, "000001.SZ": 2.0}),
        balances(DAYS[1], {"600000.SH": 1.0}),  # the same again
        balances(DAYS[1], {"000001.SZ": 3.0}, 2),  # a correction
    ])  # fmt: skip
    assert store.apply(rows) == ApplyResult(accepted=3, duplicates=1)
    again = store.apply(concat([balances(DAYS[1], {"600000.SH": 9.0}), balances(DAYS[1], {"000001.SZ": 9.0}, 1)]))
    assert again == ApplyResult(duplicates=1, conflicts=1)


def test_conflicts_of_several_days_in_one_batch_are_all_counted() -> None:
    store = DailyStore("margin.daily", (), late_days=3, history_days=0)
    store.apply(concat([balances(day, {"600000.SH": 1.0, "000001.SZ": 2.0}) for day in DAYS[:2]]))
    other = concat([balances(DAYS[0], {"600000.SH": 5.0, "000001.SZ": 6.0}), balances(DAYS[1], {"600000.SH": 7.0})])
    assert store.apply(other) == ApplyResult(conflicts=3)


def test_results_add_up() -> None:
    total = ApplyResult(1, 2, 3, 4, {5})
    total.add(ApplyResult(10, 20, 30, 40, {50}))
    assert total == ApplyResult(11, 22, 33, 44, {5, 50})


def test_an_empty_batch_changes_nothing() -> None:
    store = DailyStore("margin.daily", (), late_days=3, history_days=0)
    assert store.apply(balances(DAYS[0], {"600000.SH": 1.0}).take(np.zeros(0, dtype=int))) == ApplyResult()
    assert list(store.closed_days()) == []


@pytest.mark.parametrize(
    ("revision", "step"), [(1, 1), (2, 2), (7, 7)],
)  # fmt: skip
def test_a_correction_raises_its_day_and_all_behind_it_by_its_own_step(revision: int, step: int) -> None:
    store = closed_store(4)
    found = store.apply(balances(DAYS[1], {"600000.SH": 5.0}, revision))
    assert found.touched == {to_day(d) for d in DAYS[1:4]}
    assert [store.days[to_day(d)].revision for d in DAYS[:4]] == [0, step, step, step]
    # A row that was absent counts as revision −1.
    store.apply(balances(DAYS[2], {"300750.SZ": 5.0}, revision))
    assert [store.days[to_day(d)].revision for d in DAYS[:4]] == [0, step, 2 * step + 1, 2 * step + 1]


def test_hundreds_of_keys_that_arrive_late_find_room_on_days_that_are_there_already() -> None:
    store = closed_store(2)
    many = {f"{n:06d}.SZ": float(n) for n in range(2, 400)}
    for at in (1, 0):
        assert store.apply(balances(DAYS[at], many)).accepted == 398
        for code, value in many.items():
            assert store.value(to_day(DAYS[at]), to_id(code), "fin_balance") == value
        assert store.value(to_day(DAYS[at]), to_id("600000.SH"), "fin_balance") == 1.0
    assert store.counts(to_day(DAYS[0])) == {"SSE": 1, "SZSE": 399}
    assert store.width == 400


def test_figures_of_a_day_that_has_fewer_keys_are_absent() -> None:
    store = closed_store(1)
    store.apply(balances(DAYS[1], {f"{n:06d}.SZ": 1.0 for n in range(2, 400)}))
    first = to_day(DAYS[0])
    assert np.isnan(store.figure(first, "fin_balance")).sum() == 398
    assert store.present(first).sum() == 2
    assert store.value(first, to_id("000300.SZ"), "fin_balance") is None
    assert np.isnan(store.figure(to_day(DAYS[5]), "fin_balance")).all()
    assert store.figure(to_day(DAYS[5]), "fin_balance").shape == store.present(to_day(DAYS[5])).shape == (400,)


def test_exchanges_are_keys_of_their_own_where_a_topic_has_words() -> None:
    store = DailyStore("margin.market", REQUIRED, late_days=3, history_days=0, label_keys=True)
    rows = batch("margin.market", DAYS[0], {"SSE": {"fin_balance": 1.0}, "BSE": {"fin_balance": 2.0}})
    store.apply(rows)
    assert store.counts(to_day(DAYS[0])) == {"SSE": 1, "BSE": 1}
    assert store.close(end_of_day(rows, SZSE=1)).touched == {to_day(DAYS[0])}
    assert store.missing(to_day(DAYS[0])) == {"SZSE": 1}


def test_a_figure_that_a_row_leaves_open_is_absent() -> None:
    store = DailyStore("margin.daily", (), late_days=3, history_days=0)
    store.apply(batch("margin.daily", DAYS[0], {"600000.SH": {"fin_balance": 1.0, "fin_repay": np.nan}}))
    store.close(EndOfDay(feed="margin.daily", trade_date=DAYS[0], expected={}, source="test", deadline=True))
    assert store.value(to_day(DAYS[0]), to_id("600000.SH"), "fin_repay") is None
    assert store.value(to_day(DAYS[0]), to_id("600000.SH"), "fin_balance") == 1.0
    # Two absent figures are equal: the same row again is a repeat, no conflict.
    again = batch("margin.daily", DAYS[0], {"600000.SH": {"fin_balance": 1.0, "fin_repay": np.nan}})
    assert store.apply(again) == ApplyResult(duplicates=1)
    known = batch("margin.daily", DAYS[0], {"600000.SH": {"fin_balance": 1.0, "fin_repay": 5.0}})
    assert store.apply(known) == ApplyResult(conflicts=1)


# -- where a key is kept -----------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.integers(0, 40), max_size=8), max_size=6))
def test_a_key_keeps_its_column(groups: list[list[int]]) -> None:
    index, columns = KeyIndex(), dict[int, int]()
    for group in groups:
        for key in sorted(set(group) - columns.keys()):
            columns[key] = len(columns)
        assert index.get_or_add(np.array(group, dtype=np.int32)).tolist() == [columns[k] for k in group]
        assert len(index) == len(columns)
        assert index.keys.tolist() == list(columns)
        assert index.keys[index.by_key].tolist() == sorted(columns)
        assert [index.get(k) for k in range(-1, 42)] == [columns.get(k) for k in range(-1, 42)]


def test_a_batch_whose_rows_move_the_window_is_folded_like_its_rows() -> None:
    """A new day closes the window to an old one from the new day's first row on, however the rows are cut."""

    def store_of(batches: list[RowBatch]) -> tuple[DailyStore, ApplyResult]:
        store, result = DailyStore("prices.daily", (), late_days=3, history_days=4), ApplyResult()
        store.close(end_of_day(batch("prices.daily", DAYS[0], {"600000.SH": {}})))
        for rows in batches:
            result.add(store.apply(rows))
        return store, result

    rows = [batch("prices.daily", DAYS[at], {"600000.SH": {}}) for at in (1, 2, 3)]
    rows += [batch("prices.daily", DAYS[4], {"600000.SH": {}}), batch("prices.daily", DAYS[1], {"600519.SH": {}})]
    single, one = store_of(rows)
    joined, other = store_of([concat(rows)])
    assert one.too_old == other.too_old == 1
    assert joined.tables.changed_rows() == single.tables.changed_rows()
