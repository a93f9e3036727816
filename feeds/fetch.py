"""Fetching the exchanges' margin figures through akshare, an optional extra: ``pip install 'marginwatch[fetch]'``.

akshare asks the exchanges' own pages; what it returns goes through the adapters of `exchange`. It drops the units of
the headers and documents them instead, so they are put back here.
"""

from __future__ import annotations

import importlib.util
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any
from zipfile import BadZipFile

import pandas as pd

from feeds.dataset import SourceTables
from feeds.exchange import adapt
from feeds.folder import FeedError, known_at
from processors.days import DAY_US, SHANGHAI, TradingCalendar, moment, to_day
from processors.errors import MarginwatchError

_ATTEMPTS, _FIRST_WAIT_S, _LONGEST_WAIT_S = 5, 2.0, 60.0


class NotPublishedError(FeedError):
    """The figures of a day are not there yet: ask again later."""


class GoneError(FeedError):
    """The figures of a day can't be had from here any more: don't ask again."""


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
    Source("stock_margin_bse", "BSE", ("date",), "万元", "万股"),
    Source("stock_margin_detail_bse", "BSE", ("date",), "元", "股"),
)
_MONEY = ("融资余额", "融资买入额", "融资偿还额", "融券余额", "融券余量金额", "融资融券余额")
_SHARES = ("融券余量", "融券卖出量", "融券偿还量")


@dataclass(frozen=True, slots=True)
class Question:
    """A call of a function of akshare.

    Parameters
    ----------
    who, what : for messages: who publishes it, and what it is.
    due : when it is published, µs since the epoch.
    """

    function: str
    arguments: dict[str, str]
    who: str
    what: str
    due: int

    def not_yet(self, why: str = "") -> NotPublishedError:
        """Say that it is not there yet."""
        since = moment(self.due).astimezone(SHANGHAI)
        return NotPublishedError(
            f"{self.who}: {self.what} are not published yet: that is done from {since:%Y-%m-%d %H:%M} in Shanghai on, "
            f"ask again then{f' ({why})' if why else ''}"
        )


def need_akshare() -> None:
    """Raise `FeedError` where akshare is not installed: at the start, not when the first day is due."""
    if importlib.util.find_spec("akshare") is None:
        raise FeedError("akshare is needed: pip install 'marginwatch[fetch]'")


def load_akshare() -> Any:
    """Import akshare; raises `FeedError` saying how to install it."""
    os.environ.setdefault("TQDM_DISABLE", "1")  # it would draw its progress into the log
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
    exchanges: Iterable[str] = ("SSE", "SZSE"),
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], object] = time.sleep,
) -> SourceTables:
    """Fetch the margin figures of a trade date from the exchanges.

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
    what, stamp = f"the margin figures of {day}", f"{day:%Y%m%d}"
    if now() * 1e6 < due - DAY_US:
        raise Question("", {}, "exchanges", what, due).not_yet()
    module = load_akshare() if akshare is None else akshare
    found = SourceTables()
    for source in (one for exchange in exchanges for one in SOURCES if one.exchange == exchange):
        question = Question(source.function, dict.fromkeys(source.arguments, stamp), source.exchange, what, due)
        frame = asked(module, question, now, sleep)
        one = adapt({"": as_published(frame, source)}, f"akshare {source.function} {day}", day)
        if not one.parts:
            raise question.not_yet()
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


def asked(module: Any, question: Question, now: Callable[[], float], sleep: Callable[[float], object]) -> pd.DataFrame:
    """Ask akshare, again with growing waits while the network fails; return the rows that come.

    Raises
    ------
    NotPublishedError : if nothing comes, or what can't be read within a day after it was due.
    FeedError : if the page can't be reached, or nothing that can be read comes later.
    """
    function = getattr(module, question.function, None)
    if function is None:
        raise FeedError(f"this akshare has no {question.function}: pip install --upgrade akshare")
    wait = _FIRST_WAIT_S
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            frame = function(**question.arguments)
        except MarginwatchError:
            raise
        except OSError as error:  # what requests raises
            if attempt == _ATTEMPTS:
                raise FeedError(
                    f"{question.who}: {question.function} could not be reached in {_ATTEMPTS} attempts ({error}): is "
                    "the network there, and does the page answer?"
                ) from error
            sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_S)
        except (ValueError, KeyError, IndexError, AttributeError, TypeError, BadZipFile) as error:
            # akshare names the columns of an answer without looking whether it is empty.
            if now() * 1e6 < question.due + DAY_US:
                raise question.not_yet(str(error)) from error
            raise FeedError(
                f"{question.who}: {question.function} gave nothing that can be read of {question.what} ({error}); they "
                "are long due, so the page may have changed: pip install --upgrade akshare, or give files"
            ) from error
        else:
            if not len(frame):
                raise question.not_yet()
            return pd.DataFrame(frame)
    raise AssertionError("unreachable")
