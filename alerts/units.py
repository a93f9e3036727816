"""The units of an alert's figures, thresholds and members: those of the signals that they name, or of its rule."""

from __future__ import annotations

from collections.abc import Sequence

from alerts.model import Alert
from alerts.rules.base import Rule
from processors.registry import SIGNALS


class Units:
    """The units that rules declare; several of them may have one name.

    Parameters
    ----------
    rules : the rules in force.
    """

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._figures = {(rule.name, figure): unit for rule in rules for figure, unit in rule.units.items()}
        self._members = {rule.name: SIGNALS[rule.member_signal].unit for rule in rules if rule.member_signal}

    def of_figure(self, alert: Alert, name: str) -> str:
        """Return the unit of a figure or a threshold, "" for a plain number.

        ``level`` and ``clear`` have the unit of the first figure, which the rule compares with them.
        """
        if name in ("level", "clear"):
            name = next(iter(alert.figures), "")
        return self.of_rule(alert.rule, name)

    def of_rule(self, rule: str, name: str) -> str:
        """Return the unit of a figure of a rule, "" for a plain number."""
        declared = SIGNALS.get(name.partition("/")[0])
        return self._figures.get((rule, name), "") if declared is None else declared.unit

    def of_members(self, rule: str) -> str:
        """Return the unit of the values of a rule's securities, "" for plain numbers."""
        return self._members.get(rule, "")
