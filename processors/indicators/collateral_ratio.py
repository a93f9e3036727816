"""collateral_ratio 平均维持担保比例: what the margin accounts have over what they owe, and how far forced selling is."""

from __future__ import annotations

from processors.block import Block
from processors.needs import collateral
from processors.signal import Column, Level, Signal
from processors.statistics import percentiles

RATIO, BEFORE = collateral("collateral_ratio"), collateral("collateral_ratio", back=1, optional=True)
KNOWN = collateral("collateral_ratio", days="collateral_days", optional=True)

SIGNALS = (
    Signal(
        "collateral_ratio",
        Level.MARKET,
        "Average collateral ratio of margin accounts",
        "平均维持担保比例",
        "ratio",
        (RATIO, BEFORE, KNOWN),
        "(cash + securities) / (margin debt + value of lent securities) of all margin accounts; details: change to the day "
        "before; share of the known history (at least <percentile_least> days) that is not above it; distance to the <collateral_line:%> line of forced "
        "selling, which is also the fall of the collateral that leads to it as a share of the debt",
        "[DG22], [DG24], figure of the depositories",
        parameters=("collateral_line", "percentile_least"),
    ),
)


def compute(block: Block) -> dict[str, Column]:
    """Return the ratio; the details contain change, percentile, and distance to the line, all as fractions."""
    p, ratio = block.parameters, block[RATIO]
    details = {
        "change": ratio - block[BEFORE],
        "percentile": percentiles(block[KNOWN], p.percentile_least),
        "distance": ratio - p.collateral_line,
    }
    return {"collateral_ratio": Column(ratio, details)}
