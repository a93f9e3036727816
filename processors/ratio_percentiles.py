"""Percentiles of a ratio of the market over a trailing and an expanding window, for the indicators that have one."""

from __future__ import annotations

from typing import Final

from processors.arrays import Floats
from processors.needs import Need, Window
from processors.parameters import Parameters
from processors.signal import Column, Level, Signal
from processors.statistics import percentiles

#: The two windows of the figures of a ratio.
TRAILING: Final[Window] = {"days": "percentile_days", "min_periods": "percentile_least"}
EXPANDING: Final[Window] = {"since": "expanding_since", "min_periods": "percentile_least"}


def percentile_signals(ratio: Signal, trailing: tuple[Need, ...], expanding: tuple[Need, ...]) -> tuple[Signal, Signal]:
    """Return the declarations of the two percentiles of a ratio.

    Parameters
    ----------
    trailing, expanding : the figures of the ratio over the windows `TRAILING` and `EXPANDING`.
    """
    return (
        Signal(
            f"{ratio.id}_percentile",
            Level.MARKET,
            f"{ratio.title}: percentile over <percentile_days> days",
            f"{ratio.title_zh}：<percentile_days>日分位",
            "ratio",
            trailing,
            "share of the last <percentile_days> trading days' known values that are not above today's; at least "
            "<percentile_least> of them",
            "[DG24], window ours",
        ),
        Signal(
            f"{ratio.id}_percentile_expanding",
            Level.MARKET,
            f"{ratio.title}: percentile since <expanding_since>",
            f"{ratio.title_zh}：<expanding_since>以来分位",
            "ratio",
            expanding,
            "share of the known values since <expanding_since> that are not above today's; at least "
            "<percentile_least> of them",
            "[DG24]",
        ),
    )


def percentile_columns(
    ratio: Signal, today: Floats, trailing: Floats, expanding: Floats, parameters: Parameters
) -> dict[str, Column]:
    """Return the columns of `percentile_signals`; the details contain the ratio of the day.

    Parameters
    ----------
    today : (k,) the ratio.
    trailing, expanding : (k, days) the ratio over both windows, NaN where unknown.
    """
    least = parameters.percentile_least
    named = {"percentile": trailing, "percentile_expanding": expanding}
    return {
        f"{ratio.id}_{name}": Column(
            percentiles(window, least), {"share": today}, f"fewer than {least} days of the window are known"
        )
        for name, window in named.items()
    }
