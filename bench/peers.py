"""Throughput beside the peers: the same broker, topic, bytes and core, in one run.

``python -m bench.peers [--broker embedded|kafka] [--events 200000] [--runs 5] [--short]``. A run writes a topic of JSON
events, ``margin.daily`` as marginwatch itself takes it: 4,000 securities a day, one partition, a marker behind each
day. Then every contender reads it from its beginning, as a process of its own on one core; broker, Redis and this
process have the others. Seconds count from the assigned consumer to the last event, whatever is durable being flushed.
The order turns with every run, so that drift hits all alike.

The peers keep 16 balances of each security and compute its change over 15 days (`bench.contenders`). marginwatch is the
worker of production: all signals, alerts and messages of the closed days, and the events of the other feeds too
(indices, totals, reference data: about 4% more rows, not counted). Whoever saw other events or another result than a
plain computation is an error, not a figure. The ratio is to quixstreams' events a second.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
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

from bench.pipeline import running_worker, simulated_market, wait_for
from bench.services import services
from processors.errors import MarginwatchError
from processors.events import Floats
from processors.needs import DETAIL
from processors.securities import Securities
from streams.calendars import xshg
from streams.cli.terminal import err, out
from streams.form import Form
from streams.publisher import Publisher
from streams.settings import Settings
from streams.system_status import passed
from streams.tables import table_key
from streams.topics import Topics

_CODES, _DAYS_BACK = 4000, 15
_SHORT = 80_000
_TIMEOUT_S = 600
_ROOT = Path(__file__).resolve().parents[1]
_PINS = _ROOT / "bench" / "contenders" / "requirements.txt"


class MismatchError(MarginwatchError):
    """A contender that did something else than the others."""


class UnavailableError(MarginwatchError):
    """A contender that can't be run here."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A run's topic, its barrier, and what a plain computation makes of it."""

    settings: Settings
    barrier: str
    events: int
    checksum: float  # CNY: sum over the securities of the last change over 15 days


class Report(msgspec.Struct, frozen=True):
    """What a contender reports; checksum in CNY."""

    events: int
    checksum: float
    seconds: float


@dataclass(slots=True)
class Contender:
    """Somebody who reads the topic, and the figures of each run.

    Parameters
    ----------
    packages : what it needs; the first one is the peer, none for marginwatch.
    """

    state: str
    packages: tuple[str, ...] = ()
    script: str = ""
    durable: bool = False
    runs: list[Report] = field(default_factory=list)
    failed: str = ""

    @property
    def name(self) -> str:
        """The peer with its pinned version."""
        if not self.packages:
            return "marginwatch"
        peer = self.packages[0].partition("[")[0]
        pins = dict(re.findall(r"^(\S+)==(\S+)", _PINS.read_text("utf-8"), re.MULTILINE))
        return f"{peer} {pins[peer]}"


def _contenders() -> list[Contender]:
    quixstreams = ("quixstreams",)
    bytewax = ("bytewax[kafka]", "msgspec")
    faust = ("faust-streaming[rocksdict]", "uvloop")
    return [
        Contender("Redis, AOF"),
        Contender("RocksDB+changelog", quixstreams, "quixstreams_rocksdb", durable=True),
        Contender("SQLite snapshots", bytewax, "bytewax_flow", durable=True),
        Contender("memory", bytewax, "bytewax_flow"),
        Contender("RocksDB+changelog", faust, "faust_agent", durable=True),
        Contender("memory", faust, "faust_agent"),
        Contender("memory", ("aiokafka", "msgspec", "uvloop"), "aiokafka_dict"),
    ]


# -- places to run -----------------------------------------------------------------------------------------------


@contextmanager
def _on(cores: set[int]) -> Iterator[None]:
    """Keep this thread, and all processes that it starts meanwhile, on these cores (Linux; elsewhere on any)."""
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
    """The contenders' core, and the others (the same one if there is no other)."""
    found = sorted(os.sched_getaffinity(0)) if sys.platform == "linux" else [0]
    return {found[-1]}, set(found[:-1] or found)


def _prepare(contenders: list[Contender]) -> Path:
    """Return the Python of the peers' virtual environment, made once for these pins; who can't be installed fails."""
    digest = hashlib.sha256(_PINS.read_bytes() + sys.version.encode()).hexdigest()[:12]
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    environment = cache / "marginwatch" / f"peers-{digest}"
    environment.mkdir(parents=True, exist_ok=True)
    python = environment / "bin" / "python"
    with (environment / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for contender in contenders:
            done = environment / f"{contender.script}.installed"
            if done.exists() or not contender.packages:
                continue
            err.print(f"installing once, into {environment}: {', '.join(contender.packages)}", markup=False)
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
    return next((line for line in lines if line.startswith("ERROR")), lines[-1] if lines else "it said nothing")


# -- a run -------------------------------------------------------------------------------------------------------


def _publish(settings: Settings, days: int) -> Topic:
    Topics(settings).create()
    balances: list[Floats] = []
    with Publisher(settings, source="bench", form=Form.EVENTS) as publisher:
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
    """Run a worker from its assignment, as its log has it, to the barrier behind all signals and alerts."""
    settings = topic.settings
    with ExitStack() as stack:
        client = stack.enter_context(redis.Redis.from_url(settings.redis))
        with _on(core):
            worker = stack.enter_context(running_worker(settings, folder))
        wait_for(lambda: passed(settings, topic.barrier, client), worker)
        ended = datetime.now().astimezone()
        claimed = next(line for line in worker.log.read_bytes().splitlines() if b'"partitions claimed"' in line)
        started = msgspec.json.decode(claimed, type=_LogLine).timestamp
        with urlopen(worker.ready_url.replace("readyz", "metrics")) as answer:
            metrics = answer.read().decode()
        stored = client.hgetall(f"{table_key(settings.namespace, 'securities', 0)}:rows")
    counted = {name: float(value) for name, value in re.findall(r"^(marginwatch_\S+) (\S+)$", metrics, re.MULTILINE)}
    for what in ("marginwatch_rows_ignored_total", "marginwatch_dead_letters_total"):
        if any(value for name, value in counted.items() if name.startswith(what)):
            raise MismatchError(f"marginwatch: {what} is not 0")
    securities = Securities(0, settings.parameters, settings.exchanges, xshg())
    securities.load_rows({name.decode(): value for name, value in stored.items()})
    last, before = (
        securities.margin.figure(securities.margin.sorted_days[-back], "fin_balance") for back in (1, 1 + _DAYS_BACK)
    )
    events = int(counted[f'marginwatch_rows_total{{topic="{DETAIL}"}}'])
    return Report(events, float((last - before).sum()), (ended - started).total_seconds())


def _check(seen: Report, topic: Topic) -> None:
    if (seen.events, seen.checksum) != (topic.events, topic.checksum):
        raise MismatchError(
            f"{seen.events:,} events and {seen.checksum:,.0f} CNY, right are {topic.events:,} and {topic.checksum:,.0f}"
        )


def _run(number: int, contenders: list[Contender], topic: Topic, python: Path, scratch: Path, core: set[int]) -> None:
    """Let everybody read the topic, in an order that turns with the runs."""
    turn = (number - 1) % len(contenders)  # a fresh broker is slow at first: the last contender, the quickest, begins
    for at, contender in enumerate([*contenders[turn:], *contenders[:turn]]):
        if contender.failed:
            continue
        folder = scratch / f"peer-{number}-{at}"
        folder.mkdir()
        try:
            if contender.packages:
                with _on(core):
                    seen = _peer(contender, topic, python, folder)
            else:
                seen = _marginwatch(topic, folder, core)
            _check(seen, topic)
        except UnavailableError as error:
            contender.failed = str(error)
        except MismatchError as error:
            contender.failed = f"WRONG: {error}"
        else:
            contender.runs.append(seen)
        err.print(
            f"run {number + 1}: {contender.name}, {contender.state}: {contender.failed or f'{seen.seconds:.2f} s'}"
        )


def _table(title: str, contenders: list[Contender]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, collapse_padding=True)
    for column in ("contender", "state", "median s", "range s", "events/s", "ratio"):
        table.add_column(column, justify="left" if column in ("contender", "state") else "right", no_wrap=True)
    medians = [statistics.median(s.seconds for s in c.runs) if c.runs and not c.failed else np.nan for c in contenders]
    measure = next(m for m, c in zip(medians, contenders, strict=True) if c.name.startswith("quixstreams"))
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


def main(
    broker: Annotated[str, typer.Option(help="embedded or kafka")] = "embedded",
    events: Annotated[int, typer.Option(help="a multiple of 4,000, at least 64,000")] = 200_000,
    runs: int = 5,
    short: Annotated[bool, typer.Option("--short", help="80,000 events, one run")] = False,
) -> None:
    """Measure and print."""
    events, runs = (_SHORT, 1) if short else (events, runs)
    days = events // _CODES
    if days <= _DAYS_BACK:
        raise typer.BadParameter(f"a change over {_DAYS_BACK} days needs at least {(_DAYS_BACK + 1) * _CODES:,} events")
    contenders = _contenders()
    python = _prepare(contenders)
    core, others = _cores()
    with _on(others), tempfile.TemporaryDirectory(prefix="marginwatch-bench-") as name:
        scratch = Path(name)
        with services(broker, scratch, append_only=True) as settings_of:
            for number in range(runs):
                settings = settings_of(f"run{number}", partitions=1, log_format="json")
                _run(number, contenders, _publish(settings, days), python, scratch, core)
    title = f"{broker} broker, {days * _CODES:,} JSON events, one partition, one core, runs: {runs}"
    out.print(_table(title, contenders))
    for contender in contenders:
        if contender.failed:
            out.print(f"{contender.name}, {contender.state}: {contender.failed}", markup=False)
    if any(c.failed.startswith("WRONG") for c in contenders):
        sys.exit("a contender disagrees with the plain computation")


if __name__ == "__main__":
    typer.run(main)
