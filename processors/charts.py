"""Price–volume charts as images: 20 sessions of a stock, 64 × 60 pixels, black and white [GF25].

A chart has two forms. Its *heights* are whole numbers: for each session the pixel heights of open, high, low, close,
20-day mean and volume. Its *image* is drawn from them. Stages exchange heights, because they are 32 times smaller and
equal on every processor. The shape of the image is that of [JKX23].

The upper 51 rows are prices, scaled to the highest high and the lowest low of the window; one row is empty; the lower
12 rows are volume, scaled to its maximum. A session has three columns: open tick, bar from low to high, close tick. The
mean runs through all three, and is left out where it lies outside the range of the prices. A session without a price
leaves its three columns empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from processors.arrays import Array, Floats, Mask

Heights = npt.NDArray[np.uint8]
Images = npt.NDArray[np.uint8]

SESSIONS: Final = 20
PIXELS_A_SESSION: Final = 3
HEIGHT: Final = 64
WIDTH: Final = SESSIONS * PIXELS_A_SESSION
PRICE_ROWS: Final = 51
VOLUME_ROWS: Final = 12
#: Sessions of the window that must have a price [GF25]; fewer give no chart.
LEAST_PRICES: Final = 15
#: The lines of a session in the last axis of heights.
OPEN, HIGH, LOW, CLOSE, MEAN, VOLUME = range(6)
LINES: Final = 6
#: Height of a line that the session does not have.
EMPTY: Final = 255
WHITE: Final = 255
#: Four heights fit into one whole number: the columns of a feature frame.
WORDS: Final = tuple(f"chart_{i:02d}" for i in range(SESSIONS * LINES // 4))
#: Adjusted prices of the same session differ in the last bits by the day on which their chain begins.
_DIGITS = 9


@dataclass(frozen=True, slots=True)
class Bars:
    """Bars of n windows of 20 sessions, oldest first: (n, 20) each.

    Parameters
    ----------
    opens, highs, lows, closes : adjusted prices of any scale; NaN in ``closes`` means that the session has no price,
        and NaN in another price that the close replaces it.
    means : 20-day mean of the adjusted closes; NaN where unknown.
    volumes : adjusted volume of any scale; NaN where unknown.
    """

    opens: Floats
    highs: Floats
    lows: Floats
    closes: Floats
    means: Floats
    volumes: Floats


def enough(bars: Bars) -> Mask:
    """Return which windows have prices on at least `LEAST_PRICES` sessions (n,)."""
    return np.asarray((~np.isnan(bars.closes)).sum(axis=1) >= LEAST_PRICES)


def heights(bars: Bars) -> Heights:
    """Return the heights of n charts: (n, 20, 6).

    A price has a height of 0 (lowest low of the window) to 50 (highest high); 25 where all prices are equal. A volume
    has a height of 0 to 12 (maximum of the window); a positive one has at least 1. `EMPTY` is a line without a figure.
    """
    known = ~np.isnan(bars.closes)
    opens, highs, lows = (np.where(np.isnan(line), bars.closes, line) for line in (bars.opens, bars.highs, bars.lows))
    top = np.maximum(np.maximum(highs, opens), np.maximum(lows, bars.closes))
    bottom = np.minimum(np.minimum(lows, opens), np.minimum(highs, bars.closes))
    highest = np.where(known, top, -np.inf).max(axis=1, initial=-np.inf)[:, None]
    lowest = np.where(known, bottom, np.inf).min(axis=1, initial=np.inf)[:, None]
    span = highest - lowest
    out = np.full((*bars.closes.shape, LINES), EMPTY, dtype=np.uint8)
    with np.errstate(invalid="ignore", divide="ignore"):
        for line, prices in ((OPEN, opens), (HIGH, top), (LOW, bottom), (CLOSE, bars.closes), (MEAN, bars.means)):
            scaled = np.where(
                span > 0, np.round((prices - lowest) / span, _DIGITS), np.where(prices == lowest, 0.5, -1.0)
            )
            inside = known & (scaled >= 0) & (scaled <= 1)
            out[..., line] = np.where(inside, np.floor(scaled * (PRICE_ROWS - 1) + 0.5), EMPTY)
        volumes = np.where(known & (bars.volumes >= 0), bars.volumes, np.nan)
        largest = np.where(np.isnan(volumes), 0.0, volumes).max(axis=1, initial=0.0)[:, None]
        share = np.round(volumes / largest, _DIGITS)
        rows = np.where(volumes > 0, np.maximum(np.floor(share * VOLUME_ROWS + 0.5), 1), 0)
        out[..., VOLUME] = np.where(np.isnan(volumes), EMPTY, rows)
    return out


def draw(of: Heights) -> Images:
    """Return the images of n charts: (n, 64, 60), `WHITE` on 0; row 0 is the top.

    Parameters
    ----------
    of : (n, 20, 6) heights.
    """
    out = np.zeros((len(of), HEIGHT, SESSIONS, PIXELS_A_SESSION), dtype=np.uint8)
    scale = np.arange(PRICE_ROWS - 1, -1, -1, dtype=np.uint8)[:, None]  # height of each row of the prices
    line = {i: of[:, None, :, i] for i in range(LINES)}
    known = line[CLOSE] != EMPTY
    prices, mean = out[:, :PRICE_ROWS], scale == line[MEAN]
    prices[..., 1] = known & (scale >= line[LOW]) & (scale <= line[HIGH])
    prices[..., 1] |= mean
    prices[..., 0] = (scale == line[OPEN]) | mean
    prices[..., 2] = (scale == line[CLOSE]) | mean
    levels = np.arange(VOLUME_ROWS, 0, -1, dtype=np.uint8)[:, None]
    out[:, HEIGHT - VOLUME_ROWS :, :, 1] = (levels <= line[VOLUME]) & (line[VOLUME] != EMPTY)
    out *= WHITE
    return out.reshape(len(of), HEIGHT, WIDTH)


def images(bars: Bars) -> Images:
    """Return the images of n windows: (n, 64, 60), see `heights` and `draw`."""
    return draw(heights(bars))


def numbers(of: Heights) -> Floats:
    """Return the 20 × 5 numbers that a chart is drawn from, without the mean: (n, 100), about 0 to 1; 0.5 where empty.

    The plain rivals of the network read them.
    """
    kept = of[..., [OPEN, HIGH, LOW, CLOSE, VOLUME]].astype(np.float64)
    largest = np.array([PRICE_ROWS - 1] * 4 + [VOLUME_ROWS], dtype=np.float64)
    return np.asarray(np.where(kept == EMPTY, 0.5, kept / largest).reshape(len(of), SESSIONS * 5))


def to_words(of: Heights) -> dict[str, Array]:
    """Return heights (n, 20, 6) as the columns of a feature frame: (n,) whole numbers, four heights in each."""
    packed = np.ascontiguousarray(of.reshape(len(of), SESSIONS * LINES)).view("<i4").reshape(len(of), len(WORDS))
    return {name: np.ascontiguousarray(packed[:, i]) for i, name in enumerate(WORDS)}


def from_words(columns: dict[str, Array]) -> Heights:
    """Return the heights (n, 20, 6) of `to_words`' columns."""
    packed = np.stack([columns[name].astype("<i4", copy=False) for name in WORDS], axis=1)
    return np.ascontiguousarray(packed).view(np.uint8).reshape(len(packed), SESSIONS, LINES)
