"""`marginwatch feed`: the commands that publish market data from files, and a simulated market."""

from __future__ import annotations

from datetime import date
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from streams.cli.feed_fetch import feed_fetch
from streams.cli.feed_ledger import feed_ledger
from streams.cli.feed_live import feed_live
from streams.cli.feed_replay import feed_replay
from streams.cli.feed_run import feed_run
from streams.cli.options import DATE, As, Check, Force, From, Json, NoLedger, To, pace, parse_day, span
from streams.cli.publish import PublishOptions, feed_command
from streams.cli.terminal import err
from streams.exit_signals import ended_by_signals
from streams.form import Form
from streams.settings import Settings

feed_app = typer.Typer(no_args_is_help=True, help="Publish market data to Kafka.")
feed_app.command("fetch")(feed_fetch)
feed_app.command("run")(feed_run)
feed_app.command("ledger")(feed_ledger)
feed_app.command("live")(feed_live)
feed_app.command("replay")(feed_replay)


@feed_app.command("files")
def feed_files(
    folder: Annotated[
        Path, typer.Argument(exists=True, file_okay=False, help="a folder with margin_detail_sse_*, index_daily_* …")
    ],
    start: From = None,
    end: To = None,
    as_: As = Form.FRAMES,
    speed: Annotated[str, typer.Option(help="max, or N× real sessions (4 hours a day)")] = "max",
    check: Check = False,
    force: Force = False,
    no_ledger: NoLedger = False,
    json: Json = False,
) -> None:
    """Publish a folder of market files (parquet or CSV), day by day, each closed by its end-of-day punctuation.

    It may be run again: rows that were published are not sent again, corrected rows are sent with the next revision.
    Example:

        marginwatch feed files ./history --from 2020-01-02
    """
    from feeds.folder import read_tables, source_of

    options = PublishOptions(source_of(folder), as_, check, force, no_ledger, json, pace(speed))
    dates = span(start, end)
    with feed_command(options) as command:
        command.run(partial(read_tables, folder), dates)


@feed_app.command("exchange")
def feed_exchange(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="files as published, or folders; without any, --date is fetched")
    ] = None,
    on: Annotated[
        date | None,
        typer.Option(
            "--date", parser=parse_day, metavar=DATE, help="trade date of files without one; or the day to fetch"
        ),
    ] = None,
    before: Annotated[
        list[Path] | None, typer.Option(help="files of the day before, only to compare with; may be repeated")
    ] = None,
    check: Check = False,
    force: Force = False,
    source: Annotated[str, typer.Option(help="the name under which the figures are published")] = "exchange",
    as_: As = Form.FRAMES,
    no_ledger: NoLedger = False,
    json: Json = False,
) -> None:
    """Publish the exchanges' own margin files (融资融券 汇总, 明细), recognised by their content.

    Shanghai's workbook, Shenzhen's and Beijing's detail and totals; xls, xlsx or CSV. Without files, the figures of
    --date are fetched through akshare.
    """
    from feeds.files import exchange
    from streams.calendars import xshg

    if paths:
        read = partial(exchange.read, paths, on)
    elif on is not None:
        from feeds.web.akshare_margin import fetch_margin

        settings = Settings()
        read = partial(fetch_margin, on, xshg(settings.calendar_file), exchanges=settings.exchanges)
    else:
        raise typer.BadParameter("give files, or --date to fetch a day", param_hint="PATH")
    earlier = exchange.read(before) if before else None
    with feed_command(PublishOptions(source, as_, check, force, no_ledger, json), before=earlier) as command:
        command.run(read)


@feed_app.command("vendor")
def feed_vendor(
    paths: Annotated[list[Path], typer.Argument(help="CSV files, workbooks or parquet files, or folders of them")],
    on: Annotated[
        date | None, typer.Option("--date", parser=parse_day, metavar=DATE, help="trade date of files without one")
    ] = None,
    map_: Annotated[Path | None, typer.Option("--map", help="a mapping file; see deploy/mapping.example.toml")] = None,
    start: From = None,
    end: To = None,
    check: Check = False,
    force: Force = False,
    source: Annotated[str, typer.Option(help="the name under which the figures are published")] = "vendor",
    as_: As = Form.FRAMES,
    no_ledger: NoLedger = False,
    json: Json = False,
) -> None:
    """Publish files of a data vendor: tushare, akshare, Chinese headers with units, anything else by a mapping file.

    A file is CSV (any separator; UTF-8, UTF-16 or GB18030), xls, xlsx or parquet, and may be packed with gzip.

    Example, which only prints the rows as parsed:

        marginwatch feed vendor ./export --map mapping.toml --check
    """
    from feeds.files import vendor
    from feeds.mappings import mapping

    read = partial(vendor.read, paths, mapping.load(map_) if map_ is not None else None, on)
    dates = span(start, end)
    with feed_command(PublishOptions(source, as_, check, force, no_ledger, json)) as command:
        command.run(read, dates)


@feed_app.command("simulate")
def feed_simulate(
    days: Annotated[int, typer.Option(min=30, help="trading days of history")] = 300,
    stocks: Annotated[int, typer.Option(min=20, help="stocks in the margin list")] = 400,
    seed: Annotated[int, typer.Option(help="the same seed gives the same market")] = 7,
    end: To = None,
    as_: As = Form.FRAMES,
    session: Annotated[bool, typer.Option(help="publish a running session after the history")] = True,
    speed: Annotated[str, typer.Option(help="of the running session: max, or N× real time")] = "600×",
) -> None:
    """Publish a SIMULATED market with known episodes: a hot phase, a breakdown, a cold spell, extremes.

    It is refused where the topics contain other rows.
    """
    from rich.progress import track

    from feeds import simulate
    from feeds.daily.publish import publish_days
    from feeds.daily.replay import moments_of, publish_moments
    from processors.days import to_date, to_day
    from streams.calendars import today, xshg
    from streams.feed_services import TopicRows
    from streams.publisher import Publisher

    factor, settings = pace(speed), Settings()
    TopicRows(settings).require_only(simulate.SOURCE)
    calendar = xshg(settings.calendar_file)
    last = simulate.last_session(calendar, today()) if end is None else calendar.before(to_day(end) + 1)
    if last is None or last > today():
        raise typer.BadParameter("give a day of the calendar that is not to come", param_hint="--to")
    market = simulate.Market(simulate.Simulation(calendar, last, days=days, stocks=stocks, seed=seed))
    with ended_by_signals(), Publisher(settings, source=simulate.SOURCE, form=as_) as publisher:
        publish_days(publisher, track(market.history(), "publishing (simulated)", total=days, console=err))
        following = calendar.shift(last, 1)
        if session and following is not None and following > today():
            err.print(f"no running session: {to_date(following)} is to come")
        elif session and following is not None:
            moments = list(moments_of(following, market.session(following, ratio=0.091)))
            publish_moments(publisher, track(moments, "running session (simulated)", console=err), speed=factor)
        barrier = publisher.barrier()
    err.print(f"published {publisher.rows:,} simulated rows in {publisher.messages:,} messages; barrier {barrier}")
