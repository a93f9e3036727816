"""`marginwatch console` and `marginwatch console-password`: the live web page."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from streams.cli import show
from streams.settings import Settings


def console(
    host: Annotated[
        str | None, typer.Option(help="where it listens; elsewhere than on loopback one must log in")
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535)] = None,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="say on every page that the figures are simulated")
    ] = False,
) -> None:
    """Serve the console: a live web page for the desk, in Chinese and English."""
    from streams.console import run

    changes = {"console_host": host, "console_port": port}
    settings = Settings().model_copy(update={name: value for name, value in changes.items() if value is not None})
    show.err.print(f"console  http://{settings.console_host}:{settings.console_port}/   (Ctrl-C ends it)")
    run(settings, simulated=simulated)


def console_password(name: Annotated[str, typer.Argument(help="who may log in")]) -> None:
    """Ask for a password and print a line for the console's users file."""
    from console.access import hash_password

    if not name or ":" in name or name != name.strip():
        raise typer.BadParameter("a name without colons and without blanks around it", param_hint="NAME")
    password = typer.prompt("password", hide_input=True, confirmation_prompt=True, err=True)
    sys.stdout.write(f"{name}:{hash_password(password)}\n")
