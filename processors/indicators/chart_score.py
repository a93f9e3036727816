"""chart_score 图表得分: what the network reads in a stock's price–volume chart, on the last session of a week."""

from __future__ import annotations

import numpy as np

from processors.arrays import Array
from processors.block import Block
from processors.needs import DETAIL, chart, price
from processors.signal import Level, Signal

LEVEL, SCORE = price("level"), chart("chart_score")

SIGNALS = (
    Signal(
        "chart_score",
        Level.SECURITY,
        "Chart score",
        "图表得分",
        "ratio",
        (LEVEL, SCORE),
        "mean chance, over the networks of the model, that the return of the next 5 sessions lies above the day's median, "
        "rounded to 0.0001; by the image of the last 20 sessions; on a week's last session, absent without a model",
        "[GF25], network ours",
    ),
    Signal(
        "chart_top",
        Level.SECURITY,
        "Among the <chart_top:%> with the highest chart scores",
        "图表得分前<chart_top:%>",
        "flag",
        (LEVEL, SCORE),
        "1 for the ⌊<chart_top:%> n⌋ highest chart_score of the n stocks of the margin list with a score (equal ones by code), else 0",
        "[GF25], share ours",
        parameters=("chart_top",),
    ),
)


def compute(block: Block) -> dict[str, Array]:
    """Return score and flag over the rows of the margin detail (n,)."""
    section = block.section(DETAIL)
    scores = block.on(section, SCORE)
    top = np.where(np.isnan(scores), np.nan, 0.0)
    for i in range(len(block)):
        rows = np.flatnonzero(~np.isnan(scores[section.rows(i)])) + section.rows(i).start
        count = int(block.parameters.chart_top * len(rows) + 1e-9)
        top[rows[np.argsort(-scores[rows], kind="stable")[:count]]] = 1.0
    return {"chart_score": scores, "chart_top": top}
