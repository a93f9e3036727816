"""Fixtures: real data, a broker and a Redis per session, and a clean namespace per test."""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from operator import itemgetter
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, settings
from pydantic import SecretStr

from streams import metrics
from streams.clients import kafka_admin
from streams.local.local_kafka import ApacheKafka, Broker, EmbeddedBroker
from streams.local.local_redis import EmbeddedRedis
from streams.settings import Settings
from streams.topics import Topics
from tests.harness import BROKERS, SESSION_TIMEOUT_S, Stack

# How fast a machine is, and what else it does, decides no test.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

_LONGEST_ID = 60
#: kafka-python may leave the socket of a client to the garbage collector (see `streams.kafka.sockets`).
_UNCLOSED = pytest.mark.filterwarnings("ignore:unclosed <socket.socket .*raddr=:ResourceWarning")
#: Files without a broker that last longest: what begins last would be waited for.
_LONG = {
    f"tests/test_{name}.py"
    for name in (
        "blocks", "charts", "completeness", "feeds_apart", "noise", "records", "signals", "studies", "whole_market",
    )
}  # fmt: skip


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each process of a parallel run whole groups of tests, those that last longest first.

    A group is a file, so that its fixtures are made once. The tests of all files on the shared Apache Kafka are one
    group, so that a run starts one; the fault tests are a group for each broker.
    """
    ranked = []
    for item in items:
        file, callspec = item.path.relative_to(item.config.rootpath).as_posix(), getattr(item, "callspec", None)
        params = callspec.params if callspec is not None else {}
        if params.get("broker") == "kafka":
            rank, group = 0, "Apache Kafka"
        elif "services" in params:
            rank, group = 1, f"{file} {params['services']}"
        else:
            rank, group = 2 if "/integration/" in file else 3 if file in _LONG else 4, file
        item.add_marker(pytest.mark.xdist_group(group))
        if _has_broker(item):
            item.add_marker(_UNCLOSED)
        ranked.append((rank, item))
    ranked.sort(key=itemgetter(0))
    items[:] = [item for _, item in ranked]


def pytest_collection_finish() -> None:
    """Search what tests make for cycles less often: years of signals are alive, and a search of all of them is slow."""
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)


@pytest.hookimpl(trylast=True)  # behind the fixtures
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Collect what tests with a broker leave behind while `_UNCLOSED` holds; later it would fail a test without one.

    Collect behind each file, too: a history that was folded is a cycle of 30 MB.
    """
    if _has_broker(item) and (nextitem is None or not _has_broker(nextitem)):
        gc.collect()
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()


def _has_broker(item: pytest.Item) -> bool:
    return "/integration/" in item.nodeid or "broker" in getattr(item, "fixturenames", ())


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a long text by its beginning and length: ids of a hundred thousand characters slow a parallel run down."""
    if isinstance(val, str | bytes) and len(val) > _LONGEST_ID:
        return f"{val[:_LONGEST_ID]!r}… of {len(val)}"
    return None


@pytest.fixture
def restored_logs() -> Iterator[None]:
    """Restore how this process logs; the tests behind would log as a worker does."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real market data; the test is skipped where there is none."""
    folder = Path(os.environ.get("MARGINWATCH_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real market data are not at {folder} (set MARGINWATCH_DATA)")
    return folder


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """One Redis for all tests; each test has a namespace of its own."""
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session", params=BROKERS)
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A real broker: the embedded one, and Apache Kafka where Java and Maven are."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "kafka" and (reason := ApacheKafka.missing()):
        pytest.skip(f"Apache Kafka can't run here: {reason}")
    server: Broker = ApacheKafka(folder) if request.param == "kafka" else EmbeddedBroker(folder)
    server.start()
    yield server
    server.kill()  # an end in order closes the logs of thousands of partitions, which nobody reads again


@pytest.fixture
def stack(
    broker: Broker, redis_server: EmbeddedRedis, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Stack]:
    """Topics and keys of this test alone on the session's broker and Redis, and a way to run workers."""
    name = f"t{abs(hash(request.node.nodeid)) % 10**8}"
    of_test = Settings(
        kafka_url=broker.url,
        redis_url=SecretStr(redis_server.url),
        group=name,
        namespace=name,
        topic_prefix=f"{name}.",
        http_port=0,
        partitions=2,
        session_timeout_s=SESSION_TIMEOUT_S,
    )
    Topics(of_test).create()
    made = Stack(of_test, tmp_path)
    yield made
    made.stop()
    if isinstance(broker, EmbeddedBroker):  # it tells every client about all topics there are
        with closing(kafka_admin(of_test)) as admin:
            admin.delete_topics([topic for topic in admin.list_topics() if topic.startswith(name)])


@pytest.fixture
def make_settings() -> Callable[..., Settings]:
    """Settings that no environment or file of the machine can change."""
    return lambda **changes: Settings(**changes)


@pytest.fixture
def no_market_metrics() -> Iterator[None]:
    """Metrics of no market yet: each keeps the newest day, whichever test of this process has set it."""
    metrics.forget_market()
    yield
    metrics.forget_market()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("MARGINWATCH_") and name != "MARGINWATCH_DATA":
            monkeypatch.delenv(name)
