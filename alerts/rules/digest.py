"""Digests: one alert a day that contains every flagged security, instead of hundreds of alerts."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from alerts.model import Member, Text
from processors.codes import to_codes
from processors.outputs import SecuritySignals

_NAMED = 5


def members(frame: SecuritySignals, flagged: npt.NDArray[np.bool_], figure: str, notes: list[str]) -> list[Member]:
    """Return the flagged securities, the largest figure first; ``notes`` has one text per flagged row."""
    values = frame.columns[figure][flagged].astype(float)
    found = [
        Member(code, value, note)
        for code, value, note in zip(to_codes(frame.keys[flagged]), values.tolist(), notes, strict=True)
    ]
    return sorted(found, key=lambda m: (-m.value, m.code))


#: Published for streaks, extremes and divergence: the return that follows is below the market's mean [SW14].
LAGS = Text("the securities lag the mean of all stocks over 20 days", "20个交易日后平均跑输等权市场")


#: The invalidation of every digest.
OF_ITS_DAY = Text("Stands for its day; the next day has its own digest.", "仅代表当日，次日另行汇总。")


def named(found: list[Member]) -> str:
    """Return the codes of the first few members."""
    return ", ".join(m.code for m in found[:_NAMED]) + (" …" if len(found) > _NAMED else "")
