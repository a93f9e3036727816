"""An alert as it was at an earlier moment: its newest version says when it began to fire and when it ended."""

from __future__ import annotations

from datetime import datetime

import msgspec

from alerts.model import Alert, State
from processors.days import TradingCalendar, to_day


def alert_at(alert: Alert, moment: datetime, sessions: TradingCalendar) -> Alert:
    """Return an alert as it was at a moment, by what was known then to fire and to end; nobody has acknowledged it.

    One that was pending first is known to fire from the next session on, when the figures of that day are. An earlier
    release published no `Alert.ended_at`: the day of the end decides, and one that is superseded is over.
    """
    today = moment.date()
    if alert.ended_at is not None:
        ended = alert.ended_at <= moment
    else:
        ended = alert.state is State.SUPERSEDED or (alert.resolved_on is not None and alert.resolved_on <= today)
    session = sessions.before(to_day(today) + 1)
    fired = alert.fired_on is not None and (
        alert.fired_on == alert.trade_date or (session is not None and to_day(alert.fired_on) < session)
    )
    state = alert.state if ended else State.FIRING if fired else State.PENDING
    return msgspec.structs.replace(alert, state=state, acknowledged=None, silence=None)
