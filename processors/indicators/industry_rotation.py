"""Weekly change and breadth of the industries' balances, and the selections of [SW14], on a week's last session."""

from __future__ import annotations

import numpy as np

from processors.arrays import Floats
from processors.block import Block
from processors.cross_sections import merged
from processors.indicators.industry_balance import IndustryColumns, explain, ranks
from processors.needs import DETAIL, LAST_WEEK, members, security
from processors.signal import Level, Signal

BALANCE, BALANCE_LAST_WEEK = security("fin_balance"), security("fin_balance", back=LAST_WEEK)


def _signal(name: str, title: str, title_zh: str, unit: str, formula: str) -> Signal:
    needs = (BALANCE, BALANCE_LAST_WEEK, members())
    return Signal(name, Level.INDUSTRY, title, title_zh, unit, needs, formula, "[SW14]")


SIGNALS = (
    _signal("week_change", "Weekly change of the balance", "融资余额周变动", "ratio", "Σ B_t / Σ B_{last week's end} − 1 over stocks in the list on both days (matched: ours)"),
    _signal("week_breadth", "Share of stocks whose balance rose over the week", "融资余额上升个股占比", "ratio", "stocks with B_t > B_{last week's end} / stocks in the list on both days"),
    _signal("change_top9", "Among the 9 largest weekly changes", "变动前9", "flag", "1 if rank(week_change) ≤ 9"),
    _signal("breadth_top9", "Among the 9 largest breadths", "广度前9", "flag", "1 if rank(week_breadth) ≤ 9"),
    _signal("dual_1", "Both", "双选1", "flag", "change_top9 and breadth_top9"),
    _signal("dual_2", "Both, without the top 3 by change", "双选2", "flag", "dual_1 and rank(week_change) > 3 (published IR 2.31, weekly win rate 60.87%)"),
    _signal("dual_3", "As dual_2 with the 6 largest breadths", "双选3", "flag", "change_top9 and rank(week_breadth) ≤ 6 and rank(week_change) > 3"),
)  # fmt: skip


def compute(block: Block) -> IndustryColumns:
    """Return the columns (k, 31); NaN on every day that does not end a week."""
    section = block.section(DETAIL)
    now, before = block.on(section, BALANCE), block.on(section, BALANCE_LAST_WEEK)
    ends = np.array([block.calendar.ends_week(day) for day in block.days])
    used = (before > 0) & ~np.isnan(now) & ends[section.day_of_row]

    def total(values: Floats) -> Floats:
        return block.by_industry(section, np.where(used, values, np.nan))

    change = total(now) / total(before) - 1
    breadth = total((now > before).astype(np.float64)) / total(np.ones(len(now)))
    gaps = merged(block.gaps(DETAIL), block.gaps(DETAIL, LAST_WEEK))
    unknown = block.unknown_industries(gaps) & ends[:, None]
    change[unknown] = breadth[unknown] = np.nan
    # A selection compares all industries.
    columns = {"week_change": change, "week_breadth": breadth}
    for name, flags in selections(change, breadth).items():
        columns[name] = np.where(unknown.any(axis=1)[:, None], np.nan, flags)
    left_out: list[dict[str, str]] = [{} for _ in range(len(block))]
    for name in columns:
        explain(left_out, name, unknown, gaps, block)
    return columns, left_out


def selections(change: Floats, breadth: Floats) -> dict[str, Floats]:
    """Return the flags of every selection: 1 selected, 0 not, NaN where change or breadth is absent."""
    by_change, by_breadth = ranks(change), ranks(breadth)
    first, second = by_change <= 9, by_breadth <= 9
    flags = {
        "change_top9": first,
        "breadth_top9": second,
        "dual_1": first & second,
        "dual_2": first & second & (by_change > 3),
        "dual_3": first & (by_breadth <= 6) & (by_change > 3),
    }
    absent = np.isnan(change) | np.isnan(breadth)
    return {name: np.where(absent, np.nan, flag.astype(np.float64)) for name, flag in flags.items()}
