"""Several sources of the same figures: fall-back from one to the next, and agreement where two answer.

The figures of a topic and exchange are a *part* of a day. Sources are asked in their order until every part has two
answers. Where two answer, they must agree: figures that differ by more than their rounding are published of neither. Of
figures that agree, those with all digits are published, so that Shenzhen's page, rounded to a million CNY, is replaced
by Eastmoney's figures in 元. What one of the two does not have comes from the other. While a second source has not
published a day yet, the figures of the first one count; the day is then awaited, to be fetched again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

from feeds.checks.cut_lists import WHOLE_MARKET, is_far_fewer
from feeds.checks.findings import Finding, Severity, key_text
from feeds.checks.row_groups import group_names, groups_of
from feeds.checks.validate import TOO_MANY_ROWS
from feeds.errors import ConfigurationError, InputError, NotPublishedError
from feeds.files.dataset import SourceTable, SourceTables
from processors.arrays import Floats, Ids
from processors.codes import EXCHANGES
from processors.days import to_day
from processors.events import FIGURES
from processors.kinds import is_fund, is_stock
from processors.needs import DETAIL, TOTALS

_ENOUGH = 2
_NAMED = 5
#: Beside the rounding of the sources: that of a figure stored as a float.
_FLOAT = 1e-12
#: Relative deviation of the exchanges' totals from those of the market: Beijing, not counted by all, has 0.3% (2026).
_OF_MARKET = 0.01
#: Topic and exchange.
Part = tuple[str, str]


@dataclass(frozen=True, slots=True)
class DaySource:
    """A source of the figures of a day.

    Parameters
    ----------
    name : its publisher, in messages.
    parts : what it has.
    fetch : fetches a day; raises `InputError`.
    market : fetches the totals of the whole market, by figure; raises `InputError`. None if it has none.
    """

    name: str
    parts: frozenset[Part]
    fetch: Callable[[date], SourceTables]
    market: Callable[[date], Mapping[str, float]] | None = None


def fetch_agreed(day: date, sources: Sequence[DaySource]) -> SourceTables:
    """Fetch a day from the sources that have it, and compare them.

    Raises
    ------
    NotPublishedError : while a part is missing that a source has not published yet.
    InputError : if no source has a part, with the reason of each of them.
    ConfigurationError : of a source that the operator must correct.
    """
    out = SourceTables()
    answers: dict[Part, list[tuple[str, SourceTable]]] = {part: [] for one in sources for part in one.parts}
    failed: list[tuple[DaySource, InputError]] = []
    for source in sources:
        if all(len(answers[part]) >= _ENOUGH for part in source.parts):
            continue
        try:
            found = source.fetch(day)
            parts = _answered(found)
        except ConfigurationError:
            raise
        except InputError as error:
            failed.append((source, error))
            continue
        out.findings += found.findings
        out.files += found.files
        for part, table in parts.items():
            answers.setdefault(part, []).append((source.name, table))
    _require_all([part for part, found in answers.items() if not found], failed)
    for source, reason in failed:
        text = f"{source.name} did not answer, the figures are not compared with it: {reason}"
        out.findings.append(Finding(Severity.WARNING, "source", "", to_day(day), text))
        if isinstance(reason, NotPublishedError):
            out.awaited = str(reason)
    for (topic, exchange), (first, *others) in answers.items():
        table = first[1]
        if others:
            table = _agreed(exchange, first, others[0], to_day(day), out.findings)
        if topic == DETAIL and table.steps.get("fin_balance", 0.0):
            step = table.steps["fin_balance"]
            text = (
                f"{table.origin}: the balances of {exchange} are rounded to {step:,.0f} CNY; a second source has more"
            )
            out.findings.append(Finding(Severity.WARNING, "precision", topic, to_day(day), text))
        out.tables.append(table)
    out.findings += _market_compared(day, sources, out.tables)
    return out


def _market_compared(day: date, sources: Sequence[DaySource], tables: Iterable[SourceTable]) -> Iterator[Finding]:
    """Compare the sum of the exchanges' totals with totals of the whole market."""
    totals = pd.concat([pd.DataFrame(), *(one.frame for one in tables if one.topic == TOTALS)])
    if not {EXCHANGES.index("SSE"), EXCHANGES.index("SZSE")} <= set(totals.get("key", ())):
        return
    for source in sources:
        if source.market is None:
            continue
        try:
            market = source.market(day)
        except InputError as error:
            text = f"the totals are not compared with those of the market: {error}"
            yield Finding(Severity.WARNING, "source", TOTALS, to_day(day), text)
            continue
        for name, known in market.items():
            ours = float(totals[name].sum())
            if abs(ours - known) > _OF_MARKET * abs(known):
                text = _difference(name, "the totals of the exchanges", ours, f"{source.name}'s of the market", known)
                remedy = "wait until one of them is corrected"
                yield Finding(Severity.ERROR, "source", TOTALS, to_day(day), f"{text}: published neither; {remedy}")


def _answered(found: SourceTables) -> dict[Part, SourceTable]:
    """Return the parts of an answer; raises `InputError` if it has an error, so that the next source is asked."""
    for one in found.findings:
        if one.severity is Severity.ERROR:
            raise InputError(one.text)
    parts: dict[Part, SourceTable] = {}
    for table in found.tables:
        groups = groups_of(table.topic, table.frame["key"].to_numpy(np.int32))
        for group in np.unique(groups).tolist():
            part = (table.topic, group_names(table.topic)[group])
            frames = [parts[part].frame] if part in parts else []
            parts[part] = replace(table, frame=pd.concat([*frames, table.frame[groups == group]]))
    return {part: replace(table, frame=_once(table)) for part, table in parts.items()}


def _once(table: SourceTable) -> pd.DataFrame:
    """Return the rows without repeated ones; raises `InputError` for a key that has other figures each time."""
    frame = table.frame.drop_duplicates(table.frame.columns.difference(["row", "name"]))
    twice = frame["key"][frame["key"].duplicated()]
    if len(twice):
        raise InputError(f"{table.origin} has {key_text(table.topic, int(twice.iloc[0]))} twice with other figures")
    return frame


def _require_all(missing: Sequence[Part], failed: Sequence[tuple[DaySource, InputError]]) -> None:
    """Raise an error if no source has a part: half a market is not published."""
    if not missing:
        return
    reasons = [error for source, error in failed if not source.parts.isdisjoint(missing)]
    waiting = next((error for error in reasons if isinstance(error, NotPublishedError)), None)
    if waiting is not None or len(reasons) == 1:
        raise waiting or reasons[0]
    what = ", ".join(f"{topic} of {exchange}" for topic, exchange in missing)
    because = "; ".join(map(str, reasons)) or "they answer without rows of it"
    raise InputError(f"no source has {what}, nothing of the day is published: {because}")


def _agreed(
    exchange: str, first: tuple[str, SourceTable], second: tuple[str, SourceTable], day: int, findings: list[Finding]
) -> SourceTable:
    """Return the figures that two sources agree on, by the first one's keys; report those that differ."""
    (name, ours), (other, theirs) = first, second
    topic = ours.topic
    left = ours.frame.set_index("key", drop=False)
    right = theirs.frame.set_index("key").reindex(left.index)
    both = left.index.isin(theirs.frame["key"])
    findings += _names_compared(exchange, first, second, day)
    merged, steps = left.copy(), dict(ours.steps)
    differing = np.zeros(len(left), dtype=bool)
    texts: list[str] = []
    reasons: dict[int, str] = {}
    for column in (one.name for one in FIGURES[topic] if one.name in left or one.name in right):
        a, b = _values(left, column), _values(right, column)
        step, step_b = ours.steps.get(column, 0.0), theirs.steps.get(column, 0.0)
        wrong = both & (np.abs(a - b) > max(step, step_b) + _FLOAT * np.abs(a))
        if wrong.any():
            texts.append(_difference(column, name, float(a[wrong].sum()), other, float(b[wrong].sum())))
            differing |= wrong
            for place in np.flatnonzero(wrong).tolist():
                reasons.setdefault(place, _difference(column, name, float(a[place]), other, float(b[place])))
        finer = np.isnan(a) | (step_b < step) & ~np.isnan(b)
        merged[column] = np.where(finer, b, a)
        if finer.all():
            steps[column] = step_b
    table = SourceTable(topic, f"{ours.origin} and {theirs.origin}", merged.reset_index(drop=True), ours.rank, steps)
    if not differing.any():
        return table
    remedy = "wait until one of them is corrected, or fetch the day from the other alone"
    count = int(differing.sum())
    if topic not in WHOLE_MARKET or count > min(TOO_MANY_ROWS, len(left) // 2):
        text = f"{exchange}, {'; '.join(texts)} in {count:,} of {len(left):,} rows: published neither; {remedy}"
        findings.append(Finding(Severity.ERROR, "source", topic, day, text))
        return table
    for place in np.flatnonzero(differing).tolist():
        text = f"{key_text(topic, int(left.index[place]))}, {reasons[place]}: published neither; {remedy}"
        findings.append(Finding(Severity.REFUSED, "source", topic, day, text))
    return replace(table, frame=table.frame[~differing])


def _difference(column: str, name: str, ours: float, other: str, theirs: float) -> str:
    """Return a sentence such as "fin_balance: Shanghai and Eastmoney differ by 3.1% (…)"."""
    share = abs(ours - theirs) / max(abs(ours), abs(theirs))
    return f"{column}: {name} and {other} differ by {100 * share:.2g}% ({ours:,.15g} and {theirs:,.15g})"


def _values(frame: pd.DataFrame, column: str) -> Floats:
    return frame[column].to_numpy(np.float64) if column in frame else np.full(len(frame), np.nan)


def _names_compared(
    exchange: str, first: tuple[str, SourceTable], second: tuple[str, SourceTable], day: int
) -> Iterable[Finding]:
    """Find a list that lacks names of the other one."""
    (name, ours), (other, theirs) = first, second
    topic, left, right = ours.topic, _keys(ours), _keys(theirs)
    if topic not in WHOLE_MARKET:
        return
    for word, kind in (("stocks", is_stock), ("funds", is_fund)):
        known, lacking = right[kind(right)], np.setdiff1d(right[kind(right)], left)
        extra = np.setdiff1d(left[kind(left)], right)
        if len(lacking) and is_far_fewer(topic, len(known) - len(lacking), len(known)):
            text = f"{exchange}: {name} lacks {len(lacking):,} of the {len(known):,} {word} that {other} has"
            yield Finding(
                Severity.ERROR, "cut", topic, day, f"{text}: its list is cut off; fetch the day from {other} alone"
            )
        elif len(lacking) or (len(extra) and len(known)):
            named = ", ".join(key_text(topic, key) for key in [*lacking, *extra][:_NAMED])
            text = f"{exchange}: {len(lacking):,} {word} are only in {other}'s list and not published, {len(extra):,} "
            yield Finding(Severity.WARNING, "source", topic, day, f"{text}only in {name}'s: {named}")


def _keys(table: SourceTable) -> Ids:
    return np.unique(table.frame["key"].to_numpy(np.int32))
