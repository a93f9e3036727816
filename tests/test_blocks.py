"""The size of a block and the cut of a fold change no bit of what is published, nor of what is stored."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from feeds.folder import read
from processors.days import to_date, to_day
from processors.events import EndOfDay, RowBatch, concat
from processors.history import end_of_day, replay
from processors.market import INPUTS, Market
from processors.outputs import FeatureFrame, IndustrySignals, MarketSignal, SecuritySignals, StageOutput
from processors.parameters import Parameters
from processors.partition_join import dump_frame
from processors.securities import INPUTS as SECURITIES_INPUTS
from processors.securities import Securities
from streams.calendars import xshg
from tests.building import batch
from tests.folding import EXCHANGES, Days
from tests.made_market import SMALL, small_market, with_made_rows

SIZES = (1, 2, 7, 64)
TOPICS = ("margin.market", "indices.daily", "rates.daily", "etf.daily", "margin.daily", "prices.daily",
          "valuations.daily", "reference")  # fmt: skip
Rows = dict[str, bytes]


def bits(made: StageOutput) -> tuple[Any, ...]:
    """All bytes of an output; equal only if every bit is."""
    if isinstance(made, MarketSignal):
        return "provisional" if made.provisional else "market", made.name, made.trade_date, msgspec.msgpack.encode(made)
    columns = tuple((name, values.dtype.str, values.tobytes()) for name, values in made.columns.items())
    status = msgspec.msgpack.encode(made.status)
    if isinstance(made, IndustrySignals):
        return "industry", "", made.status.trade_date, (columns, status, tuple(made.left_out.items()))
    return made.family, "", made.status.trade_date, (columns, status, made.keys.tobytes(), tuple(made.left_out.items()))


def stored(rows: Rows, changed: dict[str, bytes | None]) -> None:
    """Apply changed rows to what is stored, as the store does."""
    for key, value in changed.items():
        if value is None:
            rows.pop(key, None)
        else:
            rows[key] = value


def fold_in_parts(
    items: list[Any], parameters: Parameters, parts: list[int], block_days: int
) -> tuple[list[Any], Rows]:
    """Fold items cut into parts of the given sizes and the rest; return the outputs in order, and what is stored."""
    market, out, rows = Market(1, parameters, EXCHANGES, xshg(), block_days=block_days), [], Rows()
    at = 0
    for size in [*parts, len(items)]:
        out += [bits(made) for made in market.fold(items[at : at + size])]
        stored(rows, market.changed_rows())
        at += size
        if at >= len(items):
            break
    return out, rows


def newest(outputs: list[Any]) -> dict[tuple[Any, ...], Any]:
    """The last final output of each day and name: a fold of many days publishes once what one of few corrects later."""
    return {(kind, name, day): made for kind, name, day, made in outputs if kind != "provisional"}


def items_of(events: list[RowBatch | EndOfDay], parameters: Parameters) -> list[Any]:
    """What the market stage is given: its own events, and the frames of the others."""
    securities, out = Securities(0, parameters, EXCHANGES, xshg()), list[Any]()
    for event in events:
        topic = event.topic if isinstance(event, RowBatch) else event.feed
        if topic in INPUTS:
            out.append(event)
        else:
            out += [one for one in securities.fold([event]) if isinstance(one, FeatureFrame)]
    return out


def events_of(days: Days) -> list[RowBatch | EndOfDay]:
    """Rows and markers of every day and topic, in their order."""
    return [
        one
        for _, feeds in sorted(days.items())
        for topic in TOPICS
        if topic in feeds
        for one in (feeds[topic], end_of_day(feeds[topic]))
    ]


def families(outputs: list[Any]) -> set[str]:
    return {kind for kind, *_ in outputs} - {"provisional"}


@dataclass
class Arrivals:
    """Rows and markers in the order of arrival."""

    sessions: int
    gaps: set[tuple[int, str]]
    late: dict[str, int]
    corrections: list[tuple[int, int, str, float]]
    events: list[RowBatch | EndOfDay] = field(repr=False)


@st.composite
def histories(draw: st.DrawFn) -> Arrivals:
    """A few weeks of the small market with gaps, corrections and topics that arrive late, in the order of arrival."""
    days = small_market(sessions=draw(st.integers(3, 14)), gaps=False)
    order = sorted(days)
    place = st.integers(0, len(order) - 1)
    gaps = draw(st.sets(st.tuples(place, st.sampled_from(TOPICS[:-1])), max_size=6))
    late = draw(st.dictionaries(st.sampled_from(TOPICS), st.integers(1, 9), max_size=3))
    corrections = draw(
        st.lists(st.tuples(place, st.integers(1, 12), st.sampled_from(TOPICS[:-1]), st.floats(0.5, 2)), max_size=4)
    )
    arriving: list[tuple[float, int, list[RowBatch | EndOfDay]]] = []
    for i, day in enumerate(order):
        for number, topic in enumerate(TOPICS):
            if topic in days[day] and (i, topic) not in gaps:
                rows = days[day][topic]
                arriving.append((i + late.get(topic, 0), number, [rows, end_of_day(rows)]))
    for revision, (i, after, topic, factor) in enumerate(corrections, start=1):
        if topic in days[order[i]] and (i, topic) not in gaps:
            rows = days[order[i]][topic].take(np.arange(0, len(days[order[i]][topic]), 3))
            figures = {n: v if n == "style" else v * factor for n, v in rows.figures.items()}
            fixed = RowBatch(topic, rows.keys, rows.days, rows.revisions + revision, rows.stamps, figures)
            arriving.append((i + late.get(topic, 0) + after + 0.5, 0, [fixed]))
    events = [one for *_, found in sorted(arriving, key=lambda entry: entry[:2]) for one in found]
    return Arrivals(len(order), gaps, late, corrections, events)


@given(histories(), st.lists(st.integers(1, 30), max_size=12), st.sampled_from(SIZES), st.sampled_from(SIZES))
@settings(max_examples=20)
def test_neither_the_block_nor_the_cut_changes_a_bit(history, parts, size, other) -> None:
    items = items_of(history.events, SMALL)
    published, rows = fold_in_parts(items, SMALL, parts, size)
    again, same_rows = fold_in_parts(items, SMALL, parts, other)
    assert published == again  # the same cut: the same outputs in the same order
    assert rows == same_rows
    at_once, rows_at_once = fold_in_parts(items, SMALL, [], size)
    assert newest(published) == newest(at_once)
    assert rows == rows_at_once


@given(histories(), st.lists(st.integers(1, 40), max_size=8))
@settings(max_examples=15)
def test_the_cut_changes_no_bit_of_the_frames_of_the_securities(history, parts) -> None:
    own = [e for e in history.events if (e.topic if isinstance(e, RowBatch) else e.feed) in SECURITIES_INPUTS]
    ends = []
    for sizes in (parts, [1] * len(own)):
        securities, frames, rows, at = Securities(0, SMALL, EXCHANGES, xshg()), [], Rows(), 0
        for size in [*sizes, max(1, len(own))]:
            frames += [dump_frame(f) for f in securities.fold(own[at : at + size]) if isinstance(f, FeatureFrame)]
            stored(rows, securities.changed_rows())
            at += size
        ends.append((frames, rows))
    assert ends[0] == ends[1]


@pytest.mark.parametrize("late_days", [5, 30])
def test_a_fold_of_all_days_is_that_of_single_items(late_days: int) -> None:
    """All windows are full here; a fold has more days than a store keeps, and none is deleted before it is computed."""
    days = small_market()
    parameters = replace(SMALL, late_days=late_days)
    items = items_of(events_of(days), parameters)
    ends = [fold_in_parts(items, parameters, [], size) for size in SIZES]
    assert families(ends[0][0]) == {"market", "industry", "financing", "pricing"}
    for end in ends[1:]:
        assert end == ends[0]
    singly, rows = fold_in_parts(items, parameters, [1] * len(items), 64)
    assert newest(singly) == newest(ends[0][0])
    assert rows == ends[0][1]


def test_real_data_in_blocks_of_any_size(data_dir: Path) -> None:
    """The last month of a hundred sessions is folded at once, behind the others, so that its windows are full."""
    found = dict(read(data_dir, xshg(), date(2019, 11, 1), date(2020, 3, 31)).by_day())
    days = with_made_rows(found)
    before = len(items_of(events_of({day: days[day] for day in sorted(days)[:-22]}), Parameters()))
    every = items_of(events_of(days), Parameters())
    ends = [fold_in_parts(every, Parameters(), [before], size) for size in SIZES]
    assert families(ends[0][0]) == {"market", "industry", "financing", "pricing"}
    for end in ends[1:]:
        assert end[0] == ends[0][0]
        assert end[1] == ends[0][1]


def test_outputs_are_compared_by_all_of_their_bits() -> None:
    made = SecuritySignals.__dataclass_fields__.keys() | IndustrySignals.__dataclass_fields__.keys()
    assert made == {"status", "keys", "columns", "family", "left_out"}


@pytest.mark.parametrize("topic", ["margin.daily", "prices.daily", "valuations.daily"])
def test_a_batch_of_more_days_than_are_kept_gives_the_frames_of_single_days(topic: str) -> None:
    parameters = replace(SMALL, late_days=5)
    days = [feeds[topic] for _, feeds in sorted(small_market(gaps=False).items())]

    def frames(batches: list[RowBatch]) -> tuple[dict[int, bytes], Rows]:
        securities, rows = Securities(0, parameters, EXCHANGES, xshg()), Rows()
        out = [one for batch in batches for one in securities.fold([batch])]
        stored(rows, securities.changed_rows())
        return {one.day: dump_frame(one) for one in out if isinstance(one, FeatureFrame)}, rows

    expected, rows = frames(days)
    whole, same_rows = frames([concat(days)])
    assert len(expected) == len(days) - 1
    assert whole == expected
    assert same_rows == rows


@pytest.mark.parametrize("topic", ["margin.daily", "prices.daily", "valuations.daily"])
def test_a_batch_may_correct_a_day_and_move_the_window_past_it(topic: str) -> None:
    days = [feeds[topic] for _, feeds in sorted(small_market(gaps=False).items())]
    late = SMALL.late_days
    corrected = replace(days[late + 2], revisions=days[late + 2].revisions + 1)
    securities = Securities(0, SMALL, EXCHANGES, xshg())
    securities.fold([concat(days[: 2 * late])])
    frames = securities.fold([concat([corrected, *days[2 * late : 3 * late - 1]])])
    newest_days = {int(rows.days[0]) for rows in days[2 * late : 3 * late - 2]}
    assert newest_days <= {one.day for one in frames if isinstance(one, FeatureFrame)}


def test_a_batch_of_more_days_of_funds_than_are_kept_gives_the_signals_of_single_days() -> None:
    parameters = replace(SMALL, late_days=5)
    days = [feeds["etf.daily"] for _, feeds in sorted(small_market(gaps=False).items())]
    expected, rows = fold_in_parts(list(days), parameters, [1] * len(days), 64)
    whole, same_rows = fold_in_parts([concat(days)], parameters, [], 64)
    assert newest(whole) == newest(expected)
    assert same_rows == rows


# -- any rows, however they are cut -----------------------------------------------------------------------------------

FEW_DAYS = replace(SMALL, late_days=3)
SESSIONS = [to_date(day) for day in xshg().between(to_day(date(2020, 1, 2)), to_day(date(2020, 6, 30)))]
CODES = {"etf.daily": ("510050.SH", "159915.SZ", "510300.SH")}
NAMES = {"margin.daily": ("fin_balance", "fin_buy"), "prices.daily": ("close", "prev_close"),
         "valuations.daily": ("pe", "pb"), "etf.daily": ("shares", "price")}  # fmt: skip

Step = tuple[int, int, tuple[float, float] | None, int, int]


@dataclass
class Steps:
    """Single rows, punctuation, and the places where batches are cut.

    Parameters
    ----------
    steps : days from the newest session so far (later or earlier ones), number of the security, figures, revision,
        stamp; one without figures is the punctuation of the day.
    cuts : a batch, and a fold of the market stage, ends before each of these steps.
    """

    steps: list[Step]
    cuts: set[int]

    def events(self, topic: str) -> list[RowBatch | EndOfDay]:
        """One event for each step."""
        out: list[RowBatch | EndOfDay] = []
        newest = 0
        for ahead, number, figures, revision, stamp in self.steps:
            session = SESSIONS[max(0, newest + ahead)]
            newest = max(newest, newest + ahead)
            if figures is None:
                out.append(EndOfDay(feed=topic, trade_date=session, expected={"SSE": 1, "SZSE": 1}, source="test"))
                continue
            code = CODES.get(topic, ("600000.SH", "000001.SZ", "600519.SH"))[number]
            row = batch(topic, session, {code: dict(zip(NAMES[topic], figures, strict=True))}, revision)
            # A correction moves a fund to another style.
            style = {"style": np.full(1, float((number + revision) % 2))} if topic == "etf.daily" else {}
            out.append(replace(row, stamps=row.stamps + stamp * 86_400_000_000, figures=row.figures | style))
        return out

    def folds(self, topic: str) -> list[list[RowBatch | EndOfDay]]:
        """The events by fold; consecutive rows of a fold are one batch."""
        folds: list[list[RowBatch | EndOfDay]] = [[]]
        for i, event in enumerate(self.events(topic)):
            if i in self.cuts:
                folds.append([])
            last = folds[-1][-1] if folds[-1] else None
            if isinstance(event, RowBatch) and isinstance(last, RowBatch):
                folds[-1][-1] = concat([last, event])
            else:
                folds[-1].append(event)
        return folds


@st.composite
def steps(draw: st.DrawFn) -> Steps:
    """Rows of new days, of late days up to a little beyond the window, and corrections, in any order."""
    figure = st.sampled_from([1e9, 1.1e9, 1.2e9, 0.5e9])
    figures: st.SearchStrategy[tuple[float, float] | None] = st.tuples(figure, figure)
    if draw(st.booleans()):
        figures = st.one_of(figures, figures, figures, st.none())
    step = st.tuples(st.sampled_from([1, 1, 1, 0, 0, 2, -1, -2, -3, -4]), st.integers(0, 2), figures,
                     st.integers(0, 2), st.integers(0, 9))  # fmt: skip
    return Steps(draw(st.lists(step, min_size=4, max_size=50)), draw(st.sets(st.integers(1, 49), max_size=4)))


def row(ahead: int, i: int = 0, *, revision: int = 0, stamp: int = 0) -> Step:
    return ahead, 0, (1e9 + i * 1e8, 1e9), revision, stamp


CLOSE: Step = (0, 0, None, 0, 0)
DAILY = [row(1, i) for i in range(12)]
#: Every fifth day is known late, and every fourth day corrects an old one.
CORRECTED = [
    step
    for i in range(30)
    for step in (row(1, i, stamp=9 * (i % 5 == 0)), row(-2, i + 9, revision=1))[: 2 if i % 4 == 3 else 1]
]
#: A fold ends behind the 24th step alone.
CASES = [
    [*DAILY, row(-2, 20, revision=1), row(1), row(1), row(1)],  # a correction, then the days that delete its day
    [row(1, i, stamp=9 * (i % 5 == 0)) for i in range(30)],
    CORRECTED,
    [
        *(step for i in range(12) for step in (row(1, i, stamp=9 * (i == 6)), CLOSE)),
        row(-2, 20, revision=1),
        row(1),
        CLOSE,
        row(1),
        CLOSE,
    ],
    [row(1), CLOSE, *DAILY[:6], CLOSE, *DAILY[:3]],  # many open days are closed at once
    *([*DAILY[:days], row(2), row(-1)] for days in (10, 11, 12)),  # a day that is inserted, and still open
]


def cases(test: Callable[..., None]) -> Callable[..., None]:
    """Try `CASES`, too."""
    for case in CASES:
        test = example(Steps(case, {24}))(test)
    return test


@pytest.mark.parametrize("topic", ["margin.daily", "prices.daily", "valuations.daily"])
@given(steps())
@cases
@settings(max_examples=60)
def test_no_cut_of_any_rows_changes_a_bit_of_the_frames(topic: str, given_steps: Steps) -> None:
    ends = []
    for folds in ([[event] for event in given_steps.events(topic)], given_steps.folds(topic)):
        securities, frames, rows = Securities(0, FEW_DAYS, EXCHANGES, xshg()), dict[int, bytes](), Rows()
        for items in folds:
            frames |= {f.day: dump_frame(f) for f in securities.fold(items) if isinstance(f, FeatureFrame)}
            stored(rows, securities.changed_rows())
        ends.append((frames, rows))
    assert ends[0] == ends[1]


@given(steps())
@cases
@settings(max_examples=60)
def test_no_cut_of_any_rows_of_funds_changes_a_bit(given_steps: Steps) -> None:
    ends = []
    for folds in ([[event] for event in given_steps.events("etf.daily")], given_steps.folds("etf.daily")):
        market, outputs, rows = Market(1, FEW_DAYS, EXCHANGES, xshg()), [], Rows()
        for items in folds:
            outputs += [bits(made) for made in market.fold(items)]
            stored(rows, market.changed_rows())
        ends.append((newest(outputs), rows))
    assert ends[0] == ends[1]


def test_days_that_arrive_together_have_the_figures_of_days_that_arrive_one_by_one() -> None:
    days = [feeds for _, feeds in sorted(small_market(sessions=20).items())]
    alone, together = (
        newest([bits(one) for one in replay(days, SMALL, EXCHANGES, xshg(), days_per_fold=size)]) for size in (1, 8)
    )
    assert {kind for kind, *_ in alone} >= {"market", "industry", "financing", "pricing"}
    assert together == alone
