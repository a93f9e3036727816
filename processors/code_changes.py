"""Changes of codes: one security that was listed under several codes, one after the other.

Beijing's codes became 920xxx on 2025-10-09; 000043 became 001914, 000022 became 001872. The state of a security is kept
under its newest code, so that its history continues. All its rows belong to one partition, that of its first code: the
place of a row does not move on the day of the change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date
from hashlib import blake2b

import numpy as np

from processors.arrays import Ids
from processors.codes import places_sorted, to_code, to_id
from processors.days import to_day
from processors.errors import MarginwatchError
from processors.events import RowBatch


@dataclass(frozen=True, slots=True)
class CodeChange:
    """A security's code is ``new`` from a trade date on."""

    old: str
    new: str
    since: date


class CodeChanges:
    """The known changes.

    Parameters
    ----------
    changes : in any order; a code may change several times.

    Raises
    ------
    MarginwatchError : if a code has two successors or two predecessors, or becomes itself again.
    """

    def __init__(self, changes: Iterable[CodeChange] = ()) -> None:
        found = sorted({(change.since, to_id(change.old), to_id(change.new)) for change in changes})
        successor, predecessor = dict[int, int](), dict[int, int]()
        for _, old, new in found:
            if successor.setdefault(old, new) != new or predecessor.setdefault(new, old) != old:
                raise MarginwatchError(f"{to_code(old)} → {to_code(new)}: each of the codes may change once")
        self._before = {new: (old, to_day(since)) for since, old, new in found}
        self._olds, self._newest = _ends(successor)
        self._news, self._first = _ends(predecessor)
        self.digest = blake2b(repr(found).encode(), digest_size=4).hexdigest() if found else ""

    def newest(self, keys: Ids) -> Ids:
        """Return the newest code of each security (n,)."""
        return _replaced(keys, self._olds, self._newest)

    def knows(self, keys: Ids) -> bool:
        """Return whether any of the codes has changed, or is the new code of another one."""
        return bool(len(self._olds)) and bool(np.isin(keys, np.concatenate([self._olds, self._news])).any())

    def on(self, newest: int, day: int) -> int:
        """Return the code of a security on a day, given its newest one."""
        code = newest
        while code in self._before and day < self._before[code][1]:
            code = self._before[code][0]
        return code

    def nearest(self, newest: int, day: int, codes: Collection[int]) -> int:
        """Return that of some codes of a security which is valid on a day, or the nearest to it: the older ones first.

        Parameters
        ----------
        newest : the newest code of the security.
        """
        valid, line = self.on(newest, day), [newest]
        while line[-1] in self._before:
            line.append(self._before[line[-1]][0])
        at = line.index(valid)
        return next(code for code in (*line[at:], *reversed(line[:at])) if code in codes)

    def valid_on(self, keys: Ids, day: int) -> Ids:
        """Return the code of each security on a day (n,)."""
        out = self.newest(keys)
        for at in np.flatnonzero(np.isin(out, self._news)).tolist():
            out[at] = self.on(int(out[at]), day)
        return out

    def first(self, keys: Ids) -> Ids:
        """Return the first code of each security (n,)."""
        return _replaced(keys, self._news, self._first)

    def renamed(self, batch: RowBatch) -> RowBatch:
        """Return rows keyed by code under the newest codes."""
        return replace(batch, keys=self.newest(batch.keys)) if len(self._olds) else batch


def _ends(following: dict[int, int]) -> tuple[Ids, Ids]:
    """Return the codes that have a following one, ascending, and the last one of the chain of each."""
    ends = {}
    for code in following:
        at, steps = code, 0
        while at in following:
            at, steps = following[at], steps + 1
            if steps > len(following):
                raise MarginwatchError(f"the changes of {to_code(code)} lead back to it")
        ends[code] = at
    order = sorted(ends)
    return np.array(order, dtype=np.int32), np.array([ends[code] for code in order], dtype=np.int32)


def _replaced(keys: Ids, known: Ids, values: Ids) -> Ids:
    at = places_sorted(keys, known)
    out, changed = keys.copy(), at >= 0
    out[changed] = values[at[changed]]
    return out


NO_CHANGES = CodeChanges()
