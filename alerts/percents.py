"""Shares beside a line in texts: rounded to two decimals, a share just below a line would read as the line itself."""

from __future__ import annotations

_DECIMALS, _MOST = 2, 12


def decimals_below(ratio: float, line: float) -> int:
    """Return the decimals of percent, at least two, with which a ratio that is below a line also reads below it.

    >>> decimals_below(0.0999, 0.1), decimals_below(0.09999, 0.1), decimals_below(0.10001, 0.1)
    (2, 3, 2)
    """
    decimals = _DECIMALS
    while ratio < line and decimals < _MOST and round(ratio * 100, decimals) >= round(line * 100, decimals):
        decimals += 1
    return decimals


def percent_below(ratio: float, line: float) -> str:
    """Format a fraction as percent; one that is below a line also reads below it.

    >>> percent_below(0.0912, 0.1), percent_below(0.09999, 0.1)
    ('9.12%', '9.999%')
    """
    return f"{ratio * 100:.{decimals_below(ratio, line)}f}%"
