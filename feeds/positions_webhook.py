"""The desk's margin book by webhook: ``POST /v1/margin.intraday``, one row or an array of them, all or nothing.

A request is signed as our own webhooks are (`alerts.delivery.signing`); an answer of 200 means that the broker has the
rows. What is sent again changes nothing: rows are cumulative, and an ``Idempotency-Key`` brings the answer of its first
request for a day.

====  =======================================================================================================
200   published: counts of rows published, unchanged, late
400   no JSON, or an ``Idempotency-Key`` that is too long
401   no signature, a wrong one, one that is too old
408   the body did not come in time
409   the ``Idempotency-Key`` stood over another body
413   too large
422   a row is wrong: which one, and which field
429   too fast: ``Retry-After`` says how long to wait
503   Kafka or Redis is away: ``Retry-After``; the same request may be sent again
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
from typing import Any

import msgspec
import structlog
from aiohttp import web
from redis import Redis
from redis.exceptions import RedisError

from alerts.delivery.signing import HEADER, SignatureError, verify
from feeds.folder import FeedError
from feeds.ledger import LedgerError
from feeds.live import LiveOutlet, RowsRefusedError
from feeds.margin_positions import TOPIC, BookRow, batch_of_rows, judging, tell
from feeds.pace import Bucket
from feeds.plan import BookWebhook
from feeds.tasks import FeedTask
from streams.errors import PublishError
from streams.security import Secret
from streams.settings import Settings

log = structlog.get_logger()
#: How long the broker may take before a request is answered with 503.
TIMEOUT_S = 10.0
PATH = f"/v1/{TOPIC}"
_LEAST_KEY_BYTES, _LONGEST_IDEMPOTENCY_KEY = 16, 256
_REMEMBERED_S = 24 * 3600
_AGAIN_S, _READ_S = 10.0, 30.0
_MOST_TOLD = 20
_PLACE = re.compile(r"at `\$(?:\[(?P<row>\d+)\])?(?:\.(?P<field>\w+))?`$")
_NAMED = re.compile(r"field `(?P<field>\w+)`")


class _Refused(Exception):  # noqa: N818 - an answer, not a mistake of ours
    """An answer other than 200."""

    def __init__(self, status: int, error: str, *, retry_after_s: float | None = None, **more: Any) -> None:
        super().__init__(error)
        self.status = status
        self.body = {"error": error} | more
        self.headers = {} if retry_after_s is None else {"Retry-After": str(max(1, math.ceil(retry_after_s)))}


def secret_of(feed: BookWebhook, settings: Settings) -> Secret:
    """Return the key of the signatures; raises `FeedError` if there is none, or it is too short to be one."""
    if feed.secret_file is not None:
        try:
            text = feed.secret_file.read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise FeedError(f"{feed.secret_file}: the key of the signatures can't be read ({error})") from error
    elif settings.book_secret is not None:
        text = settings.book_secret.get_secret_value()
    else:
        raise FeedError(
            "a book by webhook needs the key of its signatures: secret_file in the plan, or MARGINWATCH_BOOK_SECRET; "
            "`openssl rand -hex 32` makes one"
        )
    if len(text.encode()) < _LEAST_KEY_BYTES:
        raise FeedError(
            f"the key of the signatures is shorter than {_LEAST_KEY_BYTES} bytes: `openssl rand -hex 32` makes one"
        )
    return Secret(text)


def read_rows(body: bytes) -> list[BookRow]:
    """Return the rows of a request; raises `_Refused` naming the row and the field that is wrong."""
    try:
        if body.lstrip()[:1] == b"[":
            rows = msgspec.json.decode(body, type=list[BookRow])
        else:
            rows = [msgspec.json.decode(body, type=BookRow)]
    except msgspec.ValidationError as error:
        text = str(error)
        place, named = _PLACE.search(text), _NAMED.search(text)
        row = int(place["row"] or 0) if place else 0
        name = (place["field"] if place else None) or (named["field"] if named else None)
        raise _Refused(422, text, rows=[{"row": row, "field": name, "error": text}]) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise _Refused(400, f"the body is no JSON: {error}") from error
    if not rows:
        raise _Refused(422, "the body holds no row")
    return rows


class WebhookTask(FeedTask):
    """The server, in this feed's thread: `tick` returns when it shall end."""

    serves = True

    def __init__(
        self,
        name: str,
        feed: BookWebhook,
        outlet: LiveOutlet,
        redis: Redis,
        settings: Settings,
        clock: Callable[[], float],
    ) -> None:
        self.name = name
        self.failures = 0
        self.port = 0  # where it listens, once it does
        self._feed = feed
        self._outlet = outlet
        self._redis = redis
        self._keys = f"{settings.namespace}:feeds:{name}:answers:"
        self._clock = clock
        self._secret = secret_of(feed, settings)
        self._bucket = Bucket(feed.max_rows_per_s, feed.max_rows_per_s, time.monotonic)
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
        """Stop the server: what it is doing is finished first."""
        self._ended = True
        if self._stop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has just ended by itself
                self._stop()

    def close(self) -> None:
        """Let go of the connection to Kafka."""
        self._outlet.close()

    async def _serve(self) -> None:
        over, loop, self._turn = asyncio.Event(), asyncio.get_running_loop(), asyncio.Lock()
        self._stop = lambda: loop.call_soon_threadsafe(over.set)
        app = web.Application(client_max_size=self._feed.max_bytes)
        app.router.add_post(PATH, self._post)
        app.router.add_get("/healthz", _health)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=TIMEOUT_S)
        await runner.setup()
        try:
            host, _, port = self._feed.listen.rpartition(":")
            await web.TCPSite(runner, host.strip("[]"), int(port)).start()
            self.port = runner.addresses[0][1]
            log.info("the book's webhook listens", feed=self.name, host=host, port=self.port, path=PATH)
            if not self._ended:
                await over.wait()
        finally:
            await runner.cleanup()

    async def _post(self, request: web.Request) -> web.Response:
        try:
            return web.json_response(await self._answer(await self._body(request), request.headers))
        except _Refused as refused:
            log.warning("request refused", feed=self.name, status=refused.status, error=str(refused))
            return web.json_response(refused.body, status=refused.status, headers=refused.headers)

    async def _body(self, request: web.Request) -> bytes:
        try:
            return await asyncio.wait_for(request.read(), _READ_S)
        except TimeoutError:
            raise _Refused(408, f"the body did not come within {_READ_S:.0f} s") from None
        except web.HTTPRequestEntityTooLarge:
            raise _Refused(413, f"the body has more than {self._feed.max_bytes:,} bytes: cut it") from None

    async def _answer(self, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
        try:
            verify(self._secret.encode(), body, headers.get(HEADER), self._clock(), self._feed.tolerance_s)
        except SignatureError as error:
            raise _Refused(401, str(error)) from None
        delay = self._bucket.delay()
        if delay > 0:
            raise _Refused(429, f"more than {self._feed.max_rows_per_s:g} rows a second", retry_after_s=delay)
        key = headers.get("Idempotency-Key", "")
        if len(key) > _LONGEST_IDEMPOTENCY_KEY:
            raise _Refused(400, f"the Idempotency-Key has more than {_LONGEST_IDEMPOTENCY_KEY} characters")
        self._bucket.take(1)
        try:
            rows = read_rows(body)
            self._bucket.take(len(rows) - 1)
            async with self._turn:
                return await asyncio.to_thread(self._publish, rows, key, hashlib.sha256(body).hexdigest())
        except RowsRefusedError as error:
            told = [{"row": one.row, "field": one.field, "error": str(one)} for one in error.refused[:_MOST_TOLD]]
            raise _Refused(422, str(error), rows=told) from error
        except (PublishError, LedgerError, RedisError) as error:
            self.failures += 1
            log.warning("the book waits for Kafka and Redis", feed=self.name, error=str(error))
            raise _Refused(503, "Kafka or Redis is away: send it again", retry_after_s=_AGAIN_S) from error

    def _publish(self, rows: list[BookRow], key: str, digest: str) -> dict[str, Any]:
        """Publish rows, unless this request was answered before; runs in a thread."""
        place = self._keys + hashlib.sha256(key.encode()).hexdigest()
        kept: Any = self._redis.get(place) if key else None
        if kept is not None:
            before, answer = msgspec.json.decode(kept, type=tuple[str, dict[str, Any]])
            if before != digest:
                raise _Refused(409, "this Idempotency-Key stood over another body: take a new one for new rows")
            return answer
        told = self._outlet.publish(batch_of_rows(rows), judging(self._feed), whole=True)
        tell(self.name, told)
        answer = {"rows": len(rows), "published": told.published, "unchanged": told.unchanged, "late": told.late}
        if key:
            self._redis.set(place, msgspec.json.encode((digest, answer)), ex=_REMEMBERED_S)
        return answer


async def _health(_request: web.Request) -> web.Response:
    return web.json_response({"status": "alive"})
