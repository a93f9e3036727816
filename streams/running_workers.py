"""Which workers of a namespace are connected to Redis: each one names its connections.

The members of the consumer group don't show it: a broker lists a member for a session timeout after its end.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Collection
from urllib.parse import quote, unquote

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from streams.errors import RunningWorkersError
from streams.settings import Settings


def connection_name(settings: Settings) -> str:
    """Return the name of this worker's connections to Redis: its namespace, host and process.

    Examples
    --------
    >>> connection_name(Settings(namespace="mw test")).startswith("marginwatch-worker/mw%20test/")
    True
    """
    # Redis accepts no spaces and nothing but ASCII in the name of a connection.
    return f"{_prefix(settings)}{quote(socket.gethostname(), safe='')}/{os.getpid()}"


async def running_workers(settings: Settings, redis: Redis) -> list[str]:
    """Return host and process of every worker that is connected to the database and namespace of the settings, sorted.

    Raises
    ------
    RunningWorkersError : if Redis refuses to list its connections.
    """
    try:
        connections = await redis.client_list(_type="normal")
    except ResponseError as error:  # an ACL without the command, or a service that has none
        raise RunningWorkersError(
            f"Redis does not list its connections ({error}), so nothing shows whether workers run: give the user "
            "+client|list (ACL SETUSER)"
        ) from error
    database = str(redis.connection_pool.connection_kwargs.get("db") or 0)
    return _named([one["name"] for one in connections if one.get("db") == database], _prefix(settings))


def _named(names: Collection[str], prefix: str) -> list[str]:
    found = {name.removeprefix(prefix) for name in names if name.startswith(prefix)}
    return sorted("{} (process {})".format(*map(unquote, worker.rsplit("/", 1))) for worker in found)


def _prefix(settings: Settings) -> str:
    return f"marginwatch-worker/{quote(settings.namespace, safe='')}/"
