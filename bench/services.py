"""The services of a benchmark: a broker and a Redis of its own, and isolated settings by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from rich.table import Column, Table

from streams.local.local_kafka import ApacheKafka, EmbeddedBroker
from streams.local.local_redis import EmbeddedRedis
from streams.settings import Settings


@contextmanager
def services(broker: str, folder: Path, *, append_only: bool = False) -> Iterator[Callable[..., Settings]]:
    """Start a broker and a Redis, and stop both at the end; yield a factory of settings.

    The factory takes a name, which is consumer group, namespace and topic prefix, and further settings as keywords.

    Parameters
    ----------
    broker : ``kafka`` for Apache Kafka, any other text for the embedded broker.
    folder : folder for data and logs.
    append_only : whether Redis writes an append-only file.
    """
    make = ApacheKafka if broker == "kafka" else EmbeddedBroker
    with make(folder / "broker") as server, EmbeddedRedis(folder / "redis", append_only=append_only) as store:

        def settings(name: str, **more: Any) -> Settings:
            own = {"group": name, "namespace": name, "topic_prefix": f"{name}."}
            return Settings(kafka_url=server.url, redis_url=SecretStr(store.url), **(own | more))

        yield settings


def results(title: str, *columns: str) -> Table:
    """Return a table for figures: the first column says what, the others are aligned to the right."""
    headers = [Column(name, justify="right") for name in columns[1:]]
    return Table(columns[0], *headers, title=title, title_justify="left", box=None)
