"""Input rows: one struct per input topic, and the columnar batch that the folds take.

The structs are the contract of the input topics. Every other representation (JSON event, Arrow frame, columns of a
`RowBatch`) is derived from them, so one place declares a field. Money is CNY, quantities are shares.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from types import UnionType
from typing import Annotated, ClassVar, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import numpy as np

from processors.arrays import Days, Floats, Ids, Indexer, Ints, Mask, Revisions
from processors.codes import EXCHANGES
from processors.industries import Industry

Code = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{6}\.(SH|SZ|BJ)\Z")]
IndexCode = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{6}\.(SH|SZ|BJ|SI)\Z")]
Exchange = Literal["SSE", "SZSE", "BSE"]
Tenor = Literal["CN10Y"]
Market = Literal["CN"]
Style = Literal["broad", "sector", "theme", "growth", "value", "cross_border", "bond", "commodity", "other"]
Amount = Annotated[float, msgspec.Meta(ge=0)]
Price = Annotated[float, msgspec.Meta(gt=0)]
CollateralRatio = Annotated[float, msgspec.Meta(ge=1, le=10)]
IndexCodes = Annotated[str, msgspec.Meta(pattern=r"^([0-9]{6}\.(SH|SZ|BJ)( [0-9]{6}\.(SH|SZ|BJ))*)?\Z")]
EpochDay = Annotated[float, msgspec.Meta(ge=0, description="days since 1970-01-01")]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
MAX_REVISION = 1_000_000
Revision = Annotated[int, msgspec.Meta(ge=0, le=MAX_REVISION)]
#: A count of rows; far above any that a day has.
RowCount = Annotated[int, msgspec.Meta(ge=0, le=100_000_000)]
Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Fields of every input row besides its figures."""

    topic: ClassVar[str]
    key_field: ClassVar[str] = "code"
    #: Text fields for readers: validated, but not a column of a batch.
    texts: ClassVar[tuple[str, ...]] = ()

    source: str
    revision: Revision = 0


class DailyRow(Row, frozen=True, kw_only=True):
    """Figures of a trade date, public from ``available_at`` on."""

    trade_date: date
    available_at: Moment


class IntradayRow(Row, frozen=True, kw_only=True):
    """Figures of the current session at ``ts``; cumulative figures count from the open."""

    ts: Moment


class MarginFigures(DailyRow, frozen=True, kw_only=True):
    """融资融券: figures of one security or one exchange, CNY and shares."""

    fin_balance: Amount  # 融资余额
    fin_buy: Amount  # 融资买入额
    fin_repay: Amount | None = None  # 融资偿还额; Shenzhen publishes none
    short_volume: Amount | None = None  # 融券余量, shares; some vendors have none
    short_sell: Amount | None = None  # 融券卖出量, shares; some vendors have none
    short_repay: Amount | None = None  # 融券偿还量, shares
    short_balance: Amount | None = None  # 融券余额


class MarginDaily(MarginFigures, frozen=True, kw_only=True):
    """margin.daily: the exchange's margin detail of one security and day."""

    topic = "margin.daily"
    code: Code


class MarginMarket(MarginFigures, frozen=True, kw_only=True):
    """margin.market: the exchange's published totals of a day."""

    topic = "margin.market"
    key_field = "exchange"
    exchange: Exchange


class MarginIntraday(IntradayRow, frozen=True, kw_only=True):
    """margin.intraday: the desk's own margin positions or an estimate; cumulative since the open."""

    topic = "margin.intraday"
    code: Code
    fin_buy: Amount
    fin_repay: Amount


class PriceDaily(DailyRow, frozen=True, kw_only=True):
    """prices.daily: unadjusted prices; ``prev_close`` is ex-right adjusted, so return = close / prev_close − 1."""

    topic = "prices.daily"
    code: Code
    open: Price | None = None
    high: Price | None = None
    low: Price | None = None
    close: Price
    prev_close: Price | None = None
    volume: Amount | None = None
    turnover: Amount | None = None
    float_shares: Amount | None = None
    suspended: bool = False
    st: bool = False  # 风险警示: the daily limit of the main boards is 5%


class PriceIntraday(IntradayRow, frozen=True, kw_only=True):
    """prices.intraday: a snapshot; volume and turnover are cumulative since the open."""

    topic = "prices.intraday"
    code: Code
    last: Price
    prev_close: Price
    volume: Amount
    turnover: Amount


class IndexDaily(DailyRow, frozen=True, kw_only=True):
    """indices.daily: the turnover of 000001.SH and 399001.SZ is that of the whole exchange.

    The float cap of 000001.SH and 399106.SZ is that of their exchange's A shares; a row may carry just that figure.
    """

    topic = "indices.daily"
    code: IndexCode
    open: Price | None = None
    high: Price | None = None
    low: Price | None = None
    close: Price | None = None
    prev_close: Price | None = None
    volume: Amount | None = None
    turnover: Amount | None = None
    turnover_rate: Amount | None = None  # 换手率, of the float shares
    float_cap: Amount | None = None  # 流通市值, CNY
    pe_ttm: float | None = None
    pb: float | None = None
    dividend_yield: Amount | None = None  # 股息率, a fraction
    members: Amount | None = None


class Reference(DailyRow, frozen=True, kw_only=True):
    """reference: master data of a security from ``trade_date`` (effective date) on; a later row replaces all fields."""

    topic = "reference"
    texts = ("name", "indices")
    code: Code
    name: Name | None = None  # 证券简称
    industry: Industry | None = None  # 申万一级行业
    csi300: bool = False  # 沪深300成份
    csi500: bool = False  # 中证500成份
    chinext_index: bool = False  # 创业板指成份
    indices: IndexCodes = ""  # 其他指数成份: codes of further indices, separated by blanks
    listed: bool = True  # false from the day of the delisting on
    st: bool = False  # 风险警示
    eligible_from: EpochDay | None = None  # 两融标的: first day in the margin list
    eligible_to: EpochDay | None = None  # last day in the margin list; none for a current member
    float_shares: Amount | None = None  # 流通股本, shares


class ValuationDaily(DailyRow, frozen=True, kw_only=True):
    """valuations.daily: valuation, turnover rate and float cap of a security; a feed may lack any figure."""

    topic = "valuations.daily"
    code: Code
    pe_ttm: float | None = None  # 市盈率; negative for a loss over the last four quarters
    pb: float | None = None  # 市净率
    dividend_yield: Amount | None = None  # 股息率, a fraction
    turnover_rate: Amount | None = None  # 换手率, of the float shares
    float_cap: Amount | None = None  # 流通市值, CNY


class RateDaily(DailyRow, frozen=True, kw_only=True):
    """rates.daily: the yield of a tenor, a fraction (0.0285)."""

    topic = "rates.daily"
    key_field = "tenor"
    tenor: Tenor
    yield_: float = msgspec.field(name="yield")


class CollateralDaily(DailyRow, frozen=True, kw_only=True):
    """margin.collateral: all margin accounts of the market, as the depositories publish them."""

    topic = "margin.collateral"
    key_field = "market"
    market: Market
    collateral_ratio: CollateralRatio  # 平均维持担保比例, a fraction: 2.57 is 257%
    fin_balance: Amount | None = None
    fin_buy: Amount | None = None
    short_balance: Amount | None = None


class EtfDaily(DailyRow, frozen=True, kw_only=True):
    """etf.daily: a fund's shares outstanding 份额 and its price (net asset value or close)."""

    topic = "etf.daily"
    code: Code
    shares: Amount
    price: Price | None = None
    style: Style = "other"


class IndexIntraday(IntradayRow, frozen=True, kw_only=True):
    """indices.intraday: a snapshot of an index."""

    topic = "indices.intraday"
    code: IndexCode
    last: Price
    prev_close: Price
    volume: Amount
    turnover: Amount


class EndOfDay(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Punctuation: the rows of ``trade_date`` are complete in this partition of this topic.

    ``expected`` counts the rows of this partition by exchange: one with 0 has published, and has no row here. A date
    closes once punctuation has named every exchange that the topic requires. Two feeds (one per exchange) may each send
    their own punctuation.

    With ``deadline``, the punctuation closes this date and all earlier ones, whatever rows are missing.
    """

    feed: str
    trade_date: date
    expected: dict[Exchange, RowCount]
    source: str
    deadline: bool = False


class Barrier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Punctuation that passes through every stage: a stage emits it after it has processed all earlier input.

    With ``at``, all earlier rows are those of a replay up to this moment, and the market's clock is set to it. Without,
    the market's clock is the machine's.
    """

    barrier: Annotated[str, msgspec.Meta(max_length=64)]
    at: Moment | None = None


INPUT_ROWS: dict[str, type[Row]] = {
    row.topic: row
    for row in (
        MarginDaily,
        MarginMarket,
        MarginIntraday,
        PriceDaily,
        PriceIntraday,
        ValuationDaily,
        IndexDaily,
        IndexIntraday,
        RateDaily,
        CollateralDaily,
        EtfDaily,
        Reference,
    )
}


class Sign(StrEnum):
    """Valid range of a figure."""

    POSITIVE = "positive"
    NOT_NEGATIVE = "non-negative"
    ONE_TO_TEN = "1-to-10"
    ANY = "finite"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a row type.

    Parameters
    ----------
    name : name on the wire and in a batch.
    attribute : name in the struct.
    optional : whether a row may lack it.
    sign : valid range of a number.
    labels : valid labels of a categorical column; a batch contains the index into this tuple.
    flag : whether it is boolean; a batch contains 1 or 0.
    default : value in a batch where a row lacks it: NaN, or the index of the default label.
    date : whether it is a day since 1970-01-01.
    """

    name: str
    attribute: str
    optional: bool
    sign: Sign
    labels: tuple[str, ...] = ()
    flag: bool = False
    default: float = np.nan
    date: bool = False


#: Labels of the keys that are no codes; a batch contains the index into the tuple.
KEYS: dict[str, tuple[str, ...]] = {"exchange": EXCHANGES, "tenor": get_args(Tenor), "market": get_args(Market)}
_COMMON = {"source", "revision", "trade_date", "available_at", "ts", "code", *KEYS}
_SIGNS = {
    Price: Sign.POSITIVE,
    Amount: Sign.NOT_NEGATIVE,
    EpochDay: Sign.NOT_NEGATIVE,
    CollateralRatio: Sign.ONE_TO_TEN,
}


def figures_of(row: type[Row]) -> tuple[Column, ...]:
    """Return the numeric columns of a row type, in the order of declaration."""
    hints = get_type_hints(row, include_extras=True)
    columns = []
    for field in msgspec.structs.fields(row):
        if field.name not in _COMMON and field.name not in row.texts:
            hint = hints[field.name]
            kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
            sign = next((_SIGNS[kind] for kind in kinds if kind in _SIGNS), Sign.ANY)
            labels = next((get_args(kind) for kind in kinds if get_origin(kind) is Literal), ())
            default = _default(field.default, labels) if not field.required else np.nan
            flag, day = bool in kinds, EpochDay in kinds
            columns.append(Column(field.encode_name, field.name, not field.required, sign, labels, flag, default, day))
    return tuple(columns)


def _default(value: object, labels: tuple[str, ...]) -> float:
    if isinstance(value, str):
        return float(labels.index(value))
    return float(value) if isinstance(value, bool) else np.nan


FIGURES: dict[str, tuple[Column, ...]] = {topic: figures_of(row) for topic, row in INPUT_ROWS.items()}


@dataclass(frozen=True, slots=True)
class RowBatch:
    """Rows of one input topic as columns; all arrays have the same length n.

    Parameters
    ----------
    topic : the input topic without version, e.g. ``margin.daily``.
    keys : (n,) security ids, or indices into the labels of `KEYS` (exchange, tenor, market).
    days : (n,) trade dates as days since 1970-01-01.
    revisions : (n,) revision of each row, 0 for the first publication.
    stamps : (n,) microseconds since the epoch: ``available_at`` of a daily row, ``ts`` of an intraday one.
    figures : name → (n,) float64, NaN where absent.
    """

    topic: str
    keys: Ids
    days: Days
    revisions: Revisions
    stamps: Ints
    figures: dict[str, Floats]

    def __len__(self) -> int:
        return len(self.keys)

    def take(self, rows: Indexer | Mask | slice) -> RowBatch:
        """Return the given rows."""
        return RowBatch(
            self.topic,
            self.keys[rows],
            self.days[rows],
            self.revisions[rows],
            self.stamps[rows],
            {name: values[rows] for name, values in self.figures.items()},
        )


def concat(batches: list[RowBatch]) -> RowBatch:
    """Join batches of one topic, in order."""
    if len(batches) == 1:
        return batches[0]
    first, names = batches[0], dict.fromkeys(name for batch in batches for name in batch.figures)
    return RowBatch(
        first.topic,
        np.concatenate([b.keys for b in batches]),
        np.concatenate([b.days for b in batches]),
        np.concatenate([b.revisions for b in batches]),
        np.concatenate([b.stamps for b in batches]),
        # Only members of indices are a column of some batches alone.
        {n: np.concatenate([b.figures[n] if n in b.figures else np.zeros(len(b)) for b in batches]) for n in names},
    )
