"""Studies: published tables beside ours, computed from the outputs of the stream's processors over a history."""

from __future__ import annotations

from types import ModuleType

from processors.studies import divergence, excess, extremes, factor, ratio, rotation, streaks, timing

#: Name → module of the study, with ``TITLE``, ``SOURCE`` and ``run(panel, mode)``.
STUDIES: dict[str, ModuleType] = {
    "ratio": ratio,
    "excess": excess,
    "streaks": streaks,
    "extremes": extremes,
    "divergence": divergence,
    "rotation": rotation,
    "factor": factor,
    "timing": timing,
}
