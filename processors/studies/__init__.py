"""Studies: published tables beside ours, computed from the outputs of the stream's processors over a history."""

from __future__ import annotations

from types import ModuleType

from processors.studies import (
    bottom,
    charts,
    divergence,
    excess,
    extremes,
    factor,
    heat,
    lead_lag,
    peak,
    ratio,
    rotation,
    sorts,
    streaks,
    timing,
)

#: Name → module of the study, with ``TITLE``, ``SOURCE`` and ``run(panel, mode)``.
STUDIES: dict[str, ModuleType] = {
    "ratio": ratio,
    "peak": peak,
    "bottom": bottom,
    "heat": heat,
    "lead_lag": lead_lag,
    "excess": excess,
    "streaks": streaks,
    "extremes": extremes,
    "divergence": divergence,
    "rotation": rotation,
    "sorts": sorts,
    "factor": factor,
    "timing": timing,
    "charts": charts,
}
