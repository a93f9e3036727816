"""The health of a worker, and the HTTP server that reports it: /metrics, /healthz, /readyz."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from aiohttp import web
from mode import Service
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from feeds.http_listener import HttpListener
from streams import metrics

#: How long a client may take to read its answer when the worker ends.
_END_S = 1.0


class Health:
    """Reasons why the worker is not ready; none means ready."""

    def __init__(self) -> None:
        self._problems: dict[str, tuple[str, float]] = {
            "starting": ("not yet joined the consumer group", time.monotonic())
        }

    def raise_(self, name: str, reason: str) -> None:
        """Note a problem (the first time counts as its beginning)."""
        since = self._problems.get(name, ("", time.monotonic()))[1]
        self._problems[name] = (reason, since)
        metrics.READY.set(0)

    def clear(self, name: str) -> bool:
        """Remove a problem; return whether there was one."""
        known = self._problems.pop(name, None) is not None
        metrics.READY.set(not self._problems)
        return known

    @property
    def ready(self) -> bool:
        """Whether there is no problem."""
        return not self._problems

    def problems(self) -> dict[str, dict[str, Any]]:
        """Each problem with its reason and age in seconds."""
        now = time.monotonic()
        return {
            name: {"reason": reason, "seconds": round(now - since, 1)}
            for name, (reason, since) in self._problems.items()
        }


class HttpServer(Service):
    """Serves metrics and health, on loopback by default; port 0 chooses a free one (see ``port``)."""

    def __init__(self, health: Health, host: str, port: int, refresh: Callable[[], None], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._health = health
        self._host = host
        self.port = port
        self._refresh = refresh
        self._listener: HttpListener | None = None

    async def on_start(self) -> None:
        """Listen."""
        app = web.Application()
        app.add_routes(
            [web.get("/metrics", self._metrics), web.get("/healthz", self._alive), web.get("/readyz", self._ready)]
        )
        self._listener = HttpListener(app, self._host, self.port, end_s=_END_S)
        await self._listener.start()
        self.port = self._listener.port
        self.log.info("metrics and health on http://%s:%s", self._host, self.port)

    async def on_stop(self) -> None:
        """Stop listening."""
        if self._listener is not None:
            await self._listener.stop()

    async def _metrics(self, _request: web.Request) -> web.Response:
        self._refresh()
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _alive(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def _ready(self, _request: web.Request) -> web.Response:
        problems = self._health.problems()
        return web.json_response(
            {"status": "not ready" if problems else "ready", "problems": problems}, status=503 if problems else 200
        )
