"""The text of a notification: the alert, the evidence of its rule and its invalidation, short enough for a phone."""

from __future__ import annotations

from typing import Literal

from alerts.model import Alert, Evidence, Severity, State

_MARKS = {Severity.CRITICAL: "🔴", Severity.WARNING: "🟠", Severity.INFO: "🔵"}
_STATES = {State.RESOLVED: ("RESOLVED", "已结束"), State.SUPERSEDED: ("CORRECTED", "已更正")}

Language = Literal["en", "zh", "both"]


def title(alert: Alert) -> str:
    """Return one line: severity, state if it is not firing, rule, day."""
    state = _STATES.get(alert.state)
    state_text = f"{state[0]} {state[1]} · " if state else ""
    return f"{_MARKS[alert.severity]} {state_text}{alert.rule} · {alert.trade_date}"


def body(alert: Alert, language: Language, *, link: str = "", most: int = 1800, most_bytes: int | None = None) -> str:
    """Return the text in one language or both.

    Parameters
    ----------
    link : address of the alert's page, appended on a line of its own; empty for none.
    most, most_bytes : characters and UTF-8 bytes to which the text is cut; the link is never cut.
    """
    parts = []
    if language in ("en", "both"):
        parts.append("\n".join(_english(alert)))
    if language in ("zh", "both"):
        parts.append("\n".join(_chinese(alert)))
    text = "\n\n".join(parts)
    tail = f"\n{link}" if link else ""
    room = most - len(tail)
    text = text if len(text) <= room else text[: room - 1] + "…"
    return (text if most_bytes is None else _cut_to_bytes(text, most_bytes - len(tail.encode()))) + tail


def _cut_to_bytes(content: str, most: int) -> str:
    """Return a text cut to a number of UTF-8 bytes; whole characters, the last one "…" where something is missing."""
    encoded = content.encode()
    if len(encoded) <= most:
        return content
    mark = "…"
    return encoded[: most - len(mark.encode())].decode(errors="ignore") + mark


def evidence(record: Evidence, *, chinese: bool = False) -> str:
    """Return the evidence in one line."""
    if not record.cases:
        return "历史记录：此前无已满20日的案例。" if chinese else "Record: no earlier case whose 20 days are over."
    share = f"{record.hits}/{record.cases}"
    band = f"{record.low:.0%}–{record.high:.0%}" if record.low is not None and record.high is not None else ""
    twenty = record.outcomes["20"]
    fall = record.drawdown
    if chinese:
        worst = f"；60日最大回撤{fall:.1%}" if fall is not None else ""
        return f"历史记录：{record.definition.zh} {share}（95%区间{band}）；20日中位{twenty.median:+.1%}，最差{twenty.worst:+.1%}{worst}。"
    worst = f"; worst fall in 60 days {fall:.1%}" if fall is not None else ""
    return (
        f"Record: {record.definition.en}: {share} (95%: {band}); 20 days: median {twenty.median:+.1%}, worst "
        f"{twenty.worst:+.1%}{worst}."
    )


def _english(alert: Alert) -> list[str]:
    if alert.state is State.RESOLVED:
        return [f"Over since {alert.resolved_on}. It said:", alert.text.en]
    if alert.state is State.SUPERSEDED:
        return ["Withdrawn: corrected data replaced or removed it. It said:", alert.text.en]
    lines = [alert.text.en]
    if alert.evidence is not None:
        lines.append(evidence(alert.evidence))
    return [*lines, alert.invalidation.en, *([f"Source: {alert.source}"] if alert.source else [])]


def _chinese(alert: Alert) -> list[str]:
    if alert.state is State.RESOLVED:
        return [f"自{alert.resolved_on}起结束。原文：", alert.text.zh]
    if alert.state is State.SUPERSEDED:
        return ["已撤回：更正后的数据取代或消除了该信号。原文：", alert.text.zh]
    lines = [alert.text.zh]
    if alert.evidence is not None:
        lines.append(evidence(alert.evidence, chinese=True))
    return [*lines, alert.invalidation.zh, *([f"来源：{alert.source}"] if alert.source else [])]
