"""The keys of Redis that several modules use; each begins with the namespace of the settings."""

from __future__ import annotations


def table_key(namespace: str, table: str, partition: int) -> str:
    """Return the common beginning of a partition's keys (`streams.tables`)."""
    return f"{namespace}:{{{table}:{partition}}}"


def rows_key(namespace: str, table: str, partition: int) -> str:
    """Return the key of a partition's rows: field → packed row."""
    return f"{table_key(namespace, table, partition)}:rows"


def offsets_key(namespace: str, table: str, partition: int) -> str:
    """Return the key of a partition's offsets: topic → next offset to read, and the mark of the message before it."""
    return f"{table_key(namespace, table, partition)}:offsets"


def latest_key(namespace: str, name: str) -> str:
    """Return the key of newest values (`streams.latest`)."""
    return f"{namespace}:latest:{name}"


def names_key(namespace: str) -> str:
    """Return the key of the security master's names: code → name."""
    return f"{namespace}:names"
