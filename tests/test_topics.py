"""The enum of topics: it has every input topic, and nothing else in the stream writes a topic's name."""

from __future__ import annotations

import ast

from processors.events import INPUT_ROWS
from streams.codecs import CODECS
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
