"""Run studies on a folder of market files and write their results: CSV, JSON, PNG."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from feeds.folder import read
from processors.days import TradingCalendar
from processors.errors import MarginwatchError
from processors.studies import STUDIES
from processors.studies.claims import Claim, claims_of
from processors.studies.collecting import collect
from processors.studies.panel import Panel
from processors.studies.result import Mode, Result
from streams.allocator import returning_freed_memory
from streams.calendars import xshg
from streams.charts.model import load
from streams.files import write_whole
from streams.settings import Settings
from streams.studies.factors import beside_market, read_factors

#: Calls with what is done, and how much of how much.
Advance = Callable[[str, int, int], None]
#: Files of a folder with the returns of the factors.
_FACTOR_FILES = "ff5_daily*"


class StudyError(MarginwatchError):
    """A study can't be run; the message names cause and remedy."""


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """What to run.

    Parameters
    ----------
    folder : market files, as for `feeds.folder.read`.
    names : keys of `STUDIES`, in the order of the results.
    modes : both modes show the effect of acting later.
    factors : a file with a date column and the daily returns of five factors (fractions); default: the
        file ``ff5_daily*`` of the folder, if it has one.
    cost : of a trade, a fraction of its value.
    model : folder of a chart model.
    """

    folder: Path
    names: tuple[str, ...]
    modes: tuple[Mode, ...]
    start: date | None = None
    end: date | None = None
    factors: Path | None = None
    cost: float = 0.0
    model: Path | None = None


@dataclass(frozen=True, slots=True)
class Study:
    """The results of one study in every mode, and its claims."""

    results: list[Result]
    claims: list[Claim]

    @property
    def last(self) -> Result:
        """The result of the last mode; tables and charts of a report are its."""
        return self.results[-1]


def names(name: str) -> tuple[str, ...]:
    """Return the keys of `STUDIES` that a name of the command line selects; ``all`` selects every one."""
    return tuple(STUDIES) if name == "all" else (str(name),)


def modes(*, as_source: bool, point_in_time: bool) -> tuple[Mode, ...]:
    """Return the selected modes; both if none is selected."""
    chosen = ((Mode.AS_SOURCE, as_source), (Mode.POINT_IN_TIME, point_in_time))
    return tuple(mode for mode, wanted in chosen if wanted) or tuple(Mode)


@returning_freed_memory()
def panel(plan: StudyPlan, settings: Settings, advance: Advance) -> Panel:
    """Read and fold the folder once, for all studies and modes."""
    calendar = xshg(settings.calendar_file)
    advance("reading the files", 0, 0)
    factors = _factors(plan, calendar)
    folder = read(plan.folder, calendar, None, plan.end, wanted_from=plan.start)
    days = folder.days()

    model = load(plan.model)

    def counted() -> Iterable[dict[str, Any]]:
        for done, (_, feeds) in enumerate(folder.by_day(release=True), 1):
            yield feeds
            advance("folding the history", done, len(days))

    out = collect(
        counted(), settings.parameters, settings.exchanges, calendar, start=plan.start, notes=folder.notes, model=model
    )
    if not len(out.days):
        raise StudyError(
            f"{plan.folder} has no day with margin figures of {', '.join(settings.exchanges)}, or an index's open: add "
            "the files of the other exchanges, or name yours in MARGINWATCH_EXCHANGES"
        )
    if factors is not None:
        beside_market(factors, out)
    out.factors, out.cost = factors, plan.cost
    return out


def run(plan: StudyPlan, panel: Panel, advance: Advance) -> Iterator[Study]:
    """Run every study in every mode, and yield each as soon as it has its results.

    Raises
    ------
    StudyError : behind the last study, if one of several failed; it names each that did.
    """
    failed: list[tuple[str, Exception]] = []
    for done, name in enumerate(plan.names):
        advance(f"study: {name}", done, len(plan.names))
        try:
            results = [STUDIES[name].run(panel, mode) for mode in plan.modes]
            study = Study(results, claims_of(results))
        except Exception as error:
            if len(plan.names) == 1:
                raise
            failed.append((name, error))
        else:
            yield study
    if failed:
        what = "; ".join(f"{name} ({type(error).__name__}: {error})" for name, error in failed)
        raise StudyError(f"failed: {what}. Each of them alone shows where") from failed[0][1]


def _factors(plan: StudyPlan, calendar: TradingCalendar) -> pd.DataFrame | None:
    found = [plan.factors] if plan.factors is not None else sorted(plan.folder.glob(_FACTOR_FILES))
    return read_factors(found[0], calendar) if found else None


def write(studies: Sequence[Study], out: Path) -> list[Path]:
    """Write the results of each study and the claims of all; return the files.

    The files are ``<study>.json``, ``<study>_<table>_<mode>.csv``, ``<study>_<chart>_<mode>.png`` (of the last mode)
    and ``claims.csv``.
    """
    from streams.studies.charts import png

    out.mkdir(parents=True, exist_ok=True)
    files = []

    def put(name: str, data: bytes) -> None:
        write_whole(out / name, data)
        files.append(out / name)

    for study in studies:
        put(f"{study.last.study}.json", msgspec.json.format(msgspec.json.encode(study.results), indent=1) + b"\n")
        for result in study.results:
            for table in result.tables:
                put(f"{result.study}_{table.name}_{result.mode}.csv", _csv(table.columns, table.rows))
        for chart in study.last.charts:
            put(f"{study.last.study}_{chart.name}_{study.last.mode}.png", png(chart))
    put("claims.csv", claims_csv(studies))
    return files


def claims_csv(studies: Iterable[Study]) -> bytes:
    """Return the claims of studies as CSV."""
    return _csv([f.name for f in fields(Claim)], [astuple(claim) for study in studies for claim in study.claims])


def _csv(columns: Iterable[str], rows: Iterable[Iterable[object]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue().encode()
