"""Units, codes and formulas of foreign files: read as they are written, refused where two readings fit."""

from __future__ import annotations

import contextlib
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeds.cells.code_styles import BY_NUMBER, by_number, plain_number, to_own
from feeds.cells.formulas import evaluate
from feeds.cells.units import UNITS, Kind, parse_number, parse_unit, split_header
from feeds.errors import InputError
from processors.codes import to_id

NUMBERS = st.integers(0, 999_999).map("{:06d}".format)
MARKETS = st.sampled_from(["SH", "SZ", "BJ"])


@pytest.mark.parametrize(
    ("header", "name", "unit"),
    [
        ("本日融资余额(元)", "本日融资余额", "元"),
        ("融资买入额（亿元）", "融资买入额", "亿元"),
        ("融券卖出量(亿股/亿份)", "融券卖出量", "亿股/亿份"),
        (" 融券余量 (股/份) ", "融券余量", "股/份"),
        ("融资余额\n(元)", "融资余额", "元"),
        ("本日融券余量", "本日融券余量", None),
        ("融资余额()", "融资余额", None),
    ],
)
def test_a_header_is_cut_into_name_and_unit(header: str, name: str, unit: str | None) -> None:
    assert split_header(header) == (name, unit)


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [
        ("元", Kind.MONEY, 1234.0),
        ("万元", Kind.MONEY, 1234e4),
        ("千元", Kind.MONEY, 1234e3),
        ("亿元", Kind.MONEY, 1234e8),
        ("股/份", Kind.SHARES, 1234.0),
        ("亿股/亿份", Kind.SHARES, 1234e8),
        ("手", Kind.SHARES, 123_400.0),
        ("%", Kind.RATIO, 12.34),
        ("fraction", Kind.RATIO, 1234.0),
        (None, Kind.NUMBER, 1234.0),
    ],
)
def test_figures_become_cny_shares_and_fractions(text: str | None, kind: Kind, expected: float) -> None:
    assert parse_unit(text, kind, "here").apply(np.array([1234.0]))[0] == expected


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        (None, Kind.MONEY, "no unit is given"),
        ("", Kind.SHARES, "no unit is given"),
        ("股/手", Kind.SHARES, "ambiguous"),
        ("股,份,手", Kind.SHARES, "ambiguous"),
        ("美元", Kind.MONEY, "not known"),
        ("股", Kind.MONEY, "does not measure money"),
        ("亿元", Kind.PRICE, "does not measure price"),
    ],
)
def test_a_unit_that_is_missing_ambiguous_or_of_another_kind_is_refused(
    text: str | None, kind: Kind, reason: str
) -> None:
    with pytest.raises(InputError, match=rf"here: .*{reason}"):
        parse_unit(text, kind, "here")


def test_a_per_cent_is_divided_not_multiplied() -> None:
    """0.35 · 0.01 is another float than 0.35 / 100; the folder's readers divide."""
    values = np.array([0.35, 0.57, 1.13])
    np.testing.assert_array_equal(UNITS["%"].apply(values), values / 100)


@given(st.integers(-(10**15), 10**15), st.integers(0, 99))
def test_thousands_separators_are_read(whole: int, cents: int) -> None:
    assert parse_number(f"{whole:,}.{cents:02d}", "here") == float(f"{whole}.{cents:02d}")


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_of_a_workbook_stay_as_they_are(value: float) -> None:
    assert parse_number(value, "here") == value


@pytest.mark.parametrize("cell", [None, "", " ", "-", "--", "—", float("nan"), "nan", "停牌", "亏损"])
def test_nothing_is_absent_and_never_zero(cell: object) -> None:
    assert math.isnan(parse_number(cell, "here"))


@pytest.mark.parametrize("cell", ["没有数据", "1,23", "1.2.3", "12元", "0x10", "1 and 2", "inf"])
def test_what_is_no_number_is_refused(cell: str) -> None:
    with pytest.raises(InputError, match="here"):
        parse_number(cell, "here")


def test_a_factor_in_the_cell_counts_only_where_the_column_has_none() -> None:
    assert parse_number("1.5亿", "here", UNITS["元"]) == 1.5e8
    assert parse_number("2万", "here", UNITS["股"]) == 2e4
    for unit in (UNITS["亿元"], UNITS["%"], None):
        with pytest.raises(InputError, match="ambiguous"):
            parse_number("1.5亿", "here", unit)


@given(NUMBERS, st.sampled_from(["SH", "SZ", "BJ"]))
def test_every_style_names_the_same_security(number: str, market: str) -> None:
    code = f"{number}.{market}"
    assert to_own(code, "600519.SH") == code
    assert to_own(market.lower() + number, "sh600519") == code
    assert to_own(market + number, "SH600519") == code
    assert to_own(f"{market.lower()}.{number}", "sh.600519") == code
    assert to_own(number, "600519", market) == code
    assert to_own(int(number), "600519", market) == code
    to_id(code)


@given(NUMBERS)
def test_secids_know_shanghai_shenzhen_and_beijing(number: str) -> None:
    assert to_own(f"1.{number}", "1.600519") == f"{number}.SH"
    beijing = number.startswith(("43", "81", "83", "87", "88", "899", "92"))
    assert to_own(f"0.{number}", "1.600519") == f"{number}.{'BJ' if beijing else 'SZ'}"


@given(st.text(max_size=12), st.sampled_from(["600519.SH", "sh600519", "sh.600519", "1.600519", "600519"]))
def test_a_code_is_translated_or_refused_never_something_else(text: str, style: str) -> None:
    with contextlib.suppress(InputError):
        to_id(to_own(text, style, "SSE"))


def test_a_plain_number_has_the_exchange_that_allots_it() -> None:
    assert (by_number("600519"), to_own("430047", "600519", BY_NUMBER)) == ("SH", "430047.BJ")
    with pytest.raises(InputError, match=r"730001.*write it with its exchange"):
        by_number("730001")


def test_a_plain_number_without_an_exchange_is_refused() -> None:
    with pytest.raises(InputError, match="need an exchange"):
        to_own("600519", "600519")
    with pytest.raises(InputError, match="not known"):
        to_own("600519", "600519", "NYSE")


@pytest.mark.parametrize(
    ("cell", "number"),
    [(1, "000001"), (1.0, "000001"), ("000001", "000001"), (" 600519 ", "600519"), ("1.0", "000001"), (1.5, None),
     ("合计", None), (float("nan"), None), ("６００５１９", "600519"), (-1, None), (True, None)],
)  # fmt: skip
def test_codes_that_a_spreadsheet_stores_as_numbers(cell: object, number: str | None) -> None:
    assert plain_number(cell) == number


TABLE = pd.DataFrame({"close": [10.0, 12.0], "change": [1.0, -2.0], "成交额(元)": [5.0, 6.0], "kind": ["a", "b"]})


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("close - change", [9.0, 14.0]),
        ("close * 2 / (change + 4)", [4.0, 12.0]),
        ("`成交额(元)` / close", [0.5, 0.5]),
        ("-change", [-1.0, 2.0]),
        ("close > 10 and change < 0", [False, True]),
        ("not kind == 'a'", [False, True]),
        ("kind in ['b', 'c'] or close == 10", [True, True]),
    ],
)
def test_formulas(formula: str, expected: list[float]) -> None:
    values, unread = evaluate(formula, TABLE, "here")
    assert (values.tolist(), unread) == (expected, {})


def test_a_formula_has_no_value_where_a_cell_can_not_be_read() -> None:
    table = pd.DataFrame({"close": ["10.0", "#REF!", "12"], "kind": list("aba")})
    values, unread = evaluate("close * 2", table, "here")
    assert values.fillna(0).tolist() == [20.0, 0.0, 24.0]
    assert list(unread) == [1] and "'close'" in unread[1] and "#REF!" in unread[1]


@pytest.mark.parametrize(
    "formula", ["close.sum()", "__import__('os')", "close[0]", "lambda: 1", "missing + 1", "close +", "kind - close"]
)
def test_formulas_reach_nothing_but_columns(formula: str) -> None:
    with pytest.raises(InputError, match="here"):
        evaluate(formula, TABLE, "here")
