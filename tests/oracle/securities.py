"""The signals of securities, and those of the market that are counted over securities: matrices of day × code."""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import product
from math import isnan
from typing import Any

import numpy as np
import pandas as pd

from processors.arrays import Floats, Ints, Mask
from tests.oracle.data import PUBLISHED, Data, is_fund, is_stock
from tests.oracle.market import Tables, regimes, shown, whole

LONGEST = 60  # days of a streak over which its excess return is taken


def _shifted(matrix: Floats) -> Floats:
    """Each day's row replaced by that of the trading day before."""
    before = np.full_like(matrix, np.nan)
    before[1:] = matrix[:-1]
    return before


def _ages(present: Mask, gone: Mask) -> Floats:
    """Rows since inclusion (the day itself is 0); infinite for a code never seen off the list."""
    ages = np.full(present.shape, np.nan)
    age, off = np.full(present.shape[1], np.inf), np.zeros(present.shape[1], bool)
    for t in range(len(present)):
        age = np.where(present[t], np.where(off, 0, age + 1), age)
        off = (off | gone[t]) & ~present[t]
        ages[t] = age
    return ages


def _streaks(change: Floats, gone: Mask) -> Ints:
    """Rises or falls in a row: no change ends it, an absent change pauses it, leaving the list resets it."""
    streaks = np.zeros(change.shape, np.int64)
    count = np.zeros(change.shape[1], np.int64)
    for t in range(len(change)):
        up, down, flat = change[t] > 0, change[t] < 0, change[t] == 0
        count = np.select(
            [up, down, flat | gone[t]],
            [np.maximum(count, 0) + 1, np.minimum(count, 0) - 1, np.zeros_like(count)],
            default=count,
        )
        streaks[t] = count
    return streaks


def _extremes(change: Floats, stock: Mask, share: float) -> Floats:
    """±1 in the day's top and bottom 5% of the stocks with a change, ties at the cut included, else 0."""
    extremes = np.full(change.shape, np.nan)
    for t in range(len(change)):
        known = stock & ~np.isnan(change[t])
        k = int(known.sum() * round(share * 1000)) // 1000
        if k == 0:
            continue
        ordered = np.sort(change[t, known])
        top = (change[t] >= ordered[-k]) & (change[t] > 0)
        bottom = (change[t] <= ordered[k - 1]) & (change[t] < 0)
        extremes[t, known] = (top.astype(float) - bottom.astype(float))[known]
    return extremes


@lru_cache(maxsize=8)
def own_history(data: Data, p: Any = PUBLISHED) -> dict[str, pd.DataFrame]:
    """The signals of a security's own balance, by day and code; NaN where the day's detail has no row of it."""
    wide, listed = data.wide("detail", "fin_balance"), data.listed()
    codes = wide.columns.astype(str)
    shanghai = np.array([code.endswith(".SH") for code in codes], dtype=bool)
    stock = np.array([is_stock(code) for code in codes], dtype=bool)

    balance, present = wide.to_numpy(dtype=float), listed.to_numpy()
    # Off the list: no row although the code's own exchange has published that day.
    published = np.empty_like(present)
    published[:, shanghai] = present[:, shanghai].any(axis=1, keepdims=True)
    published[:, ~shanghai] = present[:, ~shanghai].any(axis=1, keepdims=True)
    gone = published & ~present

    before = _shifted(balance)
    usable = (before > 0) & (balance >= p.minimum_balance_cny) & (_ages(present, gone) > p.inclusion_quiet_days)
    change = np.where(usable, balance / np.where(before > 0, before, np.nan) - 1, np.nan)
    extreme = _extremes(change, stock, p.extreme_share)
    again = (extreme == _shifted(extreme)) & (extreme != 0)
    consecutive = np.where(np.isnan(extreme), np.nan, np.where(again, extreme, 0.0))
    lost = data.lacks()
    for t, k in product(range(len(lost)), range(len(lost.columns))):
        # The change of the day before needs that day and the one before it.
        if any(lost.iloc[t - back, k] and present[: t - back].any() for back in (1, 2) if t >= back):
            own = np.array([code[7:] == lost.columns[k] for code in codes])
            consecutive[t, own & (extreme[t] != 0) & np.isnan(_shifted(extreme)[t])] = np.nan
    found = {
        "fin_balance": balance,
        "fin_change": change,
        "fin_streak": np.where(present, _streaks(change, gone), np.nan),
        "extreme": extreme,
        "consecutive_extreme": consecutive,
    }
    return {name: pd.DataFrame(values, index=data.days, columns=codes) for name, values in found.items()}


def securities(data: Data) -> pd.DataFrame:
    """The same as a row per trade date and code of that day's detail."""
    row, column = np.nonzero(data.listed().to_numpy())
    found = own_history(data)
    codes = found["fin_change"].columns
    index = pd.MultiIndex.from_arrays([data.days[row], codes[column]], names=["trade_date", "code"])
    table = pd.DataFrame({name: values.to_numpy()[row, column] for name, values in found.items()}, index=index)
    return table.astype({"fin_streak": np.int64})


def own(name: str) -> Any:
    """The entry of a column of `own_history`."""
    return lambda data, p: {"": own_history(data, p)[name]}


# -- Prices ------------------------------------------------------------------------------------------


@cache
def _limit(code: str, wider_chinext: bool, st: bool) -> float:
    """The largest daily move of a stock, fund or B share; infinite for anything else."""
    if is_fund(code):
        return 0.20
    if not is_stock(code):
        return (0.05 if st else 0.10) if code.startswith(("900", "200", "201")) else np.inf
    if code.startswith(("688", "689")) or (code.startswith("30") and wider_chinext):
        return 0.20
    if code.endswith(".BJ"):
        return 0.30
    return 0.05 if st and not code.startswith("30") else 0.10


def _unlimited(code: str, day: pd.Timestamp) -> bool:
    """Whether a new listing of the code's board has no limit for five days."""
    if not is_stock(code) or code.endswith(".BJ"):
        return False
    since = "2019-07-22" if code.startswith("68") else "2020-08-24" if code.startswith("30") else "2023-04-10"
    return day >= pd.Timestamp(since)


@lru_cache(maxsize=8)
def levels(data: Data) -> dict[str, pd.DataFrame]:
    """Adjusted levels: of the very day, the last known one (NaN on days without any price row), returns, actions.

    Without a previous close, a move beyond the limit is a corporate action: no return, and the level stays. The move
    over days on which the exchange's rows are missing is part of the level, within the limit of so many days.
    """
    wide = data.wide("prices", "close")
    closes = wide.mask(data.wide("prices", "suspended") == 1.0).to_numpy(dtype=float)
    listed = data.listed("prices").reindex(columns=wide.columns).to_numpy()
    previous, st = (data.wide("prices", name).to_numpy(dtype=float) for name in ("prev_close", "st"))
    codes, day_known = wide.columns.astype(str), data.has_rows("prices").tolist()
    lost = data.lacks("prices") & data.has_rows("prices").to_numpy()[:, None]
    out = {name: np.full(closes.shape, np.nan) for name in ("level", "last", "return", "action")}
    days, wider = list(data.days), (data.days >= pd.Timestamp("2020-08-24")).tolist()
    for j, code in enumerate(codes):
        level = last = before = np.nan
        priced, blank, begun, listed_before = 0, 0, False, False
        rows = zip(days, closes[:, j].tolist(), previous[:, j].tolist(), st[:, j].tolist(), strict=True)
        missed = (lost[code[7:]].to_numpy() & ~listed[:, j]).tolist() if code[7:] in lost else [False] * len(days)
        for t, (day, now, base, special) in enumerate(rows):
            if not day_known[t]:
                blank += begun
                before = np.nan
                continue
            if not isnan(now):
                action = False
                if isnan(level):
                    level, listed_before = 1.0, not begun
                else:
                    free = priced < 5 and not listed_before and _unlimited(code, day)
                    limit = _limit(code, wider[t], special == 1.0)

                    def beyond(ratio: float, sessions: int, limit: float = limit, free: bool = free) -> bool:
                        top, bottom = (1 + limit) ** sessions + 0.005, max(1 - limit, 0) ** sessions - 0.005
                        return not free and (ratio > top + 1e-9 or ratio < bottom - 1e-9)

                    if isnan(base):
                        action = beyond(now / last, 1 + blank)
                        level *= 1.0 if action else now / last
                    else:
                        action = bool(blank) and beyond(base / last, blank)
                        level *= (base / last if blank and not action else 1.0) * (now / base)
                unpublished = action and isnan(base)
                out["return"][t, j] = np.nan if unpublished else now / (before if isnan(base) else base) - 1
                out["level"][t, j], out["action"][t, j] = level, float(action)
                last, priced, blank = now, priced + 1, 0
            elif missed[t]:
                blank += 1
            before, begun = now, True
            out["last"][t, j] = level
    return {name: pd.DataFrame(values, index=data.days, columns=codes) for name, values in out.items()}


def breadth(data: Data, p: Any) -> Tables:
    """Share of stocks above their own mean."""
    level = _stocks(levels(data)["level"])
    past = level.rolling(p.breadth_days, min_periods=1)
    mean = past.mean().where(past.count() >= p.breadth_least)
    known = level.notna() & mean.notna()
    above = (level > mean * (1 + 1e-12)).astype(float).where(known)  # a level equal to its mean but for rounding is not
    share = above.mean(axis=1).mask(data.lacks("prices").any(axis=1))
    return whole(share, stocks=known.sum(axis=1).astype(float).where(share.notna()))


def _stocks(table: pd.DataFrame) -> pd.DataFrame:
    return table[[code for code in table.columns if is_stock(code)]]


DOUBLED = np.nextafter(1.0, 2.0)  # the last class is above 100%, not from there on
YEAR_TO_DATE = [
    ("< −30%", -np.inf, -0.30), ("−30…−10%", -0.30, -0.10), ("−10…10%", -0.10, 0.10), ("10…30%", 0.10, 0.30),
    ("30…50%", 0.30, 0.50), ("50…100%", 0.50, DOUBLED), ("> 100%", DOUBLED, np.inf),
]  # fmt: skip


def ytd(data: Data, _p: Any) -> Tables:
    """Median return since the last session of the year before, and the share of stocks in each class of it."""
    level, last = _stocks(levels(data)["level"]), _stocks(levels(data)["last"])
    year = pd.Series(data.days.year, index=data.days)
    base = pd.DataFrame(np.nan, index=level.index, columns=level.columns)
    for number in year.unique():
        before = data.days[data.days.year < number]
        if len(before):
            base.loc[(year == number).to_numpy()] = last.loc[before[-1]].to_numpy()
    gains = (level / base - 1).mask(data.lacks("prices").any(axis=1))
    known = gains.notna().sum(axis=1)
    rounded, some = gains.round(12), known.where(known > 0)
    shares = {name: ((rounded >= least) & (rounded < below)).sum(axis=1) / some for name, least, below in YEAR_TO_DATE}
    acted = _stocks(levels(data)["action"]).eq(1.0).sum(axis=1).astype(float)
    return shown(gains.median(axis=1), stocks=some.astype(float), corporate_actions=acted, **shares)


@lru_cache(maxsize=8)
def equal_weight(data: Data) -> pd.Series:
    """Mean return of the stocks in the margin list."""
    returns = _stocks(levels(data)["return"])
    listed = data.listed().reindex(columns=returns.columns, fill_value=False)
    acted = _stocks(levels(data)["action"]).eq(1.0) & returns.isna()
    priced = _stocks(levels(data)["level"]).notna() & listed & ~acted
    lacks = data.lacks("detail") | data.lacks_before("prices", returns, priced)
    return returns.where(listed).mean(axis=1).mask(lacks.any(axis=1))


def _on_detail(data: Data, table: pd.DataFrame) -> pd.DataFrame:
    """A table of prices for the stocks of the detail, absent where they have no row there."""
    listed = _stocks(data.listed())
    return table.reindex(columns=listed.columns).where(listed)


def price_level(data: Data, _p: Any) -> Tables:
    """The level itself, of funds as well."""
    listed = data.listed()
    return {"": levels(data)["level"].reindex(columns=listed.columns).where(listed)}


def open_to_close(data: Data, _p: Any) -> Tables:
    """Close over open of the same day, where the day has both."""
    close, opened, suspended = (data.wide("prices", name) for name in ("close", "open", "suspended"))
    listed = data.listed()
    gain = (close / opened.where(opened > 0) - 1).mask(suspended == 1.0)
    return {"": gain.reindex(columns=listed.columns).where(listed)}


@lru_cache(maxsize=8)
def scores(data: Data, p: Any) -> dict[str, pd.DataFrame]:
    """Score, kind and top of the excess score."""
    n = p.score_days
    gain = _on_detail(data, levels(data)["level"] / levels(data)["last"].shift(n) - 1)
    balance = _stocks(data.wide("detail", "fin_balance"))
    growth = balance / balance.shift(n).where(balance.shift(n) > 0) - 1
    both = gain.notna() & growth.notna()
    both = both[both.sum(axis=1) >= 2].reindex(both.index, fill_value=False)
    s0 = gain.where(both).round(12).rank(axis=1) / growth.where(both).round(12).rank(axis=1)
    logs = pd.DataFrame(np.log(s0))
    apart = logs.sub(logs.median(axis=1), axis=0).round(12)
    order = apart.abs().rank(axis=1, ascending=False, method="first")
    top = order.le((both.sum(axis=1) * p.score_top + 1e-9) // 1, axis=0)
    return {
        "excess_score": s0.sub(s0.median(axis=1), axis=0).abs(),
        "excess_kind": pd.DataFrame(np.sign(apart)),
        "excess_top": top.astype(float).where(both),
    }


def score(name: str) -> Any:
    """The entry of a column of `scores`."""
    return lambda data, p: {"": scores(data, p)[name]}


@lru_cache(maxsize=8)
def streak_excess(data: Data, p: Any) -> pd.DataFrame:
    """Return over the days of the streak less the compounded mean return of all."""
    streak = _stocks(own_history(data, p)["fin_streak"])
    level = _on_detail(data, levels(data)["level"])
    unlisted = levels(data)["level"].reindex(columns=level.columns)
    mean, out = equal_weight(data), pd.DataFrame(np.nan, index=level.index, columns=level.columns)
    length, now, before, found = (
        t.to_numpy(copy=True) for t in (streak.abs().clip(upper=LONGEST), level, unlisted, out)
    )
    for days in range(1, LONGEST + 1):
        market = ((1 + mean).rolling(days).apply(np.prod, raw=True) - 1).to_numpy()
        day, code = np.nonzero(length[days:] == days)
        found[day + days, code] = now[day + days, code] / before[day, code] - 1 - market[day + days]
    return pd.DataFrame(found, index=level.index, columns=level.columns)


def divergence(data: Data, p: Any) -> Tables:
    """1 in a range after a long rise that the price did not follow, 2 in a rally after a long fall that it did not."""
    excess, streak = streak_excess(data, p), _stocks(own_history(data, p)["fin_streak"])
    level = _on_detail(data, levels(data)["level"])
    regime = regimes(data, p)
    calm, rally = (pd.DataFrame(np.tile((regime == w).to_numpy()[:, None], level.shape[1]), level.index, level.columns)
                   for w in ("RANGE", "RALLY"))  # fmt: skip
    case = pd.DataFrame(0.0, index=level.index, columns=level.columns)
    case = case.mask(calm & (streak >= p.divergence_streak) & (excess < p.divergence_excess), 1.0)
    case = case.mask(rally & (streak <= -p.divergence_streak) & (excess > 0), 2.0)
    known = level.notna() & ((streak.abs() < p.divergence_streak) | excess.notna()) & (calm | rally)
    return {"": case.where(known)}


# -- Groups ------------------------------------------------------------------------------------------


def net_buys(data: Data) -> pd.DataFrame:
    """Buys less repayments by day and code; the change of the balance where repayments are not published."""
    balance, buy, repay = (data.wide("detail", f"fin_{name}") for name in ("balance", "buy", "repay"))
    return (buy - repay).where(repay.notna(), balance - balance.shift(1))


def by_reference(p: Any) -> dict[str, str]:
    """Group → the figure of the reference that names its members."""
    fields = {"CSI300": "csi300", "CSI500": "csi500", "ChiNextIndex": "chinext_index"}
    return fields | {code: code for code in p.group_indices}


def _groups(data: Data, p: Any) -> dict[str, pd.DataFrame]:
    listed = data.listed()
    chinext = [code.startswith("30") and code.endswith(".SZ") for code in listed.columns]
    funds = [is_fund(code) for code in listed.columns]
    star = [code.startswith("68") and code.endswith(".SH") for code in listed.columns]
    return {
        **{n: listed & data.as_of(f).reindex(columns=listed.columns).eq(1.0) for n, f in by_reference(p).items()},
        "ChiNext": listed & np.array(chinext),
        "STAR": listed & np.array(star),
        "ETF": listed & np.array(funds),
    }


def unnamed_where(data: Data, known: pd.DataFrame) -> pd.DataFrame:
    """On which days less than half of an exchange's stocks in the detail are known to the reference."""
    listed = _stocks(data.listed())
    known = known.reindex(columns=listed.columns, fill_value=False) & listed
    out = {}
    for name in ("SH", "SZ", "BJ"):
        here = listed.columns.str[7:] == name
        out[name] = 2 * known.loc[:, here].sum(axis=1) < listed.loc[:, here].sum(axis=1)
    return pd.DataFrame(out, index=data.days)


@lru_cache(maxsize=8)
def unnamed(data: Data) -> pd.DataFrame:
    """The same for stocks with a row in the reference."""
    return unnamed_where(data, data.as_of("csi300").notna())  # any figure that each row has


def _group_lacks(data: Data, lacks: pd.DataFrame, p: Any) -> dict[str, pd.Series]:
    """On which days an exchange of a group is missing; of a further index: one that has any of its members."""
    both = lacks[["SH", "SZ"]].any(axis=1)
    index = both | unnamed(data)[["SH", "SZ"]].any(axis=1)
    chinext = lacks["SZ"] | unnamed(data)["SZ"]
    return {"CSI300": index, "CSI500": index, "ChiNextIndex": chinext, "ChiNext": lacks["SZ"], "STAR": lacks["SH"],
            "ETF": both, **{code: _index_lacks(data, lacks, code) for code in p.group_indices}}  # fmt: skip


def _index_lacks(data: Data, lacks: pd.DataFrame, code: str) -> pd.Series:
    member, gone = data.as_of(code).eq(1.0), unnamed(data)
    out = gone[["SH", "SZ"]].any(axis=1)
    for name in ("SH", "SZ", "BJ"):
        inside = member.loc[:, member.columns.str[7:] == name].any(axis=1)
        out |= inside & (lacks[name] | gone[name])
    return out


@lru_cache(maxsize=8)
def net_buy_lacks(data: Data) -> pd.DataFrame:
    """On which days net buys of an exchange are unknown."""
    return data.lacks_before("detail", net_buys(data), data.listed())


def group_balance(data: Data, p: Any) -> Tables:
    """Balance of each group, its share and its members."""
    balance, values, shares, members = data.wide("detail", "fin_balance"), {}, {}, {}
    for name, inside in _groups(data, p).items():
        count = inside.sum(axis=1)
        known = (count > 0) & ~_group_lacks(data, data.lacks(), p)[name]
        values[name] = balance.where(inside).sum(axis=1).where(known)
        shares[name] = values[name] / balance.sum(axis=1).mask(data.lacks().any(axis=1))
        members[name] = count.astype(float).where(known)
    return {"": pd.DataFrame(values), "share": pd.DataFrame(shares), "members": pd.DataFrame(members)}


def group_net_buy(data: Data, p: Any) -> Tables:
    """Net buy of each group, and of five days."""
    flow = net_buys(data)
    lacks = _group_lacks(data, net_buy_lacks(data), p)
    flows = {n: flow.where(inside).sum(axis=1, min_count=1).mask(lacks[n]) for n, inside in _groups(data, p).items()}
    values = pd.DataFrame(flows)
    sums = {name: values.rolling(days).sum() for name, days in (("five_days", 5), ("twenty_days", 20))}
    return {"": values} | sums


def coverage(data: Data, _p: Any) -> Tables:
    """Stocks of the reference that have a margin row, by count and by float cap."""
    known = data.as_of("csi300")  # any figure that each row has
    stocks = _stocks(known).notna()
    listed = stocks & data.listed().reindex(columns=stocks.columns, fill_value=False)
    count = stocks.sum(axis=1)
    share = (listed.sum(axis=1) / count).mask((data.lacks() | unnamed(data)).any(axis=1) | (count == 0))
    caps = data.wide("valuations", "float_cap").reindex(columns=stocks.columns).where(stocks)
    caps = caps.where(caps > 0).mask(data.lacks("valuations").any(axis=1))
    held = caps.where(listed)
    by_cap = held.sum(axis=1) / caps.sum(axis=1, min_count=1)
    boards = pd.Series([_board(code) for code in stocks.columns], index=stocks.columns)
    details = {}
    for name in boards.unique():
        inside = (boards == name).to_numpy()
        there = listed.loc[:, inside].sum(axis=1) / stocks.loc[:, inside].sum(axis=1).replace(0, np.nan)
        in_caps = held.loc[:, inside].sum(axis=1) / caps.loc[:, inside].sum(axis=1, min_count=1)
        details[name] = there.where(share.notna())
        details[f"{name} by_float_cap"] = in_caps.where(share.notna())
    capped = caps.notna().sum(axis=1)
    return whole(
        share,
        by_float_cap=by_cap.where(share.notna()),
        float_cap_known=capped.astype(float).where((capped > 0) & share.notna()),
        **details,
    )


def _board(code: str) -> str:
    """The board of a stock by its code."""
    if code.endswith(".SH"):
        return "STAR" if code.startswith("68") else "SSE main"
    if code.endswith(".BJ"):
        return "BSE"
    return "ChiNext" if code.startswith("30") else "SZSE main"
