"""`marginwatch alerts`: list alerts, acknowledge and silence them, show why one was raised."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from typing import Annotated

import typer

from alerts import commands
from alerts.commands import Acknowledge, Command, SetSilence
from alerts.model import Alert, Severity, Silence, State
from processors.days import SHANGHAI
from streams.cli.options import From, Json, To, span
from streams.cli.render.alerts import print_alert, print_reason, print_record
from streams.cli.terminal import err, print_json, print_result
from streams.settings import Settings

#: Ten years.
_LONGEST_SILENCE_H = 87_600
alerts_app = typer.Typer(invoke_without_command=True)


@alerts_app.callback()
def alerts(
    context: typer.Context,
    start: From = None,
    end: To = None,
    states: Annotated[list[State] | None, typer.Option("--state", help="only in this state; may be repeated")] = None,
    rules: Annotated[list[str] | None, typer.Option("--rule", help="only of this rule; may be repeated")] = None,
    severities: Annotated[
        list[Severity] | None, typer.Option("--severity", help="only of this severity; may be repeated")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="only the newest so many")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="print every change as it happens, until Ctrl-C")] = False,
    as_json: Json = False,
) -> None:
    """List alerts by trade date, each in its last state; with --follow every change as it happens.

    Examples:

        marginwatch alerts --from 2024-06-03
        marginwatch alerts --state firing --severity critical --severity warning
        marginwatch alerts ack 4f1c… --note "called the branch"
    """
    if context.invoked_subcommand is not None:
        for option in context.command.params:
            if option.name and context.params.get(option.name):
                raise typer.BadParameter(
                    f"it chooses from the list of alerts: `alerts {context.invoked_subcommand}` takes its own options "
                    "behind its name",
                    param_hint=option.opts[0],
                )
        return
    from streams import readers

    if follow and limit is not None:
        raise typer.BadParameter("--follow prints every change: leave --limit out", param_hint="--limit")
    first, last = span(start, end)
    settings = Settings()
    _check_rules(settings, rules or ())

    def wanted(alert: Alert) -> bool:
        return (
            (first or date.min) <= alert.trade_date <= (last or date.max)
            and (not states or alert.state in states)
            and (not rules or alert.rule in rules)
            and (not severities or alert.severity in severities)
        )

    def show(alert: Alert) -> None:
        if as_json:
            print_json(alert, indent=-1)
        else:
            print_alert(alert)

    if follow:
        for alert in filter(wanted, readers.follow_alerts(settings)):
            show(alert)
    found = list(filter(wanted, readers.newest_alerts(settings)))
    for alert in found[-limit:] if limit is not None else found:
        show(alert)
    if not found:
        err.print("no alert matches; `marginwatch status` shows whether feeds and signals are there")
    if limit is not None and len(found) > limit:
        err.print(f"the newest {limit} of {len(found):,} alerts")


def _check_rules(settings: Settings, rules: Iterable[str]) -> None:
    """Raise a usage error that names the rules that there are if one of ``rules`` is none of them."""
    from streams.alert_rules import rules_of

    known = sorted({one.name for one in rules_of(settings)})
    for rule in rules:
        if rule not in known:
            raise typer.BadParameter(
                f"there is no rule {rule!r}: {', '.join(known)} (rules of your own: MARGINWATCH_RULES_FILE)",
                param_hint="--rule",
            )


def _user() -> str:
    return os.environ.get("USER", "") or "unknown"


def _named(by: str) -> str:
    if not by.strip():
        raise typer.BadParameter("give the name that others see")
    return by.strip()


AlertId = Annotated[str, typer.Argument(help="the alert's id, or its beginning; see `marginwatch alerts --json`")]
By = Annotated[
    str,
    typer.Option(help="the name that others see", default_factory=_user, show_default="$USER", callback=_named),
]
Note = Annotated[str, typer.Option(help="a remark for the others")]


def _send(command: Command) -> None:
    from streams.publisher import Publisher
    from streams.topics import Topic

    with Publisher(Settings(), source="command line") as publisher:
        publisher.raw(Topic.ALERT_COMMANDS, commands.encode(command), partition=0)


@alerts_app.command("ack")
def alerts_ack(
    alert: AlertId,
    by: By,
    note: Note = "",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="withdraw an acknowledgement")] = False,
) -> None:
    """Acknowledge an alert, so that everybody sees who works on it; a restart keeps it."""
    from streams.alert_provenance import alert_of
    from streams.clients import redis_client
    from streams.system_status import market_clock

    settings = Settings()
    found = alert_of(settings, alert)
    if found.state is State.SUPERSEDED and not withdraw:  # the desk no longer keeps it: nobody would see it
        raise typer.BadParameter(
            f"{found.id} is superseded: acknowledge the alert that replaced it, if one did", param_hint="ALERT"
        )
    with redis_client(settings) as client:
        now = market_clock(settings, client).now()
    _send(Acknowledge(alert=found.id, by=by, at=now, note=note, withdraw=withdraw))
    err.print("withdrawn" if withdraw else "acknowledged")


@alerts_app.command("silence")
def alerts_silence(
    by: By,
    hours: Annotated[float, typer.Option(min=0, help="how long; 0 ends the silence of the same matchers")] = 8,
    rule: Annotated[str, typer.Option(help="only this rule")] = "",
    subject: Annotated[str, typer.Option(help="only this subject")] = "",
    severity: Annotated[Severity | None, typer.Option(help="only this severity")] = None,
    alert: Annotated[str, typer.Option(help="only this alert: its id, or the beginning")] = "",
    note: Note = "",
) -> None:
    """Hold back notifications of what matches; alerts that still fire when the silence ends are sent then.

    The hours are those of the market's clock: in a replay they pass at its speed. Example:

        marginwatch alerts silence --rule securities_digest --hours 24 --note "known: index rebalancing"
    """
    from alerts.rules.digest import NAME as DIGEST
    from streams import readers
    from streams.alert_provenance import alert_of
    from streams.alert_rules import rules_of
    from streams.clients import redis_client
    from streams.system_status import market_clock

    if not hours <= _LONGEST_SILENCE_H:  # also no number
        raise typer.BadParameter(f"{hours:g}: at most {_LONGEST_SILENCE_H}", param_hint="--hours")
    if not (rule or subject or severity or alert):
        raise typer.BadParameter("give at least one of --rule, --subject, --severity, --alert")
    settings = Settings()
    _check_rules(settings, filter(None, [rule]))
    if rule and next(one for one in rules_of(settings) if one.name == rule).is_section:
        raise typer.BadParameter(f"{rule} is a section of {DIGEST}: silence that", param_hint="--rule")
    if alert:
        alert = alert_of(settings, alert).id
    if subject and hours and subject not in {one.subject for one in readers.newest_alerts(settings)}:
        err.print(f"note: no alert has the subject {subject} yet; `marginwatch alerts` shows how subjects are written")
    with redis_client(settings) as client:
        clock = market_clock(settings, client)
    now = clock.now()
    identity = "/".join((rule or "*", subject or "*", severity.value if severity else "*", alert or "*"))
    if not hours and not _in_force(settings, identity, now):
        raise typer.BadParameter(f"no silence {identity} is in force, so none ends", param_hint="--hours")
    silence = Silence(id=identity, until=now + timedelta(hours=hours), by=by, note=note, rule=rule, subject=subject,
                      severity=severity, alert=alert)  # fmt: skip
    _send(SetSilence(silence=silence, at=now))
    zone = "Shanghai by the clock of the replay" if clock.replays else "Shanghai"
    until = f"{silence.until.astimezone(SHANGHAI):%Y-%m-%d %H:%M} {zone}"
    err.print(f"silence {identity} until {until}" if hours else f"{identity} is ended")


def _in_force(settings: Settings, identity: str, now: datetime) -> bool:
    """Whether the newest command about a silence has set it, and its end lies ahead."""
    from streams import readers
    from streams.topics import Topic

    sent = readers.messages(settings, Topic.ALERT_COMMANDS)
    found = [one.silence for one in sent if isinstance(one, SetSilence) and one.silence.id == identity]
    return bool(found) and found[-1].until > now


@alerts_app.command("why")
def alerts_why(alert: AlertId, as_json: Json = False) -> None:
    """Show why an alert was raised: its inputs (topics, offsets, revisions), the rule on these inputs, every change."""
    from streams.alert_provenance import why

    print_result(why(Settings(), alert), print_reason, as_json=as_json)


@alerts_app.command("record")
def alerts_record(
    rule: Annotated[str, typer.Argument(help="a rule that keeps a record, e.g. peak_warning")], as_json: Json = False
) -> None:
    """Show every past case of a rule with what followed, beside the base rate and the published claim.

    The entry of a case is the open of the session after its day. The base rate is the same condition on any day since
    the rule was first evaluated.

    Example:

        marginwatch alerts record peak_warning
    """
    from streams.alert_record import record_of

    print_result(record_of(Settings(), rule), print_record, as_json=as_json)
