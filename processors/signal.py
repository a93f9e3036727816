"""What a signal is: its declaration, and the values of a block of days with the reasons where there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from processors.needs import Days, Need, count, topics
from processors.parameters import DEFAULTS, Parameters

Value: TypeAlias = float | int | str
#: A value of every day of a block: floats (NaN where absent), integers or flags, or words (None where absent).
Values: TypeAlias = npt.NDArray[Any] | Sequence[Value | None]
_UNDEFINED: Final = "its inputs are known, but the formula has no value for them"


class Level(StrEnum):
    """What a signal is about."""

    MARKET = "market"
    SECURITY = "security"
    INDUSTRY = "industry"


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """The declaration of one signal. Whatever else is known of it follows from its needs.

    Parameters
    ----------
    id : the name of the signal, its column in an export and its label in metrics.
    level : market, security or industry.
    title, title_zh : what people read.
    unit : CNY, ratio, days, state, side …
    needs : its inputs; see `processors.needs`.
    formula : the definition, in plain text.
    source : where the definition is published.
    subjects : whether it has a value per subject (an index, a style …) instead of one for the market.
    parameters : the names of the `Parameters` that its formula reads; those of its needs are added.
    remembers : for how many trading days its own values are kept for later days; a count or a parameter.
    settles : how many days a recursion runs before it has a value; a count or a parameter.
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

    def __post_init__(self) -> None:
        of_needs = (name for need in self.needs for name in need.parameters)
        own = (name for name in (self.retain, self.warmup) if isinstance(name, str))
        object.__setattr__(self, "parameters", tuple(dict.fromkeys((*self.parameters, *of_needs, *own))))

    @property
    def inputs(self) -> tuple[str, ...]:
        """The topics that it can't be computed without."""
        return topics(self.needs, optional=False) or topics(self.needs, optional=True)

    @property
    def optional(self) -> tuple[str, ...]:
        """The topics that it uses where they are there; one that arrives later recomputes it."""
        inputs = self.inputs
        return tuple(topic for topic in topics(self.needs, optional=True) if topic not in inputs)

    @property
    def provisional(self) -> bool:
        """Whether it is also computed during the session: its needs are known by then, and some of them move."""
        required = [need for need in self.needs if not need.optional]
        return (
            self.level is Level.MARKET
            and all(need.known_intraday for need in required)
            and any(need.changes_intraday for need in required)
        )

    @property
    def window_days(self) -> int:
        """Trading days that must be known before it exists, with the default parameters."""
        return self.window(DEFAULTS)

    def window(self, parameters: Parameters) -> int:
        """Trading days that must be known before it exists."""
        required = [need for need in self.needs if not need.optional]
        spans = (need.lag(parameters) + need.required(parameters) for need in required)
        behind = (need.signal.window(parameters) - 1 if need.signal is not None else 0 for need in required)
        known = max((span + more for span, more in zip(spans, behind, strict=True)), default=1)
        return known + count(self.warmup, parameters)


@dataclass(frozen=True, slots=True)
class Column:
    """The values of one signal and subject over a block of days.

    Days on which a required input is unknown need no care: the block makes them absent, with the reason.

    Parameters
    ----------
    values : one per day; NaN or None where the formula has no value.
    details : figures beside the value that people need to judge it; NaN or None is left out.
    undefined : why there is no value although every input is known.
    absent : reasons by the day's place, whatever the value is.
    unpublished : places of days on which there is nothing to say of the subject, not even that it is absent.
    """

    values: Values
    details: Mapping[str, Values] = field(default_factory=dict)
    undefined: str = _UNDEFINED
    absent: Mapping[int, str] = field(default_factory=dict)
    unpublished: frozenset[int] = frozenset()


def plain(values: Values) -> list[Any]:
    """Return the values as Python's own, None where absent."""
    if not isinstance(values, np.ndarray):
        return list(values)
    out: list[Any] = values.tolist()
    if values.dtype.kind == "f":
        return [None if value != value else value for value in out]
    return out
