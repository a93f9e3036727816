"""When the figures of a trade date become known to the market."""

from __future__ import annotations

from datetime import time

from feeds.errors import ConfigurationError
from processors.days import TradingCalendar, to_date
from processors.deadlines import Deadline

#: Exchanges publish margin figures before the open of T+1, prices and indices after the close of T (Shanghai time).
PUBLISHED = {
    "margin.daily": Deadline(time(8, 30), next_session=True),
    "margin.market": Deadline(time(8, 30), next_session=True),
    "prices.daily": Deadline(time(15, 30)),
    "valuations.daily": Deadline(time(15, 30)),
    "indices.daily": Deadline(time(15, 30)),
    "rates.daily": Deadline(time(17, 30)),
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
    moment = PUBLISHED[topic].moment(day, calendar)
    if moment is None:
        raise ConfigurationError(
            f"the trading calendar ends on {to_date(calendar.last)}: the session after {to_date(day)} is "
            "not known; extend the calendar with an override file"
        )
    return moment
