"""The stocks of a theme: the members of its industry with their chart scores, or why one has none."""

from __future__ import annotations

from datetime import date

import msgspec

from console.model import ConsoleModel


class ThemeMember(msgspec.Struct, frozen=True):
    """One stock of an industry; ``reason`` is the label of why its score is absent, "" where there is one."""

    code: str
    score: float | None
    reason: str = ""


def members(model: ConsoleModel, industry: str, week: date) -> list[ThemeMember]:
    """Return the stocks of an industry in a week, the highest score first, and behind them those without a score."""
    scores = model.securities.chart_scores(week)
    found = [_member(model, code, week, scores) for code in model.inputs.members(industry)]
    return sorted(found, key=lambda one: (one.score is None, -(one.score or 0.0), one.code))


def _member(model: ConsoleModel, code: str, week: date, scores: dict[str, float | None]) -> ThemeMember:
    score = scores.get(code)
    if score is not None:
        return ThemeMember(code, score)
    if not scores:
        return ThemeMember(code, None, "waiting")
    charted = model.chart(code)
    if code not in scores and charted is not None and charted[0] == week:
        return ThemeMember(code, None, "theme_unlisted")
    return ThemeMember(code, None, "theme_few_prices" if code in scores else "theme_unknown")
