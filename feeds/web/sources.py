"""The sources of daily figures: the public pages of the exchanges and Eastmoney, akshare, and tushare with a token."""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Iterator, Sequence
from datetime import date, time
from functools import partial
from typing import Literal, TypeVar

from feeds.checks.findings import Finding, Severity
from feeds.errors import ConfigurationError, GoneError
from feeds.files.dataset import SourceTables
from feeds.ports import MarketContext, PublicSites, TushareAccount
from feeds.publication_times import PUBLISHED, available_at, require_trading_day
from feeds.web import tushare
from feeds.web.agreement import DaySource, fetch_agreed
from feeds.web.akshare_daily import fetch_indices, fetch_prices
from feeds.web.akshare_margin import fetch_margin
from feeds.web.attempts import Sleep
from feeds.web.eastmoney import fetch_eastmoney, fetch_market
from feeds.web.exchange_pages import EXCHANGE_PAGES
from feeds.web.json_tables import PagesOfDay
from feeds.web.public_pages import PublicPages
from processors.block import TURNOVER_INDEX
from processors.codes import to_code
from processors.days import to_day
from processors.deadlines import Deadline
from processors.needs import DETAIL, TOTALS
from processors.registry import indices_needed

Via = Literal["akshare", "tushare", "exchanges", "eastmoney"]
#: Source → its tables, each with the topic whose publication time it has.
TABLES: dict[Via, dict[str, str]] = {
    "akshare": {"margin": "margin.daily", "prices": "prices.daily", "indices": "indices.daily"},
    "tushare": tushare.TABLES,
    "exchanges": {"margin": "margin.daily"},
    "eastmoney": {"margin_detail": "margin.daily"},
}
_DEFAULT: dict[Via, tuple[str, ...]] = {
    "akshare": ("margin",),
    "tushare": ("margin", "margin_detail"),
    "exchanges": ("margin",),
    "eastmoney": ("margin_detail",),
}
_FoundT = TypeVar("_FoundT")
#: The figures of a bar. These sources have no table with the valuations of indices.
_OF_BARS = ("open", "high", "low", "close")
#: When a day is first asked for: exchanges publish from 08:30 on, prices are complete some time after the close.
_NEXT_SESSION, _SAME_DAY = Deadline(time(8, 45), next_session=True), Deadline(time(17, 0))


def names_of(via: Via | Sequence[Via]) -> tuple[Via, ...]:
    """Return the sources of a plan or an option, each once; raises `ConfigurationError` for none."""
    names: tuple[Via, ...] = (via,) if isinstance(via, str) else tuple(dict.fromkeys(via))
    if not names:
        raise ConfigurationError(f"via names no source: choose from {', '.join(TABLES)}")
    return names


def select_tables(via: Via | Sequence[Via], tables: Sequence[str]) -> tuple[str, ...]:
    """Return the tables by their names, the margin figures for none, the only ones of several sources.

    Raises
    ------
    ConfigurationError : for unknown tables, and tables of several sources.
    """
    names = names_of(via)
    if len(names) > 1:
        if tables:
            raise ConfigurationError(
                f"{', '.join(names)} are compared by their margin figures: leave {', '.join(tables)} out, or name one "
                "source"
            )
        return tuple(dict.fromkeys(table for name in names for table in _DEFAULT[name]))
    unknown = [table for table in tables if table not in TABLES[names[0]]]
    if unknown:
        raise ConfigurationError(
            f"{names[0]} has no table {', '.join(unknown)} here: choose from {', '.join(TABLES[names[0]])}"
        )
    return tuple(dict.fromkeys(tables)) or _DEFAULT[names[0]]


def due_time(via: Via | Sequence[Via], tables: Sequence[str], at: time | None = None) -> Deadline:
    """Return when a day of these tables is first asked for, at the time ``at`` instead of the default.

    Raises
    ------
    ConfigurationError : for unknown tables, and if some are published on the day itself and others on the next one.
    """
    topics = {table: topic for name in names_of(via) for table, topic in TABLES[name].items()}
    next_session = {PUBLISHED[topics[name]].next_session for name in select_tables(via, tables)}
    if len(next_session) > 1:
        raise ConfigurationError(
            "prices and indices are published after the close, margin figures in the next morning: make two feeds of "
            f"{', '.join(tables)}"
        )
    default = _NEXT_SESSION if next_session == {True} else _SAME_DAY
    return default if at is None else Deadline(at, default.next_session)


def day_fetcher(
    via: Via | Sequence[Via],
    tables: Sequence[str],
    market: MarketContext,
    account: Callable[[], TushareAccount],
    sites: PublicSites,
    sleep: Sleep = clock.sleep,
) -> Callable[[date], SourceTables]:
    """Return a function that fetches the tables of a day, from one source or from several that must agree.

    Parameters
    ----------
    account : returns the account at tushare; called for that source only.

    Raises
    ------
    ConfigurationError : for an unknown table. ``account`` may raise for a missing token; the returned function raises
        the errors of the source.
    """
    names, wanted = names_of(via), select_tables(via, tables)
    if names == ("akshare",):
        return _akshare_fetcher(wanted, market, sleep)
    client = tushare.Client.of(account(), sites.client(), sleep) if "tushare" in names else None
    if client is not None and len(names) == 1:
        indices = signal_indices(market)
        return lambda day: tushare.fetch(day, client, wanted, market.calendar, market.on_day(day).exchanges, indices)
    pages = PublicPages(sites, sleep)

    def fetch(day: date) -> SourceTables:
        require_trading_day(day, market.calendar)
        here = market.on_day(day)
        return fetch_agreed(day, [one for name in names for one in _day_sources(name, here, pages, client, sleep)])

    return fetch


def _akshare_fetcher(wanted: Sequence[str], market: MarketContext, sleep: Sleep) -> Callable[[date], SourceTables]:
    indices = signal_indices(market)
    functions: dict[str, Callable[[date], SourceTables]] = {
        "margin": lambda day: fetch_margin(day, market.calendar, exchanges=market.on_day(day).exchanges, sleep=sleep),
        "prices": lambda day: fetch_prices(day, market.calendar, sleep=sleep),
        "indices": lambda day: fetch_indices(day, market.calendar, indices, sleep=sleep),
    }

    def fetch(day: date) -> SourceTables:
        found = SourceTables()
        for name in wanted:
            try:
                found.extend(functions[name](day))
            except GoneError as error:
                if len(wanted) == 1:
                    raise
                lost = Finding(Severity.WARNING, "gone", TABLES["akshare"][name], to_day(day), str(error))
                found.findings.append(lost)
        return found

    return fetch


def _day_sources(
    name: Via,
    market: MarketContext,
    pages: PublicPages,
    client: tushare.Client | None,
    sleep: Sleep,
) -> Iterator[DaySource]:
    """Yield the sources of margin figures that a name stands for: each exchange may fail alone."""
    details = frozenset((DETAIL, exchange) for exchange in market.exchanges)
    whole = details | {(TOTALS, exchange) for exchange in market.exchanges}

    def read(fetch: Callable[[PagesOfDay], _FoundT], day: date) -> _FoundT:
        return fetch(PagesOfDay(pages, day, available_at(DETAIL, to_day(day), market.calendar)))

    match name:
        case "exchanges":
            for exchange in market.exchanges:
                publisher, fetch = EXCHANGE_PAGES[exchange]
                parts = frozenset(part for part in whole if part[1] == exchange)
                yield DaySource(publisher, parts, partial(read, fetch))
        case "eastmoney":
            fetch_details = partial(fetch_eastmoney, exchanges=market.exchanges)
            yield DaySource("Eastmoney", details, partial(read, fetch_details), partial(read, fetch_market))
        case "akshare":
            for exchange in market.exchanges:
                one = partial(fetch_margin, calendar=market.calendar, exchanges=(exchange,), sleep=sleep)
                yield DaySource("akshare", frozenset(part for part in whole if part[1] == exchange), one)
        case "tushare":
            tables, calendar, exchanges = _DEFAULT["tushare"], market.calendar, market.exchanges
            assert client is not None
            yield DaySource("tushare", whole, lambda day: tushare.fetch(day, client, tables, calendar, exchanges, ()))


def signal_indices(market: MarketContext) -> tuple[str, ...]:
    """Return the indices whose bars the signals need, those with the turnover of the exchanges among them, sorted."""
    turnovers = (to_code(TURNOVER_INDEX[exchange]) for exchange in market.exchanges)
    return tuple(sorted({*indices_needed(_OF_BARS, market.parameters), *turnovers}))
