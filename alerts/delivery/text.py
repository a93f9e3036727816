"""The text of a notification: the alert, the evidence of its rule and its invalidation, short enough for a phone."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from alerts.model import Alert, Basis, EndedBy, Evidence, PublishedClaim, RecordFinding, Severity, State, Text
from alerts.percents import with_sign
from processors.days import shanghai_date

_MARKS = {Severity.CRITICAL: "🔴", Severity.WARNING: "🟠", Severity.INFO: "🔵"}
_STATES = {State.RESOLVED: ("RESOLVED", "已结束"), State.SUPERSEDED: ("CORRECTED", "已更正")}

_ENDS = {
    EndedBy.CONDITION: ("its condition has ended", "条件已不成立"),
    EndedBy.VOID: ("it is void", "预警已失效"),
    EndedBy.PLAYED_OUT: ("it has played out", "预警已兑现"),
    EndedBy.HORIZON: ("its horizon has passed", "期限已满"),
    EndedBy.NEXT_FACT: ("a newer one replaces it", "由新信号取代"),
}

#: The sources in Chinese that are no keys of the bibliography: the project, and the desk.
_SOURCES_ZH = {"ours": "本系统", "own": "自定"}
_OVER = (State.RESOLVED, State.SUPERSEDED)
#: How long after its figures were due an alert is raised that is late.
_LATE = timedelta(days=1)

Language = Literal["en", "zh", "both"]


def title(alert: Alert) -> str:
    """Return one line: severity, state if it is not firing, rule, subject, day; a rule has several subjects on one day."""
    state = _STATES.get(alert.state)
    state_text = f"{state[0]} {state[1]} · " if state else ""
    return f"{_MARKS[alert.severity]} {state_text}{alert.rule} [{alert.subject}] · {alert.trade_date}"


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


def end_reason(alert: Alert, *, chinese: bool = False) -> str:
    """Return why an alert ended; empty for one that has not."""
    return "" if alert.ended_by is None else _ENDS[alert.ended_by][chinese]


def ending(alert: Alert, *, chinese: bool = False) -> str:
    """Return what ends an alert: its invalidation, and of one that runs the session that ends it at the latest."""
    words = alert.invalidation.zh if chinese else alert.invalidation.en
    if alert.expires_on is None or not alert.state.is_running or alert.sections:  # a digest covers its day
        return words
    return f"{words}最迟{alert.expires_on}结束。" if chinese else f"{words} Over on {alert.expires_on} at the latest."


def source(alert: Alert, *, chinese: bool = False) -> str:
    """Return the source of an alert's rule: keys of the bibliography, or who has made the rule."""
    return _SOURCES_ZH.get(alert.source, alert.source) if chinese else alert.source


def status(alert: Alert, *, chinese: bool = False) -> str:
    """Return in one sentence that an alert is over, withdrawn or late, and why; empty for one that fires in time."""
    reason = end_reason(alert, chinese=chinese)
    if alert.state is State.RESOLVED:
        if chinese:
            return f"自{alert.resolved_on}起结束{f'：{reason}' if reason else ''}。"
        return f"Over since {alert.resolved_on}{f': {reason}' if reason else ''}."
    if alert.state is State.SUPERSEDED:
        return (
            "已撤回：更正后的数据取代或消除了该信号。"
            if chinese
            else "Withdrawn: corrected data replaced or removed it."
        )
    if alert.sections or alert.raised_at - alert.available_at <= _LATE:
        return ""
    due, raised = shanghai_date(alert.available_at), shanghai_date(alert.raised_at)
    if chinese:
        return f"迟到：数据应于{due}公布，{raised}才完成计算。"
    return f"Late: its figures were due on {due} and evaluated on {raised}."


def sections(alert: Alert, *, chinese: bool = False) -> list[str]:
    """Return a line for each section of a digest: what its rule found, and its records in a few words."""
    texts = (s.text.zh if chinese else s.text.en for s in alert.sections)
    return [f"• {one}{_brief(s.evidence, chinese=chinese)}" for s, one in zip(alert.sections, texts, strict=True)]


def evidence(record: Evidence, *, chinese: bool = False) -> str:
    """Return one record in one line: its beginning, hits of cases, base rate, the plain reading, horizon and worst."""
    return _chinese_record(record) if chinese else _english_record(record)


#: What a base rate is taken over.
_ANY_DAY = {
    Basis.INDEX: Text("any day", "任意日"),
    Basis.MEMBERS: Text("any stock on any day", "任意股票任意日"),
    Basis.INDUSTRIES: Text("any industry on any day", "任意行业任意日"),
}
#: The names of records in Chinese.
_NAMES_ZH = {
    "up": "向上", "down": "向下", "up in a range": "震荡市连增", "down in a rally": "上涨市连减", "consecutive rises": "连续两日增",
    "range": "震荡市", "rally": "上涨市", "early positioning": "提前布局", "chasing": "追涨",
}  # fmt: skip


def record_name(record: Evidence, *, chinese: bool = False) -> str:
    """Return the name of one of several records of a rule; empty for the only one."""
    return _NAMES_ZH.get(record.name, record.name) if chinese else record.name


def _english_record(record: Evidence) -> str:
    name = f"{f' ({record.name})' if record.name else ''}{_since(record)}"
    if not record.cases:
        return f"Record{name}: no earlier case whose {record.horizon_days} days are over.{_claimed(record.claim)}"
    parts = [f"Record{name}: {record.definition.en}: {record.hits}/{record.cases} ({record.rate:.0%})"]
    if record.base_rate is not None:
        any_day = _ANY_DAY[record.basis].en
        parts.append(f"{any_day} {record.base_rate:.0%}: {record.finding.value}")
    parts += [f"worst of {record.horizon_days} days {with_sign(f'{worst:+.1%}')}" for worst in _worst(record)]
    if record.drawdown is not None:
        parts.append(f"worst fall in 60 days {with_sign(f'{record.drawdown:.1%}')}")
    return "; ".join(parts) + "." + _claimed(record.claim)


def _claimed(claim: PublishedClaim | None) -> str:
    return "" if claim is None else f" Published: {claim.text.en} {claim.source}, {claim.period}."


#: The plain reading of a record in Chinese.
FINDINGS_ZH = {
    RecordFinding.BETTER: "优于任意日",
    RecordFinding.NO_BETTER: "不优于任意日",
    RecordFinding.TOO_FEW: "案例太少，无法判断",
}


def _chinese_record(record: Evidence) -> str:
    named = "，".join(filter(None, (record_name(record, chinese=True), _since(record, chinese=True))))
    name = f"（{named}）" if named else ""
    claim = record.claim
    claimed = "" if claim is None else f"公开报告：{claim.text.zh}{claim.source}，{claim.period}。"
    if not record.cases:
        return f"历史记录{name}：此前无已满{record.horizon_days}日的案例。{claimed}"
    parts = [f"历史记录{name}：{record.definition.zh} {record.hits}/{record.cases}（{record.rate:.0%}）"]
    if record.base_rate is not None:
        any_day = _ANY_DAY[record.basis].zh
        parts.append(f"{any_day}{record.base_rate:.0%}，{FINDINGS_ZH[record.finding]}")
    parts += [f"{record.horizon_days}日最差{with_sign(f'{worst:+.1%}')}" for worst in _worst(record)]
    if record.drawdown is not None:
        parts.append(f"60日最大跌幅{with_sign(f'{record.drawdown:.1%}')}")
    return "；".join(parts) + "。" + claimed


def _brief(records: list[Evidence], *, chinese: bool = False) -> str:
    """Return the records of a section in a few words: the better ones with their figures, else that none is better."""
    better = [
        r for r in records if r.finding is RecordFinding.BETTER and r.rate is not None and r.base_rate is not None
    ]
    if not better:
        found = {r.finding for r in records}
        worst = next((one for one in (RecordFinding.NO_BETTER, RecordFinding.TOO_FEW) if one in found), None)
        return "" if worst is None else f"［{FINDINGS_ZH[worst]}］" if chinese else f" [{worst}]"
    if chinese:
        return "".join(
            f"［{record_name(r, chinese=True)}：{r.definition.zh}{r.rate:.0%}（{_since(r, chinese=True, brief=True)}{r.cases:,}例），任意股票{r.base_rate:.0%}，{FINDINGS_ZH[r.finding]}］"
            for r in better
        )
    return "".join(
        f" [{r.name}: {r.definition.en} {r.rate:.0%} of {r.cases:,}{_since(r, brief=True)}, any stock {r.base_rate:.0%}: better]"
        for r in better
    )


def _since(record: Evidence, *, chinese: bool = False, brief: bool = False) -> str:
    """Return the day, in brief the year, in which a record begins; empty for one of an early release."""
    if record.since is None:
        return ""
    first = record.since.year if brief else record.since
    return f"{first}{'年' * brief}起" if chinese else f" since {first}"


def _worst(record: Evidence) -> list[float]:
    outcome = record.outcomes.get(str(record.horizon_days))
    return [] if outcome is None else [outcome.worst]


def _english(alert: Alert) -> list[str]:
    if alert.state in _OVER:
        return [f"{status(alert)} It said:", alert.text.en]
    lines = [alert.text.en, *sections(alert), *filter(None, [status(alert)])]
    lines += [evidence(record) for record in alert.evidence]
    return [*lines, ending(alert), *([f"Source: {alert.source}"] if alert.source else [])]


def _chinese(alert: Alert) -> list[str]:
    if alert.state in _OVER:
        return [f"{status(alert, chinese=True)}原文：", alert.text.zh]
    lines = [alert.text.zh, *sections(alert, chinese=True), *filter(None, [status(alert, chinese=True)])]
    lines += [evidence(record, chinese=True) for record in alert.evidence]
    return [*lines, ending(alert, chinese=True), *([f"来源：{source(alert, chinese=True)}"] if alert.source else [])]
