"""`python -m tests.chaos`: replays the scenario under every fault plan, and prints the seed and a table of results.

Then it replays it by workers that lack one safeguard each (`tests.altered_worker.MUTANTS`): a plan must catch each of
them, or the faults and the comparison are too weak.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from streams.cli.terminal import err
from streams.local.local_kafka import ApacheKafka
from tests.chaos.comparison import Comparison, compare
from tests.chaos.faults import CAUGHT_BY, LONG, FaultPlan, no_fault, run_plan, step_by_step
from tests.chaos.judge import Judge, facts
from tests.chaos.scenario import Step, all_rows, build
from tests.chaos.services import Services

_COLUMNS = ("broker", "plan", "faults", "s", "lost", "doubled", "wrong", "repeated")


def main() -> int:
    """Replay all plans; return 0 if no fact is lost, doubled or wrong, and no missing safeguard goes unnoticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="seed of the fault points")
    parser.add_argument("--broker", choices=["embedded", "kafka", "both"], default="both")
    parser.add_argument("--only", default="", help="only plans and missing safeguards whose name contains this text")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MARGINWATCH_DATA", "../shared/data")))
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder of the table")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    if not options.data.is_dir():
        err.print(f"real market data are not at {options.data}: name them with --data or MARGINWATCH_DATA")
        return 2
    brokers = ["embedded", "kafka"] if options.broker == "both" else [options.broker]
    if "kafka" in brokers and (reason := ApacheKafka.missing()):
        err.print(f"without Apache Kafka: {reason}")
        brokers.remove("kafka")
    steps = build(options.data)
    err.print(f"seed {seed}: {len(steps)} steps, {all_rows(steps):,} rows of real data")
    judge = Judge(steps)
    lines = [f"Seed {seed}.", "", f"| {' | '.join(_COLUMNS)} |", "| --- | --- |" + " --: |" * (len(_COLUMNS) - 2)]
    clean = True
    for broker in brokers:
        plans = [p for p in LONG if options.only in p.name and (broker == "kafka" or not p.kafka_only)]
        with (
            tempfile.TemporaryDirectory(prefix="marginwatch-chaos-") as folder,
            Services(Path(folder), broker) as services,
        ):
            baseline = run_plan(services, "baseline", steps, FaultPlan("baseline", no_fault), random.Random(seed))
            err.print(f"{broker}: baseline of {baseline.messages:,} messages, {len(baseline.final):,} facts")
            for contradiction in judge.contradictions(facts(baseline)):
                clean = False
                err.print(f"    the independent computation contradicts: {contradiction}")
            for i, plan in enumerate(plans):
                started = time.monotonic()
                result = run_plan(services, f"plan{i}", steps, plan, random.Random(f"{seed} {plan.name}"))
                comparison = compare(baseline, result)
                clean &= comparison.clean
                lines.append(_line(broker, plan, time.monotonic() - started, comparison))
                err.print(lines[-1])
                for what in ("lost", "doubled", "wrong"):
                    for name in getattr(comparison, what)[:5]:
                        err.print(f"    {what}: {name}")
            for without in (name for name in CAUGHT_BY if options.only in name):
                caught, line = _without(services, broker, steps, without, seed)
                clean &= caught
                lines.append(line)
                err.print(line)
    options.out.mkdir(exist_ok=True)
    path = options.out / f"chaos-{seed}.md"
    path.write_text("\n".join(lines) + "\n", "utf-8")
    sys.stdout.write(path.read_text("utf-8"))
    return 0 if clean else 1


def _without(services: Services, broker: str, steps: Sequence[Step], without: str, seed: int) -> tuple[bool, str]:
    """Replay by workers that lack a safeguard; return whether a plan has caught that, and its line of the table."""
    plan, started = CAUGHT_BY[without], time.monotonic()
    rng = random.Random(f"{seed} {plan.name}")
    sound = run_plan(services, f"sound-{without}", steps, FaultPlan("step by step", step_by_step), rng, without=without)
    comparison = compare(sound, run_plan(services, f"without-{without}", steps, plan, rng, without=without))
    caught = "caught" if not comparison.clean else "NOT caught"
    named = FaultPlan(f"{plan.name}, without {without}: {caught}", plan.fault, plan.count)
    return not comparison.clean, _line(broker, named, time.monotonic() - started, comparison)


def _line(broker: str, plan: FaultPlan, seconds: float, comparison: Comparison) -> str:
    counts = (len(comparison.lost), len(comparison.doubled), len(comparison.wrong), comparison.repeated)
    faults = 1 if plan.name.endswith(" s") else plan.count
    return f"| {broker} | {plan.name} | {faults} | {seconds:.0f} | " + " | ".join(map(str, counts)) + " |"


if __name__ == "__main__":
    sys.exit(main())
