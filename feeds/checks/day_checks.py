"""All checks of the figures of a day; what one finding explains is not found twice."""

from __future__ import annotations

from feeds.checks.balance_changes import balance_changes
from feeds.checks.beside_prices import beside_prices
from feeds.checks.beside_totals import beside_totals
from feeds.checks.closes_before import closes_before
from feeds.checks.column_gaps import column_gaps
from feeds.checks.compared_day import ComparedDay
from feeds.checks.cut_lists import cut_lists
from feeds.checks.findings import Finding, Severity
from feeds.checks.magnitudes import magnitudes, steps
from feeds.checks.mixed_units import mixed_units
from feeds.checks.moves_with_closes import moves_with_closes
from feeds.checks.shifted_columns import shifted_columns
from feeds.checks.single_cells import single_cells
from feeds.checks.slipped_days import slipped_days
from feeds.checks.validate import validate
from processors.needs import PRICES

#: What a wrong unit explains.
_BY_UNITS = ("jump", "step", "identity", "cell", "columns")


def check_day(day: ComparedDay) -> list[Finding]:
    """Return what all checks of a day's figures and lists find, errors first.

    A wrong unit of a topic explains what other checks find in it, and is found once.
    """
    out = validate(day)
    for found in (mixed_units(day), (*magnitudes(day), *beside_prices(day))):
        units = {one.topic for one in out if one.check == "unit"}
        out += [one for one in found if one.topic not in units or one.check != "unit"]
    out += [*slipped_days(day), *single_cells(day), *beside_totals(day), *moves_with_closes(day)]
    for topic, batch in day.rows.items():
        out += [*column_gaps(batch), *shifted_columns(batch)]
        if topic == PRICES:
            out += closes_before(batch, day.last.get(topic))
        if topic in day.last:
            out += [*balance_changes(batch, day.last[topic]), *steps(batch, day.last[topic])]
        out += cut_lists(day.listed(topic), day.before.get(topic), day.whole)
    wrong_units = {(one.topic, one.day) for one in out if one.check == "unit" and one.severity is Severity.ERROR}
    out = [one for one in out if one.check not in _BY_UNITS or (one.topic, one.day) not in wrong_units]
    return sorted(out, key=lambda one: (one.severity is not Severity.ERROR, one.topic))
