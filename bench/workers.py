"""Workers on a full backlog: they share its partitions before it is written, and begin once it is complete."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

import redis

from bench.pipeline import running_worker, wait_for
from processors.errors import MarginwatchError
from streams.local.processes import WorkerProcess
from streams.settings import Settings
from streams.stages.registry import STAGES
from streams.system_status import passed
from streams.topics import Topics

#: Session timeout: a stopped worker keeps its partitions this long. (The embedded broker delays the first assignment of
#: a group by half of it.)
_SESSION_S = 60.0


@dataclass(frozen=True, slots=True)
class Run:
    """What workers did with a backlog: its rows, their seconds, and the peak memory of the largest one in bytes."""

    rows: int
    seconds: float
    peak: int


def run_backlog(
    settings: Settings,
    folder: Path,
    workers: int,
    publish: Callable[[Settings], tuple[int, str]],
    session_s: float = _SESSION_S,
) -> Run:
    """Let workers compute a backlog; it counts from the moment at which they may begin.

    Parameters
    ----------
    publish : writes the backlog; returns its rows and the barrier behind it. Meanwhile SIGSTOP halts the workers.
    session_s : how long writing may take.

    Raises
    ------
    MarginwatchError : if writing takes longer than a stopped worker keeps its partitions.
    """
    settings = settings.model_copy(update={"session_timeout_s": session_s})
    Topics(settings).create()
    with ExitStack() as stack:
        client = stack.enter_context(redis.Redis.from_url(settings.redis))
        running = []
        for number in range(workers):
            (own := folder / f"{settings.group}-{number}").mkdir()
            running.append(stack.enter_context(running_worker(settings, own)))
        wait_for(lambda: _shared(running), running[0])
        stopped = time.perf_counter()
        for worker in running:
            os.kill(worker.pid, signal.SIGSTOP)
        try:
            rows, barrier = publish(settings)
        finally:
            for worker in running:
                os.kill(worker.pid, signal.SIGCONT)
        started = time.perf_counter()
        if started - stopped > session_s:
            raise MarginwatchError(
                f"writing the backlog took {started - stopped:.0f} s, so the stopped workers lost their partitions: "
                "end other programs on this machine, or measure less"
            )
        wait_for(lambda: passed(settings, barrier, client), running[0])
        seconds = time.perf_counter() - started
        return Run(rows, seconds, max(map(peak_memory, running)))


def peak_memory(worker: WorkerProcess) -> int:
    """Return the peak memory of a worker in bytes (Linux)."""
    return _memory(worker, "VmHWM")


def memory(worker: WorkerProcess) -> int:
    """Return the memory of a worker in bytes (Linux)."""
    return _memory(worker, "VmRSS")


def _memory(worker: WorkerProcess, line: str) -> int:
    found = re.search(rf"^{line}:\s+(\d+) kB", Path(f"/proc/{worker.pid}/status").read_text("utf-8"), re.M)
    assert found is not None
    return int(found[1]) * 1024


def _shared(workers: list[WorkerProcess]) -> bool:
    """Whether every stage has its workers, and every worker its partitions."""
    owned = [_owned(worker) for worker in workers]
    return all(owned) and {stage for stages in owned for stage in stages} == {stage.name for stage in STAGES}


def _owned(worker: WorkerProcess) -> set[str]:
    """Return the stages of which a worker owns partitions."""
    with urlopen(f"{worker.url}/metrics") as answer:
        found = re.findall(r'^marginwatch_partitions_owned{table="(\w+)"} (\S+)$', answer.read().decode(), re.M)
    return {stage for stage, count in found if float(count)}
