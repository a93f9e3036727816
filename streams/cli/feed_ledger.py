"""`marginwatch feed ledger`: rebuild the publish ledger from the topics."""

from __future__ import annotations

from typing import Annotated

import typer


def feed_ledger(
    check: Annotated[
        bool, typer.Option("--check", help="only compare; exit code 1 if the ledger lacks rows of the topics")
    ] = False,
) -> None:
    """Fill the publish ledger from the topics, after Redis was emptied or restored from an older copy.

    Feeds publish what the ledger lacks: rows that it has lost would be published again, and other figures under the
    same revision. The ledger keeps what it knows better than the topics. Workers may run meanwhile; stop the feeds.
    """
    from alerts.plurals import counted
    from feeds.daily.ledger_rebuild import rebuild_ledger
    from streams.cli.terminal import err, out, progress
    from streams.clients import redis_client
    from streams.feed_services import RedisLedgerStore, TopicRows
    from streams.settings import Settings

    settings = Settings()
    with redis_client(settings, timeout_s=30) as redis, progress() as bars:
        task = bars.add_task("reading the topics", total=None)
        result = rebuild_ledger(
            TopicRows(settings),
            RedisLedgerStore(redis, settings.namespace),
            check=check,
            on_messages=lambda count: bars.update(task, completed=count),
        )
    for topic, rows in result.rows.items():
        days = counted(f"{result.days[topic]:,}", "day")
        out.print(f"{topic}: {counted(f'{rows:,}', 'row')} of {days}")
    for topic in result.trimmed:
        err.print(f"{topic} has lost its oldest messages by retention: the ledger can't know rows before them")
    difference = "lacks" if check else "got"
    added, updated = counted(f"{result.added:,}", "row"), counted(f"{result.updated:,}", "revision")
    out.print(f"the ledger {difference} {added} and {updated}")
    if check and not result.equal:
        raise typer.Exit(1)
