"""Where the figures of a day can be fetched: the exchanges' own pages through akshare, tushare's API with a token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, time
from time import sleep as rest
from typing import Literal

from feeds import tushare
from feeds.akshare_daily import fetch_indices, fetch_prices
from feeds.dataset import SourceTables
from feeds.fetch import GoneError, fetch
from feeds.folder import PUBLISHED, FeedError
from feeds.validate import Finding, Severity
from processors.block import TURNOVER_INDEX
from processors.codes import to_code
from processors.days import TradingCalendar, to_day
from processors.deadlines import Due
from streams.settings import Settings

Via = Literal["akshare", "tushare"]
#: Source → its tables, each with a topic whose hours it keeps.
TABLES: dict[Via, dict[str, str]] = {
    "akshare": {"margin": "margin.daily", "prices": "prices.daily", "indices": "indices.daily"},
    "tushare": tushare.TABLES,
}
_DEFAULT: dict[Via, tuple[str, ...]] = {"akshare": ("margin",), "tushare": ("margin", "margin_detail")}
#: When a day is first asked for: exchanges begin at 08:30, prices are there some time after the close.
_NEXT_SESSION, _SAME_DAY = Due(time(8, 45), next_session=True), Due(time(17, 0))


def chosen(via: Via, tables: Sequence[str]) -> tuple[str, ...]:
    """Return the tables that are meant, the margin figures if none is named; raises `FeedError` for unknown ones."""
    unknown = [name for name in tables if name not in TABLES[via]]
    if unknown:
        raise FeedError(f"{via} has no table {', '.join(unknown)} here: choose from {', '.join(TABLES[via])}")
    return tuple(dict.fromkeys(tables)) or _DEFAULT[via]


def due(via: Via, tables: Sequence[str], at: time | None = None) -> Due:
    """When a day of these tables is asked for, ``at`` instead of the usual time.

    Raises
    ------
    FeedError : for unknown tables, and for some that are published on the day with some of the day after.
    """
    later = {PUBLISHED[TABLES[via][name]].next_session for name in chosen(via, tables)}
    if len(later) > 1:
        raise FeedError(
            "prices and indices are published after the close, margin figures in the next morning: make two feeds of "
            f"{', '.join(tables)}"
        )
    usual = _NEXT_SESSION if later == {True} else _SAME_DAY
    return usual if at is None else Due(at, usual.next_session)


def fetcher(
    settings: Settings,
    via: Via,
    tables: Sequence[str],
    calendar: TradingCalendar,
    sleep: Callable[[float], object] = rest,
) -> Callable[[date], SourceTables]:
    """Return what fetches a day.

    Raises
    ------
    FeedError, SecurityError : for an unknown table, a missing token; the function itself raises what the sources do.
    """
    wanted, indices = chosen(via, tables), indices_of(settings)
    if via == "tushare":
        client = tushare.client(settings, sleep)
        return lambda day: tushare.fetch(day, client, wanted, calendar, settings.exchanges, indices)
    functions: dict[str, Callable[[date], SourceTables]] = {
        "margin": lambda day: fetch(day, calendar, exchanges=settings.exchanges, sleep=sleep),
        "prices": lambda day: fetch_prices(day, calendar, sleep=sleep),
        "indices": lambda day: fetch_indices(day, calendar, indices, sleep=sleep),
    }

    def fetched(day: date) -> SourceTables:
        found = SourceTables()
        for name in wanted:
            try:
                one = functions[name](day)
            except GoneError as error:
                if len(wanted) == 1:
                    raise
                lost = Finding(Severity.WARNING, "gone", TABLES[via][name], to_day(day), str(error))
                one = SourceTables(findings=[lost])
            found.parts += one.parts
            found.findings += one.findings
        return found

    return fetched


def indices_of(settings: Settings) -> tuple[str, ...]:
    """Return the indices that signals of these settings are made of: turnovers of the exchanges, and timing."""
    turnovers = (to_code(TURNOVER_INDEX[exchange]) for exchange in settings.exchanges)
    return tuple(dict.fromkeys((*turnovers, *settings.parameters.timing_indices)))
