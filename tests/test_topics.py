"""The enum of topics: it has every input topic, and nothing else in the stream writes a topic's name."""

from __future__ import annotations

import ast
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import Any

import pytest

import streams.topics
from processors.events import INPUT_ROWS
from streams.codecs.registry import CODECS
from streams.errors import TopicError
from streams.local.local_kafka import Broker
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


class MadeAdmin:
    """A cluster without topics that answers a creation with one code."""

    def __init__(self, code: int) -> None:
        self.code = code

    def list_topics(self) -> list[str]:
        return []

    def create_topics(self, topics: list[Any], *, raise_errors: bool) -> dict[str, Any]:
        assert not raise_errors
        first, *others = [topic.name for topic in topics]
        codes = {first: self.code} | dict.fromkeys(others, 0)
        return {"topics": [{"name": name, "error_code": code} for name, code in codes.items()]}

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (36, "has not yet deleted margin.daily.v1: run the command again"),
        (29, "refused to create topics .TopicAuthorizationFailedError.: with ACLs"),
    ],
)
def test_a_topic_that_can_t_be_created_is_an_error(monkeypatch: pytest.MonkeyPatch, code: int, says: str) -> None:
    """Beside others that are created."""
    monkeypatch.setattr(streams.topics, "kafka_admin", lambda _settings: MadeAdmin(code))
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
