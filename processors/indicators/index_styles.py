"""index_return 指数涨跌 and styles 市场风格: what indices returned, large against small stocks, value against growth.

A style is the difference of two indices' returns. The CSI 300 and the CSI 1000 show the size of companies; the style
indices of Guozheng (large and small, growth and value) show size within a style and style within a size.
"""

from __future__ import annotations

from processors.arrays import Floats
from processors.block import Block
from processors.needs import Need, index
from processors.signal import Column, Level, Signal

_DAYS = 20
_OTHERS = {"five_days": 5, "sixty_days": 60}
_CSI300, _CSI1000 = "000300.SH", "000852.SH"
_LARGE_GROWTH, _LARGE_VALUE, _SMALL_GROWTH, _SMALL_VALUE = "399372.SZ", "399373.SZ", "399376.SZ", "399377.SZ"
#: Signal → titles, and the two indices, of which the second's return is subtracted from the first's.
_STYLES: dict[str, tuple[str, str, str, str]] = {
    "large_small": ("Large against small stocks", "大盘相对小盘", _CSI300, _CSI1000),
    "large_small_growth": ("Large against small growth stocks", "大盘成长相对小盘成长", _LARGE_GROWTH, _SMALL_GROWTH),
    "large_small_value": ("Large against small value stocks", "大盘价值相对小盘价值", _LARGE_VALUE, _SMALL_VALUE),
    "value_growth_large": ("Large value against large growth stocks", "大盘价值相对大盘成长", _LARGE_VALUE, _LARGE_GROWTH),
    "value_growth_small": ("Small value against small growth stocks", "小盘价值相对小盘成长", _SMALL_VALUE, _SMALL_GROWTH),
}  # fmt: skip


def _closes(code: str = "", each: str = "") -> dict[int, Need]:
    """Return the needs of the close of a day and of earlier ones, by trading days back."""
    return {
        days: index("close", code, each=each, back=days, optional=days not in (0, _DAYS))
        for days in (0, _DAYS, *_OTHERS.values())
    }


CLOSES = _closes(each="return_indices")
PAIRS = {name: (_closes(first), _closes(second)) for name, (_, _, first, second) in _STYLES.items()}

SIGNALS = (
    Signal(
        "index_return",
        Level.MARKET,
        "Return of an index, 20 days",
        "指数20日涨跌幅",
        "ratio",
        tuple(CLOSES.values()),
        "per index: I_t / I_{t−20} − 1 in trading days; details: the same over 5 and 60 days",
        "[GF25], days ours",
        subjects=True,
    ),
    *(
        Signal(
            name,
            Level.MARKET,
            f"{title}, 20 days",
            f"{title_zh}（20日）",
            "ratio",
            (*PAIRS[name][0].values(), *PAIRS[name][1].values()),
            f"I_t / I_{{t−20}} − 1 of {first} less that of {second}, in trading days (above 0: the first leads); "
            "details: the same over 5 and 60 days, and both returns",
            "[GF25], indices and days ours",
        )
        for name, (title, title_zh, first, second) in _STYLES.items()
    ),
)


def compute(block: Block) -> dict[str, Column]:
    """Return a column per index, and one per style."""
    out = {}
    for code in block.parameters.return_indices:
        returns = {days: _return(block, CLOSES, days, code) for days in (_DAYS, *_OTHERS.values())}
        out[f"index_return/{code}"] = Column(returns[_DAYS], {name: returns[days] for name, days in _OTHERS.items()})
    for name, (first, second) in PAIRS.items():
        one, other = (_return(block, closes, _DAYS) for closes in (first, second))
        details = {n: _return(block, first, days) - _return(block, second, days) for n, days in _OTHERS.items()}
        out[name] = Column(one - other, {**details, "first": one, "second": other})
    return out


def _return(block: Block, closes: dict[int, Need], days: int, code: str = "") -> Floats:
    """Return an index's return over some trading days (k,), NaN where a close is unknown."""
    found: Floats = block.get(closes[0], code) / block.get(closes[days], code) - 1
    return found
