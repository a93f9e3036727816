"""Folds a history with the processors of the stream and collects their outputs in a `Panel`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import islice

import numpy as np
import numpy.typing as npt
import pandas as pd

from processors.arrays import Floats, Ids
from processors.chart_scores import NO_MODEL, Scorer
from processors.codes import NO_IDS, reindex_sorted, to_id
from processors.days import TradingCalendar, microseconds, to_day
from processors.events import RowBatch
from processors.history import History
from processors.industries import INDEX_OF, INDUSTRIES
from processors.kinds import daily_limits, limit_prices
from processors.needs import DETAIL, PRICES
from processors.needs import INDICES as INDEX_TOPIC
from processors.outputs import FINANCING, FeatureFrame, IndustrySignals, MarketSignal, SecuritySignals
from processors.parameters import Parameters
from processors.studies.chart_rows import ChartCollector
from processors.studies.panel import INDICES, IndexHistory, Panel, SecurityRows, Trait

#: Columns of the long table and their dtypes.
_COLUMNS: dict[str, type[np.generic]] = {
    "fin_change": np.float32, "fin_streak": np.int16, "extreme": np.float32, "consecutive_extreme": np.float32,
    "excess_score": np.float32, "excess_kind": np.float32, "streak_excess": np.float32, "divergence": np.float32,
    "gain": np.float64, "growth": np.float64, "csi300": np.int8, "csi500": np.int8,
}  # fmt: skip
_MARKET_DETAILS = {"fin_buy_ratio": ("fin_buy_cny", "turnover_cny")}
_POSITIONS = ("gftd",)
#: Days that are folded at once.
_BLOCK_DAYS = 20
_MEMBERS = ("csi300", "csi500")


@dataclass(slots=True)
class _Collected:
    """Outputs by day."""

    market: dict[int, dict[str, object]] = field(default_factory=dict)
    available: dict[int, int] = field(default_factory=dict)
    indices: dict[int, RowBatch] = field(default_factory=dict)
    parts: dict[int, dict[str, SecuritySignals]] = field(default_factory=dict)
    extra: dict[int, dict[str, npt.NDArray[np.generic]]] = field(default_factory=dict)
    prices: dict[int, tuple[Ids, Floats, Floats, npt.NDArray[np.uint8]]] = field(default_factory=dict)
    industries: dict[int, IndustrySignals] = field(default_factory=dict)


def collect(
    days: Iterable[Mapping[str, RowBatch]],
    parameters: Parameters,
    exchanges: tuple[str, ...],
    calendar: TradingCalendar,
    *,
    start: date | None = None,
    notes: Iterable[str] = (),
    model: Scorer | str = NO_MODEL,
) -> Panel:
    """Fold every day and collect the outputs that the studies need.

    Parameters
    ----------
    days : topic → rows, by day.
    start : first day of the period. Earlier days are folded, too, so that windows are full.
    model : the chart model, or the reason why there is none.
    """
    history, charts = History(parameters, exchanges, calendar, model), ChartCollector(model)
    out = _Collected()
    rest = iter(days)
    while block := list(islice(rest, _BLOCK_DAYS)):
        _add_block(out, block, history)
        _add_charts(charts, history)
    opened = [day for day, rows in out.indices.items() if not np.isnan(rows.figures["open"]).all()]
    traded = {*opened, *out.parts, *out.available} or {0}
    every = calendar.between(min(traded), max(traded))  # also sessions of which nothing arrived: horizons count them
    position = {day: i for i, day in enumerate(every.tolist())}
    opens, closes = _index_prices(out.indices, position)
    level_keys, levels, open_levels, traits = _levels(out.prices, position)
    in_period = np.ones(len(every), dtype=bool) if start is None else every >= to_day(start)
    return Panel(
        calendar,
        every,
        pd.DataFrame([out.market.get(day, {}) for day in every.tolist()], index=every),
        np.array([out.available.get(day, 0) for day in every.tolist()], dtype=np.int64),
        opens,
        closes,
        _long(out, position),
        level_keys,
        levels,
        open_levels,
        traits,
        _industry_matrices(out.industries, position),
        in_period,
        list(notes),
        _histories(out.indices),
        charts=charts.rows(position),
    )


def _add_block(out: _Collected, block: list[Mapping[str, RowBatch]], history: History) -> None:
    """Fold some days, and add their outputs, prices and indices."""
    rows = {
        (topic, int(feeds[topic].days[0])): feeds[topic]
        for feeds in block
        for topic in (INDEX_TOPIC, PRICES)
        if topic in feeds
    }
    out.indices |= {day: batch for (topic, day), batch in rows.items() if topic == INDEX_TOPIC}
    for output in history.fold_block(block):
        _add(out, output, history)
    frames = {(frame.topic, frame.day): frame for frame in history.frames}
    for (topic, day), frame in frames.items():
        if topic == PRICES:
            out.prices[day] = _prices(frame, rows[PRICES, day])
        elif topic == DETAIL:
            _add_score_inputs(out, frame, frames.get((PRICES, day)), history.market.parameters.score_days)


def _add_charts(charts: ChartCollector, history: History) -> None:
    """Add the charts of the days that were folded last."""
    reference = history.market.reference
    for frame in history.charts:
        members = reference.members(frame.day) if reference.is_closed(frame.day) else None
        charts.add([frame], history.frames, members)


def _add(out: _Collected, output: MarketSignal | SecuritySignals | IndustrySignals, history: History) -> None:
    if isinstance(output, MarketSignal):
        _add_market(out.market, out.available, output)
    elif isinstance(output, SecuritySignals):
        day = to_day(output.status.trade_date)
        out.parts.setdefault(day, {})[output.family] = _select_columns(output)
        extra = out.extra.setdefault(day, {})
        if _MEMBERS[0] not in extra:
            reference = history.market.reference
            known = reference.members(day) if reference.is_closed(day) else None
            nobody = np.zeros(len(output.keys), dtype=bool)
            extra |= {name: nobody if known is None else known.in_index(output.keys, name) for name in _MEMBERS}
    else:
        out.industries[to_day(output.status.trade_date)] = output


def _add_score_inputs(out: _Collected, detail: FeatureFrame, prices: FeatureFrame | None, days: int) -> None:
    """Add the return and the balance growth of which the excess score ranks the stocks."""
    before = detail.columns[f"fin_balance@{days}"]
    gain = np.full(len(detail.keys), np.nan)
    if prices is not None:
        gain = reindex_sorted(detail.keys, prices.keys, prices.columns["level"] / prices.columns[f"level@{days}"] - 1)
    out.extra.setdefault(detail.day, {}).update(
        gain=gain, growth=detail.columns["fin_balance"] / np.where(before > 0, before, np.nan) - 1
    )


def _prices(frame: FeatureFrame, rows: RowBatch) -> tuple[Ids, Floats, Floats, npt.NDArray[np.uint8]]:
    """Return keys, levels of close and open, and traits of the prices of a day (n,)."""
    level = frame.columns["level"]
    order = np.argsort(rows.keys, kind="stable")
    keys, figures = rows.keys[order], {name: values[order] for name, values in rows.figures.items()}
    st = figures["st"] == 1.0
    highest, lowest = limit_prices(figures["prev_close"], daily_limits(keys, frame.day, st))
    traits = st * np.uint8(Trait.ST)
    for name, up, down in (
        ("close", Trait.UP_AT_CLOSE, Trait.DOWN_AT_CLOSE),
        ("open", Trait.UP_AT_OPEN, Trait.DOWN_AT_OPEN),
    ):
        traits = traits | (figures[name] >= highest - 1e-6) * np.uint8(up)
        traits = traits | (figures[name] <= lowest + 1e-6) * np.uint8(down)
    found = reindex_sorted(frame.keys, keys, traits.astype(np.float64))
    return frame.keys, level, level / (1 + frame.columns["open_to_close"]), np.nan_to_num(found).astype(np.uint8)


def _add_market(market: dict[int, dict[str, object]], available: dict[int, int], output: MarketSignal) -> None:
    day = to_day(output.trade_date)
    row = market.setdefault(day, {})
    if output.value is None or output.provisional:
        return
    row[output.name] = output.value
    for detail in _MARKET_DETAILS.get(output.signal, ()):
        row[detail] = output.details[detail]
    if output.signal in _POSITIONS and "position" in output.details:  # not known behind a gap
        row[f"{output.name}/position"] = output.details["position"]
    if output.signal == "fin_balance":
        available[day] = microseconds(output.available_at)


def _select_columns(output: SecuritySignals) -> SecuritySignals:
    columns = {name: v.astype(_COLUMNS[name]) for name, v in output.columns.items() if name in _COLUMNS}
    return SecuritySignals(output.status, output.keys, columns, output.family)


def _index_prices(indices: Mapping[int, RowBatch], position: Mapping[int, int]) -> tuple[dict[str, Floats], ...]:
    """Return opens and closes by index code and industry name (days,)."""
    names = dict(zip(INDEX_OF, INDUSTRIES, strict=True))
    names |= {to_id(code): code for code in INDICES}
    out: tuple[dict[str, Floats], ...] = tuple(
        {name: np.full(len(position), np.nan) for name in names.values()} for _ in range(2)
    )
    for day, rows in indices.items():
        if day not in position:
            continue
        for key, opened, closed in zip(
            rows.keys.tolist(), rows.figures["open"].tolist(), rows.figures["close"].tolist(), strict=True
        ):
            if key in names:
                out[0][names[key]][position[day]] = opened
                out[1][names[key]][position[day]] = closed
    return out


def _histories(indices: Mapping[int, RowBatch]) -> dict[str, IndexHistory]:
    """Return the days, closes, PEs and turnover rates of every index that has a close."""
    names = {to_id(code): code for code in INDICES}
    found: dict[str, list[tuple[float, ...]]] = {}
    for day in sorted(indices):
        figures = indices[day].figures
        for at, key in enumerate(indices[day].keys.tolist()):
            if key in names and figures["close"][at] > 0:
                row = day, *(float(figures[n][at]) for n in ("close", "pe_ttm", "turnover_rate"))
                found.setdefault(names[key], []).append(row)
    columns = {code: np.array(rows).T for code, rows in found.items()}
    return {code: IndexHistory(c[0].astype(np.int32), *c[1:]) for code, c in columns.items()}


def _levels(
    prices: Mapping[int, tuple[Ids, Floats, Floats, npt.NDArray[np.uint8]]], position: Mapping[int, int]
) -> tuple[Ids, Floats, Floats, npt.NDArray[np.uint8]]:
    keys = np.unique(np.concatenate([k for k, *_ in prices.values()])) if prices else NO_IDS
    shape = len(position), max(len(keys), 1)
    levels, opens, traits = np.full(shape, np.nan), np.full(shape, np.nan), np.zeros(shape, dtype=np.uint8)
    for day, (priced, level, opened, trait) in prices.items():
        at, columns = position[day], np.searchsorted(keys, priced)
        levels[at, columns], opens[at, columns], traits[at, columns] = level, opened, trait
    return keys, levels, opens, traits


def _long(out: _Collected, position: Mapping[int, int]) -> SecurityRows:
    parts = out.parts
    days = sorted(parts)
    sizes = [len(parts[day][FINANCING].keys) for day in days]
    total = sum(sizes)
    columns: dict[str, npt.NDArray[np.generic]] = {
        name: np.full(total, np.nan, dtype=kind) if np.issubdtype(kind, np.floating) else np.zeros(total, dtype=kind)
        for name, kind in _COLUMNS.items()
    }
    keys = np.empty(total, dtype=np.int32)
    at = np.empty(total, dtype=np.int32)
    start = 0
    for day, size in zip(days, sizes, strict=True):
        rows = slice(start, start + size)
        keys[rows], at[rows] = parts[day][FINANCING].keys, position[day]
        for signals in parts[day].values():
            for name, values in signals.columns.items():
                columns[name][rows] = values
        for name, values in out.extra[day].items():
            columns[name][rows] = values
        start += size
    return SecurityRows(at, keys, columns)


def _industry_matrices(industries: Mapping[int, IndustrySignals], position: Mapping[int, int]) -> dict[str, Floats]:
    out: dict[str, Floats] = {}
    for day, output in industries.items():
        for name, values in output.columns.items():
            if name not in out:
                out[name] = np.full((len(position), len(INDUSTRIES)), np.nan)
            out[name][position[day]] = values
    return out
