"""State as the stream stores it: changed rows of a processor's tables, and a processor that loads them."""

from __future__ import annotations

from processors.table import TableSet


class StoredRows:
    """The rows that Redis would contain of one processor."""

    def __init__(self) -> None:
        self.rows: dict[str, bytes] = {}

    def store(self, tables: TableSet) -> None:
        """Store what has changed since the last call."""
        for name, data in tables.changed_rows().items():
            if data is None:
                self.rows.pop(name, None)  # like HDEL: an empty day has no bucket
            else:
                self.rows[name] = data

    def load(self, tables: TableSet) -> None:
        """Load everything into new, empty tables."""
        tables.load_rows(dict(self.rows))
