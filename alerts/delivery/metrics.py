"""Prometheus metrics of the delivery queues."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

NOTIFICATIONS = Counter("marginwatch_notifications_total", "Attempts to notify a channel.", ["channel", "result"])
NOTIFICATIONS_WAITING = Gauge(
    "marginwatch_notifications_waiting",
    "Notifications that are due and not sent; those that quiet hours or a silence hold back are not due.",
    ["channel"],
)
