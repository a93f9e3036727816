"""Themes of index groups: the chart scores of a group's stocks against those of the market, weekly."""

from __future__ import annotations

import numpy as np

from processors.arrays import Floats
from processors.block import Block
from processors.cross_sections import reasons
from processors.index_members import groups_by_reference
from processors.indicators.industry_balance import ranks
from processors.kinds import is_chinext, is_star
from processors.needs import CHARTS, PRICES, chart, members, price
from processors.signal import Column, Level, Signal, Values

LEVEL, SCORE, MEMBERS = price("level"), chart("chart_score"), members()

SIGNALS = (
    Signal(
        "group_theme_score",
        Level.MARKET,
        "Theme score of a group",
        "分组主题得分",
        "ratio",
        (LEVEL, SCORE, MEMBERS),
        "mean chart_score of the group's stocks (CSI300, CSI500, ChiNextIndex and each of group_indices by reference; "
        "ChiNext and STAR by code) − mean chart_score of all stocks; on a week's last session; details: stocks with a score, rank among the groups (1: the highest)",
        "[GF25], network ours",
        subjects=True,
        parameters=("group_indices",),
    ),
)
_BY_CODE = {"ChiNext": is_chinext, "STAR": is_star}


def compute(block: Block) -> dict[str, Column]:
    """Return the score of each group; absent on every day that does not end a week, or without a model."""
    priced = block.section(PRICES)
    scores = block.on(priced, SCORE)
    gaps = reasons(block.gaps(CHARTS))
    absent = {i: why for i, day in enumerate(block.days) if (why := _absent(block, i, day) or gaps.get(i, ""))}
    by_reference = groups_by_reference(block.parameters.group_indices)
    scored: dict[str, tuple[Floats, Values, dict[int, str]]] = {}
    for group in (*by_reference, *_BY_CODE):
        values, counts = np.full(len(block), np.nan), np.zeros(len(block), dtype=int)
        nobody = dict(absent)
        for i, known in enumerate(block.members):
            if i in absent:
                continue
            keys, here = priced.keys[priced.rows(i)], scores[priced.rows(i)]
            inside = known.in_index(keys, by_reference[group]) if group in by_reference else _BY_CODE[group](keys)
            inside &= ~np.isnan(here)
            counts[i] = inside.sum()
            if counts[i]:
                values[i] = here[inside].mean() - np.nanmean(here)
            else:
                nobody.setdefault(i, f"no stock of the day with a chart score belongs to {group}")
        values[list(nobody)] = np.nan
        scored[group] = values, counts, nobody
    # Equal means differ in the last bits.
    places = ranks(np.stack([values for values, _, _ in scored.values()], axis=1).round(12))
    return {
        f"group_theme_score/{group}": Column(values, {"stocks": counts, "rank": places[:, at]}, absent=nobody)
        for at, (group, (values, counts, nobody)) in enumerate(scored.items())
    }


def _absent(block: Block, i: int, day: int) -> str:
    if not block.calendar.ends_week(day):
        return "charts are scored on a week's last session"
    return block.model_reason(i, CHARTS)
