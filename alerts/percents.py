"""Figures in texts: their minus signs, and their roundings: a share below a line would read as the line itself."""

from __future__ import annotations

_DECIMALS, _MOST = 2, 12


def with_sign(shown: str) -> str:
    """Return a formatted figure with the minus sign of print, and without a sign where it rounds to zero.

    >>> with_sign("-0.00%"), with_sign("+0.0%"), with_sign("-0.01%"), with_sign("+1%")
    ('0.00%', '0.0%', '−0.01%', '+1%')
    """
    return shown.replace("-", "−") if any(digit in shown for digit in "123456789") else shown.lstrip("+-")


def decimals_apart(one: float, other: float, least: int) -> int:
    """Return the decimals, at least so many, with which two figures do not read alike.

    >>> decimals_apart(1.0056, 1.0055, 4), decimals_apart(1.005512, 1.005511, 4)
    (4, 6)
    """
    return next((n for n in range(least, _MOST) if round(one, n) != round(other, n)), _MOST)


def decimals_below(ratio: float, line: float) -> int:
    """Return the decimals of percent, at least two, with which a ratio that is below a line also reads below it.

    >>> decimals_below(0.0999, 0.1), decimals_below(0.09999, 0.1), decimals_below(0.10001, 0.1)
    (2, 3, 2)
    """
    return decimals_apart(ratio * 100, line * 100, _DECIMALS) if ratio < line else _DECIMALS


def percent_below(ratio: float, line: float) -> str:
    """Format a fraction as percent; one that is below a line also reads below it.

    >>> percent_below(0.0912, 0.1), percent_below(0.09999, 0.1)
    ('9.12%', '9.999%')
    """
    return f"{ratio * 100:.{decimals_below(ratio, line)}f}%"
