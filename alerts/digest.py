"""The digest of a day: one alert whose sections are the flags of securities and the data note.

A rule with `Rule.digest` and severity info gives a section instead of an alert of its own; its facts keep their states
and records. The digest of a day is complete once every such rule has evaluated the day. It is published incomplete, and
names what is absent, once the first of the rules has evaluated a later day: a feed that fails delays a digest by one
day and loses none, and the digests of a backfill begin in the order of their days. A digest follows from the stored
evaluations alone, so corrections and restarts give the same one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import date

import msgspec

from alerts.lifecycle import AlertLifecycle
from alerts.model import Alert, DigestSection, Input
from alerts.rules.base import Condition, Evaluation, Rule
from alerts.rules.digest import FLAGS, OF_ITS_DAY, SUBJECT, summary


class DigestComposer:
    """Composes digests from the facts of a lifecycle.

    Parameters
    ----------
    rules : the rules in force, in the order of the sections.
    """

    def __init__(self, rules: Iterable[Rule], lifecycle: AlertLifecycle) -> None:
        self._lifecycle = lifecycle
        self._parts = [(rule, subject) for rule in rules if rule.is_section for subject in rule.digest]
        self._order = {(rule.name, subject): i for i, (rule, subject) in enumerate(self._parts)}

    def due(self, digest: Rule) -> Iterator[Evaluation]:
        """Yield the digests of days whose evaluations are new or changed since the day's digest, oldest first."""
        found = [self._lifecycle.evaluated(rule.name, subject) for rule, subject in self._parts]
        done = self._lifecycle.evaluated(digest.name, SUBJECT)
        first = found[0] if found else {}  # a digest has sections of its days
        newest, removed_to = max(first, default=date.min), self._lifecycle.removed_to(digest.name, SUBJECT)
        for day in sorted(day for day in first if day > removed_to):
            entries, known = [days.get(day) for days in found], done.get(day)
            # A missing evaluation counts 0, so that one that follows raises the revision.
            revision = sum(entry.revision + 1 for entry in entries if entry is not None)
            if (None not in entries or day < newest) and (known is None or known.revision < revision):
                yield self._digest(day, revision)

    def refreshed(self, digest: Alert) -> list[DigestSection]:
        """Return the sections of a digest with the newest records of their facts."""
        facts = self._lifecycle.alerts
        known = ((section, facts.get(section.alert)) for section in digest.sections)
        return self._ordered(
            section if fact is None else msgspec.structs.replace(section, evidence=fact.evidence)
            for section, fact in known
        )

    def _ordered(self, sections: Iterable[DigestSection]) -> list[DigestSection]:
        """Order sections: those whose record beats its base rate, the best of them first; then as the rules are."""
        last = len(self._order)  # a rule that is no section any more
        return sorted(sections, key=lambda s: (-(s.best or 0.0), self._order.get((s.rule, s.subject), last)))

    def _facts(self, day: date) -> list[Alert]:
        """Return the facts of a day in the order of the rules."""
        entries = (self._lifecycle.evaluated(rule.name, subject).get(day) for rule, subject in self._parts)
        return [self._lifecycle.alerts[entry.alert] for entry in entries if entry is not None and entry.alert]

    def _digest(self, day: date, revision: int) -> Evaluation:
        facts = self._facts(day)
        if not facts:
            return Evaluation(SUBJECT, day, self._lifecycle.public_by(day), revision, Condition.END)
        absent = {r.name: None for r, subject in self._parts if day not in self._lifecycle.evaluated(r.name, subject)}
        counts = Counter[str]()
        for fact in facts:
            counts[fact.rule] += len(fact.members) if fact.rule in FLAGS else 1
        return Evaluation(
            SUBJECT,
            day,
            max(fact.available_at for fact in facts),
            revision,
            Condition.FIRE,
            dict(counts),
            {},
            summary(day, counts, absent),
            OF_ITS_DAY,
            [msgspec.structs.replace(member, rule=fact.rule) for fact in facts for member in fact.members],
            sections=self._ordered(_section(fact) for fact in facts),
            provenance=list({_place(origin): origin for fact in facts for origin in fact.provenance}.values()),
        )


def _section(a: Alert) -> DigestSection:
    return DigestSection(
        rule=a.rule, subject=a.subject, alert=a.id, figures=a.figures, thresholds=a.thresholds, text=a.text,
        source=a.source, evidence=a.evidence,
    )  # fmt: skip


def _place(origin: Input) -> tuple[str, int, int]:
    return origin.topic, origin.partition, origin.offset
