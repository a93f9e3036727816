"""Publishing daily figures of one feed of a plan: checks first, then only what the publish ledger does not have."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import structlog

from feeds import check_report
from feeds.dataset import SourceTables, gather
from feeds.errors import InputError
from feeds.ledger import PublishLedger
from feeds.ports import OpenPublisher
from feeds.publish import publish_dataset
from feeds.security_names import SecurityNames
from feeds.validate import Severity
from processors.days import TradingCalendar, to_date
from processors.events import RowBatch

log = structlog.get_logger()
_LOGGED_FINDINGS = 20


class DailyOutlet:
    """Checks rows, publishes them, and keeps the newest ones to compare the next rows with.

    Parameters
    ----------
    security_names : returns code → name of the security master; called once, when the first rows are published.
    """

    def __init__(
        self,
        open_publisher: OpenPublisher,
        calendar: TradingCalendar,
        ledger: PublishLedger,
        security_names: Callable[[], Mapping[str, str]],
    ) -> None:
        self._open_publisher = open_publisher
        self._calendar = calendar
        self._ledger = ledger
        self._security_names = security_names
        self._names: SecurityNames | None = None
        self._before: dict[str, RowBatch] = {}

    def publish(self, feed: str, tables: SourceTables, *, source: str, force: bool) -> int:
        """Publish rows of a feed; return how many rows, sheets or cells were refused.

        Parameters
        ----------
        feed : the name of the feed in log lines.
        source : the name under which the rows are published.
        force : publish in spite of errors in the figures.

        Raises
        ------
        InputError : if there are no rows, or errors in the figures; each finding has been logged.
        UnavailableError : if Kafka or Redis does not answer.
        """
        if self._names is None:
            self._names = SecurityNames(self._security_names())
        findings = [*tables.findings, *self._names.compare(tables.tables)]
        dataset = None
        if tables.tables:
            dataset = gather(tables.tables, self._calendar, source)
            first = dataset.days()[0]
            before = {t: b for t, b in self._before.items() if b.days[0] < first}
            findings += [*dataset.findings, *check_report.check_days(dataset.by_day(), self._calendar, before)]
        for one in findings[:_LOGGED_FINDINGS]:
            write = log.warning if one.severity is Severity.WARNING else log.error
            write("finding", feed=feed, what=str(one))
        check_report.refuse_errors(findings, force=force)
        if dataset is None:
            raise InputError("no file contains any figures: look at the files with --check")
        unchanged, corrected = self._ledger.unchanged, self._ledger.corrected
        with self._open_publisher(source) as publisher:
            publish_dataset(publisher, dataset, self._ledger)
        self._names.learn(tables.tables)
        for topic, batch in dataset.newest_rows().items():
            if topic not in self._before or self._before[topic].days[0] <= batch.days[0]:
                self._before[topic] = batch
        days = dataset.days()
        refused = sum(one.severity is Severity.REFUSED for one in findings)
        log.info(
            "published",
            feed=feed,
            first=to_date(days[0]).isoformat(),
            last=to_date(days[-1]).isoformat(),
            rows=publisher.rows,
            unchanged=self._ledger.unchanged - unchanged,
            corrected=self._ledger.corrected - corrected,
            refused=refused,
        )
        return refused
