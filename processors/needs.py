"""What an indicator needs: its inputs, declared once.

Everything that must know about an input follows from the declaration: which figures the stages keep and for how many
days, the window of a signal, the reason of an absence, what `explain` shows, whether a value can be provisional, the
documentation. A `Need` is also how an indicator reads: ``block[NEED]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from processors.days import TradingCalendar, to_date, to_day
from processors.parameters import Parameters

if TYPE_CHECKING:
    from processors.signal import Signal

TOTALS: Final = "margin.market"
DETAIL: Final = "margin.daily"
INDICES: Final = "indices.daily"
RATES: Final = "rates.daily"
FUNDS: Final = "etf.daily"
PRICES: Final = "prices.daily"
VALUATIONS: Final = "valuations.daily"
REFERENCE: Final = "reference"

#: A number of trading days: a count, or the name of the parameter that is the count.
Days = int | str
#: The last session of the week before, and of the year before, as ``back`` of a security's figure.
LAST_WEEK: Final = "last_week"
LAST_YEAR: Final = "last_year"
#: How many sessions they are before a day at most.
_RELATIVE = {LAST_WEEK: 5, LAST_YEAR: 251}


class Source(StrEnum):
    """Where an input comes from."""

    TOTAL = "total"
    TURNOVER = "turnover"
    FLOAT_CAP = "float cap"
    INDEX = "index"
    INDUSTRY_INDEX = "industry index"
    RATE = "rate"
    FUND = "fund"
    SECURITY = "security"
    CROSS_SECTION = "cross-section"
    PRICE = "price"
    VALUATION = "valuation"
    MEMBERS = "members"
    RESULT = "result"


#: Totals whose live value is known while a session runs: the buys, and the balance as it was published last.
_INTRADAY_TOTALS = {"fin_balance": False, "fin_buy": True}

#: Figures that are computed where they are not published, and what they are computed from.
#: fin_repay = previous fin_balance + fin_buy − fin_balance.
DERIVED: Final[dict[str, tuple[str, ...]]] = {"fin_repay": ("fin_balance", "fin_buy")}


@dataclass(frozen=True, slots=True, eq=False)
class Need:
    """One input of an indicator; made by the functions of this module, equal needs being one object.

    Parameters
    ----------
    source, topic, figure : what it is and which topic brings it.
    key : an index code or a tenor.
    key_parameter : the name of the parameter that holds the code, or the codes of a signal with subjects.
    back : trading days before the day itself; `LAST_WEEK` or `LAST_YEAR` for securities.
    days : length of the window that ends there, in trading days.
    plus : days beyond ``days``, where that is a parameter.
    least : how many days of the window must be known, its last one among them; 0 stands for all of them.
    optional : whether a signal exists without it.
    mean : whether a security's figure is the mean over the window instead of the value of its last day.
    at : name of the parameter that holds the date at which the window ends, instead of the day itself.
    signal : the signal whose value is read.
    """

    source: Source
    topic: str
    figure: str = ""
    key: str = ""
    key_parameter: str = ""
    back: Days = 0
    days: Days = 1
    plus: int = 0
    min_periods: Days = 0
    optional: bool = False
    mean: bool = False
    at: str = ""
    signal: Signal | None = None

    # -- what it depends on ----------------------------------------------------------------------------------

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that bring it."""
        if self.signal is not None:
            return (*self.signal.inputs, *self.signal.optional)
        return (self.topic,)

    @property
    def figures(self) -> tuple[str, ...]:
        """The figures of its topic that must be kept for it."""
        return (self.figure, *DERIVED.get(self.figure, ()))

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters that it depends on."""
        named = (self.key_parameter, self.back, self.days, self.min_periods, self.at)
        return tuple(n for n in named if isinstance(n, str) and n and n not in _RELATIVE)

    def window(self, parameters: Parameters) -> int:
        """Length of its window in trading days."""
        return count(self.days, parameters) + self.plus

    def lag(self, parameters: Parameters) -> int:
        """Trading days between the day and the end of its window (at most: a week, a year)."""
        if isinstance(self.back, str) and self.back in _RELATIVE:
            return _RELATIVE[self.back]
        return count(self.back, parameters)

    def required(self, parameters: Parameters) -> int:
        """How many days of its window must be known."""
        return count(self.min_periods, parameters) or self.window(parameters)

    def reach(self, parameters: Parameters) -> int:
        """Trading days that must be kept for it: the day itself, its window, and one more where it is derived."""
        own = self.lag(parameters) + self.window(parameters) + (1 if self.figure in DERIVED else 0)
        if self.signal is not None:
            return own - 1 + self.signal.window(parameters)
        return own

    def codes(self, parameters: Parameters) -> tuple[str, ...]:
        """The keys that it reads: index codes or a tenor; none for a figure of the whole market."""
        if not self.key_parameter:
            return (self.key,) if self.key else ()
        held: Any = getattr(parameters, self.key_parameter)
        return (held,) if isinstance(held, str) else tuple(held)

    def column(self, parameters: Parameters) -> str:
        """The name of a security's figure in a feature frame: ``fin_balance``, ``fin_balance@15``, ``level~200``."""
        if self.mean:
            return f"{self.figure}~{self.window(parameters)}"
        if self.back in _RELATIVE:
            return f"{self.figure}@{self.back}"
        lag = count(self.back, parameters)
        return f"{self.figure}@{lag}" if lag else self.figure

    # -- provisional values ----------------------------------------------------------------------------------

    @property
    def known_intraday(self) -> bool:
        """Whether it is known before the day is published."""
        if isinstance(self.back, str) or self.back > 0 or self.at:
            return True
        if self.source is Source.TOTAL:
            return self.figure in _INTRADAY_TOTALS
        if self.signal is not None:
            return self.signal.provisional
        return self.source is Source.TURNOVER or (self.source is Source.INDEX and self.figure == "close")

    @property
    def changes_intraday(self) -> bool:
        """Whether it changes while a session runs; the balance published last does not."""
        if not self.known_intraday or self.back != 0 or self.at:
            return False
        return self.source is not Source.TOTAL or _INTRADAY_TOTALS[self.figure]

    # -- as people read it -----------------------------------------------------------------------------------

    def text(self, parameters: Parameters | None = None) -> str:
        """What it is, in a few words; with the values of its parameters where they are given."""
        name = self.signal.id if self.signal is not None else f"{self.topic} {self.figure}".strip()
        parts = [name]
        if self.key or self.key_parameter:
            parts.append(
                f"of {', '.join(self.codes(parameters)) if parameters is not None else self.key or self.key_parameter}"
            )
        if self.at:
            parts.append(f"on {self.at}")
        if self.days != 1 or self.plus:
            days: Days = self.days if parameters is None else count(self.days, parameters)
            over = days + self.plus if isinstance(days, int) else f"{days} + {self.plus}" if self.plus else days
            parts.append(f"{'mean over' if self.mean else 'over'} {over} days")
        if self.back:
            back = self.back if parameters is None or self.back in _RELATIVE else count(self.back, parameters)
            parts.append(f"{str(back).replace('_', ' ')}{'' if self.back in _RELATIVE else ' days before'}")
        if self.optional:
            parts.append("(optional)")
        return " ".join(parts)


def count(days: Days, parameters: Parameters) -> int:
    """Return a number of days: the count itself, or the parameter of that name."""
    return days if isinstance(days, int) else int(getattr(parameters, days))


_need = lru_cache(maxsize=None)(Need)


# -- needs of the whole market -------------------------------------------------------------------------------------


def total(
    figure: str, *, back: Days = 0, days: Days = 1, plus: int = 0, min_periods: Days = 0, optional: bool = False
) -> Need:
    """Σ of a figure of ``margin.market`` over the exchanges, CNY or shares.

    ``fin_repay`` is derived where an exchange publishes none: previous balance + buys − balance.
    """
    return _need(
        Source.TOTAL, TOTALS, figure, back=back, days=days, plus=plus, min_periods=min_periods, optional=optional
    )


def turnover(*, back: Days = 0, days: Days = 1, plus: int = 0, min_periods: Days = 0, optional: bool = False) -> Need:
    """Σ turnover of the same exchanges, CNY."""
    return _need(
        Source.TURNOVER,
        INDICES,
        "turnover",
        back=back,
        days=days,
        plus=plus,
        min_periods=min_periods,
        optional=optional,
    )


def float_cap(*, days: Days = 1, min_periods: Days = 0, optional: bool = False) -> Need:
    """Σ float capitalisation 流通市值 of the same exchanges' A shares, CNY."""
    return _need(Source.FLOAT_CAP, INDICES, "float_cap", days=days, min_periods=min_periods, optional=optional)


def index(
    figure: str,
    code: str = "",
    *,
    each: str = "",
    back: Days = 0,
    days: Days = 1,
    plus: int = 0,
    min_periods: Days = 0,
    optional: bool = False,
    at: str = "",
) -> Need:
    """A figure of an index: of one code, or of the code or codes that the parameter ``each`` holds."""
    return _need(
        Source.INDEX,
        INDICES,
        figure,
        key=code,
        key_parameter=each,
        back=back,
        days=days,
        plus=plus,
        min_periods=min_periods,
        optional=optional,
        at=at,
    )


def rate(tenor: str, *, days: Days = 1, min_periods: Days = 0, optional: bool = False) -> Need:
    """The yield of a tenor, a fraction."""
    return _need(Source.RATE, RATES, "yield", key=tenor, days=days, min_periods=min_periods, optional=optional)


def funds(*, back: Days = 0, optional: bool = False) -> Need:
    """All rows of ``etf.daily`` of a day."""
    return _need(Source.FUND, FUNDS, back=back, optional=optional)


def result(signal: Signal, *, back: Days = 0, days: Days = 1, min_periods: Days = 0, optional: bool = False) -> Need:
    """The value of another market signal."""
    return _need(Source.RESULT, "", back=back, days=days, min_periods=min_periods, optional=optional, signal=signal)


# -- needs of all securities or industries -------------------------------------------------------------------------


def industry_index(figure: str, *, days: Days = 1) -> Need:
    """A figure of every industry's index, (days, 31); NaN where it is not known."""
    return _need(Source.INDUSTRY_INDEX, INDICES, figure, days=days)


def security(figure: str | Signal, *, back: Days = 0) -> Need:
    """A figure of every security in the margin detail: one of ``margin.daily``, or a signal of its own history.

    ``fin_repay`` is derived where an exchange publishes none: previous balance + buys − balance.
    """
    if isinstance(figure, str):
        return _need(Source.SECURITY, DETAIL, figure, back=back)
    return _need(Source.SECURITY, DETAIL, figure.id, back=back, signal=figure)


def cross_section(signal: Signal, *, back: Days = 0) -> Need:
    """A signal of every security that is computed across all of them."""
    return _need(Source.CROSS_SECTION, DETAIL, signal.id, back=back, signal=signal)


def price(
    figure: str, *, back: Days = 0, days: Days = 1, plus: int = 0, mean: bool = False, min_periods: Days = 0
) -> Need:
    """A figure of every security with a price: ``level`` (adjusted) or ``return_1``.

    With ``days`` the last days' values; with ``mean`` the security's own mean over them.
    """
    return _need(Source.PRICE, PRICES, figure, back=back, days=days, plus=plus, mean=mean, min_periods=min_periods)


def valuation(figure: str, *, days: Days = 1, mean: bool = False, min_periods: Days = 0) -> Need:
    """A figure of every security in ``valuations.daily``, where there is such a feed."""
    return _need(Source.VALUATION, VALUATIONS, figure, days=days, optional=True, mean=mean, min_periods=min_periods)


def members() -> Need:
    """What each security is on the day: industry, index memberships."""
    return _need(Source.MEMBERS, REFERENCE)


# -- what follows from many needs ----------------------------------------------------------------------------------


def topics(needs: Sequence[Need], *, optional: bool) -> tuple[str, ...]:
    """Return the topics of the required needs, or those that only optional needs read, in order."""
    required = dict.fromkeys(topic for need in needs if not need.optional for topic in need.topics)
    if not optional:
        return tuple(required)
    return tuple(dict.fromkeys(t for need in needs if need.optional for t in need.topics if t not in required))


def reference_date(need: Need, parameters: Parameters) -> date:
    """Return the date at which the window of a need with ``at`` ends."""
    return date.fromisoformat(getattr(parameters, need.at))


def session_before(day: int, back: Days, parameters: Parameters, calendar: TradingCalendar) -> int | None:
    """Return the session that ``back`` names, seen from a day; None where the calendar does not reach back so far."""
    if back == LAST_WEEK:
        return calendar.before(day - to_date(day).weekday())
    if back == LAST_YEAR:
        return calendar.before(to_day(date(to_date(day).year, 1, 1)))
    return calendar.shift(day, -count(back, parameters))
