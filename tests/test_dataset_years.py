"""A history of several years is joined year by year, with the result of a join at once, and released year by year."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from feeds.files.dataset import Dataset, SourceTable, gather
from processors.codes import to_id
from processors.days import to_date, to_day
from streams import allocator
from streams.calendars import xshg

A, B = to_id("600001.SH"), to_id("000002.SZ")
DAYS = [to_day(date(year, month, 6)) for year, month in ((2018, 6), (2018, 12), (2019, 12), (2020, 1), (2020, 3))]


def table(topic: str, origin: str = "one", rank: int = 0, days: list[int] | None = None, **figures: Any) -> SourceTable:
    at = np.array(DAYS if days is None else days, dtype=np.int32)
    frame = pd.DataFrame({"row": np.arange(1, len(at) + 1), "day": at, "key": np.full(len(at), A, dtype=np.int32)})
    return SourceTable(topic, origin, frame.assign(**figures), rank)


def joined(*tables: SourceTable) -> Dataset:
    return gather(tables, xshg(), "test")


def test_each_calendar_year_is_a_part_and_all_of_them_are_the_whole() -> None:
    closes = [1.0, 2.0, 3.0, 4.0, 5.0]
    found = joined(table("prices.daily", close=closes), table("rates.daily", days=DAYS[3:], **{"yield": 0.03}))
    assert [{topic: len(rows) for topic, rows in year.items()} for year in found.years] == [
        {"prices.daily": 2}, {"prices.daily": 1}, {"prices.daily": 2, "rates.daily": 2},
    ]  # fmt: skip
    assert found.batches["prices.daily"].figures["close"].tolist() == closes
    assert (found.rows, found.days()) == (7, DAYS)
    assert {topic: rows.days.tolist() for topic, rows in found.newest_rows().items()} == {
        "prices.daily": [DAYS[-1]], "rates.daily": [DAYS[-1]],
    }  # fmt: skip
    assert found.whole("etf.daily") is None


def test_days_are_read_again_unless_each_year_is_released() -> None:
    found = joined(table("prices.daily", close=1.0))
    assert [day for day, _ in found.by_day()] == [day for day, _ in found.by_day()] == DAYS
    left = [(day, len(found.years)) for day, _ in found.by_day(release=True)]
    assert left == list(zip(DAYS, [3, 3, 2, 1, 1], strict=True))
    assert (found.years, found.days()) == ([], [])


def test_rows_of_two_files_that_differ_are_counted_over_all_years() -> None:
    found = joined(table("prices.daily", close=[1.0, 2.0, 3.0, 4.0, 5.0]),
                   table("prices.daily", "two", rank=1, close=[9.0, 2.0, 9.0, 4.0, 9.0]))  # fmt: skip
    assert found.batches["prices.daily"].figures["close"].tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert found.notes == [
        "prices.daily: 3 rows differ between two files, such as 600001.SH on 2018-06-06; the first file of the mapping "
        "counts"
    ]


def test_rows_that_contradict_each_other_are_found_in_every_year() -> None:
    other = table("prices.daily", "two", close=[9.0, 2.0, 3.0, 4.0, 9.0])
    found = joined(table("prices.daily", close=[1.0, 2.0, 3.0, 4.0, 5.0]), other).findings
    assert [to_date(one.day or 0).year for one in found] == [2018, 2020]
    assert "has close 5 in one, row 5 and 9 in two, row 5" in found[1].text


@pytest.mark.parametrize(("named", "flags"), [(0.0, [0, 1, 1, 1, 0]), (1.0, [1, 0, 0, 0, 0])])
def test_st_of_spells_counts_in_every_year_unless_prices_name_it_in_any(named: float, flags: list[int]) -> None:
    spell = table("reference", "spells", days=[DAYS[1]], until=float(DAYS[3]), st=1.0)
    found = joined(table("prices.daily", close=1.0, st=[named, 0.0, 0.0, 0.0, 0.0]), spell)
    assert found.batches["prices.daily"].figures["st"].tolist() == flags


def test_a_table_of_last_resort_is_covered_by_the_days_of_all_years() -> None:
    fallback = SourceTable("prices.daily", "two", table("prices.daily", days=DAYS[1:4], close=9.0).frame, fallback=True)
    found = joined(table("prices.daily", days=[DAYS[0], DAYS[-1]], close=1.0), fallback)
    assert found.batches["prices.daily"].figures["close"].tolist() == [1.0, 1.0]


def test_float_caps_follow_from_prices_of_the_same_year() -> None:
    prices = table("prices.daily", days=DAYS[2:], close=2.0, volume=[10.0, 20.0, 30.0])
    found = joined(prices, table("valuations.daily", turnover_rate=0.1))
    assert found.batches["valuations.daily"].figures["float_cap"].tolist()[2:] == pytest.approx([200.0, 400.0, 600.0])
    assert np.isnan(found.batches["valuations.daily"].figures["float_cap"][:2]).all()


@pytest.mark.parametrize("load", [ctypes.CDLL, lambda _name: object()], ids=["this library", "without glibc"])
def test_memory_that_is_freed_is_returned_where_the_library_can(
    load: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(allocator.ctypes, "CDLL", load)
    with allocator.returning_freed_memory():
        values = np.ones(2**20)
    assert values.sum() == 2**20
