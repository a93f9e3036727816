"""The record of a rule from the state of the alerts stage in Redis, at one moment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from alerts.desk import AlertDesk
from alerts.record import RecordCard, cards
from alerts.rules.base import Rule
from streams.alert_rules import rules_of
from streams.calendars import xshg
from streams.clients import async_redis_client
from streams.errors import NothingYetError, RecordError
from streams.settings import Settings
from streams.stages.alerts_stage import AlertsStage
from streams.tables import Loaded, peek
from streams.topics import Topics

#: The tables that records are computed from; alerts and levels are not among them.
TABLES = ("case", "base", "close", "regime", "verdicts", "clock")


def record_of(settings: Settings, rule: str) -> list[RecordCard]:
    """Return the records of a rule, one per subject and expectation, as they are known now.

    Raises
    ------
    RecordError : if there is no such rule, it keeps no record, or the state is that of another release.
    NothingYetError : if the rule has not been evaluated yet.
    """
    rules = rules_of(settings)
    found = [one for one in rules if one.name == rule]
    keeping = sorted({one.name for one in rules if one.expectations})
    if not any(one.expectations for one in found):
        known = "keeps no record: it states a fact" if found else "is not in force"
        raise RecordError(f"the rule {rule!r} {known}. Rules with a record: {', '.join(keeping)}")
    out = _cards(settings, found)
    if not out:
        raise NothingYetError(f"{rule} has not been evaluated yet: is a worker running, and has a feed published?")
    return out


def records(settings: Settings) -> list[RecordCard]:
    """Return the records of every rule as they are known now, empty as long as no rule has been evaluated.

    Raises
    ------
    RecordError : if the state is that of another release.
    """
    return _cards(settings, [rule for rule in rules_of(settings) if rule.expectations])


def _cards(settings: Settings, rules: Sequence[Rule]) -> list[RecordCard]:
    calendar = xshg(settings.calendar_file)
    stage = AlertsStage(settings, Topics(settings), calendar)
    stored, schema = asyncio.run(_stored(settings)), stage.open(0).schema
    if stored.offsets and stored.schema != schema:
        raise RecordError(
            f"the alerts in Redis are those of another release (schema {stored.schema or 'none'}, this release reads "
            f"{schema}): a worker of this release rebuilds them when it starts"
        )
    desk = AlertDesk(rules_of(settings), calendar)
    desk.load_rows({name: data for name, data in stored.rows.items() if name.partition("/")[0] in TABLES})
    return [card for one in rules for card in cards(desk, one, calendar)]


async def _stored(settings: Settings) -> Loaded:
    async with async_redis_client(settings) as redis:
        return await peek(redis, settings.namespace, AlertsStage.name, 0)
