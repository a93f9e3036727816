"""verdict: the answer to "near a top?" (是否接近顶部), from the 5-day financing-buy ratio alone; a warning has an end.

A BREAKDOWN of `ratio_state` warns. The warning is void when the ratio is hot again, has played out when the market is
cold, and expires after ``warning_sessions``; then the market cools for at most as many sessions again. Sessions count
by the exchange's calendar, so that a warning also ages on days without a ratio.
"""

from __future__ import annotations

from enum import StrEnum

from processors.block import Block
from processors.days import to_date
from processors.indicators.fin_buy_ratio import BUYS, TURNOVERS, trailing_ratio
from processors.indicators.ratio_state import COLD_STATES, TRAILING_STATE, RatioState, fixed_thresholds, states
from processors.signal import Column, Level, Signal, Values


class Verdict(StrEnum):
    """The answers."""

    NO = "NO"
    HOT = "HOT"  # armed: a fall below the breakdown line warns
    WARNED = "WARNED"
    COOLING = "COOLING"  # the warning expired, neither void nor played out
    COLD = "COLD"


VERDICT = Signal(
    "verdict",
    Level.MARKET,
    "Near a top? NO, HOT, WARNED, COOLING or COLD",
    "是否接近顶部",
    "state",
    (BUYS, TURNOVERS),
    "of the <ratio_window_days>-day ratio: HOT while ratio_state is HOT; WARNED from a BREAKDOWN (session 0) through session <warning_sessions>, unless HOT "
    "again (void) or COLD (played out); then COOLING for <warning_sessions> sessions; COLD (no bottom signal by "
    "itself: 6 of 11) while ratio_state is COLD or EXTREME_COLD; else NO",
    "[DG22], the life of a warning ours",
    parameters=(*TRAILING_STATE.parameters, "warning_sessions"),
    retain="warning_sessions",
)
SIGNALS = (VERDICT,)
#: Details that describe the warning; they are known without a ratio, too.
_LASTING = frozenset(("life", "since", "sessions", "expires_in"))


def compute(block: Block) -> dict[str, Column]:
    """Return the verdict.

    The details contain the ratio, its state, the state before, the thresholds and the windows. While a warning runs or
    cools they also contain which of the two (``life``), the date of its breakdown (``since``), the ``sessions`` since
    then, and those left in this part of its life (``expires_in``).
    """
    p = block.parameters
    lasts = p.warning_sessions
    ratio, thresholds = trailing_ratio(block[BUYS], block[TURNOVERS]), fixed_thresholds(block)
    ratio_states, previous = states(block, TRAILING_STATE, ratio, thresholds)

    def age(since: int, i: int) -> int:
        return block.calendar.position(block.days[i]) - block.calendar.position(since)

    def step(since: int | None, i: int) -> int:
        """Return the day of the breakdown whose warning runs or cools; 0 where there is none."""
        state = ratio_states[i]
        if state == RatioState.BREAKDOWN:
            return block.days[i]
        if not since or state == RatioState.HOT or state in COLD_STATES or age(since, i) > 2 * lasts:
            return 0
        return since

    breaks = block.scan(VERDICT, step, max_gap_days=lasts, every_day=True)
    ages = [age(since, i) if since else None for i, since in enumerate(breaks)]
    lives = [None if n is None else (Verdict.WARNED if n <= lasts else Verdict.COOLING).value for n in ages]
    days = len(block)
    details: dict[str, Values] = {
        "ratio": ratio,
        "state": ratio_states,
        "before": previous,
        **thresholds,
        "life": lives,
        "since": [to_date(since).isoformat() if since else None for since in breaks],
        "sessions": ages,
        "expires_in": [None if n is None else (lasts if n <= lasts else 2 * lasts) - n for n in ages],
        "ratio_days": [p.ratio_window_days] * days,
        "warning_sessions": [lasts] * days,
    }
    values = [_verdict(state, life) for state, life in zip(ratio_states, lives, strict=True)]
    return {"verdict": Column(values, details, "turnover is zero", lasting=_LASTING)}


def _verdict(state: str | None, life: str | None) -> str | None:
    """Return the verdict of a day from the ratio's state and the life of its warning; None without a ratio."""
    if state is None:
        return None
    if state == RatioState.HOT:
        return Verdict.HOT.value
    if state in COLD_STATES:
        return Verdict.COLD.value
    return life or Verdict.NO.value
