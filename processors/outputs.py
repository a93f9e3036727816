"""The outputs of the stages: structs and columnar frames.

The securities stage sends `FeatureFrame` and `Partial` to the market stage. Subscribers read `MarketSignal`,
`SecuritySignals` and `IndustrySignals`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime

import msgspec

from processors.arrays import Array, Ids
from processors.signal import Value

#: Number of identity breaks that a check names, the largest ones.
MAX_NAMED_GAPS = 20


class IdentityCheck(msgspec.Struct, frozen=True):
    """Check of balance = previous balance + buys − repayments, where all four figures are published.

    ``worst`` contains the largest gaps: code → balance less the expected balance, CNY. ``balance`` is that of the
    checked securities (the larger of published and expected) in whole CNY, ``broken_balance`` that of the securities
    whose gap is a material share of it (`Parameters.identity_security_gap`).
    """

    checked: int = 0
    broken: int = 0
    worst: dict[str, float] = {}
    balance: int = 0
    broken_balance: int = 0

    @property
    def broken_share(self) -> float:
        """The share of the checked balance that breaks materially, a fraction."""
        return self.broken_balance / self.balance if self.balance else 0.0


class DayStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Completeness and consistency of a closed day.

    ``models`` names the models that figures of the day come from: topic of their frames → digest of the model.

    ``missing`` maps feeds to the number of missing rows, e.g. ``{"margin.daily SSE": 12}``; −1 where no row arrived. It
    contains earlier days that the figures are compared with, e.g. ``{"margin.daily SSE of 2020-09-09": -1}``.
    ``input_revisions`` contains the revision of each input of the computation; ``revision`` is their sum.
    """

    trade_date: date
    available_at: datetime
    revision: int
    missing: dict[str, int] = {}
    input_revisions: dict[str, int] = {}
    identity: IdentityCheck = IdentityCheck()
    models: dict[str, str] = {}

    @property
    def degraded(self) -> bool:
        """Whether required rows of the day are missing."""
        return bool(self.missing)

    def revision_of(self, *topics: str) -> int:
        """Return the revision of the figures that depend on these required topics alone."""
        return sum(revision for name, revision in self.input_revisions.items() if name.partition("[")[0] in topics)

    def without(self, topic: str) -> DayStatus:
        """Return the status of the figures that do not depend on an optional topic: its frames raise no revision."""
        others = {name: revision for name, revision in self.input_revisions.items() if name.partition("[")[0] != topic}
        if len(others) == len(self.input_revisions):
            return self
        used = self.revision - sum(self.input_revisions.values()) - 1
        return msgspec.structs.replace(self, revision=sum(others.values()) + used, input_revisions=others)


@dataclass(frozen=True, slots=True)
class Detail:
    """The securities of all partitions on one closed day: ``keys`` (n,) ascending, ``columns`` (n,) by name."""

    status: DayStatus
    keys: Ids
    columns: dict[str, Array]


class FrameHeader(msgspec.Struct, frozen=True, array_like=True):
    """What a feature frame says of its whole day.

    ``model`` is the digest of the model that computed its figures, ``reason`` why a model computed none.
    """

    revision: int
    available_at: int  # µs since the epoch
    missing: dict[str, int]
    rows: dict[str, int]  # rows by exchange
    identity: IdentityCheck
    model: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class FeatureFrame:
    """Figures of the securities of one partition and topic on one closed day: ``keys`` and ``columns`` are (n,)."""

    topic: str
    partition: int
    day: int
    header: FrameHeader
    keys: Ids
    columns: dict[str, Array]


@dataclass(frozen=True, slots=True)
class ChartFrame:
    """Charts of the stocks of one partition at the end of a week, without scores; fields as of a `FeatureFrame`."""

    topic: str
    partition: int
    day: int
    header: FrameHeader
    keys: Ids
    columns: dict[str, Array]


class Partial(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over the securities of one partition in the current session, CNY."""

    partition: int
    day: int
    ts: int  # moment of the newest row, µs since the epoch
    fin_buy: float
    fin_repay: float
    covered_balance: float  # last published balance of the securities that margin.intraday covers
    balance: float  # last published balance of all securities of the partition
    prices: int  # number of securities with an intraday price
    turnover: float
    bought_at: int = 0  # moment of the session's newest row of margin.intraday, µs since the epoch; 0 without one
    priced_at: int = 0  # moment of the newest row of prices.intraday, of any session


class MarketSignal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One market signal of one trade date, as published to ``signals.market.v1``.

    ``input_revisions`` contains the revision of each input of the computation; ``revision`` is their sum.
    ``identity_gaps`` contains exchanges that break balance = previous balance + buys − repayments: gap in CNY;
    ``identity_shares`` the same gaps as fractions of the exchange's balance (the larger of published and expected).
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
    identity_shares: dict[str, float] = {}
    details: dict[str, Value] = {}

    @property
    def name(self) -> str:
        """The id of the signal, with its subject unless that is the whole market: ``llt/000300.SH``."""
        return self.signal if self.subject == "market" else f"{self.signal}/{self.subject}"


#: Families of the frames of securities, see `SecuritySignals`.
FAMILIES = FINANCING, PRICING = "financing", "pricing"
#: Why a frame lacks a figure that was added since.
EARLIER_RELEASE = "the release that published the day has no such figure"


@dataclass(frozen=True, slots=True)
class SecuritySignals:
    """All securities of one trade date, as published to ``signals.security.v1``.

    A day has a frame per family: ``financing`` needs the margin detail alone, ``pricing`` also needs prices. The
    ``keys`` (n,) ascend.
    ``left_out`` maps columns that are absent, of all securities or of those of an exchange, to the reason.
    """

    status: DayStatus
    keys: Ids
    columns: dict[str, Array]
    family: str = FINANCING
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IndustrySignals:
    """All industries of one trade date, in the order of `industries.INDUSTRIES`; published to ``signals.industry.v1``.

    ``left_out`` maps columns that are absent, or parts of composite signals, to the reason: their inputs are missing.
    """

    status: DayStatus
    columns: dict[str, Array]
    left_out: dict[str, str]


#: What the market stage publishes.
StageOutput = MarketSignal | SecuritySignals | IndustrySignals
