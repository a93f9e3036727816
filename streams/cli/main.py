"""The program `marginwatch`: its commands by name, and the exit code and message of an error.

The module of a command is imported when the command is called. Help, completion and mistyped names need only the
table `COMMANDS`.
"""

from __future__ import annotations

import codecs
import inspect
import io
import os
import sys
from dataclasses import dataclass
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from streams import __version__


@dataclass(frozen=True, slots=True)
class Entry:
    """A command of the first level.

    Parameters
    ----------
    target : ``module:name`` of a Typer application (a group of commands) or of a function (one command).
    summary : its line in ``marginwatch --help``.
    """

    target: str
    summary: str

    def load(self, name: str) -> Any:
        """Import the module and return the command that Typer builds from the target."""
        module, _, attribute = self.target.partition(":")
        target = getattr(import_module(module), attribute)
        parent = typer.Typer(rich_markup_mode="rich", add_completion=False)
        parent.callback()(lambda: None)  # else Typer makes no group of a single command
        if isinstance(target, typer.Typer):
            parent.add_typer(target, name=name)
        else:
            parent.command(name)(target)
        group = get_command(parent)
        assert isinstance(group, TyperGroup)
        _reflow(group.commands[name])
        return group.commands[name]


def _reflow(command: Any) -> None:
    """Make one line of each paragraph of help, else Rich breaks it where the source does; examples are indented."""
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    command.help = "\n\n".join(one if one.startswith(" ") else one.replace("\n", " ") for one in paragraphs)
    for child in getattr(command, "commands", {}).values():
        _reflow(child)


COMMANDS = {
    "up": Entry("streams.cli.up:up", "Start broker, Redis, worker and a feed on this machine."),
    "worker": Entry("streams.cli.up:worker", "Run a worker of the stream."),
    "console": Entry("streams.cli.console:console", "Serve the console, a live web page for the desk."),
    "console-password": Entry("streams.cli.console:console_password", "Print a line for the console's users file."),
    "sheet": Entry("streams.cli.sheet:sheet", "Write the morning sheet, one page as PDF; send it by mail."),
    "status": Entry("streams.cli.status:status", "Show feeds, absent signals, alerts, tables and calendar."),
    "latest": Entry("streams.cli.latest:latest_app", "Show the newest values."),
    "explain": Entry("streams.cli.status:explain", "Show what a signal is, and the inputs of one value."),
    "alerts": Entry("streams.cli.alerts:alerts_app", "List alerts; acknowledge, silence, show the reason."),
    "rules": Entry("streams.cli.rules:rules_app", "List the rules of alerts; rehearse new ones on history."),
    "notify": Entry("streams.cli.notify:notify_app", "Test the channels of alerts; show what was sent."),
    "feed": Entry("streams.cli.feed:feed_app", "Publish market data to Kafka."),
    "reference": Entry("streams.cli.reference:reference_app", "Load names, industries, members and the margin list."),
    "topics": Entry("streams.cli.topics:topics_app", "Create and check the topics."),
    "dlq": Entry("streams.cli.dlq:dlq_app", "List, retry or skip messages that were refused or quarantined."),
    "rebuild": Entry("streams.cli.rebuild:rebuild", "Recompute the tables from the topics; compare or replace them."),
    "calendar": Entry("streams.cli.calendar:calendar_app", "Check the trading calendar."),
    "charts": Entry("streams.cli.charts:charts_app", "Train the chart model; draw charts."),
    "study": Entry("streams.cli.study:study", "Check a signal against the published tables, on your data."),
}


class LazyCommands(TyperGroup):
    """The group of `COMMANDS`: each command is a stub with its summary until it is called."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        for name, entry in COMMANDS.items():
            self.add_command(TyperCommand(name, short_help=entry.summary, help=entry.summary))

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return name, command and remaining arguments; the command is loaded, not a stub."""
        if args and args[0] in COMMANDS:
            self.commands[args[0]] = COMMANDS[args[0]].load(args[0])
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=LazyCommands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"marginwatch {__version__}\n")
        raise typer.Exit


@app.callback()
def marginwatch(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """[bold]marginwatch[/bold]: a live monitor of margin financing (融资融券) in China's A-share market.

    Begin with [bold]marginwatch up[/bold]: it starts everything on this machine and feeds a simulated market.
    Settings come from MARGINWATCH_* and marginwatch.toml; `marginwatch COMMAND -h` shows the options of a command.
    """
    from streams.logs import configure_command

    configure_command()


def _legible(error: UnicodeError) -> tuple[str, int]:
    """Replace what a terminal lacks: a minus sign, which GBK has not, by a hyphen, anything else by a question mark."""
    assert isinstance(error, UnicodeEncodeError)
    lacked = error.object[error.start : error.end]
    return "".join("-" if one == "−" else "?" for one in lacked), error.end


def main() -> None:
    """Run the command line.

    Exit codes: 0 success; 1 an error that the message on stderr explains, or a check that failed; 2 a wrong argument;
    130 after Ctrl-C. Where the reader of the output, such as ``head``, has ended, 1 has no message.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # whoever started the command has closed it
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))
    codecs.register_error("legible", _legible)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="legible")
    try:
        try:
            app(prog_name="marginwatch")
        finally:
            sys.stdout.flush()  # a full disk is an error of the command, not of the end of Python
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        from streams.cli.errors import print_error

        if not print_error(error):
            raise
        if isinstance(error, OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        sys.exit(1)
