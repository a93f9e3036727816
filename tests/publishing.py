"""What a feed command publishes, caught before any broker: for tests that need no Kafka."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from feeds import ledger, names
from feeds.ledger import PublishLedger
from streams import publisher
from streams.cli.main import app
from streams.records import BARRIER_TYPE
from streams.settings import Settings

#: topic, partition, key, value, headers
Message = tuple[str, int, bytes | None, bytes, tuple[tuple[str, bytes], ...]]


class _Producer:
    def __init__(self, _settings: Settings) -> None:
        pass

    def flush(self, timeout: float) -> None:
        pass

    def close(self, timeout: float) -> None:
        pass


class Memory:
    """What a feed remembers, without Redis."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def load(self) -> dict[str, str]:
        return dict(self.kept)

    def set(self, name: str, value: str) -> None:
        self.kept[name] = value


class MemoryStore:
    """A journal's place without Redis."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, int], bytes] = {}

    def begun(self, topic: str) -> bool:
        return any(kept == topic for kept, _ in self.kept)

    def read(self, topic: str, day: int) -> bytes:
        return self.kept.get((topic, day), b"")

    def replace(self, topic: str, day: int, old: bytes, new: bytes) -> bool:
        if self.read(topic, day) != old:
            return False
        self.kept[topic, day] = new
        return True


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

    monkeypatch.setattr(publisher, "kafka_producer", _Producer)
    # Each command has a journal of its own: these tests publish the same day many times on purpose.
    monkeypatch.setattr(ledger, "opened", lambda _settings: nullcontext(PublishLedger(MemoryStore())))
    monkeypatch.setattr(names, "remembered", lambda _settings: names.Names())
    monkeypatch.setattr(publisher.Publisher, "_send", catch)
    return messages


def feed(*arguments: object) -> Result:
    """Run `marginwatch feed …`."""
    return CliRunner().invoke(app, ["feed", *map(str, arguments)])
