"""Files of a backfill for analysts: the final value of every signal as a table, and the alerts.

``market.parquet``      a row per trade date, a column per signal (absent: null), and ``available_at``
``details.parquet``     a row per trade date, market signal and detail: ``value`` of a number, ``text`` of a word
``reasons.parquet``     a row per trade date and absent market signal: why it is absent
``securities.parquet``  a row per trade date and code
``industries.parquet``  a row per trade date and industry
``alerts.jsonl``        every alert in its last state, by date

Market, securities and industries have the columns ``degraded``, whether something is missing that figures of the day
need, and ``missing``, what that is: ``margin.daily SSE: all; prices.daily SZSE: 12 rows``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

import msgspec
import pandas as pd

from alerts.plurals import counted
from processors.codes import to_codes
from processors.industries import INDUSTRIES
from processors.outputs import IndustrySignals, MarketSignal, SecuritySignals
from processors.registry import SIGNALS, signals_of
from processors.signal import Level
from streams import readers
from streams.files import replaced, write_whole
from streams.settings import Settings


def export(settings: Settings, folder: Path, barrier: str) -> dict[str, int]:
    """Write the values and alerts before ``barrier``; return the number of rows of each file.

    Raises `OutputError` if one can't be written.
    """
    folder.mkdir(parents=True, exist_ok=True)

    def write(name: str, table: pd.DataFrame, *, index: bool | None = None) -> None:
        with replaced(folder / name) as file:
            table.to_parquet(file, index=index)

    final = newest_market(readers.market_signals(settings, until=barrier))
    market, details = market_table(final), details_table(final)
    write("market.parquet", market)
    write("details.parquet", details, index=False)
    reasons = reasons_table(final)
    write("reasons.parquet", reasons, index=False)
    securities = securities_table(readers.security_signals(settings, until=barrier))
    write("securities.parquet", securities)
    industries = industries_table(readers.industry_signals(settings, until=barrier))
    write("industries.parquet", industries)
    alerts = readers.newest_alerts(settings, until=barrier)
    write_whole(folder / "alerts.jsonl", b"".join(msgspec.json.encode(alert) + b"\n" for alert in alerts))
    return {
        "market.parquet": len(market),
        "details.parquet": len(details),
        "reasons.parquet": len(reasons),
        "securities.parquet": len(securities),
        "industries.parquet": len(industries),
        "alerts.jsonl": len(alerts),
    }


def newest_market(signals: Iterable[MarketSignal]) -> list[MarketSignal]:
    """Return the final signals in their last version."""
    final = (signal for signal in signals if not signal.provisional)
    return list({(signal.trade_date, signal.name): signal for signal in final}.values())


def market_table(signals: Iterable[MarketSignal]) -> pd.DataFrame:
    """Return final values: a row per trade date, a column per signal (and subject: ``llt/000300.SH``)."""
    newest = newest_market(signals)
    by_day: dict[date, dict[str, MarketSignal]] = {}
    for signal in newest:
        by_day.setdefault(signal.trade_date, {})[signal.name] = signal
    rows = {
        day: {
            **{name: signal.value for name, signal in found.items()},
            "available_at": max(signal.available_at for signal in found.values()),
        }
        for day, found in by_day.items()
    }
    order = {s.id: i for i, s in enumerate(signals_of(Level.MARKET))}
    names = [s.id for s in signals_of(Level.MARKET) if not s.subjects]
    names += sorted({s.name for s in newest} - set(names), key=lambda n: (order[n.partition("/")[0]], n))
    table = pd.DataFrame.from_dict(rows, orient="index", columns=[*names, "available_at"])
    # Else a figure that is absent on all days has no type, and a count is whole until a day lacks it.
    table = table.astype({name: _type_of(name) for name in names})
    table.index = pd.DatetimeIndex(table.index, name="trade_date")
    lacks = ((day, signal.missing) for day, found in by_day.items() for signal in found.values())
    return _with_flags(table.sort_index(), lacks)


def _type_of(name: str) -> str:
    """Return the type of a market signal's column, the same in every export."""
    return "string" if SIGNALS[name.partition("/")[0]].unit == "state" else "float64"


def reasons_table(newest: Iterable[MarketSignal]) -> pd.DataFrame:
    """Return why final signals are absent: trade date, signal (and subject), reason."""
    absent = sorted((one.trade_date, one.name, one.reason) for one in newest if one.value is None)
    table = pd.DataFrame(absent, columns=["trade_date", "signal", "reason"])
    return table.assign(
        trade_date=pd.to_datetime(table["trade_date"]),
        signal=table["signal"].astype("string"),
        reason=table["reason"].astype("string"),
    )


def details_table(newest: Iterable[MarketSignal]) -> pd.DataFrame:
    """Return the details of final signals: trade date, signal (and subject), detail, value or text."""
    rows = [
        (signal.trade_date, signal.name, name, None if isinstance(value, str) else value, value)
        for signal in sorted(newest, key=lambda one: (one.trade_date, one.name))
        for name, value in signal.details.items()
    ]
    table = pd.DataFrame(rows, columns=["trade_date", "signal", "detail", "value", "text"])
    words = table["text"].map(lambda value: isinstance(value, str))
    return table.assign(
        trade_date=pd.to_datetime(table["trade_date"]),
        value=table["value"].astype(float),
        text=table["text"].where(words).astype("string"),
    )


def securities_table(frames: Iterable[SecuritySignals]) -> pd.DataFrame:
    """Return final values: a row per trade date and code, a column per signal."""
    newest = {(frame.status.trade_date, frame.family): frame for frame in frames}
    families: dict[str, list[pd.DataFrame]] = {}
    for (day, family), frame in sorted(newest.items(), key=lambda item: item[0]):
        table = pd.DataFrame({"trade_date": pd.Timestamp(day), "code": to_codes(frame.keys), **frame.columns})
        families.setdefault(family, []).append(table)
    if not families:
        return pd.DataFrame()
    tables = [pd.concat(parts, ignore_index=True).set_index(["trade_date", "code"]) for parts in families.values()]
    table = pd.concat(tables, axis=1) if len(tables) > 1 else tables[0]
    return _with_flags(table, ((day, frame.status.missing) for (day, _), frame in newest.items()))


def industries_table(frames: Iterable[IndustrySignals]) -> pd.DataFrame:
    """Return final values: a row per trade date and industry, a column per signal and part."""
    newest = {frame.status.trade_date: frame for frame in frames}
    parts = [
        pd.DataFrame({"trade_date": pd.Timestamp(day), "industry": list(INDUSTRIES), **newest[day].columns})
        for day in sorted(newest)
    ]
    if not parts:
        return pd.DataFrame(index=pd.MultiIndex.from_arrays([[], []], names=["trade_date", "industry"]))
    table = pd.concat(parts, ignore_index=True).set_index(["trade_date", "industry"])
    return _with_flags(table, ((day, frame.status.missing) for day, frame in newest.items()))


def _with_flags(table: pd.DataFrame, lacks: Iterable[tuple[date, Mapping[str, int]]]) -> pd.DataFrame:
    """Return the table with ``degraded`` and ``missing`` of each row's day."""
    by_day: dict[pd.Timestamp, dict[str, int]] = {}
    for day, missing in lacks:
        by_day.setdefault(pd.Timestamp(day), {}).update(missing)
    texts = {
        day: "; ".join(
            f"{name}: {'all' if rows < 0 else counted(rows, 'row')}" for name, rows in sorted(missing.items())
        )
        for day, missing in by_day.items()
    }
    of_row = table.index.get_level_values("trade_date").map(texts)
    return table.assign(degraded=of_row != "", missing=of_row)
