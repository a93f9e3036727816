"""The newest rows of securities against a plain model: of each security the frames of its newest day."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from processors.codes import to_codes, to_id
from processors.outputs import FAMILIES, DayStatus, SecuritySignals
from processors.registry import PUBLISHED_COLUMNS, signals_of
from processors.signal import Level
from streams.codecs.signal_codec import columns_of, encode_security
from streams.latest_securities import NewestSecurities, frame_name
from streams.tables import Output

CODES = ("600000.SH", "000001.SZ")
DAYS = (1, 2, 3)
#: A column of each family, and every column that a row has.
SHOWN = {family: sorted(columns_of(family))[0] for family in FAMILIES}
COLUMNS = {*PUBLISHED_COLUMNS, *(signal.id for signal in signals_of(Level.SECURITY))}


def lacks(family: str, day: int, revision: int) -> dict[str, int]:
    """What a frame lacks: rows of a feed that both families read, and of one that is its own; less when corrected."""
    return ({"margin.daily SSE": 9 - revision} if day == 1 else {}) | ({family: 1} if (day + revision) % 2 else {})


class History:
    """What was published, and what Redis contains of it; the owners of the state write, fail and change."""

    def __init__(self, members: dict[tuple[str, int], set[str]]) -> None:
        self.members = members
        self.frames: dict[tuple[str, int], SecuritySignals] = {}
        self.stored: dict[str, bytes] = {}
        self.unwritten: list[Output] = []
        self.owner = NewestSecurities()

    def publish(self, family: str, day: int, value: float | None) -> None:
        """Publish the next revision of a day's frame, and offer it to the owner."""
        held = self.frames.get((family, day))
        revision = 0 if held is None else held.status.revision + 1
        status = DayStatus(
            trade_date=date(2020, 1, day),
            available_at=datetime(2020, 1, day, 12, tzinfo=UTC) + timedelta(minutes=revision),
            revision=revision,
            missing=lacks(family, day, revision),
        )
        keys = np.array(sorted(map(to_id, self.members[family, day])), dtype=np.int32)
        columns = dict.fromkeys(columns_of(family), np.full(len(keys), np.nan if value is None else value))
        self.frames[family, day] = SecuritySignals(status, keys, columns, family)
        message = encode_security(self.frames[family, day], "t")
        self.unwritten.append(message)
        self.owner.offer(message, late=False)

    def write(self, *, fails: bool = False) -> None:
        found = self.owner.take()
        if found is None:
            return
        values = found.values([self.stored.get(name) for name in found.names])
        if fails:
            self.owner.give_back(found)
        else:
            self.stored |= values
            self.unwritten = []

    def restart(self, outbox: int) -> None:
        """Let a new owner publish the last outputs again, and read what the one before has not written."""
        self.owner = NewestSecurities()
        for message in self.unwritten[len(self.unwritten) - min(outbox, len(self.unwritten)) :]:
            self.owner.offer(message, late=False)
        for message in reversed(self.unwritten):
            self.owner.offer(message, late=True)
        for family in FAMILIES:
            if (value := self.stored.get(frame_name(family))) is not None:
                self.owner.restore(Output("", 0, b"", value, []), replaces=True)

    def expected(self, code: str) -> dict[str, Any] | None:
        """Return the row of a security: the figures of its newest day, each family's as published last."""
        days = [day for (_, day), frame in self.frames.items() if code in to_codes(frame.keys)]
        if not days:
            return None
        found = [one for (_, day), one in self.frames.items() if day == max(days) and code in to_codes(one.keys)]
        row: dict[str, Any] = dict.fromkeys(COLUMNS)
        for frame in found:
            values = {name: values[to_codes(frame.keys).index(code)] for name, values in frame.columns.items()}
            row |= {name: None if value != value else value for name, value in values.items()}
        by_family = sorted(found, key=lambda frame: frame.family)
        missing = {feed: rows for frame in by_family for feed, rows in frame.status.missing.items()}
        return row | {
            "code": code,
            "trade_date": found[0].status.trade_date.isoformat(),
            "available_at": max(frame.status.available_at for frame in found).isoformat().replace("+00:00", "Z"),
            "revision": max(frame.status.revision for frame in found),
            "missing": missing,
            "degraded": bool(missing),
        }

    def check(self) -> None:
        """Compare what Redis contains with what was published, behind a write."""
        for code in CODES:
            found = self.stored.get(f"security:{code}")
            assert (None if found is None else msgspec.json.decode(found)) == self.expected(code)
        newest = max((day for _, day in self.frames), default=None)
        if newest is not None:
            assert msgspec.json.decode(self.stored["securities"], type=date) == date(2020, 1, newest)


PUBLISH = st.tuples(st.sampled_from(FAMILIES), st.sampled_from(DAYS), st.one_of(st.none(), st.integers(1, 99)))
STEP = st.one_of(*[PUBLISH] * 6, st.just("write"), st.just("fail"), st.integers(0, 2))
#: Of two securities one is in every frame, the other comes and leaves.
MEMBERS = st.fixed_dictionaries(
    {(family, day): st.sampled_from([{CODES[0]}, {*CODES}]) for family in FAMILIES for day in DAYS}
)


#: The second security leaves behind the first, or the second day.
LEFT_EARLY, LEFT_LATE = (
    {(family, day): {*CODES} if day <= last else {CODES[0]} for family in FAMILIES for day in DAYS} for last in (1, 2)
)


@settings(max_examples=500)
@given(MEMBERS, st.lists(STEP, min_size=6, max_size=16))
@example(LEFT_LATE, [("financing", 1, 1), ("financing", 2, 2), ("financing", 3, 3), ("financing", 1, 4)])
@example(LEFT_EARLY, [("financing", 1, 1), ("financing", 2, 2), "write", ("pricing", 2, 3), ("pricing", 1, 4)])
@example(LEFT_EARLY, [("financing", 2, 1), ("pricing", 1, 1), ("financing", 3, 2), "write", ("financing", 2, 3)])
def test_each_security_has_the_figures_of_its_newest_day_whatever_happened(
    members: dict[tuple[str, int], set[str]], steps: list[Any]
) -> None:
    history = History(members)
    for step in steps:
        if isinstance(step, tuple):
            family, day, value = step
            history.publish(family, day, None if value is None else float(value))
        elif isinstance(step, int):
            history.restart(step)
        else:
            history.write(fails=step == "fail")
            if step == "write":
                history.check()
    history.write()
    assert history.owner.take() is None
    history.check()
