"""Security codes as text (`600519.SH`) and as int32 ids.

Inputs and outputs carry text. Arrays contain ids, so that NumPy looks up thousands of rows at once.
"""

from __future__ import annotations

import re
from functools import lru_cache

import numpy as np

from processors.arrays import Array, Floats, Ids, Indexer, Keys, Mask
from processors.errors import RowError

NO_IDS: Ids = np.empty(0, dtype=np.int32)

EXCHANGES = ("SSE", "SZSE", "BSE")
#: Suffixes behind the dot: three exchanges, and Shenwan (SI), whose indices no exchange publishes.
_SUFFIX_TEXT = ("SH", "SZ", "BJ", "SI")
#: Exchange → suffix of its codes.
SUFFIX_OF = dict(zip(EXCHANGES, _SUFFIX_TEXT, strict=False))
_SUFFIXES = {text: i for i, text in enumerate(_SUFFIX_TEXT)}
SHENWAN = _SUFFIXES["SI"]
CODE_LENGTH = 9
_CODE = re.compile(rf"[0-9]{{6}}\.({'|'.join(_SUFFIX_TEXT)})")
#: Pieces of a code, three bytes each: the numbers from 000 to 999, and the dot with the suffix.
_TRIPLES = np.frombuffer("".join(f"{n:03d}" for n in range(1000)).encode(), dtype="V3")
_DOT_SUFFIXES = np.frombuffer("".join(f".{s}" for s in _SUFFIX_TEXT).encode(), dtype="V3")
#: What a digit adds to an id: floats, whose product is the fastest, and exact.
_DIGIT_WEIGHTS = np.array([4.0 * 10**power for power in range(5, -1, -1)])
_SUFFIX_OF_BYTES = np.full(2**16, -1, dtype=np.int32)  # first byte × 256 + second byte → suffix
_SUFFIX_OF_BYTES[[ord(s[0]) << 8 | ord(s[1]) for s in _SUFFIX_TEXT]] = range(len(_SUFFIX_TEXT))
_ZERO = np.uint8(ord("0"))


@lru_cache(maxsize=65_536)
def to_id(code: str) -> int:
    """Return the id of one code: ``number * 4 + exchange``.

    Raises
    ------
    RowError : for any other text.

    Examples
    --------
    >>> to_id("600519.SH"), to_id("000001.SZ")
    (2402076, 5)
    """
    if _CODE.fullmatch(code) is None:
        raise RowError(f"security code {code!r}: expected six digits and .SH, .SZ or .BJ, e.g. 600519.SH")
    return int(code[:6]) * 4 + _SUFFIXES[code[7:]]


@lru_cache(maxsize=65_536)
def to_code(security: int) -> str:
    """Return the code of an id, the inverse of `to_id`.

    Examples
    --------
    >>> to_code(2402076)
    '600519.SH'
    """
    return f"{security // 4:06d}.{_SUFFIX_TEXT[security % 4]}"


def to_codes(securities: Ids) -> list[str]:
    """Return the codes of many ids."""
    return [to_code(s) for s in securities.tolist()]


def join_codes(securities: Ids) -> bytes:
    """Return the concatenated codes of many ids, nine ASCII bytes each: the inverse of `parse_codes`."""
    pieces = np.empty((len(securities), 3), dtype="V3")
    head, tail = np.divmod(securities >> 2, 1000)
    pieces[:, 0], pieces[:, 1] = _TRIPLES.take(head), _TRIPLES.take(tail)
    pieces[:, 2] = _DOT_SUFFIXES.take(securities % 4)
    return pieces.tobytes()


@lru_cache(maxsize=32)
def parse_codes(text: bytes, count: int) -> Ids:
    """Return the ids of ``count`` concatenated codes (count,), read-only: those of one day are often those of the next.

    Parameters
    ----------
    text : the codes without separators, nine ASCII bytes each (the data buffer of an Arrow string column).
    count : number of codes.

    Raises
    ------
    RowError : if any of them is not a code; the message names the first one.
    """
    if len(text) != count * CODE_LENGTH:
        raise RowError(f"security codes must have {CODE_LENGTH} characters each, e.g. 600519.SH")
    grid = np.frombuffer(text, dtype=np.uint8).reshape(count, CODE_LENGTH)
    digits = grid[:, :6] - _ZERO  # below "0" it wraps around, to more than 9
    exchange = _SUFFIX_OF_BYTES[grid[:, 7].astype(np.uint16) << 8 | grid[:, 8]]
    if digits.max(initial=0) > 9 or exchange.min(initial=0) < 0 or (grid[:, 6] != ord(".")).any():
        bad = (digits > 9).any(axis=1) | (exchange < 0) | (grid[:, 6] != ord("."))
        to_id(grid[int(np.argmax(bad))].tobytes().decode("utf-8", "replace"))
    found: Ids = (digits @ _DIGIT_WEIGHTS).astype(np.int32) + exchange
    found.flags.writeable = False
    return found


def exchange_of(securities: Ids) -> Ids:
    """Return the index into `EXCHANGES` of each security (n,); 3 for Shenwan's indices."""
    return securities % 4


def places_sorted(keys: Keys, known: Keys) -> Indexer:
    """Return the place of each key in ``known`` (n,), −1 where it is not there.

    Parameters
    ----------
    known : ascending.

    Examples
    --------
    >>> places_sorted(np.array([7, 8]), np.array([5, 7]))
    array([ 1, -1])
    """
    if not len(known):
        return np.full(len(keys), -1, dtype=np.intp)
    at = np.searchsorted(known, keys)
    at[at == len(known)] = 0
    at[known[at] != keys] = -1
    return at


def taken(values: Array, places: Indexer) -> Floats:
    """Return the values at places of `places_sorted` (n,); NaN at −1."""
    if not len(values):
        return np.full(len(places), np.nan)
    out = values[places].astype(np.float64, copy=False)
    out[places < 0] = np.nan
    return out


def isin_sorted(keys: Ids, known: Ids) -> Mask:
    """Return which of ``keys`` are in ``known`` (n,).

    Parameters
    ----------
    known : ascending.
    """
    return places_sorted(keys, known) >= 0


def reindex_sorted(keys: Ids, known: Ids, values: Floats) -> Floats:
    """Return the values of ``known`` for other keys (n,); NaN where ``known`` lacks a key.

    Parameters
    ----------
    keys : (n,)
    known, values : (m,) ascending keys and their values.

    Examples
    --------
    >>> reindex_sorted(np.array([7, 8]), np.array([5, 7]), np.array([0.5, 0.7]))
    array([0.7, nan])
    """
    return taken(values, places_sorted(keys, known))
