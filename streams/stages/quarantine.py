"""Which message of a poll makes its fold fail, and whether it may be set aside so that the partition goes on.

A poll whose fold fails is cut in halves until one message is left that fails alone, on the state as it is stored before
that message. Such a message goes to the dead letters with its traceback; everything before and behind it counts. Where
many messages of a topic fail in a row the fault lies not in them: the partition stalls then, and waits for a person,
who may name a message that is skipped (`marginwatch dlq skip`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

import structlog
from redis.asyncio import Redis

from processors.table import Rows
from streams.dead_letters import Place
from streams.records import Record
from streams.settings import Settings
from streams.stages.stage import Stage, StageState
from streams.tables import Output

log = structlog.get_logger()
_T = TypeVar("_T")


class FoldError(Exception):
    """A fold raised an error (the cause); half of it may be in the state."""


def fold(state: StageState, topic: str, records: Sequence[Record]) -> tuple[list[Output], Rows]:
    """Fold records; return the outputs and the changed rows.

    Raises
    ------
    FoldError : for whatever the fold or the encoding of its rows raises, except for a lack of memory.
    """
    try:
        return state.fold(topic, records), state.changed_rows()
    except MemoryError:
        raise
    except Exception as error:
        raise FoldError(f"{type(error).__name__}: {error}") from error


def halves(records: Sequence[_T]) -> list[Sequence[_T]]:
    """Return the two halves of two records or more."""
    middle = len(records) // 2
    return [records[:middle], records[middle:]]


def place_of(record: Record) -> Place:
    """Return where a record was read."""
    return Place(record.topic, str(record.partition), str(record.offset))


def skips_key(settings: Settings) -> str:
    """Return the Redis key of the set of places that a person wants to be skipped."""
    return f"{settings.namespace}:skip"


class Quarantine:
    """Sets messages aside, as many in a row as the settings allow, and those that a person has named."""

    def __init__(self, settings: Settings, redis: Redis) -> None:
        self._limit = settings.quarantine_limit
        self._key = skips_key(settings)
        self._redis = redis
        # By topic and partition: whatever is read between them, a rebuild counts as the worker did.
        self._in_a_row: Counter[tuple[str, int]] = Counter()

    def succeeded(self, records: Sequence[Record]) -> None:
        """Note that records were folded."""
        self._in_a_row.pop((records[-1].topic, records[-1].partition), None)

    async def set_aside(self, stage: Stage, record: Record, error: FoldError) -> list[Output]:
        """Return what is published of a message whose fold failed; raises the fold's error if it may not be set aside.

        What is returned must be stored with the offset behind the message, and nothing else of its fold.
        """
        cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
        place, at = str(place_of(record)), (record.topic, record.partition)
        skipped = False
        if self._in_a_row[at] >= self._limit:
            skipped = bool(await self._redis.sismember(self._key, place))
            if not skipped:
                raise cause from None  # else it would be its own cause
        else:
            self._in_a_row[at] += 1
        log.critical("a message is quarantined: its fold failed", place=place, skipped=skipped, exc_info=cause)
        return stage.quarantine(record, stage.topics.short(record.topic), cause, skipped=skipped)
