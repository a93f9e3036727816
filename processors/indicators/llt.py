"""llt 低延迟趋势线: a low-lag trendline; the signal is long while the line rises."""

from __future__ import annotations

from typing import Any

import numpy as np

from processors.block import Block
from processors.needs import index
from processors.signal import Column, Level, Signal

CLOSE = index("close", each="timing_indices")
CLOSES = index("close", each="timing_indices", days=3, optional=True)

LLT = Signal(
    "llt",
    Level.MARKET,
    "Low-lag trendline: long (1) while it rises, else 0",
    "低延迟趋势线",
    "side",
    (CLOSE, CLOSES),
    "a = 2/(d+1), d = <llt_days>; L_t = (a − a²/4)P_t + (a²/2)P_{t−1} − (a − 3a²/4)P_{t−2} + 2(1−a)L_{t−1} − (1−a)²L_{t−2}; "
    "1 when L_t > L_{t−1}; L starts at P, d days before the first value",
    "[GF25], d ours",
    subjects=True,
    warmup="llt_days",
)
SIGNALS = (LLT,)


def advance(prices: tuple[float, float, float], lines: tuple[float, float], days: int) -> float:
    """Return L_t of the formula above.

    Parameters
    ----------
    prices : P_t, P_{t−1}, P_{t−2}.
    lines : L_{t−1}, L_{t−2}.
    days : d.

    Examples
    --------
    A constant price is a fixed point, and a rising price lifts the line.

    >>> round(advance((100.0, 100.0, 100.0), (100.0, 100.0), 39), 6)
    100.0
    >>> round(advance((101.0, 100.0, 100.0), (100.0, 100.0), 39), 6)
    100.049375
    """
    a = 2 / (days + 1)
    return (
        (a - a * a / 4) * prices[0]
        + (a * a / 2) * prices[1]
        - (a - 3 * a * a / 4) * prices[2]
        + 2 * (1 - a) * lines[0]
        - (1 - a) ** 2 * lines[1]
    )


def compute(block: Block) -> dict[str, Column]:
    """Return one column per index; the details contain the line of the day and of the day before."""
    return {f"llt/{code}": _index(block, code) for code in block.parameters.timing_indices}


def _index(block: Block, code: str) -> Column:
    closes, days = block.get(CLOSES, code).tolist(), block.parameters.llt_days

    def step(before: dict[str, Any] | None, i: int) -> dict[str, Any]:
        close = closes[i][-1]
        line, line_before, age = close, close, 0
        if before is not None:
            line_before, age = before["line"], before["age"] + 1
            if age >= 2:
                prices = (close, closes[i][-2], closes[i][-3])
                line = advance(prices, (line_before, before["line_before"]), days)
        return {"line": line, "line_before": line_before, "age": age}

    states = block.scan(LLT, step, code=code)
    ages = [-1 if state is None else state["age"] for state in states]
    absent = {
        i: f"the line of {code} needs {days} days to settle, {age} are known"
        for i, age in enumerate(ages)
        if 0 <= age < days
    }
    rising = [None if state is None else int(state["line"] > state["line_before"]) for state in states]
    lines = {
        name: np.array([np.nan if state is None else state[name] for state in states])
        for name in ("line", "line_before")
    }
    return Column(rising, {**lines, "close": block.get(CLOSE, code)}, absent=absent)
