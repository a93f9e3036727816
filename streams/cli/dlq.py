"""`marginwatch dlq`: the messages that were refused or quarantined."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import Json
from streams.cli.terminal import err, print_json
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.dead_letters import Letter
    from streams.topics import Topic

dlq_app = typer.Typer(no_args_is_help=True, help="Messages that were refused or quarantined: list, retry, skip them.")


def _offset(text: str) -> str:
    """Return an offset as it is stored in a letter's place: ``17``, of a row ``17/3``, of a Redis entry ``17180-0``."""
    if re.fullmatch(r"[0-9]{1,18}(/[0-9]{1,9}|-[0-9]{1,18})?", text) is None:
        raise typer.BadParameter(
            f"{text!r} is no offset: expected are 17, 17/3 for a row of a frame, 1718000000000-0 for an entry of "
            "a Redis stream"
        )
    return re.sub(r"[0-9]+", lambda digits: str(int(digits[0])), text)


_OFFSET_HELP = "its offset; of a row of a frame OFFSET/ROW, of an entry of a Redis stream its id"
TopicName = Annotated[str, typer.Argument(metavar="TOPIC", help="topic that the message was sent to: margin.daily")]
Partition = Annotated[int, typer.Argument(metavar="PARTITION", min=0, help="its partition")]
Offset = Annotated[str, typer.Argument(metavar="OFFSET", parser=_offset, help=_OFFSET_HELP)]


@dlq_app.command("list")
def dlq_list(
    topic: Annotated[str, typer.Argument(metavar="[TOPIC]", help="only this topic; default: all")] = "",
    as_json: Json = False,
) -> None:
    """Count the messages that are neither retried nor skipped, by topic and reason; --json lists every one."""
    from streams.cli.render.letters import print_groups
    from streams.dead_letters import open_letters
    from streams.dlq import groups, letters
    from streams.topics import DEAD_LETTERS, dead_letters

    found = letters(Settings(), [dead_letters(_topic(topic))] if topic else DEAD_LETTERS)
    if as_json:
        print_json([_described(one) for of_topic in found.values() for one in open_letters(of_topic).values()])
    else:
        print_groups(groups(found))


@dlq_app.command("show")
def dlq_show(
    topic: TopicName,
    partition: Partition,
    offset: Offset,
    raw: Annotated[bool, typer.Option("--raw", help="write the original bytes to stdout, nothing else")] = False,
    as_json: Json = False,
) -> None:
    """Show one message: the reason, its headers, the traceback of a fold that failed, its bytes."""
    from streams.cli.render.letters import print_letter
    from streams.dlq import letter_at

    letter = letter_at(Settings(), _topic(topic), partition, offset)
    if raw:
        sys.stdout.buffer.write(letter.value)
    elif as_json:
        print_json(_described(letter) | {"traceback": letter.traceback, "value": _text(letter.value)})
    else:
        print_letter(letter)


@dlq_app.command("retry")
def dlq_retry(
    topic: TopicName,
    partition: Annotated[int | None, typer.Argument(metavar="PARTITION", min=0, help="its partition")] = None,
    offset: Annotated[str | None, typer.Argument(metavar="OFFSET", parser=_offset, help=_OFFSET_HELP)] = None,
    whole_topic: Annotated[bool, typer.Option("--all", help="every message of the topic that `list` shows")] = False,
) -> None:
    """Publish a message again as it was, e.g. after an update that can read it.

    It gets a new offset. A row that is known by now changes nothing; a row of a closed day counts as a correction.
    """
    from streams.dead_letters import open_letters
    from streams.dlq import letter_at, letters, retry
    from streams.topics import dead_letters

    if whole_topic == (partition is not None and offset is not None):
        raise typer.BadParameter("give PARTITION and OFFSET of one message, or --all")
    settings, short = Settings(), _topic(topic)
    if partition is not None and offset is not None:
        chosen = [letter_at(settings, short, partition, offset)]
    else:
        chosen = [*open_letters(letters(settings, [dead_letters(short)])[short]).values()]
    err.print(f"{retry(settings, short, chosen)} published again")


@dlq_app.command("skip")
def dlq_skip(topic: TopicName, partition: Partition, offset: Offset) -> None:
    """Give a message up: it is listed no more, and its alert ends.

    A partition that stalls at the message leaves it out and goes on, within half a minute.
    """
    from streams.dlq import skip

    done = skip(Settings(), _topic(topic), partition, offset)
    err.print("skipped" if done else "the partition leaves it out as soon as it stalls at it")


def _topic(name: str) -> Topic:
    """Return a topic that has dead letters, by its short name or its name on the cluster."""
    from streams.topics import READ, Topics

    names = Topics(Settings())
    for topic in READ:
        if name in (topic, names.name(topic)):
            return topic
    raise typer.BadParameter(f"no topic {name!r} has dead letters; known are {', '.join(READ)}", param_hint="TOPIC")


def _text(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def _described(letter: Letter) -> dict[str, Any]:
    from streams.dlq import set_aside_at

    return {
        "topic": letter.place.topic,
        "partition": letter.place.partition,
        "offset": letter.place.offset,
        "set_aside_at": set_aside_at(letter),
        "error": letter.error,
        "reason": letter.reason,
        "quarantined": bool(letter.traceback),
        "key": _text(letter.key or b""),
        "bytes": len(letter.value),
    }
