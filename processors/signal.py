"""The declaration of a signal, and its values over a block of days with the reasons of absence."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any, Final, TypeAlias

import numpy as np

from processors.arrays import Array
from processors.needs import Days, Need, count, topics
from processors.parameters import DEFAULTS, Parameters

Value: TypeAlias = float | int | str
#: One value a day: floats (NaN where absent), integers or flags, or labels (None where absent).
Values: TypeAlias = Array | Sequence[Value | None]
_UNDEFINED: Final = "its inputs are known, but the formula has no value for them"


class Level(StrEnum):
    """Subject of a signal."""

    MARKET = "market"
    SECURITY = "security"
    INDUSTRY = "industry"


#: A parameter in a text, and the format of its value.
_FIELD = re.compile(rf"<({'|'.join(one.name for one in fields(Parameters))})(?::([^<>]+))?>")


def _stated(text: str, parameters: Parameters) -> str:
    """Return a text with the values of the parameters that it names.

    >>> _stated("hot at ≥ <ratio_hot:%> of <ratio_window_days> days, in heat_<factor>", DEFAULTS)
    'hot at ≥ 10.3% of 5 days, in heat_<factor>'
    """

    def shown(found: re.Match[str]) -> str:
        value, form = getattr(parameters, found[1]), found[2] or ""
        return (f"{value * 100:.10g}%" if form == "%" else f"{value:{form}}").replace("-", "−" if form else "-")

    return _FIELD.sub(shown, text)


@dataclass(frozen=True, slots=True)
class Texts:
    """Titles and formula of a signal."""

    title: str
    title_zh: str
    formula: str


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """The declaration of one signal. Its needs determine all other properties.

    Parameters
    ----------
    id : name of the signal, of its column in an export and of its label in metrics.
    level : market, security or industry.
    title, title_zh : titles in English and Chinese. In them and in ``formula``, ``<name>`` and ``<name:format>`` are
        the value of a parameter (``%``: percent); the attributes have the defaults, `texts` those of any parameters.
    unit : CNY, ratio, days, state, side …
    needs : its inputs; see `processors.needs`.
    formula : the definition, in plain text.
    source : publication of the definition.
    beside : further columns that its frame has of it: its rank, its parts.
    subjects : whether it has a value per subject (an index, a style …) instead of one for the market.
    parameters : names of the `Parameters` that its formula reads; the constructor adds those of its needs.
    retain : trading days for which `Memory` retains its values; a count or the name of a parameter.
    warmup : days that a recursion runs before it has a value; a count or the name of a parameter.
    """

    id: str
    level: Level
    title: str
    title_zh: str
    unit: str
    needs: tuple[Need, ...]
    formula: str
    source: str
    subjects: bool = False
    parameters: tuple[str, ...] = ()
    retain: Days = 0
    warmup: Days = 0
    beside: tuple[str, ...] = ()
    _written: Texts = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_written", Texts(self.title, self.title_zh, self.formula))
        for name, text in asdict(self.texts(DEFAULTS)).items():
            object.__setattr__(self, name, text)
        of_needs = (name for need in self.needs for name in need.parameters)
        own = (name for name in (self.retain, self.warmup) if isinstance(name, str))
        object.__setattr__(self, "parameters", tuple(dict.fromkeys((*self.parameters, *of_needs, *own))))

    def texts(self, parameters: Parameters) -> Texts:
        """Return titles and formula with the values of the parameters that they name."""
        written = self._written
        return Texts(*(_stated(text, parameters) for text in (written.title, written.title_zh, written.formula)))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The required topics."""
        return topics(self.needs, optional=False) or topics(self.needs, optional=True)

    @property
    def optional(self) -> tuple[str, ...]:
        """The optional topics. The arrival of one recomputes the signal."""
        inputs = self.inputs
        return tuple(topic for topic in topics(self.needs, optional=True) if topic not in inputs)

    @property
    def provisional(self) -> bool:
        """Whether it has provisional values: its needs are known during the session, and some of them change in it."""
        required = [need for need in self.needs if not need.optional]
        return (
            self.level is Level.MARKET
            and all(need.known_intraday for need in required)
            and any(need.changes_intraday for need in required)
        )

    @property
    def window_days(self) -> int:
        """Trading days that must be known before it has a value, with the default parameters."""
        return self.window(DEFAULTS)

    def window(self, parameters: Parameters) -> int:
        """Return the trading days that must be known before it has a value."""
        required = [need for need in self.needs if not need.optional]
        spans = (need.lag(parameters) + need.required(parameters) for need in required)
        upstream = (need.signal.window(parameters) - 1 if need.signal is not None else 0 for need in required)
        known = max((span + more for span, more in zip(spans, upstream, strict=True)), default=1)
        return known + count(self.warmup, parameters)


@dataclass(frozen=True, slots=True)
class Column:
    """The values of one signal and subject over a block of days.

    An indicator need not handle days on which a required input is unknown: the block reports them as absent.

    Parameters
    ----------
    values : (k,) NaN or None where the formula has no value.
    details : name → (k,) further figures for readers; NaN or None is left out.
    undefined : reason of an absent value on days on which every input is known.
    absent : position of the day → reason; it overrides the value.
    lasting : names of the details that are published on days without a value, too.
    """

    values: Values
    details: Mapping[str, Values] = field(default_factory=dict)
    undefined: str = _UNDEFINED
    absent: Mapping[int, str] = field(default_factory=dict)
    lasting: frozenset[str] = frozenset()


def plain(values: Values) -> list[Any]:
    """Return the values as a list of Python objects, None where absent.

    Examples
    --------
    >>> plain(np.array([0.5, np.nan]))
    [0.5, None]
    """
    if not isinstance(values, np.ndarray):
        return list(values)
    out: list[Any] = values.tolist()
    if values.dtype.kind == "f":
        return [None if value != value else value for value in out]
    return out


def number(value: float) -> float | None:
    """Return a figure as a Python number, None where it is NaN.

    Examples
    --------
    >>> number(np.float64(0.5)), number(np.nan)
    (0.5, None)
    """
    return None if np.isnan(value) else float(value)
