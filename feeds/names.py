"""Do names still belong to their codes? A column that has slipped shows as many securities with another name.

Names are in no event of margin figures: they are looked at while files are read, against the day before, other files
of the run, and the security master's in Redis. On the real figures of 2018–2021 an exchange renamed at most 2 a day,
and 4% over all three years, so a few are told and many stop publishing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from redis.exceptions import RedisError

from feeds.dataset import SourceTable
from feeds.ledger import unreachable
from feeds.reference_files import names_key
from feeds.validate import Finding, Severity
from processors.codes import to_code, to_id
from streams.clients import redis_client
from streams.settings import Settings

#: More renamed securities than this, and than this share of those compared, are no renamings.
_FEW, _SHARE = 5, 0.05
_TOLD = 5
#: What stands before a name for a time (ex-dividend, ex-rights, new, special treatment), and a share class after it.
_MARKS = re.compile(r"^(XD|XR|DR|S?\*?ST|[NCUGS](?=[\u4e00-\u9fff]))+")
_CLASS = re.compile(r"-[A-Z]{1,3}$")
_SHORTEST = 2


class Names:
    """The last name known of each security."""

    def __init__(self, known: Mapping[int, str] | None = None) -> None:
        self._known = dict(known or {})

    def findings(self, parts: Iterable[SourceTable]) -> Iterator[Finding]:
        """Compare names day by day with those known before; nothing is learnt from them yet."""
        known = dict(self._known)
        for topic, day, origin, named in _named(parts):
            both = [key for key in named if key in known]
            other = [key for key in both if not same(named[key], known[key])]
            if other:
                many = len(other) > max(_FEW, _SHARE * len(both))
                told = ", ".join(f"{to_code(k)} {known[k]} → {named[k]}" for k in other[:_TOLD])
                text = (
                    f"{origin}: {len(other)} of {len(both)} securities have another name than before: {told}"
                    f"{' …' if len(other) > _TOLD else ''}: "
                    + ("have names and codes slipped against each other?" if many else "renamed?")
                )
                yield Finding(Severity.ERROR if many else Severity.WARNING, "name", topic, day, text)
            known |= named

    def learn(self, parts: Iterable[SourceTable]) -> None:
        """Take the names of files whose figures are good."""
        for _, _, _, named in _named(parts):
            self._known |= named


def remembered(settings: Settings) -> Names:
    """Return the security master's names; raises `LedgerError` if Redis can't be reached."""
    try:
        with redis_client(settings) as redis:
            found: Any = redis.hgetall(names_key(settings))
    except RedisError as error:
        raise unreachable(error) from error
    return Names({to_id(code.decode()): name.decode() for code, name in found.items()})


def same(one: str, other: str) -> bool:
    """Whether two names are those of one security: marks come and go, and cut the end off (XD贵州茅)."""
    a, b = _core(one), _core(other)
    return a == b or (min(len(a), len(b)) >= _SHORTEST and (a.startswith(b) or b.startswith(a)))


@lru_cache(maxsize=65_536)
def _core(name: str) -> str:
    plain = re.sub(r"\s+", "", unicodedata.normalize("NFKC", name)).upper()
    return _MARKS.sub("", _CLASS.sub("", plain))


def _named(parts: Iterable[SourceTable]) -> Iterator[tuple[str, int | None, str, dict[int, str]]]:
    """Topic, day, origin and the names (key → name) of each part and day, by day."""
    found: list[tuple[str, int | None, str, dict[int, str]]] = []
    for part in parts:
        if "name" not in part.frame:
            continue
        frame = part.frame[part.frame["name"].map(_is_name)]
        if "day" not in frame:
            found.append((part.topic, None, part.origin, _by_key(frame)))
            continue
        frame = frame.sort_values("day", kind="stable")
        days, starts = np.unique(frame["day"], return_index=True)
        ends = [*starts[1:].tolist(), len(frame)]
        for day, start, end in zip(days.tolist(), starts.tolist(), ends, strict=True):
            found.append((part.topic, day, part.origin, _by_key(frame.iloc[start:end])))
    yield from sorted(found, key=lambda one: one[1] or 0)


def _by_key(rows: pd.DataFrame) -> dict[int, str]:
    return dict(zip(rows["key"].tolist(), rows["name"].tolist(), strict=True))


def _is_name(cell: object) -> bool:
    return isinstance(cell, str) and cell.strip() not in ("", "-", "--")
