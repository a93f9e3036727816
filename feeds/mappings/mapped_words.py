"""Words and flags of a table: translations, industry codes, patterns."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from feeds.cells.row_kinds import is_blank
from feeds.cells.shenwan import industry_of, renamed
from feeds.errors import InputError
from feeds.mappings.mapping import Figure
from processors.arrays import Floats
from processors.events import Column
from processors.industries import INDUSTRIES


def words_of(column: Column, figure: Figure, values: pd.Series, where: str) -> tuple[Floats, dict[int, str], str]:
    """Return the place of each cell's word among the labels of a column (n,), NaN for none.

    Returns
    -------
    also the reason of each cell that can't be read, by place, and a warning, "" for none.

    Raises
    ------
    InputError : for a word that the mapping does not translate.
    """
    places, cells = pd.factorize(values, use_na_sentinel=False)
    found = np.full(len(cells), np.nan)
    unknown: dict[int, str] = {}
    nameless = []
    own: object
    for at, cell in enumerate(cells):
        if figure.words == "shenwan":
            try:
                own = None if is_blank(cell) else industry_of(str(cell))
            except ValueError as error:
                own, unknown[at] = None, str(error)
            else:
                nameless += [str(cell)] if own is None and not is_blank(cell) else []
        else:
            name = renamed(cell) if column.labels == INDUSTRIES and isinstance(cell, str) else cell
            own = (figure.words or {}).get(cell, name if figure.otherwise is None else figure.otherwise)
        if own in column.labels:
            found[at] = float(column.labels.index(own))
        elif not is_blank(own):
            raise InputError(
                f"{where}: {own!r} is none of {', '.join(column.labels)}: translate it by `words`, or give `otherwise`"
            )
    wrong = {place: unknown[at] for place, at in enumerate(places.tolist()) if at in unknown} if unknown else {}
    text = f"{where}: stocks of {', '.join(sorted(nameless))} have no industry in the edition of 2021"
    return found[places], wrong, text if nameless else ""


def matching(pattern: str, values: pd.Series) -> Floats:
    """Return 1 where a cell matches a regular expression, 0 where it does not, NaN where it is blank (n,)."""
    places, cells = pd.factorize(values, use_na_sentinel=False)
    found = [np.nan if is_blank(cell) else float(re.search(pattern, str(cell)) is not None) for cell in cells]
    return np.array(found, dtype=np.float64)[places]
