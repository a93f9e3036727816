"""Every registered signal, checked in the same way: a new one is checked without a line of its own here.

It has a value on real data, it equals the oracle's on every day, each parameter that it declares changes something of
it, its provisional value is the final one on equal inputs, and it reads nothing that it does not declare. That each of
its needs is explained is in `test_explanation`.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from feeds.folder import read
from processors import computation, registry
from processors import market as market_stage
from processors.block import Block
from processors.computation import Family
from processors.days import microseconds
from processors.errors import UndeclaredNeedError
from processors.events import INPUT_ROWS, RowBatch
from processors.market import Market
from processors.needs import Source, index, total, turnover
from processors.outputs import MarketSignal, Partial
from processors.parameters import Parameters
from processors.registry import (
    INDUSTRY_INDICATORS,
    INDUSTRY_SIGNALS,
    MARKET_INDICATORS,
    PRICING_INDICATORS,
    SECURITY_INDICATORS,
    SIGNALS,
)
from processors.signal import Column, Level, Signal
from streams.calendars import xshg
from tests import oracle
from tests.folding import (
    EXCHANGES,
    Case,
    Folded,
    check_signal,
    fold_history,
    market_items,
    oracle_data,
    small_case,
    stamp,
)
from tests.made_market import SMALL, rows, small_market, with_made_rows
from tests.oracle import Data
from tests.oracle.data import PUBLISHED
from tests.parameter_changes import Change, apart, groups_of_others

MODULES = (*MARKET_INDICATORS, *SECURITY_INDICATORS, *PRICING_INDICATORS, *INDUSTRY_INDICATORS)
EVERY = (*SIGNALS.values(), *INDUSTRY_SIGNALS.values())
PARAMETERS = {field.name for field in dataclasses.fields(Parameters)}
#: The folder of real data over a time in which every signal has a value.
START, END = date(2018, 6, 1), date(2020, 9, 30)


def name_of(one: Any) -> str:
    return f"{one.level}-{one.id}" if isinstance(one, Signal) else str(one)


def module_name(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]


every_signal = pytest.mark.parametrize("signal", EVERY, ids=name_of)
every_module = pytest.mark.parametrize("module", MODULES, ids=module_name)


@pytest.fixture(scope="module")
def real(data_dir: Path) -> Case:
    days = with_made_rows(dict(read(data_dir, xshg(), START, END).by_day()))
    return Case(days, fold_history(days), oracle_data(days))


@pytest.fixture(scope="module")
def small() -> Case:
    return small_case()


@cache
def folded_with(parameters: Parameters) -> Folded:
    """The small market with other parameters."""
    return fold_history(small_case().days, parameters)


def changed(group: Iterable[Change]) -> Parameters:
    """The parameters of the small market, some with other values."""
    return replace(SMALL, **dict(group))


# -- values ------------------------------------------------------------------------------------------------


@every_signal
def test_it_has_values_on_real_data_and_they_are_the_oracle_s(signal: Signal, real: Case) -> None:
    assert check_signal(signal, real.folded, real.data, PUBLISHED) > 0


@every_signal
def test_it_has_values_on_a_market_with_gaps_and_they_are_the_oracle_s(signal: Signal, small: Case) -> None:
    assert check_signal(signal, small.folded, small.data, SMALL) > 0


@every_signal
def test_it_is_published_on_every_day_whose_required_topics_are_closed(signal: Signal, small: Case) -> None:
    """With what is published together with it: a family needs the topics of all of its signals."""
    module = next(module for module in MODULES if any(one is signal for one in module.SIGNALS))
    together = [m for group in (PRICING_INDICATORS, INDUSTRY_INDICATORS) if module in group for m in group] or [module]
    needed = {topic for one in together for s in one.SIGNALS for topic in s.inputs} - {"reference"}
    expected = [stamp(day) for day, feeds in sorted(small.days.items()) if needed <= feeds.keys()]
    assert small.folded.published(signal) == expected


@every_signal
def test_an_absent_value_has_a_reason(signal: Signal, small: Case) -> None:
    for one in small.folded.market.values():
        if one.signal == signal.id and signal.level is Level.MARKET:
            assert (one.value is None) == bool(one.reason), one
    for frame in small.folded.securities.values():
        if signal.level is Level.SECURITY and signal.id in frame.columns:
            absent = np.isnan(frame.columns[signal.id].astype(float))
            assert not absent.all() or frame.left_out[signal.id], frame.status.trade_date
            assert absent.any() or signal.id not in frame.left_out, frame.status.trade_date


def test_the_oracle_has_no_entry_of_a_signal_that_is_not_registered() -> None:
    for level in Level:
        assert oracle.ENTRIES[level].keys() == {signal.id for signal in EVERY if signal.level is level}


# -- parameters --------------------------------------------------------------------------------------------

#: Other values where twice and half of the value are none, or change nothing on the small market.
CHANGED: Mapping[str, tuple[Any, ...]] = {
    "ratio_quantile_hot": (0.7,),
    "ratio_quantile_cold": (0.3,),
    "group_indices": (("000688.SH", "000852.SH"),),
    "timing_indices": (("000001.SH", "000905.SH"),),
    "oversold_reference": ("2019-12-03",),
    "risk_premium_index": ("000001.SH",),
    "cycle_indices": (("000001.SH",),),
    "return_indices": (("000001.SH", "000905.SH"),),
    "bottom_indices": (("000001.SH", "000905.SH"),),
    "valuation_indices": (("000300.SH", "000905.SH"),),
    "valuation_since": ("2019-10-21",),
    "risk_premium_others": (("000905.SH",),),
    "risk_premium_high": (0.026, 0.036),
    "risk_premium_gap_days": (1, 8),
    "regime_index": ("000905.SH",),
    "late_days": (2,),
    "percentile_least": (25,),
    "breadth_days": (8, 20),
    "breadth_least": (4,),
    "lead_lag_least": (4, 18),
    "expanding_since": ("2019-10-21",),
    "ratio_hot": (0.110,),
    "ratio_breakdown": (0.095,),
    "ratio_cold": (0.0699, 0.0665),
    "ratio_extreme_cold": (0.066,),
}


OF_SIGNALS = [(signal, parameter) for signal in EVERY for parameter in signal.parameters]
DECLARED = {parameter for _, parameter in OF_SIGNALS}


def changes(parameter: str) -> list[Change]:
    """The other values of a parameter of the small market."""
    value = getattr(SMALL, parameter)
    others = CHANGED[parameter] if parameter in CHANGED else (value * 2, type(value)(value / 2))
    return [(parameter, other) for other in others]


def parameters_of(signal: Signal) -> frozenset[str]:
    """The parameters of a signal and of the signals that it reads."""
    read_too = (need.signal for need in signal.needs if need.signal is not None)
    return frozenset(signal.parameters).union(*map(parameters_of, read_too))


DEPENDENCIES = {parameters_of(signal) for signal in EVERY}
#: Every change, in groups of which at most one change acts on a signal: a fold for each group.
GROUPS = apart([change for parameter in sorted(DECLARED) for change in changes(parameter)], DEPENDENCIES)
#: More folds, so that a signal is computed with every parameter changed that is not its own, and none that is.
OTHERS = [
    [changes(parameter)[0] for parameter in group]
    for group in groups_of_others(DEPENDENCIES, [{name for name, _ in group} for group in GROUPS])
]
#: In the order of the folds: the oracle has computed what signals have in common.
OF_CHANGES = [
    (signal, (parameter, value), changed(group))
    for group in GROUPS
    for parameter, value in group
    for signal, declared in OF_SIGNALS
    if declared == parameter
]


def test_changes_of_one_fold_act_on_different_signals_and_every_other_parameter_is_seen() -> None:
    every = [change for group in GROUPS for change in group]
    assert sorted(every, key=repr) == sorted((c for parameter in DECLARED for c in changes(parameter)), key=repr)
    folds = [{parameter for parameter, _ in group} for group in (*GROUPS, *OTHERS)]
    for on in DEPENDENCIES:
        assert all(len(on & fold) <= 1 for fold in folds[: len(GROUPS)])
        assert DECLARED - on == set().union(*(fold for fold in folds if not on & fold))


@pytest.mark.parametrize(("signal", "parameter"), OF_SIGNALS, ids=name_of)
def test_each_declared_parameter_changes_something_of_it(signal: Signal, parameter: str, small: Case) -> None:
    assert any(
        small.folded.everything(signal) != folded_with(parameters).everything(signal)
        for of, (name, _), parameters in OF_CHANGES
        if of is signal and name == parameter
    )


@pytest.mark.parametrize(
    ("signal", "parameters"),
    [(signal, parameters) for signal, _, parameters in OF_CHANGES],
    ids=[f"{name_of(signal)}-{name}-{value}" for signal, (name, value), _ in OF_CHANGES],
)
def test_it_is_the_oracle_s_with_each_parameter_changed(signal: Signal, parameters: Parameters, small: Case) -> None:
    check_signal(signal, folded_with(parameters), small.data, parameters)


@every_signal
def test_no_other_parameter_changes_it(signal: Signal, small: Case) -> None:
    expected = small.folded.everything(signal)
    for group in (*GROUPS, *OTHERS):
        own = parameters_of(signal).intersection(name for name, _ in group)
        if not own and folded_with(changed(group)).everything(signal) != expected:
            alone = [change[0] for change in group if folded_with(changed([change])).everything(signal) != expected]
            pytest.fail(f"{', '.join(alone) or group} changes {signal.id}, which does not declare it")


# -- provisional values ------------------------------------------------------------------------------------

PROVISIONAL = [signal for signal in EVERY if signal.provisional]


@cache
def closed_twice(session: int) -> tuple[list[MarketSignal], list[MarketSignal]]:
    """Provisional and final signals of a session whose live figures are those that are published later.

    The balance that a provisional value uses is the last published one: so the session's balance is that of the day
    before.
    """
    days = small_market(sessions=session + 1, gaps=False)
    *before, day = sorted(days)
    held = fold_history({d: days[d] for d in before}, SMALL).stages
    assert held is not None
    securities, market = held
    totals, indices = days[day]["margin.market"], days[day]["indices.daily"]
    balance = days[before[-1]]["margin.market"].figures["fin_balance"]
    totals = RowBatch(totals.topic, totals.keys, totals.days, totals.revisions, totals.stamps,
                      totals.figures | {"fin_balance": balance})  # fmt: skip
    known = ~np.isnan(indices.figures["close"])
    live = rows("indices.intraday", day, indices.keys[known],
                {"last": indices.figures["close"][known], "prev_close": 1.0,
                 "turnover": indices.figures["turnover"][known]})  # fmt: skip
    bought = float(totals.figures["fin_buy"].sum())
    session_of = Partial(partition=0, day=day, ts=int(live.stamps[0]), fin_buy=bought, fin_repay=0.0,
                         covered_balance=1.0, balance=1.0, prices=0, turnover=0.0)  # fmt: skip
    provisional = market.fold([live, session_of])
    final = market.fold(market_items(securities, days[day] | {"margin.market": totals}))
    return tuple([one for one in made if isinstance(one, MarketSignal)] for made in (provisional, final))  # type: ignore[return-value]


@pytest.mark.parametrize("signal", PROVISIONAL, ids=name_of)
def test_its_provisional_value_is_the_final_one_on_equal_inputs(signal: Signal) -> None:
    values = []
    for session in (58, 71, 84, 92):
        live, published = closed_twice(session)
        final = {one.name: one for one in published if one.signal == signal.id and not one.provisional}
        provisional = {one.name: one for one in live if one.signal == signal.id}
        assert provisional.keys() == final.keys()
        for name, one in provisional.items():
            assert one.provisional
            assert (one.value, one.reason) == (final[name].value, final[name].reason), name
            # What is not known live (the PE of an index) is left out.
            assert one.details.items() <= final[name].details.items()
            values.append(one.value)
    assert any(value is not None for value in values)


def test_provisional_values_follow_from_the_newest_figures_whatever_was_computed_before() -> None:
    days = small_market(sessions=60, gaps=False)
    *before, day = sorted(days)
    stages = fold_history({d: days[d] for d in before}, SMALL).stages
    assert stages is not None
    market, anew = stages[1], Market(1, SMALL, EXCHANGES, xshg())
    anew.load_rows({field: row for field, row in market.changed_rows().items() if row is not None})
    indices, totals = days[day]["indices.daily"], days[before[-2]]["margin.market"]
    known = np.flatnonzero(~np.isnan(indices.figures["close"]))

    def live(second: int, chosen: Any, factor: float) -> RowBatch:
        found = {"last": indices.figures["close"][chosen] * factor, "prev_close": 1.0,
                 "turnover": indices.figures["turnover"][chosen]}  # fmt: skip
        batch = rows("indices.intraday", day, indices.keys[chosen], found)
        return replace(batch, stamps=batch.stamps + second * 1_000_000)

    def sums(second: int, fin_buy: float) -> Partial:
        ts = int(live(second, known, 1.0).stamps[0])
        return Partial(partition=0, day=day, ts=ts, fin_buy=fin_buy, fin_repay=0.0, covered_balance=1.0, balance=1.0,
                       prices=0, turnover=0.0)  # fmt: skip

    raised = {"fin_buy": totals.figures["fin_buy"] * 1.5}
    corrected = replace(totals, revisions=totals.revisions + 1, figures=totals.figures | raised)
    seen = []
    for item in (
        live(0, known, 1.0),
        sums(1, 1e11),
        sums(2, 1e11),
        sums(3, 1.2e11),
        live(4, known[:1], 1.01),
        corrected,
        sums(5, 1.2e11),
        live(6, known, 0.98),
        days[day]["rates.daily"],
        sums(7, 1.2e11),
    ):
        anew._computation.forget_provisional()
        found = market.fold([item])
        assert found == anew.fold([item])
        seen.append({one.name: one.value for one in found if isinstance(one, MarketSignal) and one.provisional})
    assert len({one["fin_buy_ratio_5d"] for one in seen if one}) > 2


def test_a_provisional_value_is_as_old_as_the_newest_row_that_it_reads() -> None:
    """Only values whose rows are new are published again: an index that has stopped at 10:17 is not known at 14:50."""
    days = small_market(sessions=60, gaps=False)
    *before, day = sorted(days)
    stages = fold_history({d: days[d] for d in before}, SMALL).stages
    assert stages is not None
    indices = days[day]["indices.daily"]
    known = np.flatnonzero(~np.isnan(indices.figures["close"]))
    live = rows("indices.intraday", day, indices.keys[known],
                {"last": indices.figures["close"][known], "prev_close": 1.0,
                 "turnover": indices.figures["turnover"][known]})  # fmt: skip
    opened = int(live.stamps[0])

    def fold(item: RowBatch | Partial) -> dict[str, int]:
        """Return the seconds from the first row to the moment of each value that is published."""
        found = stages[1].fold([item])
        assert all(isinstance(one, MarketSignal) and one.provisional for one in found)
        return {one.name: (microseconds(one.available_at) - opened) // 1_000_000 for one in found}  # type: ignore[union-attr]

    def sums(second: int, *, bought: bool) -> Partial:
        ts = opened + second * 1_000_000
        return Partial(partition=0, day=day, ts=ts, fin_buy=1e11 * bought, fin_repay=0.0, covered_balance=1.0,
                       balance=1.0, prices=9, turnover=1.0, priced_at=ts, bought_at=ts * bought)  # fmt: skip

    first = fold(live)
    assert len(first) > 20 and set(first.values()) == {0}
    assert fold(sums(5, bought=False)).keys() <= {one for one in first if "ratio" in one or "verdict" in one}
    assert fold(sums(6, bought=False)) == {}, "prices of securities alone"
    ratios = fold(sums(7, bought=True))
    assert "fin_buy_ratio" in ratios and set(ratios.values()) == {7} and len(ratios) < len(first) / 2
    assert not [one for one in ratios if one.startswith(("llt", "index_cycle", "regime"))]
    again = fold(replace(live, stamps=live.stamps + 9_000_000))
    assert again.keys() == first.keys() and set(again.values()) == {9}


def test_no_other_signal_is_provisional() -> None:
    assert {one.signal for one in closed_twice(58)[0]} == {signal.id for signal in PROVISIONAL}


# -- declarations ------------------------------------------------------------------------------------------


@every_module
def test_every_declaration_is_complete(module: ModuleType) -> None:
    tree = ast.parse(inspect.getsource(module))
    reads = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)} & PARAMETERS
    declared = {name for signal in module.SIGNALS for name in signal.parameters}
    assert declared <= PARAMETERS
    assert reads <= declared, "a parameter that the module reads is not declared"
    assert module.__doc__
    for signal in module.SIGNALS:
        assert set(signal.inputs) <= set(INPUT_ROWS)
        assert signal.needs
        assert signal.title
        assert any("\u4e00" <= character <= "\u9fff" for character in signal.title_zh), signal.id
        assert signal.formula
        assert signal.source


def compute_with_own_needs(module: Any, folded: Folded, day: int) -> None:
    """Compute an indicator over blocks that know nothing but its own needs.

    Raises
    ------
    UndeclaredNeedError : if it reads anything else.
    """
    assert folded.stages is not None
    own = frozenset(need for signal in module.SIGNALS for need in signal.needs)
    sources = replace(folded.stages[1].sources, declared=own)
    with np.errstate(all="ignore"):
        module.compute(Block([day], sources))


@pytest.mark.parametrize("module", [*MARKET_INDICATORS, *PRICING_INDICATORS, *INDUSTRY_INDICATORS], ids=module_name)
def test_it_reads_nothing_that_it_does_not_declare(module: ModuleType, small: Case) -> None:
    compute_with_own_needs(module, small.folded, max(small.days))


# -- a made signal -----------------------------------------------------------------------------------------

REPAY, TURNOVER, CLOSE = total("fin_repay", days=2), turnover(days=2), index("close", "000905.SH", back=7)


def made_signal(*needs: Any) -> Any:
    """A module with one signal, as an indicator's author writes it."""
    signal = Signal(
        "made_ratio", Level.MARKET, "Repayments over turnover", "融资偿还占比", "ratio", needs, "Σ / Σ", "made"
    )

    def compute(block: Block) -> dict[str, Column]:
        share = block[REPAY].sum(axis=1) / block[TURNOVER].sum(axis=1)
        return {"made_ratio": Column(share, {"close": block[CLOSE]})}

    return SimpleNamespace(SIGNALS=(signal,), compute=compute, __name__="made")


@contextmanager
def registered(module: Any) -> Iterator[Signal]:
    """Register an indicator for a while, as a line in the registry does."""
    (signal,) = module.SIGNALS
    declared = registry.DECLARED | frozenset(signal.needs)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(registry.SIGNALS, signal.id, signal)
        for place in (registry, market_stage):
            patch.setattr(place, "DECLARED", declared)
        patch.setattr(computation, "MARKET_FAMILIES", (*computation.MARKET_FAMILIES, Family(module)))
        yield signal


def made_entry(data: Data, _p: Any) -> oracle.Tables:
    balance, buys = (data.wide("totals", f"fin_{name}", key="exchange") for name in ("balance", "buy"))
    published = data.wide("totals", "fin_repay", key="exchange")
    repaid = published.where(published.notna(), balance.shift(1) + buys - balance).sum(axis=1, skipna=False)
    ratio = repaid.rolling(2).sum() / oracle.market.market_turnover(data).rolling(2).sum()
    close = oracle.market.of_index(data, "000905.SH", "close").shift(7)
    return oracle.whole(ratio.where(close.notna()), close=close.where(ratio.notna()))


def test_a_made_signal_is_computed_as_soon_as_it_is_registered(small: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    module = made_signal(REPAY, TURNOVER, CLOSE)
    with registered(module) as signal:
        folded = fold_history(small.days, SMALL)
        with pytest.raises(AssertionError, match="made_ratio has no entry in tests/oracle"):
            check_signal(signal, folded, small.data, SMALL)
        monkeypatch.setitem(oracle.MARKET, signal.id, made_entry)
        assert check_signal(signal, folded, small.data, SMALL) > 50
        compute_with_own_needs(module, folded, max(small.days))


@pytest.mark.parametrize("left_out", [REPAY, TURNOVER, CLOSE], ids=lambda need: need.text())
def test_a_made_signal_without_one_of_its_needs_fails(left_out: Any, small: Case) -> None:
    module = made_signal(*(need for need in (REPAY, TURNOVER, CLOSE) if need is not left_out))
    with pytest.raises(UndeclaredNeedError, match=r"is read, but no registered signal declares it"):
        compute_with_own_needs(module, small.folded, max(small.days))
    with registered(module), pytest.raises(UndeclaredNeedError):
        fold_history(small_market(sessions=3), SMALL)


def test_sources_are_all_covered_by_the_generic_tests() -> None:
    assert {need.source for need in registry.DECLARED} == set(Source)
    assert {signal.level for signal in EVERY} == set(Level)


@pytest.mark.parametrize("signal", [*SIGNALS.values(), *INDUSTRY_SIGNALS.values()], ids=lambda signal: signal.id)
def test_a_text_names_parameters_of_its_signal_alone(signal: Signal) -> None:
    """Else it states a value that changes nothing of the signal."""
    written = dataclasses.astuple(signal._written)
    named = {name for text in written for name in re.findall(r"<(\w+)[:>]", text) if hasattr(Parameters(), name)}
    assert named <= set(signal.parameters)
    assert not any(f"<{name}" in text for text in (signal.title, signal.title_zh, signal.formula) for name in named)
