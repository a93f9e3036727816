"""The exchange's trading calendar from exchange_calendars (XSHG)."""

from __future__ import annotations

from functools import cache

import exchange_calendars

from processors.days import TradingCalendar


@cache
def xshg() -> TradingCalendar:
    """Return the sessions of the Shanghai exchange; Shenzhen and Beijing trade on the same days."""
    return TradingCalendar(stamp.date() for stamp in exchange_calendars.get_calendar("XSHG").sessions)
