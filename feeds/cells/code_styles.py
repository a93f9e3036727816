"""The spellings in which files write the code of a security, and the translation to ours (`600519.SH`).

The name of a style is its example: ``600519.SH``, ``sh600519``, ``sh.600519``, ``600519`` (which needs an exchange) and
Eastmoney's ``1.600519``. Every style is read with the marks that spreadsheets and terminals add: ``="600519"``,
``'600519``, full-width digits.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from feeds.cells.dates import is_date
from feeds.errors import InputError, at
from processors.codes import to_id
from processors.kinds import Kind, exchange_of_number, kind_of

#: Names of the exchanges, and of Shenwan's indices, as files write them; Shanghai publishes those of the index company.
EXCHANGE_NAMES: dict[str, str] = {
    **dict.fromkeys(
        ("SSE", "SH", "XSHG", "SS", "SHSE", "沪", "上海", "沪市", "上交所", "上海证券交易所", "上证"), "SH"
    ),
    **dict.fromkeys(("SZSE", "SZ", "XSHE", "深", "深圳", "深市", "深交所", "深圳证券交易所", "深证"), "SZ"),
    **dict.fromkeys(("BSE", "BJ", "XBSE", "BJSE", "北", "北京", "京市", "北交所", "北京证券交易所", "北证"), "BJ"),
    **dict.fromkeys(("SI", "SW", "申万"), "SI"),
    "CSI": "SH",
}
#: In place of an exchange: derive it from the number; 000001 counts as the stock, not as the index.
BY_NUMBER = "by number"
_DIGITS = 6


def exchange_name(text: str, where: str) -> str:
    """Return SH, SZ, BJ or SI for any name of an exchange; raises `InputError` for another word."""
    found = EXCHANGE_NAMES.get(unicodedata.normalize("NFKC", text).strip().upper())
    if found is None:
        raise InputError(f"{at(where)}exchange {text!r} is not known; expected one of {', '.join(EXCHANGE_NAMES)}")
    return found


def by_number(number: str) -> str:
    """Return the exchange of a security, see `processors.kinds.exchange_of_number`.

    Raises
    ------
    InputError : for a number of no exchange, or of two.
    """
    found = exchange_of_number(number)
    if found is None:
        raise InputError(f"code {number!r}: such a number does not name one exchange: write it with its exchange")
    return found


def clean_code(cell: object) -> str:
    """Return the text of a code without the marks of spreadsheets and terminals.

    Examples
    --------
    >>> clean_code('="600519"'), clean_code("'600519"), clean_code("ＳＨ６００５１９")
    ('600519', '600519', 'SH600519')
    """
    text = unicodedata.normalize("NFKC", str(cell)).replace("\ufeff", "").strip().removeprefix("=")
    return re.sub(r"\s+", "", text.strip("'\"‘’“”`\t "))


def _suffixed(text: str) -> str | None:
    found = re.fullmatch(r"(\d{6})[._-]?([A-Za-z]{2,4})", text)
    market = EXCHANGE_NAMES.get(found[2].upper()) if found else None
    return f"{found[1]}.{market}" if found and market else None


def _prefixed(text: str) -> str | None:
    found = re.fullmatch(r"([A-Za-z]{2,4})[._:-]?(\d{6})", text)
    market = EXCHANGE_NAMES.get(found[1].upper()) if found else None
    return f"{found[2]}.{market}" if found and market else None


def _secid(text: str) -> str | None:
    # Eastmoney's market 0 is Shenzhen and Beijing.
    found = re.fullmatch(r"([01])\.(\d{6})", text)
    if found is None:
        return None
    if found[1] == "1":
        return f"{found[2]}.SH"
    shenzhen, beijing = (kind_of(to_id(f"{found[2]}.{market}")) for market in ("SZ", "BJ"))
    return f"{found[2]}.{'BJ' if shenzhen is Kind.OTHER and beijing is not Kind.OTHER else 'SZ'}"


_STYLES: dict[str, Callable[[str], str | None]] = {
    "600519.SH": _suffixed,
    "sh600519": _prefixed,
    "SH600519": _prefixed,
    "sh.600519": _prefixed,
    "1.600519": _secid,
}
PLAIN = "600519"
STYLES = (*_STYLES, PLAIN)


def plain_number(cell: object) -> str | None:
    """Return the six digits of a code, which a spreadsheet may contain as a number (1.0 is 000001); None if invalid."""
    if isinstance(cell, bool):
        return None
    if isinstance(cell, int | float | np.integer | np.floating):
        whole = cell == cell and float(cell).is_integer() and 0 <= cell < 10**_DIGITS
        return f"{int(cell):06d}" if whole else None
    text = clean_code(cell).removesuffix(".0")
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS) or (text[0] == "0" and len(text) < _DIGITS):
        return None  # a spreadsheet takes all zeros or none: 00700 is a code of Hong Kong
    return text.zfill(_DIGITS)


def resembles_code(cell: object) -> bool:
    """Whether a cell may be a code that is cut off or misspelt: digits, with what may be an exchange.

    Examples
    --------
    >>> resembles_code("sz0000"), resembles_code("60051O.SH"), resembles_code("600519.S"), resembles_code("page 1")
    (True, True, True, False)
    """
    found = re.fullmatch(r"(?:([A-Za-z]+)[._:-]?)?\d\w*[._-]?\w*", clean_code(cell), re.ASCII)
    return found is not None and not is_date(cell) and (found[1] is None or found[1].upper() in EXCHANGE_NAMES)


def own_code(clean: str) -> str | None:
    """Return a code that names its exchange in our style, as `clean_code` returns it; None if it is in no style."""
    return next((found for reader in _STYLES.values() if (found := reader(clean)) is not None), None)


@lru_cache(maxsize=65_536, typed=True)
def to_own(text: object, style: str | None = None, exchange: str | None = None, where: str = "") -> str:
    """Return a code in our style.

    Parameters
    ----------
    style : one of `STYLES`; None for any of them.
    exchange : for the style ``600519``: a name of an exchange, or `BY_NUMBER`.

    Raises
    ------
    InputError : if the code is not in this style, or its exchange is missing, unknown, or not ``exchange``.
    """
    if style not in (None, *STYLES):
        raise InputError(f"{at(where)}code style {style!r} is not known; expected one of {', '.join(STYLES)}")
    number = plain_number(text) if style in (None, PLAIN) else None
    if number is not None:
        if exchange is None:
            raise InputError(
                f"{at(where)}codes like {PLAIN} need an exchange: a name, a column of it, or {BY_NUMBER!r}"
            )
        market = by_number(number) if exchange == BY_NUMBER else exchange_name(exchange, where)
        return f"{number}.{market}"
    if style != PLAIN:
        clean = clean_code(text)
        code = own_code(clean) if style is None else _STYLES[style](clean)
        if code is not None:
            if style is None and exchange not in (None, BY_NUMBER) and exchange_name(exchange, where) != code[-2:]:
                raise InputError(
                    f"{at(where)}code {text!r} names another exchange than {exchange}: correct one of them"
                )
            return code
    if style is None:
        raise InputError(
            f"{at(where)}code {text!r} is in no style that is known: write it as one of {', '.join(STYLES)}"
        )
    raise InputError(f"{at(where)}code {text!r} is not written like {style}; give the style that the file uses")
