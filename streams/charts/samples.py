"""Charts and labels for training, from a folder of market files, by the processors of the stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from feeds.folder import read
from processors.arrays import Days, Floats, Ids, Indexer, Mask
from processors.chart_labels import HORIZONS, above_median, forward
from processors.chart_windows import ChartWindows
from processors.charts import Heights, from_words
from processors.daily_store import ApplyResult, DailyStore
from processors.days import TradingCalendar
from processors.events import RowBatch
from processors.history import end_of_day
from processors.key_index import widened
from processors.kinds import is_stock
from processors.needs import PRICES, REFERENCE
from processors.parameters import Parameters
from processors.price_levels import PriceLevels
from processors.reference import ReferenceStore
from streams.charts.errors import ChartModelError

#: A chart of every third session: weekly returns overlap little, and every weekday occurs.
STRIDE = 3
_MEMBERS = ("csi300", "csi500")
_KEEP_DAYS = 20_000


@dataclass(frozen=True, slots=True)
class Samples:
    """Charts with labels, in the order of their days.

    Parameters
    ----------
    heights : (m, 20, 6).
    days, keys : (m,) day and stock of each chart.
    labels : (m, 2) 1 above the median of the day's charts, 0 below, for each of `HORIZONS`; NaN where unknown.
    universe : the stocks of which charts are made, in words.
    digest : SHA-256 of the prices that they are made of.
    """

    heights: Heights
    days: Days
    keys: Ids
    labels: Floats
    universe: str
    digest: str


def read_samples(
    folder: Path, calendar: TradingCalendar, parameters: Parameters, advance: Callable[[int, int], None]
) -> Samples:
    """Read prices and members of a folder and make a chart of every member on every third session.

    Without memberships in the folder, every stock is a member.

    Parameters
    ----------
    advance : called with (days done, days in total) after each day.

    Raises
    ------
    ChartModelError : if the folder has no daily prices.
    """
    dataset = read(folder, calendar)
    rows = dataset.whole(PRICES)
    if rows is None:
        raise ChartModelError(f"{folder} has no daily prices: charts need open, high, low, close and volume")
    digest = _digest(rows)
    del rows  # a copy of all years
    prices, reference = PriceLevels(parameters, calendar), ReferenceStore(parameters.late_days, _KEEP_DAYS)
    windows = ChartWindows(prices, calendar)
    sessions: list[int] = []
    opens: list[Floats] = []
    levels: list[Floats] = []
    charts: list[tuple[int, Indexer, Heights]] = []
    total = len(dataset.days())
    with_members = _has_members(dataset.whole(REFERENCE))
    for done, (day, feeds) in enumerate(dataset.by_day(), 1):
        advance(done, total)
        if REFERENCE in feeds:
            _close(reference.store, feeds[REFERENCE])
        if PRICES not in feeds:
            continue
        prices.update(_close(prices.store, feeds[PRICES]))
        fresh, level, close = (prices.line(day, name) for name in ("fresh", "level", "close"))
        with np.errstate(divide="ignore", invalid="ignore"):
            opened = prices.store.figure(day, "open") * level / close
        sessions.append(day)
        opens.append(np.where(fresh & (opened > 0), opened, np.nan))
        levels.append(level)
        if calendar.position(day) % STRIDE == 0:
            columns = prices.store.columns_on(day)
            columns = columns[_wanted(prices.store.keys[columns], reference, day, with_members=with_members)]
            chosen, words = windows.features(day, columns)
            charts.append((len(sessions) - 1, chosen, from_words(words)))
    width = prices.store.width
    matrix = [np.stack([widened(values, width, np.nan) for values in rows]) for rows in (opens, levels)]
    returns = [forward(matrix[0], matrix[1], horizon) for horizon in HORIZONS]
    return Samples(
        np.concatenate([found for _, _, found in charts]),
        np.repeat(np.array(sessions, dtype=np.int32)[[at for at, _, _ in charts]], [len(c) for _, c, _ in charts]),
        np.concatenate([prices.store.keys[columns] for _, columns, _ in charts]),
        np.concatenate(
            [np.stack([above_median(of[at, columns]) for of in returns], axis=1) for at, columns, _ in charts]
        ),
        "members of CSI 300 and CSI 500 on the day" if with_members else "all stocks",
        digest,
    )


def _close(store: DailyStore, rows: RowBatch) -> ApplyResult:
    applied = store.fold(rows)
    applied.add(store.fold(end_of_day(rows)))
    return applied


def _has_members(rows: RowBatch | None) -> bool:
    return rows is not None and any((rows.figures[name] == 1.0).any() for name in _MEMBERS)


def _wanted(keys: Ids, reference: ReferenceStore, day: int, *, with_members: bool) -> Mask:
    if not with_members:
        return is_stock(keys)
    if not reference.is_closed(day):
        return np.zeros(len(keys), dtype=bool)
    members = reference.members(day)
    return np.asarray(members.in_index(keys, _MEMBERS[0]) | members.in_index(keys, _MEMBERS[1]))


def _digest(rows: RowBatch) -> str:
    out = sha256()
    for values in (rows.days, rows.keys, *(rows.figures[name] for name in ("open", "high", "low", "close", "volume"))):
        out.update(np.ascontiguousarray(values).tobytes())
    return out.hexdigest()
