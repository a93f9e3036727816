"""What every peer does with an event, its clock, and how it reports; nothing but the standard library."""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

DAYS = 15


@dataclass(frozen=True, slots=True)
class Task:
    """What a peer is told: read ``events`` rows of partition 0 of ``topic``, from its beginning."""

    bootstrap: str
    topic: str
    events: int
    folder: Path  # for its state, empty
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
    """Counts events and remembers each security's last change.

    The clock starts when the consumer is assigned, or, where a library doesn't say when that is, with the first event
    that it hands over (in its favour). It ends in `done`, after whatever is durable has been flushed.
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
