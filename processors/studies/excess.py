"""excess: regression of the index's next return on excess financing, by threshold and held out by year [ZT21]."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from processors.arrays import Floats, Mask
from processors.studies.measure import Regression, episodes, regression
from processors.studies.panel import SSE, Panel
from processors.studies.result import Cell, Chart, Curve, Finding, Kind, Mode, Result, Table, Unit

TITLE = "Excess financing 超额融资: regression of the next 5 days' return of the SSE Composite"
SOURCE = "[ZT21]"
HORIZON = 5
#: The published regression begins with this year; what lies before it is out of sample.
_FROM = 2018
_BETA, _T, _CORRELATION = 0.098, 3.352, 0.6
THRESHOLDS = (0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07)
_COLUMNS = ("side", "threshold", "days", "episodes", "beta", "t (OLS)", "t (HAC)", "correlation", "mean return")
_YEAR_COLUMNS = ("year", "days", "beta of the year", "t (HAC)", "beta of earlier years", "beta of all other years", "forecast error saved", "right direction")  # fmt: skip


def run(panel: Panel, mode: Mode) -> Result:
    """Return the regression over the published years and before, by year, and over the days beyond each threshold."""
    every = np.where(panel.in_period, panel.column("excess_financing"), np.nan)
    after = panel.index_forward(SSE, panel.entry(mode, at_open=True), HORIZON, mode)
    years = panel.years()
    excess = np.where(years >= _FROM, every, np.nan)
    published_years = not np.isnan(excess).all()
    if not published_years:
        excess = every
    whole = regression(excess, after, HORIZON)
    rows: list[tuple[Cell, ...]] = []
    fits: dict[tuple[str, float], Regression | None] = {}
    for side, sign in (("above", 1), ("below", -1)):
        for threshold in THRESHOLDS:
            beyond = (sign * excess > 0) & (sign * excess >= threshold) & ~np.isnan(after)
            fit = fits[side, threshold] = regression(excess[beyond], after[beyond], HORIZON)
            rows.append((side, sign * threshold, *_row(beyond, fit, after)))
    findings = [Finding("beta", None, Unit.NUMBER, _BETA, note="too few days", kind=Kind.EFFECT)]
    if whole is not None:
        disjoint = episodes(np.flatnonzero(~np.isnan(excess) & ~np.isnan(after)), HORIZON)
        findings = [
            Finding("beta", whole.beta, Unit.NUMBER, _BETA, whole.low, whole.high, "HAC, 5 lags", whole.n, disjoint, kind=Kind.EFFECT),
            Finding("t (OLS)", whole.t_ols, Unit.NUMBER, _T, cases=whole.n,
                    note="takes overlapping windows for independent", kind=Kind.EFFECT),
            Finding("t (HAC, 5 lags)", whole.t_hac, Unit.NUMBER, cases=whole.n, note=f"p = {whole.p_hac:.3f}"),
        ]  # fmt: skip
    before = regression(np.where(years < _FROM, every, np.nan), after, HORIZON) if published_years else None
    findings.append(
        Finding(
            f"beta before {_FROM}, out of the published years", before.beta if before else None, Unit.NUMBER, _BETA,
            before.low if before else None, before.high if before else None, "HAC, 5 lags" if before else "",
            before.n if before else 0, note="" if before else f"no data before {_FROM}" if published_years else f"no data from {_FROM} on: see beta", kind=Kind.EFFECT,
        )
    )  # fmt: skip
    for threshold, published in ((0.0, None), (0.05, None), (0.07, _CORRELATION)):
        fit = fits["above", threshold]
        findings.append(
            Finding(
                f"correlation where excess ≥ {threshold:.2f}", fit.correlation if fit else None, Unit.NUMBER, published,
                cases=fit.n if fit else 0, note="" if fit else "fewer than ten days",
                kind=Kind.NONE if published is None else Kind.ABOVE, base=whole.correlation if whole else None,
            )
        )  # fmt: skip
    known = ~np.isnan(excess) & ~np.isnan(after)
    scatter = Chart(
        "excess", "Excess financing and the next 5 days", Unit.RATIO,
        points=list(zip(excess[known].tolist(), after[known].tolist(), strict=True)),
        fit=(whole.alpha, whole.beta) if whole else None,
        x_label="excess financing", y_label="return over the next 5 days",
    )  # fmt: skip
    first, last = panel.period()
    return Result(
        "excess", TITLE, SOURCE, mode, first, last, findings,
        [
            Table("thresholds", "By threshold", _COLUMNS, rows, {"threshold": Unit.RATIO, "mean return": Unit.RATIO}),
            Table("years", "By year, held out of the regression", _YEAR_COLUMNS, held_out(every, after, years),
                  {"forecast error saved": Unit.RATIO, "right direction": Unit.RATIO}),
        ],
        [scatter, _threshold_chart(fits)],
        [
            f"published β and t are of 2018–2021, ours of the days from {_FROM} on{'' if published_years else ', of which the data have none, so of all days'}; "
            'the published correlation at 0.07 is "above 0.6"',
            "windows of 5 days overlap: use the HAC errors (Newey-West, 5 lags) for inference",
            "forecast error saved: 1 − Σ(y − α − βx)² / Σ(y − mean of the other years)², with α and β of all other years; below 0 the mean alone "
            "forecasts better",
            "as the source: return from the close of day T; point in time: from the open after the figures were published, to "
            "the same close" if mode is Mode.POINT_IN_TIME else "the balance of day T is published before the open of T+1, so a "
            "trade at the close of T was not possible",
        ],
        "" if whole is None else f"Windows overlap: with HAC errors t is {whole.t_hac:.2f}, not {whole.t_ols:.2f}.",
    )  # fmt: skip


def held_out(excess: Floats, after: Floats, years: npt.NDArray[np.int_]) -> list[tuple[Cell, ...]]:
    """Return for each year its own β, that of the earlier and of all other years, and how well the latter forecasts it.

    Parameters
    ----------
    excess, after, years : (days,) NaN where unknown.
    """
    known = ~np.isnan(excess) & ~np.isnan(after)
    rows: list[tuple[Cell, ...]] = []
    for year in np.unique(years[known]).tolist():
        inside = known & (years == year)
        own, earlier, other = (
            regression(excess[where], after[where], HORIZON)
            for where in (inside, known & (years < year), known & (years != year))
        )
        saved = right = None
        if other is not None:
            x, y = excess[inside], after[inside]
            mean = after[known & (years != year)].mean()
            forecast = other.alpha + other.beta * x
            saved = float(1 - ((y - forecast) ** 2).sum() / ((y - mean) ** 2).sum())
            right = float((np.sign(forecast) == np.sign(y)).mean())
        rows.append((
            str(year), int(inside.sum()), own.beta if own else None, own.t_hac if own else None,
            earlier.beta if earlier else None, other.beta if other else None, saved, right,
        ))  # fmt: skip
    return rows


def _threshold_chart(fits: dict[tuple[str, float], Regression | None]) -> Chart:
    """Return β and correlation by threshold, as the source draws them."""
    above = {threshold: fit for (side, threshold), fit in fits.items() if side == "above" and fit is not None}
    x = [100 * threshold for threshold in above]
    return Chart(
        "thresholds", "β and correlation of the days above a threshold", Unit.NUMBER,
        curves=[
            Curve("β", x, [fit.beta for fit in above.values()]),
            Curve("correlation", x, [fit.correlation for fit in above.values()]),
            Curve("correlation, published", [100 * THRESHOLDS[-1]], [_CORRELATION], published=True),
        ],
        x_label="threshold, %",
    )  # fmt: skip


def _row(beyond: Mask, fit: Regression | None, after: Floats) -> tuple[Cell, ...]:
    days = int(beyond.sum())
    mean = float(after[beyond].mean()) if days else None
    apart = episodes(np.flatnonzero(beyond), HORIZON)
    if fit is None:
        return (days, apart, None, None, None, None, mean)
    return (days, apart, fit.beta, fit.t_ols, fit.t_hac, fit.correlation, mean)
