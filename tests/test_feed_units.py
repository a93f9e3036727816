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
from feeds.cells.units import UNITS, Kind, parse_number, parse_numbers, parse_unit, split_header
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


#: A figure of 1234 in each unit, in CNY, shares, fractions or as a plain number.
IN_UNITS = {
    "元": 1234.0, "人民币元": 1234.0, "千元": 1_234_000.0, "万元": 12_340_000.0, "百万元": 1_234_000_000.0,
    "亿元": 123_400_000_000.0, "股": 1234.0, "份": 1234.0, "手": 123_400.0, "万股": 12_340_000.0, "万份": 12_340_000.0,
    "万手": 1_234_000_000.0, "亿股": 123_400_000_000.0, "亿份": 123_400_000_000.0, "点": 1234.0, "%": 12.34, "‰": 1.234,
    "fraction": 1234.0, "倍": 1234.0,
}  # fmt: skip


def test_figures_of_every_unit_become_cny_shares_and_fractions() -> None:
    assert {text: unit.apply(np.array([1234.0]))[0] for text, unit in UNITS.items()} == IN_UNITS


@pytest.mark.parametrize(
    ("text", "kind", "expected"),
    [("股/份", Kind.SHARES, 1234.0), ("亿股/亿份", Kind.SHARES, 1234e8), (None, Kind.NUMBER, 1234.0)],
)
def test_names_of_one_unit_are_that_unit(text: str | None, kind: Kind, expected: float) -> None:
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


@pytest.mark.parametrize(
    "cell", ["没有数据", "1,23", "0,012", "-0,500", "00 123", "1.2.3", "12元", "0x10", "1 and 2", "inf"]
)
def test_what_is_no_number_is_refused(cell: str) -> None:
    with pytest.raises(InputError, match="here"):
        parse_number(cell, "here")


def test_a_factor_in_the_cell_counts_only_where_the_column_has_none() -> None:
    assert parse_number("1.5亿", "here", UNITS["元"]) == 1.5e8
    assert parse_number("2万", "here", UNITS["股"]) == 2e4
    for unit in (UNITS["亿元"], UNITS["%"], UNITS["fraction"], None):
        with pytest.raises(InputError, match="ambiguous"):
            parse_number("1.5亿", "here", unit)


def test_a_percent_sign_counts_only_in_a_column_of_ratios() -> None:
    assert UNITS["%"].apply(np.array([parse_number("1.25%", "here", UNITS["%"])]))[0] == 0.0125
    assert parse_number("1.25%", "here", UNITS["fraction"]) == 0.0125
    for unit in (UNITS["‰"], UNITS["元"], None):
        with pytest.raises(InputError, match="no number"):
            parse_number("1.25%", "here", unit)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [("1.25e8", 125_000_000.0), ("1.234567891e9", 1_234_567_891.0), ("0e9", 0.0), ("2e-4", 0.0002),
     ("1.25e9", "3 digits"), ("2E+5", "1 digits"), ("2e+5", "1 digits"), ("1.5E8", "2 digits"),
     (str(2**53), "more digits"), (str(2**53 - 1), float(2**53 - 1)), ('="1234"', 1234.0)],
)  # fmt: skip
def test_numbers_in_scientific_notation_are_exact_or_refused(cell: str, expected: float | str) -> None:
    if isinstance(expected, float):
        assert parse_number(cell, "here") == expected
    else:
        with pytest.raises(InputError, match=expected):
            parse_number(cell, "here")


@pytest.mark.parametrize("flag", [False, True])
def test_a_column_is_read_as_its_cells_are(flag: bool) -> None:
    cells = ["1,234.5", "", "12", None, "abc", "-7", "1.5亿", "是", "no"]
    figures, wrong = parse_numbers(pd.Series(cells, dtype=object), UNITS["元"], flag=flag)
    words = [1.0, 0.0] if flag else [math.nan, math.nan]
    np.testing.assert_array_equal(figures, [1234.5, math.nan, 12, math.nan, math.nan, -7, 1.5e8, *words])
    assert sorted(wrong) == ([4] if flag else [4, 7, 8])


def test_a_column_of_true_and_false_is_no_column_of_numbers() -> None:
    column = pd.Series([True, False])
    assert sorted(parse_numbers(column)[1]) == [0, 1]
    assert parse_numbers(column, flag=True)[0].tolist() == [1.0, 0.0]


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
