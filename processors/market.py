"""The market stage: exchange totals, indices and the cross-section of all securities, in one partition.

Folds ``margin.market`` and ``indices.daily`` into day books, joins the securities' feature frames, and computes the
market indicators of every day whose inputs are closed. A change to a day computes that day and all behind it anew
(states and streaks depend on the past); each is issued again with a higher revision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np

from processors.closed_days import ClosedDays
from processors.codes import EXCHANGES
from processors.daily_store import ApplyResult, DailyStore
from processors.days import TradingCalendar, microseconds, moment, to_date
from processors.events import EndOfDay, RowBatch
from processors.extremes import ExtremesStage
from processors.live_session import LiveSession
from processors.market_view import (
    DETAIL,
    INDICES,
    TOTALS,
    TURNOVER_INDEX,
    CalendarSeries,
    MarketView,
    Missing,
    ProvisionalInputs,
)
from processors.outputs import DayStatus, FeatureFrame, IndustrySignals, MarketSignal, Partial, SecuritySignals
from processors.pack import Array
from processors.parameters import Parameters
from processors.partition_join import PartitionJoin
from processors.pricing import PRICES
from processors.reference import TOPIC as REFERENCE
from processors.reference import ReferenceStore
from processors.registry import (
    INDUSTRY_INDICATORS,
    INDUSTRY_INPUTS,
    INDUSTRY_OPTIONAL,
    MARKET_INDICATORS,
    PRICING_INDICATORS,
    PRICING_INPUTS,
    SIGNALS,
)
from processors.securities import VALUATIONS
from processors.signal import Absent, Reading, Signal
from processors.table import DAY, Processor, Table, TableSet, ValueCodec

StageOutput = MarketSignal | SecuritySignals | IndustrySignals
RATES, FUNDS = "rates.daily", "etf.daily"
INPUTS = (TOTALS, INDICES, "indices.intraday", RATES, FUNDS, REFERENCE)
#: Figures whose history the indicators look at, as lines.
_LINES: dict[str, tuple[str, ...]] = {
    TOTALS: ("fin_balance", "fin_buy", "short_volume", "short_sell", "short_balance"),
    INDICES: ("close", "high", "low", "turnover", "turnover_rate", "float_cap", "pe_ttm", "pb", "dividend_yield"),
    RATES: ("yield",),
    FUNDS: (),
    REFERENCE: (),
}
#: These are a few rows a day: keep them all, so that feeds may run years apart in a backfill.
_KEEP_DAYS = 20_000
#: Days of results that are kept at most while a feed is behind.
_MOST_RESULTS = 1500


class Market(Processor):
    """State of the market stage.

    Parameters
    ----------
    partitions : how many partitions the securities stage has.
    exchanges : whose totals make the market; all of them must be there, or the signals are absent.
    """

    def __init__(
        self, partitions: int, parameters: Parameters, exchanges: tuple[str, ...], calendar: TradingCalendar
    ) -> None:
        self.parameters = parameters
        self.exchanges = exchanges
        self.calendar = calendar
        late = parameters.late_days
        self.totals = DailyStore(TOTALS, exchanges, late_days=late, history_days=_KEEP_DAYS, by_word=True)
        self.indices = DailyStore(INDICES, exchanges, late_days=late, history_days=_KEEP_DAYS)
        rates = DailyStore(RATES, (), late_days=late, history_days=_KEEP_DAYS, by_word=True)
        funds = DailyStore(FUNDS, (), late_days=late, history_days=parameters.etf_flow_days + 1)
        self.reference = ReferenceStore(late, _KEEP_DAYS)
        self.books = {book.topic: book for book in (self.totals, self.indices, rates, funds, self.reference.book)}
        # A price of a day may be asked for by a late row, a streak back.
        self.frames = {
            DETAIL: PartitionJoin(DETAIL, partitions, exchanges, late + 1),
            PRICES: PartitionJoin(PRICES, partitions, (), 2 * late + 2),
            VALUATIONS: PartitionJoin(VALUATIONS, partitions, (), late + 1),
        }
        self.sources: dict[str, ClosedDays] = {**self.books, REFERENCE: self.reference, **self.frames}
        self.section = ExtremesStage(parameters, calendar)
        self.session = LiveSession(partitions)
        self.series = CalendarSeries(calendar)
        self.results: Table[int, dict[str, Reading | Absent]] = Table(
            "results",
            DAY,
            ValueCodec(dict[str, list[Any]], to_plain=_plain_results, from_plain=_results_of),
            keep=_MOST_RESULTS,
        )
        self.tables = TableSet(
            *(book.tables for book in self.books.values()),
            self.results,
            *(join.tables for join in self.frames.values()),
            self.section.tables,
            self.session.tables,
            on_load=self._loaded,
        )
        self.applied = ApplyResult()
        self._told: dict[str, MarketSignal] = {}  # the newest provisional values: what hasn't changed isn't told again

    # -- folding ---------------------------------------------------------------------------------------------

    def fold(
        self,
        items: Iterable[RowBatch | EndOfDay | FeatureFrame | Partial],
    ) -> list[StageOutput]:
        """Fold what came, in order; return the signals that are new or changed, oldest day first."""
        frames: list[FeatureFrame] = []
        touched: dict[str, set[int]] = {topic: set() for topic in self.books}
        live = False
        for item in items:
            if isinstance(item, FeatureFrame):
                frames.append(item)
            elif isinstance(item, Partial):
                live |= self.session.apply_partial(item)
            elif isinstance(item, EndOfDay):
                if item.feed in touched:
                    self._note(touched[item.feed], self.books[item.feed].close(item))
            elif item.topic in touched:
                self._note(touched[item.topic], self.books[item.topic].apply(item))
            else:
                live |= self.session.apply_indices(item)
        news: dict[str, set[int]] = {}
        for topic, held in self.frames.items():
            news[topic] = set(held.fold([frame for frame in frames if frame.topic == topic]))
        detail = self.frames[DETAIL]
        out: list[StageOutput] = [self.section.compute(day, detail.detail(day)) for day in sorted(news[DETAIL])]
        out += self._compute(touched, news)
        if live or touched[INDICES]:
            out += self._provisional()
        return out

    def _note(self, touched: set[int], applied: ApplyResult) -> None:
        self.applied.add(applied)
        touched.update(applied.closed)
        touched.update(applied.changed)

    # -- final values ----------------------------------------------------------------------------------------

    def _trim_frames(self) -> None:
        """Forget frames that are joined with everything that they can be joined with."""
        index = self.indices.newest_closed() if self.reference.newest_closed() is not None else None
        detail, prices, valuations = (self.frames[topic].newest_closed() for topic in (DETAIL, PRICES, VALUATIONS))
        joined = _earliest(index, prices)
        # Not every market has a feed of valuations; where there is one, it is waited for.
        self.section.forget(self.frames[DETAIL].trim(joined if valuations is None else _earliest(joined, valuations)))
        self.frames[PRICES].trim(_earliest(index, detail))
        self.frames[VALUATIONS].trim(_earliest(index, detail))

    def _compute(self, touched: dict[str, set[int]], news: dict[str, set[int]]) -> list[StageOutput]:
        """Compute every day whose inputs are closed and changed.

        Parameters
        ----------
        touched : by topic, the days that were closed or changed; what comes behind them rests on them.
        news : by topic, days whose frames are new or changed (days behind them are in it, if they changed).
        """
        for topic, days in touched.items():
            for day in days:
                self._refresh(topic, day)
        first = {topic: min(found) for topic, found in touched.items() if found}
        starts = [*first.values(), *(min(days) for days in news.values() if days)]
        if not starts:
            return []
        start = min(starts)
        # A day of the reference alone is no trading day of the market.
        closed = set().union(*(s.closed_days(start) for topic, s in self.sources.items() if topic != REFERENCE))

        def due(inputs: tuple[str, ...], optional: tuple[str, ...], day: int) -> bool:
            return all(self.sources[topic].is_closed(day) for topic in inputs) and any(
                day in news[topic] if topic in news else topic in first and day >= first[topic]
                for topic in (*inputs, *optional)
            )

        out: list[StageOutput] = []
        for day in sorted(closed):
            made = _Day(self, day)
            for module in MARKET_INDICATORS:
                if due(*_inputs(module), day):
                    out += self._compute_module(module, made)
            if due(INDUSTRY_INPUTS, INDUSTRY_OPTIONAL, day):
                out.append(self._industries(made))
            if due(PRICING_INPUTS, (), day):
                out.append(self._pricing(made))
        self._trim_results()
        self._trim_frames()
        return out

    def _trim_results(self) -> None:
        """Forget results that no late row can reach any more, nor a recursion behind it."""
        newest = _earliest(
            *(book.newest_closed() for book in (self.totals, self.indices)),
            *(self.frames[topic].newest_closed() for topic in (DETAIL, PRICES)),
        )
        # What one feed is behind, its sections will ask for.
        oldest = None if newest is None else self.calendar.shift(newest, -2 * self.parameters.late_days - 2)
        self.results.trim()
        for day in [d for d in self.results if oldest is not None and d < oldest]:
            del self.results[day]

    def _compute_module(self, module: ModuleType, made: _Day) -> list[MarketSignal]:
        inputs, optional = _inputs(module)
        day, view = made.day, made.view
        view.computed, view.carries = self.results.setdefault(day, {}), {}
        readings: dict[str, Reading | Absent] = module.compute(view)
        view.computed.update(readings)
        view.computed.update({name: Reading(0, state) for name, state in view.carries.items()})
        self.results.touch(day)
        status = made.status(inputs, optional)
        gaps = made.identity_gaps if TOTALS in inputs else {}
        return [_signal(name, reading, status, gaps=gaps) for name, reading in readings.items()]

    def _industries(self, made: _Day) -> IndustrySignals:
        view = made.view
        columns: dict[str, Array] = {}
        left_out: dict[str, str] = {}
        for module in INDUSTRY_INDICATORS:
            computed, lacking = module.compute(view)
            columns |= computed
            left_out |= lacking
        return IndustrySignals(made.status(INDUSTRY_INPUTS, INDUSTRY_OPTIONAL), columns, left_out)

    def _pricing(self, made: _Day) -> SecuritySignals:
        """Security signals that need prices as well."""
        columns: dict[str, Array] = {}
        for module in PRICING_INDICATORS:
            columns |= module.compute(made.view)
        return SecuritySignals(made.status(PRICING_INPUTS, ()), made.view.detail.keys, columns, "pricing")

    def status(self, inputs: tuple[str, ...], day: int, optional: tuple[str, ...] = ()) -> DayStatus:
        """When the inputs of a day were known, their revisions, and what they lack."""
        known_at, revisions, missing = 0, dict[str, int](), dict[str, int]()
        used = [topic for topic in optional if self.sources[topic].is_closed(day)]
        for topic in (*inputs, *used):
            status = self.sources[topic].status(day)
            known_at = max(known_at, microseconds(status.available_at))
            revisions |= status.input_revisions
            missing |= status.missing
        return DayStatus(
            trade_date=to_date(day),
            available_at=moment(known_at),
            revision=sum(revisions.values()) + len(used),  # one that arrives late has another revision than its absence
            missing=missing,
            input_revisions=revisions,
        )

    def identity_gaps(self, day: int) -> dict[str, float]:
        """Exchanges whose balance is not the previous one plus buys less repayments (beyond rounding), CNY."""
        yesterday = self.calendar.shift(day, -1)
        if yesterday is None:
            return {}
        out = {}
        for exchange in self.exchanges:
            key = EXCHANGES.index(exchange)
            before = self.totals.value(yesterday, key, "fin_balance")
            now, buy, repay = (self.totals.value(day, key, f"fin_{n}") for n in ("balance", "buy", "repay"))
            if before is not None and now is not None and buy is not None and repay is not None:
                gap = now - (before + buy - repay)
                if abs(gap) > self.parameters.identity_tolerance_cny:
                    out[exchange] = gap
        return out

    def view(self, day: int, overlay: ProvisionalInputs | None = None) -> MarketView:
        """A day as the indicators see it."""
        return MarketView(
            day,
            series=self.series,
            exchanges=self.exchanges,
            books=self.books,
            frames=self.frames,
            members=self.reference.members,
            results=self.results,
            parameters=self.parameters,
            overlay=overlay,
        )

    def _refresh(self, topic: str, day: int) -> None:
        book = self.books[topic]
        present = np.flatnonzero(book.present(day))
        for name in _LINES[topic]:
            self.series.put(topic, book.keys[present], name, day, book.figure(day, name)[present])

    # -- provisional values ----------------------------------------------------------------------------------

    def _provisional(self) -> list[MarketSignal]:
        """Signals of the newest day that is not published yet: live prices over the last published balances."""
        day = max([self.session.day, *(d for d in self.indices.order[-1:] if self.indices.is_closed(d))], default=0)
        if day not in self.calendar or self.totals.is_closed(day):
            return []
        yesterday = self.calendar.shift(day, -1)
        if yesterday is None or not self.totals.is_closed(yesterday):
            return []
        closed = self.indices.is_closed(day)
        before, plain = self.view(yesterday), self.view(day)
        overlay = ProvisionalInputs(
            totals={
                "fin_balance": _or_reason(lambda: before.total("fin_balance")),
                "fin_buy": self.session.fin_buy(day, self.parameters.intraday_coverage),
            },
            turnover=_or_reason(plain.turnover)
            if closed
            else self.session.turnover([TURNOVER_INDEX[e] for e in self.exchanges], day),
            closes=self._closes(day) if closed else self.session.closes(day),
        )
        view = self.view(day, overlay)
        out = []
        known_at = max(self.session.ts, self.indices.days[day].available_at if closed else 0)
        status = DayStatus(trade_date=to_date(day), available_at=moment(known_at), revision=0)
        for module in MARKET_INDICATORS:
            if module.SIGNALS[0].provisional:
                readings: dict[str, Reading | Absent] = module.compute(view)
                view.computed.update(readings)
                out += [_signal(name, reading, status, provisional=True) for name, reading in readings.items()]
        news = [signal for signal in out if self._told.get(signal.name) != signal]
        self._told |= {signal.name: signal for signal in news}
        return news

    def _closes(self, day: int) -> dict[int, float]:
        closes = self.indices.figure(day, "close")
        known = np.flatnonzero(~np.isnan(closes))
        return dict(zip(self.indices.keys[known].tolist(), closes[known].tolist(), strict=True))

    # -- state -----------------------------------------------------------------------------------------------

    def _loaded(self) -> None:
        for topic, book in self.books.items():
            for day in book.closed_days():
                self._refresh(topic, day)


class _Day:
    """One day while it is computed: what its indicators share."""

    def __init__(self, market: Market, day: int) -> None:
        self._market = market
        self._statuses: dict[tuple[tuple[str, ...], tuple[str, ...]], DayStatus] = {}
        self.day = day
        self.view = market.view(day)

    def status(self, inputs: tuple[str, ...], optional: tuple[str, ...]) -> DayStatus:
        """When these inputs were known, their revisions, and what they lack."""
        key = inputs, optional
        if key not in self._statuses:
            self._statuses[key] = self._market.status(inputs, self.day, optional)
        return self._statuses[key]

    @cached_property
    def identity_gaps(self) -> dict[str, float]:
        """Exchanges whose totals contradict each other, CNY."""
        return self._market.identity_gaps(self.day)


def _earliest(*days: int | None) -> int | None:
    """The earliest of the days; None if one of them is not there."""
    known = [day for day in days if day is not None]
    return min(known) if len(known) == len(days) else None


def _or_reason(figure: Callable[[], float]) -> float | str:
    try:
        return figure()
    except Missing as missing:
        return str(missing)


def _inputs(module: ModuleType) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The topics that a module needs, and those that it uses where they are there."""
    signal: Signal = module.SIGNALS[0]
    return signal.inputs, signal.optional


def _signal(
    name: str,
    reading: Reading | Absent,
    status: DayStatus,
    *,
    gaps: Mapping[str, float] = MappingProxyType({}),
    provisional: bool = False,
) -> MarketSignal:
    signal, _, subject = name.partition("/")
    return MarketSignal(
        signal=signal,
        subject=subject or str(SIGNALS[signal].level),
        trade_date=status.trade_date,
        available_at=status.available_at,
        revision=status.revision,
        value=None if isinstance(reading, Absent) else reading.value,
        reason=reading.reason if isinstance(reading, Absent) else "",
        provisional=provisional,
        degraded=status.degraded,
        missing=status.missing,
        input_revisions=status.input_revisions,
        identity_gaps=dict(gaps),
        details={} if isinstance(reading, Absent) else dict(reading.details or {}),
    )


def _plain_results(results: dict[str, Reading | Absent]) -> dict[str, list[Any]]:
    return {
        name: [reading.reason] if isinstance(reading, Absent) else [reading.value, dict(reading.details or {})]
        for name, reading in results.items()
    }


def _results_of(stored: dict[str, list[Any]]) -> dict[str, Reading | Absent]:
    return {
        name: Absent(entry[0]) if len(entry) == 1 else Reading(entry[0], entry[1] or None)
        for name, entry in stored.items()
    }
