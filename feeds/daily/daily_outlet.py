"""Publishing daily figures of one feed of a plan: checks first, then only what the publish ledger does not have."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import structlog

from feeds.checks.findings import Severity
from feeds.daily.daily_checks import DailyChecks, publish_checked
from feeds.daily.ledger import PublishLedger
from feeds.daily.security_names import SecurityNames
from feeds.errors import InputError
from feeds.feed_report import FeedReport
from feeds.files.dataset import SourceTables
from feeds.ports import OpenPublisher
from processors.code_changes import NO_CHANGES, CodeChanges
from processors.days import TradingCalendar

log = structlog.get_logger()
_LOGGED_FINDINGS = 20


class DailyOutlet:
    """Checks rows against what was published, and publishes them.

    Parameters
    ----------
    security_names : returns code → name of the security master; called once, when the first rows are published.
    store_names : stores code → name of what was published.
    changes : the changes of codes that the stream knows.
    exchanges : those whose margin figures make up the market.
    group_indices : the indices whose members are groups.
    """

    def __init__(
        self,
        open_publisher: OpenPublisher,
        calendar: TradingCalendar,
        ledger: PublishLedger,
        security_names: Callable[[], Mapping[str, str]],
        store_names: Callable[[Mapping[str, str]], None],
        changes: CodeChanges = NO_CHANGES,
        exchanges: Collection[str] = (),
        group_indices: Collection[str] = (),
    ) -> None:
        self._open_publisher = open_publisher
        self._calendar = calendar
        self._ledger = ledger
        self._security_names = security_names
        self._store_names = store_names
        self._changes = changes
        self._exchanges = exchanges
        self._group_indices = group_indices
        self._checks: DailyChecks | None = None

    def publish(self, feed: str, tables: SourceTables, *, source: str, force: bool) -> int:
        """Publish rows of a feed and log the report; return how many rows, sheets or cells were refused.

        Parameters
        ----------
        feed : the name of the feed in log lines.
        source : the name under which the rows are published.
        force : publish in spite of errors in the figures.

        Raises
        ------
        InputError : if there are no rows, or errors in the figures; each finding has been logged. The caller decides
            whether the attempt was the last one, and publishes its report by `report_unreadable`. Figures that came
            too early may be published from the close of their session on.
        UnavailableError : if Kafka or Redis does not answer.
        """
        self._ledger.catch_up()
        if self._checks is None:
            names = SecurityNames(self._security_names())
            self._checks = DailyChecks(
                self._calendar,
                names,
                self._ledger.figures,
                self._changes,
                self._exchanges,
                self._group_indices,
                self._ledger.master_data,
            )
        checked = self._checks.check(tables, source)
        for one in checked.findings[:_LOGGED_FINDINGS]:
            write = log.warning if one.severity is Severity.WARNING else log.error
            write("finding", feed=feed, what=str(one))
        report = checked.report
        for note in report.notes:
            log.info("note", feed=feed, what=note)
        with self._open_publisher(source) as publisher:
            try:
                publish_checked(publisher, checked, self._ledger, force=force)
            except InputError as error:
                error.report, error.retry_at = report, checked.retry_at
                raise
            publisher.report(report)
            report.barrier = publisher.barrier()
        self._checks.accept(checked)
        self._store_names(self._checks.names_beside(checked))
        _log_report(feed, report)
        return report.refused

    def report_unreadable(self, error: InputError, *, source: str) -> None:
        """Publish the report of what can't be read or published; raises `UnavailableError` if no broker answers."""
        with self._open_publisher(source) as publisher:
            publisher.report(error.report or FeedReport.of_error(source, error))


def _log_report(feed: str, report: FeedReport) -> None:
    """Log the rows of each topic and exchange, and the sums of a run."""
    totals = [(topic, exchange, rows) for topic, exchange, _, rows in report.totals()]
    for topic, exchange, rows in totals:
        log.info("rows", feed=feed, topic=topic, exchange=exchange, read=rows.read, sent=rows.published,
                 unchanged=rows.unchanged, corrected=rows.corrected, absent=rows.absent)  # fmt: skip
    days = report.trade_dates
    log.info(
        "published",
        feed=feed,
        **({"first": days[0].isoformat(), "last": days[-1].isoformat()} if days else {}),
        rows=sum(rows.published for *_, rows in totals),
        unchanged=sum(rows.unchanged for *_, rows in totals),
        corrected=sum(rows.corrected for *_, rows in totals),
        refused=report.refused,
    )
