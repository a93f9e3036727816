"""Requests of public pages: one at a time, at a polite pace, only for what has changed, again while the network fails.

A site that sends a redirection or a web page in place of figures has moved, or wants a person to log in or to solve a
captcha: neither is followed, the answer is refused. A page with an ETag or a date of change is asked for with
``If-None-Match`` and ``If-Modified-Since``; what is answered with 304 was read before. A site that wants to be left
alone (``Retry-After``) is not asked until then: a request waits for a minute at most, later ones are refused.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from feeds.errors import ConfigurationError, InputError
from feeds.web.attempts import BrokenAnswerError, Sleep, rest, until_answered
from feeds.web.http_answers import answer_to, content_of
from feeds.web.json_answers import decode

if TYPE_CHECKING:
    from feeds.ports import PageClient, PublicSites

_REMEMBERED = 512
_LONGEST_WAIT_S, _LONGEST_REST_S = 60.0, 86_400.0
_TOO_OFTEN, _UNCHANGED = 429, 304


@dataclass(frozen=True, slots=True)
class _Remembered:
    """What a page contained, and the headers that ask whether it still does."""

    conditions: dict[str, str]
    content: bytes


@dataclass(slots=True)
class PublicPages:
    """Requests the pages of public sites.

    Parameters
    ----------
    clock : seconds.
    """

    sites: PublicSites
    sleep: Sleep = time.sleep
    clock: Callable[[], float] = time.monotonic
    _client: PageClient | None = None
    _last: dict[str, float] = field(default_factory=dict)
    _resting: dict[str, float] = field(default_factory=dict)  # host → until when it is not asked
    _remembered: OrderedDict[str, _Remembered] = field(default_factory=OrderedDict)

    def read(self, where: str, url: str, params: Mapping[str, str], referer: str) -> Any:
        """Return the JSON value, or JSONP, of a page.

        Parameters
        ----------
        where : the name of the page in messages.
        referer : the address of the page that shows these figures to people; some sites want it.

        Raises
        ------
        InputError : if the site refuses, redirects, answers with a web page, gives no readable answer, or wants to be
            left alone for more than a minute.
        StoppedError : if the process ends meanwhile.
        """
        try:
            request = self._open().build_request("GET", url, params=params, headers={"Referer": referer})
        except httpx.InvalidURL:
            raise _no_address(where, url) from None
        if request.url.scheme not in ("http", "https") or not request.url.host:
            raise _no_address(where, url)

        def ask() -> Any:
            host = str(request.url.host)
            self._keep_pace(where, host)
            try:
                return decode(self._content(where, request), where)
            except BrokenAnswerError as error:
                if error.wait_s is not None and error.wait_s > _LONGEST_WAIT_S:
                    self._resting[host] = self.clock() + min(error.wait_s, _LONGEST_REST_S)
                    self._require_rested(where, host)
                raise

        remedy = f"check the network, and whether {_place(request.url)} answers in a browser"
        return until_answered(ask, self.sleep, where, remedy)

    def _open(self) -> PageClient:
        if self._client is None:
            self._client = self.sites.client()
        return self._client

    def _keep_pace(self, where: str, host: str) -> None:
        """Wait until the pause since the last request of a site has passed; errors as of `_require_rested`."""
        self._require_rested(where, host)
        last = self._last.get(host)
        if last is not None and (early := last + self.sites.pause_s - self.clock()) > 0:
            rest(self.sleep, early, where)
        self._last[host] = self.clock()

    def _require_rested(self, where: str, host: str) -> None:
        """Raise `InputError` for a site that wants to be left alone for longer."""
        left = self._resting.get(host, self.clock()) - self.clock()
        if left > 0:
            raise InputError(
                f"{where}: {host} wants no request for another {math.ceil(left / 60):,} min (Retry-After). "
                "Wait longer between two requests (pages_pause_s), or use another source"
            )

    def _content(self, where: str, request: httpx.Request) -> bytes:
        known = self._remembered.get(str(request.url))
        request.headers.update({} if known is None else known.conditions)
        with answer_to(self._open(), request) as answer:
            _require_figures(answer, where)
            if answer.status_code == _UNCHANGED:
                if known is None:
                    raise BrokenAnswerError("304 (unchanged) for a page that was not read before")
                return known.content
            content = content_of(answer, where, clock=self.clock)
        self._remember(request, answer, content)
        return content

    def _remember(self, request: httpx.Request, answer: httpx.Response, content: bytes) -> None:
        pairs = (("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since"))
        conditions = {asked: answer.headers[given] for given, asked in pairs if given in answer.headers}
        self._remembered.pop(str(request.url), None)
        if conditions:
            self._remembered[str(request.url)] = _Remembered(conditions, content)
        while len(self._remembered) > _REMEMBERED:
            self._remembered.popitem(last=False)


def _no_address(where: str, url: str) -> ConfigurationError:
    return ConfigurationError(
        f"{where}: {url!r} is no address that begins with http:// or https://: correct the settings sse_url, szse_url, "
        "bse_url and eastmoney_url"
    )


def _require_figures(answer: httpx.Response, where: str) -> None:
    """Refuse an answer that is no content of this page."""
    status = answer.status_code
    if status == _TOO_OFTEN or status >= 500:
        raise BrokenAnswerError(f"status {status}", _retry_after(answer.headers.get("Retry-After", "")))
    if 300 <= status < 400 and status != _UNCHANGED:
        target = answer.headers.get("Location", "another page")
        raise InputError(
            f"{where}: {_place(answer.url)} redirects (status {status}) to {target[:200]}, which is not followed: open "
            "it in a browser; if the figures have moved, correct the address in the settings, or use another source"
        )
    if status >= 400:
        raise InputError(
            f"{where}: {_place(answer.url)} refuses (status {status}): open it in a browser; it may have moved, or "
            "refuse this computer for a while. Wait longer between two requests (pages_pause_s), or use another source"
        )


def _retry_after(text: str) -> float | None:
    """Return the seconds of a ``Retry-After`` header: a number, or a moment."""
    if text.strip().isdecimal():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def _place(url: httpx.URL) -> str:
    parts = urlsplit(str(url))
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
