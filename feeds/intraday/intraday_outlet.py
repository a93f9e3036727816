"""Publishing rows of the running session: new rows only, at a bounded rate, confirmed by the broker.

The publish ledger of daily figures is not involved: it numbers corrections of closed days, while newer rows overtake
those of the session. `feeds.intraday.deduplicator` removes repetitions instead.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from feeds.errors import Refusal, RowsRefusedError, StoppedError, UnavailableError
from feeds.intraday.deduplicator import STRICT, AcceptancePolicy, IntradayDeduplicator
from feeds.intraday.rate_limit import TokenBucket
from feeds.ports import LedgerStore, OpenPublisher, RowCodec, RowPublisher
from processors.codes import to_code
from processors.days import TradingCalendar
from processors.events import RowBatch

_CHUNK = 5000  # rows between two acknowledgements
_US = 1_000_000
#: How far the clock of a row's producer may be ahead of this machine's.
AHEAD_S = 60

#: Value and headers of a refused message.
DeadLetter = tuple[bytes, list[tuple[str, bytes]]]


@dataclass(slots=True)
class PublishResult:
    """The number of rows that were published, unchanged and late, and the rows that were refused."""

    published: int = 0
    unchanged: int = 0
    late: int = 0
    refused: list[Refusal] = field(default_factory=list)


class IntradayOutlet:
    """Publishes the intraday rows of one feed; not for several threads at once.

    Parameters
    ----------
    source : the name under which the rows are published.
    rows_per_s : the highest rate; None for as fast as possible.
    clock : seconds since the epoch.
    wait : waits a number of seconds; returns true if the process ends.
    timeout_s : how long the broker may take to acknowledge.
    """

    def __init__(
        self,
        open_publisher: OpenPublisher,
        calendar: TradingCalendar,
        store: LedgerStore,
        codec: RowCodec,
        *,
        source: str,
        rows_per_s: float | None = None,
        clock: Callable[[], float] = time.time,
        wait: Callable[[float], bool],
        timeout_s: float = 60.0,
    ) -> None:
        self._open_publisher = open_publisher
        self._calendar = calendar
        self._store = store
        self._codec = codec
        self._source = source
        self._clock = clock
        self._wait = wait
        self._timeout_s = timeout_s
        self._bucket = TokenBucket(rows_per_s, rows_per_s, time.monotonic) if rows_per_s is not None else None
        self._chunk = _CHUNK if rows_per_s is None else max(1, min(_CHUNK, int(rows_per_s)))
        self._deduplicators: dict[str, IntradayDeduplicator] = {}
        self._publisher: RowPublisher | None = None

    def publish(self, batch: RowBatch, policy: AcceptancePolicy = STRICT, *, whole: bool = False) -> PublishResult:
        """Publish the new rows of a batch; return when the broker has acknowledged them.

        Parameters
        ----------
        whole : publish all rows, or none if a row is refused.

        Raises
        ------
        RowsRefusedError : with the refused rows, if ``whole``.
        UnavailableError, RedisError : if Kafka or Redis does not answer; the same batch can then be published again.
        StoppedError : if the process ends before all rows are published.
        """
        deduplicator = self._deduplicators.get(batch.topic)
        if deduplicator is None:
            deduplicator = IntradayDeduplicator(self._store, batch.topic, self._codec)
            self._deduplicators[batch.topic] = deduplicator
        result = PublishResult(refused=self._untimely(batch))
        if whole and (refused := [*result.refused, *deduplicator.classify(batch, policy).refused]):
            raise RowsRefusedError(sorted(refused, key=lambda one: one.row))
        left = np.setdiff1d(np.arange(len(batch)), [one.row for one in result.refused])
        left = left[np.argsort(batch.stamps[left], kind="stable")]
        for start in range(0, len(left), self._chunk):
            places = left[start : start + self._chunk]
            if self._wait_for_tokens():
                raise StoppedError(
                    f"{len(left) - start:,} of {len(left):,} rows are left: the next run publishes them, start it again"
                )
            classified = deduplicator.begin(batch.take(places), policy)
            if len(classified.new):
                self._send(classified.new)
                deduplicator.confirm(classified.new)
            result.published += len(classified.new)
            result.unchanged += classified.unchanged
            result.late += classified.late
            result.refused += [replace(one, row=int(places[one.row])) for one in classified.refused]
        return result

    def dead_letters(self, topic: str, letters: Sequence[DeadLetter]) -> None:
        """Publish refused messages to the dead letters of an input topic; return when the broker has acknowledged."""

        def send(publisher: RowPublisher) -> None:
            for value, headers in letters:
                publisher.dead_letter(topic, value, headers)

        if letters:
            self._with_publisher(send)

    def close(self) -> None:
        """Close the connection to Kafka; it has no unacknowledged rows."""
        if self._publisher is not None:
            self._publisher.discard()
            self._publisher = None

    def _wait_for_tokens(self) -> bool:
        delay = self._bucket.delay() if self._bucket is not None else 0.0
        return delay > 0 and self._wait(delay)

    def _send(self, rows: RowBatch) -> None:
        self._with_publisher(lambda publisher: publisher.rows_of(rows))
        if self._bucket is not None:
            self._bucket.take(len(rows))

    def _with_publisher(self, send: Callable[[RowPublisher], None]) -> None:
        if self._publisher is None:
            self._publisher = self._open_publisher(self._source, timeout_s=self._timeout_s)
        try:
            send(self._publisher)
            self._publisher.flush()
        except UnavailableError:
            self.close()  # a producer that has failed stays failed
            raise

    def _untimely(self, batch: RowBatch) -> list[Refusal]:
        """Refuse rows of no trading day, and of the future: they would hide all rows before that moment."""
        ahead = batch.stamps > (self._clock() + AHEAD_S) * _US
        closed = ~self._calendar.contains(batch.days)
        found = []
        for row in np.flatnonzero(ahead | closed).tolist():
            # NumPy's moments reach beyond the years 1 and 9999, where a time zone may lead.
            code, ts = to_code(int(batch.keys[row])), np.datetime64(int(batch.stamps[row]), "us").astype("M8[s]")
            reason = (
                f"lies in the future (more than {AHEAD_S} s)"
                if ahead[row]
                else f"lies on {np.datetime64(int(batch.days[row]), 'D')} in Shanghai, no trading day"
            )
            found.append(Refusal(row, "ts", f"ts {ts}Z of {code} {reason}"))
        return found
