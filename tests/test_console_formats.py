"""Figures, dates and times of the console in English and Chinese."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from console import formats

DAY = date(2024, 7, 1)


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (formats.percent(0.0994453), "9.94%"),
        (formats.percent(-12.3456, 1), "−1,234.6%"),
        (formats.percent(0.5, 0, signed=True), "+50%"),
        (formats.percent(1), "100.00%"),
        (formats.percent(None), "–"),
        (formats.percent("HOT"), "–"),
        (formats.points(0.0123), "+1.23 pp"),
        (formats.points(-0.0123, 1), "−1.2 pp"),
        (formats.points(None), "–"),
        (formats.money(1.5e12, "zh"), "15,000.0 亿"),
        (formats.money(-2.5e8, "zh", signed=True), "−2.5 亿"),
        (formats.money(2.5e8, "zh", signed=True), "+2.5 亿"),
        (formats.money(1.5e12, "en"), "¥1,500.00 bn"),
        (formats.money(-2.5e8, "en"), "−¥0.25 bn"),
        (formats.money(2.5e8, "en", signed=True), "+¥0.25 bn"),
        (formats.money(0, "en", signed=True), "¥0.00 bn"),
        (formats.money(None, "en"), "–"),
        (formats.money("HOT", "zh"), "–"),
        (formats.counted(1, ("day", "日"), "en"), "1 day"),
        (formats.counted(2, ("day", "日"), "en"), "2 days"),
        (formats.counted(2, ("day", "日"), "zh"), "2 日"),
        (formats.day(DAY), "2024-07-01"),
        (formats.day(None), "–"),
        (formats.short_day(DAY, date(2024, 1, 2)), "07-01"),
        (formats.short_day(DAY, date(2023, 7, 1)), "2024-07-01"),
        (formats.short_day(DAY, None), "2024-07-01"),
        (formats.dated("2.1%", DAY, DAY), "2.1%"),
        (formats.dated("2.1%", DAY, date(2024, 7, 2)), "07-01: 2.1%"),
        (formats.dated("2.1%", DAY, None), "2024-07-01: 2.1%"),
        (formats.moment(datetime(2024, 7, 1, 16, 5, tzinfo=UTC), "en"), "07-02 00:05 Shanghai"),
        (formats.moment(datetime(2024, 7, 1, 16, 5, tzinfo=UTC), "zh"), "07-02 00:05 北京时间"),
        (formats.signed(0.1), "▲"),
        (formats.signed(-0.1), "▼"),
        (formats.signed(0), ""),
        (formats.signed(None), ""),
    ],
)
def test_a_figure_a_date_or_a_time_has_its_format(shown: Any, expected: str) -> None:
    assert shown == expected
