"""What a feed command publishes, caught before any broker: for tests that need no Kafka."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner, Result

from streams import publisher
from streams.cli import app
from streams.codec import BARRIER_TYPE

#: topic, partition, key, value, headers
Message = tuple[str, int, bytes | None, bytes, tuple[tuple[str, bytes], ...]]


class _Producer:
    def __init__(self, **_: Any) -> None:
        pass

    def flush(self, timeout: float) -> None:
        pass

    def close(self, timeout: float) -> None:
        pass


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """The messages that commands of this test publish, barriers left out (each has a time of its own)."""
    messages: list[Message] = []

    def catch(
        _self: publisher.Publisher,
        topic: str,
        value: bytes,
        *,
        key: Any = None,
        partition: int = 0,
        headers: Any = None,
    ) -> None:
        marks = tuple(headers or ())
        if not any(mark == BARRIER_TYPE for _, mark in marks):
            messages.append((topic, partition, key, value, marks))

    monkeypatch.setattr(publisher, "KafkaProducer", _Producer)
    monkeypatch.setattr(publisher.Publisher, "_send", catch)
    return messages


def feed(*arguments: object) -> Result:
    """Run `marginwatch feed …`."""
    return CliRunner().invoke(app, ["feed", *map(str, arguments)])
