"""The exchanges' margin figures of a day through akshare.

akshare asks the exchanges' own pages; its answers are read by the layouts of `exchange`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from datetime import date
from typing import Any

import pandas as pd

from feeds.files.akshare_tables import TABLES, AkshareTable, with_units
from feeds.files.dataset import SourceTables
from feeds.files.exchange import parse_sheets
from feeds.publication_times import available_at, is_early, require_trading_day
from feeds.web.akshare_client import AkshareCall, call_akshare, load_akshare
from feeds.web.attempts import Sleep
from processors.days import TradingCalendar, to_day


def fetch_margin(
    day: date,
    calendar: TradingCalendar,
    *,
    akshare: Any = None,
    exchanges: Iterable[str] = ("SSE", "SZSE"),
    now: Callable[[], float] = time.time,
    sleep: Sleep = time.sleep,
) -> SourceTables:
    """Fetch the margin figures of a trade date from the exchanges.

    Parameters
    ----------
    akshare : the module; imported if it is None.
    now : seconds since the epoch.

    Raises
    ------
    NotPublishedError : if an exchange has no figures of this day yet.
    InputError : for no trading day, a missing akshare, or an exchange that can't be reached.
    """
    require_trading_day(day, calendar)
    due = available_at("margin.daily", to_day(day), calendar)
    figures, stamp = f"the margin figures of {day}", f"{day:%Y%m%d}"
    if is_early(due, now()):
        raise AkshareCall("", {}, "exchanges", figures, due).not_published()
    module = load_akshare() if akshare is None else akshare
    found = SourceTables()
    for table in (one for exchange in exchanges for one in TABLES if one.exchange == exchange):
        call = AkshareCall(table.function, dict.fromkeys(table.arguments, stamp), table.exchange, figures, due)
        frame = call_akshare(module, call, now, sleep)
        one = parse_sheets({"": _sheet(frame, table)}, f"akshare {table.function} {day}", day)
        if not one.tables:
            raise call.not_published()
        found.extend(one)
    return found


def _sheet(frame: pd.DataFrame, table: AkshareTable) -> pd.DataFrame:
    """Return an answer of akshare as the sheet of the exchange's own file: headers with units, then the rows."""
    headers = with_units([str(column) for column in frame.columns], table)
    rows = [headers, *frame.to_numpy(dtype=object).tolist()]
    return pd.DataFrame(rows, dtype=object, index=range(1, len(rows) + 1))
