"""heat: deciles of margin money in the market, and the quadrants of industries by heat and risk [DG24]."""

from __future__ import annotations

import numpy as np

from processors.arrays import Floats
from processors.indicators.industry_heat import in_own_sigma
from processors.industries import INDUSTRIES
from processors.studies.panel import Panel
from processors.studies.result import Cell, Chart, Curve, Finding, Kind, Mode, Result, Table, Unit

TITLE = "Heat 热度: deciles of margin money, industries by heat and risk"
SOURCE = "[DG24]"
_DECILES = tuple(i / 10 for i in range(1, 10))
#: Signal → its name, and the published deciles in per cent.
_RATIOS = {
    "two_way_to_float_cap": ("two-way balance / float cap", (2.21, 2.25, 2.30, 2.37, 2.42, 2.47, 2.52, 2.55, 2.59)),
    "margin_trade_share": ("margin trades / turnover", (7.06, 7.40, 7.68, 8.01, 8.36, 8.75, 9.10, 9.43, 10.05)),
}
#: The published quadrant of a month: industries whose figure is high or low.
_MONTH = "2024-03"
_LISTS: dict[tuple[str, str], tuple[str, ...]] = {
    ("risk", "high"): ("计算机", "传媒", "电子", "国防军工", "汽车"),
    ("risk", "low"): ("钢铁", "银行", "交通运输", "建筑材料", "石油石化"),
    ("heat", "high"): ("银行", "非银金融", "石油石化", "煤炭", "房地产"),
}
#: An industry counts as high or low among so many of the 31 (ours).
_THIRD = 10


def run(panel: Panel, mode: Mode) -> Result:
    """Return the deciles in the sample of the source, and heat and risk of every industry on the last day."""
    sample = panel.sample(SOURCE)
    findings: list[Finding] = []
    rows: list[tuple[Cell, ...]] = []
    curves: list[Curve] = []
    for signal, (name, published) in _RATIOS.items():
        values = panel.column(signal)[sample]
        known = values[~np.isnan(values)]
        ours = [float(np.quantile(known, q)) if len(known) else None for q in _DECILES]
        note = "" if len(known) else "the data have no float cap of the market" if "cap" in signal else "no short sales"
        findings += [
            Finding(f"{name}: decile {i + 1}", value, published=p / 100, cases=len(known), note=note, kind=Kind.LEVEL)
            for i, (value, p) in enumerate(zip(ours, published, strict=True))
        ]
        rows.append((name, "published", *(p / 100 for p in published)))
        rows.append((name, "ours", *ours))
        if len(known):
            x = [10.0 * (i + 1) for i in range(len(_DECILES))]
            curves += [
                Curve(name, x, list(ours)),
                Curve(f"{name}, published", x, [p / 100 for p in published], published=True),
            ]
    month, at = _quadrant_day(panel)
    table = _quadrants(panel, at)
    findings += _lists(panel, month, at)
    columns = tuple(f"{q:.0%}" for q in _DECILES)
    first, last = panel.period()
    return Result(
        "heat", TITLE, SOURCE, mode, first, last, findings,
        [
            Table("deciles", "Deciles", ("ratio", "of", *columns), rows, dict.fromkeys(columns, Unit.RATIO)),
            Table("quadrants", f"Industries by heat and risk at the end of {month}", ("industry", "heat", "risk", "quadrant"), table),
        ],
        [
            Chart("deciles", "Deciles; diamonds: published", Unit.RATIO, curves=curves, x_label="share of days, %"),
            Chart("quadrants", f"Heat (right: hot) and risk (up: risky), end of {month}", Unit.NUMBER,
                  points=[(float(r[1]), float(r[2])) for r in table if isinstance(r[1], float) and isinstance(r[2], float)],
                  labels=[str(r[0]) for r in table if isinstance(r[1], float) and isinstance(r[2], float)],
                  x_label="heat, σ", y_label="risk, σ"),
        ],
        [
            "published deciles are to 2024-03; ours are of "
            + ("the days of that sample in the data" if panel.reaches(SOURCE) else "all days of the data, none of that sample"),
            f"the published quadrant is of {_MONTH}; an industry counts as high or low among the {_THIRD} highest or lowest of 31 (ours)",
            "heat and risk leave out factors that the data lack, see the signals' page; the table and the map state them in "
            "their own σ across the industries, because a mean of z-scores has a smaller one than 1",
        ],
    )  # fmt: skip


def _quadrant_day(panel: Panel) -> tuple[str, int | None]:
    """Return the published month if the data have it, else the last one, and its last day with heat and risk."""
    heat = panel.industries.get("heat")
    if heat is None:
        return "no month", None
    dates = panel.dates()
    known = [i for i in range(len(dates)) if panel.in_period[i] and not np.isnan(heat[i]).all()]
    if not known:
        return "no month", None
    at = max((i for i in known if dates[i][:7] == _MONTH), default=known[-1])
    return dates[at][:7], at


def _quadrants(panel: Panel, at: int | None) -> list[tuple[Cell, ...]]:
    if at is None:
        return []
    heat, risk = (in_own_sigma(panel.industries[name][at]) for name in ("heat", "risk"))
    order = np.argsort(-heat, kind="stable")  # NaN last
    return [(INDUSTRIES[i], *_pair(heat[i], risk[i])) for i in order.tolist()]


def _pair(heat: float, risk: float) -> tuple[Cell, ...]:
    if np.isnan(heat) or np.isnan(risk):
        return None, None, None
    return float(heat), float(risk), f"{'hot' if heat > 0 else 'cool'}, {'risky' if risk > 0 else 'safe'}"


def _lists(panel: Panel, month: str, at: int | None) -> list[Finding]:
    """Return how many of the industries that the source lists are on the same side in ours."""
    out = []
    for (name, side), industries in _LISTS.items():
        what = f"{_MONTH}: share of the industries with published {side} {name} that are {side} in ours"
        if at is None or month != _MONTH:
            out.append(
                Finding(what, None, published=1.0, kind=Kind.LEVEL, note=f"not in the data, of which {month} is shown")
            )
            continue
        chosen = _extreme(panel.industries[name][at], high=side == "high")
        share = float(np.mean([one in chosen for one in industries]))
        out.append(
            Finding(what, share, published=1.0, cases=len(industries), kind=Kind.EFFECT, base=_THIRD / len(INDUSTRIES))
        )
    return out


def _extreme(values: Floats, *, high: bool) -> set[str]:
    """Return the industries with the highest or lowest values."""
    order = np.argsort(-values if high else values, kind="stable")  # NaN last
    return {INDUSTRIES[i] for i in order[:_THIRD].tolist() if not np.isnan(values[i])}
