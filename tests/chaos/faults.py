"""The faults, one function each: publish the scenario, inject the fault at random points, and wait for recovery."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

from redis import Redis

from streams.form import Form
from streams.keys import table_key
from streams.local.local_redis import EmbeddedRedis
from streams.local.local_service import LOOPBACK
from streams.local.processes import environment
from streams.publisher import Publisher
from streams.rebuild import rebuild
from streams.stages.market_stage import MarketStage
from streams.topics import Topic, Topics
from tests.altered_worker import MUTANT, STOP_AT, STOP_FILE
from tests.chaos.comparison import Outcome, outcome
from tests.chaos.scenario import CORRECTED, Step, Variant, publish
from tests.chaos.services import Fleet, Services
from tests.harness import SESSION_TIMEOUT_S, Stack, wait_until

#: ARGV: a pattern of keys. Returns each key and its serialised value, all of one moment, while workers go on writing.
_SNAPSHOT = """
local found = {}
for _, key in ipairs(redis.call('KEYS', ARGV[1])) do
  found[#found + 1] = key
  found[#found + 1] = redis.call('DUMP', key)
end
return found
"""


@dataclass
class Harness:
    """The state of a replay: services, workers, the position in the scenario, and what was found wrong on the way."""

    services: Services
    stack: Stack
    fleet: Fleet
    steps: Sequence[Step]
    rng: random.Random
    variant: Variant
    publisher: Publisher
    at: int = 0
    found: list[str] = field(default_factory=list)

    def feed(self, count: int) -> None:
        """Publish the next steps."""
        for step in self.steps[self.at : self.at + count]:
            publish(self.publisher, step, self.variant, self.rng)
        self.at = min(len(self.steps), self.at + count)

    def points(self, count: int) -> Iterator[int]:
        """Publish up to each of ``count`` random points; sleep a random time there, and yield its position."""
        for position in sorted(self.rng.sample(range(1, len(self.steps)), count)):
            self.feed(position - self.at)
            time.sleep(self.rng.uniform(0, 0.25))  # the fault meets the worker at a random step of its work
            yield position

    def settle(self) -> str:
        """Publish the remaining steps and wait until they are processed."""
        self.feed(len(self.steps))
        return self.fleet.settle(self.publisher)


Fault = Callable[[Harness, int], None]


def no_fault(harness: Harness, count: int) -> None:
    """No fault: only the variant differs."""


def step_by_step(harness: Harness, count: int) -> None:
    """No fault: each step is processed before the next one is published."""
    for _ in harness.steps[harness.at :]:
        harness.feed(1)
        harness.fleet.settle(harness.publisher)


def backlog(harness: Harness, count: int) -> None:
    """Everything is published while no worker runs, so that polls are as large as they get."""
    harness.fleet.workers[0].kill()
    harness.feed(len(harness.steps))
    harness.fleet.replace_dead()


def kill(harness: Harness, count: int) -> None:
    """SIGKILL of the only worker at random points; the fleet replaces it at once."""
    for _ in harness.points(count):
        harness.fleet.kill(0)
        harness.feed(1)  # while no worker runs
        harness.fleet.ready()


def fleet(harness: Harness, count: int) -> None:
    """Workers join, leave gracefully and die; up to three run at a time."""
    for _ in harness.points(count):
        size = len(harness.fleet.workers)
        action = harness.rng.choice(["join"] * (size < 3) + ["leave", "die"] * (size > 1))
        if action == "join":
            harness.fleet.join()
        elif action == "leave":
            harness.fleet.leave(harness.rng.randrange(size))
        else:
            harness.fleet.kill(harness.rng.randrange(size))
        harness.feed(2)
        harness.fleet.ready()


def zombie(harness: Harness, count: int) -> None:
    """One of two workers is stopped past its session timeout, then continues as a zombie."""
    harness.fleet.join()
    harness.fleet.ready()
    for _ in harness.points(count):
        frozen = harness.fleet.freeze(harness.rng.randrange(2))
        harness.feed(3)
        time.sleep(SESSION_TIMEOUT_S + 2)  # the fault itself: silence past the session timeout
        frozen.process.send_signal(18)  # SIGCONT
        harness.feed(1)
        harness.fleet.ready()


def late(harness: Harness, count: int, at: str) -> None:
    """A worker is stopped when it stores a step or publishes it, and wakes behind its successor's next steps."""
    numbers = {step.name: i for i, step in enumerate(harness.steps)}
    pairs = [(numbers[first], numbers[then]) for first, then in CORRECTED if first in numbers and then in numbers]
    stop = harness.stack.file("stop")
    sequence = f"{table_key(harness.stack.settings.namespace, MarketStage.name, 0)}:sequence"
    harness.stack.alterations |= {STOP_FILE: str(stop), STOP_AT: at}
    harness.fleet.join()
    harness.fleet.leave(0)
    harness.fleet.join()
    harness.fleet.ready()
    for first, then in sorted(harness.rng.sample(pairs, min(count, len(pairs)))):
        harness.feed(first - harness.at)
        harness.fleet.settle(harness.publisher)
        before = harness.stack.redis.get(sequence)
        stop.write_text(Topics(harness.stack.settings).name(Topic.SIGNALS_MARKET))
        harness.feed(1)
        wait_until(lambda: not stop.exists(), what="a worker that has stopped itself")
        if at == "publication" and harness.stack.redis.get(sequence) == before:
            harness.found.append("a step is published before it is stored")
        harness.feed(then + 1 - harness.at)
        harness.fleet.settle(harness.publisher)
        harness.fleet.wake()
        harness.feed(1)
        harness.fleet.ready()


late_store, late_publication = partial(late, at="store"), partial(late, at="publication")


def redis_restart(harness: Harness, count: int) -> None:
    """Redis is killed or stopped, and restarts from its append-only file."""
    for i, _ in enumerate(harness.points(count)):
        harness.services.redis.kill() if i % 2 == 0 else harness.services.redis.stop()
        harness.feed(2)
        harness.services.redis.start()
        harness.fleet.ready()


def redis_emptied(harness: Harness, count: int) -> None:
    """Redis is emptied; `marginwatch rebuild` restores it every other time, else the worker does."""
    for i, _ in enumerate(harness.points(count)):
        harness.stack.redis.flushall()
        harness.feed(2)
        if i % 2 == 0:
            for worker in harness.fleet.workers:
                worker.process.kill()
                worker.process.wait()
            run_marginwatch(harness.stack, "rebuild")
        harness.fleet.ready()


def redis_set_back(harness: Harness, count: int) -> None:
    """Redis returns with what it contained some steps ago, while two workers continue."""
    harness.fleet.join()
    harness.fleet.ready()
    redis = harness.stack.redis
    for _ in harness.points(count):
        before = redis.eval(_SNAPSHOT, 0, f"{harness.stack.settings.namespace}:*")
        harness.feed(3)
        harness.fleet.settle(harness.publisher)
        with redis.pipeline(transaction=True) as set_back:
            set_back.flushall()
            for key, data in zip(before[::2], before[1::2], strict=True):
                set_back.restore(key, 0, data)
            set_back.execute()
        harness.feed(1)
        harness.fleet.ready()


def redis_failover(harness: Harness, count: int) -> None:
    """A replica that lags behind becomes the master; the old master is read-only, and keeps its connections."""
    services, namespace = harness.services, harness.stack.settings.namespace
    masters = [services.redis, EmbeddedRedis(services.folder / f"replica-{namespace}", append_only=True)]
    with masters[1], ExitStack() as connections:
        old, new = (connections.enter_context(Redis.from_url(one.url)) for one in masters)
        harness.fleet.join()
        harness.fleet.ready()
        for _ in harness.points(count):
            _replicate(new, masters[0])
            new.replicaof("NO", "ONE")  # from here on it lags
            harness.feed(3)
            harness.fleet.settle(harness.publisher)
            services.redis_proxy.target = masters[1].port
            old.replicaof(LOOPBACK, masters[1].port)
            harness.stack.redis.connection_pool.disconnect()  # the workers find out by themselves
            harness.feed(1)
            harness.fleet.ready()
            masters.reverse()
            old, new = new, old
        if masters[0] is not services.redis:  # what follows expects it
            _replicate(new, masters[0])
            services.redis_proxy.target = masters[1].port
            new.replicaof("NO", "ONE")
            old.replicaof(LOOPBACK, masters[1].port)
            harness.stack.redis.connection_pool.disconnect()
            harness.fleet.ready()


def _replicate(replica: Redis, master: EmbeddedRedis) -> None:
    """Make a server a replica, and wait until it contains what the master does."""
    replica.replicaof(LOOPBACK, master.port)
    with Redis.from_url(master.url) as source:
        wait_until(
            lambda: (
                replica.info("replication").get("master_link_status") == "up"
                and replica.info("replication")["slave_repl_offset"] >= source.info("replication")["master_repl_offset"]
            ),
            what="the replica",
        )


def redis_loses_keys(harness: Harness, count: int) -> None:
    """A key of the state, or a part of one, is gone (evicted, deleted), and the next owner claims the partition."""
    redis = harness.stack.redis
    for i, _ in enumerate(harness.points(count)):
        keys = sorted(redis.keys(f"{harness.stack.settings.namespace}:{{*}}:*"))
        rows = [key for key in keys if key.endswith(b":rows")]
        if i % 2 == 0:
            redis.delete(harness.rng.choice(keys))
        else:
            key = harness.rng.choice(rows)
            redis.hdel(key, harness.rng.choice(sorted(redis.hkeys(key))))
        harness.fleet.kill(0)
        harness.feed(1)
        harness.fleet.ready()


def redis_refuses(harness: Harness, seconds: int) -> None:
    """Redis answers every write with an error: its memory is full."""
    for _ in harness.points(1):
        harness.stack.redis.config_set("maxmemory", 1)
        harness.feed(3)
        time.sleep(seconds)  # the fault itself
        harness.stack.redis.config_set("maxmemory", 0)
        harness.fleet.ready()


def terminate(harness: Harness, count: int) -> None:
    """SIGTERM of the only worker in the middle of its work; another one follows."""
    for _ in harness.points(count):
        harness.feed(2)
        harness.fleet.leave(0)
        harness.fleet.join()
        harness.feed(1)
        harness.fleet.ready()


def broker_restart(harness: Harness, count: int) -> None:
    """The broker is stopped or killed, and restarts with its data (Apache Kafka only)."""
    for i, _ in enumerate(harness.points(count)):
        harness.services.broker.kill() if i % 2 == 0 else harness.services.broker.stop()
        harness.services.broker.start()
        harness.feed(2)
        harness.fleet.ready()


def cut_redis(harness: Harness, seconds: int) -> None:
    """The connection to Redis is cut without FIN or RST."""
    for _ in harness.points(1):
        harness.services.redis_proxy.cut()
        harness.feed(3)
        time.sleep(seconds)  # the fault itself
        harness.services.redis_proxy.heal()
        harness.fleet.ready()


def cut_broker(harness: Harness, seconds: int) -> None:
    """The connection to the broker is cut without FIN or RST, for feeds and workers."""
    for _ in harness.points(1):
        harness.services.broker_proxy.cut()
        time.sleep(seconds)  # the fault itself
        harness.services.broker_proxy.heal()
        harness.feed(3)
        harness.fleet.ready()


@dataclass(frozen=True)
class FaultPlan:
    """A fault, how often it is injected (or for how many seconds a connection is cut), and the variant of the input.

    Parameters
    ----------
    tears_state : whether a part of the state in Redis is lost, so that its next owner discards the rest.
    """

    name: str
    fault: Fault
    count: int = 0
    variant: Variant = Variant()
    kafka_only: bool = False
    tears_state: bool = False


MIXED = Variant(Form.EVENTS, shuffled=True, duplicated=0.2, poisoned=0.01)
LONG = (
    FaultPlan("SIGKILL", kill, 20),
    FaultPlan("workers join, leave, die", fleet, 10),
    FaultPlan("zombies", zombie, 3),
    FaultPlan("late store", late_store, 2),
    FaultPlan("late publication", late_publication, 2),
    FaultPlan("Redis restarted", redis_restart, 6),
    FaultPlan("Redis emptied", redis_emptied, 4),
    FaultPlan("Redis set back", redis_set_back, 3),
    FaultPlan("Redis failed over to a lagging replica", redis_failover, 3),
    FaultPlan("Redis loses keys", redis_loses_keys, 6, tears_state=True),
    FaultPlan("Redis full 10 s", redis_refuses, 10),
    FaultPlan("SIGTERM under load", terminate, 10),
    FaultPlan("broker restarted", broker_restart, 4, kafka_only=True),
    FaultPlan("line to Redis cut 30 s", cut_redis, 30),
    FaultPlan("line to broker cut 30 s", cut_broker, 30),
    FaultPlan("frames shuffled, 20% twice", no_fault, 0, Variant(shuffled=True, duplicated=0.2)),
    FaultPlan("backlog", backlog),
    FaultPlan("events", no_fault, 0, Variant(Form.EVENTS)),
    FaultPlan("events shuffled, 20% twice, 1% poison", no_fault, 0, MIXED),
    FaultPlan("SIGKILL, events shuffled, 20% twice, 1% poison", kill, 5, MIXED),
)
#: One plan a kind; the tests of order, faults and streams play the others, one fault at a time.
SHORT = {
    "embedded": (
        FaultPlan("SIGKILL", kill, 1),
        FaultPlan("late publication", late_publication, 1),
        FaultPlan("events shuffled, 20% twice, 1% poison", no_fault, 0, MIXED),
    ),
    "kafka": (
        FaultPlan("workers join, leave, die", fleet, 2),
        FaultPlan("zombies", zombie, 1),
        FaultPlan("broker restarted", broker_restart, 1, kafka_only=True),
    ),
}


#: Safeguard → the plan under which workers without it (`tests.altered_worker`) must give another outcome.
CAUGHT_BY = {
    "fence": FaultPlan("late store", late_store, 1),
    "outbox": FaultPlan("late publication", late_publication, 1),
    "order": FaultPlan("SIGKILL", kill, 12),  # one of them has to lie between a figure and its correction
    "revisions": FaultPlan("backlog", backlog, 0, Variant(Form.EVENTS)),
}


def run_plan(
    services: Services, name: str, steps: Sequence[Step], plan: FaultPlan, rng: random.Random, *, without: str = ""
) -> Outcome:
    """Replay the scenario once under a plan; return its outcome.

    Parameters
    ----------
    without : a safeguard that the workers lack.
    """
    stack = services.stack(name)
    stack.alterations |= {MUTANT: without} if without else {}
    try:
        workers = Fleet(stack).ready()
        with stack.publisher(plan.variant.form, "chaos") as publisher:
            harness = Harness(services, stack, workers, steps, rng, plan.variant, publisher)
            plan.fault(harness, plan.count)
            barrier = harness.settle()
        different = [f"a rebuild differs: {found}" for found in rebuild(stack.settings, check=True) if not found.equal]
        out = outcome(stack, barrier, fenced=services.kind == "kafka")
        out.faults += [*harness.found, *different]
        if not plan.tears_state and "what is left is discarded" in stack.logs():
            out.faults.append("the state in Redis was torn")
        return out
    finally:
        stack.stop()


def run_marginwatch(stack: Stack, *arguments: str) -> str:
    """Run `marginwatch …` on a stack; return its output."""
    done = subprocess.run(
        [sys.executable, "-m", "streams", *arguments],
        env=os.environ | environment(stack.settings), capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
