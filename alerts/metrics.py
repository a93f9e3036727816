"""Prometheus metrics of a worker: base units, ratios 0–1, no label per security."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from alerts.model import Alert
from processors.indicators.ratio_state import RatioState
from processors.outputs import MarketSignal

SIGNAL = Gauge(
    "marginwatch_signal",
    "Newest value of a numeric market signal (ratios are fractions, money is CNY).",
    ["signal", "subject", "provisional"],
)
SIGNAL_DAY = Gauge(
    "marginwatch_signal_trade_date_seconds",
    "Trade date of the newest value, seconds since the epoch.",
    ["signal", "subject", "provisional"],
)
STATE = Gauge("marginwatch_ratio_state", "1 for the state that holds, 0 for the others.", ["basis", "state"])
DEGRADED = Gauge("marginwatch_signal_degraded", "1 if the newest value was computed of incomplete data.", ["signal"])
IDENTITY = Gauge(
    "marginwatch_identity_breaks",
    "Figures of the newest day whose balance is not the previous one plus buys less repayments.",
    ["topic"],
)
CLOSED = Gauge(
    "marginwatch_closed_day_seconds",
    "Newest closed trade date of a feed, seconds since the epoch.",
    ["topic", "partition"],
)
DEADLINES = Counter("marginwatch_deadline_closes_total", "Days closed because their deadline passed.", ["topic"])
STALLED = Gauge("marginwatch_stalled", "1 while a partition of a stage can't make progress.", ["stage", "partition"])
ALERTS = Counter(
    "marginwatch_alerts_total", "Alerts published, by what happened to them.", ["rule", "severity", "state"]
)
ALERTS_FIRING = Gauge("marginwatch_alerts_firing", "Alerts that fire now.", ["rule", "severity"])
NOTIFICATIONS = Counter("marginwatch_notifications_total", "Attempts to tell a channel.", ["channel", "result"])
NOTIFICATIONS_WAITING = Gauge(
    "marginwatch_notifications_waiting", "Facts that a channel has not been told yet.", ["channel"]
)

ROWS = Counter("marginwatch_rows_total", "Input rows folded.", ["topic"])
MESSAGES = Counter("marginwatch_messages_total", "Messages read.", ["topic"])
REPEATS = Counter("marginwatch_rows_ignored_total", "Input rows that changed nothing.", ["stage", "reason"])
DEAD = Counter("marginwatch_dead_letters_total", "Messages refused and sent to a dead-letter topic.", ["topic"])
OUTPUTS = Counter("marginwatch_outputs_total", "Messages published.", ["topic"])
_FAST = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
BATCH = Histogram(
    "marginwatch_batch_seconds", "Time to fold, store and publish one poll of a partition.", ["stage"], buckets=_FAST
)
AGE = Histogram(
    "marginwatch_event_age_seconds",
    "From the newest record's Kafka timestamp to its signals being acknowledged (end to end within a stage).",
    ["stage"],
    buckets=(*_FAST, 30, 60, 300),
)
LAG = Gauge(
    "marginwatch_lag_messages", "Messages between what is stored and the end of the partition.", ["topic", "partition"]
)
TABLE_ROWS = Gauge("marginwatch_table_rows", "Rows of a table's partition in Redis.", ["table", "partition"])
OWNED = Gauge("marginwatch_partitions_owned", "Partitions that this worker owns.", ["table"])
REDIS_RETRIES = Counter("marginwatch_redis_retries_total", "Steps repeated because Redis did not answer.")
PUBLISH_RETRIES = Counter(
    "marginwatch_publish_retries_total", "Publications repeated because Kafka did not acknowledge."
)
CALENDAR_LEFT = Gauge("marginwatch_calendar_days_left", "Trading days that the calendar still knows.")
READY = Gauge("marginwatch_ready", "1 if the worker is ready, as /readyz says.")


def observe_signal(signal: MarketSignal) -> None:
    """Show a market signal's newest value."""
    provisional = "true" if signal.provisional else "false"
    if isinstance(signal.value, (int, float)):
        SIGNAL.labels(signal.signal, signal.subject, provisional).set(signal.value)
        seconds = (signal.trade_date.toordinal() - 719_163) * 86_400
        SIGNAL_DAY.labels(signal.signal, signal.subject, provisional).set(seconds)
    elif isinstance(signal.value, str) and not signal.provisional and signal.signal.startswith("ratio_state"):
        for state in RatioState:
            STATE.labels(signal.signal, state.value).set(state.value == signal.value)
    DEGRADED.labels(signal.signal).set(signal.degraded)


def observe_alert(alert: Alert, what: str) -> None:
    """Count what happened to an alert: its new state, or what somebody said about it."""
    ALERTS.labels(alert.rule, alert.severity.value, what).inc()
