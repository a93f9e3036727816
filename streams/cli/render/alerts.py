"""Prints alerts, rules and notifications."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from rich.text import Text

from alerts import plurals
from alerts.delivery import text as labels
from alerts.model import Alert, Basis, Evidence, Severity, State
from alerts.percents import with_sign
from alerts.tally import IN_DIGEST, counts, records
from streams.cli.render.signals import figure
from streams.cli.terminal import err, out, right, table_of, whole

if TYPE_CHECKING:
    from alerts.delivery.history import Notification
    from alerts.record import RecordCard
    from alerts.rules.base import Rule

#: The width from which on a line has room for all that is listed of a rule.
_RULES_WIDTH = 200
_STYLE = {Severity.CRITICAL: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


def print_alert(found: Alert) -> None:
    """Print an alert in its present state."""
    if found.state is State.FIRING:
        out.print(Text(f"● {found.severity.upper():8} {found.rule} [{found.subject}]", style=_STYLE[found.severity]))
        out.print(f"  {found.text.en}\n  {found.text.zh}")
        for line in labels.sections(found):
            out.print(f"  {line}")
        if found.acknowledged is not None:
            out.print(Text(f"  ✓ acknowledged{_author(found.acknowledged.by, found.acknowledged.note)}", style="green"))
        for record in found.evidence:
            out.print(Text(f"  {labels.evidence(record)}", style="dim"))
        out.print(Text(f"  {labels.ending(found)}  {labels.ending(found, chinese=True)}", style="dim"))
    else:
        state = labels.status(found) or f"{found.state.capitalize()}."
        out.print(Text(f"○ {found.rule} [{found.subject}] of {found.trade_date}. {state}", style="dim"))


def print_reason(found: dict[str, Any]) -> None:
    """Print an alert with its inputs and history, as `streams.alert_provenance.why` returns them."""
    one: Alert = found["alert"]
    print_alert(one)
    out.print(
        f"  id {one.id}, version {one.rule_version} of the rule, revision {one.revision}: {one.state}", markup=False
    )
    out.print(f"  figures {one.figures}, thresholds {one.thresholds}")
    for record in one.evidence:
        out.print(Text(f"  {labels.evidence(record)}"))
    for given in found["inputs"]:
        place = f"{given['topic']}[{given['partition']}] offset {given['offset']}, revision {given['revision']}"
        out.print(Text(f"input   {place}: {given['note']}", style="bold"))
        if given["content"] is not None:
            out.print_json(data=given["content"], default=str)
    for event in found["history"]:
        author = _author(event.by, event.note) if event.by else ""
        out.print(f"{event.at:%Y-%m-%d %H:%M:%S} UTC  {event.what}{author}")


def _author(by: str, note: str) -> str:
    """Return who did something and the note, as part of a line: a line of a note must not pass for one of ours."""
    return " ".join(f" by {by}{': ' if note else ''}{note}".rstrip().split("\n"))


def print_record(found: list[RecordCard]) -> None:
    """Print the records of a rule: every case, the base rate, the difference with its interval, and the claim."""
    for card in found:
        record = card.evidence
        name = f" ({record.name})" if record.name else ""
        title = f"{card.rule} [{card.subject}]{name} {card.source}, {record.since} to {card.until}"
        out.print(Text(title, style="bold"))
        out.print(Text(f"a hit: {record.definition.en} {record.definition.zh}"))
        of_index = record.basis is Basis.INDEX
        named = any(row.subject != card.subject for row in card.rows)
        subject = ("subject",) if named else ()
        outcomes = ("entry on", "entry", "5 days", "20 days", "60 days", "worst", "hit")
        table = table_of("date", *subject, card.figure or "figure", *outcomes)
        for row in card.rows:
            hit = "" if row.hit is None else "yes" if row.hit else "no"
            hits = f"{row.member_hits}/{row.members}" if row.members else ""  # none before its horizon is over
            table.add_row(
                str(row.trade_date),
                *((row.subject,) if named else ()),
                "" if row.figure is None else figure(row.figure, card.unit),
                str(row.entry_date or ""),
                "" if row.entry is None else f"{row.entry:,.2f}",
                *(_percent(value) for value in row.returns.values()),
                _percent(row.drawdown),
                hit if of_index else hits,
            )
        out.print(table)
        out.print(Text(labels.evidence(record)))
        out.print(Text(labels.evidence(record, chinese=True)))
        if record.difference is not None and record.low is not None and record.high is not None:
            out.print(
                f"difference {_points(record.difference)} (95%: {_points(record.low)} to {_points(record.high)}), from "
                f"{plurals.counted(record.episodes, 'episode')}; base {record.base_hits}/{record.base_cases}; "
                f"unscored {record.unscored}"
            )


def _percent(value: float | None) -> str:
    return "" if value is None else with_sign(f"{value:+.1%}")


def _points(value: float) -> str:
    return with_sign(f"{100 * value:+.1f} points")


def rule_fields(rule: Rule) -> dict[str, Any]:
    """Return what a listing of rules shows of one rule."""
    return {
        "rule": rule.name,
        "severity": IN_DIGEST if rule.is_section else rule.severity.value,
        "about": rule.about,
        "version": rule.version,
        "minimum_days": rule.minimum_days,
        "cooldown_days": rule.cooldown_days,
        "horizon_days": rule.horizon_days,
        "source": rule.source,
        "hit": "; ".join(dict.fromkeys(one.definition.en for one in rule.expectations)),
    }


def print_rules(found: Iterable[Rule]) -> None:
    """Print the rules in force: one table where it fits, else a table of durations and one of hits."""
    headers = {
        "rule": "rule",
        "severity": "severity",
        "about": "about",
        "version": "version",
        "minimum_days": "minimum days",
        "cooldown_days": "cool-down",
        "horizon_days": "ends on session",
        "source": "source",
        "hit": "a hit is",
    }
    durations = ("rule", "severity", "about", "minimum_days", "cooldown_days", "horizon_days")
    parts = [tuple(headers)] if out.width >= _RULES_WIDTH else [durations, ("rule", "version", "source", "hit")]
    rules = [rule_fields(rule) for rule in found]
    for part in parts:
        short = ("rule", "severity", "version", "cooldown_days")
        table = table_of(*(whole(headers[name]) if name in short else headers[name] for name in part))
        for rule in rules:
            table.add_row(*(str(rule[name]) for name in part))
        out.print(table)


def rehearsal_fields(found: list[Alert], chosen: Container[str]) -> dict[str, Any]:
    """Return the alerts of a rehearsal with the counts and records of the chosen rules."""
    return {
        "alerts": found,
        "counts": [
            {"rule": rule, "severity": severity, "year": year, "alerts": count}
            for (rule, severity), years in counts(found).items()
            if rule in chosen
            for year, count in sorted(years.items())
        ],
        "records": [
            {"rule": rule, "subject": subject, "record": record}
            for (rule, subject, _), record in records(found).items()
            if rule in chosen
        ],
    }


def print_rehearsal(found: list[Alert], chosen: Container[str]) -> None:
    """Print how many alerts would have fired, their records, and when: of digests the counts and records alone."""
    table = table_of("date", "rule", "subject", "state", "until", "text")
    for one in found:
        if not one.sections:
            table.add_row(str(one.trade_date), one.rule, one.subject, one.state, str(one.resolved_on or ""),
                          Text(one.text.en))  # fmt: skip
    if table.rows:
        out.print(table)
        out.print()
    _print_counts({kind: years for kind, years in counts(found).items() if kind[0] in chosen})
    _print_records({name: record for name, record in records(found).items() if name[0] in chosen})
    if not found:
        err.print("no rule would have fired")


def _print_counts(found: Mapping[tuple[str, str], Counter[int]]) -> None:
    years = sorted({year for counted in found.values() for year in counted})
    table = table_of("alerts a year", "severity", *(right(str(name)) for name in (*years, "all")))
    order = [severity.value for severity in reversed(Severity)]
    severities: dict[str, Counter[int]] = {severity: Counter() for severity in order}
    for (rule, severity), counted in sorted(found.items(), key=lambda item: (item[0][1] not in order, item[0])):
        table.add_row(rule, severity, *(f"{counted[year]:,}" for year in years), f"{counted.total():,}")
        if severity in severities:
            severities[severity] += counted
    for severity, counted in severities.items():
        table.add_row("together", severity, *(f"{counted[year]:,}" for year in years), f"{counted.total():,}")
    if found:
        out.print(table)
        out.print()


def _print_records(found: Mapping[tuple[str, str, str], Evidence]) -> None:
    columns = ("record", "about", "a hit is", "hits/cases", "rate", "base", "finding")
    table = table_of(*columns)
    for (rule, subject, name), record in sorted(found.items()):
        rates = (f"{rate:.0%}" if rate is not None else "–" for rate in (record.rate, record.base_rate))
        table.add_row(f"{rule} ({name})" if name else rule, subject, record.definition.en,
                      f"{record.hits:,}/{record.cases:,}", *rates, record.finding)  # fmt: skip
    if found:
        out.print(table)


def print_notifications(found: dict[str, list[Notification]]) -> None:
    """Print the notifications of each channel."""
    columns = ("channel", "written", "status", "alert", "state", "attempts", "due", "error")
    table = table_of(*columns)
    for name, listed in found.items():
        for note in listed:
            due = f"{note.due:%m-%d %H:%M:%S}" if note.status == "waiting" else ""
            table.add_row(name, f"{note.written:%Y-%m-%d %H:%M:%S}", note.status,
                          f"{note.alert.rule} {note.alert.trade_date}", note.alert.state, str(note.attempts), due,
                          Text(note.error))  # fmt: skip
    out.print(table)
