"""What a run ended in, and how it differs from the golden one."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from alerts.lifecycle import timeless, timeless_alert
from alerts.model import Alert, State
from processors.outputs import MarketSignal
from streams import readers
from streams.signal_codec import decode_industry, decode_security
from streams.topics import Topic
from tests.harness import Stack


@dataclass
class Outcome:
    """Everything that must be equal, and the published messages by id."""

    rows: dict[str, dict[str, bytes]]
    final: dict[str, tuple[int, bytes]]  # key of a fact → revision and content of its last word
    contents: dict[str, set[bytes]] = field(default_factory=dict)  # id → the different contents under it
    messages: int = 0


@dataclass
class Comparison:
    """How a run differs from the golden one; all three must be 0."""

    lost: list[str]  # facts of the golden run that no message tells
    doubled: list[str]  # ids that stand for two different contents
    wrong: list[str]  # facts or Redis rows with other content
    repeated: int  # messages that came again, byte for byte: allowed, and ignored by who reads them

    @property
    def clean(self) -> bool:
        """Whether nothing differs."""
        return not (self.lost or self.doubled or self.wrong)


def outcome(stack: Stack, barrier: str) -> Outcome:
    """Read what a run has left in Redis and in the topics."""
    prefix = stack.settings.topic_prefix
    rows = {
        key.decode().partition(":")[2]: {
            name.decode(): _anywhere(name.decode(), data, prefix)
            for name, data in found.items()
            if not name.startswith(b"refused/")
        }
        for key, found in stack.tables().items()
    }
    out = Outcome(rows, {})
    alerts: dict[str, tuple[Alert, bytes, datetime]] = {}
    for topic in (Topic.SIGNALS_MARKET, Topic.SIGNALS_SECURITY, Topic.SIGNALS_INDUSTRY, Topic.ALERTS):
        for record in readers.read(stack.settings, topic, until=barrier):
            identity = f"{topic} {dict(record.headers)['ce_id'].decode()}"
            content, out.messages = record.value, out.messages + 1
            if topic == Topic.ALERTS:
                told = readers.alert_of(record)
                alert = _without_prefix(timeless_alert(told), prefix)
                content = msgspec.json.encode(alert)
                if alert.id not in alerts or told.changed_at >= alerts[alert.id][2]:
                    alerts[alert.id] = alert, content, told.changed_at
            else:
                _last_word(out.final, topic, record.value)
            out.contents.setdefault(identity, set()).add(content)
    for identity, (alert, content, _) in alerts.items():
        # A warning that was corrected away may never have been raised where the correction was read with it.
        if alert.state is not State.SUPERSEDED and alert.rule != "dead_letters":
            out.final[f"{Topic.ALERTS} {identity} {alert.rule} {alert.trade_date}"] = 0, content
    return out


def _last_word(final: dict[str, tuple[int, bytes]], topic: str, value: bytes) -> None:
    if topic != Topic.SIGNALS_MARKET:
        frame = (decode_security if topic == Topic.SIGNALS_SECURITY else decode_industry)(value)
        family = getattr(frame, "family", "")
        key, revision = f"{topic} {frame.status.trade_date} {family}", frame.status.revision
    else:
        signal = msgspec.json.decode(value, type=MarketSignal)
        if signal.provisional:
            return
        key, revision = f"{topic} {signal.signal} {signal.trade_date}", signal.revision
    if key not in final or revision >= final[key][0]:
        final[key] = revision, value


def _anywhere(name: str, data: bytes, prefix: str) -> bytes:
    if not name.startswith(("alert/", "draft/")):
        return data
    version, alert = msgspec.msgpack.decode(timeless(name, data), type=tuple[int, Alert])
    return msgspec.msgpack.encode((version, _without_prefix(alert, prefix)), order="deterministic")


def _without_prefix(alert: Alert, prefix: str) -> Alert:
    origins = [msgspec.structs.replace(o, topic=o.topic.removeprefix(prefix)) for o in alert.provenance]
    return msgspec.structs.replace(alert, provenance=origins)


def compare(baseline: Outcome, other: Outcome) -> Comparison:
    """Judge a run."""
    wrong = [key for key, told in baseline.final.items() if key in other.final and other.final[key] != told]
    wrong += [f"surplus {key}" for key in other.final.keys() - baseline.final.keys()]
    for table in sorted(baseline.rows.keys() | other.rows.keys()):
        ours, theirs = baseline.rows.get(table, {}), other.rows.get(table, {})
        wrong += [f"{table} {name}" for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)]
    return Comparison(
        lost=sorted(baseline.final.keys() - other.final.keys()),
        doubled=sorted(identity for identity, found in other.contents.items() if len(found) > 1),
        wrong=sorted(wrong),
        repeated=other.messages - sum(Counter(map(len, other.contents.values())).elements()),
    )
