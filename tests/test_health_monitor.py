"""What makes a worker not ready: a partition that stands still, whatever the others do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from streams import health_monitor
from streams.health import Health
from streams.health_monitor import HealthMonitor

ONE, OTHER = TP("t.prices.daily.v1", 0), TP("t.prices.daily.v1", 1)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(health_monitor, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def monitor(health: Health) -> HealthMonitor:
    health.clear("starting")
    unused: Any = None
    return HealthMonitor(
        runner=unused, feeds=unused, health=health, redis=unused, kafka_answers=unused, positions=unused,
        check_inputs=unused, stall_after_s=60.0, on_idle=unused,
    )  # fmt: skip


def test_a_partition_that_stands_still_is_named_while_another_one_goes_on(clock: list[float]) -> None:
    health = Health()
    watched = monitor(health)
    for second in range(0, 62, 2):
        assert health.ready
        clock[0] = 1000.0 + second
        watched._check_progress({ONE: (7, 12), OTHER: (second, 1000)})
    clock[0] += 2
    watched._check_progress({ONE: (7, 12), OTHER: (62, 1000)})
    reason = health.problems()["progress"]["reason"]
    assert reason == "messages wait and no step was finished: 5 of t.prices.daily.v1[0] for 62 s"
    clock[0] += 2
    watched._check_progress({ONE: (8, 12), OTHER: (64, 1000)})
    assert health.ready


def test_time_counts_from_the_first_message_that_waits_and_from_the_assignment(clock: list[float]) -> None:
    health = Health()
    watched = monitor(health)
    for end in (7, 5):  # nothing waits, or the topic has lost its end, which is another problem
        watched._check_progress({ONE: (7, end)})
        clock[0] += 500
    watched._check_progress({ONE: (7, 8)})
    assert health.ready
    clock[0] += 50
    watched._check_progress({})  # the consumer starts again
    clock[0] += 50
    watched._check_progress({ONE: (7, 9)})
    clock[0] += 50
    watched._check_progress({ONE: (7, 9)})
    assert health.ready
    clock[0] += 11
    watched._check_progress({ONE: (7, 9)})
    assert not health.ready
