"""`marginwatch feed live`: the running session, from options instead of a plan."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.cli.feed_run import run_plan

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0}


def feed_live(
    snapshots: Annotated[
        str | None, typer.Option(metavar="akshare|URL|FILE", help="where prices and index levels come from")
    ] = None,
    map_: Annotated[Path | None, typer.Option("--map", help="what the columns of the URL or FILE are")] = None,
    every: Annotated[str | None, typer.Option(help="of a URL (30s) or a FILE (5s): how often it is read")] = None,
    book_folder: Annotated[Path | None, typer.Option(help="files of the desk's margin book are dropped here")] = None,
    book_stream: Annotated[str | None, typer.Option(metavar="KEY", help="a Redis stream of it")] = None,
    book_webhook: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="it is sent here: POST /v1/margin.intraday")
    ] = None,
    secret_file: Annotated[
        Path | None, typer.Option(help="key of the webhook's signatures; or MARGINWATCH_BOOK_SECRET")
    ] = None,
    book_map: Annotated[Path | None, typer.Option(help="what the book's columns are, if headers don't say")] = None,
    max_rows_per_s: Annotated[float, typer.Option(min=1, help="of the book: no more rows are published")] = 2000.0,
    once: Annotated[
        bool, typer.Option("--once", help="do what is due now, then return; exit code 1 if a part failed")
    ] = False,
) -> None:
    """Publish the running session: snapshots of the market, and the desk's own margin book.

    Snapshots are taken in trading sessions only (09:30–11:30, 13:00–15:00 in Shanghai; holidays and half days by the
    calendar), and once after each close. Run it again whenever you like: it goes on where it was, and what was
    published is not published again. SIGTERM ends it cleanly. `marginwatch feed run` does the same by a plan, with more
    choices.

    The market through akshare, the book from files with the headers 证券代码, 时间, 融资买入额(元), 融资偿还额(元):

        marginwatch feed live --snapshots akshare --book-folder /data/book

    A file that a terminal overwrites; its columns stand in a mapping file (deploy/mapping.example.toml):

        marginwatch feed live --snapshots /data/quotes.csv --map quotes.toml --every 5s

    The book by a webhook, signed as X-Marginwatch-Signature: t=<seconds>,v1=<HMAC-SHA256 of "<seconds>.<body>">:

        marginwatch feed live --book-webhook 127.0.0.1:6068 --secret-file /run/secrets/book

    The book from a Redis stream (XADD desk:book '*' code 600519.SH ts 2024-06-03T10:00:00+08:00 fin_buy … fin_repay …):

        marginwatch feed live --book-stream desk:book
    """
    from feeds.plan import parse

    feeds: dict[str, dict[str, Any]] = {}
    if snapshots is not None:
        feeds |= _snapshots(snapshots, map_, every)
    elif map_ is not None or every is not None:
        raise typer.BadParameter("--map and --every need --snapshots", param_hint="--snapshots")
    book: dict[str, Any] = {"kind": "book", "max_rows_per_s": max_rows_per_s}
    if book_map is not None:
        book["map"] = str(book_map)
    if book_folder is not None:
        feeds["book.folder"] = book | {"from": "folder", "path": str(book_folder)}
    if book_stream is not None:
        feeds["book.stream"] = book | {"from": "redis", "stream": book_stream}
    if book_webhook is not None:
        feeds["book.webhook"] = {name: value for name, value in book.items() if name != "map"} | {
            "from": "webhook",
            "listen": book_webhook,
            **({} if secret_file is None else {"secret_file": str(secret_file)}),
        }
    if not feeds:
        raise typer.BadParameter("give --snapshots, --book-folder, --book-stream or --book-webhook")
    where = "marginwatch feed live"
    run_plan(parse({"feeds": feeds}, where, Path.cwd()), where, once=once)


def _snapshots(place: str, mapping: Path | None, every: str | None) -> dict[str, dict[str, Any]]:
    if place == "akshare":
        if mapping is not None or every is not None:
            raise typer.BadParameter(
                "akshare needs no mapping, and has a pace of its own: indices every 5 s, securities every 60 s; a plan "
                "can change that",
                param_hint="--snapshots",
            )
        common = {"kind": "snapshots", "from": "akshare"}
        return {f"snapshots.{of}": common | {"of": of} for of in ("indices", "securities")}
    if mapping is None:
        raise typer.BadParameter("a URL or file needs --map, which says what its columns are", param_hint="--map")
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
