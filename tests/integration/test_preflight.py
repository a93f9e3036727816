"""What a worker and `topics check` require of Redis and Kafka, on real servers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr
from redis import Redis
from structlog.testing import capture_logs

from streams import preflight
from streams.clients import kafka_admin
from streams.errors import PreflightError
from streams.local.local_redis import EmbeddedRedis
from streams.local.local_service import free_port
from streams.settings import Settings
from streams.topic_watch import TopicWatch
from streams.topics import Topic, Topics
from tests.harness import Stack, wait_until


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[tuple[Redis, Settings]]:
    """A Redis that the test may configure."""
    with EmbeddedRedis(tmp_path) as server, Redis.from_url(server.url) as client:
        yield client, Settings(redis_url=SecretStr(server.url))


def test_a_redis_that_deletes_keys_is_refused(own_redis: tuple[Redis, Settings]) -> None:
    client, settings = own_redis
    client.config_set("maxmemory", str(2**30))
    client.config_set("maxmemory-policy", "allkeys-lru")
    with pytest.raises(PreflightError, match=r"when 1024 MiB are full.*CONFIG SET maxmemory-policy noeviction"):
        preflight.check(settings)
    client.config_set("maxmemory-policy", "volatile-ttl")  # deletes sessions of the console at most
    preflight.check(settings)


def test_a_replica_is_refused(own_redis: tuple[Redis, Settings]) -> None:
    client, settings = own_redis
    client.replicaof("127.0.0.1", str(free_port()))
    with pytest.raises(PreflightError, match="is a replica"):
        preflight.check(settings)


def test_a_cluster_is_refused(tmp_path: Path) -> None:
    class Cluster(EmbeddedRedis):
        def _command(self) -> list[str]:
            # Its own port of the bus is 10,000 higher: one of those that clients get.
            return [*super()._command(), "--cluster-enabled", "yes", "--cluster-port", str(free_port())]

    with Cluster(tmp_path) as server, pytest.raises(PreflightError, match="Redis Cluster is not supported"):
        preflight.check(Settings(redis_url=SecretStr(server.url)))


def test_a_namespace_belongs_to_one_system(own_redis: tuple[Redis, Settings]) -> None:
    client, settings = own_redis
    preflight.check(settings)
    preflight.check(settings)
    other = settings.model_copy(update={"topic_prefix": "staging."})
    with pytest.raises(PreflightError, match=r"belongs to another system .*this one is .*staging\."):
        preflight.check(other)
    preflight.check(other.model_copy(update={"namespace": "staging"}))
    client.delete(f"{settings.namespace}:system")
    preflight.check(other)


def test_state_of_another_number_of_partitions_is_refused(own_redis: tuple[Redis, Settings]) -> None:
    """Partitions that are added to topics begin without the history of the securities that belong to them from then."""
    client, settings = own_redis
    preflight.check(settings)
    for partitions in (2, 8):
        with pytest.raises(PreflightError, match=rf"that of 4 partitions, and {partitions} are configured"):
            preflight.check(settings.model_copy(update={"partitions": partitions}))
    preflight.check(settings)
    client.delete(f"{settings.namespace}:partitions")  # a release before this one has stored the state
    preflight.check(settings)
    assert client.get(f"{settings.namespace}:partitions") == b"4"


def test_a_clock_that_is_wrong_is_reported(own_redis: tuple[Redis, Settings], monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(preflight.time, "time", lambda: now - 60)
    with capture_logs() as logs:
        preflight.check(own_redis[1])
    assert any("differ by +60 s" in entry.get("notice", "") for entry in logs)


def test_a_wrong_password_is_refused(own_redis: tuple[Redis, Settings]) -> None:
    client, settings = own_redis
    client.acl_setuser("default", enabled=True, passwords=["+right"], keys=["*"], categories=["+@all"])
    at = settings.redis.removeprefix("redis://")
    preflight.check(settings.model_copy(update={"redis_url": SecretStr(f"redis://:right@{at}")}))
    for url in (f"redis://:wr0ng@{at}", settings.redis):
        with pytest.raises(PreflightError, match=r"Redis refuses the command: .*MARGINWATCH_REDIS_URL") as found:
            preflight.check(settings.model_copy(update={"redis_url": SecretStr(url)}))
        assert "wr0ng" not in str(found.value)


def test_a_redis_that_is_away_is_no_error() -> None:
    preflight.check(Settings(redis_url=SecretStr(f"redis://127.0.0.1:{free_port()}/0")))


@pytest.mark.parametrize("broker", [pytest.param("kafka", marks=pytest.mark.kafka)], indirect=True)
def test_a_topic_that_loses_messages_is_named_with_the_remedy(stack: Stack) -> None:
    from kafka.admin import ConfigResource, ConfigResourceType

    topics, watch = Topics(stack.settings), TopicWatch(stack.settings)
    assert topics.problems() == []
    assert _watched(watch) == []
    changes = {
        Topic.MARGIN_DAILY: {"cleanup.policy": "compact"},
        Topic.PRICES_DAILY: {"retention.ms": str(7 * 86_400_000)},
        Topic.PRICES_INTRADAY: {"retention.bytes": "1000000"},
        Topic.FEATURES: {"max.message.bytes": "1000"},
        Topic.ALERTS: {"cleanup.policy": "compact,delete"},
    }
    admin = kafka_admin(stack.settings)
    try:
        for topic, configs in changes.items():
            admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topics.name(topic), configs)])
    finally:
        admin.close()
    wait_until(lambda: len(topics.problems()) == len(changes), what="the changes")
    found = {problem.split(" ")[0]: problem for problem in topics.problems()}
    assert "--add-config cleanup.policy=delete" in found[topics.name(Topic.MARGIN_DAILY)]
    assert "only 7 days of history" in found[topics.name(Topic.PRICES_DAILY)]
    assert "--add-config retention.bytes=-1" in found[topics.name(Topic.PRICES_INTRADAY)]
    assert "max.message.bytes=1000:" in found[topics.name(Topic.FEATURES)]
    assert "--add-config cleanup.policy=compact" in found[topics.name(Topic.ALERTS)]
    assert _watched(watch) == sorted(topics.problems())
    assert REGISTRY.get_sample_value("marginwatch_topic_settings_wrong") == len(changes)
    assert _watched(watch) == []  # each is logged once
    stack.worker().ready()
    wait_until(lambda: stack.logs().count("a topic loses messages") == len(changes), what="the log of a worker")


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_a_worker_reads_the_settings_of_the_topics(stack: Stack) -> None:
    assert _watched(TopicWatch(stack.settings)) == []
    assert REGISTRY.get_sample_value("marginwatch_topic_settings_wrong") == 0


def test_a_worker_that_can_not_read_the_settings_logs_it_once() -> None:
    watch = TopicWatch(Settings(kafka_url=f"kafka://127.0.0.1:{free_port()}"))
    with capture_logs() as logs:
        for _ in range(2):
            asyncio.run(watch.check())
    assert [entry["event"] for entry in logs] == ["the settings of the topics can't be read (DescribeConfigs)"]


def _watched(watch: TopicWatch) -> list[str]:
    """Let a worker read the settings once; return what it logs."""
    with capture_logs() as logs:
        asyncio.run(watch.check())
    assert all(entry["event"] == "a topic loses messages" for entry in logs), logs
    return [entry["problem"] for entry in logs]


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_a_worker_ends_with_one_sentence(own_redis: tuple[Redis, Settings], stack: Stack, tmp_path: Path) -> None:
    client, settings = own_redis
    client.config_set("maxmemory", str(2**30))
    client.config_set("maxmemory-policy", "allkeys-lfu")
    worker = Stack(stack.settings.model_copy(update={"redis_url": settings.redis_url}), tmp_path).worker()
    assert worker.process.wait(120) == 1
    said = worker.log.read_text()
    assert "maxmemory-policy allkeys-lfu" in said
    assert "Traceback" not in said
