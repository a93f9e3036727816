"""On which weekdays the exchange will probably be closed in years that are not announced yet.

The statutory holidays are known for ever (全国年节及纪念日放假办法, as amended in 2024; the lunar ones by the library
holidays). How the State Council arranges the days around them follows a custom of many years: a holiday on a Tuesday or
a Thursday closes the day between it and the weekend, one on a weekend closes the next Monday, Spring Festival closes
eight days from New Year's Eve on, Labour Day five days, the National Day seven, eight where Mid-Autumn lies beside it.

Only ``python -m streams.calendars`` needs this module: it writes the result into ``resources/xshg.json``.
"""

from __future__ import annotations

from datetime import date, timedelta

_TUESDAY, _THURSDAY, _SATURDAY, _SUNDAY = 1, 3, 5, 6


def predicted(year: int) -> set[date]:
    """Return the weekdays around the holidays of a year on which the exchange will probably be closed.

    One of them can lie in the year before: New Year's Day on a Tuesday closes December 31.
    """
    found = _festivals(year)
    days: set[date] = set()
    for name in ("New Year's Day", "Tomb-Sweeping Day", "Dragon Boat Festival"):
        days |= _short(found[name])
    days |= _span(found["Chinese New Year (Spring Festival)"] - timedelta(days=1), 8)
    days |= _span(date(year, 5, 1), 5)
    moon, first = found["Mid-Autumn Festival"], date(year, 10, 1)
    if first - timedelta(days=2) <= moon <= first + timedelta(days=7):
        days |= _span(min(moon, first), 8)
    else:
        days |= _short(moon) | _span(first, 7)
    return {day for day in days if day.weekday() < _SATURDAY}


def _festivals(year: int) -> dict[str, date]:
    """Return the first day of each festival by its name."""
    from holidays import country_holidays

    out: dict[str, date] = {}
    for day, names in sorted(country_holidays("CN", years=year, language="en_US").items()):
        for name in names.split("; "):
            out.setdefault(name, day)
    return out


def _short(holiday: date) -> set[date]:
    """Return the days that a holiday of one day closes."""
    before_and_after = {_TUESDAY: (-1, 0), _THURSDAY: (0, 1), _SATURDAY: (2,), _SUNDAY: (1,)}
    return {holiday + timedelta(days=n) for n in before_and_after.get(holiday.weekday(), (0,))}


def _span(first: date, days: int) -> set[date]:
    return {first + timedelta(days=n) for n in range(days)}
