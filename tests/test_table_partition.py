"""What a claim finds of a partition in a real Redis."""

from __future__ import annotations

import asyncio

from streams.clients import async_redis_client
from streams.local.local_redis import EmbeddedRedis
from streams.settings import Settings
from streams.tables import Loaded, Output, TablePartition, encoded, numbered


def test_a_claim_without_the_sequence_takes_that_of_the_outbox(redis_server: EmbeddedRedis) -> None:
    """A worker is killed between storing and publishing, and the key of the sequence is gone."""
    outputs = numbered([Output("signals.v1", 0, b"k", b"v", [])] * 3, 41, {"signals.v1"})

    async def go() -> Loaded:
        settings = Settings(redis_url=redis_server.url, namespace="no-sequence")
        redis = async_redis_client(settings)
        table = TablePartition(redis, settings.namespace, "market", 0)
        await table.claim("schema")
        await table.commit(encoded({"row": b"1"}, outputs), {"features": 7}, {})
        await redis.delete("no-sequence:{market:0}:sequence")
        found = await TablePartition(redis, settings.namespace, "market", 0).claim("schema")
        await redis.aclose()
        return found

    found = asyncio.run(go())
    assert (found.whole, found.sequence, found.outbox) == (True, 44, outputs)
