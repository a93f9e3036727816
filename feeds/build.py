"""From a plan to the tasks that run it."""

from __future__ import annotations

from functools import partial

import numpy as np

from feeds import drop_folder
from feeds.cells import workbooks
from feeds.daily.daily_outlet import DailyOutlet
from feeds.daily.ledger import PublishLedger
from feeds.drop_folder import FolderTask
from feeds.fetch_task import FetchTask
from feeds.files import vendor
from feeds.intraday import margin_positions
from feeds.intraday.intraday_outlet import IntradayOutlet
from feeds.intraday.positions_stream import StreamTask
from feeds.intraday.positions_webhook import ACKNOWLEDGE_S, WebhookTask, signing_key
from feeds.intraday.snapshots import SnapshotTask, known_indices
from feeds.mappings import mapping
from feeds.plan import (
    AkshareSnapshots,
    DropFolder,
    Feed,
    Fetch,
    FileSnapshots,
    Intraday,
    Plan,
    PositionsFolder,
    PositionsStream,
    PositionsWebhook,
    Snapshots,
    UrlSnapshots,
)
from feeds.ports import FeedServices
from feeds.tasks import FeedTask
from feeds.web import sources
from feeds.web.akshare_client import require_akshare
from feeds.web.snapshot_sources import AkshareSource, FileSource, Source, UrlSource
from processors.codes import to_id
from processors.events import IntradayRow


def build_tasks(plan: Plan, services: FeedServices) -> list[FeedTask]:
    """Return the tasks of a plan, in its order.

    Raises
    ------
    ConfigurationError : for a mapping file, a secret or a package that can't be used.
    """
    return [_build_task(name, feed, services) for name, feed in plan.feeds.items()]


def _build_task(name: str, feed: Feed, services: FeedServices) -> FeedTask:
    match feed:
        case DropFolder():
            return _folder_task(name, feed, services)
        case Fetch():
            return _fetch_task(name, feed, services)
        case PositionsFolder():
            return _positions_folder_task(name, feed, services)
        case PositionsStream():
            outlet = _intraday_outlet(name, feed, services, feed.max_rows_per_s)
            return StreamTask(name, feed, outlet, services.state(name), services.redis)
        case PositionsWebhook():
            outlet = _intraday_outlet(name, feed, services, timeout_s=ACKNOWLEDGE_S)
            key = signing_key(feed, services.positions_secret)
            return WebhookTask(name, feed, outlet, services.redis, services.namespace, key, services.clock)
        case _:
            return _snapshot_task(name, feed, services)


def _folder_task(name: str, feed: DropFolder, services: FeedServices) -> FeedTask:
    outlet = _daily_outlet(services)
    return FolderTask(
        name,
        feed,
        services.state(name),
        partial(drop_folder.read_daily_files, name, feed),
        partial(outlet.publish, name, source=feed.source or name, force=feed.force),
        workbooks.SUFFIXES if feed.format == "exchange" else vendor.SUFFIXES,
        unreadable=partial(outlet.report_unreadable, source=feed.source or name),
    )


def _fetch_task(name: str, feed: Fetch, services: FeedServices) -> FeedTask:
    if "akshare" in sources.names_of(feed.via):
        require_akshare()
    fetch = sources.day_fetcher(
        feed.via, feed.tables, services.market, services.tushare, services.sites, services.stop.wait
    )
    outlet, source = _daily_outlet(services), feed.source or name
    return FetchTask(
        name,
        feed,
        services.state(name),
        fetch,
        partial(outlet.publish, name, source=source, force=feed.force),
        services.market.calendar,
        sources.due_time(feed.via, feed.tables, feed.at),
        partial(outlet.report_unreadable, source=source),
    )


def _positions_folder_task(name: str, feed: PositionsFolder, services: FeedServices) -> FeedTask:
    outlet = _intraday_outlet(name, feed, services, feed.max_rows_per_s)
    return FolderTask(
        name,
        feed,
        services.state(name),
        partial(margin_positions.read_files, name, feed),
        partial(margin_positions.publish_whole, outlet, name, feed),
        vendor.SUFFIXES,
        outlet.close,
    )


def _snapshot_task(name: str, feed: Snapshots, services: FeedServices) -> FeedTask:
    indices = known_indices(services.market.parameters)
    source: Source
    match feed:
        case AkshareSnapshots():
            require_akshare()
            source = AkshareSource(feed.of, indices, services.clock)
        case UrlSnapshots():
            source = UrlSource(
                feed.address(), mapping.load(feed.map, IntradayRow), services.sites.client(), services.clock
            )
        case FileSnapshots():
            source = FileSource(feed.path, mapping.load(feed.map, IntradayRow), feed.settle_s, services.clock)
    ids = np.array(sorted(map(to_id, indices)), dtype=np.int32)
    outlet, state = _intraday_outlet(name, feed, services), services.state(name)
    hours = services.market.hours
    whole = isinstance(feed, AkshareSnapshots) and feed.of == "securities"
    return SnapshotTask(
        name, feed.interval, source, outlet, state, hours, ids, services.store_names, feed.force, whole, services.clock
    )


def _daily_outlet(services: FeedServices) -> DailyOutlet:
    rows = services.published_rows
    ledger = PublishLedger(services.ledger_store, rows.topics_without_rows, rows.master_data, rows)
    market, names = services.market, services.security_names
    return DailyOutlet(
        services.open_publisher,
        market.calendar,
        ledger,
        names,
        services.store_names,
        market.code_changes,
        market.exchanges,
        market.parameters.group_indices,
    )


def _intraday_outlet(
    name: str, feed: Intraday, services: FeedServices, rows_per_s: float | None = None, *, timeout_s: float = 60.0
) -> IntradayOutlet:
    return IntradayOutlet(
        services.open_publisher,
        services.market.calendar,
        services.ledger_store,
        services.codec,
        source=feed.source or name,
        rows_per_s=rows_per_s,
        clock=services.clock,
        wait=services.stop.wait,
        timeout_s=timeout_s,
    )
