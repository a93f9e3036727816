"""What a cluster contains, asked by a client of aiokafka without naming a topic, which could create it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streams.clients import AsyncReader


async def topics_of(reader: AsyncReader) -> dict[str, int]:
    """Return how many partitions each topic of a reader's cluster has."""
    cluster = await reader._client.fetch_all_metadata()
    return {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in cluster.topics()}
