"""Days that are not over: a daily figure of tomorrow is a wrong date, one of a running session is not final.

Published, the figure of a running session would be taken for a final one. The stream refuses rows of a day that has not
begun, so nothing makes a feed publish these.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from feeds.checks.compared_day import ComparedDay
from feeds.checks.findings import Finding, Severity
from processors.days import SHANGHAI, shanghai_day, to_date
from processors.trading_hours import TradingHours

CHECK = "day"
#: Of a day that has not begun: an error in spite of which nothing is published.
TO_COME = "day to come"
#: Its rows are known before they take effect.
_ANNOUNCED = ("reference",)


def days_to_come(compared: ComparedDay, now: float, hours: TradingHours) -> Iterator[Finding]:
    """Find figures of a day whose session is not over.

    Parameters
    ----------
    now : seconds since the epoch.
    """
    for topic, rows in compared.rows.items():
        day = int(rows.days[0])
        if topic in _ANNOUNCED or now * 1_000_000 >= hours.close(day):
            continue
        at = datetime.fromtimestamp(now, UTC).astimezone(SHANGHAI)
        begun = day <= shanghai_day(int(now * 1_000_000))
        text = (
            f"the session of {to_date(day)} is not over at {at:%Y-%m-%d %H:%M} (Shanghai): "
            "correct the date, or publish the figures after the close"
        )
        yield Finding(Severity.ERROR, CHECK if begun else TO_COME, topic, day, text)
