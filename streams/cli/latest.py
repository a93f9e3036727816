"""`marginwatch latest`: the newest values."""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import Annotated

import typer

from processors.indicators.verdict import VERDICT
from processors.industries import INDUSTRIES
from processors.registry import INDUSTRY_SIGNALS, SIGNALS
from streams.cli.options import From, Json, To, span
from streams.cli.render.signals import print_market, print_periods, print_values
from streams.cli.terminal import print_result
from streams.errors import NothingYetError
from streams.settings import Settings

latest_app = typer.Typer(no_args_is_help=True, help="Show the newest values.")


@latest_app.command("market")
def latest_market(as_json: Json = False) -> None:
    """Show the newest value of every market signal."""
    from streams import system_status
    from streams.clients import redis_client

    with redis_client(settings := Settings()) as client:
        found = system_status.latest_market(settings, client)
        late = system_status.verdict_due(settings, client, found.get(VERDICT.id))
    print_result(found, partial(print_market, parameters=settings.parameters, late=late), as_json=as_json)


@latest_app.command("security")
def latest_security(
    code: Annotated[str, typer.Argument(help="e.g. 600519.SH, sh600519 or 600519")], as_json: Json = False
) -> None:
    """Show the newest values of one security."""
    from feeds.cells.code_styles import BY_NUMBER, to_own
    from feeds.errors import InputError
    from streams import system_status
    from streams.clients import redis_client

    try:
        code = to_own(code, exchange=BY_NUMBER)
    except InputError as error:
        raise typer.BadParameter(str(error), param_hint="CODE") from error
    with redis_client(settings := Settings()) as client:
        found = system_status.latest_security(settings, client, code)
        title = code if as_json else f"{code} {system_status.name_of(settings, client, code)}".rstrip()
        newest = None if as_json else system_status.securities_day(settings, client)
    if newest is not None and found["trade_date"] < newest.isoformat():
        title += f"  ⚠ the last figures that are known; {newest} has none of it"
    render = partial(print_values, title, declared=SIGNALS, parameters=settings.parameters)
    print_result(found, render, as_json=as_json)


@latest_app.command("industry")
def latest_industry(
    name: Annotated[str, typer.Argument(help="Shenwan level-1 industry, e.g. 银行")], as_json: Json = False
) -> None:
    """Show the newest values of one industry."""
    from streams import system_status
    from streams.clients import redis_client

    if name not in INDUSTRIES:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(INDUSTRIES)}", param_hint="NAME")
    with redis_client(settings := Settings()) as client:
        found = system_status.latest_industry(settings, client, name)
    render = partial(print_values, name, declared=INDUSTRY_SIGNALS, parameters=settings.parameters)
    print_result(found, render, as_json=as_json)


@latest_app.command("industries")
def latest_industries(
    start: From = None,
    end: To = None,
    monthly: Annotated[bool, typer.Option("--monthly", help="a period for each month")] = False,
    as_json: Json = False,
) -> None:
    """Show net buy and buys over turnover of every industry over a period, with ranks; default: the newest month.

    A sum is absent where one day of it is. Example:

        marginwatch latest industries --from 2020-07-01 --to 2020-07-31
    """
    from processors.industry_periods import months, period_of
    from streams import readers
    from streams.calendars import xshg

    first, last = span(start, end)
    settings = Settings()
    begin, until = (first or date.min).isoformat(), (last or date.max).isoformat()
    frames = list(readers.industry_signals(settings, wanted=lambda day: begin <= day <= until))
    days = [frame.status.trade_date for frame in frames]
    found = []
    if not days and (first or last):
        raise NothingYetError(
            f"no day of the industries from {first or 'the beginning'} to {last or 'now'} is published: choose others"
        )
    if days:
        last = last or max(days)
        if first is None:
            first = min(days) if monthly or end is not None else last.replace(day=1)
        spans = months(first, last) if monthly else [(first, last)]
        found = [period_of(frames, *one, xshg(settings.calendar_file)) for one in spans]
    print_result(found, print_periods, as_json=as_json)
