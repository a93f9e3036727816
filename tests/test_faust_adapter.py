"""The private names of Faust, aiokafka and kafka-python that the system relies on, against the installed versions."""

from __future__ import annotations

import ast
import asyncio
import io
import re
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from aiokafka.consumer.group_coordinator import CoordinatorGroupRebalance
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaConnectionError, MemberIdRequired
from aiokafka.protocol.group import JoinGroupRequest, SyncGroupRequest

from streams.kafka import internals as inventory
from streams.kafka.assignment import StageAssignor
from streams.kafka.faust_adapter import Worker, expire_departed_leader, join_once
from streams.kafka.internals import Internal, broken, internals
from tests.test_structure import modules, tree

#: Those of kafka-python and httpx are used where its clients are made, so that a feed does not import Faust.
ADAPTERS = ("streams.kafka.faust_adapter", "streams.clients", "streams.kafka.fetches", "streams.kafka.cluster")


def test_the_installed_versions_have_every_private_name_that_is_used() -> None:
    assert broken() == []


class _Library:
    def __init__(self) -> None:
        self._kept = 1

    def _moved(self, other: int) -> None: ...


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("_gone", (), "_Library._gone is gone; whole polls relies on it: adapt streams/kafka/faust_adapter.py"),
        ("_forgotten", None, "_Library._forgotten is not assigned any more"),
        ("_moved", ("one",), r"_Library._moved takes \('other',\), expected \('one',\)"),
    ],
)
def test_a_changed_name_is_reported_with_its_version_and_what_relies_on_it(
    name: str, parameters: tuple[str, ...] | None, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Internal("aiokafka", _Library, name, parameters, "whole polls")
    kept = Internal("aiokafka", _Library, "_kept", None, "whole polls")
    monkeypatch.setattr(inventory, "internals", lambda: (one, kept))
    (message,) = broken()
    assert message.startswith("aiokafka 0.14")
    assert re.search(said, message)


def test_the_inventory_names_every_private_attribute_that_the_adapter_touches() -> None:
    named = {one.name for one in internals()}
    touched = {
        node.attr
        for module in ADAPTERS
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__")
    }
    overridden = {
        node.name
        for module in ("streams.kafka.faust_adapter", "streams.kafka.fetches")
        for one in ast.walk(tree(module))
        if isinstance(one, ast.ClassDef)
        for node in one.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if node.name.startswith("_") and not node.name.startswith("__")
    }
    assert (touched | overridden) - named == set()


def test_only_the_adapter_touches_private_attributes_of_other_objects() -> None:
    wrong = [
        f"{name}:{node.lineno} {ast.unparse(node)}"
        for name in modules()
        if name.startswith("streams.") and name not in ADAPTERS
        for node in ast.walk(tree(name))
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__")
        if ast.unparse(node.value) not in ("self", "cls", "os", "super()")
    ]
    assert wrong == []


def _joined(generation: int, leader: str, error: int = 0) -> tuple[Any, Any]:
    request = JoinGroupRequest("group", 6000, 60_000, "me", None, "consumer", [("range", b"topics")])
    return request, SimpleNamespace(error_code=error, generation_id=generation, leader_id=leader, member_id="me")


def _synced(error: int) -> tuple[Any, Any]:
    return SyncGroupRequest("group", 1, "me", None, []), SimpleNamespace(error_code=error)


REBALANCING = _synced(27)
STABLE = _synced(0)
LOST = REBALANCING[0], KafkaConnectionError()


@pytest.mark.parametrize(
    ("exchange", "expired"),
    [
        pytest.param([_joined(7, "gone"), REBALANCING, _joined(7, "gone")], ["gone"], id="the leader has left"),
        pytest.param(
            [_joined(7, "gone"), REBALANCING, _joined(7, "gone"), REBALANCING, _joined(7, "gone")],
            ["gone"],
            id="once, or many members would keep its session alive",
        ),
        pytest.param(
            [
                _joined(7, "one"),
                REBALANCING,
                _joined(7, "one"),
                STABLE,
                _joined(8, "two"),
                REBALANCING,
                _joined(8, "two"),
            ],
            ["one", "two"],
            id="each leader that has left",
        ),
        pytest.param([_joined(7, "there"), REBALANCING, _joined(8, "there")], [], id="a next rebalance, as on Kafka"),
        pytest.param([_joined(7, "there"), LOST, _joined(7, "there")], [], id="a lost connection"),
        pytest.param(
            [_joined(7, "there"), STABLE, _joined(7, "there")], [], id="a member that joins a stable group again"
        ),
        pytest.param([_joined(7, "gone"), REBALANCING, _joined(7, "there")], [], id="another leader"),
        pytest.param([_joined(7, "me"), REBALANCING, _joined(7, "me")], [], id="the leader itself"),
        pytest.param([_joined(7, "gone"), REBALANCING, _joined(-1, "", error=25)], [], id="a join that is refused"),
    ],
)
def test_a_departed_leader_is_expired_and_no_other(exchange: list[tuple[Any, Any]], expired: list[str]) -> None:
    others: list[str] = []

    class Coordinator:
        answer: Any

        async def _send_req(self, request: Any) -> Any:
            if isinstance(request, JoinGroupRequest) and request._member_id != "me":
                others.append(request._member_id)
            elif isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

    async def run() -> None:
        coordinator: Any = Coordinator()
        expire_departed_leader(coordinator)
        for request, coordinator.answer in exchange:
            if isinstance(coordinator.answer, Exception):
                with pytest.raises(KafkaConnectionError):
                    await coordinator._send_req(request)
            else:
                assert await coordinator._send_req(request) is coordinator.answer

    asyncio.run(run())
    assert others == expired


def test_a_departed_leader_is_expired_again_if_the_line_was_cut_in_between() -> None:
    others: list[str] = []

    class Coordinator:
        async def _send_req(self, request: Any) -> Any:
            if isinstance(request, SyncGroupRequest):
                return REBALANCING[1]
            if request._member_id != "me":
                others.append(request._member_id)
                if len(others) == 1:
                    raise KafkaConnectionError
            return _joined(7, "gone")[1]

    async def run() -> None:
        coordinator: Any = Coordinator()
        expire_departed_leader(coordinator)
        await coordinator._send_req(_joined(7, "gone")[0])
        await coordinator._send_req(REBALANCING[0])
        with pytest.raises(KafkaConnectionError):
            await coordinator._send_req(_joined(7, "gone")[0])
        await coordinator._send_req(_joined(7, "gone")[0])

    asyncio.run(run())
    assert others == ["gone", "gone"]


def test_a_worker_prints_nothing_beside_its_log() -> None:
    printed = io.StringIO()

    async def start() -> None:
        worker = Worker(faust.App("quiet", store="memory://"), override_logging=False, stdout=printed)
        await worker.on_startup_finished()
        worker.say("starting")

    asyncio.run(start())
    assert printed.getvalue() == ""


def test_a_rebalance_has_one_join_with_all_assignors() -> None:
    """A JoinGroup for each assignor begins a rebalance each: two workers can keep each other out of step for ever."""
    sent: list[Any] = []

    class Coordinator:
        member_id, generation, _group_instance_id, _rebalance_timeout_ms = "", -1, None, 1000
        _assignors = (StageAssignor([]), RangePartitionAssignor)

        async def _send_req(self, request: Any) -> Any:
            sent.append(request)
            if isinstance(request, SyncGroupRequest):
                return SimpleNamespace(error_code=0, member_assignment=b"mine")
            if not request._member_id:  # the first one gets its name
                return SimpleNamespace(error_code=MemberIdRequired.errno, member_id="me")
            names = {"member_id": "me", "leader_id": "other", "group_protocol": "stages"}
            return SimpleNamespace(error_code=0, generation_id=1, **names)

    async def run() -> Any:
        coordinator: Any = Coordinator()
        join_once(coordinator)
        topics = SimpleNamespace(topics={"margin.daily.v1"}, active=True)
        join = CoordinatorGroupRebalance(coordinator, "g", 1, topics, coordinator._assignors, 1000, 10)
        return await join.perform_group_join()

    assert asyncio.run(run()) == ("stages", b"mine")
    *joins, _ = sent
    assert [one._member_id for one in joins] == ["", "me"]
    assert all(len(one._group_protocols) == 2 for one in joins)
