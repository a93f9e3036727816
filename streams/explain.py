"""What a signal is and what a value was computed from: `marginwatch explain`.

The declaration is in the registry. The derivation of a date is what was published (value, details, the revisions
of its inputs) and what each of the signal's needs was, from the market stage's state in Redis.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, cast

import numpy as np

from feeds.cells.code_styles import BY_NUMBER, to_own
from feeds.errors import InputError
from processors.codes import to_id
from processors.days import to_day
from processors.explanation import figures
from processors.industries import INDUSTRIES
from processors.needs import DETAIL
from processors.outputs import DayStatus, MarketSignal, SecuritySignals
from processors.parameters import Parameters
from processors.registry import INDUSTRY_SIGNALS, PUBLISHED_COLUMNS, SIGNALS
from processors.signal import Level, Signal
from streams import readers
from streams.calendars import xshg
from streams.clients import redis_client
from streams.errors import ExplainError, SubjectError
from streams.keys import rows_key
from streams.settings import Settings
from streams.stages.market_stage import MarketStage, MarketState
from streams.topics import Topics

_MARKET = "market"


def declaration(settings: Settings, name: str) -> list[dict[str, Any]]:
    """Return what every signal of this id is (a market and an industry may share one), with the parameters in force."""
    found = [signals[name] for signals in (SIGNALS, INDUSTRY_SIGNALS) if name in signals]
    if not found:
        base, _, subject = name.partition("/")
        if subject and (base in SIGNALS or base in INDUSTRY_SIGNALS):
            raise ExplainError(f"there is no signal {name!r}: name the subject with --of, {base} --of {subject}")
        close = [other for other in (*SIGNALS, *INDUSTRY_SIGNALS) if name[:4] in other]
        hint = f"did you mean {', '.join(dict.fromkeys(close))}?" if close else "the documentation lists all"
        raise ExplainError(f"there is no signal {name!r}: {hint}")
    return [_described(signal, settings.parameters) for signal in found]


def _described(signal: Signal, parameters: Parameters) -> dict[str, Any]:
    """Return a declaration and what follows from it and the parameters, as plain types."""
    names = ("id", "level", "title", "title_zh", "unit", "subjects", "formula", "source")
    derived = ("inputs", "optional", "provisional")
    return {name: getattr(signal, name) for name in (*names, *derived)} | dataclasses.asdict(
        signal.texts(parameters)
    ) | {
        "window_days": signal.window(parameters),
        "needs": [need.text(parameters) for need in signal.needs],
        "values": {name: getattr(parameters, name) for name in signal.parameters},
    }  # fmt: skip


def derivation(settings: Settings, name: str, day: date, subject: str | None) -> dict[str, Any]:
    """Return what was published of a signal on a day, and the figures that it was computed from.

    Parameters
    ----------
    subject : a code, an industry, or the subject of a market signal; None for the market.

    Raises
    ------
    ExplainError : if nothing was published, naming what to look at.
    SubjectError : if the signal has no value of the subject.
    """
    if subject == _MARKET:
        subject = None
    if name in INDUSTRY_SIGNALS and subject in INDUSTRIES:
        return _industry(settings, name, day, str(subject))
    if name not in SIGNALS:
        raise SubjectError(_needed(f"{name} is a signal of industries", INDUSTRIES, subject))
    signal = SIGNALS[name]
    if signal.level is Level.SECURITY and subject is None:
        raise SubjectError(f"{name} is a signal of securities: name one with --of, e.g. --of 600519.SH")
    if subject is not None and (signal.level is Level.SECURITY or name in PUBLISHED_COLUMNS):
        return _security(settings, signal, day, subject)
    if subject is not None and not signal.subjects:
        raise SubjectError(f"{name} has one value for the market, none of {subject}: leave --of out")
    return _market(settings, signal, day, subject)


def _market(settings: Settings, signal: Signal, day: date, subject: str | None) -> dict[str, Any]:
    """The final value of a day; while there is none, the provisional one of the running session."""
    name = signal.id if subject is None else f"{signal.id}/{subject}"
    published: MarketSignal | None = None
    subjects = set()
    for one in readers.market_signals(settings, wanted=lambda key: key.startswith(f"{signal.id}/")):
        if one.signal == signal.id:
            subjects.add(one.subject)
            is_final = published is not None and not published.provisional
            if one.name == name and one.trade_date == day and not (is_final and one.provisional):
                published = one
    if published is None:
        if signal.subjects and subject not in subjects:
            raise SubjectError(_needed(f"{signal.id} has a value per subject", sorted(subjects), subject))
        raise ExplainError(_nothing(name, day))
    found = _published(name, published, published.value, published.reason, published.details)
    found["provisional"] = published.provisional
    return found | {"inputs": _inputs(settings, signal, subject or _MARKET, day)}


def _needed(why: str, subjects: Iterable[str], given: str | None) -> str:
    wrong = "" if given is None else f", and {given} is none of them"
    return f"{why}{wrong}: name one with --of: {', '.join(subjects) or '?'}"


def _nothing(name: str, day: date) -> str:
    return (
        f"nothing was published of {name} on {day}: is it a trading day, has every feed that it needs closed it? See "
        "`marginwatch status`"
    )


def _security(settings: Settings, signal: Signal, day: date, subject: str) -> dict[str, Any]:
    try:
        code = to_own(subject, exchange=BY_NUMBER)
    except InputError as error:
        raise SubjectError(str(error)) from error
    key = to_id(code)
    found: tuple[SecuritySignals, dict[str, Any]] | None = None
    for frame in readers.security_signals(settings, wanted=lambda key: key.startswith(f"{day.isoformat()}/")):
        at = int(np.searchsorted(frame.keys, key))
        here = at < len(frame.keys) and frame.keys[at] == key
        if here and signal.id in frame.columns and frame.status.trade_date == day:
            found = frame, {name: _plain(values[at]) for name, values in frame.columns.items()}
    if found is None:
        raise ExplainError(_nothing(f"{signal.id} of {code}", day))
    frame, columns = found
    value = columns.pop(signal.id)
    if signal.level is Level.SECURITY:
        inputs = _inputs(settings, signal, code, day)
    else:  # a figure of the margin detail, of the same name
        inputs = {f"{DETAIL} {signal.id}": {code: value}}
    reason = frame.left_out.get(signal.id) or _cause(inputs) if value is None else ""
    return _published(f"{signal.id}/{code}", frame.status, value, reason, columns) | {"inputs": inputs}


def _industry(settings: Settings, name: str, day: date, industry: str) -> dict[str, Any]:
    at = INDUSTRIES.index(industry)
    found: dict[str, Any] | None = None
    for frame in readers.industry_signals(settings, wanted=lambda key: key == day.isoformat()):
        if frame.status.trade_date == day:
            columns = {column: _plain(values[at]) for column, values in frame.columns.items()}
            value, parts = columns.pop(name), (f"{name}_", "fin_", "net_", "buy_")
            details = {column: figure for column, figure in columns.items() if column.startswith(parts)}
            found = _published(f"{name}/{industry}", frame.status, value, frame.left_out.get(name, ""), details)
            found["left_out"] = {part: why for part, why in frame.left_out.items() if part.startswith(name)}
    if found is None:
        raise ExplainError(_nothing(f"{name} of {industry}", day))
    inputs = _inputs(settings, INDUSTRY_SIGNALS[name], industry, day)
    if found["value"] is None:
        found["reason"] = found["reason"] or _cause(inputs)
    return found | {"inputs": inputs}


def _cause(inputs: Mapping[str, Mapping[str, Any]]) -> str:
    """Why a figure is absent of one security or industry: the first of its inputs that is not known."""
    for need, values in inputs.items():
        windows = (found if isinstance(found, list) else [found] for found in values.values())
        if all(one is None for window in windows for one in window):
            return f"{need} is not known" if values else f"no security has {need}"
    return "its formula has no value for its inputs" if inputs else "its inputs have left the state"


def _published(
    name: str, of: MarketSignal | DayStatus, value: Any, reason: str, details: dict[str, Any]
) -> dict[str, Any]:
    return {
        "signal": name,
        "trade_date": of.trade_date,
        "value": value,
        "reason": reason,
        "available_at": of.available_at,
        "revision": of.revision,
        "input_revisions": of.input_revisions,
        "missing": of.missing,
        "details": details,
    }


def _inputs(settings: Settings, signal: Signal, subject: str, day: date) -> dict[str, dict[str, Any]]:
    """What each need of a signal was on a day, from the market stage's state in Redis: need → key → figures.

    Empty for a day whose figures have left the state.
    """
    stage = MarketStage(settings, Topics(settings), xshg(settings.calendar_file))
    state = MarketState(stage, 0)
    with redis_client(settings) as client:
        stored = cast("dict[bytes, bytes]", client.hgetall(rows_key(settings.namespace, stage.name, 0)))
    state.load_rows({name.decode(): row for name, row in stored.items()})
    market, number = state.processor, to_day(day)
    if not all(market.closed[topic].is_closed(number) for topic in signal.inputs):
        return {}
    explained = figures(signal, subject, number, market.sources)
    return {one.text: dict(one.values) for one in explained}


def _plain(value: Any) -> Any:
    """A NumPy scalar as a Python value; NaN is None."""
    plain = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(plain, float) and np.isnan(plain) else plain
