"""`marginwatch feed run`: the scheduler."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import structlog
import typer

if TYPE_CHECKING:
    from feeds.plan import Plan

log = structlog.get_logger()


def feed_run(
    file: Annotated[Path, typer.Argument(metavar="FILE.toml", help="the plan, one table for each feed")],
    once: Annotated[
        bool, typer.Option("--once", help="do what is due now, then return; exit code 1 if a part failed")
    ] = False,
) -> None:
    """Run feeds by a plan: what to publish when; missed days are caught up after a stop; SIGTERM ends it cleanly.

    A plan (times are Shanghai's, paths are relative to the plan):

        \\[feeds.exchange]

        kind = "fetch"                # margin figures of the exchanges through akshare

        since = 2024-06-03            # catch up from here on

        at = 08:45:00                 # on the next session; then every retry_s = 600 until they are there

        \\[feeds.closes]

        kind = "fetch"

        via = "tushare"               # with MARGINWATCH_TUSHARE_TOKEN_FILE

        tables = ["daily", "daily_basic", "index_daily"]   # at 17:00 of the day itself

        \\[feeds.prices]

        kind = "folder"               # files that somebody drops here; a file that changes is read again

        path = "/data/prices"

        format = "vendor"             # or "exchange"

        map = "mapping.toml"

    The running session has feeds of the kinds snapshots and book: see `marginwatch feed live --help` and
    deploy/live.example.toml. Each feed runs by itself: one that waits delays no other.

    What was done stands in Redis; what was published before is not published again, corrections get a new revision.
    A file with errors in its figures is refused, told once, and read again when it changes.
    """
    from feeds.plan import load

    run_plan(load(file), str(file), once=once)


def run_plan(plan: Plan, where: str, *, once: bool) -> None:
    """Run the feeds of a plan until SIGTERM or SIGINT, or what is due now; exit code 1 if a part of that failed."""
    from feeds import scheduler
    from streams.clients import redis_client
    from streams.logs import configure
    from streams.settings import Settings

    settings = Settings()
    configure(settings.log_level, settings.log_format)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with redis_client(settings, timeout_s=30) as redis:
        runs = scheduler.runs_of(plan, scheduler.Kit(settings, redis, stop))
        log.info("feeds run", plan=where, feeds=list(plan.feeds))
        failed = scheduler.run(runs, stop, once=once)
    log.info("feeds ended", failed=failed)
    if once and failed:
        raise typer.Exit(1)
