"""Half a year of the real market as a sequence of steps: sessions, corrections, partial and late days."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import numpy as np

from feeds.folder import read
from feeds.publication_times import available_at
from processors.arrays import Floats
from processors.codes import EXCHANGES, to_codes, to_id
from processors.days import to_day
from processors.events import FIGURES, RowBatch
from streams.calendars import xshg
from streams.form import Form
from streams.publisher import Publisher
from streams.records import ARROW, CE_TYPE, CLOSE_TYPE, CONTENT_TYPE
from streams.topics import partition_of
from tests.poison import POISON

#: Of the topics by security.
PARTITIONS = 4
START, END = date(2019, 1, 2), date(2019, 7, 5)
#: Days of the scenario with a running session before their close.
_SESSIONS = (20, 45, 75, 110)
#: Steps that publish a day, and those that correct its totals and its detail: every signal of it is published again.
CORRECTED = (("margin 38", "correction of day 38"), ("margin 51", "correction of day 51"))
#: A security that the corrections are about.
_CORRECTED_CODE = "600519.SH"
_MINUTES = (600, 660, 840, 895)  # of the day: 10:00, 11:00, 14:00, 14:55
_BAD = (b"{", b"[]", b'{"code": "600000.SH"}', b"\xff\xfe", b'{"code": "X", "trade_date": "2019-01-05"}')
#: Values and headers that are refused, by topic: every bad value in every form, and what once stopped a partition.
_POISON: dict[str, list[tuple[bytes, list[tuple[str, bytes]]]]] = {
    topic: [
        *((value, headers) for value in _BAD for headers in ([], [(CONTENT_TYPE, ARROW)], [(CE_TYPE, CLOSE_TYPE)])),
        *((value, headers) for of, value, headers in POISON if of == topic),
    ]
    for topic in FIGURES
}


@dataclass(frozen=True, slots=True)
class Step:
    """A unit of publication: rows in their order, then the punctuation of the closed feeds."""

    name: str
    rows: list[RowBatch]
    closes: list[RowBatch] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Variant:
    """The form in which the same facts are published.

    Parameters
    ----------
    shuffled : whether rows and feeds of a step are published in random order, before its punctuation.
    duplicated : share of the rows that are published twice.
    poisoned : share of the messages that are followed by an invalid message.
    """

    form: Form = Form.FRAMES
    shuffled: bool = False
    duplicated: float = 0.0
    poisoned: float = 0.0


def build(data_dir: Path, length: int = 122, part: int = 1) -> list[Step]:
    """Return the steps of the first ``length`` trading days of the real data.

    Parameters
    ----------
    part : one of so many securities is kept; the exchanges' totals are those of all.
    """
    folder = read(data_dir, xshg(), START, END)
    for year in folder.years:
        year.pop("etf.daily", None)
    days = list(folder.by_day())[:length]
    assert len(days) == length
    for _, batches in days:
        margin = batches["margin.daily"]
        batches["margin.daily"] = margin.take(margin.keys // 4 % part == to_id(_CORRECTED_CODE) // 4 % part)
    master = days[0][1]["reference"]
    steps = [Step("reference", [master], [master])]
    for i, (day, batches) in enumerate(days):
        margin, totals, indices = (batches[t] for t in ("margin.daily", "margin.market", "indices.daily"))
        prices = _prices(margin, day)
        if i in _SESSIONS or i == len(days) - 1:
            steps += _session(f"session {i}", day, days[i - 1][1], batches)
        evening = Step(f"close {i}", [indices, prices], [indices, prices])
        morning = Step(f"margin {i}", [margin, totals], [margin, totals])
        if i == 25:  # Shenzhen publishes its totals three days late
            early = totals.take(totals.keys == EXCHANGES.index("SSE"))
            morning = Step(f"margin {i}", [margin, early], [margin, early])
        if i == 30:  # the detail of a whole day arrives late
            morning = Step(f"margin {i}", [totals], [totals])
        steps += [evening, morning]
        if i == 28:
            steps.append(Step("late totals of day 25", [days[25][1]["margin.market"]], [days[25][1]["margin.market"]]))
        if i == 33:
            steps.append(Step("late detail of day 30", [days[30][1]["margin.daily"]], [days[30][1]["margin.daily"]]))
        if i == 40:
            steps += _corrections(38, days[38][1])
        if i == 54:
            steps += _corrections(51, days[51][1])
        if i == 52:
            steps.append(Step("day 50 again", [days[50][1]["margin.daily"]], [days[50][1]["margin.daily"]]))
        if day == to_day(date(2019, 3, 19)):  # removes the breakdown of 2019-03-14
            wrong = dict(days)[to_day(date(2019, 3, 14))]["margin.market"]
            steps.append(Step("correction of a peak", [_corrected(wrong, "SZSE", "fin_buy", 1.30)]))
    return steps


def _corrections(number: int, batches: dict[str, RowBatch]) -> Iterator[Step]:
    """Yield a correction of a day, and another one of the same partition, which a worker may read with the first."""
    margin = batches["margin.daily"]
    yield Step(
        f"correction of day {number}",
        [
            _corrected(batches["margin.market"], "SSE", "fin_buy", 1.02),
            _corrected(margin, _CORRECTED_CODE, "fin_balance", 1.03),
        ],
    )
    place = partition_of(_CORRECTED_CODE, PARTITIONS)
    other = next(c for c in to_codes(margin.keys) if c != _CORRECTED_CODE and partition_of(c, PARTITIONS) == place)
    yield Step(f"second correction of day {number}", [_corrected(margin, other, "fin_balance", 1.01)])


def _prices(margin: RowBatch, day: int) -> RowBatch:
    """Return Shenzhen's closes, which follow exactly from the lent shares: value / volume."""
    lent = (margin.keys % 4 == 1) & (margin.figures["short_volume"] > 0)
    rows = margin.take(lent)
    close = (rows.figures["short_balance"] / rows.figures["short_volume"]).round(2)
    rows = rows.take(close > 0)
    return _rows("prices.daily", rows.keys, day, available_at("prices.daily", day, xshg()), {"close": close[close > 0]})


def _session(name: str, day: int, before: dict[str, RowBatch], today: dict[str, RowBatch]) -> Iterator[Step]:
    """Yield snapshots between the closes of two days, inside the day's range; turnover and buys are cumulative."""
    indices, margin = today["indices.daily"], today["margin.daily"]
    indices = indices.take(~np.isnan(indices.figures["close"]) & ~np.isnan(indices.figures["turnover"]))
    prices, previous = _prices(margin, day), _prices(before["margin.daily"], day)
    both = np.intersect1d(prices.keys, previous.keys)
    prices, previous = prices.take(np.isin(prices.keys, both)), previous.take(np.isin(previous.keys, both))
    for i, minute in enumerate(_MINUTES, start=1):
        done, ts = i / len(_MINUTES), day * 86_400_000_000 + (minute - 480) * 60_000_000
        level = ("open", "low", "high", "close")[i - 1]
        old, new = previous.figures["close"], prices.figures["close"]
        yield Step(
            f"{name} {minute}",
            [
                _rows("indices.intraday", indices.keys, day, ts, {
                    "last": indices.figures[level], "prev_close": indices.figures["prev_close"],
                    "volume": indices.figures["volume"] * done, "turnover": indices.figures["turnover"] * done}),
                _rows("prices.intraday", prices.keys, day, ts, {
                    "last": (old + (new - old) * done).round(2), "prev_close": old,
                    "volume": np.zeros(len(old)), "turnover": np.zeros(len(old))}),
                _rows("margin.intraday", margin.keys, day, ts, {
                    "fin_buy": margin.figures["fin_buy"] * done, "fin_repay": margin.figures["fin_buy"] * done * 0.9}),
            ],
        )  # fmt: skip


def _rows(topic: str, keys: np.ndarray, day: int, stamp: int, figures: dict[str, Floats]) -> RowBatch:
    size = len(keys)
    columns = {c.name: np.asarray(figures.get(c.name, np.full(size, np.nan))) for c in FIGURES[topic]}
    return RowBatch(topic, keys, np.full(size, day, np.int32), np.zeros(size, np.int32), np.full(size, stamp), columns)


def _corrected(batch: RowBatch, key: str, figure: str, factor: float) -> RowBatch:
    row = batch.take(batch.keys == (EXCHANGES.index(key) if key in EXCHANGES else to_id(key)))
    assert len(row) == 1
    return replace(row, revisions=row.revisions + 1, figures=row.figures | {figure: row.figures[figure] * factor})


def publish(publisher: Publisher, step: Step, variant: Variant, rng: random.Random) -> None:
    """Publish a step in the form of the variant, and wait for the acknowledgements."""
    batches = [(b, len(b)) for b in step.rows]
    if variant.shuffled:
        batches = _shuffled(step.rows, rng)
    if variant.duplicated:
        again = [b.take(np.array(sorted(rng.sample(range(n), int(n * variant.duplicated))), dtype=np.intp))
                 for b, n in batches]  # fmt: skip
        batches += [(b, len(b)) for b in again if len(b)]
        if variant.shuffled:
            rng.shuffle(batches)
    for batch, size in batches:
        publisher.rows_of(batch)
        messages = size if variant.form is Form.EVENTS else 4
        for _ in range(_drawn(messages * variant.poisoned, rng)):
            _poison(publisher, batch.topic, rng)
    for batch in step.closes:
        publisher.close_day(batch)
        if variant.duplicated:
            publisher.close_day(batch)
    publisher.flush()


def _drawn(expected: float, rng: random.Random) -> int:
    return int(expected) + (rng.random() < expected % 1)


def _shuffled(batches: list[RowBatch], rng: random.Random) -> list[tuple[RowBatch, int]]:
    """Return the rows of every feed in random order, in pieces that are in random order."""
    pieces = []
    for batch in batches:
        order = np.array(rng.sample(range(len(batch)), len(batch)), dtype=np.intp)
        pieces += [(batch.take(part), len(part)) for part in np.array_split(order, min(4, len(batch)))]
    rng.shuffle(pieces)
    return pieces


def _poison(publisher: Publisher, topic: str, rng: random.Random) -> None:
    value, headers = rng.choice(_POISON[topic])
    position = partition_of("600000.SH", publisher.settings.partitions) % publisher.topics.partitions(topic)
    publisher.raw(topic, value, partition=position, headers=headers)


def all_rows(steps: list[Step]) -> int:
    """Return the number of rows of a scenario."""
    return sum(len(b) for step in steps for b in step.rows)
