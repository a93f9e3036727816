"""How a live feed publishes rows of the running session: what is new, at a bounded rate, remembered once it arrived.

The daily figures' journal has no part in this: it numbers corrections of closed days, while rows of the session are
overtaken by the next ones. `feeds.deduplicator` keeps repetitions at home instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from feeds.deduplicator import STRICTLY, IntradayDeduplicator, Judging, Refusal
from feeds.folder import FeedError
from feeds.ledger import Store
from feeds.pace import Bucket
from feeds.tasks import StoppedError
from processors.codes import to_code
from processors.days import TradingCalendar
from processors.events import RowBatch
from streams.errors import PublishError
from streams.publisher import Publisher
from streams.settings import Settings

_CHUNK = 5000  # rows between two acknowledgements
_US = 1_000_000
#: How far the clock of whoever made a row may be ahead of ours.
AHEAD_S = 60


class RowsRefusedError(FeedError):
    """Rows that may not be published, so none of their batch was."""

    def __init__(self, refused: Sequence[Refusal]) -> None:
        self.refused = tuple(refused)
        more = f" (and {len(refused) - 1} more rows)" if len(refused) > 1 else ""
        super().__init__(f"nothing was published: row {refused[0].row + 1}: {refused[0]}{more}")


@dataclass(slots=True)
class PublishResult:
    """What became of a batch; rows are counted but for those refused."""

    published: int = 0
    unchanged: int = 0
    late: int = 0
    refused: list[Refusal] = field(default_factory=list)


class LiveOutlet:
    """One feed's way to the topics of the running session; its callers take turns.

    Parameters
    ----------
    source : the name under which the rows are published.
    rows_per_s : no more rows go out; None for as fast as possible.
    clock : seconds since the epoch.
    wait : waits so many seconds; true if the feed shall end.
    timeout_s : how long the broker may take to acknowledge.
    """

    def __init__(
        self,
        settings: Settings,
        calendar: TradingCalendar,
        store: Store,
        *,
        source: str,
        rows_per_s: float | None = None,
        clock: Callable[[], float] = time.time,
        wait: Callable[[float], bool],
        timeout_s: float = 60.0,
    ) -> None:
        self._settings = settings
        self._calendar = calendar
        self._store = store
        self._source = source
        self._clock = clock
        self._wait = wait
        self._timeout_s = timeout_s
        self._bucket = Bucket(rows_per_s, rows_per_s, time.monotonic) if rows_per_s is not None else None
        self._chunk = _CHUNK if rows_per_s is None else max(1, min(_CHUNK, int(rows_per_s)))
        self._newest: dict[str, IntradayDeduplicator] = {}
        self._publisher: Publisher | None = None

    def publish(self, batch: RowBatch, how: Judging = STRICTLY, *, whole: bool = False) -> PublishResult:
        """Publish what is new of a batch; return when the broker has it.

        Parameters
        ----------
        whole : publish all of it or, where a row is refused, nothing.

        Raises
        ------
        RowsRefusedError : naming the rows, with ``whole``.
        PublishError, JournalError, RedisError : if Kafka or Redis is away; the same batch may then be given again.
        StoppedError : if the feed shall end before all is published.
        """
        newest = self._newest.setdefault(batch.topic, IntradayDeduplicator(self._store, batch.topic, self._calendar))
        told = PublishResult(refused=self._untimely(batch))
        if whole and (refused := [*told.refused, *newest.judge(batch, how).refused]):
            raise RowsRefusedError(sorted(refused, key=lambda one: one.row))
        left = np.setdiff1d(np.arange(len(batch)), [one.row for one in told.refused])
        left = left[np.argsort(batch.stamps[left], kind="stable")]
        for start in range(0, len(left), self._chunk):
            places = left[start : start + self._chunk]
            if self._wait_turn():
                raise StoppedError(f"{len(left) - start:,} of {len(left):,} rows are left for the next run")
            judged = newest.begin(batch.take(places), how)
            if len(judged.news):
                self._send(judged.news)
                newest.confirm(judged.news)
            told.published += len(judged.news)
            told.unchanged += judged.unchanged
            told.late += judged.late
            told.refused += [replace(one, row=int(places[one.row])) for one in judged.refused]
        return told

    def dead_letters(self, topic: str, letters: Sequence[tuple[bytes, list[tuple[str, bytes]]]]) -> None:
        """Publish what was refused, value and headers; return when the broker has it."""

        def send(publisher: Publisher) -> None:
            for value, headers in letters:
                publisher.raw(topic, value, headers=headers)

        if letters:
            self._with_publisher(send)

    def close(self) -> None:
        """Close the connection to Kafka; nothing is waiting in it."""
        if self._publisher is not None:
            self._publisher.discard()
            self._publisher = None

    def _wait_turn(self) -> bool:
        delay = self._bucket.delay() if self._bucket is not None else 0.0
        return delay > 0 and self._wait(delay)

    def _send(self, rows: RowBatch) -> None:
        self._with_publisher(lambda publisher: publisher.rows_of(rows))
        if self._bucket is not None:
            self._bucket.take(len(rows))

    def _with_publisher(self, send: Callable[[Publisher], None]) -> None:
        if self._publisher is None:
            self._publisher = Publisher(self._settings, source=self._source, timeout_s=self._timeout_s)
        try:
            send(self._publisher)
            self._publisher.flush()
        except PublishError:
            self.close()  # one that failed stays failed
            raise

    def _untimely(self, batch: RowBatch) -> list[Refusal]:
        """Rows of no trading day, and of the future: they would hide all that come before that."""
        ahead = batch.stamps > (self._clock() + AHEAD_S) * _US
        closed = ~self._calendar.contains(batch.days)
        found = []
        for row in np.flatnonzero(ahead | closed).tolist():
            # numpy's moments know years beyond 1 and 9999, where a time zone may lead.
            code, ts = to_code(int(batch.keys[row])), np.datetime64(int(batch.stamps[row]), "us").astype("M8[s]")
            why = (
                f"lies in the future (more than {AHEAD_S} s)"
                if ahead[row]
                else f"lies on {np.datetime64(int(batch.days[row]), 'D')} in Shanghai, no trading day"
            )
            found.append(Refusal(row, "ts", f"ts {ts}Z of {code} {why}"))
        return found
