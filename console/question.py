"""The question above the answer, with the day that the answer is about.

Prices of a day arrive the evening before its margin figures: the newest figures of a page may be a day newer than its
answer.
"""

from __future__ import annotations

from alerts.verdict import verdict_text
from console import labels
from console.model import ConsoleModel
from console.theme import View
from processors.indicators.verdict import VERDICT


def dated(model: ConsoleModel, view: View) -> str:
    """Return the question with the trade date of the final verdict, and with the newer day that is due, if one is."""
    parts = [view.label("question")]
    final = model.latest.get(VERDICT.id)
    if final is not None:
        of_day = verdict_text(final).of_day
        parts.append(labels.pick((of_day.en, of_day.zh), view.language))
    if model.verdict_due is not None:
        parts.append(f"⚠ {view.label('late')}: {view.label('due')} {model.verdict_due}")
    return " · ".join(parts)
