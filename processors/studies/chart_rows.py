"""The charts of every week with their scores, for the study of the chart model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from processors.arrays import Floats, Ids
from processors.chart_scores import SCORE, Scorer
from processors.charts import from_words
from processors.codes import NO_IDS
from processors.days import to_date
from processors.outputs import ChartFrame, FeatureFrame
from processors.reference import Members

_NOTHING = np.empty(0)


@dataclass(frozen=True, slots=True)
class ChartRows:
    """One row per chart, ordered by day; (n,) each.

    Parameters
    ----------
    at : position of the day in `Panel.days`.
    industry : industry of the stock on the day, −1 without one.
    score : chart score.
    rival : chance by the logistic regression of the same model on the same numbers.
    model : digest of the model, or why there is none.
    """

    at: npt.NDArray[np.int32] = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    keys: Ids = field(default_factory=lambda: NO_IDS)
    industry: npt.NDArray[np.int16] = field(default_factory=lambda: np.empty(0, dtype=np.int16))
    score: Floats = field(default_factory=lambda: _NOTHING)
    rival: Floats = field(default_factory=lambda: _NOTHING)
    model: str = ""


@dataclass(frozen=True, slots=True)
class _Week:
    keys: Ids
    industry: npt.NDArray[np.int16]
    score: Floats
    rival: Floats


class ChartCollector:
    """Takes the frames of charts day by day.

    Parameters
    ----------
    model : the model that scored them, or why there is none.
    """

    def __init__(self, model: Scorer | str) -> None:
        self._model = model
        self._weeks: dict[int, _Week] = {}

    def add(self, charts: Sequence[ChartFrame], frames: Sequence[FeatureFrame], members: Members | None) -> None:
        """Add the charts of a day, and the same frames with scores; charts without a score are left out."""
        if isinstance(self._model, str):
            return
        scored = {frame.day: frame for frame in frames if SCORE in frame.columns}
        for frame in charts:
            score = scored[frame.day].columns[SCORE]
            rival = self._model.rival(to_date(frame.day).year, from_words(frame.columns))
            if rival is None or np.isnan(score).all():
                continue
            nowhere = np.full(len(frame.keys), -1)
            industry = nowhere if members is None else members.industry_of(frame.keys)
            self._weeks[frame.day] = _Week(frame.keys, industry.astype(np.int16), score, rival)

    def rows(self, position: Mapping[int, int]) -> ChartRows:
        """Return all rows.

        Parameters
        ----------
        position : day → its position in `Panel.days`.
        """
        model = self._model if isinstance(self._model, str) else self._model.digest
        weeks = [(position[day], self._weeks[day]) for day in sorted(self._weeks)]
        if not weeks:
            return ChartRows(model=model)
        return ChartRows(
            np.repeat(np.array([at for at, _ in weeks], dtype=np.int32), [len(week.keys) for _, week in weeks]),
            np.concatenate([week.keys for _, week in weeks]),
            np.concatenate([week.industry for _, week in weeks]),
            np.concatenate([week.score for _, week in weeks]),
            np.concatenate([week.rival for _, week in weeks]),
            model,
        )
