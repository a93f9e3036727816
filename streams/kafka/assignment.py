"""Which worker reads which partitions: the inputs of a stage stay together, and the stages are spread over the workers.

Kafka's range assignment gives the first worker partition 0 of every topic, and so all stages of one partition: with two
workers one of them does five sixths of the work.
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import structlog
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Inputs:
    """The input topics of a stage by their names on the cluster, and the stage's work, relative to the other stages."""

    topics: Collection[str]
    work: float


class StageAssignor:
    """An assignor for aiokafka (`AbstractPartitionAssignor`) of workers with these stages.

    While a group has members that read other topics (a release with another stage is rolled out), it assigns by range.
    """

    name, version = "stages", 0

    def __init__(self, stages: Collection[Inputs]) -> None:
        self._stages = stages

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """Return what a worker announces: the topics that it reads."""
        return ConsumerProtocolMemberMetadata(self.version, list(topics), b"")

    def assign(
        self, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> Mapping[str, ConsumerProtocolMemberAssignment]:
        """Return the partitions of every member; asked of the group's leader."""
        topics = {topic for stage in self._stages for topic in stage.topics}
        if any(set(member.subscription) != topics for member in members.values()):
            log.warning("workers of this group read different topics: partitions are assigned by range")
            by_range: Mapping[str, ConsumerProtocolMemberAssignment] = RangePartitionAssignor.assign(cluster, members)
            return by_range
        partitions = {topic: sorted(cluster.partitions_for_topic(topic) or ()) for topic in topics}
        return {
            member: ConsumerProtocolMemberAssignment(self.version, sorted(share.items()), b"")
            for member, share in spread(self._stages, partitions, members).items()
        }

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Remember nothing: an assignment follows from the members alone."""


def spread(
    stages: Iterable[Inputs], partitions: Mapping[str, Collection[int]], members: Iterable[str]
) -> dict[str, dict[str, list[int]]]:
    """Return topic → partitions for every member: the heaviest partitions first, each to who has least to do so far.

    Parameters
    ----------
    partitions : of every input topic.
    """
    units = []  # work, order, and the topics that have a partition
    for order, stage in enumerate(stages):
        numbers = {number for topic in stage.topics for number in partitions[topic]}
        for number in numbers:
            having = [topic for topic in stage.topics if number in partitions[topic]]
            units.append((-stage.work / len(numbers), order, number, having))
    shares: dict[str, dict[str, list[int]]] = {member: {} for member in sorted(members)}
    load = [(0.0, 0, member) for member in shares]
    for work, _, number, topics in sorted(units):
        busy, count, member = load[0]
        heapq.heapreplace(load, (busy - work, count + 1, member))
        for topic in topics:
            shares[member].setdefault(topic, []).append(number)
    return shares
