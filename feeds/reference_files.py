"""The security master (证券主数据): what each security is from a date on, out of a CSV, parquet or xlsx file.

One row is one security from its effective date on, and it replaces *all* of the row before: a file must say everything
that is known of a security. Headers may be English or Chinese (`HEADERS`). A name is text, which no fold needs: it
travels in JSON events only, and the loader keeps the newest one of each security in Redis (``<namespace>:names``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import date
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from feeds.code_styles import BY_NUMBER, STYLES, to_own
from feeds.dataset import SourceTable, SourceTables
from feeds.folder import FeedError
from feeds.vendor import load as load_table
from processors.codes import to_id
from processors.days import TradingCalendar, to_date, to_day
from processors.industries import INDUSTRIES
from streams.clients import redis_client
from streams.settings import Settings

TOPIC = "reference"
SUFFIXES = (".csv", ".parquet", ".xlsx")
#: What a column is → how files name it.
HEADERS: dict[str, tuple[str, ...]] = {
    "code": ("code", "ts_code", "证券代码", "股票代码", "代码"),
    "name": ("name", "证券简称", "证券名称", "股票简称", "股票名称", "名称", "简称"),
    "industry": ("industry", "sw_l1", "申万一级行业", "申万一级", "所属行业", "行业"),
    "csi300": ("csi300", "沪深300", "沪深300成份"),
    "csi500": ("csi500", "中证500", "中证500成份"),
    "eligible_from": ("eligible_from", "标的起始日期", "纳入日期", "调入日期"),
    "eligible_to": ("eligible_to", "标的截止日期", "剔除日期", "调出日期"),
    "float_shares": ("float_shares", "流通股本(股)", "流通股(股)", "流通股本（股）"),
    "effective_date": ("effective_date", "trade_date", "date", "生效日期"),
}
_YES, _NO = {"1", "1.0", "true", "yes", "y", "是", "t"}, {"0", "0.0", "false", "no", "n", "否", "f"}
_NOTHING = {"", "nan", "nat", "none", "<na>", "-", "--"}


def read(
    paths: Iterable[Path], calendar: TradingCalendar, effective: date | None = None
) -> tuple[SourceTables, dict[str, str]]:
    """Read files; return their rows, and the newest name of each security.

    Parameters
    ----------
    effective : the effective date of files that have no such column. A date without a session moves to the next one.

    Raises
    ------
    FeedError : naming file, row and column of what can't be understood; nothing is guessed.
    """
    out = SourceTables()
    names: dict[str, tuple[int, str]] = {}
    for path in paths:
        frame, texts = _read(path, calendar, effective)
        out.parts.append(SourceTable(TOPIC, path.name, frame))
        for code, (day, name) in texts.items():
            if name and day >= names.get(code, (day, ""))[0]:
                names[code] = day, name
    return out, {code: name for code, (_, name) in names.items()}


def keep_names(settings: Settings, names: dict[str, str]) -> None:
    """Write names to Redis, for commands and the console."""
    if names:
        with redis_client(settings) as redis:
            redis.hset(names_key(settings), mapping=dict(names))  # stubs want a wider type


def names_key(settings: Settings) -> str:
    """Where names are kept: code → name."""
    return f"{settings.namespace}:names"


def _read(
    path: Path, calendar: TradingCalendar, effective: date | None
) -> tuple[pd.DataFrame, dict[str, tuple[int, str]]]:
    raw = _load(path)
    columns = _columns(path, raw)
    if "code" not in columns:
        raise FeedError(f"{path.name} has no column of codes: expected one of {', '.join(HEADERS['code'])}")
    if "effective_date" not in columns and effective is None:
        raise FeedError(
            f"{path.name} does not say from when on it holds: add a column effective_date, or give --date "
            "(history needs the dates at which memberships changed; one snapshot holds from its date on)"
        )
    size = len(raw)
    if not size:
        raise FeedError(f"{path.name} holds no row")

    def parsed(name: str, parse: Callable[[str], Any]) -> list[Any]:
        if name not in columns:
            return [np.nan] * size
        out = []
        for row, cell in enumerate(raw[columns[name]].tolist()):
            text = "" if _is_nothing(cell) else str(cell).strip()
            try:
                out.append(parse(text))
            except (ValueError, FeedError) as error:
                raise FeedError(f"{path.name}, row {row + 1}, {columns[name]}: {error}") from error
        return out

    codes = parsed("code", _code)
    if "effective_date" in columns:
        days = parsed("effective_date", lambda text: _session(_required_day(text), calendar))
    else:
        days = [_session(to_day(effective), calendar) if effective is not None else 0] * size
    frame = pd.DataFrame(
        {
            "day": np.array(days, np.int32),
            "key": np.array([to_id(code) for code in codes], np.int32),
            "industry": parsed("industry", _industry),
            "csi300": parsed("csi300", _flag),
            "csi500": parsed("csi500", _flag),
            "eligible_from": parsed("eligible_from", _day),
            "eligible_to": parsed("eligible_to", _day),
            "float_shares": parsed("float_shares", _shares),
        }
    )
    figures = [name for name in frame.columns if name not in ("day", "key")]
    frame = frame.astype(dict.fromkeys(figures, np.float64))
    turned = frame["eligible_to"] < frame["eligible_from"]
    if turned.any():
        row = int(np.argmax(turned.to_numpy()))
        raise FeedError(f"{path.name}, row {row + 1}: {codes[row]} leaves the list before it comes in")
    names = parsed("name", str) if "name" in columns else [""] * size
    frame["name"] = names
    texts: dict[str, tuple[int, str]] = {}
    for code, day, name in zip(codes, days, names, strict=True):
        if day >= texts.get(code, (day, ""))[0]:
            texts[code] = day, name
    return frame, texts


def _load(path: Path) -> pd.DataFrame:
    if not path.is_file() or path.suffix.lower() not in SUFFIXES:
        raise FeedError(f"{path} is no file that can be read: give {', '.join(SUFFIXES)}")
    if path.suffix.lower() != ".xlsx":
        return load_table(path)
    try:
        return pd.read_excel(path, dtype=object, engine="openpyxl")
    except ImportError as error:
        raise FeedError(f"{path.name}: openpyxl is needed: pip install 'marginwatch[excel]'") from error
    except (ValueError, OSError, KeyError, BadZipFile) as error:
        raise FeedError(f"{path.name} is a damaged workbook ({error})") from error


def _columns(path: Path, raw: pd.DataFrame) -> dict[str, str]:
    """Figure → header; a header that nobody knows is refused, for it may be a misspelt one."""
    found: dict[str, str] = {}
    for header in map(str, raw.columns):
        name = next((n for n, known in HEADERS.items() if header.strip().lower() in known), None)
        if name is None or name in found:
            known = ", ".join(f"{n} ({', '.join(h[1:])})" for n, h in HEADERS.items())
            said = "is not known" if name is None else f"says {name} a second time"
            raise FeedError(f"{path.name}: column {header!r} {said}; known are {known}")
        found[name] = header
    return found


def _is_nothing(cell: object) -> bool:
    return cell is None or cell != cell or str(cell).strip().lower() in _NOTHING


def _code(text: str) -> str:
    for style in STYLES:
        try:
            return to_own(text, style, BY_NUMBER)
        except FeedError:
            continue
    raise FeedError(f"{text!r} is no code such as 600519.SH, sh.600519 or 600519")


def _industry(text: str) -> float:
    if not text:
        return np.nan
    if text not in INDUSTRIES:
        raise ValueError(f"{text!r} is no industry of Shenwan's level 1 (2021): {', '.join(INDUSTRIES)}")
    return float(INDUSTRIES.index(text))


def _flag(text: str) -> float:
    if text.lower() in _YES | _NO or not text:
        return float(text.lower() in _YES)
    raise ValueError(f"{text!r} is neither yes (1, true, 是) nor no (0, false, 否)")


def _day(text: str) -> float:
    return np.nan if not text else float(_required_day(text))


def _required_day(text: str) -> int:
    plain = text.removesuffix(".0").split(" ")[0].split("T")[0].replace("/", "-").replace(".", "-")
    try:
        return to_day(date.fromisoformat(plain))
    except ValueError:
        raise ValueError(f"{text!r} is no date such as 2024-06-11 or 20240611") from None


def _session(day: int, calendar: TradingCalendar) -> int:
    later = calendar.between(day, calendar.last)
    if not len(later):
        raise ValueError(
            f"{to_date(day)} lies behind the end of the trading calendar, see `marginwatch calendar check`"
        )
    return int(later[0])


def _shares(text: str) -> float:
    if not text:
        return np.nan
    value = float(text.replace(",", ""))
    if not 0 <= value < np.inf:
        raise ValueError(f"{text!r} is no number of shares")
    return value
