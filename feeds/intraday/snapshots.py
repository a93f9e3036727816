"""Snapshots of indices and securities while the market trades, and once after the close of each half of a session.

A slow snapshot skips the ones that became due meanwhile; a failing source is asked less and less often. A security that
does not trade is left out, and unchanged figures are not published again (`feeds.intraday.deduplicator`). A page in
place of the whole list is refused, and so are figures in a wrong unit.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pandas as pd
import structlog

from feeds.checks.cut_lists import is_far_fewer, is_page
from feeds.checks.price_bars import is_half
from feeds.checks.snapshot_units import contradiction, other_closes, other_unit
from feeds.daily.security_names import names_of
from feeds.daily.sorted_pages import page_of
from feeds.errors import BusyError, ConfigurationError, InputError
from feeds.intraday.deduplicator import AcceptancePolicy
from feeds.intraday.intraday_outlet import IntradayOutlet
from feeds.mappings.row_order import derived, is_by_code, order_of
from feeds.ports import FeedState
from feeds.tasks import FeedTask
from feeds.web.snapshot_sources import Reading, Source
from processors.arrays import Ids
from processors.block import TURNOVER_INDEX
from processors.codes import isin_sorted, to_code
from processors.days import SHANGHAI, shanghai_day, shanghai_days, shanghai_moment
from processors.events import FIGURES, RowBatch, Sign
from processors.kinds import is_index
from processors.needs import INDICES
from processors.parameters import Parameters
from processors.registry import indices_needed, kept_figures
from processors.trading_hours import FIRST_TRADES, TradingHours

log = structlog.get_logger()
_US = 1_000_000
#: Sources have the closing prices some seconds after the close.
AFTER_CLOSE_S = 60.0
_LONGEST_WAIT_S, _LOG_EVERY_S = 300.0, 60.0
_BUSY_S, _LONGEST_BUSY_S = 0.5, 30.0
_TAKEN, _NAMES = "taken", "names"


def known_indices(parameters: Parameters) -> tuple[str, ...]:
    """Return the codes of the indices that any signal needs."""
    return tuple(sorted({*indices_needed(kept_figures(INDICES), parameters), *map(to_code, TURNOVER_INDEX.values())}))


def rows_of(topic: str, frame: pd.DataFrame, at: int, today: int, indices: Ids) -> tuple[RowBatch, Counter[str]]:
    """Return the rows of a snapshot that can be published, and the number of the others by reason.

    Parameters
    ----------
    frame : rows as `feeds.mappings.mapped_rows.map_rows` returns them.
    at : the moment of rows without a ``ts``, µs since the epoch.
    today : days since 1970-01-01. Rows of another day, or before the first trades of this one, are old: they show the
        day before.
    indices : the ids of the known indices, ascending.
    """
    keys = frame["key"].to_numpy(np.int32)
    stamps = frame["ts"].to_numpy(np.int64) if "ts" in frame else np.full(len(frame), at, dtype=np.int64)
    nothing = np.full(len(frame), np.nan)
    figures = {c.name: frame[c.name].to_numpy(np.float64) if c.name in frame else nothing for c in FIGURES[topic]}
    days = shanghai_days(stamps)
    unknown = ~isin_sorted(keys, indices) if topic.startswith("indices.") else is_index(keys)
    untraded, impossible = np.zeros(len(frame), dtype=bool), np.zeros(len(frame), dtype=bool)
    for column in FIGURES[topic]:
        values = figures[column.name]
        untraded |= np.isnan(values) | ((values == 0) & (column.sign is Sign.POSITIVE))
        impossible |= np.isinf(values) | (values < 0)
    if topic == "prices.intraday":
        untraded |= (figures["volume"] == 0) & (figures["turnover"] == 0)  # its last price is that of the day before
        impossible |= is_half(figures | {"close": figures["last"]})
    old = (days != today) | (stamps < shanghai_moment(today, FIRST_TRADES))
    reasons = {"unknown": unknown, "old": old, "untraded": untraded, "impossible": impossible}
    left_out: Counter[str] = Counter()
    left = np.ones(len(frame), dtype=bool)
    for reason, mask in reasons.items():
        left_out[reason] = int((mask & left).sum())
        left &= ~mask
    batch = RowBatch(topic, keys, days, np.zeros(len(frame), dtype=np.int32), stamps, figures)
    # A source that is read page by page may have a security twice: the later figures have more turnover.
    order = np.lexsort((figures["turnover"], stamps, keys))
    order = order[left[order]]
    newest = np.r_[keys[order][1:] != keys[order][:-1], True][: len(order)]
    left_out["twice"] = int((~newest).sum())
    return batch.take(order[newest]), +left_out


@dataclass(slots=True)
class SnapshotTask(FeedTask):
    """One source, asked every ``interval`` seconds of a session.

    Parameters
    ----------
    interval : seconds, counted from the opening of each half.
    indices : the ids of the known indices, ascending.
    store_names : stores code → name of securities whose name is new.
    may_fall : publish cumulative figures that fall within a day, and lists that are far shorter than before.
    whole_market : whether the source has all securities, so that a page of a round number is a part of them.
    """

    name: str
    interval: float
    source: Source
    outlet: IntradayOutlet
    state: FeedState
    hours: TradingHours
    indices: Ids
    store_names: Callable[[Mapping[str, str]], None]
    may_fall: bool = False
    whole_market: bool = False
    clock: Callable[[], float] = time.time
    failures: int = 0
    _taken: float | None = None
    _wait: float = 0.0
    _busy_since: float | None = None
    _counts: Counter[str] = field(default_factory=Counter)
    _logged_at: float = 0.0
    _logged_refused: int = 0
    _logged_opening: int = 0
    _named: dict[str, str] = field(default_factory=dict)
    _before: dict[str, RowBatch] = field(default_factory=dict)

    def tick(self, now: float) -> float:
        """Take a snapshot if one is due; return when the next one is."""
        if self._taken is None:
            self._taken = float(self.state.load().get(_TAKEN, 0))
        moment = int(now * _US)
        half = self.hours.half_at(moment)
        if half is not None:
            return self._snapshot(now, half)
        closed = self.hours.last_close(moment)
        if closed is not None and shanghai_day(closed) == shanghai_day(moment):
            due = closed / _US + AFTER_CLOSE_S
            if self._taken < due:
                return due if now < due else self._snapshot(now, None)
        opening = self.hours.next_open(moment)
        if opening is None:
            raise ConfigurationError("the trading calendar has ended: see `marginwatch calendar check`")
        if opening != self._logged_opening:
            self._logged_opening = opening
            at = datetime.fromtimestamp(opening / _US, SHANGHAI)
            log.info("the market is closed", feed=self.name, next_session=at.isoformat())
        return opening / _US

    def pending(self, now: float) -> bool:  # noqa: ARG002
        """Whether the source was being written, so that it is read in a moment."""
        return self._busy_since is not None

    def close(self) -> None:
        """Close the connection to Kafka."""
        self.outlet.close()

    def _snapshot(self, now: float, half: tuple[int, int] | None) -> float:
        try:
            self._publish(self.source.read())
        except InputError as error:
            if isinstance(error, BusyError):
                self._busy_since = self.clock() if self._busy_since is None else self._busy_since
                if self.clock() - self._busy_since < _LONGEST_BUSY_S:
                    return self.clock() + _BUSY_S
            self._busy_since = None
            self.failures += 1
            self._wait = min(max(2 * self._wait, self.interval), _LONGEST_WAIT_S)
            log.warning("snapshot failed", feed=self.name, retry_s=self._wait, error=str(error))
            return self.clock() + self._wait
        self._wait, self._busy_since = 0.0, None
        self._taken = now
        self.state.set(_TAKEN, repr(now))
        following = self._following(now, half) if half is not None else self.clock()
        self._log_counts(now, closing=half is None)
        return following

    def _following(self, now: float, half: tuple[int, int]) -> float:
        """Return when the next snapshot of a half is due; skip those that became due meanwhile."""
        opening, end = half[0] / _US, half[1] / _US
        place = int((self.clock() - opening) // self.interval) + 1
        self._counts["skipped"] += place - int((now - opening) // self.interval) - 1
        due = opening + place * self.interval
        return due if due < end else end + AFTER_CLOSE_S

    def _publish(self, reading: Reading) -> None:
        today, seen = shanghai_day(int(self.clock() * _US)), 0
        refused = list(reading.refused)
        self._counts["unknown"] += reading.unknown
        for topic, frame in reading.tables:
            self._refuse_cut(topic, frame)
            batch, left_out = rows_of(topic, frame, reading.at, today, self.indices)
            self._counts += left_out
            seen += len(batch) + left_out["old"]
            why = "" if self.may_fall else contradiction(batch)
            if why := why or self._other_closes(batch):
                raise InputError(f"{why}; set force = true if the figures are right")
            result = self.outlet.publish(batch, AcceptancePolicy(changed_only=True, may_fall=self.may_fall))
            self._counts.update(rows=result.published, unchanged=result.unchanged, late=result.late)
            refused += map(str, result.refused)
            if topic == "prices.intraday":
                self._store(names_of(frame))
        if not seen:
            why = f"; {len(refused)} rows are refused, the first: {refused[0]}" if refused else ""
            raise InputError(
                f"no row has all figures of a known security or index: check the source and its mapping{why}"
            )
        self._counts["refused"] += len(refused)
        if len(refused) != self._logged_refused:
            self._logged_refused = len(refused)
            if refused:
                log.warning("finding", feed=self.name, what=refused[0], rows=len(refused))

    def _other_closes(self, batch: RowBatch) -> str:
        """Return why previous closes are others than those of the snapshot before.

        The batch is remembered, so that those of a new day are believed when they come again, but not in another unit.
        """
        if not len(batch):
            return ""
        before, checked = self._before.get(batch.topic), not self.may_fall
        if before is not None and checked and (why := other_unit(batch, before)):
            return why
        self._before[batch.topic] = batch
        return other_closes(batch, before) if before is not None and checked else ""

    def _store(self, names: dict[str, str]) -> None:
        """Store the names that this task has not stored yet."""
        if new := dict(names.items() - self._named.items()):
            self.store_names(new)
            self._named |= new

    def _refuse_cut(self, topic: str, frame: pd.DataFrame) -> None:
        """Raise `InputError` for a page in place of the whole list; else store the number of its names."""
        if topic != "prices.intraday":
            return
        count, stored = frame["key"].nunique(), self.state.load().get(_NAMES)
        page = self.whole_market and stored is None and (is_page(count) or _is_sorted_page(frame))
        if not self.may_fall and (page or (stored is not None and is_far_fewer(topic, count, int(stored)))):
            before = "no snapshot before is known" if stored is None else f"the snapshot before had {int(stored):,}"
            raise InputError(
                f"{count:,} securities, {before}: the list is cut off, or another selection; ask for all of it, or set "
                "force = true if the source really has so few"
            )
        if stored != str(count):
            self.state.set(_NAMES, str(count))

    def _log_counts(self, now: float, *, closing: bool) -> None:
        self._counts["snapshots"] += 1
        if closing or now - self._logged_at >= _LOG_EVERY_S:
            self._logged_at = now
            log.info("snapshots", feed=self.name, closing=closing, **+self._counts)
            self._counts.clear()


def _is_sorted_page(frame: pd.DataFrame) -> bool:
    """Whether securities are in the order of a figure, and no whole market."""
    figures = {name: frame[name].to_numpy() for name in ("last", "prev_close", "volume", "turnover")}
    prices = {"close": figures["last"], "prev_close": figures["prev_close"]}
    if is_by_code(frame["key"].to_numpy(np.int32)) or order_of([*figures.items(), *derived(prices)]) is None:
        return False
    return page_of(len(frame), figures["last"] / figures["prev_close"] - 1) is not None
