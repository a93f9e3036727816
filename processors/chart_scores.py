"""Scores of charts: the heights of a frame in, the mean chance of a rise above the median out.

The model is an argument, because a processor neither reads files nor knows a library of networks. Without a model the
frame says why, and has no scores.
"""

from __future__ import annotations

from typing import Final, Protocol

import numpy as np

from processors.arrays import Array, Floats
from processors.charts import EMPTY, SESSIONS, Heights, from_words
from processors.days import to_date
from processors.outputs import ChartFrame, FeatureFrame

SCORE: Final = "chart_score"
#: Processors differ in the last bits of a network's sums.
DIGITS: Final = 4
NO_MODEL: Final = "no chart model is set (MARGINWATCH_CHART_MODEL)"


class Scorer(Protocol):
    """A chart model."""

    @property
    def digest(self) -> str:
        """The digest of its files."""

    @property
    def revision(self) -> int:
        """Number of models of the same name before it: the scores of a later one replace those of an earlier one."""

    def chances(self, year: int, of: Heights) -> Floats | None:
        """Return the chances of charts in a year: (n, horizons); None before its first year."""

    def rival(self, year: int, of: Heights) -> Floats | None:
        """Return the chances by the logistic regression on the same charts (n,); None before its first year."""


def scored(frame: ChartFrame, model: Scorer | str) -> FeatureFrame:
    """Return the scores of charts as a feature frame.

    Parameters
    ----------
    model : a model, or the reason why there is none.
    """
    reason, digest, revision = (model, "", 0) if isinstance(model, str) else ("", model.digest, model.revision)
    scores = np.full(len(frame.keys), np.nan)
    if not isinstance(model, str):
        year = to_date(frame.day).year
        chances = model.chances(year, from_words(frame.columns))
        if chances is None:
            reason = f"the chart model {digest} has no network for {year}: it was trained for later years"
        else:
            scores = np.round(chances[:, 0], DIGITS)
    columns: dict[str, Array] = {SCORE: scores}
    old = frame.header
    header = type(old)(
        old.revision + revision, old.available_at, old.missing, old.rows, old.identity, model=digest, reason=reason
    )
    return FeatureFrame(frame.topic, frame.partition, frame.day, header, frame.keys, columns)


def occlusion(model: Scorer, year: int, chart: Heights) -> Floats | None:
    """Return how much each session lifts the score of one chart (20,): the score less that without the session.

    Parameters
    ----------
    chart : (20, 6) its heights.
    """
    without = np.repeat(chart[None], SESSIONS + 1, axis=0)
    for session in range(SESSIONS):
        without[session + 1, session] = EMPTY
    chances = model.chances(year, without)
    return None if chances is None else np.asarray(chances[0, 0] - chances[1:, 0])
