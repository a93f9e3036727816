"""Alerts and their history as messages: in ``alerts`` the newest state, in ``alerts.log`` every change, by alert id."""

from __future__ import annotations

import msgspec

from alerts.desk import Change
from alerts.model import Alert, AlertEvent
from processors.days import check_times, microseconds
from streams.records import ALERT_EVENT_TYPE, ALERT_TYPE, headers_of
from streams.tables import Output

_encode = msgspec.json.Encoder(order="deterministic").encode
_alert = msgspec.json.Decoder(Alert).decode
_event = msgspec.json.Decoder(AlertEvent).decode


def decode_alert(value: bytes) -> Alert:
    """Return an alert; raises `msgspec.DecodeError` or `RowError` if the message is none."""
    alert = _alert(value)
    check_times([alert.trade_date, alert.available_at, alert.raised_at, alert.changed_at])
    check_times([alert.fired_on, alert.expires_on, alert.resolved_on, alert.ended_at])
    records = [*alert.evidence, *(record for section in alert.sections for record in section.evidence)]
    check_times(record.since for record in records)
    if alert.silence is not None:
        check_times([alert.silence.until])
    if alert.acknowledged is not None:
        check_times([alert.acknowledged.at])
    return alert


def decode_event(value: bytes) -> AlertEvent:
    """Return a change of an alert; raises `msgspec.DecodeError` or `RowError` if the message is none."""
    event = _event(value)
    check_times([event.trade_date, event.at])
    return event


def encode_alert(change: Change, topic: str) -> Output:
    """Return the newest state of a changed alert as a message."""
    return _output(topic, change.alert, _encode(change.alert), ALERT_TYPE, _identity(change.alert))


def encode_event(change: Change, topic: str) -> Output:
    """Return a change of an alert as a message."""
    identity = f"{_identity(change.alert)}/{change.event.what}"
    return _output(topic, change.alert, _encode(change.event), ALERT_EVENT_TYPE, identity)


def _identity(alert: Alert) -> str:
    return f"{alert.id}/{microseconds(alert.changed_at)}"


def _output(topic: str, alert: Alert, value: bytes, kind: bytes, identity: str) -> Output:
    source, raised = "marginwatch/alerts", alert.raised_at
    headers = headers_of(kind, identity=identity, source=source, subject=alert.subject, time=raised)
    return Output(topic, 0, alert.id.encode(), value, headers)
