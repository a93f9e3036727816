"""`marginwatch feed fetch`: days of a source, now; `feed run` does it every day."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from streams.cli.options import DATES, As, Check, Force, NoLedger, Via
from streams.form import Form


def feed_fetch(
    start: Annotated[datetime, typer.Option("--from", formats=DATES, help="first trade date")],
    end: Annotated[
        datetime | None, typer.Option("--to", formats=DATES, help="last trade date; the first alone if not given")
    ] = None,
    via: Annotated[
        Via, typer.Option(help="akshare: the exchanges' own pages; tushare: its API, needs a token")
    ] = Via.AKSHARE,
    tables: Annotated[
        str,
        typer.Option(
            help="comma separated; the margin figures if not given. akshare has margin, prices, indices; "
            "tushare margin, margin_detail, daily, fund_daily, daily_basic, index_daily"
        ),
    ] = "",
    check: Check = False,
    force: Force = False,
    source: Annotated[str, typer.Option(help="the name under which the figures are published; else the source's")] = "",
    as_: As = Form.FRAMES,
    no_ledger: NoLedger = False,
) -> None:
    """Fetch trade dates from a source and publish them, each as soon as it is complete.

    tushare wants MARGINWATCH_TUSHARE_TOKEN_FILE (or MARGINWATCH_TUSHARE_TOKEN); it is asked no faster than the account
    may. After an error or Ctrl-C run the same again: days are fetched anew, but nothing is published twice.
    """
    from feeds import sources
    from feeds.folder import FeedError
    from processors.days import to_date, to_day
    from streams.calendars import xshg
    from streams.cli.publish import publish_fetched
    from streams.settings import Settings

    settings = Settings()
    calendar = xshg(settings.calendar_file)
    last = end if end is not None else start
    days = [to_date(day) for day in calendar.between(to_day(start.date()), to_day(last.date())).tolist()]
    if not days:
        raise typer.BadParameter(f"no trading day from {start:%Y-%m-%d} to {last:%Y-%m-%d}", param_hint="--from")
    wanted = [name.strip() for name in tables.split(",") if name.strip()]
    try:
        sources.chosen(via.value, wanted)
    except FeedError as error:
        raise typer.BadParameter(str(error), param_hint="--tables") from error
    fetch = sources.fetcher(settings, via.value, wanted, calendar)
    pause_s = 5.0 if via is Via.AKSHARE else 0.0  # the exchanges' pages are not ours; tushare tells what it bears
    publish_fetched(
        days, fetch, pause_s=pause_s, source=source or via.value, as_=as_, check=check, force=force, no_ledger=no_ledger
    )
