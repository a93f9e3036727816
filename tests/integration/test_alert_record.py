"""`marginwatch alerts record`: the record of a rule from the state that a worker has stored."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from types import SimpleNamespace

import numpy as np
import pytest
from prometheus_client import REGISTRY
from pydantic import SecretStr
from redis.asyncio import Redis
from typer.testing import CliRunner, Result

from processors.errors import MarginwatchError
from processors.outputs import MarketSignal
from streams.calendars import xshg
from streams.cli.main import app
from streams.local.local_redis import EmbeddedRedis
from streams.settings import Settings
from streams.stages.alerts_stage import AlertsStage
from streams.tables import TablePartition, encoded
from streams.topics import Topic, Topics
from tests.test_desk import DAYS, breakdown, close, flags, fold, levels

CLOSES = [100 + 10 * np.sin(i / 9) for i in range(130)]


def record(redis: EmbeddedRedis, *arguments: str) -> Result:
    environment = {"COLUMNS": "300", "MARGINWATCH_REDIS_URL": redis.url, "MARGINWATCH_NAMESPACE": "record"}
    return CliRunner().invoke(app, ["alerts", "record", *arguments], env=environment, catch_exceptions=False)


def store(redis_server: EmbeddedRedis, rows: Mapping[str, bytes | None], schema: str) -> None:
    async def run() -> None:
        redis = Redis.from_url(redis_server.url)
        await redis.flushdb()
        table = TablePartition(redis, "record", AlertsStage.name, 0)
        await table.claim(schema)
        await table.commit(encoded(rows), {"signals.market.v1": 1}, {})
        await redis.aclose()

    asyncio.run(run())


@pytest.fixture
def state(redis_server: EmbeddedRedis):  # type: ignore[no-untyped-def]
    settings = Settings(redis_url=SecretStr(redis_server.url), namespace="record")
    return AlertsStage(settings, Topics(settings), xshg()).open(0)


def test_the_cases_of_a_rule_as_a_table_and_as_json(redis_server: EmbeddedRedis, state) -> None:  # type: ignore[no-untyped-def]
    paths = np.cumprod(1 + np.random.default_rng(1).normal(0, 0.02, (130, 10)), axis=0)
    for at, value in enumerate(CLOSES):
        opened = None if at == 16 else value + 0.5  # the open behind the second warning is not known
        fold(state.desk, close(at, value, opened=opened), levels(at, paths[at]), flags(at, ["000002.SZ"] * (at == 40)))
        if at in (5, 15, 100):
            fold(state.desk, breakdown(at))
    store(redis_server, state.changed_rows(), state.schema)

    result = record(redis_server, "peak_warning", "--json")
    assert result.exit_code == 0
    (card,) = json.loads(result.stdout)
    assert (card["rule"], card["subject"], card["until"]) == ("peak_warning", "fin_buy_ratio_5d", str(DAYS[129]))
    first, second, third = card["rows"]
    entry = CLOSES[6] + 0.5
    assert (first["trade_date"], first["figure"], first["entry_date"]) == (str(DAYS[5]), 0.099, str(DAYS[6]))
    assert first["entry"] == pytest.approx(entry)
    assert first["returns"] == pytest.approx({str(h): CLOSES[5 + h] / entry - 1 for h in (5, 20, 60)})
    assert first["drawdown"] == pytest.approx(min(CLOSES[6:66]) / entry - 1)
    assert first["hit"] is bool(max(CLOSES[6:66]) / entry - 1 <= 0.05)
    assert (second["entry"], second["hit"], second["returns"]["60"]) == (None, None, None)
    assert (third["returns"]["20"] is None, third["returns"]["60"], third["hit"]) == (False, None, None)
    evidence = card["evidence"]
    assert (evidence["cases"], evidence["unscored"], evidence["base_cases"]) == (1, 1, 130 - 60 - 5 - 1)
    assert (evidence["claim"]["source"], evidence["claim"]["period"]) == ("[DG22]", "2018-01…2022-11")

    shown = record(redis_server, "peak_warning").stdout
    for part in (f"{DAYS[5]}", "9.90%", "too few cases to say", "案例太少", "Published: about 80%", "unscored 1"):
        assert part in shown
    (digest,) = json.loads(record(redis_server, "fin_extreme", "--json").stdout)
    assert [(row["members"], row["hit"], row["entry"]) for row in digest["rows"]] == [(1, None, None)]


def test_errors_name_what_helps(redis_server: EmbeddedRedis, state) -> None:  # type: ignore[no-untyped-def]
    def said(*arguments: str) -> str:
        with pytest.raises(MarginwatchError) as found:
            record(redis_server, *arguments)
        return str(found.value)

    store(redis_server, {}, state.schema)
    assert "'peak' is not in force. Rules with a record: " in said("peak")
    assert "'data_quality' keeps no record: it states a fact" in said("data_quality")
    assert "peak_warning has not been evaluated yet: is a worker running" in said("peak_warning")
    store(redis_server, {"x/1": b"old"}, "another")
    assert "another release (schema another" in said("peak_warning")


def test_an_input_that_is_too_old_is_counted(state) -> None:  # type: ignore[no-untyped-def]
    def refused() -> float:
        return REGISTRY.get_sample_value("marginwatch_alert_inputs_refused_total") or 0.0

    def given(*signals: MarketSignal) -> list[SimpleNamespace]:
        outputs = [state.stage.encode(Topic.SIGNALS_MARKET, one) for one in signals]
        return [SimpleNamespace(topic=o.topic, partition=0, offset=i, timestamp=0, key=o.key, value=o.value,
                                headers=o.headers) for i, o in enumerate(outputs)]  # fmt: skip

    before = refused()
    state.fold(Topic.SIGNALS_MARKET, given(*(breakdown(at) for at in range(131))))
    assert refused() == before
    state.fold(Topic.SIGNALS_MARKET, given(breakdown(0, revision=1)))
    assert refused() == before + 3  # of the warning, and of hot and cold
