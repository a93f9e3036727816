"""Throughput beside other stream processors, on the same broker, topic, bytes and core.

``python -m bench.peers [--broker embedded|kafka] [--events 200000] [--runs 5] [--only NAME …]``.A run writes a
topic of JSON events, ``margin.daily`` as marginwatch consumes it: 4,000 securities a day, one partition, punctuation
after each day. Then every contender reads the topic from its first offset, as a process of its own on one core; broker,
Redis and this process use the other cores. Seconds count from the assignment of the consumer to the last event,
including the flush of durable state. The order of the contenders rotates with every run, so that drift affects all of
them alike.

A peer stores 16 balances of each security and computes its change over 15 days (`bench.contenders`). marginwatch is the
production worker: it computes all signals and alerts of the closed days, and also consumes the other feeds (indices,
totals, reference data: about 4% more rows, not counted). It runs a second time on the same rows as JSON arrays, a form
that no peer has. Faust takes minutes, so it runs only if ``--only`` names it. A contender whose event count or checksum
differs from a plain computation is reported as an error without a figure. The ratio is to quixstreams' events a second.
"""

from __future__ import annotations

import hashlib
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated
from urllib.request import urlopen

import msgspec
import numpy as np
import redis
import typer
from rich.table import Table

from bench.figures import Figure, machine
from bench.pipeline import running_worker, simulated_market, wait_for
from bench.services import services
from processors.arrays import Floats
from processors.errors import MarginwatchError
from processors.needs import DETAIL
from streams.calendars import xshg
from streams.cli.terminal import err, out
from streams.form import Form
from streams.keys import rows_key
from streams.local.local_service import cache_folder, one_at_a_time
from streams.publisher import Publisher
from streams.settings import Settings
from streams.stages.securities_stage import SecuritiesStage
from streams.system_status import passed
from streams.topics import Topics

_CODES, _DAYS_BACK = 4000, 15
_SHORT = 80_000
#: Every second of Faust's is a minute of a run: it takes part if it is asked for.
_BY_DEFAULT = ("marginwatch", "quixstreams", "bytewax", "aiokafka")
_TIMEOUT_S = 600
_ROOT = Path(__file__).resolve().parents[1]
_PINS = _ROOT / "bench" / "contenders" / "requirements.txt"


class MismatchError(MarginwatchError):
    """The result of a contender differs from the plain computation."""


class UnavailableError(MarginwatchError):
    """A contender can't run on this machine."""


@dataclass(frozen=True, slots=True)
class Topic:
    """The topic of a run, its barrier, and the result of a plain computation."""

    settings: Settings
    barrier: str
    events: int
    checksum: float  # CNY: sum over the securities of the last change over 15 days


class Report(msgspec.Struct, frozen=True):
    """The report of a contender; checksum in CNY."""

    events: int
    checksum: float
    seconds: float


@dataclass(slots=True)
class Contender:
    """A program that reads the topic, and its report of each run.

    Parameters
    ----------
    state : kind of its state store.
    packages : packages to install, the peer first; empty for marginwatch.
    script : module in `bench.contenders`.
    durable : whether the script stores its state durably.
    form : that of the messages; the peers read events.
    """

    state: str
    packages: tuple[str, ...] = ()
    script: str = ""
    durable: bool = False
    form: Form = Form.EVENTS
    runs: list[Report] = field(default_factory=list)
    failed: str = ""

    @property
    def name(self) -> str:
        """Name of the peer with its pinned version."""
        if not self.packages:
            return "marginwatch" if self.form is Form.EVENTS else f"marginwatch, {self.form}"
        peer = self.packages[0].partition("[")[0]
        pins = dict(re.findall(r"^(\S+)==(\S+)", _PINS.read_text("utf-8"), re.MULTILINE))
        return f"{peer} {pins[peer]}"

    @property
    def median(self) -> float:
        """Median seconds of its runs; NaN where it failed."""
        return statistics.median(s.seconds for s in self.runs) if self.runs and not self.failed else float("nan")


def _median(contenders: list[Contender], name: str, *, durable: bool) -> float:
    """Return the median seconds of a peer with or without durable state; NaN if it did not run."""
    found = (c.median for c in contenders if c.name.startswith(name) and c.durable == durable)
    return next(found, float("nan"))


def _contenders(only: Sequence[str]) -> list[Contender]:
    quixstreams = ("quixstreams",)
    bytewax = ("bytewax[kafka]", "msgspec")
    faust = ("faust-streaming[rocksdict]", "uvloop")
    every = [
        Contender("Redis, AOF"),
        Contender("Redis, AOF", form=Form.ARRAYS),
        Contender("RocksDB+changelog", quixstreams, "quixstreams_rocksdb", durable=True),
        Contender("SQLite snapshots", bytewax, "bytewax_flow", durable=True),
        Contender("memory", bytewax, "bytewax_flow"),
        Contender("RocksDB+changelog", faust, "faust_agent", durable=True),
        Contender("memory", faust, "faust_agent"),
        Contender("memory", ("aiokafka", "msgspec", "uvloop"), "aiokafka_dict"),
    ]
    return [one for one in every if one.name.startswith(tuple(only or _BY_DEFAULT))]


# -- cores and environments ---------------------------------------------------------------------------------------


@contextmanager
def _on(cores: set[int]) -> Iterator[None]:
    """Pin this thread, and the processes that it starts in the block, to the given cores (Linux only)."""
    if sys.platform != "linux":
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _cores() -> tuple[set[int], set[int]]:
    """Return the core of the contenders and the other cores (the same core on a single-core machine)."""
    found = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else [0]
    return {found[-1]}, set(found[:-1] or found)


def _prepare(contenders: list[Contender]) -> Path:
    """Return the Python of the peers' virtual environment, which is created once per set of pins.

    A contender whose packages can't be installed is marked as failed.
    """
    digest = hashlib.sha256(_PINS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    environment = cache_folder() / f"peers-{digest}"
    python = environment / "bin" / "python"
    with one_at_a_time(environment):
        for contender in contenders:
            done = environment / f"{contender.script}.installed"
            if done.exists() or not contender.packages:
                continue
            err.print(f"installing once, into {environment}: {', '.join(contender.packages)}")
            commands = [[str(python), "-m", "pip", "install", "-q", "-c", str(_PINS), *contender.packages]]
            if not python.exists():
                commands.insert(0, [sys.executable, "-m", "venv", str(environment)])
            for command in commands:
                ran = subprocess.run(command, capture_output=True, text=True, check=False)
                if ran.returncode:
                    contender.failed = f"can't be installed: {_reason(ran.stderr or ran.stdout)}"
                    break
            else:
                done.touch()
    return python


def _reason(stderr: str) -> str:
    lines = [line for line in stderr.splitlines() if line.strip()]
    return next((line for line in lines if line.startswith("ERROR")), lines[-1] if lines else "no output")


# -- a run -------------------------------------------------------------------------------------------------------


def _publish(settings: Settings, days: int, form: Form) -> Topic:
    Topics(settings).create()
    balances: list[Floats] = []
    with Publisher(settings, source="bench", form=form) as publisher:
        for _, batches in simulated_market(_CODES - 20, days).history():
            publisher.day({topic: rows for topic, rows in batches.items() if topic != "prices.daily"})
            balances.append(batches[DETAIL].figures["fin_balance"])
        barrier = publisher.barrier()
    changes = balances[-1] - balances[-1 - _DAYS_BACK]
    return Topic(settings, barrier, sum(map(len, balances)), float(changes.sum()))


def _peer(contender: Contender, topic: Topic, python: Path, folder: Path) -> Report:
    """Run a peer's script; raises `UnavailableError` if it fails."""
    command = [str(python), "-m", f"bench.contenders.{contender.script}"]
    command += ["--bootstrap", topic.settings.bootstrap[0], "--topic", Topics(topic.settings).name(DETAIL)]
    command += ["--events", str(topic.events), "--folder", str(folder)] + ["--durable"] * contender.durable
    try:
        ran = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"not done after {_TIMEOUT_S} s") from error
    if ran.returncode:
        raise UnavailableError(f"ended with code {ran.returncode}: {_reason(ran.stderr)}")
    return msgspec.json.decode(ran.stdout.splitlines()[-1], type=Report)


class _LogLine(msgspec.Struct):
    timestamp: datetime


def _marginwatch(topic: Topic, folder: Path, core: set[int]) -> Report:
    """Time a worker from the assignment in its log to the barrier after all signals and alerts."""
    settings = topic.settings
    with ExitStack() as stack:
        client = stack.enter_context(redis.Redis.from_url(settings.redis))
        with _on(core):
            worker = stack.enter_context(running_worker(settings, folder))
        wait_for(lambda: passed(settings, topic.barrier, client), worker)
        ended = datetime.now().astimezone()
        claimed = next(line for line in worker.log.read_bytes().splitlines() if b'"partitions claimed"' in line)
        started = msgspec.json.decode(claimed, type=_LogLine).timestamp
        with urlopen(f"{worker.url}/metrics") as answer:
            metrics = answer.read().decode()
        stored = client.hgetall(rows_key(settings.namespace, "securities", 0))
    counted = {name: float(value) for name, value in re.findall(r"^(marginwatch_\S+) (\S+)$", metrics, re.MULTILINE)}
    for what in ("marginwatch_rows_ignored_total", "marginwatch_dead_letters_total"):
        if any(value for name, value in counted.items() if name.startswith(what)):
            raise MismatchError(f"marginwatch: {what} is not 0")
    state = SecuritiesStage(settings, Topics(settings), xshg()).open(0)
    state.load_rows({name.decode(): value for name, value in stored.items()})
    margin = state.stores[DETAIL]
    last, before = (margin.figure(margin.sorted_days[-back], "fin_balance") for back in (1, 1 + _DAYS_BACK))
    events = int(counted[f'marginwatch_rows_total{{topic="{DETAIL}"}}'])
    return Report(events, float((last - before).sum()), (ended - started).total_seconds())


def _check(report: Report, topic: Topic) -> None:
    if (report.events, report.checksum) != (topic.events, topic.checksum):
        raise MismatchError(
            f"{report.events:,} events and {report.checksum:,.0f} CNY, expected {topic.events:,} and "
            f"{topic.checksum:,.0f}"
        )


def _run(
    number: int, contenders: list[Contender], topics: dict[Form, Topic], python: Path, scratch: Path, core: set[int]
) -> None:
    """Run every contender on the topic of its form, in an order that rotates with the runs."""
    # A new broker is slow at first, so the fastest contender, the last one, starts.
    turn = (number - 1) % len(contenders)
    for at, contender in enumerate([*contenders[turn:], *contenders[:turn]]):
        if contender.failed:
            continue
        topic, folder = topics[contender.form], scratch / f"peer-{number}-{at}"
        folder.mkdir()
        try:
            if contender.packages:
                with _on(core):
                    report = _peer(contender, topic, python, folder)
            else:
                report = _marginwatch(topic, folder, core)
            _check(report, topic)
        except UnavailableError as error:
            contender.failed = str(error)
        except MismatchError as error:
            contender.failed = f"WRONG: {error}"
        else:
            contender.runs.append(report)
        err.print(
            f"run {number + 1}: {contender.name}, {contender.state}: {contender.failed or f'{report.seconds:.2f} s'}"
        )


def _table(title: str, contenders: list[Contender]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, collapse_padding=True)
    for column in ("contender", "state", "median s", "range s", "events/s", "ratio"):
        table.add_column(column, justify="left" if column in ("contender", "state") else "right", no_wrap=True)
    medians = [contender.median for contender in contenders]
    measure = _median(contenders, "quixstreams", durable=True)
    for median, contender in zip(medians, contenders, strict=True):
        if contender.failed:
            table.add_row(contender.name, contender.state, "failed")
            continue
        seconds = [s.seconds for s in contender.runs]
        table.add_row(
            contender.name,
            contender.state,
            f"{median:.2f}",
            f"{min(seconds):.2f}–{max(seconds):.2f}",
            f"{contender.runs[0].events / median:,.0f}",
            "–" if np.isnan(measure) else f"{measure / median:.2f}",
        )
    return table


def measured(broker: str, events: int, runs: int, only: Sequence[str] = ()) -> list[Contender]:
    """Run the contenders; return them with their reports."""
    contenders = _contenders(only)
    python = _prepare(contenders)
    core, others = _cores()
    with _on(others), tempfile.TemporaryDirectory(prefix="marginwatch-bench-") as name:
        scratch = Path(name)
        with services(broker, scratch, append_only=True) as settings_of:
            for number in range(runs):
                topics = {
                    form: _publish(
                        settings_of(f"run{number}{form}", partitions=1, log_format="json"), events // _CODES, form
                    )
                    for form in dict.fromkeys(contender.form for contender in contenders)
                }
                _run(number, contenders, topics, python, scratch, core)
    return contenders


def figures(broker: str) -> list[Figure]:
    """Return events a second of marginwatch over those of the peers with durable state."""
    contenders = measured(broker, _SHORT, 1)
    peers = {name: _median(contenders, name, durable=True) for name in ("quixstreams", "bytewax")}
    targets = {(Form.EVENTS, "quixstreams"): 3.0, (Form.EVENTS, "bytewax"): 1.0, (Form.ARRAYS, "quixstreams"): 8.0}
    return [
        Figure(f"JSON {own.form} beside {peer}", seconds / own.median, "×", at_least=targets.get((own.form, peer)))
        for own in contenders
        if not own.packages and own.runs
        for peer, seconds in peers.items()
        if seconds == seconds
    ]


def main(
    broker: Annotated[str, typer.Option(help="embedded or kafka")] = "embedded",
    events: Annotated[int, typer.Option(help="a multiple of 4,000, at least 64,000")] = 200_000,
    runs: int = 5,
    short: Annotated[bool, typer.Option("--short", help="80,000 events, one run")] = False,
    only: Annotated[list[str] | None, typer.Option(help="this contender alone, by name; may be repeated")] = None,
) -> None:
    """Measure and print."""
    events, runs = (_SHORT, 1) if short else (events, runs)
    days = events // _CODES
    if days <= _DAYS_BACK:
        raise typer.BadParameter(f"a change over {_DAYS_BACK} days needs at least {(_DAYS_BACK + 1) * _CODES:,} events")
    contenders = measured(broker, events, runs, only or ())
    if not contenders:
        raise typer.BadParameter(f"no contender has such a name: {', '.join(only or ())}", param_hint="--only")
    title = f"{broker} broker, {days * _CODES:,} JSON events, one partition, one core, runs: {runs}\n{machine()}"
    out.print(_table(title, contenders))
    for contender in contenders:
        if contender.failed:
            out.print(f"{contender.name}, {contender.state}: {contender.failed}")
    if any(c.failed.startswith("WRONG") for c in contenders):
        sys.exit("the result of a contender differs from the plain computation")


if __name__ == "__main__":
    typer.run(main)
