"""How often an open page is drawn again, with a clock of the test: bursts, the last state, elements with a pace."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest

from console.model import Part
from console.redraws import TICK_S, Redraws

MOST_A_SECOND = 3


@dataclass
class Played:
    """A page that shows the number of changes of a part; its seconds pass at once."""

    every_s: float = 0.0
    versions: Counter[Part] = field(default_factory=Counter)
    now: float = 0.0
    shown: list[tuple[float, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.redraws = Redraws(self.versions.__getitem__, lambda: self.now)
        for part in (Part.FINAL, Part.LIVE):
            self.redraws.follow((part,), self.draw, every_s=self.every_s)
        self.shown.clear()

    def draw(self) -> None:
        self.shown.append((self.now, self.versions[Part.LIVE]))

    def pass_seconds(self, seconds: float, changes_a_tick: int = 0) -> None:
        for _ in range(round(seconds / TICK_S)):
            self.now += TICK_S
            self.versions.update({Part.LIVE: changes_a_tick, Part.FINAL: changes_a_tick})
            self.redraws.tick()

    def pushes(self) -> list[float]:
        """The moments at which something was drawn: what one tick draws is one message."""
        return sorted({at for at, _ in self.shown})


@pytest.mark.parametrize("changes_a_tick", [1, 20])
def test_a_burst_pushes_at_most_three_times_a_second(changes_a_tick: int) -> None:
    page = Played()
    page.pass_seconds(60, changes_a_tick)
    pushes = page.pushes()
    assert max(sum(begin <= at < begin + 1 for at in pushes) for begin in pushes) <= MOST_A_SECOND
    assert len(pushes) > 90  # the page still follows


def test_the_last_state_of_a_burst_is_shown() -> None:
    page = Played()
    page.pass_seconds(10, changes_a_tick=7)
    page.pass_seconds(1)
    assert page.shown[-1][1] == page.versions[Part.LIVE]
    drawn = len(page.shown)
    page.pass_seconds(10)
    assert len(page.shown) == drawn  # nothing is pushed while nothing changes


def test_a_change_of_a_quiet_page_is_shown_at_the_next_tick() -> None:
    page = Played()
    page.pass_seconds(10)
    page.pass_seconds(TICK_S, changes_a_tick=1)
    assert page.pushes() == [page.now]


def test_an_element_with_a_pace_of_its_own_keeps_it_and_shows_the_last_state() -> None:
    page = Played(every_s=5.0)
    page.pass_seconds(20, changes_a_tick=1)
    page.pass_seconds(6)
    assert 4 <= len(page.pushes()) <= 6
    assert page.shown[-1][1] == page.versions[Part.LIVE]
