"""Every signal there is. Topic schema, metric, status, retention and documentation follow from the declarations here.

Adding an indicator is one module in `processors.indicators` and one line here.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from importlib import import_module
from types import ModuleType

from processors.indicators import extreme, fin_change, streak
from processors.needs import DETAIL, PRICES, VALUATIONS, Need, Source, count, security
from processors.parameters import Parameters
from processors.signal import Level, Signal


def _modules(*names: str) -> tuple[ModuleType, ...]:
    """Import indicators by their names: a new one is one line in a list below."""
    return tuple(import_module(f"processors.indicators.{name}") for name in names)


#: Market indicators: ``compute(block)`` gives a column per declared signal and subject. Order matters where one reads
#: another's result of the same day.
MARKET_INDICATORS = _modules(
    "fin_balance",
    "short_balance",
    "fin_buy_ratio",
    "ratio_state",
    "excess_financing",
    "float_cap",
    "margin_trade_share",
    "risk_premium",
    "regime",
    "oversold",
    "llt",
    "gftd",
    "etf_flow",
    "bottom_panel",
    "groups",
    "coverage",
    "breadth",
    "equal_weight",
    "index_close",
)

#: Security indicators that need prices as well: ``compute(block)`` gives columns over the rows of the margin detail.
PRICING_INDICATORS = _modules(
    "price_level",
    "excess_score",
    "divergence",
)

#: Industry indicators: ``compute(block)`` gives columns (k, 31), and what is left out of them by day.
INDUSTRY_INDICATORS = _modules(
    "industry_balance",
    "industry_rotation",
    "industry_heat",
)

#: Security indicators: functions over the columns of a day, called by `processors.securities` (own history of a
#: security) and `processors.extremes` (all securities of a day).
SECURITY_INDICATORS: tuple[ModuleType, ...] = (fin_change, streak, extreme)

#: Signals of the market and of securities by id; industries have ids of their own in `INDUSTRY_SIGNALS`.
SIGNALS: dict[str, Signal] = {
    signal.id: signal
    for module in (*MARKET_INDICATORS, *SECURITY_INDICATORS, *PRICING_INDICATORS)
    for signal in module.SIGNALS
}
INDUSTRY_SIGNALS: dict[str, Signal] = {signal.id: signal for module in INDUSTRY_INDICATORS for signal in module.SIGNALS}
#: The industry signals that are published as metrics and drawn on dashboards; the topic contains all of them.
INDUSTRY_METRICS: tuple[str, ...] = ("heat", "risk", "fin_balance", "fin_balance_share", "net_buy", "buy_to_turnover")

#: Every input that some signal declares: nothing else is kept.
DECLARED: frozenset[Need] = frozenset(
    need for signal in (*SIGNALS.values(), *INDUSTRY_SIGNALS.values()) for need in signal.needs
)
_OF_SECURITIES = (Source.SECURITY, Source.PRICE, Source.VALUATION)
#: Columns of `SecuritySignals` that are handed through from the feature frames.
PUBLISHED_COLUMNS = ("fin_balance", "fin_change", "fin_streak")


def signals_of(level: Level) -> tuple[Signal, ...]:
    """Return the declared signals of a level, in order."""
    return tuple(s for s in (*SIGNALS.values(), *INDUSTRY_SIGNALS.values()) if s.level is level)


def inputs_of(modules: Iterable[ModuleType]) -> tuple[str, ...]:
    """Return the topics that indicators can't be computed without, in order."""
    return tuple(dict.fromkeys(topic for module in modules for signal in module.SIGNALS for topic in signal.inputs))


def optional_of(modules: Iterable[ModuleType]) -> tuple[str, ...]:
    """Return the topics that indicators use where they are there."""
    held = tuple(modules)
    required = inputs_of(held)
    found = dict.fromkeys(topic for module in held for signal in module.SIGNALS for topic in signal.optional)
    return tuple(topic for topic in found if topic not in required)


def kept_figures(topic: str) -> tuple[str, ...]:
    """Return the figures of a topic whose history the market stage keeps, by name."""
    needed = (need for need in DECLARED if need.topic == topic and need.figure and need.source not in _OF_SECURITIES)
    return tuple(sorted({figure for need in needed for figure in need.figures}))


def frame_columns(topic: str, parameters: Parameters) -> dict[str, Need]:
    """Return the columns of a topic's feature frames: name → what is needed of every security."""
    return {need.column(parameters): need for need in sorted(_read_from_frames(topic), key=Need.text)}


def _read_from_frames(topic: str) -> list[Need]:
    """What is needed of the securities of a topic behind the stage that folds their own history."""
    modules = (*MARKET_INDICATORS, *PRICING_INDICATORS, *INDUSTRY_INDICATORS, extreme)
    found = {need for module in modules for signal in module.SIGNALS for need in signal.needs}
    published = {security("fin_balance"), security(fin_change.FIN_CHANGE), security(streak.FIN_STREAK)}
    return [n for n in found | published if n.topic == topic and n.source in _OF_SECURITIES]


def reach(topic: str, parameters: Parameters) -> int:
    """Return for how many trading days a topic's figures of securities are looked back at, the day itself included.

    A mean is made where the rows are folded: nobody looks back at its parts.
    """
    return max((1 if n.mean else n.window(parameters) for n in _read_from_frames(topic)), default=1)


def state_digest(parameters: Parameters) -> str:
    """Return a digest of what the registered signals have the stages keep: another one needs other state."""
    columns = {
        topic: [
            (name, need.text(parameters), need.reach(parameters))
            for name, need in sorted(frame_columns(topic, parameters).items())
        ]
        for topic in (DETAIL, PRICES, VALUATIONS)
    }
    kept = columns, [reach(topic, parameters) for topic in columns], sorted(retained_signals(parameters).items())
    return blake2b(repr(kept).encode(), digest_size=4).hexdigest()


def retained_signals(parameters: Parameters) -> dict[str, int]:
    """Return the market signals whose values later days read, and for how many trading days each is kept."""
    results = [need for need in DECLARED if need.source is Source.RESULT]
    days = {
        need.signal.id: need.lag(parameters) + need.window(parameters) for need in results if need.signal is not None
    }
    for signal in SIGNALS.values():
        if signal.retain:
            days[signal.id] = max(count(signal.retain, parameters), days.get(signal.id, 0))
    return days
