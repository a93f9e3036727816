"""No client of aiokafka creates a topic.

The library asks for the metadata of its topics in a way that lets a broker create what is missing, with the broker's
own number of partitions and retention; it has no option for that.
"""

from __future__ import annotations

from functools import partial

from aiokafka import client
from aiokafka.protocol.metadata import MetadataRequest


def install() -> None:
    """Let every client of aiokafka ask so from now on."""
    client.MetadataRequest = partial(MetadataRequest, allow_auto_topic_creation=False)
