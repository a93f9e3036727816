"""Binary encoding of a header and columns: a schema version, msgpack, raw little-endian arrays.

Equal values give equal bytes, whatever the order in which they were built: a rebuild and the replay tests compare
bytes.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from processors.arrays import Array
from processors.table import encode_row, read_row

VERSION = 1

_decoder = msgspec.msgpack.Decoder(tuple[int, dict[str, Any], list[tuple[str, str, bytes]]])


def pack(header: dict[str, Any], columns: dict[str, Array]) -> bytes:
    """Return the bytes of ``header`` (plain types) and ``columns`` (one-dimensional arrays)."""
    return encode_row((VERSION, header, [(name, a.dtype.str, a.tobytes()) for name, a in columns.items()]))


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, Array]]:
    """Return header and columns of packed bytes, the inverse of `pack`; the arrays are read-only views.

    Raises
    ------
    StateError : if the bytes are damaged or have another schema version.
    """
    _, header, columns = read_row(_decoder, data, VERSION)
    return header, {name: np.frombuffer(raw, dtype=dtype) for name, dtype, raw in columns}
