"""The state of the feeds as the console and the morning sheet show it: what is there, and what is due."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from console.model import Feed
from streams.settings import Settings
from streams.system_status import due_days


def feeds_of(settings: Settings, found: dict[str, Any], now: datetime) -> tuple[Feed, ...]:
    """Return the feeds of a status; a feed is as late as the latest of its partitions.

    Parameters
    ----------
    found : what `streams.system_status.status` returned.
    now : the moment of the market's clock, by which a day is due.
    """
    by_name: dict[str, list[dict[str, Any]]] = {}
    for name, feed in found["feeds"].items():
        by_name.setdefault(name.partition("[")[0], []).append(feed)
    due, out = due_days(settings, now), []
    for name, parts in by_name.items():
        known = [part for part in parts if part["newest"] is not None]
        newest = min((part["newest"] for part in known), default=None)
        out.append(
            Feed(
                name,
                None if newest is None else date.fromisoformat(newest),
                all(part["closed"] for part in known),
                due.get(name),
                sum(part["rows"] for part in known),
            )
        )
    return tuple(out)
