"""fin_streak 连续增减: the day's securities whose balance reached a flagged number of days in a row [SW14]."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np

from alerts.model import Alert, Basis, Severity, Text
from alerts.rules.base import Evaluation, Expectation, Kind, Message, Rule, ends_lower
from alerts.rules.digest import LAGS, OF_ITS_DAY, members, named
from processors.outputs import SecuritySignals
from processors.parameters import Parameters


def evaluate(parameters: Parameters, message: Message) -> Iterator[Evaluation]:
    """Fire once a day with every security that reached one of `Parameters.streak_flags` that day."""
    flags = parameters.streak_flags
    if not isinstance(message, SecuritySignals) or message.family != "financing":
        return
    status, streak = message.status, message.columns["fin_streak"]
    flagged = np.isin(np.abs(streak), flags) & ~np.isnan(message.columns["fin_change"])
    if not flagged.any():
        yield Evaluation.of(status, "securities", Kind.END)
        return
    found = members(message, flagged, "fin_streak", [""] * int(flagged.sum()))
    longest = max(flags)
    figures: dict[str, float | int | str] = {
        "flagged": len(found),
        "up": sum(m.value > 0 for m in found),
        "down": sum(m.value < 0 for m in found),
        "longest_flag": sum(abs(m.value) >= longest for m in found),
    }
    rising = [m for m in found if m.value >= longest]
    yield Evaluation.of(
        status,
        "securities",
        Kind.FIRE,
        figures,
        {"flags_days": ", ".join(map(str, flags))},
        Text(
            f"Streaks {status.trade_date}: {len(found)} securities reached {' or '.join(map(str, flags))} days in a row "
            f"({figures['up']} up, {figures['down']} down); up {longest} days: {named(rising) or 'none'}.",
            f"融资连续增减 {status.trade_date}：{len(found)}只证券连续{'或'.join(map(str, flags))}日（增{figures['up']}，减"
            f"{figures['down']}）；连增{longest}日：{named(rising) or '无'}。",
        ),
        OF_ITS_DAY,
        found,
    )


def _long_rises(longest: int, alert: Alert) -> list[str]:
    return [m.code for m in alert.members if m.value >= longest]


def rule(parameters: Parameters) -> Rule:
    """Return the rule."""
    return Rule(
        "fin_streak",
        Severity.INFO,
        partial(evaluate, parameters),
        source="[SW14]",
        expectations=(
            Expectation(
                LAGS, ends_lower, basis=Basis.MEMBERS, members=partial(_long_rises, max(parameters.streak_flags))
            ),
        ),
    )
