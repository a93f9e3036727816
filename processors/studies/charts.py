"""charts: what the scores of the chart model are worth, beside plain rivals [GF25].

Each week the stocks are ranked by four predictors: the network's score; the logistic regression on the same 20 × 5
numbers; 20-day reversal (the negative 20-day return); 20-day momentum. A week's return runs over the next 5 sessions.
Every year is scored by networks that saw only earlier years, so every year is held out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import statsmodels.api as sm

from processors.arrays import Array, Floats, Ids
from processors.chart_labels import HORIZONS
from processors.days import to_date
from processors.industries import INDUSTRIES
from processors.studies.panel import Panel
from processors.studies.result import Bars, Cell, Chart, Finding, Mode, Result, Table, Unit

TITLE = "Chart model 图表模型: the network beside reversal, momentum and a logistic regression"
SOURCE = "[GF25]"
NETWORK, LOGISTIC, REVERSAL, MOMENTUM = "network", "logistic regression", "20-day reversal", "20-day momentum"
PREDICTORS = (NETWORK, LOGISTIC, REVERSAL, MOMENTUM)
#: Cost of selling one portfolio and buying another, of its value (ours: commission, stamp tax, spread).
ROUND_TRIP = 0.003
_HORIZON, _BACK, _DECILES, _THEMES, _LAGS = HORIZONS[0], 20, 10, 5, 4
_LEAST = 30  # stocks of a week, and cases of a mean with a t value
_T = 2.0


@dataclass(frozen=True, slots=True)
class _Week:
    """One week of one predictor: what it knew, and what followed; fractions."""

    year: int
    accuracy: float
    ic: float
    deciles: Floats  # (10,) excess over the mean of all stocks, the lowest score first
    turnover: Floats  # (10,) share of each decile that is new
    themes: float  # mean of the five best industries less the mean of all
    theme_turnover: float


@dataclass(frozen=True, slots=True)
class _Cases:
    """The stocks of one week: (n,) each."""

    year: int
    keys: Ids
    industry: npt.NDArray[np.int16]
    predictors: dict[str, Floats]
    returns: Floats
    industry_returns: Floats  # (31,)


def run(panel: Panel, mode: Mode) -> Result:
    """Return accuracy, rank IC, deciles and themes of every predictor, for all years and by year."""
    cases = _cases(panel, mode)
    weeks = {name: _weeks(cases, name) for name in PREDICTORS}
    years = sorted({one.year for one in cases})
    findings: list[Finding] = []
    for name in PREDICTORS:
        findings += _findings(name, weeks[name])
    findings += [_added(rival, [_residual_ic(one, rival) for one in cases]) for rival in (REVERSAL, LOGISTIC)]
    rows: list[tuple[Cell, ...]] = []
    deciles: list[tuple[Cell, ...]] = []
    for name in PREDICTORS:
        for label, some in [("all", weeks[name]), *((str(y), [w for w in weeks[name] if w.year == y]) for y in years)]:
            if some:
                rows.append(_row(name, label, some))
                deciles.append((name, label, *_deciles_after_costs(some)))
    first, last = panel.period()
    network = weeks[NETWORK]
    chart = Chart(
        "deciles",
        "Mean weekly excess return by decile of the network's score, after costs",
        Unit.RATIO,
        bars=[Bars(str(i), mean) for i, mean in enumerate(_deciles_after_costs(network), 1)] if network else [],
    )
    return Result(
        "charts", TITLE, SOURCE, mode, first, last, findings,
        [
            Table("predictors", "Predictors, all years and by year: every year is held out", _COLUMNS, rows, _UNITS),
            Table("deciles", "Mean weekly excess return by decile, lowest score first, after costs",
                  ("predictor", "years", *(str(i + 1) for i in range(_DECILES))), deciles,
                  {str(i + 1): Unit.RATIO for i in range(_DECILES)}),
        ],
        [chart] if network else [],
        [verdict(findings) if network else f"no chart is scored: {panel.charts.model}", *_notes(panel)],
    )  # fmt: skip


def _notes(panel: Panel) -> list[str]:
    return [
        f"a year is scored by networks that saw only charts whose labels end before it: {panel.charts.model}",
        f"returns over {_HORIZON} sessions: from the open of the next session (as the source: from the close of the day); a "
        "stock without a price there is left out, one at its limit is not, although it could hardly be bought",
        f"costs {ROUND_TRIP:.1%} of what is exchanged in a week; a short side is a comparison, not a trade, in this market",
        "accuracy: above the week's median of the predictor and of the return, or below both; 50% is a coin",
        "themes: the five industries with the highest mean predictor of their stocks, returns of the industries' indices, "
        "beside the mean of all industries; the network's ranking is the published theme_score",
    ]


# -- cases -----------------------------------------------------------------------------------------------------


def _cases(panel: Panel, mode: Mode) -> list[_Cases]:
    rows, size = panel.charts, len(panel.days)
    out: list[_Cases] = []
    if not len(rows.at):
        return out
    levels = _filled(panel.levels)
    column = np.searchsorted(panel.level_keys, rows.keys)
    starts = np.flatnonzero(np.r_[True, np.diff(rows.at) > 0])
    for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(rows.at)], strict=True):
        t = int(rows.at[start])
        if not panel.in_period[t] or t + _HORIZON >= size or t < _BACK:
            continue
        c = column[start:stop]
        entry = panel.levels[t, c] if mode is Mode.AS_SOURCE else panel.open_levels[t + 1, c]
        back = levels[t, c] / levels[t - _BACK, c] - 1
        score = rows.score[start:stop]
        predictors = {NETWORK: score, LOGISTIC: rows.rival[start:stop], REVERSAL: -back, MOMENTUM: back}
        returns = levels[t + _HORIZON, c] / entry - 1
        known = ~np.isnan(returns) & ~np.isnan(back) & ~np.isnan(score)
        if known.sum() < _LEAST:
            continue
        prices = panel.closes if mode is Mode.AS_SOURCE else panel.opens
        begin = t if mode is Mode.AS_SOURCE else t + 1
        gains = [panel.closes[name][t + _HORIZON] / prices[name][begin] - 1 for name in INDUSTRIES]
        out.append(
            _Cases(
                to_date(int(panel.days[t])).year,
                rows.keys[start:stop][known],
                rows.industry[start:stop][known],
                {name: values[known] for name, values in predictors.items()},
                returns[known],
                np.array(gains),
            )
        )
    return out


def _filled(levels: Floats) -> Floats:
    """Return the last known level of every day (days, n)."""
    at = np.where(np.isnan(levels), 0, np.arange(len(levels))[:, None])
    return np.asarray(np.take_along_axis(levels, np.maximum.accumulate(at, axis=0), axis=0))


def _weeks(cases: list[_Cases], name: str) -> list[_Week]:
    out: list[_Week] = []
    held: list[Array] = [np.empty(0)] * _DECILES
    themes_held: Array = np.empty(0)
    for one in cases:
        values = one.predictors[name]
        ranks = _ranks(values)
        decile = np.minimum((ranks - 0.5) * _DECILES // len(ranks), _DECILES - 1).astype(int)
        excess = one.returns - one.returns.mean()
        means = np.array([excess[decile == i].mean() if (decile == i).any() else np.nan for i in range(_DECILES)])
        inside = [one.keys[decile == i] for i in range(_DECILES)]
        score = _by_industry(values, one.industry)
        priced = ~np.isnan(score) & ~np.isnan(one.industry_returns)
        order = np.flatnonzero(priced)[np.argsort(-score[priced], kind="stable")][:_THEMES]
        best = one.industry_returns[order].mean() - one.industry_returns[priced].mean() if len(order) else np.nan
        out.append(
            _Week(
                one.year,
                float(((values > np.median(values)) == (one.returns > np.median(one.returns))).mean()),
                _correlation(ranks, _ranks(one.returns)),
                means,
                np.array([_new(keys, before) for keys, before in zip(inside, held, strict=True)]),
                float(best),
                _new(order, themes_held),
            )
        )
        held, themes_held = inside, order
    return out


def _new(now: Array, before: Array) -> float:
    """Return the share of a portfolio that was not in it before; NaN without any."""
    return 1.0 - float(np.isin(now, before).mean()) if len(now) else np.nan


def _after_costs(week: _Week) -> Floats:
    """Return the excess returns of a week's deciles less the cost of what is new in each (10,)."""
    return week.deciles - ROUND_TRIP * week.turnover


def _deciles_after_costs(weeks: list[_Week]) -> list[float]:
    """Return the mean of each decile over the weeks, after costs."""
    means: list[float] = np.nanmean([_after_costs(week) for week in weeks], axis=0).tolist()
    return means


def _by_industry(values: Floats, industry: npt.NDArray[np.int16]) -> Floats:
    """Return the mean of each industry (31,); NaN without a stock."""
    used = industry >= 0
    count = np.bincount(industry[used], minlength=len(INDUSTRIES)).astype(np.float64)
    total = np.bincount(industry[used], weights=values[used], minlength=len(INDUSTRIES))
    return np.asarray(total / np.where(count > 0, count, np.nan))


def _ranks(values: Floats) -> Floats:
    """Return ranks from 1 (n,); equals share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], dtype=np.float64)


def _correlation(x: Floats, y: Floats) -> float:
    return float(np.corrcoef(x, y)[0, 1]) if np.ptp(x) and np.ptp(y) else np.nan


def _residual_ic(one: _Cases, rival: str) -> float:
    """Return the rank IC of what a rival does not explain of the network's ranks."""
    network, other, returns = (_ranks(v) for v in (one.predictors[NETWORK], one.predictors[rival], one.returns))
    slope = np.cov(network, other)[0, 1] / other.var(ddof=1) if np.ptp(other) else 0.0
    return _correlation(network - slope * other, returns)


# -- figures ---------------------------------------------------------------------------------------------------


def _mean_t(values: Floats) -> tuple[float | None, float | None]:
    """Return the mean, and its t value with HAC errors; no t value for fewer than eight weeks."""
    known = values[~np.isnan(values)]
    if not len(known):
        return None, None
    if len(known) < 2 * _LAGS or not np.ptp(known):
        return float(known.mean()), None
    model: Any = sm.OLS(known, np.ones(len(known))).fit(cov_type="HAC", cov_kwds={"maxlags": _LAGS})
    return float(model.params[0]), float(model.tvalues[0])


_COLUMNS = (
    "predictor", "years", "weeks", "accuracy", "rank IC", "t (HAC)", "top decile", "top after costs", "t (HAC) after costs",
    "top less bottom", "top-5 themes", "themes after costs", "t (HAC) of themes",
)  # fmt: skip
_UNITS = dict.fromkeys(
    ("accuracy", "top decile", "top after costs", "top less bottom", "top-5 themes", "themes after costs"), Unit.RATIO
) | {
    "rank IC": Unit.NUMBER,
    "t (HAC)": Unit.NUMBER,
    "t (HAC) after costs": Unit.NUMBER,
    "t (HAC) of themes": Unit.NUMBER,
}


def _series(weeks: list[_Week]) -> dict[str, Floats]:
    """Return the weekly figures by name (weeks,)."""
    deciles = np.array([week.deciles for week in weeks]).reshape(-1, _DECILES)
    themes = np.array([week.themes for week in weeks])
    return {
        "accuracy": np.array([week.accuracy for week in weeks]),
        "ic": np.array([week.ic for week in weeks]),
        "top": deciles[:, -1],
        "top after costs": np.array([_after_costs(week)[-1] for week in weeks]),
        "spread": deciles[:, -1] - deciles[:, 0],
        "themes": themes,
        "themes after costs": themes - ROUND_TRIP * np.array([week.theme_turnover for week in weeks]),
    }


def _row(name: str, label: str, weeks: list[_Week]) -> tuple[Cell, ...]:
    found = {key: _mean_t(values) for key, values in _series(weeks).items()}
    return (
        name, label, len(weeks), found["accuracy"][0], *found["ic"], found["top"][0], *found["top after costs"],
        found["spread"][0], found["themes"][0], *found["themes after costs"],
    )  # fmt: skip


def _findings(name: str, weeks: list[_Week]) -> list[Finding]:
    nothing = "" if weeks else "no chart is scored in this period"
    found = {key: _mean_t(values) for key, values in _series(weeks).items()}
    wanted = (
        ("accuracy", "accuracy", Unit.RATIO),
        ("rank IC", "ic", Unit.NUMBER),
        ("top decile after costs, weekly", "top after costs", Unit.RATIO),
        ("top-5 themes after costs, weekly", "themes after costs", Unit.RATIO),
    )
    return [
        Finding(
            f"{name}: {what}",
            found[key][0],
            unit,
            cases=len(weeks),
            note=nothing or ("" if key == "accuracy" else _t_note(found[key][1])),
        )
        for what, key, unit in wanted
    ]


def _t_note(t: float | None) -> str:
    return "" if t is None else f"t (HAC, {_LAGS} lags) {t:.2f}"


_ADDED = "network: rank IC of what {} does not explain"


def _added(rival: str, ics: list[float]) -> Finding:
    mean, t = _mean_t(np.array(ics))
    note = _t_note(t) if ics else "no chart is scored"
    return Finding(_ADDED.format(rival), mean, Unit.NUMBER, cases=len(ics), note=note)


def verdict(findings: list[Finding]) -> str:
    """Return in one sentence whether the network adds anything over reversal, and after costs."""
    by = {one.what: one for one in findings}
    added, network, reversal = by[_ADDED.format(REVERSAL)], by[f"{NETWORK}: rank IC"], by[f"{REVERSAL}: rank IC"]
    after = by[f"{NETWORK}: top decile after costs, weekly"]
    t = _t_of(added)
    adds = added.ours is not None and added.ours > 0 and t is not None and t > _T
    pays = after.ours is not None and after.ours > 0 and (_t_of(after) or 0.0) > _T
    figures = f"rank IC {network.ours or 0:.3f} beside {reversal.ours or 0:.3f}, {added.ours or 0:.3f} without reversal"
    if t is not None:
        figures += f" (t {t:.1f})"
    first = (
        "The network adds to 20-day reversal" if adds else "The network adds nothing that is sure to 20-day reversal"
    )
    second = "its top decile earns more than its costs" if pays else "its top decile does not surely earn its costs"
    return f"{first} ({figures}), and {second} ({after.ours or 0:.2%} a week{_in_words(_t_of(after))})."


def _in_words(t: float | None) -> str:
    return "" if t is None else f", t {t:.1f}"


def _t_of(finding: Finding) -> float | None:
    return float(finding.note.rpartition(" ")[2]) if finding.note.startswith("t (HAC") else None
