"""The whole market of 2016–2021 once more, straight from its files: ``python -m tests.oracle.whole_market FOLDER OUT``.

OUT is what ``marginwatch up --data FOLDER --until-done --export OUT`` wrote. Breadth, coverage, the classes of the
returns of the year and the balances of the groups are computed here with pandas from the Parquet files, and compared on
every day. Nothing of the project is imported; the exit status is 1 where a value differs.
"""

from __future__ import annotations

import sys
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

WINDOW, LEAST = 200, 160
EDGES = (-0.30, -0.10, 0.10, 0.30, 0.50, np.nextafter(1.0, 2.0))  # 100% is not above 100%
CLASSES = ("< −30%", "−30…−10%", "−10…10%", "10…30%", "30…50%", "50…100%", "> 100%")
#: Signal, or signal and detail → value by day.
Figures = dict[tuple[str, str], pd.Series]


def whole_market(folder: Path, start: date | None = None, end: date | None = None) -> Figures:
    """Every figure by day, NaN where it is not known."""

    def cut(table: pd.DataFrame) -> pd.DataFrame:
        keep = pd.Series(True, index=table.index)
        if start is not None:
            keep &= table["dt"] >= pd.Timestamp(start)
        if end is not None:
            keep &= table["dt"] <= pd.Timestamp(end)
        return table[keep]

    def read(prefix: str, columns: list[str] | None = None) -> pd.DataFrame:
        found = [pd.read_parquet(path, columns=columns) for path in sorted(folder.glob(f"{prefix}*.parquet"))]
        return pd.concat([frame.assign(code=frame["code"].astype(str)) for frame in found], ignore_index=True)

    seen = [
        read("prices_a_", ["dt", "code", "close", "pre_close"]), read("margin_detail_sse"), read("margin_detail_szse")
    ]  # fmt: skip
    prices, sse, szse = map(cut, seen)
    members, spells = read("index_members_"), read("st_suspension_")
    names = read("sw_industry_history_")["code"].unique()
    close = prices.pivot(index="dt", columns="code", values="close").sort_index()
    before = prices.pivot(index="dt", columns="code", values="pre_close").reindex_like(close)
    step = close / before.where(before.notna(), close.ffill().shift(1))
    level = step.where(close.notna()).where(close.notna().cumsum() > 1, step * 0 + 1.0)
    level = level.where(close.notna()).cumprod(skipna=True)  # a chain starts at 1 with the first price
    balance = pd.concat([sse, szse]).pivot(index="dt", columns="code", values="margin_balance").reindex(close.index)
    whole = pd.DataFrame({name: close.index.isin(table["dt"]) for name, table in (("SH", sse), ("SZ", szse))})
    whole = whole.set_index(close.index)  # a sum with an unknown part is absent
    return {
        **_breadth(level),
        **_year(level),
        **_coverage(balance, _listed(seen, spells, names, members, close.index), whole.all(axis=1)),
        **_groups(balance, members, whole),
    }


def _is_stock(code: str) -> bool:
    return code.startswith(("60", "68", "00", "30"))


def _breadth(level: pd.DataFrame) -> Figures:
    past = level.rolling(WINDOW, min_periods=1)
    mean = past.mean().where(past.count() >= LEAST)
    known = level.notna() & mean.notna()
    above = (level > mean * (1 + 1e-12)).where(known)
    count = known.sum(axis=1)
    return {
        ("breadth_200", ""): above.sum(axis=1) / count.where(count > 0),
        ("breadth_200", "stocks"): count.where(count > 0).astype(float),
    }


def _year(level: pd.DataFrame) -> Figures:
    """Returns since the last session of the year before, of stocks with a price on the day."""
    known, years = level.ffill(), level.index.year
    base = pd.DataFrame(np.nan, index=level.index, columns=level.columns)
    for year in np.unique(years)[1:]:
        base.loc[years == year] = known[years < year].iloc[-1].to_numpy()
    gains = level / base - 1
    count = gains.notna().sum(axis=1)
    count = count.where(count > 0).astype(float)
    place = np.searchsorted(EDGES, gains.to_numpy().round(12), side="right")
    shares = {
        ("ytd_distribution", name): ((place == number) & gains.notna().to_numpy()).sum(axis=1) / count
        for number, name in enumerate(CLASSES)
    }
    return {("ytd_distribution", ""): gains.median(axis=1), ("ytd_distribution", "stocks"): count, **shares}


def _listed(
    seen: list[pd.DataFrame], spells: pd.DataFrame, names: np.ndarray, members: pd.DataFrame, days: pd.DatetimeIndex
) -> pd.DataFrame:
    """Whether a stock is listed: from its first price, suspension or place in the margin list to its last one."""
    suspended = spells[spells["flag"] == "SUSPENDED"]
    days_of = pd.concat([table[["code", "dt"]] for table in seen]).groupby("code")["dt"]
    first = pd.concat([days_of.min(), suspended.groupby("code")["start"].min()])
    last = pd.concat([days_of.max(), suspended.groupby("code")["end"].max()])
    first, last = first.groupby(level=0).min(), last.groupby(level=0).max()
    codes = sorted(code for code in {*first.index, *names, *members["code"]} if _is_stock(code))
    first, last = first.reindex(codes), last.reindex(codes)
    at = days.to_numpy()[:, None]
    return pd.DataFrame(
        (first.to_numpy()[None] <= at) & ((last.to_numpy()[None] >= at) | (last.to_numpy()[None] >= days[-1])),
        index=days,
        columns=codes,
    )


def _coverage(balance: pd.DataFrame, listed: pd.DataFrame, whole: pd.Series) -> Figures:
    eligible = balance.reindex(columns=listed.columns).notna() & listed
    count, here = listed.sum(axis=1).astype(float).where(whole), eligible.sum(axis=1).astype(float).where(whole)
    return {("coverage", ""): here / count, ("coverage", "stocks"): count, ("coverage", "eligible"): here}


def _groups(balance: pd.DataFrame, members: pd.DataFrame, known: pd.DataFrame) -> Figures:
    codes, at = balance.columns, balance.index.to_numpy()
    inside = {}
    for group, index in (("CSI300", "000300"), ("CSI500", "000905")):
        flags = pd.DataFrame(False, index=balance.index, columns=codes)
        of_index = members[members["index_code"].eq(index) & members["code"].isin(codes)]
        for spell in of_index.itertuples():
            flags[spell.code] |= (at >= spell.start) & (pd.isna(spell.end) | (at <= spell.end))
        inside[group] = flags
    for group, heads in (("ChiNext", ("30",)), ("ETF", ("5", "15", "16", "18"))):
        row = [code.startswith(heads) for code in codes]
        inside[group] = pd.DataFrame(np.tile(row, (len(at), 1)), index=balance.index, columns=codes)
    whole = balance.sum(axis=1).where(known.all(axis=1))
    out: Figures = {}
    for group, flags in inside.items():
        here = known["SZ"] if group == "ChiNext" else known.all(axis=1)
        value = balance.where(flags).sum(axis=1, min_count=1).where(here)
        out[f"group_balance/{group}", ""] = value
        out[f"group_balance/{group}", "share"] = value / whole
    return out


def exported(folder: Path) -> Figures:
    """The same figures of an export."""
    return figures_of(*(pd.read_parquet(folder / f"{name}.parquet") for name in ("market", "details")))


def figures_of(market: pd.DataFrame, details: pd.DataFrame) -> Figures:
    """The tables of an export as figures."""
    out: Figures = {(name, ""): market[name] for name in market.columns}
    for (name, detail), rows in details.groupby(["signal", "detail"]):
        out[str(name), str(detail)] = rows.set_index("trade_date")["value"]
    return out


def differences(ours: Figures, theirs: Figures) -> list[str]:
    """A line for each figure that differs on a day, or is known on one side only."""
    out = []
    for (name, detail), right in theirs.items():
        left = ours.get((name, detail), pd.Series(dtype=float)).reindex(right.index).astype(float)
        scale = 1e-11 * max(1.0, float(right.abs().max()))
        apart = (left.isna() != right.isna()) | ((left - right).abs() > 1e-9 * right.abs() + scale)
        if apart.any():
            day = apart.idxmax()
            out.append(
                f"{name} {detail}: {apart.sum()} of {len(apart)} days differ, first {day:%F}: {left[day]} exported, "
                f"{right[day]} computed"
            )
    return out


def main() -> int:
    """Compare an export with the files; the arguments are the folder and the export."""
    folder, export = map(Path, sys.argv[1:3])
    computed = whole_market(folder)
    found = differences(exported(export), computed)
    days = sum(int(series.notna().sum()) for series in computed.values())
    print(*found, f"{len(computed)} figures, {days:,} values compared, {len(found)} figures differ", sep="\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
