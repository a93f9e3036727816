"""What comes out: the structs and columnar frames that stages hand on.

`FeatureFrame` and `Partial` travel from the securities stage to the market stage; `MarketSignal` and
`SecuritySignals` are what subscribers read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import msgspec
import numpy.typing as npt

from processors.codes import Ids
from processors.pack import Array
from processors.signal import Value

Column = npt.NDArray[Any]
#: How many of a day's identity breaks are named.
MAX_NAMED_GAPS = 20


class IdentityCheck(msgspec.Struct, frozen=True):
    """How often balance = previous balance + buys − repayments held where all of them are published.

    ``worst`` names the largest gaps, code → balance minus what it should be, CNY.
    """

    checked: int = 0
    broken: int = 0
    worst: dict[str, float] = {}


class DayStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How complete a closed day is, and how consistent.

    ``missing`` names feeds and what they lack, e.g. ``{"margin.daily SSE": 12}``; −1 stands for "nothing came".
    ``input_revisions`` tells of which revisions of its inputs it was computed; ``revision`` is their sum.
    """

    trade_date: date
    available_at: datetime
    revision: int
    missing: dict[str, int] = {}
    input_revisions: dict[str, int] = {}
    identity: IdentityCheck = IdentityCheck()

    @property
    def degraded(self) -> bool:
        """Whether something that the day needs is missing."""
        return bool(self.missing)


@dataclass(frozen=True, slots=True)
class Detail:
    """The securities of all partitions on one closed day, as the sections of the market stage see them."""

    status: DayStatus
    keys: Ids
    columns: dict[str, Array]


@dataclass(frozen=True, slots=True)
class FeatureFrame:
    """What a topic says of the securities of one partition on one closed day; columns have the length of ``keys``."""

    topic: str
    partition: int
    day: int
    revision: int
    available_at: int  # µs since the epoch
    missing: dict[str, int]
    rows: dict[str, int]  # rows by exchange
    identity: IdentityCheck
    keys: Ids
    columns: dict[str, Array]


class Partial(msgspec.Struct, frozen=True, kw_only=True):
    """The running session in one partition: sums over its securities, CNY."""

    partition: int
    day: int
    ts: int  # µs since the epoch, the newest row
    fin_buy: float
    fin_repay: float
    covered_balance: float  # last published balance of the securities that margin.intraday covers
    balance: float  # last published balance of all securities of the partition
    prices: int  # securities with a live price
    turnover: float


class MarketSignal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One market signal of one trade date, as published to ``signals.market.v1``.

    ``input_revisions`` tells of which revisions of its inputs it was computed; ``revision`` is their sum.
    ``identity_gaps`` names exchanges whose balance is not the previous one plus buys less repayments, CNY.
    """

    signal: str
    subject: str
    trade_date: date
    available_at: datetime
    revision: int
    value: Value | None
    reason: str = ""  # why the value is absent
    provisional: bool = False
    degraded: bool = False
    missing: dict[str, int] = {}
    input_revisions: dict[str, int] = {}
    identity_gaps: dict[str, float] = {}
    details: dict[str, Value] = {}

    @property
    def name(self) -> str:
        """The signal, and its subject where that is not the whole market: ``llt/000300.SH``."""
        return self.signal if self.subject == "market" else f"{self.signal}/{self.subject}"


@dataclass(frozen=True, slots=True)
class SecuritySignals:
    """All securities of one trade date, as published to ``signals.security.v1``.

    A day has a frame per family: ``financing`` needs the margin detail alone, ``pricing`` the prices as well.
    """

    status: DayStatus
    keys: Ids
    columns: dict[str, Array]
    family: str = "financing"


@dataclass(frozen=True, slots=True)
class IndustrySignals:
    """All industries of one trade date, in the order of `industries.INDUSTRIES`; published to ``signals.industry.v1``.

    ``left_out`` names the parts of composite signals whose inputs are missing, with the reason.
    """

    status: DayStatus
    columns: dict[str, Array]
    left_out: dict[str, str]


#: What the market stage publishes.
StageOutput = MarketSignal | SecuritySignals | IndustrySignals
