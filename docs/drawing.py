"""The drawn way of one row: stations in two lines, with what passes between them, as SVG in the page's colours."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape


@dataclass(frozen=True, slots=True)
class Station:
    """A place that a row passes.

    Parameters
    ----------
    name, does : what it is called, what it does, in two short lines.
    where : a module or package of the repository; empty for what is not ours.
    passes : what it hands to the next station.
    """

    name: str
    does: tuple[str, str]
    where: str
    passes: str = ""


STATIONS: tuple[Station, ...] = (
    Station("1 Feed", ("check the day, compare", "with the ledger"), "feeds", "rows, end of day"),
    Station("2 Topic", ("Kafka partition of", "the security's code"), "", "bytes"),
    Station("3 Decode", ("validate; refused rows", "become dead letters"), "streams.codecs.registry", "batches"),
    Station("4 Securities", ("history of each security,", "one frame a day"), "processors.securities", "frame"),
    Station("5 Step", ("rows, offsets, outputs:", "one atomic write"), "streams.tables", "features"),
    Station("6 Market", ("join partitions, compute", "all signals"), "processors.market", "signals"),
    Station("7 Alerts", ("rules, lifecycle, record,", "notifications"), "alerts.desk", "alerts"),
    Station("8 Readers", ("topics, Redis, metrics,", "console, channels"), "console"),
)
_COLUMNS, _BOX_WIDTH, _BOX_HEIGHT, _GAP, _LINE_GAP, _MARGIN = 4, 168, 92, 96, 70, 8


def svg() -> str:
    """Return the drawing; the second line runs from right to left, below the first."""
    rows = -(-len(STATIONS) // _COLUMNS)
    width = 2 * _MARGIN + _COLUMNS * _BOX_WIDTH + (_COLUMNS - 1) * _GAP
    height = 2 * _MARGIN + rows * _BOX_HEIGHT + (rows - 1) * _LINE_GAP
    boxes = "".join(_box(station, *_corner(at)) for at, station in enumerate(STATIONS))
    arrows = "".join(_arrow(at) for at in range(len(STATIONS) - 1))
    names = " → ".join(station.name for station in STATIONS)
    return (
        f'<svg class="drawing" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(names)}" '
        f'fill="currentColor" font-size="13">'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0L8 4L0 8z"/></marker></defs>{boxes}{arrows}</svg>'
    )


def _corner(at: int) -> tuple[int, int]:
    line, place = divmod(at, _COLUMNS)
    column = place if line % 2 == 0 else _COLUMNS - 1 - place
    return _MARGIN + column * (_BOX_WIDTH + _GAP), _MARGIN + line * (_BOX_HEIGHT + _LINE_GAP)


def _box(station: Station, x: int, y: int) -> str:
    middle = x + _BOX_WIDTH / 2
    lines = ((station.name, 22, 'font-weight="700"'), (station.does[0], 42, ""), (station.does[1], 58, ""))
    texts = "".join(
        f'<text x="{middle}" y="{y + down}" text-anchor="middle" {style}>{escape(text)}</text>'
        for text, down, style in lines
    )
    where = escape(station.where.replace(".", "/") or "Kafka")
    return (
        f'<rect x="{x}" y="{y}" width="{_BOX_WIDTH}" height="{_BOX_HEIGHT}" rx="8" fill="none" stroke="currentColor" '
        f'stroke-opacity=".5"/>{texts}'
        f'<text x="{middle}" y="{y + 80}" text-anchor="middle" font-size="11" opacity=".65">{where}</text>'
    )


def _arrow(at: int) -> str:
    (x1, y1), (x2, y2) = _corner(at), _corner(at + 1)
    if y1 != y2:
        x = x1 + _BOX_WIDTH / 2
        begin, end = (x, y1 + _BOX_HEIGHT + 4.0), (x, y2 - 4.0)
        place, anchor = (x - 8, (y1 + _BOX_HEIGHT + y2) / 2 + 4), "end"
    else:
        right = x2 > x1
        y = y1 + _BOX_HEIGHT / 2
        begin = (x1 + _BOX_WIDTH + 4.0 if right else x1 - 4.0, y)
        end = (x2 - 4.0 if right else x2 + _BOX_WIDTH + 4.0, y)
        place, anchor = ((begin[0] + end[0]) / 2, y - 8), "middle"
    return (
        f'<line x1="{begin[0]}" y1="{begin[1]}" x2="{end[0]}" y2="{end[1]}" stroke="currentColor" '
        f'marker-end="url(#tip)"/><text x="{place[0]}" y="{place[1]}" text-anchor="{anchor}" '
        f'font-size="11">{escape(STATIONS[at].passes)}</text>'
    )
