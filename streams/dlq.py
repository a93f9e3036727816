"""The dead letters of a system as a person handles them: listed by reason, shown, published again, skipped."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from kafka import TopicPartition

from processors.days import moment
from streams import readers
from streams.clients import redis_client
from streams.dead_letters import Letter, Place, Resolution, encode_resolution, open_letters, read_letter
from streams.errors import ReadError
from streams.publisher import Publisher
from streams.settings import Settings
from streams.stages.quarantine import skips_key
from streams.topics import DEAD_LETTERS, Topic, Topics, dead_letters, refused_in

_VARYING = re.compile(r"'[^']*'|\"[^\"]*\"|\d[\d,.:+TZ-]*")


@dataclass(frozen=True, slots=True)
class RefusalGroup:
    """The letters of a topic that were refused for one reason, whatever figures and words it names."""

    topic: Topic
    reason: str  # of the newest
    count: int
    newest: Letter


def letters(settings: Settings, topics: Iterable[Topic] = DEAD_LETTERS) -> dict[Topic, list[Letter]]:
    """Return the messages of dead-letter topics up to their ends, oldest first, by the topic that they were sent to.

    Raises
    ------
    TopicError, ReadError : if no broker answers, or it serves nothing before an end.
    """
    names = Topics(settings)
    wanted = {TopicPartition(names.name(topic), 0): refused_in(topic) for topic in topics}
    out: dict[Topic, list[Letter]] = {topic: [] for topic in wanted.values()}
    with readers.consumer(settings) as reader:
        for tp, records in readers.read_to_end(reader, wanted):
            out[wanted[tp]] += map(read_letter, records)
    return out


def groups(found: dict[Topic, list[Letter]]) -> list[RefusalGroup]:
    """Return the open letters by topic and reason, the most frequent first."""
    out: dict[tuple[Topic, str], RefusalGroup] = {}
    for topic, of_topic in found.items():
        for letter in open_letters(of_topic).values():
            key = topic, _VARYING.sub("…", letter.reason)
            before = out.get(key)
            out[key] = RefusalGroup(topic, letter.reason, 1 + (before.count if before is not None else 0), letter)
    return sorted(out.values(), key=lambda group: (-group.count, group.topic, group.reason))


def set_aside_at(letter: Letter) -> datetime:
    """Return when a letter was set aside."""
    return moment(letter.timestamp * 1000)


def letter_at(settings: Settings, topic: Topic, partition: int, offset: str) -> Letter:
    """Return the letter of a message, of a row of a frame, or of an entry; raises `ReadError` if it was not set aside.

    Parameters
    ----------
    offset : of a message ``17``, of the row 3 of a frame ``17/3``, of an entry of a Redis stream ``1718000000000-0``.
    """
    for letter in reversed(letters(settings, [dead_letters(topic)])[topic]):
        if letter.resolution is None and _is_at(letter, settings, topic, partition, offset):
            return letter
    raise ReadError(_no_letter(place_at(settings, topic, partition, offset), topic))


def place_at(settings: Settings, topic: Topic, partition: int, offset: str) -> Place:
    """Return the place of a message, or of a row, by the short name of its topic."""
    return Place(Topics(settings).name(topic), str(partition), offset)


def is_entry(place: Place) -> bool:
    """Whether a place is that of an entry of a Redis stream, which a feed of positions reads."""
    return "-" in place.offset


def _is_at(letter: Letter, settings: Settings, topic: Topic, partition: int, offset: str) -> bool:
    place = place_at(settings, topic, partition, offset)
    if is_entry(place):  # its stream has a name of the desk's
        return (letter.place.partition, letter.place.offset) == (place.partition, place.offset)
    return letter.place == place


def _no_letter(place: Place, topic: Topic) -> str:
    return f"no dead letter of {place}: `marginwatch dlq list {topic} --json` lists all of {topic}"


def retry(settings: Settings, topic: Topic, chosen: Iterable[Letter]) -> int:
    """Publish messages again as they were, to the partition that they were read from; return their number.

    Raises
    ------
    ReadError : at the end, if some are entries of a Redis stream; they are left as they are.
    """
    count, entries = 0, list[Place]()
    with Publisher(settings, source="dlq retry") as publisher:
        for letter in chosen:
            if is_entry(letter.place):
                entries.append(letter.place)
                continue
            partition = int(letter.place.partition)
            publisher.raw(topic, letter.value, key=letter.key, partition=partition, headers=letter.headers)
            publisher.flush()  # the resolution must not arrive without the message
            publisher.raw(dead_letters(topic), b"", headers=encode_resolution(letter.place, Resolution.RETRIED))
            count += 1
    if entries:
        raise ReadError(
            f"{count} published again; {len(entries)} are entries of a Redis stream, the first {entries[0]}: whoever "
            "wrote them adds them again (XADD), and `marginwatch dlq skip` ends their letters"
        )
    return count


def skip(settings: Settings, topic: Topic, partition: int, offset: str) -> bool:
    """Give a message up: resolve its letter, or let the partition that stalls at it leave it out.

    A row of a frame and an entry of a Redis stream have a letter in any case: no partition stalls at them.

    Parameters
    ----------
    offset : as of `letter_at`.

    Returns
    -------
    Whether the message had been set aside already.

    Raises
    ------
    ReadError : if there is no such message, or no open letter of such a row or entry.
    """
    place = place_at(settings, topic, partition, offset)
    opened = open_letters(letters(settings, [dead_letters(topic)])[topic]).values()
    found = next((one for one in opened if _is_at(one, settings, topic, partition, offset)), None)
    is_message = offset.isdecimal()
    if found is not None:
        place = found.place
    elif not is_message:
        raise ReadError(_no_letter(place, topic))
    elif readers.record_at(settings, place.topic, partition, int(offset)) is None:
        raise ReadError(f"no message {place}: the reason of a stalled partition names topic and offset")
    if is_message:
        with redis_client(settings) as redis:
            redis.sadd(skips_key(settings), str(place))
    if found is not None:
        with Publisher(settings, source="dlq skip") as publisher:
            publisher.raw(dead_letters(topic), b"", headers=encode_resolution(place, Resolution.SKIPPED))
    return found is not None
