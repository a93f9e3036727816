"""`marginwatch feed fetch`: fetch and publish days of a source now; `feed run` does it every day."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from streams.cli.options import DATE, DATES, As, Check, Force, Json, NoLedger, Via
from streams.form import Form


def feed_fetch(
    start: Annotated[datetime, typer.Option("--from", formats=DATES, metavar=DATE, help="first trade date")],
    end: Annotated[
        datetime | None, typer.Option("--to", formats=DATES, metavar=DATE, help="last trade date; by default the first")
    ] = None,
    via: Annotated[
        Via, typer.Option(help="akshare: the exchanges' own pages; tushare: its API, needs a token")
    ] = Via.AKSHARE,
    tables: Annotated[
        str,
        typer.Option(
            help="comma separated; by default the margin figures. akshare has margin, prices, indices; "
            "tushare margin, margin_detail, daily, fund_daily, daily_basic, index_daily"
        ),
    ] = "",
    check: Check = False,
    force: Force = False,
    source: Annotated[
        str, typer.Option(help="the name under which the figures are published; by default that of the source")
    ] = "",
    as_: As = Form.FRAMES,
    no_ledger: NoLedger = False,
    json: Json = False,
) -> None:
    """Fetch trade dates from a source and publish them, each as soon as it is complete.

    tushare needs MARGINWATCH_TUSHARE_TOKEN_FILE (or MARGINWATCH_TUSHARE_TOKEN); requests keep to the rate that the
    account allows. After an error or Ctrl-C run the same command again: it fetches the days again, and publishes
    nothing twice.
    """
    from feeds import sources
    from feeds.errors import ConfigurationError
    from processors.days import to_date, to_day
    from streams.cli.publish import PublishOptions, publish_fetched
    from streams.feed_services import market_context, tushare_account
    from streams.settings import Settings

    settings = Settings()
    market = market_context(settings)
    last = end if end is not None else start
    days = [to_date(day) for day in market.calendar.between(to_day(start.date()), to_day(last.date())).tolist()]
    if not days:
        raise typer.BadParameter(f"no trading day from {start:%Y-%m-%d} to {last:%Y-%m-%d}", param_hint="--from")
    wanted = [name.strip() for name in tables.split(",") if name.strip()]
    try:
        sources.select_tables(via.value, wanted)
    except ConfigurationError as error:
        raise typer.BadParameter(str(error), param_hint="--tables") from error
    fetch = sources.day_fetcher(via.value, wanted, market, lambda: tushare_account(settings))
    pause_s = 5.0 if via is Via.AKSHARE else 0.0  # the pages belong to the exchanges; tushare has a rate limit
    options = PublishOptions(source or via.value, as_, check, force, no_ledger, json)
    publish_fetched(days, fetch, options, pause_s=pause_s)
