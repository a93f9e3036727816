"""The report of a feed run, the same for every command: what was read of each day and exchange, what became of it, and
what the checks found.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from enum import StrEnum
from typing import TypeAlias

import msgspec

from feeds.checks.findings import Finding, Severity
from processors.days import to_date
from processors.needs import REFERENCE

#: A day, topic, exchange, and what became of rows: a field of `ExchangeRows`.
RowOutcome: TypeAlias = tuple[int, str, str, str]


class Outcome(StrEnum):
    """The end of a feed run."""

    PUBLISHED = "published"
    CHECKED = "checked"  # nothing was to be published
    REFUSED = "refused"  # nothing was published: the figures have errors
    INTERRUPTED = "interrupted"  # a signal or an outage ended it before everything was acknowledged


class Verdict(StrEnum):
    """The result of a check of a day."""

    PASSED = "passed"
    WARNING = "warning"
    ERROR = "error"
    NOT_COMPARED = "not compared"  # no published day before, or no totals, to compare with


class ExchangeRows(msgspec.Struct, kw_only=True):
    """The rows of one topic, day and exchange.

    Parameters
    ----------
    read : rows that could be read.
    published : rows that were sent; ``corrected`` are those of them that have other figures than before.
    unchanged : rows that were published before.
    absent : securities of the session before, as published, that have no row.
    refused : rows and cells that were left out; `FeedReport.findings` contains each.
    """

    read: int = 0
    published: int = 0
    unchanged: int = 0
    corrected: int = 0
    absent: int = 0
    refused: int = 0


class DayReport(msgspec.Struct, kw_only=True):
    """One topic and day: its rows by exchange, and the verdicts of the checks by name."""

    trade_date: date
    topic: str
    exchanges: dict[str, ExchangeRows]
    checks: dict[str, Verdict]


def _place(report: DayReport) -> tuple[date, str]:
    """Return the place of a topic and day in a report."""
    return report.trade_date, report.topic


class FindingReport(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A finding; that of a refused row or cell names file, row, cell and remedy."""

    severity: Severity
    check: str
    text: str
    topic: str = ""
    trade_date: date | None = None


class FeedReport(msgspec.Struct, kw_only=True):
    """The report of one run.

    Parameters
    ----------
    refused : the number of rows, sheets and cells that were left out; ``findings`` contains each. Those whose day and
        exchange are known are counted there as well.
    days : the days and topics, ascending.
    """

    source: str
    outcome: Outcome = Outcome.CHECKED
    files: int = 0
    refused: int = 0
    days: list[DayReport] = msgspec.field(default_factory=list)
    findings: list[FindingReport] = msgspec.field(default_factory=list)
    notes: list[str] = msgspec.field(default_factory=list)
    barrier: str = ""

    @property
    def errors(self) -> int:
        """The number of errors because of which nothing was published; 0 if they were ignored (``--force``)."""
        if self.outcome is not Outcome.REFUSED:
            return 0
        return max(1, sum(one.severity is Severity.ERROR for one in self.findings))

    @property
    def rows(self) -> int:
        """The number of rows that were published."""
        return sum(rows.published for *_, rows in self.totals())

    @property
    def trade_dates(self) -> list[date]:
        """The days that figures are about, ascending; master data may be effective from any other day on."""
        return list(dict.fromkeys(one.trade_date for one in self.days if one.topic != REFERENCE))

    @classmethod
    def of_error(cls, source: str, error: Exception) -> FeedReport:
        """Return the report of a run that an error ended before there was a row to check."""
        out = cls(source=source, outcome=Outcome.REFUSED)
        out.add_findings([Finding(Severity.ERROR, "file", "", None, str(error))])
        return out

    def add_findings(self, findings: Iterable[Finding]) -> None:
        """Append findings, and count what they refuse."""
        for one in findings:
            day = None if one.day is None else to_date(one.day)
            if one.severity is Severity.REFUSED:
                self.refused += 1
                if day is not None and one.group:
                    self._rows_of(day, one.topic, one.group).refused += 1
            self.findings.append(
                FindingReport(severity=one.severity, check=one.check, text=one.text, topic=one.topic, trade_date=day)
            )

    def _rows_of(self, day: date, topic: str, group: str) -> ExchangeRows:
        """Return the rows of an exchange on a day; all of them may have been refused."""
        at = bisect_left(self.days, (day, topic), key=_place)
        if at == len(self.days) or _place(self.days[at]) != (day, topic):
            self.days.insert(at, DayReport(trade_date=day, topic=topic, exchanges={}, checks={}))
        return self.days[at].exchanges.setdefault(group, ExchangeRows())

    def set_outcomes(self, outcomes: Mapping[RowOutcome, int] | None) -> None:
        """Take the outcome of each row from the ledger; without one, every row was sent."""
        self.outcome = Outcome.PUBLISHED
        if outcomes is None:
            for one in self.days:
                for rows in one.exchanges.values():
                    rows.published = rows.read
            return
        for (day, topic, exchange, outcome), count in outcomes.items():
            setattr(self._rows_of(to_date(day), topic, exchange), outcome, count)

    def interrupt(self, outcomes: Mapping[RowOutcome, int]) -> None:
        """Take the outcome of each row that was sent; whether the newest ones have arrived is not known."""
        self.set_outcomes(outcomes)
        self.outcome = Outcome.INTERRUPTED

    def totals(self) -> Iterator[tuple[str, str, int, ExchangeRows]]:
        """Yield topic, exchange, the number of days, and the sum of their rows."""
        sums: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        days: Counter[tuple[str, str]] = Counter()
        for one in self.days:
            for exchange, rows in one.exchanges.items():
                sums[one.topic, exchange].update(msgspec.structs.asdict(rows))
                days[one.topic, exchange] += 1
        for (topic, exchange), counts in sorted(sums.items()):
            yield topic, exchange, days[topic, exchange], ExchangeRows(**counts)

    def lines(self) -> Iterator[str]:
        """Yield the rows of each topic and exchange, and the verdicts of the checks, as lines."""
        if self.outcome is Outcome.INTERRUPTED:
            counted = any(rows.published or rows.unchanged for _, _, _, rows in self.totals())
            unsure = (
                "of the rows that count as published some may not have arrived"
                if counted
                else "rows may have been sent, though none counts as published"  # without a ledger none does
            )
            yield f"  interrupted: {unsure}; run the command again"
        for topic, exchange, days, rows in self.totals():
            name = topic if exchange == topic else f"{topic} {exchange}"
            of_days = f"{days:,} day{'s' if days > 1 else ''}"
            yield (
                f"  {name}: {rows.read:,} rows of {of_days}; {rows.published:,} published ({rows.corrected:,} "
                f"corrected), {rows.unchanged:,} unchanged; {rows.absent:,} absent against the day before"
                + (f"; {rows.refused:,} refused" if rows.refused else "")
            )
        verdicts: dict[str, Counter[Verdict]] = defaultdict(Counter)
        for one in self.days:
            for check, verdict in one.checks.items():
                verdicts[check][verdict] += 1
        if verdicts:
            texts = (
                f"{check} " + ", ".join(f"{verdict} {counts[verdict]:,}" for verdict in Verdict if counts[verdict])
                for check, counts in verdicts.items()
            )
            yield "  checks: " + "; ".join(texts)
