"""What every feed of daily figures does before it publishes: join the tables, check each day, report.

A day is compared with the day before as it was published, by whichever command; see `feeds.daily.published_figures`.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache

import numpy as np

from feeds.checks.compared_day import ComparedDay, RefusedKeys, Rows
from feeds.checks.day_checks import check_day
from feeds.checks.days_to_come import days_to_come
from feeds.checks.findings import Finding, Severity
from feeds.checks.incomplete_days import incomplete_days, unclosed
from feeds.checks.successors import published_successors, under_codes_of
from feeds.daily import check_report
from feeds.daily.bars_of_weeks import bars_of_weeks
from feeds.daily.day_report import day_reports
from feeds.daily.ledger import PublishLedger
from feeds.daily.memberships import memberships
from feeds.daily.publish import OnDay, publish_days
from feeds.daily.published_figures import DaysBefore, PublishedFigures
from feeds.daily.replay import Replay
from feeds.daily.security_names import SecurityNames
from feeds.daily.skipped_days import skipped_days, skipped_runs
from feeds.daily.sorted_pages import sorted_pages
from feeds.daily.stray_days import stray_days
from feeds.errors import InputError
from feeds.feed_report import FeedReport, Outcome, RowOutcome
from feeds.files.dataset import Dataset, SourceTables, between, gather, require_days
from feeds.files.master_data import MasterData, nothing_published
from feeds.mappings.refused_rows import refused_rows, still_refused
from feeds.ports import RowPublisher
from processors.arrays import Days, Ids
from processors.code_changes import NO_CHANGES, CodeChanges
from processors.codes import NO_IDS
from processors.days import TradingCalendar, to_day
from processors.index_members import codes_in
from processors.needs import REFERENCE
from processors.trading_hours import TradingHours

#: The published rows of these are compared with any of them.
_BESIDE = ("margin.daily", "margin.market", "margin.collateral", "prices.daily", "indices.daily")


@dataclass(slots=True)
class CheckedTables:
    """What was read, ready to publish.

    Parameters
    ----------
    dataset : None if no file contains a figure.
    earlier : the days before the next ones, once these are published.
    skipped : topic → sessions without a row between its others, see `feeds.daily.skipped_days`.
    retry_at : the close of the last day whose session is not over, seconds since the epoch; infinity without one.
    """

    tables: SourceTables
    dataset: Dataset | None
    findings: list[Finding]
    report: FeedReport
    earlier: DaysBefore
    skipped: dict[str, Days] = field(default_factory=dict)
    retry_at: float = math.inf

    def rows(self, *, force: bool) -> Dataset:
        """Return the rows to publish.

        Parameters
        ----------
        force : in spite of errors in the figures.

        Raises
        ------
        InputError : if there are no rows, or errors in the figures; the report then has the outcome "refused".
        """
        self.report.outcome = Outcome.REFUSED  # until it is published
        check_report.refuse_errors(self.findings, force=force)
        if self.dataset is None:
            raise InputError("nothing was published: no file contains any figures")
        self.report.outcome = Outcome.CHECKED
        return self.dataset


class DailyChecks:
    """Checks tables against each other and against what was published before.

    Parameters
    ----------
    names : the last known name of each security.
    published : what was published; None if it is not known.
    changes : the changes of codes that the stream knows.
    exchanges : those whose margin figures make up the market.
    group_indices : the indices whose members are groups, beside those with a field of their own.
    master_data : returns the published master data.
    clock : seconds since the epoch.
    """

    def __init__(
        self,
        calendar: TradingCalendar,
        names: SecurityNames,
        published: PublishedFigures | None,
        changes: CodeChanges = NO_CHANGES,
        exchanges: Collection[str] = (),
        group_indices: Collection[str] = (),
        master_data: MasterData = nothing_published,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._calendar = calendar
        self._hours = TradingHours(calendar)
        self._clock = clock
        self._group_indices = group_indices
        self._master_data = master_data
        self._exchanges = exchanges
        self._changes = changes
        self._names = names
        self._earlier = DaysBefore(published)

    def check(
        self, tables: SourceTables, source: str, dates: tuple[date | None, date | None] = (None, None)
    ) -> CheckedTables:
        """Join tables and check each of their days.

        Parameters
        ----------
        source : the name under which the rows are published.
        dates : the first and the last trade date wanted.

        Raises
        ------
        InputError : if there is no row between the dates.
        LedgerError : if what was published can't be read.
        """
        require_days(tables.tables, *dates)
        wanted = [
            replace(one, frame=between(one.frame, *dates)) if "day" in one.frame else one for one in tables.tables
        ]
        every, tables = tables.tables, SourceTables(wanted, tables.findings, tables.files)
        findings = [one for one in tables.findings if one.day is None or _is_wanted(one.day, *dates)]
        report, earlier = FeedReport(source=source, files=tables.files), self._earlier.renewed()
        findings += self._names.compare(tables.tables, earlier.is_published_after)
        dataset, skipped, retry_at = None, dict[str, Days](), math.inf
        if every:  # spells that begin before the dates last on them, and days around them show which stocks are listed
            published = cache(self._master_data)
            dataset = gather(every, self._calendar, source, *dates, self._changes, published)
            skipped = skipped_days(dataset, self._calendar, earlier)
            findings += [
                *dataset.findings,
                *stray_days(dataset, earlier),
                *skipped_runs(skipped, self._calendar),
                *bars_of_weeks(dataset, self._calendar),
                *memberships(dataset.whole(REFERENCE), dataset.newest_rows(), published),
            ]
            report.notes = [*dataset.notes, *self._unused_members(dataset)]
            refused = refused_rows(findings)
            for day, rows in dataset.by_day():
                compared = compared_day(day, rows, self._calendar, earlier, self._changes, refused.get(day))
                early = [*days_to_come(compared, self._clock(), self._hours)]
                retry_at = self._hours.close(day) / 1e6 if early else retry_at
                found = [
                    *early,
                    *check_day(compared),
                    *sorted_pages(tables.tables, compared),
                    *self._incomplete_days(day, compared, earlier),
                    *published_successors(compared, self._changes),
                ]
                report.days += day_reports(compared, found)
                findings += found
                earlier.learn(rows)
        report.add_findings(findings)
        return CheckedTables(tables, dataset, findings, report, earlier, skipped, retry_at)

    def _unused_members(self, dataset: Dataset) -> Iterator[str]:
        """Yield a note on members that are published, and that no group has."""
        if (reference := dataset.whole("reference")) is not None:
            codes = [code for code in codes_in(reference.figures) if code not in self._group_indices]
            if codes:
                yield (
                    f"members of {', '.join(codes)} are published, and no group has them: name these indices in "
                    "MARGINWATCH_PARAMETERS__GROUP_INDICES (the worker then reads the topics again)"
                )

    def _incomplete_days(self, day: int, compared: ComparedDay, earlier: DaysBefore) -> Iterator[Finding]:
        """Find exchanges without a row; it is not known what was published of a day before the newest."""
        for one in incomplete_days(compared, self._exchanges):
            if not earlier.is_published_after(one.topic, day):
                yield one

    def names_beside(self, checked: CheckedTables) -> dict[str, str]:
        """Return the last known names, code → name, once a table is accepted; none where its names are shifted."""
        shifted = any(one.check == "name" and one.severity is Severity.ERROR for one in checked.findings)
        return {} if shifted else self._names.known()

    def accept(self, checked: CheckedTables) -> None:
        """Take days that were published, or would be, as the days before the next ones."""
        self._earlier = checked.earlier
        self._names.learn(checked.tables.tables, checked.earlier.is_published_after)

    def compare_with(self, tables: SourceTables, source: str) -> None:
        """Take tables as the day before the first one, only to compare with."""
        self._earlier.learn(gather(tables.tables, self._calendar, source).newest_rows())
        self._names.learn(tables.tables)


def _is_wanted(day: int, start: date | None, end: date | None) -> bool:
    """Whether a day lies between two dates, both included; None is no limit."""
    return (start is None or day >= to_day(start)) and (end is None or day <= to_day(end))


def compared_day(
    day: int,
    rows: Rows,
    calendar: TradingCalendar,
    earlier: DaysBefore,
    changes: CodeChanges = NO_CHANGES,
    refused: RefusedKeys | None = None,
) -> ComparedDay:
    """Return the rows of a day beside what was published of it and of the days before, these under its codes.

    Parameters
    ----------
    refused : topic → keys of the rows of this day that are left out.

    Raises
    ------
    LedgerError : if what was published can't be read.
    """
    found = {topic: earlier.before(topic, day) for topic in rows}
    before = {topic: under_codes_of(day, one, changes) for topic, one in found.items() if one is not None}
    published = {topic: earlier.on(topic, day) for topic in {*rows, *_BESIDE}}
    lacked = {
        topic: np.union1d(_still_refused(topic, day, rows, earlier), (refused or {}).get(topic, NO_IDS))
        for topic in published
    }
    return ComparedDay.of(rows, before, calendar, published, lacked)


def _still_refused(topic: str, day: int, rows: Rows, earlier: DaysBefore) -> Ids:
    """Return the keys of rows that were refused before, and that the rows of a day do not replace (n,)."""
    published = earlier.on(topic, day)
    known = NO_IDS if published is None else earlier.refused(topic, day)
    if published is None or not len(known) or topic not in rows:
        return known
    return still_refused(rows[topic], published.keys, known)


def publish_checked(
    publisher: RowPublisher,
    checked: CheckedTables,
    ledger: PublishLedger | None,
    *,
    force: bool,
    speed: float | None = None,
    replay: Replay | None = None,
    on_day: OnDay = lambda _day: None,
) -> None:
    """Publish every day of checked tables, and report the outcome of each row; parameters as of `publish_days`.

    Parameters
    ----------
    replay : publishes the rows in place of `publish_days`, as they became known.
    """
    dataset = checked.rows(force=force)
    before: Counter[RowOutcome] = Counter() if ledger is None else ledger.outcomes.copy()
    refused = refused_rows(checked.findings)

    def outcomes() -> Counter[RowOutcome] | None:
        return None if ledger is None else ledger.outcomes - before

    try:
        if replay is None:
            incomplete = unclosed(
                checked.findings, {topic: int(rows.days[0]) for topic, rows in dataset.newest_rows().items()}
            )
            publish_days(
                publisher,
                dataset.by_day(),
                ledger=ledger,
                speed=speed,
                on_day=on_day,
                incomplete=incomplete,
                refused=refused,
                skipped=checked.skipped,
            )
        else:
            replay.publish(
                publisher, dataset, ledger=ledger, speed=speed, on_day=on_day, refused=refused, skipped=checked.skipped
            )
    except BaseException:
        checked.report.interrupt(outcomes() or {})
        raise
    checked.report.set_outcomes(outcomes())
