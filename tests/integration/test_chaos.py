"""The golden replay in short: a few faults on each broker must end in the same bytes (`make chaos`: the long form)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.local_kafka import ApacheKafka
from tests.chaos.arena import Arena
from tests.chaos.judge import Outcome, compare
from tests.chaos.runs import SHORT, Plan, nothing, play
from tests.chaos.scenario import Step, build
from tests.harness import BROKERS

SEED = 20261121


@pytest.fixture(scope="module")
def steps(data_dir: Path) -> list[Step]:
    return build(data_dir, length=60)


@pytest.fixture(scope="module", params=BROKERS)
def arena(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Arena]:
    if request.param == "kafka" and (reason := ApacheKafka.missing()):
        pytest.skip(f"Apache Kafka can't run here: {reason}")
    with Arena(tmp_path_factory.mktemp(f"chaos-{request.param}"), request.param) as made:
        yield made


@pytest.fixture(scope="module")
def golden(arena: Arena, steps: list[Step]) -> Outcome:
    found = play(arena, "golden", steps, Plan("golden", nothing), random.Random(SEED))
    assert len(found.final) > 1_000
    assert any("peak_warning" in fact for fact in found.final)
    return found


@pytest.mark.parametrize("number", range(max(map(len, SHORT.values()))))
def test_faults_lose_nothing_double_nothing_and_get_nothing_wrong(
    arena: Arena, golden: Outcome, steps: list[Step], number: int
) -> None:
    plans = SHORT[arena.kind]
    if number >= len(plans):
        pytest.skip("no such run on this broker")
    plan = plans[number]
    verdict = compare(golden, play(arena, f"run{number}", steps, plan, random.Random(f"{SEED} {plan.name}")))
    assert verdict.clean, (plan.name, verdict.lost[:5], verdict.doubled[:5], verdict.wrong[:5])


def test_the_judge_sees_what_is_lost_doubled_and_wrong(golden: Outcome) -> None:
    facts = sorted(golden.final)
    final = {key: golden.final[key] for key in facts[2:]} | {facts[1]: (0, b"other")}
    table = next(iter(golden.rows))
    rows = golden.rows | {table: dict(list(golden.rows[table].items())[1:])}
    contents = golden.contents | {"one": {b"a", b"b"}}
    verdict = compare(golden, Outcome(rows, final, contents, golden.messages))
    assert (verdict.lost, verdict.doubled, len(verdict.wrong)) == ([facts[0]], ["one"], 2)
