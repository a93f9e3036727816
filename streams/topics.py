"""The topics: their names, partitions and retention, and the partition of a key."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping, Set
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from aiokafka.partitioner import murmur2

from processors import market, securities
from processors.arrays import Ids
from processors.code_changes import NO_CHANGES, CodeChanges
from processors.codes import NO_IDS, places_sorted, to_codes, to_id
from processors.events import INPUT_ROWS, IntradayRow
from streams.clients import BOOTSTRAP_MS, async_kafka_reader, kafka_admin, refusal, started, unreachable
from streams.errors import TopicError
from streams.kafka.cluster import topics_of
from streams.settings import MAX_BROKER_BYTES, Settings

if TYPE_CHECKING:
    from streams.clients import Admin

VERSION = "v1"
_DEAD_LETTERS = ".dlq"
_DAY_MS = 86_400_000
#: How long a broker may take to list a topic that was created, seconds.
_LISTED_WITHIN_S = 10.0
_ASK_AGAIN_S = 0.2
#: What a dead letter may add to a message of the largest size.
_LETTER_HEADERS = 256 * 1024


class Topic(StrEnum):
    """Every topic by its short name; the name on the cluster has a prefix and a version too (`Topics.name`)."""

    # Inputs, one row type each (`processors.events.INPUT_ROWS`).
    MARGIN_DAILY = "margin.daily"
    MARGIN_MARKET = "margin.market"
    MARGIN_INTRADAY = "margin.intraday"
    PRICES_DAILY = "prices.daily"
    PRICES_INTRADAY = "prices.intraday"
    VALUATIONS_DAILY = "valuations.daily"
    INDICES_DAILY = "indices.daily"
    INDICES_INTRADAY = "indices.intraday"
    RATES_DAILY = "rates.daily"
    MARGIN_COLLATERAL = "margin.collateral"
    ETF_DAILY = "etf.daily"
    REFERENCE = "reference"

    # Between the stages.
    FEATURES = "features.security"
    CHARTS = "features.chart"

    # Outputs, and the commands of the desk about them.
    SIGNALS_MARKET = "signals.market"
    SIGNALS_SECURITY = "signals.security"
    SIGNALS_INDUSTRY = "signals.industry"
    ALERTS = "alerts"
    ALERTS_LOG = "alerts.log"
    ALERT_COMMANDS = "alerts.commands"

    # Messages that were refused, by the topic that they were sent to.
    MARGIN_DAILY_DLQ = "margin.daily.dlq"
    MARGIN_MARKET_DLQ = "margin.market.dlq"
    MARGIN_INTRADAY_DLQ = "margin.intraday.dlq"
    PRICES_DAILY_DLQ = "prices.daily.dlq"
    PRICES_INTRADAY_DLQ = "prices.intraday.dlq"
    VALUATIONS_DAILY_DLQ = "valuations.daily.dlq"
    INDICES_DAILY_DLQ = "indices.daily.dlq"
    INDICES_INTRADAY_DLQ = "indices.intraday.dlq"
    RATES_DAILY_DLQ = "rates.daily.dlq"
    MARGIN_COLLATERAL_DLQ = "margin.collateral.dlq"
    ETF_DAILY_DLQ = "etf.daily.dlq"
    REFERENCE_DLQ = "reference.dlq"
    FEATURES_DLQ = "features.security.dlq"
    CHARTS_DLQ = "features.chart.dlq"
    SIGNALS_MARKET_DLQ = "signals.market.dlq"
    SIGNALS_SECURITY_DLQ = "signals.security.dlq"
    SIGNALS_INDUSTRY_DLQ = "signals.industry.dlq"
    ALERT_COMMANDS_DLQ = "alerts.commands.dlq"

    @property
    def is_dead_letters(self) -> bool:
        """Whether it contains messages that were refused."""
        return self.endswith(_DEAD_LETTERS)


def dead_letters(topic: str) -> Topic:
    """Return the topic of the messages that were refused in a topic."""
    return Topic(topic + _DEAD_LETTERS)


def refused_in(topic: str) -> Topic:
    """Return the topic that messages of a dead-letter topic were sent to; the inverse of `dead_letters`."""
    return Topic(topic.removesuffix(_DEAD_LETTERS))


SIGNALS = (Topic.SIGNALS_MARKET, Topic.SIGNALS_SECURITY, Topic.SIGNALS_INDUSTRY)
#: Input topics keyed by security code: co-partitioned, so one worker owns the same securities of all of them.
BY_CODE = tuple(
    Topic(topic) for topic, row in INPUT_ROWS.items() if row.key_field == "code" and topic not in market.INPUTS
)
#: Of these, the topics of the running session.
LIVE = tuple(topic for topic in BY_CODE if issubclass(INPUT_ROWS[topic], IntradayRow))
SECURITIES_INPUTS = tuple(map(Topic, securities.INPUTS))
MARKET_INPUTS = (*map(Topic, market.INPUTS), Topic.FEATURES)
#: Topics whose messages may be refused or quarantined.
READ = (*map(Topic, INPUT_ROWS), Topic.FEATURES, Topic.CHARTS, *SIGNALS, Topic.ALERT_COMMANDS)
DEAD_LETTERS = tuple(map(dead_letters, READ))

#: The order of documents: inputs, their dead letters, then what the stages write.
_ORDER = (
    *map(Topic, INPUT_ROWS),
    *DEAD_LETTERS,
    Topic.FEATURES,
    Topic.CHARTS,
    Topic.ALERTS_LOG,
    Topic.ALERT_COMMANDS,
    *SIGNALS,
    Topic.ALERTS,
)


@dataclass(frozen=True, slots=True)
class TopicConfig:
    """A topic on the cluster: its name, its partitions and what it keeps."""

    name: str
    partitions: int
    compacted: bool
    retention_ms: int


class Topics:
    """All topics of one system, by their short names."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        keep = settings.retention_days * _DAY_MS
        compacted = (*SIGNALS, Topic.ALERTS)
        self.all: dict[str, TopicConfig] = {
            topic: TopicConfig(
                self.name(topic),
                settings.partitions if topic in BY_CODE else 1,
                topic in compacted,
                -1 if topic in compacted else keep,
            )
            for topic in _ORDER
        }
        self._shorts = {config.name: Topic(short) for short, config in self.all.items()}

    def name(self, short: str) -> str:
        """The topic's name on the cluster: prefix, short name, version; dead letters end in ``.dlq``."""
        base, dot, _ = short.partition(_DEAD_LETTERS)
        return f"{self._settings.topic_prefix}{base}.{VERSION}{dot}"

    def short(self, name: str) -> Topic:
        """Return the short name of a topic on the cluster."""
        return self._shorts[name]

    def partitions(self, short: str) -> int:
        """How many partitions a topic has."""
        return self.all[short].partitions

    def on_cluster(self) -> dict[str, int]:
        """Return how many partitions each topic of the cluster has; raises `TopicError` if no broker answers."""
        with closing(kafka_admin(self._settings)) as admin:
            return {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics()}

    async def require(self) -> None:
        """Raise `TopicError` as `require_in`, and if no broker answers within `BOOTSTRAP_MS`.

        A broker that has just started accepts connections before it knows the cluster. One that refuses this client
        twice in the same words goes on to do so.
        """
        from aiokafka.errors import KafkaError

        deadline, refused = time.monotonic() + BOOTSTRAP_MS / 1000, ""
        while True:
            try:
                async with started(async_kafka_reader(self._settings, purpose="topics")) as reader:
                    existing = await topics_of(reader)
                break
            except KafkaError as error:
                before, refused = refused, refusal(self._settings)
                if time.monotonic() > deadline or (refused and refused == before):
                    raise TopicError(unreachable(self._settings, error)) from error
            await asyncio.sleep(_ASK_AGAIN_S)
        self.require_in(existing)

    def require_in(self, existing: Mapping[str, int], *names: str) -> None:
        """Raise `TopicError` if a cluster lacks topics of the system, or one has other partitions than it must.

        Parameters
        ----------
        existing : how many partitions each topic of the cluster has.
        names : the topics that are required, by their names on the cluster; all of the system if empty.
        """
        required = [topic for topic in self.all.values() if not names or topic.name in names]
        if lacking := [topic.name for topic in required if topic.name not in existing]:
            raise TopicError(missing(*lacking))
        for topic in required:
            if existing[topic.name] != topic.partitions:
                raise TopicError(self._divided(topic, existing[topic.name]))

    def _divided(self, topic: TopicConfig, found: int) -> str:
        """Describe that a topic has other partitions than it must, and what to do."""
        if self.short(topic.name) not in BY_CODE:
            return f"{topic.name} has {found} partitions, {topic.partitions} are needed: delete and create the topic"
        return (
            f"{topic.name} has {found} partitions, {topic.partitions} are configured: set MARGINWATCH_PARTITIONS to "
            f"{found}; another number needs a new system (documentation: Operations, Partitions)"
        )

    def create(self) -> list[str]:
        """Create what is missing on the cluster; return the names created. Existing topics are left alone.

        Raises
        ------
        TopicError : if no broker answers, the cluster refuses a topic, or does not list it within `_LISTED_WITHIN_S`.
        """
        from kafka.admin import NewTopic
        from kafka.errors import KafkaError, NoError, TopicAlreadyExistsError, for_code

        copies = self._settings.replication
        try:
            with closing(kafka_admin(self._settings)) as admin:
                existing = set(admin.list_topics())
                wanted = [t for t in self.all.values() if t.name not in existing]
                if not wanted:
                    return []
                asked = [NewTopic(t.name, t.partitions, copies, topic_configs=_configs(t)) for t in wanted]
                answers = admin.create_topics(asked, raise_errors=False)["topics"]
                errors = {answer["name"]: for_code(answer["error_code"]) for answer in answers}
                for name, error in errors.items():
                    if error not in (NoError, TopicAlreadyExistsError):
                        raise error(name)
                # Another process was faster, or the cluster still deletes it.
                not_ours = {name for name, error in errors.items() if error is TopicAlreadyExistsError}
                lacking = _await_listed(admin, errors.keys())
        except KafkaError as error:
            raise TopicError(
                f"the cluster refused to create topics ({type(error).__name__}): with ACLs the user "
                f"{self._settings.kafka_username or '(none)'} needs Create, Describe, Read and Write on topics that "
                f"begin with {self._settings.topic_prefix!r}; or let an administrator create them"
            ) from error
        if lacking:
            raise TopicError(
                f"the cluster does not list {', '.join(lacking)}, which it still deletes or creates: run the command "
                "again in a moment"
            )
        return sorted(errors.keys() - not_ours)

    def problems(self) -> list[str]:
        """Compare the cluster with what the system needs; an empty list is good."""
        from kafka.admin import ConfigResource, ConfigResourceType

        with closing(kafka_admin(self._settings)) as admin:
            found = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics()}
            known = [t for t in self.all.values() if t.name in found]
            resources = [ConfigResource(ConfigResourceType.TOPIC, topic.name) for topic in known]
            described = admin.describe_configs(resources, config_filter="all")["topic"] if resources else {}
        out = []
        for topic in self.all.values():
            if topic.name not in found:
                out.append(missing(topic.name))
            elif found[topic.name] != topic.partitions:
                out.append(self._divided(topic, found[topic.name]))
        configs = {
            topic: {name: str(entry["value"]) for name, entry in entries.items()}
            for topic, entries in described.items()
        }
        return out + self.losing(configs)

    def losing(self, configs: Mapping[str, Mapping[str, str]]) -> list[str]:
        """Return the settings that lose messages, each with the remedy; by the names of the topics on the cluster."""
        return [
            f"{topic.name} has {name}={configs[topic.name][name]}: {why}; kafka-configs.sh --alter --entity-type "
            f"topics --entity-name {topic.name} --add-config {name}={wanted}"
            for topic in self.all.values()
            for name, wanted, why in _differences(topic, configs.get(topic.name, {}))
        ]


def _await_listed(admin: Admin, names: Set[str]) -> list[str]:
    """Wait until a broker lists topics, which it does a moment after their creation; return those that it does not."""
    deadline = time.monotonic() + _LISTED_WITHIN_S
    while (lacking := names - set(admin.list_topics())) and time.monotonic() < deadline:
        time.sleep(0.02)
    return sorted(lacking)


def missing(name: str, *others: str) -> str:
    """Describe that the cluster lacks topics, and what to do.

    A client must ask before it names a topic: a broker may create each topic that a client names, the embedded one even
    where the client forbids it, and not with the partitions that the system needs.
    """
    lacking = f"topics {name} and {len(others)} others are" if others else f"topic {name} is"
    return f"the {lacking} missing: run `marginwatch topics create`"


def _differences(topic: TopicConfig, configs: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield the name, the wanted value and the reason of settings that lose messages; a broker may report none."""
    wanted = _configs(topic)
    policies = set(configs.get("cleanup.policy", wanted["cleanup.policy"]).replace(" ", "").split(","))
    if policies != {wanted["cleanup.policy"]}:
        loses = "signals and alerts that last longer than the retention are deleted"
        why = loses if topic.compacted else "compaction deletes messages that a rebuild replays"
        yield "cleanup.policy", wanted["cleanup.policy"], why
    if not topic.compacted:
        keeps = int(configs.get("retention.ms", "-1"))
        if 0 <= keeps < topic.retention_ms:
            yield "retention.ms", wanted["retention.ms"], f"only {keeps / _DAY_MS:g} days of history can be rebuilt"
        if int(configs.get("retention.bytes", "-1")) >= 0:
            yield "retention.bytes", "-1", "messages beyond a size are deleted, also before they are read"
    if int(configs.get("max.message.bytes", str(MAX_BROKER_BYTES))) < MAX_BROKER_BYTES:
        yield "max.message.bytes", wanted["max.message.bytes"], "frames of a whole market are refused"


def _configs(topic: TopicConfig) -> dict[str, str]:
    return {
        "cleanup.policy": "compact" if topic.compacted else "delete",
        "retention.ms": str(topic.retention_ms),
        "max.message.bytes": str(MAX_BROKER_BYTES + (_LETTER_HEADERS if topic.name.endswith(_DEAD_LETTERS) else 0)),
    }


@lru_cache(maxsize=262_144)
def partition_of(key: str, partitions: int) -> int:
    """The partition of a key, as Kafka's own default partitioner chooses it (murmur2)."""
    return int((murmur2(key.encode()) & 0x7FFFFFFF) % partitions)


class Partitioner:
    """Partitions of many securities at once; remembers every security that it has seen.

    Parameters
    ----------
    changes : all codes of one security have the partition of its first code.
    """

    def __init__(self, partitions: int, changes: CodeChanges = NO_CHANGES) -> None:
        self.partitions = partitions
        self._changes = changes
        self._ids: Ids = NO_IDS
        self._at: npt.NDArray[np.int32] = np.empty(0, dtype=np.int32)
        self._last: tuple[Ids, npt.NDArray[np.int32]] = self._ids, self._at  # a list is the same on most days

    def of(self, securities_: Ids) -> npt.NDArray[np.int32]:
        """Return the partition of each security."""
        if not np.array_equal(securities_, self._last[0]):
            at = places_sorted(securities_, self._ids)
            if (at < 0).any():
                self._learn(np.unique(securities_[at < 0]))
                at = places_sorted(securities_, self._ids)
            self._last = securities_, self._at[at]
        return self._last[1]

    def of_code(self, code: str) -> int:
        """Return the partition of one code."""
        return int(self.of(np.array([to_id(code)], dtype=np.int32))[0])

    def _learn(self, ids: Ids) -> None:
        codes = to_codes(self._changes.first(ids))
        found = np.array([partition_of(code, self.partitions) for code in codes], dtype=np.int32)
        order = np.argsort(merged := np.concatenate([self._ids, ids]), kind="stable")
        self._ids, self._at = merged[order], np.concatenate([self._at, found])[order]
