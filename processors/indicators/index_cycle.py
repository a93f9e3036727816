"""index_cycle 指数周期: how many years the low of an index's last bear market lies back, and how deep the fall was."""

from __future__ import annotations

from processors.bears import Bear, bear_markets
from processors.block import Block
from processors.days import to_date
from processors.needs import index
from processors.signal import Column, Level, Signal, Value

_DAYS_A_YEAR = 365.25
CLOSE = index("close", each="cycle_indices")
CLOSES = index("close", each="cycle_indices", since="valuation_since", optional=True)

SIGNALS = (
    Signal(
        "index_cycle",
        Level.MARKET,
        "Years since the trough of an index's last bear market",
        "距上轮熊市低点年数",
        "years",
        (CLOSE, CLOSES),
        "per index (SZSE 100): years from the trough of the last bear market that has ended (≥ <bear_market:%> from a peak, ended by +<bear_market:%> from "
        "the trough) to the day; details: dates of peak and trough, the fall, the rise since the trough, and the number of "
        "bear markets known. No verdict: lengths of past cycles forecast none",
        "[GF25], bears as in bottom_panel",
        subjects=True,
        parameters=("bear_market",),
    ),
)


def compute(block: Block) -> dict[str, Column]:
    """Return one column per index."""
    return {f"index_cycle/{code}": _index(block, code) for code in block.parameters.cycle_indices}


def _index(block: Block, code: str) -> Column:
    # The window of the block's last day contains those of its other days: a bear market that has ended stays as it is.
    closes = block.get(CLOSES, code)[-1]
    bears, first = bear_markets(closes, block.parameters.bear_market), len(closes) - 1 - int(block.positions[-1])
    years: list[float | None] = []
    details: dict[str, list[Value | None]] = {name: [] for name in ("peak", "trough", "fall", "rise", "bears")}
    for day, position in zip(block.days, block.positions.tolist(), strict=True):
        ended = [bear for bear in bears if bear.end <= position + first]
        figures = (
            _figures(block, ended[-1], closes[position + first] / closes[ended[-1].trough] - 1, first) if ended else {}
        )
        trough = None if not ended else block.calendar.day_at(ended[-1].trough - first)
        years.append(None if trough is None else (day - trough) / _DAYS_A_YEAR)
        for name, values in details.items():
            values.append(len(ended) if name == "bears" and ended else figures.get(name))
    return Column(years, details, "no bear market of the index has ended in its known history")


def _figures(block: Block, bear: Bear, rise: float, first: int) -> dict[str, Value]:
    dates = {name: to_date(block.calendar.day_at(at - first)).isoformat() for name, at in
             (("peak", bear.peak), ("trough", bear.trough))}  # fmt: skip
    return {**dates, "fall": bear.fall, "rise": float(rise)}
