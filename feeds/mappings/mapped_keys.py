"""The keys of the rows of a table: securities, exchanges, tenors, markets."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from feeds.cells.code_styles import EXCHANGE_NAMES, clean_code, exchange_name, own_code, plain_number, to_own
from feeds.cells.distinct_cells import read_distinct
from feeds.cells.index_names import index_named, index_names
from feeds.errors import InputError, at
from feeds.mappings.mapping import Table
from processors.arrays import Ids, Mask
from processors.codes import EXCHANGES, SHENWAN, SUFFIX_OF, to_code, to_id
from processors.errors import RowError
from processors.events import KEYS
from processors.kinds import Kind, is_index, is_stock, kinds_of

#: In place of a key: the cell names none.
NO_KEY = -1
_EXCHANGE_OF = {suffix: exchange for exchange, suffix in SUFFIX_OF.items()}
#: The first three digits of numbers that no exchange gives out: 999999 is the composite of Shanghai in terminals, and
#: the total in some files.
_UNALLOTTED = 999
#: What feeds have rows of; and what they hardly have: the same number of another exchange is likelier.
_LIKELY, _UNLIKELY = (Kind.STOCK, Kind.FUND, Kind.B_SHARE, Kind.CONVERTIBLE), (Kind.BOND, Kind.REPO, Kind.OTHER)


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
    of_indices = table.topic.startswith("indices.")
    indices, securities = table.only is not None or of_indices, table.only is not None or not of_indices
    for place, reason in misplaced(keys, indices=indices, securities=securities).items():
        wrong[place] = f"code {cells.iloc[place]!r} is read as {reason}"
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


def _named_as_index(names: pd.Series) -> Mask:
    """Return which names are those of an index or a board (n,)."""
    places, distinct = pd.factorize(names, use_na_sentinel=False)
    return np.array(index_names(distinct), dtype=bool)[places]


def misplaced(keys: Ids, *, indices: bool, securities: bool = True) -> dict[int, str]:
    """Return which keys are of a number that another exchange gives to a stock or a fund, or that none gives out.

    Parameters
    ----------
    indices : whether the table has indices; without them every index is misplaced.
    securities : whether it has securities; without them every stock is misplaced, and every number that is an index of
        another exchange alone (000300.SZ, 399006.SH).

    Returns
    -------
    the reason of each, by place.
    """
    elsewhere = [np.isin(kinds_of(keys - keys % 4 + place), _LIKELY) for place in range(len(EXCHANGES))]
    wrong = np.isin(kinds_of(keys), _UNLIKELY) & np.any(elsewhere, axis=0)
    if not indices:
        wrong |= is_index(keys)
    if not securities:
        of_others = np.any([is_index(keys - keys % 4 + place) for place in range(len(EXCHANGES))], axis=0)
        wrong |= is_stock(keys) | (of_others & ~is_index(keys))
    wrong &= keys != NO_KEY
    unallotted = (keys != NO_KEY) & (keys // 4_000 == _UNALLOTTED) & (keys % 4 != SHENWAN)
    reasons = dict.fromkeys(
        np.flatnonzero(wrong).tolist(),
        "such a number is an index, or a security of another exchange: correct the code, or its exchange",
    ) | dict.fromkeys(
        np.flatnonzero(unallotted).tolist(),
        "no exchange gives out such a number, which is a total, or an index of a terminal: write 000001.SH for the "
        "composite of Shanghai, or leave the row out",
    )
    return {place: f"{to_code(int(keys[place]))}: {reason}" for place, reason in reasons.items()}


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
