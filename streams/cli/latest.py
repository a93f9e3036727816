"""`marginwatch latest`: the newest values."""

from __future__ import annotations

from typing import Annotated

import typer

from processors.industries import INDUSTRIES
from processors.registry import INDUSTRY_SIGNALS, SIGNALS
from streams.cli.options import Json
from streams.cli.render.signals import print_market, print_values
from streams.cli.terminal import print_json
from streams.settings import Settings

latest_app = typer.Typer(no_args_is_help=True, help="Show the newest values.")


@latest_app.command("market")
def latest_market(as_json: Json = False) -> None:
    """Show the newest value of every market signal."""
    from streams import system_status

    found = system_status.latest_market(Settings())
    if as_json:
        print_json(found)
    else:
        print_market(found)


@latest_app.command("security")
def latest_security(code: Annotated[str, typer.Argument(help="e.g. 600519.SH")], as_json: Json = False) -> None:
    """Show the newest values of one security."""
    from streams import system_status

    settings = Settings()
    found = system_status.latest_security(settings, code)
    if as_json:
        print_json(found)
    else:
        print_values(f"{code} {system_status.name_of(settings, code)}".rstrip(), found, SIGNALS)


@latest_app.command("industry")
def latest_industry(
    name: Annotated[str, typer.Argument(help="Shenwan level-1 industry, e.g. 银行")], as_json: Json = False
) -> None:
    """Show the newest values of one industry."""
    from streams import system_status

    if name not in INDUSTRIES:
        raise typer.BadParameter(f"{name!r} is not one of {', '.join(INDUSTRIES)}", param_hint="NAME")
    found = system_status.latest_industry(Settings(), name)
    if as_json:
        print_json(found)
    else:
        print_values(name, found, INDUSTRY_SIGNALS)
