"""The program `marginwatch`: its commands, and how it ends after an error."""

from __future__ import annotations

import sys

import typer
from pydantic import ValidationError
from redis.exceptions import RedisError
from rich.markup import escape

from processors.errors import MarginwatchError
from streams.cli import show
from streams.cli.alerts import alerts_app
from streams.cli.calendar import calendar_app
from streams.cli.console import console, console_password
from streams.cli.feed import feed_app
from streams.cli.latest import latest_app
from streams.cli.notify import notify_app
from streams.cli.rebuild import rebuild
from streams.cli.reference import reference_app
from streams.cli.rules import rules_app
from streams.cli.status import explain, status
from streams.cli.study import study
from streams.cli.topics import topics_app
from streams.cli.up import up, worker

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="[bold]marginwatch[/bold]: a live monitor of margin financing (融资融券) in China's A-share "
    "market.\n\nBegin with [bold]marginwatch up[/bold]: it starts everything on this machine and "
    "feeds a simulated market. Settings come from MARGINWATCH_* and marginwatch.toml.",
)
for name, command in (
    ("worker", worker),
    ("up", up),
    ("console", console),
    ("console-password", console_password),
    ("status", status),
    ("explain", explain),
    ("study", study),
    ("rebuild", rebuild),
):
    app.command(name)(command)
for name, group in (
    ("feed", feed_app),
    ("topics", topics_app),
    ("latest", latest_app),
    ("alerts", alerts_app),
    ("rules", rules_app),
    ("notify", notify_app),
    ("calendar", calendar_app),
    ("reference", reference_app),
):
    app.add_typer(group, name=name)


def main() -> None:
    """Run the command line; expected errors are one line on stderr, exit code 1."""
    try:
        app()
    except MarginwatchError as error:
        show.err.print(f"[bold red]error[/bold red] {escape(str(error))}", markup=True)
        sys.exit(1)
    except RedisError as error:
        show.err.print(
            f"[bold red]error[/bold red] Redis: {error}: start one, set MARGINWATCH_REDIS_URL, or use `marginwatch up`"
        )
        sys.exit(1)
    except ValidationError as error:
        show.err.print("[bold red]error[/bold red] settings:")
        for problem in error.errors():
            show.err.print(f"  {'.'.join(map(str, problem['loc']))}: {problem['msg']}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
