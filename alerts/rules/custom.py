"""A desk's own rules and its changes to the built-in ones, from a TOML file.

[rules.peak_warning]            # a built-in rule: any of enabled, severity, minimum_days, cooldown_days, horizon_days
cooldown_days = 5

[rules.ratio_above_11]          # a new rule on one market signal
signal = "fin_buy_ratio_5d"     # with its subject where it has one: "oversold/000300.SH"
above = 0.11                    # or below = …
clear = 0.105                   # the alert ends when the value is back past this; default: the level itself
severity = "info"
minimum_days = 2                # pending until the condition was true on so many trading days
horizon_days = 60               # the alert ends after so many sessions, if nothing else has ended it
title = "5-day ratio above 11%"
title_zh = "5日融资买入占比高于11%"
"""

from __future__ import annotations

import dataclasses
import math
import tomllib
from pathlib import Path
from typing import TypeVar

import msgspec

from alerts.errors import RuleError
from alerts.model import Severity, Text
from alerts.rules.base import MOST_DAYS, Rule
from alerts.rules.threshold import Threshold
from processors.registry import SIGNALS
from processors.signal import Level

#: What a rules file may change of a built-in rule.
_CHANGEABLE = ("severity", "minimum_days", "cooldown_days", "horizon_days")
_T = TypeVar("_T", bound=msgspec.Struct)


class _Changes(msgspec.Struct, forbid_unknown_fields=True):
    enabled: bool = True
    severity: Severity | None = None
    minimum_days: int | None = None
    cooldown_days: int | None = None
    horizon_days: int | None = None


class _Own(msgspec.Struct, forbid_unknown_fields=True):
    signal: str
    title: str
    severity: Severity
    above: float | None = None
    below: float | None = None
    clear: float | None = None
    title_zh: str = ""
    minimum_days: int = 1
    cooldown_days: int = 0
    horizon_days: int = 20
    enabled: bool = True
    source: str = "own"


def load(path: Path, built_in: tuple[Rule, ...]) -> tuple[Rule, ...]:
    """Return the built-in rules as the file changes them, and the rules that it adds.

    Parameters
    ----------
    path : the TOML file.
    built_in : the rules that the file may change.

    Raises
    ------
    RuleError : if the file or a rule in it can't be read, the message names the rule and what is wrong.
    """
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise RuleError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RuleError(f"{path}: not TOML in UTF-8: {error}") from error
    if set(found) - {"rules"}:
        raise RuleError(f"{path}: only [rules.NAME] tables are known, not {', '.join(sorted(set(found) - {'rules'}))}")
    tables = dict(found.get("rules", {}))
    names = {one.name for one in built_in}
    out = []
    for one in built_in:
        changes = _read(path, one.name, tables.get(one.name, {}), _Changes)
        if changes.enabled:
            given = {f: v for f in _CHANGEABLE if (v := getattr(changes, f)) is not None}
            changed = dataclasses.replace(one, **given)
            _check_days(
                f"{path}: [rules.{one.name}]", changed.minimum_days, changed.cooldown_days, changed.horizon_days
            )
            out.append(changed)
    for name, table in tables.items():
        if name not in names:
            own = _read(path, name, table, _Own)
            if own.enabled:
                out.append(_own(path, name, own))
    return tuple(out)


def _read(path: Path, name: str, table: object, kind: type[_T]) -> _T:
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise RuleError(f"{path}: [rules.{name}]: {error}") from error


def _own(path: Path, name: str, own: _Own) -> Rule:
    where = f"{path}: [rules.{name}]"
    declared = SIGNALS.get(own.signal.partition("/")[0])
    if declared is None or declared.level is not Level.MARKET:
        raise RuleError(f"{where}: there is no market signal {own.signal!r}; the documentation lists all")
    if declared.subjects != ("/" in own.signal):
        subject = "needs a subject, e.g. oversold/000300.SH" if declared.subjects else "has no subject"
        raise RuleError(f"{where}: {declared.id} {subject}")
    if declared.unit == "state":
        raise RuleError(f"{where}: {declared.id} is a state, such as HOT, and no number that is above or below another")
    if (own.above is None) == (own.below is None):
        raise RuleError(f"{where}: give above or below, one of them")
    level = own.above if own.above is not None else own.below
    assert level is not None
    if not all(math.isfinite(number) for number in (level, own.clear) if number is not None):
        raise RuleError(f"{where}: above, below and clear are numbers, not nan or inf: nothing is beyond them")
    clear = level if own.clear is None else own.clear
    if (own.above is not None and clear > level) or (own.below is not None and clear < level):
        raise RuleError(f"{where}: clear must lie on the calm side of the level ({level})")
    _check_days(where, own.minimum_days, own.cooldown_days, own.horizon_days)
    threshold = Threshold(own.signal, level, clear, own.above is not None, Text(own.title, own.title_zh or own.title))
    return Rule(
        name,
        own.severity,
        threshold.evaluate,
        reads=(own.signal.partition("/")[0],),
        source=own.source,
        minimum_days=own.minimum_days,
        cooldown_days=own.cooldown_days,
        horizon_days=own.horizon_days,
    )


def _check_days(where: str, minimum: int, cooldown: int, horizon: int) -> None:
    if not (1 <= minimum <= MOST_DAYS and 0 <= cooldown <= MOST_DAYS):
        raise RuleError(f"{where}: minimum_days is 1 to {MOST_DAYS}, cooldown_days 0 to {MOST_DAYS}")
    if horizon < minimum:
        raise RuleError(f"{where}: horizon_days is {horizon}: it must be at least minimum_days ({minimum})")
