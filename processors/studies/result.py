"""The result of a study: figures beside the published ones, tables, charts and notes on method."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

Cell: TypeAlias = float | int | str | None


class Mode(StrEnum):
    """The information on which a study trades."""

    AS_SOURCE = "as-source"  # the figure of day T at the close of T, as the reports did
    POINT_IN_TIME = "point-in-time"  # at the first open or close after available_at


class Unit(StrEnum):
    """Format of a figure."""

    RATIO = "ratio"  # a fraction, shown in per cent
    NUMBER = "number"
    COUNT = "count"


class Kind(StrEnum):
    """What a published figure claims; from it follows when ours reproduces the figure, see `claims.verdict_of`."""

    NONE = "none"  # no claim: our figure has nothing beside it
    LEVEL = "level"  # a description, such as a quantile: ours is near it
    EFFECT = "effect"  # a distance from the base rate: ours has its sign and most of its size
    LOSS = "loss"  # a risk, such as a drawdown: ours is not much larger
    BELOW = "below"  # a bound, such as a win rate below 35%
    ABOVE = "above"
    RISES = "rises"  # a direction without a size
    FALLS = "falls"


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure beside the published one.

    Parameters
    ----------
    what : name of the figure, the same in both modes.
    ours : our figure; None where it can't be computed, with the reason in ``note``.
    published : figure of the source, None if there is none.
    low, high : 95% interval of ours; ``interval`` is its kind.
    cases : number of observations; ``episodes`` counts those that do not overlap.
    kind : what the source claims.
    base : the same figure without the condition (all days, all stocks); the neutral value of an effect, else 0.
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
    kind: Kind = Kind.NONE
    base: float | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the report and of a CSV file; a column without an entry in ``units`` is not formatted."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Cell, ...]]
    units: dict[str, Unit] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a chart over dates."""

    label: str
    days: list[str]
    values: list[float]


@dataclass(frozen=True, slots=True)
class Curve:
    """A line of a chart over numbers; ``published`` draws it as marks."""

    label: str
    x: list[float]
    y: list[float | None]
    published: bool = False


@dataclass(frozen=True, slots=True)
class Bars:
    """A bar of a chart with its interval, and the published value as a mark if there is one."""

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    published: float | None = None


@dataclass(frozen=True, slots=True)
class Strip:
    """A state by day, drawn as a coloured strip for each year; "" is a day without a state."""

    days: list[str]
    states: list[str]


@dataclass(frozen=True, slots=True)
class Chart:
    """The data of a chart: lines, curves, bars, points with a fitted line, or a strip. The report decides the style."""

    name: str
    title: str
    unit: Unit
    lines: list[Line] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    bars: list[Bars] = field(default_factory=list)
    points: list[tuple[float, float]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)  # of the points
    fit: tuple[float, float] | None = None  # intercept, slope
    strip: Strip | None = None
    levels: dict[str, float] = field(default_factory=dict)  # horizontal lines
    marks: list[str] = field(default_factory=list)  # dates of cases
    upright: bool = True  # whether bars stand upright; long labels need lying ones
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
    notes: list[str]  # differences of method, survivorship, missing data
    remark: str = ""  # what a reader should know before the figures, in one sentence
