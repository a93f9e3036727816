"""`marginwatch rules`: list the rules in force, and rehearse new ones on history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli import show
from streams.cli.options import From, Json, To, print_json, to_date_option
from streams.settings import Settings

rules_app = typer.Typer(no_args_is_help=True, help="The rules of alerts: list them, rehearse new ones on history.")


@rules_app.command("list")
def rules_list(as_json: Json = False) -> None:
    """List every rule in force: severity, durations, source, what counts as a hit."""
    found = Settings().rules()
    if as_json:
        print_json([show.rule_words(one) for one in found])
    else:
        show.rules(found)


@rules_app.command("test")
def rules_test(
    file: Annotated[Path, typer.Argument(help="a TOML file of rules, see alerts/rules/custom.py")],
    data: Annotated[Path, typer.Option(help="a folder of market files, as for `feed files`")],
    start: From = None,
    end: To = None,
    only: Annotated[list[str] | None, typer.Option("--rule", help="only these rules; may be repeated")] = None,
    as_json: Json = False,
) -> None:
    """Replay history through rules before they go live: when would they have fired, and what followed?"""
    from alerts.rules import RULES
    from alerts.rules.custom import load
    from streams.rehearsal import rehearse

    rules = load(file, RULES)
    with show.progress() as progress:
        task = progress.add_task("folding the history", total=None)
        found = rehearse(
            rules, data, Settings(), to_date_option(start), to_date_option(end),
            lambda done, total: progress.update(task, completed=done, total=total),
        )  # fmt: skip
    found = [a for a in found if not only or a.rule in only]
    if as_json:
        print_json(found)
    else:
        show.rehearsal(found)
