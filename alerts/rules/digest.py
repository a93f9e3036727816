"""securities_digest 每日证券摘要: one alert a day for all flags of securities, and what their rules have in common.

`alerts.digest` composes it of the facts of the rules with `Rule.digest`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date

from alerts.model import Alert, Member, Severity, Text
from alerts.rules.base import Rule, Scope
from processors.arrays import Floats, Mask
from processors.codes import to_codes
from processors.outputs import SecuritySignals
from processors.parameters import Parameters

#: What the members of a section are expected to do.
LEADS = Text("beats the mean of all stocks over 20 days", "20日跑赢等权市场")
LAGS = Text("lags the mean of all stocks over 20 days", "20日跑输等权市场")

NAME, SUBJECT = "securities_digest", "securities"
#: The sections by rule: what a summary counts. `FLAGS` count their securities, the data note its findings.
TITLES = {
    "fin_divergence": Text("divergences", "背离"),
    "fin_streak": Text("streaks", "连续增减"),
    "fin_extreme": Text("extremes", "极值"),
    "excess_score_top": Text("excess scores", "超额得分"),
    "data_note": Text("data notes", "数据提示"),
}
FLAGS = ("fin_divergence", "fin_streak", "fin_extreme", "excess_score_top")
#: The invalidation of every digest.
OF_ITS_DAY = Text("It covers its day only; the next day has its own digest.", "仅代表当日，次日另有摘要。")
_NAMED = 3


def rule(_: Parameters) -> Rule:
    """Return the rule. It evaluates no message by itself."""
    # The next digest ends it. The horizon is long, so that one of a feed far behind market signals begins to fire first.
    return Rule(
        NAME,
        Severity.INFO,
        lambda _message: (),
        reads=(),
        about="securities",
        scope=Scope.SECURITY,
        covers_day=True,
        updates=True,
        horizon_days=60,
    )


def summary(day: date, counts: Mapping[str, int], absent: Iterable[str]) -> Text:
    """Return the first line of a digest: how many of which kind, and the kinds that could not be evaluated."""
    names = [TITLES[name] for name in dict.fromkeys(absent)]
    lacks = f" Not evaluated, because inputs are missing: {', '.join(n.en for n in names)}." if names else ""
    lacks_zh = f"因数据缺失未评估：{'、'.join(n.zh for n in names)}。" if names else ""
    return Text(
        f"Flags of {day}: " + ", ".join(f"{TITLES[name].en} {n}" for name, n in counts.items()) + f".{lacks}",
        f"{day}提示：" + "、".join(f"{TITLES[name].zh}{n}" for name, n in counts.items()) + f"。{lacks_zh}",
    )


def members(frame: SecuritySignals, flagged: Mask, figure: str, notes: list[str], strength: Floats) -> list[Member]:
    """Return the flagged securities, the strongest first.

    Parameters
    ----------
    flagged : (n,) rows of the frame; ``notes`` has one text for each flagged row.
    figure : the column that a member shows.
    strength : (flagged,) equal ones are ordered by code.
    """
    values = frame.columns[figure][flagged].astype(float)
    found = [
        Member(code, value, note)
        for code, value, note in zip(to_codes(frame.keys[flagged]), values.tolist(), notes, strict=True)
    ]
    order = sorted(zip((-strength).tolist(), found, strict=True), key=lambda pair: (pair[0], pair[1].code))
    return [member for _, member in order]


def named(found: list[Member], separator: str = ", ") -> str:
    """Return the codes of the first few members."""
    return separator.join(m.code for m in found[:_NAMED]) + ("…" if len(found) > _NAMED else "")


def either(groups: Iterable[tuple[Text, list[Member]]]) -> Text:
    """Return ``label codes`` of the groups that have members, in both languages."""
    known = [(label, found) for label, found in groups if found]
    return Text(
        "; ".join(f"{label.en} {named(found)}" for label, found in known) or "none",
        "；".join(f"{label.zh}：{named(found, '、')}" for label, found in known) or "无",
    )


def noted(note: str, alert: Alert) -> list[str]:
    """Return the codes of an alert's members with a note: of one of several records of a rule."""
    return [m.code for m in alert.members if m.note == note]
