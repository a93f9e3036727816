"""llt 低延迟趋势线: a trend line with little lag; long while it rises."""

from __future__ import annotations

from processors.codes import to_id
from processors.market_view import INDICES, MarketView, Missing
from processors.signal import Absent, Level, Reading, Signal

SIGNALS = (
    Signal(
        "llt",
        Level.MARKET,
        "Low-lag trendline: long (1) while it rises, else 0",
        "低延迟趋势线",
        "side",
        (INDICES,),
        "a = 2/(d+1), d = 39; L_t = (a − a²/4)P_t + (a²/2)P_{t−1} − (a − 3a²/4)P_{t−2} + 2(1−a)L_{t−1} − (1−a)²L_{t−2}; "
        "1 when L_t > L_{t−1}; L starts at P, d days before the first value",
        "[GF25], d ours",
        window_days=39,
        subjects=True,
        parameters=("timing_indices", "llt_days"),
    ),
)


def advance(prices: tuple[float, float, float], lines: tuple[float, float], days: int) -> float:
    """Return L_t.

    Parameters
    ----------
    prices : P_t, P_{t−1}, P_{t−2}.
    lines : L_{t−1}, L_{t−2}.
    """
    a = 2 / (days + 1)
    return (
        (a - a * a / 4) * prices[0]
        + (a * a / 2) * prices[1]
        - (a - 3 * a * a / 4) * prices[2]
        + 2 * (1 - a) * lines[0]
        - (1 - a) ** 2 * lines[1]
    )


def compute(view: MarketView) -> dict[str, Reading | Absent]:
    """Return one reading per index; the line and its age stand in the details, and carry the recursion."""
    return {f"llt/{code}": _index(view, code) for code in view.parameters.timing_indices}


def _index(view: MarketView, code: str) -> Reading | Absent:
    index, days = to_id(code), view.parameters.llt_days
    try:
        close = view.index_close(index)
    except Missing as missing:
        return missing.absent()
    before = view.carried(f"llt/{code}")
    line, line_before, age = close, close, 0
    if before is not None:
        line_before, age = before["line"], int(before["age"]) + 1
        if age >= 2:
            prices = (close, view.index_close(index, 1), view.index_close(index, 2))
            line = advance(prices, (line_before, before["line_before"]), days)
    view.carry(f"llt/{code}", {"line": line, "line_before": line_before, "age": age})
    if age < days:
        return Absent(f"the line of {code} needs {days} days to settle, {age} are known")
    return Reading(int(line > line_before), {"line": line, "line_before": line_before, "close": close})
