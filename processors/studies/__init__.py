"""Studies: the published tables beside ours, computed from what the stream's own processors make of a history."""

from __future__ import annotations

from types import ModuleType

from processors.studies import divergence, excess, extremes, factor, ratio, rotation, streaks, timing

#: Name → module with ``TITLE``, ``SOURCE`` and ``run(panel, mode)``.
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
