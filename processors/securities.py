"""The securities stage: each security's own history, by partition.

The stage folds ``margin.daily`` into a `DailyStore`. For every closed day it computes the figures of a security's own
history (Δ, streak, age in the list), and emits a `FeatureFrame` with the columns that the registered signals need. It
folds intraday rows into an `IntradayStore` and emits their sums as a `Partial`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass

import msgspec
import numpy as np
import numpy.typing as npt

from processors.arrays import Array, Floats, Ids, Indexer, Mask
from processors.chart_windows import ChartWindows
from processors.codes import EXCHANGES, to_codes
from processors.column_table import ColumnTable, DayColumns, Layout
from processors.daily_store import ApplyResult, DailyStore
from processors.days import TradingCalendar
from processors.events import EndOfDay, RowBatch
from processors.indicators import fin_change, streak
from processors.intraday_store import IntradayStore
from processors.kinds import is_stock
from processors.needs import CHARTS, DETAIL, PRICES, VALUATIONS, Need, session_before
from processors.outputs import MAX_NAMED_GAPS, ChartFrame, FeatureFrame, FrameHeader, IdentityCheck, Partial
from processors.parameters import Parameters
from processors.price_levels import PriceLevels
from processors.registry import frame_columns
from processors.table import DAY, Processor, TableSet

INPUTS = (DETAIL, PRICES, VALUATIONS, "margin.intraday", "prices.intraday")


@dataclass(slots=True)
class Derived:
    """Results of one closed day; arrays (n,) by column of the store."""

    change: Floats  # Δ, a fraction
    streak: npt.NDArray[np.int32]  # days, negative for falls
    age: npt.NDArray[np.int32]  # days in the margin list since inclusion
    published: frozenset[str]  # exchanges that published a list on this day or before

    def of(self, signal: str) -> Array:
        """Return a signal of the securities' own history by its id (n,)."""
        figures: dict[str, Array] = {"fin_change": self.change, "fin_streak": self.streak}
        return figures[signal]


class _DerivedHeader(msgspec.Struct, array_like=True):
    published: list[str]


_DERIVED = Layout[_DerivedHeader](_DerivedHeader, [("change", "<f8"), ("streak", "<i4"), ("age", "<i4")])


class Securities(Processor):
    """State of one partition of the securities stage.

    Parameters
    ----------
    partition : number of the partition.
    required : exchanges whose punctuation closes a day of the margin detail.
    """

    def __init__(
        self, partition: int, parameters: Parameters, required: tuple[str, ...], calendar: TradingCalendar
    ) -> None:
        self.partition = partition
        self.parameters = parameters
        self._calendar = calendar
        self._columns = {topic: frame_columns(topic, parameters) for topic in (DETAIL, VALUATIONS)}
        history = {t: max(need.reach(parameters) for need in of.values()) for t, of in self._columns.items()}
        self.margin = DailyStore(DETAIL, required, late_days=parameters.late_days, history_days=history[DETAIL])
        self.prices = PriceLevels(parameters, calendar)
        self._charts = ChartWindows(self.prices, calendar)
        # Any punctuation closes a day, as for prices.
        self.valuations = DailyStore(VALUATIONS, (), late_days=parameters.late_days, history_days=history[VALUATIONS])
        self.derived = ColumnTable[int, Derived](
            "derived", DAY, _DERIVED, to_columns=self._to_columns, from_columns=self._from_columns
        )
        self.intraday = IntradayStore()
        self.stores = {store.topic: store for store in (self.margin, self.prices.store, self.valuations)}
        self._frames_of: dict[str, Callable[[ApplyResult], Sequence[FeatureFrame | ChartFrame]]] = {
            DETAIL: self._margin_frames,
            PRICES: self._price_frames,
            VALUATIONS: self._valuation_frames,
        }
        self.tables = TableSet(
            self.margin.tables, self.derived, self.prices.tables, self.valuations.tables, self.intraday.tables
        )
        self.applied = ApplyResult()
        self._coverage: tuple[tuple[int | None, int, int], tuple[float, float]] | None = None
        self._reported: tuple[int | None, int, int] | None = None

    def fold(self, items: Iterable[RowBatch | EndOfDay]) -> list[FeatureFrame | ChartFrame | Partial]:
        """Fold rows and punctuation in their order; return the outputs for the market stage."""
        out: list[FeatureFrame | ChartFrame | Partial] = []
        intraday_changed = False
        for item in self._parts(items):
            topic = item.feed if isinstance(item, EndOfDay) else item.topic
            if topic in self.stores:
                applied = self.stores[topic].fold(item)
                self.applied.add(applied)
                out += self._frames_of[topic](applied)
            elif isinstance(item, RowBatch):
                accepted = self.intraday.apply(item)
                self.applied.accepted += accepted
                self.applied.duplicates += len(item) - accepted
                intraday_changed |= bool(accepted)
        if self.intraday.day and (intraday_changed or self._coverage_key() != self._reported):
            out.append(self._partial())
        return out

    def _parts(self, items: Iterable[RowBatch | EndOfDay]) -> Iterator[RowBatch | EndOfDay]:
        """Cut batches so that a day is computed before it, or a day that it reads, is deleted."""
        for item in items:
            if isinstance(item, RowBatch) and item.topic in self.stores:
                yield from self.stores[item.topic].by_new_day(item)
            else:
                yield item

    # -- final values ----------------------------------------------------------------------------------------

    def _margin_frames(self, applied: ApplyResult) -> list[FeatureFrame]:
        for old in [day for day in self.derived if day not in self.margin.days]:
            del self.derived[old]
        frames = []
        for day in self.margin.closed_since(applied):
            self._derive(day)
            frames.append(self._frame(day))
        return frames

    def _price_frames(self, applied: ApplyResult) -> list[FeatureFrame | ChartFrame]:
        store, frames = self.prices.store, list[FeatureFrame | ChartFrame]()
        for day in self.prices.update(applied):
            columns = store.columns_on(day)
            frames.append(self._feature_frame(store, day, columns, self.prices.features(day, columns)))
            if self._calendar.ends_week(day):
                frames.append(self._chart_frame(day, columns))
        return frames

    def _chart_frame(self, day: int, columns: Indexer) -> ChartFrame:
        """Return the charts of the stocks at the end of a week; the charts stage scores them."""
        stocks = columns[is_stock(self.prices.store.keys[columns])]
        charted, words = self._charts.features(day, stocks)
        frame = self._feature_frame(self.prices.store, day, charted, words)
        return ChartFrame(CHARTS, frame.partition, day, frame.header, frame.keys, frame.columns)

    def _valuation_frames(self, applied: ApplyResult) -> list[FeatureFrame]:
        store, frames = self.valuations, []
        for day in store.closed_since(applied):
            columns = store.columns_on(day)
            figures = {name: self._valuation(day, need)[columns] for name, need in self._columns[VALUATIONS].items()}
            frames.append(self._feature_frame(store, day, columns, figures))
        return frames

    def _valuation(self, day: int, need: Need) -> Floats:
        """Return a figure of a day by column, or its mean over the last sessions; NaN where too few are known."""
        days = (self._calendar.shift(day, -back) for back in range(need.window(self.parameters)))
        values = np.array([self.valuations.figure(d, need.figure) for d in days if d is not None])
        if not need.mean:
            return np.asarray(values[0])
        known = (~np.isnan(values)).sum(axis=0)
        enough = known >= need.required(self.parameters)
        # Summed day by day: `sum` adds the days of a single security in another order than those of many.
        total = np.nancumsum(values, axis=0)[-1]
        return np.asarray(total / np.where(enough, known, np.nan))

    def _feature_frame(
        self,
        store: DailyStore,
        day: int,
        columns: Indexer,
        figures: dict[str, Array],
        identity: IdentityCheck | None = None,
    ) -> FeatureFrame:
        revision, known_at = store.days[day].revision, store.known_at(day)
        header = FrameHeader(revision, known_at, store.missing(day), store.counts(day), identity or IdentityCheck())
        return FeatureFrame(store.topic, self.partition, day, header, store.keys[columns], figures)

    def _derive(self, day: int) -> None:
        store, width = self.margin, self.margin.width
        earlier = self.margin.newest_closed(before=day)
        before = _NO_HISTORY if earlier is None else self.derived[earlier]
        present, lacks = store.present(day), store.missing(day)
        # A day that lacks rows of an exchange has no information about the list memberships of the other securities.
        # An exchange whose count is 0 has published, and its list has no security of this partition.
        published = (store.counts(day).keys() | store.days[day].expected.keys()) - lacks.keys()
        listed = _is_on(store.keys, published)
        age_before = _widen(before.age, _unlisted(store.keys, before.published))
        age = np.where(
            present,
            np.where(age_before == _UNKNOWN, fin_change.LONG_AGO, age_before + 1),
            np.where(listed, _NOT_LISTED, age_before),
        ).astype(np.int32)
        streak_before = np.where(age > 0, _widen(before.streak, np.zeros(width, dtype=np.int32)), 0).astype(np.int32)
        yesterday = self._calendar.shift(day, -1)
        previous = np.full(width, np.nan) if yesterday is None else store.figure(yesterday, "fin_balance")
        change = fin_change.fin_change(
            store.figure(day, "fin_balance"),
            previous,
            age,
            quiet_days=self.parameters.inclusion_quiet_days,
            minimum_balance=self.parameters.minimum_balance_cny,
        )
        self.derived[day] = Derived(change, streak.advance(streak_before, change), age, before.published | published)

    def _frame(self, day: int) -> FeatureFrame:
        columns = self.margin.columns_on(day)
        figures = {name: self._figure(day, need)[columns] for name, need in self._columns[DETAIL].items()}
        return self._feature_frame(self.margin, day, columns, figures, self._identity(day, columns))

    def _figure(self, day: int, need: Need) -> Array:
        """Return the figure of a need on a day, by column of the store."""
        earlier = session_before(day, need.back, self.parameters, self._calendar)
        unknown = np.full(self.margin.width, np.nan)
        if earlier is None:
            return unknown
        if need.signal is not None:
            derived = self.derived.get(earlier)
            return unknown if derived is None else derived.of(need.signal.id)
        found = self.margin.figure(earlier, need.figure)
        yesterday = self._calendar.shift(earlier, -1)
        if need.figure != "fin_repay" or yesterday is None:
            return found
        before, buy, now = (
            self.margin.figure(d, n)
            for d, n in ((yesterday, "fin_balance"), (earlier, "fin_buy"), (earlier, "fin_balance"))
        )
        return np.where(np.isnan(found), before + buy - now, found)

    def _identity(self, day: int, columns: Indexer) -> IdentityCheck:
        """Check balance = previous balance + buys − repayments where all four are known; change no figure."""
        yesterday = self._calendar.shift(day, -1)
        if yesterday is None or yesterday not in self.margin.days:
            return IdentityCheck()
        balance, buy, repay = (self.margin.figure(day, f"fin_{name}")[columns] for name in ("balance", "buy", "repay"))
        expected = self.margin.figure(yesterday, "fin_balance")[columns] + buy - repay
        gap, larger = balance - expected, np.maximum(balance, expected)  # a balance of 0 by mistake has its weight, too
        checked, broken = ~np.isnan(gap), np.flatnonzero(np.abs(gap) > self.parameters.identity_tolerance_cny)
        material = broken[np.abs(gap[broken]) > self.parameters.identity_security_gap * larger[broken]]
        whole = np.rint(larger)  # sums of whole numbers are exact, however the securities are partitioned
        worst = broken[np.argsort(-np.abs(gap[broken]), kind="stable")[:MAX_NAMED_GAPS]]
        codes = to_codes(self.margin.keys[columns[worst]])
        return IdentityCheck(
            int(checked.sum()), len(broken), dict(zip(codes, gap[worst].tolist(), strict=True)),
            int(whole[checked].sum()), int(whole[material].sum()),
        )  # fmt: skip

    # -- the current session ---------------------------------------------------------------------------------

    def _coverage_key(self) -> tuple[int | None, int, int]:
        """Return the inputs of the coverage: day and revision of the last balances, version of the margin rows."""
        newest = self.margin.newest_closed(before=self.intraday.day)
        return newest, 0 if newest is None else self.margin.days[newest].revision, self.intraday.margin_version

    def _partial(self) -> Partial:
        key = self._reported = self._coverage_key()
        if self._coverage is None or self._coverage[0] != key:
            newest, columns = key[0], self.margin.key_index.by_key
            balances = np.full(len(columns), np.nan) if newest is None else self.margin.figure(newest, "fin_balance")
            self._coverage = key, self.intraday.coverage(self.margin.keys[columns], balances[columns])
        return self.intraday.partial(self.partition, self._coverage[1])

    # -- state -----------------------------------------------------------------------------------------------

    def _to_columns(self, derived: Derived) -> DayColumns[_DerivedHeader]:
        columns = self.margin.key_index.where(derived.age >= 0)
        return DayColumns(
            _DerivedHeader(sorted(derived.published)),
            self.margin.keys[columns],
            {"change": derived.change[columns], "streak": derived.streak[columns], "age": derived.age[columns]},
        )

    def _from_columns(self, _day: int, stored: DayColumns[_DerivedHeader]) -> Derived:
        columns, width = self.margin.key_index.get_or_add(stored.keys), self.margin.width
        published = frozenset(stored.header.published)
        derived = Derived(
            np.full(width, np.nan), np.zeros(width, dtype=np.int32), _unlisted(self.margin.keys, published), published
        )
        derived.change[columns] = stored.columns["change"]
        derived.streak[columns] = stored.columns["streak"]
        derived.age[columns] = stored.columns["age"]
        return derived


_NOT_LISTED, _UNKNOWN = -1, -2
_NO_HISTORY = Derived(np.empty(0), np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int32), frozenset())


def _unlisted(keys: Ids, published: frozenset[str]) -> Ids:
    """Return the age of securities without a row: not listed if their exchange has published a list, else unknown."""
    return np.where(_is_on(keys, published), _NOT_LISTED, _UNKNOWN).astype(np.int32)


def _is_on(keys: Ids, exchanges: Set[str]) -> Mask:
    """Return which securities are listed on one of the exchanges (n,)."""
    among: Mask = np.array([name in exchanges for name in (*EXCHANGES, "")])
    return among[keys % 4]


def _widen(values: npt.NDArray[np.int32], fill: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Return ``values`` extended by ``fill`` for the columns that were added since (len(fill),)."""
    return values if len(values) == len(fill) else np.concatenate([values, fill[len(values) :]])
