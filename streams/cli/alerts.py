"""`marginwatch alerts`: list alerts, acknowledge and silence them, ask why one was raised."""

from __future__ import annotations

import os
import sys
from datetime import UTC, date, datetime, timedelta
from typing import Annotated

import msgspec
import typer

from alerts.commands import Acknowledge, Command, SetSilence
from alerts.model import Alert, Severity, Silence
from streams.cli import show
from streams.cli.options import From, Json, To, print_json, to_date_option
from streams.settings import Settings

alerts_app = typer.Typer(invoke_without_command=True, help="List alerts; acknowledge, silence, ask why.")


@alerts_app.callback()
def alerts(
    context: typer.Context,
    start: From = None,
    end: To = None,
    follow: Annotated[bool, typer.Option("--follow", help="go on with what comes; Ctrl-C ends")] = False,
    as_json: Json = False,
) -> None:
    """List alerts by trade date, each in its last state; with --follow every change as it happens."""
    if context.invoked_subcommand is not None:
        return
    from streams import readers
    from streams.export import final_alerts

    settings = Settings()
    low, high = to_date_option(start) or date.min, to_date_option(end) or date.max

    def shown(found: Alert) -> None:
        if low <= found.trade_date <= high:
            if as_json:
                sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
                sys.stdout.flush()
            else:
                show.alert(found)

    if follow:
        for found in readers.alerts(settings):
            shown(found)
    for found in final_alerts(readers.alerts(settings, stop=lambda: True)):
        shown(found)


def _somebody() -> str:
    return os.environ.get("USER", "") or "unknown"


By = Annotated[str, typer.Option(help="who says so", default_factory=_somebody, show_default="you")]
Note = Annotated[str, typer.Option(help="a word for the others")]


def _say(command: Command) -> None:
    from streams.publisher import Publisher
    from streams.topics import ALERT_COMMANDS

    with Publisher(Settings(), source="command line") as publisher:
        publisher.raw(ALERT_COMMANDS, msgspec.json.encode(command), partition=0)


@alerts_app.command("ack")
def alerts_ack(
    alert: Annotated[str, typer.Argument(help="the alert's id")],
    by: By,
    note: Note = "",
    withdraw: Annotated[bool, typer.Option("--withdraw", help="take an acknowledgement back")] = False,
) -> None:
    """Acknowledge an alert: everybody sees who has it in hand; restarts forget nothing."""
    _say(Acknowledge(alert=alert, by=by, at=datetime.now(UTC), note=note, withdraw=withdraw))
    show.err.print("withdrawn" if withdraw else "acknowledged")


@alerts_app.command("silence")
def alerts_silence(
    by: By,
    hours: Annotated[float, typer.Option(min=0, help="for how long; 0 ends the silence of the same matchers")] = 8,
    rule: Annotated[str, typer.Option(help="only this rule")] = "",
    subject: Annotated[str, typer.Option(help="only this subject")] = "",
    severity: Annotated[Severity | None, typer.Option(help="only this severity")] = None,
    alert: Annotated[str, typer.Option(help="only this alert's id")] = "",
    note: Note = "",
) -> None:
    """Hold back notifications of what matches; what still stands when the silence is over is told then."""
    if not (rule or subject or severity or alert):
        raise typer.BadParameter("give at least one of --rule, --subject, --severity, --alert")
    now = datetime.now(UTC)
    identity = "/".join((rule or "*", subject or "*", severity.value if severity else "*", alert or "*"))
    silence = Silence(id=identity, until=now + timedelta(hours=hours), by=by, note=note, rule=rule, subject=subject,
                      severity=severity, alert=alert)  # fmt: skip
    _say(SetSilence(silence=silence, at=now))
    show.err.print(f"silence {identity} until {silence.until:%Y-%m-%d %H:%M} UTC" if hours else f"{identity} is ended")


@alerts_app.command("why")
def alerts_why(
    alert: Annotated[str, typer.Argument(help="the alert's id, or its beginning")], as_json: Json = False
) -> None:
    """Why an alert was raised: its inputs (topics, offsets, revisions), the rule once more on them, every change."""
    from streams.why import why

    found = why(Settings(), alert)
    if as_json:
        print_json(found)
    else:
        show.why(found)
