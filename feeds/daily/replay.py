"""Sessions as they ran: every row at the moment at which it became known, and the market's clock at that moment.

Daily figures are published at their ``available_at``: the margin figures of the day before at 08:30, prices and indices
after the close. Snapshots are published at the end of their bar. What was known before the first session is published
at once, before it.
"""

from __future__ import annotations

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from feeds.daily.ledger import PublishLedger
from feeds.daily.publish import OnDay, publish_day, publish_days
from feeds.errors import UnavailableError
from feeds.files.bars import Bars, Snapshot, index_snapshots
from feeds.files.dataset import Dataset
from feeds.mappings.refused_rows import RefusedRows
from feeds.ports import RowPublisher
from processors.arrays import Days, Mask
from processors.days import SHANGHAI, moment, shanghai_day, shanghai_moment
from processors.events import RowBatch

#: Nights pass at once: a day begins at the publication of the margin figures, minutes of the day in Shanghai.
_MORNING = 8 * 60 + 30
_US = 1e6
#: Added to the name of the source of rows that nobody published.
INTERPOLATED = "(interpolated)"
#: Called with each barrier.
Follow = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Moment:
    """What became known at one moment.

    Parameters
    ----------
    at : µs since the epoch.
    daily : trade date → rows by daily topic; the topics' days end with them.
    snapshots : rows of the running session.
    """

    at: int
    daily: dict[int, dict[str, RowBatch]] = field(default_factory=dict)
    snapshots: list[Snapshot] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Replay:
    """The sessions of bars, with the daily figures of a dataset around them.

    Parameters
    ----------
    every : minutes between interpolated snapshots; None for what was published alone.
    follow : waits until the stream has passed a barrier; the next moment is published then.
    """

    bars: Bars
    every: int | None = None
    follow: Follow = lambda _barrier: None

    @property
    def begins_at(self) -> int:
        """The beginning of the first session's day, µs since the epoch."""
        return shanghai_moment(self.bars.days()[0])

    def publish(
        self,
        publisher: RowPublisher,
        dataset: Dataset,
        *,
        ledger: PublishLedger | None = None,
        speed: float | None = None,
        on_day: OnDay = lambda _day: None,
        refused: RefusedRows | None = None,
        skipped: Mapping[str, Days] | None = None,
    ) -> None:
        """Publish what was known before the first session, then each session as it ran.

        Parameters
        ----------
        ledger, refused : as of `publish_days`.
        skipped : the same, of what was known before; the market's clock passes the deadlines of the sessions.
        speed : how many times faster than real time, from 08:30 of each day on; None for as fast as possible.
        on_day : called with each date that was known before, then with each moment, such as ``2025-04-07 10:15``.

        Raises
        ------
        UnavailableError : if Kafka or Redis does not answer; replaying again from the same date goes on.
        """
        known = _rows(dataset, lambda batch: batch.stamps < self.begins_at)
        with _ended_by_errors(publisher):
            self.follow(publisher.barrier(moment(self.begins_at)))
            publish_days(publisher, known.by_day(), ledger=ledger, on_day=on_day, refused=refused, skipped=skipped)
            self.follow(publisher.barrier(moment(self.begins_at)))
        moments = self.moments(dataset)
        publish_moments(
            publisher, moments, ledger=ledger, speed=speed, follow=self.follow, on_moment=on_day, refused=refused
        )

    def moments(self, dataset: Dataset) -> Iterator[Moment]:
        """Yield the moments from the first session on, ascending."""
        later = _rows(dataset, lambda batch: batch.stamps >= self.begins_at)
        published: dict[int, dict[int, dict[str, RowBatch]]] = defaultdict(lambda: defaultdict(dict))
        for day, batches in later.by_day():
            for topic, batch in batches.items():
                published[int(batch.stamps[0])][day][topic] = batch
        indices = later.whole("indices.daily")
        for day in self.bars.days():
            live: dict[int, list[Snapshot]] = defaultdict(list)
            for minute, snapshot in self.bars.snapshots(day, self.every):
                live[shanghai_moment(day, minute)].append(snapshot)
            for minute, snapshot in index_snapshots(indices, day, self.every) if indices is not None else ():
                live[shanghai_moment(day, minute)].append(snapshot)
            due = [at for at in published if at <= max(live)]
            for at in sorted({*due, *live}):
                yield Moment(at, published.pop(at, {}), live.get(at, []))
        for at in sorted(published):
            yield Moment(at, published[at])


def moments_of(day: int, snapshots: Iterable[tuple[int, dict[str, RowBatch]]]) -> Iterator[Moment]:
    """Yield the moments of a session without daily figures, from (minute of the day, rows by topic)."""
    for minute, batches in snapshots:
        rows = [Snapshot(batch, interpolated=False) for batch in batches.values()]
        yield Moment(shanghai_moment(day, minute), snapshots=rows)


def publish_moments(
    publisher: RowPublisher,
    moments: Iterable[Moment],
    *,
    ledger: PublishLedger | None = None,
    speed: float | None = None,
    follow: Follow = lambda _barrier: None,
    on_moment: OnDay = lambda _moment: None,
    refused: RefusedRows | None = None,
) -> None:
    """Publish moment by moment, and behind each the barrier that sets the market's clock; parameters as of `Replay`.

    The caller ends the replay with a barrier of its own; after an error or an interruption this function does.
    """
    day, started, first = None, 0.0, 0
    with _ended_by_errors(publisher, ledger):
        for one in moments:
            if speed is not None:
                if day != shanghai_day(one.at):
                    day, started = shanghai_day(one.at), time.monotonic()
                    first = max(one.at, shanghai_moment(day, _MORNING))
                time.sleep(max(0.0, started + (one.at - first) / _US / speed - time.monotonic()))
            for daily, batches in one.daily.items():
                publish_day(publisher, batches, ledger, refused=(refused or {}).get(daily))
            for snapshot in one.snapshots:
                publisher.rows_of(snapshot.rows, INTERPOLATED if snapshot.interpolated else "")
            barrier = publisher.barrier(moment(one.at))
            if ledger is not None:
                ledger.confirm()
            follow(barrier)
            on_moment(f"{moment(one.at).astimezone(SHANGHAI):%F %R}")


@contextlib.contextmanager
def _ended_by_errors(publisher: RowPublisher, ledger: PublishLedger | None = None) -> Iterator[None]:
    """After an error or an interruption give the market the machine's clock again."""
    try:
        yield
    except BaseException:
        if ledger is not None:
            ledger.abandon()
        with contextlib.suppress(UnavailableError):
            publisher.barrier()
        raise


def _rows(dataset: Dataset, wanted: Callable[[RowBatch], Mask]) -> Dataset:
    """Return the rows of a dataset that a condition accepts."""
    years = [{topic: batch.take(wanted(batch)) for topic, batch in year.items()} for year in dataset.years]
    return replace(dataset, years=[{topic: batch for topic, batch in year.items() if len(batch)} for year in years])
