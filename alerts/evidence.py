"""The evidence of a rule: the returns after its earlier alerts, without look-ahead (walk-forward).

An alert of day T carries the record of all earlier cases whose horizon ended *before* T. The record is a function of
closes and levels, in whatever order they are read: a late one recomputes the later alerts, which keep their ids.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import msgspec
import numpy as np

from alerts.model import Alert, Basis, Evidence, Outcome
from alerts.rules.base import Expectation, Message
from processors.codes import Ids, is_fund, reindex_sorted, to_id
from processors.column_table import ColumnTable, DayColumns, Layout
from processors.days import TradingCalendar, to_day
from processors.events import Floats
from processors.outputs import MarketSignal, SecuritySignals
from processors.table import DAY, DAY_TEXT, Processor, Table, TableSet, ValueCodec

HORIZONS = (5, 20, 60)
#: The horizon by which a case is a hit or not, trading days.
_SCORED_DAYS = 20
_INDEX = "index_close/000001.SH"


class _Case(msgspec.Struct, array_like=True):
    """An earlier alert; members and outcomes only where the expectation is about securities."""

    alert: str
    members: list[str] = []
    outcomes: dict[str, float] = {}  # by horizon


class _Close(msgspec.Struct, array_like=True):
    """The newest close of the index on a day."""

    revision: int
    close: float


@dataclass(slots=True)
class _Levels:
    revision: int
    keys: Ids
    level: Floats


class EvidenceStore(Processor):
    """Closes of the index, levels of the last 61 sessions, and every case."""

    def __init__(self, calendar: TradingCalendar) -> None:
        self._calendar = calendar
        self._close_rows: Table[int, _Close] = Table("close", DAY, ValueCodec(_Close))
        self._closes = np.full(len(calendar), np.nan)  # the same by position in the calendar
        self._levels = ColumnTable[int, _Levels](
            "levels",
            DAY,
            Layout[int](int, [("level", "<f8")]),
            to_columns=lambda stored: DayColumns(stored.revision, stored.keys, {"level": stored.level}),
            from_columns=lambda _day, stored: _Levels(stored.header, stored.keys, stored.columns["level"]),
            keep=HORIZONS[-1] + 1,
        )
        self._case_rows: Table[tuple[int, str], _Case] = Table("case", DAY_TEXT, ValueCodec(_Case))
        self._cases: dict[str, dict[int, _Case]] = {}  # the same by record and day
        self._outcomes: dict[str, Floats] = {}  # of cases with members: (horizons, calendar), by the case's position
        self.tables = TableSet(self._close_rows, self._levels, self._case_rows, on_load=self._loaded)

    # -- closes and levels -----------------------------------------------------------------------------------

    def observe(self, message: Message) -> tuple[Basis, date] | None:
        """Store closes and levels; return the basis and the day whose evidence they change, None if nothing changed."""
        if isinstance(message, MarketSignal):
            if message.name != _INDEX or message.provisional or message.value is None:
                return None
            day = to_day(message.trade_date)
            stored = self._close_rows.get(day)
            if day not in self._calendar or (stored is not None and stored.revision >= message.revision):
                return None
            self._close_rows[day] = _Close(message.revision, float(message.value))
            self._closes[self._calendar.position(day)] = float(message.value)
            return Basis.INDEX, message.trade_date
        if isinstance(message, SecuritySignals) and message.family == "pricing" and self._observe_levels(message):
            return Basis.MEMBERS, message.status.trade_date
        return None

    def _observe_levels(self, frame: SecuritySignals) -> bool:
        day = to_day(frame.status.trade_date)
        stored = self._levels.get(day)
        if stored is not None and stored.revision >= frame.status.revision:
            return False
        if len(self._levels) > HORIZONS[-1] + 1 and day < min(self._levels):
            return False  # older than the stored levels: a replay reads it again
        stock = ~is_fund(frame.keys) & ~np.isnan(frame.columns["price_level"])
        self._levels[day] = _Levels(frame.status.revision, frame.keys[stock], frame.columns["price_level"][stock])
        for name, cases in self._cases.items():
            for horizon in HORIZONS:
                self._score(name, cases, self._calendar.shift(day, -horizon), horizon)
                self._score(name, cases, day, horizon)
        self._levels.trim()
        return True

    def _score(self, name: str, cases: dict[int, _Case], day: int | None, horizon: int) -> None:
        """Compute a case's outcome: its members' mean return less the mean of all stocks with both levels."""
        case = cases.get(day) if day is not None else None
        if case is None or not case.members or day is None:
            return
        end = self._calendar.shift(day, horizon)
        if end is None or day not in self._levels or end not in self._levels:
            return
        first, last = self._levels[day], self._levels[end]
        growth = reindex_sorted(first.keys, last.keys, last.level) / first.level - 1
        members = np.isin(first.keys, np.array([to_id(code) for code in case.members], dtype=np.int32))
        known = ~np.isnan(growth)
        if (members & known).any():
            case.outcomes[str(horizon)] = float(growth[members & known].mean() - growth[known].mean())
            self._set_outcomes(name, day, case)
            self._case_rows.touch((day, name))

    def _set_outcomes(self, name: str, day: int, case: _Case | None) -> None:
        """Write the outcomes of a case into the array that records are computed from; None removes them."""
        if name not in self._outcomes:
            self._outcomes[name] = np.full((len(HORIZONS), len(self._calendar)), np.nan)
        stored = {} if case is None else case.outcomes
        self._outcomes[name][:, self._calendar.position(day)] = [stored.get(str(h), np.nan) for h in HORIZONS]

    # -- cases -----------------------------------------------------------------------------------------------

    def add(self, alert: Alert, expectation: Expectation) -> None:
        """Add a firing of a rule to its cases."""
        name, day = _record_key(alert, expectation), to_day(alert.trade_date)
        members = expectation.members(alert) if expectation.basis is Basis.MEMBERS else []
        cases = self._cases.setdefault(name, {})
        cases[day] = self._case_rows[day, name] = _Case(alert.id, members)
        for horizon in HORIZONS:
            self._score(name, cases, day, horizon)

    def remove(self, alert: Alert, expectation: Expectation) -> None:
        """Remove a firing that a correction has superseded."""
        name, day = _record_key(alert, expectation), to_day(alert.trade_date)
        stored = self._cases.get(name, {}).get(day)
        if stored is not None and stored.alert == alert.id:
            del self._cases[name][day], self._case_rows[day, name]
            if expectation.basis is Basis.MEMBERS:
                self._set_outcomes(name, day, None)

    def record(self, alert: Alert, expectation: Expectation) -> Evidence:
        """Return the record of the rule's earlier cases as it was known before the alert's day."""
        today = to_day(alert.trade_date)
        name = _record_key(alert, expectation)
        if expectation.basis is Basis.INDEX:
            days = [day for day in self._cases.get(name, {}) if day < today and day in self._calendar]
            found, drawdown = self._index_returns(days, today)
        else:
            found, drawdown = self._member_returns(name, today), None
        scored = found.get(_SCORED_DAYS, np.empty(0))
        return Evidence(
            name=expectation.name,
            definition=expectation.definition,
            basis=expectation.basis,
            cases=len(scored),
            hits=int(expectation.hit(scored[:, None]).sum()),
            claim=expectation.claim,
            outcomes={str(h): Outcome(len(v), float(np.median(v)), float(v.min())) for h, v in found.items() if len(v)},
            drawdown=drawdown,
        )

    def _index_returns(self, days: list[int], today: int) -> tuple[dict[int, Floats], float | None]:
        at = np.array([self._calendar.position(day) for day in days], dtype=np.intp)
        end = self._calendar.position(today) if today in self._calendar else len(self._closes)
        found: dict[int, Floats] = {}
        for horizon in HORIZONS:
            ended = at[at + horizon < end]
            values = self._closes[ended + horizon] / self._closes[ended] - 1
            found[horizon] = values[~np.isnan(values)]
        falls = [
            float(np.nanmin(self._closes[a : a + HORIZONS[-1] + 1]) / self._closes[a] - 1)
            for a in at[at + HORIZONS[-1] < end].tolist()
            if not np.isnan(self._closes[a])
        ]
        return found, min(falls, default=None)

    def _member_returns(self, name: str, today: int) -> dict[int, Floats]:
        lines = self._outcomes.get(name)
        if lines is None or today not in self._calendar:
            return {}
        end = self._calendar.position(today)
        found = {h: line[: max(0, end - h)] for h, line in zip(HORIZONS, lines, strict=True)}
        return {h: values[~np.isnan(values)] for h, values in found.items()}

    # -- state -----------------------------------------------------------------------------------------------

    def _loaded(self) -> None:
        for day, close in self._close_rows.items():
            self._closes[self._calendar.position(day)] = close.close
        for (day, name), case in self._case_rows.items():
            self._cases.setdefault(name, {})[day] = case
            if case.outcomes:
                self._set_outcomes(name, day, case)


def wilson(hits: int, cases: int) -> tuple[float, float] | tuple[None, None]:
    """Return the 95% interval of a share by Wilson's score (fractions); None without cases."""
    if not cases:
        return None, None
    z, share = 1.959963984540054, hits / cases
    middle = (share + z * z / (2 * cases)) / (1 + z * z / cases)
    half = z / (1 + z * z / cases) * float(np.sqrt(share * (1 - share) / cases + z * z / (4 * cases * cases)))
    return max(0.0, middle - half), min(1.0, middle + half)


def _record_key(alert: Alert, expectation: Expectation) -> str:
    """Return the key of an alert's record: its rule and subject, and the record's name where the rule has several."""
    return f"{alert.rule}/{alert.subject}" + (f"/{expectation.name}" if expectation.name else "")
