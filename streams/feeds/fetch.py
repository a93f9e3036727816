"""Fetching the exchanges' margin figures through akshare, an optional extra: ``pip install 'marginwatch[fetch]'``.

akshare asks the exchanges' own pages; what it returns goes through the adapters of `exchange`. It drops the units of
the headers and documents them instead, so they are put back here. Beijing has no such function.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any
from zipfile import BadZipFile

import pandas as pd

from processors.days import TradingCalendar, moment, to_day
from processors.errors import MarginwatchError
from streams.feeds.checked import Parts
from streams.feeds.exchange import adapt
from streams.feeds.folder import FeedError, known_at

_ATTEMPTS, _FIRST_WAIT_S, _LONGEST_WAIT_S = 5, 2.0, 60.0
_US = 1_000_000


class NotPublishedError(FeedError):
    """The figures of a day are not there yet: ask again later."""


@dataclass(frozen=True, slots=True)
class Source:
    """A function of akshare.

    Parameters
    ----------
    arguments : those that stand for the trade date, written as YYYYMMDD.
    money, shares : the documented units.
    """

    function: str
    exchange: str
    arguments: tuple[str, ...]
    money: str
    shares: str


SOURCES = (
    Source("stock_margin_sse", "SSE", ("start_date", "end_date"), "元", "股"),
    Source("stock_margin_detail_sse", "SSE", ("date",), "元", "股"),
    Source("stock_margin_szse", "SZSE", ("date",), "亿元", "亿股"),
    Source("stock_margin_detail_szse", "SZSE", ("date",), "元", "股"),
)
_MONEY = ("融资余额", "融资买入额", "融资偿还额", "融券余额", "融券余量金额", "融资融券余额")
_SHARES = ("融券余量", "融券卖出量", "融券偿还量")


def load_akshare() -> Any:
    """Import akshare; raises `FeedError` saying how to install it."""
    try:
        return importlib.import_module("akshare")
    except ImportError as error:
        raise FeedError(
            "fetching needs akshare: pip install 'marginwatch[fetch]', or download the exchanges' files yourself and "
            "give them to `marginwatch feed exchange`"
        ) from error


def fetch(
    day: date,
    calendar: TradingCalendar,
    *,
    akshare: Any = None,
    sources: Iterable[Source] = SOURCES,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], object] = time.sleep,
) -> Parts:
    """Fetch the margin figures of a trade date from both exchanges.

    Parameters
    ----------
    akshare : the module, imported where it is None.
    now : seconds since the epoch.

    Raises
    ------
    NotPublishedError : if an exchange has nothing of this day yet.
    FeedError : for no trading day, a missing akshare, or an exchange that can't be reached.
    """
    if to_day(day) not in calendar:
        raise FeedError(f"{day} is no trading day of XSHG: there are no margin figures of it")
    due = known_at("margin.daily", to_day(day), calendar)
    if now() * _US < due - 24 * 3600 * _US:
        raise NotPublishedError(_not_yet(day, due))
    module = load_akshare() if akshare is None else akshare
    found = Parts()
    for source in sources:
        frame = _asked(module, source, day, due, now, sleep)
        one = adapt({"": as_published(frame, source)}, f"akshare {source.function} {day}", day)
        if not one.parts:
            raise NotPublishedError(f"{source.exchange}: {_not_yet(day, due)}")
        found.parts += one.parts
        found.findings += one.findings
    return found


def as_published(frame: pd.DataFrame, source: Source) -> pd.DataFrame:
    """Return what akshare gives as the grid of the exchange's own file: headers with units, then the figures."""
    detail = "标的证券代码" in frame or source.function == "stock_margin_sse"
    names = {}
    for column in map(str, frame.columns):
        unit = source.money if column in _MONEY else source.shares if column in _SHARES else None
        own = f"本日{column}" if detail and unit is not None and source.exchange == "SSE" else column
        names[column] = own if unit is None else f"{own}({unit})"
    grid = pd.DataFrame([list(names.values()), *frame.to_numpy(dtype=object).tolist()])
    return grid.astype(object)


def _asked(
    module: Any, source: Source, day: date, due: int, now: Callable[[], float], sleep: Callable[[float], object]
) -> pd.DataFrame:
    function = getattr(module, source.function, None)
    if function is None:
        raise FeedError(f"this akshare has no {source.function}: pip install --upgrade akshare")
    arguments = dict.fromkeys(source.arguments, day.strftime("%Y%m%d"))
    wait = _FIRST_WAIT_S
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            frame = function(**arguments)
        except MarginwatchError:
            raise
        except OSError as error:  # what requests raises
            if attempt == _ATTEMPTS:
                raise FeedError(
                    f"{source.exchange}: {source.function} could not be reached in {_ATTEMPTS} attempts ({error}): is "
                    "the network there, and does the exchange answer?"
                ) from error
            sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_S)
        except (ValueError, KeyError, IndexError, AttributeError, TypeError, BadZipFile) as error:
            # akshare names the columns of an answer without looking whether it is empty.
            if now() * _US < due + 24 * 3600 * _US:
                raise NotPublishedError(f"{source.exchange}: {_not_yet(day, due)} ({error})") from error
            raise FeedError(
                f"{source.exchange}: {source.function} of {day} gave nothing that can be read ({error}); the figures "
                "are long due, so the page may have changed: pip install --upgrade akshare, or give the files"
            ) from error
        else:
            if not len(frame):
                raise NotPublishedError(f"{source.exchange}: {_not_yet(day, due)}")
            return pd.DataFrame(frame)
    raise AssertionError("unreachable")


def _not_yet(day: date, due: int) -> str:
    shown = moment(due + 8 * 3600 * _US)  # Shanghai's clock
    return (
        f"the margin figures of {day} are not published yet: exchanges publish them the session after, at about "
        f"{shown:%Y-%m-%d %H:%M}–09:00 in Shanghai; ask again then"
    )
