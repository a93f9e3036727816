"""The console as a NiceGUI application: its pages and its server.

NiceGUI serves its own scripts, styles, fonts and ECharts; a page loads nothing from the internet.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from fastapi.exception_handlers import http_exception_handler
from nicegui import Client, app, ui
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from console import cards, home, industry, record, search, security, sheet, studies, subject, themes
from console.access import SESSION_S
from console.gate import Gate, add_routes
from console.http_protocol import MAX_CONNECTIONS, HttpProtocol
from console.past import EarlierModels
from console.site import SCHEME, Page, Site, content, frame, view_of

#: A text in place of a day is shown up to here.
_LONGEST_DAY = 20


def run(
    site: Site,
    *,
    host: str,
    port: int,
    secret: str,
    start: Callable[[], Awaitable[None]],
    stop: Callable[[], Awaitable[None]],
) -> None:
    """Serve until the process is stopped.

    Parameters
    ----------
    secret : signs the session cookies; it must stay the same after a restart to keep sessions valid.
    start, stop : called in the server's event loop; they start and stop filling the model.
    """
    add_routes(app, site.access)
    app.add_middleware(Gate, access=site.access)
    app.on_startup(start)
    app.on_shutdown(stop)
    _pages(site)
    ui.run(
        host=host,
        port=port,
        title="marginwatch",
        favicon="◢",
        language="en-US",
        reload=False,
        show=False,
        show_welcome_message=False,
        tailwind=False,  # its compiler runs in the browser, before the first paint and after every change
        storage_secret=secret,
        session_middleware_kwargs={
            "max_age": SESSION_S,
            "same_site": "lax",
            "https_only": site.access.public_url.startswith("https"),
            "session_cookie": "marginwatch",
        },
        uvicorn_logging_level="warning",
        reconnect_timeout=20.0,
        timeout_graceful_shutdown=2,
        http=HttpProtocol,
        proxy_headers=False,  # `Access.address` decides which of them count
        limit_concurrency=MAX_CONNECTIONS + 1,  # it refuses from this number on
    )


def _no_page(page: Page) -> None:
    address = unquote(ui.context.client.request.url.path)
    with content("sub"):
        subject.unknown(page, f"{page.view.label('no_page')} {address}", forever=True)


def _pages(site: Site) -> None:
    earlier = EarlierModels(site.model)

    async def page_of(request: Request) -> Page:
        """Return the page of the person who asks, with the model of the day that the address names."""
        session: Mapping[str, Any] = dict(request.session)
        identity = request.scope["marginwatch.identity"]
        day = request.query_params.get("asof", "")
        shown = replace(site, model=earlier.model(day))
        no_day = day[:_LONGEST_DAY] if shown.model is site.model else ""
        page = Page(shown, view_of(site.parameters, {}, ""), session, identity, {}, site.model, no_day)
        page.remembered = dict(await site.preferences.load(page.who))
        accepted, scheme = request.headers.get("accept-language", ""), request.cookies.get(SCHEME, "")
        page.view = view_of(site.parameters, page.remembered, accepted, scheme)
        return page

    async def opened(
        request: Request,
        draw: Callable[[Page], None],
        first: Callable[[Page], tuple[str, str]] = lambda _page: ("", ""),
    ) -> None:
        page = await page_of(request)
        client = ui.context.client
        client.page = copy(client.page)  # those who share a page differ in language
        client.page.language = "en-US" if page.view.language == "en" else "zh-CN"
        if page.no_day:
            client.status_code = 400
        frame(page, search.draw, first(page))
        draw(page)
        page.start()

    @app.get("/sheet.pdf", include_in_schema=False)
    async def of_morning(request: Request) -> Response:
        page = await page_of(request)
        if page.no_day:  # a printed sheet would not say so
            raise HTTPException(400, f"{page.no_day!r} is no day that is over, such as ?asof=2021-02-24")
        model, view = page.site.model, replace(page.view, dark=False)  # paper is light
        name = f"marginwatch-{model.as_of or sheet.day(model) or 'empty'}.pdf"
        headers = {"content-disposition": f'inline; filename="{name}"'}
        return Response(sheet.render(model, view), media_type="application/pdf", headers=headers)

    studies.add_routes(app, site)

    @app.exception_handler(404)
    async def no_page(request: Request, error: HTTPException) -> Response:
        if request.scope.get("endpoint") is not None:  # a file that a page asks for
            return await http_exception_handler(request, error)
        with Client(ui.page(""), request=request) as client:
            await opened(request, _no_page)
        return client.build_response(request, 404)

    @ui.page("/studies")
    async def of_studies(request: Request) -> None:
        await opened(request, studies.draw)

    @ui.page("/studies/{name}")
    async def of_study(request: Request, name: str) -> None:
        await opened(request, lambda page: studies.detail(page, name))

    @ui.page("/")
    async def overview(request: Request) -> None:
        await opened(request, home.draw, home.first)

    @ui.page("/security/{code}")
    async def of_security(request: Request, code: str) -> None:
        await opened(request, lambda page: security.draw(page, code))

    @ui.page("/industry/{name}")
    async def of_industry(request: Request, name: str) -> None:
        await opened(request, lambda page: industry.draw(page, name))

    @ui.page("/themes")
    async def of_week(request: Request, industry: str = "", code: str = "") -> None:
        await opened(request, lambda page: themes.draw(page, industry, code))

    @ui.page("/record/{rule}/{subject:path}")
    async def of_rule(request: Request, rule: str, subject: str) -> None:
        await opened(request, lambda page: record.detail(page, rule, subject))

    @ui.page("/alerts/{alert}")
    async def of_alert(request: Request, alert: str) -> None:
        await opened(request, lambda page: cards.detail(page, alert))
