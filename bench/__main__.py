"""All main figures beside their targets, in one table: ``python -m bench [--broker kafka] [--only history …]``.

The figures of one run compare with each other: ratios are to plain pandas and to the peers on the same machine.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import typer

from bench import alerts, history, peers, pipeline
from bench.figures import Figure, table_of
from streams.cli.terminal import err, out


class Part(StrEnum):
    """What can be measured by itself."""

    HISTORY = "history"
    LARGE = "large"
    PIPELINE = "pipeline"
    ALERTS = "alerts"
    PEERS = "peers"


_MEASURES: dict[Part, Callable[[str], list[Figure]]] = {
    Part.HISTORY: history.figures,
    Part.LARGE: history.large_figures,
    Part.PIPELINE: pipeline.figures,
    Part.ALERTS: alerts.figures,
    Part.PEERS: peers.figures,
}


def main(
    broker: Annotated[str, typer.Option(help="embedded or kafka")] = "embedded",
    only: Annotated[list[Part] | None, typer.Option(help="measure this alone; may be repeated")] = None,
) -> None:
    """Measure and print."""
    found: list[Figure] = []
    for part in only or list(Part):
        err.print(f"measuring {part} …")
        found += _MEASURES[part](broker)
    out.print(table_of(f"{broker} broker", found))


if __name__ == "__main__":
    typer.run(main)
