"""Which workers of a namespace are connected to Redis, and which of them hang: each one names its connections.

The members of the consumer group don't show it: a broker lists a member for a session timeout after its end. A worker
asks Redis every two seconds whether it answers; one that has asked nothing for `SILENT_S` hangs, or its process is
stopped, and computes nothing although it is connected.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast
from urllib.parse import quote, unquote

from redis import Redis
from redis.asyncio import Redis as AsyncRedis
from redis.exceptions import ResponseError

from streams.errors import RunningWorkersError
from streams.settings import Settings

#: Seconds without any command of a worker, after which it counts as hanging; a step of it takes a few at most.
SILENT_S = 60


def connection_name(settings: Settings) -> str:
    """Return the name of this worker's connections to Redis: its namespace, host and process.

    Examples
    --------
    >>> connection_name(Settings(namespace="mw test")).startswith("marginwatch-worker/mw%20test/")
    True
    """
    # Redis accepts no spaces and nothing but ASCII in the name of a connection.
    return f"{_prefix(settings)}{quote(socket.gethostname(), safe='')}/{os.getpid()}"


async def running_workers(settings: Settings, redis: AsyncRedis) -> list[str]:
    """Return host and process of every worker that is connected to the database and namespace of the settings, sorted.

    Raises
    ------
    RunningWorkersError : if Redis refuses to list its connections.
    """
    with _listed():
        found = await redis.client_list(_type="normal")
    return list(_idle_s(settings, found, redis.connection_pool.connection_kwargs))


def connected_workers(settings: Settings, client: Redis) -> dict[str, int]:
    """Return the same for a command, each with the seconds since it asked Redis; errors as of `running_workers`."""
    with _listed():
        found = cast("list[Mapping[str, str]]", client.client_list(_type="normal"))
    return _idle_s(settings, found, client.connection_pool.connection_kwargs)


@contextmanager
def _listed() -> Iterator[None]:
    try:
        yield
    except ResponseError as error:  # an ACL without the command, or a service that has none
        raise RunningWorkersError(
            f"Redis does not list its connections ({error}), so nothing shows whether workers run: give the user "
            "+client|list (ACL SETUSER)"
        ) from error


def _idle_s(settings: Settings, connections: Iterable[Mapping[str, str]], options: Mapping[str, Any]) -> dict[str, int]:
    """Return the workers, sorted, with the seconds since the last command on any of their connections."""
    database, prefix = str(options.get("db") or 0), _prefix(settings)
    found = dict[str, int]()
    for one in connections:
        if one.get("db") == database and one["name"].startswith(prefix):
            host, process = map(unquote, one["name"].removeprefix(prefix).rsplit("/", 1))
            worker, idle = f"{host} (process {process})", int(one["idle"])
            found[worker] = min(found.get(worker, idle), idle)
    return dict(sorted(found.items()))


def _prefix(settings: Settings) -> str:
    return f"marginwatch-worker/{quote(settings.namespace, safe='')}/"
