"""Security codes: what is `600519.SH`, and how is it held in arrays?

Codes are text at the edges (`600519.SH`, `000001.SZ`, `430047.BJ`) and one int32 inside, so that a frame of
thousands of rows is looked up with NumPy and never row by row.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from processors.errors import RowError

Ids = npt.NDArray[np.int32]

EXCHANGES = ("SSE", "SZSE", "BSE")
#: What stands behind the dot: three exchanges, and Shenwan's indices, which no exchange publishes.
_SUFFIX_TEXT = ("SH", "SZ", "BJ", "SI")
_SUFFIXES = {text: i for i, text in enumerate(_SUFFIX_TEXT)}
SHENWAN = _SUFFIXES["SI"]
_CODE_LENGTH = 9
_TRIPLES = np.frombuffer("".join(f"{n:03d}" for n in range(1000)).encode(), dtype=np.uint8).reshape(-1, 3)
_SUFFIX_BYTES = np.frombuffer("".join(_SUFFIX_TEXT).encode(), dtype=np.uint8).reshape(-1, 2)
_SUFFIX_FROM_BYTES = {(ord(s[0]), ord(s[1])): i for s, i in _SUFFIXES.items()}


@lru_cache(maxsize=65_536)
def to_id(code: str) -> int:
    """Return the int32 of one code: ``number * 4 + exchange``; raises `RowError` for anything else."""
    suffix = _SUFFIXES.get(code[7:])
    if (
        suffix is None
        or len(code) != _CODE_LENGTH
        or code[6] != "."
        or not code[:6].isascii()
        or not code[:6].isdigit()
    ):
        raise RowError(f"security code {code!r}: expected six digits and .SH, .SZ or .BJ, e.g. 600519.SH")
    return int(code[:6]) * 4 + suffix


@lru_cache(maxsize=65_536)
def to_code(security: int) -> str:
    """Return the code of an id, the inverse of `to_id`."""
    return f"{security // 4:06d}.{_SUFFIX_TEXT[security % 4]}"


def to_codes(securities: Ids) -> list[str]:
    """Return the codes of many ids."""
    return [to_code(s) for s in securities.tolist()]


def join_codes(securities: Ids) -> bytes:
    """Return the codes of many ids one behind the other, nine ASCII bytes each: the inverse of `parse_codes`."""
    grid = np.empty((len(securities), _CODE_LENGTH), dtype=np.uint8)
    head, tail = np.divmod(securities >> 2, 1000)
    grid[:, :3], grid[:, 3:6] = _TRIPLES[head], _TRIPLES[tail]
    grid[:, 6] = ord(".")
    grid[:, 7:] = _SUFFIX_BYTES[securities % 4]
    return grid.tobytes()


def parse_codes(text: bytes, count: int) -> Ids:
    """Parse the concatenated bytes of ``count`` codes at once.

    Parameters
    ----------
    text : the codes without separators, nine ASCII bytes each (the data buffer of an Arrow string column).
    count : how many.

    Raises
    ------
    RowError : if any of them is not a code; the first offender is named.
    """
    if len(text) != count * _CODE_LENGTH:
        raise RowError(f"security codes must have {_CODE_LENGTH} characters each, e.g. 600519.SH")
    grid = np.frombuffer(text, dtype=np.uint8).reshape(count, _CODE_LENGTH)
    digits = grid[:, :6].astype(np.int32) - ord("0")
    number = digits @ np.array([100_000, 10_000, 1_000, 100, 10, 1], dtype=np.int32)
    exchange = np.full(count, -1, dtype=np.int32)
    for (first, second), index in _SUFFIX_FROM_BYTES.items():
        exchange[(grid[:, 7] == first) & (grid[:, 8] == second)] = index
    bad = (digits < 0).any(axis=1) | (digits > 9).any(axis=1) | (exchange < 0) | (grid[:, 6] != ord("."))
    if bad.any():
        row = int(np.argmax(bad))
        to_id(grid[row].tobytes().decode("utf-8", "replace"))
    return number * 4 + exchange


def exchange_of(securities: Ids) -> Ids:
    """Index into `EXCHANGES` for each security."""
    return securities % 4


def is_fund(securities: Ids) -> npt.NDArray[np.bool_]:
    """Exchange-traded and listed funds (ETF, LOF) by code range: SH 5xxxxx; SZ 15xxxx, 16xxxx, 18xxxx."""
    number, exchange = securities // 4, securities % 4
    head = number // 10_000
    in_sh = (exchange == 0) & (number // 100_000 == 5)
    in_sz = (exchange == 1) & ((head == 15) | (head == 16) | (head == 18))
    return np.asarray(in_sh | in_sz)


def isin_sorted(keys: Ids, known: Ids) -> npt.NDArray[np.bool_]:
    """Which of ``keys`` are in ``known``, which ascends."""
    if not len(known):
        return np.zeros(len(keys), dtype=bool)
    return np.asarray(known[np.minimum(np.searchsorted(known, keys), len(known) - 1)] == keys)


def reindex_sorted(keys: Ids, known: Ids, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Values of ``known`` (which ascends) for other keys; NaN where a key is not among them."""
    found, out = isin_sorted(keys, known), np.full(len(keys), np.nan)
    out[found] = values[np.searchsorted(known, keys[found])]
    return out


def is_chinext(securities: Ids) -> npt.NDArray[np.bool_]:
    """Stocks of ChiNext 创业板: SZ 30xxxx."""
    return np.asarray((securities % 4 == 1) & (securities // 4 // 10_000 == 30))


#: Boards of stocks, in the order of `board_of`.
BOARDS = ("SSE main", "SZSE main", "ChiNext", "STAR", "BSE")


def board_of(securities: Ids) -> npt.NDArray[np.intp]:
    """Place of each stock's board in `BOARDS`."""
    exchange = securities % 4
    star = (exchange == 0) & (securities // 4 // 1_000 == 688)
    return np.select([star, is_chinext(securities), exchange == 1, exchange == 2], [3, 2, 1, 4], 0)
