"""Trains a chart model into a folder: samples, one ensemble a year, the card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np

from processors.days import TradingCalendar, to_date
from processors.parameters import Parameters
from streams.charts.card import CARD, ModelCard, read_card, write_card
from streams.charts.errors import ChartModelError
from streams.charts.samples import Samples, read_samples
from streams.charts.training import Advance, TrainingPlan, train_year
from streams.files import write_whole

_STATE = "training"


def train(
    folder: Path,
    model: Path,
    years: Sequence[int],
    plan: TrainingPlan,
    calendar: TradingCalendar,
    parameters: Parameters,
    on_day: Callable[[int, int], None],
    on_batch: Advance,
) -> ModelCard:
    """Train the ensembles of some years on a folder of market files; return the card that was written.

    The card names a year as soon as its file is complete. An interrupted training goes on where it was: finished years
    of the same charts and plan are not trained again.

    Parameters
    ----------
    years : years to score; without one, every year of the folder that has charts before it.

    Raises
    ------
    ChartModelError : if the folder has too few prices, or a year lies behind the one that follows them.
    """
    model.mkdir(parents=True, exist_ok=True)
    samples = read_samples(folder, calendar, parameters, on_day)
    _require_near(years, to_date(int(samples.days.max())).year)
    card = _begin(model, folder, samples, plan)
    for year in sorted(years) or _years(samples):
        if any(one.year == year for one in card.years):
            continue
        entry, content = train_year(samples, year, plan, calendar, model / _STATE, on_batch)
        entry.file, entry.digest = f"{year}.onnx", sha256(content).hexdigest()
        write_whole(model / entry.file, content)
        card.years = sorted([*card.years, entry], key=lambda one: one.year)
        write_card(card, model)
    return card


def _begin(model: Path, folder: Path, samples: Samples, plan: TrainingPlan) -> ModelCard:
    """Return the card to go on with: the stored one of the same charts and plan, or one of the next revision."""
    found = read_card(model) if (model / CARD).is_file() else None
    wanted = str(plan)
    if found is not None and (found.data_digest, found.plan) == (samples.digest, wanted):
        return found
    return ModelCard(
        revision=0 if found is None else found.revision + 1,
        data=folder.name,
        data_digest=samples.digest,
        universe=samples.universe,
        plan=wanted,
    )


def _require_near(years: Sequence[int], last: int) -> None:
    """Raise `ChartModelError` for a year that no chart comes near: its networks would score nothing before it."""
    if late := [str(year) for year in sorted(years) if year > last + 1]:
        raise ChartModelError(
            f"the charts end in {last}, so their networks score up to {last + 1}: leave out {', '.join(late)}"
        )


def _years(samples: Samples) -> list[int]:
    """Return the years of the charts behind the first one that has a year before it."""
    found = sorted({to_date(day).year for day in np.unique(samples.days).tolist()})
    if len(found) < 2:
        raise ChartModelError("all charts are of one year: a network needs the years before those that it scores")
    return found[1:]
