"""Every registered signal is explained: each of its needs by a text and figures from which its value follows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from processors.days import to_day
from processors.explanation import Explained, figures
from processors.registry import INDUSTRY_SIGNALS, SIGNALS
from processors.signal import Signal
from tests.folding import Case, small_case
from tests.made_market import SMALL
from tests.oracle.data import is_fund

EVERY = (*SIGNALS.values(), *INDUSTRY_SIGNALS.values())


@pytest.fixture(scope="module")
def small() -> Case:
    return small_case()


def explained(signal: Signal, case: Case, back: int = 0) -> tuple[Any, list[Explained]]:
    """The newest value (or one before it) of the first subject that has one, and what it is computed from."""
    assert case.folded.stages is not None
    table = case.folded.table(signal).dropna(how="all")
    day = table.index[-1 - back]
    subject = table.loc[day].dropna().index[0]
    return table.loc[day, subject], figures(signal, subject, to_day(day.date()), case.folded.stages[1].sources)


@pytest.mark.parametrize("signal", EVERY, ids=lambda signal: f"{signal.level}-{signal.id}")
def test_each_of_its_needs_is_explained_by_text_and_figures(signal: Signal, small: Case) -> None:
    days = [explained(signal, small, back)[1] for back in range(3)]
    for need, *found in zip(signal.needs, *days, strict=True):
        assert all(one.need is need and one.text and one.values for one in found)
        # An index that lacks a figure may stand aside for the stocks of its industry: on some days it has it.
        assert need.optional or any(one.known for one in found), f"{signal.id} has no figure of {need.text()}"


#: The arithmetic of some formulas, of each kind of input, from what is reported: need by its text → figures.
FOLLOWED: Mapping[tuple[str, str], Any] = {
    ("market", "fin_balance"): lambda f: sum(f["margin.market fin_balance"][e] for e in ("SSE", "SZSE")),
    ("market", "fin_buy_ratio_5d"): lambda f: (
        sum(f["margin.market fin_buy over ratio_window_days days"]["sum"])
        / sum(f["indices.daily turnover over ratio_window_days days"]["sum"])
    ),
    ("market", "excess_financing"): lambda f: (
        f["margin.market fin_balance"]["sum"] / f["margin.market fin_balance excess_lag_days days before"]["sum"]
        - f["indices.daily close of 000001.SH"]["000001.SH"]
        / f["indices.daily close of 000001.SH excess_lag_days days before"]["000001.SH"]
    ),
    ("market", "margin_trade_share"): lambda f: (
        (
            f["margin.market fin_buy"]["sum"]
            + sum(
                f["margin.market short_sell"][e]
                * f["margin.market short_balance"][e]
                / f["margin.market short_volume"][e]
                for e in ("SSE", "SZSE")
            )
        )
        / f["indices.daily turnover"]["sum"]
    ),
    ("market", "group_balance"): lambda f: sum(f["margin.daily fin_balance"].values()),
    ("market", "risk_premium"): lambda f: (
        1 / f["indices.daily pe_ttm of risk_premium_index"]["000985.SH"] - f["rates.daily yield of CN10Y"]["CN10Y"]
    ),
    ("market", "equal_weight_return"): lambda f: np.mean(
        [
            value
            for code, value in f["prices.daily return_1"].items()
            if value is not None and code in f["margin.daily fin_balance"] and not is_fund(code)
        ]
    ),
    ("security", "fin_change"): lambda f: (
        one(f["margin.daily fin_balance"]) / one(f["margin.daily fin_balance 1 day before"]) - 1
    ),
    ("security", "consecutive_extreme"): lambda f: (
        one(f["extreme"]) if one(f["extreme"]) == one(f["extreme 1 day before"]) else 0.0
    ),
    ("security", "price_level"): lambda f: one(f["prices.daily level"]),
    ("security", "open_to_close"): lambda f: one(f["prices.daily open_to_close"]),
    ("industry", "fin_balance"): lambda f: sum(f["margin.daily fin_balance"].values()),
    ("industry", "net_buy"): lambda f: (
        sum(f["margin.daily fin_buy"].values()) - sum(f["margin.daily fin_repay"].values())
    ),
    ("industry", "industry_coverage"): lambda f: len(f["margin.daily fin_balance"]) / f["reference"]["stocks"],
}


def one(values: Mapping[str, Any]) -> Any:
    (value,) = values.values()
    return value


@pytest.mark.parametrize("key", FOLLOWED, ids="-".join)
def test_its_value_follows_from_the_figures_that_are_reported(key: tuple[str, str], small: Case) -> None:
    signal = next(signal for signal in EVERY if (str(signal.level), signal.id) == key)
    value, found = explained(signal, small)
    assert FOLLOWED[key]({one.need.text(): one.values for one in found}) == pytest.approx(value, rel=1e-9)


@pytest.mark.parametrize("subject", SMALL.timing_indices)
def test_the_figures_of_an_index_are_its_own(subject: str, small: Case) -> None:
    signal = SIGNALS["index_close"]
    values = small.folded.table(signal)[subject].dropna()
    day = values.index[-1]
    assert small.folded.stages is not None
    found = figures(signal, subject, to_day(day.date()), small.folded.stages[1].sources)
    assert {one.need.text(): one.values for one in found}["indices.daily close of timing_indices"] == {
        subject: values[day]
    }
