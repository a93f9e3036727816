"""What the three rules on the financing-buy ratio share: reading the state signal of one message."""

from __future__ import annotations

from dataclasses import dataclass

from alerts.rules.base import Message, number, percent
from processors.indicators.ratio_state import BASIS, RatioState
from processors.outputs import MarketSignal

COLD_STATES = (RatioState.COLD, RatioState.EXTREME_COLD)
NAMES = {"fin_buy_ratio_5d": ("5-day", "5日"), "fin_buy_ratio": ("daily", "当日")}


@dataclass(frozen=True, slots=True)
class StateChange:
    """The state of one basis on one day, and the day's before it."""

    signal: MarketSignal
    basis: str
    state: RatioState
    before: str
    ratio: float

    @property
    def names(self) -> tuple[str, str]:
        """The basis in English and Chinese."""
        return NAMES[self.basis]

    @property
    def shown(self) -> str:
        """The ratio as people write it."""
        return percent(self.ratio)

    def threshold(self, name: str) -> float:
        """A threshold that was in force."""
        return number(self.signal.details, name)


def state_change(message: Message) -> StateChange | None:
    """Read a final state signal; None for anything else, and where the state is absent."""
    if (
        not isinstance(message, MarketSignal)
        or message.provisional
        or message.signal not in BASIS
        or message.value is None
    ):
        return None
    return StateChange(
        message,
        BASIS[message.signal],
        RatioState(str(message.value)),
        str(message.details.get("before", "")),
        number(message.details, "ratio"),
    )
