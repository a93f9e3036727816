"""What `marginwatch feed run` does and when: a TOML file with one table for each feed.

Times are Shanghai's. Daily figures come from a folder that files are dropped into, or from a source that is asked for
each day; the running session as snapshots of prices and as the desk's own margin book, each ``from`` one of several
places.
"""

from __future__ import annotations

import tomllib
from datetime import date, time
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from feeds import sources
from feeds.folder import FeedError

Seconds = Annotated[float, msgspec.Meta(gt=0)]
Interval = Annotated[float, msgspec.Meta(ge=1)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]


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
    settle_s: NotNegative = 3.0
    force: bool = False


class Fetch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="fetch"):
    """Figures of a source, of the exchanges if none is named; days that were missed are caught up, oldest first.

    Parameters
    ----------
    via, tables : the source and what of it, see `feeds.sources`.
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
    pause_s: NotNegative = 5.0
    force: bool = False


class Live(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all feeds of the running session have.

    Parameters
    ----------
    source : the name under which rows are published; else the feed's.
    force : publish in spite of cumulative figures that fall within a day.
    """

    source: str | None = None
    force: bool = False


class AkshareSnapshots(Live, frozen=True, kw_only=True, tag_field="kind", tag="snapshots from akshare"):
    """The market through akshare, which asks Eastmoney's pages: not ours, so not too often.

    Parameters
    ----------
    of : the well-known indices come on one page; all securities take about a minute.
    every_s : 5 for indices and 60 for securities, and no less than that.
    """

    of: Literal["indices", "securities"]
    every_s: Seconds | None = None

    @property
    def interval(self) -> float:
        """Seconds between two snapshots."""
        return self.every_s or AKSHARE_LEAST_S[self.of]


AKSHARE_LEAST_S = {"indices": 5.0, "securities": 60.0}


class UrlSnapshots(Live, frozen=True, kw_only=True, tag_field="kind", tag="snapshots from url"):
    """A CSV file over HTTP.

    Parameters
    ----------
    map : the mapping file; its tables say what the columns are, whatever pattern of files they name.
    url_file : a file that holds the URL, where it is a secret.
    """

    map: Path
    url: str | None = None
    url_file: Path | None = None
    every_s: Interval = 30.0

    def address(self) -> str:
        """The URL in clear text; raises `FeedError` if its file can't be read."""
        if self.url_file is None:
            return str(self.url)
        try:
            return self.url_file.read_text("utf-8").strip()
        except OSError as error:
            raise FeedError(f"{self.url_file}: {error.strerror}") from error

    @property
    def interval(self) -> float:
        """Seconds between two snapshots."""
        return self.every_s


class FileSnapshots(Live, frozen=True, kw_only=True, tag_field="kind", tag="snapshots from file"):
    """A CSV or parquet file that a terminal overwrites; best by writing another one and renaming it.

    Parameters
    ----------
    settle_s : a file that changed within the last seconds is still being written.
    """

    path: Path
    map: Path
    every_s: Interval = 5.0
    settle_s: NotNegative = 0.5

    @property
    def interval(self) -> float:
        """Seconds between two snapshots."""
        return self.every_s


class Book(Live, frozen=True, kw_only=True):
    """The desk's own margin book.

    Parameters
    ----------
    max_rows_per_s : no more rows are published, so that a replay does not drown live prices.
    """

    max_rows_per_s: Seconds = 2000.0


class BookFolder(Book, frozen=True, kw_only=True, tag_field="kind", tag="book from folder"):
    """CSV or parquet files that are dropped into a folder; parameters as of `DropFolder`."""

    path: Path
    map: Path | None = None
    every_s: Seconds = 2.0
    settle_s: NotNegative = 1.0


class BookStream(Book, frozen=True, kw_only=True, tag_field="kind", tag="book from redis"):
    """A Redis stream, on the Redis of the settings; an entry is a row.

    Parameters
    ----------
    stream : its key. Entries are read from the beginning, once.
    """

    stream: str
    map: Path | None = None


class BookWebhook(Book, frozen=True, kw_only=True, tag_field="kind", tag="book from webhook"):
    """``POST /v1/margin.intraday``, signed. TLS is a proxy's task.

    Parameters
    ----------
    secret_file : the key of the signatures; else the setting ``book_secret``.
    tolerance_s : how old a signature may be.
    max_bytes : of a request.
    """

    listen: str = "127.0.0.1:6068"
    secret_file: Path | None = None
    tolerance_s: Seconds = 300.0
    max_bytes: Annotated[int, msgspec.Meta(ge=1024)] = 1024 * 1024


Snapshots = AkshareSnapshots | UrlSnapshots | FileSnapshots
Feed = DropFolder | Fetch | AkshareSnapshots | UrlSnapshots | FileSnapshots | BookFolder | BookStream | BookWebhook

_FROM = {"snapshots": ("akshare", "url", "file"), "book": ("folder", "redis", "webhook")}


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
        raw = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise FeedError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FeedError(f"{path} is no TOML: {error}") from error
    return parse(raw, str(path), path.absolute().parent)


def parse(raw: dict[str, Any], where: str, base: Path) -> Plan:
    """Return the plan that a TOML document holds.

    Parameters
    ----------
    where : what errors call it.
    base : paths are relative to it.

    Raises
    ------
    FeedError : saying which feed is wrong, and how.
    """
    tables = raw.get("feeds")
    if isinstance(tables, dict):
        named = {name: _tagged(name, feed, where) for name, feed in tables.items()}
        raw = raw | {"feeds": named}
    try:
        plan = msgspec.convert(raw, Plan, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise FeedError(
            f"{where}: {error}; a feed is a table [feeds.NAME], its kind is folder, fetch, snapshots or book"
        ) from error
    if not plan.feeds:
        raise FeedError(f"{where} has no feed: write a table [feeds.NAME], see `marginwatch feed run --help`")
    return Plan({name: _checked(f"{where}: [feeds.{name}]", feed, base) for name, feed in plan.feeds.items()})


def _tagged(name: str, feed: object, where: str) -> object:
    """Make kind and ``from`` one word, by which the feed's type is found."""
    if not isinstance(feed, dict) or feed.get("kind") not in _FROM:
        return feed
    places = _FROM[feed["kind"]]
    if feed.get("from") not in places:
        raise FeedError(f"{where}: [feeds.{name}] needs `from`, one of {', '.join(places)}; it is {feed.get('from')!r}")
    return {key: value for key, value in feed.items() if key != "from"} | {
        "kind": f"{feed['kind']} from {feed['from']}"
    }


def _checked(where: str, feed: Feed, base: Path) -> Feed:
    paths = {field: base / value for field in feed.__struct_fields__ if isinstance(value := getattr(feed, field), Path)}
    feed = msgspec.structs.replace(feed, **paths)
    if isinstance(feed, DropFolder) and feed.map is not None and feed.format != "vendor":
        raise FeedError(f"{where} has a mapping: then its format is vendor")
    if isinstance(feed, Fetch):
        try:
            sources.due(feed.via, feed.tables)
        except FeedError as error:
            raise FeedError(f"{where}: {error}") from error
    if isinstance(feed, UrlSnapshots) and (feed.url is None) == (feed.url_file is None):
        raise FeedError(f"{where}: give url or url_file, one of them")
    if isinstance(feed, AkshareSnapshots) and feed.interval < AKSHARE_LEAST_S[feed.of]:
        raise FeedError(
            f"{where}: every_s of {feed.of} is {AKSHARE_LEAST_S[feed.of]:g} at least: the pages are not ours"
        )
    if isinstance(feed, BookWebhook):
        host, _, port = feed.listen.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            raise FeedError(f"{where}: listen {feed.listen!r}: write HOST:PORT, e.g. 127.0.0.1:6068")
    return feed
