"""What `marginwatch feed run` does and when: a TOML file with one table for each feed.

Times are Shanghai's. A feed is a folder that files are dropped into, or a source that is asked for each day.
"""

from __future__ import annotations

import tomllib
from datetime import date, time
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from streams.feeds import sources
from streams.feeds.folder import FeedError

Seconds = Annotated[float, msgspec.Meta(gt=0)]


class DropFolder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="folder"):
    """Files that somebody drops into a folder; a file that changes is read again.

    Parameters
    ----------
    format : the exchanges' own files, or a vendor's.
    map : for a vendor's: the mapping file.
    every_s : how often the folder is looked at.
    settle_s : a file that changed within the last seconds is still being written.
    force : publish in spite of errors in the figures.
    """

    path: Path
    format: Literal["exchange", "vendor"] = "exchange"
    map: Path | None = None
    source: str | None = None
    every_s: Seconds = 30.0
    settle_s: Annotated[float, msgspec.Meta(ge=0)] = 3.0
    force: bool = False


class Fetch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="fetch"):
    """Figures of a source, of the exchanges if none is named; days that were missed are caught up, oldest first.

    Parameters
    ----------
    via, tables : the source and what of it, see `streams.feeds.sources`.
    since : the first trade date wanted; without it, the newest one that is due when the feed first starts.
    at : when the figures of a day are first asked for: margin figures on the next session (08:45), prices and indices
        on the day itself (17:00).
    retry_s : how long to wait when they are not published yet; after an error twice as long each time, up to 2 hours.
    pause_s : between two days while catching up: the pages are not ours.
    """

    via: sources.Via = "akshare"
    tables: tuple[str, ...] = ()
    since: date | None = None
    at: time | None = None
    source: str | None = None
    retry_s: Seconds = 600.0
    pause_s: Annotated[float, msgspec.Meta(ge=0)] = 5.0
    force: bool = False


Feed = DropFolder | Fetch


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All feeds by name."""

    feeds: dict[str, Feed]


def _path(kind: type[Any], value: object) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise ValueError(f"{value!r} is no {kind.__name__}")


def load(path: Path) -> Plan:
    """Read a plan; paths in it are relative to its own folder.

    Raises
    ------
    FeedError : naming the file and what is wrong.
    """
    try:
        plan = msgspec.convert(tomllib.loads(path.read_text("utf-8")), Plan, dec_hook=_path)
    except OSError as error:
        raise FeedError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FeedError(f"{path} is no TOML: {error}") from error
    except msgspec.ValidationError as error:
        raise FeedError(f"{path}: {error}; a feed is a table [feeds.NAME], its kind is folder or fetch") from error
    if not plan.feeds:
        raise FeedError(f"{path} has no feed: write a table [feeds.NAME], see `marginwatch feed run --help`")
    base = path.absolute().parent
    feeds: dict[str, Feed] = {}
    for name, feed in plan.feeds.items():
        if isinstance(feed, DropFolder):
            mapping = base / feed.map if feed.map is not None else None
            feed = msgspec.structs.replace(feed, path=base / feed.path, map=mapping)
            if mapping is not None and feed.format != "vendor":
                raise FeedError(f"{path}: [feeds.{name}] has a mapping: then its format is vendor")
        else:
            try:
                sources.due(feed.via, feed.tables)
            except FeedError as error:
                raise FeedError(f"{path}: [feeds.{name}]: {error}") from error
        feeds[name] = feed
    return Plan(feeds)
