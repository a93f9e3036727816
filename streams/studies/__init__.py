"""Studies on a folder of market files: runs `processors.studies` and writes tables, charts and a page."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Final

from processors.errors import MarginwatchError

#: The style of a report and of a part of it, whose element has the class ``report``.
STYLE: Final = (Path(__file__).parent / "report.css").read_text("utf-8")


def load() -> ModuleType:
    """Return `streams.studies.run`.

    Raises
    ------
    MarginwatchError : if the libraries of the studies are not installed.
    """
    try:
        from streams.studies import run
    except ModuleNotFoundError as error:
        raise MarginwatchError(f"studies need {error.name}: pip install 'marginwatch[study]'") from error
    return run
