"""The services of the fault tests, each behind a proxy that can be cut, and a supervised fleet of workers."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from streams.local.local_kafka import ApacheKafka, Broker, EmbeddedBroker
from streams.local.local_redis import EmbeddedRedis
from streams.local.local_service import free_port
from streams.publisher import Publisher
from streams.settings import Settings
from streams.system_status import passed
from streams.topics import Topics
from tests.chaos.proxy import Proxy
from tests.chaos.scenario import PARTITIONS
from tests.harness import SESSION_TIMEOUT_S, Stack, Worker, wait_until

#: How long an end is awaited; generous, because a fault test is right on a busy machine, too.
_LIMIT_S = 300.0


class Services:
    """A broker and a Redis (with its append-only file) behind proxies; every replay has its own namespace."""

    def __init__(self, folder: Path, broker: str) -> None:
        self.folder = folder
        self.kind = broker
        self._stack = contextlib.ExitStack()
        broker_port, redis_port = free_port(), free_port()
        self.broker_proxy = self._stack.enter_context(Proxy(free_port(), broker_port))
        self.redis_proxy = self._stack.enter_context(Proxy(free_port(), redis_port))
        make = ApacheKafka if broker == "kafka" else EmbeddedBroker
        self.broker: Broker = make(folder / broker, broker_port, advertised_port=self.broker_proxy.port)
        self.redis = EmbeddedRedis(folder / "redis", redis_port, append_only=True)

    def __enter__(self) -> Services:
        self._stack.enter_context(self.redis)
        self._stack.enter_context(self.broker)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def stack(self, name: str) -> Stack:
        """Create a namespace with empty topics and no keys."""
        settings = Settings(
            kafka_url=self.broker.url,
            redis_url=SecretStr(f"redis://127.0.0.1:{self.redis_proxy.port}/0"),
            group=name,
            namespace=name,
            topic_prefix=f"{name}.",
            http_port=0,
            partitions=PARTITIONS,
            session_timeout_s=SESSION_TIMEOUT_S,
            dead_letters_per_hour=1_000_000,
        )
        Topics(settings).create()
        folder = self.folder / name
        folder.mkdir()
        return Stack(settings, folder, forked=False)  # workers of any hash seed give the same bytes


class Fleet:
    """Workers of a stack. The fleet replaces a dead worker, like a supervisor."""

    def __init__(self, stack: Stack, size: int = 1) -> None:
        self.stack = stack
        self.deaths = 0
        self.workers = [stack.worker() for _ in range(size)]

    def ready(self) -> Fleet:
        """Wait until every worker is ready."""

        def all_ready() -> bool:
            self.replace_dead()
            return all(worker.answers_ready() for worker in self.workers)

        self._wait(all_ready, _LIMIT_S, "a ready fleet")
        return self

    def _logs(self) -> str:
        """Return the ends of the workers' logs, and what each of them reports of itself."""
        return "\n".join(f"== {w.log} ready {w.answers_ready()}\n{w.log.read_text()[-3000:]}" for w in self.workers)

    def replace_dead(self) -> None:
        """Replace dead workers."""
        for i, worker in enumerate(self.workers):
            if worker.process.poll() is not None:
                self.deaths += 1
                self.workers[i] = self.stack.worker()

    def join(self) -> None:
        """Start another worker."""
        self.workers.append(self.stack.worker())

    def leave(self, at: int) -> None:
        """Terminate a worker gracefully."""
        assert self.workers.pop(at).terminate() in (0, 1)  # 1: by force, where a rebalance holds it up for seconds

    def kill(self, at: int) -> None:
        """Kill a worker; its replacement starts at once."""
        self.workers[at].kill()
        self.replace_dead()

    def freeze(self, at: int) -> Worker:
        """Stop a worker with SIGSTOP, so that it later continues as a zombie; return it."""
        worker = self.workers[at]
        worker.process.send_signal(signal.SIGSTOP)
        return worker

    def wake(self) -> None:
        """Let every worker that is stopped continue."""
        for worker in self.workers:
            worker.process.send_signal(signal.SIGCONT)

    def settle(self, publisher: Publisher, timeout: float = _LIMIT_S) -> str:
        """Wait until everything published is processed, replacing dead workers; return the barrier."""
        barrier = publisher.barrier()

        def all_passed() -> bool:
            self.replace_dead()
            return passed(self.stack.settings, barrier, self.stack.redis)

        self._wait(all_passed, timeout, "the end of processing")
        return barrier

    def _wait(self, condition: Callable[[], bool], timeout: float, what: str) -> None:
        """Wait for a condition of the fleet; if it never holds, the error says what the workers say."""
        try:
            wait_until(condition, timeout, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self._logs()}") from None
