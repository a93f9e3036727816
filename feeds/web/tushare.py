"""tushare's HTTP API with a token, day by day; its answers are the tables that `presets` knows from its CSV exports.

A request is one POST of JSON (tushare.pro document 130): ``{"api_name", "token", "params", "fields"}`` is answered by
``{"code", "msg", "data": {"fields", "items", "has_more"}}``. An answer contains at most some thousand rows (4,000 of
margin, 6,000 of margin_detail); ``offset`` requests the rest. Code 40101 is a wrong token. Codes 40203 and 2002 refuse
for several reasons that only the text distinguishes: too many requests in a minute, in an hour or a day, or no
permission at all.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

import httpx
import msgspec
import pandas as pd

from feeds.checks.findings import Finding, Severity
from feeds.errors import ConfigurationError, InputError, NotPublishedError
from feeds.files.dataset import SourceTables
from feeds.mappings.mapped_rows import map_rows
from feeds.mappings.presets import ALL_SHARES, COMPONENT, detect_tables, replace_component_turnover
from feeds.publication_times import available_at, is_early, is_final, require_trading_day
from feeds.web.attempts import BrokenAnswerError, Sleep, rest, until_answered
from feeds.web.http_answers import answer_to, content_of
from processors.codes import SUFFIX_OF
from processors.days import SHANGHAI, TradingCalendar, moment, to_day

if TYPE_CHECKING:
    from feeds.ports import PageClient, TushareAccount

#: Interface → the topic whose publication time it has.
TABLES = {
    "margin": "margin.market",
    "margin_detail": "margin.daily",
    "daily": "prices.daily",
    "fund_daily": "prices.daily",
    "daily_basic": "valuations.daily",
    "index_daily": "indices.daily",
}
_PAGE = 5000
#: The columns that tell the rows of a table apart.
_KEYS = ("ts_code", "exchange_id", "trade_date")
#: Requests a minute of an interface that the smallest paid account allows; a refusal names another number.
_PER_MINUTE = 200
_MINUTE_S, _MINUTES = 60.0, 5
_OK, _WRONG_TOKEN = 200, 40101
_TOO_OFTEN = re.compile(r"每(分钟|小时|天|日)最多访问\D*(\d+)\s*次")


class _Data(msgspec.Struct):
    fields: list[str]
    items: list[list[str | float | None]]
    has_more: bool | None = None


class _Answer(msgspec.Struct):
    code: int
    msg: str | None = None
    data: _Data | None = None


class _RateLimitedError(Exception):
    """The account allows no more requests within this minute."""


@dataclass(slots=True)
class Client:
    """Sends the requests of one account: as fast as the account allows, and again when the network fails.

    Parameters
    ----------
    clock : seconds.
    """

    url: str
    token: str = field(repr=False)
    client: PageClient
    sleep: Sleep = time.sleep
    clock: Callable[[], float] = time.monotonic
    _apart_s: dict[str, float] = field(default_factory=dict)
    _last: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, account: TushareAccount, client: PageClient, sleep: Sleep = time.sleep) -> Client:
        """Return the client of an account."""
        return cls(account.url, account.token, client, sleep)

    def table(self, interface: str, **params: str) -> pd.DataFrame:
        """Return all rows of a request, page by page.

        Raises
        ------
        ConfigurationError : if the token is wrong, or the account has no permission.
        InputError : if the account's quota is used up, there is no readable answer, or a row is on two pages, because
            they shift while they are read, or the server knows no pages.
        StoppedError : if the process ends meanwhile.
        """
        columns: list[str] = []
        rows: list[list[str | float | None]] = []
        known: set[tuple[str | float | None, ...]] = set()
        while True:
            page = self._page(interface, {**params, "limit": _PAGE, "offset": len(rows)})
            places = [place for place, name in enumerate(page.fields) if name in _KEYS]
            keys = [tuple(row[place] for place in places) for row in page.items]
            again = next((key for key in keys if key in known), None)
            if again is not None or (rows and page.items and page.fields != columns):
                what = "a page has other columns" if again is None else f"{' '.join(map(str, again))} is on two pages"
                raise InputError(
                    f"tushare {interface}: {what}, so that rows may be missing: try again later; if this repeats, "
                    f"check that {self.url} (MARGINWATCH_TUSHARE_URL) is tushare's API"
                )
            known.update(keys)
            columns = page.fields
            rows += page.items
            # Without has_more, pages are requested until one is empty.
            if not page.items or page.has_more is False:
                return pd.DataFrame(rows, columns=columns)

    def _page(self, interface: str, params: dict[str, str | int]) -> _Data:
        def ask() -> _Data:
            self._keep_pace(interface)
            return self._answer(interface, self._post(interface, params))

        where, minutes = f"tushare {interface}", 0
        remedy = f"check the network, and that {self.url} (MARGINWATCH_TUSHARE_URL) is tushare's API"
        while True:
            try:
                return until_answered(ask, self.sleep, where, remedy)
            except _RateLimitedError as error:
                minutes += 1
                if minutes > _MINUTES:
                    raise InputError(
                        f"{where}: still too many requests after {_MINUTES} minutes without one ({error}): "
                        "check whether another program uses the same token"
                    ) from error
                rest(self.sleep, _MINUTE_S, where)

    def _keep_pace(self, interface: str) -> None:
        apart = self._apart_s.get(interface, _MINUTE_S / _PER_MINUTE)
        early = self._last.get(interface, self.clock() - apart) + apart - self.clock()
        if early > 0:
            rest(self.sleep, early, f"tushare {interface}")
        self._last[interface] = self.clock()

    def _post(self, interface: str, params: dict[str, str | int]) -> bytes:
        body = {"api_name": interface, "token": self.token, "params": params, "fields": ""}
        try:
            request = self.client.build_request("POST", self.url, json=body)
        except httpx.InvalidURL as error:
            raise ConfigurationError(f"MARGINWATCH_TUSHARE_URL {self.url!r} is no address: {error}") from None
        if request.url.scheme not in ("http", "https") or not request.url.host:
            raise ConfigurationError(
                f"MARGINWATCH_TUSHARE_URL {self.url!r} is no address: it begins with http:// or https://"
            )
        with answer_to(self.client, request) as answer:
            if answer.status_code != _OK:
                raise BrokenAnswerError(f"status {answer.status_code}")
            return content_of(answer, f"tushare {interface}")

    def _answer(self, interface: str, body: bytes) -> _Data:
        try:
            answer = msgspec.json.decode(body, type=_Answer)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BrokenAnswerError(
                f"{len(body)} bytes that are no answer of tushare: {self._redacted(str(error))}"
            ) from None
        if answer.code == 0:
            if answer.data is None:
                raise BrokenAnswerError("an answer without data")
            if any(len(row) != len(answer.data.fields) for row in answer.data.items):
                raise BrokenAnswerError("a row has another number of cells than there are columns")
            return answer.data
        message = self._redacted(answer.msg or "no message")
        often = _TOO_OFTEN.search(message)
        if often and often[1] == "分钟" and int(often[2]):
            self._apart_s[interface] = _MINUTE_S / int(often[2])
            raise _RateLimitedError(message)
        if often:
            raise InputError(
                f"tushare {interface}: the account's quota of this hour or day is used up ({message}): try again later"
            )
        if answer.code == _WRONG_TOKEN or "token" in message.lower():
            raise ConfigurationError(
                f"tushare does not know the token ({message}): check MARGINWATCH_TUSHARE_TOKEN_FILE or "
                "MARGINWATCH_TUSHARE_TOKEN, and your page at tushare.pro"
            )
        if "权限" in message or "积分" in message:
            raise ConfigurationError(
                f"tushare {interface}: the account may not ask for this ({message}): get more points (积分), or leave "
                "the table out"
            )
        raise InputError(f"tushare {interface} refuses with code {answer.code}: {message}; look it up at tushare.pro")

    def _redacted(self, text: str) -> str:
        """Return a text of the server without the token."""
        return text.replace(str(self.token), "**********")[:300]


def fetch(
    day: date,
    client: Client,
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
    exchanges : they publish one by one; a table without rows of one of them is not complete yet.
    indices : the codes that index_daily is asked for; without one of them it is not complete yet either.
    now : seconds since the epoch.

    Raises
    ------
    NotPublishedError : if a table is not complete; a day after it was due it is used nevertheless.
    InputError : for no trading day, and all errors of `Client.table`.
    """
    require_trading_day(day, calendar)
    found = SourceTables()
    for name in tables:
        topic = TABLES[name]
        due = available_at(topic, to_day(day), calendar)
        since = moment(due).astimezone(SHANGHAI)
        incomplete = NotPublishedError(
            f"tushare {name} is not complete for {day} yet: it is published from {since:%Y-%m-%d %H:%M} in Shanghai "
            "on; ask again then"
        )
        if is_early(due, now()):
            raise incomplete
        stamp = f"{day:%Y%m%d}"
        codes = _with_turnover(indices) if name == "index_daily" else []
        requests = [{"ts_code": code} for code in codes] or [{}]
        answers = [client.table(name, trade_date=stamp, **request) for request in requests]
        raw = pd.concat([a for a in answers if len(a)] or answers[:1], ignore_index=True)
        lacking = _lacking(name, raw, codes, exchanges)
        if (lacking or not len(raw)) and not is_final(due, now()):
            raise incomplete
        if not len(raw):
            raise InputError(
                f"tushare {name} has no rows of {day}, which were due more than a day ago: check whether the table "
                "begins later"
            )
        if lost := [one for one in lacking if one != ALL_SHARES]:  # `replace_component_turnover` reports that one
            text = f"tushare {name} has no rows of {', '.join(lost)}, which were due more than a day ago"
            found.findings.append(Finding(Severity.WARNING, "absent", topic, to_day(day), text))
        if set(raw["trade_date"]) != {stamp}:
            raise InputError(
                f"tushare {name} answers with other days than {day}: its rows are not used, try again later"
            )
        origin = f"tushare {name} {day}"
        raw.index += 1  # rows are numbered from 1 in messages
        raw, findings = replace_component_turnover(raw, origin)
        found.findings += findings
        known = detect_tables(raw.columns.tolist(), origin)
        if known is None:
            raise InputError(f"{origin} has other columns than documented: {', '.join(raw.columns)}; try again later")
        for table in known[1]:
            found.add(table.topic, origin, map_rows(table, raw, origin))
    return found


def _with_turnover(indices: Iterable[str]) -> list[str]:
    codes = list(indices)
    return [*codes, ALL_SHARES] if COMPONENT in codes and ALL_SHARES not in codes else codes


def _lacking(name: str, raw: pd.DataFrame, codes: Iterable[str], exchanges: Iterable[str]) -> list[str]:
    """Return the indices that were asked for, or the exchanges, of which a table has no rows."""
    if name == "fund_daily":  # not every exchange has funds
        return []
    if name == "index_daily":
        return sorted(set(codes) - set(raw["ts_code"]))
    if "exchange_id" in raw:
        return sorted(set(exchanges) - set(raw["exchange_id"]))
    suffixes = set(raw["ts_code"].str[-2:])
    return [exchange for exchange in exchanges if SUFFIX_OF[exchange] not in suffixes]
