"""The checks before every page, asset and websocket (host, origin, session), and the login.

Without a session the console serves only ``/login`` and ``/healthz``. Bodies are limited in size and time.
"""

from __future__ import annotations

import asyncio
from html import escape
from typing import Any
from urllib.parse import quote, urlsplit

from fastapi import FastAPI
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from alerts.subject_names import Language
from console import labels
from console.access import Access, Identity
from console.errors import AccessError

_OPEN = ("/login", "/healthz")
_SAFE = ("GET", "HEAD", "OPTIONS")
#: A refused websocket (RFC 6455: policy violation).
_REFUSED = 1008
#: NiceGUI's pages start by an inline script, and Vue compiles their templates in the browser.
_POLICY = (
    b"default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; font-src 'self' data:; connect-src 'self' ws: wss:; object-src 'none'; base-uri 'self'; "
    b"form-action 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    b"content-security-policy": _POLICY,
    b"x-frame-options": b"DENY",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
}
_TRANSPORT = {b"strict-transport-security": b"max-age=31536000"}
#: Longest body of a request without and with a session (bytes), and the time in which a body must arrive (seconds).
_LOGIN_BYTES, _BODY_BYTES, _BODY_S = 8 * 1024, 1024 * 1024, 10.0
_FORM_TYPE = "application/x-www-form-urlencoded"


class Gate:
    """ASGI middleware that refuses requests; it runs inside the session middleware, before everything else."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        send = self._with_headers(send)
        host, origin = headers.get("host", ""), headers.get("origin")
        if not self._access.host_allowed(host):
            await _refuse(scope, receive, send, f"this console is not called {host}", 400)
            return
        changes = scope["type"] == "websocket" or scope["method"] not in _SAFE or "_nicegui_ws" in scope["path"]
        if changes and origin is not None and not self._access.same_origin(origin, host):
            await _refuse(scope, receive, send, f"requests from {origin} are refused", 403)
            return
        scheme, _, token = headers.get("authorization", "").partition(" ")
        bearer, address = token if scheme.lower() == "bearer" else "", _address(scope, headers, self._access)
        if bearer and self._access.attempts.blocked(address):
            await _refuse(scope, receive, send, "too many failures: wait five minutes", 429)
            return
        try:
            identity = await self._access.identity(scope.get("session", {}), bearer, address)
        except AccessError as error:
            await _refuse(scope, receive, send, str(error), 503)
            return
        if identity is None and scope["path"] not in _OPEN:
            if scope["type"] == "http" and scope["method"] in _SAFE and "_nicegui" not in scope["path"]:
                await RedirectResponse(f"/login?next={_target(scope)}", 303)(scope, receive, send)
            else:
                await _refuse(scope, receive, send, "log in first", 401)
            return
        scope["marginwatch.identity"] = identity or Identity()
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":  # routes know GET alone; the server leaves out the body of the answer
            scope = {**scope, "method": "GET"}
        try:
            body = await _body(receive, headers, _BODY_BYTES if identity is not None else _LOGIN_BYTES)
        except _RefusedBodyError as error:
            await _refuse(scope, receive, send, str(error), error.status)
            return
        await self._app(scope, _replay(body, receive), send)

    def _with_headers(self, send: Send) -> Send:
        added = _HEADERS | (_TRANSPORT if self._access.public_url.startswith("https:") else {})

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), *added.items()]
            await send(message)

        return guarded


class _RefusedBodyError(Exception):
    """A body that is too long, too slow or cut off, with the HTTP status that says so."""

    def __init__(self, why: str, status: int) -> None:
        super().__init__(why)
        self.status = status


async def _body(receive: Receive, headers: Headers, most: int) -> bytes:
    """Read the body of a request; raises `_RefusedBodyError` for half a body and beyond the limits.

    Nothing is stored on disk.
    """
    too_long = _RefusedBodyError(f"the body is longer than {most} bytes", 413)
    length = headers.get("content-length", "")
    if len(length) > 12 or (length.isdigit() and int(length) > most):
        raise too_long
    body = b""
    try:
        async with asyncio.timeout(_BODY_S):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise _RefusedBodyError("the body was cut off", 400)
                body += bytes(message.get("body", b""))
                if len(body) > most:
                    raise too_long
                if not message.get("more_body", False):
                    return body
    except TimeoutError:
        raise _RefusedBodyError(f"the body did not arrive within {_BODY_S:.0f} s", 408) from None


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the body first."""
    given = False

    async def replayed() -> Any:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


async def _refuse(scope: Scope, receive: Receive, send: Send, why: str, status: int) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": _REFUSED, "reason": why[:120]})
    else:
        await PlainTextResponse(why, status)(scope, receive, send)


def _address(scope: Scope, headers: Headers, access: Access) -> str:
    peer, _ = scope.get("client") or ("", 0)
    return access.address(peer, headers.get("x-forwarded-for", ""))


def add_routes(app: FastAPI, access: Access) -> None:
    """Add the routes of login, logout and ``/healthz``."""

    @app.get("/healthz", include_in_schema=False)
    def healthz() -> Response:
        return PlainTextResponse("ok")

    @app.get("/login", include_in_schema=False)
    def login(request: Request) -> Response:
        return HTMLResponse(_form(request, ""))

    @app.post("/login", include_in_schema=False)
    async def enter(request: Request) -> Response:
        address = _address(request.scope, request.headers, access)
        if access.attempts.blocked(address):
            return HTMLResponse(_form(request, "blocked"), 429)
        if not request.headers.get("content-type", "").startswith(_FORM_TYPE):
            return PlainTextResponse(f"a login is sent as {_FORM_TYPE}", 415)
        form = await request.form()
        name, password = str(form.get("name", "")).strip(), str(form.get("password", ""))
        cookie = await access.login(name, password, address)
        if cookie is None:
            return HTMLResponse(_form(request, "wrong"), 401)
        request.session.update(cookie)
        return RedirectResponse(_local(request.query_params.get("next", "/")), 303)

    @app.post("/logout", include_in_schema=False)
    async def leave(request: Request) -> Response:
        await access.logout(request.session)
        return RedirectResponse("/login", 303)


def _target(scope: Scope) -> str:
    """Return path and query of a request as the value of a parameter."""
    query = scope["query_string"].decode("latin-1")
    return quote(quote(scope["path"]) + (f"?{query}" if query else ""), safe="/")


def _local(path: str) -> str:
    """Return an address of this console, with its query; "/" for any other address."""
    found = urlsplit(path)
    plain = not found.scheme and not found.netloc and path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if plain else "/"


def _form(request: Request, problem: str) -> str:
    chinese = request.headers.get("accept-language", "zh").lower().startswith("zh")
    language: Language = "zh" if chinese else "en"

    def label(key: str) -> str:
        return escape(labels.pick(labels.LABELS[key], language))

    message = f'<p role="alert">✕ {label(problem)}</p>' if problem else ""
    following = quote(_local(request.query_params.get("next", "/")), safe="/")
    return f"""<!doctype html><html lang="{"zh-CN" if chinese else "en"}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width,initial-scale=1"><title>{label("login")} · marginwatch</title><style>
:root{{color-scheme:light dark}}
body{{font:15px/1.5 system-ui,"Noto Sans CJK SC",sans-serif;display:grid;place-items:center;min-height:95vh;margin:0;
background:light-dark(#eef1f5,#10151c);color:light-dark(#1b2430,#e6ebf2)}}
form{{background:light-dark(#fff,#1a212b);border:1px solid light-dark(#d9dee5,#323c49);border-radius:10px;padding:24px;
width:min(340px,88vw);display:flex;flex-direction:column;gap:12px;box-sizing:border-box}}
h1{{font-size:20px;margin:0}}label{{display:flex;flex-direction:column;gap:2px}}
input,button{{font:inherit;padding:9px 10px;border-radius:6px;border:1px solid #8795a5}}
button{{background:#1f5fa8;color:#fff;border:0;font-weight:600;cursor:pointer}}p{{color:light-dark(#b3261e,#ff8a75);margin:0}}
</style></head><body>
<form method="post" action="/login?next={following}"><h1>◢ {label("title")} · marginwatch</h1>{message}
<label>{label("name")}<input name="name" autocomplete="username" required autofocus></label>
<label>{label("password")}<input name="password" type="password" autocomplete="current-password" required></label>
<button type="submit">{label("login")}</button></form></body></html>"""
