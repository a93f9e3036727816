"""The state of the system is read over one connection, from every table of the stages."""

from __future__ import annotations

from datetime import UTC, datetime

from streams.clients import redis_client
from streams.keys import names_key, offsets_key, rows_key
from streams.local_redis import EmbeddedRedis
from streams.local_service import free_port
from streams.settings import Settings
from streams.stage import CLOCK_CODEC, CLOCK_FIELD
from streams.system_status import name_of, progress, status


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
