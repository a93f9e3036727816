"""The state of the console: the newest and the earlier values, folded from the published messages.

The version of a message that is offered last is valid: who offers leaves out messages with a lower sequence. A final
value replaces a provisional one. `versions` counts the changes of each part, so that a page redraws only changed parts,
at its own rate instead of the rate of messages.
"""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from alerts.market_clock import MarketClock
from alerts.model import Alert, Severity, State
from alerts.record import RecordCard
from console.directory import Directory
from processors.codes import to_codes, to_id
from processors.errors import RowError
from processors.industries import INDUSTRIES
from processors.outputs import IndustrySignals, MarketSignal, SecuritySignals

#: Days of securities and industries that are kept for their pages: more than a year.
DAYS_KEPT = 260
_RANK = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}
#: Rules whose alert lists a day's securities; the table of flags shows the same securities one by one.
DIGESTS = ("securities_digest", "fin_streak", "fin_extreme", "fin_divergence", "excess_score_top")


#: Details whose history charts draw: signal → names; their curves are called ``signal.detail``.
_DETAIL_CURVES = {"ratio_state_quantile": ("hot", "cold")}


class Part(StrEnum):
    """The parts of the model that change independently."""

    FINAL = "final"
    LIVE = "live"
    SECURITIES = "securities"
    INDUSTRIES = "industries"
    ALERTS = "alerts"
    FEEDS = "feeds"
    RECORDS = "records"
    NAMES = "names"


#: The parts that market signals change.
MARKET_PARTS = (Part.FINAL, Part.LIVE)


@dataclass(frozen=True, slots=True)
class Feed:
    """The state of a feed: its newest day, whether that is closed, and the day that is due."""

    name: str
    newest: date | None
    closed: bool
    due: date | None
    rows: int

    @property
    def late(self) -> bool:
        """Whether a day that is due has not been closed."""
        if self.newest is None or self.due is None:
            return False
        return self.newest < self.due or (self.newest == self.due and not self.closed)


@dataclass(frozen=True, slots=True)
class Flag:
    """A security that is flagged on the newest day."""

    code: str
    kind: str  # extreme, streak, divergence, score
    side: int  # direction of the figure: +1 rises, −1 falls, 0 neither
    strong: bool
    change: float | None
    streak: int | None
    excess: float | None


class ConsoleModel:
    """The values that pages show.

    Parameters
    ----------
    streak_flags : lengths of streaks that are flagged, in days.
    """

    def __init__(self, streak_flags: Sequence[int]) -> None:
        self.versions: Counter[Part] = Counter()
        self.latest: dict[str, MarketSignal] = {}  # final ones
        self.live: dict[str, MarketSignal] = {}  # provisional ones, of a later day than the final
        self.alerts: dict[str, Alert] = {}
        self.records: tuple[RecordCard, ...] = ()
        self.directory = Directory({})
        self.feeds: tuple[Feed, ...] = ()
        self.calendar_days_left: int | None = None
        self.simulated = False
        self.trouble = ""  # why no new messages arrive; empty while they do
        self.clock = MarketClock()
        self.changed_at: datetime | None = None
        self._streak_flags = tuple(streak_flags)
        self._values: dict[str, dict[date, Any]] = {}
        self._days: dict[str, list[date]] = {}
        self._securities: dict[str, dict[date, SecuritySignals]] = {"financing": {}, "pricing": {}}
        self._industries: dict[date, IndustrySignals] = {}

    def _changed(self, part: Part) -> None:
        self.versions[part] += 1
        self.changed_at = self.clock.now()

    # -- writing --------------------------------------------------------------------------------------------------

    def offer_market(self, signal: MarketSignal) -> None:
        """Store a market signal."""
        name, day = signal.name, signal.trade_date
        if signal.provisional:
            final = self.latest.get(name)
            if signal.value is not None and (final is None or day > final.trade_date):
                self.live[name] = signal
                self._changed(Part.LIVE)
            return
        self._store_value(name, day, signal.value)
        for detail in _DETAIL_CURVES.get(name, ()):
            self._store_value(f"{name}.{detail}", day, signal.details.get(detail))
        if name not in self.latest or day >= self.latest[name].trade_date:
            self.latest[name] = signal
        if name in self.live and self.live[name].trade_date <= day:
            del self.live[name]
            self._changed(Part.LIVE)
        self._changed(Part.FINAL)

    def _store_value(self, name: str, day: date, value: Any) -> None:
        values = self._values.setdefault(name, {})
        if day not in values:
            insort(self._days.setdefault(name, []), day)
        values[day] = value

    def offer_securities(self, frame: SecuritySignals) -> None:
        """Store a day's frame of securities."""
        days = self._securities.setdefault(frame.family, {})
        if _store(days, frame.status.trade_date, frame):
            self._changed(Part.SECURITIES)

    def offer_industries(self, frame: IndustrySignals) -> None:
        """Store a day's frame of industries."""
        if _store(self._industries, frame.status.trade_date, frame):
            self._changed(Part.INDUSTRIES)

    def offer_alert(self, alert: Alert) -> None:
        """Store the newest version of an alert."""
        self.alerts[alert.id] = alert
        self._changed(Part.ALERTS)

    def offer_records(self, cards: Sequence[RecordCard]) -> None:
        """Store the records of all rules; versions change only if they differ."""
        if tuple(cards) != self.records:
            self.records = tuple(cards)
            self._changed(Part.RECORDS)

    def offer_directory(self, directory: Directory) -> None:
        """Store the names of securities."""
        self.directory = directory
        self.versions[Part.NAMES] += 1

    def offer_feeds(self, feeds: Sequence[Feed], calendar_days_left: int | None, trouble: str = "") -> None:
        """Store the state of the feeds; versions change only if it differs."""
        new = tuple(feeds), calendar_days_left, trouble
        if new != (self.feeds, self.calendar_days_left, self.trouble):
            self.feeds, self.calendar_days_left, self.trouble = new
            self.versions[Part.FEEDS] += 1

    # -- reading --------------------------------------------------------------------------------------------------

    @property
    def day(self) -> date | None:
        """The newest trade date with a final market signal."""
        return max((s.trade_date for s in self.latest.values()), default=None)

    def now(self, name: str) -> MarketSignal | None:
        """The newest signal: the provisional one where there is one, else the final one."""
        return self.live.get(name) or self.latest.get(name)

    def curve(self, name: str) -> list[tuple[date, Any]]:
        """Final values by day; a day without a value is a gap (None)."""
        values = self._values.get(name, {})
        return [(day, values[day]) for day in self._days.get(name, [])]

    def curves(self, names: Mapping[str, str]) -> dict[str, list[tuple[date, Any]]]:
        """Curves by the keys of ``names``, whose values name them."""
        return {key: self.curve(name) for key, name in names.items()}

    def before(self, name: str, day: date) -> Any:
        """The final value of the last day before a day, None if there is none."""
        days = [d for d in self._days.get(name, [])[-2:] if d < day]
        return self._values[name][days[-1]] if days else None

    def last_known(self, name: str) -> tuple[date, Any] | None:
        """The newest final value that is not absent, and its day."""
        values = self._values.get(name, {})
        return next(((d, values[d]) for d in reversed(self._days.get(name, [])) if values[d] is not None), None)

    def firing(self) -> list[Alert]:
        """Alerts that fire, by severity, unacknowledged first; of a digest only the newest day."""
        found = [a for a in self.alerts.values() if a.state is State.FIRING]
        newest = {rule: max((a.trade_date for a in found if a.rule == rule), default=None) for rule in DIGESTS}
        kept = [a for a in found if a.rule not in newest or a.trade_date == newest[a.rule]]
        return sorted(
            kept, key=lambda a: (_RANK[a.severity], a.acknowledged is not None, -a.trade_date.toordinal(), a.id)
        )

    def records_of(self, rule: str, subject: str = "") -> list[RecordCard]:
        """The record cards of a rule, of all its subjects or of one."""
        return [card for card in self.records if card.rule == rule and subject in ("", card.subject)]

    def industry_day(self) -> IndustrySignals | None:
        """The newest day of industries."""
        return self._industries[max(self._industries)] if self._industries else None

    def industry_days(self, count: int) -> list[IndustrySignals]:
        """The newest days of industries, the oldest first."""
        return [self._industries[day] for day in sorted(self._industries)[-count:]]

    def industry(self, name: str) -> list[tuple[date, dict[str, float | None]]]:
        """The figures of one industry by day."""
        at = INDUSTRIES.index(name)
        return [(day, _row(self._industries[day].columns, at)) for day in sorted(self._industries)]

    def security(self, code: str) -> list[tuple[date, dict[str, float | None]]]:
        """The figures of one security by day, of both families; empty for an unknown code."""
        try:
            key = to_id(code)
        except RowError:
            return []
        found: dict[date, dict[str, float | None]] = {}
        for days in self._securities.values():
            for day, frame in days.items():
                at = int(np.searchsorted(frame.keys, key))
                if at < len(frame.keys) and frame.keys[at] == key:
                    found.setdefault(day, {}).update(_row(frame.columns, at))
        return sorted(found.items())

    def codes(self) -> list[str]:
        """Every security of the newest day."""
        days = self._securities["financing"]
        return to_codes(days[max(days)].keys) if days else []

    def security_status(self) -> SecuritySignals | None:
        """The newest frame of securities."""
        days = self._securities["financing"]
        return days[max(days)] if days else None

    def flags_day(self) -> date | None:
        """The day of `flags`."""
        return max(self._securities["financing"], default=None)

    def flags(self) -> tuple[date | None, list[Flag]]:
        """The newest day's extremes, streaks, divergences and excess scores, the stronger ones first."""
        days = self._securities["financing"]
        if not days:
            return None, []
        day = max(days)
        frame = days[day]
        columns = dict(frame.columns)
        priced = self._securities["pricing"].get(day)
        if priced is not None and np.array_equal(priced.keys, frame.keys):
            columns |= priced.columns
        size = len(frame.keys)

        def column(name: str) -> npt.NDArray[np.float64]:
            found = columns.get(name)
            return np.full(size, np.nan) if found is None else np.asarray(found, dtype=np.float64)

        extreme, twice, streak = column("extreme"), column("consecutive_extreme"), column("fin_streak")
        case, top, kind = column("divergence"), column("excess_top"), column("excess_kind")
        change, excess = column("fin_change"), column("streak_excess")
        longest = max(self._streak_flags)
        reached = np.isin(np.abs(streak), self._streak_flags) & ~np.isnan(change)
        chosen = (
            ("extreme", np.abs(extreme) == 1, extreme, np.abs(twice) == 1),
            ("streak", reached, streak, np.abs(streak) >= longest),
            ("divergence", case > 0, streak, case > 0),
            ("score", top == 1, kind, np.zeros(size, dtype=bool)),
        )
        codes = to_codes(frame.keys)
        out = [
            Flag(codes[i], name, int(np.sign(_or_zero(side[i]))), bool(strong[i]), _known(change[i]),
                 int(_or_zero(streak[i])), _known(excess[i]))
            for name, hit, side, strong in chosen
            for i in np.flatnonzero(hit).tolist()
        ]  # fmt: skip
        return day, sorted(out, key=lambda f: (f.kind != "divergence", not f.strong, -abs(f.change or 0.0), f.code))


def _store(days: dict[date, Any], day: date, frame: Any) -> bool:
    """Store a frame among the newest days; return whether it is one of them."""
    days[day] = frame
    if len(days) > DAYS_KEPT:
        oldest = min(days)
        del days[oldest]
        return oldest != day
    return True


def _row(columns: dict[str, Any], at: int) -> dict[str, float | None]:
    return {name: _known(values[at]) for name, values in columns.items()}


def _known(value: Any) -> float | None:
    return None if np.isnan(value) else float(value)


def _or_zero(value: float) -> float:
    return 0.0 if np.isnan(value) else value
