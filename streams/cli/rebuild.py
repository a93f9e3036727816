"""`marginwatch rebuild`: replay the topics into fresh tables."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from streams.cli import show
from streams.cli.options import Json, print_json
from streams.settings import Settings


def rebuild(
    table: Annotated[list[str] | None, typer.Option(help="securities, market or alerts; may be repeated")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="only compare, also while workers run; exit code 1 if not equal")
    ] = False,
    as_json: Json = False,
) -> None:
    """Replay the topics into fresh tables and compare them with Redis; replace what differs.

    Every row follows from the messages before the offsets that stand beside it, so the replay must give the same bytes.
    Stop the workers before tables are replaced. If Redis was emptied, all tables are made anew and signals and alerts
    are published again under their old ids.
    """
    from streams.rebuild import describe
    from streams.rebuild import rebuild as replay

    with show.progress() as progress:
        tasks: dict[str, Any] = {}

        def tell(name: str, done: int, total: int) -> None:
            if name not in tasks:
                tasks[name] = progress.add_task(name, total=total)
            progress.update(tasks[name], completed=done, total=total)

        found = replay(Settings(), table or (), check=check, on_progress=tell)
    if as_json:
        print_json([describe(one) for one in found])
    else:
        show.comparisons(found, check=check)
    if check and not all(one.equal for one in found):
        raise typer.Exit(1)
