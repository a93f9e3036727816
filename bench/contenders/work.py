"""Task, computation, clock and report of every peer; uses the standard library alone."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

DAYS = 15


@dataclass(frozen=True, slots=True)
class Task:
    """The task of a peer: read ``events`` rows of partition 0 of ``topic``, from the first offset."""

    bootstrap: str
    topic: str
    events: int
    folder: Path  # empty folder for its state
    durable: bool


def task() -> Task:
    """Return the task of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bootstrap", required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--events", type=int, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--durable", action="store_true")
    return Task(**vars(parser.parse_args()))


def advance(window: list[float], balance: float) -> float | None:
    """Append a day's balance (CNY) to a security's window; return its change over 15 days, None before there is one."""
    window.append(balance)
    if len(window) > DAYS + 1:
        del window[0]
    return balance - window[0] if len(window) > DAYS else None


class Report:
    """Counts events and stores the last change of each security.

    The clock starts when the consumer is assigned. Where a library doesn't report that moment, it starts with the first
    event (in the library's favour). It stops in `done`, after durable state is flushed.
    """

    def __init__(self) -> None:
        self.events = 0
        self.last: dict[str, float | None] = {}
        self._started = 0.0

    def start(self) -> None:
        """Start the clock, the first time."""
        self._started = self._started or time.perf_counter()

    def done(self) -> None:
        """Stop the clock and print the report: one line of JSON."""
        seconds = time.perf_counter() - self._started
        # Whole CNY far below 2**53: the sum is exact in any order.
        checksum = sum(change for change in self.last.values() if change is not None)
        print(json.dumps({"events": self.events, "checksum": checksum, "seconds": seconds}), flush=True)
