"""`marginwatch console` and `marginwatch console-password`: the live web page."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from streams.cli.terminal import err
from streams.ports import require_free
from streams.settings import Settings


def console(
    host: Annotated[
        str | None, typer.Option(help="the address it listens on; users must log in unless it is loopback")
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="its port")] = None,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="mark every page as showing simulated figures")
    ] = False,
) -> None:
    """Serve the console, a live web page for the desk, in Chinese and English.

    On another address than loopback it needs MARGINWATCH_CONSOLE_USERS_FILE or MARGINWATCH_CONSOLE_TOKEN.
    """
    from streams.console import run

    changes = {"console_host": host, "console_port": port}
    settings = Settings().model_copy(update={name: value for name, value in changes.items() if value is not None})

    def announce() -> None:
        host_, port_ = settings.console_host, settings.console_port
        require_free(
            host_, port_, "end what listens there, or choose another with --port (MARGINWATCH_CONSOLE_PORT) and --host"
        )
        err.print(f"console  http://{host_}:{port_}/   (Ctrl-C ends it)")

    run(settings, simulated=simulated, on_start=announce)


def console_password(name: Annotated[str, typer.Argument(help="the user who may log in")]) -> None:
    """Ask for a password and print a line for the console's users file.

    Without a terminal the password is the first line of standard input.

    Example:

        marginwatch console-password wei >> users.txt
    """
    from console.access import hash_password

    if not name.isprintable() or ":" in name or name != name.strip() or not name:
        raise typer.BadParameter("a name without colons, line breaks and blanks around it", param_hint="NAME")
    if sys.stdin.isatty():
        password = typer.prompt("password", hide_input=True, confirmation_prompt=True, err=True)
    elif not (password := sys.stdin.readline().rstrip("\r\n")):
        lacks = "there is no terminal to ask for it, and standard input has no password in its first line"
        raise typer.BadParameter(lacks, param_hint="password")
    sys.stdout.write(f"{name}:{hash_password(password)}\n")
