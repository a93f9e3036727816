"""A history folded without a broker: the processors of the stream, fed a day at a time. For studies and tests."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from processors.days import TradingCalendar, to_date
from processors.events import EndOfDay, RowBatch, by_exchange
from processors.market import INPUTS, Market
from processors.outputs import FeatureFrame, StageOutput
from processors.parameters import Parameters
from processors.securities import INPUTS as SECURITIES_INPUTS
from processors.securities import Securities


def end_of_day(rows: RowBatch) -> EndOfDay:
    """Return the marker that closes the day of these rows (of one day, at least one): it expects just them."""
    return EndOfDay(
        feed=rows.topic, trade_date=to_date(int(rows.days[0])), expected=by_exchange(rows), source="history"
    )


class History:
    """Both folding stages in one process, with one partition.

    Parameters
    ----------
    exchanges : whose margin figures make the market.

    Attributes
    ----------
    frames : what the first stage handed to the second on the last day.
    """

    def __init__(self, parameters: Parameters, exchanges: tuple[str, ...], calendar: TradingCalendar) -> None:
        self.securities = Securities(0, parameters, exchanges, calendar)
        self.market = Market(1, parameters, exchanges, calendar)
        self.frames: list[FeatureFrame] = []

    def fold(self, feeds: Mapping[str, RowBatch]) -> list[StageOutput]:
        """Fold all rows of one day by topic, each feed closed behind its rows; return what was made of them."""
        own, rest = (
            [item for topic in topics if topic in feeds for item in (feeds[topic], end_of_day(feeds[topic]))]
            for topics in (SECURITIES_INPUTS, INPUTS)
        )
        self.frames = [output for output in self.securities.fold(own) if isinstance(output, FeatureFrame)]
        return self.market.fold([*rest, *self.frames])


def replay(
    days: Iterable[Mapping[str, RowBatch]],
    parameters: Parameters,
    exchanges: tuple[str, ...],
    calendar: TradingCalendar,
) -> Iterator[StageOutput]:
    """Yield everything that the stream would publish of these days, in its order."""
    history = History(parameters, exchanges, calendar)
    for feeds in days:
        yield from history.fold(feeds)
