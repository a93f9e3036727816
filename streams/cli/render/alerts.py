"""Prints alerts, rules and notifications."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from rich.table import Column, Table
from rich.text import Text

from alerts.delivery import text as labels
from alerts.model import Alert, Basis, Severity, State
from streams.cli.terminal import err, out

if TYPE_CHECKING:
    from alerts.delivery.log import Notification
    from alerts.record import RecordCard
    from alerts.rules.base import Rule

_STYLE = {Severity.CRITICAL: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


def print_alert(found: Alert) -> None:
    """Print an alert in its present state."""
    if found.state is State.FIRING:
        out.print(Text(f"● {found.severity.upper():8} {found.rule} [{found.subject}]", style=_STYLE[found.severity]))
        out.print(f"  {found.text.en}\n  {found.text.zh}")
        for record in found.evidence:
            out.print(Text(f"  {labels.evidence(record)}", style="dim"))
        out.print(Text(f"  {found.invalidation.en}  {found.invalidation.zh}", style="dim"))
    else:
        when = f" on {found.resolved_on}" if found.resolved_on else ""
        out.print(Text(f"○ {found.state}{when}: {found.rule} [{found.subject}] of {found.trade_date}", style="dim"))


def print_reason(found: dict[str, Any]) -> None:
    """Print an alert with its inputs and history, as `streams.alert_provenance.why` returns them."""
    one: Alert = found["alert"]
    print_alert(one)
    out.print(
        f"  id {one.id}, version {one.rule_version} of the rule, revision {one.revision}: {one.state}", markup=False
    )
    out.print(f"  figures {one.figures}, thresholds {one.thresholds}", markup=False)
    for record in one.evidence:
        out.print(Text(f"  {labels.evidence(record)}"))
    for given in found["inputs"]:
        place = f"{given['topic']}[{given['partition']}] offset {given['offset']}, revision {given['revision']}"
        out.print(Text(f"input   {place}: {given['note']}", style="bold"))
        if given["content"] is not None:
            out.print_json(data=given["content"], default=str)
    for event in found["history"]:
        author = f" by {event.by}: {event.note}" if event.by else ""
        out.print(f"{event.at:%Y-%m-%d %H:%M:%S} UTC  {event.what}{author}", markup=False)


def print_record(found: list[RecordCard]) -> None:
    """Print the records of a rule: every case, the base rate, the difference with its interval, and the claim."""
    for card in found:
        record = card.evidence
        name = f" ({record.name})" if record.name else ""
        title = f"{card.rule} [{card.subject}]{name} {card.source}, {card.since} to {card.until}"
        out.print(Text(title, style="bold"))
        out.print(Text(f"a hit: {record.definition.en} {record.definition.zh}"))
        members = record.basis is Basis.MEMBERS
        columns = ("date", card.figure or "figure", "entry on", "entry", "5 days", "20 days", "60 days", "worst", "hit")
        table = Table(*columns, box=None, pad_edge=False)
        for row in card.rows:
            hit = "" if row.hit is None else "yes" if row.hit else "no"
            table.add_row(
                str(row.trade_date),
                "" if row.figure is None else f"{row.figure:.4g}",
                str(row.entry_date or ""),
                "" if row.entry is None else f"{row.entry:,.2f}",
                *(_percent(value) for value in row.returns.values()),
                _percent(row.drawdown),
                f"{row.member_hits}/{row.members}" if members else hit,
            )
        out.print(table)
        out.print(Text(labels.evidence(record)))
        out.print(Text(labels.evidence(record, chinese=True)))
        if record.difference is not None and record.low is not None and record.high is not None:
            out.print(
                f"difference {record.difference:+.1%} (95%: {record.low:+.1%} to {record.high:+.1%}), from "
                f"{record.episodes} episodes; base {record.base_hits}/{record.base_cases}; unscored {record.unscored}"
            )


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:+.1%}"


def rule_fields(rule: Rule) -> dict[str, Any]:
    """Return what a listing of rules shows of one rule."""
    return {
        "rule": rule.name,
        "severity": rule.severity.value,
        "version": rule.version,
        "minimum_days": rule.minimum_days,
        "cooldown_days": rule.cooldown_days,
        "horizon_days": rule.horizon_days,
        "source": rule.source,
        "hit": "; ".join(dict.fromkeys(one.definition.en for one in rule.expectations)),
    }


def print_rules(found: Iterable[Rule]) -> None:
    """Print the rules in force."""
    columns = ("rule", "severity", "version", "minimum days", "cool-down", "horizon", "source", "a hit is")
    table = Table(*columns, box=None, pad_edge=False)
    for rule in found:
        table.add_row(*(str(value) for value in rule_fields(rule).values()))
    out.print(table)


def print_rehearsal(found: list[Alert]) -> None:
    """Print when rules would have fired, each with the record of earlier cases."""
    columns = ("date", "rule", "subject", "state", "until", "record before it", Column("text", overflow="fold"))
    table = Table(*columns, box=None, pad_edge=False)
    for one in found:
        before = ", ".join(f"{r.hits}/{r.cases}" if r.cases else "none yet" for r in one.evidence)
        table.add_row(str(one.trade_date), one.rule, one.subject, one.state, str(one.resolved_on or ""), before,
                      Text(one.text.en))  # fmt: skip
    out.print(table)
    counts = Counter(one.rule for one in found)
    err.print(", ".join(f"{name}: {count}" for name, count in sorted(counts.items())) or "no rule would have fired")


def print_notifications(found: dict[str, list[Notification]]) -> None:
    """Print the notifications of each channel."""
    columns = ("channel", "written", "status", "alert", "state", "attempts", "due", "error")
    table = Table(*columns, box=None, pad_edge=False)
    for name, listed in found.items():
        for note in listed:
            due = f"{note.due:%m-%d %H:%M:%S}" if note.status == "waiting" else ""
            table.add_row(name, f"{note.written:%Y-%m-%d %H:%M:%S}", note.status,
                          f"{note.alert.rule} {note.alert.trade_date}", note.alert.state, str(note.attempts), due,
                          Text(note.error))  # fmt: skip
    out.print(table)
