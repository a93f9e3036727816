"""Workers on a full backlog: they share its partitions before it is written, and begin once it is complete."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
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


def rows_and_seconds(
    settings: Settings, folder: Path, workers: int, publish: Callable[[Settings], tuple[int, str]]
) -> tuple[int, float]:
    """Return the rows of a backlog, and how long workers need for it from the moment at which they may begin.

    Parameters
    ----------
    publish : writes the backlog; returns its rows and the barrier behind it. Meanwhile SIGSTOP halts the workers.

    Raises
    ------
    MarginwatchError : if writing takes longer than a stopped worker keeps its partitions.
    """
    settings = settings.model_copy(update={"session_timeout_s": _SESSION_S})
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
        if started - stopped > _SESSION_S:
            raise MarginwatchError(
                f"writing the backlog took {started - stopped:.0f} s, so the stopped workers lost their partitions: "
                "end other programs on this machine, or measure less"
            )
        wait_for(lambda: passed(settings, barrier, client), running[0])
        return rows, time.perf_counter() - started


def _shared(workers: list[WorkerProcess]) -> bool:
    """Whether every stage has its workers, and every worker its partitions."""
    owned = [_owned(worker) for worker in workers]
    return all(owned) and {stage for stages in owned for stage in stages} == {stage.name for stage in STAGES}


def _owned(worker: WorkerProcess) -> set[str]:
    """Return the stages of which a worker owns partitions."""
    with urlopen(f"{worker.url}/metrics") as answer:
        found = re.findall(r'^marginwatch_partitions_owned{table="(\w+)"} (\S+)$', answer.read().decode(), re.M)
    return {stage for stage, count in found if float(count)}
