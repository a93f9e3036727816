"""When the elements of one open page are drawn again: after changes of the model, at a rate that does not depend on it.

All changes that wait are drawn together, and NiceGUI sends what one tick has drawn as one message: a burst of changes
costs a browser as many pushes as a quiet hour allows, and the last state is always drawn.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from console.model import Part

#: Seconds between two checks for changes: the delay of a change on a quiet page.
TICK_S = 0.1
#: Seconds between two pushes at least: no second has more than three, also where one of them is late.
PUSH_S = 0.5


@dataclass(slots=True)
class _Element:
    """An element, and the versions of the model that it shows."""

    parts: tuple[Part, ...]
    draw: Callable[[], None]
    every_s: float
    versions: list[int]
    drawn_at: float


class Redraws:
    """The elements of a page that follow the model.

    Parameters
    ----------
    version : returns the model's count of changes of a part; it is called at each tick.
    clock : seconds, monotonic.
    """

    def __init__(self, version: Callable[[Part], int], clock: Callable[[], float] = time.monotonic) -> None:
        self._version = version
        self._clock = clock
        self._elements: list[_Element] = []
        self._pushed_at = float("-inf")

    def follow(
        self, parts: tuple[Part, ...], draw: Callable[[], None], *, every_s: float = 0.0, drawn: bool = False
    ) -> None:
        """Draw now, unless it is drawn; then after changes of the parts, at most once in ``every_s`` seconds."""
        self._elements.append(_Element(parts, draw, every_s, self._of(parts), self._clock()))
        if not drawn:
            draw()

    def tick(self) -> None:
        """Draw what has changed, unless the last push is too recent: then a later tick draws it."""
        now = self._clock()
        if now - self._pushed_at < PUSH_S:
            return
        for one in self._elements:
            versions = self._of(one.parts)
            if versions != one.versions and now - one.drawn_at >= one.every_s:
                one.versions, one.drawn_at, self._pushed_at = versions, now, now
                one.draw()

    def _of(self, parts: tuple[Part, ...]) -> list[int]:
        return [self._version(part) for part in parts]
