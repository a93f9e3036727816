"""The row of an industry in tables: figures of the newest day, its date, sums over days, a sparkline of the balance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date
from typing import Any

import numpy as np

from alerts import reasons
from console import formats
from console.model import ConsoleModel
from console.theme import View
from processors.industries import INDUSTRIES
from processors.outputs import IndustrySignals

#: Width and height of a sparkline, pixels.
SPARK = (84, 20)


def industry_row(days: Sequence[IndustrySignals], at: int) -> dict[str, Any]:
    """Return the figures of one industry on the newest day; a sum with an unknown day is absent (None).

    Parameters
    ----------
    days : the newest days, the oldest first.
    at : the industry's place in `INDUSTRIES`.
    """

    def series(column: str, count: int) -> list[float | None]:
        found = [float(day.columns[column][at]) if column in day.columns else math.nan for day in days[-count:]]
        return [None if math.isnan(value) else value for value in found]

    def total(count: int) -> float | None:
        values = series("net_buy", count)
        return math.fsum(known) if len(known := [v for v in values if v is not None]) == count else None

    breadth = [v for v in series("week_breadth", 5) if v is not None]
    return {
        "key": INDUSTRIES[at],
        "balance": series("fin_balance", 1)[0],
        "share": series("fin_balance_share", 1)[0],
        "net1": total(1),
        "net5": total(5),
        "net20": total(20),
        "buys": series("buy_to_turnover", 1)[0],
        "heat": series("heat", 1)[0],
        "risk": series("risk", 1)[0],
        "breadth": breadth[-1] if breadth else None,  # of the last week's end
        "spark": sparkline(series("fin_balance", len(days))),
    }


def industry_note(model: ConsoleModel, view: View, shown: IndustrySignals) -> str:
    """Return the day of the industries shown, and a newer day that has none."""
    newest, status = model.newest_industries, shown.status
    note = f"{formats.day(status.trade_date)}{' ⚠' if status.degraded else ''}"
    if newest is None or newest is shown:
        return note
    return f"{note} · ⚠ {formats.short_day(newest.status.trade_date, status.trade_date)} {view.label('degraded')}"


def industries_day(model: ConsoleModel) -> date | None:
    """Return the newest day of industries with figures."""
    return next((frame.status.trade_date for frame in model.industry_days(1)), None)


def industry_absence(model: ConsoleModel, view: View, column: str) -> str:
    """Return why no industry has a figure on the newest day of industries; "" where one has it."""
    frame = next(iter(model.industry_days(1)), model.newest_industries)
    if frame is None:
        return view.label("nothing")
    if column in frame.columns and not np.isnan(frame.columns[column]).all():
        return ""
    why = frame.left_out.get(column)
    return view.label("absent") if why is None else reasons.shown(why, view.language)


def sparkline(values: Sequence[float | None]) -> str:
    """Return the path of a small line through figures, "" without two of them; a gap interrupts the line."""
    known = [v for v in values if v is not None]
    if len(known) < 2:
        return ""
    (width, height), low, high = SPARK, min(known), max(known)
    span, step, out, pen = (high - low) or 1.0, width / (len(values) - 1), [], "M"
    for i, value in enumerate(values):
        if value is None:
            pen = "M"
            continue
        out.append(f"{pen}{i * step:.1f},{height - 2 - (height - 4) * (value - low) / span:.1f}")
        pen = "L"
    return "".join(out)
