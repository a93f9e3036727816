"""What a market indicator may see of one trade date: totals, turnover, index closes, earlier results.

Look-backs count sessions of the exchange calendar, never the rows at hand. A figure that isn't there raises
`Missing` with the reason, so an indicator can't mistake it for zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from processors.codes import to_code, to_id
from processors.days import TradingCalendar, to_date
from processors.parameters import Parameters
from processors.signal import Absent, Reading, Value

SSE_COMPOSITE = to_id("000001.SH")
#: The index whose published turnover is that of its whole exchange.
TURNOVER_INDEX = {"SSE": SSE_COMPOSITE, "SZSE": to_id("399001.SZ"), "BSE": to_id("899050.BJ")}

Results = Mapping[str, Reading | Absent]


class Missing(Exception):  # noqa: N818 - not an error: a signal that can't be computed yet
    """A figure that an indicator needs is not known."""

    def absent(self) -> Absent:
        """Return the absence with this reason."""
        return Absent(str(self))


@dataclass(slots=True)
class Series:
    """Daily figures of the market, by day; a missing figure is stored as the reason why."""

    totals: dict[str, dict[int, float | str]] = field(default_factory=dict)
    turnover: dict[int, float | str] = field(default_factory=dict)
    closes: dict[int, dict[int, float]] = field(default_factory=dict)  # index id → day → close


@dataclass(slots=True)
class Overlay:
    """Live figures that stand for a day that isn't published yet (provisional values)."""

    totals: dict[str, float | str]
    turnover: float | str
    closes: dict[int, float]


class MarketView:
    """One trade date as an indicator sees it. ``back`` counts trading days before it."""

    def __init__(
        self,
        day: int,
        *,
        calendar: TradingCalendar,
        series: Series,
        results: Mapping[int, Results],
        parameters: Parameters,
        overlay: Overlay | None = None,
    ) -> None:
        self.day = day
        self.parameters = parameters
        self.computed: dict[str, Reading | Absent] = {}
        self._calendar = calendar
        self._series = series
        self._results = results
        self._overlay = overlay

    def total(self, name: str, back: int = 0) -> float:
        """Σ of a margin figure over the exchanges, CNY; raises `Missing`."""
        if back == 0 and self._overlay is not None:
            return _known(self._overlay.totals.get(name), "margin.market", name, self.day)
        day = self._back(back)
        return _known(self._series.totals.get(name, {}).get(day), "margin.market", name, day)

    def turnover(self, back: int = 0) -> float:
        """Σ turnover of the same exchanges, CNY; raises `Missing`."""
        if back == 0 and self._overlay is not None:
            return _known(self._overlay.turnover, "indices.daily", "turnover", self.day)
        day = self._back(back)
        return _known(self._series.turnover.get(day), "indices.daily", "turnover", day)

    def index_close(self, index: int, back: int = 0) -> float:
        """Close of an index; raises `Missing`."""
        day = self._back(back)
        closes = self._series.closes.get(index, {})
        close = closes.get(day) if back or self._overlay is None else self._overlay.closes.get(index)
        return _known(close, "indices.daily", to_code(index), day)

    def today(self, signal: str) -> Value | None:
        """The value of a signal computed before on the same day, None if absent."""
        return _value(self.computed.get(signal))

    def yesterday(self, signal: str) -> Value | None:
        """The value of a signal on the trading day before, None if absent."""
        return self.result(signal, 1)

    def result(self, signal: str, back: int) -> Value | None:
        """The value of a signal ``back`` trading days before, None if absent."""
        day = self._calendar.shift(self.day, -back)
        return None if day is None else _value(self._results.get(day, {}).get(signal))

    def latest_before(self, signal: str) -> Value | None:
        """The newest known value before this day: a state machine pauses over days without a value."""
        for back in range(1, self.parameters.late_days):
            value = self.result(signal, back)
            if value is not None:
                return value
        return None

    def _back(self, back: int) -> int:
        day = self._calendar.shift(self.day, -back)
        if day is None:
            raise Missing(f"the calendar does not reach {back} trading days before {to_date(self.day)}")
        return day


def _value(reading: Reading | Absent | None) -> Value | None:
    return reading.value if isinstance(reading, Reading) else None


def _known(figure: float | str | None, topic: str, name: str, day: int) -> float:
    if isinstance(figure, str):
        raise Missing(figure)
    if figure is None:
        raise Missing(f"{topic} {name} of {to_date(day)} is not known (window not full, or the feed is late)")
    return figure
