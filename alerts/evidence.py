"""The evidence of a rule: what followed its earlier alerts, beside all days of the same history, without look-ahead.

An alert that fires on day T carries the record of all earlier cases whose horizon ended *before* T, and the base rate
of all days of the rule's history whose horizon ended before T. The record is a function of prices and cases, in
whatever order they are read: a late one recomputes the later alerts, which keep their ids.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date
from operator import itemgetter

import msgspec
import numpy as np

from alerts.comparison import Comparison, compare_blocks, compare_shares
from alerts.index_scores import LONGEST, IndexScores
from alerts.member_scores import HORIZONS, Excess, MemberScores, industry_levels, stock_levels
from alerts.model import Alert, Basis, Evidence, HorizonOutcome
from alerts.regimes import Regimes
from alerts.rules.base import Expectation, Message, Rule
from processors.arrays import Floats, Ints
from processors.codes import isin_sorted, to_id
from processors.days import TradingCalendar, to_date, to_day
from processors.outputs import MarketSignal
from processors.table import DAY_TEXT, Processor, Table, TableSet, ValueCodec


class Case(msgspec.Struct, array_like=True):
    """One alert as a case of a record; the fields of members are empty where the record is about the index.

    Attributes
    ----------
    alert : its id.
    figure : the figure that a table of the cases shows.
    members : the securities, or indices of industries, that it is about, as long as their returns may change.
    size, known, hits : how many members it is about, have a return over the record's horizon, and are hits.
    outcomes : mean excess return of the members by horizon, fractions.
    """

    alert: str
    figure: float | None
    members: list[str] = []
    size: int = 0
    known: int = 0
    hits: int = 0
    outcomes: dict[str, float] = {}


class EvidenceStore(Processor):
    """Every case of every record by the day on which it fired, the prices after it, and the base rates."""

    def __init__(self, rules: Iterable[Rule], calendar: TradingCalendar) -> None:
        self._calendar = calendar
        self.index = IndexScores(calendar)
        self.members = {
            Basis.MEMBERS: MemberScores("levels", stock_levels, calendar),
            Basis.INDUSTRIES: MemberScores("industry_levels", industry_levels, calendar),
        }
        self.regimes = Regimes(calendar)
        self._member_expectations = {
            expectation_key(rule.name, one): one for rule in rules for one in rule.expectations if one.has_members
        }
        self._case_rows: Table[tuple[int, str], Case] = Table("case", DAY_TEXT, ValueCodec(Case, version=2))
        # (day, expectation) → stocks, or industries, that fulfil it, and those with a return
        self._base_rows: Table[tuple[int, str], tuple[int, int]] = Table("base", DAY_TEXT, ValueCodec(tuple[int, int]))
        self._cases: dict[str, dict[int, Case]] = {}  # the same by record and day
        self._records: dict[str, list[str]] = {}  # expectation → its records
        self._day_of: dict[tuple[str, str], int] = {}  # (record, alert) → day
        # The same by position in the calendar.
        self._counts: dict[str, Ints] = {}  # by record with members: size, known, hits
        self._outcomes: dict[str, Floats] = {}  # by record with members: the outcomes by horizon
        self._bases: dict[str, Ints] = {}  # by expectation: hits, known
        self.tables = TableSet(
            self.index.tables, *(scores.tables for scores in self.members.values()), self.regimes.tables,
            self._case_rows, self._base_rows,
            on_load=self._loaded,
        )  # fmt: skip

    # -- prices ----------------------------------------------------------------------------------------------

    def observe(self, message: Message) -> tuple[Basis, date] | None:
        """Store prices and regimes; return the basis and the day whose evidence they change, None without a change."""
        if isinstance(message, MarketSignal):
            if (day := self.index.observe(message)) is not None:
                return Basis.INDEX, day
            day = self.regimes.observe(message)
            return None if day is None else (Basis.MEMBERS, day)
        for basis, scores in self.members.items():
            day = scores.observe(message)
            if day is not None:
                self._score_around(basis, to_day(day))
                return basis, day
        return None

    def settled(self, basis: Basis) -> date:
        """Return the last day whose record has no prices to come: the session after the newest ones, in their order."""
        newest = self.index.newest if basis is Basis.INDEX else self.members[basis].newest
        if basis is Basis.MEMBERS:
            newest = min(newest, self.regimes.newest or newest)
        following = self._calendar.after(newest, 1)
        return date.max if following is None else to_date(following)

    @property
    def refused(self) -> int:
        """Levels that came too late to be applied, since the start."""
        return sum(scores.refused for scores in self.members.values())

    def _score_around(self, basis: Basis, day: int) -> None:
        """Score the days whose entry or end is a day with new levels, and settle those whose levels are removed."""
        for horizon in HORIZONS:
            for back in (1, horizon):
                scored = self._calendar.shift(day, -back)
                if scored is not None:
                    self._score_day(basis, scored, horizon)
        for removed in self.members[basis].trim():
            settled = self._calendar.shift(removed, -1)
            for record, _, cases in self._cases_with(basis):
                if settled in cases and cases[settled].members:
                    cases[settled].members = []
                    self._case_rows.touch((settled, record))

    def _score_day(self, basis: Basis, day: int, horizon: int) -> None:
        """Compute the base rates and the outcomes of the cases of a day over one horizon."""
        excess = self.members[basis].excess(day, horizon)
        if excess is None:
            return
        for key, expectation in self._member_expectations.items():
            if expectation.basis is basis and expectation.horizon_days == horizon:
                hits = int(expectation.hit(excess.returns[:, None]).sum())
                self._base_rows[day, key] = counts = hits, len(excess.returns)
                self._set_base(key, day, counts)
        for record, expectation, cases in self._cases_with(basis):
            if day in cases:
                self._score_case(record, expectation, day, cases[day], horizon, excess)

    def _cases_with(self, basis: Basis) -> Iterator[tuple[str, Expectation, dict[int, Case]]]:
        """Yield the records about members of a basis, with what they expect, and their cases by day."""
        for key, expectation in self._member_expectations.items():
            if expectation.basis is basis:
                yield from ((record, expectation, self._cases[record]) for record in self._records.get(key, ()))

    def _score_case(
        self, record: str, expectation: Expectation, day: int, case: Case, horizon: int, excess: Excess
    ) -> None:
        if not case.members:
            return
        members = np.sort(np.array([to_id(code) for code in case.members], dtype=np.int32))
        returns = excess.returns[isin_sorted(excess.keys, members)]
        case.outcomes.pop(str(horizon), None)  # a correction may have withdrawn the prices behind it
        if len(returns):
            case.outcomes[str(horizon)] = float(returns.mean())
        if expectation.horizon_days == horizon:
            case.known, case.hits = len(returns), int(expectation.hit(returns[:, None]).sum())
        self._set_counts(record, day, case)
        self._case_rows.touch((day, record))

    def _set_base(self, key: str, day: int, counts: tuple[int, int]) -> None:
        if key not in self._bases:
            self._bases[key] = np.zeros((2, len(self._calendar)), dtype=np.int64)
        self._bases[key][:, self._calendar.position(day)] = counts

    def _set_counts(self, record: str, day: int, case: Case | None) -> None:
        """Write a case with members into the arrays that records are computed from; None removes it."""
        if record not in self._counts:
            self._counts[record] = np.zeros((3, len(self._calendar)), dtype=np.int64)
            self._outcomes[record] = np.full((len(HORIZONS), len(self._calendar)), np.nan)
        at, outcomes = self._calendar.position(day), {} if case is None else case.outcomes
        self._counts[record][:, at] = (0, 0, 0) if case is None else (case.size, case.known, case.hits)
        self._outcomes[record][:, at] = [outcomes.get(str(horizon), np.nan) for horizon in HORIZONS]

    # -- cases -----------------------------------------------------------------------------------------------

    def add(self, alert: Alert, expectation: Expectation) -> bool:
        """Add a firing of a rule to its cases; return False if it is a case already."""
        assert alert.fired_on is not None
        record, day = record_key(alert.rule, alert.subject, expectation), to_day(alert.fired_on)
        if day not in self._calendar or self._day_of.get((record, alert.id)) == day:
            return False
        self.remove(alert, expectation)
        members = expectation.members(alert) if expectation.has_members else []
        figure = alert.figures.get(expectation.figure)
        case = Case(alert.id, float(figure) if isinstance(figure, (int, float)) else None, members, len(members))
        self._case_rows[day, record] = case
        self._index_case(record, day, case)
        for horizon in HORIZONS if members else ():
            excess = self.members[expectation.basis].excess(day, horizon)
            if excess is not None:
                self._score_case(record, expectation, day, case, horizon, excess)
        return True

    def remove(self, alert: Alert, expectation: Expectation) -> bool:
        """Remove an alert that has not fired after all, by a correction; return False if it is no case."""
        record = record_key(alert.rule, alert.subject, expectation)
        day = self._day_of.pop((record, alert.id), None)
        if day is None or self._cases[record][day].alert != alert.id:
            return False
        del self._cases[record][day], self._case_rows[day, record]
        if record in self._counts:
            self._set_counts(record, day, None)
        return True

    def cases(self, rule: str, subject: str, expectation: Expectation) -> list[tuple[int, str, Case]]:
        """Return the cases of a record with the day on which they fired and their subject, oldest first."""
        inside = self.regimes.days_of(expectation.regime)
        found = [
            (day, _subject_of(record), case)
            for record in self._records_of(rule, subject, expectation)
            for day, case in self._cases.get(record, {}).items()
            if inside[self._calendar.position(day)]
        ]
        return sorted(found, key=itemgetter(0, 1))

    def _records_of(self, rule: str, subject: str, expectation: Expectation) -> list[str]:
        """Return the keys of what makes up a record: of a pooled one, that of each subject."""
        if not expectation.basis.is_pooled:
            return [record_key(rule, subject, expectation)]
        return sorted(self._records.get(expectation_key(rule, expectation), ()))

    def _index_case(self, record: str, day: int, case: Case) -> None:
        if record not in self._cases:
            self._cases[record] = {}
            self._records.setdefault(_expectation_of(record), []).append(record)
        self._cases[record][day] = case
        self._day_of[record, case.alert] = day
        if case.size:
            self._set_counts(record, day, case)

    # -- records ---------------------------------------------------------------------------------------------

    def record(self, rule: str, subject: str, expectation: Expectation, first: date, before: date) -> Evidence:
        """Return a record as it was known before a day.

        Parameters
        ----------
        first : the first day on which the rule was evaluated. Cases and base rate begin there, or on the first day
            behind it whose outcome is known: a rule may be evaluated years before the prices begin.
        before : the day; neither its prices nor those of a later one are in the record.
        """
        start, end = (self._calendar.count_before(to_day(day)) for day in (first, before))
        records, key = self._records_of(rule, subject, expectation), expectation_key(rule, expectation)
        past = slice(start, max(start, end - expectation.horizon_days))
        if expectation.has_members:
            found = self._member_record(records, key, expectation, start, end)
            known = self._bases[key][1, past] > 0 if key in self._bases else np.zeros(0, dtype=bool)
        else:
            found = self._index_record(records[0], key, expectation, start, end)
            known = ~np.isnan(self.index.hits(key, expectation)[past])
        since = to_date(self._calendar.day_at(start + int(known.argmax()))) if known.any() else first
        return msgspec.structs.replace(found, since=since)

    def _index_record(self, record: str, key: str, expectation: Expectation, start: int, end: int) -> Evidence:
        inside = self.regimes.days_of(expectation.regime)
        days = (self._calendar.position(day) for day in sorted(self._cases.get(record, {})))
        at = np.array([day for day in days if day < end and inside[day]], dtype=np.intp)
        horizon, hit = expectation.horizon_days, np.where(inside, self.index.hits(key, expectation), np.nan)
        over = at[at + horizon < end]
        scored = over[~np.isnan(hit[over])]
        base = hit[start : max(start, end - horizon)]
        base = base[~np.isnan(base)]
        hits, base_hits = int(hit[scored].sum()), int(base.sum())
        falls = self.index.paths(at[at + LONGEST < end], LONGEST).min(axis=1)
        found = _evidence(
            expectation,
            [self.index.paths(at[at + h < end], h)[:, -1] for h in HORIZONS],
            compare_shares(hits, scored, base_hits, len(base), horizon),
        )
        return msgspec.structs.replace(
            found,
            cases=len(scored),
            hits=hits,
            unscored=len(over) - len(scored),
            base_cases=len(base),
            base_hits=base_hits,
            drawdown=float(np.nanmin(falls)) if (~np.isnan(falls)).any() else None,
        )

    def _member_record(self, records: list[str], key: str, expectation: Expectation, start: int, end: int) -> Evidence:
        horizon, inside = expectation.horizon_days, self.regimes.days_of(expectation.regime)
        pasts = {h: slice(start, max(start, end - h)) for h in (*HORIZONS, horizon)}
        past = pasts[horizon]
        days = inside[past]
        nothing = np.zeros((3, len(days)), dtype=np.int64)
        scored = [record for record in records if record in self._counts]
        size, known, hits = sum((self._counts[record][:, past] for record in scored), nothing) * days
        base_hits, base_known = (self._bases[key][:, past] if key in self._bases else nothing[:2]) * days
        outcomes = [
            np.concatenate([self._outcomes[record][i, pasts[h]][inside[pasts[h]]] for record in scored])
            for i, h in enumerate(HORIZONS if scored else ())
        ]
        found = _evidence(expectation, outcomes, compare_blocks(hits, known, base_hits, base_known, horizon))
        return msgspec.structs.replace(
            found,
            cases=int(known.sum()),
            hits=int(hits.sum()),
            unscored=int(size.sum() - known.sum()),
            base_cases=int(base_known.sum()),
            base_hits=int(base_hits.sum()),
        )

    # -- state -----------------------------------------------------------------------------------------------

    def _loaded(self) -> None:
        for (day, record), case in self._case_rows.items():
            self._index_case(record, day, case)
        for (day, key), counts in self._base_rows.items():
            self._set_base(key, day, counts)


def _evidence(expectation: Expectation, outcomes: list[Floats], compared: Comparison) -> Evidence:
    """Return a record without its counts; ``outcomes`` are the returns by horizon (none at all, or one for each).

    A return is NaN where it is unknown.
    """
    known = {str(h): np.sort(values[~np.isnan(values)]) for h, values in zip(HORIZONS, outcomes, strict=False)}
    return Evidence(
        name=expectation.name,
        definition=expectation.definition,
        basis=expectation.basis,
        horizon_days=expectation.horizon_days,
        episodes=compared.episodes,
        low=compared.low,
        high=compared.high,
        finding=compared.finding,
        outcomes={h: HorizonOutcome(len(v), _middle(v), float(v[0])) for h, v in known.items() if len(v)},
        claim=expectation.claim,
    )


def _middle(ordered: Floats) -> float:
    """Return the median of ascending values (n,); `np.median` takes five times as long."""
    half = len(ordered) // 2
    return float(ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2)


def record_key(rule: str, subject: str, expectation: Expectation) -> str:
    """Return the key of a record: one of a rule's, about one subject."""
    return f"{rule}|{subject}|{expectation.name}"


def expectation_key(rule: str, expectation: Expectation) -> str:
    """Return the key of an expectation, which its records about several subjects share."""
    return f"{rule}|{expectation.name}"


def _subject_of(record: str) -> str:
    return record.partition("|")[2].rpartition("|")[0]


def _expectation_of(record: str) -> str:
    rule, _, rest = record.partition("|")
    return f"{rule}|{rest.rpartition('|')[2]}"
