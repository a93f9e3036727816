"""The alerts of a history in figures: how many a year of which rule and severity, and the newest records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from alerts.model import Alert, DigestSection, Evidence

#: The severity of a section of the day's digest, which is no message.
IN_DIGEST = "in a digest"


def counts(found: Iterable[Alert]) -> dict[tuple[str, str], Counter[int]]:
    """Return how many alerts fired a year, by rule and severity; sections of digests have the severity `IN_DIGEST`."""
    out: dict[tuple[str, str], Counter[int]] = {}
    for alert in found:
        if alert.fired_on is not None:
            kinds = dict.fromkeys((section.rule, IN_DIGEST) for section in alert.sections)
            for kind in ((alert.rule, alert.severity.value), *kinds):
                out.setdefault(kind, Counter())[alert.trade_date.year] += 1
    return out


def records(found: Iterable[Alert]) -> dict[tuple[str, str, str], Evidence]:
    """Return the newest record by rule, subject and name, as it was known before the rule's last alert.

    Parameters
    ----------
    found : alerts, oldest first.
    """
    out: dict[tuple[str, str, str], Evidence] = {}
    for alert in found:
        facts: list[Alert | DigestSection] = [alert, *alert.sections]
        for fact in facts:
            out |= {(fact.rule, record.basis.subject(fact.subject), record.name): record for record in fact.evidence}
    return out
