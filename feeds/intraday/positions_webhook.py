"""The desk's margin positions by webhook: ``POST /v1/margin.intraday``, one row or an array, all or nothing.

A request is signed like our own webhooks (`alerts.delivery.signing`). The answer 200 means that the broker has
acknowledged the rows. Sending a request again changes nothing: rows are cumulative, and for a day an
``Idempotency-Key`` returns the answer to its first request.

====  =======================================================================================================
200   published: counts of rows published, unchanged, late
400   the body is no JSON, or the ``Idempotency-Key`` is too long
401   the signature is missing, wrong or too old
408   the body did not arrive in time
409   the ``Idempotency-Key`` belongs to another body
413   the body is too large
422   a row is wrong: the answer names the row and the field
429   too many rows a second: ``Retry-After`` is the time to wait
503   Kafka or Redis does not answer: send the same request again after ``Retry-After``
====  =======================================================================================================
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import math
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog
from aiohttp import web
from redis import Redis
from redis.exceptions import RedisError

from alerts.delivery.signing import HEADER, SignatureError, verify
from feeds.errors import ConfigurationError, RowsRefusedError, UnavailableError
from feeds.http_listener import HttpListener
from feeds.intraday.intraday_outlet import IntradayOutlet
from feeds.intraday.margin_positions import TOPIC, PositionRow, acceptance, batch_of_rows, log_result
from feeds.intraday.rate_limit import TokenBucket
from feeds.plan import PositionsWebhook
from feeds.tasks import FeedTask

log = structlog.get_logger()
#: How long the broker may take to acknowledge before a request is answered with 503.
ACKNOWLEDGE_S = 10.0
PATH = f"/v1/{TOPIC}"
_LEAST_KEY_BYTES, _LONGEST_IDEMPOTENCY_KEY = 16, 256
_REMEMBERED_S = 24 * 3600
_RETRY_AFTER_S, _READ_S = 10.0, 30.0
_REPORTED_ROWS = 20
_PLACE = re.compile(r"at `\$(?:\[(?P<row>\d+)\])?(?:\.(?P<field>\w+))?`$")
_NAMED = re.compile(r"field `(?P<field>\w+)`")


class _RefusedRequest(Exception):  # noqa: N818 - an answer to the client, not an error of the server
    """An answer other than 200."""

    def __init__(self, status: int, error: str, *, retry_after_s: float | None = None, **more: Any) -> None:
        super().__init__(error)
        self.status = status
        self.body = {"error": error} | more
        self.headers = {} if retry_after_s is None else {"Retry-After": str(max(1, math.ceil(retry_after_s)))}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The key of the signatures; it is never printed."""

    secret: bytes = field(repr=False)


def signing_key(feed: PositionsWebhook, positions_secret: str | None) -> SigningKey:
    """Return the key of the signatures: of the feed's file, else the configured one.

    Raises
    ------
    ConfigurationError : if there is no key, or it is too short.
    """
    if feed.secret_file is not None:
        try:
            text = feed.secret_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(
                f"{feed.secret_file}: the key of the signatures can't be read ({error}): check the file"
            ) from error
    elif positions_secret is not None:
        text = positions_secret
    else:
        raise ConfigurationError(
            "margin positions by webhook need the key of their signatures: set secret_file in the plan, or "
            "MARGINWATCH_POSITIONS_SECRET; `openssl rand -hex 32` makes a key"
        )
    if len(text.encode()) < _LEAST_KEY_BYTES:
        raise ConfigurationError(
            f"the key of the signatures is shorter than {_LEAST_KEY_BYTES} bytes: `openssl rand -hex 32` makes a key"
        )
    return SigningKey(text.encode())


def read_rows(body: bytes) -> list[PositionRow]:
    """Return the rows of a request; raises `_RefusedRequest` with the row and the field that is wrong."""
    try:
        if body.lstrip()[:1] == b"[":
            rows = msgspec.json.decode(body, type=list[PositionRow])
        else:
            rows = [msgspec.json.decode(body, type=PositionRow)]
    except msgspec.ValidationError as error:
        text = str(error)
        place, named = _PLACE.search(text), _NAMED.search(text)
        row = int(place["row"] or 0) if place else 0
        name = (place["field"] if place else None) or (named["field"] if named else None)
        raise _RefusedRequest(422, text, rows=[{"row": row, "field": name, "error": text}]) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _RefusedRequest(400, f"the body is no JSON: {error}") from error
    if not rows:
        raise _RefusedRequest(422, "the body has no row")
    return rows


class WebhookTask(FeedTask):
    """An HTTP server in the thread of its feed; `tick` returns when `end` is called."""

    serves = True

    def __init__(
        self,
        name: str,
        feed: PositionsWebhook,
        outlet: IntradayOutlet,
        redis: Redis,
        namespace: str,
        key: SigningKey,
        clock: Callable[[], float],
    ) -> None:
        self.name = name
        self.failures = 0
        self.port = 0  # set when the server listens
        self._feed = feed
        self._outlet = outlet
        self._redis = redis
        self._answers = f"{namespace}:feeds:{name}:answers:"
        self._clock = clock
        self._key = key
        self._bucket = TokenBucket(feed.max_rows_per_s, feed.max_rows_per_s, time.monotonic)
        self._stop: Callable[[], object] | None = None
        self._ended = False

    def tick(self, now: float) -> float:
        """Serve until `end`."""
        try:
            asyncio.run(self._serve())
        finally:
            self._stop = None
        return now

    def end(self) -> None:
        """Stop the server after its current requests."""
        self._ended = True
        if self._stop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                self._stop()

    def close(self) -> None:
        """Close the connection to Kafka."""
        self._outlet.close()

    async def _serve(self) -> None:
        over, loop, self._turn = asyncio.Event(), asyncio.get_running_loop(), asyncio.Lock()
        self._stop = lambda: loop.call_soon_threadsafe(over.set)
        app = web.Application(client_max_size=self._feed.max_bytes)
        app.router.add_post(PATH, self._post)
        app.router.add_get("/healthz", _health)
        host, _, port = self._feed.listen.rpartition(":")
        listener = HttpListener(app, host.strip("[]"), int(port), end_s=ACKNOWLEDGE_S)
        try:
            await listener.start()
            self.port = listener.port
            log.info("the webhook listens", feed=self.name, host=host, port=self.port, path=PATH)
            if not self._ended:
                await over.wait()
        finally:
            await listener.stop()

    async def _post(self, request: web.Request) -> web.Response:
        try:
            return web.json_response(await self._answer(await self._body(request), request.headers))
        except _RefusedRequest as refused:
            log.warning("request refused", feed=self.name, status=refused.status, error=str(refused))
            return web.json_response(refused.body, status=refused.status, headers=refused.headers)

    async def _body(self, request: web.Request) -> bytes:
        try:
            return await asyncio.wait_for(request.read(), _READ_S)
        except TimeoutError:
            raise _RefusedRequest(408, f"the body did not arrive within {_READ_S:.0f} s") from None
        except web.HTTPRequestEntityTooLarge:
            raise _RefusedRequest(
                413, f"the body has more than {self._feed.max_bytes:,} bytes: send it in parts"
            ) from None
        except web.RequestPayloadError as error:
            raise _RefusedRequest(400, f"the body can't be read: {' '.join(str(error).split())}") from None

    async def _answer(self, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
        try:
            verify(self._key.secret, body, headers.get(HEADER), self._clock(), self._feed.tolerance_s)
        except SignatureError as error:
            raise _RefusedRequest(401, str(error)) from None
        delay = self._bucket.delay()
        if delay > 0:
            raise _RefusedRequest(429, f"more than {self._feed.max_rows_per_s:g} rows a second", retry_after_s=delay)
        key = headers.get("Idempotency-Key", "")
        if len(key) > _LONGEST_IDEMPOTENCY_KEY:
            raise _RefusedRequest(400, f"the Idempotency-Key has more than {_LONGEST_IDEMPOTENCY_KEY} characters")
        self._bucket.take(1)
        try:
            rows = read_rows(body)
            self._bucket.take(len(rows) - 1)
            async with self._turn:
                return await asyncio.to_thread(self._publish, rows, key, hashlib.sha256(body).hexdigest())
        except RowsRefusedError as error:
            refused = [
                {"row": one.row, "field": one.field, "error": str(one)} for one in error.refused[:_REPORTED_ROWS]
            ]
            raise _RefusedRequest(422, str(error), rows=refused) from error
        except (UnavailableError, RedisError) as error:
            self.failures += 1
            log.warning("the webhook waits for Kafka and Redis", feed=self.name, error=str(error))
            raise _RefusedRequest(
                503, "Kafka or Redis does not answer: send the request again", retry_after_s=_RETRY_AFTER_S
            ) from error

    def _publish(self, rows: list[PositionRow], key: str, digest: str) -> dict[str, Any]:
        """Publish rows and return the answer, or the stored answer to an earlier request; runs in a thread."""
        stored_at = self._answers + hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest()
        stored: Any = self._redis.get(stored_at) if key else None
        if stored is not None:
            before, answer = msgspec.json.decode(stored, type=tuple[str, dict[str, Any]])
            if before != digest:
                raise _RefusedRequest(409, "this Idempotency-Key belongs to another body: use a new key for new rows")
            return answer
        result = self._outlet.publish(batch_of_rows(rows), acceptance(self._feed), whole=True)
        log_result(self.name, result)
        counts = {"published": result.published, "unchanged": result.unchanged, "late": result.late}
        answer = {"rows": len(rows)} | counts
        if key:
            self._redis.set(stored_at, msgspec.json.encode((digest, answer)), ex=_REMEMBERED_S)
        return answer


async def _health(_request: web.Request) -> web.Response:
    return web.json_response({"status": "alive"})
