"""Where a bench runs: a broker and a Redis of its own, and settings by name that share nothing with each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from streams.local_kafka import ApacheKafka, EmbeddedBroker
from streams.local_redis import EmbeddedRedis
from streams.settings import Settings


@contextmanager
def services(broker: str, folder: Path, *, append_only: bool = False) -> Iterator[Callable[..., Settings]]:
    """Start both, and stop them at the end; yield what makes settings of a name and of what else differs.

    Parameters
    ----------
    broker : ``kafka`` for Apache Kafka, anything else for the embedded one.
    append_only : whether Redis keeps a log of every write.
    """
    make = ApacheKafka if broker == "kafka" else EmbeddedBroker
    with make(folder / "broker") as server, EmbeddedRedis(folder / "redis", append_only=append_only) as store:

        def settings(name: str, **more: Any) -> Settings:
            own = {"group": name, "namespace": name, "topic_prefix": f"{name}."}
            return Settings(kafka_url=server.url, redis_url=SecretStr(store.url), **(own | more))

        yield settings
