"""The two streams of the terminal, and the progress of long work."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TypeVar

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn

_T = TypeVar("_T")
out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def progress() -> Iterator[Progress]:
    """Show the progress of long work on stderr; the bars disappear at the end."""
    with Progress(
        SpinnerColumn(),
        TextColumn("{task.description:24}"),
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


def print_json(value: object) -> None:
    """Print a value as indented JSON on stdout."""
    sys.stdout.write(msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")
