"""The noise budget: how many alerts the real days of 2018-01 to 2021-03 give, through the rules and the lifecycle."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from alerts.delivery import text
from alerts.model import Alert, Severity, State
from alerts.tally import IN_DIGEST, counts
from streams.alert_rules import rules_of
from streams.rehearsal import rehearse
from streams.settings import Settings
from tests.test_delivery import hook
from tests.texts import english_in

SESSIONS = 788


@pytest.fixture(scope="module")
def found(data_dir: Path) -> list[Alert]:
    settings = Settings()
    return rehearse(rules_of(settings), data_dir, settings, None, None, lambda _done, _total: None)


def fired(found: list[Alert], severity: Severity) -> list[Alert]:
    return [a for a in found if a.fired_on is not None and a.severity is severity]


def test_at_most_10_criticals_40_warnings_and_1_2_infos_a_day(found: list[Alert]) -> None:
    assert len(fired(found, Severity.CRITICAL)) <= 10
    assert len(fired(found, Severity.WARNING)) <= 40
    assert len(fired(found, Severity.INFO)) <= 1.2 * SESSIONS


def test_the_budget_is_kept_by_grouping_not_by_silence(found: list[Alert]) -> None:
    """Every warning and critical kind fires, and every day with flags has its digest."""
    assert {"peak_warning", "excess_financing", "data_quality"} <= {
        a.rule for severity in (Severity.CRITICAL, Severity.WARNING) for a in fired(found, severity)
    }
    digests = [a for a in found if a.rule == "securities_digest"]
    assert len(digests) == len({a.trade_date for a in digests}) == SESSIONS - 1  # the first day has no changes
    kinds = {rule: years.total() for (rule, severity), years in counts(found).items() if severity == IN_DIGEST}
    assert kinds == {
        "fin_extreme": 787, "fin_streak": 783, "excess_score_top": 773, "fin_divergence": 195, "data_note": 95
    }  # fmt: skip
    assert not {a.rule for a in found} & kinds.keys()


def test_no_chinese_text_has_english_words(found: list[Alert]) -> None:
    firing = [msgspec.structs.replace(alert, state=State.FIRING) for alert in found]
    assert {word for alert in firing for word in english_in(text.body(alert, "zh", most=10_000))} == set()


def test_only_material_breaks_of_the_identity_are_warnings(found: list[Alert]) -> None:
    broken = [a for a in found if a.rule == "data_quality" and a.subject.endswith("identity")]
    assert sorted((a.trade_date.isoformat(), a.subject) for a in broken) == [
        ("2018-04-20", "margin.market identity"),
        ("2019-04-30", "margin.daily identity"),
        ("2019-04-30", "margin.market identity"),
    ]


def test_both_kinds_of_excess_scores_are_flagged(found: list[Alert]) -> None:
    kinds = Counter(m.note for a in found for m in a.members if m.rule == "excess_score_top")
    assert 0.3 < kinds["chasing"] / kinds.total() < 0.7
    assert kinds["chasing"] + kinds["early positioning"] == kinds.total()


def test_an_industry_is_an_alert_once_while_its_risk_stays_high(found: list[Alert]) -> None:
    risks = [a for a in found if a.rule == "industry_risk_high"]
    for subject in {a.subject for a in risks}:
        own = [a for a in risks if a.subject == subject]
        assert all(a.figures["risk_sigma"] >= 2 for a in own)
        assert all(a.resolved_on is not None and a.resolved_on <= b.trade_date for a, b in pairwise(own))
    assert 30 < len(risks) < 80  # every week had one: 153


def test_the_message_of_every_digest_fits_a_phone(found: list[Alert]) -> None:
    for alert in (a for a in found if a.sections):
        firing = msgspec.structs.replace(alert, state=State.FIRING)
        assert len(text.body(firing, "both", most=10_000)) <= hook().max_chars
