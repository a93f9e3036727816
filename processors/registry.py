"""The registry of all signals.

Topic schema, metric, status, retention and documentation follow from the declarations here. A new indicator is one
module in `processors.indicators` and one line here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from hashlib import blake2b
from importlib import import_module
from types import ModuleType
from typing import Any, TypeAlias

from processors.indicators import extreme, fin_change, streak
from processors.needs import (
    CHARTS,
    DETAIL,
    FUNDS,
    INDICES,
    PRICES,
    VALUATIONS,
    Days,
    Need,
    Source,
    count,
    days_back,
    security,
)  # fmt: skip
from processors.parameters import Parameters
from processors.signal import Level, Signal


def _modules(*names: str) -> tuple[ModuleType, ...]:
    """Import indicators by name, so that a new indicator is one line in a list below."""
    return tuple(import_module(f"processors.indicators.{name}") for name in names)


#: Market indicators: ``compute(block)`` returns a column per declared signal and subject. An indicator that reads a
#: result of the same day follows the indicator that computes it.
MARKET_INDICATORS = _modules(
    "fin_balance",
    "fin_change_5d",
    "short_balance",
    "fin_buy_ratio",
    "ratio_state",
    "verdict",
    "excess_financing",
    "lead_lag",
    "turnover_mean_5d",
    "float_cap",
    "two_way_to_float_cap",
    "margin_trade_share",
    "risk_premium",
    "index_pe",
    "index_cycle",
    "collateral_ratio",
    "regime",
    "oversold",
    "llt",
    "gftd",
    "etf_flow",
    "etf_flow_5d",
    "bottom_panel",
    "groups",
    "coverage",
    "breadth",
    "equal_weight",
    "index_close",
    "index_styles",
    "group_themes",
)

#: Security indicators that need prices: ``compute(block)`` returns columns over the rows of the margin detail.
PRICING_INDICATORS = _modules(
    "price_level",
    "excess_score",
    "divergence",
    "chart_score",
)

#: Industry indicators: ``compute(block)`` returns columns (k, 31), and the missing parts of each day with reasons.
INDUSTRY_INDICATORS = _modules(
    "industry_balance",
    "industry_rotation",
    "industry_heat",
    "industry_close",
    "themes",
)

#: Security indicators: functions over the columns of a day. `processors.securities` calls those of a security's own
#: history, `processors.extremes` those across all securities of a day.
SECURITY_INDICATORS: tuple[ModuleType, ...] = (fin_change, streak, extreme)

#: Signals of the market and of securities by id; `INDUSTRY_SIGNALS` is a separate namespace of ids.
SIGNALS: dict[str, Signal] = {
    signal.id: signal
    for module in (*MARKET_INDICATORS, *SECURITY_INDICATORS, *PRICING_INDICATORS)
    for signal in module.SIGNALS
}
INDUSTRY_SIGNALS: dict[str, Signal] = {signal.id: signal for module in INDUSTRY_INDICATORS for signal in module.SIGNALS}
#: The industry signals that are published as metrics and drawn on dashboards; the topic contains all of them.
INDUSTRY_METRICS: tuple[str, ...] = (
    "heat", "risk", "fin_balance", "fin_balance_share", "net_buy", "buy_to_turnover", "theme_score",
)  # fmt: skip

#: Every input that some signal declares. The stages retain no other figure.
DECLARED: frozenset[Need] = frozenset(
    need for signal in (*SIGNALS.values(), *INDUSTRY_SIGNALS.values()) for need in signal.needs
)
#: The topics with a row per security, and their figures that are derived from the day before as well.
_SECURITY_TOPICS = (DETAIL, PRICES, VALUATIONS, FUNDS)
_OF_TWO_DAYS = ("fin_repay", "return_1")
#: Topics, and days before a day of which figures are compared with those of the day.
EarlierDays: TypeAlias = tuple[tuple[str, Days], ...]
_OF_SECURITIES = (Source.SECURITY, Source.PRICE, Source.VALUATION, Source.CHART)
#: Columns of `SecuritySignals` that the market stage copies from the feature frames.
PUBLISHED_COLUMNS = ("fin_balance", "fin_change", "fin_streak")


def earlier_days(needs: Iterable[Need]) -> EarlierDays:
    """Return the topics and days before a day whose figures of securities the needs compare with those of the day.

    A mean over many days, and a window of them, tolerates a missing one.
    """
    found: dict[tuple[str, Days], None] = {}
    for need in needs:
        if need.topic in _SECURITY_TOPICS:
            if need.back and not need.mean:
                found[need.topic, need.back] = None
            if need.figure in _OF_TWO_DAYS:
                found[need.topic, 1] = None
            if need.signal is not None:
                found |= dict.fromkeys(earlier_days(need.signal.needs))
    return tuple(found)


def look_back(topic: str, parameters: Parameters) -> int:
    """Return the trading days before a day at which the figures of a topic's securities are compared with the day's."""
    needs = (need for signal in (*SIGNALS.values(), *INDUSTRY_SIGNALS.values()) for need in signal.needs)
    return max((days_back(back, parameters) for of, back in earlier_days(needs) if of == topic), default=0)


def signals_with(topic: str) -> list[str]:
    """Return the ids of the signals that read a topic, sorted."""
    declared = (*SIGNALS.values(), *INDUSTRY_SIGNALS.values())
    return sorted({signal.id for signal in declared if topic in (*signal.inputs, *signal.optional)})


def signals_of(level: Level) -> tuple[Signal, ...]:
    """Return the declared signals of a level, in order."""
    return tuple(s for s in (*SIGNALS.values(), *INDUSTRY_SIGNALS.values()) if s.level is level)


def inputs_of(modules: Iterable[ModuleType]) -> tuple[str, ...]:
    """Return the required topics of indicators, in order."""
    return tuple(dict.fromkeys(topic for module in modules for signal in module.SIGNALS for topic in signal.inputs))


def optional_of(modules: Iterable[ModuleType]) -> tuple[str, ...]:
    """Return the optional topics of indicators, in order."""
    modules = tuple(modules)
    required = inputs_of(modules)
    found = dict.fromkeys(topic for module in modules for signal in module.SIGNALS for topic in signal.optional)
    return tuple(topic for topic in found if topic not in required)


def kept_figures(topic: str) -> tuple[str, ...]:
    """Return the figures of a topic whose history the market stage retains, sorted."""
    needed = (need for need in DECLARED if need.topic == topic and need.figure and need.source not in _OF_SECURITIES)
    return tuple(sorted({figure for need in needed for figure in need.figures}))


def indices_needed(figures: Collection[str], parameters: Parameters) -> set[str]:
    """Return the codes of the indices of which any signal needs one of the figures."""
    needs = (need for need in DECLARED if need.topic == INDICES and need.figure in figures)
    return {code for need in needs for code in need.codes(parameters)}


def frame_columns(topic: str, parameters: Parameters) -> dict[str, Need]:
    """Return the columns of a topic's feature frames: name → need."""
    return {need.column(parameters): need for need in sorted(_read_from_frames(topic), key=Need.text)}


def _read_from_frames(topic: str) -> list[Need]:
    """Return the needs of a topic's securities that later stages read from feature frames."""
    modules = (*MARKET_INDICATORS, *PRICING_INDICATORS, *INDUSTRY_INDICATORS, extreme)
    found = {need for module in modules for signal in module.SIGNALS for need in signal.needs}
    published = {security("fin_balance"), security(fin_change.FIN_CHANGE), security(streak.FIN_STREAK)}
    return [n for n in found | published if n.topic == topic and n.source in _OF_SECURITIES]


def reach(topic: str, parameters: Parameters) -> int:
    """Return the trading days of a topic's feature frames that indicators read, including the day itself.

    The securities stage computes means, so a mean reads the frame of one day.
    """
    return max((1 if n.mean else n.window(parameters) for n in _read_from_frames(topic)), default=1)


def state_digest(parameters: Parameters) -> str:
    """Return a digest of the figures and windows that the stages retain; state with another digest must be rebuilt.

    It contains the parameters that the figures in feature frames depend on: frames are not computed again otherwise.
    """
    columns = {
        topic: [
            (
                name,
                need.text(parameters),
                need.reach(parameters),
                need.required(parameters),
                _parameters_behind(need, parameters),
            )
            for name, need in sorted(frame_columns(topic, parameters).items())
        ]
        for topic in (DETAIL, PRICES, VALUATIONS, CHARTS)
    }
    reached = [(reach(topic, parameters), look_back(topic, parameters)) for topic in columns]
    retained = columns, reached, sorted(retained_signals(parameters).items())
    return blake2b(repr(retained).encode(), digest_size=4).hexdigest()


def published_digest() -> str:
    """Return a digest of the names of the published figures; state with another digest must be rebuilt.

    The days that an earlier release closed lack a figure that was added since, until they are computed again.
    """
    names = [sorted((signal.level, signal.id) for signal in found.values()) for found in (SIGNALS, INDUSTRY_SIGNALS)]
    return blake2b(repr(names).encode(), digest_size=4).hexdigest()


def _parameters_behind(need: Need, parameters: Parameters) -> list[Any]:
    """Return the parameters of the signal that a need reads, and of the signals that it reads itself."""
    if need.signal is None:
        return []
    signal = SIGNALS[need.signal.id]
    upstream = [_parameters_behind(one, parameters) for one in signal.needs]
    return [*((name, getattr(parameters, name)) for name in signal.parameters), *upstream]


def retained_signals(parameters: Parameters) -> dict[str, int]:
    """Return the market signals whose values later days read: id → trading days that `Memory` retains them."""
    days = {signal.id: count(signal.retain, parameters) for signal in SIGNALS.values() if signal.retain}
    for need in DECLARED:
        if need.source is Source.RESULT and need.signal is not None:
            reach = need.lag(parameters) + need.window(parameters)
            days[need.signal.id] = max(reach, days.get(need.signal.id, 0))
    return days


def topics_behind(signal: Signal) -> frozenset[str]:
    """Return the topics of a market signal and of the signals that read it: each may recompute an earlier day of it."""
    readers = (reader for reader in SIGNALS.values() if any(need.signal is signal for need in reader.needs))
    return frozenset(topic for one in (signal, *readers) for topic in (*one.inputs, *one.optional))
