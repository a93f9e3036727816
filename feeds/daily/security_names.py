"""Checking that names belong to their codes: after a shift of columns many securities have another name.

Events of margin figures contain no names. They are compared while files are read: with the day before, with other files
of the same command, and with the security master. In the published figures of 2018–2021 an exchange renamed at most 2
securities a day; from 2016 to 2025 one in six. A new name is a warning, and so are many: the names that are known may
be years older, or younger, than the day. Many names that are known of other securities are an error, and so are most
names that are others. On a day before what is published none replaces a known one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache

import numpy as np
import pandas as pd

from feeds.checks.findings import Finding, Severity
from feeds.files.dataset import SourceTable
from processors.codes import to_code, to_id

#: More securities with the name of another one than this, and than this share of those compared, are an error.
_FEW, _SHARE = 5, 0.05
#: The share of names that are others, whosever they are, that is an error.
_MOST = 0.5
_SHOWN = 5
#: Temporary prefixes of a name (ex-dividend, ex-rights, new, special treatment), and the suffix of a share class.
_MARKS = re.compile(r"^(XD|XR|DR|S?\*?ST|[NCUGS](?=[\u4e00-\u9fff]))+")
_CLASS = re.compile(r"-[A-Z]{1,3}$")
_SHORTEST = 2

#: Whether a later day than this one is published of a topic.
IsOlder = Callable[[str, int], bool]


def _none_is_older(topic: str, day: int) -> bool:  # noqa: ARG001
    return False


class SecurityNames:
    """The last known name of each security.

    Parameters
    ----------
    names : code → name, as far as they are known before anything is read.
    """

    def __init__(self, names: Mapping[str, str] | None = None) -> None:
        self._known = {to_id(code): name for code, name in (names or {}).items()}

    def compare(self, tables: Iterable[SourceTable], is_older: IsOlder = _none_is_older) -> Iterator[Finding]:
        """Compare the names of tables day by day with those known before, without learning them."""
        newest, older = dict(self._known), dict[int, str]()
        for topic, day, origin, named in _named(tables):
            old = day is not None and is_older(topic, day)
            known = newest | older if old else newest
            both = [key for key in named if key in known]
            other = [key for key in both if not is_same_name(named[key], known[key])]
            if other:
                moved = _of_others(other, named, known)
                many = moved > max(_FEW, _SHARE * len(both)) or len(other) > max(_FEW, _MOST * len(both))
                shown = ", ".join(f"{to_code(k)} {known[k]} → {named[k]}" for k in other[:_SHOWN])
                text = (
                    f"{origin}: {len(other)} of {len(both)} securities have another name than "
                    f"{'is known' if old else 'before'}: {shown}{' …' if len(other) > _SHOWN else ''}: "
                    + ("check whether names and codes are shifted against each other" if many else "renamed?")
                )
                yield Finding(Severity.ERROR if many else Severity.WARNING, "name", topic, day, text)
            (older if old else newest).update(named)

    def known(self) -> dict[str, str]:
        """Return the last known names without temporary marks, which cut a name off: code → name."""
        return {to_code(key): name for key, name in self._known.items() if _is_whole(name)}

    def learn(self, tables: Iterable[SourceTable], is_older: IsOlder = _none_is_older) -> None:
        """Take the names of tables that passed the checks; those of older days where there is none."""
        for topic, day, _, named in _named(tables):
            if day is not None and is_older(topic, day):
                named |= {key: self._known[key] for key in named.keys() & self._known.keys()}
            self._known |= named


def names_of(rows: pd.DataFrame) -> dict[str, str]:
    """Return the names of mapped rows without temporary marks: code → name; nothing where the source has no names."""
    if "name" not in rows:
        return {}
    named = _by_key(rows[rows["name"].map(_is_name)])
    return {to_code(key): name for key, name in named.items() if _is_whole(name)}


def is_same_name(one: str, other: str) -> bool:
    """Whether two names belong to one security: a temporary prefix may cut the end off (XD贵州茅)."""
    a, b = _core(one), _core(other)
    return a == b or (min(len(a), len(b)) >= _SHORTEST and (a.startswith(b) or b.startswith(a)))


def _of_others(keys: Iterable[int], named: Mapping[int, str], known: Mapping[int, str]) -> int:
    """Return how many of some securities, whose names are others than known, have the known name of another one."""
    names = {_core(name) for name in known.values()}
    return sum(_core(named[key]) in names for key in keys)


@lru_cache(maxsize=65_536)
def _core(name: str) -> str:
    plain = re.sub(r"\s+", "", unicodedata.normalize("NFKC", name)).upper()
    return _MARKS.sub("", _CLASS.sub("", plain))


def _named(tables: Iterable[SourceTable]) -> Iterator[tuple[str, int | None, str, dict[int, str]]]:
    """Yield topic, day, origin and names (key → name) of each table and day, in the order of days."""
    found: list[tuple[str, int | None, str, dict[int, str]]] = []
    for table in tables:
        if "name" not in table.frame:
            continue
        frame = table.frame[table.frame["name"].map(_is_name)]
        if frame.empty:
            continue
        if "day" not in frame:
            found.append((table.topic, None, table.origin, _by_key(frame)))
            continue
        frame = frame.sort_values("day", kind="stable")
        days, starts = np.unique(frame["day"], return_index=True)
        ends = [*starts[1:].tolist(), len(frame)]
        for day, start, end in zip(days.tolist(), starts.tolist(), ends, strict=True):
            found.append((table.topic, day, table.origin, _by_key(frame.iloc[start:end])))
    yield from sorted(found, key=lambda one: one[1] or 0)


def _by_key(rows: pd.DataFrame) -> dict[int, str]:
    return dict(zip(rows["key"].tolist(), rows["name"].tolist(), strict=True))


def _is_whole(name: str) -> bool:
    """Whether a name has no temporary mark, which cuts it off; special treatment lasts, and is a part of it."""
    return not _MARKS.match(name) or "ST" in name[:4]


def _is_name(cell: object) -> bool:
    return isinstance(cell, str) and cell.strip() not in ("", "-", "--")
