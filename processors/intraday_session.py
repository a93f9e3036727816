"""The current session of the whole market: index levels and the partitions' sums."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from processors.codes import to_code
from processors.days import SHANGHAI, moment
from processors.events import RowBatch
from processors.outputs import Partial
from processors.table import NUMBER, Table, TableSet, ValueCodec
from processors.trading_hours import TradingHours


class IntradayFigure(NamedTuple):
    """A figure, or the reason why it is absent, and the moment of the newest row behind it, µs since the epoch."""

    value: float | str
    known_at: int


class _Index(msgspec.Struct):
    day: int
    ts: int
    revision: int
    last: float
    turnover: float


class IntradaySession:
    """The newest snapshot of every index and the newest `Partial` of every partition; older ones change nothing."""

    def __init__(self, partitions: int, hours: TradingHours) -> None:
        self.partitions = partitions
        self._hours = hours
        self.indices: Table[int, _Index] = Table("index", NUMBER, ValueCodec(_Index))
        self.partials: Table[int, Partial] = Table("partial", NUMBER, ValueCodec(Partial))
        self.tables = TableSet(self.indices, self.partials)

    @property
    def day(self) -> int:
        """The newest day of indices and margin rows, days since 1970-01-01; 0 if there is none."""
        bought = (p.day for p in self.partials.values() if p.bought_at)
        return max([0, *(i.day for i in self.indices.values()), *bought])

    def live_prices(self) -> dict[str, int]:
        """Return the moment of the newest row of each topic of live prices that has any, µs since the epoch.

        Rows of margin.intraday are none: a desk that buys nothing sends nothing.
        """
        newest = {
            "prices.intraday": max((p.priced_at for p in self.partials.values()), default=0),
            "indices.intraday": max((i.ts for i in self.indices.values()), default=0),
        }
        return {topic: ts for topic, ts in newest.items() if ts}

    def apply_indices(self, batch: RowBatch) -> bool:
        """Fold index snapshots; return whether any of them was newer than the stored one."""
        changed = False
        levels, turnovers = batch.figures["last"], batch.figures["turnover"]
        columns = (batch.keys, batch.days, batch.stamps, batch.revisions, levels, turnovers)
        for key, day, ts, revision, last, turnover in zip(*(c.tolist() for c in columns), strict=True):
            stored = self.indices.get(key)
            if stored is None or (ts, revision) > (stored.ts, stored.revision):
                self.indices[key] = _Index(day, ts, revision, last, turnover)
                changed = True
        return changed

    def apply_partial(self, partial: Partial) -> bool:
        """Fold the sums of a partition; return whether they were newer than the stored ones."""
        stored = self.partials.get(partial.partition)
        if (stored is not None and (partial.day, partial.ts) < (stored.day, stored.ts)) or partial == stored:
            return False
        self.partials[partial.partition] = partial
        return True

    def closes(self, day: int) -> dict[int, IntradayFigure]:
        """Return the last level of every index on ``day``: index id → points."""
        return {key: IntradayFigure(i.last, i.ts) for key, i in self.indices.items() if i.day == day}

    def turnover(self, indices: list[int], day: int) -> IntradayFigure:
        """Return the turnover of the given indices' exchanges since the open, CNY; a reason where one is missing."""
        found = {i: one for i in indices if (one := self.indices.get(i)) is not None and one.day == day}
        absent = ", ".join(to_code(i) for i in indices if i not in found)
        turnover = f"no live turnover of {absent}" if absent else sum(one.turnover for one in found.values())
        return IntradayFigure(turnover, max((one.ts for one in found.values()), default=0))

    def turnover_moments(self, indices: list[int], day: int) -> list[int]:
        """Return the moments of the turnovers of indices, µs since the epoch; the close without any."""
        known = [self.indices[i].ts for i in indices if i in self.indices and self.indices[i].day == day]
        return known or [self._hours.close(day)]

    def fin_buy(self, day: int, coverage: float, turnover_moments: list[int], most_minutes: int) -> IntradayFigure:
        """Return the margin buys of the session, CNY.

        A reason where margin.intraday covers too little of the market, or where a part of the buys or of the turnover
        is of another moment: the buys of the morning over the turnover of the day are the ratio of no moment.

        Parameters
        ----------
        coverage : required share of the covered securities in the last published balance.
        turnover_moments : moments of the turnovers of the exchanges, µs since the epoch.
        most_minutes : the most trading minutes between any two of these moments and those of the partitions' buys.
        """
        # In the order of the partitions: a sum of floats depends on the order, and theirs here is that of arrival.
        every = [self.partials[partition] for partition in sorted(self.partials)]
        partials = [p for p in every if p.day == day]
        bought = [p.bought_at for p in partials if p.bought_at]
        covered, balance = sum(p.covered_balance for p in partials), sum(p.balance for p in every)
        if len(every) < self.partitions or not balance or covered < coverage * balance:
            share = covered / balance if balance else 0.0
            reason = f"margin.intraday covers {share:.0%} of the last published balance, {coverage:.0%} are needed"
            return IntradayFigure(reason, max(bought, default=0))
        bought = bought or turnover_moments
        traded = [self._hours.traded_minutes(ts) for ts in (*bought, *turnover_moments)]
        if max(traded) - min(traded) > most_minutes:
            reason = (
                f"margin.intraday is of {_clocks(bought)}, the turnover of {_clocks(turnover_moments)}: more than "
                f"{most_minutes} trading minutes apart"
            )
            return IntradayFigure(reason, max(*bought, *turnover_moments))
        return IntradayFigure(sum(p.fin_buy for p in partials), max(bought))


def _clocks(moments_us: list[int]) -> str:
    """Return the first and the last of moments, one where they are the same, in Shanghai."""
    clocks = (f"{moment(at).astimezone(SHANGHAI):%H:%M}" for at in (min(moments_us), max(moments_us)))
    return "–".join(dict.fromkeys(clocks))
