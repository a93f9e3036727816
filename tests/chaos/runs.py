"""The faults, one function each: publish the scenario, do harm at random points, and give time to recover."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from streams.form import Form
from streams.processes import environment
from streams.publisher import Publisher
from tests.chaos.arena import SESSION_TIMEOUT_S, Arena, Fleet
from tests.chaos.judge import Outcome, outcome
from tests.chaos.scenario import Step, Variant, publish
from tests.harness import Stack


@dataclass
class Run:
    """One run in progress: what is published next, and how."""

    arena: Arena
    stack: Stack
    fleet: Fleet
    steps: Sequence[Step]
    rng: random.Random
    variant: Variant
    publisher: Publisher
    at: int = 0

    def feed(self, count: int) -> None:
        """Publish the next steps."""
        for step in self.steps[self.at : self.at + count]:
            publish(self.publisher, step, self.variant, self.rng)
        self.at = min(len(self.steps), self.at + count)

    def points(self, count: int) -> Iterator[int]:
        """Publish up to ``count`` random points, one after the other; wait a random moment at each."""
        for place in sorted(self.rng.sample(range(1, len(self.steps)), count)):
            self.feed(place - self.at)
            time.sleep(self.rng.uniform(0, 0.25))  # where in its work the fault meets the worker is random, too
            yield place

    def settle(self) -> str:
        """Publish what is left and wait for its end."""
        self.feed(len(self.steps))
        return self.fleet.settle(self.publisher)


Fault = Callable[[Run, int], None]


def nothing(run: Run, count: int) -> None:
    """No fault: only the variant differs."""


def kill(run: Run, count: int) -> None:
    """SIGKILL of the only worker at random points; it is replaced at once."""
    for _ in run.points(count):
        run.fleet.kill(0)
        run.feed(1)  # while nobody is there
        run.fleet.ready()


def fleet(run: Run, count: int) -> None:
    """Workers join, leave in order and die; up to three at a time."""
    for _ in run.points(count):
        size = len(run.fleet.workers)
        deed = run.rng.choice(["join"] * (size < 3) + ["leave", "die"] * (size > 1))
        if deed == "join":
            run.fleet.join()
        elif deed == "leave":
            run.fleet.leave(run.rng.randrange(size))
        else:
            run.fleet.kill(run.rng.randrange(size))
        run.feed(2)
        run.fleet.ready()


def zombie(run: Run, count: int) -> None:
    """A worker of two is frozen past its session timeout, then wakes and goes on where it was."""
    run.fleet.join()
    run.fleet.ready()
    for _ in run.points(count):
        frozen = run.fleet.freeze(run.rng.randrange(2))
        run.feed(3)
        time.sleep(SESSION_TIMEOUT_S + 2)  # the fault itself: silence past the session timeout
        frozen.process.send_signal(18)  # SIGCONT
        run.feed(1)
        run.fleet.ready()


def redis_restart(run: Run, count: int) -> None:
    """Redis is killed and comes back from its append-only file."""
    for i, _ in enumerate(run.points(count)):
        run.arena.redis.kill() if i % 2 == 0 else run.arena.redis.stop()
        run.feed(2)
        run.arena.redis.start()
        run.fleet.ready()


def redis_emptied(run: Run, count: int) -> None:
    """Redis forgets everything; half of the times `marginwatch rebuild` fills it, else the worker by itself."""
    for i, _ in enumerate(run.points(count)):
        run.stack.redis.flushall()
        run.feed(2)
        if i % 2 == 0:
            for worker in run.fleet.workers:
                worker.process.kill()
                worker.process.wait()
            command(run.stack, "rebuild")
        run.fleet.ready()


def broker_restart(run: Run, count: int) -> None:
    """The broker is stopped or killed, and comes back with its data (Apache Kafka only)."""
    for i, _ in enumerate(run.points(count)):
        run.arena.broker.kill() if i % 2 == 0 else run.arena.broker.stop()
        run.arena.broker.start()
        run.feed(2)
        run.fleet.ready()


def cut_redis(run: Run, seconds: int) -> None:
    """The line to Redis is cut without a word."""
    for _ in run.points(1):
        run.arena.redis_line.cut()
        run.feed(3)
        time.sleep(seconds)  # the fault itself
        run.arena.redis_line.heal()
        run.fleet.ready()


def cut_broker(run: Run, seconds: int) -> None:
    """The line to the broker is cut without a word, for feeds and workers alike."""
    for _ in run.points(1):
        run.arena.broker_line.cut()
        time.sleep(seconds)  # the fault itself
        run.arena.broker_line.heal()
        run.feed(3)
        run.fleet.ready()


@dataclass(frozen=True)
class Plan:
    """A named run: which fault, how often (or how long, for the cut lines), and how the facts travel."""

    name: str
    fault: Fault
    count: int = 0
    variant: Variant = Variant()
    kafka_only: bool = False


MIXED = Variant(Form.EVENTS, shuffled=True, duplicated=0.2, poisoned=0.01)
LONG = (
    Plan("SIGKILL", kill, 20),
    Plan("workers join, leave, die", fleet, 10),
    Plan("zombies", zombie, 3),
    Plan("Redis restarted", redis_restart, 6),
    Plan("Redis emptied", redis_emptied, 4),
    Plan("broker restarted", broker_restart, 4, kafka_only=True),
    Plan("line to Redis cut 30 s", cut_redis, 30),
    Plan("line to broker cut 30 s", cut_broker, 30),
    Plan("frames shuffled, 20% twice", nothing, 0, Variant(shuffled=True, duplicated=0.2)),
    Plan("events", nothing, 0, Variant(Form.EVENTS)),
    Plan("events shuffled, 20% twice, 1% poison", nothing, 0, MIXED),
    Plan("SIGKILL, events shuffled, 20% twice, 1% poison", kill, 5, MIXED),
)
SHORT = {
    "embedded": (
        Plan("SIGKILL", kill, 1),
        Plan("events shuffled, 20% twice, 1% poison", nothing, 0, MIXED),
    ),
    "kafka": (
        Plan("workers join, leave, die", fleet, 2),
        Plan("zombies", zombie, 1),
        Plan("Redis restarted", redis_restart, 1),
        Plan("broker restarted", broker_restart, 1, kafka_only=True),
    ),
}


def play(arena: Arena, name: str, steps: Sequence[Step], plan: Plan, rng: random.Random) -> Outcome:
    """Run the scenario once under a plan; return what it ended in."""
    stack = arena.stack(name)
    try:
        workers = Fleet(stack).ready()
        with stack.publisher(plan.variant.form, "chaos") as publisher:
            run = Run(arena, stack, workers, steps, rng, plan.variant, publisher)
            plan.fault(run, plan.count)
            barrier = run.settle()
        assert '"equal":false' not in command(stack, "rebuild", "--check", "--json").replace(" ", "")
        return outcome(stack, barrier)
    finally:
        stack.stop()


def command(stack: Stack, *arguments: str) -> str:
    """Run `marginwatch …` on a stack; return its output."""
    done = subprocess.run(
        [sys.executable, "-m", "streams", *arguments],
        env=os.environ | environment(stack.settings), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
