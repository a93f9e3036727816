"""`marginwatch topics`: create and check the topics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from streams.cli.terminal import err, out
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.topics import Topics

topics_app = typer.Typer(no_args_is_help=True, help="Create and check the topics.")


@topics_app.command("create")
def topics_create() -> None:
    """Create the topics that are missing, with partitions and retention; exit code 1 if another one is wrong."""
    from streams.topics import Topics

    topics = Topics(Settings())
    created = topics.create()
    for name in created:
        out.print(f"created {name}")
    err.print(f"{len(created)} topics created" if created else "all topics exist already")
    _exit_if_wrong(topics)


@topics_app.command("check")
def topics_check() -> None:
    """Compare the cluster's topics with what the system needs; exit code 1 if anything is wrong."""
    from streams.topics import Topics

    _exit_if_wrong(Topics(Settings()))
    out.print("all topics are as they should be")


def _exit_if_wrong(topics: Topics) -> None:
    """Print every difference between the cluster and what the system needs, and exit with code 1 if there is any."""
    problems = topics.problems()
    for problem in problems:
        out.print(problem)
    if problems:
        raise typer.Exit(1)
