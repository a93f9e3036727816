"""The inputs of an indicator, declared once as needs.

Other modules derive from the declaration which figures the stages retain and for how many days, the window of a signal,
the reason of an absence, the inputs that `explain` shows, whether a value can be provisional, and the documentation. An
indicator reads an input by its need: ``block[NEED]``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final, Protocol, TypedDict, Unpack

from processors.days import TradingCalendar, to_date, to_day
from processors.parameters import Parameters

TOTALS: Final = "margin.market"
DETAIL: Final = "margin.daily"
INDICES: Final = "indices.daily"
RATES: Final = "rates.daily"
COLLATERAL: Final = "margin.collateral"
FUNDS: Final = "etf.daily"
PRICES: Final = "prices.daily"
VALUATIONS: Final = "valuations.daily"
#: Frames of the charts of all stocks, on the last session of a week: no feed sends them.
CHARTS: Final = "charts.weekly"
REFERENCE: Final = "reference"

#: A number of trading days: a count, or the name of a parameter that contains it.
Days = int | str
#: Values of ``back`` for figures of securities: the last session of the previous week, or of the previous year.
LAST_WEEK: Final = "last_week"
LAST_YEAR: Final = "last_year"
#: Upper bound of the sessions between them and a day.
_RELATIVE = {LAST_WEEK: 5, LAST_YEAR: 251}


class ComputedSignal(Protocol):
    """What a need of another signal's value asks of its declaration."""

    @property
    def id(self) -> str:
        """The id of the signal."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """The topics that it can't be computed without."""

    @property
    def optional(self) -> tuple[str, ...]:
        """The topics that it uses where they are there."""

    @property
    def needs(self) -> tuple[Need, ...]:
        """Its own inputs."""

    @property
    def provisional(self) -> bool:
        """Whether it is also computed during the session."""

    def window(self, parameters: Parameters) -> int:
        """Return the trading days that must be known before it exists."""


class Source(StrEnum):
    """Source of an input."""

    TOTAL = "total"
    TURNOVER = "turnover"
    FLOAT_CAP = "float cap"
    INDEX = "index"
    INDUSTRY_INDEX = "industry index"
    RATE = "rate"
    COLLATERAL = "collateral"
    FUND = "fund"
    SECURITY = "security"
    CROSS_SECTION = "cross-section"
    PRICE = "price"
    VALUATION = "valuation"
    CHART = "chart"
    MEMBERS = "members"
    RESULT = "result"


#: Totals that are known during a session, and whether they change in it: the balance is the one published last.
_INTRADAY_TOTALS = {"fin_balance": False, "fin_buy": True}

#: Figures that are derived where no exchange publishes them → the figures that they are derived from.
#: fin_repay = previous fin_balance + fin_buy − fin_balance.
DERIVED: Final[dict[str, tuple[str, ...]]] = {"fin_repay": ("fin_balance", "fin_buy")}


@dataclass(frozen=True, slots=True, eq=False)
class Need:
    """One input of an indicator. The functions of this module create needs; equal needs are one object.

    Parameters
    ----------
    source, topic, figure : kind of the input, its topic and its name there.
    key : an index code, a tenor or a market.
    key_parameter : name of the parameter that contains the code, or the codes of a signal with subjects.
    back : trading days between the window's end and the day itself; `LAST_WEEK` or `LAST_YEAR` for securities.
    days : length of the window in trading days.
    plus : trading days in addition to ``days``; a count or the name of a parameter.
    min_periods : days of the window that must be known, including its last one; 0 requires all of them.
    optional : whether the signal has a value without this input.
    mean : whether a security's figure is the mean over the window instead of the value of its last day.
    at : name of the parameter that contains the date at which the window ends, instead of the day itself.
    since : name of the parameter that contains the date on which an expanding window begins, instead of ``days``.
    signal : the signal whose value is the input.
    """

    source: Source
    topic: str
    figure: str = ""
    key: str = ""
    key_parameter: str = ""
    back: Days = 0
    days: Days = 1
    plus: Days = 0
    min_periods: Days = 0
    optional: bool = False
    mean: bool = False
    at: str = ""
    since: str = ""
    signal: ComputedSignal | None = None

    # -- dependencies ----------------------------------------------------------------------------------

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that it depends on."""
        if self.signal is not None:
            return (*self.signal.inputs, *self.signal.optional)
        return (self.topic,)

    @property
    def figures(self) -> tuple[str, ...]:
        """The figures of its topic that a stage retains for it."""
        return (self.figure, *DERIVED.get(self.figure, ()))

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the parameters that it depends on."""
        named = (self.key_parameter, self.back, self.days, self.plus, self.min_periods, self.at, self.since)
        return tuple(n for n in named if isinstance(n, str) and n and n not in _RELATIVE)

    def window(self, parameters: Parameters) -> int:
        """Return the length of its window in trading days."""
        return count(self.days, parameters) + count(self.plus, parameters)

    def lag(self, parameters: Parameters) -> int:
        """Return the trading days between the day and the end of its window; an upper bound for a week or a year."""
        return days_back(self.back, parameters)

    def required(self, parameters: Parameters) -> int:
        """Return the number of days of its window that must be known."""
        return count(self.min_periods, parameters) or self.window(parameters)

    def reach(self, parameters: Parameters) -> int:
        """Return the trading days that a stage retains for it: lag, window, and one more day for a derived figure."""
        own = self.lag(parameters) + self.window(parameters) + (1 if self.figure in DERIVED else 0)
        if self.signal is not None:
            return own - 1 + self.signal.window(parameters)
        return own

    def codes(self, parameters: Parameters) -> tuple[str, ...]:
        """Return the keys that it reads: index codes, a tenor or a market; empty for a figure of the whole market."""
        if not self.key_parameter:
            return (self.key,) if self.key else ()
        codes: Any = getattr(parameters, self.key_parameter)
        return (codes,) if isinstance(codes, str) else tuple(codes)

    def column(self, parameters: Parameters) -> str:
        """Return its column in a feature frame: ``fin_balance``, ``fin_balance@15``, ``level~200``."""
        if self.mean:
            return f"{self.figure}~{self.window(parameters)}"
        if self.back in _RELATIVE:
            return f"{self.figure}@{self.back}"
        lag = count(self.back, parameters)
        return f"{self.figure}@{lag}" if lag else self.figure

    # -- provisional values ----------------------------------------------------------------------------------

    @property
    def known_intraday(self) -> bool:
        """Whether it is known before the daily figures are published."""
        if isinstance(self.back, str) or self.back > 0 or self.at:
            return True
        if self.source is Source.TOTAL:
            return self.figure in _INTRADAY_TOTALS
        if self.signal is not None:
            return self.signal.provisional
        return self.source is Source.TURNOVER or (self.source is Source.INDEX and self.figure == "close")

    @property
    def changes_intraday(self) -> bool:
        """Whether it changes during a session; the balance published last does not."""
        if not self.known_intraday or self.back != 0 or self.at:
            return False
        return self.source is not Source.TOTAL or _INTRADAY_TOTALS[self.figure]

    # -- description -----------------------------------------------------------------------------------

    def text(self, parameters: Parameters | None = None) -> str:
        """Return a short description, with the values of its parameters if they are given."""
        parts = [self.signal.id if self.signal is not None else f"{self.topic} {self.figure}".strip()]
        if self.key or self.key_parameter:
            codes = [self.key or self.key_parameter] if parameters is None else self.codes(parameters)
            parts.append(f"of {', '.join(codes)}")
        if self.at:
            parts.append(f"on {self.at}")
        if self.since:
            parts.append(f"since {self.since if parameters is None else getattr(parameters, self.since)}")
        if self.days != 1 or self.plus:
            lengths = (self.days, self.plus) if parameters is None else (self.window(parameters),)
            over = " + ".join(str(length) for length in lengths if length)
            parts.append(f"{'mean over' if self.mean else 'over'} {over} days")
        if self.back:
            back = self.back if parameters is None or self.back in _RELATIVE else count(self.back, parameters)
            relative = str(self.back).replace("_", " ") if self.back in _RELATIVE else ""
            parts.append(relative or f"{back} {'day' if back == 1 else 'days'} before")
        if self.optional:
            parts.append("(optional)")
        return " ".join(parts)


def count(days: Days, parameters: Parameters) -> int:
    """Return a number of days: the count itself, or the value of the parameter of that name."""
    return days if isinstance(days, int) else int(getattr(parameters, days))


def days_back(back: Days, parameters: Parameters) -> int:
    """Return a number of trading days before a day; an upper bound for the last session of a week or a year."""
    return _RELATIVE[back] if isinstance(back, str) and back in _RELATIVE else count(back, parameters)


class Window(TypedDict, total=False):
    """The days on which an input is read, and whether a value requires it: parameters of `Need`."""

    back: Days
    days: Days
    plus: Days
    min_periods: Days
    since: str
    optional: bool


_needs: dict[tuple[Any, ...], Need] = {}


def _need(source: Source, topic: str, figure: str = "", **fields: Any) -> Need:
    need = Need(source, topic, figure, **fields)
    return _needs.setdefault(tuple(getattr(need, name) for name in Need.__slots__), need)


# -- needs of the whole market -------------------------------------------------------------------------------------


def total(figure: str, **window: Unpack[Window]) -> Need:
    """Return the need of Σ of a figure of ``margin.market`` over the exchanges, CNY or shares.

    ``fin_repay`` is derived where an exchange publishes no repayments: previous balance + buys − balance.
    """
    return _need(Source.TOTAL, TOTALS, figure, **window)


def turnover(**window: Unpack[Window]) -> Need:
    """Return the need of Σ turnover of the same exchanges, CNY."""
    return _need(Source.TURNOVER, INDICES, "turnover", **window)


def float_cap(**window: Unpack[Window]) -> Need:
    """Return the need of Σ float capitalisation 流通市值 of the same exchanges' A shares, CNY."""
    return _need(Source.FLOAT_CAP, INDICES, "float_cap", **window)


def index(figure: str, code: str = "", *, each: str = "", at: str = "", **window: Unpack[Window]) -> Need:
    """Return the need of a figure of an index: of one code, or of the codes in the parameter named ``each``."""
    return _need(Source.INDEX, INDICES, figure, key=code, key_parameter=each, at=at, **window)


def rate(tenor: str, **window: Unpack[Window]) -> Need:
    """Return the need of the yield of a tenor, a fraction."""
    return _need(Source.RATE, RATES, "yield", key=tenor, **window)


def collateral(figure: str, **window: Unpack[Window]) -> Need:
    """Return the need of a figure of all margin accounts of the market; ratios are fractions."""
    return _need(Source.COLLATERAL, COLLATERAL, figure, key="CN", **window)


def funds(*, back: int = 0) -> Need:
    """Return the need of all rows of ``etf.daily`` of a day."""
    return _need(Source.FUND, FUNDS, back=back)


def result(signal: ComputedSignal, **window: Unpack[Window]) -> Need:
    """Return the need of the value of another market signal."""
    return _need(Source.RESULT, "", signal=signal, **window)


# -- needs of all securities or industries -------------------------------------------------------------------------


def industry_index(figure: str, *, days: Days = 1) -> Need:
    """Return the need of a figure of every industry's index: (k, 31), or (k, 31, days) for a window."""
    return _need(Source.INDUSTRY_INDEX, INDICES, figure, days=days)


def security(figure: str | ComputedSignal, *, back: Days = 0) -> Need:
    """Return the need of a figure of every security in the margin detail, or of a signal of its own history.

    ``fin_repay`` is derived where an exchange publishes no repayments: previous balance + buys − balance.
    """
    if isinstance(figure, str):
        return _need(Source.SECURITY, DETAIL, figure, back=back)
    return _need(Source.SECURITY, DETAIL, figure.id, back=back, signal=figure)


def cross_section(signal: ComputedSignal, *, back: Days = 0) -> Need:
    """Return the need of a security signal that is computed across all securities."""
    return _need(Source.CROSS_SECTION, DETAIL, signal.id, back=back, signal=signal)


def price(figure: str, *, mean: bool = False, **window: Unpack[Window]) -> Need:
    """Return the need of a figure of every security with a price.


    ``level`` (adjusted), ``corporate_action`` (1 for a move beyond the limit that the level leaves out), or a return
    as a fraction: ``return_1``, over the close before, and ``open_to_close``, over the day's open.
    ``days`` asks for the values of the last days, ``mean`` for the mean of each security over them.
    """
    return _need(Source.PRICE, PRICES, figure, mean=mean, **window)


def valuation(figure: str, *, days: Days = 1, mean: bool = False, min_periods: Days = 0) -> Need:
    """Return the need of a figure of every security in ``valuations.daily``; always optional."""
    return _need(Source.VALUATION, VALUATIONS, figure, days=days, optional=True, mean=mean, min_periods=min_periods)


def chart(figure: str) -> Need:
    """Return the need of a figure of every stock with a chart, on a week's last session; always optional."""
    return _need(Source.CHART, CHARTS, figure, optional=True)


def members() -> Need:
    """Return the need of master data: industry and index memberships of each security on the day."""
    return _need(Source.MEMBERS, REFERENCE)


# -- functions of many needs ----------------------------------------------------------------------------------


def topics(needs: Sequence[Need], *, optional: bool) -> tuple[str, ...]:
    """Return the topics of the required needs, or the topics that only optional needs read, in order."""
    required = dict.fromkeys(topic for need in needs if not need.optional for topic in need.topics)
    if not optional:
        return tuple(required)
    return tuple(dict.fromkeys(t for need in needs if need.optional for t in need.topics if t not in required))


def reference_date(need: Need, parameters: Parameters) -> date:
    """Return the date at which the window of a need with ``at`` ends, or on which one with ``since`` begins."""
    return date.fromisoformat(getattr(parameters, need.at or need.since))


def session_before(day: int, back: Days, parameters: Parameters, calendar: TradingCalendar) -> int | None:
    """Return the session that is ``back`` before a day; None before the calendar's first session."""
    if back == LAST_WEEK:
        return calendar.before(day - to_date(day).weekday())
    if back == LAST_YEAR:
        return calendar.before(to_day(date(to_date(day).year, 1, 1)))
    return calendar.shift(day, -count(back, parameters))
