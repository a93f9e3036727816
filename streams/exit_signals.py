"""The end of a command by a signal: in order, with everything closed that it has opened."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Turn the first SIGTERM, SIGINT or SIGHUP into an exit with 128 + its number; later ones don't disturb the end.

    The exit is an exception, so everything that the block has opened is closed, children included. SIGINT before any
    other signal remains `KeyboardInterrupt`. A SIGHUP that whoever started the command ignores (``nohup``) stays
    ignored.
    """
    numbers = [signal.SIGTERM, signal.SIGINT]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)

    def end(number: int, _frame: Any) -> None:
        for other in numbers:
            signal.signal(other, signal.SIG_IGN)
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
