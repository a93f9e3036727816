"""Columns that are shifted by a row against the codes, on a first day."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from feeds.checks.findings import Severity
from feeds.checks.shifted_columns import shifted_columns
from processors.events import RowBatch
from tests.building import batch

DAY = date(2024, 6, 14)
FIGURES = {
    "margin.daily": ("fin_balance", "fin_buy", "fin_repay", "short_volume", "short_sell", "short_repay",
                     "short_balance"),
    "prices.daily": ("float_shares", "volume"),
}  # fmt: skip


def listed(topic: str, count: int = 400, shifted: str = "", by: int = 1) -> RowBatch:
    """A list of Shanghai in which a large security has large figures."""
    random = np.random.default_rng(2)
    size = 1e8 * np.exp(random.normal(0, 1, count))
    figures = {name: size * np.exp(random.normal(0, 0.5, count)) for name in FIGURES[topic]}
    if shifted:
        figures[shifted] = np.roll(figures[shifted], by)
    return batch(
        topic, DAY, {f"{600000 + n}.SH": {name: values[n] for name, values in figures.items()} for n in range(count)}
    )


@pytest.mark.parametrize("by", [1, -1])
@pytest.mark.parametrize(("topic", "name"), [(topic, name) for topic, names in FIGURES.items() for name in names])
def test_a_column_that_is_shifted_by_a_row_is_an_error(topic: str, name: str, by: int) -> None:
    findings = list(shifted_columns(listed(topic, shifted=name, by=by)))
    assert findings and {one.severity for one in findings} == {Severity.ERROR}
    assert all(name in one.text for one in findings)


@pytest.mark.parametrize("topic", FIGURES)
def test_a_list_as_it_is_and_a_short_one_have_no_such_finding(topic: str) -> None:
    assert list(shifted_columns(listed(topic))) == []
    name = FIGURES[topic][1]
    assert list(shifted_columns(listed(topic, count=190, shifted=name))) == []


def test_figures_that_have_nothing_to_do_with_each_other_are_no_finding() -> None:
    """In some years the few short sales are of a lot or two, whatever is lent."""
    rows = listed("margin.daily")
    rows.figures["short_sell"][:] = np.random.default_rng(1).integers(1, 3, len(rows)) * 100.0
    assert list(shifted_columns(rows)) == []


def test_real_lists_have_no_shifted_column_and_show_one(data_dir: Path) -> None:
    frame = pd.read_parquet(data_dir / "margin_detail_szse_2018_2021q1.parquet")
    for _, rows in list(frame.sort_values(["dt", "code"]).groupby("dt"))[::60]:
        balances, buys = (rows[f"margin_{name}"].to_numpy(np.float64) for name in ("balance", "buy_amt"))
        for shift, reported in ((0, 0), (1, 1)):
            figures = zip(balances.tolist(), np.roll(buys, shift).tolist(), strict=True)
            named = (dict(zip(("fin_balance", "fin_buy"), row, strict=True)) for row in figures)
            now = batch("margin.daily", DAY, {f"{code}.SZ": row for code, row in zip(rows["code"], named, strict=True)})
            assert len(list(shifted_columns(now))) == reported
