"""The format of figures, dates and times in English and Chinese."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from alerts import plurals
from alerts.percents import with_sign
from alerts.subject_names import Language
from processors.days import SHANGHAI

#: The factor of CNY in a chart, and the end of its title.
MONEY_UNIT: dict[Language, tuple[float, str]] = {"zh": (1e-8, " 亿"), "en": (1e-9, " ¥bn")}
#: The zone of every time.
ZONE = ("Shanghai", "北京时间")


def percent(value: Any, decimals: int = 2, *, signed: bool = False) -> str:
    """Format a fraction as percent; an en dash where there is none."""
    if not isinstance(value, (int, float)):
        return "–"
    return with_sign(f"{value * 100:{'+' if signed else ''},.{decimals}f}%")


def level(value: float | None) -> str:
    """Format a plain figure with its sign; an en dash where there is none."""
    return "–" if value is None else with_sign(f"{value:+.2f}")


def money(value: Any, language: Language, *, signed: bool = False) -> str:
    """Format CNY in 亿 or billions; an en dash where there is none."""
    if not isinstance(value, (int, float)):
        return "–"
    sign = "+" if signed else ""
    if language == "zh":
        return with_sign(f"{value / 1e8:{sign},.1f} 亿")
    shown = with_sign(f"{value / 1e9:{sign},.2f} bn")
    digits = shown.lstrip("+−")
    return f"{shown.removesuffix(digits)}¥{digits}"


def script(
    decimals: int, *, factor: float = 1.0, sign: Literal["", "+", "▲"] = "", before: str = "", behind: str = ""
) -> str:
    """Return the JavaScript function of a figure in a table or chart: as `percent` and `money` would format it.

    Parameters
    ----------
    factor : of the figure, 100 for percent.
    sign : of a rise: none, a plus, or an arrow (then a fall has one, too). Of these, a figure that rounds to zero may
        have an arrow.
    before, behind : stand on both sides of the digits.
    """
    zero = "" if sign == "▲" else "+digits == 0 ? '' : "
    fall, rise = ("▼ ", "▲ ") if sign == "▲" else ("−", sign)
    return (
        f"v => {{ if (v == null) return '–'; if (typeof v == 'string') return v;"
        f" const digits = Math.abs(v * {factor:g}).toFixed({decimals});"
        f" const mark = {zero}v < 0 ? '{fall}' : v > 0 ? '{rise}' : '';"
        f" return mark + '{before}' + digits + '{behind}'; }}"
    )


def script_percent(decimals: int, sign: Literal["", "+", "▲"] = "") -> str:
    """Return the JavaScript function of a fraction as percent, see `script`."""
    return script(decimals, factor=100.0, sign=sign, behind="%")


def points(value: float | None, decimals: int = 2) -> str:
    """Format a difference of two shares in percentage points; an en dash where there is none."""
    return percent(value, decimals, signed=True).replace("%", " pp")


def counted(number: int, noun: tuple[str, str], language: Language) -> str:
    """Return a number with its noun, which is given in the singular, in English and Chinese."""
    return plurals.counted(number, noun[0]) if language == "en" else f"{number} {noun[1]}"


def day(found: date | None) -> str:
    """Format a date; an en dash where there is none."""
    return found.isoformat() if found is not None else "–"


def short_day(found: date, other: date | None) -> str:
    """Format a date beside another one: without the year where both have the same."""
    return f"{found:%m-%d}" if other is not None and found.year == other.year else found.isoformat()


def dated(shown: str, of: date, expected: date | None) -> str:
    """Return a figure behind its day, or alone where that is the expected one.

    >>> dated("2.1%", date(2023, 7, 3), date(2024, 7, 1))
    '2023-07-03: 2.1%'
    """
    return shown if of == expected else f"{short_day(of, expected)}: {shown}"


def moment(found: datetime, language: Language) -> str:
    """Format a time in Shanghai's zone, which it names."""
    return f"{found.astimezone(SHANGHAI):%m-%d %H:%M} {ZONE[language == 'zh']}"


def signed(value: float | None) -> str:
    """Return an arrow for the sign, so that the direction is readable without colour."""
    if value is None or value == 0:
        return ""
    return "▲" if value > 0 else "▼"
