"""Impossible figures: for each kind of column, which numbers no row can have."""

from __future__ import annotations

import numpy as np
import pytest

from processors.events import Column, Sign
from processors.row_rules import impossible

NAN, INF = float("nan"), float("inf")
VALUES = [-INF, -1.0, -1e-9, 0.0, 1e-9, 0.5, 1.0, 2.0, INF]


@pytest.mark.parametrize("optional", [True, False])
@pytest.mark.parametrize(
    ("sign", "flag", "possible"),
    [
        (Sign.ANY, False, [-1.0, -1e-9, 0.0, 1e-9, 0.5, 1.0, 2.0]),
        (Sign.NOT_NEGATIVE, False, [0.0, 1e-9, 0.5, 1.0, 2.0]),
        (Sign.POSITIVE, False, [1e-9, 0.5, 1.0, 2.0]),
        (Sign.ANY, True, [0.0, 1.0]),
    ],
)
def test_a_column_accepts_finite_numbers_of_its_range(
    sign: Sign, flag: bool, optional: bool, possible: list[float]
) -> None:
    column = Column("figure", "figure", optional, sign, flag=flag)
    found = impossible(column, np.array([*VALUES, NAN]))
    assert [value for value, bad in zip(VALUES, found[:-1].tolist(), strict=True) if not bad] == possible
    assert bool(found[-1]) is not optional  # an absent figure is impossible where every row must have it
