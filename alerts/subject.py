"""The evaluations of one subject by one rule: the last ones by day, and what the removed ones have led to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

import msgspec

from alerts.model import EndedBy
from alerts.removed_days import RemovedDays, Run
from alerts.rules.base import Condition
from processors.days import to_date
from processors.table import ValueCodec


class DayEvaluation(msgspec.Struct, array_like=True):
    """The newest evaluation of one day, and the id of the alert that it raised."""

    revision: int
    condition: Condition
    ended_by: EndedBy
    alert: str = ""

    @property
    def is_fact(self) -> bool:
        """Whether the day has a fact that has raised an alert."""
        return self.condition is Condition.FIRE and bool(self.alert)

    def leads_to_the_same(self, condition: Condition, ended_by: EndedBy) -> bool:
        """Whether an evaluation in its place, which raises no alert as this one does not, changes no other alert."""
        same = (self.condition, self.ended_by) == (condition, ended_by)
        return same and condition in (Condition.END, Condition.ABSENT)


class Progress(msgspec.Struct, frozen=True, array_like=True):
    """What the evaluations up to a day have led to.

    Attributes
    ----------
    begun : day of the fact, or first day of the condition, that is in progress.
    true_days : days on which the condition was true so far.
    fired_on : when its alert began to fire.
    expired : its horizon has passed; the condition has to end before it raises another alert.
    rest : evaluations that are left of a cooldown.
    """

    begun: date | None = None
    true_days: int = 0
    fired_on: date | None = None
    expired: bool = False
    rest: int = 0


@dataclass(slots=True)
class Subject:
    """The last evaluations of one subject by day, and what the removed ones before them have led to.

    Attributes
    ----------
    days : ascending; `add` keeps their order.
    base, alert : what the removed evaluations have led to, and the id of the alert that is in progress after them.
    removed_from : day of the first of them whose figure was not absent.
    removed : their days, and the revision of each.
    """

    days: dict[date, DayEvaluation] = field(default_factory=dict)
    base: Progress = Progress()
    alert: str = ""
    removed_from: date | None = None
    removed: RemovedDays = field(default_factory=RemovedDays)

    @property
    def removed_to(self) -> date:
        """Newest day of which no evaluation is accepted any more."""
        return date.min if self.removed.newest is None else to_date(self.removed.newest)

    @property
    def first(self) -> date | None:
        """Day of the first evaluation whose figure is not absent."""
        if self.removed_from is not None:
            return self.removed_from
        return next((day for day, entry in self.days.items() if entry.condition is not Condition.ABSENT), None)

    @property
    def newest(self) -> date:
        """Day of the newest evaluation."""
        return next(reversed(self.days))

    def add(self, day: date, entry: DayEvaluation) -> None:
        """Add the evaluation of a day, or replace it."""
        late = bool(self.days) and day < self.newest
        self.days[day] = entry
        if late:
            self.days = dict(sorted(self.days.items()))


#: How a subject is stored.
SUBJECT_ROW = ValueCodec[Subject](
    tuple[list[tuple[date, DayEvaluation]], Progress, str, date | None, list[Run]],
    version=3,
    to_plain=lambda s: (list(s.days.items()), s.base, s.alert, s.removed_from, s.removed.runs),
    from_plain=lambda plain: Subject(dict(plain[0]), plain[1], plain[2], plain[3], RemovedDays(plain[4])),
)
