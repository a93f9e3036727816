"""Themes 主题: the chart scores of an industry's stocks against those of the market, on the last session of a week."""

from __future__ import annotations

import numpy as np

from processors.arrays import Floats
from processors.block import Block
from processors.cross_sections import merged
from processors.indicators.industry_balance import IndustryColumns, explain, ranks
from processors.needs import CHARTS, chart, members
from processors.signal import Level, Signal

SCORE, MEMBERS = chart("chart_score"), members()
#: Industries that are the week's themes.
TOP = 5
_FORMULA = "mean chart_score of the industry's stocks − mean chart_score of all stocks with an industry"


def _signal(name: str, title: str, title_zh: str, unit: str, formula: str, *beside: str) -> Signal:
    needs = SCORE, MEMBERS
    return Signal(name, Level.INDUSTRY, title, title_zh, unit, needs, formula, "[GF25], network ours", beside=beside)


SIGNALS = (
    _signal("theme_score", "Theme score", "主题得分", "ratio", f"{_FORMULA}; on a week's last session", "theme_score_rank"),
    _signal("theme_top5", "Among the 5 highest theme scores", "主题前5", "flag", "1 if rank(theme_score) ≤ 5"),
)  # fmt: skip


def compute(block: Block) -> IndustryColumns:
    """Return score, rank and flag (k, 31); NaN on every day that does not end a week, or without a model."""
    charted = block.section(CHARTS)
    scores = block.on(charted, SCORE)
    ends = np.array([block.calendar.ends_week(day) for day in block.days])
    scores = np.where(ends[charted.day_of_row], scores, np.nan)
    total = block.by_industry(charted, scores)
    count = block.by_industry(charted, np.where(np.isnan(scores), np.nan, 1.0))
    whole = np.nansum(total, axis=1) / np.nansum(count, axis=1)
    score = (total / count - whole[:, None]).round(12) + 0.0  # equal means differ in the last bits; no −0.0
    gaps = merged(block.gaps(CHARTS), block.unclassified)
    unknown = block.unknown_industries(gaps) & ends[:, None]
    # The mean of all stocks, and a rank, compare all industries.
    score[unknown.any(axis=1)] = np.nan
    rank = ranks(score)
    columns: dict[str, Floats] = {
        "theme_score": score,
        "theme_score_rank": rank,
        "theme_top5": np.where(np.isnan(rank), np.nan, rank <= TOP),
    }
    left_out: list[dict[str, str]] = [{} for _ in range(len(block))]
    for name in columns:
        explain(left_out, name, unknown, gaps, block)
        for i in np.flatnonzero(ends).tolist():
            if reason := block.model_reason(i, CHARTS):
                left_out[i][name] = reason
    return columns, left_out
