"""The state of the system: days closed by each feed, absent signals with their reasons, firing alerts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, cast

import msgspec
from redis import Redis

from alerts.lifecycle import ALERT_ROW
from alerts.market_clock import MarketClock
from alerts.model import Alert, State
from alerts.verdict import overdue
from processors.day_rows import day_layout
from processors.days import microseconds, to_date
from processors.deadlines import DEADLINES, is_late, newest_due
from processors.events import INPUT_ROWS, DailyRow
from processors.outputs import MarketSignal
from processors.registry import SIGNALS
from processors.signal import Level
from streams.calendars import today, xshg
from streams.errors import NothingYetError
from streams.keys import latest_key, names_key, offsets_key, rows_key
from streams.settings import Settings
from streams.stages.alerts_stage import AlertsStage
from streams.stages.market_stage import MarketStage
from streams.stages.registry import STAGES
from streams.stages.securities_stage import SecuritiesStage
from streams.stages.stage import CLOCK_FIELD, moment_of_replay
from streams.topics import MARKET_INPUTS, SECURITIES_INPUTS, Topics

#: Why nothing is known of the market, and where to look.
NO_SIGNAL = (
    "no market signal has been computed yet: is a worker running, and has a feed published? See `marginwatch status`"
)


def _get(settings: Settings, client: Redis, name: str) -> bytes | None:
    return cast("bytes | None", client.get(latest_key(settings.namespace, name)))


def replayed_to(settings: Settings, client: Redis) -> datetime | None:
    """Return the moment up to which a replay that has not ended has published; None without one."""
    return moment_of_replay(cast("bytes | None", client.hget(_alert_rows(settings), CLOCK_FIELD)))


def market_clock(settings: Settings, client: Redis) -> MarketClock:
    """Return the market's clock: the machine's, or that of a replay that has not ended."""
    clock = MarketClock()
    clock.set(replayed_to(settings, client))
    return clock


def due_days(settings: Settings, now: datetime) -> dict[str, date]:
    """Return the newest trade date whose deadline has passed, by daily feed."""
    calendar, at = xshg(settings.calendar_file), microseconds(now)
    found = {topic: newest_due(settings.due(topic), at, calendar) for topic in DEADLINES}
    return {topic: to_date(day) for topic, day in found.items() if day is not None}


def verdict_due(settings: Settings, client: Redis, final: MarketSignal | None) -> date | None:
    """Return the newest trade date whose verdict is due by the market's clock; None while it is known."""
    return overdue(final, due_days(settings, market_clock(settings, client).now()))


def latest_market(settings: Settings, client: Redis) -> dict[str, MarketSignal]:
    """Return the newest value of every market signal."""
    data = _get(settings, client, "market")
    if data is None:
        raise NothingYetError(NO_SIGNAL)
    return msgspec.json.decode(data, type=dict[str, MarketSignal])


def name_of(settings: Settings, client: Redis, code: str) -> str:
    """Return the name of a security as `marginwatch reference load` stored it, "" where it is not known."""
    found = cast("bytes | None", client.hget(names_key(settings.namespace), code))
    return found.decode() if found else ""


def latest_security(settings: Settings, client: Redis, code: str) -> dict[str, Any]:
    """Return the newest values of a security."""
    data = _get(settings, client, f"security:{code}")
    if data is None:
        raise NothingYetError(
            f"nothing is known of {code}: codes look like 600519.SH, and only securities in the "
            "margin list have figures"
        )
    found: dict[str, Any] = msgspec.json.decode(data)
    return found


def securities_day(settings: Settings, client: Redis) -> date | None:
    """Return the trade date of the newest securities: one with older values has left the margin list, or has no row."""
    data = _get(settings, client, "securities")
    return None if data is None else msgspec.json.decode(data, type=date)


def latest_industry(settings: Settings, client: Redis, name: str) -> dict[str, Any]:
    """Return the newest values of an industry."""
    data = _get(settings, client, f"industry:{name}")
    if data is None:
        raise NothingYetError(f"nothing is known of the industry {name}: no industry signal has been computed yet")
    found: dict[str, Any] = msgspec.json.decode(data)
    return found


def passed(settings: Settings, barrier: str, client: Redis) -> bool:
    """Whether everything fed before a barrier has been processed to its end."""
    return bool(client.hexists(_alert_rows(settings), f"passed/{barrier}"))


def progress(settings: Settings, client: Redis) -> int:
    """Return a number that rises with each message that the stream has processed."""
    keys = [offsets_key(settings.namespace, table, partition) for table, partition in _partitions(settings)]
    return sum(int(offset.partition(b" ")[0]) for key in keys for offset in _hash(client, key).values())


def _partitions(settings: Settings) -> list[tuple[str, int]]:
    """Return every table with its partitions."""
    topics = Topics(settings)
    return [(stage.name, p) for stage in STAGES for p in range(topics.partitions(stage.inputs[0]))]


def _alert_rows(settings: Settings) -> str:
    return rows_key(settings.namespace, AlertsStage.name, 0)


def status(settings: Settings, client: Redis) -> dict[str, Any]:
    """Return everything that `marginwatch status` shows, as plain types."""
    tables = {}
    for name, partition in _partitions(settings):
        offsets = _hash(client, offsets_key(settings.namespace, name, partition))
        tables[f"{name}:{partition}"] = {
            "rows": client.hlen(rows_key(settings.namespace, name, partition)),
            "offsets": {k.decode(): int(v.partition(b" ")[0]) for k, v in sorted(offsets.items())},
        }
    feeds = {
        f"{topic}[{p}]": _newest(client, rows_key(settings.namespace, SecuritiesStage.name, p), topic)
        for topic in SECURITIES_INPUTS
        if issubclass(INPUT_ROWS[topic], DailyRow)
        for p in range(settings.partitions)
    }
    feeds |= {
        topic: _newest(client, rows_key(settings.namespace, MarketStage.name, 0), topic)
        for topic in MARKET_INPUTS
        if topic in INPUT_ROWS and issubclass(INPUT_ROWS[topic], DailyRow)
    }
    replayed = replayed_to(settings, client)
    due = due_days(settings, market_clock(settings, client).now())
    for name, feed in feeds.items():
        feed |= _due(feed, due.get(name.partition("[")[0]))
    try:
        market = latest_market(settings, client)
    except NothingYetError:
        market = {}
    return {
        "replayed_to": None if replayed is None else replayed.isoformat(),
        "feeds": feeds,
        "signals": {
            **{name: _signal(None) for name, s in SIGNALS.items() if s.level is Level.MARKET and not s.subjects},
            **{name: _signal(found) for name, found in market.items()},
        },
        "alerts_firing": [
            _fields(alert, "id", "rule", "subject", "trade_date", "severity") for alert in firing(client, settings)
        ],
        "tables": tables,
        "calendar_days_left": xshg(settings.calendar_file).left_after(today()),
    }


def firing(client: Redis, settings: Settings) -> list[Alert]:
    """Return the alerts that fire now, newest first."""
    rows = _hash(client, _alert_rows(settings))
    found = [ALERT_ROW.decode(data) for name, data in rows.items() if name.startswith(b"alert/")]
    return sorted(
        (a for a in found if a.state is State.FIRING and not a.is_section), key=lambda a: a.trade_date, reverse=True
    )


def _newest(client: Redis, key: str, topic: str) -> dict[str, Any]:
    """The newest day of a feed in the rows of a table, and whether it is closed."""
    names = cast("list[bytes]", client.hkeys(key))
    newest = max((n.decode() for n in names if n.startswith(topic.encode() + b"/") and b"#" not in n), default=None)
    if newest is None:
        return {"newest": None, "closed": False, "rows": 0}
    header, rows, _ = day_layout(()).read_header(cast("bytes", client.hget(key, newest)))
    return {"newest": newest.partition("/")[2], "closed": header.closed, "rows": rows, "revision": header.revision}


def _due(feed: Mapping[str, Any], due: date | None) -> dict[str, Any]:
    """Return the day of a feed that is due, as text, and whether the feed is late."""
    newest = None if feed["newest"] is None else date.fromisoformat(feed["newest"])
    late = is_late(newest, due, closed=feed["closed"])
    return {"due": None if due is None else due.isoformat(), "late": late}


def _signal(signal: MarketSignal | None) -> dict[str, Any]:
    if signal is None:
        return {"value": None, "reason": "not computed yet"}
    reason = ("reason",) if signal.value is None else ()
    return _fields(signal, "value", "trade_date", "revision", "provisional", "degraded", *reason)


def _fields(struct: msgspec.Struct, *names: str) -> dict[str, Any]:
    """Return some fields of a struct as plain types."""
    return msgspec.to_builtins({name: getattr(struct, name) for name in names})  # type: ignore[no-any-return]


def _hash(client: Redis, key: str) -> dict[bytes, bytes]:
    return cast("dict[bytes, bytes]", client.hgetall(key))
