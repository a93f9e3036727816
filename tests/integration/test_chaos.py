"""Short fault tests: a few fault plans on each broker must give the same bytes (`make chaos`: all plans)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from streams.local.local_kafka import ApacheKafka
from tests.chaos.comparison import Outcome, compare
from tests.chaos.faults import SHORT, FaultPlan, no_fault, run_plan
from tests.chaos.judge import Judge, facts
from tests.chaos.scenario import Step, build
from tests.chaos.services import Services
from tests.harness import BROKERS

SEED = 20261121


@pytest.fixture(scope="module")
def steps(data_dir: Path) -> list[Step]:
    return build(data_dir, length=60, part=4)


@pytest.fixture(scope="module", params=BROKERS)
def services(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    if request.param == "kafka" and (reason := ApacheKafka.missing()):
        pytest.skip(f"Apache Kafka can't run here: {reason}")
    with Services(tmp_path_factory.mktemp(f"chaos-{request.param}"), request.param) as started:
        yield started


@pytest.fixture(scope="module")
def baseline(services: Services, steps: list[Step]) -> Outcome:
    found = run_plan(services, "baseline", steps, FaultPlan("baseline", no_fault), random.Random(SEED))
    assert len(found.final) > 1_000
    assert any("peak_warning" in fact for fact in found.final)
    return found


@pytest.mark.parametrize("number", range(3))
def test_faults_lose_nothing_double_nothing_and_get_nothing_wrong(
    services: Services, baseline: Outcome, steps: list[Step], number: int
) -> None:
    plan = SHORT[services.kind][number]
    comparison = compare(
        baseline, run_plan(services, f"plan{number}", steps, plan, random.Random(f"{SEED} {plan.name}"))
    )
    assert comparison.clean, (plan.name, comparison.lost[:5], comparison.doubled[:5], comparison.wrong[:5])


@pytest.mark.parametrize("services", ["embedded"], indirect=True)  # `make chaos`: on both brokers
def test_the_facts_are_those_of_an_independent_computation(baseline: Outcome, steps: list[Step]) -> None:
    judge, published = Judge(steps), list(facts(baseline))
    assert judge.contradictions(published) == []
    balances = [at for at, one in enumerate(published) if getattr(one, "signal", "") == "fin_balance"]
    published[balances[-1]] = msgspec.structs.replace(published[balances[-1]], value=1.0)
    (found,) = judge.contradictions(published)
    assert found.startswith("fin_balance differs")


def test_a_comparison_finds_lost_doubled_and_wrong_facts(baseline: Outcome) -> None:
    facts = sorted(baseline.final)
    final = {key: baseline.final[key] for key in facts[2:]} | {facts[1]: (0, b"other")}
    table = next(iter(baseline.rows))
    rows = baseline.rows | {table: dict(list(baseline.rows[table].items())[1:])}
    contents = baseline.contents | {"one": {b"a", b"b"}}
    comparison = compare(baseline, Outcome(rows, final, contents, baseline.messages))
    assert (comparison.lost, comparison.doubled, len(comparison.wrong)) == ([facts[0]], ["one"], 2)
