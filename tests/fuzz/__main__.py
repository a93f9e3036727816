"""``python -m tests.fuzz [--inputs N] [--seed S] [--number N]``: hostile messages against all decoders and folds."""

from __future__ import annotations

import sys
import time
from functools import partial
from typing import Annotated

import structlog
import typer

from streams.cli.terminal import err, out
from tests.fuzz import harness
from tests.fuzz.inputs import as_line, message, seeds
from tests.fuzz.targets import Target


def main(
    inputs: Annotated[int, typer.Option(min=1, help="how many")] = 1_000_000,
    seed: Annotated[str, typer.Option(help="repeats a run")] = "",
    number: Annotated[
        int | None, typer.Option(help="only this input, with its traceback; prints its corpus line")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="at a time")] = 2,
) -> None:
    """Print what became of the inputs; exit code 1 if any crashed, hung, grew or raised."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    seed = seed or str(time.time_ns())
    if number is not None:
        found = message(seed, number)
        sys.stdout.write(as_line(found) + "\n")
        err.print(f"{found.topic}: {Target()(found).name.lower()}")
        return
    seeds()
    err.print(f"{inputs:,} inputs, seed {seed}")

    def show(finding: harness.Finding) -> None:
        err.print(f"  --seed {seed} --number {finding.number}: {finding.what}")

    tenth = 1

    def advance(done: int) -> None:
        nonlocal tenth
        if done * 10 >= tenth * inputs:
            err.print(f"  {done:,} of them")
            tenth = done * 10 // inputs + 1

    report = harness.run(partial(message, seed), Target, inputs, processes=processes, on_finding=show, on_done=advance)
    outcomes = ", ".join(f"{count:,} {outcome.name.lower()}" for outcome, count in report.outcomes.items())
    out.print(
        f"{inputs:,} inputs in {report.seconds:,.0f} s: {outcomes}; "
        f"slowest {report.slowest_s * 1000:,.0f} ms, growth {report.grown_bytes / 2**20:,.0f} MiB"
    )
    out.print(f"{len(report.findings):,} crashed, hung, grew or raised")
    if report.findings:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
