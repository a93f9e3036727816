"""A mapping: the description of how the columns of a CSV or parquet file become rows of a topic.

A mapping file is TOML with one ``[[table]]`` for each topic that a kind of file contains. A table of daily figures
names a ``date``, one of the running session (prices.intraday, …) a ``ts``. Units are given, never guessed.
`feeds/market_folder.toml` explains every key, and maps a whole folder.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

import msgspec

from feeds.cells.code_styles import BY_NUMBER, PLAIN, STYLES, exchange_name
from feeds.cells.formulas import names_in
from feeds.cells.units import KINDS, Unit, parse_unit
from feeds.errors import ConfigurationError
from processors.events import INPUT_ROWS, DailyRow, Row
from processors.index_members import columns_of


class DateColumn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The trade date or moment: a column, and the format (``%d.%m.%Y``) of dates unknown to `feeds.cells.dates`."""

    column: str
    format: str | None = None


class SpellColumns(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The first and the last day of a spell of master data; without a last day it lasts until the next one begins.

    Parameters
    ----------
    lists : whether each first day is that of a list of all members: a member leaves with the next list without it.
    """

    start: str
    end: str | None = None
    lists: bool = False


class CodeColumn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The security: a column in one of `STYLES`, or a translation of its values (rows of other values are left out).

    Parameters
    ----------
    style : None for any style.
    name : column of the security's name (证券简称): no figure, but it shows whether codes and rows belong together.
    """

    column: str
    style: str | None = None
    exchange: str | None = None
    exchange_column: str | None = None
    codes: dict[str, str] | None = None
    name: str | None = None


class Figure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One figure: a column, a formula or a constant, in a unit.

    Parameters
    ----------
    where : a formula; the figure is absent in rows for which it is false.
    decimals, decimals_of_funds : the number of decimal places to round to.
    words : the file's word → the word of the topic; ``otherwise`` for all other words; "shenwan" for industry codes.
    matches : for a flag: a regular expression that the cells of the column match where it is true.
    """

    column: str | None = None
    formula: str | None = None
    value: float | None = None
    unit: str | None = None
    where: str | None = None
    decimals: int | None = None
    decimals_of_funds: int | None = None
    words: dict[str, str] | Literal["shenwan"] | None = None
    matches: str | None = None
    otherwise: str | None = None


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a kind of file becomes rows of one topic.

    Parameters
    ----------
    files : a pattern of file names, ``margin_detail_sse_*``.
    date : None with ``undated``: the rows (of reference) are valid from the first date of all files on.
    spell : in place of a date, for ``reference``: the days on which its figures hold, see `feeds.files.spells`.
    members_of : for ``reference``: the column of the index whose member a row names, see `feeds.files.index_codes`.
    fallback : rows of securities of which another table of the topic has any row on days within its first and last one
        are left out.
    ts : of rows of the running session: the moment of the figures, in Shanghai's time unless the format has ``%z``. A
        format without a date means the day on which the file was written. Without ``ts``, the moment of writing counts.
    code : for topics keyed by a security or an index.
    exchange, exchange_column : for topics keyed by an exchange.
    tenor : for ``rates.daily``.
    market : for ``margin.collateral``.
    rows : a formula; only rows for which it is true are used.
    only : ``securities`` or ``indices`` of a table with both, by code range.
    """

    topic: str
    columns: dict[str, Figure] = {}
    files: str = "*"
    date: DateColumn | None = None
    undated: bool = False
    spell: SpellColumns | None = None
    members_of: str | None = None
    fallback: bool = False
    code: CodeColumn | None = None
    exchange: str | None = None
    exchange_column: str | None = None
    tenor: str | None = None
    market: str | None = None
    rows: str | None = None
    only: Literal["securities", "indices"] | None = None
    ts: DateColumn | None = None


class Mapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The tables of a mapping file."""

    table: list[Table]


def load(path: Path, kind: type[Row] = DailyRow) -> Mapping:
    """Read and check a mapping file.

    Parameters
    ----------
    kind : the kind of rows that its tables may become: `DailyRow` or `IntradayRow`.

    Raises
    ------
    ConfigurationError : with the table and the key that is wrong.
    """
    try:
        mapping = msgspec.toml.decode(path.read_bytes(), type=Mapping)
    except OSError as error:
        raise ConfigurationError(f"{path}: the mapping file can't be read: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: {error}; see deploy/mapping.example.toml") from error
    for number, table in enumerate(mapping.table, start=1):
        check(table, f"{path}, table {number} ({table.files} → {table.topic})", kind)
    return mapping


def check(table: Table, where: str, kind: type[Row] = DailyRow) -> None:
    """Check that a table can be applied to a file.

    Raises
    ------
    ConfigurationError : for an unknown topic or figure, a missing key, or a missing unit.
    """
    row = INPUT_ROWS.get(table.topic)
    if row is None or not issubclass(row, kind):
        fitting = [topic for topic, one in INPUT_ROWS.items() if issubclass(one, kind)]
        raise ConfigurationError(f"{where}: topic {table.topic!r} is not known; expected one of {', '.join(fitting)}")
    if not issubclass(row, DailyRow):
        if table.date is not None or table.undated:
            raise ConfigurationError(f"{where}: rows of the running session have no date but `ts = {{ column = … }}`")
    elif sum((table.date is not None, table.undated, table.spell is not None)) != 1 or table.ts is not None:
        raise ConfigurationError(
            f"{where}: give one of `date = {{ column = … }}`, `spell = {{ start = … }}`, `undated = true`, and no `ts`"
        )
    if (table.undated or table.spell is not None) and table.topic != "reference":
        raise ConfigurationError(
            f"{where}: figures of {table.topic} belong to a trade date: give `date = {{ column = … }}`; only rows of "
            "reference may be undated or have a spell"
        )
    if table.spell is not None and table.spell.lists and (table.spell.end is not None or table.members_of is None):
        raise ConfigurationError(f"{where}: `lists` belongs to a spell with `members_of`, and without an `end`")
    if (table.members_of is not None and table.topic != "reference") or not (table.columns or table.members_of):
        raise ConfigurationError(f"{where}: give `[table.columns]`, or `members_of` for rows of reference")
    given = {
        "code": table.code is not None,
        "exchange": table.exchange is not None or table.exchange_column is not None,
        "tenor": table.tenor is not None,
        "market": table.market is not None,
    }
    if not given[row.key_field]:
        raise ConfigurationError(
            f"{where}: rows of {table.topic} are keyed by {row.key_field}: add the key `{row.key_field}`"
        )
    if table.code is not None:
        _check_codes(table.code, table.topic, where)
    further = table.columns if table.topic == "reference" else ()
    known = {column.name: column for column in columns_of(table.topic, further)}
    for name, figure in table.columns.items():
        here = f"{where}, {name}"
        if name not in known:
            raise ConfigurationError(f"{here}: {table.topic} has no such figure; it has {', '.join(known)}")
        if sum(given is not None for given in (figure.column, figure.formula, figure.value)) != 1:
            raise ConfigurationError(f"{here}: give one of `column`, `formula` and `value`")
        if figure.matches is not None and (not known[name].flag or figure.column is None):
            raise ConfigurationError(f"{here}: `matches` belongs to a flag with a `column`")
        if figure.words == "shenwan" and name != "industry":
            raise ConfigurationError(f'{here}: `words = "shenwan"` belongs to the industry')
        unit_of(name, figure, here)


def _check_codes(code: CodeColumn, topic: str, where: str) -> None:
    if code.codes is not None or code.style is None:
        return
    if code.style not in STYLES:
        raise ConfigurationError(
            f"{where}: code style {code.style!r} is not known; expected one of {', '.join(STYLES)}"
        )
    if code.style != PLAIN:
        return
    if (code.exchange is None) == (code.exchange_column is None):
        raise ConfigurationError(f"{where}: codes like {PLAIN} need `exchange` or `exchange_column`")
    if code.exchange == BY_NUMBER and topic.startswith("indices."):
        raise ConfigurationError(
            f"{where}: the number of an index does not name its exchange (000001 is also a stock): name the exchange"
        )
    if code.exchange not in (None, BY_NUMBER):
        exchange_name(code.exchange, where)


def unit_of(name: str, figure: Figure, where: str) -> Unit | None:
    """Return the unit of a figure, None for words and flags; raises `InputError` for a unit that does not fit."""
    kind = KINDS.get(name)
    if kind is None:
        if figure.unit is not None:
            raise ConfigurationError(f"{where}: a word or a flag has no unit: leave `unit` out")
        return None
    return parse_unit(figure.unit, kind, where)


def tables_of(mapping: Mapping, file: str) -> list[Table]:
    """Return the tables whose pattern fits the name of a file, in any case."""
    return [table for table in mapping.table if fnmatchcase(file.lower(), table.files.lower())]


def every_column(table: Table) -> set[str]:
    """Return every column of a file that a table reads."""
    given = [one.column for one in table.columns.values()]
    formulas = [table.rows, *(text for one in table.columns.values() for text in (one.formula, one.where))]
    named = {name for text in formulas if text is not None for name in names_in(text)}
    return named | set(columns_used(table)) | {name for name in given if name is not None}


def columns_used(table: Table) -> list[str]:
    """Return the columns by which the header of a file is found: codes, dates, exchanges."""
    code = (table.code.column, table.code.exchange_column) if table.code is not None else ()
    when = [one.column for one in (table.date, table.ts) if one is not None]
    if table.spell is not None:
        when += [name for name in (table.spell.start, table.spell.end) if name is not None]
    return [name for name in (*code, *when, table.exchange_column, table.members_of) if name is not None]
