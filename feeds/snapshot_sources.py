"""Where snapshots of the market come from: akshare, a URL, a file. Fetching stands here, understanding in `mapping`.

akshare (optional extra) asks Eastmoney's pages. ``stock_zh_a_spot_em`` gives all A shares, a hundred a page with a
pause after each; ``stock_zh_index_spot_em(symbol="沪深重要指数")`` the well-known indices on one page. Both give 昨收,
最新价, 成交量, 成交额. Of shares akshare documents 手 and 元, of indices no unit: they are the same fields of the same
pages, and 成交额 / 成交量 of the SSE Composite is a price only in 元 and 手.
"""

from __future__ import annotations

import base64
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol
from urllib.parse import unquote, urlsplit

import pandas as pd

from feeds import vendor
from feeds.code_styles import BY_NUMBER, PLAIN
from feeds.fetch import load_akshare
from feeds.folder import FeedError
from feeds.mapping import Codes, Figure, Mapping, Table, apply
from processors.days import shanghai_day

_US = 1_000_000
_TIMEOUT_S, _LONGEST_S, _MOST_BYTES = 10.0, 30.0, 64 * 1024 * 1024


class BusyError(FeedError):
    """The source is being written just now: ask again in a moment."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source showed.

    Parameters
    ----------
    parts : topic and rows, as `mapping.apply` gives them.
    at : when the figures stood so, µs since the epoch, for rows that tell no ``ts`` of their own.
    unknown : how many rows were left out already, for nobody here knows their code.
    """

    parts: list[tuple[str, pd.DataFrame]]
    at: int
    unknown: int = 0


class Source(Protocol):
    """A place that shows the newest figures; raises `FeedError` where it doesn't."""

    def read(self) -> Reading:
        """Read it once."""


def _mapped(raw: pd.DataFrame, tables: Iterable[Table], name: str, at: int) -> Reading:
    today = shanghai_day(at)
    return Reading([(table.topic, apply(table, raw, name, today)) for table in tables], at)


@dataclass(frozen=True, slots=True)
class FileSource:
    """A CSV or parquet file that somebody overwrites."""

    path: Path
    mapping: Mapping
    settle_s: float
    clock: Callable[[], float] = time.time

    def read(self) -> Reading:
        try:
            before = self.path.stat()
            if abs(self.clock() - before.st_mtime) < self.settle_s:
                raise BusyError(
                    f"{self.path} is being written: if always, write another and rename it, or lower settle_s"
                )
            raw = vendor.load(self.path, self.mapping.table)
            after = self.path.stat()
        except OSError as error:
            raise FeedError(f"{self.path}: {error.strerror}") from error
        if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
            raise BusyError(f"{self.path} changed while it was read")
        return _mapped(raw, self.mapping.table, self.path.name, before.st_mtime_ns // 1000)


@dataclass(frozen=True, slots=True)
class UrlSource:
    """A CSV file over HTTP."""

    url: str = field(repr=False)
    mapping: Mapping
    clock: Callable[[], float] = time.time

    def read(self) -> Reading:
        content = download(self.url)
        at = int(self.clock() * _US)
        name = shown(self.url)
        return _mapped(vendor.parse_csv(content, name, self.mapping.table), self.mapping.table, name, at)


def shown(url: str) -> str:
    """Return a URL without what may be secret in it: its user and its query; raises `FeedError` if it is none."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise FeedError(f"the URL is none ({error})") from None
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"


def _request(url: str) -> urllib.request.Request:
    """Return what asks for a URL; its user and password go into a header, which no redirection takes elsewhere."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    headers = {"User-Agent": "marginwatch", "Cache-Control": "no-cache"}
    request = urllib.request.Request(parts._replace(netloc=host).geturl(), headers=headers)
    if user:
        proof = base64.b64encode(unquote(user).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {proof}")
    return request


def download(url: str, *, timeout_s: float = _TIMEOUT_S, longest_s: float = _LONGEST_S) -> bytes:
    """Return what a URL holds.

    Parameters
    ----------
    timeout_s : how long the server may be silent.
    longest_s : how long all of it may take.

    Raises
    ------
    FeedError : if it does not answer in time, answers with an error, or with too much.
    """
    if not shown(url).startswith(("http://", "https://")):
        raise FeedError(f"{shown(url)}: the URL must begin with http:// or https://")
    deadline = time.monotonic() + longest_s
    content = bytearray()
    try:
        with urllib.request.urlopen(_request(url), timeout=timeout_s) as answer:
            while part := answer.read1(1 << 20):
                content += part
                if len(content) > _MOST_BYTES:
                    raise FeedError(f"{shown(url)} sends more than {_MOST_BYTES:,} bytes")
                if time.monotonic() > deadline:
                    raise FeedError(f"{shown(url)} did not send all within {longest_s:g} s")
            expected = answer.headers.get("Content-Length")
    except urllib.error.HTTPError as error:
        error.close()
        raise FeedError(f"{shown(url)} answered {error.code}") from None  # its text shows the whole URL
    except (ValueError, http.client.InvalidURL) as error:  # its text shows parts of the URL
        raise FeedError(
            f"{shown(url)} can't be asked for ({type(error).__name__}): write what is no ASCII, and spaces, as %XX"
        ) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise FeedError(f"{shown(url)} can't be read ({type(error).__name__}: {reason})") from None
    if expected is not None and len(content) != int(expected):
        raise FeedError(f"{shown(url)} sent {len(content):,} of {expected} bytes")
    return bytes(content)


def _spot(unit: str) -> dict[str, Figure]:
    return {
        "last": Figure("最新价", unit=unit),
        "prev_close": Figure("昨收", unit=unit),
        "volume": Figure("成交量", unit="手"),
        "turnover": Figure("成交额", unit="元"),
    }


def akshare_table(of: Literal["indices", "securities"], indices: Sequence[str]) -> Table:
    """Return how akshare's columns become rows; of indices, those named (their pages tell no exchange)."""
    if of == "securities":
        return Table("prices.intraday", _spot("元"), code=Codes("代码", PLAIN, BY_NUMBER))
    codes = {code.partition(".")[0]: code for code in indices}
    return Table("indices.intraday", _spot("点"), code=Codes("代码", codes=codes))


@dataclass(slots=True)
class AkshareSource:
    """All A shares, or the well-known indices."""

    of: Literal["indices", "securities"]
    indices: Sequence[str]
    clock: Callable[[], float] = time.time
    akshare: Any = None

    def read(self) -> Reading:
        if self.akshare is None:
            self.akshare = load_akshare()
        name = "stock_zh_a_spot_em" if self.of == "securities" else "stock_zh_index_spot_em"
        arguments = {} if self.of == "securities" else {"symbol": "沪深重要指数"}
        try:
            raw = pd.DataFrame(getattr(self.akshare, name)(**arguments))
        except OSError as error:  # what requests raises
            raise FeedError(f"akshare {name}: the page can't be reached ({type(error).__name__})") from error
        except (ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
            raise FeedError(
                f"akshare {name} gave nothing that can be read ({type(error).__name__}: {error}); if that stays so, "
                "the page has changed: pip install --upgrade akshare"
            ) from error
        found = _mapped(raw, [akshare_table(self.of, self.indices)], f"akshare {name}", int(self.clock() * _US))
        return replace(found, unknown=len(raw) - len(found.parts[0][1]))
