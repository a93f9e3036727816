"""The records of the rules: cases, hits and base rates as they were known before any day."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from tests.oracle import charts, industries, market, securities
from tests.oracle.data import SSE_COMPOSITE, Data

HORIZONS = (5, 20, 60)
#: The day of each alert, and the codes or industries that it is about.
Cases = list[tuple[pd.Timestamp, list[str]]]
Returns = Callable[["Data", int], pd.DataFrame]


@dataclass(frozen=True, eq=False)
class Record:
    """What is known of a rule: its alerts, oldest first, and what a hit is.

    `hit` is a function of the path: (days, horizon) returns of the index after the entry; or, where the rule is about
    securities or industries, of `returns`, which are the excess returns of all of them (days, codes) at the end of the
    horizon. `inside` are the only days that count, all if None.
    """

    cases: Cases
    since: pd.Timestamp
    horizon: int
    hit: Callable[[pd.DataFrame], Any]
    returns: Returns | None = None
    inside: pd.Series | None = None


@dataclass(frozen=True)
class Known:
    """A record before a day."""

    cases: int
    hits: int
    unscored: int
    base_cases: int
    base_hits: int
    episodes: int
    since: pd.Timestamp
    outcomes: dict[str, tuple[int, float, float]] = field(default_factory=dict)
    drawdown: float | None = None


# -- After the entry -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def index_paths(data: Data, days: int) -> pd.DataFrame:
    """Returns from the open of the next day to the closes of the next `days` days, by day."""
    entry = market.of_index(data, SSE_COMPOSITE, "open").shift(-1)
    close = market.of_index(data, SSE_COMPOSITE, "close")
    return pd.concat({k: close.shift(-k) / entry - 1 for k in range(1, days + 1)}, axis=1)


@lru_cache(maxsize=4)
def _ends(data: Data, days: int) -> pd.Series:
    """Returns from the open of the next day to the close `days` days later, by day."""
    return index_paths(data, days)[days]


@lru_cache(maxsize=4)
def _known_days(data: Data, days: int) -> pd.Series:
    """Whether all of these returns are known, by day."""
    return index_paths(data, days).notna().all(axis=1)


@lru_cache(maxsize=4)
def _falls(data: Data, days: int) -> pd.Series:
    """The lowest of these returns, by day; only where all of them are known."""
    return index_paths(data, days)[_known_days(data, days)].min(axis=1)


@lru_cache(maxsize=4)
def excess_returns(data: Data, days: int) -> pd.DataFrame:
    """Returns of the stocks from the open of the next day, less their mean, by day and code."""
    level = securities.levels(data)["level"]
    at_open = level / (1 + securities.open_to_close(data, None)[""].reindex(columns=level.columns))
    listed = data.listed().reindex(columns=level.columns, fill_value=False)
    stocks = [code for code in level.columns if not securities.is_fund(code)]
    growth = (level.where(listed).shift(-days) / at_open.where(listed).shift(-1) - 1)[stocks]
    return growth.sub(growth.mean(axis=1), axis=0)


@lru_cache(maxsize=4)
def industry_returns(data: Data, days: int) -> pd.DataFrame:
    """Returns of the industries' indices from the open of the next day, less their mean, by day and industry."""
    close, opened = industries.of_index(data, "close"), industries.of_index(data, "open")
    growth = close.shift(-days) / opened.where(close.notna()).shift(-1) - 1
    return growth.sub(growth.mean(axis=1), axis=0)


@lru_cache(maxsize=8)
def _member_scores(record: Record, data: Data) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Day, size, known, hits and mean returns of each case, and the known and hits of all members on each day."""
    assert record.returns is not None
    of_all = record.returns(data, record.horizon)
    known, hit = of_all.notna(), record.hit(of_all) & of_all.notna()
    excess = {h: record.returns(data, h).to_numpy() for h in HORIZONS}
    places, is_known, is_hit = {code: j for j, code in enumerate(of_all.columns)}, known.to_numpy(), hit.to_numpy()
    rows = []
    for when, codes in record.cases:
        row, columns = data.places[when], np.array([places[code] for code in codes if code in places], dtype=int)
        means = {h: _mean(values[row, columns]) for h, values in excess.items()}
        counts = {"known": is_known[row, columns].sum(), "hits": is_hit[row, columns].sum()}
        rows.append({"place": row, "size": len(codes), **counts, **means})
    base = pd.DataFrame({"known": known.sum(axis=1), "hits": hit.sum(axis=1)})
    return pd.DataFrame(rows), base


def _mean(values: np.ndarray) -> float:
    """The mean of the known values."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan


@lru_cache(maxsize=16)
def _index_hits(record: Record, data: Data) -> pd.Series:
    """Whether each day would have been a hit."""
    paths = index_paths(data, record.horizon)
    return pd.Series(record.hit(paths), index=paths.index)


def known_before(record: Record, data: Data, day: pd.Timestamp) -> Known:
    """The record before a day: nothing of it or behind it."""
    place = data.places
    today, first, span = place.get(day, len(data.days)), place[record.since], record.horizon
    history = days = data.days[first : max(first, today - span)]
    if record.inside is not None:
        history = history[record.inside.reindex(history).fillna(False).to_numpy(dtype=bool)]
    if record.returns is not None:
        cases, all_members = _member_scores(record, data)
        scored, base = cases[cases["place"] + span < today], all_members.loc[history].sum()
        sums, counted = scored.sum(), scored.loc[scored["known"] > 0, "place"].tolist()
        outcomes = _outcomes({h: cases.loc[cases["place"] + h < today, h].tolist() for h in HORIZONS})
        return Known(
            int(sums["known"]), int(sums["hits"]), int(sums["size"] - sums["known"]), int(base["known"]),
            int(base["hits"]), _episodes(counted, span), _since(all_members["known"].loc[days] > 0, record), outcomes,
        )  # fmt: skip
    over = {h: [when for when, _ in record.cases if place[when] + h < today] for h in HORIZONS}
    scored = [when for when, _ in record.cases if place[when] + span < today]
    known_days = _known_days(data, span)
    hit = _index_hits(record, data) & known_days
    counted = [when for when in scored if known_days[when]]
    falls = _falls(data, 60)
    falls = falls[falls.index.isin(over[60])]
    return Known(
        len(counted), int(hit.loc[counted].sum()), len(scored) - len(counted), int(known_days.loc[history].sum()),
        int(hit.loc[history].sum()), _episodes(sorted(place[when] for when in counted), span),
        _since(known_days.loc[days], record),
        _outcomes({h: _ends(data, h).loc[over[h]].to_list() for h in HORIZONS}),
        float(falls.min()) if len(falls) else None,
    )  # fmt: skip


def _since(known: pd.Series, record: Record) -> pd.Timestamp:
    """The first day whose outcome is known; that of the first evaluation where none is."""
    return known.index[known][0] if known.any() else record.since


def _outcomes(returns: dict[int, list[float]]) -> dict[str, tuple[int, float, float]]:
    known = {h: [value for value in values if not np.isnan(value)] for h, values in returns.items()}
    return {str(h): (len(v), float(np.median(v)), min(v)) for h, v in known.items() if v}


def _episodes(places: list[int], span: int) -> int:
    """Cases that lie at least one horizon behind the one that was counted last."""
    counted: list[int] = []
    for place in places:
        if not counted or place - counted[-1] >= span:
            counted.append(place)
    return len(counted)


# -- The rules -----------------------------------------------------------------------------------------------------


def _top(paths: pd.DataFrame) -> pd.Series:
    return paths.max(axis=1) <= 0.05


def _higher(values: pd.DataFrame) -> Any:
    return values.iloc[:, -1] > 0


def _lower(values: pd.DataFrame) -> Any:
    return values.iloc[:, -1] < 0


def _of_days(days: pd.Index, series: pd.Series, horizon: int, hit: Callable[[pd.DataFrame], Any]) -> Record:
    return Record([(day, []) for day in days], series.dropna().index[0], horizon, hit)


def _entered(states: pd.Series, inside: set[str]) -> pd.Index:
    """The days on which a state is entered; absent days are left out."""
    known = states.dropna().isin(inside)
    return known.index[known & ~known.shift(1, fill_value=False)]


def _conditions(series: pd.Series, begins: Any, ends: Any, rest: int) -> list[pd.Timestamp]:
    """The first days of a condition, more than `rest` known days behind the day on which the last one ended."""
    out, inside, left = [], False, 0
    for day, value in series.dropna().items():
        if inside and ends(value):
            inside, left = False, rest
        elif not inside and left > 0:
            left -= 1
        elif not inside and begins(value):
            out.append(day)
            inside = True
    return out


def _lags(excess: pd.DataFrame) -> pd.DataFrame:
    return excess < 0


def _leads(excess: pd.DataFrame) -> pd.DataFrame:
    return excess > 0


def _flagged(
    flags: pd.DataFrame,
    since: pd.Timestamp,
    hit: Callable[[pd.DataFrame], Any],
    inside: pd.Series | None = None,
    horizon: int = 20,
    returns: Returns = excess_returns,
) -> Record:
    rows = zip(flags.index, flags.to_numpy(dtype=bool), strict=True)
    cases = [
        (day, list(flags.columns[row]))
        for day, row in rows
        if row.any() and (inside is None or bool(inside.get(day, default=False)))
    ]
    return Record(cases, since, horizon, hit, returns, inside)


def _industry_risk(data: Data, p: Any) -> Record:
    """Each industry whose risk score is newly high at the end of a week, in its own σ."""
    risk = industries.composite(industries.RISK)(data, p)[""]
    sigma = risk.sub(risk.mean(axis=1), axis=0).div(risk.std(axis=1, ddof=0), axis=0)
    begun = data.wide("detail", "fin_balance").notna().any(axis=1).cummax()  # indices alone make no industry's day
    weekly = sigma[industries.ends_week(data) & begun.reindex(sigma.index, fill_value=False)].dropna(how="all")
    cases = [
        (day, [name])
        for name in weekly.columns
        for day in _conditions(weekly[name], lambda v: v >= 2, lambda v: v < 1.5, 0)
    ]
    places = {name: place for place, name in enumerate(sorted(weekly.columns))}
    cases.sort(key=lambda case: (case[0], places[case[1][0]]))
    return Record(cases, weekly.index[0], 20, _lags, industry_returns)


def records(data: Data, p: Any) -> dict[tuple[str, str], Record]:
    """Every record by rule and name."""
    found = market.market(data, p)
    levels, high_low = found["excess_level"].dropna(), found["new_high_low"]
    premium = market.risk_premium(data, p)[""]["market"]
    collateral = market.collateral_ratio(data, p)["percentile"]["market"].dropna()
    begins = (levels != 0) & (levels != levels.shift(1, fill_value=0.0))
    own = securities.own_history(data, p)
    # Extremes and streaks are known with the detail alone, the others with the prices as well.
    detail = data.has_rows("detail")
    both = detail & data.has_rows("prices")
    detail_since, both_since = detail.index[detail][0], both.index[both][0]
    longest = max(p.streak_flags)
    rises = (own["consecutive_extreme"] != 0) & (own["fin_change"] > 0) & own["consecutive_extreme"].notna()
    moved, regime = own["fin_change"].notna(), market.regimes(data, p)
    case, scores = securities.divergence(data, p)[""], securities.scores(data, p)
    chart = charts.chart_top(data, p)[""].iloc[:-1]  # the history ends within a week
    themes = charts.theme_top5(data, p)[""].iloc[:-1]
    top, kind = scores["excess_top"] == 1, scores["excess_kind"]
    return {
        ("peak_warning", ""): _of_days(
            found.index[found["ratio_state"] == "BREAKDOWN"], found["ratio_state"], 60, _top),
        ("peak_early_sign", ""): _of_days(
            found.index[found["ratio_state_daily"] == "BREAKDOWN"], found["ratio_state_daily"], 60, _top),
        ("market_hot", ""): _of_days(_entered(found["ratio_state"], {"HOT"}), found["ratio_state"], 20, _higher),
        ("market_cold", ""): _of_days(
            _entered(found["ratio_state"], {"COLD", "EXTREME_COLD"}), found["ratio_state"], 20, _higher),
        ("excess_financing", "up"): _of_days(levels.index[begins & (levels > 0)], levels, 5, _higher),
        ("excess_financing", "down"): _of_days(levels.index[begins & (levels < 0)], levels, 5, _lower),
        ("balance_new_high", ""): _of_days(
            pd.Index(_conditions(high_low, lambda v: v == 1, lambda v: v < 1, 20)), high_low, 20, _higher),
        ("balance_new_low", ""): _of_days(
            pd.Index(_conditions(high_low, lambda v: v == -1, lambda v: v > -1, 20)), high_low, 20, _higher),
        ("risk_premium_high", ""): _of_days(
            pd.Index(_conditions(premium, lambda v: v >= 0.04, lambda v: v < 0.038, 5)), premium, 20, _higher),
        ("collateral_low", ""): _of_days(
            pd.Index(_conditions(collateral, lambda v: v <= 0.05, lambda v: v > 0.10, 5)), collateral, 20, _lower),
        ("fin_extreme", "consecutive rises"): _flagged(rises, detail_since, _lags),
        ("fin_streak", "up in a range"): _flagged(
            (own["fin_streak"] == longest) & moved, detail_since, _leads, regime == "RANGE"),
        ("fin_streak", "down in a rally"): _flagged(
            (own["fin_streak"] == -longest) & moved, detail_since, _lags, regime == "RALLY"),
        ("fin_divergence", "range"): _flagged(case == 1.0, both_since, _lags),
        ("fin_divergence", "rally"): _flagged(case == 2.0, both_since, _lags),
        ("excess_score_top", "early positioning"): _flagged(top & (kind == -1), both_since, _leads),
        ("excess_score_top", "chasing"): _flagged(top & (kind == 1), both_since, _leads),
        ("industry_risk_high", ""): _industry_risk(data, p),
        ("themes", ""): _flagged(
            themes == 1, themes.dropna(how="all").index[0], _leads, horizon=5, returns=industry_returns),
        ("chart_top", ""): _flagged(chart == 1, chart.dropna(how="all").index[0], _leads, horizon=5),
    }  # fmt: skip
