"""What a signal is: its declaration, a reading of it, and the reason when there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

Value: TypeAlias = float | int | str


class Level(StrEnum):
    """What a signal is about."""

    MARKET = "market"
    SECURITY = "security"
    INDUSTRY = "industry"


@dataclass(frozen=True, slots=True)
class Signal:
    """The declaration of one signal.

    Parameters
    ----------
    id : the name of the signal, its column in an export and its label in metrics.
    level : market, security or industry.
    title, title_zh : what people read.
    unit : CNY, ratio, days, state, side …
    inputs : the topics it is computed from.
    optional : topics that it uses where they are there; one that comes later makes it anew.
    formula : the definition, in plain text.
    source : where the definition comes from.
    window_days : trading days that must be known before it exists.
    provisional : whether it is also computed during the session.
    subjects : whether it has a value per subject (an index, a style …) instead of one for the market.
    parameters : the names of the `Parameters` that it depends on.
    """

    id: str
    level: Level
    title: str
    title_zh: str
    unit: str
    inputs: tuple[str, ...]
    formula: str
    source: str
    window_days: int = 1
    provisional: bool = False
    subjects: bool = False
    parameters: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Absent:
    """A signal that can't be computed, and why. It is never zero and never carried forward."""

    reason: str


@dataclass(frozen=True, slots=True)
class Reading:
    """A computed value with the figures beside it that people need to judge it."""

    value: Value
    details: Mapping[str, Value] | None = None
