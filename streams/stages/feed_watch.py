"""Feeds that are late: end-of-day punctuation for days whose deadline has passed, reports on silent live feeds.

Both are messages in topics, so the stream takes notice when it reads them, and in the same way in every replay.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import structlog

from alerts import commands
from alerts.commands import LiveFeedState
from processors.days import TradingCalendar, moment, shanghai_day, to_date
from processors.deadlines import overdue, silent_since
from processors.events import EndOfDay
from streams import metrics
from streams.calendars import trading_hours
from streams.records import CE_TYPE, CLOSE_TYPE
from streams.settings import Settings
from streams.stages.owned_partition import OwnedPartition
from streams.stages.retries import Publish
from streams.tables import Output
from streams.topics import Topic, Topics

log = structlog.get_logger()


class FeedWatch:
    """Watches the feeds of the partitions that this worker owns.

    Parameters
    ----------
    owned : (stage, partition) → what is owned at the moment.
    publish : publishes messages and awaits their acknowledgements; what raises is due again.
    """

    def __init__(
        self,
        owned: Mapping[tuple[str, int], OwnedPartition],
        topics: Topics,
        settings: Settings,
        calendar: TradingCalendar,
        publish: Publish,
    ) -> None:
        self._owned = owned
        self._topics = topics
        self._settings = settings
        self._calendar = calendar
        self._publish = publish
        self._hours = trading_hours(settings.calendar_file)

    async def close_overdue(self, now: int) -> None:
        """Publish the markers that close days whose deadline has passed, for feeds that have fallen silent.

        Parameters
        ----------
        now : of the machine's clock, µs since the epoch.
        """
        found = self._overdue(now)
        if not found:
            return
        outputs = [
            Output(self._topics.name(end.feed), partition, b"", msgspec.json.encode(end), [(CE_TYPE, CLOSE_TYPE)])
            for partition, _, end in found
        ]
        await self._publish(outputs)
        for partition, owned, end in found:
            owned.mark_active(end.feed)  # not again before this one has been read
            metrics.DEADLINES.labels(end.feed).inc()
            log.warning("a day is closed by its deadline", feed=end.feed, partition=partition, day=end.trade_date)

    def _overdue(self, now: int) -> list[tuple[int, OwnedPartition, EndOfDay]]:
        """Return the markers that are due, with their partitions."""
        out = []
        for (_, partition), owned in self._owned.items():
            if owned.state is None or owned.folding:
                continue
            for topic, store in owned.state.stores.items():
                if owned.idle_s(topic) < self._settings.deadline_quiet_s:
                    continue
                due, gap = self._settings.due(topic), self._settings.deadline_gap_days
                end = overdue(store, owned.state.clock.at(now), due, self._calendar, gap)
                if end is not None:
                    out.append((partition, owned, end))
        return out

    async def report(self, now: int) -> None:
        """Publish the state of each live feed: once a day that it runs, and each time it falls silent or runs again.

        A feed without a row on this trading day or the one before is none. A worker that takes over reports once more
        what is known, which changes no alert.

        Parameters
        ----------
        now : of the machine's clock, µs since the epoch.
        """
        for owned in list(self._owned.values()):
            if owned.state is None or owned.folding:
                continue
            market_now = owned.state.clock.at(now)
            for feed, newest in owned.state.live.items():
                await self._report(owned, feed, newest, market_now)

    async def _report(self, owned: OwnedPartition, feed: str, newest: int, now: int) -> None:
        """Publish the state of a live feed if it has changed.

        Parameters
        ----------
        newest : the moment of its newest row, µs since the epoch.
        now : of the market's clock, µs since the epoch.
        """
        today, day = shanghai_day(now), shanghai_day(newest)
        if today not in self._calendar or day < (self._calendar.before(today) or 0):
            return
        since = silent_since(newest, now, int(self._settings.stale_after_s * 1e6), self._hours)
        reported = owned.live_reported.get(feed, (0, None))
        runs = day == today and newest > (reported[1] or 0)  # a stop is over with a row behind it
        goes_on = reported[0] == today and (reported[1] is None) == (since is None)  # late rows end no stop
        if goes_on or (since is None and not runs):
            return
        report = LiveFeedState(
            feed=feed,
            trade_date=to_date(today),
            at=moment(newest if since is None else now),
            silent_since=None if since is None else moment(since),
        )
        await self._publish([Output(self._topics.name(Topic.ALERT_COMMANDS), 0, b"", commands.encode(report), [])])
        owned.live_reported[feed] = today, since
