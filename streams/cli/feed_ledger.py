"""`marginwatch feed ledger`: what was published, remembered from the topics."""

from __future__ import annotations

from typing import Annotated

import typer


def feed_ledger(
    check: Annotated[
        bool, typer.Option("--check", help="only compare; exit code 1 if the topics say more than the journal knows")
    ] = False,
) -> None:
    """Fill the journal of what was published from the topics, after Redis was emptied or came back older.

    Feeds go by the journal: what it does not know would go out again, and other figures under the same revision. What
    it knows better than the topics stays. Workers may run meanwhile; stop the feeds.
    """
    from feeds.ledger import RedisStore
    from feeds.ledger_rebuild import rebuild_ledger
    from streams.cli.terminal import err, out, progress
    from streams.clients import redis_client
    from streams.settings import Settings

    settings = Settings()
    with redis_client(settings, timeout_s=30) as redis, progress() as bars:
        task = bars.add_task("reading the topics", total=None)
        told = rebuild_ledger(
            settings,
            RedisStore(redis, settings.namespace),
            check=check,
            on_messages=lambda count: bars.update(task, completed=count),
        )
    for topic, rows in told.rows.items():
        out.print(f"{topic}: {rows:,} rows of {told.days[topic]:,} days")
    for topic in told.trimmed:
        err.print(f"{topic} has lost its beginning by retention: what was published before it is not known")
    done = "lacks" if check else "has learnt"
    out.print(f"the journal {done} {told.added:,} rows and {told.renewed:,} revisions")
    if check and not told.equal:
        raise typer.Exit(1)
