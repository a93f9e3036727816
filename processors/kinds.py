"""What kind of security a code is, its board and its daily price limit, by the code ranges that the exchanges allot.

The first three digits decide. One number may exist on several exchanges (112001 is a bond of Shanghai and of Shenzhen),
so a kind needs the exchange; `exchange_of_number` guesses it where a file has none.
"""

from __future__ import annotations

from datetime import date
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from processors.arrays import Floats, Ids, Indexer, Mask
from processors.days import to_day


class Kind(IntEnum):
    """Kinds of securities, the likeliest meaning of a bare number first."""

    STOCK = 0  # A shares and depositary receipts
    FUND = 1  # 基金: ETF, LOF, REIT
    B_SHARE = 2
    CONVERTIBLE = 3  # 可转债
    REPO = 4  # 质押式回购
    BOND = 5
    INDEX = 6
    OTHER = 7  # preferred shares, rights, subscriptions, unallotted ranges


_SH, _SZ, _BJ, _SI = range(4)
#: Exchange, first and last three digits of a range, kind. A later range overrides an earlier one.
_RANGES: tuple[tuple[int, int, int, Kind], ...] = (
    (_SH, 0, 0, Kind.INDEX),
    (_SH, 9, 20, Kind.BOND),
    (_SH, 100, 199, Kind.BOND),
    *((_SH, head, head, Kind.CONVERTIBLE) for head in (110, 111, 113, 118)),
    (_SH, 201, 207, Kind.REPO),
    (_SH, 240, 279, Kind.BOND),
    (_SH, 500, 599, Kind.FUND),
    (_SH, 600, 699, Kind.STOCK),
    (_SH, 880, 889, Kind.INDEX),  # boards of a data vendor
    (_SH, 900, 900, Kind.B_SHARE),
    (_SH, 930, 959, Kind.INDEX),
    (_SZ, 0, 9, Kind.STOCK),
    (_SZ, 100, 149, Kind.BOND),
    *((_SZ, head, head, Kind.CONVERTIBLE) for head in (123, 125, 126, 127, 128)),
    (_SZ, 131, 131, Kind.REPO),
    (_SZ, 140, 140, Kind.OTHER),  # preferred shares
    (_SZ, 150, 169, Kind.FUND),
    (_SZ, 180, 189, Kind.FUND),
    (_SZ, 190, 199, Kind.BOND),
    (_SZ, 200, 201, Kind.B_SHARE),
    (_SZ, 300, 309, Kind.STOCK),
    (_SZ, 390, 399, Kind.INDEX),
    (_SZ, 970, 989, Kind.INDEX),
    *((_BJ, head, head + 9, Kind.STOCK) for head in (430, 830, 870, 880, 920)),
    (_BJ, 810, 819, Kind.BOND),
    (_BJ, 899, 899, Kind.INDEX),
    (_SI, 0, 999, Kind.INDEX),
)
#: Ranges in which both exchanges list bonds that are traded: a number alone names neither.
_SHARED_BONDS: Final = frozenset({120, 121, 122, 124, 125, 126, 129})
#: Boards of data vendors and stocks of Beijing: a number alone is either.
_VENDOR_BOARDS: Final = range(880, 890)
#: Of the other ranges with bonds of both exchanges, those in which Shanghai's are traded; in the rest Shenzhen's are.
_SHANGHAI_BONDS: Final = frozenset({130, 132, *range(135, 140), *range(141, 148)})


def _table() -> npt.NDArray[np.uint8]:
    out = np.full((4, 1000), Kind.OTHER, dtype=np.uint8)
    for exchange, first, last, kind in _RANGES:
        out[exchange, first : last + 1] = kind
    return out


_KINDS = _table()


def _place(securities: Ids) -> npt.NDArray[np.int32]:
    """Return the place of each id in a table of exchanges × first three digits (n,)."""
    return (securities & 3) * np.int32(1_000) + securities // np.int32(4_000)


def kinds_of(securities: Ids) -> npt.NDArray[np.uint8]:
    """Return the `Kind` of each id (n,)."""
    return np.asarray(_KINDS.ravel()[_place(securities)])


def kind_of(security: int) -> Kind:
    """Return the kind of one id.

    Examples
    --------
    >>> from processors.codes import to_id
    >>> [kind_of(to_id(code)).name for code in ("113050.SH", "131810.SZ", "900901.SH", "689009.SH")]
    ['CONVERTIBLE', 'REPO', 'B_SHARE', 'STOCK']
    """
    return Kind(int(_KINDS[security % 4, security // 4_000]))


def is_stock(securities: Ids) -> Mask:
    """Return which ids are A shares or depositary receipts (n,)."""
    return np.asarray(kinds_of(securities) == Kind.STOCK)


def is_fund(securities: Ids) -> Mask:
    """Return which ids are listed funds (n,)."""
    return np.asarray(kinds_of(securities) == Kind.FUND)


def is_index(securities: Ids) -> Mask:
    """Return which ids are indices (n,)."""
    return np.asarray(kinds_of(securities) == Kind.INDEX)


def exchange_of_number(number: str) -> str | None:
    """Return SH, SZ or BJ for six digits without an exchange; None if no exchange allots them, or two do for bonds.

    Of several meanings the likeliest counts, in the order of `Kind`: 000001 is a stock of Shenzhen, not an index.
    880003 has none: it is the average price of a terminal, or a stock of Beijing.

    Examples
    --------
    >>> [exchange_of_number(n) for n in ("113050", "159915", "204001", "131810", "920799", "900901", "200012")]
    ['SH', 'SZ', 'SH', 'SZ', 'BJ', 'SH', 'SZ']
    """
    head = int(number[:3])
    found = _KINDS[:_SI, head]
    kind = int(found.min())
    if kind == Kind.OTHER or head in _VENDOR_BOARDS:
        return None
    if kind == Kind.BOND and head in _SHARED_BONDS:
        return None
    if kind == Kind.BOND and head in _SHANGHAI_BONDS:
        return "SH"
    # Of the other bonds of both exchanges, Shenzhen's.
    return ("SH", "SZ", "BJ")[int(np.flatnonzero(found == kind)[-1])]


# -- boards and price limits ---------------------------------------------------------------------------------------

#: Boards of stocks, in the order of `board_of`.
BOARDS: Final = ("SSE main", "SZSE main", "ChiNext", "STAR", "BSE")
_SSE_MAIN, _SZSE_MAIN, _CHINEXT, _STAR, _BSE = range(len(BOARDS))


def _board_table() -> Indexer:
    out = np.full((4, 1000), _SSE_MAIN, dtype=np.intp)
    out[_SZ], out[_BJ] = _SZSE_MAIN, _BSE
    out[_SH, 688:690] = _STAR  # 689 are depositary receipts
    out[_SZ, 300:310] = _CHINEXT
    return out


_BOARDS: Final = _board_table()


def board_of(securities: Ids) -> Indexer:
    """Return the index into `BOARDS` of each stock (n,)."""
    return np.asarray(_BOARDS.ravel()[_place(securities)])


def is_star(securities: Ids) -> Mask:
    """Return which ids are stocks of STAR 科创板: SH 688xxx, and 689xxx (depositary receipts) (n,)."""
    return np.asarray(board_of(securities) == _STAR)


def is_chinext(securities: Ids) -> Mask:
    """Return which ids are stocks of ChiNext 创业板: SZ 30xxxx (n,)."""
    return np.asarray(board_of(securities) == _CHINEXT)


#: ChiNext has a limit of 20% from this day on, and new listings have none for five days.
_CHINEXT_REFORM = to_day(date(2020, 8, 24))
#: New listings of the main boards have no limit for five days from this day on.
_MAIN_BOARD_REFORM = to_day(date(2023, 4, 10))
#: Largest daily move of a fund, and how far rounding to a cent may carry a move beyond a limit; fractions.
FUND_LIMIT: Final = 0.20
LIMIT_TOLERANCE: Final = 0.005
#: The limit of a stock under special treatment (ST) on the main boards: no security has a smaller one.
SMALLEST_LIMIT: Final = 0.05
#: Days of a listing without a limit, where the board has none.
UNLIMITED_DAYS: Final = 5


def daily_limits(securities: Ids, day: int, st: Mask) -> Floats:
    """Return the largest daily move of each security, a fraction (n,); ∞ where it has none.

    Funds have `FUND_LIMIT` (ours: those of STAR's and ChiNext's indices do, and a split moves a price further).

    Parameters
    ----------
    st : (n,) whether a stock is under special treatment (ST), which halves the main boards' limit.
    """
    wide = 0.20 if day >= _CHINEXT_REFORM else 0.10
    board, kinds, main = board_of(securities), kinds_of(securities), np.where(st, SMALLEST_LIMIT, 0.10)
    of_stocks = np.where(board <= _SZSE_MAIN, main, np.array([np.nan, np.nan, wide, 0.20, 0.30])[board])
    others = np.where(kinds == Kind.FUND, FUND_LIMIT, np.where(kinds == Kind.B_SHARE, main, np.inf))
    return np.where(kinds == Kind.STOCK, of_stocks, others)


def limit_prices(before: Floats, limits: Floats) -> tuple[Floats, Floats]:
    """Return the highest and the lowest price that the exchange accepts: a limit is rounded half up to a cent (n,).

    Parameters
    ----------
    before : (n,) the close before in whole cents, CNY.
    limits : (n,) as of `daily_limits`.

    Examples
    --------
    >>> limit_prices(np.array([1.15, 4.35, 4.36]), np.full(3, 0.1))
    (array([1.27, 4.79, 4.8 ]), array([1.04, 3.92, 3.92]))
    """
    cents, percents = np.rint(before * 100), np.rint(limits * 100)  # half a cent is exact in whole numbers alone
    highest, lowest = (np.floor((cents * (100 + percent) + 50) / 100) / 100 for percent in (percents, -percents))
    return highest, lowest


def unlimited_listings(securities: Ids, day: int) -> Mask:
    """Return on which securities' boards a new listing has no limit for `UNLIMITED_DAYS` (n,)."""
    board = board_of(securities)
    free = board == _STAR
    if day >= _CHINEXT_REFORM:
        free |= board == _CHINEXT
    if day >= _MAIN_BOARD_REFORM:
        free |= (board == _SSE_MAIN) | (board == _SZSE_MAIN)
    return np.asarray(free & is_stock(securities))
