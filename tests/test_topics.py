"""The enum of topics: it has every input topic, and nothing else in the stream writes a topic's name."""

from __future__ import annotations

import ast
import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext, suppress
from itertools import chain
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from kafka.admin import NewTopic
from typer.testing import CliRunner

import streams.clients
import streams.topics
from console.model import ConsoleModel
from processors.events import INPUT_ROWS
from streams import console_inputs, dlq, readers
from streams.calendars import xshg
from streams.cli.main import app
from streams.clients import async_kafka_group_reader, async_kafka_producer, kafka_admin, started
from streams.codecs.registry import CODECS
from streams.console import Backend
from streams.errors import PublishError, TopicError
from streams.local.local_kafka import Broker
from streams.local.processes import environment
from streams.publisher import Publisher
from streams.settings import Settings
from streams.topics import Topic, Topics, dead_letters, refused_in
from tests.test_structure import modules, tree


def test_every_topic_is_created_and_read_by_a_codec() -> None:
    assert set(Topics(Settings()).all) == set(Topic)
    assert {t for t in Topic if not t.is_dead_letters} == {
        *map(Topic, INPUT_ROWS),
        Topic.FEATURES,
        Topic.CHARTS,
        *CODECS,
    }


def test_every_input_topic_has_a_topic_of_its_dead_letters() -> None:
    for topic in (*INPUT_ROWS, Topic.ALERT_COMMANDS):
        assert dead_letters(topic).is_dead_letters and refused_in(dead_letters(topic)) == topic


def test_all_that_create_topics_together_create_each_once(broker: Broker) -> None:
    topics = Topics(Settings(kafka_url=broker.url, topic_prefix="together."))
    with ThreadPoolExecutor(4) as threads:
        created = list(threads.map(lambda _: topics.create(), range(4)))
    assert sorted(chain.from_iterable(created)) == sorted(config.name for config in topics.all.values())
    assert topics.create() == []
    assert topics.problems() == []


def test_topics_that_are_created_are_there(broker: Broker) -> None:
    """Apache Kafka answers the creation before its broker lists them."""
    for number in range(5):
        topics = Topics(Settings(kafka_url=broker.url, topic_prefix=f"there{number}."))
        topics.create()
        assert topics.problems() == []


def publish(settings: Settings, topic: Topic) -> None:
    with Publisher(settings, source="test") as publisher:
        publisher.raw(topic, b"row")


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
@pytest.mark.parametrize(
    "name_a_topic",
    [
        lambda settings: list(readers.read(settings, Topic.ALERTS)),
        lambda settings: next(readers.follow(settings, Topic.ALERTS)),
        lambda settings: dlq.letters(settings),
        lambda settings: publish(settings, Topic.MARGIN_DAILY),
        lambda settings: asyncio.run(console_inputs.follow(settings, print)),
        lambda settings: asyncio.run(Backend(settings, ConsoleModel((5, 8), xshg()))._read()),
    ],
    ids=["read", "follow", "dead letters", "publish", "prices of the console", "signals of the console"],
)
def test_neither_readers_nor_feeds_create_a_topic(broker: Broker, name_a_topic: Callable[[Settings], object]) -> None:
    """The embedded broker creates each topic that a client names, with partitions of its own choice."""
    settings = Settings(kafka_url=broker.url, topic_prefix="named.")
    with pytest.raises((TopicError, PublishError), match=r"named\..+ (is|are) missing: run `marginwatch topics"):
        name_a_topic(settings)
    assert not {name for name in Topics(settings).on_cluster() if name.startswith("named.")}


def run(settings: Settings, *command: str) -> str:
    """Return the last line of a command that must fail."""
    done = subprocess.run(
        [sys.executable, "-m", "streams", *command],
        env=os.environ | environment(settings),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    return done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
@pytest.mark.parametrize("command", [("worker",), ("rebuild", "--check")])
def test_neither_a_worker_nor_a_rebuild_creates_a_topic(broker: Broker, command: tuple[str, ...]) -> None:
    settings = Settings(kafka_url=broker.url, topic_prefix="needed.", http_port=0)
    said = run(settings, *command)
    assert re.search(r"error the topics needed\..* and \d+ others are missing: run `marginwatch topics", said)
    assert not {name for name in Topics(settings).on_cluster() if name.startswith("needed.")}


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_other_partitions_than_the_topics_have_end_workers_rebuilds_and_feeds(broker: Broker) -> None:
    """A worker would wait for ever for partitions that nobody has, or leave out those that it does not expect."""
    found = Settings(kafka_url=broker.url, topic_prefix="divided.", http_port=0, partitions=2)
    Topics(found).create()
    asyncio.run(Topics(found).require())
    for partitions in (1, 4):
        settings = found.model_copy(update={"partitions": partitions})
        said = rf"divided\..* has 2 partitions, {partitions} are configured: set MARGINWATCH_PARTITIONS to 2"
        with pytest.raises(PublishError, match=said):
            publish(settings, Topic.MARGIN_DAILY)
        with pytest.raises(TopicError, match=said):
            asyncio.run(console_inputs.follow(settings, print))
        assert re.search(said, run(settings, "worker"))
        assert re.search(said, run(settings, "rebuild", "--check"))


@pytest.mark.parametrize("answers", [0, 2, None], ids=["at once", "the third time", "never"])
def test_a_worker_asks_a_broker_again_that_does_not_know_its_cluster_yet(
    monkeypatch: pytest.MonkeyPatch, answers: int | None
) -> None:
    asked: list[str] = []

    class Reader:
        async def start(self) -> None:
            if answers is None or len(asked) <= answers:
                raise KafkaConnectionError("Unable to get cluster metadata over all known brokers")

        async def stop(self) -> None:
            pass

    async def topics_of(_reader: Reader) -> dict[str, int]:
        return {topic.name: topic.partitions for topic in Topics(Settings()).all.values()}

    def reader(_settings: Settings, *, purpose: str) -> Reader:
        asked.append(purpose)
        return Reader()

    monkeypatch.setattr(streams.topics, "async_kafka_reader", reader)
    monkeypatch.setattr(streams.topics, "topics_of", topics_of)
    if answers is None:
        monkeypatch.setattr(streams.topics, "BOOTSTRAP_MS", 500)
    with pytest.raises(TopicError, match="no Kafka broker answers") if answers is None else nullcontext():
        asyncio.run(Topics(Settings()).require())
    assert len(asked) > 1 if answers is None else len(asked) == answers + 1


def test_a_worker_that_a_broker_refuses_does_not_ask_for_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time its library writes a line in front of the reason."""
    asked = 0

    class Reader:
        async def start(self) -> None:
            nonlocal asked
            asked += 1
            raise KafkaConnectionError("Unable to bootstrap")

        async def stop(self) -> None:
            pass

    monkeypatch.setattr(streams.topics, "async_kafka_reader", lambda *_, **__: Reader())
    for module in (streams.topics, streams.clients):
        monkeypatch.setattr(module, "refusal", lambda _: "it does not accept the user li")
    with pytest.raises(TopicError, match="does not accept the user li"):
        asyncio.run(Topics(Settings()).require())
    assert asked == 2


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_a_feed_publishes_into_a_topic_that_is_created_meanwhile(broker: Broker) -> None:
    settings = Settings(kafka_url=broker.url, topic_prefix="meanwhile.")
    with Publisher(settings, source="test") as publisher:
        with pytest.raises(PublishError, match="is missing"):
            publisher.raw(Topic.ALERTS_LOG, b"first")
        publisher.topics.create()
        publisher.raw(Topic.ALERTS_LOG, b"second")
    assert [record.value for record in readers.read(settings, Topic.ALERTS_LOG)] == [b"second"]


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_topics_create_names_a_topic_with_other_partitions(broker: Broker) -> None:
    settings = Settings(kafka_url=broker.url, topic_prefix="wrong.")
    with closing(kafka_admin(settings)) as admin:
        admin.create_topics([NewTopic("wrong.alerts.v1", 3, 1), NewTopic("wrong.prices.daily.v1", 3, 1)])
    environment = {"MARGINWATCH_KAFKA_URL": broker.url, "MARGINWATCH_TOPIC_PREFIX": "wrong."}
    result = CliRunner().invoke(app, ["topics", "create"], env=environment)
    assert result.exit_code == 1
    assert "created wrong.margin.daily.v1" in result.stdout
    assert "wrong.alerts.v1 has 3 partitions, 1 are needed: delete and create the topic" in result.stdout
    assert "wrong.prices.daily.v1 has 3 partitions, 4 are configured: set MARGINWATCH_PARTITIONS to 3" in result.stdout


@pytest.mark.parametrize("broker", ["embedded"], indirect=True)
def test_a_client_that_waits_for_a_topic_does_not_create_it(broker: Broker) -> None:
    settings = Settings(kafka_url=broker.url, topic_prefix="awaited.")

    async def wait() -> None:
        with suppress(TimeoutError):
            async with (
                asyncio.timeout(2),
                started(async_kafka_group_reader(settings, "awaited.alerts.v1", purpose="test")) as reader,
            ):
                await reader.getmany(timeout_ms=5000)
        with suppress(TimeoutError):
            async with asyncio.timeout(2), started(async_kafka_producer(settings, purpose="test")) as producer:
                await producer.send("awaited.alerts.log.v1", b"", partition=0)

    asyncio.run(wait())
    assert not {name for name in Topics(settings).on_cluster() if name.startswith("awaited.")}


class MadeAdmin:
    """A cluster without topics that answers the creation of the first with one code, and lists the others at once."""

    def __init__(self, code: int) -> None:
        self.code = code
        self.created: list[str] = []

    def list_topics(self) -> list[str]:
        return self.created

    def create_topics(self, topics: list[Any], *, raise_errors: bool) -> dict[str, Any]:
        assert not raise_errors
        first, *others = [topic.name for topic in topics]
        self.created = others
        codes = {first: self.code} | dict.fromkeys(others, 0)
        return {"topics": [{"name": name, "error_code": code} for name, code in codes.items()]}

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (36, "does not list margin.daily.v1, which it still deletes or creates: run the command"),
        (29, "refused to create topics .TopicAuthorizationFailedError.: with ACLs"),
    ],
)
def test_a_topic_that_can_t_be_created_is_an_error(monkeypatch: pytest.MonkeyPatch, code: int, says: str) -> None:
    """Beside others that are created."""
    monkeypatch.setattr(streams.topics, "_LISTED_WITHIN_S", 0.0)
    admin = MadeAdmin(code)
    monkeypatch.setattr(streams.topics, "kafka_admin", lambda _settings: admin)
    with pytest.raises(TopicError, match=says):
        Topics(Settings()).create()


def test_only_the_enum_spells_the_name_of_a_topic() -> None:
    names = {topic.value for topic in Topic if "." in topic}
    wrong = [
        f"{name}:{node.lineno} {node.value}"
        for name in modules()
        if name.startswith("streams.") and name not in ("streams.topics", "streams.docs")
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Constant) and node.value in names
    ]
    assert wrong == []
