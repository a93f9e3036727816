"""Run studies on a folder of market files and write their results: CSV, JSON, PNG, one HTML page."""

from __future__ import annotations

import base64
import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from feeds.folder import read
from processors.days import to_day
from processors.errors import MarginwatchError
from processors.studies import STUDIES, factor
from processors.studies.collecting import collect
from processors.studies.panel import Panel
from processors.studies.result import Finding, Mode, Result, Table
from streams.calendars import xshg
from streams.settings import Settings
from streams.studies import labels


class StudyError(MarginwatchError):
    """A study can't be run; the message names cause and remedy."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run.

    Parameters
    ----------
    folder : market files, as for `feeds.folder.read`.
    names : keys of `STUDIES`, in the order of the results.
    modes : both modes show the effect of acting later.
    factors : a CSV or parquet file with a date column and the daily returns of five factors (fractions).
    """

    folder: Path
    names: tuple[str, ...]
    modes: tuple[Mode, ...]
    start: date | None = None
    end: date | None = None
    factors: Path | None = None


def names(name: str) -> tuple[str, ...]:
    """Return the keys of `STUDIES` that a name of the command line selects; ``all`` selects every one."""
    return tuple(STUDIES) if name == "all" else (str(name),)


def modes(*, as_source: bool, point_in_time: bool) -> tuple[Mode, ...]:
    """Return the selected modes; both if none is selected."""
    chosen = ((Mode.AS_SOURCE, as_source), (Mode.POINT_IN_TIME, point_in_time))
    return tuple(mode for mode, wanted in chosen if wanted) or tuple(Mode)


def panel(plan: Plan, settings: Settings, advance: Callable[[int, int], None]) -> Panel:
    """Fold the folder; calls ``advance`` with (days done, days in total) after each day."""
    calendar = xshg(settings.calendar_file)
    folder = read(plan.folder, calendar, None, plan.end)
    days = folder.days()
    if plan.start is not None and (not days or to_day(plan.start) > days[-1]):
        raise StudyError(f"{plan.folder} ends before {plan.start}: choose an earlier --from")

    def counted() -> Iterable[dict[str, Any]]:
        for done, (_, feeds) in enumerate(folder.by_day(), 1):
            yield feeds
            advance(done, len(days))

    return collect(counted(), settings.parameters, settings.exchanges, calendar, start=plan.start, notes=folder.notes)


def run(plan: Plan, panel: Panel) -> list[list[Result]]:
    """Run every study in every mode."""
    factors = None if plan.factors is None else read_factors(plan.factors)
    return [
        [
            factor.run(panel, mode, factors) if STUDIES[name] is factor else STUDIES[name].run(panel, mode)
            for mode in plan.modes
        ]
        for name in plan.names
    ]


def read_factors(path: Path) -> pd.DataFrame:
    """Read the returns of the five factors by date.

    Raises
    ------
    StudyError : if a column is missing, or the returns look like per cent.
    """
    frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    lacking = [name for name in ("date", *factor.FACTORS) if name not in frame]
    if lacking:
        raise StudyError(f"{path} lacks {', '.join(lacking)}: a date and {', '.join(factor.FACTORS)} are needed")
    out = frame.set_index(pd.to_datetime(frame["date"]))[list(factor.FACTORS)].astype(float).sort_index()
    if float(out.abs().median().max()) > 0.2:
        raise StudyError(f"{path}: returns must be fractions (0.012), these look like per cent")
    return out


def merged(results: list[Result]) -> list[tuple[Finding, list[Finding]]]:
    """Return each finding (of the last mode) with the findings of all modes, in the order of the first mode."""
    found: dict[str, list[Finding]] = {}
    for result in results:
        for finding in result.findings:
            found.setdefault(finding.what, []).append(finding)
    return [(modes[-1], modes) for modes in found.values()]


def finding_rows(results: list[Result]) -> list[list[str]]:
    """Return rows of text: figure, published, a column per mode, interval, cases, note (of the last mode)."""
    rows = []
    for last, modes in merged(results):
        ours = [labels.figure(f.ours, f.unit) for f in modes]
        published = labels.figure(last.published, last.unit)
        rows.append(
            [last.what, published, *ours, labels.interval(last), labels.cases(last), last.note or last.interval]
        )
    return rows


def write(results: list[list[Result]], out: Path) -> list[Path]:
    """Write ``<study>.json``, ``<study>_<table>_<mode>.csv`` and ``<study>_<chart>_<mode>.png``; return the files."""
    from streams.studies.charts import png

    out.mkdir(parents=True, exist_ok=True)
    files = []

    def put(name: str, data: bytes) -> None:
        (out / name).write_bytes(data)
        files.append(out / name)

    for modes in results:
        put(f"{modes[0].study}.json", msgspec.json.format(msgspec.json.encode(modes), indent=1) + b"\n")
        for result in modes:
            for table in result.tables:
                path = out / f"{result.study}_{table.name}_{result.mode}.csv"
                _csv(path, table)
                files.append(path)
            for chart in result.charts:
                put(f"{result.study}_{chart.name}_{result.mode}.png", png(chart))
    return files


def _csv(path: Path, table: Table) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table.columns)
        writer.writerows(table.rows)


def report(results: list[list[Result]], plan: Plan, notes: list[str]) -> str:
    """Return one self-contained HTML page; its charts and tables are those of the last mode."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    from streams.studies.charts import png

    environment = Environment(
        loader=PackageLoader("streams.studies", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    studies = []
    for modes in results:
        last = modes[-1]
        studies.append(
            {
                "name": last.study,
                "title": last.title,
                "source": last.source,
                "modes": [str(m.mode).replace("-", " ") for m in modes],
                "findings": finding_rows(modes),
                "charts": [{"title": c.title, "png": base64.b64encode(png(c)).decode()} for c in last.charts],
                "tables": [
                    {
                        "title": f"{t.title} ({str(last.mode).replace('-', ' ')})",
                        "columns": t.columns,
                        "rows": [
                            [labels.figure(cell, t.units.get(name)) for name, cell in zip(t.columns, row, strict=True)]
                            for row in t.rows
                        ],
                    }
                    for t in last.tables
                ],
                "notes": list(dict.fromkeys(note for m in modes for note in m.notes)),
            }
        )
    return environment.get_template("report.html.j2").render(
        folder=plan.folder.name, first=results[0][0].first, last=results[0][0].last, studies=studies, notes=notes
    )
