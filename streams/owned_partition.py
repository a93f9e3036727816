"""A partition that a worker owns: its table, its state, where it is read, and when its topics were active last."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from streams.stage import StageState
from streams.tables import TablePartition
from streams.transport import Poll


class OwnedPartition:
    """One partition of a stage.

    Attributes
    ----------
    state : None while it could not be loaded.
    finishing : the task that stores and publishes the last step.
    read : topic → next offset to fold; at most a step ahead of what is stored.
    """

    def __init__(self, table: TablePartition, state: StageState | None) -> None:
        self.table = table
        self.state = state
        self.finishing: asyncio.Task[None] | None = None
        self.read = dict(table.offsets)
        self.marks: dict[str, str] = {}  # of the messages before `read`
        self._active_at: dict[str, float] = {}
        self._since = time.monotonic()

    def mark_active(self, topic: str) -> None:
        """Note that messages of a topic have arrived."""
        self._active_at[topic] = time.monotonic()

    def idle_s(self, topic: str) -> float:
        """For how many seconds no message of a topic has arrived."""
        return time.monotonic() - self._active_at.get(topic, self._since)

    async def finished(self) -> None:
        """Wait until the last step is stored and its outputs are acknowledged."""
        if self.finishing is not None:
            await self.finishing
            self.finishing = None

    def unread(self, poll: Poll) -> Sequence[Any]:
        """Drop what is already in the state (a poll fetched before a seek took effect)."""
        start = self.read.get(poll.topic, 0)
        return [record for record in poll.records if record.offset >= start]
