"""Reading files as sheets of cells, before anything is known about their headers.

The content decides how a file is read, never its name: a terminal's "xls" is often text with tabs. Text may be UTF-8,
UTF-16 or GB18030, its separator a comma, a tab, a semicolon or a bar; any file may be packed with gzip.
"""

from __future__ import annotations

import csv
import gzip
import importlib
import io
import re
import stat
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pandas as pd
from pyarrow import parquet

from feeds.cells.row_kinds import END_OF_ROW
from feeds.errors import ConfigurationError, InputError
from processors.arrays import Ints

#: Name of a sheet → its cells without a header; the index is the number of the row. An empty cell is ``""``, a cell
#: that the row of a text file lacks is `END_OF_ROW`.
Grids = dict[str, pd.DataFrame]
SUFFIXES = (".csv", ".tsv", ".txt", ".xls", ".xlsx", ".xlsm")
#: Files that another program has not finished yet.
UNFINISHED = (".tmp", ".part", ".crdownload", ".lock", ".filepart")
_ZIP, _OLE, _GZIP = b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x1f\x8b"
_MARKS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
#: What the codecs say of a text that ends within a character.
_CUT = ("unexpected end of data", "truncated data", "incomplete multibyte sequence")
_SEPARATORS = (",", "\t", ";", "|")
_SNIFFED_LINES = 60
#: A shorter text may have been written by hand.
_LONG = 100
#: Of the styles of a workbook: a fill without a pattern, which some programs write and openpyxl can't read.
_STYLES, _EMPTY_FILL = "xl/styles.xml", re.compile(rb"<(\w+:)?fill\s*(/>|>\s*</(\w+:)?fill>)")
#: Of a sheet of a workbook: cells whose formula no program has computed yet, and what takes their place. A program that
#: can't compute writes no value, or 0 and asks the next one to compute all of them.
_SHEET, _BOOK, _TO_COMPUTE = re.compile(r"xl/worksheets/[^/]+\.xml"), "xl/workbook.xml", rb'fullCalcOnLoad="1"'
_FORMULA = rb'<c r="(\w+)"(?: s="\d+")?(?: t="n")?><f(?:\s[^>]*)?(?:/>|>[^<]*</f>)\s*(?:<v\s*/>|<v></v>%b)?\s*</c>'
_WITHOUT_VALUE = rb'<c r="\1" t="inlineStr"><is><t>a formula without its value: save the file in Excel</t></is></c>'
#: Of the built-in formats of a workbook: 0% and 0.00%.
_PERCENT_FORMATS = (9, 10)


def is_table(path: Path, suffixes: Iterable[str] = SUFFIXES) -> bool:
    """Whether the name of a file has one of the suffixes, in any case and also packed with gzip.

    Examples
    --------
    >>> is_table(Path("B.CSV")), is_table(Path("b.csv.gz")), is_table(Path("README.md"))
    (True, True, False)
    """
    return path.name.lower().removesuffix(".gz").endswith(tuple(suffixes))


def files_of(folder: Path, suffixes: Iterable[str] = SUFFIXES) -> tuple[list[Path], list[Path]]:
    """Return the tables of a folder, and its other files; hidden and unfinished ones are neither.

    A link that leads nowhere, or to where this user may not look, is one of the others.
    """
    tables, others = list[Path](), list[Path]()
    for path in sorted(folder.iterdir()):
        if path.name.startswith(("~", ".")) or path.suffix.lower() in UNFINISHED:
            continue
        try:
            is_file = stat.S_ISREG(path.stat().st_mode)
        except OSError:
            if path.is_symlink():  # else it was removed meanwhile
                others.append(path)
            continue
        if is_file:
            (tables if is_table(path, suffixes) else others).append(path)
    return tables, others


def subfolders(folder: Path) -> list[Path]:
    """Return the folders within a folder, which no reader looks into."""
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def unpacked(content: bytes, name: str) -> bytes:
    """Return the content of a file that may be packed with gzip; raises `InputError` if it is damaged."""
    if not content.startswith(_GZIP):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{name} is a damaged gzip file ({error}): download it again") from error


def read_workbook(content: bytes, name: str) -> Grids:
    """Return the sheets of a file: xlsx, xls, or text with separators.

    Raises
    ------
    InputError : if it is neither, or the package that reads it is not installed.
    """
    content = unpacked(content, name)
    if content.startswith((_ZIP, _OLE)):
        library, read = ("openpyxl", _xlsx) if content.startswith(_ZIP) else ("xlrd", _xls)
        try:
            return read(content)
        except ImportError as error:
            raise ConfigurationError(f"{name}: {library} is not installed: pip install 'marginwatch[excel]'") from error
        except Exception as error:  # the libraries raise whatever a damaged part makes their code run into
            raise InputError(
                f"{name} is a damaged workbook ({error}): download it again, or open it and save it as a new xlsx"
            ) from error
    text = _decoded(content, name)
    if "<html" in text[:2000].lower() or "<table" in text[:2000].lower():
        raise InputError(f"{name} is a web page, not a workbook: save it as xlsx")
    return {"": _text_grid(text, name)}


def read_parquet(file: Path | io.BytesIO, name: str) -> pd.DataFrame:
    """Return the table of a parquet file; raises `InputError` if it is damaged."""
    try:
        table = parquet.read_table(file)
        table.validate(full=True)  # else a damaged text raises where it is read
        found: pd.DataFrame = table.to_pandas()
    except Exception as error:  # the library raises whatever a damaged part makes its code run into
        raise InputError(f"{name} is a damaged parquet file ({error}): export it again") from error
    return found


def _decoded(content: bytes, name: str) -> str:
    marked = next((encoding for mark, encoding in _MARKS if content.startswith(mark)), None)
    # Every second byte of UTF-16 is zero where digits and separators are.
    zeros = [content[place:4000:2].count(0) for place in (0, 1)]
    guessed = ["utf-16-be" if zeros[0] > zeros[1] else "utf-16-le"] if max(zeros) > len(content[:4000]) / 10 else []
    for encoding in [marked] if marked else [*guessed, "utf-8", "gb18030"]:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError as error:
            if error.end == len(error.object) and error.reason in _CUT:
                raise InputError(
                    f"{name} ends in the middle of a character, after {len(content):,} bytes: it is cut off; download "
                    "it again"
                ) from error
            continue
        if "\0" not in text and not (encoding == "gb18030" and _has_line_of_utf8(content)):
            return text
    raise InputError(
        f"{name} is no workbook and no text in UTF-8, UTF-16 or GB18030 ({_damage(content)}): expected "
        f"{', '.join(SUFFIXES)}; download it again, or save it as xlsx, or as CSV in UTF-8"
    )


def _has_line_of_utf8(content: bytes) -> bool:
    """Whether a line is UTF-8 with Chinese characters, of three bytes each; Chinese in GB18030 is hardly ever that."""
    for line in content.splitlines():
        if not line.isascii():
            try:
                text = line.decode()
            except UnicodeDecodeError:
                continue
            if all(sign.isascii() or sign >= "\u2000" for sign in text):
                return True
    return False


def _damage(content: bytes) -> str:
    """Return why bytes are no text: zeros in place of a part of it, or lines of different encodings."""
    if (zero := content.find(b"\0")) >= 0:
        return f"it has NUL bytes from byte {zero + 1:,} on: its download was not finished, or it is no text at all"
    lines = []
    for encoding in ("utf-8", "gb18030"):
        try:
            content.decode(encoding)
        except UnicodeDecodeError as error:
            text = encoding.upper()
            lines.append(f"line {content.count(bytes([10]), 0, error.start) + 1:,} is not {text}")
    return f"{', '.join(lines)}: are two files in different encodings joined?"


def unended_text(content: bytes, name: str) -> str:
    """Return what to check of a long text whose last line has no end, and may be cut off within a number; else ""."""
    content = unpacked(content, name)
    if content.startswith((_ZIP, _OLE, b"PAR1")) or content.endswith((b"\n", b"\r", b"\0")):
        return ""
    lines = content.count(b"\n") + 1
    if lines < _LONG:
        return ""
    return (
        f"{name} ends without a line break, as a file does that is cut off: compare its last row, line {lines:,}, with "
        "the source, and whether rows follow"
    )


def _text_grid(text: str, name: str) -> pd.DataFrame:
    if not text.strip():
        return pd.DataFrame()
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    try:
        separator = _separator(text)
        widths = _widths(text, separator, name)
        grid = pd.read_csv(
            io.StringIO(text),
            sep=separator,
            header=None,
            names=range(widths.max()),
            dtype=np.dtype(object),
            keep_default_na=False,
            skip_blank_lines=False,
        )
    except (pd.errors.ParserError, csv.Error) as error:
        raise InputError(f"{name} is no CSV file ({error}): export it again") from error
    if (widths < widths.max()).any():
        if len(widths) != len(grid):
            raise InputError(f"{name} has quotation marks that don't match: export it again")
        grid = grid.where(np.arange(widths.max()) < widths[:, None], END_OF_ROW)
    return grid.set_axis(range(1, len(grid) + 1))


def _widths(text: str, separator: str, name: str) -> Ints:
    """Return the number of cells of each row.

    Raises
    ------
    InputError : if a cell contains the end of its row and the beginning of the next one.
    """
    if '"' in text:
        widths, rows, line = [], csv.reader(io.StringIO(text), delimiter=separator), 0
        for row in rows:
            widths.append(max(len(row), 1))
            several, line = rows.line_num > line + 1, rows.line_num
            if several and len(row) > 1 and any("\n" in cell and cell.count(separator) > 1 for cell in row):
                raise InputError(
                    f"{name}: a quotation mark in the row that ends at line {line:,} encloses several rows: remove it, "
                    "or export the file again"
                )
        return np.array(widths)
    return np.array([line.count(separator) + 1 for line in io.StringIO(text)])


def _separator(text: str) -> str:
    """Return the separator that cuts most lines into the same number of cells: numbers have commas, headers none."""
    lines = [line for line in text[:200_000].splitlines()[:_SNIFFED_LINES] if line.strip()]

    def regularity(separator: str) -> tuple[int, int]:
        widths = Counter(len(row) for row in csv.reader(lines, delimiter=separator))
        width, count = max(widths.items(), key=lambda one: (one[0] > 1, one[1], one[0]), default=(0, 0))
        return (count, width) if width > 1 else (0, 0)

    return max(_SEPARATORS, key=regularity)


def _xlsx(content: bytes) -> Grids:
    openpyxl = importlib.import_module("openpyxl")
    archive = ZipFile(io.BytesIO(content))
    if "[Content_Types].xml" not in archive.namelist():
        raise ValueError("an archive, not an xlsx: unpack it")
    book = openpyxl.load_workbook(_readable(archive, content), read_only=True, data_only=True)
    # Cells are objects, which take longer to read, only where one may be a percentage.
    percent = any("%" in one for one in book._number_formats)
    percent |= any(style.numFmtId in _PERCENT_FORMATS for style in book._cell_styles)
    grids = {}
    for sheet in book.worksheets:
        sheet.reset_dimensions()  # some writers give a wrong one
        rows = sheet.iter_rows(values_only=not percent)
        grids[str(sheet.title)] = _cell_grid([list(map(_shown, row)) for row in rows] if percent else list(rows))
    return grids


def _readable(archive: ZipFile, content: bytes) -> io.BytesIO:
    """Return the bytes of an xlsx, in which each empty fill has an empty pattern, and no formula lacks its value."""
    names, changed = archive.namelist(), dict[str, bytes]()
    asked = _BOOK in names and _TO_COMPUTE in archive.read(_BOOK)
    uncomputed = re.compile(_FORMULA % (rb"|<v>0</v>" if asked else b""))
    for name in names:
        if name == _STYLES:
            pattern, replacement = _EMPTY_FILL, rb"<\1fill><\1patternFill/></\1fill>"
        elif _SHEET.fullmatch(name):
            pattern, replacement = uncomputed, _WITHOUT_VALUE
        else:
            continue
        part, count = pattern.subn(replacement, archive.read(name))
        if count:
            changed[name] = part
    if not changed:
        return io.BytesIO(content)
    out = io.BytesIO()
    with ZipFile(out, "w") as copy:
        for name in names:
            copy.writestr(name, changed[name] if name in changed else archive.read(name))
    return io.BytesIO(out.getvalue())


def _shown(cell: Any) -> object:
    """Return the value of a cell of an xlsx, a percentage as it is shown."""
    shown = isinstance(cell.value, int | float) and "%" in (cell.number_format or "")
    return _percentage(cell.value) if shown else cell.value


def _percentage(value: float) -> str:
    """Return a percentage as it is shown: a workbook stores 0.0123 for the 1.23% of a column in percent."""
    return f"{value * 100:.12g}%"


def _xls(content: bytes) -> Grids:
    """Read a workbook in the format before 2007."""
    xlrd = importlib.import_module("xlrd")
    try:
        book = xlrd.open_workbook(file_contents=content, formatting_info=True)
    except (xlrd.XLRDError, xlrd.compdoc.CompDocError) as error:
        raise ValueError(str(error)) from error

    percent = {at for at, one in enumerate(book.xf_list) if "%" in book.format_map[one.format_key].format_str}

    def value(cell: Any) -> object:
        if cell.ctype == xlrd.XL_CELL_DATE:
            return xlrd.xldate_as_datetime(cell.value, book.datemode)
        if cell.ctype == xlrd.XL_CELL_ERROR:
            return xlrd.error_text_from_code.get(cell.value, "#ERROR")
        if cell.ctype == xlrd.XL_CELL_NUMBER and cell.xf_index in percent:
            return _percentage(cell.value)
        return None if cell.ctype in (xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK) else cell.value

    return {
        sheet.name: _cell_grid([[value(cell) for cell in row] for row in sheet.get_rows()]) for sheet in book.sheets()
    }


def _cell_grid(rows: Sequence[Sequence[object]]) -> pd.DataFrame:
    width = max(map(len, rows), default=0)
    cells = [["" if cell is None else cell for cell in row] + [""] * (width - len(row)) for row in rows]
    return pd.DataFrame(cells, dtype=object, index=range(1, len(rows) + 1), columns=range(width))
