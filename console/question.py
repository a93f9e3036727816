"""The question above the answer, and what the page shows where there is no answer, in the reader's language."""

from __future__ import annotations

from alerts.verdict import heading
from console import labels
from console.model import ConsoleModel
from console.theme import View
from processors.indicators.verdict import VERDICT


def dated(model: ConsoleModel, view: View) -> str:
    """Return the question with the trade date of the final verdict, and with the newer day that is due, if one is."""
    found = heading(model.latest.get(VERDICT.id), model.verdict_due)
    return labels.pick((found.en, found.zh), view.language)


def unanswered(model: ConsoleModel, view: View) -> str:
    """Return what is shown without a final verdict: the first one is to come, or none was known on an earlier day."""
    return view.label("waiting" if model.as_of is None else "nothing_known")
