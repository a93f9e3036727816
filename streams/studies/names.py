"""The names of the studies, which commands and the console know without importing a study."""

from __future__ import annotations

from enum import StrEnum


class StudyName(StrEnum):
    """A study, or all of them."""

    RATIO = "ratio"
    PEAK = "peak"
    BOTTOM = "bottom"
    HEAT = "heat"
    LEAD_LAG = "lead_lag"
    EXCESS = "excess"
    STREAKS = "streaks"
    EXTREMES = "extremes"
    DIVERGENCE = "divergence"
    ROTATION = "rotation"
    SORTS = "sorts"
    FACTOR = "factor"
    TIMING = "timing"
    CHARTS = "charts"
    ALL = "all"
