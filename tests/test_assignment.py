"""The spread of the stages over the workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from hypothesis import given
from hypothesis import strategies as st

from streams.calendars import xshg
from streams.kafka.assignment import Inputs, StageAssignor, spread
from streams.settings import Settings
from streams.stages.registry import STAGES
from streams.topics import Topics

STAGES_OF_FOUR = (
    Inputs(("margin", "prices", "reference"), 1.0),
    Inputs(("features",), 1.2),
    Inputs(("signals",), 0.8),
    Inputs(("charts",), 0.0),
)
_COUNTS = {"margin": 4, "prices": 4, "reference": 4, "features": 1, "signals": 1, "charts": 1}
FOUR: dict[str, Sequence[int]] = {topic: range(count) for topic, count in _COUNTS.items()}


def stages_of(shares: dict[str, dict[str, list[int]]]) -> dict[str, set[str]]:
    return {member: set(share) & {"margin", "features", "signals"} for member, share in shares.items()}


def test_one_worker_has_everything() -> None:
    (share,) = spread(STAGES_OF_FOUR, FOUR, ["one"]).values()
    assert share == {topic: list(numbers) for topic, numbers in FOUR.items()}


def test_two_workers_share_the_single_partitions_and_the_securities() -> None:
    shares = spread(STAGES_OF_FOUR, FOUR, ["b", "a"])
    assert stages_of(shares) == {"a": {"margin", "features"}, "b": {"margin", "signals"}}
    assert [len(share["margin"]) for share in shares.values()] == [1, 3]  # the market stage works most


def test_a_third_worker_takes_all_securities_and_a_fourth_half_of_them() -> None:
    three, four = (spread(STAGES_OF_FOUR, FOUR, "abcd"[:count]) for count in (3, 4))
    assert stages_of(three) == {"a": {"features"}, "b": {"signals"}, "c": {"margin"}}
    assert (four["c"]["margin"], four["d"]["margin"]) == ([0, 2], [1, 3])


def test_with_fewer_partitions_than_workers_some_wait_for_a_failure() -> None:
    shares = spread(STAGES_OF_FOUR, FOUR, "abcdefgh")
    assert Counter(bool(share) for share in shares.values()) == {True: 7, False: 1}


def test_a_topic_that_the_broker_does_not_report_has_no_worker() -> None:
    assert spread(STAGES_OF_FOUR, FOUR | {"reference": ()}, ["one"])["one"]["margin"] == [0, 1, 2, 3]


@given(
    members=st.sets(st.text("abc", min_size=1), min_size=1, max_size=9),
    partitions=st.integers(1, 40),
    works=st.lists(st.floats(0, 3), min_size=4, max_size=4),
)
def test_every_partition_has_one_worker_and_the_inputs_of_a_stage_stay_together(
    members: set[str], partitions: int, works: list[float]
) -> None:
    stages = [Inputs(one.topics, work) for one, work in zip(STAGES_OF_FOUR, works, strict=True)]
    every = FOUR | dict.fromkeys(stages[0].topics, range(partitions))
    shares = spread(stages, every, members)
    assert shares.keys() == members
    read = Counter(
        (topic, number) for share in shares.values() for topic, numbers in share.items() for number in numbers
    )
    assert read == Counter((topic, n) for topic, numbers in every.items() for n in numbers)
    for share in shares.values():
        assert share.get("margin") == share.get("prices") == share.get("reference")
    # Nobody could give a partition to another worker and leave the busier one of the two with less to do.
    of = {topic: stage.work / len(every[topic]) for stage in stages for topic in list(stage.topics)[:1]}
    loads = {m: [w for topic, w in of.items() for _ in share.get(topic, ())] for m, share in shares.items()}
    least = min(sum(load) for load in loads.values())
    assert all(sum(load) - min((one for one in load if one), default=0) <= least + 1e-9 for load in loads.values())


class Cluster(ClusterMetadata):
    """The partitions that a broker reports of each topic."""

    def __init__(self, partitions: dict[str, int]) -> None:
        super().__init__()
        self._counts = partitions

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return set(range(self._counts[topic])) if topic in self._counts else None


def test_the_stages_of_two_workers_on_the_topics_of_the_settings() -> None:
    settings = Settings(partitions=4)
    topics = Topics(settings)
    stages = [make(settings, topics, xshg()) for make in STAGES]
    inputs = [Inputs([topics.name(topic) for topic in stage.inputs], stage.work) for stage in stages]
    cluster = Cluster({config.name: config.partitions for config in topics.all.values()})
    assignor = StageAssignor(inputs)
    announced = assignor.metadata([topic for one in inputs for topic in one.topics])
    found = assignor.assign(cluster, {"a": announced, "b": announced})
    owned = {
        member: {stage.name for stage in stages if topics.name(stage.inputs[0]) in dict(assignment.assignment)}
        for member, assignment in found.items()
    }
    assert owned == {"a": {"securities", "charts", "market"}, "b": {"securities", "alerts"}}


def test_beside_a_member_with_other_topics_the_group_is_assigned_by_range() -> None:
    cluster = Cluster({"margin": 2, "features": 1, "older": 1})
    assignor = StageAssignor([Inputs(["margin"], 1.0), Inputs(["features"], 1.0)])
    members = {
        "a": ConsumerProtocolMemberMetadata(0, ["margin", "features"], b""),
        "b": ConsumerProtocolMemberMetadata(0, ["margin", "older"], b""),
    }
    assert assignor.assign(cluster, members) == RangePartitionAssignor.assign(cluster, members)
