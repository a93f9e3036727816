"""When the figures of a trade date become known to the market."""

from __future__ import annotations

from datetime import date, time

from feeds.errors import ConfigurationError, InputError, NotPublishedError
from processors.days import DAY_US, SHANGHAI, TradingCalendar, moment, to_date, to_day
from processors.deadlines import Deadline

#: Exchanges publish margin figures before the open of T+1, prices and indices after the close of T (Shanghai time).
PUBLISHED = {
    "margin.daily": Deadline(time(8, 30), next_session=True),
    "margin.market": Deadline(time(8, 30), next_session=True),
    "prices.daily": Deadline(time(15, 30)),
    "valuations.daily": Deadline(time(15, 30)),
    "indices.daily": Deadline(time(15, 30)),
    "rates.daily": Deadline(time(17, 30)),
    "margin.collateral": Deadline(time(8, 30), next_session=True),
    "etf.daily": Deadline(time(8, 30), next_session=True),
    "reference": Deadline(time(0, 0)),
}


def available_at(topic: str, day: int, calendar: TradingCalendar) -> int:
    """Return when the figures of a day are published.

    Parameters
    ----------
    day : the trade date, days since 1970-01-01.

    Returns
    -------
    µs since the epoch.

    Raises
    ------
    ConfigurationError : if the trading calendar ends before the session that the moment depends on.
    """
    found = PUBLISHED[topic].moment(day, calendar)
    if found is None:
        raise ConfigurationError(
            f"the trading calendar ends on {to_date(calendar.last)}: the session after {to_date(day)} is "
            "not known; extend the calendar with an override file"
        )
    return found


def is_early(due: int, now: float) -> bool:
    """Whether figures are due (µs since the epoch) more than a day from now (seconds): nothing need be asked."""
    return now * 1e6 < due - DAY_US


def is_final(due: int, now: float) -> bool:
    """Whether figures are due (µs since the epoch) for a day now (seconds): what is missing does not come any more."""
    return now * 1e6 >= due + DAY_US


def require_trading_day(day: date, calendar: TradingCalendar) -> None:
    """Raise `InputError` for a day on which the exchanges do not trade, and of which they publish nothing."""
    if to_day(day) not in calendar:
        raise InputError(f"{day} is no trading day of XSHG: there are no figures of it, choose another day")


def not_published(publisher: str, figures: str, due: int, reason: str = "") -> NotPublishedError:
    """Return the error of figures that are not published yet; ``due`` is when they are, µs since the epoch."""
    since = moment(due).astimezone(SHANGHAI)
    return NotPublishedError(
        f"{publisher}: {figures} are not published yet: they are from {since:%Y-%m-%d %H:%M} in Shanghai on, ask again "
        f"then{f' ({reason})' if reason else ''}"
    )
