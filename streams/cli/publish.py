"""What the publishing commands share: the ledger, the checks, the report of a run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cached_property, partial
from typing import TYPE_CHECKING

import typer

from alerts.plurals import counted
from streams.calendars import xshg
from streams.cli.terminal import err, out, print_json, progress
from streams.exit_signals import ended_by_signals
from streams.settings import Settings

if TYPE_CHECKING:
    from feeds.daily.daily_checks import CheckedTables, DailyChecks
    from feeds.daily.ledger import PublishLedger
    from feeds.daily.replay import Replay
    from feeds.feed_report import FeedReport
    from feeds.files.dataset import SourceTables
    from processors.events import RowBatch
    from streams.form import Form
    from streams.publisher import Publisher


#: How long a command that has failed waits for a broker, to report that.
_SOON_S = 1.0


@dataclass(frozen=True, slots=True)
class PublishOptions:
    """The options of every publishing command: the name of the source, ``--as``, and the flags of the same names.

    Parameters
    ----------
    speed : how many times faster than real sessions; None for as fast as possible.
    """

    source: str
    form: Form
    check: bool = False
    force: bool = False
    no_ledger: bool = False
    json: bool = False
    speed: float | None = None


class FeedCommand:
    """A publishing command at work: what it reads is checked, shown and published; its report is printed at the end.

    Parameters
    ----------
    stack : closes the connections of the command.
    before : tables of the day before, for comparison only.
    """

    def __init__(
        self,
        options: PublishOptions,
        settings: Settings,
        stack: ExitStack,
        before: SourceTables | None = None,
    ) -> None:
        self.options = options
        self.reports: list[FeedReport] = []
        self._settings = settings
        self._stack = stack
        self._before = before
        self._publisher: Publisher | None = None
        self._ledger: PublishLedger | None = None

    def run(
        self,
        read: Callable[[], SourceTables],
        dates: tuple[date | None, date | None] = (None, None),
        replay: Replay | None = None,
    ) -> None:
        """Read and check tables, show them, and publish them unless they are only checked.

        Parameters
        ----------
        replay : publishes them as they became known, with the snapshots of its sessions.

        Raises
        ------
        InputError : if nothing can be read, there is no row, or (unless forced) an error in the figures.
        LedgerError : if the ledger can't be reached, unless the command only checks.
        """
        from feeds.daily import check_report
        from feeds.errors import InputError, NotPublishedError
        from feeds.feed_report import FeedReport

        try:
            checked = self._check(read(), dates)
        except NotPublishedError:  # nothing is wrong: the next run may have it
            raise
        except InputError as error:
            self.reports.append(FeedReport.of_error(self.options.source, error))
            self._report_refused(self.reports[-1])
            raise
        self.reports.append(checked.report)
        for note in checked.report.notes:
            err.print(f"  note: {note}")
        for line in check_report.format_findings(checked.findings):
            err.print(line)
        try:
            dataset = checked.rows(force=self.options.force)
        except InputError:
            self._report_refused(checked.report)
            raise
        days = checked.report.trade_dates
        span = f", {counted(len(days), 'trading day')} ({days[0]} to {days[-1]})" if days else ""
        err.print(f"{dataset.rows:,} rows{span}, source {self.options.source}")
        if not self.options.check:
            self._publish(checked, len(dataset.days()), replay)
        self._checks.accept(checked)
        if self._ledger is not None and not self.options.check:
            from streams import feed_services

            feed_services.store_security_names(self._settings, self._checks.names_beside(checked))

    def _check(self, found: SourceTables, dates: tuple[date | None, date | None]) -> CheckedTables:
        """Show the first rows if they are only checked, and check them."""
        from feeds.daily import check_report

        if self.options.check and not self.options.json:
            for line in check_report.format_first_rows(found.tables):
                out.print(line)
        return self._checks.check(found, self.options.source, dates)

    @cached_property
    def _checks(self) -> DailyChecks:
        """Open the ledger; without Redis a command that only checks compares less, and reports it."""
        from feeds.daily.daily_checks import DailyChecks
        from feeds.daily.security_names import SecurityNames
        from feeds.errors import UnavailableError
        from streams import code_changes, feed_services

        names: dict[str, str] = {}
        if not self.options.no_ledger:
            try:
                names = feed_services.load_security_names(self._settings)
                self._ledger = self._stack.enter_context(feed_services.open_ledger(self._settings))
                if not self.options.check:
                    self._ledger.catch_up()
            except UnavailableError as error:
                if not self.options.check:
                    raise
                err.print(f"  note: not compared with what was published: {error}")
        published = None if self._ledger is None else self._ledger.figures
        changes = code_changes.load(self._settings.code_changes_file)
        out = DailyChecks(
            xshg(self._settings.calendar_file),
            SecurityNames(names),
            published,
            changes,
            self._settings.exchanges,
            self._settings.parameters.group_indices,
            self._master_data,
        )
        if self._before is not None:
            out.compare_with(self._before, self.options.source)
        return out

    def _master_data(self) -> RowBatch | None:
        """Return the published master data; without a broker a command that only checks has none, and reports it."""
        from feeds.errors import UnavailableError

        if self._ledger is None:
            err.print("  note: without the ledger, master data that are published are not read")
            return None
        try:
            return self._ledger.master_data()
        except UnavailableError as error:
            if not self.options.check:
                raise
            err.print(f"  note: without the master data that are published: {error}")
            return None

    def _open_publisher(self) -> Publisher:
        from streams.publisher import Publisher

        if self._publisher is None:
            opened = Publisher(self._settings, source=self.options.source, form=self.options.form)
            self._publisher = self._stack.enter_context(opened)
        return self._publisher

    def _report_refused(self, report: FeedReport) -> None:
        """Publish the report of a run that publishes nothing else; its error is printed even if no broker answers."""
        from feeds.errors import UnavailableError
        from streams.clients import require_broker
        from streams.errors import TopicError

        if self.options.check:
            return
        try:
            require_broker(self._settings, timeout_s=_SOON_S)
            publisher = self._open_publisher()
            publisher.report(report)
            publisher.flush()
        except (UnavailableError, TopicError) as error:
            err.print(f"  note: the stream does not learn of this run: {error}")

    def _publish(self, checked: CheckedTables, days: int, replay: Replay | None) -> None:
        from feeds.daily.daily_checks import publish_checked

        publisher = self._open_publisher()
        seen = set[str]()
        with progress() as bars:
            fed = bars.add_task("published", total=days)

            def show(when: str) -> None:  # a day, or a moment of it
                seen.add(when[:10])
                bars.update(fed, completed=min(len(seen), days), description=f"published {when}")

            publish_checked(
                publisher,
                checked,
                self._ledger,
                force=self.options.force,
                speed=self.options.speed,
                replay=replay,
                on_day=show,
            )
        publisher.report(checked.report)

    def finish(self) -> str:
        """Publish the barrier behind the rows, and print how many were published; return it, "" without rows."""
        if self._publisher is None:
            err.print("checked only: nothing was published")
            return ""
        barrier = self._publisher.barrier()
        for one in self.reports:
            one.barrier = barrier
        err.print(
            f"published {self._publisher.rows:,} rows in {self._publisher.messages:,} messages; barrier {barrier}"
        )
        if self._ledger is not None and (self._ledger.unchanged or self._ledger.corrected):
            err.print(
                f"{self._ledger.unchanged:,} rows were published before and not sent again; "
                f"{self._ledger.corrected:,} corrected rows were published with a new revision"
            )
        return barrier


@contextmanager
def feed_command(options: PublishOptions, *, before: SourceTables | None = None) -> Iterator[FeedCommand]:
    """Open a publishing command, and print its report at the end, if it fails, too; parameters of `FeedCommand`.

    Raises
    ------
    typer.Exit : with 1, if a row, a sheet or a cell was refused and the rest is published.
    """
    with ended_by_signals(), ExitStack() as stack:
        command = FeedCommand(options, Settings(), stack, before)
        try:
            yield command
            command.finish()
        finally:
            print_reports(command.reports, json=options.json)
    exit_if_refused(command.reports)


def print_reports(reports: Sequence[FeedReport], *, json: bool = False) -> None:
    """Print the reports of a command: their sums on stderr, or all of it as JSON on stdout, one line a report."""
    for one in reports:
        if json:
            print_json(one, indent=-1)
        for line in one.lines():
            err.print(line)


def exit_if_refused(reports: Iterable[FeedReport]) -> None:
    """Raise `typer.Exit` with 1 if something that was read is not published."""
    refused = sum(one.refused for one in reports)
    if refused:
        err.print(
            f"{refused} rows, sheets or cells are refused (see REFUSED above); everything else counts. Sums that need "
            "refused rows are absent until they arrive: correct the file, and run the command again"
        )
        raise typer.Exit(1)


def publish_fetched(
    days: Sequence[date], fetch: Callable[[date], SourceTables], options: PublishOptions, *, pause_s: float
) -> None:
    """Fetch, check and publish day by day; an error of one day leaves the days before it published.

    Parameters
    ----------
    pause_s : the wait between two days.

    Raises
    ------
    InputError : with the day that could not be fetched or published, and how to go on from there.
    """
    from feeds.errors import InputError

    with feed_command(options) as command:
        for place, day in enumerate(days):
            if place:
                time.sleep(pause_s)
            try:
                command.run(partial(fetch, day))
            except InputError as error:
                done = (
                    f"; the days before it are published, go on with --from {day}"
                    if place and not options.check
                    else ""
                )
                raise InputError(f"{day}: {error}{done}") from error
