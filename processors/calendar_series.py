"""Daily figures as series over the trading calendar: a window is a slice, a block of windows a gather."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from processors.arrays import Floats, Ids, Indexer
from processors.days import TradingCalendar
from processors.industries import INDEX_OF
from processors.needs import INDICES

_INDUSTRY_KEYS = np.array(INDEX_OF)
_INDUSTRY_ROW = {key: row for row, key in enumerate(INDEX_OF)}
#: Topic, figure, and whether the keys are the industries' indices.
_Group = tuple[str, str, bool]


class CalendarSeries:
    """Figures by topic, key and name, NaN where unknown.

    A series is as long as the calendar, whatever the history, so memory and time per day stay constant. The series of
    a figure are the rows of one array, of those keys of which it was ever known. The industries' indices have an array
    of their own, so that one slice reads a figure of all industries.

    Attributes
    ----------
    first_known : position before which every figure of every series is NaN.
    """

    def __init__(self, calendar: TradingCalendar) -> None:
        self.calendar = calendar
        self.first_known = len(calendar)
        self._rows: dict[_Group, dict[int, int]] = {}  # key → its row in the array
        self._series: dict[_Group, Floats] = {}
        self._nothing = np.full(len(calendar), np.nan)
        self._nothing.flags.writeable = False
        self._no_industry = np.broadcast_to(self._nothing, (len(INDEX_OF), len(calendar)))

    def put(self, topic: str, keys: Ids, days: Sequence[int], figures: Mapping[str, Floats]) -> None:
        """Set figures of several keys on several days.

        Parameters
        ----------
        keys : (n,)
        days : (k,) sessions, at least one.
        figures : name → its values (k, n).
        """
        at = np.array([self.calendar.position(day) for day in days], dtype=np.intp)
        industry = np.isin(keys, _INDUSTRY_KEYS) if topic == INDICES else np.zeros(len(keys), dtype=bool)
        parts = [(is_one, chosen) for is_one, chosen in ((True, industry), (False, ~industry)) if chosen.any()]
        for name, values in figures.items():
            for of_industries, chosen in parts:
                self._put((topic, name, of_industries), keys[chosen], at, values[:, chosen])

    def _put(self, group: _Group, keys: Ids, at: Indexer, values: Floats) -> None:
        known = ~np.isnan(values)
        if known.any():
            self.first_known = min(self.first_known, int(at[known.any(axis=1)].min()))
        elif group not in self._series:
            return
        row_of = self._rows.setdefault(group, dict(_INDUSTRY_ROW) if group[2] else {})
        for key in keys[known.any(axis=0)].tolist():
            row_of.setdefault(key, len(row_of))
        series = self._series.get(group, self._nothing[None][:0])
        if more := len(row_of) - len(series):
            series = np.concatenate([series, np.full((more, len(self.calendar)), np.nan)])
            self._series[group] = series
        rows = np.array([row_of.get(key, -1) for key in keys.tolist()])
        series[rows[rows >= 0][:, None], at] = values[:, rows >= 0].T

    def values(self, topic: str, key: int, name: str) -> Floats:
        """Return all values of a figure, by position in the calendar; NaN where unknown."""
        group = topic, name, _is_industry(topic, key)
        row, series = self._rows.get(group, {}).get(key), self._series.get(group)
        return self._nothing if row is None or series is None else series[row]

    def industries(self, name: str) -> Floats:
        """Return all values of a figure of the industries' indices: (31, len(calendar))."""
        return self._series.get((INDICES, name, True), self._no_industry)


def _is_industry(topic: str, key: int) -> bool:
    return topic == INDICES and key in _INDUSTRY_ROW


def windows(series: Floats, ends: Indexer, days: int) -> Floats:
    """Return the ``days`` values of a series up to each position of ``ends``, oldest first.

    Parameters
    ----------
    series : (len(calendar),)
    ends : (k,) positions in the calendar, ascending, at least one.

    Returns
    -------
    (k, days), or (k,) for one day; NaN before the calendar's first position. The array is contiguous, so that a sum
    over a window adds the same numbers in the same order whatever k is.

    Examples
    --------
    >>> windows(np.array([5.0, 6.0, 7.0]), np.array([0, 2]), 2)
    array([[nan,  5.],
           [ 6.,  7.]])
    """
    first = int(ends[0])
    if first + 1 < days:
        series, ends, first = np.concatenate([np.full(days - 1, np.nan), series]), ends + days - 1, first + days - 1
    if days == 1:
        return series[ends]
    if len(ends) == 1:
        return series[None, first + 1 - days : first + 1].copy()
    # All windows as a view, without the cost of `sliding_window_view`.
    shape, step = (len(series) - days + 1, days), series.strides[0]
    every: Floats = np.ndarray(shape, series.dtype, series, strides=(step, step))
    return np.ascontiguousarray(every[ends + 1 - days])
