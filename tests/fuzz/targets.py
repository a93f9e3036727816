"""What a worker does with a message: its stage decodes and folds it; others read what the stages have written."""

from __future__ import annotations

from dataclasses import replace

from processors.events import INPUT_ROWS
from streams.calendars import xshg
from streams.codecs import registry as codecs
from streams.records import is_barrier
from streams.settings import Settings
from streams.stages.quarantine import FoldError, fold
from streams.stages.registry import STAGES
from streams.stages.stage import StageState
from streams.topics import SIGNALS, Topic, Topics, dead_letters
from tests.fuzz.harness import Outcome
from tests.fuzz.inputs import Input

#: States are given up after so many messages: what they contain bounds the memory of a run.
_MESSAGES = 400
#: Only stages write there, so a message that contradicts itself may be found by a fold.
_WRITTEN_BY_STAGES = (Topic.FEATURES, Topic.CHARTS, *SIGNALS)


class Target:
    """All stages with one partition each."""

    def __init__(self) -> None:
        self._settings = Settings(partitions=1)
        self._topics = Topics(self._settings)
        made = [make(self._settings, self._topics, xshg()) for make in STAGES]
        self._stages = {topic: stage for stage in made for topic in stage.inputs}
        self._states: dict[str, StageState] = {}
        self._count = 0

    def __call__(self, message: Input) -> Outcome:
        """Decode and fold a message; raises what a decoder or the fold of an input raises."""
        topic = message.topic
        named = replace(message, topic=self._topics.name(topic))
        stage = self._stages[topic]
        if topic in codecs.CODECS and not is_barrier(named):
            codecs.readable(topic, named)
        if topic in INPUT_ROWS:
            stage.decoders[topic].decode([named])
        self._count += 1
        if self._count % _MESSAGES == 0:
            self._states.clear()
        if stage.name not in self._states:
            self._states[stage.name] = stage.open(0)
        state = self._states[stage.name]
        try:
            outputs, _ = fold(state, topic, [named])
        except FoldError:
            del self._states[stage.name]
            if topic in _WRITTEN_BY_STAGES:
                return Outcome.QUARANTINED
            raise
        refused = () if Topic(topic).is_dead_letters else (self._topics.name(dead_letters(topic)),)
        return Outcome.REFUSED if any(output.topic in refused for output in outputs) else Outcome.ACCEPTED
