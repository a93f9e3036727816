"""Scripts for Redis that are asked for in one turn of the event loop travel as one request.

A worker folds a poll of each of its partitions, then stores all of them: one request and one answer cost about as much
as those of a single partition. Each script is atomic for itself, as if it had been sent alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import NoScriptError


class ScriptQueue:
    """Collects scripts until the event loop turns, and runs them in their order.

    Parameters
    ----------
    redis : a client that returns bytes.
    """

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._waiting: list[tuple[AsyncScript, Sequence[str], Sequence[Any], asyncio.Future[Any]]] = []
        self._requests: set[asyncio.Task[None]] = set()

    async def run(self, script: AsyncScript, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Return the answer of a script; raises what Redis answers, or why it does not."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((script, keys, args, answer))
        if len(self._waiting) == 1:
            loop.call_soon(self._send)
        try:
            return await answer
        except NoScriptError:  # Redis has not seen it since its start
            return await script(keys=keys, args=args)

    def _send(self) -> None:
        together, self._waiting = self._waiting, []
        request = asyncio.ensure_future(self._request(together))
        self._requests.add(request)
        request.add_done_callback(self._requests.discard)

    async def _request(
        self, together: Sequence[tuple[AsyncScript, Sequence[str], Sequence[Any], asyncio.Future[Any]]]
    ) -> None:
        try:
            pipe = self._redis.pipeline(transaction=False)
            for script, keys, args, _ in together:
                pipe.evalsha(script.sha, len(keys), *keys, *args)
            answers = await pipe.execute(raise_on_error=False)
        except BaseException as error:  # noqa: BLE001 - whoever waits for an answer gets it
            answers = [error] * len(together)
        for (*_, future), answer in zip(together, answers, strict=True):
            if future.done():  # its step was given up meanwhile
                continue
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)
