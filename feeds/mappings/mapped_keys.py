"""The keys of the rows of a table: securities, exchanges, tenors, markets."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from feeds.cells.code_styles import EXCHANGE_NAMES, clean_code, exchange_name, own_code, plain_number, to_own
from feeds.cells.distinct_cells import read_distinct
from feeds.cells.index_names import index_named, index_names
from feeds.errors import InputError, at
from feeds.mappings.mapping import Table
from processors.codes import Ids, to_code, to_id
from processors.errors import RowError
from processors.events import KEYS
from processors.kinds import is_index, is_stock

#: In place of a key: the cell names none.
NO_KEY = -1
_EXCHANGE_OF = {"SH": "SSE", "SZ": "SZSE", "BJ": "BSE"}
#: Numbers of stocks and funds, and the exchange (index into `EXCHANGES`) that alone has them.
_STOCKS = (
    *((0, 4_000, 1), (300_000, 310_000, 1), (600_000, 610_000, 0), (688_000, 690_000, 0), (920_000, 921_000, 2)),
    *((159_000, 160_000, 1), (510_000, 520_000, 0), (560_000, 570_000, 0), (588_000, 590_000, 0)),
)


def row_keys(table: Table, raw: pd.DataFrame, where: str) -> tuple[Ids, dict[int, str]]:
    """Return the key of each row (n,), `NO_KEY` where it can't be read, and the reasons by place.

    A code that is not in the mapping's list has no key and no reason: its row is not wanted.

    Raises
    ------
    InputError : if a column is missing, or the mapping itself names an unknown exchange.
    """
    for field, word in (("tenor", table.tenor), ("market", table.market)):
        if word is not None:
            return np.full(len(raw), _place(field, word, where), dtype=np.int32), {}
    code = table.code
    if code is None:
        if table.exchange is not None:
            return np.full(len(raw), _exchange(table.exchange, where), dtype=np.int32), {}
        cells = column_of(raw, str(table.exchange_column), where)
        return read_distinct(cells, lambda cell: _exchange(str(cell), ""), NO_KEY)
    cells = column_of(raw, code.column, where)
    if code.codes is not None:
        ids, codes = {own: _id(own, where) for own in code.codes.values()}, code.codes
        return read_distinct(cells, lambda cell: ids.get(_mapped_code(codes, cell) or "", NO_KEY), NO_KEY)
    if code.exchange_column is not None:
        pairs = pd.Series(list(zip(cells, column_of(raw, code.exchange_column, where), strict=True)), dtype=object)
        keys, wrong = read_distinct(pairs, lambda pair: _id(to_own(pair[0], code.style, str(pair[1]), ""), ""), NO_KEY)
    else:
        keys, wrong = read_distinct(cells, lambda cell: _id(to_own(cell, code.style, code.exchange, ""), ""), NO_KEY)
    indices = table.only is not None or table.topic.startswith("indices.")
    for place in np.flatnonzero(_misplaced(keys, indices=indices)).tolist():
        wrong[place] = f"code {cells.iloc[place]!r} is read as {to_code(int(keys[place]))}, {_MISPLACED}"
        keys[place] = NO_KEY
    if code.name in raw:
        names = raw[code.name]
        for place in np.flatnonzero(_named_as_index(names) & (keys != NO_KEY) & is_stock(keys)).tolist():
            wrong[place] = (
                f"code {cells.iloc[place]!r} is read as the stock {to_code(int(keys[place]))}, but "
                f"{names.iloc[place]!r} is an index or a board: write the code with its exchange, such as "
                f"{index_named(names.iloc[place]) or '000300.SH'}"
            )
            keys[place] = NO_KEY
    return keys, wrong


def _mapped_code(codes: Mapping[str, str], cell: object) -> str | None:
    """Return our code for a file's code by the mapping's list, None where it is not in it.

    A code that has lost its leading zeros in a spreadsheet, has its exchange, or is an exchange in other words counts.
    """
    text = clean_code(cell)
    exchange = EXCHANGE_NAMES.get(text.upper())
    for spelling in (str(cell), text, plain_number(cell) or text):
        if spelling in codes:
            return codes[spelling]
    if exchange is not None:
        return next((own for name, own in codes.items() if EXCHANGE_NAMES.get(name.upper()) == exchange), None)
    own = own_code(text)
    return own if own in codes.values() else None


def _named_as_index(names: pd.Series) -> npt.NDArray[np.bool_]:
    """Return which names are those of an index or a board (n,)."""
    places, distinct = pd.factorize(names, use_na_sentinel=False)
    return np.array(index_names(distinct), dtype=bool)[places]


_MISPLACED = (
    "but such a number is an index, or a stock of another exchange: correct the code, or the exchange of the file"
)


def _misplaced(keys: Ids, *, indices: bool) -> npt.NDArray[np.bool_]:
    """Return which keys are stocks of another exchange, or (unless the topic has ``indices``) are indices."""
    known = keys != NO_KEY
    number, exchange, index = keys // 4, keys % 4, is_index(keys)
    wrong = np.zeros(len(keys), dtype=bool) if indices else index & known
    for first, end, own in _STOCKS:
        wrong |= known & ~index & (number >= first) & (number < end) & (exchange != own)
    return wrong


def column_of(raw: pd.DataFrame, name: str, where: object) -> pd.Series:
    """Return a column; raises `InputError` naming those that there are."""
    if name not in raw:
        raise InputError(
            f"{where}: column {name!r} is missing; there are {', '.join(map(str, raw.columns))}: correct the "
            "mapping, or export the column"
        )
    return raw[name]


def _id(code: str, where: str) -> int:
    try:
        return to_id(code)
    except RowError as error:
        raise InputError(f"{at(where)}{error}") from error


def _exchange(name: str, where: str) -> int:
    suffix = exchange_name(name, where)
    return _place("exchange", _EXCHANGE_OF.get(suffix, suffix), where)


def _place(field: str, word: str, where: str) -> int:
    if word not in KEYS[field]:
        raise InputError(f"{at(where)}{field} {word!r} is not known; expected one of {', '.join(KEYS[field])}")
    return KEYS[field].index(word)
