"""Why an alert was raised: its inputs as they lie in Kafka, the rule once more on them, and every change since."""

from __future__ import annotations

from typing import Any

import msgspec

from alerts.model import Alert, Input, alert_id
from alerts.rules.base import Condition
from processors.outputs import IndustrySignals, MarketSignal, SecuritySignals
from streams import readers
from streams.alert_rules import rules_of
from streams.codecs import registry as codecs
from streams.errors import WhyError
from streams.settings import Settings
from streams.topics import SIGNALS, Topic, Topics


def why(settings: Settings, identity: str) -> dict[str, Any]:
    """Return an alert with its inputs, what the rule makes of them now, and its history.

    Parameters
    ----------
    identity : the alert's id, or its beginning.

    Raises
    ------
    WhyError : if no alert, or more than one, has this id.
    """
    alert = alert_of(settings, identity)
    events = [event for event in readers.messages(settings, Topic.ALERTS_LOG) if event.alert == alert.id]
    inputs = [_input(settings, alert, origin) for origin in alert.provenance]
    return {
        "alert": alert,
        "rule_version": alert.rule_version,
        "inputs": inputs,
        "history": list({(e.what, e.at): e for e in events}.values()),
    }


def alert_of(settings: Settings, identity: str) -> Alert:
    """Return the alert of an id, or of the beginning of one; raises `WhyError` if there is none, or more than one."""
    alerts = readers.newest_alerts(settings)
    found = {alert.id: alert for alert in alerts if alert.id.startswith(identity)}
    if not found:
        raise WhyError(f"no alert {identity!r} in alerts.v1: `marginwatch alerts --json` lists the ids")
    if len(found) > 1:
        raise WhyError(f"{identity!r} begins {len(found)} ids: {', '.join(sorted(found)[:5])} …")
    (alert,) = found.values()
    return alert


def _input(settings: Settings, alert: Alert, origin: Input) -> dict[str, Any]:
    base = {"topic": origin.topic, "partition": origin.partition, "offset": origin.offset, "revision": origin.revision}
    record = readers.record_at(settings, origin.topic, origin.partition, origin.offset)
    if record is None:
        return base | {
            "content": None,
            "recomputed": None,
            "note": "compacted away, or older than what the topic keeps",
        }
    short = Topics(settings).short(origin.topic)
    if short == Topic.ALERT_COMMANDS:
        report = msgspec.to_builtins(codecs.decode(short, record))
        return base | {"content": report, "recomputed": None, "note": "what a feed has reported"}
    if short not in SIGNALS:
        return base | {"content": None, "recomputed": None, "note": "a message of the dead letters; see its topic"}
    message: MarketSignal | SecuritySignals | IndustrySignals = codecs.decode(short, record)
    status = message if isinstance(message, MarketSignal) else message.status
    names = {alert.rule, *(section.rule for section in alert.sections)}
    ids = [
        alert_id(rule.name, v.subject, v.trade_date, v.revision)
        for rule in rules_of(settings)
        if rule.name in names
        for v in rule.evaluate(message)
        if v.condition in (Condition.FIRE, Condition.ON)
    ]
    # A digest consists of the facts of its sections: each input gives some of them.
    given = {alert.id, *(section.alert for section in alert.sections)}
    agrees = given.issuperset(ids) if alert.sections else alert.id in ids
    return base | {
        "content": msgspec.to_builtins(message) if isinstance(message, MarketSignal) else msgspec.to_builtins(status),
        "input_revisions": status.input_revisions,
        "recomputed": alert.id if agrees else ids[0] if ids else None,
        "note": "the rule gives the same alert" if agrees else "the rule gives something else now",
    }
