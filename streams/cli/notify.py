"""`marginwatch notify`: the channels that alerts are sent to."""

from __future__ import annotations

from typing import Annotated

import typer

from processors.errors import MarginwatchError
from streams.cli import show
from streams.cli.options import Json, print_json
from streams.settings import Settings

notify_app = typer.Typer(no_args_is_help=True, help="The channels that alerts are told to.")


@notify_app.command("test")
def notify_test(
    channels: Annotated[list[str] | None, typer.Argument(help="names of channels; all if none is given")] = None,
) -> None:
    """Send a test message through the channels; exit code 1 if one fails."""
    from streams.notify import send_test

    settings = Settings()
    if not settings.channels:
        raise MarginwatchError("no channel is set: write [channels.NAME] tables into marginwatch.toml, see the README")
    results = send_test(settings, channels or list(settings.channels))
    for name, error in results.items():
        show.out.print(f"{name}: {'sent' if not error else f'failed: {error}'}", markup=False)
    if any(results.values()):
        raise typer.Exit(1)


@notify_app.command("log")
def notify_log(
    waiting: Annotated[bool, typer.Option("--waiting", help="only what has not been told yet")] = False,
    as_json: Json = False,
) -> None:
    """What was told to which channel, and what waits, with the reason."""
    from streams.notify import told

    found = {
        name: [n for n in notes if not waiting or n.status == "waiting"] for name, notes in told(Settings()).items()
    }
    if as_json:
        print_json(found)
    else:
        show.notes(found)
