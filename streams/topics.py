"""Which topics there are, how many partitions each has, how long it keeps, and how a key finds its partition."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from aiokafka.partitioner import murmur2

from processors import market, securities
from processors.codes import Ids, to_code
from processors.events import INPUT_ROWS
from streams.clients import kafka_admin
from streams.errors import TopicError
from streams.settings import MAX_BROKER_BYTES, Settings

VERSION = "v1"
FEATURES = "features.security"
SIGNALS_MARKET, SIGNALS_SECURITY, SIGNALS_INDUSTRY = "signals.market", "signals.security", "signals.industry"
ALERTS, ALERTS_LOG, ALERT_COMMANDS = "alerts", "alerts.log", "alerts.commands"
DEAD_LETTERS = ".dlq"
#: Input topics keyed by security code: co-partitioned, so one worker owns the same securities of all of them.
BY_CODE = tuple(topic for topic, row in INPUT_ROWS.items() if row.key_field == "code" and topic not in market.INPUTS)
SECURITIES_INPUTS = securities.INPUTS
MARKET_INPUTS = (*market.INPUTS, FEATURES)
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic: its name on the cluster, its partitions and what it keeps."""

    name: str
    partitions: int
    compacted: bool
    retention_ms: int


class Topics:
    """All topics of one system, by their short names (``margin.daily``)."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        keep = settings.retention_days * _DAY_MS
        shorts: dict[str, tuple[int, bool]] = {
            topic: (settings.partitions if topic in BY_CODE else 1, False) for topic in INPUT_ROWS
        }
        shorts |= {topic + DEAD_LETTERS: (1, False) for topic in INPUT_ROWS}
        shorts |= dict.fromkeys((FEATURES, ALERTS_LOG, ALERT_COMMANDS, ALERT_COMMANDS + DEAD_LETTERS), (1, False))
        shorts |= dict.fromkeys((SIGNALS_MARKET, SIGNALS_SECURITY, SIGNALS_INDUSTRY, ALERTS), (1, True))
        self.all = {
            short: Topic(self.name(short), n, compacted, -1 if compacted else keep)
            for short, (n, compacted) in shorts.items()
        }
        self._shorts = {topic.name: short for short, topic in self.all.items()}

    def name(self, short: str) -> str:
        """The topic's name on the cluster: prefix, short name, version; dead letters end in ``.dlq``."""
        base, dot, _ = short.partition(DEAD_LETTERS)
        return f"{self._settings.topic_prefix}{base}.{VERSION}{dot}"

    def short(self, name: str) -> str:
        """Return the short name of a topic on the cluster."""
        return self._shorts[name]

    def partitions(self, short: str) -> int:
        """How many partitions a topic has."""
        return self.all[short].partitions

    def create(self) -> list[str]:
        """Create what is missing on the cluster; return the names created. Existing topics are left alone."""
        from kafka.admin import NewTopic
        from kafka.errors import KafkaError, TopicAlreadyExistsError

        admin = kafka_admin(self._settings)
        try:
            existing = set(admin.list_topics())
            wanted = [t for t in self.all.values() if t.name not in existing]
            if wanted:
                admin.create_topics(
                    [
                        NewTopic(
                            name=t.name,
                            num_partitions=t.partitions,
                            replication_factor=self._settings.replication,
                            topic_configs=_configs(t),
                        )
                        for t in wanted
                    ]
                )
            return sorted(t.name for t in wanted)
        except TopicAlreadyExistsError:
            return []  # another worker was faster
        except KafkaError as error:
            raise TopicError(
                f"the cluster refused to make topics ({type(error).__name__}): with ACLs the user "
                f"{self._settings.kafka_username or '(none)'} needs Create, Describe, Read and Write on topics that "
                f"begin with {self._settings.topic_prefix!r}; or let an administrator make them"
            ) from error
        finally:
            admin.close()

    def problems(self) -> list[str]:
        """Compare the cluster with what the system needs; an empty list is good."""
        admin = kafka_admin(self._settings)
        try:
            found = {t["name"]: len(t["partitions"]) for t in admin.describe_topics()}
        finally:
            admin.close()
        out = []
        for topic in self.all.values():
            if topic.name not in found:
                out.append(f"{topic.name} is missing: run `marginwatch topics create`")
            elif found[topic.name] != topic.partitions:
                out.append(
                    f"{topic.name} has {found[topic.name]} partitions, {topic.partitions} are configured: set "
                    f"MARGINWATCH_PARTITIONS to {found[topic.name]}, or make the topic anew"
                )
        return out


def _configs(topic: Topic) -> dict[str, str]:
    return {
        "cleanup.policy": "compact" if topic.compacted else "delete",
        "retention.ms": str(topic.retention_ms),
        "max.message.bytes": str(MAX_BROKER_BYTES),
    }


@lru_cache(maxsize=262_144)
def partition_of(key: str, partitions: int) -> int:
    """The partition of a key, as Kafka's own default partitioner chooses it (murmur2)."""
    return int((murmur2(key.encode()) & 0x7FFFFFFF) % partitions)


class Partitioner:
    """Partitions of many securities at once; remembers every security that it has seen."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self._ids: Ids = np.empty(0, dtype=np.int32)
        self._at: npt.NDArray[np.int32] = np.empty(0, dtype=np.int32)

    def of(self, securities_: Ids) -> npt.NDArray[np.int32]:
        """Return the partition of each security."""
        at = np.searchsorted(self._ids, securities_)
        at[at == len(self._ids)] = 0
        if not len(self._ids) or not np.array_equal(self._ids[at], securities_):
            self._learn(np.setdiff1d(securities_, self._ids).tolist())
            at = np.searchsorted(self._ids, securities_)
        return self._at[at]

    def of_code(self, code: str) -> int:
        """Return the partition of one code."""
        return partition_of(code, self.partitions)

    def _learn(self, new: Iterable[int]) -> None:
        ids = np.array(list(new), dtype=np.int32)
        found = np.array([partition_of(to_code(i), self.partitions) for i in ids.tolist()], dtype=np.int32)
        order = np.argsort(merged := np.concatenate([self._ids, ids]), kind="stable")
        self._ids, self._at = merged[order], np.concatenate([self._at, found])[order]
