"""The sources of market snapshots: akshare, a URL, a file. This module fetches; `mapping` reads the columns.

akshare (optional extra) asks Eastmoney's pages. ``stock_zh_a_spot_em`` gives all A shares, a hundred a page with a
pause after each; ``stock_zh_index_spot_em(symbol="沪深重要指数")`` the well-known indices on one page. Both have 昨收,
最新价, 成交量, 成交额. akshare documents 手 and 元 for shares, and no unit for indices: they are the same fields of the
same pages, and 成交额 / 成交量 of the SSE Composite is a price only in 元 and 手.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import urlsplit

import httpx
import pandas as pd

from feeds.cells.code_styles import BY_NUMBER, PLAIN
from feeds.checks.findings import Severity
from feeds.errors import BusyError, ConfigurationError, InputError
from feeds.files import vendor
from feeds.mappings.mapped_rows import map_rows
from feeds.mappings.mapping import CodeColumn, Figure, Mapping, Table
from feeds.web.akshare_client import load_akshare
from feeds.web.attempts import BrokenAnswerError
from feeds.web.http_answers import answer_to, content_of
from processors.days import shanghai_day

if TYPE_CHECKING:
    from feeds.ports import PageClient

_US = 1_000_000
_TIMEOUT_S, _LONGEST_S, _OK = 10.0, 30.0, 200


@dataclass(frozen=True, slots=True)
class Reading:
    """The content of a source.

    Parameters
    ----------
    tables : topic and rows, as `feeds.mappings.mapped_rows.map_rows` returns them.
    at : the moment of the figures, µs since the epoch, for rows without a ``ts`` of their own.
    unknown : the number of rows that the source left out because their code is unknown.
    refused : the reason of each row that can't be read.
    """

    tables: list[tuple[str, pd.DataFrame]]
    at: int
    unknown: int = 0
    refused: tuple[str, ...] = ()


class Source(Protocol):
    """A source of the newest figures."""

    def read(self) -> Reading:
        """Return the newest figures; raises `InputError` if they can't be read."""


def _mapped(raw: pd.DataFrame, tables: Iterable[Table], name: str, at: int) -> Reading:
    """Return the rows that can be read; raises `InputError` if too many can't."""
    today, found = shanghai_day(at), list[tuple[str, pd.DataFrame]]()
    refused: dict[str, None] = {}  # a row without a readable code is refused by each table
    for table in tables:
        rows = map_rows(table, raw, name, today)
        for one in rows.findings:
            if one.severity is Severity.ERROR:
                raise InputError(one.text)
            if one.severity is Severity.REFUSED:
                refused[one.text.replace(f" → {table.topic}", "")] = None
        found.append((table.topic, rows.frame.drop(columns="row")))
    return Reading(found, at, refused=tuple(refused))


@dataclass(frozen=True, slots=True)
class FileSource:
    """A CSV or parquet file that another program overwrites."""

    path: Path
    mapping: Mapping
    settle_s: float
    clock: Callable[[], float] = time.time

    def read(self) -> Reading:
        try:
            before = self.path.stat()
            if abs(self.clock() - before.st_mtime) < self.settle_s:
                raise BusyError(
                    f"{self.path} is being written; if this repeats, write another file and rename it, or lower "
                    "settle_s"
                )
            raw = vendor.load(self.path, self.mapping.table)
            after = self.path.stat()
        except OSError as error:
            raise InputError(f"{self.path} can't be read: {error.strerror}") from error
        if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
            raise BusyError(f"{self.path} changed while it was read: write another file and rename it")
        return _mapped(raw, self.mapping.table, self.path.name, before.st_mtime_ns // 1000)


@dataclass(frozen=True, slots=True)
class UrlSource:
    """A CSV file over HTTP."""

    url: str = field(repr=False)
    mapping: Mapping
    client: PageClient
    clock: Callable[[], float] = time.time

    def read(self) -> Reading:
        content = download(self.url, self.client)
        at = int(self.clock() * _US)
        name = without_secrets(self.url)
        return _mapped(vendor.parse_csv(content, name, self.mapping.table), self.mapping.table, name, at)


def without_secrets(url: str) -> str:
    """Return a URL without its user and its query, which may be secret; raises `ConfigurationError` for no URL."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise ConfigurationError(f"the URL is invalid ({error}): correct it") from None
    return f"{parts.scheme}://{parts.hostname or ''}{parts.path}"


def download(url: str, client: PageClient, *, timeout_s: float = _TIMEOUT_S, longest_s: float = _LONGEST_S) -> bytes:
    """Return the content of a URL; a redirection to another server does not forward its user.

    Parameters
    ----------
    timeout_s : how long the server may send nothing.
    longest_s : how long the whole content may take.

    Raises
    ------
    InputError : if the server does not answer in time, answers with an error, or sends too much.
    """
    place = without_secrets(url)
    if not place.startswith(("http://", "https://")):
        raise ConfigurationError(f"{place}: the URL must begin with http:// or https://")
    try:
        request = client.build_request("GET", url, headers={"Cache-Control": "no-cache"}, timeout=timeout_s)
    except httpx.InvalidURL:  # its text contains parts of the URL
        raise ConfigurationError(f"{place} can't be requested: correct the URL") from None
    try:
        with answer_to(client, request, redirects=True) as answer:
            if answer.status_code != _OK:
                raise InputError(f"{place} answered {answer.status_code}: check the URL")
            return content_of(answer, place, longest_s=longest_s)
    except BrokenAnswerError as error:
        raise InputError(f"{place} can't be read ({error}): check the network, and the server") from None


def _spot(unit: str) -> dict[str, Figure]:
    return {
        "last": Figure("最新价", unit=unit),
        "prev_close": Figure("昨收", unit=unit),
        "volume": Figure("成交量", unit="手"),
        "turnover": Figure("成交额", unit="元"),
    }


def akshare_table(of: Literal["indices", "securities"], indices: Sequence[str]) -> Table:
    """Return the mapping of akshare's columns; only for the named indices, because their page has no exchange."""
    if of == "securities":
        return Table("prices.intraday", _spot("元"), code=CodeColumn("代码", PLAIN, BY_NUMBER, name="名称"))
    codes = {code.partition(".")[0]: code for code in indices}
    return Table("indices.intraday", _spot("点"), code=CodeColumn("代码", codes=codes))


@dataclass(slots=True)
class AkshareSource:
    """All A shares, or the well-known indices, through akshare."""

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
        except OSError as error:  # the base class of the errors of requests
            raise InputError(
                f"akshare {name}: the page can't be reached ({type(error).__name__}): check the network"
            ) from error
        except (ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
            raise InputError(
                f"akshare {name} gave no readable answer ({type(error).__name__}: {error}); if this repeats, the page "
                "has changed: pip install --upgrade akshare"
            ) from error
        found = _mapped(raw, [akshare_table(self.of, self.indices)], f"akshare {name}", int(self.clock() * _US))
        return replace(found, unknown=len(raw) - len(found.tables[0][1]) - len(found.refused))
