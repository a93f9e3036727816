"""The two streams of the terminal, and the progress of long work."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import msgspec
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text

_T = TypeVar("_T")
#: The width of a file or a pipe: a line of a table stays one line there, so that a program can search it.
_ENDLESS = 10_000
#: The width of a terminal for which tables of many columns are made.
_USUAL = 80
#: What a terminal obeys instead of showing it: codes of its own, and the direction of letters.
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def _escaped(text: str) -> str:
    return _CONTROLS.sub(lambda found: repr(found[0])[1:-1], text)


class _PlainConsole(Console):
    """A stream that obeys no text: notes, names and reasons of people and feeds may have control characters."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Return a text, as wide as it is shown."""
        return super().render_str(_escaped(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the segments of what is printed, with the control characters of its texts as escapes."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else _escaped(text), style, control)


def _console(*, stderr: bool) -> Console:
    """Open a stream. Nothing in a text is markup: names, reasons and subjects contain brackets and colons."""
    width = None if (sys.stderr if stderr else sys.stdout).isatty() else _ENDLESS
    return _PlainConsole(stderr=stderr, width=width, highlight=False, markup=False, emoji=False, soft_wrap=True)


out = _console(stderr=False)
err = _console(stderr=True)


def table_of(*columns: str | Column, title: str | None = None, show_header: bool = True) -> Table:
    """Return a table without lines; what is too wide for a terminal folds, and nothing is cut off."""
    headers = [Column(one) if isinstance(one, str) else one for one in columns]
    for header in headers:
        header.overflow = "fold"
    return Table(*headers, title=title, title_justify="left", show_header=show_header, box=None, pad_edge=False)


def whole(header: str) -> Column:
    """Return a column of short words, which do not fold; in a terminal that is too narrow for them they do."""
    return Column(header, no_wrap=out.width >= _USUAL)


def right(header: str) -> Column:
    """Return a column of figures."""
    return Column(header, justify="right")


@contextlib.contextmanager
def progress() -> Iterator[Progress]:
    """Show the progress of long work on stderr; the bars disappear at the end."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description:24}", markup=False),
        BarColumn(),
        TextColumn("{task.completed:>5}/{task.total}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=err,
        transient=True,
    ) as bars:
        yield bars


def print_result(value: _T, pretty: Callable[[_T], None], *, as_json: bool) -> None:
    """Print what a command found: as JSON for programs, else by ``pretty``."""
    if as_json:
        print_json(value)
    else:
        pretty(value)


def print_json(value: object, *, indent: int = 2) -> None:
    """Print a value on stdout as JSON, which is UTF-8 whatever the encoding of the terminal.

    Parameters
    ----------
    indent : spaces of a level; a negative number gives one line.
    """
    sys.stdout.flush()
    sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(value), indent=indent) + b"\n")
    sys.stdout.flush()
