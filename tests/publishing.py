"""What a feed publishes, captured before any broker, and what it stores: for tests without Kafka and Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from feeds.daily.daily_outlet import DailyOutlet
from feeds.daily.ledger import PublishLedger
from feeds.ports import Place, RowPublisher
from processors.codes import to_codes
from processors.events import RowBatch
from streams import clients, feed_services, publisher
from streams.calendars import xshg
from streams.cli.main import app
from streams.records import BARRIER_TYPE
from streams.settings import Settings
from streams.topics import Topic

#: topic, partition, key, value, headers
Message = tuple[str, int, bytes | None, bytes, tuple[tuple[str, bytes], ...]]


class _Producer:
    def __init__(self, _settings: Settings) -> None:
        pass

    def flush(self, timeout: float) -> None:
        pass

    def close(self, timeout: float) -> None:
        pass


class MemoryState:
    """The state of a feed, without Redis."""

    def __init__(self) -> None:
        self.stored: dict[str, str] = {}

    def load(self) -> dict[str, str]:
        return dict(self.stored)

    def set(self, name: str, value: str) -> None:
        self.stored[name] = value


class MemoryStore:
    """The storage of a publish ledger, without Redis."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, int], bytes] = {}

    def with_entries(self, topics: Iterable[str]) -> set[str]:
        return set(topics) & {topic for topic, _ in self.stored}

    def read(self, places: Sequence[Place]) -> list[bytes]:
        return [self.stored.get(place, b"") for place in places]

    def replace(self, changes: Sequence[tuple[Place, bytes, bytes]]) -> list[bool]:
        done = [self.stored.get(place, b"") == old for place, old, _ in changes]
        self.stored |= {place: new for (place, _, new), same in zip(changes, done, strict=True) if same}
        return done


def rows_of(batch: RowBatch) -> dict[str, dict[str, float]]:
    """Return the figures of each row by its code; absent ones are left out."""
    return {
        code: {name: float(values[i]) for name, values in batch.figures.items() if values[i] == values[i]}
        for i, code in enumerate(to_codes(batch.keys))
    }


def no_broker(source: str, *, timeout_s: float = 60.0) -> RowPublisher:
    """Open no publisher: the test replaces what would send."""
    raise AssertionError(f"{source} opens a publisher")


def daily_outlet(
    ledger: PublishLedger,
    exchanges: tuple[str, ...] = (),
    store_names: Callable[[Mapping[str, str]], None] = lambda _names: None,
) -> DailyOutlet:
    """Return an outlet of daily figures that uses the captured publisher, without a security master."""
    opener = feed_services.publisher_opener(Settings())
    return DailyOutlet(opener, xshg(), ledger, dict, store_names, exchanges=exchanges)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Message]:
    """The rows and markers that commands of this test publish; barriers and reports have a time of their own."""
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
        if topic != Topic.ALERT_COMMANDS and not any(mark == BARRIER_TYPE for _, mark in marks):
            messages.append((topic, partition, key, value, marks))

    monkeypatch.setattr(publisher, "kafka_producer", _Producer)
    monkeypatch.setattr(clients, "require_broker", lambda _settings, timeout_s: None)
    # Each command has a ledger of its own: these tests publish the same day many times on purpose.
    monkeypatch.setattr(feed_services, "open_ledger", lambda _settings: nullcontext(PublishLedger(MemoryStore())))
    monkeypatch.setattr(feed_services, "load_security_names", lambda _settings: {})
    # Nor is anything stored: a test of names catches them itself.
    monkeypatch.setattr(feed_services, "store_security_names", lambda _settings, _names: None)
    monkeypatch.setattr(publisher.Publisher, "raw", catch)
    return messages


def feed(*arguments: object) -> Result:
    """Run `marginwatch feed …`."""
    return CliRunner().invoke(app, ["feed", *map(str, arguments)])
