"""The days of securities that the console keeps: every version of their frames, the rows of one security, the flags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np

from console.versions import Versions
from processors.arrays import Floats
from processors.codes import to_codes, to_id
from processors.errors import RowError
from processors.outputs import FINANCING, PRICING, SecuritySignals
from processors.signal import number

Row = dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Flag:
    """A security that is flagged on the newest day."""

    code: str
    kind: str  # extreme, streak, divergence, score
    side: int  # direction of the figure: +1 rises, −1 falls, 0 neither
    strong: bool
    change: float | None
    streak: int | None
    excess: float | None


class SecurityDays:
    """The frames of the newest days, by family.

    Parameters
    ----------
    streak_flags : lengths of streaks that are flagged, in days.
    """

    def __init__(self, streak_flags: Sequence[int], kept: int) -> None:
        self._streak_flags = tuple(streak_flags)
        self._kept = kept
        self._frames = {family: Versions[SecuritySignals](kept) for family in (FINANCING, PRICING)}

    def offer(self, frame: SecuritySignals) -> bool:
        """Store a frame; return whether its day is one of the kept ones."""
        return self._frames[frame.family].offer(frame.status.trade_date, frame.status.available_at, frame)

    def known_at(self, moment: datetime) -> SecurityDays:
        """Return the frames as they were known at a moment."""
        out = SecurityDays(self._streak_flags, self._kept)
        out._frames = {family: frames.known_at(moment) for family, frames in self._frames.items()}
        return out

    def newest(self) -> SecuritySignals | None:
        """Return the newest frame that needs no prices; it may be empty."""
        found = self._frames[FINANCING]
        return found.newest(found.days[-1]) if found.days else None

    def newest_known(self) -> SecuritySignals | None:
        """Return the newest such frame with a security."""
        found = self._frames[FINANCING]
        return next((f for day in reversed(found.days) if len((f := found.newest(day)).keys)), None)

    @property
    def known_day(self) -> date | None:
        """The day of that frame."""
        found = self.newest_known()
        return None if found is None else found.status.trade_date

    def rows(self, code: str) -> list[tuple[date, Row]]:
        """Return the figures of one security by day, of both families; empty for an unknown code."""
        try:
            key = to_id(code)
        except RowError:
            return []
        out: dict[date, Row] = {}
        for frames in self._frames.values():
            for day in frames.days:
                frame = frames.newest(day)
                at = int(np.searchsorted(frame.keys, key))
                if at < len(frame.keys) and frame.keys[at] == key:
                    out.setdefault(day, {}).update(row(frame.columns, at))
        return sorted(out.items())

    def of_newest_day(self, codes: Sequence[str]) -> dict[str, Row]:
        """Return the figures of the newest known day of those securities that have some."""
        frame = self.newest_known()
        if frame is None:
            return {}
        keys = np.array([to_id(code) for code in codes], dtype=frame.keys.dtype)
        at = np.minimum(np.searchsorted(frame.keys, keys), len(frame.keys) - 1)
        return {codes[i]: row(frame.columns, int(at[i])) for i in np.flatnonzero(frame.keys[at] == keys).tolist()}

    def chart_scores(self, day: date) -> dict[str, float | None]:
        """Return the chart score of every security of the margin list on a day; empty for a day without prices."""
        pricing = self._frames[PRICING]
        frame = pricing.newest(day) if day in pricing.days else None
        if frame is None or "chart_score" not in frame.columns:
            return {}
        return dict(zip(to_codes(frame.keys), map(number, frame.columns["chart_score"].tolist()), strict=True))

    def codes(self) -> list[str]:
        """Return every security of the newest known day."""
        frame = self.newest_known()
        return [] if frame is None else to_codes(frame.keys)

    def flags(self) -> tuple[date | None, list[Flag]]:
        """Return the newest known day and its flags, the stronger ones first."""
        frame = self.newest_known()
        if frame is None:
            return None, []
        day, columns = frame.status.trade_date, dict(frame.columns)
        pricing = self._frames[PRICING]
        priced = pricing.newest(day) if day in pricing.days else None
        if priced is not None and np.array_equal(priced.keys, frame.keys):
            columns |= priced.columns
        size = len(frame.keys)

        def column(name: str) -> Floats:
            found = columns.get(name)
            return np.full(size, np.nan) if found is None else np.asarray(found, dtype=np.float64)

        extreme, twice, streak = column("extreme"), column("consecutive_extreme"), column("fin_streak")
        case, top, kind = column("divergence"), column("excess_top"), column("excess_kind")
        change, excess = column("fin_change"), column("streak_excess")
        longest = max(self._streak_flags)
        reached = np.isin(np.abs(streak), self._streak_flags) & ~np.isnan(change)
        chosen = (
            ("extreme", np.abs(extreme) == 1, extreme, np.abs(twice) == 1),
            ("streak", reached, streak, np.abs(streak) >= longest),
            ("divergence", case > 0, streak, case > 0),
            ("score", top == 1, kind, np.zeros(size, dtype=bool)),
        )
        codes = to_codes(frame.keys)
        out = [
            Flag(codes[i], name, int(np.sign(_or_zero(side[i]))), bool(strong[i]), number(change[i]),
                 int(_or_zero(streak[i])), number(excess[i]))
            for name, hit, side, strong in chosen
            for i in np.flatnonzero(hit).tolist()
        ]  # fmt: skip
        return day, sorted(out, key=lambda f: (f.kind != "divergence", not f.strong, -abs(f.change or 0.0), f.code))


def row(columns: dict[str, Any], at: int) -> Row:
    """Return the figures at a place of columns, None where absent."""
    return {name: number(values[at]) for name, values in columns.items()}


def _or_zero(value: float) -> float:
    return 0.0 if np.isnan(value) else value
