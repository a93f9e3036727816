"""What a worker does when it can't go on, when a feed falls silent, and how tables are proved and made anew."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.client import CoordinationType
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.protocol.group import JoinGroupRequest

from alerts.lifecycle import timeless
from feeds import simulate
from processors.days import to_date, to_day
from processors.deadlines import DEADLINES
from processors.events import RowBatch
from streams import readers
from streams.calendars import xshg
from streams.local.local_kafka import Broker
from streams.settings import Settings
from streams.stages.alerts_stage import AlertsStage
from streams.stages.market_stage import MarketStage
from streams.stages.securities_stage import SecuritiesStage
from streams.system_status import latest_market
from streams.topics import Topic, Topics
from tests.building import batch
from tests.chaos.faults import run_marginwatch
from tests.chaos.services import Services
from tests.harness import Stack, Worker, wait_until

#: These faults are not the broker's: the quicker one is enough.
pytestmark = pytest.mark.parametrize("broker", ["embedded"], indirect=True)


def feed(stack: Stack, days: int = 8) -> None:
    market = simulate.Market(simulate.Simulation(xshg(), to_day(date(2024, 6, 28)), days=days, stocks=40, funds=4))
    with stack.publisher() as publisher:
        for _, batches in market.history():
            publisher.day(batches)
        stack.settle(publisher)


def problems(worker: Worker) -> dict[str, dict[str, object]]:
    try:
        with urllib.request.urlopen(f"{worker.url}/readyz", timeout=5) as answer:
            return json.loads(answer.read())["problems"]
    except urllib.error.HTTPError as error:
        with error:
            return json.loads(error.read())["problems"]
    except OSError:
        return {}


def metric(worker: Worker, name: str) -> float:
    with urllib.request.urlopen(f"{worker.url}/metrics", timeout=5) as answer:
        lines = answer.read().decode().splitlines()
    return next((float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name)), -1.0)


@pytest.mark.parametrize("damage", ["changed", "evicted"])
def test_state_that_is_not_whole_is_computed_again_by_the_next_worker(stack: Stack, damage: str) -> None:
    first = stack.worker().ready()
    feed(stack)
    assert first.terminate() == 0
    good = stack.tables()
    key = f"{stack.settings.namespace}:{{market:0}}:rows"
    name = next(n for n in sorted(stack.redis.hkeys(key)) if n.startswith(b"memory/"))
    if damage == "changed":
        stack.redis.hset(key, name, b"\xc1 not a row")
    else:
        stack.redis.delete(key)

    # The comparison reports it, and touches nothing.
    damaged = stack.tables()
    with pytest.raises(AssertionError, match=r"market:0 different: .*digest of the state"):
        run_marginwatch(stack, "rebuild", "--check")
    assert stack.tables() == damaged != good

    worker = stack.worker().ready()
    with stack.publisher() as publisher:
        stack.settle(publisher)
    assert "a part of the stored state is missing" in worker.log.read_text()
    assert metric(worker, 'marginwatch_state_discarded_total{reason="incomplete",stage="market"}') == 1
    assert stack.tables() == good
    feed(stack, 9)


def test_a_running_worker_whose_state_loses_a_key_ends_and_the_next_one_computes_it_again(stack: Stack) -> None:
    first = stack.worker().ready()
    feed(stack)
    good = stack.tables()
    stack.redis.delete(f"{stack.settings.namespace}:{{market:0}}:rows")
    with stack.publisher() as publisher:
        publisher.barrier()
        wait_until(lambda: first.process.poll() is not None, what="the end of the worker")
        assert first.process.returncode != 0
        assert "a part of the stored state is missing" in first.log.read_text()
        stack.worker().ready()
        stack.settle(publisher)
    assert stack.tables() == good


def test_a_worker_that_is_fenced_in_the_middle_of_a_backlog_ends_and_is_red_until_then(stack: Stack) -> None:
    """Its agents are dead, and the messages that they worked on are never acknowledged: nothing waits for them."""
    worker = stack.worker().ready()
    market = simulate.Market(simulate.Simulation(xshg(), to_day(date(2024, 6, 28)), days=40, stocks=62, funds=4))
    with stack.publisher() as publisher:
        for _, batches in market.history():
            publisher.day(batches)
        publisher.flush()
    stored = f"{stack.settings.namespace}:{{market:0}}:offsets"
    wait_until(lambda: bool(stack.redis.exists(stored)), 60, "the first step of the market stage")
    stack.redis.delete(*stack.redis.keys(f"{stack.settings.namespace}:*"))
    seen_ready = False

    def ended() -> bool:
        nonlocal seen_ready
        seen_ready |= "it is not the owner any more" in worker.log.read_text() and worker.answers_ready()
        return worker.process.poll() is not None

    wait_until(ended, 60, "the end of a fenced worker")
    assert worker.process.returncode != 0
    assert not seen_ready


def test_two_workers_share_the_stages_and_the_one_that_is_left_has_all(stack: Stack) -> None:
    def owned(worker: Worker) -> list[float]:
        stages = (SecuritiesStage, MarketStage, AlertsStage)
        return [metric(worker, f'marginwatch_partitions_owned{{table="{stage.name}"}}') for stage in stages]

    first, second = stack.worker().ready(), stack.worker().ready()
    wait_until(lambda: sorted([owned(first), owned(second)]) == [[1, 0, 1], [1, 1, 0]], 60, "shared stages")
    feed(stack)
    assert second.terminate() == 0
    wait_until(lambda: owned(first) == [2, 1, 1], 60, "all stages")
    feed(stack, 9)


async def _leader_leaves_during_a_rebalance(stack: Stack) -> Worker:
    """Start a worker in a group with a leader of ours; begin another rebalance, and leave the group at once."""
    group = stack.settings.group
    leader = AIOKafkaConsumer(
        Topics(stack.settings).name(Topic.MARGIN_DAILY),
        group_id=group,
        bootstrap_servers=stack.settings.bootstrap,
        partition_assignment_strategy=[RangePartitionAssignor],
        enable_auto_commit=False,
        session_timeout_ms=4000,
        heartbeat_interval_ms=3000,  # it leaves before it hears of the rebalance
    )
    await leader.start()
    try:
        worker = await asyncio.to_thread(lambda: stack.worker().ready())
        protocols = [("range", RangePartitionAssignor.metadata(set()).encode())]
        announcement = JoinGroupRequest(group, 4000, 60_000, "", None, "consumer", protocols)
        node = await leader._client.coordinator_lookup(CoordinationType.GROUP, group)
        await leader._client.send(node, announcement)
    finally:
        await leader.stop()
    return worker


def test_a_group_whose_leader_leaves_during_a_rebalance_becomes_stable_and_is_red_until_then(stack: Stack) -> None:
    stack.settings = stack.settings.model_copy(update={"session_timeout_s": 4.0, "stall_after_s": 3.0})
    worker = asyncio.run(_leader_leaves_during_a_rebalance(stack))
    wait_until(lambda: "rebalance" in problems(worker), 60, "a red readyz that names the rebalance")
    wait_until(lambda: worker.answers_ready(), 120, "a green readyz")
    assert worker.process.poll() is None
    feed(stack, 4)


def test_an_emptied_redis_is_filled_again_to_the_same_bytes(stack: Stack) -> None:
    worker = stack.worker().ready()
    feed(stack)
    assert worker.terminate() == 0
    good = stack.tables()
    keys = stack.redis.keys(f"{stack.settings.namespace}:*")
    stack.redis.delete(*keys)
    out = json.loads(run_marginwatch(stack, "rebuild", "--json"))
    assert [r["replaced"] for r in out] == [True] * (stack.settings.partitions + 3)
    assert {k: v for k, v in stack.tables().items() if b"alerts" not in k} == {
        k: v for k, v in good.items() if b"alerts" not in k
    }
    assert latest_market(stack.settings, stack.redis)["fin_balance"].value is not None
    assert all(r["equal"] for r in json.loads(run_marginwatch(stack, "rebuild", "--check", "--json")))


def test_state_of_another_release_is_rebuilt_from_the_topics_without_a_word(stack: Stack) -> None:
    """The release before stored other rows, no schema, and frames of another version in the features topic."""
    worker = stack.worker().ready()
    feed(stack)
    assert worker.terminate() == 0
    fresh = stack.tables()
    with stack.publisher() as publisher:
        for partition in range(stack.settings.partitions):
            publisher.raw("features.security", b"?", headers=[("ce_type", b"marginwatch.feature_frame.v1")])
            base = f"{stack.settings.namespace}:{{securities:{partition}}}"
            stack.redis.hset(f"{base}:rows", "margin.daily/2024-06-03", b"a whole day")
    for key in stack.redis.keys(f"{stack.settings.namespace}:*:schema"):
        stack.redis.delete(key)
    rows = f"{stack.settings.namespace}:{{market:0}}:rows"
    stack.redis.delete(rows)
    stack.redis.hset(rows, "features/margin.daily/2024-06-03/0", b"a whole frame")
    with pytest.raises(AssertionError, match="stored by another release"):
        run_marginwatch(stack, "rebuild", "--check")

    worker = stack.worker().ready()
    with stack.publisher() as publisher:
        barrier = stack.settle(publisher)
    assert worker.log.read_text().count("state of another release is discarded") == stack.settings.partitions + 3
    assert problems(worker) == {}
    assert worker.terminate() == 0
    assert _timeless(stack.tables()) == _timeless(fresh)
    for topic in (Topic.SIGNALS_MARKET, Topic.SIGNALS_SECURITY):
        records = [(dict(r.headers)["ce_id"], r.value) for r in readers.read(stack.settings, topic, until=barrier)]
        # What is published again is the same under the same id.
        assert len(set(records)) == len({identity for identity, _ in records}) < len(records)
    assert all(r["equal"] for r in json.loads(run_marginwatch(stack, "rebuild", "--check", "--json")))


def _timeless(tables: dict[bytes, dict[bytes, bytes]]) -> dict[bytes, dict[bytes, bytes]]:
    """Rows without what only one run can know: when an alert was raised, and the offsets that it quotes."""
    return {key: {n: timeless(n.decode(), data) for n, data in rows.items()} for key, rows in tables.items()}


def test_a_day_whose_markers_never_come_is_closed_by_its_deadline(stack: Stack) -> None:
    """Shenzhen is silent: the day is closed without it, degraded, absent where it needs both, and alerted."""
    hasty = stack.settings.model_copy(update={"deadline_quiet_s": 1.0})
    stack.settings = Settings(**hasty.model_dump())
    calendar, now = xshg(), time.time_ns() // 1000
    due = DEADLINES["margin.market"]
    days = calendar.between(calendar.first, calendar.last - 30).tolist()
    day = to_date([d for d in days if (due.moment(d, calendar) or now) < now][-1])
    stack.worker().ready()
    with stack.publisher() as publisher:
        detail = batch("margin.daily", day, {f"{600000 + i}.SH": {"fin_balance": 1e9 + i} for i in range(40)})
        totals = batch("margin.market", day, {"SSE": {"fin_balance": 1e12, "fin_buy": 1e10}})
        prices = batch("indices.daily", day, {"000001.SH": {"close": 3000.0, "turnover": 4e11},
                                              "399001.SZ": {"close": 9000.0, "turnover": 5e11}})  # fmt: skip
        for rows in (detail, totals, prices):
            publisher.rows_of(rows)
        publisher.flush()

        def closed() -> bool:
            barrier = stack.settle(publisher)
            return len(stack.market(barrier)) > 0 and len(stack.securities(barrier)) > 0

        wait_until(closed, 60, "the close by deadline")
        barrier = stack.settle(publisher)
        row = stack.market(barrier).iloc[0]
        assert row["fin_balance"] is None or np.isnan(row["fin_balance"])  # never a half-size balance
        assert row["degraded"]
        alerts = {a.subject: a for a in stack.alerts(barrier) if a.rule == "data_quality" and a.trade_date == day}
        assert "margin.market SZSE" in alerts["margin.market"].text.en
        assert "margin.daily SZSE" in alerts["margin.daily"].text.en

        # Shenzhen comes after all: everything is issued again, whole.
        late = batch("margin.market", day, {"SZSE": {"fin_balance": 5e11, "fin_buy": 1e10}})
        publisher.rows_of(late)
        publisher.close_day(RowBatch.take(totals, np.array([0])))
        publisher.close_day(late)
        barrier = stack.settle(publisher)
    assert stack.market(barrier)["fin_balance"].iloc[0] == 1.5e12
    assert all(r["equal"] for r in json.loads(run_marginwatch(stack, "rebuild", "--check", "--json")))


def test_a_worker_whose_line_to_the_broker_is_cut_says_so_and_goes_on_when_it_heals(
    tmp_path: Path, broker: Broker
) -> None:
    del broker  # a broker of its own, behind a proxy
    with Services(tmp_path, "embedded") as services:
        stack = services.stack("cut")
        try:
            worker = stack.worker().ready()
            feed(stack, 4)
            services.broker_proxy.cut()
            wait_until(lambda: "kafka away" in problems(worker), 30, "a red readyz that names Kafka")
            assert metric(worker, "marginwatch_ready") == 0
            services.broker_proxy.heal()
            wait_until(lambda: not problems(worker), 30, "a green readyz")
            feed(stack, 8)
        finally:
            stack.stop()
