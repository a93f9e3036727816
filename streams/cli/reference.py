"""`marginwatch reference`: the security master."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import DATE, As, Check, Force, Json, NoLedger, parse_day
from streams.form import Form

if TYPE_CHECKING:
    from feeds.files.dataset import SourceTables

reference_app = typer.Typer(no_args_is_help=True, help="The security master: names, industries, members, margin list.")


@reference_app.callback()
def reference() -> None:
    """The security master: names, industries, members, margin list."""


@reference_app.command("load")
def reference_load(
    files: Annotated[list[Path], typer.Argument(help="CSV, parquet or xlsx")],
    on: Annotated[
        date | None,
        typer.Option("--date", parser=parse_day, metavar=DATE, help="effective date of files without such a column"),
    ] = None,
    check: Check = False,
    force: Force = False,
    source: Annotated[str, typer.Option(help="the name under which the rows are published")] = "master",
    as_: As = Form.FRAMES,
    no_ledger: NoLedger = False,
    json: Json = False,
) -> None:
    """Load the security master: name, Shenwan industry, index members, margin list from/to, float shares, ST.

    A row describes one security from its effective date on, and replaces all of the row before; a column that a file
    lacks is unknown from then on. Columns (Chinese headers are known too; only the code is required):

        code,name,industry,csi300,csi500,chinext_index,indices,eligible_from,eligible_to,float_shares,effective_date
        600519.SH,贵州茅台,食品饮料,1,0,0,000016.SH 000010.SH,2010-03-31,,1256197800,2024-06-17

    Files of spells (members, Shenwan's history or workbook, ST) are known by their headers; what is published of
    their securities stays:

        marginwatch reference load index_members.parquet StockClassifyUse_stock.xls

    Codes may be 600519.SH, sh.600519 or 600519; dates 2024-06-17 or 20240617; an empty eligible_to means that the
    security is still in the list. Redis stores the names.
    """
    from feeds import security_master
    from streams.calendars import xshg
    from streams.cli.publish import PublishOptions, feed_command
    from streams.settings import Settings

    def read() -> SourceTables:
        return security_master.read(files, xshg(Settings().calendar_file), on)

    with feed_command(PublishOptions(source, as_, check, force, no_ledger, json)) as command:
        command.run(read)
