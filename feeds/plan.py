"""The plan of `marginwatch feed run`: a TOML file with one table for each feed.

Times are Shanghai's. Daily figures come from a drop folder, or from a source that is asked for each day. The running
session comes as snapshots of prices and as the desk's own margin positions, each ``from`` one of several places.
"""

from __future__ import annotations

import tomllib
from datetime import date, time
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from feeds.errors import ConfigurationError
from feeds.web import sources

Seconds = Annotated[float, msgspec.Meta(gt=0)]
Interval = Annotated[float, msgspec.Meta(ge=1)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Text = Annotated[str, msgspec.Meta(min_length=1)]


class DropFolder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="folder"):
    """Files of daily figures that other programs write into a folder; a file that changes is read again.

    Parameters
    ----------
    format : files of the exchanges, or of a vendor.
    map : the mapping file of a vendor's files.
    every_s : the interval between two looks at the folder.
    settle_s : a file that changed within so many seconds is still being written.
    force : publish in spite of errors in the figures.
    """

    path: Path
    format: Literal["exchange", "vendor"] = "exchange"
    map: Path | None = None
    source: Text | None = None
    every_s: Seconds = 30.0
    settle_s: NotNegative = 3.0
    force: bool = False


class Fetch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind", tag="fetch"):
    """Daily figures of a source, by default of the exchanges; missed days are fetched, oldest first.

    Parameters
    ----------
    via, tables : the source and its tables, see `feeds.web.sources`; margin figures of several are compared.
    since : the first trade date wanted; by default the newest one that is due when the feed first starts.
    at : when the figures of a day are first asked for: margin figures on the next session (08:45), prices and indices
        on the day itself (17:00).
    retry_s : the wait if they are not published yet; after an error twice as long each time, up to 2 hours.
    pause_s : the wait between two missed days, to spare the pages of others.
    """

    via: sources.Via | tuple[sources.Via, ...] = "akshare"
    tables: tuple[str, ...] = ()
    since: date | None = None
    at: time | None = None
    source: Text | None = None
    retry_s: Seconds = 600.0
    pause_s: NotNegative = 5.0
    force: bool = False


class Intraday(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The options of all feeds of the running session.

    Parameters
    ----------
    source : the name under which rows are published; by default the name of the feed.
    force : publish in spite of cumulative figures that fall within a day, and lists that are far shorter than before.
    """

    source: Text | None = None
    force: bool = False


class AkshareSnapshots(Intraday, frozen=True, kw_only=True, tag_field="kind", tag="snapshots from akshare"):
    """Snapshots of the market through akshare, which asks Eastmoney's pages.

    Parameters
    ----------
    of : the well-known indices are on one page; all securities take about a minute.
    every_s : by default, and at least, 5 for indices and 60 for securities: the pages belong to others.
    """

    of: Literal["indices", "securities"]
    every_s: Seconds | None = None

    @property
    def interval(self) -> float:
        """Seconds between two snapshots."""
        return self.every_s or AKSHARE_LEAST_S[self.of]


AKSHARE_LEAST_S = {"indices": 5.0, "securities": 60.0}


class UrlSnapshots(Intraday, frozen=True, kw_only=True, tag_field="kind", tag="snapshots from url"):
    """A CSV file over HTTP.

    Parameters
    ----------
    map : the mapping file; its patterns of file names are ignored.
    url_file : a file that contains the URL, if the URL is a secret.
    """

    map: Path
    url: Text | None = None
    url_file: Path | None = None
    every_s: Interval = 30.0

    def address(self) -> str:
        """Return the URL in clear text; raises `ConfigurationError` if its file can't be read."""
        if self.url_file is None:
            return str(self.url)
        try:
            return self.url_file.read_text("utf-8").strip()
        except OSError as error:
            raise ConfigurationError(f"{self.url_file}: the URL can't be read: {error.strerror}") from error

    @property
    def interval(self) -> float:
        """Seconds between two snapshots."""
        return self.every_s


class FileSnapshots(Intraday, frozen=True, kw_only=True, tag_field="kind", tag="snapshots from file"):
    """A CSV or parquet file that a terminal overwrites, best by writing another file and renaming it.

    Parameters
    ----------
    settle_s : a file that changed within so many seconds is still being written.
    """

    path: Path
    map: Path
    every_s: Interval = 5.0
    settle_s: NotNegative = 0.5

    @property
    def interval(self) -> float:
        """Seconds between two snapshots."""
        return self.every_s


class MarginPositions(Intraday, frozen=True, kw_only=True):
    """The desk's own margin positions.

    Parameters
    ----------
    max_rows_per_s : the highest rate of published rows, so that a replay does not delay live prices.
    """

    max_rows_per_s: Seconds = 2000.0


class PositionsFolder(MarginPositions, frozen=True, kw_only=True, tag_field="kind", tag="positions from folder"):
    """CSV or parquet files in a drop folder; parameters as of `DropFolder`."""

    path: Path
    map: Path | None = None
    every_s: Seconds = 2.0
    settle_s: NotNegative = 1.0


class PositionsStream(MarginPositions, frozen=True, kw_only=True, tag_field="kind", tag="positions from redis"):
    """A stream in the Redis of the settings; an entry is a row.

    Parameters
    ----------
    stream : the key of the stream. Each entry is read once, from the first one on.
    """

    stream: Text
    map: Path | None = None


class PositionsWebhook(MarginPositions, frozen=True, kw_only=True, tag_field="kind", tag="positions from webhook"):
    """Signed requests ``POST /v1/margin.intraday``. A proxy provides TLS.

    Parameters
    ----------
    secret_file : a file that contains the key of the signatures; by default the setting ``positions_secret`` counts.
    tolerance_s : the highest age of a signature.
    max_bytes : the largest request.
    """

    listen: str = "127.0.0.1:6068"
    secret_file: Path | None = None
    tolerance_s: Seconds = 300.0
    max_bytes: Annotated[int, msgspec.Meta(ge=1024)] = 1024 * 1024


Snapshots = AkshareSnapshots | UrlSnapshots | FileSnapshots
Feed = DropFolder | Fetch | Snapshots | PositionsFolder | PositionsStream | PositionsWebhook

_FROM = {"snapshots": ("akshare", "url", "file"), "positions": ("folder", "redis", "webhook")}


class Plan(msgspec.Struct, frozen=True):
    """The feeds by name."""

    feeds: dict[str, Feed]


def _path(kind: type[Any], value: object) -> Any:
    if kind is Path and isinstance(value, str) and value:  # an empty one would be the folder of the plan
        return Path(value)
    raise ValueError(f"{value!r} is no {kind.__name__}")


def load(path: Path) -> Plan:
    """Read a plan; paths in it are relative to its own folder.

    Raises
    ------
    ConfigurationError : with the file and what is wrong.
    """
    try:
        raw = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path}: the plan can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is no TOML: {error}; see deploy/live.example.toml") from error
    return parse(raw, str(path), path.absolute().parent)


def parse(raw: dict[str, Any], where: str, base: Path) -> Plan:
    """Return the plan of a TOML document.

    Parameters
    ----------
    where : the name of the document in errors.
    base : the folder that paths are relative to.

    Raises
    ------
    ConfigurationError : with the feed that is wrong, and how.
    """
    tables, others = raw.get("feeds", {}), sorted(raw.keys() - {"feeds"})
    if others or not isinstance(tables, dict):
        raise ConfigurationError(f"{where} has {', '.join(others) or 'no table feeds'}: a feed is a table [feeds.NAME]")
    if not tables:
        raise ConfigurationError(f"{where} has no feed: write a table [feeds.NAME], see `marginwatch feed run --help`")
    return Plan({name: _feed(f"{where}: [feeds.{name}]", table, base) for name, table in tables.items()})


def _feed(where: str, table: object, base: Path) -> Feed:
    """Return the feed of a table; raises `ConfigurationError`."""
    try:
        feed: Feed = msgspec.convert(_tagged(where, table), Feed, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise ConfigurationError(
            f"{where}: {error}; a feed is a table, its kind is folder, fetch, snapshots or positions"
        ) from error
    return _checked(where, feed, base)


def _tagged(where: str, feed: object) -> object:
    """Join kind and ``from`` to the tag of the feed's type."""
    if not isinstance(feed, dict) or feed.get("kind") not in _FROM:
        return feed
    places = _FROM[feed["kind"]]
    if feed.get("from") not in places:
        raise ConfigurationError(f"{where} needs `from`, one of {', '.join(places)}; it is {feed.get('from')!r}")
    return {key: value for key, value in feed.items() if key != "from"} | {
        "kind": f"{feed['kind']} from {feed['from']}"
    }


def _checked(where: str, feed: Feed, base: Path) -> Feed:
    paths = {field: base / value for field in feed.__struct_fields__ if isinstance(value := getattr(feed, field), Path)}
    feed = msgspec.structs.replace(feed, **paths)
    if isinstance(feed, DropFolder) and feed.map is not None and feed.format != "vendor":
        raise ConfigurationError(f'{where} has a mapping: set format = "vendor"')
    if isinstance(feed, Fetch):
        try:
            sources.due_time(feed.via, feed.tables)
        except ConfigurationError as error:
            raise ConfigurationError(f"{where}: {error}") from error
    if isinstance(feed, UrlSnapshots) and (feed.url is None) == (feed.url_file is None):
        raise ConfigurationError(f"{where}: give one of url or url_file")
    if isinstance(feed, AkshareSnapshots) and feed.interval < AKSHARE_LEAST_S[feed.of]:
        raise ConfigurationError(
            f"{where}: every_s of {feed.of} is {AKSHARE_LEAST_S[feed.of]:g} at least: the pages belong to others"
        )
    if isinstance(feed, PositionsWebhook):
        host, _, port = feed.listen.rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65535:
            raise ConfigurationError(f"{where}: listen {feed.listen!r}: write HOST:PORT, e.g. 127.0.0.1:6068")
    return feed
