"""Valuations and turnovers of indices, and the collateral ratio, beside the closes with which they move."""

from __future__ import annotations

import pytest

from feeds.checks.compared_day import ComparedDay
from feeds.checks.moves_with_closes import moves_with_closes
from processors.events import RowBatch
from streams.calendars import xshg
from tests.building import DAYS, batch

Rows = dict[str, dict[str, float]]
#: Figures of the index company and of Shenwan on 2021-03-30.
CODES = ("000016.SH", "000300.SH", "000905.SH", "801010.SI")
BEFORE: Rows = {
    code: {"close": 5094.73, "pe_ttm": 15.9, "pb": 1.7, "dividend_yield": 0.0172, "turnover": 2.5e11, "volume": 1.5e10}
    for code in CODES
}


def following(move: float) -> Rows:
    """The session after, at which all closes have moved."""
    return {
        code: {
            "close": row["close"] * move, "pe_ttm": row["pe_ttm"] * move, "pb": row["pb"] * move,
            "dividend_yield": row["dividend_yield"] / move, "turnover": row["turnover"] * 1.8 * move,
            "volume": row["volume"] * 1.8,
        }
        for code, row in BEFORE.items()
    }  # fmt: skip


def found(now: Rows) -> list[str]:
    day = ComparedDay.of(
        {"indices.daily": batch("indices.daily", DAYS[1], now)},
        {"indices.daily": batch("indices.daily", DAYS[0], BEFORE)},
        xshg(), {},
    )  # fmt: skip
    return [one.text for one in moves_with_closes(day)]


def test_indices_whose_figures_move_with_their_closes_have_no_finding() -> None:
    assert found(following(0.91)) == found(following(1.05)) == found(following(1.0)) == []


@pytest.mark.parametrize(
    ("name", "factor", "code", "named"),
    [
        ("pe_ttm", 1.4, "000905.SH", "pe_ttm of 000905.SH is 1.4 times"),
        ("pe_ttm", 1.25, "000905.SH", ""),
        ("pb", 0.7, "000300.SH", "pb of 000300.SH is 0.7 times"),
        ("dividend_yield", 1.5, "000016.SH", "dividend_yield of 000016.SH is 1.5 times"),
        ("turnover", 3.0, "801010.SI", "turnover / volume of 801010.SI is 3 times"),
        ("turnover", 2.0, "801010.SI", ""),
        ("turnover", 2.0, "000300.SH", "turnover / volume of 000300.SH is 2 times"),
        ("volume", 3.0, "000905.SH", "turnover / volume of 000905.SH is 0.333 times"),
    ],
)
def test_a_figure_that_its_close_does_not_explain_is_reported(name: str, factor: float, code: str, named: str) -> None:
    now = following(0.97)
    now[code][name] *= factor
    texts = found(now)
    assert len(texts) == bool(named) and all(named in one for one in texts), texts


@pytest.mark.parametrize(
    ("names", "codes", "move", "reported"),
    [
        (["pe_ttm", "pb", "dividend_yield"], CODES, 0.985, 3),
        (["pe_ttm", "pb", "dividend_yield"], CODES[:2], 0.985, 1),
        (["pe_ttm", "pb", "dividend_yield"], CODES[:1], 0.985, 0),
        (["pe_ttm"], CODES, 0.995, 1),
        (["pb"], CODES, 0.99, 1),
        (["dividend_yield"], CODES, 0.985, 1),
        (["dividend_yield"], CODES, 0.995, 0),  # its digits are few
        (["pe_ttm"], CODES[:2], 0.985, 0),
        (["pe_ttm", "pb", "dividend_yield"], CODES, 1.0005, 0),
    ],
)
def test_valuations_of_the_session_before_are_reported(
    names: list[str], codes: tuple[str, ...], move: float, reported: int
) -> None:
    now = following(move)
    for code in codes:
        now[code] |= {name: BEFORE[code][name] for name in names}
    texts = found(now)
    assert len(texts) == reported and all("is that of 2020-01-02" in one for one in texts), texts


@pytest.mark.parametrize(
    ("ratio", "named"), [(2.694 * 0.92, False), (2.694 * 0.95, False), (2.694, True), (2.694 * 1.06, True)]
)
def test_a_collateral_ratio_moves_with_the_market(ratio: float, named: bool) -> None:
    """The market fell by 7%."""
    indices = batch("indices.daily", DAYS[1], {"000001.SH": {"close": 2790.0, "prev_close": 3000.0}})
    rows: list[RowBatch] = [
        batch("margin.collateral", day, {"CN": {"collateral_ratio": one}})
        for day, one in zip(DAYS, (2.694, ratio), strict=False)
    ]
    for rows_read, published in (
        ({"margin.collateral": rows[1], "indices.daily": indices}, {}),
        ({"margin.collateral": rows[1]}, {"indices.daily": indices}),
    ):
        day = ComparedDay.of(rows_read, {"margin.collateral": rows[0]}, xshg(), published)
        assert ["collateral_ratio of CN" in one.text for one in moves_with_closes(day)] == [True] * named
