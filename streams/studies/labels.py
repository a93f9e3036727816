"""Figures of studies as text."""

from __future__ import annotations

from processors.studies.result import Cell, Finding, Unit

NOTHING = "–"


def figure(value: Cell, unit: Unit | None) -> str:
    """Return a figure in its unit: ratios in per cent, counts whole, numbers to three digits."""
    if value is None:
        return NOTHING
    if isinstance(value, str):
        return value
    if unit is Unit.RATIO:
        return f"{value:.2%}"
    if unit is Unit.COUNT or isinstance(value, int):
        return f"{value:,.0f}"
    return f"{value:.3f}"


def interval(finding: Finding) -> str:
    """Return the 95% interval; a dash where there is none."""
    if finding.low is None or finding.high is None:
        return NOTHING
    return f"{figure(finding.low, finding.unit)} … {figure(finding.high, finding.unit)}"


def cases(finding: Finding) -> str:
    """Return the number of cases, and where it differs the number of cases that do not overlap."""
    if finding.cases is None:
        return NOTHING
    apart = f" ({finding.episodes:,} apart)" if finding.episodes not in (None, finding.cases) else ""
    return f"{finding.cases:,}{apart}"
