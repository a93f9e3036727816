"""`marginwatch rebuild`: replay the topics into fresh tables."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import typer

from streams.cli.options import Json, TableName
from streams.cli.render.tables import print_comparisons
from streams.cli.terminal import print_json, progress
from streams.settings import Settings


def rebuild(
    table: Annotated[
        list[TableName] | None, typer.Option(help="only this table; may be repeated; default: all")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="only compare, also while workers run; exit code 1 if not equal")
    ] = False,
    reset: Annotated[
        bool,
        typer.Option(
            "--reset", help="delete the tables and compute them from what the topics contain now: after a loss"
        ),
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="replace tables although workers are connected; those that own one end")
    ] = False,
    as_json: Json = False,
) -> None:
    """Replay the topics into fresh tables and compare them with Redis; replace what differs.

    Every row is a function of the messages before the offsets that are stored beside it, so the replay must give the
    same bytes. Stop the workers before tables are replaced: the command refuses while one is connected to Redis. If
    Redis was emptied, all tables are recomputed, and signals and alerts are published again under their old ids.

    A worker that finds that a topic has lost messages stops the partition and names this command with --reset.
    """
    from streams.rebuild import rebuild as replay

    if check and force:
        raise typer.BadParameter("--check only compares, and may do so beside workers", param_hint="--force")
    if check and reset:
        raise typer.BadParameter("--check only compares, --reset deletes: give one of them", param_hint="--reset")
    with progress() as bars:
        tasks: dict[str, Any] = {}

        def advance(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = bars.add_task(name, total=total)
            bars.update(tasks[name], completed=done, total=total)

        found = replay(Settings(), table or (), check=check, reset=reset, force=force, on_progress=advance)
    if as_json:
        print_json([msgspec.to_builtins(one) | {"equal": one.equal} for one in found])
    else:
        print_comparisons(found, check=check)
    if check and not all(one.equal for one in found):
        raise typer.Exit(1)
