"""Harness of the integration tests: worker processes, publishers, and waiting for processed input."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from streams import readers
from streams.clients import redis_client
from streams.export import industries_table, market_table, securities_table
from streams.form import Form
from streams.local.local_service import free_port
from streams.local.processes import environment, http_ok
from streams.publisher import Publisher
from streams.settings import Settings
from streams.system_status import passed
from streams.topics import Topics
from tests.forking import ForkedProcess

#: The embedded broker waits half of it for other members before it answers the first one, in whole seconds.
SESSION_TIMEOUT_S = 4.0
BROKERS = ["embedded", pytest.param("kafka", marks=pytest.mark.kafka)]


def wait_until(condition: Callable[[], bool], timeout: float = 60.0, what: str = "the condition") -> None:
    """Wait for a condition; a busy machine fails no test, so never for less than two minutes.

    It is asked again after a twentieth of the time that has passed, 10 to 200 ms.

    Raises
    ------
    AssertionError : if it is still false after ``timeout`` seconds; the message contains ``what``.
    """
    timeout = max(timeout, 120.0)
    started = time.monotonic()
    while not condition():
        waited = time.monotonic() - started
        if waited > timeout:
            raise AssertionError(f"timed out after {timeout:.0f} s: {what}")
        time.sleep(min(max(waited / 20, 0.01), 0.2))


class Worker:
    """A worker process of a stack.

    Parameters
    ----------
    alterations : environment of a worker that is altered, see `tests.altered_worker`; none for the real one.
    forked : whether it is forked from a process that has imported the program (`tests.forking`).
    """

    def __init__(self, settings: Settings, log: Path, alterations: Mapping[str, str], *, forked: bool) -> None:
        self.settings = settings.model_copy(update={"http_port": free_port()})
        self.log = log
        module, *arguments = ["tests.altered_worker"] if alterations else ["streams", "worker"]
        of_worker = os.environ | environment(self.settings) | alterations
        self.process: ForkedProcess | subprocess.Popen[bytes]
        if forked:
            self.process = ForkedProcess(module, arguments, of_worker, log)
        else:
            command = [sys.executable, "-m", module, *arguments]
            with log.open("ab") as out:
                self.process = subprocess.Popen(
                    command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=of_worker
                )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.http_port}"

    def answers_ready(self) -> bool:
        return http_ok(f"{self.url}/readyz")

    def ready(self, timeout: float = 60.0) -> Worker:
        def is_ready() -> bool:
            assert self.process.poll() is None, f"the worker ended: {self.log.read_text()[-3000:]}"
            return self.answers_ready()

        wait_until(is_ready, timeout, "a ready worker")
        return self

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def terminate(self, timeout: float = 60.0) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout)


class Stack:
    """A namespace on real servers: publishes input, runs workers, reads outputs.

    Parameters
    ----------
    forked : whether its workers are forked, which saves most of a start; otherwise each has a hash seed of its own.

    Attributes
    ----------
    alterations : those of the workers that start from now on, see `tests.altered_worker`.
    """

    def __init__(self, settings: Settings, folder: Path, *, forked: bool = True) -> None:
        self.settings = settings
        self.alterations: dict[str, str] = {}
        self._folder = folder
        self._forked = forked
        self._workers: list[Worker] = []
        self.redis = redis_client(settings)

    def worker(self) -> Worker:
        log = self._folder / f"worker-{len(self._workers)}.log"
        worker = Worker(self.settings, log, self.alterations, forked=self._forked)
        self._workers.append(worker)
        return worker

    def file(self, name: str) -> Path:
        """Return the path of a file in the folder of the stack."""
        return self._folder / name

    def publisher(self, form: Form = Form.FRAMES, source: str = "test") -> Publisher:
        return Publisher(self.settings, source=source, form=form)

    def settle(self, publisher: Publisher, timeout: float = 60.0) -> str:
        """Wait until every stage has processed all published input; return the barrier."""
        barrier = publisher.barrier()
        try:
            wait_until(lambda: passed(self.settings, barrier, self.redis), timeout, "the end of processing")
        except AssertionError as error:
            logs = "\n".join(f"{w.log} (exit {w.process.poll()}):\n{w.log.read_text()[-4000:]}" for w in self._workers)
            raise AssertionError(f"{error}\n{logs}") from None
        return barrier

    def settle_latest(self, publisher: Publisher) -> str:
        """Wait until everything is processed, and the newest values in Redis contain it; return the barrier."""
        barrier, newest = self.settle(publisher), f"{self.settings.namespace}:latest:barrier"
        wait_until(lambda: self.redis.get(newest) == barrier.encode(), what="the newest values")
        return barrier

    def logs(self) -> str:
        """Return what all workers have logged."""
        return "\n".join(worker.log.read_text() for worker in self._workers)

    def publisher_topic(self, short: str) -> str:
        return Topics(self.settings).name(short)

    def fresh(self, name: str) -> Stack:
        """Return another namespace on the same servers."""
        base = f"{self.settings.namespace}{name}"
        settings = self.settings.model_copy(update={"group": base, "namespace": base, "topic_prefix": f"{base}."})
        Topics(settings).create()
        folder = self._folder / name
        folder.mkdir()
        return Stack(settings, folder, forked=self._forked)

    def market(self, barrier: str):
        return market_table(readers.market_signals(self.settings, until=barrier))

    def securities(self, barrier: str):
        return securities_table(readers.security_signals(self.settings, until=barrier))

    def industries(self, barrier: str):
        return industries_table(readers.industry_signals(self.settings, until=barrier))

    def alerts(self, barrier: str):
        return readers.newest_alerts(self.settings, until=barrier)

    def count(self, topic: str, barrier: str) -> int:
        return sum(1 for _ in readers.read(self.settings, topic, until=barrier))

    def tables(self) -> dict[bytes, dict[bytes, bytes]]:
        """Return all rows of all tables, without barriers."""
        keys = self.redis.keys(f"{self.settings.namespace}:{{*}}:rows")
        return {
            key: {n: v for n, v in self.redis.hgetall(key).items() if not n.startswith((b"passed/", b"barrier/"))}
            for key in sorted(keys)
        }

    def stop(self) -> None:
        for worker in self._workers:
            if worker.process.poll() is None:
                worker.process.kill()
                worker.process.wait()
        keys = self.redis.keys(f"{self.settings.namespace}:*")
        if keys:
            self.redis.delete(*keys)
        self.redis.close()
