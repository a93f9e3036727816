"""Common to the three rules on the financing-buy ratio: reading the state signal of one message."""

from __future__ import annotations

from dataclasses import dataclass

from alerts.model import Text
from alerts.rules.base import Message, number, percent
from processors.indicators.ratio_state import BASIS, RatioState
from processors.outputs import MarketSignal
from processors.parameters import Parameters

#: The basis of the market's state: the mean of the ratio over `Parameters.ratio_window_days`.
MEAN_BASIS = "fin_buy_ratio_5d"


#: The units of the figures and thresholds of rules on the state.
UNITS = dict.fromkeys(("ratio", "hot", "breakdown", "cold", "extreme_cold"), "ratio")


@dataclass(frozen=True, slots=True)
class StateChange:
    """The state of one basis on one day, None where it is absent, and the state of the day before."""

    signal: MarketSignal
    basis: str
    state: RatioState | None
    before: str = ""
    ratio: float = float("nan")

    @property
    def ratio_text(self) -> str:
        """The ratio as percent."""
        return percent(self.ratio)

    def threshold(self, name: str) -> float:
        """Return a threshold that was in force on the day, a fraction."""
        return number(self.signal.details, name)


def state_change(message: Message) -> StateChange | None:
    """Return the content of a final state signal; None for any other message."""
    if not isinstance(message, MarketSignal) or message.provisional or message.signal not in BASIS:
        return None
    basis = BASIS[message.signal]
    if message.value is None:
        return StateChange(message, basis, None)
    state, before = RatioState(str(message.value)), str(message.details.get("before", ""))
    return StateChange(message, basis, state, before, number(message.details, "ratio"))


def basis_text(basis: str, parameters: Parameters) -> Text:
    """Return the name of a basis: the days of its mean, or that it is the day's own ratio."""
    if basis == MEAN_BASIS:
        days = parameters.ratio_window_days
        return Text(f"{days}-day", f"{days}日")
    return Text("daily", "当日")
