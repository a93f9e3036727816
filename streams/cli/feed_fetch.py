"""`marginwatch feed fetch`: days of a source, now; `feed run` does it every day."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

_DATES = ["%Y-%m-%d"]


def feed_fetch(
    start: Annotated[datetime, typer.Option("--from", formats=_DATES, help="first trade date")],
    end: Annotated[
        datetime | None, typer.Option("--to", formats=_DATES, help="last trade date; the first alone if not given")
    ] = None,
    via: Annotated[str, typer.Option(help="akshare (the exchanges' own pages) or tushare (needs a token)")] = "akshare",
    tables: Annotated[
        str,
        typer.Option(
            help="comma separated; the margin figures if not given. akshare has margin, prices, indices; "
            "tushare margin, margin_detail, daily, fund_daily, daily_basic, index_daily"
        ),
    ] = "",
    check: Annotated[
        bool, typer.Option("--check", help="show the first rows as understood and what is wrong; publish nothing")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="publish in spite of errors in the figures")] = False,
    source: Annotated[str, typer.Option(help="the name under which the figures are published; else the source's")] = "",
    as_: Annotated[str, typer.Option("--as", help="how rows travel: frames or events")] = "frames",
    no_ledger: Annotated[bool, typer.Option("--no-ledger", help="publish without Redis")] = False,
) -> None:
    """Fetch trade dates from a source and publish them, each as soon as it is complete.

    tushare wants MARGINWATCH_TUSHARE_TOKEN_FILE (or MARGINWATCH_TUSHARE_TOKEN); it is asked no faster than the account
    may. After an error or Ctrl-C run the same again: days are fetched anew, but nothing is published twice.
    """
    from typing import get_args

    from feeds import sources
    from processors.days import to_date, to_day
    from streams.calendars import xshg
    from streams.cli.publish import publish_fetched
    from streams.settings import Settings

    if via not in get_args(sources.Via):
        raise typer.BadParameter(f"choose {' or '.join(get_args(sources.Via))}", param_hint="--via")
    settings = Settings()
    calendar = xshg(settings.calendar_file)
    last = end if end is not None else start
    days = [to_date(day) for day in calendar.between(to_day(start.date()), to_day(last.date())).tolist()]
    if not days:
        raise typer.BadParameter(f"no trading day from {start:%Y-%m-%d} to {last:%Y-%m-%d}", param_hint="--from")
    wanted = [name.strip() for name in tables.split(",") if name.strip()]
    fetch = sources.fetcher(settings, via, wanted, calendar)  # type: ignore[arg-type]  # a word of Via, looked up above
    pause_s = 5.0 if via == "akshare" else 0.0  # the exchanges' pages are not ours; tushare tells what it bears
    publish_fetched(
        days, fetch, pause_s=pause_s, source=source or via, as_=as_, check=check, force=force, no_ledger=no_ledger
    )
