"""`marginwatch topics`: create and check the topics."""

from __future__ import annotations

import typer

from streams.cli.terminal import err, out
from streams.settings import Settings

topics_app = typer.Typer(no_args_is_help=True, help="Create and check the topics.")


@topics_app.command("create")
def topics_create() -> None:
    """Create the topics that are missing, with partitions, retention and compaction."""
    from streams.topics import Topics

    created = Topics(Settings()).create()
    for name in created:
        out.print(f"created {name}")
    err.print(f"{len(created)} topics created" if created else "all topics exist already")


@topics_app.command("check")
def topics_check() -> None:
    """Compare the cluster's topics with what the system needs; exit code 1 if anything is wrong."""
    from streams.topics import Topics

    problems = Topics(Settings()).problems()
    for problem in problems:
        out.print(problem)
    if problems:
        raise typer.Exit(1)
    out.print("all topics are as they should be")
