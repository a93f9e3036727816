"""The file of code changes: CSV with the columns old, new and date (`430047.BJ,920047.BJ,2025-10-09`)."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

from processors.code_changes import CodeChange, CodeChanges
from processors.errors import MarginwatchError
from streams.errors import SettingsError

_COLUMNS = ["old", "new", "date"]


def load(path: Path | None) -> CodeChanges:
    """Return the changes of a file, none without one.

    Raises
    ------
    SettingsError : if the file can't be read, or names a code or date that is none; the message has its line.
    """
    if path is None:
        return CodeChanges()
    changes, line = [], 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file)
            if rows.fieldnames != _COLUMNS:
                raise SettingsError(f"{path}: expected the columns {', '.join(_COLUMNS)}, it has {rows.fieldnames}")
            for row in rows:
                line = rows.line_num
                old, new, since = (row[name].strip() for name in _COLUMNS)
                changes.append(CodeChange(old, new, date.fromisoformat(since)))
        return CodeChanges(changes)
    except OSError as error:
        raise SettingsError(
            f"MARGINWATCH_CODE_CHANGES_FILE names {path}, which can't be read ({error.strerror}): correct or unset it"
        ) from error
    except (ValueError, AttributeError, MarginwatchError) as error:
        if isinstance(error, SettingsError):
            raise
        raise SettingsError(f"{path}, line {line}: {error}") from error
