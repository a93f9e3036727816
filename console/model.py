"""The state of the console: the newest and the earlier values, folded from the published messages.

The version of a message that is offered last is valid: who offers leaves out messages with a lower sequence. A final
value replaces a provisional one. `versions` counts the changes of each part, so that a page redraws only changed parts,
at its own rate instead of the rate of messages. `known_at` returns the model of an earlier moment.
"""

from __future__ import annotations

import sys
from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Any

import numpy as np

from alerts.market_clock import MarketClock
from alerts.model import Alert, State
from alerts.record import RecordCard
from alerts.verdict import overdue
from console.alert_at import alert_at
from console.daily_inputs import DailyInputs
from console.directory import Directory
from console.security_days import SecurityDays, row
from console.study_results import StudyResults
from console.versions import Versions
from processors.charts import Heights, from_words
from processors.codes import to_id
from processors.days import SHANGHAI, TradingCalendar, to_date, to_day
from processors.deadlines import is_late
from processors.errors import RowError
from processors.events import RowBatch
from processors.indicators.verdict import VERDICT
from processors.industries import INDUSTRIES
from processors.outputs import ChartFrame, DayStatus, IndustrySignals, MarketSignal, SecuritySignals

#: Days of securities and industries that are kept for their pages: more than a year.
DAYS_KEPT = 260
_NOTHING = np.full(1, np.nan)
#: A figure that arrives so long after it could be known is history (ours): no feed of a running market is that late.
_HISTORY = timedelta(days=7)

#: Details whose history charts draw: signal → names; their curves are called ``signal.detail``.
_DETAIL_CURVES = {"ratio_state_quantile": ("hot", "cold")}


class Part(StrEnum):
    """The parts of the model that change independently."""

    FINAL = "final"
    LIVE = "live"
    SECURITIES = "securities"
    INDUSTRIES = "industries"
    CHARTS = "charts"
    ALERTS = "alerts"
    FEEDS = "feeds"
    CLOCK = "clock"
    RECORDS = "records"
    NAMES = "names"
    INPUTS = "inputs"
    STUDIES = "studies"


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
        return is_late(self.newest, self.due, closed=self.closed)


@dataclass(frozen=True, slots=True)
class _Final:
    """What is kept of a final market signal of an earlier day; a whole signal takes four times the memory."""

    available_at: datetime
    revision: int
    value: Any
    reason: str
    missing: dict[str, int] | None
    details: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Correction:
    """A market signal whose value of a day was published later, or again; ``then`` is None where there was none."""

    name: str
    day: date
    then: Any
    now: Any
    available_at: datetime


class ConsoleModel:
    """The values that pages show.

    Parameters
    ----------
    streak_flags : lengths of streaks that are flagged, in days.
    sessions : the trading calendar: a session of which nothing is published is a gap of every curve and sum.
    day_rules : the rules whose alerts cover their day only (`Rule.covers_day`).
    """

    def __init__(self, streak_flags: Sequence[int], sessions: TradingCalendar, day_rules: Collection[str] = ()) -> None:
        self.sessions = sessions
        self._day_rules = day_rules
        self.versions: Counter[Part] = Counter()
        self.latest: dict[str, MarketSignal] = {}  # final ones
        self.live: dict[str, MarketSignal] = {}  # provisional ones, of a later day than the final
        self.alerts: dict[str, Alert] = {}
        self.records: tuple[RecordCard, ...] = ()
        self.studies = StudyResults()
        self.directory = Directory({})
        self.inputs = DailyInputs(DAYS_KEPT)
        self.feeds: tuple[Feed, ...] = ()
        self.calendar_days_left: int | None = None
        self.simulated = False
        self.trouble = ""  # why no new messages arrive; empty while they do
        self.clock = MarketClock()
        self.history_days = 0  # days of market signals that had long been known when they arrived
        self.reads_history = False
        self.changed_at: datetime | None = None
        self._streak_flags = tuple(streak_flags)
        self.as_of: date | None = None  # the day whose knowledge this model contains; None for all of it
        self.securities = SecurityDays(streak_flags, DAYS_KEPT)
        self._finals: dict[str, Versions[_Final]] = {}
        self._industries = Versions[IndustrySignals](DAYS_KEPT)
        self._charts: dict[int, ChartFrame] = {}  # by partition, of its newest week
        self._silence_ends: list[datetime] = []  # ascending

    def _changed(self, part: Part) -> None:
        self.versions[part] += 1
        self.changed_at = self.clock.now()

    # -- writing --------------------------------------------------------------------------------------------------

    def offer_market(self, signal: MarketSignal) -> None:
        """Store a market signal."""
        name, day, final = signal.name, signal.trade_date, self.latest.get(signal.name)
        # The last final value is more useful than an absent provisional one.
        runs = signal.provisional and signal.value is not None and (final is None or day > final.trade_date)
        if runs or (name in self.live and self.live[name].trade_date <= day):
            self.live.pop(name, None)
            self.live |= {name: signal} if runs else {}
            self._changed(Part.LIVE)
        if signal.provisional:
            return
        version = _Final(
            signal.available_at, signal.revision, signal.value, sys.intern(signal.reason), signal.missing or None,
            signal.details or None,
        )  # fmt: skip
        finals = self._finals.setdefault(name, Versions())
        if day not in finals and self.clock.now() - signal.available_at > _HISTORY:
            self.history_days += 1
        finals.offer(day, signal.available_at, version)
        if name not in self.latest or day >= self.latest[name].trade_date:
            self.latest[name] = signal
        self._changed(Part.FINAL)

    def offer_securities(self, frame: SecuritySignals) -> None:
        """Store a day's frame of securities."""
        if self.securities.offer(frame):
            self._changed(Part.SECURITIES)

    def offer_industries(self, frame: IndustrySignals) -> None:
        """Store a day's frame of industries."""
        if self._industries.offer(frame.status.trade_date, frame.status.available_at, frame):
            self._changed(Part.INDUSTRIES)

    def offer_charts(self, frame: ChartFrame) -> None:
        """Store the charts of a partition's newest week."""
        stored = self._charts.get(frame.partition)
        if stored is None or frame.day >= stored.day:
            self._charts[frame.partition] = frame
            self._changed(Part.CHARTS)

    def offer_alert(self, alert: Alert) -> None:
        """Store the newest version of an alert."""
        self.alerts[alert.id] = alert
        if alert.silence is not None:
            insort(self._silence_ends, alert.silence.until)
        self._changed(Part.ALERTS)

    def offer_records(self, cards: Sequence[RecordCard]) -> None:
        """Store the records of all rules; versions change only if they differ."""
        if tuple(cards) != self.records:
            self.records = tuple(cards)
            self._changed(Part.RECORDS)

    def offer_studies(self, results: StudyResults) -> None:
        """Store the state of the studies; versions change only if it differs."""
        if results != self.studies:
            self.studies = results
            self.versions[Part.STUDIES] += 1

    def offer_directory(self, directory: Directory) -> None:
        """Store the names of securities."""
        self.directory = directory
        self.versions[Part.NAMES] += 1

    def offer_inputs(self, batch: RowBatch) -> None:
        """Store rows of an input topic of `daily_inputs.FIGURES_KEPT`."""
        self.inputs.offer(batch)
        self.versions[Part.INPUTS] += 1

    def offer_feeds(
        self, feeds: Sequence[Feed], calendar_days_left: int | None, trouble: str = "", *, reads_history: bool = False
    ) -> None:
        """Store the state of the feeds; versions change only if it differs."""
        new = tuple(feeds), calendar_days_left, trouble, reads_history
        if new != (self.feeds, self.calendar_days_left, self.trouble, self.reads_history):
            self.feeds, self.calendar_days_left, self.trouble, self.reads_history = new
            self.versions[Part.FEEDS] += 1

    def offer_clock(self, at: datetime | None) -> None:
        """Set the market's clock to the moment of a replay, or to the machine's clock if it is None."""
        if at is not None or self.clock.replays:
            self.clock.set(at)
            self.versions[Part.CLOCK] += 1

    # -- reading --------------------------------------------------------------------------------------------------

    def version(self, part: Part) -> int:
        """The count of changes of a part; the end of a silence, of which nothing is published, changes alerts."""
        ended = bisect_right(self._silence_ends, self.clock.now()) if part is Part.ALERTS else 0
        return self.versions[part] + ended

    @property
    def day(self) -> date | None:
        """The newest trade date with a final market signal."""
        return max((s.trade_date for s in self.latest.values()), default=None)

    @property
    def verdict_due(self) -> date | None:
        """The newest trade date whose verdict is due; None while it is known, see `alerts.verdict.overdue`."""
        return overdue(self.latest.get(VERDICT.id), {f.name: f.due for f in self.feeds if f.due is not None})

    def now(self, name: str) -> MarketSignal | None:
        """The newest signal: the provisional one where there is one, else the final one."""
        return self.live.get(name) or self.latest.get(name)

    def curve(self, name: str) -> list[tuple[date, Any]]:
        """Final values by day; a session without one is a gap (None). ``signal.detail`` is the curve of a detail."""
        signal, _, detail = name.partition(".") if name.partition(".")[0] in _DETAIL_CURVES else (name, "", "")
        finals = self._finals.get(signal)
        if finals is None:
            return []
        known = [(day, finals.newest(day) if day in finals else None) for day in self._days(finals)]
        if not detail:
            return [(day, None if final is None else final.value) for day, final in known]
        return [(day, None if final is None else (final.details or {}).get(detail)) for day, final in known]

    def curves(self, names: Mapping[str, str]) -> dict[str, list[tuple[date, Any]]]:
        """Curves by the keys of ``names``, whose values name them."""
        return {key: self.curve(name) for key, name in names.items()}

    def _days(self, found: Versions[Any]) -> list[date]:
        """The days of versions with every session between the first and the last of them."""
        if not found.days:
            return []
        sessions = self.sessions.between(to_day(found.days[0]), to_day(found.days[-1]))
        return sorted({*found.days, *map(to_date, sessions.tolist())})

    def last_known(self, name: str) -> tuple[date, Any] | None:
        """The newest final value that is not absent, and its day."""
        finals = self._finals.get(name)
        if finals is None:
            return None
        days = reversed(finals.days)
        return next(((day, value) for day in days if (value := finals.newest(day).value) is not None), None)

    def change(self, name: str, day: date, value: Any) -> float | None:
        """The change of a value of a day on that of the session before; None where one of them is absent."""
        finals, session = self._finals.get(name), self.sessions.before(to_day(day))
        if finals is None or session is None or (before := to_date(session)) not in finals:
            return None
        then = finals.newest(before).value
        return value - then if isinstance(value, float) and isinstance(then, float) else None

    def firing(self) -> list[Alert]:
        """Alerts that fire, by severity, unacknowledged first; of rules whose alerts cover their day, the newest."""
        found = [a for a in self.alerts.values() if a.state is State.FIRING]
        newest = {rule: max((a.trade_date for a in found if a.rule == rule), default=None) for rule in self._day_rules}
        kept = [a for a in found if a.rule not in newest or a.trade_date == newest[a.rule]]
        return sorted(
            kept, key=lambda a: (-a.severity.rank, a.acknowledged is not None, -a.trade_date.toordinal(), a.id)
        )

    def records_of(self, rule: str, subject: str = "") -> list[RecordCard]:
        """The record cards of a rule, of all its subjects or of one."""
        return [card for card in self.records if card.rule == rule and subject in ("", card.subject)]

    def industry_days(self, count: int) -> list[IndustrySignals]:
        """The days up to the newest one with a balance of industries; a session without industries has no columns."""
        frames = self._industries
        found = [frames.newest(day) if day in frames else _no_industries(day) for day in self._days(frames)]
        while found and np.isnan(found[-1].columns.get("fin_balance", _NOTHING)).all():
            found.pop()
        return found[-count:]

    @property
    def newest_industries(self) -> IndustrySignals | None:
        """The newest day of industries, whether it has figures or not."""
        return self._industries.newest(self._industries.days[-1]) if self._industries.days else None

    def industry(self, name: str) -> list[tuple[date, dict[str, float | None]]]:
        """The figures of one industry by day."""
        at, frames = INDUSTRIES.index(name), self._industries
        return [(day, row(frames.newest(day).columns, at) if day in frames else {}) for day in self._days(frames)]

    def themes(self) -> list[tuple[date, IndustrySignals]]:
        """The weeks with theme scores, the newest first."""
        frames = ((day, self._industries.newest(day)) for day in reversed(self._industries.days))
        return [(day, one) for day, one in frames if not np.isnan(one.columns.get("theme_score", _NOTHING)).all()]

    def chart(self, code: str) -> tuple[date, Heights] | None:
        """The newest chart of a stock, (20, 6) heights; None for one without a chart."""
        try:
            key = to_id(code)
        except RowError:
            return None
        for frame in self._charts.values():
            at = int(np.searchsorted(frame.keys, key))
            if at < len(frame.keys) and frame.keys[at] == key:
                words = {name: values[at : at + 1] for name, values in frame.columns.items()}
                return to_date(frame.day), from_words(words)[0]
        return None

    # -- an earlier day ---------------------------------------------------------------------------------------------

    def known_at(self, day: date) -> ConsoleModel:
        """Return the model as it was known at the end of a day: every figure by its ``available_at``.

        Alerts whose end was not known then fire; acknowledgements, records, feeds and the running session are left out.
        """
        moment = datetime.combine(day, time.max, tzinfo=SHANGHAI)
        out = ConsoleModel(self._streak_flags, self.sessions, self._day_rules)
        out.as_of, out.directory, out.simulated, out.clock = day, self.directory, self.simulated, self.clock
        out.securities = self.securities.known_at(moment)
        out.inputs = self.inputs.known_at(moment)
        out._industries = self._industries.known_at(moment)
        out._charts = {partition: frame for partition, frame in self._charts.items() if to_date(frame.day) <= day}
        for name, finals in self._finals.items():
            out._finals[name] = known = finals.known_at(moment)
            if known.days:
                out.latest[name] = _signal(name, known.days[-1], known.newest(known.days[-1]))
        for alert in self.alerts.values():
            if alert.available_at <= moment:
                out.alerts[alert.id] = alert_at(alert, moment, self.sessions)
        return out

    def corrections(self, earlier: ConsoleModel) -> list[Correction]:
        """Return what an earlier model did not know or knew otherwise, the newest days first.

        A day that it lacks was late if a later session had begun: the figures of a day are known before the next open.
        """
        found = []
        first = min((finals.days[0] for finals in earlier._finals.values() if finals.days), default=date.max)
        session = None if earlier.as_of is None else self.sessions.before(to_day(earlier.as_of) + 1)
        due = date.min if session is None else to_date(session)
        for name, known in earlier._finals.items():
            finals = self._finals[name]
            for day in finals.days:
                then, now = known.newest(day) if day in known else None, finals.newest(day)
                value = None if then is None else then.value
                if (then is not None or first <= day < due) and value != now.value:
                    found.append(Correction(name, day, value, now.value, now.available_at))
        return sorted(found, key=lambda one: (-one.day.toordinal(), one.name))


def _no_industries(day: date) -> IndustrySignals:
    at = datetime.combine(day, time.max, tzinfo=SHANGHAI)
    return IndustrySignals(DayStatus(trade_date=day, available_at=at, revision=0), {}, {})


def _signal(name: str, day: date, final: _Final) -> MarketSignal:
    base, _, subject = name.partition("/")
    return MarketSignal(
        signal=base, subject=subject or "market", trade_date=day, available_at=final.available_at,
        revision=final.revision, value=final.value, reason=final.reason, degraded=bool(final.missing),
        missing=final.missing or {}, details=final.details or {},
    )  # fmt: skip
