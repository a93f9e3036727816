"""Folds a history without a broker, a day or a block of days at a time, with the processors of the stream."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice

from processors.chart_scores import NO_MODEL, Scorer, scored
from processors.completeness import by_exchange
from processors.computation import BLOCK_DAYS
from processors.days import TradingCalendar, to_date
from processors.events import EndOfDay, RowBatch
from processors.market import INPUTS, Market
from processors.outputs import ChartFrame, FeatureFrame, StageOutput
from processors.parameters import Parameters
from processors.securities import INPUTS as SECURITIES_INPUTS
from processors.securities import Securities


def end_of_day(rows: RowBatch) -> EndOfDay:
    """Return the punctuation that closes the day of the given rows and expects exactly these.

    Parameters
    ----------
    rows : at least one row, all of one day.
    """
    return EndOfDay(
        feed=rows.topic, trade_date=to_date(int(rows.days[0])), expected=by_exchange(rows), source="history"
    )


class History:
    """The folding stages in one process, with one partition.

    Parameters
    ----------
    exchanges : exchanges whose margin figures are summed into the market.
    model : the chart model, or the reason why there is none.

    Attributes
    ----------
    frames : feature frames of the days that were folded last, from the securities stage to the market stage.
    charts : the frames of charts among them before they were scored.
    """

    def __init__(
        self,
        parameters: Parameters,
        exchanges: tuple[str, ...],
        calendar: TradingCalendar,
        model: Scorer | str = NO_MODEL,
    ) -> None:
        self._model = model
        self.securities = Securities(0, parameters, exchanges, calendar)
        self.market = Market(1, parameters, exchanges, calendar)
        self.frames: list[FeatureFrame] = []
        self.charts: list[ChartFrame] = []

    def fold(self, feeds: Mapping[str, RowBatch]) -> list[StageOutput]:
        """Fold the rows of one day, closing each topic behind its rows; return the outputs of the market stage.

        Parameters
        ----------
        feeds : topic → its rows of the day.
        """
        return self.fold_block([feeds])

    def fold_block(self, days: Sequence[Mapping[str, RowBatch]]) -> list[StageOutput]:
        """Fold the rows of several days at once, which is faster than one by one and gives the same final outputs.

        A day that later days of the block complete has no provisional values.

        Parameters
        ----------
        days : topic → its rows, for each day in ascending order.
        """
        own, rest = (
            [
                item
                for feeds in days
                for topic in topics
                if topic in feeds
                for item in (feeds[topic], end_of_day(feeds[topic]))
            ]
            for topics in (SECURITIES_INPUTS, INPUTS)
        )
        frames = [output for output in self.securities.fold(own) if isinstance(output, FeatureFrame | ChartFrame)]
        self.charts = [frame for frame in frames if isinstance(frame, ChartFrame)]
        self.frames = [scored(frame, self._model) if isinstance(frame, ChartFrame) else frame for frame in frames]
        return self.market.fold([*rest, *self.frames])


def replay(
    days: Iterable[Mapping[str, RowBatch]],
    parameters: Parameters,
    exchanges: tuple[str, ...],
    calendar: TradingCalendar,
    model: Scorer | str = NO_MODEL,
    *,
    days_per_fold: int = 1,
) -> Iterator[StageOutput]:
    """Yield every output that the stream would publish for these days.

    Parameters
    ----------
    days_per_fold : days that arrive together. A late row among them publishes nothing twice; no last value differs.
    """
    history = History(parameters, exchanges, calendar, model)
    for together in blocks(days, days_per_fold):
        yield from history.fold_block(together)


def blocks(days: Iterable[Mapping[str, RowBatch]], size: int = BLOCK_DAYS) -> Iterator[list[Mapping[str, RowBatch]]]:
    """Yield days in lists of a size, each to be folded as a block."""
    rest = iter(days)
    while block := list(islice(rest, size)):
        yield block
