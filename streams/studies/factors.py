"""Daily returns of the five factors: reading their file, and whether they can be returns of this market.

A file has a row for each session from its first to its last, with a date and the returns as fractions. In 2010–2021 the
largest return of a day was 0.095 (MKT), the medians of a year were 0.005 to 0.016 (MKT) and 0.002 to 0.011 (others).
Factors of a day go with each other, and MKT with the index of Shanghai (correlation 0.96, 1.1 times its moves, at most
0.02 off on a day): a column, or a file, that is shifted by a day goes with those of another one. Nothing shows that two of
SMB, HML, RMW and CMA have changed places, or their signs.
"""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from feeds.cells.dates import parse_days
from feeds.cells.units import UNITS, parse_numbers
from feeds.errors import InputError
from feeds.files import vendor
from processors.arrays import Days, Floats
from processors.block import TURNOVER_INDEX
from processors.codes import to_code
from processors.days import TradingCalendar, to_date
from processors.errors import MarginwatchError
from processors.studies.panel import FACTORS, Panel

#: Names of the columns in files that have others.
_COLUMNS = {"dt": "date", "日期": "date", "mkt_rf": "MKT", "smb": "SMB", "hml": "HML", "rmw": "RMW", "cma": "CMA"}
#: The largest return of a day, and the least and largest median of a half-year (of so many rows) of MKT and of others.
_LARGEST, _ROWS = 0.12, 40
_MEDIANS = {"MKT": (0.0012, 0.045)}
_OF_OTHERS = (0.0008, 0.02)
#: The same figure in this share of the rows, or of two columns, is none of a market.
_SHARE = 0.5
#: So many rows of a year show with which day a factor goes.
_YEAR = 200
#: Correlation and slope of MKT beside the index in a year of so many days, and how far both were never apart on one.
_CORRELATION, _SLOPE, _DAYS, _FAR = 0.5, (0.5, 2.0), 60, 0.04
_INDEX = to_code(TURNOVER_INDEX["SSE"])


class FactorsError(MarginwatchError):
    """A file of factors can't be used; the message names cause and remedy."""


def read_factors(path: Path, calendar: TradingCalendar) -> pd.DataFrame:
    """Read the returns of the five factors by date (CSV, workbook, parquet).

    Raises
    ------
    FactorsError : if the file can't be read, lacks a column, a session or a figure, or its figures are no daily returns.
    """
    try:
        raw = vendor.load(path)
    except InputError as error:
        raise FactorsError(
            f"{error}; expected is a CSV, a workbook or a parquet file with a date (2024-06-03) and the returns "
            f"{', '.join(FACTORS)} as fractions in each row"
        ) from error
    names = {name: _COLUMNS.get(name.lower(), name) for name in map(str, raw.columns)}
    raw = raw.rename(columns={name: to for name, to in names.items() if to not in raw})
    if lacking := [name for name in ("date", *FACTORS) if name not in raw]:
        raise FactorsError(f"{path} lacks {', '.join(lacking)}: a date and {', '.join(FACTORS)} are needed")
    if not len(raw):
        raise FactorsError(f"{path} has no row: export it again")
    days, reasons = parse_days(raw["date"])
    _require_read(path, raw, reasons)
    figures = {}
    for name in FACTORS:
        figures[name], reasons = parse_numbers(raw[name], UNITS["fraction"])
        absent = np.flatnonzero(~np.isfinite(figures[name])).tolist()
        _require_read(path, raw, dict.fromkeys(absent, f"{name} is absent: fill in the cell") | reasons)
    _require_sessions(path, raw, days, calendar)
    out = pd.DataFrame(figures, index=pd.DatetimeIndex(days.astype("datetime64[D]"), name="date")).sort_index()
    for check in (_sizes, _placeholders, _shifted):
        if problem := check(out):
            raise FactorsError(f"{path}: {problem}")
    return out


def beside_market(factors: pd.DataFrame, panel: Panel) -> None:
    """Raise `FactorsError` if MKT does not go with the index of Shanghai on the same days, or in its size."""
    if _INDEX not in panel.closes:
        return
    closes = pd.Series(panel.closes[_INDEX], pd.DatetimeIndex(panel.days.astype("datetime64[D]")))
    both = pd.DataFrame({"MKT": factors["MKT"], "index": closes / closes.shift() - 1}).dropna()
    far = (both["MKT"] - both["index"]).abs()
    years = pd.DatetimeIndex(both.index).year
    for year in np.unique(years).tolist():
        market, index = both["MKT"][years == year], both["index"][years == year]
        if len(market) < _DAYS:
            continue
        same, slope = float(market.corr(index)), float(market.std() / index.std())
        if not same >= max(_CORRELATION, *(abs(float(market.corr(index.shift(by)))) for by in (-1, 1))):
            raise FactorsError(
                f"the returns of MKT and of {_INDEX} have a correlation of {same:.2f} in {year}, expected "
                f"{_CORRELATION:g} at least, and less with those of the day before: check the dates, the sign and the "
                "order of the columns of the factors"
            )
        if not _SLOPE[0] <= slope <= _SLOPE[1]:
            raise FactorsError(f"MKT moves {slope:.2g} times as much as {_INDEX} in {year}: check its unit")
    if len(far) and float(far.max()) > _FAR:
        place = int(np.argmax(far))
        raise FactorsError(
            f"MKT is {both['MKT'].iloc[place]:.6g} on {both.index[place]:%Y-%m-%d}, and {_INDEX} moved by "
            f"{both['index'].iloc[place]:.4f}: check the digits and the sign of the cell"
        )


def _require_read(path: Path, raw: pd.DataFrame, reasons: dict[int, str]) -> None:
    if reasons:
        place = min(reasons)
        more = f" (and {len(reasons) - 1:,} more rows)" if len(reasons) > 1 else ""
        raise FactorsError(f"{path}, row {raw.index[place]}: {reasons[place]}{more}")


def _require_sessions(path: Path, raw: pd.DataFrame, days: Days, calendar: TradingCalendar) -> None:
    twice = pd.Series(days).duplicated().to_numpy()
    others = ~calendar.contains(days)
    for wrong, words in ((twice, "has a row already"), (others, "is no session")):
        if wrong.any():
            place = int(np.argmax(wrong))
            more = f" ({wrong.sum():,} such rows)" if wrong.sum() > 1 else ""
            raise FactorsError(
                f"{path}, row {raw.index[place]}: {to_date(int(days[place]))} {words}{more}: check the dates, and "
                "give one row for each session"
            )
    lacking = np.setdiff1d(calendar.between(int(days.min()), int(days.max())), days)
    if len(lacking):
        raise FactorsError(
            f"{path} lacks {len(lacking):,} sessions, the first {to_date(int(lacking[0]))}: weeks are compounded of all "
            "of their days; give daily returns without gaps"
        )


def _sizes(factors: pd.DataFrame) -> str:
    """Return which figures can't be daily returns as fractions; empty if all can."""
    dates = pd.DatetimeIndex(factors.index)
    halves = np.asarray(2 * dates.year + (dates.month > 6))
    for name in FACTORS:
        values = factors[name].to_numpy(np.float64)
        place = int(np.argmax(np.abs(values)))
        if abs(values[place]) > _LARGEST:
            return (
                f"{name} is {values[place]:.6g} on {dates[place]:%Y-%m-%d}: returns must be fractions (0.012), these "
                "look like per cent, or a digit is wrong"
            )
        least, most = _MEDIANS.get(name, _OF_OTHERS)
        for half in np.unique(halves).tolist():
            of_half = np.abs(values[halves == half])
            middle = float(np.median(of_half))
            if len(of_half) >= _ROWS and not least <= middle <= most:
                return (
                    f"{name} has a median of {middle:.2g} in the {'second' if half % 2 else 'first'} half of "
                    f"{half // 2}, expected {least:g} to {most:g}: returns must be fractions (0.012) of a day"
                )
    return ""


def _placeholders(factors: pd.DataFrame) -> str:
    """Return which column has one figure in most rows, or those of another one; empty for none."""
    if len(factors) < _ROWS:
        return ""
    for name in FACTORS:
        count = int(factors[name].value_counts().iloc[0])
        if count > _SHARE * len(factors):
            return f"{name} is the same in {count:,} of {len(factors):,} rows: export the file again"
    for one, other in combinations(FACTORS, 2):
        if (factors[one] == factors[other]).mean() > _SHARE:
            return f"{one} and {other} are equal in most rows: a column is exported twice"
    return ""


def _shifted(factors: pd.DataFrame) -> str:
    """Return which factor goes with the others of the day before or after more than with those of its day."""
    years = pd.DatetimeIndex(factors.index).year
    for year in np.unique(years).tolist():
        values = factors[years == year].to_numpy(np.float64)
        if len(values) < _YEAR:
            continue
        for place, name in enumerate(FACTORS):
            own, others = values[:, place], np.delete(values, place, axis=1)
            if max(_explained(own[1:], others[:-1]), _explained(own[:-1], others[1:])) > _explained(own, others):
                return (
                    f"{name} of {year} goes with the other factors of the day before or after more than with those of "
                    "its day: check that no column is shifted"
                )
    return ""


def _explained(values: Floats, others: Floats) -> float:
    """Return the share of the variance of values (n,) that others (n, k) explain."""
    beside = np.column_stack([np.ones(len(others)), others])
    rest = values - beside @ np.linalg.lstsq(beside, values, rcond=None)[0]
    return 1 - float(rest.var() / values.var())
