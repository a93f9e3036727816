"""Memberships of indices that have no field of their own in ``reference``, such as 000852.SH.

On the wire a row has one text, the codes of its indices (``000016.SH 000852.SH``). A batch has a flag column for each
index that any of its rows names; the column's name is the code. A store has one column for all indices that
``group_indices`` names: a sum of powers of two, so that a further index costs no memory.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from processors.arrays import Floats
from processors.errors import RowError
from processors.events import FIGURES, Column, RowBatch, Sign

#: The field of a row.
FIELD = "indices"
EXPECTED = "expected codes of indices without a field, such as 000016.SH 000852.SH"
#: Indices that have a field → the field.
FIELDS = {"000300.SH": "csi300", "000905.SH": "csi500", "399006.SZ": "chinext_index"}
#: Groups whose members a field names → the field.
_GROUPS = {"CSI300": "csi300", "CSI500": "csi500", "ChiNextIndex": "chinext_index"}
#: Powers of two that a float64 adds exactly.
MOST_INDICES = 52
#: Each becomes a column over all rows of a message.
MOST_IN_MESSAGE = 64
_CODE = re.compile(r"[0-9]{6}\.(SH|SZ|BJ)")


def is_code(name: str) -> bool:
    """Return whether a text is the code of an index of an exchange, and so the name of a column of its members."""
    return _CODE.fullmatch(name) is not None


def is_text(text: str) -> bool:
    """Return whether a text is empty, or codes of further indices separated by blanks."""
    return not text or all(is_code(code) and code not in FIELDS for code in text.split(" "))


def columns_of(topic: str, names: Iterable[Hashable]) -> tuple[Column, ...]:
    """Return the columns of a topic, and those of further indices among ``names``."""
    return (*FIGURES[topic], *(Column(name, name, True, Sign.ANY, flag=True, default=0.0) for name in codes_in(names)))


def codes_in(names: Iterable[Hashable]) -> list[str]:
    """Return the codes of indices among names of columns, ascending."""
    return sorted(filter(is_code, map(str, names)))


def flags_of(texts: Sequence[str]) -> dict[str, Floats]:
    """Return the columns of texts of codes; none where all are empty.

    Raises
    ------
    RowError : for a word that is no such code, or more indices than a message may have.

    Examples
    --------
    >>> {code: flags.tolist() for code, flags in flags_of(["000016.SH 000852.SH", "", "000852.SH"]).items()}
    {'000016.SH': [1.0, 0.0, 0.0], '000852.SH': [1.0, 0.0, 1.0]}
    """
    members = {text: text.split(" ") for text in set(texts) if text}
    for text in members:
        if not is_text(text):
            raise RowError(f"{FIELD} {text[:64]!r}: {EXPECTED}")
    codes = sorted({code for found in members.values() for code in found})
    if len(codes) > MOST_IN_MESSAGE:
        raise RowError(f"{FIELD}: {len(codes)} indices, at most {MOST_IN_MESSAGE} are accepted in a message")
    return {code: np.array([code in members.get(text, ()) for text in texts], dtype=np.float64) for code in codes}


def texts_of(figures: Mapping[str, Floats], rows: int) -> list[str]:
    """Return the text of each row of a batch (n,), the inverse of `flags_of`."""
    out = [""] * rows
    for code in codes_in(figures):
        for row in np.flatnonzero(figures[code] == 1.0).tolist():
            out[row] = f"{out[row]} {code}".lstrip()
    return out


def store_column(indices: Sequence[str]) -> tuple[str, ...]:
    """Return the name of the store's column for these indices, which its schema contains; none without indices."""
    return (f"members of {' '.join(indices)}",) if indices else ()


def packed(batch: RowBatch, indices: Sequence[str]) -> RowBatch:
    """Return a batch with the store's column; members of other indices are left out."""
    if not indices:
        return batch
    absent = np.zeros(len(batch))
    total = sum(((batch.figures.get(code, absent) == 1.0) * 2.0**at for at, code in enumerate(indices)), absent)
    return replace(batch, figures=batch.figures | {store_column(indices)[0]: total})


def unpacked(figures: Mapping[str, Floats], indices: Sequence[str]) -> dict[str, Floats]:
    """Return the figures of a store with a flag column for each index in place of the store's column."""
    out = dict(figures)
    for name in store_column(indices):
        places = out.pop(name).astype(np.int64)
        out |= {code: (places >> place & 1).astype(np.float64) for place, code in enumerate(indices)}
    return out


def groups_by_reference(indices: Iterable[str]) -> dict[str, str]:
    """Return the groups of ``reference`` → the column that names their members; each further index is one by its code.

    Examples
    --------
    >>> groups_by_reference(["000852.SH"])
    {'CSI300': 'csi300', 'CSI500': 'csi500', 'ChiNextIndex': 'chinext_index', '000852.SH': '000852.SH'}
    """
    return _GROUPS | {code: code for code in indices}
