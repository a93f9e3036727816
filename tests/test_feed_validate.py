"""The checks before publishing: errors, warnings, and the findings of real days. Other rows are constructed here."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from feeds.checks.compared_day import ComparedDay
from feeds.checks.day_checks import check_day
from feeds.checks.findings import Finding, Severity
from feeds.checks.magnitudes import magnitudes
from feeds.checks.mixed_units import mixed_units
from feeds.checks.slipped_days import slipped_days
from feeds.daily.check_report import format_findings, refuse_errors
from feeds.daily.day_report import day_reports
from feeds.errors import InputError
from feeds.feed_report import Verdict
from feeds.folder import read
from processors.codes import to_id
from processors.days import to_day
from processors.events import RowBatch
from streams.calendars import xshg
from tests.building import DAYS, batch
from tests.reading import check_days

CODES = [f"{600000 + i}.SH" for i in range(30)]
PLACEHOLDER = (Severity.ERROR, "placeholder")


def detail(day: date, **changes: dict[str, float]) -> RowBatch:
    """A day of 30 securities: balance 1e8, buys 1e7, the same repaid."""
    figures = {"fin_balance": 1e8, "fin_buy": 1e7, "fin_repay": 1e7, "short_volume": 1e5}
    rows = {code: figures | {"short_sell": 1e4 + i} | changes.get(f"c{code[:6]}", {}) for i, code in enumerate(CODES)}
    return batch("margin.daily", day, rows)


def totals(day: date, **changes: float) -> RowBatch:
    figures = {"fin_balance": 3.01e9, "fin_buy": 3e8, "fin_repay": 3e8, "short_volume": 3e6, "short_sell": 3e5}
    return batch("margin.market", day, {"SSE": {**figures, **changes}})


def times(rows: RowBatch, column: str, factor: float) -> RowBatch:
    return RowBatch(rows.topic, rows.keys, rows.days, rows.revisions, rows.stamps,
                    {n: v * factor if n == column else v for n, v in rows.figures.items()})  # fmt: skip


def found(*rows: RowBatch, before: tuple[RowBatch, ...] = ()) -> list[Finding]:
    day = ComparedDay.of({r.topic: r for r in rows}, {r.topic: r for r in before}, xshg(), {})
    return [one for one in check_day(day) if one.check not in ("cut", "day")]


def kinds(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(f.severity.value, f.check) for f in findings]


def test_an_ordinary_day_has_no_findings() -> None:
    assert found(detail(DAYS[1]), totals(DAYS[1]), before=(detail(DAYS[0]), totals(DAYS[0]))) == []


@pytest.mark.parametrize("factor", [1e4, 1e-4, 1e8, 1e-8, 100.0, 1000.0])
@pytest.mark.parametrize("column", ["fin_balance", "fin_buy", "short_volume"])
def test_a_column_in_another_unit_than_the_day_before_stops_publishing(column: str, factor: float) -> None:
    (finding,) = found(times(detail(DAYS[1]), column, factor), before=(detail(DAYS[0]),))
    assert (finding.severity, finding.check) == (Severity.ERROR, "unit")
    assert column in finding.text and "SSE" in finding.text


@pytest.mark.parametrize("factor", [1e4, 1e-4, 1e8, 1e-8])
def test_a_detail_in_another_unit_than_the_totals_stops_publishing(factor: float) -> None:
    (finding,) = found(times(detail(DAYS[0]), "fin_buy", factor), totals(DAYS[0]))
    assert (finding.severity, finding.check) == (Severity.ERROR, "unit")


def test_totals_in_yi_read_as_yuan_are_caught_against_the_day_before() -> None:
    (finding,) = found(times(totals(DAYS[1]), "fin_balance", 1e-8), before=(totals(DAYS[0]),))
    assert finding.check == "unit"


@pytest.mark.parametrize(
    ("topic", "column", "factor", "wrong"),
    [("prices.daily", "volume", 0.01, True), ("prices.daily", "turnover", 1e-3, True),
     ("prices.daily", "close", 1.2, False), ("margin.daily", "fin_buy", 1e4, True),
     ("margin.daily", "fin_balance", 1e8, True), ("margin.daily", "fin_buy", 20.0, False),
     ("prices.daily", "volume", 0.0, True), ("prices.daily", "turnover", 0.0, True),
     ("margin.daily", "fin_buy", 0.0, True), ("margin.daily", "fin_balance", 0.0, True)],
)  # fmt: skip
@pytest.mark.parametrize("securities", [30, 19])
def test_columns_of_the_very_first_day_whose_units_contradict_each_other_stop_publishing(
    topic: str, column: str, factor: float, wrong: bool, securities: int
) -> None:
    figures = {"prices.daily": {"close": 9.0, "volume": 1e6, "turnover": 9.1e6},
               "margin.daily": {"fin_balance": 4e8, "fin_buy": 1.5e7}}[topic]  # fmt: skip
    figures = figures | {column: figures[column] * factor}
    rows = {f"{600_000 + n}.SH": {k: v * (1 + n / 1e3) for k, v in figures.items()} for n in range(securities)}
    check = "unit" if factor else "placeholder"
    errors = [one for one in kinds(found(batch(topic, DAYS[0], rows))) if one[1] == check]
    assert errors == [("error", check)] * (wrong and securities > 20)


def test_a_total_of_zero_buys_is_a_placeholder_on_a_first_day() -> None:
    assert kinds(found(times(totals(DAYS[0]), "fin_buy", 0.0))) == [("error", "placeholder")]


MANY = [f"{600000 + i}.SH" for i in range(100)]
SIZES = {
    "margin.daily": (MANY, {"fin_balance": 2e8, "fin_buy": 1e7}),
    "prices.daily": (MANY, {"close": 8.0, "volume": 5e6, "turnover": 4e7}),
    "valuations.daily": (MANY, {"turnover_rate": 0.01, "float_cap": 3e9, "dividend_yield": 0.012}),
    "margin.market": (["SSE", "SZSE"], {"fin_balance": 9e11, "fin_buy": 6e10}),
    "indices.daily": (["000001.SH", "399001.SZ"], {"close": 3000.0, "turnover": 3e11}),
    "rates.daily": (["CN10Y"], {"yield": 0.018}),
    "etf.daily": ([f"{510010 + i * 10}.SH" for i in range(40)], {"shares": 8e7}),
}


@pytest.mark.parametrize(
    ("topic", "figure", "factor", "severity"),
    [("margin.daily", "fin_balance", 1.0, ""), ("margin.daily", "fin_balance", 1e-4, "error"),
     ("margin.daily", "fin_balance", 1e4, "error"), ("margin.daily", "fin_balance", 1e-8, "error"),
     ("prices.daily", "turnover", 1.0, ""), ("prices.daily", "turnover", 1e3, "error"),
     ("prices.daily", "turnover", 1e-3, "error"), ("prices.daily", "close", 100.0, "error"),
     ("valuations.daily", "turnover_rate", 100.0, "error"), ("valuations.daily", "turnover_rate", 0.01, "error"),
     ("valuations.daily", "dividend_yield", 100.0, "error"), ("valuations.daily", "float_cap", 1e-4, "error"),
     ("margin.market", "fin_balance", 1.0, ""), ("margin.market", "fin_balance", 1e4, "error"),
     ("margin.market", "fin_balance", 1e-4, "warning"), ("indices.daily", "turnover", 1e3, "error"),
     ("indices.daily", "turnover", 1e-3, "warning"), ("rates.daily", "yield", 100.0, "error"),
     ("rates.daily", "yield", 0.01, "warning"), ("etf.daily", "shares", 1.0, ""),
     ("etf.daily", "shares", 1e4, "error"), ("etf.daily", "shares", 1e-4, "error")],
)  # fmt: skip
def test_a_day_whose_columns_are_all_in_a_wrong_unit_shows_it_by_its_size(
    topic: str, figure: str, factor: float, severity: str
) -> None:
    keys, figures = SIZES[topic]
    rows = times(batch(topic, DAYS[1], dict.fromkeys(keys, figures)), figure, factor)
    seen = list(magnitudes(ComparedDay.of({topic: rows}, {}, xshg(), {})))
    assert {(one.severity.value, one.check) for one in seen} == ({(severity, "unit")} if severity else set())
    before = {topic: times(batch(topic, DAYS[0], dict.fromkeys(keys, figures)), figure, factor)}  # as wrong
    assert list(magnitudes(ComparedDay.of({topic: rows}, before, xshg(), {}))) == seen


def of_day(topic: str, day: date, shift: float, *, prev: float = 0.0, count: int = 200) -> RowBatch:
    """Rows whose figures differ from each other; they are those of another day by ``shift``."""
    rows = {}
    for at in range(count):
        price = 10.0 + at + shift
        margin = {"fin_balance": price * 1e8, "fin_buy": price * 1e6, "short_volume": 1e4}
        quote = {"high": price + 1, "low": price - 2, "close": price, "prev_close": price - (shift or 0.2) + prev,
                 "turnover": price * 1e6}  # fmt: skip
        rows[f"{600000 + at}.SH"] = margin if topic == "margin.daily" else quote
    return batch(topic, day, rows)


@pytest.mark.parametrize(
    ("topic", "shift", "prev", "count", "text"),
    [("margin.daily", 0.0, 0.0, 200, "error: all figures of 200 of 200 rows of SSE are those of"),
     ("margin.daily", 0.0, 0.0, 30, "warning: all figures of 30 of 30 rows of SSE are those of"),
     ("margin.daily", 1.0, 0.0, 200, ""),
     ("prices.daily", 0.0, 0.0, 200, "error: all figures of 200 of 200 rows of SSE are those of"),
     ("prices.daily", 0.1, 0.0, 200, ""),
     ("prices.daily", 0.1, 3.0, 30, "warning: 30 of 30 previous closes of SSE are not the closes of")],
)  # fmt: skip
def test_figures_of_another_day_are_reported(topic: str, shift: float, prev: float, count: int, text: str) -> None:
    before = of_day(topic, DAYS[0], 0.0, count=count)
    now = of_day(topic, DAYS[1], shift, prev=prev, count=count)
    found = [f"{one.severity.value}: {one.text}" for one in slipped_days(compared(now, before))]
    assert len(found) == bool(text) and all(one.startswith(text) for one in found)


def compared(now: RowBatch, before: RowBatch) -> ComparedDay:
    return ComparedDay.of({now.topic: now}, {now.topic: before}, xshg(), {})


def test_totals_of_the_day_before_are_reported_and_equal_rows_are_none_of_a_market() -> None:
    def seen(now: RowBatch, before: RowBatch) -> list[str]:
        return [one.severity.value for one in slipped_days(compared(now, before))]

    assert seen(totals(DAYS[1]), totals(DAYS[0])) == ["warning"]
    assert seen(totals(DAYS[1], fin_buy=3e8 + 1), totals(DAYS[0])) == []
    assert seen(times(detail(DAYS[1]), "short_sell", 0), times(detail(DAYS[0]), "short_sell", 0)) == []


def test_one_security_that_grows_ten_thousandfold_is_a_jump_and_no_unit_slip() -> None:
    rows = detail(DAYS[1], c600003={"fin_balance": 1e12, "fin_buy": 1e12, "fin_repay": 1e8})
    assert ("error", "unit") not in kinds(found(rows, before=(detail(DAYS[0]),)))
    (jump,) = [f for f in found(rows, before=(detail(DAYS[0]),)) if "fold" in f.text]
    assert "600003.SH" in jump.text


@pytest.mark.parametrize(
    ("figures", "word"),
    [
        ({"close": 9.0, "suspended": 2.0}, "suspended is neither 0 nor 1"),
        ({"close": 9.0, "suspended": np.inf}, "suspended is not finite"),
        ({"close": -9.0}, "close is not positive"),
        ({"close": -np.inf}, "close is not finite"),
        ({"close": np.nan}, "close is absent"),
        ({"close": 9.0, "volume": -1.0}, "volume is negative"),
    ],
)
def test_an_impossible_figure_stops_publishing_once(figures: dict[str, float], word: str) -> None:
    (finding,) = found(batch("prices.daily", DAYS[0], {"600519.SH": figures}))
    assert kinds([finding]) == [("error", "figure")] and finding.text.startswith(f"{word} in 1 of 1 rows: 600519.SH")


@pytest.mark.parametrize(
    ("column", "off", "expected"),
    [
        ("fin_buy", 0.0009, []),
        ("fin_buy", 0.002, [("warning", "sum")]),
        ("fin_buy", 0.02, [("error", "sum")]),
        ("fin_balance", 0.015, []),
        ("fin_balance", 0.03, [("warning", "sum")]),
        ("fin_balance", 0.30, [("error", "sum")]),
    ],
)
def test_sums_of_the_detail_against_the_totals(column: str, off: float, expected: list[tuple[str, str]]) -> None:
    whole = detail(DAYS[0]).figures[column].sum()
    assert kinds(found(detail(DAYS[0]), totals(DAYS[0], **{column: whole / (1 - off)}))) == expected


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        ({}, []),
        ({"short_volume": 3e9 * 1.019}, []),
        ({"short_volume": 3e9 * 1.03}, [("warning", "sum")]),
        ({"short_volume": 3e9 * 100}, [("error", "sum")]),
        ({"short_sell": 3e9}, [("error", "sum")]),
        ({"short_sell": 0.0}, [("error", "sum")]),
        ({"fin_repay": 4e8}, [("error", "sum")]),
    ],
)
@pytest.mark.parametrize("step", [0.0, 0.99e6])
def test_every_sum_is_compared_with_its_total(
    total: dict[str, float], expected: list[tuple[str, str]], step: float
) -> None:
    """Beyond the step to which Shenzhen rounds its totals in 亿股."""
    rows = times(times(detail(DAYS[0]), "short_volume", 1e3), "short_sell", 1e3)
    whole = {name: values.sum() for name, values in rows.figures.items() if not np.isnan(values).any()}
    whole |= {"short_volume": whole["short_volume"] - step} | total
    found_sums = [one for one in found(rows, totals(DAYS[0], **whole)) if one.check in ("sum", "unit")]
    assert kinds(found_sums) == expected


def test_shares_sold_that_a_total_rounds_to_0_are_no_other_sum() -> None:
    rows = detail(DAYS[0])
    assert rows.figures["short_sell"].sum() < 1e6
    assert found(rows, totals(DAYS[0], short_sell=0.0)) == []


@pytest.mark.parametrize(
    ("total", "expected"), [(4e6, []), (4.4e6, [("error", "sum")]), (5e6, [("error", "sum")]), (0.0, [])]
)
def test_buys_that_a_total_in_yi_rounds_are_no_other_sum(total: float, expected: list[tuple[str, str]]) -> None:
    """As those of the first months of 2010: 30 stocks with 3.6 million CNY, in steps of a million."""
    rows = times(times(times(detail(DAYS[0]), "fin_balance", 0.1), "fin_buy", 0.012), "fin_repay", 0.012)
    whole = {name: rows.figures[name].sum() for name in ("fin_balance", "fin_repay")}
    sums = found(rows, totals(DAYS[0], **whole | {"fin_buy": total}))
    assert [one for one in kinds(sums) if one[1] == "sum"] == expected


@pytest.mark.parametrize("sold", [50.0, 5_000.0])
@pytest.mark.parametrize(("day", "expected"), [(date(2015, 7, 31), []), (date(2015, 8, 3), [("error", "unit")])])
def test_shares_could_be_sold_and_bought_back_within_a_day(
    day: date, sold: float, expected: list[tuple[str, str]]
) -> None:
    """Of a part of the stocks, or of all, more was sold short than was lent at the end of the day."""
    many = CODES[:10] if sold > 100 else CODES
    rows = detail(day, **{f"c{code[:6]}": {"short_sell": 1e5 * sold + at} for at, code in enumerate(many)})
    assert kinds(found(rows)) == expected


def test_an_exchange_without_totals_is_not_compared() -> None:
    other = batch("margin.market", DAYS[0], {"SZSE": {"fin_balance": 1e11, "fin_buy": 1e10}})
    assert [f for f in found(detail(DAYS[0]), other) if f.check in ("sum", "unit")] == []


def test_a_broken_identity_is_reported_with_its_worst_case() -> None:
    rows = detail(DAYS[1], c600007={"fin_balance": 1e8 + 5e6}, c600008={"fin_balance": 1e8 + 50})
    (finding,) = found(rows, before=(detail(DAYS[0]),))
    assert kinds([finding]) == [("warning", "identity")]
    assert "600007.SH by -5,000,000 CNY" in finding.text


def test_missing_securities_are_named_and_a_gap_of_days_is_not_compared() -> None:
    few = detail(DAYS[1]).take(np.arange(6, len(CODES)))
    (finding,) = found(few, before=(detail(DAYS[0]),))
    assert kinds([finding]) == [("warning", "missing")]
    assert "6 of the 30" in finding.text and "600000.SH, 600001.SH" in finding.text and finding.text.endswith("…")
    later = RowBatch(few.topic, few.keys, few.days + 3, few.revisions, few.stamps, few.figures)  # Friday to Monday
    assert found(later, before=(detail(DAYS[0]),)) == []


@pytest.mark.parametrize(
    ("figures", "word"),
    [({"fin_buy": np.nan}, "absent"), ({"fin_buy": -1.0}, "negative"), ({"fin_buy": np.inf}, "not")],
)
def test_figures_that_can_not_be_stop_publishing(figures: dict[str, float], word: str) -> None:
    (finding,) = found(detail(DAYS[0], c600002=figures))
    assert finding.severity is Severity.ERROR and word in finding.text and "600002.SH" in finding.text


def test_a_day_of_zeros_is_a_placeholder() -> None:
    rows = detail(DAYS[0])
    nothing = RowBatch(rows.topic, rows.keys, rows.days, rows.revisions, rows.stamps,
                       {n: v * 0 for n, v in rows.figures.items()})  # fmt: skip
    assert kinds(found(nothing)) == [("error", "placeholder")]


@pytest.mark.parametrize("column", ["fin_buy", "short_volume", "short_sell"])
def test_a_column_of_zeros_that_was_none_the_day_before_is_a_placeholder(column: str) -> None:
    def errors(rows: RowBatch, before: RowBatch) -> list[str]:
        return [f.text for f in found(rows, before=(before,)) if (f.severity, f.check) == PLACEHOLDER]

    (text,) = errors(times(detail(DAYS[1]), column, 0), detail(DAYS[0]))
    assert f"{column} of SSE is 0 in all 30 rows, and was not in 30 of them" in text
    again = errors(times(detail(DAYS[1]), column, 0), times(detail(DAYS[0]), column, 0))
    assert bool(again) == (column == "fin_buy")  # nobody buys on credit nowhere, whatever there was the day before
    assert errors(detail(DAYS[1], c600000={column: 0.0}), detail(DAYS[0])) == []
    # Nothing may be sold short on a day (Shenzhen, 2016-01-18).
    of_totals = errors(times(totals(DAYS[1]), column, 0), totals(DAYS[0]))
    assert [f"{column} of SSE is 0 in all 1 rows" in text for text in of_totals] == [True] * (column == "fin_buy")


def test_prices_that_jump_are_named_unless_the_reference_explains_them() -> None:
    before = batch("prices.daily", DAYS[0], {"600000.SH": {"close": 10.0}, "600001.SH": {"close": 10.0}})
    rows = batch("prices.daily", DAYS[1], {"600000.SH": {"close": 5.0, "prev_close": 5.1}, "600001.SH": {"close": 5.0}})
    (finding,) = found(rows, before=(before,))
    assert finding.check == "jump" and "600001.SH" in finding.text and "600000.SH" not in finding.text


def test_errors_refuse_and_force_lets_them_pass() -> None:
    findings = found(times(detail(DAYS[1]), "fin_buy", 1e4), before=(detail(DAYS[0]),))
    with pytest.raises(InputError, match=r"nothing was published: 1 error .*--force"):
        refuse_errors(findings, force=False)
    refuse_errors(findings, force=True)
    refuse_errors([f for f in findings if f.severity is Severity.WARNING], force=False)


@pytest.mark.parametrize(
    ("severity", "check", "count", "shown"),
    [
        (Severity.WARNING, "jump", 9, 5),
        (Severity.ERROR, "unit", 5, 5),
        (Severity.REFUSED, "cell", 200, 200),  # each is a row that is lost
        (Severity.REFUSED, "cell", 203, 200),
        (Severity.ERROR, "file", 203, 200),
    ],
)
def test_many_findings_of_a_kind_are_shortened(severity: Severity, check: str, count: int, shown: int) -> None:
    lines = [
        *format_findings([Finding(severity, check, "margin.daily", to_day(DAYS[0]), str(i)) for i in range(count)])
    ]
    assert [line.rpartition(" ")[2] for line in lines[:shown]] == [str(i) for i in range(shown)]
    assert [line.partition("… ")[2] for line in lines[shown:]] == (
        [f"and {count - shown} more"] if count > shown else []
    )


def test_real_days_have_warnings_but_no_errors(data_dir: Path) -> None:
    """Half a year around the great enlargement of the list (2019-08-19): nothing real is refused."""
    folder = read(data_dir, xshg(), date(2019, 6, 3), date(2019, 11, 29))
    margins = [(day, {t: b for t, b in rows.items() if t.startswith(("margin.", "indices."))})
               for day, rows in folder.by_day()]  # fmt: skip
    findings = list(check_days(margins, xshg()))
    assert [f for f in findings if f.severity is Severity.ERROR] == []
    assert {f.check for f in findings} >= {"sum", "identity", "missing"}


@pytest.mark.parametrize(
    ("total", "refused", "severity"),
    [
        (3.9e8, ["600100.SH"], Severity.WARNING),  # without a row of 9e7, of 1e7 the others
        (3.9e8, [], Severity.ERROR),
        (3.9e8, ["000001.SZ"], Severity.ERROR),  # a row of another exchange explains nothing
        (4.2e8, ["600100.SH"], Severity.ERROR),  # nor does one row so much
        (4.2e8, ["600100.SH", "600101.SH"], Severity.WARNING),
        (2.9e8, ["600100.SH"], Severity.ERROR),  # nor a sum that is too high
        (3e8, ["600100.SH"], None),
    ],
)
def test_a_sum_without_refused_rows_is_an_error_only_where_they_cannot_explain_it(
    total: float, refused: list[str], severity: Severity | None
) -> None:
    rows = {one.topic: one for one in (detail(DAYS[0]), totals(DAYS[0], fin_buy=total))}
    lacked = {"margin.daily": np.array([to_id(code) for code in refused], dtype=np.int32)}
    seen = [one for one in check_day(ComparedDay.of(rows, {}, xshg(), {}, lacked)) if one.check == "sum"]
    assert [one.severity for one in seen] == ([] if severity is None else [severity])
    assert severity is not Severity.WARNING or all(code in seen[0].text for code in refused)


def test_real_totals_of_shenzhen_taken_for_yuan_are_caught(data_dir: Path) -> None:
    """Shenzhen publishes 亿元 and 亿股: read as 元 and 股 they don't fit the sums of its detail."""
    ((_, rows),) = read(data_dir, xshg(), date(2020, 3, 2), date(2020, 3, 2)).by_day()
    market = rows["margin.market"]
    for name in ("fin_balance", "fin_buy", "short_volume", "short_sell"):
        taken = np.where(market.keys == 1, market.figures[name] / 1e8, market.figures[name])
        wrong_rows = rows | {"margin.market": replace(market, figures=market.figures | {name: taken})}
        wrong = [f for f in check_day(ComparedDay.of(wrong_rows, {}, xshg(), {})) if f.severity is Severity.ERROR]
        assert {f.check for f in wrong} == {"unit"}
        assert all(name in f.text and "SZSE" in f.text for f in wrong)


@pytest.mark.parametrize(
    ("topic", "figures", "twins"),
    [
        ("margin.daily", {"fin_balance": 1e9, "fin_buy": 2e7, "short_volume": 300.0}, True),
        ("margin.daily", {"fin_balance": 1e9, "fin_buy": 0.0, "short_volume": 0.0}, False),
        ("margin.daily", {"fin_balance": 811_234_567.0, "fin_buy": 21_234_567.0}, True),
        ("margin.daily", {"fin_balance": 31_234_500.0, "fin_buy": 1_230.0, "short_volume": 0.0}, True),
        ("margin.daily", {"fin_balance": 811_234_567.0, "fin_buy": 0.0}, True),
        ("margin.daily", {"fin_balance": 812_000_000.0, "fin_buy": 21_000_000.0}, False),  # rounded to a million
        ("prices.daily", {"open": 9.0, "close": 9.5, "volume": 1e6, "turnover": 9.3e6}, True),
        ("prices.daily", {"open": 100.0, "high": 100.0, "close": 100.0, "volume": 0.0}, False),
    ],
)
def test_two_codes_with_identical_figures_are_suspicious(topic: str, figures: dict[str, float], twins: bool) -> None:
    other = {name: value * 1.01 for name, value in figures.items()}
    rows = batch(topic, DAYS[0], {"000043.SZ": figures, "001914.SZ": figures, "600519.SH": other})
    named = [f.text for f in found(rows) if f.check == "twins"]
    assert len(named) == twins
    assert all("000043.SZ, 001914.SZ" in text and "600519" not in text for text in named)


@pytest.mark.parametrize(("published", "verdict"), [(True, Verdict.PASSED), (False, Verdict.NOT_COMPARED)])
def test_the_report_of_a_detail_counts_totals_that_are_published_already(published: bool, verdict: Verdict) -> None:
    beside = {"margin.market": totals(DAYS[0])} if published else {}
    day = ComparedDay.of({"margin.daily": detail(DAYS[0])}, {}, xshg(), beside)
    (report,) = day_reports(day, check_day(day))
    assert report.checks["sum"] is verdict


INDEX_DAY = {
    "000001.SH": (3000.0, 2990.0, 3e11), "000016.SH": (2700.0, 2690.0, 5e10), "000300.SH": (4000.0, 3990.0, 2e11),
    "399001.SZ": (11000.0, 10900.0, 4e11), "399006.SZ": (2400.0, 2390.0, 1e11), "801010.SI": (3500.0, 3490.0, 5e9),
    "801030.SI": (2500.0, 2490.0, 6e9),
}  # fmt: skip


def index_day(day: date, figures: dict[str, tuple[float, float, float]]) -> RowBatch:
    names = ("close", "prev_close", "turnover")
    return batch("indices.daily", day, {code: dict(zip(names, row, strict=True)) for code, row in figures.items()})


def index_findings(changes: dict[str, tuple[float, float, float]]) -> list[tuple[str, str]]:
    """The findings of a day that follows on `INDEX_DAY`, with other figures of some indices."""
    following = {code: (close * 1.01, close, turnover * 1.1) for code, (close, _, turnover) in INDEX_DAY.items()}
    now = index_day(DAYS[1], following | changes)
    day = ComparedDay.of({now.topic: now}, {now.topic: index_day(DAYS[0], INDEX_DAY)}, xshg(), {})
    return sorted({(one.severity.value, one.check) for one in check_day(day)})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"000016.SH": (4040.0, 4000.0, 2e11)}, [("error", "day")]),  # the row of the index below it
        ({"000001.SH": (2990.0, 2980.0, 3e11)}, [("error", "day")]),  # of two sessions before
        ({"000001.SH": (3030.0, 3000.00004, 3e11)}, []),  # a rounding
        ({"000001.SH": (3030.0, 3000.0, 0.0)}, [("error", "placeholder"), ("error", "step")]),
        ({"000001.SH": (3030.0, 3000.0, 3e8)}, [("error", "step"), ("warning", "unit")]),
        ({"000001.SH": (3030.0, 3000.0, 2.5e10)}, [("warning", "step")]),
        ({"801010.SI": (3510.0, 3450.0, 5e9)}, [("warning", "day")]),  # as Shenwan's of 2017-10-10
        ({"801010.SI": (2525.0, 2500.0, 5e9)}, [("error", "day")]),
        ({code: (row[0] * 1.01, row[0], row[2] / 1000) for code, row in INDEX_DAY.items()}, [("error", "unit")]),
    ],
)
def test_an_index_has_its_own_figures_and_those_of_the_day(
    changes: dict[str, tuple[float, float, float]], expected: list[tuple[str, str]]
) -> None:
    found = index_findings(changes)
    assert [one for one in found if one[1] != "jump"] == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, []),
        ({"fin_buy": 6e12}, [("error", "unit")]),  # a hundred times: more than the balance
        ({"fin_buy": 6e11}, [("error", "step")]),  # ten times
        ({"fin_buy": 2e11}, [("warning", "step")]),
        ({"fin_buy": 6e4}, [("error", "unit")]),  # 百万元
    ],
)
def test_the_buys_of_an_exchange_are_those_of_its_balance_and_of_the_session_before(
    changes: dict[str, float], expected: list[tuple[str, str]]
) -> None:
    usual = {"fin_balance": 6.5e11, "fin_buy": 6.4e10}
    before, now = (
        batch("margin.market", DAYS[0], {"SZSE": usual}),
        batch("margin.market", DAYS[1], {"SZSE": usual | changes}),
    )
    assert kinds(found(now, before=(before,))) == expected


def test_a_yield_that_is_a_hundred_times_that_of_the_session_before_is_an_error() -> None:
    before, now = (
        batch("rates.daily", day, {"CN10Y": {"yield": of}}) for day, of in ((DAYS[0], 0.03), (DAYS[1], 3e-4))
    )
    assert kinds(found(now, before=(before,))) == [("error", "step"), ("warning", "unit")]


def test_repayments_that_shenzhen_does_not_publish_can_not_be_negative() -> None:
    codes = [f"{1 + i:06d}.SZ" for i in range(300)]

    def day(of: date, balances: list[float]) -> RowBatch:
        rows = {
            code: {"fin_balance": now, "fin_buy": 1e6 + at + of.day}
            for at, (code, now) in enumerate(zip(codes, balances, strict=True))
        }
        return batch("margin.daily", of, rows)

    before = day(DAYS[0], [1e8 + i for i in range(300)])
    for negative, expected in ((5, []), (6, [("error", "identity")])):
        now = day(DAYS[1], [1e8 + i + (2e6 if i < negative else 5e5) for i in range(300)])
        assert kinds(found(now, before=(before,))) == expected


def test_a_list_of_other_names_is_cut_however_long_it_is() -> None:
    def names(first: int, of: date) -> RowBatch:
        rows = {f"{600000 + first + i}.SH": {"fin_balance": 1e8 + i, "fin_buy": 1e6 + i} for i in range(403)}
        return batch("margin.daily", of, rows)

    (now, before) = names(400, DAYS[1]), names(0, DAYS[0])
    found = check_day(ComparedDay.of({now.topic: now}, {now.topic: before}, xshg(), {}))
    (finding,) = [one for one in found if one.severity is Severity.ERROR]
    assert finding.check == "cut" and "400 are missing" in finding.text


@pytest.mark.parametrize(
    ("topic", "figures"),
    [("etf.daily", {"shares": 1e9}), ("valuations.daily", {"turnover_rate": 0.01, "pe_ttm": 20.0, "float_cap": 3e9})],
)
def test_shares_and_valuations_of_the_day_before_are_those_of_another_day(
    topic: str, figures: dict[str, float]
) -> None:
    def day(of: date, more: float) -> RowBatch:
        codes = [f"{(510000 if topic == 'etf.daily' else 600000) + i}.SH" for i in range(210)]
        rows = {c: {n: v * (1 + i / 1000 + more) for n, v in figures.items()} for i, c in enumerate(codes)}
        return batch(topic, of, rows)

    for more, expected in ((0.0, [Severity.ERROR]), (1e-4, [])):
        now, before = day(DAYS[1], more), day(DAYS[0], 0.0)
        found = slipped_days(ComparedDay.of({topic: now}, {topic: before}, xshg(), {}))
        assert [one.severity for one in found] == expected


def test_a_part_in_another_unit_is_looked_for_in_the_stocks_of_each_exchange_alone() -> None:
    """Twelve of thirty buys of Shenzhen are in another unit; those of Shanghai, and of funds, count apart."""
    usual, wrong = {"fin_balance": 1e8, "fin_buy": 1e7}, {"fin_balance": 1e8, "fin_buy": 1e10}
    shenzhen = {f"{300000 + i:06d}.SZ": wrong if i < 12 else usual for i in range(30)}
    rows = dict.fromkeys(CODES, usual) | {f"{159900 + i}.SZ": wrong for i in range(40)} | shenzhen
    day = ComparedDay.of({"margin.daily": batch("margin.daily", DAYS[0], rows)}, {}, xshg(), {})
    (found_,) = mixed_units(day)
    assert "fin_buy of SZSE is more than 30 times fin_balance in 12 of 30 rows" in found_.text
