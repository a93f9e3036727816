"""Reading workbooks and CSV files as sheets of cells, before anything is known about their headers."""

from __future__ import annotations

import importlib
import io
import struct
import warnings
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from feeds.errors import ConfigurationError, InputError

#: Name of a sheet → its cells, without a header.
Grids = dict[str, pd.DataFrame]
SUFFIXES = (".xls", ".xlsx", ".csv")
_ZIP, _OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"


def read_workbook(content: bytes, name: str) -> Grids:
    """Return the sheets of a file, by its content: xlsx, xls, else CSV in UTF-8 or GB18030.

    Raises
    ------
    InputError : if it is neither, or the package that reads it is not installed.
    """
    if content.startswith((_ZIP, _OLE)):
        library, read = ("openpyxl", _xlsx) if content.startswith(_ZIP) else ("xlrd", _xls)
        try:
            return read(content)
        except ImportError as error:
            raise ConfigurationError(f"{name}: {library} is not installed: pip install 'marginwatch[excel]'") from error
        except (ValueError, OSError, KeyError, BadZipFile, struct.error) as error:
            raise InputError(f"{name} is a damaged workbook ({error}): download it again") from error
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "<html" in text[:2000].lower() or "<table" in text[:2000].lower():
            raise InputError(f"{name} is a web page, not a workbook: save it as xlsx")
        try:
            return {"": pd.read_csv(io.StringIO(text), header=None, dtype=object, names=_width(text))}
        except pd.errors.ParserError as error:
            raise InputError(f"{name} is no CSV file ({error}): export it again") from error
    raise InputError(f"{name} is no workbook and no text: expected {', '.join(SUFFIXES)}")


def _xlsx(content: bytes) -> Grids:
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", UserWarning
        )  # openpyxl warns of the missing default style in Shenzhen's workbooks
        sheets = pd.read_excel(
            io.BytesIO(content), sheet_name=None, header=None, dtype=np.dtype(object), engine="openpyxl"
        )
    return {str(sheet): grid for sheet, grid in sheets.items()}


def _xls(content: bytes) -> Grids:
    """Read a workbook in the format before 2007 with xlrd itself, because pandas deprecates it."""
    xlrd = importlib.import_module("xlrd")
    try:
        book = xlrd.open_workbook(file_contents=content)
    except (xlrd.XLRDError, xlrd.compdoc.CompDocError) as error:
        raise ValueError(str(error)) from error

    def value(cell: Any) -> object:
        if cell.ctype == xlrd.XL_CELL_DATE:
            return xlrd.xldate_as_datetime(cell.value, book.datemode)
        return None if cell.ctype in (xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK, xlrd.XL_CELL_ERROR) else cell.value

    return {
        sheet.name: pd.DataFrame([[value(cell) for cell in row] for row in sheet.get_rows()], dtype=object)
        for sheet in book.sheets()
    }


def _width(text: str) -> range:
    return range(max((line.count(",") for line in text.splitlines()), default=0) + 1)
