"""The AsyncAPI 3 document of every public topic, generated from the structs:
``streams/resources/asyncapi.json``.

``python -m docs`` writes it; a test compares the file with the code.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from alerts.commands import Acknowledge, FeedRun, LiveFeedState, SetSilence
from alerts.model import Alert, AlertEvent
from processors.events import FIGURES, INPUT_ROWS, Barrier, Column, EndOfDay, Row, Sign
from processors.outputs import FAMILIES, FINANCING, DayStatus, MarketSignal
from processors.registry import PUBLISHED_COLUMNS, signals_of
from processors.signal import Level
from streams.codecs.row_json import MAX_ARRAY_ROWS
from streams.codecs.signal_codec import columns_of
from streams.records import (
    ALERT_EVENT_TYPE,
    ALERT_TYPE,
    ARROW,
    BARRIER_TYPE,
    CE_TYPE,
    CLOSE_TYPE,
    CONTENT_TYPE,
    INDUSTRY_TYPE,
    MARKET_TYPE,
    SECURITY_TYPE,
    SEQUENCE,
)
from streams.settings import Settings
from streams.topics import Topic, Topics

PATH = Path(__file__).parent / "resources" / "asyncapi.json"
_SCHEMAS = "#/components/schemas/"
_NUMBERS = "Figures are float64, or int32 where they count days; null where absent. A rank is 1 for the largest."
_CONSTANTS = (
    "A source, trade_date, available_at, ts or revision that is the same for all rows may be a text of the schema's "
    "metadata instead of a column; without either the revision is 0. A figure that every row lacks may have no column."
)
#: Headers of every output, beside its type.
_CLOUD_EVENT = ("ce_specversion", "ce_id", "ce_source", "ce_time", "ce_subject", SEQUENCE, CONTENT_TYPE)
_PLACE, _LETTER = (
    ("dlq_topic", "dlq_partition", "dlq_offset"),
    ("dlq_reason", "dlq_error", "dlq_traceback", "dlq_time", "dlq_resolution"),
)
_COMMANDS: tuple[type[msgspec.Struct], ...] = (Acknowledge, SetSilence, LiveFeedState, FeedRun)


def document() -> dict[str, Any]:
    """Return the document; channels are named as with default settings (no topic prefix)."""
    topics = Topics(Settings.model_construct())
    structs: list[type[msgspec.Struct]] = [
        *INPUT_ROWS.values(),
        EndOfDay,
        Barrier,
        MarketSignal,
        DayStatus,
        Alert,
        AlertEvent,
    ]
    structs += _COMMANDS
    _, schemas = msgspec.json.schema_components(structs, ref_template=_SCHEMAS + "{name}")
    messages: dict[str, Any] = {
        "EndOfDay": _headed(_json("EndOfDay", "Punctuation behind the rows of a day."), CLOSE_TYPE),
        "Barrier": _headed(_json("Barrier", "Punctuation behind all rows so far."), BARRIER_TYPE),
        "PassedBarrier": _headed(
            _json("Barrier", "A barrier behind all that a stage has published; a consumer skips it."),
            BARRIER_TYPE,
            "origin",
            SEQUENCE,
        ),
    }
    channels: dict[str, Any] = {}
    for short, topic in topics.all.items():
        if short in (Topic.FEATURES, Topic.CHARTS):
            continue  # internal: stages alone read them
        if Topic(short).is_dead_letters:
            messages["DeadLetter"] = _DEAD_LETTER
            named = ["DeadLetter"]
        elif short in INPUT_ROWS:
            row = INPUT_ROWS[short]
            messages[row.__name__] = _json(row.__name__, _first_line(row))
            frame = _frame(f"Rows of {short}, many in one message.", _row_columns(row), _CONSTANTS)
            messages[row.__name__ + "Frame"] = frame | {"headers": _headers({CONTENT_TYPE: ARROW})}
            messages[row.__name__ + "Array"] = _array(row.__name__, f"Rows of {short}, many in one message.")
            named = [row.__name__, row.__name__ + "Array", row.__name__ + "Frame", "EndOfDay", "Barrier"]
        elif short == Topic.ALERT_COMMANDS:
            messages |= {c.__name__: _json(c.__name__, _first_line(c)) for c in _COMMANDS}
            named = [c.__name__ for c in _COMMANDS]
        else:
            name, message, kind = _OUTPUTS[short]
            messages[name] = _headed(message(), kind, *_CLOUD_EVENT)
            named = [name, "PassedBarrier"]
        channels[short] = {
            "address": topic.name,
            "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in named},
            "bindings": {
                "kafka": {
                    "partitions": topic.partitions,
                    "topicConfiguration": {"cleanup.policy": ["compact" if topic.compacted else "delete"]},
                }
            },
        }
    taken = {*INPUT_ROWS, Topic.ALERT_COMMANDS}
    operations = {
        f"{'receive' if short in taken else 'send'}.{short}": {
            "action": "receive" if short in taken else "send",
            "channel": {"$ref": f"#/channels/{short}"},
        }
        for short in channels
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "marginwatch",
            "version": "1",
            "description": "Leverage in China's A-share market 融资融券: inputs and outputs. Money is CNY, "
            "quantities are shares, ratios are fractions. Every output message carries the CloudEvents headers "
            "ce_id, ce_type, ce_source, ce_time, ce_subject and ce_sequence; of messages with one key the one with the "
            "highest ce_sequence is valid. One with a ce_sequence that is known repeats a message; a ce_id names a "
            "content, which a later message may have again.",
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas},
    }


def rendered() -> str:
    """Return the text of the file."""
    return json.dumps(document(), ensure_ascii=False, indent=1) + "\n"


def _first_line(row: type[msgspec.Struct]) -> str:
    return (row.__doc__ or "").partition("\n")[0]


def _headers(fixed: dict[str, bytes], free: tuple[str, ...] = ()) -> dict[str, Any]:
    """Headers that every message of a kind has: those with one value, and those with any."""
    values: dict[str, Any] = {name: {"type": "string", "const": value.decode()} for name, value in fixed.items()}
    return {
        "type": "object",
        "properties": values | {n: {"type": "string"} for n in free},
        "required": [*values, *free],
    }


def _headed(message: dict[str, Any], kind: bytes, *free: str) -> dict[str, Any]:
    """A message whose kind a header names: its bytes alone do not tell it from a row."""
    return message | {"headers": _headers({CE_TYPE: kind}, free)}


def _json(name: str, summary: str) -> dict[str, Any]:
    return {"contentType": "application/json", "summary": summary, "payload": {"$ref": _SCHEMAS + name}}


def _array(name: str, summary: str) -> dict[str, Any]:
    payload = {"type": "array", "items": {"$ref": _SCHEMAS + name}, "maxItems": MAX_ARRAY_ROWS}
    return {"contentType": "application/json", "summary": summary, "payload": payload}


def _frame(summary: str, columns: dict[str, str], metadata: str = "") -> dict[str, Any]:
    """An Arrow IPC stream; an extension of the schema lists its columns, for JSON Schema knows no Arrow."""
    return {
        "contentType": ARROW.decode(),
        "summary": summary,
        "description": metadata,
        "payload": {"type": "string", "format": "binary", "x-arrow-columns": columns},
    }


def _row_columns(row: type[Row]) -> dict[str, str]:
    stamps = {"trade_date": "date32", "available_at": "timestamp[us, UTC]"}
    if "ts" in row.__struct_fields__:
        stamps = {"ts": "timestamp[us, UTC]"}
    figures = {
        c.name: _figure_type(c)
        + (", null where absent" if c.optional else f", {c.sign.value}" if c.sign is not Sign.ANY else "")
        for c in FIGURES[row.topic]
    }
    texts = dict.fromkeys(row.texts, "string, null where absent")
    return {row.key_field: "string"} | stamps | {"source": "string", "revision": "int32"} | texts | figures


def _figure_type(column: Column) -> str:
    if column.labels:
        return "string"
    if column.flag:
        return "bool, or a number: 1 or 0"
    return "float64, days since 1970-01-01" if column.date else "float64"


def _columns(level: Level) -> dict[str, str]:
    """The columns of a frame of signals: of each signal its own, its rank and its parts."""
    columns: dict[str, str] = {}
    for s in signals_of(level):
        columns[s.id] = f"{s.unit}: {s.title} {s.title_zh}"
        for name in s.beside:
            columns[name] = f"rank of {s.id}" if name.endswith("_rank") else f"{s.unit}: part of {s.id}"
    return columns


def _security() -> dict[str, Any]:
    metadata = (
        "Schema metadata: status (DayStatus as JSON), degraded, left_out (column → why it is absent, of all or of an "
        f"exchange), family (financing or pricing): a frame has the columns of its family. {_NUMBERS}"
    )
    of_signals = {"fin_balance": "CNY: Margin balance 融资余额"} | _columns(Level.SECURITY)
    columns = {
        name: f"{family}, {text}"
        for family in FAMILIES
        for name, text in of_signals.items()
        if name in columns_of(family) or (name in PUBLISHED_COLUMNS and family == FINANCING)
    }
    return _frame("All securities of a day.", {"code": "string"} | columns, metadata)


def _industry() -> dict[str, Any]:
    metadata = f"Schema metadata: status (DayStatus as JSON), degraded, left_out (column → why). {_NUMBERS}"
    columns = {"industry": "string"} | _columns(Level.INDUSTRY)
    return _frame("All industries of a day.", columns, metadata)


#: The message of each output topic: name, description, type.
_OUTPUTS: dict[str, tuple[str, Callable[[], dict[str, Any]], bytes]] = {
    Topic.SIGNALS_MARKET: (
        "MarketSignal",
        lambda: _json("MarketSignal", "One market signal of one trade date."),
        MARKET_TYPE,
    ),
    Topic.SIGNALS_SECURITY: ("SecuritySignals", _security, SECURITY_TYPE),
    Topic.SIGNALS_INDUSTRY: ("IndustrySignals", _industry, INDUSTRY_TYPE),
    Topic.ALERTS: ("Alert", lambda: _json("Alert", "One fact in its newest state, keyed by its id."), ALERT_TYPE),
    Topic.ALERTS_LOG: (
        "AlertEvent",
        lambda: _json("AlertEvent", "One change of an alert, keyed by the alert's id."),
        ALERT_EVENT_TYPE,
    ),
}
_DEAD_LETTER: dict[str, Any] = {
    "summary": "A message that was refused: original bytes, the reason in headers.",
    "headers": {
        "type": "object",
        "properties": {name: {"type": "string"} for name in (*_PLACE, *_LETTER)},
        "required": [*_PLACE],
    },
    "payload": {"type": "string", "format": "binary"},
}
