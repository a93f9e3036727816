"""Whether the settings of the topics lose messages, as an administrator may change them at any time.

A retention that is too short, or a compaction of inputs, does no harm at once: messages that a rebuild replays are gone
months later. So a worker reads the settings by itself, and reports what `marginwatch topics check` prints.
"""

from __future__ import annotations

import structlog
from aiokafka.errors import KafkaError
from mode import Service

from streams import metrics
from streams.clients import async_kafka_reader, refusal, started
from streams.kafka.cluster import configs_of
from streams.settings import Settings
from streams.topics import Topics

log = structlog.get_logger()
#: A worker that starts has more urgent questions to Kafka.
_FIRST_S, _EVERY_S = 2.0, 600.0


class TopicWatch(Service):
    """Reads the settings soon after the start and every ten minutes, logs changes, and counts what is wrong."""

    def __init__(self, settings: Settings, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self._settings = settings
        self._topics = Topics(settings)
        self._losing: set[str] = set()
        self._unknown = False

    @Service.task
    async def _watch(self) -> None:
        await self.sleep(_FIRST_S)
        while not self.should_stop:
            await self.check()
            await self.sleep(_EVERY_S)

    async def check(self) -> None:
        """Read the settings once."""
        try:
            async with started(async_kafka_reader(self._settings, purpose="topics")) as reader:
                found = set(self._topics.losing(await configs_of(reader, [t.name for t in self._topics.all.values()])))
        except (KafkaError, OSError) as error:
            if not self._unknown:
                why = refusal(self._settings) or f"{type(error).__name__}: {error}"
                log.warning("the settings of the topics can't be read (DescribeConfigs)", error=why)
            self._unknown = True
            return
        self._unknown = False
        metrics.TOPICS_LOSING.set(len(found))
        for problem in sorted(found - self._losing):
            log.warning("a topic loses messages", problem=problem)
        if self._losing and not found:
            log.info("the settings of all topics are right again")
        self._losing = found
