"""tushare's HTTP API with a token, day by day; its answers are the tables that `presets` knows from its CSV exports.

One POST of JSON for each question (tushare.pro document 130): ``{"api_name", "token", "params", "fields"}`` is answered
by ``{"code", "msg", "data": {"fields", "items", "has_more"}}``. An answer holds at most some thousand rows (4,000 of
margin, 6,000 of margin_detail); the rest is asked for by ``offset``. Code 40101 is a wrong token; 40203 and 2002 refuse
for several reasons, which only the text tells apart: too often in a minute, in an hour or a day, or never.
"""

from __future__ import annotations

import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date

import msgspec
import pandas as pd

from feeds.dataset import SourceTable, SourceTables
from feeds.fetch import NotPublishedError
from feeds.folder import FeedError, known_at
from feeds.mapping import apply
from feeds.presets import ALL_SHARES, COMPONENT, recognise, whole_turnover
from processors.days import DAY_US, SHANGHAI, TradingCalendar, moment, to_day
from streams.security import Secret, tushare_token
from streams.settings import Settings

#: Interface → the topic whose hours it keeps.
TABLES = {
    "margin": "margin.market",
    "margin_detail": "margin.daily",
    "daily": "prices.daily",
    "fund_daily": "prices.daily",
    "daily_basic": "valuations.daily",
    "index_daily": "indices.daily",
}
_SUFFIXES = {"SSE": "SH", "SZSE": "SZ", "BSE": "BJ"}
_PAGE = 5000
_TIMEOUT_S = 30.0
_ATTEMPTS, _FIRST_WAIT_S, _LONGEST_WAIT_S = 5, 2.0, 60.0
#: What the smallest paid account may ask of an interface in a minute; a refusal tells another number.
_PER_MINUTE = 200
_MINUTE_S, _MINUTES = 60.0, 5
_WRONG_TOKEN = 40101
_TOO_OFTEN = re.compile(r"每(分钟|小时|天|日)最多访问\D*(\d+)\s*次")


class _Data(msgspec.Struct):
    fields: list[str]
    items: list[list[str | float | None]]
    has_more: bool | None = None


class _Answer(msgspec.Struct):
    code: int
    msg: str | None = None
    data: _Data | None = None


class _BrokenError(Exception):
    """An answer that is none, or did not come; the next one may be better."""


class _TooOftenError(Exception):
    """The account may not ask again within this minute."""


@dataclass(slots=True)
class Client:
    """Asks one account's questions: as fast as the account may, again when the network fails.

    Parameters
    ----------
    sleep, clock : of seconds.
    """

    url: str
    token: Secret
    sleep: Callable[[float], object] = time.sleep
    clock: Callable[[], float] = time.monotonic
    _apart_s: dict[str, float] = field(default_factory=dict)
    _last: dict[str, float] = field(default_factory=dict)

    def table(self, interface: str, **params: str) -> pd.DataFrame:
        """Return all rows of a question, page by page.

        Raises
        ------
        FeedError : if the token is wrong, the account may not ask this, its quota is used up, or nothing that can be
            read comes.
        """
        columns: list[str] = []
        rows: list[list[str | float | None]] = []
        while True:
            page = self._page(interface, {**params, "limit": _PAGE, "offset": len(rows)})
            if rows and page.items and (page.fields != columns or page.items == rows[-len(page.items) :]):
                raise FeedError(
                    f"tushare {interface}: page after page is the same, rows would be lost: look at the url"
                )
            columns = page.fields
            rows += page.items
            # An answer that does not say whether there is more is followed until nothing comes.
            if not page.items or page.has_more is False:
                return pd.DataFrame(rows, columns=columns)

    def _page(self, interface: str, params: dict[str, str | int]) -> _Data:
        wait, failures, minutes = _FIRST_WAIT_S, 0, 0
        while True:
            self._keep_pace(interface)
            try:
                return self._answer(interface, self._post(interface, params))
            except _BrokenError as error:
                failures += 1
                if failures == _ATTEMPTS:
                    raise FeedError(
                        f"tushare {interface}: no answer in {_ATTEMPTS} attempts ({error}): is the network there, and "
                        f"is {self.url} (MARGINWATCH_TUSHARE_URL) tushare's API?"
                    ) from error
                self.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT_S)
            except _TooOftenError as error:
                minutes += 1
                if minutes > _MINUTES:
                    raise FeedError(
                        f"tushare {interface}: still too often after {_MINUTES} minutes of rest ({error}): does "
                        "something else ask with the same token?"
                    ) from error
                self.sleep(_MINUTE_S)

    def _keep_pace(self, interface: str) -> None:
        apart = self._apart_s.get(interface, _MINUTE_S / _PER_MINUTE)
        early = self._last.get(interface, self.clock() - apart) + apart - self.clock()
        if early > 0:
            self.sleep(early)
        self._last[interface] = self.clock()

    def _post(self, interface: str, params: dict[str, str | int]) -> bytes:
        body = {"api_name": interface, "token": self.token, "params": params, "fields": ""}
        try:
            request = urllib.request.Request(
                self.url, json.dumps(body).encode(), {"Content-Type": "application/json", "User-Agent": "marginwatch"}
            )
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
                return bytes(answer.read())
        except (OSError, http.client.HTTPException) as error:
            raise _BrokenError(self._told(str(error) or type(error).__name__)) from None
        except ValueError as error:
            raise FeedError(f"MARGINWATCH_TUSHARE_URL {self.url!r} is no address: {error}") from None

    def _answer(self, interface: str, body: bytes) -> _Data:
        try:
            answer = msgspec.json.decode(body, type=_Answer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise _BrokenError(f"{len(body)} bytes that are no answer of tushare: {self._told(str(error))}") from None
        if answer.code == 0:
            if answer.data is None:
                raise _BrokenError("an answer without data")
            if any(len(row) != len(answer.data.fields) for row in answer.data.items):
                raise _BrokenError("a row has not as many cells as there are columns")
            return answer.data
        said = self._told(answer.msg or "nothing")
        often = _TOO_OFTEN.search(said)
        if often and often[1] == "分钟" and int(often[2]):
            self._apart_s[interface] = _MINUTE_S / int(often[2])
            raise _TooOftenError(said)
        if often:
            raise FeedError(f"tushare {interface}: the account's quota of this hour or day is used up ({said})")
        if answer.code == _WRONG_TOKEN or "token" in said.lower():
            raise FeedError(
                f"tushare does not know the token ({said}): look at MARGINWATCH_TUSHARE_TOKEN_FILE or "
                "MARGINWATCH_TUSHARE_TOKEN, and at your page at tushare.pro"
            )
        if "权限" in said or "积分" in said:
            raise FeedError(
                f"tushare {interface}: the account may not ask for this ({said}): it needs more points (积分), or "
                "leave the table out"
            )
        raise FeedError(f"tushare {interface} refuses with code {answer.code}: {said}")

    def _told(self, text: str) -> str:
        """What others say, without the token."""
        return text.replace(str(self.token), "**********")[:300]


def client(settings: Settings, sleep: Callable[[float], object] = time.sleep) -> Client:
    """Return a client of the settings' account; raises `SecurityError` if they hold no token."""
    return Client(settings.tushare_url, tushare_token(settings), sleep)


def fetch(
    day: date,
    asked: Client,
    tables: Iterable[str],
    calendar: TradingCalendar,
    exchanges: Iterable[str],
    indices: Iterable[str],
    *,
    now: Callable[[], float] = time.time,
) -> SourceTables:
    """Fetch tables of a trade date.

    Parameters
    ----------
    exchanges : a table without any of them is not complete yet: they publish one by one.
    indices : the codes that index_daily is asked for; without any of them it is not complete yet either.
    now : seconds since the epoch.

    Raises
    ------
    NotPublishedError : if a table is not complete; a day after it was due it is taken as it is.
    FeedError : for no trading day, and all that `Client.table` raises.
    """
    if to_day(day) not in calendar:
        raise FeedError(f"{day} is no trading day of XSHG: there are no figures of it")
    found = SourceTables()
    for name in tables:
        topic = TABLES[name]
        due = known_at(topic, to_day(day), calendar)
        since = moment(due).astimezone(SHANGHAI)
        awaited = NotPublishedError(
            f"tushare {name} is not complete for {day} yet: it is published from {since:%Y-%m-%d %H:%M} in Shanghai "
            "on; ask again then"
        )
        if now() * 1e6 < due - DAY_US:
            raise awaited
        stamp = f"{day:%Y%m%d}"
        codes = _with_turnover(indices) if name == "index_daily" else []
        questions = [{"ts_code": code} for code in codes] or [{}]
        answers = [asked.table(name, trade_date=stamp, **question) for question in questions]
        raw = pd.concat([a for a in answers if len(a)] or answers[:1], ignore_index=True)
        if not _complete(name, raw, codes, exchanges) and now() * 1e6 < due + DAY_US:
            raise awaited
        if not len(raw):
            raise FeedError(
                f"tushare {name} has nothing of {day}, though it is long due: does the table go back so far?"
            )
        if set(raw["trade_date"]) != {stamp}:
            raise FeedError(f"tushare {name} answers with other days than {day}: nothing of it is taken")
        origin = f"tushare {name} {day}"
        raw, findings = whole_turnover(raw, origin)
        found.findings += findings
        for table in recognise(raw, origin)[1]:
            frame = apply(table, raw, origin)
            if len(frame):
                found.parts.append(SourceTable(table.topic, origin, frame))
    return found


def _with_turnover(indices: Iterable[str]) -> list[str]:
    codes = list(indices)
    return [*codes, ALL_SHARES] if COMPONENT in codes and ALL_SHARES not in codes else codes


def _complete(name: str, raw: pd.DataFrame, codes: Iterable[str], exchanges: Iterable[str]) -> bool:
    """Whether a table has every index that was asked for, or something of every exchange."""
    if not len(raw) or name == "fund_daily":  # funds are listed where they are
        return bool(len(raw))
    if name == "index_daily":
        return set(codes) <= set(raw["ts_code"])
    if "exchange_id" in raw:
        return set(exchanges) <= set(raw["exchange_id"])
    return {_SUFFIXES[exchange] for exchange in exchanges} <= set(raw["ts_code"].str[-2:])
