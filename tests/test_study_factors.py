"""Files of factor returns: every usual form is read, and figures that can't be daily returns are refused."""

from __future__ import annotations

import gzip
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from processors.days import to_date, to_day
from processors.studies.panel import FACTORS, Panel
from streams.calendars import xshg
from streams.studies.factors import FactorsError, beside_market, read_factors
from tests.test_portfolios import made_panel

CALENDAR = xshg()
DAYS = CALENDAR.between(to_day(date(2019, 1, 2)), to_day(date(2020, 6, 30)))
RNG = np.random.default_rng(4)
MARKET = RNG.normal(0, 0.012, len(DAYS))
SIZE = RNG.normal(0, 0.005, len(DAYS))


def factors(**columns: Any) -> pd.DataFrame:
    """A year and a half of returns that go with each other on each day, as those of markets do."""
    rng = np.random.default_rng(5)

    def other(market: float, size: float) -> np.ndarray:
        return market * MARKET + size * SIZE + rng.normal(0, 0.003, len(DAYS))

    made = {"MKT": MARKET, "SMB": SIZE, "HML": other(0.1, -0.4), "RMW": other(-0.2, -0.6), "CMA": other(-0.1, 0.4)}
    dates = [to_date(day).isoformat() for day in DAYS.tolist()]
    return pd.DataFrame({"date": dates} | {name: np.round(values, 6) for name, values in made.items()} | columns)


def saved(folder: Path, content: bytes | pd.DataFrame, name: str = "f.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.to_csv(index=False).encode())
    return path


def text(frame: pd.DataFrame, **options: Any) -> str:
    return str(frame.to_csv(index=False, **options))


PLAIN = factors()
FORMS = {
    "utf-8 with a mark": text(PLAIN).encode("utf-8-sig"),
    "utf-16": text(PLAIN).encode("utf-16"),
    "gb18030": text(PLAIN.rename(columns={"date": "日期"})).encode("gb18030"),
    "semicolons": text(PLAIN, sep=";").encode(),
    "quoted": text(PLAIN, quoting=1).encode(),
    "returns and line feeds": text(PLAIN).replace("\n", "\r\n").encode(),
    "packed": gzip.compress(text(PLAIN).encode()),
    "numbers for dates": text(PLAIN.assign(date=PLAIN["date"].str.replace("-", ""))).encode(),
    "slashes": text(PLAIN.assign(date=PLAIN["date"].str.replace("-0", "/").str.replace("-", "/"))).encode(),
    "any order": text(PLAIN.sample(frac=1, random_state=1)).encode(),
    "per cent signs": text(PLAIN.assign(HML=(PLAIN["HML"] * 100).map("{:.4f}%".format))).encode(),
    "names of the folder": text(PLAIN.rename(columns={"date": "dt", "MKT": "mkt_rf", "SMB": "smb"})).encode(),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_factors_are_read_in_each_usual_form(tmp_path: Path, form: str) -> None:
    found = read_factors(saved(tmp_path, FORMS[form]), CALENDAR)
    assert found.index.strftime("%Y-%m-%d").tolist() == PLAIN["date"].tolist()
    np.testing.assert_allclose(found.to_numpy(), PLAIN[list(FACTORS)].to_numpy(), atol=1e-9)


@pytest.mark.parametrize("kind", ["date", "UTC", "float32", "text", "xlsx"])
def test_factors_of_parquet_and_workbooks(tmp_path: Path, kind: str) -> None:
    dates, path = pd.to_datetime(PLAIN["date"]), tmp_path / "f.parquet"
    if kind == "date":
        PLAIN.assign(date=dates.dt.date).to_parquet(path)
    elif kind == "UTC":  # midnight in Shanghai
        PLAIN.assign(date=dates.dt.tz_localize("Asia/Shanghai").dt.tz_convert("UTC")).to_parquet(path)
    elif kind == "float32":
        PLAIN.astype(dict.fromkeys(FACTORS, np.float32)).to_parquet(path)
    elif kind == "text":
        PLAIN.astype(str).to_parquet(path)
    else:
        path = tmp_path / "f.xlsx"
        PLAIN.assign(date=dates).to_excel(path, index=False)
    found = read_factors(path, CALENDAR)
    assert found.index.strftime("%Y-%m-%d").tolist() == PLAIN["date"].tolist()
    np.testing.assert_allclose(found.to_numpy(), PLAIN[list(FACTORS)].to_numpy(), atol=1e-7)


def cell(name: str, place: int, value: object) -> pd.DataFrame:
    values = PLAIN[name].astype(object).tolist()
    values[place] = value
    return factors(**{name: values})


def part(name: str, factor: float, rows: slice) -> pd.DataFrame:
    values = PLAIN[name].copy()
    values.iloc[rows] *= factor
    return factors(**{name: values})


TWICE = pd.concat([PLAIN, PLAIN.iloc[-1:] * 1])
DAMAGES = {
    "a column lacks": (PLAIN.drop(columns="RMW"), "lacks RMW: a date and MKT"),
    "no row": (PLAIN.iloc[:0], "has no row"),
    "a word": (cell("HML", 7, "x"), "row 9: 'x' is no number"),
    "nothing": (cell("HML", 7, None), "row 9: HML is absent"),
    "a dash": (cell("HML", 7, "--"), "row 9: HML is absent"),
    "None": (cell("HML", 7, "None"), "row 9: HML is absent"),
    "infinity": (cell("HML", 7, np.inf), "row 9: 'inf' is no number"),
    "a day twice": (TWICE, "2020-06-30 has a row already"),
    "a mean below": (text(PLAIN).encode() + b"mean,0.01,0.01,0.01,0.01,0.01\n", "date 'mean' is ambiguous"),
    "days that are none of sessions": (PLAIN.assign(date=["2019-01-05", *PLAIN["date"][1:]]), "-05 is no session"),
    "weeks": (PLAIN.iloc[::5], r"lacks \d+ sessions, the first 2019-01-03"),
    "a day lacks": (PLAIN.drop(index=50), "lacks 1 sessions"),
    "serial numbers of Excel": (PLAIN.assign(date=43000 + np.arange(len(DAYS))), "date '43000' is ambiguous"),
    "decimal commas": (text(PLAIN, sep=";", decimal=",").encode(), "is no number"),
    "per cent": (PLAIN.assign(**{name: PLAIN[name] * 100 for name in FACTORS}), "these look like per cent"),
    "one column in per cent": (part("CMA", 100, slice(None)), "CMA is .* these look like per cent"),
    "a column ten times too large": (part("CMA", 10, slice(None)), "CMA (is|has a median)"),
    "a column ten times too small": (part("SMB", 0.1, slice(None)), "SMB has a median of .* expected 0.0008 to 0.02"),
    "half a year ten times too small": (part("RMW", 0.1, slice(0, 125)), "RMW has a median .* first half of 2019"),
    "levels": (PLAIN.assign(MKT=(1 + PLAIN["MKT"]).cumprod()), "MKT is .* on "),
    "one figure": (factors(CMA=0.002), "CMA is the same in"),
    "zeros": (factors(CMA=0.0), "CMA has a median of 0"),
    "a column twice": (factors(CMA=PLAIN["SMB"]), "SMB and CMA are equal in most rows"),
    "a column of the day before": (factors(HML=np.roll(PLAIN["HML"], 1)), "of 2019 goes with the other factors"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_factors_that_can_not_be_daily_returns_are_refused(tmp_path: Path, damage: str) -> None:
    content, reason = DAMAGES[damage]
    with pytest.raises(FactorsError, match=reason):
        read_factors(saved(tmp_path, content), CALENDAR)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("f.csv", b"", "f.csv is empty"),
        ("f.parquet", b"no parquet", "f.parquet"),
        ("f.xlsx", b"PK\x03\x04", "f.xlsx is a damaged workbook"),
        ("g.csv", None, "g.csv can't be read: No such file"),
    ],
)
def test_a_factor_file_that_can_not_be_read_is_an_error_that_names_it(
    name: str, content: bytes | None, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(FactorsError, match=reason):
        read_factors(path, CALENDAR)


def panel(moves: np.ndarray) -> Panel:
    return replace(made_panel(), days=DAYS, closes={"000001.SH": 3000 * np.cumprod(1 + moves)})


MOVES = MARKET / 1.1 + np.random.default_rng(6).normal(0, 0.002, len(DAYS))


def test_mkt_goes_with_the_index_of_shanghai(tmp_path: Path) -> None:
    read = read_factors(saved(tmp_path, PLAIN), CALENDAR)
    beside_market(read, panel(MOVES))
    beside_market(read, replace(made_panel(), closes={}))


@pytest.mark.parametrize(
    ("mkt", "reason"),
    [
        (np.roll(MARKET, 1), "correlation of .* in 2019"),
        (np.where(np.arange(len(DAYS)) < 250, MARKET, np.roll(MARKET, 1)), "correlation of .* in 2020"),
        (-MARKET, "correlation of -"),
        (SIZE, "correlation of"),
        (MARKET * 2.5, "MKT moves 2.[5-9] times as much as 000001.SH in 2019"),
        (np.where(np.arange(len(DAYS)) == 200, 0.08, MARKET), "MKT is 0.08 on 2019-"),
    ],
)
def test_mkt_that_does_not_go_with_the_index_is_an_error(mkt: np.ndarray, reason: str) -> None:
    frame = pd.DataFrame(dict.fromkeys(FACTORS, mkt), pd.DatetimeIndex(DAYS.astype("datetime64[D]")))
    with pytest.raises(FactorsError, match=reason):
        beside_market(frame, panel(MOVES))
