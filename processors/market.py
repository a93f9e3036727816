"""The market stage: exchange totals, indices and all securities, in one partition.

The stage folds ``margin.market``, ``indices.daily`` and other daily topics into stores, joins the feature frames of the
securities stage, and computes the registered indicators on every day whose inputs are closed. A change to a day
recomputes that day and all later ones, because states and streaks depend on the past. The stage publishes each
recomputed day with a higher revision.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np

from processors.block import TURNOVER_INDEX, Block, ProvisionalInputs
from processors.calendar_series import CalendarSeries
from processors.closed_days import ClosedDays
from processors.codes import EXCHANGES
from processors.completeness import CheckedStore
from processors.computation import BLOCK_DAYS, Computation, Family, IdentityGaps
from processors.daily_store import ApplyResult, DailyStore
from processors.days import TradingCalendar, to_day
from processors.events import EndOfDay, RowBatch
from processors.extremes import ExtremesStage
from processors.intraday_session import IntradayFigure, IntradaySession
from processors.memory import Memory
from processors.needs import (
    CHARTS,
    COLLATERAL,
    DETAIL,
    FUNDS,
    INDICES,
    PRICES,
    RATES,
    REFERENCE,
    TOTALS,
    VALUATIONS,
    Need,
    total,
    turnover,
)
from processors.outputs import ChartFrame, FeatureFrame, MarketSignal, Partial, StageOutput
from processors.parameters import Parameters
from processors.partition_join import PartitionJoin
from processors.reference import ReferenceStore
from processors.registry import DECLARED, kept_figures, look_back, reach, retained_signals, signals_of, topics_behind
from processors.signal import Level
from processors.sources import Sources
from processors.table import Processor, TableSet
from processors.trading_hours import TradingHours

INPUTS = (TOTALS, INDICES, "indices.intraday", RATES, COLLATERAL, FUNDS, REFERENCE)
#: These topics have a few rows a day. The stage keeps all days, so that feeds may be years apart in a backfill.
_KEEP_DAYS = 20_000
_BALANCE, _TURNOVER = total("fin_balance"), turnover()

Item = RowBatch | EndOfDay | FeatureFrame | ChartFrame | Partial


class Market(Processor):
    """State of the market stage.

    Parameters
    ----------
    partitions : number of partitions of the securities stage.
    exchanges : exchanges whose totals are summed into the market; a signal is absent where one is missing.
    block_days : days in a block; it changes no bit of any value.
    """

    def __init__(
        self,
        partitions: int,
        parameters: Parameters,
        exchanges: tuple[str, ...],
        calendar: TradingCalendar,
        *,
        block_days: int = BLOCK_DAYS,
    ) -> None:
        self.parameters = parameters
        self.exchanges = exchanges
        self.calendar = calendar
        late = parameters.late_days
        self.totals = DailyStore(TOTALS, exchanges, late_days=late, history_days=_KEEP_DAYS, label_keys=True)
        self.indices = DailyStore(INDICES, exchanges, late_days=late, history_days=_KEEP_DAYS)
        labelled = (
            DailyStore(topic, (), late_days=late, history_days=_KEEP_DAYS, label_keys=True)
            for topic in (RATES, COLLATERAL)
        )
        # `known_at` of a day reads ``late`` days before it, and a flow one.
        funds = CheckedStore(FUNDS, late_days=late, history_days=late + 1)
        self.reference = ReferenceStore(late, _KEEP_DAYS, parameters.group_indices)
        self.stores = {
            store.topic: store for store in (self.totals, self.indices, *labelled, funds, self.reference.store)
        }
        # A late row recomputes all later days, and each of them reads earlier frames.
        self.joins = {
            topic: PartitionJoin(
                topic, partitions, required, late + reach(topic, parameters), look_back(topic, parameters)
            )
            for topic, required in ((DETAIL, exchanges), (PRICES, ()), (VALUATIONS, ()), (CHARTS, ()))
        }
        self.closed: dict[str, ClosedDays] = {**self.stores, REFERENCE: self.reference, **self.joins}
        self.extremes = ExtremesStage(parameters, calendar, self.joins[DETAIL].lacks)
        self.session = IntradaySession(partitions, TradingHours(calendar))
        self.memory = Memory(calendar)
        self.tables = TableSet(
            *(store.tables for store in self.stores.values()),
            self.memory.days,
            *(join.tables for join in self.joins.values()),
            self.extremes.tables,
            self.session.tables,
            on_load=self._loaded,
        )
        self.applied = ApplyResult()
        self._series = CalendarSeries(calendar)
        self._kept = {topic: kept_figures(topic) for topic in self.stores}
        self.sources = Sources(
            parameters, exchanges, self._series, self.stores, self.joins, self.reference.members, self.memory, DECLARED
        )
        retained = retained_signals(parameters)
        #: Signal → topics with which it is recomputed, and the trading days of it that a recomputed day reads. Frames
        #: of the margin detail wait for prices and valuations, and master data are known on any later day.
        self._reads = {
            s.id: (
                (topics_behind(s) - {REFERENCE, PRICES, VALUATIONS, CHARTS}) or {DETAIL},
                max(late, retained.get(s.id, 0)),
            )
            for s in signals_of(Level.MARKET)
        }
        self._computation = Computation(self.sources, self.closed, self.identity_gaps, block_days)
        #: The last published provisional signals by name; an unchanged one is not published again.
        self._provisional_values: dict[str, MarketSignal] = {}

    # -- folding ---------------------------------------------------------------------------------------------

    def fold(self, items: Iterable[Item]) -> list[StageOutput]:
        """Fold items in their order; return new and changed signals, oldest day first."""
        return [one for part in self._parts(items) for one in self._fold(part)]

    def _parts(self, items: Iterable[Item]) -> Iterator[list[Item]]:
        """Cut items so that the earliest day of funds that a part changes stays one of the ``late_days`` newest.

        So a day is computed before the store deletes it or a day that it reads. The other stores delete no such day.
        """
        store = self.stores[FUNDS]
        part, changed = list[Item](), set[int]()
        for item in items:
            for piece in store.by_new_day(item) if isinstance(item, RowBatch) and item.topic == FUNDS else (item,):
                days = _fund_days(piece)
                if days and changed:
                    earliest = min(*days, *changed)
                    stored = (day for day in store.sorted_days if day >= earliest)
                    if len(changed.union(days, stored)) > self.parameters.late_days:
                        yield part
                        part, changed = [], set()
                if days and not changed:
                    # The first row or punctuation of a part may close every open day.
                    changed.update(day for day in [store.oldest_open()] if day is not None)
                changed |= days
                part.append(piece)
        yield part

    def _fold(self, items: list[Item]) -> list[StageOutput]:
        frames: list[FeatureFrame] = []
        touched: dict[str, set[int]] = {topic: set() for topic in self.stores}
        daily = intraday_changed = False
        for item in items:
            if isinstance(item, FeatureFrame):
                frames.append(item)
            elif isinstance(item, ChartFrame):
                continue  # its scores follow in a frame of features
            elif isinstance(item, Partial):
                intraday_changed |= self.session.apply_partial(item)
            elif isinstance(item, EndOfDay):
                if item.feed in touched:
                    daily = True
                    self._record(touched[item.feed], self.stores[item.feed].close(item))
            elif item.topic in touched:
                daily = True
                self._record(touched[item.topic], self.stores[item.topic].apply(item))
            else:
                intraday_changed |= self.session.apply_indices(item)
        out = self._fold_days(touched, frames) if daily or frames else []
        # The session may be read before the days that it continues: they complete its signals, too.
        if intraday_changed or daily or frames:
            out += self._provisional_signals()
        return out

    def _fold_days(self, touched: dict[str, set[int]], frames: list[FeatureFrame]) -> list[StageOutput]:
        """Compute the days that the daily rows and frames of a part close or change, and trim what is not read again.

        Parameters
        ----------
        touched : daily topic → days that were closed or changed.
        """
        changed_frames = {
            topic: set(join.fold([frame for frame in frames if frame.topic == topic]))
            for topic, join in self.joins.items()
        }
        self._give_up(VALUATIONS, changed_frames[VALUATIONS])
        if any(touched.values()) or any(changed_frames.values()):
            self._computation.forget_provisional()
        detail = self.joins[DETAIL]
        out: list[StageOutput] = [
            self.extremes.compute(day, detail.detail(day), self._computation.missing_before(day, ((DETAIL, 1),)))
            for day in sorted(changed_frames[DETAIL])
        ]
        out += self._compute(touched, changed_frames)
        # By day: what follows an alert is known sooner, and the alerts stage computes its record less often.
        out.sort(key=lambda one: (one if isinstance(one, MarketSignal) else one.status).trade_date)
        # A row that opens a day moves the window, too, although it changes no closed day.
        self._trim_joins()
        self._trim_memory()
        return out

    def _record(self, touched: set[int], applied: ApplyResult) -> None:
        self.applied.add(applied)
        touched |= applied.touched

    # -- final values ----------------------------------------------------------------------------------------

    def _compute(self, touched: dict[str, set[int]], changed_frames: dict[str, set[int]]) -> list[StageOutput]:
        """Compute every day whose inputs are closed and of which an input changed.

        Parameters
        ----------
        touched : daily topic → days that were closed or changed; all later days depend on them.
        changed_frames : topic of frames → days whose frames are new or changed; it contains changed later days, too.
        """
        for topic, days in touched.items():
            self._update_series(topic, days)
        first = {topic: min(found) for topic, found in touched.items() if found}
        starts = [*first.values(), *(min(days) for days in changed_frames.values() if days)]
        if not starts:
            return []
        # A day that only the reference topic has is no trading day of the market.
        topics = [topic for topic in self.closed if topic != REFERENCE]
        closed = {topic: set(self.closed[topic].closed_days(min(starts))) for topic in topics}
        everything = set[int]().union(*closed.values())

        def due(family: Family) -> set[int]:
            complete = everything.intersection(*(closed[topic] for topic in family.inputs if topic in closed))
            changed = set[int]().union(*(changed_frames.get(topic, ()) for topic in family.topics))
            since = min((first[topic] for topic in family.topics if topic in first), default=math.inf)
            found = {day for day in complete if day >= since or day in changed}
            dated = REFERENCE in family.inputs
            return {day for day in found if self.reference.is_closed(day)} if dated else found

        return self._computation.compute(due)

    def _update_series(self, topic: str, days: Iterable[int]) -> None:
        """Copy the retained figures of closed days from their store to the calendar series."""
        store, found = self.stores[topic], sorted(days)
        if found:
            figures = {name: np.array([store.figure(day, name) for day in found]) for name in self._kept[topic]}
            self._series.put(topic, store.keys, found, figures)

    def _trim_memory(self) -> None:
        """Delete states and values that no recomputation reads.

        A signal waits for the topic that is furthest behind, so that feeds may be years apart.
        """
        first = {topic: self._first_recomputed(topic) for topic in self.closed if topic != REFERENCE}
        oldest = {}
        for name, (topics, days) in self._reads.items():
            start = _earliest(*(first[topic] for topic in topics))
            earliest = None if start is None else self.calendar.shift(start, -days)
            if earliest is not None:
                oldest[name] = earliest
        self.memory.trim(oldest)

    def _first_recomputed(self, topic: str) -> int | None:
        """Return the earliest day that a late row of a topic recomputes; None if the topic has no days."""
        if topic in self.joins:
            return next(iter(self.joins[topic].closed_days()), None)
        return next(iter(self.stores[topic].sorted_days[-self.parameters.late_days :]), None)

    def _trim_joins(self) -> None:
        """Delete frames of days on which the indices and all other frames are known."""
        index = self.indices.newest_closed() if self.reference.newest_closed() is not None else None
        newest = {topic: join.newest_closed() for topic, join in self.joins.items()}
        detail, prices, valuations = (newest[topic] for topic in (DETAIL, PRICES, VALUATIONS))
        charts = self._charted_through()
        # Not every installation has a feed of valuations. Where there is one, frames wait for it.
        valued = [] if valuations is None else [valuations]
        self.extremes.discard(self.joins[DETAIL].trim(_earliest(index, prices, charts, *valued)))
        self.joins[PRICES].trim(_earliest(index, detail, charts))
        self.joins[VALUATIONS].trim(_earliest(index, detail, prices, charts))  # late charts compute a day again
        self.joins[CHARTS].trim(_earliest(index, detail, prices))

    def _give_up(self, topic: str, days: set[int]) -> None:
        """Count the days of an optional topic whose frames arrive when those of the margin detail have been deleted.

        The margin detail waits for no topic that has never had a row. Its first days are not known any more: those with
        totals of the exchanges count.
        """
        oldest = self.joins[DETAIL].oldest_kept
        if oldest is not None:
            self.joins[topic].given_up |= {day for day in days if day < oldest and self.totals.is_closed(day)}

    def _charted_through(self) -> int | None:
        """Return the last session before the next week's end with charts; None before the first prices.

        The charts stage sends a frame of each week with prices, also where it has no model: without this wait it would
        depend on how fast it is whether a week's figures are computed again behind it, and so their revision.
        """
        day = self.joins[CHARTS].newest_closed()
        if day is None:
            first = next(iter(self.joins[PRICES].closed_days()), None)
            day = None if first is None else self.calendar.before(first)
        while (
            day is not None
            and (following := self.calendar.after(day, 1)) is not None
            and not self.calendar.ends_week(following)
        ):
            day = following
        return day

    def identity_gaps(self, day: int) -> IdentityGaps:
        """Return the exchanges that break balance = previous balance + buys − repayments."""
        yesterday = self.calendar.shift(day, -1)
        gaps, shares = dict[str, float](), dict[str, float]()
        if yesterday is None:
            return gaps, shares
        for exchange in self.exchanges:
            key = EXCHANGES.index(exchange)
            before = self.totals.value(yesterday, key, "fin_balance")
            now, buy, repay = (self.totals.value(day, key, f"fin_{n}") for n in ("balance", "buy", "repay"))
            if before is not None and now is not None and buy is not None and repay is not None:
                expected = before + buy - repay
                gap, larger = now - expected, max(now, expected)
                if abs(gap) > self.parameters.identity_tolerance_cny:
                    gaps[exchange] = gap
                    shares[exchange] = gap / larger if larger > 0 else math.copysign(1.0, gap)
        return gaps, shares

    # -- provisional values ----------------------------------------------------------------------------------

    def _provisional_signals(self) -> list[MarketSignal]:
        """Return changed signals of the newest unpublished day: intraday figures with the last published balances."""
        day = max(
            [self.session.day, *(d for d in self.indices.sorted_days[-1:] if self.indices.is_closed(d))], default=0
        )
        if day not in self.calendar or self.totals.is_closed(day):
            return []
        yesterday = self.calendar.shift(day, -1)
        if yesterday is None or not self.totals.is_closed(yesterday):
            return []
        closed, indices = self.indices.is_closed(day), [TURNOVER_INDEX[e] for e in self.exchanges]
        moments = self.session.turnover_moments([] if closed else indices, day)
        inputs = ProvisionalInputs(
            totals={
                "fin_balance": self._published(self.totals, _BALANCE, yesterday),
                "fin_buy": self.session.fin_buy(
                    day, self.parameters.intraday_coverage, moments, self.parameters.intraday_minutes
                ),
            },
            turnover=self._published(self.indices, _TURNOVER, day) if closed else self.session.turnover(indices, day),
            closes=self._closes(day) if closed else self.session.closes(day),
        )
        signals = self._computation.provisional(day, inputs)
        changed = [signal for signal in signals if self._provisional_values.get(signal.name) != signal]
        self._provisional_values |= {signal.name: signal for signal in changed}
        return changed

    def _published(self, source: DailyStore, need: Need, day: int) -> IntradayFigure:
        """Return a figure of a closed day, known since the day is."""
        return IntradayFigure(Block([day], self.sources).figure_or_reason(need), source.known_at(day))

    def _closes(self, day: int) -> dict[int, IntradayFigure]:
        closes, known_at = self.indices.figure(day, "close"), self.indices.known_at(day)
        known = np.flatnonzero(~np.isnan(closes))
        figures = (IntradayFigure(close, known_at) for close in closes[known].tolist())
        return dict(zip(self.indices.keys[known].tolist(), figures, strict=True))

    def _loaded(self) -> None:
        for topic, store in self.stores.items():
            self._update_series(topic, store.closed_days())


def _fund_days(item: Item) -> set[int]:
    """Return the days of funds that an item may add or change: those of its rows, or of its punctuation."""
    if isinstance(item, RowBatch):
        return set(np.unique(item.days).tolist()) if item.topic == FUNDS else set()
    return {to_day(item.trade_date)} if isinstance(item, EndOfDay) and item.feed == FUNDS else set()


def _earliest(*days: int | None) -> int | None:
    """Return the earliest of the days; None if one of them is None."""
    known = [day for day in days if day is not None]
    return min(known) if len(known) == len(days) else None
