"""Daily figures as series over the trading calendar: a window is a slice, a block of windows a gather."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from processors.codes import Ids
from processors.days import TradingCalendar
from processors.events import Floats
from processors.industries import INDEX_OF
from processors.needs import INDICES

_INDUSTRY_ROW = {key: row for row, key in enumerate(INDEX_OF)}


class CalendarSeries:
    """Figures by topic, key and name, NaN where unknown.

    A series is as long as the calendar, whatever the history, so memory and time per day stay constant. The series of
    the industries' indices are rows of one array, so that one slice reads a figure of all industries.

    Attributes
    ----------
    first_known : position before which every figure of every series is NaN.
    """

    def __init__(self, calendar: TradingCalendar) -> None:
        self.calendar = calendar
        self.first_known = len(calendar)
        self._series: dict[tuple[str, int, str], Floats] = {}
        self._nothing = np.full(len(calendar), np.nan)
        self._nothing.flags.writeable = False
        self._industries: dict[str, Floats] = {}
        self._no_industry = np.broadcast_to(self._nothing, (len(INDEX_OF), len(calendar)))

    def put(self, topic: str, keys: Ids, name: str, day: int, values: Floats) -> None:
        """Set one figure of several keys on a day."""
        at = self.calendar.position(day)
        known = ~np.isnan(values)
        if known.any():
            self.first_known = min(self.first_known, at)
        for key, value in zip(keys[known].tolist(), values[known].tolist(), strict=True):
            series = self._series.get((topic, key, name))
            if series is None:
                series = self._series[topic, key, name] = self._new_series(topic, key, name)
            series[at] = value
        for key in keys[~known].tolist():
            series = self._series.get((topic, key, name))
            if series is not None:
                series[at] = np.nan

    def _new_series(self, topic: str, key: int, name: str) -> Floats:
        if topic != INDICES or key not in _INDUSTRY_ROW:
            return self._nothing.copy()
        if name not in self._industries:
            self._industries[name] = self._no_industry.copy()
        series: Floats = self._industries[name][_INDUSTRY_ROW[key]]
        return series

    def values(self, topic: str, key: int, name: str) -> Floats:
        """Return all values of a figure, by position in the calendar; NaN where unknown."""
        return self._series.get((topic, key, name), self._nothing)

    def industries(self, name: str) -> Floats:
        """Return all values of a figure of the industries' indices: (31, len(calendar))."""
        return self._industries.get(name, self._no_industry)


def windows(series: Floats, ends: npt.NDArray[np.intp], days: int) -> Floats:
    """Return the ``days`` values of a series up to each position of ``ends``, oldest first.

    Parameters
    ----------
    series : (len(calendar),)
    ends : (k,) positions in the calendar.

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
    if len(ends) and int(ends.min()) + 1 < days:
        series, ends = np.concatenate([np.full(days - 1, np.nan), series]), ends + days - 1
    if days == 1:
        return series[ends]
    if len(ends) == 1:
        return series[None, int(ends[0]) + 1 - days : int(ends[0]) + 1].copy()
    # All windows as a view, without the cost of `sliding_window_view`.
    shape, step = (len(series) - days + 1, days), series.strides[0]
    every: Floats = np.ndarray(shape, series.dtype, series, strides=(step, step))
    return np.ascontiguousarray(every[ends + 1 - days])
