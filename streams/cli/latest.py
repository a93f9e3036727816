"""`marginwatch latest`: the newest values."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.cli import show
from streams.cli.options import Json, print_json
from streams.settings import Settings

latest_app = typer.Typer(no_args_is_help=True, help="Show the newest values.")


@latest_app.command("market")
def latest_market(as_json: Json = False) -> None:
    """The newest value of every market signal."""
    from streams.status import latest_market as newest

    found = newest(Settings())
    if as_json:
        print_json(found)
    else:
        show.market(found)


@latest_app.command("security")
def latest_security(code: Annotated[str, typer.Argument(help="e.g. 600519.SH")], as_json: Json = False) -> None:
    """The newest values of one security."""
    from streams.status import latest_security as newest
    from streams.status import name_of

    found = newest(Settings(), code)
    if as_json:
        print_json(found)
    else:
        show.mapping(f"{code} {name_of(Settings(), code)}".rstrip(), found)


@latest_app.command("industry")
def latest_industry(
    name: Annotated[str, typer.Argument(help="Shenwan level-1 industry, e.g. 银行")], as_json: Json = False
) -> None:
    """The newest values of one industry."""
    from streams.status import latest_industry as newest

    found = newest(Settings(), name)
    if as_json:
        print_json(found)
    else:
        show.mapping(name, found)
