"""`marginwatch notify`: test the channels of alerts, and show what was sent."""

from __future__ import annotations

from typing import Annotated

import typer

from processors.errors import MarginwatchError
from streams.cli.options import Json
from streams.cli.render.alerts import print_notifications
from streams.cli.terminal import err, out, print_result
from streams.settings import Settings

notify_app = typer.Typer(no_args_is_help=True, help="Test the channels of alerts; show what was sent.")


_NO_CHANNEL = "no channel is set: write [channels.NAME] tables into marginwatch.toml (documentation: Operations)"


@notify_app.command("test")
def notify_test(
    channels: Annotated[list[str] | None, typer.Argument(help="names of channels; default: all")] = None,
) -> None:
    """Send a test message through the channels; exit code 1 if one fails."""
    from streams.notify import send_test

    settings = Settings()
    if not settings.channels:
        raise MarginwatchError(_NO_CHANNEL)
    unknown = [name for name in channels or () if name not in settings.channels]
    if unknown:
        known = ", ".join(settings.channels)
        raise typer.BadParameter(f"{', '.join(unknown)}: not one of the channels {known}", param_hint="CHANNELS")
    results = send_test(settings, channels or list(settings.channels))
    for name, error in results.items():
        out.print(f"{name}: {'sent' if not error else f'failed: {error}'}")
    if any(results.values()):
        raise typer.Exit(1)


@notify_app.command("log")
def notify_log(
    waiting: Annotated[bool, typer.Option("--waiting", help="only notifications that have not been sent yet")] = False,
    as_json: Json = False,
) -> None:
    """Show the notifications of each channel: sent, waiting or failed, with the error."""
    from streams.notify import notifications

    settings = Settings()
    if not settings.channels:
        err.print(_NO_CHANNEL)
    found = {
        name: [n for n in sent if not waiting or n.status == "waiting"]
        for name, sent in notifications(settings).items()
    }
    print_result(found, print_notifications, as_json=as_json)
