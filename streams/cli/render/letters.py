"""Prints dead letters: their reasons and bytes are anybody's, so nothing in them is markup or moves the cursor."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from streams.cli.terminal import err, out, table_of
from streams.dead_letters import Letter
from streams.dlq import RefusalGroup, set_aside_at

_SHOWN_BYTES, _SHOWN_REASON = 2048, 160


def print_groups(found: Sequence[RefusalGroup]) -> None:
    """Print how many open letters there are by topic and reason."""
    if not found:
        err.print("no dead letters that are neither retried nor skipped")
        return
    table = table_of("count", "topic", "newest", "set aside (UTC)", "reason")
    for group in found:
        newest = group.newest
        kind = "quarantined: " if newest.traceback else ""
        table.add_row(
            f"{group.count:,}",
            group.topic,
            plain(f"{newest.place.partition} {newest.place.offset}"),
            f"{set_aside_at(newest):%Y-%m-%d %H:%M:%S}",
            plain(kind + group.reason[:_SHOWN_REASON]),
        )
    out.print(table)


def print_letter(letter: Letter) -> None:
    """Print one letter with the beginning of its bytes."""
    lines = [
        f"{letter.place}, set aside {set_aside_at(letter):%Y-%m-%d %H:%M:%S} UTC",
        f"{letter.error or 'refused'}: {letter.reason}",
        *(f"header {name}: {value.decode('utf-8', 'backslashreplace')}" for name, value in letter.headers),
        f"key: {(letter.key or b'').decode('utf-8', 'backslashreplace')}",
    ]
    for line in lines:
        out.print(plain(line))
    if letter.traceback:
        out.print(plain(letter.traceback))
    shown = letter.value[:_SHOWN_BYTES].decode("utf-8", "backslashreplace")
    out.print(f"{len(letter.value):,} bytes{', the first:' if len(letter.value) > _SHOWN_BYTES else ':'}")
    out.print(plain(shown))


def plain(text: str) -> Text:
    """Return text for the terminal; characters that would control it are shown as escapes."""
    return Text("".join(c if c.isprintable() or c == "\n" else repr(c)[1:-1] for c in text))
