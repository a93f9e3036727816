"""`marginwatch feed run`: run the feeds of a plan."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
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
        bool, typer.Option("--once", help="do what is due now, then end; exit code 1 if a part failed")
    ] = False,
) -> None:
    """Run the feeds of a plan; missed days are published after a restart; SIGTERM ends the command cleanly.

    A plan (times are Shanghai's, paths are relative to the plan):

        \\[feeds.exchange]
        kind = "fetch"                # margin figures of the exchanges
        via = \\["exchanges", "eastmoney"]  # which must agree; default: "akshare"
        since = 2024-06-03            # the first trade date wanted
        at = 08:45:00                 # next session, then every retry_s = 600

        \\[feeds.closes]
        kind = "fetch"
        via = "tushare"               # with MARGINWATCH_TUSHARE_TOKEN_FILE
        tables = ["daily", "daily_basic", "index_daily"]  # at 17:00 of the day

        \\[feeds.prices]
        kind = "folder"               # a drop folder; changed files are read again
        path = "/data/prices"
        format = "vendor"             # or "exchange"
        map = "mapping.toml"

    The running session has feeds of the kinds snapshots and positions: see `marginwatch feed live --help` and
    deploy/live.example.toml. Each feed runs in a thread of its own: a feed that waits delays no other.

    Redis stores what was done. Rows that were published before are not published again, corrections get a new revision.
    A file with errors in its figures is refused and logged once, and read again when it changes.
    """
    from feeds.plan import load

    run_plan(lambda: load(file), str(file), once=once)


def run_plan(read: Callable[[], Plan], where: str, *, once: bool) -> None:
    """Run the feeds of a plan until SIGTERM or SIGINT, or once; exit code 1 if a part of one round failed.

    Parameters
    ----------
    read : returns the plan; its errors are written as log lines are.
    where : the name of the plan in log lines.
    """
    from feeds.build import build_tasks
    from feeds.scheduler import run_tasks
    from streams.clients import redis_client
    from streams.feed_services import feed_services
    from streams.logs import configure
    from streams.settings import Settings

    settings = Settings()
    configure(settings.log_level, settings.log_format)
    plan = read()
    stop = threading.Event()
    end = ends(stop)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
    with redis_client(settings, timeout_s=30) as redis:
        tasks = build_tasks(plan, feed_services(settings, redis, stop))
        log.info("feeds run", plan=where, feeds=list(plan.feeds))
        failed = run_tasks(tasks, stop, once=once)
    log.info("feeds ended", failed=failed)
    if once and failed:
        raise typer.Exit(1)


def ends(stop: threading.Event) -> Callable[..., None]:
    """Return a signal handler that sets an event once.

    `timeout` and some supervisors send SIGTERM twice in a row. The second one may interrupt `Event.set` of the first
    in the same thread, and a second `set` would wait for a lock that this thread has.
    """
    ending = False

    def end(*_: object) -> None:
        nonlocal ending
        if not ending:
            ending = True
            stop.set()

    return end
