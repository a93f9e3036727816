"""`marginwatch rules`: list the rules in force, and rehearse new ones on history."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams.cli.options import Data, From, Json, To, span
from streams.cli.render.alerts import print_rehearsal, print_rules, rehearsal_fields, rule_fields
from streams.cli.terminal import err, print_json, progress
from streams.settings import Settings

rules_app = typer.Typer(no_args_is_help=True, help="List the rules of alerts; rehearse new ones on history.")


@rules_app.command("list")
def rules_list(as_json: Json = False) -> None:
    """List every rule in force: severity, durations, source, what counts as a hit."""
    from streams.alert_rules import rules_of

    found = rules_of(Settings())
    if as_json:
        print_json([rule_fields(one) for one in found])
    else:
        print_rules(found)


@rules_app.command("test")
def rules_test(
    data: Data,
    file: Annotated[
        Path | None, typer.Argument(exists=True, dir_okay=False, help="a TOML file of rules; default: those in force")
    ] = None,
    start: From = None,
    end: To = None,
    only: Annotated[list[str] | None, typer.Option("--rule", help="only these rules; may be repeated")] = None,
    as_json: Json = False,
) -> None:
    """Evaluate rules on history: how many alerts a year of which severity, when, and what followed?

    Examples:

        marginwatch rules test --data ./history
        marginwatch rules test my-rules.toml --data ./history --from 2020-01-02 --rule peak_warning
    """
    from streams.alert_rules import rules_of
    from streams.rehearsal import rehearse

    first, last = span(start, end)
    settings = Settings()
    rules = rules_of(settings, file)
    names = sorted({rule.name for rule in rules})
    unknown = [name for name in only or () if name not in names]
    if unknown:
        raise typer.BadParameter(f"{', '.join(unknown)}: not one of {', '.join(names)}", param_hint="--rule")
    notes: list[str] = []
    with progress() as bars:
        task = bars.add_task("folding the history", total=None)
        found = rehearse(
            rules, data, settings, first, last,
            lambda done, total: bars.update(task, completed=done, total=total), notes.append,
        )  # fmt: skip
    for note in notes:
        err.print(f"note: {note}")
    chosen = set(only or names)
    found = [a for a in found if not chosen.isdisjoint({a.rule, *(section.rule for section in a.sections)})]
    if as_json:
        print_json(rehearsal_fields(found, chosen))
    else:
        print_rehearsal(found, chosen)
