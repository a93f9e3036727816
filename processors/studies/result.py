"""What a study finds: figures beside the published ones, tables, charts, and what must be said about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

Cell: TypeAlias = float | int | str | None


class Mode(StrEnum):
    """What a study may know when it acts."""

    AS_SOURCE = "as-source"  # the figure of day T at the close of T, as the reports did
    POINT_IN_TIME = "point-in-time"  # not before available_at: the first open or close behind it


class Unit(StrEnum):
    """How a figure is written."""

    RATIO = "ratio"  # a fraction, shown in per cent
    NUMBER = "number"
    COUNT = "count"


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure beside the published one.

    Parameters
    ----------
    what : names it; the same in both modes.
    ours : None where it can't be computed here; ``note`` says why.
    published : None where the source has none.
    low, high : 95% interval of ours; ``interval`` says which kind.
    cases : how many observations; ``episodes`` how many of them do not overlap.
    """

    what: str
    ours: float | None
    unit: Unit = Unit.RATIO
    published: float | None = None
    low: float | None = None
    high: float | None = None
    interval: str = ""
    cases: int | None = None
    episodes: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table that goes to a CSV file and the report; ``units`` by column, those not named are written as they are."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]
    units: dict[str, Unit] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Line:
    """A line over dates."""

    label: str
    days: list[str]
    values: list[float]


@dataclass(frozen=True, slots=True)
class Bars:
    """A bar with its interval, and the published value as a mark where there is one."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    published: float | None = None


@dataclass(frozen=True, slots=True)
class Chart:
    """What a chart shows; how it looks is not decided here. Lines, or bars, or points with a fitted line."""

    name: str
    title: str
    unit: Unit
    lines: list[Line] = field(default_factory=list)
    bars: list[Bars] = field(default_factory=list)
    points: list[tuple[float, float]] = field(default_factory=list)
    fit: tuple[float, float] | None = None  # intercept, slope
    levels: dict[str, float] = field(default_factory=dict)  # horizontal lines
    marks: list[str] = field(default_factory=list)  # dates of cases
    x_label: str = ""
    y_label: str = ""


@dataclass(frozen=True, slots=True)
class Result:
    """A study in one mode over one period."""

    study: str
    title: str
    source: str
    mode: Mode
    first: str
    last: str
    findings: list[Finding]
    tables: list[Table]
    charts: list[Chart]
    notes: list[str]  # differences of method, survivorship, what is missing
