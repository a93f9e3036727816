"""The security master (证券主数据) from a CSV, workbook or parquet file: what each security is from a date on.

A row describes one security from its effective date on, and replaces *all* of the row before: a file must contain
everything that is known of a security. Headers may be English or Chinese (`HEADERS`); members of any index are a column
with its code or name (000852.SH, 中证1000), or words in the column ``indices``. A name is text that no indicator
needs: only JSON events contain it, and the command stores the newest name of each security.

A file of spells (memberships, industries, ST) is known by its headers, see `feeds.files.spells` and
`feeds.files.master_data`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from feeds.cells.code_styles import BY_NUMBER, to_own
from feeds.cells.dates import parse_day
from feeds.cells.shenwan import renamed
from feeds.errors import InputError
from feeds.files import vendor
from feeds.files.dataset import SourceTable, SourceTables
from feeds.files.index_codes import index_code, member_column, member_columns
from feeds.files.vendor import load
from feeds.folder import folder_mapping
from feeds.mappings.mapping import Mapping, Table, every_column
from processors.arrays import Floats
from processors.codes import to_id
from processors.days import TradingCalendar, to_date, to_day
from processors.industries import INDUSTRIES
from processors.needs import REFERENCE

#: Attribute → the headers of files, in lower case.
HEADERS: dict[str, tuple[str, ...]] = {
    "code": ("code", "ts_code", "证券代码", "股票代码", "代码"),
    "name": ("name", "证券简称", "证券名称", "股票简称", "股票名称", "名称", "简称"),
    "industry": ("industry", "sw_l1", "申万一级行业", "申万一级", "所属行业", "行业"),
    "csi300": ("csi300", "沪深300", "沪深300成份"),
    "csi500": ("csi500", "中证500", "中证500成份"),
    "chinext_index": ("chinext_index", "创业板指", "创业板指成份"),
    "indices": ("indices", "所属指数", "成份指数", "指数"),
    "eligible_from": ("eligible_from", "标的起始日期", "纳入日期", "调入日期"),
    "eligible_to": ("eligible_to", "标的截止日期", "剔除日期", "调出日期"),
    "st": ("st", "风险警示"),
    "listed": ("listed", "上市"),
    "float_shares": ("float_shares", "流通股本(股)", "流通股(股)", "流通股本（股）"),
    "effective_date": ("effective_date", "trade_date", "date", "生效日期"),
}
_YES, _NO = {"1", "1.0", "true", "yes", "y", "是", "t"}, {"0", "0.0", "false", "no", "n", "否", "f"}
_EMPTY = {"", "nan", "nat", "none", "<na>", "-", "--"}


def read(paths: Iterable[Path], calendar: TradingCalendar, effective: date | None = None) -> SourceTables:
    """Read files; return their rows, with the names.

    Parameters
    ----------
    effective : the effective date of files without such a column. A day without a session moves to the next session.

    Raises
    ------
    InputError : with file, row and column of what can't be read.
    """
    out = SourceTables()
    for path in paths:
        spells = _spells(path)
        if spells:
            out.extend(vendor.read([path], Mapping(spells)))
            continue
        out.tables.append(SourceTable(REFERENCE, path.name, _read(path, calendar, effective)))
    return out


def _spells(path: Path) -> list[Table]:
    """Return the tables of spells that a file has by its headers: memberships, industries, suspensions."""
    headers = set(map(str, load(path).columns)) if path.is_file() else set()
    tables = [one for one in folder_mapping().table if one.spell is not None]
    return [msgspec.structs.replace(one, files="*") for one in tables if every_column(one) <= headers]


def _read(path: Path, calendar: TradingCalendar, effective: date | None) -> pd.DataFrame:
    if not path.is_file():
        raise InputError(f"{path} can't be read: give a CSV, workbook or parquet file")
    raw = load(path)
    columns = _columns(path, raw)
    if "code" not in columns:
        raise InputError(f"{path.name} has no column of codes: expected one of {', '.join(HEADERS['code'])}")
    if "effective_date" not in columns and effective is None:
        raise InputError(
            f"{path.name} has no effective dates: add a column effective_date, or give --date (history needs the dates "
            "at which memberships changed; a snapshot is valid from its date on)"
        )
    size = len(raw)
    if not size:
        raise InputError(f"{path.name} has no row: export it again")

    def parsed(name: str, parse: Callable[[str], Any]) -> list[Any]:
        if name not in columns:
            return [np.nan] * size
        out = []
        for row, cell in raw[columns[name]].items():
            text = "" if _is_empty(cell) else str(cell).strip()
            try:
                out.append(parse(text))
            except (ValueError, InputError) as error:
                raise InputError(f"{path.name}, row {row}, {columns[name]}: {error}") from error
        return out

    codes = parsed("code", _code)
    if "effective_date" in columns:
        days = parsed("effective_date", lambda text: _session(_required_day(text), calendar))
    else:
        days = [_session(to_day(effective), calendar) if effective is not None else 0] * size
    frame = pd.DataFrame(
        {
            "row": raw.index.to_numpy(),
            "day": np.array(days, np.int32),
            "key": np.array([to_id(code) for code in codes], np.int32),
            "industry": parsed("industry", _industry),
            "csi300": parsed("csi300", _flag),
            "csi500": parsed("csi500", _flag),
            "chinext_index": parsed("chinext_index", _flag),
            **{name: parsed(name, _flag) for name in columns if name not in HEADERS},
            "st": parsed("st", _flag),
            "listed": parsed("listed", lambda text: _flag(text or "yes")),
            "eligible_from": parsed("eligible_from", _day),
            "eligible_to": parsed("eligible_to", _day),
            "float_shares": parsed("float_shares", _shares),
        }
    )
    for name, flags in _members(parsed("indices", member_columns) if "indices" in columns else []).items():
        frame[name] = np.maximum(flags, np.nan_to_num(frame[name].to_numpy(np.float64)) if name in frame else 0.0)
    figures = [name for name in frame.columns if name not in ("row", "day", "key")]
    frame = frame.astype(dict.fromkeys(figures, np.float64))
    reversed_ = frame["eligible_to"] < frame["eligible_from"]
    if reversed_.any():
        row = int(np.argmax(reversed_.to_numpy()))
        raise InputError(
            f"{path.name}, row {raw.index[row]}: {codes[row]} leaves the margin list before it joins: correct the dates"
        )
    frame["name"] = parsed("name", str) if "name" in columns else ""
    return frame


def _columns(path: Path, raw: pd.DataFrame) -> dict[str, str]:
    """Return attribute → header; raises `InputError` for an unknown header, which may be misspelt."""
    found: dict[str, str] = {}
    for header in map(str, raw.columns):
        name = next((n for n, known in HEADERS.items() if header.strip().lower() in known), None) or _index_of(header)
        if name is None or name in found:
            known = ", ".join(f"{n} ({', '.join(h[1:])})" for n, h in HEADERS.items())
            problem = "is not known" if name is None else f"is a second column of {name}"
            raise InputError(f"{path.name}: column {header!r} {problem}; known are {known}")
        found[name] = header
    return found


def _index_of(header: str) -> str | None:
    """Return the column of an index whose code or name a header is; None for another header."""
    try:
        return member_column(index_code(header))
    except InputError:
        return None


def _members(cells: list[list[str]]) -> dict[str, Floats]:
    """Return the columns that cells name (n,): 1 where a cell names the index."""
    names = sorted({name for cell in cells for name in cell})
    return {name: np.array([name in cell for cell in cells], dtype=np.float64) for name in names}


def _is_empty(cell: object) -> bool:
    return cell is None or cell != cell or str(cell).strip().lower() in _EMPTY


def _code(text: str) -> str:
    return to_own(text, None, BY_NUMBER)


def _industry(text: str) -> float:
    if not text:
        return np.nan
    name = renamed(text)
    if name not in INDUSTRIES:
        raise ValueError(f"{text!r} is no industry of Shenwan's level 1 (2021): {', '.join(INDUSTRIES)}")
    return float(INDUSTRIES.index(name))


def _flag(text: str) -> float:
    if text.lower() in _YES | _NO or not text:
        return float(text.lower() in _YES)
    raise ValueError(f"{text!r} is neither yes (1, true, 是) nor no (0, false, 否)")


def _day(text: str) -> float:
    return np.nan if not text else float(_required_day(text))


def _required_day(text: str) -> int:
    day = parse_day(text)
    if day is None:
        raise ValueError("there is no date: write it as 2024-06-11")
    return day


def _session(day: int, calendar: TradingCalendar) -> int:
    later = calendar.between(day, calendar.last)
    if not len(later):
        raise ValueError(f"{to_date(day)} lies after the end of the trading calendar, see `marginwatch calendar check`")
    return int(later[0])


def _shares(text: str) -> float:
    if not text:
        return np.nan
    value = float(text.replace(",", ""))
    if not 0 <= value < np.inf:
        raise ValueError(f"{text!r} is no number of shares")
    return value
