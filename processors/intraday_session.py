"""The running session of the whole market: live index levels and the partitions' sums."""

from __future__ import annotations

import msgspec

from processors.codes import to_code
from processors.events import RowBatch
from processors.outputs import Partial
from processors.table import NUMBER, Table, TableSet, ValueCodec


class _Index(msgspec.Struct):
    day: int
    ts: int
    revision: int
    last: float
    turnover: float


class IntradaySession:
    """The newest index snapshots and the newest `Partial` of every partition; older ones change nothing."""

    def __init__(self, partitions: int) -> None:
        self.partitions = partitions
        self.indices: Table[int, _Index] = Table("index", NUMBER, ValueCodec(_Index))
        self.partials: Table[int, Partial] = Table("partial", NUMBER, ValueCodec(Partial))
        self.tables = TableSet(self.indices, self.partials)

    @property
    def day(self) -> int:
        """The newest day of any live row; 0 if there is none."""
        return max([0, *(i.day for i in self.indices.values()), *(p.day for p in self.partials.values())])

    @property
    def ts(self) -> int:
        """The newest live row, µs since the epoch."""
        return max([0, *(i.ts for i in self.indices.values()), *(p.ts for p in self.partials.values())])

    def apply_indices(self, batch: RowBatch) -> bool:
        """Fold index snapshots; return whether any was newer than the stored ones."""
        news = False
        figures = (
            batch.keys,
            batch.days,
            batch.stamps,
            batch.revisions,
            batch.figures["last"],
            batch.figures["turnover"],
        )
        for key, day, ts, revision, last, turnover in zip(*(f.tolist() for f in figures), strict=True):
            held = self.indices.get(key)
            if held is None or (ts, revision) > (held.ts, held.revision):
                self.indices[key] = _Index(day, ts, revision, last, turnover)
                news = True
        return news

    def apply_partial(self, partial: Partial) -> bool:
        """Take a partition's sums; return whether they are newer than the stored ones."""
        held = self.partials.get(partial.partition)
        if (held is not None and (partial.day, partial.ts) < (held.day, held.ts)) or partial == held:
            return False
        self.partials[partial.partition] = partial
        return True

    def closes(self, day: int) -> dict[int, float]:
        """Live level of every index on ``day``."""
        return {key: i.last for key, i in self.indices.items() if i.day == day}

    def turnover(self, indices: list[int], day: int) -> float | str:
        """Live turnover of the given indices' exchanges, CNY; a reason where one is missing."""
        absent = [to_code(i) for i in indices if i not in self.indices or self.indices[i].day != day]
        if absent:
            return f"no live turnover of {', '.join(absent)}"
        return sum(self.indices[i].turnover for i in indices)

    def fin_buy(self, day: int, coverage: float) -> float | str:
        """Margin buys of the running session, CNY; a reason where margin.intraday covers too little.

        Parameters
        ----------
        coverage : share of the last published balance that the covered securities must make up.
        """
        partials = [p for p in self.partials.values() if p.day == day]
        covered, balance = sum(p.covered_balance for p in partials), sum(p.balance for p in self.partials.values())
        if len(self.partials) < self.partitions or not balance or covered < coverage * balance:
            share = covered / balance if balance else 0.0
            return f"margin.intraday covers {share:.0%} of the last published balance, {coverage:.0%} are needed"
        return sum(p.fin_buy for p in partials)
