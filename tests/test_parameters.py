"""Parameters: each accepted value works, and every other one is refused by its name."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from processors.parameters import Parameters
from tests.folding import fold_history
from tests.made_market import SMALL, small_market

DAYS = small_market(sessions=25, gaps=False)
#: The windows beside their least numbers of known days.
PAIRS = {"percentile_days": "percentile_least", "lead_lag_days": "lead_lag_least", "breadth_days": "breadth_least"}
COUNTS = [
    field.name for field in fields(Parameters)
    if isinstance(getattr(SMALL, field.name), int)
]  # fmt: skip
SHARES = ["ratio_hot", "collateral_low", "bear_market", "score_top", "extreme_share", "intraday_coverage"]


def changed(name: str, value: int) -> Parameters:
    """The parameters of the small market with one count; its least number of known days follows it."""
    pair = {PAIRS[name]: min(value, getattr(SMALL, PAIRS[name]))} if name in PAIRS else {}
    return replace(SMALL, **{name: value} | pair)


def least(name: str) -> int:
    for value in range(-1, 10):
        try:
            changed(name, value)
        except ValueError:
            continue
        return value
    raise AssertionError(f"{name} has no accepted value up to 10")


@pytest.mark.parametrize("name", COUNTS)
def test_a_count_works_from_its_least_value_on_and_is_refused_below(name: str) -> None:
    found = least(name)
    with pytest.raises(ValueError, match=rf"{name} is {found - 1}: write {found} or more"):
        replace(SMALL, **{name: found - 1})
    for value in (found, found + 1):
        assert fold_history(DAYS, changed(name, value)).market


def test_windows_longer_than_the_history_work() -> None:
    windows = {name: 6000 for name in COUNTS if name not in PAIRS.values()}
    found = fold_history(DAYS, replace(SMALL, **windows))
    assert found.market[max(DAYS), "fin_balance"].value is not None
    assert found.market[max(DAYS), "excess_financing"].reason


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("value", [-0.01, 5.0, float("nan")])
def test_a_share_is_a_fraction(name: str, value: float) -> None:
    with pytest.raises(ValueError, match=rf"{name} is {value}: write a fraction"):
        replace(SMALL, **{name: value})


def test_streaks_have_a_length() -> None:
    with pytest.raises(ValueError, match=r"streak_flags are \(0, 8\)"):
        Parameters(streak_flags=(0, 8))


def test_the_flow_of_one_day_is_its_own_sum() -> None:
    found = fold_history(DAYS, replace(SMALL, etf_flow_days=1))
    flows = [one for (_, name), one in found.market.items() if name == "etf_flow/broad" and one.value is not None]
    assert flows
    assert all(one.details["cumulative"] == one.value for one in flows)
