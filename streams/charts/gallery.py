"""Twelve charts as the network sees them, each beside the candlesticks of the same sessions."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from feeds.folder import read
from processors.chart_windows import ChartWindows
from processors.charts import Bars, draw, enough, heights
from processors.codes import to_codes
from processors.days import TradingCalendar, to_date
from processors.history import end_of_day
from processors.kinds import is_stock
from processors.needs import PRICES
from processors.parameters import Parameters
from processors.price_levels import PriceLevels
from streams.charts.errors import ChartModelError

COUNT = 12
_COLUMNS = 4
_UP, _DOWN, _LINE = "#c0392b", "#1e8449", "#34495e"  # rises are red in China


def gallery(folder: Path, calendar: TradingCalendar, parameters: Parameters, seed: int = 1) -> bytes:
    """Return a PNG of `COUNT` stocks, drawn by lot, on the last day of a folder with prices.

    Raises
    ------
    ChartModelError : if the folder has fewer stocks with a chart.
    """
    batch = read(folder, calendar).whole(PRICES)
    prices = PriceLevels(parameters, calendar)
    days = np.unique(batch.days).tolist() if batch is not None else []
    for day in days[-60:]:
        assert batch is not None
        rows = batch.take(batch.days == day)
        applied = prices.store.fold(rows)
        applied.add(prices.store.fold(end_of_day(rows)))
        prices.update(applied)
    columns = prices.store.columns_on(days[-1]) if days else np.empty(0, dtype=np.intp)
    columns = columns[is_stock(prices.store.keys[columns])]
    found = ChartWindows(prices, calendar).bars(days[-1], columns) if days else None
    usable = np.flatnonzero(enough(found)) if found is not None else columns
    if found is None or len(usable) < COUNT:
        raise ChartModelError(f"{folder} has {len(usable)} stocks with a chart, {COUNT} are drawn")
    chosen = np.sort(np.random.default_rng(seed).choice(usable, COUNT, replace=False))
    shown = Bars(*(getattr(found, name)[chosen] for name in Bars.__slots__))
    titles = [f"{code} {to_date(days[-1])}" for code in to_codes(prices.store.keys[columns[chosen]])]
    return _png(shown, titles)


def _png(shown: Bars, titles: list[str]) -> bytes:
    from matplotlib.figure import Figure

    images = draw(heights(shown))
    figure = Figure(figsize=(16, 10), layout="constrained")
    axes = figure.subplots(COUNT // _COLUMNS * 2, _COLUMNS * 2, height_ratios=[4, 1] * (COUNT // _COLUMNS))
    for i, title in enumerate(titles):
        row, column = divmod(i, _COLUMNS)
        left, below = axes[2 * row, 2 * column], axes[2 * row + 1, 2 * column]
        candles(left, below, Bars(*(getattr(shown, name)[i : i + 1] for name in Bars.__slots__)))
        left.set_title(title, fontsize=9)
        grid = axes[2 * row, 2 * column + 1].get_gridspec()
        for unused in (axes[2 * row, 2 * column + 1], axes[2 * row + 1, 2 * column + 1]):
            unused.remove()
        right = figure.add_subplot(grid[2 * row : 2 * row + 2, 2 * column + 1])
        right.imshow(images[i], cmap="gray", interpolation="nearest", aspect="auto")
        right.set_axis_off()
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=80)
    return out.getvalue()


def candles(prices: object, volumes: object, one: Bars) -> None:
    """Draw the window of one stock on two axes; a session without high and low has its open and close."""
    x = np.arange(one.closes.shape[1])
    opens = np.where(np.isnan(one.opens), one.closes, one.opens)[0]
    closes, rose = one.closes[0], one.closes[0] >= opens
    lows, highs = np.fmin(one.lows[0], np.fmin(opens, closes)), np.fmax(one.highs[0], np.fmax(opens, closes))
    colours: npt.NDArray[np.str_] = np.where(rose, _UP, _DOWN)
    prices.vlines(x, lows, highs, colors=colours, linewidth=1)  # type: ignore[attr-defined]
    prices.bar(x, closes - opens, bottom=opens, color=colours, edgecolor=colours, width=0.7)  # type: ignore[attr-defined]
    prices.plot(x, one.means[0], color=_LINE, linewidth=1)  # type: ignore[attr-defined]
    if not np.isnan(closes).all():
        prices.set_ylim(np.nanmin(lows), np.nanmax(highs))  # type: ignore[attr-defined]
    volumes.bar(x, np.nan_to_num(one.volumes[0]), color=colours, width=0.7)  # type: ignore[attr-defined]
    for axis in (prices, volumes):
        axis.set_xlim(-0.6, len(x) - 0.4)  # type: ignore[attr-defined]
        axis.set_xticks([])  # type: ignore[attr-defined]
        axis.set_yticks([])  # type: ignore[attr-defined]
