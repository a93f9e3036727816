"""`marginwatch feed fetch`: fetch and publish days of a source now; `feed run` does it every day."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import typer

from streams.cli.options import DATE, As, Check, Force, Json, NoLedger, Via, parse_day, span
from streams.form import Form


def feed_fetch(
    start: Annotated[date, typer.Option("--from", parser=parse_day, metavar=DATE, help="first trade date")],
    end: Annotated[
        date | None, typer.Option("--to", parser=parse_day, metavar=DATE, help="last trade date; by default the first")
    ] = None,
    via: Annotated[
        list[Via],
        typer.Option(
            help="exchanges: their public pages; eastmoney: its public pages; akshare: a package that asks them; "
            "tushare: its API, needs a token. Given more than once: the next source where one fails, and what two "
            "answer must agree"
        ),
    ] = [Via.AKSHARE],  # noqa: B006
    tables: Annotated[
        str,
        typer.Option(
            help="comma separated; by default the margin figures, the only ones of several sources. akshare has "
            "margin, prices, indices; tushare margin, margin_detail, daily, fund_daily, daily_basic, index_daily"
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
    """Fetch trade dates from one source or several and publish them, each as soon as it is complete.

    tushare needs MARGINWATCH_TUSHARE_TOKEN_FILE (or MARGINWATCH_TUSHARE_TOKEN); requests keep to the rate that the
    account allows, and public pages of one site are asked for MARGINWATCH_PAGES_PAUSE_S seconds apart. After an error
    or Ctrl-C run the same command again: it fetches the days again, and publishes nothing twice.

    Example, without an account:

        marginwatch feed fetch --from 2024-06-28 --via exchanges --via eastmoney
    """
    from feeds.errors import ConfigurationError
    from feeds.web import sources
    from processors.days import to_date, to_day
    from streams.cli.publish import PublishOptions, publish_fetched
    from streams.feed_services import market_context, public_sites, tushare_account
    from streams.settings import Settings

    settings = Settings()
    market = market_context(settings)
    span(start, end)
    last = end if end is not None else start
    days = [to_date(day) for day in market.calendar.between(to_day(start), to_day(last)).tolist()]
    if not days:
        raise typer.BadParameter(f"no trading day from {start} to {last}", param_hint="--from")
    names = sources.names_of([one.value for one in via])
    wanted = [name.strip() for name in tables.split(",") if name.strip()]
    try:
        sources.select_tables(names, wanted)
    except ConfigurationError as error:
        raise typer.BadParameter(str(error), param_hint="--tables") from error
    fetch = sources.day_fetcher(names, wanted, market, lambda: tushare_account(settings), public_sites(settings))
    pause_s = 0.0 if names == ("tushare",) else 5.0  # the pages belong to others; tushare has a rate limit
    options = PublishOptions(source or "+".join(names), as_, check, force, no_ledger, json)
    publish_fetched(days, fetch, options, pause_s=pause_s)
