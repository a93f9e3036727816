"""Runs the registered indicators over blocks of closed days, and returns signals with status and reasons of absence."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from types import ModuleType

import msgspec
import numpy as np

from processors.arrays import Array
from processors.block import Block, ProvisionalInputs
from processors.closed_days import ClosedDays
from processors.completeness import EVERYTHING
from processors.days import microseconds, moment, to_date
from processors.intraday_session import IntradayFigure
from processors.needs import (
    DETAIL,
    LAST_WEEK,
    PRICES,
    REFERENCE,
    TOTALS,
    VALUATIONS,
    Need,
    session_before,
)
from processors.outputs import DayStatus, IndustrySignals, MarketSignal, SecuritySignals, StageOutput
from processors.registry import (
    INDUSTRY_INDICATORS,
    MARKET_INDICATORS,
    PRICING_INDICATORS,
    SIGNALS,
    EarlierDays,
    earlier_days,
    inputs_of,
    optional_of,
    retained_signals,
)
from processors.signal import Column, Level, plain
from processors.sources import Sources

#: Exchange → gap of the balance identity in CNY, and exchange → gap as a fraction of its balance.
IdentityGaps = tuple[dict[str, float], dict[str, float]]
_NO_GAPS: IdentityGaps = ({}, {})
#: Days in a block: enough to amortise the fixed cost of an indicator, few enough for memory.
BLOCK_DAYS = 64


class Family:
    """Indicators whose results are published together, and the topics that they need."""

    def __init__(self, *modules: ModuleType) -> None:
        self.modules = modules
        self.inputs, self.optional = inputs_of(modules), optional_of(modules)
        needs = [need for module in modules for signal in module.SIGNALS for need in signal.needs]
        self.earlier = earlier_days(needs)
        self.topics = (*self.inputs, *self.optional)
        #: Families with the same value read the same topics.
        self.reads = (*self.inputs, "", *self.optional)
        self.of_stocks = tuple(topic for topic in (DETAIL, PRICES, VALUATIONS) if topic in self.topics)
        self.by_industry = any(signal.level is Level.INDUSTRY for module in modules for signal in module.SIGNALS)


@dataclass(frozen=True, slots=True)
class _Provisional:
    """The provisional signals of an indicator, and the intraday figures that it read, by need and code."""

    figures: Mapping[tuple[Need, str], IntradayFigure]
    signals: Sequence[MarketSignal]


MARKET_FAMILIES = tuple(Family(module) for module in MARKET_INDICATORS)
INDUSTRIES, PRICING = Family(*INDUSTRY_INDICATORS), Family(*PRICING_INDICATORS)


class Computation:
    """Computes signals from the sources of a market stage.

    Parameters
    ----------
    closed : the source of closed days of every topic.
    identity_gaps : day → the exchanges whose totals break the balance identity.
    block_days : days in a block; it changes no bit of any value.
    """

    def __init__(
        self,
        sources: Sources,
        closed: Mapping[str, ClosedDays],
        identity_gaps: Callable[[int], IdentityGaps],
        block_days: int = BLOCK_DAYS,
    ) -> None:
        self._sources = sources
        self._closed = closed
        self._identity_gaps = identity_gaps
        self._block_days = block_days
        self._retained = retained_signals(sources.parameters)
        self._provisional: dict[ModuleType, _Provisional] = {}
        self._provisional_day = 0  # 0: nothing is kept
        self._wanted: dict[ModuleType, tuple[set[str], int]] = {}

    def compute(self, due: Callable[[Family], set[int]]) -> list[StageOutput]:
        """Compute every family on the days on which it is due; return the outputs, ordered by day.

        Parameters
        ----------
        due : the days on which all inputs of a family are closed, and one of them is new or changed; it depends on the
            topics that the family reads alone.
        """
        due_of: dict[tuple[str, ...], set[int]] = {}
        for family in (*MARKET_FAMILIES, INDUSTRIES, PRICING):
            if family.reads not in due_of:
                due_of[family.reads] = due(family)
        days = sorted(set[int]().union(*due_of.values()))
        out: list[StageOutput] = []
        for start in range(0, len(days), self._block_days):
            out += self._compute_block(days[start : start + self._block_days], due_of)
        return out

    def _compute_block(self, days: Sequence[int], due: Mapping[tuple[str, ...], set[int]]) -> list[StageOutput]:
        blocks: dict[tuple[int, ...], Block] = {}
        # Blocks of other topics read the same days, and the master data of a day are folded from those before it.
        sources = replace(self._sources, members=lru_cache(maxsize=None)(self._sources.members))
        due_here = {reads: tuple(day for day in days if day in found) for reads, found in due.items()}
        statuses: dict[tuple[tuple[str, ...], EarlierDays, bool, int], DayStatus] = {}
        unknown: dict[tuple[tuple[str, ...], bool], dict[int, dict[str, int]]] = {}
        published: dict[int, list[StageOutput]] = {day: [] for day in days}
        gaps_of = lru_cache(maxsize=None)(self._identity_gaps)
        status_of_topic = lru_cache(maxsize=None)(self._status_of)

        def block_of(family: Family) -> Block | None:
            here = due_here[family.reads]
            if here and here not in blocks:
                blocks[here] = Block(here, sources)
            return blocks.get(here)

        def status_of(family: Family, day: int) -> DayStatus:
            key = (family.topics, family.earlier, family.by_industry, day)
            if key not in statuses:
                found = self.status(family.inputs, day, family.optional, family.earlier, status_of_topic)
                statuses[key] = _lacking(found, unknown_to_reference(family).get(day, {}))
            return statuses[key]

        def unknown_to_reference(family: Family) -> dict[int, dict[str, int]]:
            key = (family.topics, family.by_industry)
            block = block_of(family) if REFERENCE in family.topics else None
            if key not in unknown and block is not None:
                lacks = block.unknown_to_reference(family.of_stocks, classified=family.by_industry)
                unknown[key] = dict(zip(block.days, lacks, strict=True))
            return unknown.get(key, {})

        with np.errstate(all="ignore"):  # NaN and ±∞ of unknown figures are published as absences
            for family in MARKET_FAMILIES:
                if (block := block_of(family)) is not None:
                    rows = [status_of(family, day) for day in block.days]
                    gaps = [gaps_of(day) if TOTALS in family.inputs else _NO_GAPS for day in block.days]
                    for i, signal in self._market(family.modules[0], block, rows, gaps):
                        published[block.days[i]].append(signal)
            if (block := block_of(INDUSTRIES)) is not None:
                for day, signals in zip(block.days, self._industries(block, status_of), strict=True):
                    published[day].append(signals)
            if (block := block_of(PRICING)) is not None:
                for day, frame in zip(block.days, self._pricing(block, status_of), strict=True):
                    published[day].append(frame)
        return [one for day in days for one in published[day]]

    def provisional(self, day: int, inputs: ProvisionalInputs) -> list[MarketSignal]:
        """Compute the provisional market signals of a day whose daily figures are not published yet.

        A signal whose required topics are all closed is final already, and has no provisional value. One is known
        since the newest row of the figures that it reads: an index that has stopped is as old as its last row.
        """
        if day != self._provisional_day:
            self.forget_provisional()
            self._provisional_day, self._wanted = day, self._wanted_on(day)
        block = Block([day], self._sources, inputs)
        with np.errstate(all="ignore"):
            computed = [self._provisional_of(one, *wanted, block) for one, wanted in self._wanted.items()]
        return [one for kept in computed for one in kept]

    def forget_provisional(self) -> None:
        """Compute all provisional signals again: the closed days, or what is computed of them, changed."""
        self._provisional.clear()
        self._provisional_day = 0

    def _wanted_on(self, day: int) -> dict[ModuleType, tuple[set[str], int]]:
        """Return each indicator with provisional signals of a day: these signals, and when its daily inputs were known.

        That is the moment of the newest of them, µs since the epoch.
        """
        before, known_at = self._sources.series.calendar.before(day), dict[str, int]()
        for topic, source in self._closed.items():
            if (newest := next((d for d in (day, before) if d is not None and source.is_closed(d)), None)) is not None:
                known_at[topic] = microseconds(source.status(newest).available_at)
        wanted = dict[ModuleType, tuple[set[str], int]]()
        for family in MARKET_FAMILIES:
            (module,) = family.modules
            signals = {
                one.id
                for one in module.SIGNALS
                if one.provisional and not all(self._closed[topic].is_closed(day) for topic in one.inputs)
            }
            if signals:
                read = known_at.keys() & {TOTALS, *family.topics}
                wanted[module] = signals, max(known_at[topic] for topic in read)
        return wanted

    def _provisional_of(
        self, module: ModuleType, wanted: Container[str], known_at: int, block: Block
    ) -> Sequence[MarketSignal]:
        """Return the wanted signals of an indicator; it computes them again where an intraday figure differs.

        Parameters
        ----------
        known_at : when the daily inputs were known, µs since the epoch.
        """
        kept = self._provisional.get(module)
        if kept is None or any(block.provisional_input(*need) != figure for need, figure in kept.figures.items()):
            block.asked.clear()
            status = DayStatus(trade_date=to_date(block.days[-1]), available_at=moment(known_at), revision=0)
            signals = [one for _, one in self._market(module, block, [status], [_NO_GAPS], provisional=wanted)]
            read = {need: block.provisional_input(*need) for need in block.asked}
            figures = {need: one for need, one in read.items() if one is not None}
            available_at = moment(max([known_at, *(one.known_at for one in figures.values())]))
            signals = [msgspec.structs.replace(one, available_at=available_at) for one in signals]
            kept = self._provisional[module] = _Provisional(figures, signals)
        return kept.signals

    # -- the three kinds of output ---------------------------------------------------------------------------

    def _market(
        self,
        module: ModuleType,
        block: Block,
        statuses: Sequence[DayStatus],
        gaps: Sequence[IdentityGaps],
        *,
        provisional: Container[str] | None = None,
    ) -> list[tuple[int, MarketSignal]]:
        """Return the signals of one market indicator, each with the position of its day in the block.

        Parameters
        ----------
        provisional : the signals that are wanted of a block with provisional inputs; None for final values.
        """
        columns: dict[str, Column] = module.compute(block)
        out: list[tuple[int, MarketSignal]] = []
        for name, column in columns.items():
            identity, _, subject = name.partition("/")
            if provisional is not None and identity not in provisional:
                continue
            signal = SIGNALS[identity]
            absent = {**column.absent, **block.reasons(signal, subject)}
            values, details = plain(column.values), [(key, plain(found)) for key, found in column.details.items()]
            lasting = [item for item in details if item[0] in column.lasting]
            for i, status in enumerate(statuses):
                value = None if i in absent else values[i]
                if provisional is None and identity in self._retained:
                    self._sources.memory.save(block.days[i], name, value)
                shown = lasting if value is None else details
                out.append(
                    (
                        i,
                        MarketSignal(
                            signal=identity,
                            subject=subject or str(signal.level),
                            trade_date=status.trade_date,
                            available_at=status.available_at,
                            revision=status.revision,
                            value=value,
                            reason=absent.get(i, column.undefined) if value is None else "",
                            provisional=provisional is not None,
                            degraded=status.degraded,
                            missing=status.missing,
                            input_revisions=status.input_revisions,
                            identity_gaps=gaps[i][0],
                            identity_shares=gaps[i][1],
                            details={key: here for key, found in shown if (here := found[i]) is not None},
                        ),
                    )
                )
        return out

    def _industries(self, block: Block, status: Callable[[Family, int], DayStatus]) -> list[IndustrySignals]:
        columns: dict[str, Array] = {}
        left_out: list[dict[str, str]] = [{} for _ in block.days]
        for module in INDUSTRIES.modules:
            computed, lacking = module.compute(block)
            columns |= {name: _one_nan(values) for name, values in computed.items()}
            for day, reasons in zip(left_out, lacking, strict=True):
                day |= reasons
        return [
            IndustrySignals(status(INDUSTRIES, day), {name: values[i] for name, values in columns.items()}, left_out[i])
            for i, day in enumerate(block.days)
        ]

    def _pricing(self, block: Block, status: Callable[[Family, int], DayStatus]) -> list[SecuritySignals]:
        """Return the security signals that need prices, a frame a day."""
        columns: dict[str, Array] = {}
        for module in PRICING.modules:
            columns |= {name: _one_nan(values) for name, values in module.compute(block).items()}
        section = block.section(DETAIL)
        signals = [signal for module in PRICING.modules for signal in module.SIGNALS]
        out = []
        for i, day in enumerate(block.days):
            here = {name: values[section.rows(i)] for name, values in columns.items()}
            absent = [one for one in signals if len(here[one.id]) and np.isnan(here[one.id]).all()]
            left_out = {one.id: block.reason_of_all(one, i) for one in absent}
            out.append(SecuritySignals(status(PRICING, day), section.keys[section.rows(i)], here, "pricing", left_out))
        return out

    def _status_of(self, topic: str, day: int) -> DayStatus:
        return self._closed[topic].status(day)

    def status(
        self,
        inputs: tuple[str, ...],
        day: int,
        optional: tuple[str, ...],
        earlier: EarlierDays,
        of_topic: Callable[[str, int], DayStatus],
    ) -> DayStatus:
        """Merge the status of several topics of a day: availability, revisions, missing rows.

        Parameters
        ----------
        earlier : topics and trading days before the day of which figures are compared with those of the day.
        of_topic : the status of a closed topic on a day.
        """
        used = [topic for topic in optional if self._closed[topic].is_closed(day)]
        found = [of_topic(topic, day) for topic in (*inputs, *used)]
        revisions, missing, models = dict[str, int](), dict[str, int](), dict[str, str]()
        for status in found:
            revisions |= status.input_revisions
            missing |= status.missing
            models |= status.models
        missing |= self.missing_before(day, earlier)
        return DayStatus(
            trade_date=to_date(day),
            available_at=max(status.available_at for status in found),
            revision=sum(revisions.values()) + len(used),  # a late optional topic raises the revision
            missing=missing,
            input_revisions=revisions,
            models=models,
        )

    def missing_before(self, day: int, earlier: EarlierDays) -> dict[str, int]:
        """Return what earlier days lack that a day is compared with: topic, exchange and date → missing rows."""
        out: dict[str, int] = {}
        calendar = self._sources.series.calendar
        for topic, back in earlier:
            if back == LAST_WEEK and not calendar.ends_week(day):
                continue  # figures of a week are computed on its last session alone
            there = session_before(day, back, self._sources.parameters, calendar)
            lacks = None if there is None else self._closed[topic].lacks(there)
            if there is not None and lacks is not None:
                out |= {f"{topic} {exchange} of {to_date(there)}": rows for exchange, rows in lacks.items()}
        return out


def _lacking(status: DayStatus, stocks: Mapping[str, int]) -> DayStatus:
    """Return the status with the stocks of which the reference knows nothing: exchange → number."""
    missing = dict(status.missing)
    for exchange, count in stocks.items():
        lacks = missing.get(name := f"{REFERENCE} {exchange}", 0)
        missing[name] = lacks if lacks == EVERYTHING else max(lacks, count)
    return msgspec.structs.replace(status, missing=missing) if stocks else status


def _one_nan(values: Array) -> Array:
    """Return the values with one bit pattern for NaN: the pattern of a computed NaN differs between CPUs."""
    return np.where(np.isnan(values), np.nan, values)
