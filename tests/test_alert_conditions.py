"""A condition that must hold, rests and is corrected: every short sequence of days against the rule by hand."""

from __future__ import annotations

from datetime import date
from itertools import product

import pytest

from alerts.desk import AlertDesk
from alerts.model import State
from tests.test_desk import CALENDAR, DAYS, fold, over, ratio

ON, HOLD, END = 0.11, 0.095, 0.08  # at or above 10%, between the lines, below 9%
Alerts = dict[date, tuple[State, date | None]]


def by_hand(values: tuple[float, ...], minimum: int, cooldown: int) -> Alerts:
    """The alerts of a sequence of days, day by day."""
    out: Alerts = {}
    begun, held, rests = None, 0, 0  # day that the condition began, days that it held, days to rest
    for at, value in enumerate(values):
        if value == END:
            if begun is not None:
                out[begun] = (State.RESOLVED, DAYS[at])
                rests = cooldown
            else:
                rests -= 1
            begun, held = None, 0
        elif begun is None and rests > 0:
            rests -= 1
        elif value == ON:
            begun, held = begun or DAYS[at], held + 1
            if out.get(begun, (None,))[0] is not State.FIRING:
                out[begun] = (State.FIRING if held >= minimum else State.PENDING, None)
    return out


def alerts_of(desk: AlertDesk) -> Alerts:
    return {a.trade_date: (a.state, a.resolved_on) for a in desk.lifecycle.alerts.values()}


@pytest.mark.parametrize(("minimum", "cooldown"), [(1, 0), (2, 0), (3, 0), (1, 1), (1, 2), (2, 1), (3, 2)])
def test_every_sequence_of_five_days(minimum: int, cooldown: int) -> None:
    for values in product((ON, HOLD, END), repeat=5):
        desk = AlertDesk([over(minimum, cooldown)], CALENDAR)
        fold(desk, *(ratio(at, value) for at, value in enumerate(values)))
        assert alerts_of(desk) == by_hand(values, minimum, cooldown), values


@pytest.mark.parametrize(("minimum", "cooldown"), [(1, 0), (2, 0), (3, 2)])
def test_every_correction_of_a_day_ends_like_the_corrected_sequence(minimum: int, cooldown: int) -> None:
    for values in product((ON, HOLD, END), repeat=4):
        for changed, value in product(range(4), (ON, HOLD, END)):
            desk = AlertDesk([over(minimum, cooldown)], CALENDAR)
            fold(desk, *(ratio(at, v) for at, v in enumerate(values)), ratio(changed, value, 1))
            corrected = (*values[:changed], value, *values[changed + 1 :])
            assert alerts_of(desk) == by_hand(corrected, minimum, cooldown), (values, changed, value)
