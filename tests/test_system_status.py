"""The state of the system is read over one connection, from every table of the stages."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from processors.outputs import MarketSignal
from streams import system_status
from streams.clients import redis_client
from streams.keys import names_key, offsets_key, rows_key
from streams.local.local_redis import EmbeddedRedis
from streams.local.local_service import free_port
from streams.settings import Settings
from streams.stages.stage import CLOCK_CODEC, CLOCK_FIELD
from streams.system_status import name_of, progress, status, verdict_due


def test_the_state_of_the_system_is_read_by_the_client_that_is_given(redis_server: EmbeddedRedis) -> None:
    settings = Settings(namespace="state", partitions=2, redis_url=f"redis://127.0.0.1:{free_port()}")
    night = datetime(2024, 7, 1, 22, tzinfo=UTC)
    with redis_client(settings.model_copy(update={"redis_url": type(settings.redis_url)(redis_server.url)})) as client:
        client.hset(rows_key("state", "alerts", 0), CLOCK_FIELD, CLOCK_CODEC.encode(night))
        client.hset(offsets_key("state", "charts", 0), mapping={"t.features.v1": "7 mark"})
        client.hset(offsets_key("state", "securities", 1), mapping={"t.prices.daily.v1": "5 mark"})
        client.hset(names_key("state"), "600519.SH", "茅台")
        found = status(settings, client)
        assert progress(settings, client) == 12
        assert name_of(settings, client, "600519.SH") == "茅台"
    assert list(found["tables"]) == ["securities:0", "securities:1", "charts:0", "market:0", "alerts:0"]
    assert found["tables"]["charts:0"] == {"rows": 0, "offsets": {"t.features.v1": 7}}
    assert found["replayed_to"] == night.isoformat()


@pytest.mark.parametrize(
    ("newest", "is_closed", "late"), [(28, True, False), (28, False, True), (27, True, True), (None, False, False)]
)  # fmt: skip
def test_the_state_names_the_day_of_a_feed_that_is_due_and_whether_the_feed_is_late(
    newest: int | None, is_closed: bool, late: bool, redis_server: EmbeddedRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = {"newest": None if newest is None else f"2024-06-{newest}", "closed": is_closed}
    monkeypatch.setattr(system_status, "_newest", lambda *_: dict(feed))
    settings = Settings(namespace=f"due{newest}{is_closed}", redis_url=redis_server.url)  # type: ignore[arg-type]
    monday = datetime(2024, 7, 1, 2, tzinfo=UTC)
    with redis_client(settings) as client:
        client.hset(rows_key(settings.namespace, "alerts", 0), CLOCK_FIELD, CLOCK_CODEC.encode(monday))
        found = status(settings, client)
    assert found["feeds"]["margin.market"] == {**feed, "due": "2024-06-28", "late": late}


@pytest.mark.parametrize(
    ("hour", "of_day", "due"),  # the totals of a Friday are due on Monday at 09:10 in Shanghai
    [(1, 27, None), (2, 27, date(2024, 6, 28)), (2, 28, None)],
)
def test_an_answer_is_late_by_the_clock_of_a_replay_once_its_inputs_are_due(
    hour: int, of_day: int, due: date | None, redis_server: EmbeddedRedis
) -> None:
    settings = Settings(namespace=f"late{hour}{of_day}", redis_url=redis_server.url)  # type: ignore[arg-type]
    final = MarketSignal(
        signal="verdict", subject="market", trade_date=date(2024, 6, of_day), revision=0, value="NO",
        available_at=datetime(2024, 6, 28, tzinfo=UTC),
    )  # fmt: skip
    with redis_client(settings) as client:
        now = datetime(2024, 7, 1, hour, tzinfo=UTC)
        client.hset(rows_key(settings.namespace, "alerts", 0), CLOCK_FIELD, CLOCK_CODEC.encode(now))
        assert verdict_due(settings, client, final) == due
        assert verdict_due(settings, client, None) is None
