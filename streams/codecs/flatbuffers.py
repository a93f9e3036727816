"""Reading tables of flatbuffers, in which the metadata of Arrow messages is written; every read is checked.

The format: https://flatbuffers.dev/internals/
"""

from __future__ import annotations

import struct

import numpy as np


class Record:
    """A table; fields are named by their numbers.

    Every read lies inside of the bytes, or raises `ValueError` or `struct.error`.

    Parameters
    ----------
    at : where the table begins.
    """

    __slots__ = ("_at", "_bytes", "_fields")

    def __init__(self, data: bytes, at: int) -> None:
        self._bytes, self._at = data, at
        (back,) = struct.unpack_from("<i", data, at)
        start = at - back
        if start < 0:
            raise ValueError("a table of its metadata lies outside")
        (size,) = struct.unpack_from("<H", data, start)
        self._fields = struct.unpack_from(f"<{max(0, size // 2 - 2)}H", data, start + 4)

    def _place(self, field: int) -> int:
        """Where a field lies; 0 if it is absent."""
        offset = self._fields[field] if field < len(self._fields) else 0
        return self._at + offset if offset else 0

    def number(self, field: int, form: str, default: int = 0) -> int:
        """Return a whole number or truth value, as `struct` names its form."""
        at = self._place(field)
        return int(struct.unpack_from(form, self._bytes, at)[0]) if at else default

    def _target(self, field: int) -> int:
        at = self._place(field)
        return at + int(struct.unpack_from("<I", self._bytes, at)[0]) if at else 0

    def record(self, field: int) -> Record | None:
        """Return a table, None if it is absent."""
        at = self._target(field)
        return Record(self._bytes, at) if at else None

    def text(self, field: int) -> str:
        """Return a string, empty if it is absent."""
        at = self._target(field)
        if not at:
            return ""
        (size,) = struct.unpack_from("<I", self._bytes, at)
        found = self._bytes[at + 4 : at + 4 + size]
        if len(found) < size:
            raise ValueError("a string of its metadata lies outside")
        return found.decode()

    def places(self, field: int, most: int) -> list[int]:
        """Return where the tables of a vector of at most ``most`` begin."""
        at = self._target(field)
        if not at:
            return []
        (count,) = struct.unpack_from("<I", self._bytes, at)
        if count > most:
            raise ValueError(f"its metadata lists {count:,} things where at most {most} are accepted")
        offsets = struct.unpack_from(f"<{count}I", self._bytes, at + 4)
        return [at + 4 + 4 * i + offset for i, offset in enumerate(offsets)]

    def records(self, field: int, most: int) -> list[Record]:
        """Return the tables of a vector of at most ``most``."""
        return [Record(self._bytes, at) for at in self.places(field, most)]

    def pairs(self, field: int) -> list[list[int]]:
        """Return a vector of structs of two 64-bit numbers."""
        at = self._target(field)
        if not at:
            return []
        (count,) = struct.unpack_from("<I", self._bytes, at)
        found: list[list[int]] = np.frombuffer(self._bytes, "<i8", 2 * count, at + 4).reshape(-1, 2).tolist()
        return found
