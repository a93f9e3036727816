"""What each security is on a day: its industry and the indices it belongs to, as of their effective dates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from processors.codes import Ids, aligned, is_fund
from processors.daily_store import DailyStore
from processors.events import Floats

TOPIC = "reference"
UNKNOWN = -1


@dataclass(frozen=True, slots=True)
class Members:
    """The master data of a day; arrays in the order of ``keys``, which ascend."""

    keys: Ids
    figures: dict[str, Floats]
    stocks: Ids  # the keys without funds
    stock_industry: npt.NDArray[np.intp]  # theirs, as `industry_of` gives it

    def industry_of(self, keys: Ids) -> npt.NDArray[np.intp]:
        """Place of each security's industry in `industries.INDUSTRIES`, `UNKNOWN` where there is none."""
        return _places(self._of(keys, "industry"))

    def belongs(self, keys: Ids, index: str) -> npt.NDArray[np.bool_]:
        """Whether each security is a member of ``csi300`` or ``csi500``."""
        return np.asarray(self._of(keys, index) == 1.0)

    def _of(self, keys: Ids, name: str) -> Floats:
        return aligned(keys, self.keys, self.figures[name])


def _places(industry: Floats) -> npt.NDArray[np.intp]:
    return np.where(np.isnan(industry), UNKNOWN, industry).astype(np.intp)


class ReferenceStore:
    """Every reference day that was closed; a security's newest row up to a day is what it is on that day.

    A reference day inside the past makes the days behind it anew. How often that happened is part of their revision:
    ``Σ (1 + revision)`` over the reference days up to a day, less 1.
    """

    def __init__(self, late_days: int, keep_days: int) -> None:
        self.book = DailyStore(TOPIC, (), late_days=late_days, history_days=keep_days)
        self._made: tuple[tuple[tuple[int, int], ...], Members] | None = None

    def known(self, day: int) -> bool:
        """Whether anything is known on a day."""
        return bool(self._versions(day))

    def revision(self, day: int) -> int:
        """How often what is known of a day was changed."""
        return sum(1 + revision for _, revision in self._versions(day)) - 1

    def known_at(self, day: int) -> int:
        """When it was known, µs since the epoch."""
        return max((self.book.days[d].available_at for d, _ in self._versions(day)), default=0)

    def members(self, day: int) -> Members:
        """What every security is on a day."""
        versions = self._versions(day)
        if self._made is None or self._made[0] != versions:
            figures = {name: np.full(self.book.width, np.nan) for name in self.book.names}
            for known, _ in versions:
                present = self.book.present(known)
                for name, values in figures.items():
                    values[present] = self.book.figure(known, name)[present]
            order = self.book.places.by_key
            keys = self.book.keys[order]
            ordered, stock = {n: v[order] for n, v in figures.items()}, ~is_fund(keys)
            self._made = versions, Members(keys, ordered, keys[stock], _places(ordered["industry"][stock]))
        return self._made[1]

    def _versions(self, day: int) -> tuple[tuple[int, int], ...]:
        return tuple((d, self.book.days[d].revision) for d in self.book.closed_days() if d <= day)
