"""Which of index and balance moves first: by correlation and by peak."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from tests.oracle.data import SSE_COMPOSITE, Data
from tests.oracle.market import Tables, both_exchanges, of_index, whole

LAGS = range(-10, 11)


def _enough(data: Data, p: Any) -> pd.Series:
    """Whether the newest close and balance are known, and enough of those before."""
    found = pd.Series(True, index=data.days)
    for series in (of_index(data, SSE_COMPOSITE, "close"), both_exchanges(data, "fin_balance")):
        days = series.rolling(p.lead_lag_days + 1, min_periods=0).count()
        found &= series.notna() & (days >= p.lead_lag_least)
    return found


def lead_lag(data: Data, p: Any) -> Tables:
    """The lag of the highest correlation, and every correlation."""
    close, balance = of_index(data, SSE_COMPOSITE, "close"), both_exchanges(data, "fin_balance")
    returns, growth = close / close.shift(1) - 1, balance / balance.shift(1) - 1
    found = np.full((len(data.days), len(LAGS)), np.nan)
    for k in LAGS:
        # Side by side on the later of the two days.
        both = pd.concat([returns.shift(max(k, 0)), growth.shift(max(-k, 0))], axis=1).to_numpy()
        known, days = ~np.isnan(both).any(axis=1), p.lead_lag_days - abs(k)
        for i in range(len(both)):
            window = slice(max(0, i + 1 - days), i + 1) if days > 0 else slice(0)
            pairs = both[window][known[window]]
            if len(pairs) >= p.lead_lag_least and pairs.std(axis=0).all():
                found[i, k - LAGS[0]] = np.corrcoef(pairs.T)[0, 1]
    table = pd.DataFrame(found, index=data.days, columns=LAGS)
    shown = table.notna().any(axis=1) & _enough(data, p)
    table = table.where(shown)
    best = pd.Series([row.idxmax() if row.notna().any() else np.nan for _, row in table.iterrows()], index=data.days)
    return whole(best.astype(float), **{f"k={k}": table[k] for k in LAGS})


def peak_lag(data: Data, p: Any) -> Tables:
    """Days between the two peaks."""
    shown = _enough(data, p)
    places = {}
    for name, series in (
        ("index_peak", of_index(data, SSE_COMPOSITE, "close")),
        ("balance_peak", both_exchanges(data, "fin_balance")),
    ):
        found = []
        for i in range(len(series)):
            window = series.iloc[max(0, i + 1 - p.lead_lag_days) : i + 1].dropna()
            highest = window[window == window.max()]
            # A series whose record begins in the window and falls from there on has its peak before the record.
            begins = i + 1 < p.lead_lag_days or np.isnan(series.iloc[i + 1 - p.lead_lag_days])
            edge = len(highest) and begins and highest.index[-1] == window.index[0]
            found.append(data.days.get_loc(highest.index[-1]) if len(highest) and not edge else np.nan)
        places[name] = pd.Series(found, index=data.days).where(shown)
    lag = places["balance_peak"] - places["index_peak"]
    places = {name: place.where(lag.notna()) for name, place in places.items()}
    dates = {
        name: pd.Series([None if np.isnan(at) else f"{data.days[int(at)]:%F}" for at in place], data.days, dtype=object)
        for name, place in places.items()
    }
    return whole(lag, **dates)
