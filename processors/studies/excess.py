"""excess: regression of the index's next return on excess financing, and a table by threshold [ZT21]."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from processors.events import Floats
from processors.studies.measure import Regression, episodes, regression
from processors.studies.panel import SSE, Panel
from processors.studies.result import Cell, Chart, Finding, Mode, Result, Table, Unit

TITLE = "Excess financing 超额融资: regression of the next 5 days' return of the SSE Composite"
SOURCE = "[ZT21]"
HORIZON = 5
THRESHOLDS = (0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07)
_COLUMNS = ("side", "threshold", "days", "episodes", "beta", "t (OLS)", "t (HAC)", "correlation", "mean return")


def run(panel: Panel, mode: Mode) -> Result:
    """Return the regression over all days, and over the days beyond each threshold."""
    excess = np.where(panel.in_period, panel.column("excess_financing"), np.nan)
    after = panel.index_forward(SSE, panel.entry(mode, at_open=True), HORIZON, mode)
    whole = regression(excess, after, HORIZON)
    rows: list[tuple[Cell, ...]] = []
    fits: dict[tuple[str, float], Regression | None] = {}
    for side, sign in (("above", 1), ("below", -1)):
        for threshold in THRESHOLDS:
            beyond = (sign * excess > 0) & (sign * excess >= threshold) & ~np.isnan(after)
            fit = fits[side, threshold] = regression(excess[beyond], after[beyond], HORIZON)
            rows.append((side, sign * threshold, *_row(beyond, fit, after)))
    findings = [Finding("beta", None, Unit.NUMBER, 0.098, note="too few days")]
    if whole is not None:
        disjoint = episodes(np.flatnonzero(~np.isnan(excess) & ~np.isnan(after)), HORIZON)
        findings = [
            Finding("beta", whole.beta, Unit.NUMBER, 0.098, whole.low, whole.high, "HAC, 5 lags", whole.n, disjoint),
            Finding("t (OLS)", whole.t_ols, Unit.NUMBER, 3.352, cases=whole.n,
                    note="takes overlapping windows for independent"),
            Finding("t (HAC, 5 lags)", whole.t_hac, Unit.NUMBER, cases=whole.n, note=f"p = {whole.p_hac:.3f}"),
        ]  # fmt: skip
    for threshold, published in ((0.0, None), (0.05, None), (0.07, 0.6)):
        fit = fits["above", threshold]
        findings.append(
            Finding(
                f"correlation where excess ≥ {threshold:.2f}", fit.correlation if fit else None, Unit.NUMBER, published,
                cases=fit.n if fit else 0, note="" if fit else "fewer than ten days",
            )
        )  # fmt: skip
    known = ~np.isnan(excess) & ~np.isnan(after)
    chart = Chart(
        "excess", "Excess financing and the next 5 days", Unit.RATIO,
        points=list(zip(excess[known].tolist(), after[known].tolist(), strict=True)),
        fit=(whole.alpha, whole.beta) if whole else None,
        x_label="excess financing", y_label="return over the next 5 days",
    )  # fmt: skip
    first, last = panel.period()
    return Result(
        "excess", TITLE, SOURCE, mode, first, last, findings,
        [Table("thresholds", "By threshold", _COLUMNS, rows, {"threshold": Unit.RATIO, "mean return": Unit.RATIO})],
        [chart],
        [
            "the published correlation at 0.07 is \"above 0.6\"; published β and t are of 2018–2021, ours of the period above",
            "windows of 5 days overlap: use the HAC errors (Newey-West, 5 lags) for inference",
            "as the source: return from the close of day T; point in time: from the open after the figures were published, to "
            "the same close" if mode is Mode.POINT_IN_TIME else "the balance of day T is published before the open of T+1, so a "
            "trade at the close of T was not possible",
        ],
    )  # fmt: skip


def _row(beyond: npt.NDArray[np.bool_], fit: Regression | None, after: Floats) -> tuple[Cell, ...]:
    days = int(beyond.sum())
    mean = float(after[beyond].mean()) if days else None
    apart = episodes(np.flatnonzero(beyond), HORIZON)
    if fit is None:
        return (days, apart, None, None, None, None, mean)
    return (days, apart, fit.beta, fit.t_ols, fit.t_hac, fit.correlation, mean)
