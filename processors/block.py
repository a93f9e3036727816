"""The input of an indicator: a block of closed days, where ``block[NEED]`` is an array over the days.

A look-back counts sessions of the exchange calendar, not stored rows. An unknown figure is NaN. On a day on which a
required figure of a signal is unknown, the signal is absent with a reason, whatever its formula returns for NaN.

The length of a block changes no bit of any value: every reduction runs over the contiguous figures of one day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from processors.arrays import Floats, Mask
from processors.calendar_series import windows
from processors.codes import EXCHANGES, to_id
from processors.cross_sections import CrossSections
from processors.days import to_date, to_day
from processors.errors import UndeclaredNeedError
from processors.events import INPUT_ROWS, KEYS
from processors.intraday_session import IntradayFigure
from processors.margin_exchanges import with_zeros_before
from processors.needs import DETAIL, INDICES, TOTALS, Need, Source, reference_date
from processors.signal import Signal
from processors.sources import Sources

SSE_COMPOSITE = to_id("000001.SH")
#: The index whose published turnover is that of its whole exchange.
TURNOVER_INDEX = {"SSE": SSE_COMPOSITE, "SZSE": to_id("399001.SZ"), "BSE": to_id("899050.BJ")}
#: The index whose row contains the float cap of its whole exchange.
FLOAT_CAP_INDEX = {"SSE": SSE_COMPOSITE, "SZSE": to_id("399106.SZ"), "BSE": to_id("899050.BJ")}
_CAUSES = "(window not full, or the feed is late)"


@dataclass(slots=True)
class ProvisionalInputs:
    """Intraday figures of a day whose daily figures are not published yet.

    Parameters
    ----------
    totals : figure of ``margin.market`` → its sum over the exchanges, CNY.
    turnover : turnover of the exchanges since the open, CNY.
    closes : index id → its last level.
    """

    totals: Mapping[str, IntradayFigure]
    turnover: IntradayFigure
    closes: Mapping[int, IntradayFigure]


class Block(CrossSections):
    """A block of k days for one indicator or family of indicators.

    Parameters
    ----------
    days : (k,) ascending, days since 1970-01-01; the required topics of each are closed.
    provisional : intraday figures of the last day; a block with them saves no state.
    """

    def __init__(self, days: Sequence[int], sources: Sources, provisional: ProvisionalInputs | None = None) -> None:
        super().__init__(days, sources)
        self.exchanges = sources.exchanges
        self.positions = np.array([self.calendar.position(day) for day in self.days], dtype=np.intp)
        self._provisional_inputs = provisional
        self._read: dict[tuple[Need, str], Any] = {}
        #: On which days a need is known, and the positions of the others.
        self._known: dict[tuple[Need, str], tuple[Mask, list[int]]] = {}
        self._reasons: dict[tuple[Need, str, int], str] = {}
        self._unknown_days: dict[tuple[Need, str], tuple[list[int], list[int], int]] = {}
        #: The needs that were read, each with its code, until the caller clears the set.
        self.asked: set[tuple[Need, str]] = set()
        #: Source, figure and calendar position → the exchanges whose summand is unknown.
        self._absent: dict[tuple[Source, str, int], list[str]] = {}

    # -- figures by day --------------------------------------------------------------------------------------

    def __getitem__(self, need: Need) -> Any:
        """Return the figures of a need: (k,), or (k, window) oldest first where it has a window; NaN where unknown."""
        return self.get(need)

    def get(self, need: Need, code: str = "") -> Any:
        """Return the figures of a need for one of its codes; its first code by default.

        Raises
        ------
        UndeclaredNeedError : if no registered signal declares the need, so that no stage retains its figures.
        """
        key = need, self._code(need, code)
        self.asked.add(key)
        if key not in self._read:
            self._sources.require(need)
            self._read[key] = self._figures(*key)
        return self._read[key]

    def _code(self, need: Need, code: str) -> str:
        """Return the subject's code for a need of a figure of each subject, and none for any other need."""
        return code if code in need.codes(self.parameters) else ""

    def history(self, need: Need, code: str = "") -> Floats:
        """Return the figure of a total or an index on every day of the calendar (len(calendar),); NaN where unknown.

        It tells a gap from the beginning of the history.

        Raises
        ------
        UndeclaredNeedError : if no registered signal declares the need.
        """
        self._sources.require(need)
        series = self._sources.series
        if need.source is Source.TOTAL:
            return _sum([self._of_exchange(TOTALS, one, EXCHANGES.index(one), need.figure) for one in self.exchanges])
        return series.values(INDICES, to_id(code), need.figure)

    def by_exchange(self, need: Need) -> list[Floats]:
        """Return the summands of a total, turnover or float cap, in the order of ``exchanges``.

        Raises
        ------
        UndeclaredNeedError : if no registered signal declares the need.
        """
        self._sources.require(need)
        return self._summands(need)

    def _summands(self, need: Need) -> list[Floats]:
        if need.source is Source.TOTAL:
            return [self._total(need, exchange) for exchange in self.exchanges]
        codes = TURNOVER_INDEX if need.source is Source.TURNOVER else FLOAT_CAP_INDEX
        found = [self._of_exchange(INDICES, one, codes[one], need.figure) for one in self.exchanges]
        return [self._windows(need, series) for series in found]

    def _of_exchange(self, topic: str, exchange: str, key: int, figure: str) -> Floats:
        """Return what an exchange adds to a sum by position in the calendar, NaN where unknown."""
        series = self._sources.series.values(topic, key, figure)
        return with_zeros_before(series, exchange, self.calendar) if len(self.exchanges) > 1 else series

    def _figures(self, need: Need, code: str) -> Any:
        match need.source:
            case Source.TOTAL | Source.TURNOVER | Source.FLOAT_CAP:
                return self._with_provisional(need, _sum(self._summands(need)), "")
            case Source.INDEX:
                code = code or need.codes(self.parameters)[0]
                return self._with_provisional(need, self._series_of(need, INDICES, to_id(code)), code)
            case Source.RATE | Source.COLLATERAL:
                labels = KEYS[INPUT_ROWS[need.topic].key_field]
                return self._series_of(need, need.topic, labels.index(need.key))
            case Source.INDUSTRY_INDEX:
                series = self._sources.series.industries(need.figure)
                days = need.window(self.parameters)
                at = self.positions if days == 1 else self.positions[:, None] + np.arange(1 - days, 1)
                figures = series[:, np.maximum(at, 0)]
                if (before := at < 0).any():
                    figures[:, before] = np.nan
                return np.ascontiguousarray(np.moveaxis(figures, 0, 1))
            case Source.RESULT:
                return self._results(need)
            case _:
                raise UndeclaredNeedError(f"{need.text()} is a figure of securities: read it by `on`")

    def _series_of(self, need: Need, topic: str, key: int) -> Floats:
        series = self._sources.series.values(topic, key, need.figure)
        if need.at:
            return self._at_date(need, series, need.window(self.parameters))
        return self._windows(need, series)

    def _windows(self, need: Need, series: Floats, back: int = 0) -> Floats:
        """Return the windows of a series: (k,) for one day, else (k, days); ``back`` days before those of the need."""
        ends = self.positions - need.lag(self.parameters) - back
        if not need.since:
            return windows(series, ends, need.window(self.parameters))
        start = self._start(need) - back
        begin = max(start, self._sources.series.first_known)  # the days before it would cost time, and are all NaN
        days = max(int(ends[-1]) - begin + 1, need.required(self.parameters), 2)
        since = series.copy()
        since[:start] = np.nan
        return windows(since, ends, days)

    def _start(self, need: Need) -> int:
        """Return the position of the first session of an expanding window."""
        return self.calendar.count_before(to_day(reference_date(need, self.parameters)))

    def _at_date(self, need: Need, series: Floats, days: int) -> Floats:
        """Return the window that ends at a fixed date, for the days after that date; NaN for earlier days."""
        day = to_day(reference_date(need, self.parameters))
        out = np.full((len(self), days), np.nan)
        if day in self.calendar:
            out[np.array(self.days) > day] = windows(series, np.array([self.calendar.position(day)]), days)
        return out

    def _total(self, need: Need, exchange: str) -> Floats:
        key = EXCHANGES.index(exchange)
        found = self._windows(need, self._of_exchange(TOTALS, exchange, key, need.figure))
        if need.figure != "fin_repay":
            return found
        balance, buys = (self._of_exchange(TOTALS, exchange, key, name) for name in ("fin_balance", "fin_buy"))
        bought = self._windows(need, buys)
        derived = self._windows(need, balance, back=1) + bought - self._windows(need, balance)
        return np.where(np.isnan(found), derived, found)

    def _results(self, need: Need) -> Any:
        signal, days = need.signal, need.window(self.parameters)
        assert signal is not None
        memory, lag = self._sources.memory, need.lag(self.parameters)
        if days == 1:
            return np.array([memory.value(day, signal.id, lag) for day in self.days], dtype=object)
        start = int(self.positions[0]) - lag - days + 1
        series = memory.series(signal.id, start, int(self.positions[-1]) - lag + 1)
        return windows(series, self.positions - lag - start, days)

    def _with_provisional(self, need: Need, values: Floats, code: str) -> Floats:
        figure = self.provisional_input(need, code)
        if figure is None:
            return values
        values = values.copy()
        values[-1 if values.ndim == 1 else (-1, -1)] = np.nan if isinstance(figure.value, str) else figure.value
        return values

    def provisional_input(self, need: Need, code: str) -> IntradayFigure | None:
        """Return the intraday figure in a need; None if the need contains none."""
        if self._provisional_inputs is None or not need.known_intraday or need.back != 0 or need.at:
            return None
        if need.source is Source.TURNOVER:
            return self._provisional_inputs.turnover
        if need.source is Source.TOTAL:
            return self._provisional_inputs.totals[need.figure]
        if need.source is not Source.INDEX:
            return None
        code = code or need.codes(self.parameters)[0]
        known = self._provisional_inputs.closes.get(to_id(code))
        return known or IntradayFigure(f"{INDICES} {code} of {to_date(self.days[-1])} is not known {_CAUSES}", 0)

    # -- what is known ---------------------------------------------------------------------------------------

    def known(self, need: Need, code: str = "") -> Mask:
        """Return on which days a required figure is known (k,)."""
        return self._knowledge(need, code)[0]

    def _knowledge(self, need: Need, code: str) -> tuple[Mask, list[int]]:
        key = need, self._code(need, code)
        self.asked.add(key)
        if key not in self._known:
            known = self._is_known(*key)
            self._known[key] = known, np.flatnonzero(~known).tolist()
        return self._known[key]

    def _is_known(self, need: Need, code: str) -> Mask:
        if need.source not in _DAILY_SOURCES:
            return np.ones(len(self), dtype=bool)
        found = self.get(need, code)
        if found.dtype == object:
            return np.array([value is not None for value in found.tolist()], dtype=bool)
        if found.ndim == 1:
            return np.asarray(~np.isnan(found))
        known = ~np.isnan(found)
        return np.asarray(known[:, -1] & (known.sum(axis=1) >= need.required(self.parameters)))

    def met(self, signal: Signal, code: str = "") -> Mask:
        """Return on which days every required need of a signal is known (k,)."""
        out = np.ones(len(self), dtype=bool)
        for need in signal.needs:
            if not need.optional:
                out &= self.known(need, code)
        return out

    def reasons(self, signal: Signal, code: str = "") -> dict[int, str]:
        """Return why a signal is absent: position of the day in the block → reason, for days with an unknown need."""
        out: dict[int, str] = {}
        for need in signal.needs:
            if not need.optional:
                for i in self._knowledge(need, code)[1]:
                    if i not in out:
                        out[i] = self._reason(need, i, code)
        return out

    def reason_of_all(self, signal: Signal, i: int) -> str:
        """Return why a signal is absent of every security on the i-th day."""
        if i in (why := self.reasons(signal)):
            return why[i]
        section = self.section(DETAIL)
        for need in signal.needs:
            if need.source not in _DAILY_SOURCES and np.isnan(self.on(section, need)[section.rows(i)]).all():
                return self.model_reason(i, need.topic) or f"no security has the figures of {need.topic} that it needs"
        return "no security has all of its inputs"

    def _reason(self, need: Need, i: int, code: str) -> str:
        if need.signal is not None:
            return f"{need.signal.id} is absent"
        key = need, self._code(need, code), i
        if key not in self._reasons:
            self._reasons[key] = self._lacking(*key)
        return self._reasons[key]

    def _lacking(self, need: Need, code: str, i: int) -> str:
        code = code or next(iter(need.codes(self.parameters)), "")
        what = f"{need.topic} {code} {need.figure}" if code else f"{need.topic} {need.figure}"
        if i == len(self) - 1:
            figure = self.provisional_input(need, code)
            if figure is not None and isinstance(figure.value, str):
                return figure.value
        counts, latest, length = self._unknown(need, code)
        at = int(self.positions[i]) - need.lag(self.parameters) - latest[i]
        counted = length - counts[i]
        if need.since and at < (start := self._start(need)):
            since = to_date(self.calendar.day_at(start))
            return f"{what} since {since}: {need.required(self.parameters)} days are needed, {counted} are known"
        if at < 0:
            return f"{what}: the calendar does not reach back so far"
        text = f"{what} of {to_date(self.calendar.day_at(at))} {self._lack(need, at)}"
        if length > 1:
            text += f": {need.required(self.parameters)} days are needed, {counted} are known"
        return text

    def _unknown(self, need: Need, code: str) -> tuple[list[int], list[int], int]:
        """Return the number of unknown days in each window (k,), the days behind the last of them, and the length."""
        if (need, code) not in self._unknown_days:
            values = self.get(need, code)
            unknown = np.isnan(values[:, None] if values.ndim == 1 else values)
            behind = unknown[:, ::-1].argmax(axis=1)
            self._unknown_days[need, code] = unknown.sum(axis=1).tolist(), behind.tolist(), unknown.shape[1]
        return self._unknown_days[need, code]

    def _lack(self, need: Need, at: int) -> str:
        """Return what one day lacks: the whole figure, or the summands of some exchanges."""
        if need.source in (Source.TOTAL, Source.TURNOVER, Source.FLOAT_CAP):
            key = need.source, need.figure, at
            if key not in self._absent:
                one = Block([self.calendar.day_at(at)], self._sources)
                point = replace(need, back=0, days=1, plus=0, min_periods=0, since="")
                summands = zip(self.exchanges, one._summands(point), strict=True)
                self._absent[key] = [exchange for exchange, found in summands if np.isnan(found[0])]
            absent = self._absent[key]
            if len(absent) < len(self.exchanges):
                return f"lacks {', '.join(absent)}"
        return f"is not known {_CAUSES}"

    def figure_or_reason(self, need: Need) -> float | str:
        """Return the figure of the block's last day, or the reason why it is unknown."""
        return float(self.get(need)[-1]) if self.known(need)[-1] else self._reason(need, len(self) - 1, "")

    # -- recursions and earlier results ----------------------------------------------------------------------

    def scan(
        self,
        signal: Signal,
        step: Callable[[Any, int], Any],
        *,
        code: str = "",
        max_gap_days: int = 1,
        every_day: bool = False,
    ) -> list[Any]:
        """Run a recursion over the days on which a signal's needs are met; return its states (k,), None on other days.

        Parameters
        ----------
        step : takes the previous state (None if there is none) and the position of the day; returns the new state.
        max_gap_days : trading days over which a recursion pauses; after a longer gap it starts without a state.
        every_day : run it on the days on which a need is not met, too.
        """
        memory, name = self._sources.memory, f"{signal.id}/{code}" if code else signal.id
        out: list[Any] = []
        for i, (day, met) in enumerate(zip(self.days, self.met(signal, code).tolist(), strict=True)):
            state = step(memory.load_state(day, name, max_gap_days), i) if met or every_day else None
            if self._provisional_inputs is None:
                memory.save_state(day, name, state)
            out.append(state)
        return out

    def own_window(self, name: str, values: Floats, days: int) -> Floats:
        """Return the last ``days`` values of a signal that this block computes: (k, days), NaN where absent.

        Parameters
        ----------
        name : id of the signal, or ``<id>/<subject>``.
        values : (k,) its values on the days of the block; `Memory` contains those of earlier days.
        """
        start = int(self.positions[0]) - days + 1
        series = self._sources.memory.series(name, start, int(self.positions[-1]) + 1)
        series[self.positions - start] = values
        return windows(series, self.positions - start, days).reshape(len(self), days)


#: Sources with one figure, or one window of figures, a day. A source of securities has a figure for each of them.
_DAILY_SOURCES = {Source.TOTAL, Source.TURNOVER, Source.FLOAT_CAP, Source.INDEX, Source.RATE, Source.COLLATERAL,
                  Source.RESULT}  # fmt: skip


def _sum(parts: list[Floats]) -> Floats:
    """Add arrays in their order: a sum of floats depends on it."""
    out = parts[0]
    for part in parts[1:]:
        out = out + part
    return out
