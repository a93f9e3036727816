"""What a signal is and where a value comes from: `marginwatch explain`.

The declaration comes from the registry. The derivation of a date is what was published (value, details, the revisions
of its inputs) and the rows that went in, as the tables in Redis contain them.
"""

from __future__ import annotations

import dataclasses
from datetime import date
from typing import Any, cast

import numpy as np
from redis import Redis

from processors.codes import to_code, to_id
from processors.column_table import bucket_count
from processors.day_rows import day_layout
from processors.events import INPUT_ROWS, KEYS
from processors.industries import INDUSTRIES
from processors.outputs import DayStatus, MarketSignal
from processors.registry import INDUSTRY_SIGNALS, SIGNALS
from processors.signal import Level, Signal
from streams import readers
from streams.errors import ExplainError
from streams.settings import Settings
from streams.system_status import connected
from streams.tables import table_key
from streams.topics import Topic, partition_of

#: Input topics of which the market stage stores whole days; the others are rows of one security.
_MARKET_TOPICS = (Topic.MARGIN_MARKET, Topic.INDICES_DAILY, Topic.RATES_DAILY)
_MOST_ROWS = 12


def declaration(settings: Settings, name: str) -> list[tuple[Signal, dict[str, Any]]]:
    """Return every signal of this id (a market and an industry may share one) with its parameters' values."""
    found = [signals[name] for signals in (SIGNALS, INDUSTRY_SIGNALS) if name in signals]
    if not found:
        close = [other for other in (*SIGNALS, *INDUSTRY_SIGNALS) if name[:4] in other]
        hint = f"did you mean {', '.join(dict.fromkeys(close))}?" if close else "the documentation lists all"
        raise ExplainError(f"there is no signal {name!r}: {hint}")
    values = dataclasses.asdict(settings.parameters)
    return [(signal, {parameter: values[parameter] for parameter in signal.parameters}) for signal in found]


def derivation(settings: Settings, name: str, day: date, subject: str | None) -> dict[str, Any]:
    """Return what was published of a signal on a day, and the rows that went in.

    Parameters
    ----------
    subject : a code, an industry, or the subject of a market signal; None for the market.

    Raises
    ------
    ExplainError : if nothing was published, naming what to look at.
    """
    if name in INDUSTRY_SIGNALS and subject in INDUSTRIES:
        return _industry(settings, name, day, str(subject))
    if name not in SIGNALS:
        raise ExplainError(f"{name} is a signal of industries: name one with --of, e.g. --of 银行")
    signal = SIGNALS[name]
    if signal.level is Level.SECURITY:
        if subject is None:
            raise ExplainError(f"{name} is a signal of securities: name one with --of, e.g. --of 600519.SH")
        return _security(settings, signal, day, subject)
    wanted = name if subject is None else f"{name}/{subject}"
    published: MarketSignal | None = None
    subjects = set()
    for one in readers.market_signals(settings):
        if one.signal == name:
            subjects.add(one.subject)
            if one.name == wanted and one.trade_date == day and not one.provisional:
                published = one
    if published is None:
        if signal.subjects and subject not in subjects:
            raise ExplainError(
                f"{name} has a value per subject: name one with --of: {', '.join(sorted(subjects)) or '?'}"
            )
        raise ExplainError(_nothing(wanted, day))
    with connected(settings) as client:
        inputs = {topic: _market_rows(client, settings, topic, day, subject) for topic in signal.inputs}
    return {
        "signal": wanted,
        "trade_date": day,
        "value": published.value,
        "reason": published.reason,
        "available_at": published.available_at,
        "revision": published.revision,
        "input_revisions": published.input_revisions,
        "missing": published.missing,
        "details": published.details,
        "inputs": {topic: rows for topic, rows in inputs.items() if rows},
    }


def _nothing(name: str, day: date) -> str:
    return (
        f"nothing was published of {name} on {day}: is it a trading day, has every feed that it needs closed it? See "
        "`marginwatch status`"
    )


def _security(settings: Settings, signal: Signal, day: date, code: str) -> dict[str, Any]:
    key = to_id(code)
    found: tuple[DayStatus, dict[str, Any]] | None = None
    for frame in readers.security_signals(settings):
        at = int(np.searchsorted(frame.keys, key))
        here = at < len(frame.keys) and frame.keys[at] == key
        if here and signal.id in frame.columns and frame.status.trade_date == day:
            found = frame.status, {name: _plain(values[at]) for name, values in frame.columns.items()}
    if found is None:
        raise ExplainError(_nothing(f"{signal.id} of {code}", day))
    status, columns = found
    table = table_key(settings.namespace, "securities", partition_of(code, settings.partitions))
    with connected(settings) as client:
        rows = _days_of(client, table, Topic.MARGIN_DAILY, day, key)
    return _described(signal.id, code, status, columns) | {"inputs": {Topic.MARGIN_DAILY: rows}}


def _industry(settings: Settings, name: str, day: date, industry: str) -> dict[str, Any]:
    at = INDUSTRIES.index(industry)
    found: dict[str, Any] | None = None
    for frame in readers.industry_signals(settings):
        if frame.status.trade_date == day:
            columns = {column: _plain(values[at]) for column, values in frame.columns.items()}
            parts = {
                c: v for c, v in columns.items() if c == name or c.startswith((f"{name}_", "fin_", "net_", "buy_"))
            }
            found = _described(name, industry, frame.status, parts | {name: columns[name]})
            found["left_out"] = {part: why for part, why in frame.left_out.items() if part.startswith(name)}
    if found is None:
        raise ExplainError(_nothing(f"{name} of {industry}", day))
    return found


def _described(name: str, subject: str, status: DayStatus, columns: dict[str, Any]) -> dict[str, Any]:
    return {
        "signal": f"{name}/{subject}",
        "trade_date": status.trade_date,
        "value": columns.pop(name),
        "reason": "",
        "available_at": status.available_at,
        "revision": status.revision,
        "input_revisions": status.input_revisions,
        "missing": status.missing,
        "details": columns,
    }


def _market_rows(client: Redis, settings: Settings, topic: str, day: date, subject: str | None) -> list[dict[str, Any]]:
    """The day's rows of a topic that the market stage stores: all of a few, else the subject's."""
    if topic not in _MARKET_TOPICS:
        return []
    rows = _rows(client, table_key(settings.namespace, "market", 0), topic, day)
    wanted = [row for row in rows if row["key"] == subject]
    return wanted or [row for row in rows if not str(row["key"]).endswith(".SI")][:_MOST_ROWS]


def _days_of(client: Redis, table: str, topic: str, day: date, key: int) -> list[dict[str, Any]]:
    """A security's rows of the last days up to ``day``, newest last."""
    names = [n.decode() for n in cast("list[bytes]", client.hkeys(f"{table}:rows"))]
    days = sorted(n.partition("/")[2] for n in names if n.startswith(f"{topic}/") and "#" not in n)
    out = []
    for iso in [d for d in days if d <= day.isoformat()][-_MOST_ROWS:]:
        rows = _rows(client, table, topic, date.fromisoformat(iso), key)
        out += [{"trade_date": iso} | row for row in rows]
    return out


def _rows(client: Redis, table: str, topic: str, day: date, only: int | None = None) -> list[dict[str, Any]]:
    field, layout = f"{topic}/{day.isoformat()}", day_layout(topic)
    header = client.hget(f"{table}:rows", field)
    if not isinstance(header, bytes):
        return []
    buckets = [f"{field}#{bucket}" for bucket in range(bucket_count(layout.read_header(header)[1]))]
    pipe = client.pipeline(transaction=True)  # a worker may store the day meanwhile
    pipe.hget(f"{table}:rows", field)
    pipe.hmget(f"{table}:rows", buckets)
    header, found = pipe.execute()
    stored = layout.join(header, [data for data in found if data is not None])
    words = KEYS.get(INPUT_ROWS[topic].key_field)
    out = []
    for i, key in enumerate(stored.keys.tolist()):
        if only is None or key == only:
            row = {name: _plain(values[i]) for name, values in stored.columns.items()}
            known = {name: value for name, value in row.items() if value is not None}
            out.append({"key": to_code(key) if words is None else words[key]} | known)
    return out


def _plain(value: Any) -> Any:
    """A NumPy scalar as a Python value; NaN is None."""
    plain = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plain, float) and np.isnan(plain) else plain
