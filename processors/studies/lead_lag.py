"""lead_lag: whether the margin balance leads or follows the SSE Composite, by correlation and at peaks [DG22]."""

from __future__ import annotations

import numpy as np

from processors.arrays import Floats, Indexer
from processors.bears import bear_markets
from processors.indicators.lead_lag import LAGS
from processors.studies.measure import block_interval, mean
from processors.studies.panel import SSE, Panel
from processors.studies.result import Bars, Cell, Chart, Finding, Kind, Mode, Result, Table, Unit

TITLE = "Lead or lag 领先与滞后: the balance and the SSE Composite"
SOURCE = "[DG22]"
#: What we found on 2013–2025; [DG22] publishes the direction alone.
_FOUND = {0: 0.35, 1: 0.29, 2: 0.23}
#: A peak is a close from which the index falls by this share; the balance's peak is searched so many sessions around it.
_FALL, _AROUND = 0.10, 20


def run(panel: Panel, mode: Mode) -> Result:
    """Return correlations of the index's return on day t with the balance's growth on t + k, and the lag at each peak."""
    used = panel.used()
    if len(used):
        used = np.arange(used[0], used[-1] + 1)  # a lag is counted in sessions, also in those without figures
    balance, close = panel.column("fin_balance")[used], panel.closes[SSE][used]
    growth, returns = (np.concatenate([[np.nan], v[1:] / v[:-1] - 1]) for v in (balance, close))
    years = panel.years()[used]
    whole = {k: correlation(returns, growth, k) for k in LAGS}
    distinct = [str(year) for year in np.unique(years).tolist()]
    of_year = [np.where(years == int(year), returns, np.nan) for year in distinct]
    by_lag: list[tuple[Cell, ...]] = [
        (f"{k:+d}" if k else "0", whole[k], *(correlation(part, growth, k) for part in of_year)) for k in LAGS
    ]
    peaks = _peaks(panel)
    lags = np.array([float(row[2]) for row in peaks if isinstance(row[2], int)])
    before = [value for k, value in whole.items() if k < 0 and value is not None]
    after = [value for k, value in whole.items() if 0 < k <= 5 and value is not None]
    behind, ahead = mean(np.array(after)), mean(np.array(before))
    places = np.arange(len(used))
    findings = [
        Finding("mean correlation with the balance 1 to 5 days later: the balance follows", behind, Unit.NUMBER, cases=len(used),
                kind=Kind.RISES, base=ahead, note="base: the balance 1 to 10 days earlier"),
        Finding("days from the index's peak to the balance's: the balance lags tops", mean(lags), Unit.NUMBER, cases=len(lags),
                kind=Kind.RISES, note="" if len(lags) else "no peak in the period"),
    ]  # fmt: skip
    for k, found in _FOUND.items():
        low, high = _interval(returns, growth, k, places)
        findings.append(Finding(f"correlation at k = {k}", whole[k], Unit.NUMBER, None, low, high, "block bootstrap", len(used),
                                note=f"{found:.2f} on 2013–2025 (ours)"))  # fmt: skip
    first, last = panel.period()
    return Result(
        "lead_lag", TITLE, SOURCE, mode, first, last, findings,
        [
            Table("correlations", "Correlation of the index's return on day t with the balance's growth on day t + k",
                  ("k", "all", *distinct), by_lag),
            Table("peaks", "Peaks of the index, and the highest balance around them", ("index's peak", "balance's peak", "days later", "fall of the index"),
                  peaks, {"fall of the index": Unit.RATIO}),
        ],
        [Chart("lead_lag", "Correlation by lag k in days: right of 0 the balance follows", Unit.NUMBER,
               bars=[Bars(f"{k:+d}" if k else "0", v) for k, v in whole.items() if v is not None], x_label="k, days")],
        [
            f"a peak is a close from which the SSE Composite falls by at least {_FALL:.0%}; the balance's peak is its highest value within "
            f"{_AROUND} sessions of it, each with a balance (ours)",
            "the balance of day t is known before the open of t + 1; a correlation at k = 0 is no forecast",
        ],
    )  # fmt: skip


def correlation(returns: Floats, growth: Floats, k: int) -> float | None:
    """Return the correlation of returns on day t with growth on day t + k; None from fewer than 30 pairs.

    Parameters
    ----------
    returns, growth : (days,), NaN where unknown.
    """
    x, y = (returns[: max(len(returns) - k, 0)], growth[k:]) if k >= 0 else (returns[-k:], growth[:k])
    known = ~(np.isnan(x) | np.isnan(y))
    return float(np.corrcoef(x[known], y[known])[0, 1]) if known.sum() >= 30 else None


def _interval(returns: Floats, growth: Floats, k: int, places: Indexer) -> tuple[float | None, float | None]:
    """Return the interval of the mean product of the standardised series."""
    end = max(len(returns) - k, 0)
    x, y = returns[:end], growth[k:]
    known = ~(np.isnan(x) | np.isnan(y))
    x, y = x[known], y[known]
    if len(x) < 30:
        return None, None
    return block_interval((x - x.mean()) / x.std() * (y - y.mean()) / y.std(), places[:end][known], 20)


def _peaks(panel: Panel) -> list[tuple[Cell, ...]]:
    """Return the peaks of the index in the period; the balance's peak is None where a balance around it is unknown."""
    history = panel.histories.get(SSE)
    if history is None:
        return []
    dates, balance = panel.dates(), np.where(panel.in_period, panel.column("fin_balance"), np.nan)
    used = panel.days[panel.used()].tolist()
    out: list[tuple[Cell, ...]] = []
    for bear in bear_markets(history.close, _FALL):
        day = int(history.days[bear.peak])
        if not used or not used[0] <= day <= used[-1]:
            continue
        at = int(np.searchsorted(panel.days, day))
        window = balance[max(at - _AROUND, 0) : at + _AROUND + 1]
        if len(window) < 2 * _AROUND + 1 or np.isnan(window).any():
            out.append((dates[at], None, None, bear.fall))
            continue
        lag = int(window.argmax()) - _AROUND
        out.append((dates[at], dates[at + lag], lag, bear.fall))
    return out
