"""`marginwatch up`: the whole system on this machine, fed from files or a simulation, reported on the terminal."""

from __future__ import annotations

import contextlib
import importlib.util
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import TypeVar

from alerts.model import Alert, Severity, State
from feeds import folder, simulate
from feeds.daily.publish import publish_days
from feeds.daily.replay import moments_of, publish_moments
from feeds.feed_report import FeedReport
from processors.days import to_date
from streams import readers, system_status
from streams.calendars import today, xshg
from streams.cli.options import LocalBroker
from streams.cli.publish import FeedCommand, PublishOptions, exit_if_refused, print_reports
from streams.cli.render.alerts import print_alert
from streams.cli.render.signals import print_market
from streams.cli.terminal import err, out, progress
from streams.clients import redis_client
from streams.errors import LocalRunError
from streams.exit_signals import ended_by_signals
from streams.export import export
from streams.feed_services import TopicRows, store_security_names
from streams.form import Form
from streams.keys import latest_key
from streams.local.local_kafka import ApacheKafka, Broker, EmbeddedBroker
from streams.local.local_redis import EmbeddedRedis
from streams.local.local_service import LocalService, free_port
from streams.local.processes import ConsoleProcess, WorkerProcess
from streams.publisher import Publisher
from streams.settings import Settings
from streams.topics import Topic, Topics

_Service = TypeVar("_Service", bound=LocalService)
#: How often a run that waits asks whether its processes are ready; one that is not, twice in a row, is reported.
_ASKED_S = 15.0


@dataclass(frozen=True, slots=True)
class LocalRunPlan:
    """The options of `marginwatch up`.

    Parameters
    ----------
    data : folder of market files; None for a simulated market.
    start, end : first and last trade date that is fed.
    form : the form of the rows.
    workers : how many share the work.
    until_done : end when all input is processed; otherwise at Ctrl-C.
    export_to : folder for the final values.
    state_dir : folder for broker, Redis and logs; None for a temporary one.
    notify : send alerts to the channels of the settings.
    """

    data: Path | None
    start: date | None
    end: date | None
    form: Form
    broker: LocalBroker
    workers: int
    until_done: bool
    export_to: Path | None
    state_dir: Path | None
    notify: bool


def run(plan: LocalRunPlan, base: Settings) -> None:
    """Start the local stack, feed it and print alerts and values; return when done, or at Ctrl-C once all is processed.

    SIGTERM, SIGHUP and an earlier Ctrl-C end everything in order, too, with exit code 143, 129 and 130.

    Raises
    ------
    InputError : if the folder of the data has no file with a known name; nothing is started then.
    LocalRunError, LocalServiceError : if a process does not start, or ends while the run goes on.
    """
    if plan.data is not None:
        folder.require_files(plan.data)
    with ended_by_signals(), contextlib.ExitStack() as stack:
        scratch = plan.state_dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="marginwatch-")))
        scratch.mkdir(parents=True, exist_ok=True)
        processes = _Processes(stack)
        settings = _services(plan, base, scratch, processes)
        created = Topics(settings).create()
        if problems := Topics(settings).problems():
            raise LocalRunError("; ".join(problems))
        err.print(f"  topics   {len(created)} created")
        _start_workers(plan, settings, scratch, processes)
        if not plan.until_done:
            _start_console(settings, scratch, processes, simulated=plan.data is None)
        watcher = _AlertWatcher(settings)
        stack.callback(watcher.stop)
        watcher.start()
        reports = _feed_and_wait(plan, settings, processes, watcher)
        if not plan.until_done:
            err.print(
                "\nStaying up. In another terminal:\n"
                f"  export MARGINWATCH_KAFKA_URL={settings.kafka_url} "
                f"MARGINWATCH_REDIS_URL={settings.redis}\n"
                "  marginwatch latest market    marginwatch status    marginwatch alerts --follow\n"
                "Ctrl-C ends everything."
            )
            with contextlib.suppress(KeyboardInterrupt):
                processes.wait_for(watcher.ended, "its work")
        err.print("Stopping …")
    exit_if_refused(reports)


class _Processes:
    """The processes of a local run; they end with its exit stack, and the run ends with the first of them."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._started: list[LocalService] = []

    def start(self, service: _Service) -> _Service:
        """Start a process; it is watched from now on."""
        self._started.append(self._stack.enter_context(service))
        return service

    def wait_for(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for a condition; raises `LocalServiceError` if a process ends before, reports one that is not ready."""
        asked, silent, reported = time.monotonic(), set[LocalService](), set[LocalService]()
        while True:
            for process in self._started:  # first: a condition may ask a server that is gone
                process.check(what)
            if condition():
                return
            if time.monotonic() - asked > _ASKED_S:
                before, silent = silent, {process for process in self._started if not process.answers()}
                for process in (before & silent) - reported:
                    err.print(f"the {process.name} is not ready, {what} waits for it; its log: {process.log}")
                for process in reported - silent:
                    err.print(f"the {process.name} is ready again")
                reported, asked = silent & (before | reported), time.monotonic()
            time.sleep(0.05)


def _services(plan: LocalRunPlan, base: Settings, scratch: Path, processes: _Processes) -> Settings:
    keep = plan.broker is LocalBroker.KAFKA and plan.state_dir is not None
    err.print("Starting the local stack")
    broker: Broker
    if plan.broker is LocalBroker.KAFKA:
        reason = ApacheKafka.missing()
        if reason:
            raise LocalRunError(f"Apache Kafka can't be started here: {reason}; use --broker embedded")
        broker = processes.start(ApacheKafka(scratch / "kafka"))
    else:
        broker = processes.start(EmbeddedBroker(scratch / "broker"))
    err.print(f"  broker   {broker.url}   ({plan.broker})")
    # The embedded broker keeps nothing, and offsets in Redis are valid for one broker only.
    redis = processes.start(EmbeddedRedis(scratch / "redis", append_only=keep))
    err.print(f"  redis    {redis.url}   ({'kept' if keep else 'ephemeral'})")
    console_port = free_port(base.console_port)
    channels = base.channels if plan.notify else {}
    if base.channels:
        err.print(f"  channels {', '.join(channels) or 'none is notified; with --data, --notify sends alerts to them'}")
    return base.model_copy(
        update={
            "channels": channels,
            "kafka_url": broker.url,
            "redis_url": type(base.redis_url)(redis.url),
            "redis_url_file": None,
            "redis_ca_file": None,
            # The base settings describe another cluster; a broker on this machine has no TLS and no users.
            "kafka_security_protocol": "PLAINTEXT",
            "kafka_username": "",
            "kafka_ca_file": None,
            "kafka_cert_file": None,
            "kafka_key_file": None,
            "deadline_gap_days": 0,  # the feed ends: no day behind its last rows is late
            "http_port": free_port(base.http_port),
            "console_port": console_port,
            "console_url": base.console_url or ("" if plan.until_done else f"http://127.0.0.1:{console_port}"),
        }
    )


def _start_workers(plan: LocalRunPlan, settings: Settings, folder: Path, processes: _Processes) -> None:
    for number in range(plan.workers):
        own = settings if not number else settings.model_copy(update={"http_port": free_port()})
        (logs := folder if not number else folder / f"worker-{number + 1}").mkdir(exist_ok=True)
        worker = processes.start(WorkerProcess(own, logs))
        err.print(f"  worker   {worker.url}/metrics  /healthz  /readyz   (log: {worker.log})")


def _start_console(settings: Settings, folder: Path, processes: _Processes, *, simulated: bool) -> None:
    """Start the console as a child process; without its libraries print how to install them."""
    if importlib.util.find_spec("nicegui") is None:
        err.print("  console  not installed: pip install 'marginwatch[console]'")
        return
    console = processes.start(ConsoleProcess(settings, folder, simulated=simulated))
    err.print(f"  console  {console.url}   (log: {console.log})")


def _feed_and_wait(
    plan: LocalRunPlan, settings: Settings, processes: _Processes, watcher: _AlertWatcher
) -> list[FeedReport]:
    """Feed, wait until everything is processed, and return the reports of the feed."""
    reports: list[FeedReport] = []
    if plan.data is not None:
        err.print(f"Reading {plan.data} …")
        with contextlib.ExitStack() as stack:
            command = FeedCommand(PublishOptions(folder.source_of(plan.data), plan.form), settings, stack)
            try:
                command.run(partial(folder.read_tables, plan.data), (plan.start, plan.end))
                barrier = command.finish()
            finally:
                reports = command.reports
                print_reports(reports)
        _await_processed(settings, barrier, processes)
        rows, days = sum(one.rows for one in reports), sum(len(one.trade_dates) for one in reports)
        err.print(f"{rows:,} rows of {days:,} trading {'day is' if days == 1 else 'days are'} processed")
    else:
        barrier = _simulate(plan, settings, processes)
    watcher.await_barrier(barrier, processes)
    if plan.export_to is not None:
        written = export(settings, plan.export_to, barrier)
        for name, count in written.items():
            err.print(f"  wrote {plan.export_to / name}  ({count:,} rows)")
    _summary(settings, barrier, watcher)
    return reports


def _simulate(plan: LocalRunPlan, settings: Settings, processes: _Processes) -> str:
    """Feed a simulated market and its running session; return the barrier behind it."""
    err.print("Feeding a SIMULATED market (no real figures); --data DIR feeds real files")
    TopicRows(settings).require_only(simulate.SOURCE)
    calendar = xshg(settings.calendar_file)
    market = simulate.Market(simulate.Simulation(calendar, simulate.last_session(calendar, today())))
    store_security_names(settings, simulate.names(market.keys))
    total = market.simulation.days
    with progress() as bars, Publisher(settings, source=simulate.SOURCE, form=plan.form) as publisher:
        fed = bars.add_task("published", total=total)
        days = market.history()
        publish_days(publisher, days, on_day=lambda day: bars.update(fed, advance=1, description=f"published {day}"))
        barrier = publisher.barrier()
        rows = publisher.rows
    _await_processed(settings, barrier, processes)
    err.print(f"{rows:,} rows of {total} trading days are processed")
    with Publisher(settings, source=simulate.SOURCE, form=Form.FRAMES) as publisher:
        _publish_session(publisher, market, until_done=plan.until_done)
        barrier = publisher.barrier()
    _await_stream(settings, barrier, processes)
    return barrier


def _await_processed(settings: Settings, barrier: str, processes: _Processes) -> None:
    """Wait until the stream has passed a barrier, and show it."""
    with progress() as bars:
        done = bars.add_task("processed", total=1)
        _await_stream(settings, barrier, processes)
        bars.update(done, advance=1)


def _publish_session(publisher: Publisher, market: simulate.Market, *, until_done: bool) -> None:
    day = market.simulation.calendar.shift(market.simulation.last_day, 1)
    if day is not None:
        err.print(f"Simulating the running session of {to_date(day)}: provisional values, at its own time of day")
        moments = moments_of(day, market.session(day, ratio=0.091, every_minutes=10 if until_done else 1))
        with progress() as bars:
            shown = bars.add_task("session")
            publish_moments(
                publisher,
                moments,
                speed=3600.0 if until_done else 120.0,
                on_moment=lambda when: bars.update(shown, advance=1, description=f"session {when}"),
            )


def _summary(settings: Settings, barrier: str, watcher: _AlertWatcher) -> None:
    _await_latest(settings, barrier)
    with redis_client(settings) as client:
        print_market(system_status.latest_market(settings, client), settings.parameters)
    counts = Counter((a.severity.value, a.rule) for a in watcher.seen.values() if a.state is not State.SUPERSEDED)
    out.print("\nAlerts: " + (", ".join(f"{n} {rule}" for (_, rule), n in sorted(counts.items())) or "none"))
    peaks = [a for a in watcher.seen.values() if a.severity is Severity.CRITICAL]
    for peak in sorted(peaks, key=lambda a: (a.trade_date, a.subject))[-3:]:
        print_alert(peak)


def _await_latest(settings: Settings, barrier: str) -> None:
    """Wait up to 10 s until the newest values are written; the worker writes them after the tables."""
    deadline = time.monotonic() + 10
    key = latest_key(settings.namespace, "barrier")
    with redis_client(settings) as client:
        while client.get(key) != barrier.encode() and time.monotonic() < deadline:
            time.sleep(0.05)


def _await_stream(settings: Settings, barrier: str, processes: _Processes) -> None:
    """Wait until the workers have processed everything before a barrier."""
    with redis_client(settings) as client:
        processes.wait_for(lambda: system_status.passed(settings, barrier, client), "the stream")


class _AlertWatcher:
    """Reads the topic of alerts in a thread; prints warnings and critical alerts when they fire."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.seen: dict[str, Alert] = {}  # alert id → its last state
        self._printed: set[str] = set()
        self._stopping = threading.Event()
        self._passed: set[str] = set()  # barriers that have been read
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Start reading at the beginning of the topic."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread.is_alive():  # a signal may have ended its start
            self._thread.join(5)

    def await_barrier(self, barrier: str, processes: _Processes) -> None:
        """Wait until every alert before a barrier has been read; an error if a process or this thread ends before."""
        processes.wait_for(lambda: barrier in self._passed or self.ended(), "reading the alerts")

    def ended(self) -> bool:
        """Whether the thread has ended; raises `LocalRunError` if an error has ended it."""
        if self._failure is not None:
            raise LocalRunError(
                f"alerts can't be read or printed any more ({self._failure!r}): look whether the broker runs and the "
                "terminal is open, then start again"
            ) from self._failure
        return not self._thread.is_alive()

    def _watch(self) -> None:
        try:
            self._read()
        except Exception as error:  # noqa: BLE001 - `ended` raises it in the thread that waits
            self._failure = error

    def _read(self) -> None:
        newest = readers.NewestByKey()
        for record in readers.follow(self._settings, Topic.ALERTS, stop=self._stopping.is_set):
            if isinstance(record, str):
                self._passed.add(record)
                continue
            alert = readers.alert_of(record) if newest.accepts(record) else None
            if alert is None:
                continue
            self.seen[alert.id] = alert
            fires = alert.severity is not Severity.INFO and alert.state is State.FIRING
            # After a rebuild the topic contains each alert again, under its old id.
            if fires and alert.id not in self._printed:
                self._printed.add(alert.id)
                print_alert(alert)
