"""Records of one market regime: the streaks of a made history by hand, however late a regime is known."""

from __future__ import annotations

import numpy as np
import pytest

from alerts.desk import AlertDesk
from alerts.model import Alert, Evidence
from alerts.record import cards
from alerts.rules import rules
from alerts.rules.base import Message
from processors.outputs import DayStatus, MarketSignal, SecuritySignals
from processors.parameters import Parameters
from streams.alert_record import TABLES
from tests.building import security_signals
from tests.test_desk import CALENDAR, CODES, DAYS, NOW, fold, levels

RULES = rules(Parameters())
SIZE, UP, DOWN = 90, 0, 1  # days; columns of the security that rises and of the one that falls
RNG = np.random.default_rng(7)
PATHS = np.cumprod(1 + RNG.normal(0, 0.02, (SIZE, 10)), axis=0)
CASES = [3, 9, 10, 24, 31, 40, 55, 61, 68, SIZE - 1]
REGIME = ["RANGE" if one else "RALLY" for one in RNG.random(SIZE) < 0.5]


def regime(at: int, value: str | None, revision: int = 0) -> MarketSignal:
    return MarketSignal(signal="regime", subject="market", trade_date=DAYS[at], available_at=NOW, revision=revision,
                        value=value)  # fmt: skip


def streaks(at: int) -> SecuritySignals:
    length = np.zeros(10)
    if at in CASES:
        length[UP], length[DOWN] = 8, -8
    zero = np.zeros(10)
    return security_signals(
        DayStatus(trade_date=DAYS[at], available_at=NOW, revision=0), CODES,
        {"fin_change": zero, "fin_streak": length, "extreme": zero, "consecutive_extreme": zero},
    )  # fmt: skip


def days() -> list[Message]:
    return [one for at in range(SIZE) for one in (streaks(at), levels(at, PATHS[at]))]


def of(desk: AlertDesk, rule: str) -> Alert:
    return next(a for a in desk.lifecycle.alerts.values() if a.rule == rule and a.trade_date == DAYS[SIZE - 1])


def by_hand(name: str, column: int, sign: int, known: list[str | None]) -> tuple[int, int, int, int]:
    """Hits, cases, hits and cases of the base rate, before the last day."""
    hits = cases = base_hits = base_cases = 0
    for at in range(SIZE - 21):
        if known[at] == name:
            growth = PATHS[at + 20] / PATHS[at + 1] - 1
            excess = (growth - growth.mean()) * sign > 0
            base_hits, base_cases = base_hits + int(excess.sum()), base_cases + 10
            if at in CASES:
                hits, cases = hits + int(excess[column]), cases + 1
    return hits, cases, base_hits, base_cases


def check(records: list[Evidence], known: list[str | None]) -> None:
    found = {r.name: (r.hits, r.cases, r.base_hits, r.base_cases) for r in records}
    assert found == {
        "up in a range": by_hand("RANGE", UP, 1, known), "down in a rally": by_hand("RALLY", DOWN, -1, known)
    }  # fmt: skip


@pytest.mark.parametrize("late", [False, True])
def test_a_record_counts_the_days_of_its_regime_alone(late: bool) -> None:
    regimes = [regime(at, value) for at, value in enumerate(REGIME)]
    desk = AlertDesk(RULES, CALENDAR)
    fold(desk, *([*days(), *regimes] if late else [*regimes, *days()]))
    check(of(desk, "fin_streak").evidence, [*REGIME])
    assert len({by_hand("RANGE", UP, 1, [*REGIME]), by_hand("RALLY", DOWN, -1, [*REGIME])}) == 2


def test_a_corrected_or_withdrawn_regime_moves_its_day_and_the_section_of_the_digest_follows() -> None:
    desk = AlertDesk(RULES, CALENDAR)
    fold(desk, *(regime(at, value) for at, value in enumerate(REGIME)), *days())
    known: list[str | None] = [*REGIME]
    known[9], known[24] = "RALLY" if REGIME[9] == "RANGE" else "RANGE", None
    totals = [MarketSignal(signal="fin_balance", subject="market", trade_date=DAYS[at], available_at=NOW, revision=0,
                           value=1e12) for at in range(SIZE)]  # fmt: skip
    fold(desk, *totals)
    before = [s.evidence for s in of(desk, "securities_digest").sections if s.rule == "fin_streak"]
    changes = fold(desk, regime(9, known[9], 1), regime(24, None, 1))
    check(of(desk, "fin_streak").evidence, known)
    (section,) = [s for s in of(desk, "securities_digest").sections if s.rule == "fin_streak"]
    check(section.evidence, known)
    assert [section.evidence] != before
    assert {(c.alert.rule, c.event.what) for c in changes} == {("securities_digest", "evidence")}


def test_the_regime_survives_a_restart() -> None:
    desk, loaded = AlertDesk(RULES, CALENDAR), AlertDesk(RULES, CALENDAR)
    messages: list[Message] = [*(regime(at, value) for at, value in enumerate(REGIME)), *days()]
    fold(desk, *messages[:-2])
    loaded.load_rows({k: v for k, v in desk.changed_rows().items() if v is not None})
    fold(loaded, *messages[-2:])
    check(of(loaded, "fin_streak").evidence, [*REGIME])


def test_the_tables_that_a_record_card_loads_contain_the_regimes() -> None:
    desk, card = AlertDesk(RULES, CALENDAR), AlertDesk(RULES, CALENDAR)
    fold(desk, *(regime(at, value) for at, value in enumerate(REGIME)), *days())
    rows = {name: data for name, data in desk.changed_rows().items() if data is not None}
    card.load_rows({name: data for name, data in rows.items() if name.partition("/")[0] in TABLES})
    (streak,) = [rule for rule in RULES if rule.name == "fin_streak"]
    found = cards(card, streak, CALENDAR)
    assert found == cards(desk, streak, CALENDAR)
    assert {len(one.rows) for one in found} == {
        sum(REGIME[at] == name for at in CASES) for name in ("RANGE", "RALLY")
    }  # fmt: skip
