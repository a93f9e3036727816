"""The facts of the scenario as an independent computation has them: pandas, from the rows that were published.

The comparison with the baseline can't see an error that both replays make. This judge shares no code with the fold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from processors.days import to_date, to_day
from processors.events import RowBatch, concat
from processors.outputs import StageOutput
from processors.registry import INDUSTRY_SIGNALS, SIGNALS
from streams.calendars import xshg
from streams.codecs.signal_codec import decode_industry, decode_market, decode_security
from streams.topics import Topic
from tests.chaos.comparison import Outcome
from tests.chaos.scenario import Step
from tests.folding import Days, Folded, check_signal, oracle_data
from tests.oracle.data import PUBLISHED

_DECODERS: dict[str, Callable[[bytes], StageOutput]] = {
    Topic.SIGNALS_MARKET: decode_market,
    Topic.SIGNALS_SECURITY: decode_security,
    Topic.SIGNALS_INDUSTRY: decode_industry,
}
_DAILY = ("margin.daily", "margin.market", "indices.daily", "prices.daily", "reference")


def published_days(steps: Sequence[Step]) -> Days:
    """Return the rows of the steps by day and topic; of a row that was corrected the one of the highest revision."""
    by_topic: dict[str, list[RowBatch]] = {}
    for batch in (rows for step in steps for rows in step.rows if rows.topic in _DAILY):
        by_topic.setdefault(batch.topic, []).append(batch)
    out: dict[int, dict[str, RowBatch]] = {}
    for topic, batches in by_topic.items():
        every = concat(batches)
        order = np.lexsort((every.revisions, every.keys, every.days))
        last = np.flatnonzero(np.diff(every.keys[order], append=-1) | np.diff(every.days[order], append=-1))
        final = every.take(order[last])
        for day in np.unique(final.days).tolist():
            out.setdefault(day, {})[topic] = final.take(final.days == day)
    return out


def facts(outcome: Outcome) -> Iterator[StageOutput]:
    """Yield the signals that a replay left, decoded."""
    for key, (_, value) in outcome.final.items():
        for topic, decode in _DECODERS.items():
            if key.startswith(f"{topic} "):
                yield decode(value)


class Judge:
    """Compares what was published of a scenario with the independent computation."""

    def __init__(self, steps: Sequence[Step]) -> None:
        data = oracle_data(published_days(steps))
        assert data.sessions is not None
        last = data.sessions[-1].date()
        following = [pd.Timestamp(to_date(day)) for day in xshg().between(to_day(last) + 1, to_day(last) + 14).tolist()]
        # A week's last session is known before the rows of the next week are.
        self._data = replace(data, sessions=data.sessions.append(pd.DatetimeIndex(following)))

    def contradictions(self, final: Iterable[StageOutput]) -> list[str]:
        """Return what differs, a line per signal; ``final`` are the messages that are left of each fact."""
        folded = Folded()
        folded.add(final)
        wrong, compared = list[str](), 0
        for signal in (*SIGNALS.values(), *INDUSTRY_SIGNALS.values()):
            if not {*signal.inputs, *signal.optional} <= {*_DAILY} or not folded.published(signal):
                continue
            try:
                compared += check_signal(signal, folded, self._data, PUBLISHED)
            except AssertionError as error:
                wrong.append(str(error))
        return wrong if compared else ["nothing was compared"]
