"""What a row below a header is, if its code or its date can't be read: a sum, a note, the header again, or figures."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from feeds.cells.dates import is_date
from feeds.cells.units import ABSENT


class RowKind(StrEnum):
    """The kind of a row; `FIGURES` must be refused, the others contain nothing that could be lost."""

    BLANK = "blank"
    HEADER = "header"
    SUM = "sum"
    NOTE = "note"
    PLACEHOLDER = "placeholder"
    FIGURES = "figures"


#: In place of cells: the row of a text file ends before them, or has more than its header (and may be shifted).
END_OF_ROW, TOO_MANY = "<end of row>", "<more cells than its header: a comma within a number?>"
NO_DATA = re.compile(r"没有(找到)?(符合条件的)?数据|暂无数据|无数据|没有相关数据|尚未发布|未公布")
_LABEL = re.compile(r"日期|时间|date|time", re.IGNORECASE)
#: Also what `feeds.cells.units` refuses as a figure: a rounded number (7.98E+11), one with misplaced separators.
_FIGURE = re.compile(r"[+-]?[\d,.]*\d[\d,.]*(e[+-]?\d+)?", re.IGNORECASE)
_ERROR = re.compile(r"#(REF!|N/A|VALUE!|DIV/0!|NAME\?|NUM!|NULL!)", re.IGNORECASE)
#: In a cell that contains a whole row: the line is quoted, or has another separator than the rest of its file.
_SEPARATORS = re.compile(r"[,;|\t，；、]|\s{2,}")
_SUM = re.compile(r".*(合计|总计|小计|汇总|共计|总和)\W*|(grand |sub)?total\W*|sum\W*", re.IGNORECASE)


def is_blank(cell: object) -> bool:
    """Whether a cell contains nothing."""
    return (
        cell is None
        or cell != cell
        or cell == END_OF_ROW
        or not str(cell).replace("&nbsp;", "").replace("\ufeff", "").strip()
    )


def row_kind(row: Mapping[Any, object]) -> RowKind:
    """Return the kind of a row (header → cell)."""
    filled = {str(header): _text(cell) for header, cell in row.items() if not is_blank(cell)}
    if not filled:
        return RowKind.BLANK
    if _text(TOO_MANY) in filled.values():
        return RowKind.FIGURES
    if any(NO_DATA.search(text) for text in filled.values()):
        return RowKind.PLACEHOLDER
    if all(text == _text(header) for header, text in filled.items()):
        return RowKind.HEADER
    if any(_SUM.fullmatch(text) for text in filled.values()):
        return RowKind.SUM
    # The rest of a row that was cut off still has its date; a note about a date names it.
    cut = END_OF_ROW in row.values() and len(filled) > 1 and any(map(is_date, filled.values()))
    cut = cut and not any(_LABEL.search(text) for text in filled.values())
    return RowKind.FIGURES if cut or any(map(_is_figure, filled.values())) or _in_one_cell(row) else RowKind.NOTE


def _in_one_cell(row: Mapping[Any, object]) -> bool:
    """Whether the only cell of a row contains the cells of a row."""
    texts = [str(cell) for cell in row.values() if not is_blank(cell)]
    parts = [_text(part) for part in _SEPARATORS.split(texts[0])]
    figures, dates = sum(map(_is_figure, filter(None, parts))), sum(map(is_date, filter(None, parts)))
    return len(texts) == 1 and 2 * len(parts) > len(row) and figures > 0 and figures + dates > 1


def _text(cell: object) -> str:
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", str(cell)))


def _is_figure(text: str) -> bool:
    """Whether a cell contains a number, what stands in place of one (``-``, ``#REF!``), or an amount; and no date."""
    number = text.strip("'=\"").strip("()¥￥$").rstrip("元股份手").rstrip("万亿%")
    absent = number.lower() in ABSENT - {""}  # 元 alone is a unit
    return bool(_FIGURE.fullmatch(number) or absent or _ERROR.fullmatch(text)) and not is_date(text)
