"""The units and numbers of published figures: the unit of ``融资余额(亿元)``, the number ``1,234.56``.

A unit comes from the text of a header or from a mapping; it is never guessed from the size of the numbers.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from feeds.errors import InputError, at
from processors.arrays import Floats


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

    @property
    def rounded_to(self) -> float | None:
        """The step to which a table rounds, in CNY or shares: two decimals of 万 and 亿; None for smaller units."""
        return self.times / 100 if self.times >= FACTORS["万"] else None

    def apply(self, values: Floats) -> Floats:
        """Return the values in CNY, shares or fractions."""
        out = values * self.times if self.times != 1.0 else values
        return out / self.over if self.over != 1.0 else out


#: What a figure may have behind it, the longest first.
FACTORS = {"万亿": 1e12, "亿": 1e8, "万": 1e4}
_MONEY, _SHARES, _RATIO = (Kind.MONEY,), (Kind.SHARES,), (Kind.RATIO,)
_LOT = 100.0  # 1 手 = 100 shares
UNITS: dict[str, Unit] = {
    unit.text: unit
    for unit in (
        Unit("元", (Kind.MONEY, Kind.PRICE)),
        Unit("人民币元", (Kind.MONEY, Kind.PRICE)),
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
    **dict.fromkeys(("turnover_rate", "dividend_yield", "yield", "collateral_ratio"), Kind.RATIO),
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


#: What a cell contains in place of a figure: terminals write 停牌 for the price of a suspended security, and
#: 亏损 for the PE of one that makes a loss.
ABSENT = {"", "-", "--", "---", "—", "——", "nan", "none", "null", "n/a", "无", "停牌", "亏损"}
#: A group of thousands begins with no zero: 0,012 has a decimal comma.
_GROUPS = r"[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d{0,2}(?: \d{3})+|\d+"
_NUMBER = re.compile(rf"[+-]?(?:(?:{_GROUPS})(?:\.(?P<places>\d*))?(?:[eE](?P<power>[+-]?\d+))?|\.\d+)")
_GROUPED = r"^-?[1-9]\d{0,2}(,\d{3})+(\.\d+)?$"
_PLAIN = r"^-?\d{1,15}(\.\d+)?$"
#: From it on a figure in scientific notation is rounded, even if no spreadsheet (which writes E+) wrote it.
_ROUNDED_POWER = 9
#: Integers above it are no longer exact as floats.
_LARGEST = 2**53
_TRUE, _FALSE = {"true", "yes", "y", "是", "t"}, {"false", "no", "n", "否", "f"}


def parse_number(cell: object, where: str, unit: Unit | None = None) -> float:
    """Read a cell: a number, text with thousands separators, or nothing (NaN).

    Parameters
    ----------
    unit : the unit of the column. A cell such as ``1.23亿`` has a factor of its own, which is accepted only if the
        column is in 元 or 股; ``1.23%`` only if it is a percentage or a fraction.

    Raises
    ------
    InputError : for anything else; it never becomes a zero. So are numbers that a spreadsheet has rounded (7.98E+11).
    """
    if cell is None or cell is pd.NaT:
        return math.nan
    if isinstance(cell, int | float | np.number | Decimal) and not isinstance(cell, bool):
        return float(cell)
    text = unicodedata.normalize("NFKC", str(cell)).translate(_SAME).strip().lstrip("'").strip()
    if re.fullmatch(r'="[^"]*"', text):
        text = text[2:-1]
    if text.lower() in ABSENT:
        return math.nan
    factor = 1.0
    suffix = next((s for s in FACTORS if text.endswith(s)), None)
    if suffix is not None:
        if unit is None or (unit.times, unit.over) != (1.0, 1.0) or Kind.RATIO in unit.kinds:
            raise InputError(
                f"{at(where)}{cell!r} has a factor of its own beside the column's unit: ambiguous, remove one of them"
            )
        text, factor = text.removesuffix(suffix).rstrip(), FACTORS[suffix]
    over = 1.0
    if text.endswith("%") and unit is not None and unit.text in ("%", "fraction"):
        text, over = text.removesuffix("%").rstrip(), 100.0 / unit.over
    found = _NUMBER.fullmatch(text)
    if found is None or isinstance(cell, bool):
        raise InputError(f"{at(where)}{cell!r} is no number: correct the cell")
    value = float(text.replace(",", "").replace(" ", ""))
    power = int(found["power"] or 0)
    if value and power > len(found["places"] or "") and (power >= _ROUNDED_POWER or "E" in text or "+" in text[1:]):
        raise InputError(
            f"{at(where)}{cell!r} is rounded to {len((found['places'] or '') + '1')} digits, so the figure is not "
            "exact: format the cells as whole numbers (0) in the spreadsheet and save the file again"
        )
    if abs(value) >= _LARGEST:
        raise InputError(f"{at(where)}{cell!r} has more digits than a figure can have: correct the cell")
    return value * factor / over


def parse_numbers(column: pd.Series, unit: Unit | None = None, *, flag: bool = False) -> tuple[Floats, dict[int, str]]:
    """Read a column of cells as `parse_number` does.

    Parameters
    ----------
    flag : whether the cells may be yes or no, too.

    Returns
    -------
    the figures (n,), NaN where a cell is empty or unreadable; and the reason of each unreadable one, by place.
    """
    if pd.api.types.is_numeric_dtype(column) and (flag or not pd.api.types.is_bool_dtype(column)):
        return column.to_numpy(np.float64, na_value=np.nan, copy=True), {}
    cells = column.to_numpy(object)
    out = np.full(len(cells), np.nan)
    others = np.arange(len(cells))
    try:
        texts = pa.array(cells, type=pa.string(), from_pandas=True)
    except (pa.ArrowException, TypeError):  # numbers of a workbook among the cells
        pass
    else:
        bare = pc.replace_substring(pc.if_else(pc.match_substring_regex(texts, _GROUPED), texts, None), ",", "")
        texts = pc.coalesce(bare, texts)
        plain = np.asarray(pc.fill_null(pc.match_substring_regex(texts, _PLAIN), fill_value=False))
        out[plain] = pc.cast(texts.filter(pa.array(plain)), pa.float64())
        others = np.flatnonzero(~plain & np.asarray(pc.fill_null(pc.not_equal(texts, ""), fill_value=False)))
    wrong = {}
    for place in others.tolist():
        cell = cells[place]
        word = str(cell).strip().lower() if flag else ""
        if word in _TRUE | _FALSE:
            out[place] = float(word in _TRUE)
            continue
        try:
            out[place] = parse_number(cell, "", unit)
        except InputError as error:
            wrong[place] = str(error)
    return out, wrong
