"""What the blocks of a market stage read: the stage's stores, joined frames, reference data and retained values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from processors.calendar_series import CalendarSeries
from processors.daily_store import DailyStore
from processors.errors import UndeclaredNeedError
from processors.memory import Memory
from processors.needs import Need
from processors.parameters import Parameters
from processors.partition_join import PartitionJoin
from processors.reference import Members


@dataclass(frozen=True, slots=True)
class Sources:
    """The inputs of all blocks of one market stage.

    Parameters
    ----------
    exchanges : the exchanges whose totals are summed into the market.
    series : figures of daily topics by calendar position.
    stores : daily topic → its rows.
    joins : topic of feature frames → the joined frames.
    members : day → master data of that day.
    memory : states and values of earlier days.
    declared : the needs of all registered signals; a block refuses to read any other.
    """

    parameters: Parameters
    exchanges: tuple[str, ...]
    series: CalendarSeries
    stores: Mapping[str, DailyStore]
    joins: Mapping[str, PartitionJoin]
    members: Callable[[int], Members]
    memory: Memory
    declared: frozenset[Need]

    def require(self, need: Need) -> None:
        """Check that a need may be read.

        Raises
        ------
        UndeclaredNeedError : if no registered signal declares it, so that no stage retains its figures.
        """
        if need not in self.declared:
            raise UndeclaredNeedError(
                f"{need.text()} is read, but no registered signal declares it: add it to `needs`, or its figures are "
                "not kept"
            )
