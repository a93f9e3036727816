"""What a worker requires of Redis before it starts: one master that deletes nothing, its own namespace and state."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, cast

import structlog
from redis import Redis
from redis.exceptions import AuthenticationError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from streams.clients import redis_client
from streams.errors import PreflightError
from streams.redis_refusals import refusal
from streams.settings import Settings

log = structlog.get_logger()
#: Difference between the clocks of Redis and of this machine from which on it is reported, seconds.
_SKEW_S = 5.0


def check(settings: Settings) -> None:
    """Take possession of the namespace, and log what an operator should know.

    Raises
    ------
    PreflightError : if state would be lost or mixed up, or Redis does not let this user in; the message names the
        remedy. A Redis that does not answer is no error: a worker waits for it.
    """
    with redis_client(settings) as client:
        try:
            info = cast("dict[str, Any]", client.info())
        except AuthenticationError as error:
            raise PreflightError(refusal(error)) from error
        except (RedisConnectionError, RedisTimeoutError, OSError):
            return
        except ResponseError as error:
            log.warning("preflight", notice=f"Redis does not describe itself ({error}): nothing is checked")
            return
        if problem := _problem(info) or _other_owner(settings, client) or _other_partitions(settings, client):
            raise PreflightError(problem)
        for notice in _notices(info, client):
            log.warning("preflight", notice=notice)


def _problem(info: dict[str, Any]) -> str:
    """Return why this Redis can't hold the state; empty if it can."""
    if info.get("cluster_enabled"):
        return (
            "Redis Cluster is not supported, because the newest values are written in one step over many slots: use "
            "one master, with replicas behind one address if it must not fail"
        )
    if info.get("role") == "slave":
        return "this Redis is a replica, which accepts no writes: let MARGINWATCH_REDIS_URL lead to the master"
    limit, policy = int(info.get("maxmemory", 0)), str(info.get("maxmemory_policy", ""))
    if limit and policy.startswith("allkeys"):
        return (
            f"this Redis deletes keys when {limit / 2**20:.0f} MiB are full (maxmemory-policy {policy}): state would "
            "be lost without notice. CONFIG SET maxmemory-policy noeviction"
        )
    return ""


def _other_owner(settings: Settings, client: Redis) -> str:
    """Write whose namespace this is, if it is nobody's; return whose it is if it is another system's."""
    key, ours = f"{settings.namespace}:system", f"group {settings.group}, topics {settings.topic_prefix}*"
    client.set(key, ours, nx=True)
    stored = client.get(key)
    theirs = stored.decode() if isinstance(stored, bytes) else ours
    if theirs == ours:
        return ""
    return (
        f"the namespace {settings.namespace} in Redis belongs to another system ({theirs}; this one is {ours}): "
        f"set MARGINWATCH_NAMESPACE to a name of its own, or delete the key {key} if the other one is gone"
    )


def _other_partitions(settings: Settings, client: Redis) -> str:
    """Write how many partitions the state has, if that is not known; return why another number can't be."""
    key = f"{settings.namespace}:partitions"
    client.set(key, settings.partitions, nx=True)
    stored = client.get(key)
    if not isinstance(stored, bytes) or int(stored) == settings.partitions:
        return ""
    return (
        f"the state in the namespace {settings.namespace} is that of {int(stored)} partitions, and "
        f"{settings.partitions} are configured: partitions that were added to topics have no part of the history of "
        f"their securities. Set MARGINWATCH_PARTITIONS to {int(stored)}; another number needs a new system "
        "(documentation: Operations, Partitions)"
    )


def _notices(info: dict[str, Any], client: Redis) -> Iterator[str]:
    if not info.get("aof_enabled"):
        yield "Redis has no append-only file: after its restart tables are older or empty and are computed again"
    try:
        seconds, microseconds = client.time()
    except ResponseError:
        return
    skew = seconds + microseconds / 1e6 - time.time()
    if abs(skew) > _SKEW_S:
        yield f"the clocks of Redis and of this machine differ by {skew:+.0f} s"
