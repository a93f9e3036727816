"""Reading a column of which each distinct cell is read once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from feeds.errors import InputError


def read_distinct(
    cells: pd.Series, read: Callable[[Any], int], absent: int
) -> tuple[npt.NDArray[np.int32], dict[int, str]]:
    """Return what ``read`` returns for each cell (n,), and the reason of each that it refuses, by place.

    Parameters
    ----------
    read : reads a cell; raises `InputError` with the reason.
    absent : takes the place of a refused cell.
    """
    places, distinct = pd.factorize(cells, use_na_sentinel=False)
    values, reasons = np.full(len(distinct), absent, dtype=np.int32), {}
    for place, cell in enumerate(distinct):
        try:
            values[place] = read(cell)
        except InputError as error:
            reasons[place] = str(error)
    refused = np.flatnonzero(np.isin(places, list(reasons))).tolist()
    return values[places], {at: reasons[places[at]] for at in refused}
