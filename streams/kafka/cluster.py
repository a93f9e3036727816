"""What a cluster contains, asked by a client of aiokafka without naming a topic, which could create it."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from aiokafka.errors import NodeNotReadyError, for_code
from aiokafka.protocol.admin import DescribeConfigsRequest

if TYPE_CHECKING:
    from streams.clients import AsyncReader

#: The type of a resource whose settings are asked, in the protocol.
_TOPIC = 2


async def topics_of(reader: AsyncReader) -> dict[str, int]:
    """Return how many partitions each topic of a reader's cluster has."""
    cluster = await reader._client.fetch_all_metadata()
    return {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in cluster.topics()}


async def configs_of(reader: AsyncReader, names: Collection[str]) -> dict[str, dict[str, str]]:
    """Return the settings of topics of a reader's cluster by their names; raises `KafkaError` if it refuses them."""
    node = reader._client.get_random_node()
    if node is None:
        raise NodeNotReadyError("no broker is known")
    asked = [(_TOPIC, name, None) for name in sorted(names)]
    answer = await reader._client.send(node, DescribeConfigsRequest(resources=asked, include_synonyms=False))
    out = {}
    for code, why, _, name, settings in (tuple(one) for one in answer.resources):
        if code:
            raise for_code(code)(why or name)
        out[name] = {entry[0]: entry[1] for entry in settings}
    return out
