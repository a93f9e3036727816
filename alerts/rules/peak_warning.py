"""peak_warning 顶部预警, peak_early_sign 早期信号: the financing-buy ratio broke down after a hot phase [DG22].

The warning follows the mean ratio of some days. The day's own ratio breaks down more often and recovers sooner; it is an
early sign only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from alerts.model import EndedBy, PublishedClaim, Severity, Text
from alerts.percents import percent_below
from alerts.rules.base import Condition, Evaluation, Expectation, Message, Rule, percent, short_percent
from alerts.rules.ratio import MEAN_BASIS, UNITS, StateChange, basis_text, state_change
from alerts.verdict import warning_end
from processors.arrays import Floats, Mask
from processors.indicators.ratio_state import BASIS, COLD_STATES, RatioState
from processors.parameters import Parameters

#: A top or high-level range: no close of the next sessions is more than this above the entry (ours).
TOP = 0.05
#: The sessions of that condition (ours).
HORIZON_DAYS = 60
_EARLY_HORIZON_DAYS = 20
_CLAIM = PublishedClaim(
    Text("about 80% of such breaks were tops or high-level ranges", "此类跌破约80%对应顶部或高位震荡"),
    "[DG22]",
    "2018-01…2022-11",
)


def evaluate(parameters: Parameters, message: Message, *, early: bool = False) -> Iterator[Evaluation]:
    """Fire on BREAKDOWN; end when the market is hot again (void) or cold (what it warns of has happened).

    Parameters
    ----------
    early : whether to evaluate the day's own ratio instead of the mean.
    """
    change = state_change(message)
    if change is None or (change.basis == MEAN_BASIS) == early:
        return
    if change.state is RatioState.BREAKDOWN:
        yield _breakdown(parameters, change, early=early)
    elif change.state is RatioState.HOT:
        yield Evaluation.of(change.signal, change.basis, Condition.END, ended_by=EndedBy.VOID)
    elif change.state in COLD_STATES:
        yield Evaluation.of(change.signal, change.basis, Condition.END, ended_by=EndedBy.PLAYED_OUT)
    else:
        condition = Condition.ABSENT if change.state is None else Condition.HOLD
        yield Evaluation.of(change.signal, change.basis, condition)


def _breakdown(parameters: Parameters, change: StateChange, *, early: bool) -> Evaluation:
    day, name = change.signal.trade_date, basis_text(change.basis, parameters)
    hot, line = change.threshold("hot"), change.threshold("breakdown")
    ratio = percent_below(change.ratio, line)
    fell = f"fell to {ratio}, below {percent(line)} after a hot phase (≥ {percent(hot)})."
    fell_zh = f"融资买入占比降至{ratio}，过热（≥{percent(hot)}）后跌破{percent(line)}。"
    mean = basis_text(MEAN_BASIS, parameters)
    if early:
        text = Text(
            f"Early sign {day}: the daily financing-buy ratio {fell} The peak warning follows the {mean.en} ratio.",
            f"早期信号 {day}：当日{fell_zh}顶部预警以{mean.zh}占比为准。",
        )
    else:
        text = Text(
            f"PEAK WARNING {day}: the {name.en} financing-buy ratio {fell}", f"顶部预警 {day}：{name.zh}{fell_zh}"
        )
    ends = warning_end(percent(hot), percent(change.threshold("cold")))
    return Evaluation.of(
        change.signal,
        change.basis,
        Condition.FIRE,
        {"ratio": change.ratio},
        {"hot": hot, "breakdown": line},
        text,
        Text(f"{ends.en}.", f"{ends.zh}。"),
    )


def never_higher(path: Floats) -> Mask:
    """Return which paths are a top or high-level range: no return is above `TOP` (n,)."""
    return np.asarray((path <= TOP).all(axis=1))


EXPECTATION = Expectation(
    Text(
        f"no close of the SSE Composite more than {short_percent(TOP)} above the entry in {HORIZON_DAYS} days",
        f"{HORIZON_DAYS}个交易日内上证指数收盘未高于入场价{short_percent(TOP)}以上",
    ),
    never_higher,
    horizon_days=HORIZON_DAYS,
    figure="ratio",
    claim=_CLAIM,
)


def rule(parameters: Parameters) -> Rule:
    """Return the warning."""
    return Rule(
        "peak_warning",
        Severity.CRITICAL,
        partial(evaluate, parameters),
        version=2,
        reads=tuple(BASIS),
        source="[DG22]",
        horizon_days=parameters.warning_sessions + 1,  # in force on the last of the sessions, as the verdict
        expectations=(EXPECTATION,),
        units=UNITS,
        study="peak",
    )


def early_rule(parameters: Parameters) -> Rule:
    """Return the early sign."""
    return Rule(
        "peak_early_sign",
        Severity.INFO,
        partial(evaluate, parameters, early=True),
        reads=tuple(BASIS),
        source="[DG22]",
        horizon_days=_EARLY_HORIZON_DAYS,
        expectations=(replace(EXPECTATION, claim=None),),
        units=UNITS,
        study="peak",
    )
