"""A made chart model, and made windows of prices."""

from __future__ import annotations

import numpy as np

from processors.arrays import Floats
from processors.charts import Bars, Heights, draw, numbers

#: The columns of the last five sessions.
NEWEST = slice(45, 60)


class MadeModel:
    """Scores a chart by the white pixels of its last five sessions, in thousands."""

    digest, revision = "made", 0

    def chances(self, _year: int, of: Heights) -> Floats:
        """The same for both horizons."""
        share = (draw(of)[:, :, NEWEST] > 0).sum(axis=(1, 2)) / 1000
        return np.stack([share, share], axis=1)

    def rival(self, _year: int, of: Heights) -> Floats:
        """The mean of the numbers."""
        return np.asarray(numbers(of).mean(axis=1))


def made_bars(count: int, seed: int = 1, *, gaps: float = 0.08) -> Bars:
    """Windows of random walks with sessions without prices, and some without opens or volumes."""
    rng = np.random.default_rng(seed)
    path = np.exp(np.cumsum(rng.normal(0, 0.03, (count, 40)), axis=1)) * rng.uniform(1, 90, (count, 1))
    closes = path[:, 20:].round(2)
    means = np.stack([path[:, i + 1 : i + 21].mean(axis=1) for i in range(20)], axis=1)
    opens = (closes * np.exp(rng.normal(0, 0.01, closes.shape))).round(2)
    highs = (np.maximum(opens, closes) * (1 + rng.exponential(0.01, closes.shape))).round(2)
    lows = (np.minimum(opens, closes) * (1 - rng.exponential(0.01, closes.shape))).round(2)
    volumes = rng.lognormal(10, 1, closes.shape).round()
    closes[rng.random(closes.shape) < gaps] = np.nan
    opens[rng.random(closes.shape) < gaps / 4] = np.nan
    volumes[rng.random(closes.shape) < gaps / 4] = np.nan
    volumes[rng.random(closes.shape) < gaps / 4] = 0
    return Bars(opens, highs, lows, closes, means, volumes)
