"""A small chart as SVG, drawn for a page: it takes its colours from the page and loads nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise

from docs.sample import Curve

_WIDTH, _HEIGHT = 720, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 112, 12, 12, 26
_LINE = "var(--md-accent-fg-color, #526cfe)"
_MOST_WORDS = 8
#: Words from bottom to top, where their order means something; others follow the alphabet.
_ORDER = ("EXTREME_COLD", "COLD", "NORMAL", "BREAKDOWN", "HOT")


def svg(curve: Curve, title: str, unit: str) -> str:
    """Return the chart of a curve: a line of numbers, or steps where the values are words or few whole numbers.

    Parameters
    ----------
    title : read by screen readers.
    unit : of the values; ratios are shown as percent, CNY in 亿 (1e8).
    """
    known = [value for value in curve.values if value is not None]
    words = sorted({value for value in known if isinstance(value, str)}, key=lambda word: (_place(word), word))
    scale = 100.0 if unit == "ratio" else 1e-8 if unit == "CNY" else 1.0
    points: list[float | None] = [
        None if value is None else float(words.index(value)) if isinstance(value, str) else float(value) * scale
        for value in curve.values
    ]
    numbers = [point for point in points if point is not None]
    low, high = (min(numbers), max(numbers)) if numbers else (0.0, 1.0)
    if low == high:
        low, high = low - 1, high + 1
    steps = bool(words) or len(set(numbers)) <= _MOST_WORDS
    ticks = [(float(at), word) for at, word in enumerate(words)] or _ticks(low, high, unit, whole=steps)
    inner = _HEIGHT - _TOP - _BOTTOM

    def x(at: int) -> float:
        return _LEFT + (_WIDTH - _LEFT - _RIGHT) * at / max(1, len(points) - 1)

    def y(value: float) -> float:
        return _TOP + inner * (1 - (value - low) / (high - low))

    grid = "".join(
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(v):.1f}" y2="{y(v):.1f}" stroke="currentColor" '
        f'stroke-opacity=".15"/><text x="{_LEFT - 8}" y="{y(v) + 4:.1f}" text-anchor="end">{escape(text)}</text>'
        for v, text in ticks
    )
    dates = "".join(
        f'<text x="{x(at):.1f}" y="{_HEIGHT - 6}" text-anchor="{anchor}">{curve.days[at]:%Y-%m}</text>'
        for at, anchor in ((0, "start"), (len(points) // 2, "middle"), (len(points) - 1, "end"))
    )
    paths = "".join(
        f'<path d="{d}" fill="none" stroke="{_LINE}" stroke-width="1.6" stroke-linejoin="round"/>'
        for d in _paths(points, x, y, steps=steps)
    )
    return (
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title)}" '
        f'font-size="12" fill="currentColor">{grid}{dates}{paths}</svg>'
    )


def _place(word: str) -> int:
    return _ORDER.index(word) if word in _ORDER else len(_ORDER)


def _ticks(low: float, high: float, unit: str, *, whole: bool) -> list[tuple[float, str]]:
    middle = 0.0 if low < 0 < high else (low + high) / 2
    values = sorted({low, high} | (set() if whole and middle % 1 else {middle}))
    suffix = "%" if unit == "ratio" else " 亿" if unit == "CNY" else ""
    return [(v, f"{v:,.0f}{suffix}" if whole or abs(v) >= 1000 else f"{v:.2f}{suffix}") for v in values]


def _paths(
    points: Sequence[float | None], x: Callable[[int], float], y: Callable[[float], float], *, steps: bool
) -> list[str]:
    """One path for each run of known values, so a gap stays a gap; values of one day a week make one path."""
    known = [(at, value) for at, value in enumerate(points) if value is not None]
    begins = [i for i, (at, _) in enumerate(known) if i == 0 or known[i - 1][0] != at - 1]
    if len(begins) * 2 > len(known):
        begins = begins[:1]
    return [_path(known[i:j], x, y, steps=steps) for i, j in pairwise([*begins, len(known)])]


def _path(
    run: Sequence[tuple[int, float]], x: Callable[[int], float], y: Callable[[float], float], *, steps: bool
) -> str:
    d = ""
    for (at, value), (_, before) in zip(run, [run[0], *run], strict=False):
        if steps and d:
            d += f"H{x(at):.1f}" if value == before else f"H{x(at):.1f}V{y(value):.1f}"
        else:
            d += f"{'L' if d else 'M'}{x(at):.1f} {y(value):.1f}"
    return d
