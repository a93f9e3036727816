"""The sources of daily figures: the exchanges' own pages through akshare, and tushare's API with a token."""

from __future__ import annotations

import time as clock
from collections.abc import Callable, Sequence
from datetime import date, time
from typing import Literal

from feeds import tushare
from feeds.akshare_daily import fetch_indices, fetch_prices
from feeds.akshare_margin import fetch_margin
from feeds.dataset import SourceTables
from feeds.errors import ConfigurationError, GoneError
from feeds.ports import MarketContext, TushareAccount
from feeds.publication_times import PUBLISHED
from feeds.validate import Finding, Severity
from processors.block import TURNOVER_INDEX
from processors.codes import to_code
from processors.days import to_day
from processors.deadlines import Deadline

Via = Literal["akshare", "tushare"]
#: Source → its tables, each with the topic whose publication time it has.
TABLES: dict[Via, dict[str, str]] = {
    "akshare": {"margin": "margin.daily", "prices": "prices.daily", "indices": "indices.daily"},
    "tushare": tushare.TABLES,
}
_DEFAULT: dict[Via, tuple[str, ...]] = {"akshare": ("margin",), "tushare": ("margin", "margin_detail")}
#: When a day is first asked for: exchanges publish from 08:30 on, prices are complete some time after the close.
_NEXT_SESSION, _SAME_DAY = Deadline(time(8, 45), next_session=True), Deadline(time(17, 0))


def select_tables(via: Via, tables: Sequence[str]) -> tuple[str, ...]:
    """Return the tables by their names, the margin figures for none; raises `ConfigurationError` for unknown ones."""
    unknown = [name for name in tables if name not in TABLES[via]]
    if unknown:
        raise ConfigurationError(f"{via} has no table {', '.join(unknown)} here: choose from {', '.join(TABLES[via])}")
    return tuple(dict.fromkeys(tables)) or _DEFAULT[via]


def due_time(via: Via, tables: Sequence[str], at: time | None = None) -> Deadline:
    """Return when a day of these tables is first asked for, at the time ``at`` instead of the default.

    Raises
    ------
    ConfigurationError : for unknown tables, and if some are published on the day itself and others on the next one.
    """
    next_session = {PUBLISHED[TABLES[via][name]].next_session for name in select_tables(via, tables)}
    if len(next_session) > 1:
        raise ConfigurationError(
            "prices and indices are published after the close, margin figures in the next morning: make two feeds of "
            f"{', '.join(tables)}"
        )
    default = _NEXT_SESSION if next_session == {True} else _SAME_DAY
    return default if at is None else Deadline(at, default.next_session)


def day_fetcher(
    via: Via,
    tables: Sequence[str],
    market: MarketContext,
    account: Callable[[], TushareAccount],
    sleep: Callable[[float], object] = clock.sleep,
) -> Callable[[date], SourceTables]:
    """Return a function that fetches the tables of a day.

    Parameters
    ----------
    account : returns the account at tushare; called for that source only.

    Raises
    ------
    ConfigurationError : for an unknown table. ``account`` may raise for a missing token; the returned function raises
        the errors of the source.
    """
    wanted, indices = select_tables(via, tables), signal_indices(market)
    if via == "tushare":
        client = tushare.Client.of(account(), sleep)
        return lambda day: tushare.fetch(day, client, wanted, market.calendar, market.exchanges, indices)
    functions: dict[str, Callable[[date], SourceTables]] = {
        "margin": lambda day: fetch_margin(day, market.calendar, exchanges=market.exchanges, sleep=sleep),
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
                lost = Finding(Severity.WARNING, "gone", TABLES[via][name], to_day(day), str(error))
                found.findings.append(lost)
        return found

    return fetch


def signal_indices(market: MarketContext) -> tuple[str, ...]:
    """Return the indices that the signals need: the turnover of each exchange, and the timing indices."""
    turnovers = (to_code(TURNOVER_INDEX[exchange]) for exchange in market.exchanges)
    return tuple(dict.fromkeys((*turnovers, *market.parameters.timing_indices)))
