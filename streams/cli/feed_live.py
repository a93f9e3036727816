"""`marginwatch feed live`: publish the running session by options in place of a plan."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.cli.feed_run import run_plan

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0}


def feed_live(
    snapshots: Annotated[
        str | None, typer.Option(metavar="akshare|URL|FILE", help="the source of prices and index levels")
    ] = None,
    map_: Annotated[Path | None, typer.Option("--map", help="mapping file of the columns of the URL or FILE")] = None,
    every: Annotated[str | None, typer.Option(help="how often a URL (30s) or a FILE (5s) is read")] = None,
    positions_folder: Annotated[
        Path | None, typer.Option(help="drop folder with files of the desk's margin positions")
    ] = None,
    positions_stream: Annotated[
        str | None, typer.Option(metavar="KEY", help="a Redis stream of margin positions")
    ] = None,
    positions_webhook: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="listen here for POST /v1/margin.intraday")
    ] = None,
    secret_file: Annotated[
        Path | None, typer.Option(help="key of the webhook's signatures; or MARGINWATCH_POSITIONS_SECRET")
    ] = None,
    positions_map: Annotated[
        Path | None, typer.Option(help="mapping file of the positions, unless their headers are known")
    ] = None,
    max_rows_per_s: Annotated[float, typer.Option(min=1, help="the highest rate of published positions")] = 2000.0,
    once: Annotated[
        bool, typer.Option("--once", help="do what is due now, then end; exit code 1 if a part failed")
    ] = False,
) -> None:
    """Publish the running session: snapshots of the market, and the desk's own margin positions.

    Snapshots are taken in trading sessions only (09:30–11:30, 13:00–15:00 in Shanghai; holidays and half days by the
    calendar), and once after each close. After a restart the command goes on where it was, and publishes nothing twice.
    SIGTERM ends it cleanly. `marginwatch feed run` does the same by a plan, with more options.

    The market through akshare, positions from files with the headers 证券代码, 时间, 融资买入额(元), 融资偿还额(元):

        marginwatch feed live --snapshots akshare --positions-folder /data/positions

    A file that a terminal overwrites; a mapping file describes its columns (deploy/quotes.mapping.example.toml):

        marginwatch feed live --snapshots /data/quotes.csv --map quotes.toml --every 5s

    Positions by a webhook, signed as X-Marginwatch-Signature: t=<seconds>,v1=<HMAC-SHA256 of "<seconds>.<body>">:

        marginwatch feed live --positions-webhook 127.0.0.1:6068 --secret-file /run/secrets/positions

    Positions from a Redis stream (XADD desk:positions '*' code 600519.SH ts 2024-06-03T10:00:00+08:00 fin_buy 1e6 …):

        marginwatch feed live --positions-stream desk:positions
    """
    from feeds.plan import parse

    feeds: dict[str, dict[str, Any]] = {}
    if snapshots is not None:
        feeds |= _snapshots(snapshots, map_, every)
    elif map_ is not None or every is not None:
        raise typer.BadParameter("--map and --every need --snapshots", param_hint="--snapshots")
    positions: dict[str, Any] = {"kind": "positions", "max_rows_per_s": max_rows_per_s}
    if positions_map is not None:
        positions["map"] = str(positions_map)
    if positions_folder is not None:
        feeds["positions.folder"] = positions | {"from": "folder", "path": str(positions_folder)}
    if positions_stream is not None:
        feeds["positions.stream"] = positions | {"from": "redis", "stream": positions_stream}
    if positions_webhook is not None:
        feeds["positions.webhook"] = {name: value for name, value in positions.items() if name != "map"} | {
            "from": "webhook",
            "listen": positions_webhook,
            **({} if secret_file is None else {"secret_file": str(secret_file)}),
        }
    if not feeds:
        raise typer.BadParameter("give --snapshots, --positions-folder, --positions-stream or --positions-webhook")
    where = "marginwatch feed live"
    run_plan(lambda: parse({"feeds": feeds}, where, Path.cwd()), where, once=once)


def _snapshots(place: str, mapping: Path | None, every: str | None) -> dict[str, dict[str, Any]]:
    if place == "akshare":
        if mapping is not None or every is not None:
            raise typer.BadParameter(
                "akshare needs no mapping, and has its own pace: indices every 5 s, securities every 60 s; a plan can "
                "change it",
                param_hint="--snapshots",
            )
        common = {"kind": "snapshots", "from": "akshare"}
        return {f"snapshots.{of}": common | {"of": of} for of in ("indices", "securities")}
    if mapping is None:
        raise typer.BadParameter("a URL or file needs --map, which describes its columns", param_hint="--map")
    by_http = place.startswith(("http://", "https://"))
    feed = {"from": "url", "url": place} if by_http else {"from": "file", "path": place}
    pace = {} if every is None else {"every_s": _seconds(every)}
    return {"snapshots": {"kind": "snapshots", "map": str(mapping), **feed, **pace}}


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([sm]?)", text)
    if found is None:
        raise typer.BadParameter(f"{text!r}: write it as 30s or 2m", param_hint="--every")
    seconds = float(found[1]) * _UNITS[found[2]]
    if seconds < 1:
        raise typer.BadParameter(f"{text!r}: once a second at most", param_hint="--every")
    return seconds
