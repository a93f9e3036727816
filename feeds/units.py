"""The units and numbers of published figures: the unit of ``融资余额(亿元)``, the number ``1,234.56``.

A unit comes from the text of a header or from a mapping; it is never guessed from the size of the numbers.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import StrEnum

from feeds.errors import InputError
from processors.events import Floats


class Kind(StrEnum):
    """What a figure measures."""

    MONEY = "money"
    PRICE = "price"
    SHARES = "shares"
    RATIO = "ratio"
    NUMBER = "number"


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit; ``figure * times / over`` is the figure in CNY, shares or as a fraction.

    It has two factors because a percentage divided by 100 is another float than one multiplied by 0.01.
    """

    text: str
    kinds: tuple[Kind, ...]
    times: float = 1.0
    over: float = 1.0

    def apply(self, values: Floats) -> Floats:
        """Return the values in CNY, shares or fractions."""
        out = values * self.times if self.times != 1.0 else values
        return out / self.over if self.over != 1.0 else out


_MONEY, _SHARES, _RATIO = (Kind.MONEY,), (Kind.SHARES,), (Kind.RATIO,)
_LOT = 100.0  # 1 手 = 100 shares
UNITS: dict[str, Unit] = {
    unit.text: unit
    for unit in (
        Unit("元", (Kind.MONEY, Kind.PRICE)),
        Unit("千元", _MONEY, 1e3),
        Unit("万元", _MONEY, 1e4),
        Unit("百万元", _MONEY, 1e6),
        Unit("亿元", _MONEY, 1e8),
        Unit("股", _SHARES),
        Unit("份", _SHARES),
        Unit("手", _SHARES, _LOT),
        Unit("万股", _SHARES, 1e4),
        Unit("万份", _SHARES, 1e4),
        Unit("万手", _SHARES, 1e4 * _LOT),
        Unit("亿股", _SHARES, 1e8),
        Unit("亿份", _SHARES, 1e8),
        Unit("点", (Kind.PRICE,)),  # of an index
        Unit("%", _RATIO, over=100.0),
        Unit("‰", _RATIO, over=1000.0),
        Unit("fraction", _RATIO),
        Unit("倍", (Kind.NUMBER,)),
    )
}

#: What each figure of the input topics measures; words and flags have no entry.
KINDS: dict[str, Kind] = {
    **dict.fromkeys(("fin_balance", "fin_buy", "fin_repay", "short_balance", "turnover", "float_cap"), Kind.MONEY),
    **dict.fromkeys(("open", "high", "low", "close", "prev_close", "price", "last"), Kind.PRICE),
    **dict.fromkeys(("short_volume", "short_sell", "short_repay", "volume", "float_shares", "shares"), Kind.SHARES),
    **dict.fromkeys(("turnover_rate", "dividend_yield", "yield"), Kind.RATIO),
    **dict.fromkeys(("pe_ttm", "pb", "members"), Kind.NUMBER),
}

_HEADER = re.compile(r"^(?P<name>.*?)\s*[(（](?P<unit>[^()（）]*)[)）]$", re.DOTALL)
_SAME = str.maketrans({"，": ",", "％": "%", "／": "/", "、": "/", "\u3000": " ", "\u00a0": " "})


def split_header(text: str) -> tuple[str, str | None]:
    """Split ``融资余额(元)`` into its name and its unit; the unit is None if the header has no brackets."""
    clean = re.sub(r"\s+", "", text.translate(_SAME))
    found = _HEADER.match(clean)
    return (found["name"], found["unit"] or None) if found else (clean, None)


def parse_unit(text: str | None, kind: Kind, where: str) -> Unit:
    """Return the unit of a text, if it fits the kind of a figure.

    ``股/份`` is one unit, because stocks and funds are counted alike; units of different size (``股/手``) are refused.

    Raises
    ------
    InputError : for a missing, unknown or ambiguous unit, or one that measures something else.
    """
    fitting = [unit.text for unit in UNITS.values() if kind in unit.kinds]
    if text is None or not text.strip():
        if kind is Kind.NUMBER:
            return UNITS["倍"]
        raise InputError(
            f"{where}: no unit is given, and none is guessed; write one of {', '.join(fitting)} "
            "into the header or the mapping file"
        )
    parts = [part.strip() for part in re.split(r"[/,]", text.translate(_SAME))]
    unknown = [part for part in parts if part not in UNITS]
    if unknown:
        raise InputError(f"{where}: unit {unknown[0]!r} is not known; {kind} is given in {', '.join(fitting)}")
    units = [UNITS[part] for part in parts]
    if len({(unit.times, unit.over) for unit in units}) > 1:
        raise InputError(f"{where}: unit {text!r} is ambiguous; choose one in the mapping file")
    if any(kind not in unit.kinds for unit in units):
        raise InputError(f"{where}: unit {text!r} does not measure {kind}; expected one of {', '.join(fitting)}")
    return units[0]


_ABSENT = {"", "-", "--", "---", "—", "——", "nan", "none", "null", "n/a", "无"}
_SUFFIXES = {"万": 1e4, "亿": 1e8, "万亿": 1e12}
_NUMBER = re.compile(r"^[+-]?(\d{1,3}(,\d{3})+|\d+)(\.\d*)?([eE][+-]?\d+)?$|^[+-]?\.\d+$")


def parse_number(cell: object, where: str, unit: Unit | None = None) -> float:
    """Read a cell: a number, text with thousands separators, or nothing (NaN).

    Parameters
    ----------
    unit : the unit of the column. A cell such as ``1.23亿`` has a factor of its own, which is accepted only if the
        column is in 元 or 股.

    Raises
    ------
    InputError : for anything else; it never becomes a zero.
    """
    if cell is None:
        return math.nan
    if isinstance(cell, int | float):
        return float(cell)
    text = re.sub(r"\s+", "", str(cell).translate(_SAME))
    if text.lower() in _ABSENT:
        return math.nan
    factor = 1.0
    suffix = next((s for s in ("万亿", "亿", "万") if text.endswith(s)), None)
    if suffix is not None:
        if unit is None or (unit.times, unit.over) != (1.0, 1.0) or Kind.RATIO in unit.kinds:
            raise InputError(
                f"{where}: {cell!r} has a factor of its own beside the column's unit: ambiguous, remove one of them"
            )
        text, factor = text.removesuffix(suffix), _SUFFIXES[suffix]
    if unit is not None and unit.text == "%":
        text = text.removesuffix("%")
    if not _NUMBER.match(text):
        raise InputError(f"{where}: {cell!r} is no number: correct the cell")
    return float(text.replace(",", "")) * factor
