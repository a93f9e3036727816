"""Tables of state: rows are a function of the values, a correction writes few rows, and versions are checked."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.column_table import ColumnTable, DayColumns, Layout, bucket_count, bucket_of
from processors.errors import StateError
from processors.events import EndOfDay, RowBatch
from processors.market import Market
from processors.needs import REFERENCE
from processors.outputs import FeatureFrame
from processors.parameters import Parameters
from processors.reference import ReferenceStore
from processors.registry import state_digest
from processors.securities import Securities
from processors.table import DAY, DAY_NUMBER, DAY_TEXT, NUMBER, TEXT, KeyCodec, Rows, Table, TableSet, ValueCodec
from streams.calendars import xshg
from tests.building import DAYS, balances, batch, end_of_day

EXCHANGES = ("SSE", "SZSE")
MANY = [f"{600000 + i * 7:06d}.SH" for i in range(900)]


class Columns:
    """A day of a test table: keys with one figure, and a note."""

    def __init__(self, note: str, figures: dict[int, float]) -> None:
        self.note = note
        self.figures = figures

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Columns) and (self.note, self.figures) == (other.note, other.figures)

    __hash__ = None  # type: ignore[assignment]


def to_columns(day: Columns) -> DayColumns[str]:
    keys = np.array(sorted(day.figures), dtype=np.int32)
    return DayColumns(day.note, keys, {"figure": np.array([day.figures[int(k)] for k in keys], dtype=np.float64)})


def from_columns(_day: int, stored: DayColumns[str]) -> Columns:
    return Columns(stored.header, dict(zip(stored.keys.tolist(), stored.columns["figure"].tolist(), strict=True)))


def column_table(*, declared: bool = True, keep: int | None = None) -> ColumnTable[int, Columns]:
    layout: Layout[str] = Layout(str, [("figure", "<f8")] if declared else ())
    return ColumnTable("days", DAY, layout, to_columns=to_columns, from_columns=from_columns, keep=keep)


def stored(rows: dict[str, bytes], changed: Rows) -> dict[str, bytes]:
    """Return the rows in Redis after a step."""
    for name, data in changed.items():
        if data is None:
            rows.pop(name, None)
        else:
            rows[name] = data
    return rows


days_of_figures = st.dictionaries(
    st.integers(0, 5), st.dictionaries(st.integers(1, 10**7), st.floats(allow_nan=False), max_size=150), max_size=4
)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.booleans()), max_size=30), st.data())
@settings(max_examples=60, deadline=None)
def test_rows_of_a_table_do_not_depend_on_the_batching_of_its_changes(changes, data) -> None:
    ends = []
    for cut in (False, True):
        table: Table[int, int] = Table("numbers", NUMBER, ValueCodec(int))
        rows: dict[str, bytes] = {}
        for key, value, delete in changes:
            if delete:
                table.pop(key, None)
            else:
                table[key] = value
            if cut and data.draw(st.booleans()):
                stored(rows, table.changed_rows())
        ends.append(stored(rows, table.changed_rows()))
        loaded: Table[int, int] = Table("numbers", NUMBER, ValueCodec(int))
        TableSet(loaded).load_rows(rows)
        assert dict(loaded) == dict(table)
        assert loaded.changed_rows() == {}
    assert ends[0] == ends[1]


@pytest.mark.parametrize(
    ("codec", "key", "text"),
    [
        (DAY, 18_263, "2020-01-02"),
        (DAY, -1, "1969-12-31"),
        (DAY_NUMBER, (18_263, 7), "2020-01-02/7"),
        (DAY_TEXT, (18_263, "fin_streak|600519.SH|up"), "2020-01-02/fin_streak|600519.SH|up"),
        (DAY_TEXT, (18_263, "a/b"), "2020-01-02/a/b"),
        (DAY_TEXT, (18_263, ""), "2020-01-02/"),
    ],
)
def test_a_key_is_the_text_of_its_field_and_is_read_back(codec: KeyCodec[object], key: object, text: str) -> None:
    assert codec.to_text(key) == text
    assert codec.parse(text) == key


def test_a_value_with_unchanged_bytes_is_stored_once() -> None:
    table: Table[str, int] = Table("numbers", TEXT, ValueCodec(int))
    table["a"] = 1
    first = table.changed_rows()
    assert list(first) == ["numbers/a"]
    for _ in range(2):
        table["a"] = 1
        assert table.changed_rows() == {}
    table["a"] = 2
    assert table.changed_rows() != first
    del table["a"]
    assert table.changed_rows() == {"numbers/a": None}
    table["a"] = 1
    assert table.changed_rows() == first  # it was deleted meanwhile


def test_a_value_that_changed_in_place_is_stored_once_it_is_touched() -> None:
    table: Table[str, list[int]] = Table("lists", TEXT, ValueCodec(list[int]))
    table["a"] = [1]
    table.changed_rows()
    table["a"].append(2)
    table.touch("a")
    (data,) = table.changed_rows().values()
    assert data is not None
    assert ValueCodec[list[int]](list[int]).decode(data) == [1, 2]


def test_a_day_has_a_power_of_two_of_buckets_with_64_rows_at_most_on_average() -> None:
    assert [bucket_count(rows) for rows in (0, 1, 64, 65, 128, 129, 4000)] == [1, 1, 1, 2, 2, 4, 64]


@given(st.lists(days_of_figures, min_size=1, max_size=5), st.booleans(), st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_rows_of_a_column_table_do_not_depend_on_the_batching_of_its_changes(steps, declared, random) -> None:
    ends = []
    for cut in (False, True):
        table, rows = column_table(declared=declared), dict[str, bytes]()
        for number, step in enumerate(steps):
            for day in [d for d in table if d not in step]:
                del table[day]
            for day, figures in step.items():
                table[day] = Columns(str(number % 2), figures)
                if cut and random.random() < 0.5:
                    stored(rows, table.changed_rows())
        ends.append(stored(rows, table.changed_rows()))
        loaded = column_table(declared=declared)
        TableSet(loaded).load_rows(rows)
        assert dict(loaded) == dict(table)
        assert loaded.changed_rows() == {}
    assert ends[0] == ends[1]


@pytest.mark.parametrize("then", ["delete", "assign", "nothing"])
def test_a_day_that_grew_in_place_leaves_no_bucket_behind(then: str) -> None:
    """Keys of one bucket of two: with twice as many buckets, the second one is empty."""
    keys = np.arange(1, 40_000, dtype=np.int32)
    upper = keys[bucket_of(keys, 2) == 1][:65].tolist()
    more = keys[bucket_of(keys, 4) == 3][-70:].tolist()
    table, rows = column_table(), dict[str, bytes]()
    table[3] = Columns("", dict.fromkeys(upper, 1.0))
    stored(rows, table.changed_rows())

    grown = table[3]
    grown.figures.update(dict.fromkeys(more, 2.0))
    table.touch(3, np.array(more, dtype=np.int32))
    if then == "delete":
        del table[3]
    elif then == "assign":
        table[3] = Columns("", dict(grown.figures))
    stored(rows, table.changed_rows())

    loaded = column_table()
    TableSet(loaded).load_rows(rows)
    assert dict(loaded) == dict(table)


@pytest.mark.parametrize("rows", [0, 1, 64, 65, 900, 5000])
def test_a_corrected_row_writes_its_header_and_one_bucket(rows: int) -> None:
    table = column_table()
    figures = {7 * i: float(i) for i in range(rows)}
    table[3] = Columns("", dict(figures))
    first = table.changed_rows()
    assert len(first) <= 1 + bucket_count(rows)
    if not rows:
        return
    table[3] = Columns("", figures | {7 * (rows // 2): -1.0})
    (changed,) = table.changed_rows().values()
    assert changed is not None
    assert len(changed) < 200 * 12
    table[3] = Columns("", figures | {7 * (rows // 2): -1.0})
    assert table.changed_rows() == {}


def test_keep_deletes_the_earliest_rows() -> None:
    table: Table[int, int] = Table("numbers", NUMBER, ValueCodec(int), keep=2)
    days = column_table(keep=2)
    for number in (5, 3, 4, 1):
        table[number] = number
        days[number] = Columns("", {1: 1.0})
    table.changed_rows()
    days.changed_rows()
    assert table.trim() == days.trim() == [1, 3]
    assert table.changed_rows() == {"numbers/1": None, "numbers/3": None}
    assert days.changed_rows() == dict.fromkeys(
        ["days/1970-01-02", "days/1970-01-02#0", "days/1970-01-04", "days/1970-01-04#0"]
    )


def test_a_row_of_another_version_or_of_no_table_is_refused_with_the_remedy() -> None:
    new: Table[str, int] = Table("numbers", TEXT, ValueCodec(int, version=2))
    old: Table[str, int] = Table("numbers", TEXT, ValueCodec(int))
    old["a"] = 1
    rows = {name: data for name, data in old.changed_rows().items() if data is not None}
    with pytest.raises(StateError, match=r"numbers: .*version 1, this release reads 2.*marginwatch rebuild"):
        TableSet(new).load_rows(rows)
    with pytest.raises(StateError, match=r"others/a belongs to no table.*marginwatch rebuild"):
        TableSet(new).load_rows({"others/a": b""})
    assert TableSet(new).schema != TableSet(old).schema


@pytest.mark.parametrize("damage", ["header", "bucket", "lost bucket", "lost header"])
def test_a_damaged_day_is_refused(damage: str) -> None:
    table = column_table()
    table[0] = Columns("", dict.fromkeys(range(200), 1.0))
    rows = {name: data for name, data in table.changed_rows().items() if data is not None}
    if damage == "header":
        rows["days/1970-01-01"] = b"\xc1"
    elif damage == "bucket":
        rows["days/1970-01-01#1"] += b"x"
    elif damage == "lost bucket":
        del rows["days/1970-01-01#2"]
    else:
        del rows["days/1970-01-01"]
    with pytest.raises(StateError, match="marginwatch rebuild"):
        TableSet(column_table()).load_rows(rows)


def test_every_table_of_a_set_has_its_own_name() -> None:
    with pytest.raises(StateError, match="two tables are named days"):
        TableSet(column_table(), column_table())


def test_the_schema_changes_with_the_columns() -> None:
    class Header(msgspec.Struct):
        pass

    layouts = [Layout(Header, [("a", "<f8")]), Layout(Header, [("b", "<f8")]), Layout(Header, [("a", "<f8")], 2)]
    assert len({layout.schema for layout in layouts}) == 3


# -- processors ---------------------------------------------------------------------------------------------------


def history(processor: Securities, days: int, rows: dict[str, bytes]) -> list[FeatureFrame]:
    frames = []
    for i, day in enumerate(DAYS[:days]):
        found = balances(day, {code: 1e9 + i * 1e6 + at for at, code in enumerate(MANY)})
        prices = batch("prices.daily", day, {code: {"close": 10.0 + i} for code in MANY})
        end = EndOfDay(feed="prices.daily", trade_date=day, expected={"SSE": len(MANY)}, source="test")
        frames += [f for f in processor.fold([found, end_of_day(found), prices, end]) if isinstance(f, FeatureFrame)]
        stored(rows, processor.changed_rows())
    return frames


def size(changed: Rows) -> int:
    return sum(len(name) + len(data or b"") for name, data in changed.items())


def test_a_correction_writes_a_few_rows_of_a_day_and_the_revisions_of_later_days() -> None:
    processor, market = Securities(0, Parameters(), ("SSE",), xshg()), Market(1, Parameters(), ("SSE",), xshg())
    rows: dict[str, bytes] = {}
    market.fold(history(processor, 12, rows))
    market.changed_rows()
    whole = size({name: data for name, data in rows.items() if name.startswith(f"margin.daily/{DAYS[2]}")})
    frames = [f for f in processor.fold([balances(DAYS[2], {MANY[5]: 2e9}, 1)]) if isinstance(f, FeatureFrame)]
    changed = processor.changed_rows()
    assert whole > 50_000
    assert size({n: d for n, d in changed.items() if n.startswith("margin.daily/") and "#" in n}) < 6_000
    # The streak of one security changes on every later day: one bucket a day.
    assert len([n for n in changed if n.startswith("derived/") and "#" in n]) <= 10
    assert size({n: d for n, d in changed.items() if "#" not in n}) < 10 * 100
    market.fold(frames)
    assert len([n for n in market.changed_rows() if n.startswith(("features.margin.daily/", "extreme/"))]) <= 10 * 4
    assert processor.changed_rows() == market.changed_rows() == {}


def test_a_reverted_correction_restores_the_bytes_of_the_derived_days() -> None:
    processor, rows = Securities(0, Parameters(), ("SSE",), xshg()), dict[str, bytes]()
    history(processor, 8, rows)
    before = {name: data for name, data in rows.items() if name.startswith("derived/")}
    for revision, balance in ((1, 2e9), (2, 1e9 + 2e6 + 5)):
        processor.fold([balances(DAYS[2], {MANY[5]: balance}, revision)])
        stored(rows, processor.changed_rows())
    assert {name: data for name, data in rows.items() if name.startswith("derived/")} == before


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 99), st.floats(1e8, 1e10)), max_size=5), st.data())
@settings(max_examples=10, deadline=None)
def test_a_stage_loaded_at_any_point_writes_the_same_rows(corrections, data) -> None:
    ends = []
    for reload in (False, True):
        processor, rows = Securities(0, Parameters(), ("SSE",), xshg()), dict[str, bytes]()
        items = []
        for i, day in enumerate(DAYS[:12]):
            found = balances(day, {code: 1e9 + i * 1e6 + at for at, code in enumerate(MANY[:100])})
            items.append([found, end_of_day(found)])
        items += [
            [balances(DAYS[at], {MANY[key]: value}, revision)]
            for revision, (at, key, value) in enumerate(corrections, start=1)
        ]
        for item in items:
            processor.fold(item)
            if reload and data.draw(st.booleans()):
                stored(rows, processor.changed_rows())
                if data.draw(st.booleans()):
                    processor = Securities(0, Parameters(), ("SSE",), xshg())
                    processor.load_rows(rows)
        ends.append(stored(rows, processor.changed_rows()))
    assert ends[0] == ends[1]


def test_days_outside_the_window_are_deleted_from_every_table() -> None:
    parameters = Parameters(late_days=2, score_days=1)
    processor, rows = Securities(0, parameters, ("SSE",), xshg()), dict[str, bytes]()
    history(processor, 16, rows)
    days = {name.partition("/")[2].partition("#")[0] for name in rows if name.startswith(("margin.daily/", "derived/"))}
    assert sorted(days) == [d.isoformat() for d in DAYS[8:16]]  # 2 late ones, and a week before the older of them


# -- the reference ------------------------------------------------------------------------------------------------


def slow_members(store: ReferenceStore, day: int) -> dict[int, tuple[float, ...]]:
    """Every security's newest row up to a day, folded from the first day; it is listed unless its row denies it."""
    found: dict[int, tuple[float, ...]] = {}
    for known in store.store.closed_days():
        if known <= day:
            for column in store.store.columns_on(known).tolist():
                key = int(store.store.keys[column])
                row = {name: float(store.store.figure(known, name)[column]) for name in store.store.names}
                row["listed"] = 1.0 if np.isnan(row["listed"]) else row["listed"]
                found[key] = tuple(row.values())
    return found


def reference_rows(at: int, industries: dict[int, int], revision: int) -> RowBatch:
    day = xshg().day_at(xshg().position(int(np.datetime64("2018-01-02").astype(int))) + at)
    rows = batch(
        REFERENCE, DAYS[0], {MANY[key]: {"industry": float(value)} for key, value in industries.items()}, revision
    )
    rows.days[:] = day
    return rows


@given(
    st.lists(
        st.tuples(
            st.integers(0, 90), st.dictionaries(st.integers(0, 12), st.integers(0, 30), min_size=1), st.integers(0, 90)
        ),
        min_size=1,
        max_size=60,
    )
)
@settings(max_examples=60, deadline=None)
def test_members_equal_a_fold_of_every_reference_day(steps) -> None:
    store = ReferenceStore(late_days=200, keep_days=200)
    days = xshg().between(int(np.datetime64("2018-01-02").astype(int)), int(np.datetime64("2018-12-28").astype(int)))
    for revision, (at, industries, asked) in enumerate(steps):
        rows = reference_rows(at, industries, revision)
        store.store.apply(rows)
        store.store.close(end_of_day(rows))
        for day in (int(days[asked]), int(days[-1]), int(days[at])):
            expected = slow_members(store, day)
            closed = [d for d in store.store.closed_days() if d <= day]
            assert store.is_closed(day) == bool(closed)
            assert store.revision(day) == sum(1 + store.store.days[d].revision for d in closed) - 1
            assert store.known_at(day) == max((store.store.days[d].available_at for d in closed), default=0)
            members = store.members(day)
            nothing = tuple([np.nan] * len(store.store.names))
            assert np.array_equal(
                [[members.figures[name][i] for name in store.store.names] for i in range(len(members.keys))],
                [expected.get(key, nothing) for key in members.keys.tolist()],
                equal_nan=True,
            )


# -- what the registered signals need -----------------------------------------------------------------------------


def test_a_window_of_a_registered_signal_is_part_of_the_schema() -> None:
    """State of other windows differs from a replay, so it is rebuilt like the state of another release."""
    assert state_digest(Parameters()) == state_digest(Parameters())
    assert state_digest(Parameters()) != state_digest(Parameters(score_days=14))
    assert state_digest(Parameters()) == state_digest(Parameters(streak_flags=(3, 4)))


@pytest.mark.parametrize(
    "changed",
    [
        Parameters(inclusion_quiet_days=4),
        Parameters(minimum_balance_cny=2e7),
        Parameters(breadth_least=100),
    ],
    ids=["fin_change", "fin_change, minimum", "mean level"],
)
def test_a_parameter_that_changes_figures_in_frames_is_part_of_the_schema(changed: Parameters) -> None:
    """Frames computed with other parameters would be read as those of this release."""
    assert state_digest(Parameters()) != state_digest(changed)
