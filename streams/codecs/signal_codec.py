"""Signals as messages: one JSON message per market signal and day, one Arrow frame per day for securities.

``signals.market.v1``    key ``<signal>/<date>`` or ``<signal>/<subject>/<date>``, JSON of `MarketSignal`.
``signals.security.v1``  key ``<date>/<family>``, an Arrow IPC stream: a row per security, a column per signal; the
schema's metadata ``status`` is the JSON of `DayStatus`, with what is ``missing``; ``degraded`` is true if anything is.
Absent values are null.
``signals.industry.v1``  the same, a row per industry; the metadata ``left_out`` maps columns whose
inputs are missing to the reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cache

import msgspec
import numpy as np
import pyarrow as pa

from processors.arrays import Array
from processors.codes import parse_codes
from processors.days import check_times
from processors.errors import RowError
from processors.industries import INDUSTRIES
from processors.outputs import (
    EARLIER_RELEASE,
    FINANCING,
    PRICING,
    DayStatus,
    IndustrySignals,
    MarketSignal,
    SecuritySignals,
)
from processors.registry import INDUSTRY_SIGNALS, PRICING_INDICATORS, signals_of
from processors.signal import Level
from streams.codecs.arrow_stream import Table, read_stream
from streams.codecs.row_frames import code_array
from streams.records import ARROW, CE_ID, INDUSTRY_TYPE, MARKET_TYPE, SECURITY_TYPE, Keyed, headers_of
from streams.settings import MAX_BROKER_BYTES
from streams.tables import Output

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(MarketSignal).decode
_SOURCE = "marginwatch/market"
_PROVISIONAL = "provisional"


def encode_market(signal: MarketSignal, topic: str) -> Output:
    """Return a market signal as a message."""
    name, known_at = signal.name, signal.available_at
    key = f"{name}/{signal.trade_date.isoformat()}"
    value = _encode(signal)
    # A provisional value has no revision: its content identifies it.
    identity = f"{key}/" + (
        f"{_PROVISIONAL}/{hashlib.blake2b(value, digest_size=8).hexdigest()}"
        if signal.provisional
        else _vector(signal.input_revisions)
    )
    headers = headers_of(MARKET_TYPE, identity=identity, source=_SOURCE, subject=name, time=known_at)
    return Output(topic, 0, key.encode(), value, headers)


def encode_security(signals: SecuritySignals, topic: str) -> Output:
    """Return a day's security signals as a frame."""
    status = signals.status
    columns: dict[str, pa.Array] = {"code": code_array(signals.keys)}
    for name, values in signals.columns.items():
        columns[name] = pa.array(values, from_pandas=values.dtype.kind == "f")
    metadata = _status(status) | {"left_out": _encode(signals.left_out), "family": signals.family.encode()}
    frame = _frame(columns, metadata)
    return _message(topic, SECURITY_TYPE, f"{status.trade_date}/{signals.family}", status, frame)


def encode_industry(signals: IndustrySignals, topic: str) -> Output:
    """Return a day's industry signals as a frame."""
    status = signals.status
    columns: dict[str, pa.Array] = {"industry": pa.array(INDUSTRIES, type=pa.string())}
    columns |= {name: pa.array(values, from_pandas=True) for name, values in signals.columns.items()}
    frame = _frame(columns, {**_status(status), "left_out": _encode(signals.left_out)})
    return _message(topic, INDUSTRY_TYPE, f"{status.trade_date}", status, frame)


def _status(status: DayStatus) -> dict[str, bytes]:
    return {"status": _encode(status), "degraded": _encode(status.degraded)}


def _message(topic: str, kind: bytes, key: str, status: DayStatus, frame: bytes) -> Output:
    """Return the frame of a day as a message."""
    identity, day = f"{key}/{_vector(status.input_revisions)}", status.trade_date.isoformat()
    known_at = status.available_at
    headers = headers_of(kind, identity=identity, source=_SOURCE, subject=day, time=known_at, content_type=ARROW)
    return Output(topic, 0, key.encode(), frame, headers)


def decode_market(value: bytes) -> MarketSignal:
    """Return what `encode_market` was given; raises `msgspec.DecodeError` if it is no market signal."""
    signal = _decode(value)
    check_times([signal.trade_date, signal.available_at])
    return signal


def is_provisional(message: Keyed) -> bool:
    """Whether a message of `encode_market` has a provisional signal: its id says so."""
    begin = (message.key or b"") + f"/{_PROVISIONAL}/".encode()
    return any(name == CE_ID and (value or b"").startswith(begin) for name, value in message.headers or ())


def decode_industry(value: bytes) -> IndustrySignals:
    """Return what `encode_industry` was given; raises `RowError` or `msgspec.DecodeError` if it is no such frame."""
    table, status = _read(value, "industry")
    if table.columns.pop("industry").to_numpy().tolist() != list(INDUSTRIES):
        raise RowError("the rows of a frame of industry signals are not the industries")
    columns, lacking = _numbers(table, {*INDUSTRY_SIGNALS})
    left_out = msgspec.json.decode(table.constants["left_out"], type=dict[str, str])
    return IndustrySignals(status, columns, left_out | lacking)


def _frame(columns: dict[str, pa.Array], metadata: dict[str, bytes]) -> bytes:
    schema = pa.schema([(n, a.type) for n, a in columns.items()], metadata=metadata)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(list(columns.values()), schema=schema))
    return bytes(sink.getvalue())


def _vector(revisions: Mapping[str, int]) -> str:
    """The revisions of all inputs; their sum alone would be ambiguous if inputs were read in another order."""
    return ".".join([str(revision) for _, revision in sorted(revisions.items())])


def decode_security(value: bytes) -> SecuritySignals:
    """Return what `encode_security` was given; raises `RowError` or `msgspec.DecodeError` if it is no such frame."""
    table, status = _read(value, "code")
    keys = parse_codes(table.columns.pop("code").joined(), table.rows)
    family = table.constants.get("family", "")
    declared = columns_of(family)
    if not declared:
        raise RowError(f"there is no family {family[:64]!r} of security signals")
    # A frame of an earlier release names no reasons.
    left_out = msgspec.json.decode(table.constants.get("left_out", "{}"), type=dict[str, str])
    columns, lacking = _numbers(table, declared)
    return SecuritySignals(status, keys, columns, family, left_out | lacking)


@cache
def columns_of(family: str) -> frozenset[str]:
    """Return the columns of a family: the registered signals of securities, by whether they need prices."""
    level = {signal.id for signal in signals_of(Level.SECURITY)}
    pricing = level & {signal.id for module in PRICING_INDICATORS for signal in module.SIGNALS}
    return frozenset({PRICING: pricing, FINANCING: level - pricing}.get(family, ()))


def _numbers(table: Table, declared: Iterable[str]) -> tuple[dict[str, Array], dict[str, str]]:
    """Return the columns of a frame, all of which are numbers, and the reasons of the declared ones that it lacks.

    A frame of an earlier release lacks the figures that were added since: they are absent in all rows.
    """
    texts = [name for name, column in table.columns.items() if not column.type.startswith(("int", "uint", "float"))]
    if texts:
        raise RowError(f"{texts[0]} has no numbers")
    lacking = dict.fromkeys(sorted({*declared} - table.columns.keys()), EARLIER_RELEASE)
    columns = {name: column.to_numpy() for name, column in table.columns.items()}
    return columns | {name: np.full(table.rows, np.nan) for name in lacking}, lacking


def _read(value: bytes, key: str) -> tuple[Table, DayStatus]:
    """Return the columns of a frame and the status of its day."""
    table = read_stream(value, MAX_BROKER_BYTES)
    if key not in table.columns or "status" not in table.constants:
        raise RowError(f"the frame lacks the column {key!r} or the status of its day")
    status = msgspec.json.decode(table.constants["status"], type=DayStatus)
    check_times([status.trade_date, status.available_at])
    return table, status
