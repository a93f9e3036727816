"""Kinds, boards, exchanges and price limits by code range."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_UP, Decimal

import numpy as np
import pytest

from processors.codes import to_id
from processors.days import to_day
from processors.kinds import (
    BOARDS,
    Kind,
    board_of,
    daily_limits,
    exchange_of_number,
    is_chinext,
    is_fund,
    is_index,
    is_stock,
    kind_of,
    kinds_of,
    limit_prices,
    unlimited_listings,
)


def ids(*codes: str) -> np.ndarray:
    return np.array([to_id(code) for code in codes], dtype=np.int32)


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        (Kind.STOCK, ["600519", "601318", "603259", "605499", "688981", "689009"]),
        (Kind.FUND, ["500000", "501018", "508000", "510050", "512760", "588000", "599999"]),
        (Kind.B_SHARE, ["900901", "900957"]),
        (Kind.CONVERTIBLE, ["110059", "111000", "113050", "118034"]),
        (Kind.REPO, ["201001", "204001", "204182"]),
        (Kind.BOND, ["010107", "019547", "122033", "132018", "175123", "240001"]),
        (Kind.INDEX, ["000001", "000300", "000985", "880001", "931865", "950088"]),
        (Kind.OTHER, ["360001", "730001", "787001", "499999", "901000"]),
    ],
)  # fmt: skip
def test_kinds_of_shanghai(kind: Kind, codes: list[str]) -> None:
    assert {code: kind_of(to_id(f"{code}.SH")) for code in codes} == dict.fromkeys(codes, kind)


@pytest.mark.parametrize(
    ("kind", "codes"),
    [
        (Kind.STOCK, ["000001", "001872", "002594", "003816", "300750", "301236", "302132", "309999"]),
        (Kind.FUND, ["150001", "159915", "161725", "169999", "180101", "184801"]),
        (Kind.B_SHARE, ["200002", "200992", "201872"]),
        (Kind.CONVERTIBLE, ["123001", "127018", "128136"]),
        (Kind.REPO, ["131810", "131990"]),
        (Kind.BOND, ["101303", "112001", "118034", "149999", "198001"]),
        (Kind.INDEX, ["399001", "399986", "390001", "980017"]),
        (Kind.OTHER, ["036001", "080001", "140001", "170000", "204001", "510050", "600519", "920002"]),
    ],
)  # fmt: skip
def test_kinds_of_shenzhen(kind: Kind, codes: list[str]) -> None:
    assert {code: kind_of(to_id(f"{code}.SZ")) for code in codes} == dict.fromkeys(codes, kind)


@pytest.mark.parametrize(
    ("code", "kind"),
    [("430047.BJ", Kind.STOCK), ("835185.BJ", Kind.STOCK), ("871981.BJ", Kind.STOCK), ("920799.BJ", Kind.STOCK),
     ("880003.BJ", Kind.STOCK), ("810001.BJ", Kind.BOND), ("899050.BJ", Kind.INDEX), ("820002.BJ", Kind.OTHER),
     ("900901.BJ", Kind.OTHER), ("159915.BJ", Kind.OTHER), ("801010.SI", Kind.INDEX)],
)  # fmt: skip
def test_kinds_of_beijing_and_shenwan(code: str, kind: Kind) -> None:
    assert kind_of(to_id(code)) == kind


def test_flags_and_kinds_of_many_agree() -> None:
    keys = ids("600519.SH", "510050.SH", "000001.SH", "113050.SH", "300750.SZ")
    assert kinds_of(keys).tolist() == [kind_of(key) for key in keys.tolist()]
    assert is_stock(keys).tolist() == [True, False, False, False, True]
    assert is_fund(keys).tolist() == [False, True, False, False, False]
    assert is_index(keys).tolist() == [False, False, True, False, False]
    assert is_chinext(keys).tolist() == [False, False, False, False, True]


@pytest.mark.parametrize(
    ("code", "board"),
    [("600000.SH", "SSE main"), ("687999.SH", "SSE main"), ("688000.SH", "STAR"), ("689009.SH", "STAR"),
     ("000001.SZ", "SZSE main"), ("003816.SZ", "SZSE main"), ("300000.SZ", "ChiNext"), ("309999.SZ", "ChiNext"),
     ("430047.BJ", "BSE"), ("920002.BJ", "BSE")],
)  # fmt: skip
def test_boards(code: str, board: str) -> None:
    assert BOARDS[int(board_of(ids(code))[0])] == board


@pytest.mark.parametrize(
    ("number", "exchange"),
    [("600519", "SH"), ("688981", "SH"), ("689009", "SH"), ("510300", "SH"), ("900901", "SH"), ("113050", "SH"),
     ("110059", "SH"), ("118034", "SH"), ("111000", "SH"), ("204001", "SH"), ("019547", "SH"), ("122033", None),
     ("175123", "SH"), ("240001", "SH"), ("000001", "SZ"), ("300750", "SZ"), ("159915", "SZ"), ("161725", "SZ"),
     ("180101", "SZ"), ("200002", "SZ"), ("201872", "SZ"), ("131810", "SZ"), ("127018", "SZ"), ("123001", "SZ"),
     ("112001", "SZ"), ("149999", "SZ"), ("399001", "SZ"), ("430047", "BJ"), ("835185", "BJ"), ("920799", "BJ"),
     ("899050", "BJ"), ("730001", None), ("787001", None), ("360001", None), ("036001", None),
     ("880003", None), ("881001", None), ("889999", None), ("879999", "BJ")],
)  # fmt: skip
def test_a_bare_number_belongs_to_the_exchange_of_its_likeliest_meaning(number: str, exchange: str | None) -> None:
    assert exchange_of_number(number) == exchange


@pytest.mark.parametrize(
    ("code", "day", "st", "limit"),
    [
        ("600519.SH", date(2020, 1, 2), False, 0.10), ("600519.SH", date(2020, 1, 2), True, 0.05),
        ("000001.SZ", date(2020, 1, 2), True, 0.05), ("688981.SH", date(2020, 8, 21), True, 0.20),
        ("300750.SZ", date(2020, 8, 21), False, 0.10), ("300750.SZ", date(2020, 8, 24), False, 0.20),
        ("300750.SZ", date(2020, 8, 24), True, 0.20), ("430047.BJ", date(2022, 1, 4), False, 0.30),
        ("510050.SH", date(2020, 1, 2), False, 0.20), ("900901.SH", date(2020, 1, 2), False, 0.10),
        ("113050.SH", date(2020, 1, 2), False, np.inf), ("204001.SH", date(2020, 1, 2), False, np.inf),
    ],
)  # fmt: skip
def test_daily_limits(code: str, day: date, st: bool, limit: float) -> None:
    assert daily_limits(ids(code), to_day(day), np.array([st])).tolist() == [limit]


@pytest.mark.parametrize(
    ("code", "first"),
    [("688981.SH", date(2019, 7, 22)), ("300999.SZ", date(2020, 8, 24)), ("001399.SZ", date(2023, 4, 10)),
     ("603137.SH", date(2023, 4, 10))],
)  # fmt: skip
def test_new_listings_are_unlimited_from_the_reform_of_their_board_on(code: str, first: date) -> None:
    assert unlimited_listings(ids(code), to_day(first)).all()
    assert (code.startswith("688")) == bool(unlimited_listings(ids(code), to_day(first) - 1).all())
    assert not unlimited_listings(ids("430047.BJ", "510050.SH"), to_day(date(2024, 1, 2))).any()


@pytest.mark.parametrize("percent", [5, 10, 20, 30])
def test_limit_prices_are_rounded_half_up_to_a_cent(percent: int) -> None:
    """Of every close before in steps of five cents, where halves of a cent are."""
    cents = range(100, 30_000, 5)
    found = limit_prices(np.array(cents) / 100, np.full(len(cents), percent / 100))
    for prices, factor in zip(found, (100 + percent, 100 - percent), strict=True):
        exact = ((Decimal(one * factor) / 10_000).quantize(Decimal("0.01"), ROUND_HALF_UP) for one in cents)
        assert prices.tolist() == [float(price) for price in exact]


def test_what_has_no_limit_or_no_close_before_is_at_none() -> None:
    highest, lowest = limit_prices(np.array([10.0, np.nan]), np.array([np.inf, 0.1]))
    assert not (np.array([1e6, 11.0]) >= highest).any() and not (np.array([0.01, 9.0]) <= lowest).any()
