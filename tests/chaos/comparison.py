"""The outcome of a replay, and its comparison with the baseline."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import msgspec

from alerts.lifecycle import timeless
from alerts.model import Alert, State, timeless_alert
from processors.outputs import MarketSignal
from streams import readers
from streams.codecs.signal_codec import decode_industry, decode_security
from streams.records import sequence_of
from streams.system_status import latest_market
from streams.topics import Topic
from tests.harness import Stack, wait_until


@dataclass
class Outcome:
    """State, final facts and published messages of a replay."""

    rows: dict[str, dict[str, bytes]]
    final: dict[str, tuple[int, bytes]]  # key of a fact → revision and content of its last message
    contents: dict[str, set[bytes]] = field(default_factory=dict)  # message id → its different contents
    messages: int = 0
    faults: list[str] = field(default_factory=list)  # newest values that are not the newest, state that was torn, …


@dataclass
class Comparison:
    """Differences of a replay from the baseline; ``lost``, ``doubled`` and ``wrong`` must be empty."""

    lost: list[str]  # facts of the baseline without a message
    doubled: list[str]  # ids with two different contents
    wrong: list[str]  # facts or Redis rows with different content
    repeated: int  # identical duplicates, which consumers ignore

    @property
    def clean(self) -> bool:
        """Whether no fact or row differs."""
        return not (self.lost or self.doubled or self.wrong)


def outcome(stack: Stack, barrier: str, *, fenced: bool) -> Outcome:
    """Read the outcome of a replay from Redis and, as a compacting reader does, from the topics.

    Parameters
    ----------
    fenced : whether the broker refuses messages of earlier owners, so that the last message of a key is the newest.
    """
    prefix = stack.settings.topic_prefix
    rows = {
        key.decode().partition(":")[2]: {
            name.decode(): _normalised(name.decode(), data, prefix)
            for name, data in found.items()
            if not name.startswith((b"refused/", b"counted/"))  # they have offsets and times of messages
        }
        for key, found in stack.tables().items()
    }
    out = Outcome(rows, {})
    alerts: dict[str, tuple[Alert, bytes]] = {}
    signals: dict[str, MarketSignal] = {}
    highest: dict[str, int] = {}
    last: dict[str, int] = {}
    newest = readers.NewestByKey()
    for topic in (Topic.SIGNALS_MARKET, Topic.SIGNALS_SECURITY, Topic.SIGNALS_INDUSTRY, Topic.ALERTS):
        for record in readers.read(stack.settings, topic, until=barrier):
            identity = f"{topic} {dict(record.headers)['ce_id'].decode()}"
            content, out.messages = record.value, out.messages + 1
            is_newest, key = newest.accepts(record), f"{topic} {(record.key or b'').decode()}"
            last[key] = sequence_of(record)
            highest[key] = max(highest.get(key, 0), last[key])
            if topic == Topic.ALERTS:
                alert = _without_prefix(timeless_alert(readers.alert_of(record)), prefix)
                content = msgspec.json.encode(alert)
                if is_newest:
                    alerts[alert.id] = alert, content
            elif is_newest:
                _update_final(out.final, topic, record.value)
                if topic == Topic.SIGNALS_MARKET:
                    _update_newest(signals, msgspec.json.decode(record.value, type=MarketSignal))
            out.contents.setdefault(identity, set()).add(content)
    wait_until(
        lambda: stack.redis.get(f"{stack.settings.namespace}:latest:barrier") == barrier.encode(),
        what="the newest values of the last barrier",
    )
    found = latest_market(stack.settings, stack.redis)
    out.faults = [
        f"stale: latest {name}" for name in signals.keys() | found.keys() if signals.get(name) != found.get(name)
    ]
    if fenced:
        out.faults += [f"stale: last message of {key}" for key, sequence in last.items() if sequence < highest[key]]
    for identity, (alert, content) in alerts.items():
        # Where a worker reads a correction together with the corrected rows, it never raises the superseded alert.
        if alert.state is not State.SUPERSEDED and alert.rule != "dead_letters":
            out.final[f"{Topic.ALERTS} {identity} {alert.rule} {alert.trade_date}"] = 0, content
    return out


def _update_final(final: dict[str, tuple[int, bytes]], topic: str, value: bytes) -> None:
    if topic != Topic.SIGNALS_MARKET:
        frame = (decode_security if topic == Topic.SIGNALS_SECURITY else decode_industry)(value)
        family = getattr(frame, "family", "")
        key, revision = f"{topic} {frame.status.trade_date} {family}", frame.status.revision
    else:
        signal = msgspec.json.decode(value, type=MarketSignal)
        if signal.provisional:
            return
        key, revision = f"{topic} {signal.name} {signal.trade_date}", signal.revision
    final[key] = revision, value


def _update_newest(newest: dict[str, MarketSignal], signal: MarketSignal) -> None:
    """Keep the newest value of a signal by its day, a final one before a provisional one."""
    if signal.provisional and signal.value is None:
        return
    held = newest.get(signal.name)
    if held is None or (signal.trade_date, not signal.provisional) >= (held.trade_date, not held.provisional):
        newest[signal.name] = signal


def _normalised(name: str, data: bytes, prefix: str) -> bytes:
    if not name.startswith(("alert/", "draft/")):
        return data
    version, alert = msgspec.msgpack.decode(timeless(name, data), type=tuple[int, Alert])
    return msgspec.msgpack.encode((version, _without_prefix(alert, prefix)), order="deterministic")


def _without_prefix(alert: Alert, prefix: str) -> Alert:
    origins = [msgspec.structs.replace(o, topic=o.topic.removeprefix(prefix)) for o in alert.provenance]
    return msgspec.structs.replace(alert, provenance=origins)


def compare(baseline: Outcome, other: Outcome) -> Comparison:
    """Compare a replay with the baseline."""
    wrong = [key for key, fact in baseline.final.items() if key in other.final and other.final[key] != fact]
    wrong += [f"surplus {key}" for key in other.final.keys() - baseline.final.keys()]
    for table in sorted(baseline.rows.keys() | other.rows.keys()):
        ours, theirs = baseline.rows.get(table, {}), other.rows.get(table, {})
        wrong += [f"{table} {name}" for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)]
    wrong += other.faults
    return Comparison(
        lost=sorted(baseline.final.keys() - other.final.keys()),
        doubled=sorted(identity for identity, found in other.contents.items() if len(found) > 1),
        wrong=sorted(wrong),
        repeated=other.messages - sum(Counter(map(len, other.contents.values())).elements()),
    )
