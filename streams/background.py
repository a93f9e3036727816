"""Work beside a stream that goes on until it is cancelled: whatever fails is reported, and begins again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiokafka.errors import KafkaError
from redis.exceptions import RedisError

from streams.errors import TopicError

log = structlog.get_logger()
RETRY_S = 2.0


async def keep_running(
    what: str, work: Callable[[], Awaitable[None]], sleep: Callable[[float], Awaitable[Any]] = asyncio.sleep
) -> None:
    """Run some work until it returns or is cancelled; begin again 2 s after every failure.

    Parameters
    ----------
    what : names the work in the log. A Kafka or Redis that is away, or lacks a topic, is a warning; any other error is
        a fault of the program, and is logged with its traceback.
    """
    while True:
        try:
            await work()
        except (KafkaError, RedisError, OSError, TopicError) as error:
            log.warning(f"{what} waits", error=f"{type(error).__name__}: {error}")
        except Exception:
            log.exception(f"{what} has failed and begins again")
        else:
            return
        await sleep(RETRY_S)
